"""Counters that must not rise, and bare values."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import replace

import pytest

from pytest_rollout.judge.demand import Demand, Restarts
from pytest_rollout.judge.lives import Watch
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
    A,
    counted,
    risen,
    steady,
    unscraped,
    watch,
)

PASSED, BREACHED, INCONCLUSIVE, _ = Verdict
FINE = watch()
YOUNG = Window(START + 1200, START + LENGTH, LENGTH)
LABELS = {"__name__": "rollbacks_total", "reason": "timeout", "job": "app", "instance": "a"}
QUIET = steady(0, LABELS, base=7)
SCRAPED = len(TIMES)
ROSE = (
    "rose by 1, at most 0 is allowed; first at 1970-01-01T03:01:40Z on "
    'rollbacks_total{instance="a",job="app",reason="timeout"}'
)
SEVERAL = (
    'the query gave 4 series (x{pod="a"}, x{pod="b"}, x{pod="c"}); aggregate them to one, or say quantifier: all '
    "and expect_series"
)
PERHAPS = (
    'rollbacks_total{instance="a",job="app",reason="timeout"} was 1 higher at 1970-01-01T02:46:55Z, in the window or '
    "before: the scrape that would tell is missing; let the window pass again"
)


def judged(*series: Series, seen: Watch = FINE, window: Window = WINDOW, demand: Demand = COUNT) -> CheckResult:
    return judge_counter(series, seen, window, demand)


def said(result: CheckResult) -> tuple[Verdict, Reason, str]:
    return result.verdict, result.reason, result.message


def test_a_counter_that_stays_passes_whatever_it_held_before() -> None:
    result = judged(QUIET)
    assert said(result) == (PASSED, Reason.WITHIN_LIMIT, "rose by 0, at most 0 is allowed")
    assert (result.value, result.limit, result.unit, result.samples) == (0.0, 0.0, "count", 120)
    assert result.window == (START, START + LENGTH)
    assert result.derivation == {
        "rule": "raw increments",
        "rises": [],
        "restarts": "hold",
        "charged_for_restarts": 0,
        "coverage": {"app/a": {"share": 1.0, "longest_gap": 15.0, "scrapes": 127}},
    }


def test_one_event_breaches_and_is_shown() -> None:
    result = judged(QUIET, risen(1, LABELS, base=7, at=61))
    assert said(result) == (
        BREACHED,
        Reason.LIMIT_BREACHED,
        ROSE,
    )
    assert result.derivation["rises"] == [
        {"after": 10_885.0, "at": 10_900.0, "by": 1, "labels": LABELS, "surely": True}
    ]


def test_the_first_event_is_the_first_in_time() -> None:
    late, early = risen(1, {"pod": "a"}, at=90), risen(2, {"pod": "b"}, at=30)
    assert (
        judged(late, early).message
        == 'rose by 3, at most 0 is allowed; first at 1970-01-01T02:53:55Z on {instance="a",job="app",pod="b"}'
    )
    assert judged(late, early) == judged(early, late)


@pytest.mark.parametrize(("by", "verdict"), [(2, PASSED), (3, PASSED), (4, BREACHED)])
def test_the_limit_itself_is_allowed(by: int, verdict: Verdict) -> None:
    result = judged(risen(by), demand=replace(COUNT, limit=3.0))
    assert (result.verdict, result.value) == (verdict, by)


def process(name: str) -> dict[str, str]:
    return {"__name__": "rollbacks_total", "instance": name}


def newborn(first: int, *names: str) -> Watch:
    """Return that process b was born shortly before a scrape, while others lived on."""
    others = watch(*names)
    up = counted([1.0] * (SCRAPED - first), {"instance": "b"}, first=first)
    started = counted([TIMES[first] - 5] * (SCRAPED - first), {"instance": "b"}, first=first)
    return replace(others, up=(*others.up, up), starts=(*others.starts, started), targets=watch(*names, "b").targets)


BESIDE = steady(0, {"__name__": "rollbacks_total", "reason": "other"})
"""Another series of the same process."""
# What increase() alone would miss: each of these hides its event from increase(x[window]) == 0.
HIDDEN: dict[str, tuple[list[Series], Watch]] = {
    "born at 1": ([BESIDE, counted([1] * SCRAPED, LABELS, first=50)], FINE),
    "born at 1 with a new process": (
        [steady(0, process("a")), counted([1] * SCRAPED, process("b"), first=50)],
        newborn(50, "a"),
    ),
    "born at the first sample of the window": ([BESIDE, counted([1] * SCRAPED, LABELS, first=2)], FINE),
    "born at the last sample of the window": ([BESIDE, counted([1], LABELS, first=121)], FINE),
    "born, seen once": ([BESIDE, counted([1], LABELS, first=50)], FINE),
    "a crash loop": ([counted([scrape % 2 for scrape in range(SCRAPED)])], FINE),
    "risen and reset": ([counted([0] * 50 + [1] + [0] * 71)], FINE),
    "risen with the first sample of the window": ([risen(1, at=2)], FINE),
    "risen with the last sample of the window": ([risen(1, at=121)], FINE),
    "reset and risen to where it was": ([counted([5] * 50 + [0] + [5] * 71)], FINE),
    "on one of ten processes": (
        [*(steady(0, process(name), base=3) for name in "abcdefghi"), risen(1, process("j"))],
        watch(*"abcdefghij"),
    ),
}


@pytest.mark.parametrize(("series", "seen"), HIDDEN.values(), ids=HIDDEN)
def test_no_event_is_missed(series: list[Series], seen: Watch) -> None:
    assert judged(*series, seen=seen).verdict is BREACHED


# What a cruder formula would take for an event.
QUIET_CASES: dict[str, tuple[list[Series], Watch]] = {
    "an old baseline": ([steady(0, base=500)], FINE),
    "risen before the window": ([risen(5, at=1)], FINE),
    "a process that comes with 0": (
        [steady(0, process("a")), counted([0] * SCRAPED, process("b"), first=50)],
        newborn(50, "a"),
    ),
    "a process that left long ago": (
        [steady(0, process("a"), base=3), replace(steady(9, process("b")), samples=((START - 90, 9.0),))],
        FINE,
    ),
}


@pytest.mark.parametrize(("series", "seen"), QUIET_CASES.values(), ids=QUIET_CASES)
def test_no_event_is_invented(series: list[Series], seen: Watch) -> None:
    assert said(judged(*series, seen=seen)) == (PASSED, Reason.WITHIN_LIMIT, "rose by 0, at most 0 is allowed")


# --- what does not decide -----------------------------------------------------------------------------------

STARTED = "process_start_time_seconds"
RESTARTED = (
    INCONCLUSIVE,
    Reason.RESTART,
    "app/a restarted inside the window, so increments may be lost; let the window pass again",
)
ANEW = replace(FINE, starts=(counted([500.0] * 50 + [TIMES[50] - 5] * 72, {"__name__": STARTED}),))


def test_a_restart_seen_in_the_counter_does_not_prove_a_zero() -> None:
    assert said(judged(counted([7] * 50 + [0] * 72))) == RESTARTED


def test_a_restart_seen_in_the_start_time_does_not_prove_a_zero() -> None:
    assert said(judged(QUIET, seen=ANEW)) == RESTARTED


def test_a_restart_does_not_excuse_an_event() -> None:
    assert judged(risen(1), seen=ANEW).verdict is BREACHED


def test_a_restart_can_be_charged_for_or_ignored() -> None:
    busy = counted([*range(50), *range(72)], LABELS)
    quiet = replace(COUNT, limit=120.0, restarts=Restarts.IGNORE)
    ignored = judged(busy, seen=ANEW, demand=quiet)
    assert (ignored.verdict, ignored.value, ignored.derivation["restarts"]) == (PASSED, 119.0, "ignore")
    charged = judged(busy, seen=ANEW, demand=replace(quiet, restarts=Restarts.CHARGE))
    assert (charged.verdict, charged.value, charged.derivation["charged_for_restarts"]) == (PASSED, 120.0, 1)
    assert said(judged(busy, seen=ANEW, demand=replace(quiet, limit=119.0, restarts=Restarts.CHARGE))) == (
        INCONCLUSIVE,
        Reason.RESTART,
        "1 more may be lost with processes that ended; let the window pass again",
    )


def test_an_event_in_the_window_or_before_holds() -> None:
    late = unscraped(risen(1, LABELS, at=2), -1, 15)
    seen = replace(FINE, up=(unscraped(FINE.up[0], -1, 15),))
    result = judged(late, seen=seen)
    assert said(result) == (
        INCONCLUSIVE,
        Reason.COVERAGE,
        PERHAPS,
    )
    assert result.ready_in == 15.0
    assert [rise["surely"] for rise in result.derivation["rises"]] == [False]


def test_a_counter_that_was_never_born_proves_nothing_unless_every_process_has_it() -> None:
    assert said(judged()) == (
        INCONCLUSIVE,
        Reason.NO_DATA,
        "no series matches, and no process exports such a metric; a counter that was never born proves nothing",
    )
    assert judged(window=YOUNG).reason is Reason.WINDOW_NOT_ELAPSED
    assert judged(seen=replace(watch("a", "b"), exporters=frozenset({A}))).reason is Reason.NO_DATA
    assert judged(seen=replace(FINE, exporters=frozenset({A}))).verdict is PASSED
    assert judged(seen=Watch(exporters=frozenset({A}))).verdict is INCONCLUSIVE
    assert judged(seen=replace(FINE, exporters=frozenset({A}), counted=1)).reason is Reason.PARTIAL_DATA


def test_shortly_after_the_flip_a_zero_proves_nothing_and_a_one_everything() -> None:
    result = judged(QUIET, window=YOUNG)
    assert (result.verdict, result.reason, result.ready_in) == (INCONCLUSIVE, Reason.WINDOW_NOT_ELAPSED, 1200)
    assert judged(risen(1, at=110), window=YOUNG).verdict is BREACHED


def test_what_was_not_scraped_proves_nothing() -> None:
    away = replace(FINE, up=(unscraped(FINE.up[0], 600, 900),))
    assert judged(unscraped(QUIET, 600, 900), seen=away).reason is Reason.COVERAGE
    assert judged(unscraped(QUIET, 1500, 1801)).reason is Reason.COVERAGE


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
        SEVERAL,
    )


def test_a_value_over_a_window_waits_for_the_window() -> None:
    result = value(1.0, window=YOUNG)
    assert (result.verdict, result.reason, result.ready_in) == (INCONCLUSIVE, Reason.WINDOW_NOT_ELAPSED, 1200)
    assert value(1.0, window=WINDOW).verdict is PASSED
    assert value(9.0, window=replace(WINDOW, start=START + STEP)).reason is Reason.WINDOW_NOT_ELAPSED
