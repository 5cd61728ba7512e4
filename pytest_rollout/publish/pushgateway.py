"""Push what was decided to a Prometheus Pushgateway. Whatever the gateway does, the run is not disturbed.

Every payload is written to the spool before it is sent, and removed once the gateway has accepted it. So a
crash, a slow gateway or none at all lose nothing: the next push sends what waits, oldest first.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import math
import re
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from pytest_rollout.errors import PublishError
from pytest_rollout.publish.load_metrics import load_metrics
from pytest_rollout.publish.spool import Payload, Spool
from pytest_rollout.verdict import Decision, Verdict

Metric = tuple[str, str, tuple[str, ...], Sequence[tuple[tuple[str, ...], float | None]]]
"""Name, help text, label names, samples; a sample is the labels' values and a number, or None if it is not known."""

JOB = "pytest_rollout"
"""The label `job` of everything that is pushed."""
_HALF_LINE = 150


@dataclass(frozen=True, slots=True)
class PushOutcome:
    """What became of one push; `message` is one line for people."""

    state: Literal["pushed", "spooled", "failed"]
    """`pushed`: nothing waits; `spooled`: something waits on disk; `failed`: neither sent nor kept."""
    message: str
    pushed: int
    """Payloads the gateway accepted, those that had been waiting included."""
    spooled: int
    """Payloads that now wait on disk for this gateway."""


@dataclass(frozen=True, slots=True)
class Group:
    """Metrics that a Pushgateway keeps together, under the labels that tell them from others."""

    labels: Mapping[str, str]
    """Beside `job`. No run ids: a group lives for ever."""
    metrics: Sequence[Metric]


def stage_group(stage: Mapping[str, Any]) -> Group:
    """Return the metrics of one stage entry of the verdict document.

    Raises KeyError when the entry lacks a field. docs/metrics.md says what each metric means.
    """
    labels = {"instance": stage["environment"], "rollout": stage["rollout"], "stage": str(stage["stage"])}
    return Group(labels, tuple(_metrics(stage, stage["finished_at"])))


def exposition(metrics: Iterable[Metric]) -> str:
    """Return metrics in the text format of Prometheus, each a gauge; what is not known is left out."""
    from prometheus_client import CollectorRegistry, Gauge, generate_latest

    registry = CollectorRegistry()
    for name, text, labels, samples in metrics:
        gauge = Gauge(name, text, labels, registry=registry)
        known = [(at, value) for at, value in samples if value is not None and not math.isnan(value)]
        # POST leaves a family alone that the body has no sample of. Without this one, which is no number, a
        # run without any value would leave the last run's values standing beside its own verdict.
        for at, value in known or [(("",) * len(labels), math.nan)]:
            (gauge.labels(*at) if labels else gauge).set(value)
    return generate_latest(registry).decode()


def _metrics(stage: Mapping[str, Any], finished_at: float) -> Iterator[Metric]:
    checks, decision, started = stage["checks"], stage["decision"], stage["started_at"]
    yield (
        "rollout_stage_decision",
        "1 for the decision of the last run, else 0.",
        ("decision",),
        [((one.value,), float(decision == one)) for one in Decision],
    )
    yield (
        "rollout_check_verdict",
        "1 for the verdict of the check, else 0.",
        ("check", "kind", "verdict"),
        [((c["id"], c["kind"], one.value), float(c["verdict"] == one)) for c in checks for one in Verdict],
    )
    for what, text in {"value": "What was measured", "limit": "What the value was compared with"}.items():
        rows = [((c["id"], c["unit"] or ""), c[what]) for c in checks]
        yield f"rollout_check_{what}", f"{text}, in the unit named.", ("check", "unit"), rows
    samples = [((c["id"],), c["samples"]) for c in checks]
    yield "rollout_check_samples", "How many observations decided.", ("check",), samples
    yield from load_metrics(checks)
    duration = None if started is None else finished_at - started
    yield "rollout_last_run_timestamp_seconds", "When the last run ended.", (), [((), finished_at)]
    yield "rollout_last_run_duration_seconds", "How long the last run took.", (), [((), duration)]
    yield "rollout_rehearsal", "1 when time was scaled: no evidence.", (), [((), float(stage["rehearsal"]))]
    if decision == Decision.GO:  # otherwise left out, so that POST keeps the time of the last GO
        yield (
            "rollout_last_success_timestamp_seconds",
            "When the last GO was decided.",
            (),
            [((), finished_at)],
        )


class Pushgateway:
    """A Pushgateway at `url`, with a spool folder for what it does not accept.

    `timeout` (seconds) bounds a whole push, waiting payloads included. `token` is sent as a bearer token, a
    user and password in the address as basic authentication; neither is ever shown. Proxies are not used.
    Raises PublishError when `url` is no address or `token` cannot be sent.
    """

    def __init__(self, url: str, spool: Path, timeout: float = 2.0, token: str | None = None) -> None:
        self.url, credentials = _split_credentials(url)
        self.timeout = timeout
        self._spool = Spool(spool, self.url)
        self._headers = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        if token or credentials:
            self._headers["Authorization"] = _authorization(token, credentials or "")

    def push(self, stages: Iterable[Mapping[str, Any]]) -> PushOutcome:
        """Send each stage entry of the verdict document to its own group, as `send` does."""
        return self.send(map(stage_group, stages))

    def send(self, groups: Iterable[Group]) -> PushOutcome:
        """Send groups; what cannot be sent in time is kept, and nothing raises."""
        delivery = _Delivery(time.monotonic() + self.timeout)
        for group in groups:
            delivery.fresh.append(self._spool.put(_path(group), exposition(group.metrics), delivery.notes))
        # prometheus_client's own timeout holds for each read, so a dripping gateway stretches it without end.
        worker = threading.Thread(target=self._deliver, args=(delivery,), name="rollout-push", daemon=True)
        worker.start()
        worker.join(max(0.0, delivery.left()))
        notes = list(delivery.notes)
        if worker.is_alive():
            notes.append(f"no answer within {self.timeout:g} s")
            delivery.abandon()
        return self._outcome(delivery, notes)

    def _deliver(self, delivery: _Delivery) -> None:
        try:
            with self._spool.exclusive():
                waiting = self._spool.waiting(delivery.fresh, delivery.notes)
                for payload in itertools.chain(waiting, delivery.fresh):
                    if not self._send(payload, delivery):
                        return
        except Exception as error:  # noqa: BLE001 - whatever happens to a push, the run goes on
            delivery.notes.append(_one_line(f"{type(error).__name__}: {error}"))

    def _send(self, payload: Payload, delivery: _Delivery) -> bool:
        """Send one payload; return whether the next may be tried."""
        if payload.file and not payload.file.exists():
            return True  # another process has sent it
        status, fault = self._post(payload, delivery)
        if fault is None:
            delivery.sent.append(payload)
            payload.discard()
            return True
        refused = status == HTTPStatus.BAD_REQUEST
        if refused and payload not in delivery.fresh:
            payload.discard()  # it will be refused for ever
            fault = f"a waiting payload was refused and dropped: {fault}"
        delivery.notes.append(fault)
        return refused

    def _post(self, payload: Payload, delivery: _Delivery) -> tuple[int, str | None]:
        """POST one payload; return the status and what is wrong with the answer. Raises as sockets do."""
        address = urlsplit(self.url)
        kind = HTTPSConnection if address.scheme == "https" else HTTPConnection
        connection = kind(address.netloc, timeout=self.timeout)
        with contextlib.closing(connection):
            connection.connect()
            delivery.watch(connection.sock)
            path = address.path + payload.group
            connection.request("POST", path, payload.body.encode(), self._headers)
            response = connection.getresponse()
            return response.status, _fault(response)

    def _outcome(self, delivery: _Delivery, notes: list[str]) -> PushOutcome:
        pushed, waiting = len(delivery.sent), len(self._spool.files())
        head = f"{pushed} pushed to {self.url}" if pushed or not waiting else f"not pushed to {self.url}"
        if any(payload.file is None and payload not in delivery.sent for payload in delivery.fresh):
            return PushOutcome("failed", "; ".join((head, *notes, "not kept either")), pushed, waiting)
        if waiting:
            kept = f"{waiting} kept in {self._spool.folder} for the next push"
            return PushOutcome("spooled", "; ".join((head, *notes, kept)), pushed, waiting)
        return PushOutcome("pushed", "; ".join((head, *notes)), pushed, 0)


@dataclass(slots=True)
class _Delivery:
    """One push: shared by the caller and the thread that sends."""

    deadline: float
    fresh: list[Payload] = field(default_factory=list)
    sent: list[Payload] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    _sock: socket.socket | None = None

    def left(self) -> float:
        return self.deadline - time.monotonic()

    def watch(self, sock: socket.socket) -> None:
        """Take note of a socket to cut when time is over; cut it at once when it already is."""
        self._sock = sock
        if self.over.is_set():
            self.abandon()

    def abandon(self) -> None:
        """Make the thread end: a read that hangs returns when its socket is shut down."""
        self.over.set()
        if self._sock:
            with contextlib.suppress(OSError):
                self._sock.shutdown(socket.SHUT_RDWR)


def _fault(response: HTTPResponse) -> str | None:
    body = _one_line(response.read(2000).decode("utf-8", "replace"))
    if response.status in (HTTPStatus.OK, HTTPStatus.ACCEPTED):
        return f"HTTP {response.status} with a page: this is no Pushgateway" if body else None
    if target := response.headers["Location"]:
        return _one_line(f"HTTP {response.status}: moved to {target}; use that address")
    return f"HTTP {response.status}: {body or response.reason}"


def _path(group: Group) -> str:
    """Return the URL path of a group."""
    return "/metrics" + "".join(f"/{name}{_segment(value)}" for name, value in {"job": JOB, **group.labels}.items())


def _segment(value: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9_-]+", value):
        return f"/{value}"
    # Quoting is not enough: the gateway redirects a path with `..`, and an empty value needs the `=`.
    return f"@base64/{base64.urlsafe_b64encode(value.encode()).decode() or '='}"


def _split_credentials(url: str) -> tuple[str, str | None]:
    """Return the address as it may be shown, and `user:password` if there was one."""
    scheme, _, rest = url.rpartition("://")
    credentials, _, place = rest.rpartition("@")
    clean = f"{scheme or 'http'}://{place.rstrip('/')}"
    try:
        parts = urlsplit(clean)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise PublishError(f"{clean!r} is no address of a Pushgateway; write http://host:port")
    return clean, unquote(credentials) or None


def _authorization(token: str | None, credentials: str) -> str:
    if token is None:
        return f"Basic {base64.b64encode(credentials.encode()).decode()}"
    token = token.strip()
    if not (token.isascii() and token.isprintable()):  # http.client would show it in its error
        raise PublishError("the Pushgateway token holds characters that no HTTP header can carry; look at it")
    return f"Bearer {token}"


def _one_line(text: str) -> str:
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    # A gateway says what happened first and what is wrong with it last; the middle is label values.
    return line if len(line) <= 2 * _HALF_LINE else f"{line[:_HALF_LINE]} … {line[-_HALF_LINE:]}"
