"""Sockets whose timeouts are one point in time, so that a deadline holds for a whole request.

httpx counts a timeout anew for every socket operation (encode/httpx#1450): a server that sends a byte now and
then outlasts any. These sockets stand in as a network backend of httpcore
(https://www.encode.io/httpcore/network-backends/) and read each ``timeout`` as a time of ``time.monotonic``.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import time
from typing import Any


class BoundedSockets:
    """A network backend of httpcore. The name look-up alone is bounded by the system's resolver only."""

    def connect_tcp(self, host: str, port: int, timeout: float, **_: object) -> BoundedStream:
        """Return a connection to the first address that answers; each has an equal share of the time left.

        Raises TimeoutError, other OSErrors, and UnicodeError for names that cannot be.
        """
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        fault = OSError(f"no address of {host}")
        for place, address in enumerate(addresses):
            try:
                return BoundedStream(_connected(address, _left(timeout) / (len(addresses) - place)))
            except OSError as exc:
                fault = exc
        raise fault


def _connected(address: tuple[Any, ...], seconds: float) -> socket.socket:
    family, kind, protocol, _name, place = address
    connection = socket.socket(family, kind, protocol)
    try:
        connection.settimeout(seconds)
        connection.connect(place)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        connection.close()
        raise
    return connection


class BoundedStream:
    """A network stream of httpcore. Every method raises TimeoutError once its point in time has passed."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection

    def read(self, max_bytes: int, timeout: float) -> bytes:
        """Return what is there, at least one byte; none at the end."""
        self._socket.settimeout(_left(timeout))
        return self._socket.recv(max_bytes)

    def write(self, buffer: bytes, timeout: float) -> None:
        """Send all of it."""
        rest = memoryview(buffer)
        # Who hangs up while we write may have answered before; if not, reading says so.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            while rest:
                self._socket.settimeout(_left(timeout))
                rest = rest[self._socket.send(rest) :]

    def start_tls(self, ssl_context: ssl.SSLContext, server_hostname: str, timeout: float) -> BoundedStream:
        """Return the same connection, encrypted; the timeout of Python's handshake is one for the whole of it."""
        try:
            self._socket.settimeout(_left(timeout))
            return BoundedStream(ssl_context.wrap_socket(self._socket, server_hostname=server_hostname))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def get_extra_info(self, info: str) -> bool | None:
        """Tell whether an idle connection was closed by the other side (``is_readable``); nothing else is known."""
        if info != "is_readable":
            return None
        if self._socket.fileno() < 0:
            return True
        waiting = select.poll()
        waiting.register(self._socket, select.POLLIN)
        return bool(waiting.poll(0))


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
