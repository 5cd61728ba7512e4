"""How fast the golden corpora are run beside a bare httpx loop over the very same requests, in the same order.

The requests of one run are recorded: cases, metrics, state, witnesses of identity and mode. The loop sends them again
and looks at nothing. It does not wait either, so both are also told without the waiting: for a mode to be in force, and
for counters to stand still.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from benchmarks import report
from pytest_rollout.golden.asking import World
from pytest_rollout.golden.corpus import load_corpora
from pytest_rollout.golden.session import Wishes, run_corpus
from pytest_rollout.golden.wire import RawRequest, Reply, wire_over
from pytest_rollout.sources.http import Http
from pytest_rollout.verdict import Verdict

ROOT = Path(__file__).parents[1]
CORPORA = ROOT / "golden_payloads"
DEADLINE_SECONDS = 60
AIM = 0.6


@dataclass
class Recorded:
    """The requests of one run, and the seconds that it took and waited."""

    requests: list[tuple[str, RawRequest]] = field(default_factory=list)
    took: float = 0.0
    waited: float = 0.0


@contextmanager
def system(*faults: str) -> Iterator[Mapping[str, str]]:
    """Start the stage-normalization system; yields what corpora need, and ``FRONT``."""
    with tempfile.TemporaryDirectory() as name:
        state = Path(name, "state.json")
        argv = [sys.executable, "-m", "sandbox.normalization.app", "--directory", f"{name}/app", "--state", str(state)]
        argv += [word for fault in faults for word in ("--fault", fault)]
        with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
            try:
                until = time.monotonic() + DEADLINE_SECONDS
                while not state.exists():
                    if time.monotonic() > until or process.poll() is not None:
                        raise TimeoutError("the system did not start")
                    time.sleep(0.05)
                told = json.loads(state.read_text())
                yield {
                    "STAGE_API_INSTANCES": ",".join(told["instances"]),
                    "STAGE_API_FLAGS_TOKEN": told["flags_token"],
                    "FRONT": told["target"],
                }
            finally:
                process.terminate()


def corpus_run(variables: Mapping[str, str], received: Path) -> Recorded:
    """Run every corpus in every mode. Raises RuntimeError unless all of it passes."""
    recorded, http = Recorded(), Http(10.0)
    wire = wire_over(http)

    def send(place: str, request: RawRequest, /) -> Reply:
        recorded.requests.append((place, request))
        return wire(place, request)

    def sleep(seconds: float) -> None:
        recorded.waited += seconds
        time.sleep(seconds)

    began = time.perf_counter()
    for corpus in load_corpora(CORPORA):
        wishes = Wishes(modes=corpus.endpoint.modes, received=received)
        verdict = run_corpus(corpus, World(send, sleep=sleep), variables, wishes).verdict
        if verdict.verdict is not Verdict.PASSED:
            raise RuntimeError(verdict.message)
    recorded.took = time.perf_counter() - began
    http.close()
    return recorded


def bare_loop(requests: list[tuple[str, RawRequest]]) -> float:
    """Return the seconds that httpx needs to send requests and read their answers."""
    began = time.perf_counter()
    with httpx.Client() as client:
        for place, request in requests:
            client.request(
                request.method, place + request.target, headers=list(request.headers), content=request.content
            )
    return time.perf_counter() - began


def told(runs: list[tuple[Recorded, float]]) -> str:
    """Return the figures as Markdown: medians over the runs."""
    whole = statistics.median(bare / ours.took for ours, bare in runs)
    working = statistics.median(bare / (ours.took - ours.waited) for ours, bare in runs)
    rows = [
        ["requests of one run", f"{statistics.median(len(ours.requests) for ours, _ in runs):,.0f}", ""],
        ["the corpora, s", f"{statistics.median(ours.took for ours, _ in runs):.2f}", f"{whole:.2f}"],
        [
            "the corpora without the waiting, s",
            f"{statistics.median(ours.took - ours.waited for ours, _ in runs):.2f}",
            f"{working:.2f}",
        ],
        ["httpx, the same requests, s", f"{statistics.median(bare for _, bare in runs):.2f}", "1.00"],
    ]
    met = [name for name, ratio in (("with", whole), ("without", working)) if ratio >= AIM]
    said = f"At least {AIM} times the throughput of the loop: {f'met {met[-1]} the waiting' if met else 'missed'}."
    return f"{report.table(['', 'median', 'throughput'], rows)}\n\n{len(runs)} runs, in turn. {said}"


def main() -> None:
    """Measure, print, and write the figures into a document if one is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--write", type=Path, help="a document with <!-- golden-corpus --> comments")
    asked = parser.parse_args()
    runs = []
    with system() as variables, tempfile.TemporaryDirectory() as received:
        for _ in range(asked.runs):
            ours = corpus_run(variables, Path(received))
            runs.append((ours, bare_loop(ours.requests)))
    text = told(runs)
    print(text)
    if asked.write:
        report.write(asked.write, "golden-corpus", text)


if __name__ == "__main__":
    main()
