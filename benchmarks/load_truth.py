"""What load tools say of a healthy, a stalling and a hung server, beside the truth.

The truth of the healthy server is its own log of the very requests that the tool has made. The truth of the stalling
one is what somebody meets who comes at any moment: it stands still for the last second of every ten, and the log of
those who wait for their answers before they ask again (closed) hardly shows that. The gate is ``p99 < 500 ms``: ours is
judged, the others pass if their exit code is 0 and the p99 that they tell, if any, is below.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.load_server import EVERY, STALL, Log, served
from benchmarks.load_tools import GATE, TOOLS, Asked, Said, missing, nearest_ranks
from benchmarks.report import table, write

Percentiles = tuple[float, ...] | None
"""Seconds; None: there are none, or nobody was ever answered."""


@dataclass(frozen=True, slots=True)
class Case:
    """A server, and who asks it: tools and rates (None: as fast as ten closed connections go)."""

    server: str
    seconds: float
    runs: tuple[tuple[str, float | None], ...]


CASES = (
    Case(
        "stalling", 20.0, (("pytest-rollout", 200.0), ("locust", None), ("wrk", None), ("wrk2", 200.0), ("k6", 200.0))
    ),
    Case("hung", 5.0, (("pytest-rollout", 20.0), ("locust", None), ("wrk", None), ("wrk2", 20.0), ("k6", 20.0))),
    Case("healthy", 8.0, (("pytest-rollout", 100.0), ("locust", 100.0), ("wrk", None), ("wrk2", 100.0), ("k6", 100.0))),
    Case("healthy", 8.0, (("pytest-rollout", 700.0), ("locust", 700.0), ("wrk2", 700.0), ("k6", 700.0))),
    Case("healthy", 8.0, (("pytest-rollout", 1400.0), ("locust", 1400.0), ("wrk2", 1400.0), ("k6", 1400.0))),
)


def truth(server: str, log: Log, said: Said) -> Percentiles:
    """Return the percentiles that a tool should have told of a server; None: nobody was answered."""
    if server == "stalling":
        step = EVERY / 10_000
        return nearest_ranks([max(0.0, number * step - EVERY + STALL) for number in range(1, 10_001)])
    first, last = said.window or (0.0, float("inf"))
    return nearest_ranks([took for came, took in log.answered if first <= came < last])


def rows(case: Case) -> Iterator[Sequence[str]]:
    """Yield the lines of the table for a server."""
    for tool, rate in case.runs:
        if tool in missing():
            continue
        with served(case.server) as server:
            said = TOOLS[tool](Asked(server.url, case.seconds, rate))
            real = truth(case.server, server.log(), said)
        who = f"{tool}, {'closed' if rate is None else f'{rate:,.0f}/s'}"
        yield case.server, who, f"{said.requests:,}", *told(said.percentiles, real), said.verdict


def told(figures: Percentiles, real: Percentiles) -> Iterator[str]:
    """Yield what a tool says (ms), and by how much that is wrong."""
    if figures is None:
        yield from ("no figure",) * 3
    elif real is None:
        yield from (f"{figure * 1000:,.1f} (never)" for figure in figures)
    else:
        for figure, true in zip(figures, real, strict=True):
            yield f"{figure * 1000:,.1f} ({(figure - true) * 1000:+,.1f})"


def tell(cases: Sequence[Case]) -> str:
    """Measure, and return the figures as Markdown."""
    before = os.getloadavg()[0]
    gate = f"gate p99 < {GATE * 1000:.0f} ms"
    made = table(
        ("server", "tool", "requests", "p50, ms (error)", "p95, ms (error)", "p99, ms (error)", gate),
        (row for case in cases for row in rows(case)),
    )
    left_out = missing()
    note = f"Not available here: {', '.join(left_out)}. " if left_out else ""
    return f"{made}\n\n{note}The machine's load was {before:.1f} when this began."


def main() -> None:
    """Measure, print, and keep the table if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", action="append", choices=sorted({case.server for case in CASES}), help="only these")
    parser.add_argument("--write", type=Path, help="a document with <!-- load-truth --> comments")
    given = parser.parse_args()
    text = tell([case for case in CASES if not given.server or case.server in given.server])
    print(text)
    if given.write:
        write(given.write, "load-truth", text)


if __name__ == "__main__":
    main()
