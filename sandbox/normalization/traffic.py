"""The traffic generator: sends the schedule at an even pace.

A client whose stage was rejected sends valid ones there from then on, as its people would mend it.
"""

import argparse
import threading
import time
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from itertools import count

from sandbox.normalization.schedule import CYCLE_SECONDS, Shot, cycle

WORKERS = 8
MAX_SECONDS = 7500.0
"""The generator ends by itself after this time, a little more than the sandbox's own limit."""
_TIMEOUT = 5.0
_TOO_LATE = 1.0
_REJECTED = 400


class Client:
    """One client: a connection, and where it has learnt that its stages are wrong."""

    def __init__(self, address: str) -> None:
        self._connection = HTTPConnection(address, timeout=_TIMEOUT)
        self._mended: set[tuple[str | None, str]] = set()

    def send(self, shot: Shot, turn: int) -> None:
        """Send one request; whatever the answer is, the next one follows."""
        place = shot.cohort, shot.endpoint
        method, path, body = shot.request(turn, mended=place in self._mended)
        headers = {"content-type": "application/json"} | ({"x-cohort": shot.cohort} if shot.cohort else {})
        try:
            self._connection.request(method, path, body, headers)
            response = self._connection.getresponse()
            response.read()
        except (OSError, HTTPException):
            with suppress(OSError):
                self._connection.close()  # the next request connects again
        else:
            if response.status == _REJECTED:
                self._mended.add(place)


def run(address: str, seconds: float) -> None:
    """Send traffic to host:port for so many seconds."""
    started = time.monotonic()
    workers = [
        threading.Thread(target=_work, args=(address, number, started, seconds), daemon=True)
        for number in range(WORKERS)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def _work(address: str, number: int, started: float, seconds: float) -> None:
    """Send every WORKERS-th request, each at its time; skip what is more than a second late."""
    client, shots = Client(address), cycle()
    for turn in count(number, WORKERS):
        lap, place = divmod(turn, len(shots))
        due = lap * CYCLE_SECONDS + shots[place].at
        wait = started + due - time.monotonic()
        if due > seconds:
            return
        if wait < -_TOO_LATE:
            continue
        time.sleep(max(0.0, wait))
        client.send(shots[place], turn)


def main() -> None:
    """Run the generator until it is stopped, at most MAX_SECONDS."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address", help="host:port of the application")
    parser.add_argument("--seconds", type=float, default=MAX_SECONDS)
    given = parser.parse_args()
    run(given.address, given.seconds)


if __name__ == "__main__":
    main()
