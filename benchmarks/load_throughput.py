"""What our recorder and our open arrivals cost beside plain Locust: requests per second of one core.

They take turns against one quick server: Locust's FastHttpUser as it is, 50 users as fast as they go; the same with our
recorder; our open arrivals at 0.7 times the rate that the first has reached; and at the highest rate at which the
generator is still on time (lag at p99 within 5 ms, of two tries at a rate the better one). Client and server have a
core each where a process can be bound to one. Requests per second of processor time are told too: they hold on a busy
machine as well.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.load_server import served
from benchmarks.load_tools import DEADLINE, VISITOR, make_load
from benchmarks.report import table, write
from pytest_rollout.load.result import LoadResult
from pytest_rollout.load.soundness import unsound

SERVER_CORE, CLIENT_CORE = 0, 1
USERS, SECONDS, WARM_UP = 50, 3.0, 1.5
SHARES = [share / 100 for share in range(10, 101, 5)]
"""Of plain Locust's requests per second: the rates of open arrivals that are tried."""
TRIES = 2
AIM = 0.7
CLIENTS = {
    "plain": f"Locust, {USERS} FastHttpUsers",
    "closed": f"ours, {USERS} FastHttpUsers and the recorder",
    "open": f"ours, open arrivals, {AIM:g} times the first rate",
    "highest": "ours, open arrivals, as many as are on time",
}
PLAIN = (
    VISITOR.format(wait="")
    + """

import json
import os
import time

import gevent
from locust import events


@events.test_start.add_listener
def measure(environment, **_):
    def now():
        return time.monotonic(), time.process_time(), environment.stats.total.num_requests

    def watch():
        gevent.sleep(float(os.environ["WARM_UP"]))
        before = now()
        gevent.sleep(float(os.environ["SECONDS"]))
        figures = [after - earlier for earlier, after in zip(before, now())]
        with open(os.environ["FIGURES"], "w") as file:
            json.dump(figures, file)
        environment.runner.quit()

    gevent.spawn(watch)
"""
)


@dataclass(frozen=True, slots=True)
class Speed:
    """What a client has done on one core."""

    rate: float
    """Requests per second."""
    cheapness: float
    """Requests per second of processor time."""
    lag: float | None = None
    """How late arrivals began at p99 (seconds)."""


@contextmanager
def bound(core: int) -> Iterator[None]:
    """Let subprocesses that are started meanwhile run on one core alone, if the system can do that."""
    if not hasattr(os, "sched_setaffinity") or not {SERVER_CORE, CLIENT_CORE} <= os.sched_getaffinity(0):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def plain(url: str) -> Speed:
    """Locust alone."""
    with tempfile.TemporaryDirectory() as name:
        scenario, figures = Path(name, "scenario.py"), Path(name, "figures.json")
        scenario.write_text(PLAIN)
        argv = [sys.executable, "-m", "locust", "-f", str(scenario), "--headless", "--only-summary", "--host", url]
        argv += ["-u", str(USERS), "-r", str(USERS)]
        env = os.environ | {"FIGURES": str(figures), "SECONDS": str(SECONDS), "WARM_UP": str(WARM_UP)}
        subprocess.run(argv, env=env, capture_output=True, check=True, timeout=DEADLINE)
        seconds, spent, requests = json.loads(figures.read_text())
    return Speed(requests / seconds, requests / spent)


def closed(url: str) -> Speed:
    """The same users with our recorder."""
    return speed(make_load(VISITOR.format(wait=""), url, duration=SECONDS, warm_up=WARM_UP, users=USERS))


def opened(url: str, rate: float) -> LoadResult:
    """Our open arrivals."""
    return make_load(VISITOR.format(wait=""), url, duration=SECONDS, warm_up=WARM_UP, rate=rate, drain=1.0)


def highest(url: str, most: float) -> Speed:
    """Our open arrivals, as many as are on time: found by halving, as nobody is on time above where somebody is not."""
    found, low, high = Speed(0.0, 0.0), 0, len(SHARES)
    while low < high:
        middle = (low + high) // 2
        tries = (opened(url, SHARES[middle] * most) for _ in range(TRIES))
        made = next((one for one in tries if not unsound(one)), None)
        if made is None:
            high = middle
        else:
            found, low = speed(made), middle + 1
    return found


def speed(made: LoadResult) -> Speed:
    """Return what our client has done."""
    (part,) = made.parts
    answered = made.achieved_rate * made.duration
    lag = made.lag.p99 if made.lag else None
    return Speed(made.achieved_rate, answered / (part.cpu * (part.duration + part.drained)), lag)


def measure(rounds: int) -> dict[str, list[Speed]]:
    """Let the clients take turns."""
    speeds: dict[str, list[Speed]] = {name: [] for name in CLIENTS}
    with ExitStack() as stack:
        with bound(SERVER_CORE):
            server = stack.enter_context(served("idle"))
        stack.enter_context(bound(CLIENT_CORE))
        for number in range(rounds):
            speeds["plain"].append(plain(server.url))
            speeds["closed"].append(closed(server.url))
            most = speeds["plain"][-1].rate
            speeds["open"].append(speed(opened(server.url, AIM * most)))
            speeds["highest"].append(highest(server.url, most))
            server.log()  # and forget it
            print({name: ones[-1] for name, ones in speeds.items()}, f"({number + 1} of {rounds})", flush=True)
    return speeds


def told(speeds: dict[str, list[Speed]], load: float) -> str:
    """Return the figures as Markdown."""
    made = table(
        ("client", "requests/s", "of plain", "requests/s of processor time", "of plain", "lag at p99, ms"),
        ((CLIENTS[name], *_beside(speeds, name)) for name in CLIENTS),
    )
    share = _share(speeds, "highest", _rate)
    return (
        f"{made}\n\n{len(speeds['plain'])} rounds, medians, in brackets the least and the greatest; shares are of the "
        "same round. Open arrivals on time at 0.7 times plain Locust's requests per second and core: "
        f"{'met' if share >= AIM else 'missed'}. The machine's load was {load:.1f} when this began."
    )


def _beside(speeds: dict[str, list[Speed]], name: str) -> Iterator[str]:
    for of in (_rate, _cheapness):
        values = [of(one) for one in speeds[name]]
        yield f"{statistics.median(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"
        yield f"{_share(speeds, name, of):.2f}"
    lags = [one.lag * 1000 for one in speeds[name] if one.lag is not None]
    yield f"{statistics.median(lags):.1f}" if lags else ""


def _rate(one: Speed) -> float:
    return one.rate


def _cheapness(one: Speed) -> float:
    return one.cheapness


def _share(speeds: dict[str, list[Speed]], name: str, of: Callable[[Speed], float]) -> float:
    return statistics.median(of(one) / of(base) for one, base in zip(speeds[name], speeds["plain"], strict=True))


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print, and keep the table if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", type=Path, help="a document with <!-- load-throughput --> comments")
    given = parser.parse_args(argv)
    load = os.getloadavg()[0]
    text = told(measure(given.rounds), load)
    print(text)
    if given.write:
        write(given.write, "load-throughput", text)


if __name__ == "__main__":
    main()
