"""What a load run tells beside its verdict."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pytest_rollout.judge.latency import ErrorsBelow, QuantileBelow
from pytest_rollout.load.histogram import decode
from pytest_rollout.load.injected.book import Outcome
from pytest_rollout.load.judged import Demand, judge_each
from pytest_rollout.load.order import Arm, LoadOrder
from pytest_rollout.load.report import lines, picture, told
from tests.load.runs import result

ORDER = LoadOrder("portal.py", "http://portal", duration=10.0, rate=100.0, arrivals="constant", warm_up=0.0)
PAIRED = replace(ORDER, arms=(Arm("control"), Arm("candidate")))
DEMAND = Demand(limits={"p95": QuantileBelow(0.95, 0.2), "errors": ErrorsBelow(0.01)})


def mixed(number: int) -> tuple[Outcome, float]:
    fates: dict[int, tuple[Outcome, float]] = {3: ("failed", 0.001), 5: ("timeout", 10.0), 7: ("unfinished", 5.0)}
    return fates.get(number, ("ok", 0.1 if number % 10 else 0.3))


def test_the_numbers_are_those_of_the_run_and_builtins() -> None:
    found = told([result(ORDER, outcome=mixed)], DEMAND)
    assert json.loads(json.dumps(found)) == found
    assert (found["model"], found["offered_rate"], found["lag_p99"], found["cpu"]) == ("open", 100.0, 0.001, 0.1)
    assert found["achieved_rate"] == pytest.approx(99.8)
    arm = found["arms"]["all"]
    assert (arm["due"], arm["ok"], arm["failed"], arm["unfinished"]) == (1000, 997, 2, 1)
    assert arm["percentiles"] == pytest.approx(
        {"p50": 0.1, "p90": 0.3, "p95": 0.3, "p99": 0.3, "p99.9": None}, abs=1e-5
    )
    assert arm["service"] == pytest.approx(arm["percentiles"], abs=1e-5)


def test_the_histograms_hold_every_request() -> None:
    hdr = told([result(ORDER, outcome=mixed)] * 2, DEMAND)["arms"]["all"]["hdr"]
    assert {name: sum(decode(blob).values()) for name, blob in hdr.items()} == {
        "ok": 1994,
        "failed": 4,
        "unfinished": 2,
    }


def test_both_arms_are_told_and_drawn_the_candidate_first() -> None:
    runs = [result(PAIRED, outcome=mixed)]
    found = told(runs, DEMAND)
    assert list(found["arms"]) == ["candidate", "control"]
    drawn = picture(runs, DEMAND, judge_each(runs, DEMAND), "portal")
    assert drawn.index("candidate, n = 500") < drawn.index("control, n = 500")
    assert "p95 below 200 ms" in drawn


def test_failed_and_slow_requests_are_named_with_their_traces() -> None:
    found = lines([result(ORDER, outcome=mixed)])
    assert found[:3] == [
        f"GET /: failed after 1 ms (it did not work), trace {3:032x}",
        f"GET /: no answer after 10 s (it did not work), trace {5:032x}",
        f"GET /: no answer after 5 s (it did not work), trace {7:032x}",
    ]
    assert found[3].startswith("GET /: 300 ms, trace 0")
    assert len(found) == len(set(found))
    arms = {line.partition(":")[0] for line in lines([result(PAIRED)])}
    assert arms == {"GET / (candidate)", "GET / (control)"}
