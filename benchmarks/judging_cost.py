"""What judging costs on top of asking: 100 gates against a real Prometheus, beside the very same requests alone.

Rounds are interleaved, so a slow spell of the machine hits all; each is compared with its neighbours only. One
process, one thread, one connection each. Ends with exit code 1 if a gate is not decided.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import math
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

import httpx

from benchmarks.report import table, write
from pytest_rollout.gathering.gatherer import Gatherer
from pytest_rollout.judge import binomial, sequence
from pytest_rollout.plan.gates import Gate
from pytest_rollout.sources.http import Answer, Http, Transport
from pytest_rollout.sources.prometheus import Prometheus
from pytest_rollout.target import Target
from pytest_rollout.verdict import CheckResult
from sandbox.components import start_prometheus
from sandbox.remote_write import Samples, remote_write

ROUNDS = 15
JOBS = ("shop", "search")
STEP = 15.0
HISTORY = 2100.0
"""Seconds: half an hour, and what is read before a window."""
WINDOWS = tuple(f"{minutes}m" for minutes in range(12, 31, 2))
WRK_SECONDS = 3
HTTPX = "httpx, the same requests"
REQUESTS_AIM = 3
TIME_AIM = 1.3
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Request(NamedTuple):
    """One HTTP request, as it was sent."""

    method: str
    url: str
    body: str

    @property
    def headers(self) -> dict[str, str]:
        """The headers that it needs."""
        return _FORM if self.body else {}

    @property
    def path(self) -> str:
        """Path and query."""
        parts = urlsplit(self.url)
        return f"{parts.path}?{parts.query}" if parts.query else parts.path


@dataclass(frozen=True, slots=True)
class Recorder:
    """A transport that notes what goes through it."""

    http: Transport
    seen: list[Request]

    def __call__(self, method: str, url: str, /, *, form: Mapping[str, str] | None = None, json: Any = None) -> Answer:
        """Return the answer of the transport."""
        self.seen.append(Request(method, url, urlencode(form or {})))
        return self.http(method, url, form=form, json=json)


def gates() -> list[Gate]:
    """Return 100 gates: 2 ratios, 2 quantiles and a counter, in ten windows, of two jobs."""
    out = []
    for job, over in itertools.product(JOBS, WINDOWS):
        where = f'job="{job}"'
        kinds: list[dict[str, Any]] = [
            {"ratio": _ratio(where, 'code=~"5.."'), "below": "1%"},
            {"ratio": _ratio(where, 'code="404"'), "below": "5%"},
            {"quantile": {"q": 0.95, "of": "request_duration_seconds", "where": where}, "below": "300ms"},
            {"quantile": {"q": 0.99, "of": "request_duration_seconds", "where": where}, "below": "1s"},
            {"counter": {"of": f"orders_lost_total{{{where}}}"}, "at_most": 0},
        ]
        out += [
            Gate.model_validate({"id": f"{job}-{over}-{place}", "over": over, **kind})
            for place, kind in enumerate(kinds)
        ]
    return out


def _ratio(where: str, bad: str) -> dict[str, str]:
    return {"bad": f"requests_total{{{where},{bad}}}", "total": f"requests_total{{{where}}}"}


def history(end: float) -> Iterator[tuple[Mapping[str, str], Samples]]:
    """Return the series of both jobs, a sample every 15 s."""
    times = [end - STEP * step for step in range(int(HISTORY / STEP), -1, -1)]

    def rising(name: str, job: str, rate: float, **labels: str) -> tuple[Mapping[str, str], Samples]:
        samples = [(when, float(math.floor(1000 + rate * (when - times[0])))) for when in times]
        return {"__name__": name, "job": job, "instance": "one:80", **labels}, samples

    for job in JOBS:
        yield {"__name__": "up", "job": job, "instance": "one:80"}, [(when, 1.0) for when in times]
        began = {"__name__": "process_start_time_seconds", "job": job, "instance": "one:80"}
        yield began, [(when, times[0] - 3600) for when in times]
        for code, rate in (("200", 20.0), ("404", 0.2), ("500", 0.01)):
            yield rising("requests_total", job, rate, code=code)
        for le, rate in (("0.1", 18.0), ("0.3", 20.0), ("1", 20.2), ("+Inf", 20.21)):
            yield rising("request_duration_seconds_bucket", job, rate, le=le)
        yield rising("orders_lost_total", job, 0.0)


def judge(transport: Transport, url: str, wanted: Sequence[Gate], now: float) -> list[CheckResult]:
    """Judge all gates at one instant, as a run does: with no bound known beforehand."""
    for bound in (binomial.lower, binomial.upper, sequence.lower, sequence.upper):
        getattr(bound, "cache_clear", int)()
    target = Target(
        environment="benchmark",
        url="",
        prometheus=url,
        pushgateway=None,
        flags_url=None,
        flags_token=None,
        time_scale=1.0,
        wait=0.0,
        scrape_interval=STEP,
        via="api",
        rehearsal=(),
    )
    gatherer = Gatherer(Prometheus(url, transport), target, None, now)
    return [gatherer.judge(gate) for gate in wanted]


def bare_httpx(client: httpx.Client, requests: Sequence[Request]) -> None:
    """Send the requests with httpx."""
    for one in requests:
        client.request(one.method, one.url, content=one.body, headers=one.headers).raise_for_status()


def bare_http_client(connection: http.client.HTTPConnection, requests: Sequence[Request]) -> None:
    """Send the requests with the standard library, which does much less for each."""
    for one in requests:
        connection.request(one.method, one.path, one.body or None, one.headers)
        with connection.getresponse() as response:
            if response.status != http.HTTPStatus.OK:
                raise RuntimeError(f"HTTP {response.status}")
            response.read()


def wrk(url: str, requests: Sequence[Request], folder: Path) -> float | None:
    """Return the seconds that wrk takes for the requests over one connection; None if it is not installed."""
    program = shutil.which("wrk")
    if program is None:
        return None
    rows = ",\n".join(
        f"{{{json.dumps(one.method)}, {json.dumps(one.path)}, {json.dumps(one.body)}}}" for one in requests
    )
    script = folder / "requests.lua"
    script.write_text(
        f"local asked = {{{rows}}}\nlocal at = 0\n"
        f'local headers = {{["Content-Type"] = "{_FORM["Content-Type"]}"}}\n'
        "request = function()\n  at = at % #asked + 1\n"
        "  return wrk.format(asked[at][1], asked[at][2], headers, asked[at][3])\nend\n"
    )
    argv = [program, "-t1", "-c1", f"-d{WRK_SECONDS}s", "-s", str(script), url]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    found = re.search(r"Requests/sec:\s*([\d.]+)", said)
    if found is None or "Non-2xx" in said:
        raise RuntimeError(said)
    return len(requests) / float(found[1])


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def measure(url: str, folder: Path, wanted: Sequence[Gate], rounds: int) -> str:
    """Return the table for an empty Prometheus, which is filled here. Ends the process if a gate is not decided."""
    now, seen = time.time(), list[Request]()
    remote_write(url, history(now))
    with (
        closing(Http()) as transport,
        httpx.Client(trust_env=False) as client,
        closing(http.client.HTTPConnection(urlsplit(url).netloc)) as connection,
    ):
        results = judge(Recorder(transport, seen), url, wanted, now)
        ways: dict[str, Callable[[], object]] = {
            "judged": lambda: judge(transport, url, wanted, now),
            HTTPX: lambda: bare_httpx(client, seen),
            "http.client, the same requests": lambda: bare_http_client(connection, seen),
        }
        took = in_turn(ways, rounds)
    if undecided := [
        f"{gate.id}: {one.message}" for gate, one in zip(wanted, results, strict=True) if not decided(one)
    ]:
        sys.exit("\n".join(undecided[:5]))
    limit = wrk(url, seen, folder)
    if limit is not None:
        took["wrk, the same requests"] = [limit] * rounds
    verdicts = ", ".join(
        f"{count} {verdict}" for verdict, count in Counter(str(one.verdict) for one in results).items()
    )
    return (
        f"{len(wanted)} gates ({verdicts}), {rounds} rounds: {len(seen)} requests, {len(set(seen))} of them distinct, "
        f"so {len(seen) / len(wanted):.2f} per gate.\n\n{shown(took)}\n\n{aims(len(seen) / len(wanted), took)}"
    )


def in_turn(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Return the seconds that each way took in each round; one more round before them warms up."""
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds + 1):
        for name, way in ways.items():
            took[name].append(timed(way))
    return {name: seconds[1:] for name, seconds in took.items()}


def decided(result: CheckResult) -> bool:
    """Whether the evidence was enough, or there would be less to do than in earnest."""
    return str(result.verdict) in {"passed", "breached"}


def shown(took: Mapping[str, Sequence[float]]) -> str:
    """Return the table: median time of a round, and the median of how often longer judging took in the same round."""
    rows = [
        [name, f"{statistics.median(seconds) * 1000:.1f}", f"{slower(took, name):.2f}"]
        for name, seconds in took.items()
    ]
    return table(("all gates", "ms", "judging takes so many times as long"), rows)


def slower(took: Mapping[str, Sequence[float]], name: str) -> float:
    """Return how many times as long judging took as another way, as the median of the rounds."""
    return statistics.median(mine / other for mine, other in zip(took["judged"], took[name], strict=True))


def aims(per_gate: float, took: Mapping[str, Sequence[float]]) -> str:
    """Return which of the aims are met."""
    met = {True: "met", False: "missed"}
    return (
        f"At most {REQUESTS_AIM} requests per gate: {met[per_gate <= REQUESTS_AIM]}. "
        f"At most {TIME_AIM} times as long as the same requests with httpx: {met[slower(took, HTTPX) <= TIME_AIM]}."
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table into this Markdown file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, start_prometheus(Path(name)) as prometheus:
        text = measure(prometheus.url, Path(name), gates(), options.rounds)
    print(text)
    if options.write:
        write(options.write, "judging-cost", text)


if __name__ == "__main__":
    main()
