"""Values over time against a baseline's: what passes, what breaches, and what missing points mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest

from pytest_rollout.judge.mann_whitney import Direction
from pytest_rollout.judge.points import Points, Sides, judge_points, points_between
from pytest_rollout.judge.samples import Series, Window
from pytest_rollout.verdict import CheckResult, Reason, Verdict
from tests.judge.evidence import LENGTH, SHARE, START, WINDOW

PASSED, BREACHED, INCONCLUSIVE, _ = Verdict
BASE = [10.0 + 0.1 * (place % 7) for place in range(20)]
TENTH = replace(SHARE, limit=0.1)


def side(values: Sequence[float], expected: int = 20) -> Points:
    return Points((Series({}, tuple((START + at, value) for at, value in enumerate(values))),), expected)


def judged(
    now: Sequence[float],
    base: Sequence[float] = BASE,
    *,
    direction: Direction = "increase",
    window: Window = WINDOW,
    expected: int = 20,
) -> CheckResult:
    return judge_points(Sides(side(now, expected), side(base, expected), direction), TENTH, window)


def moved(by: float) -> list[float]:
    return [value + by for value in BASE]


def test_the_same_values_pass_with_the_numbers_that_decided() -> None:
    result = judged(BASE)
    assert (result.verdict, result.reason) == (PASSED, Reason.WITHIN_LIMIT)
    assert result.message == (
        "shifted by -0.1 to 0.1 against a baseline of 10.3 (Kayenta's label: Pass), at most 10 % worse is allowed"
    )
    assert (result.value, result.limit, result.samples, result.window) == (0.0, 0.1, 20, WINDOW.bounds)
    assert result.derivation == {
        "rule": "Mann-Whitney, both shifts bounded",
        "confidence": 0.95,
        "label": "Pass",
        "effect": 1.0,
        "points": {"now": {"found": 20, "expected": 20}, "baseline": {"found": 20, "expected": 20}},
    }


@pytest.mark.parametrize(
    ("by", "direction", "verdict"),
    [
        (3.0, "increase", BREACHED),
        (3.0, "decrease", PASSED),
        (3.0, "either", BREACHED),
        (-3.0, "increase", PASSED),
        (-3.0, "decrease", BREACHED),
        (-3.0, "either", BREACHED),
        (0.5, "increase", PASSED),
        (1.02, "increase", INCONCLUSIVE),
    ],
)
def test_the_direction_decides_what_is_worse(by: float, direction: Direction, verdict: Verdict) -> None:
    assert judged(moved(by), direction=direction).verdict is verdict


def test_values_that_vary_too_much_do_not_decide() -> None:
    result = judged(moved(1.02))
    assert result.reason is Reason.TOO_FEW_SAMPLES
    assert result.message.endswith("; the points vary too much to tell; ask for a longer window")
    assert result.ready_in == LENGTH


def test_too_few_points_say_how_many_are_needed() -> None:
    result = judged(BASE[:3], BASE[:3], expected=3)
    assert (result.verdict, result.reason, result.value) == (INCONCLUSIVE, Reason.TOO_FEW_SAMPLES, None)
    assert result.message.endswith("; each side needs at least 4 points, 3 are there")


@pytest.mark.parametrize(("lost", "verdict"), [(1, PASSED), (15, INCONCLUSIVE)])
def test_missing_points_count_against_the_release(lost: int, verdict: Verdict) -> None:
    assert judged(BASE[lost:]).verdict is verdict
    assert judged(BASE, BASE[lost:]).verdict is verdict


@pytest.mark.parametrize("lost", range(1, 20))
def test_the_worst_points_cannot_be_lost_to_pass(lost: int) -> None:
    some = [*BASE[:10], *moved(9.0)[10:]]
    assert judged(some).verdict is not PASSED
    assert judged(some[:-lost]).verdict is not PASSED


def test_points_that_are_no_numbers_are_missing() -> None:
    result = judged([math.nan] * 15 + BASE[15:])
    assert result.verdict is INCONCLUSIVE
    assert result.derivation["points"]["now"] == {"found": 5, "expected": 20}


def test_looked_at_again_more_is_needed() -> None:
    again = judged(BASE, window=replace(WINDOW, epoch=1))
    assert again.verdict is PASSED
    assert again.derivation["confidence"] == pytest.approx(1 - 0.05 * 6 / math.pi**2)


def test_a_young_window_waits_but_does_not_excuse_a_breach() -> None:
    young = Window(START, START + 600, LENGTH)
    assert (judged(BASE, window=young).reason, judged(BASE, window=young).ready_in) == (
        Reason.WINDOW_NOT_ELAPSED,
        1200,
    )
    assert judged(moved(3), window=young).verdict is BREACHED
    assert judged([], window=young).reason is Reason.WINDOW_NOT_ELAPSED


@pytest.mark.parametrize(("empty", "name"), [("now", "the query"), ("base", "the baseline's query")])
def test_no_points_are_no_data(empty: str, name: str) -> None:
    result = judged([] if empty == "now" else BASE, [math.nan] if empty == "base" else BASE)
    assert (result.verdict, result.reason) == (INCONCLUSIVE, Reason.NO_DATA)
    assert result.message == f"{name} gave no numbers; check the metric's name, the traffic and the scrape"


def test_several_series_are_not_one() -> None:
    two = Points(tuple(Series({"pod": name}, ((START, 1.0),)) for name in "ba"), 20)
    result = judge_points(Sides(side(BASE), two, "either"), TENTH, WINDOW)
    assert (result.verdict, result.reason) == (INCONCLUSIVE, Reason.SEVERAL_SERIES)
    assert result.message == """the baseline's query gave 2 series ({pod="a"}, {pod="b"}); aggregate them to one"""


@pytest.mark.parametrize(("step", "expected"), [(60.0, 30), (59.0, 31), (3600.0, 1), (10_000.0, 1)])
def test_a_window_says_how_many_points_there_should_be(step: float, expected: int) -> None:
    assert points_between([Series({}, ())], WINDOW, step).expected == expected
