"""A load generator: sends a cycle of requests at an even pace, whatever the answers are.

Plain http.client connections in a few threads cost a tenth of what a full HTTP client does.
"""

import argparse
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from itertools import count
from typing import Generic, Protocol, TypeVar

MAX_SECONDS = 7500.0
"""The generator ends by itself after this time, a little more than the sandbox's own limit."""
_TIMEOUT = 5.0
_TOO_LATE = 1.0


class Shot(Protocol):
    """One request to send, ``at`` seconds into the cycle."""

    @property
    def at(self) -> float:
        """When."""


_Shot = TypeVar("_Shot", bound=Shot)


@dataclass(frozen=True)
class Load(Generic[_Shot]):
    """A cycle of shots, its length in seconds, and how to make what sends them to host:port."""

    shots: Sequence[_Shot]
    cycle: float
    workers: int
    sender: Callable[[str], Callable[[_Shot, int], None]]

    def run(self, address: str, seconds: float) -> None:
        """Send to host:port for so many seconds."""
        started = time.monotonic()
        workers = [
            threading.Thread(target=self._work, args=(address, number, started, seconds), daemon=True)
            for number in range(self.workers)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    def _work(self, address: str, number: int, started: float, seconds: float) -> None:
        """Send every n-th request, each at its time; skip what is more than a second late."""
        send = self.sender(address)
        for turn, due, shot in self._mine(number):
            wait = started + due - time.monotonic()
            if due > seconds:
                return
            if wait < -_TOO_LATE:
                continue
            time.sleep(max(0.0, wait))
            send(shot, turn)

    def _mine(self, number: int) -> Iterator[tuple[int, float, _Shot]]:
        """Yield turn, time in seconds since the start, and request, for one worker."""
        for turn in count(number, self.workers):
            lap, place = divmod(turn, len(self.shots))
            yield turn, lap * self.cycle + self.shots[place].at, self.shots[place]

    def main(self, description: str | None) -> None:
        """Run the generator as a program until it is stopped, at most MAX_SECONDS."""
        parser = argparse.ArgumentParser(description=description)
        parser.add_argument("address", help="host:port of the application")
        parser.add_argument("--seconds", type=float, default=MAX_SECONDS)
        given = parser.parse_args()
        self.run(given.address, given.seconds)


class Caller:
    """One client's connection to host:port."""

    def __init__(self, address: str) -> None:
        self._connection = HTTPConnection(address, timeout=_TIMEOUT)

    def call(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> int | None:
        """Send a JSON request and return the answer's status, None if there was none; then the next one connects."""
        try:
            self._connection.request(method, path, body, {"content-type": "application/json", **headers})
            response = self._connection.getresponse()
            response.read()
        except (OSError, HTTPException):
            with suppress(OSError):
                self._connection.close()
            return None
        return response.status
