"""Gates on what was recorded: the history of a canary, the answer of a person."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_rollout.errors import PlanError
from pytest_rollout.plan.gates import Gate
from pytest_rollout.plan.loader import load_plan

PLAN = """\
rollout: shop
environments: {sandbox: {sandbox: true}}
canaries: {pay: {every: 15m}}
stages:
  - stage: 1
    name: Reads
    flags: {F: {value: true}}
    gates:
      - {id: a, %s}
"""
NO_DURATION = "is not a duration; write a number with a unit, such as 120ms, 30s, 15m, 2h, 7d"
NO_SHARE = "is not a share; write per cent, such as 0.5% or 99%"
ONE_FORM = "a canary gate has exactly one of passes, consecutive, success, quiet"
UNSCHEDULED = (
    "counts slots, and the canary 'smoke' has no schedule; add it to the plan: canaries: {smoke: {every: 15m}}"
)


def load(folder: Path, keys: str) -> Gate:
    path = folder / "shop.rollout.yaml"
    path.write_text(PLAN % keys, encoding="utf-8")
    return load_plan(path).plan.stages[0].gates[0]


FAULTS = {
    # The first key of the canary is at column 25, 'pay' has a schedule and 'smoke' has none.
    "two forms": ("canary: {name: pay, passes: 2, consecutive: 5}", f"9:48: {ONE_FORM}"),
    "two other forms": ("canary: {name: pay, quiet: 2h, success: 99%, over: 7d}", f"9:37: {ONE_FORM}"),
    "three forms": ("canary: {name: pay, quiet: 2h, consecutive: 5, passes: 1}", f"9:48: {ONE_FORM}"),
    "one in a row": (
        "canary: {name: pay, consecutive: 1}",
        "9:50: Input should be greater than or equal to 2",
    ),
    "across of a row": (
        "canary: {name: pay, consecutive: 5, across: 30m}",
        "9:53: 'across' goes with 'passes', not with 'consecutive'",
    ),
    "across of a share": (
        "canary: {name: pay, success: 99%, over: 7d, across: 30m}",
        "9:61: 'across' goes with 'passes', not with 'success'",
    ),
    "one pass across a time": (
        "canary: {name: pay, across: 30m}",
        "9:37: one pass cannot be spread; write passes: 2 or more",
    ),
    "a share of no window": (
        "canary: {name: pay, success: 99%}",
        "9:37: a share needs 'over', such as over: 7d",
    ),
    "a window of no share": (
        "canary: {name: pay, over: 7d}",
        "9:37: 'over' goes with 'success', such as success: 99.5%",
    ),
    "a window of quiet": (
        "canary: {name: pay, quiet: 2h, over: 7d}",
        "9:48: 'over' goes with 'success', such as success: 99.5%",
    ),
    "a share without a unit": ("canary: {name: pay, success: 0.995, over: 7d}", f"9:46: 0.995 {NO_SHARE}"),
    "a share of nothing": (
        "canary: {name: pay, success: 0%, over: 7d}",
        "9:37: 'success' of nothing asks for nothing",
    ),
    "a window of nothing": (
        "canary: {name: pay, success: 99%, over: 0s}",
        "9:51: 'over' of nothing asks for nothing",
    ),
    "quiet for nothing": ("canary: {name: pay, quiet: 0s}", "9:37: 'quiet' of nothing asks for nothing"),
    "quiet without a unit": ("canary: {name: pay, quiet: 2}", f"9:44: 2 {NO_DURATION}"),
    "fewer than no flaky slots": (
        "canary: {name: pay, consecutive: 5, flaky: -1}",
        "9:60: Input should be greater than or equal to 0",
    ),
    # with the schedule of the plan
    "a row of no slots": ("canary: {name: smoke, consecutive: 5}", f"9:39: 'consecutive' {UNSCHEDULED}"),
    "a share of no slots": ("canary: {name: smoke, success: 99%, over: 7d}", f"9:39: 'success' {UNSCHEDULED}"),
    "quiet of no slots": ("canary: {name: smoke, quiet: 2h}", f"9:39: 'quiet' {UNSCHEDULED}"),
    "flaky without slots": ("canary: {name: smoke, passes: 2, flaky: 1}", f"9:50: 'flaky' {UNSCHEDULED}"),
    "a deadline beside that of the schedule": (
        "canary: {name: pay, deadline: 1m}",
        "9:37: the canary 'pay' has a schedule; give its deadline there",
    ),
    "a window shorter than a slot": (
        "canary: {name: pay, success: 99%, over: 899s}",
        "9:51: the canary 'pay' runs every 15 min, so this may hold no slot; take 15 min or more",
    ),
    "quiet for less than a slot": (
        "canary: {name: pay, quiet: 14m}",
        "9:37: the canary 'pay' runs every 15 min, so this may hold no slot; take 15 min or more",
    ),
    # questions
    "no question": ("attestation: {two_people: true}", "9:30: 'question' is missing"),
    "an empty question": ("attestation: {question: ' '}", "9:31: say what is asked"),
    "an answer for no time": (
        "attestation: {question: Quiet, expires: 0s}",
        "9:48: an answer has to hold for longer than nothing",
    ),
    "an expiry without a unit": ("attestation: {question: Quiet, expires: 24}", f"9:57: 24 {NO_DURATION}"),
    "an unknown key": (
        "attestation: {question: Quiet, two_peple: true}",
        "9:48: unknown key 'two_peple'; did you mean 'two_people'?",
    ),
}


@pytest.mark.parametrize(("keys", "message"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_named_with_its_place(tmp_path: Path, keys: str, message: str) -> None:
    with pytest.raises(PlanError) as refused:
        load(tmp_path, keys)
    assert str(refused.value) == f"shop.rollout.yaml:{message}"


def test_a_key_that_does_not_go_with_a_schedule_is_found_in_any_stage(tmp_path: Path) -> None:
    text = (PLAN % "unproven: x") + "  - stage: 2\n    name: B\n    gates:\n      - {id: b, unproven: x}\n"
    text += "      - {id: c, canary: {name: smoke, quiet: 2h}}\n"
    path = tmp_path / "shop.rollout.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PlanError) as refused:
        load_plan(path)
    assert str(refused.value) == f"shop.rollout.yaml:14:39: 'quiet' {UNSCHEDULED}"


@pytest.mark.parametrize(
    ("keys", "form", "row", "census"),
    [
        ("name: smoke", "passes", (1, 0.0), (1.0, 0.0)),
        ("name: smoke, passes: 2, across: 30m, deadline: 1m", "passes", (2, 1800.0), (1.0, 0.0)),
        ("name: pay, passes: 2, across: 30m, flaky: 1", "passes", (2, 1800.0), (1.0, 0.0)),
        ("name: pay, consecutive: 5", "consecutive", (5, 0.0), (1.0, 0.0)),
        ("name: pay, success: 99.5%, over: 7d", "success", (1, 0.0), (0.995, 604800.0)),
        ("name: pay, success: 100%, over: 15m", "success", (1, 0.0), (1.0, 900.0)),
        ("name: pay, quiet: 2h", "quiet", (1, 0.0), (1.0, 7200.0)),
    ],
)
def test_a_history_has_one_form(
    tmp_path: Path, keys: str, form: str, row: tuple[int, float], census: tuple[float, float]
) -> None:
    canary = load(tmp_path, f"canary: {{{keys}}}").canary
    assert canary is not None
    assert canary.form == form
    assert (canary.wanted, canary.across) == row
    assert (canary.share, canary.window) == census


def test_what_a_question_does_not_say(tmp_path: Path) -> None:
    asked = load(tmp_path, "attestation: {question: Is it quiet at the desk}").attestation
    assert asked is not None
    assert (asked.question, asked.expires, asked.two_people) == ("Is it quiet at the desk", 86400.0, False)


def test_a_stage_wants_its_flags_for_their_cohorts(tmp_path: Path) -> None:
    path = tmp_path / "shop.rollout.yaml"
    flags = "{READS: {value: true, cohort: admin}, WRITES: {value: false}}"
    path.write_text((PLAN % "unproven: x").replace("{F: {value: true}}", flags), encoding="utf-8")
    assert load_plan(path).plan.stages[0].wanted == {"READS@admin": True, "WRITES@*": False}
