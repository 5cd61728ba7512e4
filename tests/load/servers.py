"""Small servers on loopback, each in a thread: healthy, stalling, failing, hung. They keep the truth on themselves."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nok"
BROKEN = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"

Behaviour = Callable[["Server", bytes], tuple[float | None, bytes]]
"""From a request to how long to wait (None: for ever) and what to answer."""


@dataclass
class Server:
    """A server that runs, and what it has seen."""

    behaviour: Behaviour
    port: int = 0
    requests: list[bytes] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)
    """When each request came (monotonic seconds)."""
    residences: list[float] = field(default_factory=list)
    """How long each answered request was here (seconds): the truth."""
    late: list[float] = field(default_factory=list)
    """By how much each answer took longer than it was meant to (seconds)."""
    born: float = field(default_factory=time.monotonic)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                arrived = time.monotonic()
                self.requests.append(head)
                self.arrivals.append(arrived)
                wait, answer = self.behaviour(self, head)
                await asyncio.sleep(3600 if wait is None else wait)
                if not answer:
                    return
                writer.write(answer)
                self.residences.append(time.monotonic() - arrived)
                self.late.append(self.residences[-1] - (wait or 0.0))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


def healthy(_: Server, __: bytes) -> tuple[float, bytes]:
    """Answer at once."""
    return 0.0, OK


def hung(_: Server, __: bytes) -> tuple[None, bytes]:
    """Accept, and never answer."""
    return None, OK


def failing(_: Server, __: bytes) -> tuple[float, bytes]:
    """Refuse everything at once."""
    return 0.0, BROKEN


def dropping(server: Server, _: bytes) -> tuple[float, bytes]:
    """Hang up on every second request, without a word."""
    return 0.0, OK if len(server.requests) % 2 else b""


def stalling(every: float, stall: float, phase: float = 0.0) -> Behaviour:
    """Stand still at the end of every so many seconds, for a while."""

    def wait(server: Server, _: bytes) -> tuple[float, bytes]:
        into = (time.monotonic() - server.born + phase) % every
        return (every - into if into >= every - stall else 0.0), OK

    return wait


def freezing(after: float, until: float) -> Behaviour:
    """Stand still once, between two moments (seconds since the first request)."""
    first: list[float] = []

    def wait(_: Server, __: bytes) -> tuple[float, bytes]:
        now = time.monotonic()
        first.append(now)
        return (until - (now - first[0]) if after <= now - first[0] < until else 0.0), OK

    return wait


def taking(seconds: float) -> Behaviour:
    """Take the same time always."""
    return lambda _, __: (seconds, OK)


def lognormal(median: float, sigma: float) -> Behaviour:
    """Take a time with a long tail, the same times in every run."""
    chance = random.Random(7)  # noqa: S311 - a simulation
    return lambda _, __: (median * chance.lognormvariate(0.0, sigma), OK)


@contextmanager
def running(behaviour: Behaviour) -> Iterator[Server]:
    """Run a server in a thread of its own."""
    server = Server(behaviour)
    loop = asyncio.new_event_loop()
    listening = loop.run_until_complete(asyncio.start_server(server.serve, "127.0.0.1", 0, backlog=4096))
    server.port = listening.sockets[0].getsockname()[1]
    server.born = time.monotonic()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        for one in asyncio.all_tasks(loop):
            one.cancel()
        listening.close()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
