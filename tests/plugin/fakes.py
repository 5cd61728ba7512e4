"""A fake world for rollouts: Prometheus, an OFREP flag service and a Pushgateway in one HTTP server.

It answers whatever a test sets, so that every decision can be had in a moment. Bare values are what the test says;
behind them is one process, ``shop`` at ``a:1``, up for ever, scraped regularly until now, whose every metric
has series that never rise. It proves nothing about the real servers; those are met in tests/sources, tests/publish
and tests/sandbox.
"""

from __future__ import annotations

import json
import math
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote

PROCESS = {"job": "shop", "instance": "a:1"}
_RANGE = re.compile(r"(.+)\[(\d+)ms\]")
_COUNT = re.compile(r"count\(last_over_time\((.+)\[\d+ms\]\)\)")
_HEALTH = re.compile(r'\{__name__=~"(.+)",job="shop"\}')
_SAMPLES = {"up": 1.0, "process_start_time_seconds": 1000.0}
"""What the process says of itself; everything else is 0."""


def _labels(name: str, place: int) -> dict[str, str]:
    return {"__name__": name, **PROCESS, "number": str(place)}


class FakeWorld:
    """What the servers say. Every attribute may be changed while they run."""

    def __init__(self) -> None:
        self.url = ""
        self.values: dict[str, Any] = {}
        """By PromQL expression: a number, the text of one (``"NaN"``), or a list of these, one for each series.

        With ``[$window]`` for a range of any length.
        """
        self.warnings: dict[str, str] = {}
        """By PromQL expression."""
        self.unseen: set[str] = set()
        """Selectors (or ``up``, ``process_start_time_seconds``) that no series matches."""
        self.interval = 1.0
        """Seconds between two scrapes."""
        self.silent_for = 0.0
        """Seconds since the last scrape that succeeded."""
        self.skew = 0.0
        """Seconds that its clock is ahead, by the ``Date`` of its answers."""
        self.statuses: dict[str, int] = {}
        """HTTP status by PromQL expression, or of ``targets``, ``flags`` and ``push``."""
        self.flags: dict[str, Any] = {"READS": True}
        self.flipped_at: str | None = "2025-01-01T00:00:00+00:00"
        """When every flag was changed; ``"now"`` is the moment of asking first."""
        self.push_delay = 0.0
        self.requests: list[str] = []
        self.pushes: list[tuple[str, str]] = []
        """(path, body), in order."""

    def push_paths(self) -> list[str]:
        """Return the groups that were pushed to."""
        return [path for path, _ in self.pushes]

    def queries(self, expression: str) -> int:
        """Return how often the bare value of an expression was asked for."""
        return self.requests.count(f"query {expression}")

    def answer(self, path: str, body: str) -> tuple[int, Any]:
        """Return status and JSON of one request."""
        if path.startswith("/api/v1/targets/metadata"):
            return 200, {"status": "success", "data": []}
        if path.startswith("/api/v1/targets"):
            self.requests.append("targets")
            return self.statuses.get("targets", 200), {"status": "success", "data": {"activeTargets": [self._target()]}}
        if path == "/api/v1/query":
            return self._query({key: value[0] for key, value in parse_qs(body).items()})
        if path.startswith("/ofrep/v1/evaluate/flags/"):
            return self._flag(unquote(path.rpartition("/")[2]))
        if path.startswith("/metrics/job/"):
            return self._push(path, body)
        self.requests.append(f"unknown {path}")
        return 404, {"error": "not found"}

    def _target(self) -> dict[str, Any]:
        every = f"{round(self.interval * 1000)}ms"
        return {"labels": PROCESS, "scrapeInterval": every, "health": "up", "lastError": ""}

    def _query(self, form: dict[str, str]) -> tuple[int, Any]:
        expression, at = form["query"], float(form["time"])
        self.requests.append(f"query {expression}")
        if ranged := _RANGE.fullmatch(expression):
            data = {"resultType": "matrix", "result": self._series(ranged[1], int(ranged[2]) / 1000, at)}
        else:
            data = {"resultType": "vector", "result": self._values(expression, at)}
        answer: dict[str, Any] = {"status": "success", "data": data}
        if expression in self.warnings:
            answer["warnings"] = [self.warnings[expression]]
        status = self.statuses.get(expression, 200)
        return status, answer if status == 200 else {"status": "error", "error": "as the test wants it"}

    def _values(self, expression: str, at: float) -> list[dict[str, Any]]:
        if counted := _COUNT.fullmatch(expression):
            return [{"metric": {}, "value": [at, str(len(self._series(counted[1], 0, at)))]}]
        values = self._said(expression)
        return [{"metric": _labels(expression, place), "value": [at, str(one)]} for place, one in enumerate(values)]

    def _series(self, selector: str, seconds: float, at: float) -> list[dict[str, Any]]:
        health = _HEALTH.fullmatch(selector)
        names = health[1].split("|") if health else [selector]
        scrapes = range(
            math.ceil((at - seconds) / self.interval), math.floor((at - self.silent_for) / self.interval) + 1
        )
        return [
            {
                "metric": _labels(name, place),
                "values": [[scrape * self.interval, str(_SAMPLES.get(name, 0))] for scrape in scrapes],
            }
            for name in names
            if scrapes and name not in self.unseen
            for place in range(len(self._said(name)) or 1)
        ]

    def _said(self, expression: str) -> list[Any]:
        anonymous = re.sub(r"\[\d+ms\]", "[$window]", expression)
        value = self.values.get(expression, self.values.get(anonymous, []))
        return value if isinstance(value, list) else [value]

    def _flag(self, name: str) -> tuple[int, Any]:
        self.requests.append(f"flag {name}")
        name, _, turned = name.partition("?")
        if turned:
            self.flags[name] = not self.flags[name]
        if name not in self.flags:
            return 404, {"key": name, "errorCode": "FLAG_NOT_FOUND"}
        if self.flipped_at == "now":
            self.flipped_at = datetime.now(UTC).isoformat()
        metadata = {"changedAt": self.flipped_at} if self.flipped_at else {}
        said = {"key": name, "value": self.flags[name], "reason": "STATIC", "metadata": metadata}
        return self.statuses.get("flags", 200), said

    def _push(self, path: str, body: str) -> tuple[int, Any]:
        self.requests.append("push")
        self.pushes.append((path, body))
        time.sleep(self.push_delay)
        return self.statuses.get("push", 200), None


@contextmanager
def fake_world() -> Iterator[FakeWorld]:
    """Serve a fake world on a free port of loopback."""
    world = FakeWorld()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet, or the client waits for the second

        def do_POST(self) -> None:
            status, answer = world.answer(self.path, self.rfile.read(int(self.headers["Content-Length"] or 0)).decode())
            content = b"" if answer is None else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST  # noqa: N815 - http.server wants these names

        def date_time_string(self, timestamp: float | None = None) -> str:
            return super().date_time_string((time.time() if timestamp is None else timestamp) + world.skew)

        def log_message(self, *_: object) -> None:
            pass

        def handle(self) -> None:
            with suppress(OSError):  # the other side was killed
                super().handle()

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        world.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield world
        finally:
            server.shutdown()
            thread.join()
