"""Fake HTTP servers that misbehave in ways that a real one cannot be asked to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PAUSE = 0.1
"""Seconds between two bytes of an answer that drips."""


@dataclass(frozen=True)
class Reply:
    """What a fake server answers. ``missing`` bytes are promised and never sent.

    A header that is None is left out. A ``raw`` body is all that is sent, without a status line and headers.
    What ``drips`` comes byte by byte, after the first ``at_once`` bytes of the body. The connection is closed
    afterwards, and said to be, unless the reply ``keeps`` it.
    """

    body: Any = b""
    status: int = 200
    headers: dict[str, str | None] = field(default_factory=dict)
    missing: int = 0
    raw: bool = False
    drips: bool = False
    at_once: int = 0
    keeps: bool = False
    hangs: bool = False

    @property
    def payload(self) -> bytes:
        """The body as bytes; what is not bytes is sent as JSON."""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass(frozen=True)
class Asked:
    """One request that the server was asked."""

    method: str
    path: str
    body: str


class FakeServer:
    """A server on loopback that answers as a test says; ``asked`` are the requests so far.

    ``connections`` is how many there were.
    """

    def __init__(self, answer: Callable[[Asked], Reply]) -> None:
        self.answer = answer
        self.asked: list[Asked] = []
        self.connections = 0
        self.url = ""
        self.closing = threading.Event()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that hang up."""


def _handler(server: FakeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            server.connections += 1
            super().setup()

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            server.asked.append(Asked(self.command, self.path, body))
            reply = server.answer(server.asked[-1])
            self._send(reply)
            self.close_connection = not reply.keeps

        do_POST = do_PUT = do_GET  # noqa: N815

        def _send(self, reply: Reply) -> None:
            if reply.hangs:
                server.closing.wait(30)
                return
            if not reply.raw:
                self.send_response_only(reply.status)
                for name, value in _headers(reply, self.date_time_string()):
                    self.send_header(name, value)
                self.end_headers()
            for piece in _pieces(reply):
                self.wfile.write(piece)
                if reply.drips and server.closing.wait(PAUSE):
                    return

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    return Handler


def _headers(reply: Reply, now: str) -> list[tuple[str, str]]:
    own = {
        "Date": now,
        "Content-Length": str(len(reply.payload) + reply.missing),
        "Connection": None if reply.keeps else "close",
    }
    return [(name, value) for name, value in {**own, **reply.headers}.items() if value is not None]


def _pieces(reply: Reply) -> Iterator[bytes]:
    at_once = reply.at_once if reply.drips else len(reply.payload)
    yield reply.payload[:at_once]
    yield from (reply.payload[place : place + 1] for place in range(at_once, len(reply.payload)))


@contextmanager
def fake_server(answer: Callable[[Asked], Reply] | Reply) -> Iterator[FakeServer]:
    """Run a fake server that gives one reply to everything, or what ``answer`` returns for a request."""
    fake = FakeServer(answer if callable(answer) else lambda _: answer)
    httpd = _Server(("127.0.0.1", 0), _handler(fake))
    fake.url = f"http://127.0.0.1:{httpd.server_port}"
    thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield fake
    finally:
        fake.closing.set()
        httpd.shutdown()
        httpd.server_close()
        thread.join()
