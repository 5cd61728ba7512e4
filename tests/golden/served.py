"""The small target over real HTTP: one server on loopback for each instance."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from pytest_rollout.golden.wire import RawRequest
from tests.golden.target import INSTANCES, Target


class _Server(ThreadingHTTPServer):
    daemon_threads = True


def _handler(target: Target, instance: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # an answer in two pieces waits for the other side's acknowledgement of the first

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            content = self.rfile.read(length) if length else None
            request = RawRequest(self.command, self.path, tuple(self.headers.items()), content)
            reply = target(instance, request)
            self.send_response_only(reply.status)
            for name, value in reply.headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)
            self.wfile.flush()

        do_GET = do_POST = do_PUT = _answer  # noqa: N815 - names of the base class

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


@contextmanager
def served(target: Target) -> Iterator[str]:
    """Serve a target; yields the base URLs of its instances, with commas."""
    with ExitStack() as stack:
        places = []
        for instance in INSTANCES:
            server = stack.enter_context(_Server(("127.0.0.1", 0), _handler(target, instance)))
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
            stack.callback(server.shutdown)
            places.append(f"http://127.0.0.1:{server.server_port}")
        yield ",".join(places)
