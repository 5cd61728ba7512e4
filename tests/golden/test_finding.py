"""A verdict from any number of findings, and the words for people."""

from __future__ import annotations

from pytest_rollout.golden.exact import MISSING
from pytest_rollout.golden.finding import Finding, doubt, judged, lines, shown
from pytest_rollout.verdict import Reason, Verdict

BREACH = Finding(pointer="/a", kind="value", expected="1", actual="2", rule="golden", mode="off", instance="http://a")
OPEN = doubt("#mode", Reason.NOT_RUN, "x", "y", "mode")
STALE = Finding(
    pointer="/b", kind="stale", expected="x", actual="y", rule="r", verdict=Verdict.ERROR, reason=Reason.STALE_MATCHER
)


def test_nothing_found_is_a_pass() -> None:
    result = judged([], "as expected")
    assert (result.verdict, result.reason, result.message) == (Verdict.PASSED, Reason.WITHIN_LIMIT, "as expected")


def test_the_worst_finding_decides_and_is_told_first() -> None:
    assert judged([OPEN, STALE, BREACH], "").verdict is Verdict.BREACHED
    assert judged([OPEN, STALE], "").reason is Reason.STALE_MATCHER
    assert judged([OPEN], "").reason is Reason.NOT_RUN
    assert judged([OPEN, STALE, BREACH], "").message.splitlines() == [BREACH.line, STALE.line, OPEN.line]


def test_a_finding_in_a_line_and_in_builtins() -> None:
    assert BREACH.line == "off on http://a: /a: value: expected 1, got 2 [golden]"
    assert OPEN.line == "#mode: not-run: expected x, got y [mode]"
    assert BREACH.to_dict() == {
        "pointer": "/a", "kind": "value", "expected": "1", "actual": "2", "rule": "golden", "verdict": "breached",
        "reason": "golden-mismatch", "mode": "off", "instance": "http://a",
    }  # fmt: skip


def test_ten_are_told_and_all_are_counted() -> None:
    result = judged([BREACH] * 13, "")
    assert result.message.endswith("\n+3 more")
    assert (len(result.derivation["findings"]), result.derivation["more"]) == (10, 3)
    assert lines([BREACH] * 10).count("\n") == 9


def test_long_values_are_cut() -> None:
    assert shown(MISSING) == "nothing"
    assert shown("x" * 118) == '"' + "x" * 118 + '"'
    assert shown("x" * 119) == '"' + "x" * 119 + "... (121 characters)"
