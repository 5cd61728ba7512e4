"""A small load balancer: every request goes to the next instance, as it came."""

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any

_TIMEOUT = 30.0
_LARGEST_BODY = 4 << 20
_HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer"})


class Front(ThreadingHTTPServer):
    """Listens on a port of the system's choosing; ``instances`` are host:port."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, instances: Sequence[str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self._instances = list(instances)
        self._turns = count()

    @property
    def address(self) -> str:
        """Return host:port."""
        return f"127.0.0.1:{self.server_address[1]}"

    def next_instance(self) -> str:
        """Return whose turn it is."""
        instances = self._instances
        return instances[next(self._turns) % len(instances)]

    @contextmanager
    def without(self, instance: str) -> Iterator[None]:
        """Send nothing new to an instance meanwhile."""
        before = self._instances
        self._instances = [one for one in before if one != instance]
        yield
        self._instances = before

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that hung up."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def start(self) -> None:
        """Serve in a thread of its own."""
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    """Serves one client's connection; it keeps a connection to every instance it has met."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and content leave together
    server: Front

    def setup(self) -> None:
        super().setup()
        self._upstream: dict[str, HTTPConnection] = {}

    def finish(self) -> None:
        super().finish()
        for connection in self._upstream.values():
            connection.close()

    def handle_one_request(self) -> None:
        """Read a request of any method and pass it on."""
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        length = self.headers.get("content-length", "0")
        if "transfer-encoding" in self.headers or not length.isdecimal() or int(length) > _LARGEST_BODY:
            self.close_connection = True
            self.send_error(413 if length.isdecimal() else 400)
            return
        self._pass_on(self.rfile.read(int(length)))

    def _pass_on(self, body: bytes) -> None:
        try:
            response = self._ask(self.server.next_instance(), body)
            content = response.read()
        except ValueError:  # a path no client may send
            self.send_error(400)
        except (OSError, HTTPException):
            self.send_error(502)
        else:
            self._answer(response, content)

    def _ask(self, instance: str, body: bytes) -> HTTPResponse:
        """Send the request, on a new connection if there is none or the instance has closed it."""
        connection = self._upstream.pop(instance, None) or HTTPConnection(instance, timeout=_TIMEOUT)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
        connection.request(self.command, self.path, body or None, headers)
        response = connection.getresponse()
        self._upstream[instance] = connection
        return response

    def _answer(self, response: HTTPResponse, content: bytes) -> None:
        """Give the answer back."""
        self.send_response_only(response.status)
        for name, value in response.getheaders():
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Say nothing: the instances count what they answer."""
