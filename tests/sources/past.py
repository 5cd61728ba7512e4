"""A past written into a real Prometheus: processes, how they were scraped, and what a gate says at its end."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pytest_rollout.gathering.gatherer import Gatherer
from pytest_rollout.judge.history import Looks
from pytest_rollout.plan.gates import Gate
from pytest_rollout.sources.http import Answer, Http
from pytest_rollout.sources.prometheus import Prometheus
from pytest_rollout.target import Target
from pytest_rollout.verdict import CheckResult, Reason, Verdict
from sandbox.remote_write import remote_write

STEP = 15.0
LENGTH = 1800.0
SCRAPES = 123
"""Number 0 before the window, 1 at its start, 121 at its end, 122 after it."""
BEFORE = 5
"""How many scrapes more there were before number 0, just like it: long enough for a predecessor to be seen."""
FIRST, LAST = 1, 121
"""The scrapes at the window's start and end."""
STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
"""What Prometheus writes when a scrape fails, or a target is no more."""
PASSED, BREACHED, INCONCLUSIVE, ERROR = Verdict

TARGET = Target(
    environment="staging",
    url="http://shop",
    prometheus=None,
    pushgateway=None,
    flags_url=None,
    flags_token=None,
    time_scale=1.0,
    wait=0.0,
    scrape_interval=None,
    via="api",
    rehearsal=(),
)
RATIO = {"ratio": {"bad": 'req{job="shop",code="500"}', "total": 'req{job="shop"}'}, "below": "0.5%", "over": "30m"}
COUNTER = {"counter": {"of": "rollbacks_total"}, "at_most": 0, "over": "30m"}
QUANTILE = {"quantile": {"q": 0.95, "of": "lat"}, "below": "100ms", "over": "30m"}
GOOD = {"__name__": "req", "job": "shop", "code": "200"}
BAD = {**GOOD, "code": "500"}
ROLLBACKS = {"__name__": "rollbacks_total", "job": "shop"}

SHARES = {"ratio", "quantile", "baseline", "burn"}
"""Kinds of gates that can promise that nobody looks twice."""

Labels = Mapping[str, str]
Values = Iterable[float | None]
Instance = tuple[str, str]
Told = tuple[Labels, Values]
Samples = list[tuple[float, str]]
"""As Prometheus sends them."""

ITSELF = ("prometheus", "localhost:9090")
"""Prometheus scrapes itself as well."""


def ramp(per_scrape: float, base: float = 0.0) -> list[float | None]:
    """Return a counter that rises by the same at every scrape."""
    return [base + per_scrape * place for place in range(SCRAPES)]


def once(by: float, *, base: float = 0.0, at: int = 60) -> list[float | None]:
    """Return a counter that rises once."""
    return [base + by * (place >= at) for place in range(SCRAPES)]


def born(value: float, *, at: int = 60) -> list[float | None]:
    """Return a counter that does not exist before a scrape."""
    return [None] * at + [value] * (SCRAPES - at)


def lost(values: Values, first: int, last: int, instead: float | None = None) -> list[float | None]:
    """Return values without those of some scrapes."""
    return [instead if first <= place <= last else value for place, value in enumerate(values)]


def on(labels: Labels, instance: str) -> dict[str, str]:
    """Return the labels of a series of one instance."""
    return {**labels, "instance": instance}


def buckets(per_scrape: Mapping[str, float], **labels: str) -> list[Told]:
    """Return a histogram ``lat`` of which each bucket rises by so much at every scrape."""
    return [({"__name__": "lat_bucket", "job": "shop", "le": le, **labels}, ramp(n)) for le, n in per_scrape.items()]


@dataclass(frozen=True)
class Life:
    """How a process was scraped.

    ``up`` has one value for each scrape: 1; 0 when the target was down (its series become stale); None when
    Prometheus was away; STALE when the target was taken from the configuration. ``began`` tells from which scrape
    on it says when it began, in seconds of the window; None: it does not say.
    """

    up: Sequence[float | None] = (1.0,) * SCRAPES
    began: Mapping[int, float | None] = field(default_factory=lambda: {0: -9000.0})

    @classmethod
    def during(cls, first: int, last: int = SCRAPES, *, began: float | None = -9000.0) -> Life:
        """Return a process that was a target for these scrapes only."""
        up = [1.0 if first <= place <= last else STALE if place == last + 1 else None for place in range(SCRAPES)]
        return cls(up, {0: began})

    def without(self, first: int, last: int, instead: float | None = None) -> Life:
        """Return a process that was not scraped some times."""
        return replace(self, up=lost(self.up, first, last, instead))

    def restarted(self, at: int, began: float | None = None) -> Life:
        """Return a process that began anew just before a scrape, or when it says."""
        return replace(self, began={**self.began, at: (at - FIRST - 0.5) * STEP if began is None else began})

    @property
    def ended(self) -> bool:
        """Whether it is no target any more."""
        return any(value is not None and math.isnan(value) for value in self.up)

    def starts(self) -> Iterator[float | None]:
        """Yield what it says at every scrape of when it began."""
        began: float | None = None
        for place in range(SCRAPES):
            began = self.began.get(place, began)
            yield began

    def seen(self, values: Values) -> Iterator[float | None]:
        """Yield of some values what Prometheus keeps, staleness markers among them."""
        fresh = False
        for up, value in zip(self.up, values, strict=False):
            here = value if up == 1 else None
            missed = here is None and up is not None
            yield STALE if missed and fresh else here
            fresh = (here is not None) or (fresh and not missed)


class Bent:
    """A transport to a real Prometheus that bends some of its answers, and remembers what was asked."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self.asked: list[str] = []
        """Each request in one line."""
        self.targets: set[Instance] = {ITSELF}
        self.exporters: dict[str, set[Instance]] = {}
        """By metric family: who has metadata of it, as a counter."""
        self.drop: Callable[[Labels], bool] = lambda _: False
        """Which series of an answer are lost on the way."""
        self.thin: Callable[[Labels, Samples], Samples] = lambda _, samples: samples
        """Which of its samples are left."""
        self.skew: Callable[[float | None], float | None] = lambda told: told
        """What becomes of the seconds by which its clock differs."""

    def __call__(self, method: str, url: str, /, *, form: Mapping[str, str] | None = None, json: Any = None) -> Answer:
        """Pass the request on, unless it is about what only a Prometheus that scrapes knows."""
        parts = urlsplit(url)
        self.asked.append(f"{method} {parts.path}?{parts.query} {sorted((form or {}).items())}")
        answer = self._http(method, url, form=form, json=json)
        told = self._told(parts.path, parse_qs(parts.query)) or self._cut(answer.text)
        return replace(answer, text=told, skew=self.skew(answer.skew))

    def _told(self, path: str, query: Mapping[str, list[str]]) -> str | None:
        if path.endswith("/targets"):
            found: Any = {"activeTargets": [self._target(*one) for one in sorted(self.targets)]}
        elif path.endswith("/targets/metadata"):
            known = sorted(self.exporters.get(query["metric"][0], ()))
            found = [{"target": {"job": job, "instance": name}, "type": "counter"} for job, name in known]
        else:
            return None
        return json.dumps({"status": "success", "data": found})

    @staticmethod
    def _target(job: str, instance: str) -> dict[str, Any]:
        labels = {"job": job, "instance": instance}
        return {"labels": labels, "scrapeInterval": f"{STEP:g}s", "health": "up", "lastError": ""}

    def _cut(self, text: str) -> str:
        body = json.loads(text)
        result = body.get("data", {}).get("result") if body.get("status") == "success" else None
        if not result or body["data"]["resultType"] != "matrix":
            return text
        for one in result:
            one["values"] = [] if self.drop(one["metric"]) else self.thin(one["metric"], one["values"])
        body["data"]["result"] = [one for one in result if one["values"]]
        return json.dumps(body)


class Past:
    """Half an hour in a Prometheus, and what a gate says of it at its end."""

    def __init__(self, url: str, http: Http, start: float) -> None:
        self.bent = Bent(http)
        self.prometheus = Prometheus(url, self.bent)
        self.url = url
        self.start = start
        self.now = start + LENGTH + 1.5 * STEP
        self._begun = False

    def write(self, *series: Told, lives: Mapping[str | Instance, Life] | None = None, later: float = 0.0) -> None:
        """Write one value for each scrape, None for one that did not have the series, ``later`` seconds later.

        Every process lives on and is scraped throughout, unless ``lives`` tells by instance of the shop, or
        by job and instance, what became of it.
        """
        processes: dict[Instance, Life] = {ITSELF: Life()}
        processes |= {("shop", one) if isinstance(one, str) else one: life for one, life in (lives or {}).items()}
        written = []
        for labels, values in series:
            one = (labels.get("job", ""), labels.get("instance", ""))
            life = processes.setdefault(one, Life()) if one[0] else Life()
            written.append((labels, self._samples(life.seen(values), later)))
        for (job, instance), life in processes.items():
            own = {"job": job, "instance": instance}
            began = (None if one is None else self.start + later + one for one in life.starts())
            written.append(({"__name__": "up", **own}, self._samples(iter(life.up), later)))
            written.append(({"__name__": "process_start_time_seconds", **own}, self._samples(life.seen(began), later)))
        self._begun = True
        self.bent.targets |= {one for one, life in processes.items() if not life.ended}
        remote_write(self.url, [({k: v for k, v in labels.items() if v}, samples) for labels, samples in written])

    def _samples(self, values: Iterator[float | None], later: float) -> list[tuple[float, float]]:
        first = self.start + later - STEP
        told = list(values)
        before = [] if self._begun else told[:1] * BEFORE
        return [
            (first + STEP * place, value)
            for place, value in enumerate([*before, *told], start=-len(before))
            if value is not None
        ]

    def judged(self, gate: Mapping[str, Any], since: float | None = None, *, again: bool = False) -> CheckResult:
        """Return the verdict, asked once only or ``again``; ``since`` is the flip in seconds of the window."""
        flip = None if since is None else self.start + since
        promised = {"looks": "once"} if not again and SHARES & gate.keys() else {}
        return self.gatherer(flip, waits=again).judge(Gate.model_validate({"id": "g", **promised, **gate}))

    def gatherer(self, since: float | None, **known: Any) -> Gatherer:
        """Return what judges gates of this past, with nothing known yet."""
        self.prometheus.forget()
        interval = None if self.bent.targets else STEP  # without targets nobody else tells it
        known.setdefault("looks", {"g": Looks(1, self.now)})
        return Gatherer(self.prometheus, replace(TARGET, scrape_interval=interval), since, self.now, **known)

    def said(self, gate: Mapping[str, Any], since: float | None = None) -> tuple[Verdict, Reason, str]:
        """Return verdict, reason and message."""
        result = self.judged(gate, since)
        return result.verdict, result.reason, result.message

    def value(self, expression: str) -> float | None:
        """Return what Prometheus itself makes of it at the window's end, None for nothing."""
        found = self.prometheus.query(expression, self.start + LENGTH).series
        return found[0].samples[-1][1] if found else None
