"""What load tools say of a healthy, a stalling and a hung server, beside the truth, and what a request costs them.

The truth is what somebody meets who comes at any moment: each server's delay is a known function of the time, asked at
many moments. A tool that waits for its answers before it asks again (closed) hardly meets a stall. Each runs as it is
usually run; ``passes`` is whether a gate ``p99 < 500 ms`` over its own figures would pass. wrk is left out if it is not
there. The cost is processor time of a longer run less that of a shorter one, by the requests that it made more.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import table, write
from pytest_rollout.judge.latency import QuantileBelow
from pytest_rollout.load.engine import Site, run
from pytest_rollout.load.judged import Demand, judge_load
from pytest_rollout.load.order import LoadOrder
from pytest_rollout.verdict import Verdict
from tests.load.servers import Behaviour, Server, healthy, hung, lognormal, running, stalling

ROOT = Path(__file__).parents[1]
QUANTILES = (0.5, 0.95, 0.99)
GATE = 0.5
SERVERS: dict[str, Callable[[], Behaviour]] = {
    "healthy": lambda: lognormal(0.04, 0.6),
    "stalling": lambda: stalling(every=10.0, stall=1.0),
    "hung": lambda: hung,
    "idle": lambda: healthy,
}
SHORT, LONG = 2.0, 7.0
VISITOR = """
from locust import FastHttpUser, task


class Visitor(FastHttpUser):
    @task
    def look(self):
        self.client.get("/")
"""
WRK = """
done = function(summary, latency, requests)
    local p = function(q) return latency:percentile(q) / 1e6 end
    print(string.format("ROLLOUT %d %g %g %g", summary.requests, p(50), p(95), p(99)))
end
"""


@dataclass(frozen=True, slots=True)
class Said:
    """What a tool says: requests, percentiles (seconds, None if it has none), and what a gate over them does."""

    requests: int
    percentiles: tuple[float, ...] | None
    verdict: str
    spent: float
    """Processor seconds."""


def truth(name: str) -> tuple[float, ...] | None:
    """Return the percentiles of what a server makes people wait, who come at any moment; None: for ever."""
    if name == "hung":
        return None
    if name == "healthy":
        chance = random.Random(1)  # noqa: S311 - a simulation
        waits = sorted(0.04 * chance.lognormvariate(0.0, 0.6) for _ in range(200_000))
    else:
        waits = sorted(max(0.0, 10.0 - at / 1000) if at >= 9000 else 0.0 for at in range(10_000))  # noqa: PLR2004
    return tuple(waits[int(len(waits) * q)] for q in QUANTILES)


def ours(url: str, rate: float, seconds: float) -> Said:
    """Open arrivals, judged as the latency gate judges them."""
    with tempfile.TemporaryDirectory() as name, spending() as spent:
        scenario = Path(name) / "scenario.py"
        scenario.write_text(VISITOR)
        order = LoadOrder(str(scenario), url, seconds, rate=rate, arrivals="constant", drain=2.0)
        made = run(order, Site(Path(name) / "run", ROOT, dict(os.environ)))
    samples = made.samples()
    every = sorted(samples.ok + samples.failed + samples.censored)
    verdict = judge_load([made], Demand(limits={"p99": QuantileBelow(0.99, GATE)})).verdict
    figures = tuple(every[-(-len(every) * round(q * 100) // 100) - 1] for q in QUANTILES)
    return Said(len(every), figures, "passes" if verdict is Verdict.PASSED else verdict.value, spent())


def locust(url: str, _rate: float, seconds: float) -> Said:
    """Closed users, as Locust is usually run."""
    with tempfile.TemporaryDirectory() as name, spending() as spent:
        scenario = Path(name) / "scenario.py"
        scenario.write_text(VISITOR)
        argv = [sys.executable, "-m", "locust", "-f", str(scenario), "--headless", "-u", "10", "-r", "10"]
        argv += ["-t", f"{seconds:g}s", "--host", url, "--json", "--only-summary"]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    entries = json.loads(done.stdout)
    counts: dict[float, int] = {}
    for entry in entries:
        for milliseconds, count in entry["response_times"].items():
            counts[float(milliseconds) / 1000] = counts.get(float(milliseconds) / 1000, 0) + count
    every = [value for value in sorted(counts) for _ in range(counts[value])]
    figures = tuple(every[min(int(len(every) * q), len(every) - 1)] for q in QUANTILES) if every else None
    return Said(len(every), figures, _gate(figures, done.returncode), spent())


def wrk(url: str, _rate: float, seconds: float) -> Said:
    """Closed connections."""
    with tempfile.TemporaryDirectory() as name, spending() as spent:
        script = Path(name) / "done.lua"
        script.write_text(WRK)
        argv = ["wrk", "-t1", "-c10", f"-d{seconds:g}s", "-s", str(script), url]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    found = re.search(r"ROLLOUT (\d+) (\S+) (\S+) (\S+)", done.stdout)
    requests = int(found[1]) if found else 0
    figures = (float(found[2]), float(found[3]), float(found[4])) if found and requests else None
    return Said(requests, figures, _gate(figures, done.returncode), spent())


def _gate(figures: Sequence[float] | None, code: int) -> str:
    """Return what a usual gate does: it trusts the exit code, and figures that are there."""
    return "passes" if code == 0 and (figures is None or figures[-1] < GATE) else "fails"


TOOLS: dict[str, Callable[[str, float, float], Said]] = {
    "pytest-rollout": ours,
    "locust, 10 users": locust,
    "wrk -c10": wrk,
}


@contextmanager
def spending() -> Iterator[Callable[[], float]]:
    """Yield what tells the processor seconds that subprocesses have used meanwhile."""

    def used() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    before = used()
    yield lambda: used() - before


@contextmanager
def served(name: str) -> Iterator[str]:
    """Run a server in a process of its own and yield its address."""
    argv = [sys.executable, "-m", "benchmarks.load_truth", "--serve", name]
    server = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield server.stdout.readline().strip() if server.stdout else ""
    finally:
        server.kill()
        server.wait()


def measure(name: str, rate: float, seconds: float) -> Iterator[tuple[str, Said]]:
    """Yield what each tool that is there says about a server."""
    for tool, ask in TOOLS.items():
        if tool.startswith("wrk") and not shutil.which("wrk"):
            continue
        with served(name) as url:
            yield tool, ask(url, rate, seconds)


def rows(name: str, rate: float, seconds: float) -> Iterator[Sequence[str]]:
    """Yield the lines of the table for a server."""
    real = truth(name)
    yield (f"**{name}**: true", "", *_shown(real), "")
    for tool, said in measure(name, rate, seconds):
        yield (tool, f"{said.requests:,}", *_shown(said.percentiles, "no figure"), said.verdict)


def costs(rate: float) -> Iterator[Sequence[str]]:
    """Yield what a request costs each tool, against a server that answers at once."""
    for tool, ask in TOOLS.items():
        if tool.startswith("wrk") and not shutil.which("wrk"):
            continue
        with served("idle") as url:
            short, long = ask(url, rate, SHORT), ask(url, rate, LONG)
        more = long.requests - short.requests
        yield tool, f"{more:,}", f"{(long.spent - short.spent) / more * 1e6:,.0f} µs"


def _shown(figures: Sequence[float] | None, none: str = "never") -> Iterator[str]:
    return (f"{figures[number] * 1000:,.1f} ms" if figures else none for number in range(len(QUANTILES)))


def main() -> None:
    """Measure, print, and keep the table if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", choices=SERVERS, help="only run a server, until it is killed")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each run; whole stall cycles are of 10 s")
    parser.add_argument("--rate", type=float, default=100.0, help="arrivals per second, where the tool takes one")
    parser.add_argument("--fast", type=float, default=1000.0, help="arrivals per second where the cost is measured")
    parser.add_argument("--server", action="append", choices=SERVERS, help="only this one (repeatable)")
    parser.add_argument("--write", type=Path, help="put the table between <!-- load_truth --> of this file")
    given = parser.parse_args()
    if given.serve:
        with running(SERVERS[given.serve]()) as server:
            _announce(server)
        return
    header = ("server and tool", "requests", "p50", "p95", "p99", f"gate p99 < {GATE * 1000:.0f} ms")
    asked = given.server or [name for name in SERVERS if name != "idle"]
    made = table(header, (row for name in asked for row in rows(name, given.rate, given.seconds)))
    made += "\n\n" + table(("tool", "requests", "cost of one"), costs(given.fast))
    print(made)
    if given.write:
        write(given.write, "load_truth", made)


def _announce(server: Server) -> None:
    print(server.url, flush=True)
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main()
