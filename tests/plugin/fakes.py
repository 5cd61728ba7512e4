"""A fake world for rollouts: Prometheus, an OFREP flag service and a Pushgateway in one HTTP server.

It answers whatever a test sets, so that every decision can be had in a moment. It proves nothing about the real
servers; those are met in tests/sources, tests/publish and tests/sandbox.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote


class FakeWorld:
    """What the servers say. Every attribute may be changed while they run."""

    def __init__(self) -> None:
        self.url = ""
        self.values: dict[str, Any] = {}
        """By PromQL expression: a number, the text of one (``"NaN"``), or a list of these, one for each series."""
        self.warnings: dict[str, str] = {}
        """By PromQL expression."""
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
        """Return how often a query was asked."""
        return self.requests.count(f"query {expression}")

    def answer(self, path: str, body: str) -> tuple[int, Any]:
        """Return status and JSON of one request."""
        if path.startswith("/api/v1/targets"):
            self.requests.append("targets")
            target = {"labels": {"job": "shop"}, "scrapeInterval": "1s"}
            return self.statuses.get("targets", 200), {"status": "success", "data": {"activeTargets": [target]}}
        if path == "/api/v1/query":
            return self._query({key: value[0] for key, value in parse_qs(body).items()})
        if path.startswith("/ofrep/v1/evaluate/flags/"):
            return self._flag(unquote(path.rpartition("/")[2]))
        if path.startswith("/metrics/job/"):
            return self._push(path, body)
        self.requests.append(f"unknown {path}")
        return 404, {"error": "not found"}

    def _query(self, form: dict[str, str]) -> tuple[int, Any]:
        expression = form["query"]
        self.requests.append(f"query {expression}")
        value = self.values.get(expression, [])
        values = value if isinstance(value, list) else [value]
        result = [
            {"metric": {"number": str(index)}, "value": [float(form["time"]), str(one)]}
            for index, one in enumerate(values)
        ]
        answer: dict[str, Any] = {"status": "success", "data": {"resultType": "vector", "result": result}}
        if expression in self.warnings:
            answer["warnings"] = [self.warnings[expression]]
        status = self.statuses.get(expression, 200)
        return status, answer if status == 200 else {"status": "error", "error": "as the test wants it"}

    def _flag(self, name: str) -> tuple[int, Any]:
        self.requests.append(f"flag {name}")
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
