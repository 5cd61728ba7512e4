"""Load tools, each run as it is usually run, and what they say. Whoever is not on the PATH is left out."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_rollout.judge.latency import QuantileBelow
from pytest_rollout.load.engine import Site, run
from pytest_rollout.load.judged import Demand, judge_load
from pytest_rollout.load.order import LoadOrder
from pytest_rollout.load.result import LoadResult
from pytest_rollout.verdict import Verdict

ROOT = Path(__file__).parents[1]
QUANTILES = (0.5, 0.95, 0.99)
GATE = 0.5
"""Seconds that p99 has to be below."""
CONNECTIONS = 10
"""Of closed tools that go as fast as they can."""
PACE = 2.0
"""Requests per second of each closed user, where a rate is asked for."""
DEADLINE = 60.0
VISITOR = """
from locust import FastHttpUser, constant_throughput, task


class Visitor(FastHttpUser):
    {wait}

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
K6 = """
import http from 'k6/http';
export const options = {
  scenarios: {all: {executor: 'constant-arrival-rate', rate: RATE, timeUnit: '1s', duration: 'SECONDSs',
                    preAllocatedVUs: 50, maxVUs: 1000}},
  summaryTrendStats: ['p(50)', 'p(95)', 'p(99)'],
  thresholds: {http_req_duration: ['p(99)<GATE']},
};
export default function () { http.get('URL'); }
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """One run of a tool."""

    url: str
    seconds: float
    rate: float | None
    """Per second; None: as fast as closed connections go."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a tool says: requests, percentiles (seconds; None if it has none), and what a gate over them does."""

    requests: int
    percentiles: tuple[float, ...] | None
    verdict: str
    window: tuple[float, float] | None = None
    """Which part of the time its figures are of (unix seconds); None: all of it."""


def nearest_ranks(values: Sequence[float]) -> tuple[float, ...] | None:
    """Return the percentiles of values, or None if there are none."""
    every = sorted(values)
    return tuple(every[-(-len(every) * round(q * 1000) // 1000) - 1] for q in QUANTILES) if every else None


def make_load(text: str, url: str, env: Mapping[str, str] = os.environ, **asked: Any) -> LoadResult:
    """Run ours."""
    with tempfile.TemporaryDirectory() as name:
        scenario = Path(name, "scenario.py")
        scenario.write_text(text)
        return run(LoadOrder(str(scenario), url, **asked), Site(Path(name, "run"), ROOT, dict(env)))


def ours(asked: Asked) -> Said:
    """Open arrivals, judged as the latency gate judges them."""
    made = make_load(
        VISITOR.format(wait=""),
        asked.url,
        duration=asked.seconds,
        rate=asked.rate,
        arrivals="constant",
        drain=2.0,
    )
    samples = made.samples()
    every = samples.ok + samples.failed + samples.censored
    verdict = judge_load([made], Demand(limits={"p99": QuantileBelow(0.99, GATE)})).verdict
    began = made.parts[0].started
    word = "passes" if verdict is Verdict.PASSED else verdict.value
    return Said(len(every), nearest_ranks(every), word, (began, began + asked.seconds))


def locust(asked: Asked) -> Said:
    """Closed users who keep a pace that adds up to the rate, or as fast as ten go."""
    users = CONNECTIONS if asked.rate is None else max(1, round(asked.rate / PACE))
    wait = "" if asked.rate is None else f"wait_time = constant_throughput({asked.rate / users})"
    with tempfile.TemporaryDirectory() as name:
        scenario = Path(name, "scenario.py")
        scenario.write_text(VISITOR.format(wait=wait))
        argv = [sys.executable, "-m", "locust", "-f", str(scenario), "--headless", "-u", str(users), "-r", str(users)]
        argv += ["-t", f"{asked.seconds:g}s", "--host", asked.url, "--json", "--only-summary"]
        done = _done(argv)
    counts: dict[float, int] = {}
    for entry in json.loads(done.stdout):
        for milliseconds, count in entry["response_times"].items():
            counts[float(milliseconds) / 1000] = counts.get(float(milliseconds) / 1000, 0) + count
    every = [value for value in sorted(counts) for _ in range(counts[value])]
    figures = nearest_ranks(every)
    return Said(len(every), figures, gate(figures, done.returncode))


def wrk(asked: Asked, command: str = "wrk", *more: str) -> Said:
    """Closed connections."""
    with tempfile.TemporaryDirectory() as name:
        script = Path(name, "done.lua")
        script.write_text(WRK)
        argv = [command, "-t1", f"-c{CONNECTIONS}", f"-d{asked.seconds:g}s", *more, "-s", str(script), asked.url]
        done = _done(argv)
    found = re.search(r"ROLLOUT (\d+) (\S+) (\S+) (\S+)", done.stdout)
    requests = int(found[1]) if found else 0
    figures = (float(found[2]), float(found[3]), float(found[4])) if found and requests else None
    return Said(requests, figures, gate(figures, done.returncode))


def wrk2(asked: Asked) -> Said:
    """Closed connections that catch up, timed from when each request was due."""
    return wrk(asked, "wrk2", f"-R{asked.rate or 1000:g}")


def k6(asked: Asked) -> Said:
    """Open arrivals, as far as there are virtual users."""
    words = {"RATE": f"{asked.rate or 1000:g}", "SECONDS": f"{asked.seconds:g}", "GATE": f"{GATE * 1000:g}"}
    with tempfile.TemporaryDirectory() as name:
        script, summary = Path(name, "script.js"), Path(name, "summary.json")
        text = K6.replace("URL", asked.url)
        for word, value in words.items():
            text = text.replace(word, value)
        script.write_text(text)
        done = _done(["k6", "run", "--quiet", f"--summary-export={summary}", str(script)])
        metrics = json.loads(summary.read_text())["metrics"]
    requests = int(metrics.get("http_reqs", {}).get("count", 0))
    trend = metrics.get("http_req_duration", {})
    figures = tuple(trend[f"p({q * 100:g})"] / 1000 for q in QUANTILES) if requests else None
    return Said(requests, figures, gate(None, done.returncode))


def gate(figures: Sequence[float] | None, code: int) -> str:
    """Return what a usual gate does: it trusts the exit code, and figures that are there."""
    return "passes" if code == 0 and (figures is None or figures[-1] < GATE) else "fails"


TOOLS: dict[str, Callable[[Asked], Said]] = {
    "pytest-rollout": ours,
    "locust": locust,
    "wrk": wrk,
    "wrk2": wrk2,
    "k6": k6,
}
FREE = ("locust", "wrk")
"""Who is run as fast as it goes where nothing else is said; wrk knows nothing else."""


def missing() -> list[str]:
    """Return the tools that are not here."""
    return [name for name in ("wrk", "wrk2", "k6") if not shutil.which(name)]


def _done(argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=DEADLINE)
