"""Real runs of Locust against the small servers, and result documents that no run was needed for."""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import sys
import textwrap
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from pytest_rollout.load.engine import LOCUST, Look, Site, run
from pytest_rollout.load.injected.book import Arrival, Book, Flight, Outcome
from pytest_rollout.load.order import LoadOrder
from pytest_rollout.load.result import LoadResult, Samples
from tests.load.servers import Behaviour, Server, running

T = TypeVar("T")

VISITOR = """
from locust import FastHttpUser, task


class Visitor(FastHttpUser):
    @task
    def look(self):
        self.client.get("/")
"""

PIDS = """
import os
import shlex
import sys
import textwrap
import time
from locust import FastHttpUser, task

with open(os.environ["PIDS"], "a") as file:
    file.write(f"{os.getpid()}\\n")


class Visitor(FastHttpUser):
    @task
    def look(self):
        self.client.get("/")
"""
"""A visitor whose processes write down who they are."""


def locustfile(folder: Path, text: str = VISITOR) -> str:
    """Write a locustfile."""
    path = folder / "scenario.py"
    path.write_text(text)
    return str(path)


def command() -> list[str]:
    """Return the command that starts Locust."""
    if own := os.environ.get(LOCUST):
        return shlex.split(own)
    if importlib.util.find_spec("locust") is None:
        raise RuntimeError(f"install the extra locust, or set {LOCUST} to a locust command")
    return [sys.executable, "-m", "locust"]


def site(folder: Path, **variables: str) -> Site:
    """Return a place for a run, with the environment that Locust needs and nothing else."""
    known = {name: os.environ[name] for name in ("PATH", "HOME", LOCUST) if name in os.environ}
    command()
    return Site(folder / "run", folder, known | variables)


def make_load(folder: Path, host: str, text: str = VISITOR, look: Look | None = None, **asked: Any) -> LoadResult:
    """Run Locust."""
    usual = {"duration": 1.0, "warm_up": 0.2, "drain": 0.5, "rate": None if "users" in asked else 50.0}
    return run(LoadOrder(locustfile(folder, text), host, **usual | asked), site(folder), look)


@dataclass(frozen=True, slots=True)
class Seen:
    """A load, and the server that it met."""

    made: LoadResult
    server: Server
    folder: Path
    """Where the run has left its files."""


Visit: TypeAlias = Callable[[Path], Seen]


def visit(behaviour: Behaviour, text: str = VISITOR, **asked: Any) -> Visit:
    """Return what makes a load for a server of its own, in a folder."""

    def make(folder: Path) -> Seen:
        with running(behaviour) as server:
            return Seen(make_load(folder, server.url, textwrap.dedent(text), **asked), server, folder / "run")

    return make


def side_by_side(folder: Path, visits: Mapping[str, Callable[[Path], T]], at_once: int = 4) -> Callable[[str], T]:
    """Make loads at the same time, for most of it is waiting; return what gives each by its name, or its error."""
    for name in visits:
        (folder / name).mkdir()
    with ThreadPoolExecutor(at_once) as pool:
        made = {name: pool.submit(one, folder / name) for name, one in visits.items()}
    return lambda name: made[name].result()


def rank(samples: Samples, q: float) -> float:
    """Return the nearest-rank quantile (seconds), each sample as long as it is known to be."""
    ordered = sorted(samples.ok + samples.failed + samples.censored)
    return ordered[-(-len(ordered) * round(q * 1000) // 1000) - 1]


def document(
    order: LoadOrder, outcome: Callable[[int], tuple[Outcome, float]] = lambda _: ("ok", 0.01), lag: float = 0.001
) -> dict[str, Any]:
    """Return the document of a run in which the n-th arrival ended in a way, after so many seconds."""
    parts = []
    for share in range(order.processes):
        book = Book(order.duration)
        for at, number in order.schedule(share):
            how, seconds = outcome(number)
            arrival = Arrival("Visitor.look", at, order.arm(number).name)
            book.start(arrival)
            flight = Flight("GET", "/", at, at, at, open=True, arm=arrival.arm, trace_id=f"{number:032x}")
            book.landed(flight, how, at + seconds, "" if how == "ok" else "it did not work")
            book.done(arrival, how, at, at + seconds)
        parts.append(_part(book, share, order.duration, lag))
    shown = order.shown() | {"run": order.run}
    return {
        "schema_version": 1,
        "asked": shown,
        "locustfile_sha256": "0" * 64,
        "argv": ["locust"],
        "parts": parts,
    }


def _part(book: Book, share: int, duration: float, lag: float) -> dict[str, Any]:
    return book.document() | {
        "worker": f"host/{share}",
        "share": share,
        "ended": "complete",
        "why": "",
        "users": 0,
        "started": 1_700_000_000.0,
        "duration": duration,
        "drained": 0.0,
        "cpu": 0.1,
        "lag": {"n": 100, "p50": lag, "p99": lag, "p999": lag, "max": lag},
        "versions": {"locust": "2"},
    }


def result(order: LoadOrder, **how: Any) -> LoadResult:
    """Return such a document as it is read."""
    return LoadResult.model_validate_json(json.dumps(document(order, **how)))


def await_true(holds: Callable[[], bool], seconds: float = 15.0) -> None:
    """Wait until something holds."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)


def await_pids(path: Path, count: int) -> list[int]:
    """Return the processes that have loaded the locustfile."""
    await_true(lambda: path.exists() and len(path.read_text().splitlines()) >= count)
    return [int(line) for line in path.read_text().splitlines()]
