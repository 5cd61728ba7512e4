"""One verdict out of several series, periods in a row, or pairs of windows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest

from pytest_rollout.judge.several import BurnWindow, Quantifier, Row, judge_burn, judge_row, judge_several, period_tail
from pytest_rollout.verdict import CheckResult, Reason, Verdict, inconclusive

OK = CheckResult(verdict=Verdict.PASSED, reason=Reason.WITHIN_LIMIT, message="fine")
BAD = CheckResult(verdict=Verdict.BREACHED, reason=Reason.LIMIT_BREACHED, message="too many")
EARLY = inconclusive(Reason.WINDOW_NOT_ELAPSED, "too early", ready_in=90.0)
LATER = inconclusive(Reason.COVERAGE, "a hole", ready_in=300.0)
FINAL = inconclusive(Reason.RESTART, "restarted")
BROKEN = CheckResult(verdict=Verdict.ERROR, reason=Reason.BAD_ANSWER, message="no JSON")
ALL = Quantifier(None, 1)
PASSED, BREACHED, INCONCLUSIVE, ERROR = Verdict


def several(*results: CheckResult, quantifier: Quantifier = ALL) -> CheckResult:
    return judge_several(dict(zip("abcdefgh", results, strict=False)), quantifier)


def said(result: CheckResult) -> tuple[Verdict, Reason, str]:
    return result.verdict, result.reason, result.message


SEVERAL: dict[str, tuple[CheckResult, Verdict, str]] = {
    "all pass": (several(OK, OK), PASSED, "2 of 2 pass, all must: a: fine; b: fine"),
    "one breaches": (several(OK, BAD, OK), BREACHED, "1 of 3 breach, all must pass: b: too many"),
    "one breaches, another is open": (several(EARLY, BAD), BREACHED, "1 of 2 breach, all must pass: b: too many"),
    "one is open": (several(OK, EARLY), INCONCLUSIVE, "1 of 2 pass, all must; undecided: b: too early"),
    "one is broken": (several(OK, BROKEN), ERROR, "1 of 2 pass, all must; undecided: b: no JSON"),
    "what has to be mended is told first": (
        several(EARLY, FINAL, LATER),
        INCONCLUSIVE,
        "0 of 3 pass, all must; undecided: b: restarted; a: too early; c: a hole",
    ),
    "no more than three are named": (
        several(*[OK] * 5),
        PASSED,
        "5 of 5 pass, all must: a: fine; b: fine; c: fine and 2 more",
    ),
    "enough pass": (
        several(OK, BAD, EARLY, OK, quantifier=Quantifier(2, 1)),
        PASSED,
        "2 of 4 pass, at least 2 must: a: fine; d: fine",
    ),
    "enough may still pass": (
        several(OK, BAD, EARLY, quantifier=Quantifier(2, 1)),
        INCONCLUSIVE,
        "1 of 3 pass, at least 2 must; undecided: c: too early",
    ),
    "too many breach": (
        several(OK, BAD, BAD, quantifier=Quantifier(2, 1)),
        BREACHED,
        "2 of 3 breach, at least 2 must pass: b: too many; c: too many",
    ),
}


@pytest.mark.parametrize(("found", "verdict", "message"), SEVERAL.values(), ids=SEVERAL)
def test_several_are_judged_by_a_quantifier(found: CheckResult, verdict: Verdict, message: str) -> None:
    assert (found.verdict, found.message) == (verdict, message)


def test_several_tell_each_and_wait_for_the_last() -> None:
    result = several(EARLY, LATER, OK)
    assert (result.ready_in, result.may_still_arrive) == (300.0, True)
    assert result.derivation == {
        "rule": "quantifier: all",
        "expected": 1,
        "each": {"a": EARLY.to_dict(), "b": LATER.to_dict(), "c": OK.to_dict()},
    }


@pytest.mark.parametrize(
    ("results", "quantifier", "shown"),
    [
        ([OK], Quantifier(None, 2), "1 of at least 2 expected are there (a)"),
        ([], ALL, "0 of at least 1 expected are there (none)"),
        ([OK] * 4, Quantifier(1, 5), "4 of at least 5 expected are there (a, b, c)"),
        ([OK], Quantifier(2, 1), "1 of at least 2 expected are there (a)"),
        ([BAD], Quantifier(1, 2), "1 of at least 2 expected are there (a)"),
    ],
)
def test_a_series_that_is_expected_and_missing_is_no_pass(
    results: list[CheckResult], quantifier: Quantifier, shown: str
) -> None:
    assert said(several(*results, quantifier=quantifier)) == (
        INCONCLUSIVE,
        Reason.SERIES_MISSING,
        f"{shown}; find out which one vanished",
    )


# --- periods in a row -------------------------------------------------------------------------------------------


def in_row(*results: CheckResult, wanted: int = 3, periods: int = 3) -> CheckResult:
    return judge_row(results, Row(wanted, periods, 60.0))


ROWS: dict[str, tuple[CheckResult, Verdict, Reason, str, float | None]] = {
    "enough": (
        in_row(OK, OK, OK),
        PASSED,
        Reason.WITHIN_LIMIT,
        "3 of the latest 3 periods of 1 min pass, 3 must",
        None,
    ),
    "only the latest count": (
        in_row(BAD, OK, OK, OK),
        PASSED,
        Reason.WITHIN_LIMIT,
        "3 of the latest 3 periods of 1 min pass, 3 must",
        None,
    ),
    "most are enough": (
        in_row(OK, BAD, OK, wanted=2),
        PASSED,
        Reason.WITHIN_LIMIT,
        "2 of the latest 3 periods of 1 min pass, 2 must",
        None,
    ),
    "the latest breach": (
        in_row(OK, OK, BAD),
        BREACHED,
        Reason.LIMIT_BREACHED,
        "2 of the latest 3 periods of 1 min pass, 3 must; last breach: too many",
        None,
    ),
    "the latest that is decided breaches": (
        in_row(OK, BAD, EARLY),
        BREACHED,
        Reason.LIMIT_BREACHED,
        "1 of the latest 3 periods of 1 min pass, 3 must; last breach: too many",
        None,
    ),
    "an old breach begins anew": (
        in_row(OK, BAD, OK),
        INCONCLUSIVE,
        Reason.TOO_FEW_PASSES,
        "2 of the latest 3 periods of 1 min pass, 3 must; the streak is still short",
        120.0,
    ),
    "too many old breaches": (
        in_row(BAD, BAD, OK, wanted=2),
        BREACHED,
        Reason.LIMIT_BREACHED,
        "1 of the latest 3 periods of 1 min pass, 2 must; last breach: too many",
        None,
    ),
    "held by one that waits": (
        in_row(OK, OK, EARLY),
        INCONCLUSIVE,
        Reason.TOO_FEW_PASSES,
        "2 of the latest 3 periods of 1 min pass, 3 must; held by: too early",
        180.0,
    ),
    "held by one that has to be mended": (
        in_row(OK, FINAL, EARLY),
        INCONCLUSIVE,
        Reason.RESTART,
        "1 of the latest 3 periods of 1 min pass, 3 must; held by: restarted",
        None,
    ),
    "held by what is broken": (
        in_row(OK, BROKEN, OK),
        ERROR,
        Reason.BAD_ANSWER,
        "2 of the latest 3 periods of 1 min pass, 3 must; held by: no JSON",
        None,
    ),
    "too young": (
        in_row(OK, OK),
        INCONCLUSIVE,
        Reason.TOO_FEW_PASSES,
        "2 of the latest 2 periods of 1 min pass, 3 must; the streak is still short",
        60.0,
    ),
}


@pytest.mark.parametrize(("found", "verdict", "reason", "message", "ready"), ROWS.values(), ids=ROWS)
def test_a_streak_is_judged_by_its_periods(
    found: CheckResult, verdict: Verdict, reason: Reason, message: str, ready: float | None
) -> None:
    assert said(found) == (verdict, reason, message)
    assert found.ready_in == ready


def test_a_streak_tells_its_periods() -> None:
    assert in_row(BAD, OK, OK, EARLY).derivation == {
        "rule": "3 of 3 periods",
        "periods": [OK.to_dict(), OK.to_dict(), EARLY.to_dict()],
    }


# --- burn rates -------------------------------------------------------------------------------------------------


def burn(*pairs: tuple[CheckResult, CheckResult]) -> CheckResult:
    return judge_burn([BurnWindow(f"pair {place}", *pair) for place, pair in enumerate(pairs)])


def told(message: str, verdict: CheckResult) -> CheckResult:
    return replace(verdict, message=message)


LONG, SHORT = told("long burns", BAD), told("short burns", BAD)
CALM, STILL = told("long is calm", OK), told("short is calm", OK)
BURNS: dict[str, tuple[Sequence[tuple[CheckResult, CheckResult]], Verdict, str]] = {
    "both burn": ([(LONG, SHORT)], BREACHED, "the budget burns, pair 0: long burns; short burns"),
    "only the long burns": ([(LONG, STILL)], PASSED, "no pair of windows burns: pair 0: short is calm"),
    "only the short burns": ([(CALM, SHORT)], PASSED, "no pair of windows burns: pair 0: long is calm"),
    "nothing burns": ([(CALM, STILL)], PASSED, "no pair of windows burns: pair 0: long is calm"),
    "the long burns, the short is open": ([(LONG, EARLY)], INCONCLUSIVE, "pair 0 is undecided: too early"),
    "the short burns, the long is open": ([(EARLY, SHORT)], INCONCLUSIVE, "pair 0 is undecided: too early"),
    "both are open": ([(EARLY, LATER)], INCONCLUSIVE, "pair 0 is undecided: a hole"),
    "one is calm, the other open": ([(CALM, EARLY)], PASSED, "no pair of windows burns: pair 0: long is calm"),
    "a later pair burns": (
        [(CALM, STILL), (LONG, SHORT)],
        BREACHED,
        "the budget burns, pair 1: long burns; short burns",
    ),
    "one burns, another is open": (
        [(EARLY, EARLY), (LONG, SHORT)],
        BREACHED,
        "the budget burns, pair 1: long burns; short burns",
    ),
    "a later pair is open": ([(CALM, STILL), (EARLY, SHORT)], INCONCLUSIVE, "pair 1 is undecided: too early"),
    "broken": ([(BROKEN, BROKEN)], ERROR, "pair 0 is undecided: no JSON"),
}


@pytest.mark.parametrize(("pairs", "verdict", "message"), BURNS.values(), ids=BURNS)
def test_a_budget_burns_if_both_windows_of_a_pair_do(
    pairs: Sequence[tuple[CheckResult, CheckResult]], verdict: Verdict, message: str
) -> None:
    result = burn(*pairs)
    assert (result.verdict, result.message) == (verdict, message)
    assert result.derivation["pairs"]["pair 0"]["long"] == pairs[0][0].to_dict()


@pytest.mark.parametrize(
    ("row", "number", "wanted"),
    [
        (Row(3, 3, 60.0), 1, 0.025),  # three false passes in a row are rarer than what is promised
        (Row(2, 2, 60.0), 100, (0.025 * 6 / math.pi**2 / 100**2) ** 0.5),
        (Row(2, 3, 60.0), 100, (0.025 * 6 / math.pi**2 / 100**2 / 3) ** 0.5),  # three ways to have two of three
        (Row(5, 5, 60.0, shared=30), 100, 0.025 * 6 / math.pi**2 / 100**2),  # all five look at the same requests
        (Row(4, 4, 60.0, shared=2), 100, (0.025 * 6 / math.pi**2 / 100**2) ** 0.5),
    ],
)
def test_a_streak_is_as_sure_as_promised_however_many_ends_it_has(row: Row, number: int, wanted: float) -> None:
    assert period_tail(0.025, row, number) == pytest.approx(wanted)
