"""What ``rollout load`` tells of a load, whether or not there is a limit; no Locust is needed for that."""

from __future__ import annotations

import sys
from typing import Any

from pytest_rollout.commands.measured import NOTHING_JUDGED, as_measured, percentiles, percentiles_told
from pytest_rollout.judge.latency import ErrorsAtMost
from pytest_rollout.latency import Load
from pytest_rollout.load.injected.book import Outcome
from pytest_rollout.load.judged import Demand, judge_load
from pytest_rollout.load.order import LoadOrder
from pytest_rollout.load.report import told
from pytest_rollout.verdict import CheckResult, Reason, Verdict
from tests.load.runs import result

ORDER = LoadOrder("visit.py", "http://visit", duration=10.0, rate=100.0, arrivals="constant", warm_up=0.0)
DEMAND = Demand(limits={"errors": ErrorsAtMost(sys.maxsize)})


def measured(order: LoadOrder = ORDER, **how: Any) -> tuple[CheckResult, list[str]]:
    """Return what becomes of a run without limits, and its percentiles in words."""
    runs = (result(order, **how),)
    judged = judge_load(runs, DEMAND)
    judged = CheckResult(**{**judged.to_dict(), "derivation": {"load": told(runs, DEMAND)}, "verdict": judged.verdict})
    found = as_measured(judged, Load(begun=0.0, runs=runs), DEMAND)
    return found, list(percentiles_told(percentiles(runs, DEMAND)))


def step(number: int) -> tuple[Outcome, float]:
    """Answer the n-th of a thousand arrivals after n milliseconds."""
    return "ok", (number + 1) / 1000


def test_percentiles_have_bounds() -> None:
    found, lines = measured(outcome=step)
    assert (found.verdict, found.reason, found.message) == (Verdict.INCONCLUSIVE, Reason.UNPROVEN, NOTHING_JUDGED)
    assert (found.value, found.limit) == (None, None)
    assert lines == [
        "  all: 1,000 were due, 1,000 have a good answer",
        "    p50    500 ms, surely between 474 ms and 527 ms",
        "    p90    900 ms, surely between 884 ms and 916 ms",
        "    p95    950 ms, surely between 938 ms and 962 ms",
        "    p99    990 ms, surely between 985 ms and 996 ms",
        "    p99.9  999 ms, surely between 997 ms and anything",
    ]


def test_failed_requests_have_no_exact_percentile() -> None:
    _, lines = measured(outcome=lambda number: ("failed" if number % 2 else "ok", 0.01))
    assert lines[0] == "  all: 1,000 were due, 500 have a good answer"
    assert lines[2] == "    p90    at least 10 ms, surely between 10 ms and anything"


def test_a_late_generator_has_measured_itself() -> None:
    found, _ = measured(lag=0.1)
    assert (found.verdict, found.reason) == (Verdict.ERROR, Reason.BENT_GENERATOR)
    assert found.message.startswith("the load generator was late: 100 ms at p99, where 5 ms are allowed")


def test_a_lag_is_small_beside_slow_answers() -> None:
    found, _ = measured(lag=0.1, outcome=lambda _: ("ok", 3.0))
    assert found.reason is Reason.UNPROVEN
