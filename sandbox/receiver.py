"""A webhook receiver: keeps what Alertmanager sends, and shows it."""

import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MOST = 1000
"""So many notifications are kept; the oldest go first."""
_LARGEST_BODY = 4 << 20


class Receiver(ThreadingHTTPServer):
    """``POST /`` takes a notification, ``GET /notifications`` lists all, each with its time (unix seconds)."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.notifications: list[dict[str, Any]] = []

    def take(self, body: Any) -> None:
        """Keep a notification."""
        self.notifications = [*self.notifications, {"at": time.time(), "body": body}][-MOST:]


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_GET(self) -> None:
        """Answer /healthz and /notifications."""
        if self.path == "/healthz":
            self._answer(200, "ok")
        elif self.path == "/notifications":
            self._answer(200, self.server.notifications)
        else:
            self._answer(404, "there are /healthz and /notifications")

    def do_POST(self) -> None:
        """Take a notification: 200, or 400 if it is not JSON."""
        length = self.headers.get("content-length", "")
        if not length.isdecimal() or int(length) > _LARGEST_BODY:
            self._answer(400, "a notification has a length of at most 4 MiB")
            return
        try:
            self.server.take(json.loads(self.rfile.read(int(length))))
        except ValueError:
            self._answer(400, "the body is not JSON")
        else:
            self._answer(200, "ok")

    def _answer(self, status: int, body: Any) -> None:
        content = json.dumps(body).encode()
        self.send_response_only(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Say nothing."""


def main() -> None:
    """Serve until stopped; prints ``address=127.0.0.1:port`` first."""
    with Receiver() as receiver:
        print(f"address=127.0.0.1:{receiver.server_address[1]}", flush=True)  # noqa: T201 - the supervisor reads it
        receiver.serve_forever()


if __name__ == "__main__":
    main()
