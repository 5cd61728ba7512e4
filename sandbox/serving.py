"""Serve an application on a port of the system's choosing, or on the one it had before."""

import socket

import uvicorn
from starlette.applications import Starlette


def serve(application: Starlette, port: int = 0) -> None:
    """Serve until SIGTERM or SIGINT; prints ``address=127.0.0.1:port`` first."""
    with listen(port) as listener:
        print(f"address=127.0.0.1:{listener.getsockname()[1]}", flush=True)  # noqa: T201 - the supervisor reads it
        settings = uvicorn.Config(application, log_level="warning", access_log=False, timeout_graceful_shutdown=1)
        uvicorn.Server(settings).run(sockets=[listener])


def listen(port: int = 0) -> socket.socket:
    """Return a listening socket on loopback; port 0 is any free one.

    Its protocol is named, or asyncio would leave Nagle's algorithm on and every answer would take 40 ms more.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # old connections may linger on the port
    listener.bind(("127.0.0.1", port))
    listener.listen()
    return listener
