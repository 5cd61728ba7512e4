"""Small servers for the benchmarks of load tools, each in a process of its own, that log how long they took.

A line on the standard input is answered with the log, and empties it; at its end the server ends.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

ROOT = Path(__file__).parents[1]
MEDIAN, SIGMA = 0.04, 0.6
EVERY, STALL = 10.0, 1.0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nok"
END = b"\r\n\r\n"

Delay = Callable[[float], float | None]
"""From the time (seconds since the server's birth) to how long an answer takes; None: for ever."""


def stalling(now: float) -> float:
    """Stand still in the last second of every ten."""
    into = now % EVERY
    return EVERY - into if into >= EVERY - STALL else 0.0


def lognormal() -> Delay:
    """Take a time with a long tail, the same times in every run."""
    chance = random.Random(7)  # noqa: S311 - a simulation
    return lambda _: MEDIAN * chance.lognormvariate(0.0, SIGMA)


DELAYS: dict[str, Callable[[], Delay]] = {
    "healthy": lognormal,
    "stalling": lambda: stalling,
    "hung": lambda: lambda _: None,
    "idle": lambda: lambda _: 0.0,
}


@dataclass
class Log:
    """What a server has seen."""

    asked: int = 0
    answered: list[tuple[float, float]] = field(default_factory=list)
    """When each answered request came (unix seconds), and how long it was here (seconds)."""


class Answering(asyncio.Protocol):
    """One connection, whose client waits for each answer."""

    def __init__(self, delay: Delay, born: float, log: Log) -> None:
        self._delay = delay
        self._born = born
        self._log = log
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer what is whole."""
        *whole, self._rest = (self._rest + data).split(END)
        for _ in whole:
            now = time.time()
            wait = self._delay(now - self._born)
            self._log.asked += 1
            if wait:
                asyncio.get_running_loop().call_later(wait, self._answer, now)
            elif wait is not None:
                self._answer(now)

    def _answer(self, came: float) -> None:
        if isinstance(self._transport, asyncio.WriteTransport) and not self._transport.is_closing():
            self._transport.write(OK)
            self._log.answered.append((came, time.time() - came))


@dataclass(frozen=True, slots=True)
class Running:
    """A server process."""

    url: str
    asking: IO[str]
    answering: IO[str]

    def log(self) -> Log:
        """Return what it has seen since it was asked last."""
        print(file=self.asking, flush=True)
        seen = json.loads(self.answering.readline())
        return Log(seen["asked"], [(came, took) for came, took in seen["answered"]])


@contextmanager
def served(name: str) -> Iterator[Running]:
    """Run a server of a kind."""
    argv = [sys.executable, "-m", "benchmarks.load_server", name]
    with subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        asking, answering = cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)
        yield Running(answering.readline().strip(), asking, answering)


async def _serve(delay: Delay) -> None:
    log, over, loop, born = Log(), asyncio.Event(), asyncio.get_running_loop(), time.time()
    listening = await loop.create_server(lambda: Answering(delay, born, log), "127.0.0.1", 0, backlog=4096)

    def asked() -> None:
        if not sys.stdin.readline():
            over.set()
            return
        print(json.dumps({"asked": log.asked, "answered": log.answered}), flush=True)
        log.asked = 0
        log.answered.clear()

    loop.add_reader(sys.stdin, asked)
    print(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", flush=True)
    await over.wait()


def main(argv: Sequence[str] | None = None) -> None:
    """Serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=DELAYS)
    asyncio.run(_serve(DELAYS[parser.parse_args(argv).name]()))


if __name__ == "__main__":
    main()
