"""Fake HTTP servers that misbehave in ways that a real one cannot be asked to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PAUSE = 0.05
"""Seconds between two bytes of an answer that drips."""


@dataclass(frozen=True)
class Reply:
    """What a fake server answers. ``missing`` bytes are promised and never sent."""

    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    missing: int = 0
    drips: bool = False
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
    """A server on loopback that answers as a test says; ``asked`` are the requests so far."""

    def __init__(self, answer: Callable[[Asked], Reply]) -> None:
        self.answer = answer
        self.asked: list[Asked] = []
        self.url = ""
        self.closing = threading.Event()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that hang up."""


def _handler(server: FakeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            server.asked.append(Asked(self.command, self.path, body))
            self._send(server.answer(server.asked[-1]))

        do_POST = do_GET  # noqa: N815

        def _send(self, reply: Reply) -> None:
            if reply.hangs:
                server.closing.wait(30)
                return
            self.send_response(reply.status)
            for name, value in {"Content-Length": str(len(reply.payload) + reply.missing), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            for piece in [reply.payload[at : at + 1] for at in range(len(reply.payload))] if reply.drips else []:
                self.wfile.write(piece)
                server.closing.wait(PAUSE)
            if not reply.drips:
                self.wfile.write(reply.payload)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    return Handler


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
