"""Runs of canaries and readings of flags: what a record proves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pytest_rollout.judge.history import (
    CanaryRun,
    Conditions,
    FlagReading,
    Passes,
    due_at,
    is_same,
    judge_canary,
    judge_flags,
    streak,
)
from pytest_rollout.verdict import CheckResult, Reason, Verdict

NOW = 1000.0
ONCE, TWICE, FIVE = Passes(1, 0.0), Passes(2, 30.0), Passes(5, 120.0)
PASSED, BREACHED, INCONCLUSIVE, ERROR = Verdict
NOW_AND_HERE = Conditions("p1", {"READS@admin": True, "PORTAL@*": False})
FLAGS_NOW: dict[str, bool | None] = {"READS@admin": True, "PORTAL@*": False, "OTHER@*": True}


def run(at: float, outcome: str = "ok", *, plan: str = "p1", **flags: bool | None) -> CanaryRun:
    return CanaryRun(
        run_id=f"r{at:g}",
        canary="c",
        started_at=at,
        ended_at=at + 1,
        outcome=outcome,
        message=f"{outcome} at {at:g}",
        attachments=(f"{at:g}.png",),
        plan=plan,
        flags=FLAGS_NOW | {f"{name}@admin" if name == "READS" else f"{name}@*": value for name, value in flags.items()},
    )


def runs(*times: float, **others: str) -> list[CanaryRun]:
    """Return passes at these times, and other outcomes at ``t5=...``, as a log has them if all clocks agree."""
    found = [*map(run, times), *(run(float(name[1:]), outcome) for name, outcome in others.items())]
    return sorted(found, key=lambda one: one.started_at)


@pytest.mark.parametrize(
    ("recorded", "since", "expected"),
    [
        ([], 0.0, []),
        (runs(10, 20, 30), 0.0, [10, 20, 30]),
        ([run(10), run(5, "failed"), run(20)], 0.0, [20]),
        ([run(10), run(20), run(5, "failed")], 7.0, []),
        ([run(30), run(10), run(20)], 0.0, [30, 10, 20]),
        (runs(10, 20, 30), 15.0, [20, 30]),
        (runs(10, 20, 30), 20.0, [20, 30]),
        (runs(10, 30, 40, t20="failed"), 0.0, [30, 40]),
        (runs(10, 30, 40, t20="error"), 0.0, [30, 40]),
        (runs(10, 20, t30="failed"), 0.0, []),
        (runs(10, 20, t30="error"), 0.0, []),
        (runs(10, 30, t20="unheard of"), 0.0, [30]),
    ],
)
def test_only_passes_in_a_row_count(recorded: list[CanaryRun], since: float, expected: list[float]) -> None:
    assert [one.started_at for one in streak(recorded, since, NOW_AND_HERE)] == expected


# recorded, passes, since -> verdict, reason, message, ready_in
CANARIES: dict[str, tuple[list[CanaryRun], Passes, float, tuple[Verdict, Reason, str, float | None]]] = {
    "once": (runs(900), ONCE, 0, (PASSED, Reason.WITHIN_LIMIT, "passed 1 of 1 times in a row", None)),
    "twice, apart": (
        runs(900, 930),
        TWICE,
        0,
        (PASSED, Reason.WITHIN_LIMIT, "passed 2 of 2 times in a row, 30 s apart", None),
    ),
    "more often than needed": (
        runs(890, 900, 930),
        TWICE,
        0,
        (PASSED, Reason.WITHIN_LIMIT, "passed 3 of 2 times in a row, 40 s apart", None),
    ),
    "never": (
        [],
        ONCE,
        0,
        (
            INCONCLUSIVE,
            Reason.TOO_FEW_PASSES,
            "passed 0 times in a row, 1 passes are needed; next run in 0 ms",
            0.0,
        ),
    ),
    "only before the flip": (
        runs(900, 930),
        TWICE,
        940,
        (
            INCONCLUSIVE,
            Reason.TOO_FEW_PASSES,
            "passed 0 times in a row, 2 passes at least 30 s apart are needed; next run in 0 ms",
            0.0,
        ),
    ),
    "once of twice": (
        runs(990),
        TWICE,
        0,
        (
            INCONCLUSIVE,
            Reason.TOO_FEW_PASSES,
            "passed 1 times in a row, 2 passes at least 30 s apart are needed; next run in 20 s",
            20.0,
        ),
    ),
    "twice, but too close": (
        runs(980, 990),
        TWICE,
        0,
        (
            INCONCLUSIVE,
            Reason.TOO_FEW_PASSES,
            "passed 2 times in a row, 2 passes at least 30 s apart are needed; next run in 20 s",
            20.0,
        ),
    ),
    "the next one is overdue": (
        runs(900),
        TWICE,
        0,
        (
            INCONCLUSIVE,
            Reason.TOO_FEW_PASSES,
            "passed 1 times in a row, 2 passes at least 30 s apart are needed; next run in 0 ms",
            0.0,
        ),
    ),
    "failed last": (runs(900, 930, t950="failed"), TWICE, 0, (BREACHED, Reason.CANARY_FAILED, "failed at 950", None)),
    "failed, then enough passes": (
        runs(900, 930, t850="failed"),
        TWICE,
        0,
        (PASSED, Reason.WITHIN_LIMIT, "passed 2 of 2 times in a row, 30 s apart", None),
    ),
    "failed in between": (
        runs(900, 990, t950="failed"),
        TWICE,
        0,
        (
            INCONCLUSIVE,
            Reason.TOO_FEW_PASSES,
            "passed 1 times in a row, 2 passes at least 30 s apart are needed; next run in 20 s",
            20.0,
        ),
    ),
    "failed before the flip": (
        runs(970, t900="failed"),
        ONCE,
        950,
        (PASSED, Reason.WITHIN_LIMIT, "passed 1 of 1 times in a row", None),
    ),
    "broken last": (runs(900, t950="error"), ONCE, 0, (ERROR, Reason.CANARY_ERROR, "error at 950", None)),
    "of an outcome that is not known": (runs(t950="fine"), ONCE, 0, (ERROR, Reason.CANARY_ERROR, "fine at 950", None)),
}


@pytest.mark.parametrize(("recorded", "passes", "since", "expected"), CANARIES.values(), ids=CANARIES)
def test_a_canary_is_judged_by_its_runs(
    recorded: list[CanaryRun], passes: Passes, since: float, expected: tuple[Verdict, Reason, str, float | None]
) -> None:
    result = judge_canary(recorded, passes, since, NOW, NOW_AND_HERE)
    assert (result.verdict, result.reason, result.message, result.ready_in) == expected


def test_a_canary_shows_its_runs_since_the_flip_and_the_pictures_of_the_last() -> None:
    result = judge_canary(runs(900, 930, t850="failed"), TWICE, 860, NOW, NOW_AND_HERE)
    assert (result.value, result.limit, result.unit, result.samples) == (2.0, 2.0, "passes", 2)
    assert (result.window, result.attachments) == ((860, NOW), ("930.png",))
    assert result.derivation == {
        "rule": "passes in a row",
        "plan": "p1",
        "flags": {"READS@admin": True, "PORTAL@*": False},
        "runs": [
            {"run": "r900", "started_at": 900, "outcome": "ok", "message": "ok at 900", "why_not": ""},
            {"run": "r930", "started_at": 930, "outcome": "ok", "message": "ok at 930", "why_not": ""},
        ],
    }


# --- under which conditions a pass counts ----------------------------------------------------------------------

MORE = "2 passes at least 30 s apart are needed"
OTHER_PLAN, READS_OFF, UNREAD = run(910, plan="p2"), run(910, READS=False), run(910, PORTAL=None)
NO_PLAN, UNKNOWN_FLAG = run(910, plan=""), replace(run(910), flags={"READS@admin": True})
STRANGERS = {
    "of another plan": ([OTHER_PLAN], "1 pass does not count: 1 under another plan version"),
    "of no plan": ([NO_PLAN], "1 pass does not count: 1 under another plan version"),
    "with another flag": ([READS_OFF], "1 pass does not count: 1 while READS@admin was False"),
    "with a flag that was not evaluated": ([UNREAD], "1 pass does not count: 1 while PORTAL@* was unknown"),
    "with a flag that was not read": ([UNKNOWN_FLAG], "1 pass does not count: 1 while PORTAL@* was unknown"),
    "several": (
        [OTHER_PLAN, replace(READS_OFF, started_at=911), replace(OTHER_PLAN, run_id="x", started_at=912)],
        "3 passes do not count: 2 under another plan version, 1 while READS@admin was False",
    ),
}


@pytest.mark.parametrize(("strangers", "said"), STRANGERS.values(), ids=STRANGERS)
def test_a_pass_under_other_conditions_breaks_the_row(strangers: list[CanaryRun], said: str) -> None:
    strangers = [replace(one, run_id=f"s{place}") for place, one in enumerate(strangers)]
    result = judge_canary([run(900), *strangers, run(940)], TWICE, 0, NOW, NOW_AND_HERE)
    assert (result.verdict, result.reason, result.value) == (INCONCLUSIVE, Reason.TOO_FEW_PASSES, 1.0)
    assert result.message == f"passed 1 times in a row, {MORE}; {said}; next run in 0 ms"
    shown = [one["why_not"] for one in result.derivation["runs"]]
    assert [shown[0], shown[-1]] == ["", ""]
    assert all(shown[1:-1])


@pytest.mark.parametrize(("strangers", "said"), STRANGERS.values(), ids=STRANGERS)
def test_a_pass_under_other_conditions_does_not_count_when_it_is_the_newest(
    strangers: list[CanaryRun], said: str
) -> None:
    strangers = [replace(one, run_id=f"s{place}") for place, one in enumerate(strangers)]
    result = judge_canary([run(870), run(900), *strangers], TWICE, 0, NOW, NOW_AND_HERE)
    assert result.message == f"passed 0 times in a row, {MORE}; {said}; next run in 0 ms"


def test_a_pass_says_what_did_not_count_before_it() -> None:
    result = judge_canary([OTHER_PLAN, run(930), run(960)], TWICE, 0, NOW, NOW_AND_HERE)
    assert result.verdict is PASSED
    said = "passed 2 of 2 times in a row, 30 s apart; 1 pass does not count: 1 under another plan version"
    assert result.message == said


@pytest.mark.parametrize("other", [{"plan": "p2"}, {"plan": ""}, {"READS": False}, {"READS": None}])
@pytest.mark.parametrize(("outcome", "verdict"), [("failed", BREACHED), ("error", ERROR)])
def test_what_failed_has_failed_under_any_conditions(other: dict[str, Any], outcome: str, verdict: Verdict) -> None:
    result = judge_canary([run(900), run(930), run(950, outcome, **other)], TWICE, 0, NOW, NOW_AND_HERE)
    assert (result.verdict, result.message) == (verdict, f"{outcome} at 950")


def test_flags_that_the_stage_does_not_want_may_be_anything() -> None:
    result = judge_canary([run(900, OTHER=None), run(930, OTHER=False)], TWICE, 0, NOW, NOW_AND_HERE)
    assert result.verdict is PASSED


def test_a_plan_that_nobody_knows_has_no_passes() -> None:
    assert judge_canary([run(900, plan="")], ONCE, 0, NOW, Conditions("", {})).verdict is INCONCLUSIVE


@pytest.mark.parametrize(("outcome", "verdict"), [("failed", BREACHED), ("error", ERROR)])
def test_the_run_that_was_recorded_last_is_the_newest(outcome: str, verdict: Verdict) -> None:
    """Another machine's clock may be behind, and this one's may have been set back."""
    recorded = [run(930), run(940), run(920, outcome)]
    assert judge_canary(recorded, ONCE, 0, NOW, NOW_AND_HERE).verdict is verdict
    assert judge_canary(recorded, ONCE, 925, NOW, NOW_AND_HERE).verdict is INCONCLUSIVE
    assert judge_canary([*recorded, run(935)], ONCE, 925, NOW, NOW_AND_HERE).verdict is PASSED


def test_passes_whose_clocks_differ_are_not_apart() -> None:
    assert judge_canary([run(990), run(930)], TWICE, 0, NOW, NOW_AND_HERE).verdict is INCONCLUSIVE
    assert judge_canary([run(990), run(930)], Passes(2, 0.0), 0, NOW, NOW_AND_HERE).verdict is PASSED


@pytest.mark.parametrize(
    ("good", "passes", "due"),
    [
        ([], TWICE, NOW),
        ([990], TWICE, 1020),
        ([900], TWICE, 930),
        ([980, 990], TWICE, 1020),
        ([900], FIVE, NOW),
        ([990], FIVE, 1020),
        ([900, 990], FIVE, 1020),
        ([900, 930, 960], FIVE, NOW),
        ([930, 960, 990], FIVE, 1020),
        ([870, 880, 890, 980], FIVE, 1010),
        ([950, 960, 970, 980], FIVE, 1070),
    ],
)
def test_runs_are_spread_evenly_and_the_last_completes_the_spread(
    good: list[float], passes: Passes, due: float
) -> None:
    assert due_at([run(at) for at in good], passes, NOW) == due


# --- flags ---------------------------------------------------------------------------------------------------

WANTED = {"READS": True, "PORTAL": False}


def reading(
    flag: str, *, value: bool | str | None = True, changed_at: float | None = 500.0, fault: str = ""
) -> FlagReading:
    return FlagReading(flag=flag, cohort="admin", value=value, reason="STATIC", changed_at=changed_at, fault=fault)


READS, PORTAL = reading("READS"), reading("PORTAL", value=False)
BLIND = reading("READS", value=None, fault="HTTP 503")
BLIND_DEFAULT = reading("PORTAL", value=False, fault="HTTP 503")
UNDATED = reading("READS", changed_at=None)
WRONG = reading("PORTAL", value=True)
UNKNOWN_FLIP = (
    "the flag service does not say when READS was changed, so no window can begin there; "
    "give the time of the flip with --rollout-flipped-at"
)
NO_BOOLEAN = "is not a boolean, and the plan wants True; texts have quotes in a plan"
FLAGS: dict[str, tuple[list[FlagReading], tuple[Verdict, Reason, str]]] = {
    "as wanted": (
        [READS, PORTAL],
        (PASSED, Reason.WITHIN_LIMIT, "READS is True for 'admin', PORTAL is False for 'admin'"),
    ),
    "one is wrong": (
        [READS, WRONG],
        (BREACHED, Reason.FLAG_MISMATCH, "PORTAL is True for 'admin', expected False"),
    ),
    "one is wrong, another blind": (
        [BLIND, WRONG],
        (BREACHED, Reason.FLAG_MISMATCH, "PORTAL is True for 'admin', expected False"),
    ),
    "one is blind": (
        [BLIND, PORTAL],
        (ERROR, Reason.FLAG_NOT_EVALUATED, "READS was not evaluated: HTTP 503"),
    ),
    "blind with the wanted value": (
        [READS, BLIND_DEFAULT],
        (ERROR, Reason.FLAG_NOT_EVALUATED, "PORTAL was not evaluated: HTTP 503"),
    ),
    "flip unknown": ([UNDATED, PORTAL], (INCONCLUSIVE, Reason.FLIP_UNKNOWN, UNKNOWN_FLIP)),
    "one was not read": ([READS], (ERROR, Reason.FLAG_NOT_EVALUATED, "PORTAL was not read")),
    "none was read": ([], (ERROR, Reason.FLAG_NOT_EVALUATED, "PORTAL was not read")),
    "a value that is none": (
        [reading("READS", value=None), PORTAL],
        (ERROR, Reason.FLAG_NOT_EVALUATED, f"READS was not evaluated: the value None {NO_BOOLEAN}"),
    ),
    "a text like a boolean": (
        [reading("READS", value="true"), PORTAL],
        (ERROR, Reason.FLAG_NOT_EVALUATED, f"READS was not evaluated: the value 'true' {NO_BOOLEAN}"),
    ),
}


@pytest.mark.parametrize(("readings", "expected"), FLAGS.values(), ids=FLAGS)
def test_flags_are_judged_by_what_was_read_back(
    readings: list[FlagReading], expected: tuple[Verdict, Reason, str]
) -> None:
    result = judge_flags(WANTED, readings, NOW)
    assert (result.verdict, result.reason, result.message) == expected


NO_TEXT = "is not a text, and the plan wants 'off'; booleans have no quotes in a plan"
TEXTS: dict[str, tuple[bool | str | None, tuple[Verdict, Reason, str]]] = {
    "as wanted": ("off", (PASSED, Reason.WITHIN_LIMIT, "MODE is 'off' for 'admin'")),
    "another": ("warn", (BREACHED, Reason.FLAG_MISMATCH, "MODE is 'warn' for 'admin', expected 'off'")),
    "in other letters": ("OFF", (BREACHED, Reason.FLAG_MISMATCH, "MODE is 'OFF' for 'admin', expected 'off'")),
    "with a space": ("off ", (BREACHED, Reason.FLAG_MISMATCH, "MODE is 'off ' for 'admin', expected 'off'")),
    "what YAML makes of it": (
        False,
        (ERROR, Reason.FLAG_NOT_EVALUATED, f"MODE was not evaluated: the value False {NO_TEXT}"),
    ),
    "none": (None, (ERROR, Reason.FLAG_NOT_EVALUATED, f"MODE was not evaluated: the value None {NO_TEXT}")),
}


@pytest.mark.parametrize(("value", "expected"), TEXTS.values(), ids=TEXTS)
def test_a_flag_may_be_a_text(value: bool | str | None, expected: tuple[Verdict, Reason, str]) -> None:
    result = judge_flags({"MODE": "off"}, [reading("MODE", value=value)], NOW)
    assert (result.verdict, result.reason, result.message) == expected
    assert result.value == float(expected[0] is PASSED)


VALUES = (True, False, 1, 0, 1.0, "", "True", "true", "False", "off", "on", None)


@pytest.mark.parametrize("wanted", [True, False, "true", "True", "off", "on", "1"], ids=repr)
@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_only_the_same_value_of_the_same_type_passes(value: Any, wanted: bool | str) -> None:
    """Also what no flag service could have said, but a damaged record."""
    is_it = type(value) is type(wanted) and value == wanted
    assert is_same(value, wanted) is is_it
    assert (judge_flags({"MODE": wanted}, [reading("MODE", value=value)], NOW).verdict is PASSED) is is_it
    here = Conditions("p1", {"MODE@*": wanted})
    assert (here.objection("p1", {"MODE@*": value}) == "") is is_it


def test_a_pass_under_another_text_does_not_count() -> None:
    here = Conditions("p1", {"MODE@*": "warn"})
    other = replace(run(940), flags={"MODE@*": "off"})
    result = judge_canary([other], ONCE, 0, NOW, here)
    assert result.message == (
        "passed 0 times in a row, 1 passes are needed; 1 pass does not count: 1 while MODE@* was 'off'; "
        "next run in 0 ms"
    )
    assert judge_canary([replace(other, flags={"MODE@*": "warn"})], ONCE, 0, NOW, here).verdict is PASSED


def test_flags_show_what_was_read() -> None:
    result: CheckResult = judge_flags(WANTED, [READS, WRONG], NOW)
    assert (result.value, result.limit, result.unit, result.samples) == (1.0, 2.0, "count", 2)
    assert result.derivation["rule"] == "read back"
    assert result.derivation["at"] == NOW
    assert result.derivation["readings"][1] == {
        "flag": "PORTAL",
        "cohort": "admin",
        "value": True,
        "reason": "STATIC",
        "changed_at": 500.0,
        "fault": "",
        "changed_by": None,
    }
