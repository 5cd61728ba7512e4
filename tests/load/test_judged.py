"""Result documents before the judge: no damage to one makes a pass."""

from __future__ import annotations

import base64
import copy
import json
import math
import zlib
from array import array
from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from pydantic import ValidationError

from pytest_rollout.judge.baseline import Effect
from pytest_rollout.judge.latency import ErrorsAtMost, ErrorsBelow, QuantileBelow
from pytest_rollout.judge.paired import WorseBy
from pytest_rollout.load.injected.book import Outcome
from pytest_rollout.load.judged import Demand, judge_each, judge_load, whole
from pytest_rollout.load.order import Arm, LoadOrder
from pytest_rollout.load.result import LoadResult
from pytest_rollout.verdict import CheckResult, Reason, Verdict
from tests.load.runs import document, result

ORDER = LoadOrder("portal.py", "http://portal", duration=10.0, rate=100.0, arrivals="constant", warm_up=1.0)
PAIRED = LoadOrder(
    "portal.py",
    "http://portal",
    duration=40.0,
    rate=100.0,
    arrivals="constant",
    warm_up=0.0,
    arms=(Arm("control"), Arm("candidate")),
)
DEMAND = Demand(limits={"p95": QuantileBelow(0.95, 0.2), "errors": ErrorsBelow(0.01)})


def good(_number: int) -> tuple[Outcome, float]:
    return "ok", 0.04


def bad(_number: int) -> tuple[Outcome, float]:
    return "ok", 0.5


def hung(_number: int) -> tuple[Outcome, float]:
    return "unfinished", 5.0


def so_far(there: LoadResult, ended: str = "running") -> LoadResult:
    """Return a result as that of a run that goes on."""
    changed = json.loads(there.model_dump_json())
    why = "Locust was stopped" if ended == "stopped" else ""
    return _read(changed | {"parts": [part | {"ended": ended, "why": why} for part in changed["parts"]]})


def _read(raw: dict[str, Any]) -> LoadResult:
    return LoadResult.model_validate_json(json.dumps(raw))


def test_a_good_run_passes() -> None:
    found = judge_load([result(ORDER, outcome=good)], DEMAND)
    assert (found.verdict, found.reason) == (Verdict.PASSED, Reason.WITHIN_LIMIT)
    assert found.message.startswith("2 of 2 pass, all must: p95: 40 ms, surely between 40 ms and 40 ms;")
    assert found.samples == 1000
    assert found.window == (1_700_000_000.0, 1_700_000_010.0)


def test_each_limit_is_judged_by_itself() -> None:
    each = judge_each([result(ORDER, outcome=bad)], DEMAND)
    assert {name: one.verdict for name, one in each.items()} == {"p95": Verdict.BREACHED, "errors": Verdict.PASSED}


def test_a_hung_server_breaches_every_limit() -> None:
    demand = Demand(limits={**DEMAND.limits, "all": ErrorsAtMost(0)})
    each = judge_each([result(ORDER, outcome=hung)], demand)
    assert {one.verdict for one in each.values()} == {Verdict.BREACHED}


def test_who_is_in_flight_while_it_runs_has_not_failed_yet() -> None:
    running = so_far(result(ORDER, outcome=hung))
    each = judge_each([running], DEMAND)
    assert {name: one.verdict for name, one in each.items()} == {
        "p95": Verdict.BREACHED,
        "errors": Verdict.INCONCLUSIVE,
    }
    assert not whole([running])


def test_a_run_without_its_end_never_passes() -> None:
    found = judge_load([so_far(result(ORDER, outcome=good))], DEMAND)
    assert (found.verdict, found.reason) == (Verdict.INCONCLUSIVE, Reason.WINDOW_NOT_ELAPSED)


def test_a_run_that_was_stopped_has_breached_or_is_an_error() -> None:
    """A locustfile that ends Locust, or a signal: no more requests come, so there is nothing to wait for."""
    found = judge_load([so_far(result(ORDER, outcome=good), "stopped")], DEMAND)
    assert (found.verdict, found.reason) == (Verdict.ERROR, Reason.BENT_GENERATOR)
    assert found.message == "the load generator host/0 was stopped before its time: Locust was stopped"
    assert judge_load([so_far(result(ORDER, outcome=hung), "stopped")], DEMAND).verdict is Verdict.BREACHED


def test_a_late_generator_is_an_error_by_the_least_limit() -> None:
    late = [result(ORDER, outcome=bad, lag=0.012)]
    assert judge_load(late, DEMAND).verdict is Verdict.ERROR
    assert judge_load(late, Demand(limits={"p95": QuantileBelow(0.95, 0.3)})).verdict is Verdict.BREACHED


def test_where_only_errors_count_a_generator_may_be_later() -> None:
    errors = Demand(limits={"errors": ErrorsAtMost(0)})
    assert judge_load([result(ORDER, outcome=good, lag=0.9)], errors).verdict is Verdict.PASSED
    assert judge_load([result(ORDER, outcome=good, lag=1.1)], errors).verdict is Verdict.ERROR


def test_the_lag_of_a_paired_run_is_measured_by_the_control() -> None:
    worse = Demand(limits={"p95": WorseBy(0.95, Effect(0.1, 0.0))})

    def taking(seconds: float) -> Verdict:
        return judge_load([result(PAIRED, outcome=lambda _: ("ok", seconds), lag=0.008)], worse).verdict

    assert taking(0.1) is Verdict.ERROR
    assert taking(0.2) is Verdict.PASSED


def test_a_run_and_its_extension_are_judged_as_one() -> None:
    demand = Demand(limits={"p99.5": QuantileBelow(0.995, 0.2)}, budget=10.0)
    first = result(ORDER, outcome=lambda number: ("ok", 0.5 if number % 400 == 7 else 0.04))
    alone = judge_load([first], demand)
    assert alone.verdict is Verdict.INCONCLUSIVE
    more = judge_load([first, result(replace(ORDER, seed=1), outcome=good)], demand)
    assert (more.samples, more.derivation["extended_by"]) == (2000, 10.0)
    assert more.derivation["rule"] == "beta-binomial mixture, time-uniform, stretch 1"


def test_a_run_that_is_taken_from_its_extensions_is_missed() -> None:
    """The first one may have been the bad one."""
    first = result(ORDER, outcome=bad)
    second, third = (result(replace(ORDER, seed=seed, duration=5.0), outcome=good) for seed in (1, 2))
    assert judge_load([first, second, third], DEMAND).verdict is Verdict.BREACHED
    lost = "a load run is missing among those that extend one another; judge all of them, or run the load again"
    for runs in ([second], [second, third], [first, third], [first, second, second], [first, first]):
        found = judge_load(runs, DEMAND)
        assert (found.verdict, found.reason, found.message) == (Verdict.ERROR, Reason.EVIDENCE, lost)


@pytest.mark.parametrize("other", [{"rate": 50.0}, {"host": "http://elsewhere"}, {"arrivals": "poisson"}])
def test_an_extension_of_another_run_is_none(other: dict[str, Any]) -> None:
    found = judge_load([result(ORDER), result(replace(ORDER, seed=1, **other))], DEMAND)
    assert found.message == "the load runs were made by other locustfiles or orders; run the load again"


def test_no_run_is_an_error() -> None:
    found = judge_load([], DEMAND)
    assert (found.verdict, found.message) == (Verdict.ERROR, "there is no load run; make one")


def test_a_schedule_without_arrivals_is_no_data() -> None:
    empty = result(replace(ORDER, rate=0.1, duration=1.0, arrivals="poisson", warm_up=0.0))
    assert empty.due == 0
    changed = json.loads(empty.model_dump_json())
    changed["parts"][0]["lag"] = None
    found = judge_load([_read(changed)], DEMAND)
    assert (found.verdict, found.reason) == (Verdict.INCONCLUSIVE, Reason.NO_DATA)


def test_a_paired_run_is_judged_on_the_difference() -> None:
    worse = Demand(limits={"p95": WorseBy(0.95, Effect(0.1, 0.0))})

    def slower_candidate(by: float) -> Callable[[int], tuple[Outcome, float]]:
        random = Random(1)  # noqa: S311 - not a secret
        noise = [random.lognormvariate(-3.0, 0.5) for _ in range(2000)]

        def seconds(number: int) -> tuple[Outcome, float]:
            mine = by if PAIRED.arm(number).name == "candidate" else 1.0
            return "ok", mine * noise[number // 2]

        return seconds

    same = judge_load([result(PAIRED, outcome=slower_candidate(1.0))], worse)
    assert (same.verdict, same.samples) == (Verdict.PASSED, 2000)
    assert judge_load([result(PAIRED, outcome=slower_candidate(1.2))], worse).verdict is Verdict.BREACHED
    limits = Demand(limits={"p95": QuantileBelow(0.95, 0.2)})
    assert judge_load([result(PAIRED, outcome=good)], limits).samples == 2000


def test_a_demand_without_limits_is_a_mistake() -> None:
    with pytest.raises(ValueError, match=r"^a latency gate without a limit; write one, such as p95: {below: 200ms}$"):
        Demand(limits={})


@pytest.mark.parametrize("confidence", [math.nan, 0.0, 0.49, 1.0, 95.0])
def test_a_confidence_that_is_none_is_refused(confidence: float) -> None:
    with pytest.raises(ValueError, match=rf"^a confidence of {confidence}; it has to be at least 0.5, and below 1$"):
        replace(DEMAND, confidence=confidence)


@pytest.mark.parametrize("budget", [math.nan, math.inf, -1.0])
def test_an_extension_without_an_end_is_refused(budget: float) -> None:
    said = rf"^an extension of {budget} s; it has to be finite, and cannot be negative$"
    with pytest.raises(ValueError, match=said):
        replace(DEMAND, budget=budget)


# --- damage -----------------------------------------------------------------------------------------------------


def places(raw: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the way to everything in a document that can be taken away."""
    steps = raw.items() if isinstance(raw, dict) else enumerate(raw) if isinstance(raw, list) else ()
    for step, below in steps:
        yield (*path, step)
        if step not in ("slowest", "failures"):  # for people; nothing rests on them
            yield from places(below, (*path, step))


def without(raw: dict[str, Any], path: tuple[str | int, ...]) -> dict[str, Any]:
    """Return a document without what is there."""
    out = copy.deepcopy(raw)
    at: Any = out
    for step in path[:-1]:
        at = at[step]
    del at[path[-1]]
    return out


def judged(raw: dict[str, Any]) -> CheckResult | None:
    """Return the verdict, or None of a document that cannot be read: that is an error, too."""
    try:
        there = _read(raw)
    except ValidationError:
        return None
    return judge_load([there], DEMAND)


def mixed(number: int) -> tuple[Outcome, float]:
    fates: dict[int, tuple[Outcome, float]] = {2: ("failed", 0.001), 4: ("timeout", 10.0), 7: ("unfinished", 5.0)}
    return fates.get(number % 40, ("ok", 0.04))


WORKERS = LoadOrder("portal.py", "http://portal", duration=5.0, rate=80.0, arrivals="poisson", workers=2)


@pytest.mark.parametrize("outcome", [bad, hung, mixed])
def test_nothing_that_is_taken_from_a_document_makes_a_pass(outcome: Callable[[int], tuple[Outcome, float]]) -> None:
    raw = document(WORKERS, outcome=outcome)
    before = judged(raw)
    assert before is not None
    assert before.verdict is Verdict.BREACHED
    for path in places(raw):
        after = judged(without(raw, path))
        assert after is None or after.verdict is not Verdict.PASSED, path


def shorter(packed: str) -> str:
    """Return a packed column without its last sample."""
    column = array("q", zlib.decompress(base64.b64decode(packed)))
    return base64.b64encode(zlib.compress(column[:-1].tobytes())).decode()


def lose_sample(raw: dict[str, Any], outcome: str, depth: int) -> dict[str, Any]:
    """Return a document that has lost a sample, and that with 0: one column, to 3: all counts of it, hides it."""
    out = copy.deepcopy(raw)
    part = out["parts"][0]
    for series in part["series"]:
        columns = series[outcome]
        for name in ("at", "latency", "service") if depth else ("latency",):
            columns[name] = shorter(columns[name])
        columns["n"] -= depth > 0
        series["n"] -= depth > 1
    if depth > 2:
        part["counts"]["requests"] -= 1
        part["counts"]["started"] -= 1
        part["counts"]["unfinished" if outcome == "unfinished" else "finished"] -= 1
    return out


@pytest.mark.parametrize("depth", range(4))
@pytest.mark.parametrize(("outcome", "part"), [(good, "ok"), (bad, "ok"), (hung, "unfinished"), (mixed, "failed")])
def test_a_lost_sample_is_noticed(outcome: Callable[[int], tuple[Outcome, float]], part: str, depth: int) -> None:
    raw = document(WORKERS, outcome=outcome)
    after = judged(lose_sample(raw, part, depth))
    assert after is None or after.verdict is Verdict.ERROR


def test_of_a_good_document_hardly_anything_can_be_missed() -> None:
    """What is missing and yet leaves a pass tells nothing that the verdict rests on."""
    raw = document(WORKERS, outcome=good)
    assert (there := judged(raw)) is not None
    assert there.verdict is Verdict.PASSED
    missed = {path for path in places(raw) if (left := judged(without(raw, path))) and left.verdict is Verdict.PASSED}
    assert {path[-1] for path in missed if isinstance(path[-1], str)} <= {
        "arms",
        "locust",
        "failed",
        "timeout",
        "unfinished",
    }
