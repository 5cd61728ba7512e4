"""Counters that must not rise, and bare values."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import replace

import pytest

from pytest_rollout.judge.demand import Demand
from pytest_rollout.judge.samples import Series, Window
from pytest_rollout.judge.value import judge_counter, judge_value
from pytest_rollout.verdict import CheckResult, Reason, Verdict
from tests.judge.evidence import (
    COUNT,
    LENGTH,
    START,
    STEP,
    TIMES,
    VALUE,
    WINDOW,
    counted,
    risen,
    steady,
    unscraped,
)

PASSED, BREACHED, INCONCLUSIVE, _ = Verdict
YOUNG = Window(START + 1200, START + LENGTH, LENGTH)
LABELS = {"__name__": "rollbacks_total", "reason": "timeout", "instance": "a"}
QUIET = steady(0, LABELS, base=7)
SCRAPED = len(TIMES)


def judged(
    *series: Series, starts: tuple[Series, ...] = (), window: Window = WINDOW, demand: Demand = COUNT
) -> CheckResult:
    return judge_counter(series, starts, window, demand)


def said(result: CheckResult) -> tuple[Verdict, Reason, str]:
    return result.verdict, result.reason, result.message


def test_a_counter_that_stays_passes_whatever_it_held_before() -> None:
    result = judged(QUIET)
    assert said(result) == (PASSED, Reason.WITHIN_LIMIT, "rose by 0, at most 0 is allowed")
    assert (result.value, result.limit, result.unit, result.samples) == (0.0, 0.0, "count", 120)
    assert result.window == (START, START + LENGTH)
    assert result.derivation == {"rule": "raw increments", "rises": []}


def test_one_event_breaches_and_is_shown() -> None:
    result = judged(QUIET, risen(1, LABELS, base=7, at=61))
    assert said(result) == (
        BREACHED,
        Reason.LIMIT_BREACHED,
        'rose by 1, at most 0 is allowed; first at 10900 on rollbacks_total{instance="a",reason="timeout"}',
    )
    assert result.derivation["rises"] == [{"at": 10_900.0, "by": 1, "labels": LABELS}]


def test_the_first_event_is_the_first_in_time() -> None:
    late, early = risen(1, {"pod": "a"}, at=90), risen(2, {"pod": "b"}, at=30)
    assert judged(late, early).message == 'rose by 3, at most 0 is allowed; first at 10435 on {pod="b"}'
    assert judged(late, early) == judged(early, late)


@pytest.mark.parametrize(("by", "verdict"), [(2, PASSED), (3, PASSED), (4, BREACHED)])
def test_the_limit_itself_is_allowed(by: int, verdict: Verdict) -> None:
    result = judged(risen(by), demand=replace(COUNT, limit=3.0))
    assert (result.verdict, result.value) == (verdict, by)


# What increase() alone would miss: each of these hides its event from increase(x[window]) == 0.
HIDDEN = {
    "born at 1": [counted([1] * SCRAPED, first=50)],
    "born at 1 with a new pod": [steady(0, {"pod": "a"}), counted([1] * SCRAPED, {"pod": "b"}, first=50)],
    "born at the first sample of the window": [counted([1] * SCRAPED, first=2)],
    "born at the last sample of the window": [counted([1], first=121)],
    "born, seen once": [counted([1], first=50)],
    "a crash loop": [counted([scrape % 2 for scrape in range(SCRAPED)])],
    "risen and reset": [counted([0] * 50 + [1] + [0] * 71)],
    "risen with the first sample of the window": [risen(1, at=2)],
    "risen with the last sample of the window": [risen(1, at=121)],
    "reset and risen to where it was": [counted([5] * 50 + [0] + [5] * 71)],
    "on one of ten pods": [*(steady(0, {"pod": str(pod)}, base=pod) for pod in range(9)), risen(1, {"pod": "9"})],
}


@pytest.mark.parametrize("series", HIDDEN.values(), ids=HIDDEN)
def test_no_event_is_missed(series: list[Series]) -> None:
    assert judged(*series).verdict is BREACHED


# What a cruder formula would take for an event.
QUIET_CASES = {
    "an old baseline": [steady(0, base=500)],
    "risen before the window": [risen(5, at=1)],
    "born at 0": [counted([0] * SCRAPED)],
    "a pod that leaves": [steady(0, {"pod": "a"}, base=3), counted([9] * 50, {"pod": "b"})],
    "a pod that comes with 0": [steady(0, {"pod": "a"}), counted([0] * SCRAPED, {"pod": "b"}, first=50)],
}


@pytest.mark.parametrize("series", QUIET_CASES.values(), ids=QUIET_CASES)
def test_no_event_is_invented(series: list[Series]) -> None:
    assert judged(*series).verdict is PASSED


# --- what does not decide -----------------------------------------------------------------------------------

RESTARTED = (
    INCONCLUSIVE,
    Reason.RESTART,
    "the process restarted inside the window, so increments may be lost; let the window pass again",
)


def test_a_restart_seen_in_the_counter_does_not_prove_a_zero() -> None:
    assert said(judged(counted([7] * 50 + [0] * 72))) == RESTARTED


def test_a_restart_seen_in_the_start_time_does_not_prove_a_zero() -> None:
    started = counted([1000.0] * 50 + [2000.0] * 72)
    assert said(judged(QUIET, starts=(started,))) == RESTARTED


@pytest.mark.parametrize(
    "starts",
    [
        (),
        (steady(0, base=1000),),
        (counted([1000.0] * 2 + [2000.0] * 120),),
        (counted([1000.0] * 50, {"pod": "a"}), counted([2000.0] * SCRAPED, {"pod": "b"}, first=50)),
    ],
    ids=["not told", "none", "before the window", "of another pod"],
)
def test_without_a_restart_a_zero_is_a_zero(starts: tuple[Series, ...]) -> None:
    assert judged(QUIET, starts=starts).verdict is PASSED


def test_a_restart_does_not_excuse_an_event() -> None:
    started = counted([1000.0] * 50 + [2000.0] * 72)
    assert judged(risen(1), starts=(started,)).verdict is BREACHED


def test_a_counter_that_was_never_born_proves_nothing() -> None:
    assert said(judged()) == (
        INCONCLUSIVE,
        Reason.NO_DATA,
        "no series matches; a counter that was never born proves nothing",
    )
    assert judged(window=YOUNG).reason is Reason.WINDOW_NOT_ELAPSED


def test_shortly_after_the_flip_a_zero_proves_nothing_and_a_one_everything() -> None:
    result = judged(QUIET, window=YOUNG)
    assert (result.verdict, result.reason, result.ready_in) == (INCONCLUSIVE, Reason.WINDOW_NOT_ELAPSED, 1200)
    assert judged(risen(1, at=110), window=YOUNG).verdict is BREACHED


@pytest.mark.parametrize(
    ("series", "reason"),
    [
        (unscraped(QUIET, 600, 900), Reason.COVERAGE),
        (unscraped(QUIET, 1500, 1801), Reason.COVERAGE),
        (unscraped(steady(0), -99, 300), Reason.WINDOW_NOT_ELAPSED),
        (unscraped(QUIET, 0, 1801), Reason.COVERAGE),
        (replace(QUIET, samples=QUIET.samples[::2]), Reason.COVERAGE),
    ],
    ids=["a hole", "gone at the end", "came late", "gone all the time", "every second scrape"],
)
def test_what_was_not_observed_proves_nothing(series: Series, reason: Reason) -> None:
    result = judged(series)
    assert (result.verdict, result.reason) == (INCONCLUSIVE, reason)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_sample_that_is_no_number_decides_nothing(value: float) -> None:
    assert said(judged(QUIET, counted([0, value, 0]))) == (
        INCONCLUSIVE,
        Reason.NOT_A_NUMBER,
        "the counter has samples that are not finite numbers; mend the exporter",
    )


# --- bare values ---------------------------------------------------------------------------------------------


def value(number: float, comparator: str = "below", window: Window | None = None) -> CheckResult:
    return judge_value([Series({}, ((START, number),))], window, replace(VALUE, comparator=comparator))


@pytest.mark.parametrize(
    ("comparator", "holds"),
    [("below", operator.lt), ("at_most", operator.le), ("above", operator.gt), ("at_least", operator.ge)],
)
@pytest.mark.parametrize("number", [4.999, 5.0, 5.001, -1e300])
def test_a_value_is_compared_here(comparator: str, holds: Callable[[float, float], bool], number: float) -> None:
    result = value(number, comparator)
    passes = holds(number, 5.0)
    words = f"the value {number:.6g} {'is' if passes else 'is not'} {comparator.replace('_', ' ')} 5"
    assert said(result) == (
        PASSED if passes else BREACHED,
        Reason.WITHIN_LIMIT if passes else Reason.LIMIT_BREACHED,
        words,
    )
    assert (result.value, result.limit, result.samples) == (number, 5.0, 1)


@pytest.mark.parametrize("comparator", ["below", "at_most", "above", "at_least"])
@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_never_compared(comparator: str, number: float) -> None:
    assert said(value(number, comparator)) == (
        INCONCLUSIVE,
        Reason.NOT_A_NUMBER,
        f"the query gave {number}; often this is 0/0, no traffic",
    )


def test_no_series_is_no_data() -> None:
    assert said(judge_value([], None, VALUE)) == (
        INCONCLUSIVE,
        Reason.NO_DATA,
        "the query gave no series; check the metric's name and the scrape",
    )


def test_several_series_are_not_one_value() -> None:
    several = [Series({"__name__": "x", "pod": name}, ((START, 1.0),)) for name in "dcba"]
    assert said(judge_value(several, None, VALUE)) == (
        INCONCLUSIVE,
        Reason.SEVERAL_SERIES,
        'the query gave 4 series (x{pod="a"}, x{pod="b"}, x{pod="c"}); aggregate them to one',
    )


def test_a_value_over_a_window_waits_for_the_window() -> None:
    result = value(1.0, window=YOUNG)
    assert (result.verdict, result.reason, result.ready_in) == (INCONCLUSIVE, Reason.WINDOW_NOT_ELAPSED, 1200)
    assert value(1.0, window=WINDOW).verdict is PASSED
    assert value(9.0, window=replace(WINDOW, start=START + STEP)).reason is Reason.WINDOW_NOT_ELAPSED
