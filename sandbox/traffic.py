"""The traffic generator: sends the schedule at an even pace, whatever the answers are.

Plain http.client connections in a few threads cost a tenth of what a full HTTP client does.
"""

import argparse
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from itertools import count

from sandbox.schedule import CYCLE_SECONDS, Shot, cycle

WORKERS = 16
MAX_SECONDS = 7500.0
"""The generator ends by itself after this time, a little more than the sandbox's own limit."""
_TIMEOUT = 5.0
_TOO_LATE = 1.0


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
    connection = HTTPConnection(address, timeout=_TIMEOUT)
    for turn, due, shot in _mine(number):
        wait = started + due - time.monotonic()
        if due > seconds:
            return
        if wait < -_TOO_LATE:
            continue
        time.sleep(max(0.0, wait))
        _send(connection, shot, turn)


def _mine(number: int) -> Iterator[tuple[int, float, Shot]]:
    """Yield turn, time in seconds since the start, and request, for one worker."""
    shots = cycle()
    for turn in count(number, WORKERS):
        lap, place = divmod(turn, len(shots))
        yield turn, lap * CYCLE_SECONDS + shots[place].at, shots[place]


def _send(connection: HTTPConnection, shot: Shot, turn: int) -> None:
    body = shot.body(turn)
    headers = {"x-cohort": shot.kind.cohort, "content-type": "application/json"}
    try:
        connection.request("POST" if body else "GET", shot.path(turn), body, headers)
        connection.getresponse().read()
    except (OSError, HTTPException):
        with suppress(OSError):
            connection.close()  # the next request connects again


def main() -> None:
    """Run the generator until it is stopped, at most MAX_SECONDS."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address", help="host:port of the application")
    parser.add_argument("--seconds", type=float, default=MAX_SECONDS)
    given = parser.parse_args()
    run(given.address, given.seconds)


if __name__ == "__main__":
    main()
