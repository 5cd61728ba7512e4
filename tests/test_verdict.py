"""Verdicts, decisions, and the only way from one to the other."""

from __future__ import annotations

import dataclasses
import itertools
import json
from typing import Any

import pytest

from pytest_rollout.verdict import (
    EVIDENCE_MAY_ARRIVE,
    CheckResult,
    Decision,
    Reason,
    Verdict,
    broken,
    decide,
    inconclusive,
    overall,
)

FULL = CheckResult(
    verdict=Verdict.INCONCLUSIVE,
    reason=Reason.TOO_FEW_SAMPLES,
    message="needs more",
    value=0.25,
    limit=0.5,
    unit="share",
    samples=4,
    window=(10.0, 20.5),
    ready_in=3.5,
    derivation={"rule": "x", "runs": [{"at": 1.0}]},
    attachments=("a.png", "b.png"),
)
BARE = CheckResult(verdict=Verdict.PASSED, reason=Reason.WITHIN_LIMIT, message="fine")
PASSED, BREACHED, INCONCLUSIVE, ERROR = Verdict


@pytest.mark.parametrize(
    ("verdicts", "decision"),
    [
        ([], Decision.HOLD),
        ([PASSED], Decision.GO),
        ([PASSED, PASSED], Decision.GO),
        ([PASSED, INCONCLUSIVE], Decision.HOLD),
        ([PASSED, ERROR], Decision.HOLD),
        ([ERROR], Decision.HOLD),
        ([INCONCLUSIVE], Decision.HOLD),
        ([BREACHED], Decision.NO_GO),
        ([PASSED, INCONCLUSIVE, ERROR, BREACHED], Decision.NO_GO),
    ],
)
def test_a_stage_goes_only_on_nothing_but_passes(verdicts: list[Verdict], decision: Decision) -> None:
    assert decide(verdicts) is decision
    assert decide(reversed(verdicts)) is decision


def test_no_verdict_added_to_a_stage_that_does_not_go_makes_it_go() -> None:
    for size in range(1, 4):
        for verdicts in itertools.product(Verdict, repeat=size):
            if decide(verdicts) is not Decision.GO:
                assert all(decide([*verdicts, more]) is not Decision.GO for more in Verdict)


@pytest.mark.parametrize(
    ("decisions", "decision"),
    [
        ([], Decision.HOLD),
        ([Decision.GO], Decision.GO),
        ([Decision.GO, Decision.HOLD], Decision.HOLD),
        ([Decision.HOLD], Decision.HOLD),
        ([Decision.GO, Decision.HOLD, Decision.NO_GO], Decision.NO_GO),
    ],
)
def test_a_run_goes_only_if_every_stage_goes(decisions: list[Decision], decision: Decision) -> None:
    assert overall(decisions) is decision


def test_the_words_are_fixed() -> None:
    assert [verdict.value for verdict in Verdict] == ["passed", "breached", "inconclusive", "error"]
    assert [decision.value for decision in Decision] == ["GO", "NO-GO", "HOLD"]


@pytest.mark.parametrize("result", [FULL, BARE], ids=["full", "bare"])
def test_a_result_survives_json(result: CheckResult) -> None:
    assert CheckResult.from_dict(json.loads(json.dumps(result.to_dict()))) == result


def test_a_result_as_builtins_is_exactly_this() -> None:
    assert FULL.to_dict() == {
        "verdict": "inconclusive",
        "reason": "too-few-samples",
        "message": "needs more",
        "value": 0.25,
        "limit": 0.5,
        "unit": "share",
        "samples": 4,
        "window": [10.0, 20.5],
        "ready_in": 3.5,
        "derivation": {"rule": "x", "runs": [{"at": 1.0}]},
        "attachments": ["a.png", "b.png"],
    }
    assert {type(FULL.to_dict()[word]) for word in ("verdict", "reason")} == {str}


def _without(key: str) -> dict[str, Any]:
    return {name: value for name, value in FULL.to_dict().items() if name != key}


NOT_RESULTS: dict[str, Any] = {
    "unknown verdict": {**FULL.to_dict(), "verdict": "fine"},
    "unknown reason": {**FULL.to_dict(), "reason": "because"},
    "unknown key": {**FULL.to_dict(), "extra": 1},
    "window is a number": {**FULL.to_dict(), "window": 5},
    **{f"without {key}": _without(key) for key in ("verdict", "reason", "message", "window", "attachments")},
    "empty": {},
    "nothing": None,
    "list": [],
    "text": "passed",
}


@pytest.mark.parametrize("data", NOT_RESULTS.values(), ids=NOT_RESULTS)
def test_anything_else_is_refused(data: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        CheckResult.from_dict(data)


def test_a_doubt_takes_the_verdict_and_leaves_the_numbers() -> None:
    passed = dataclasses.replace(FULL, verdict=PASSED, reason=Reason.WITHIN_LIMIT, message="fine", ready_in=None)
    doubt = inconclusive(
        Reason.COVERAGE, "a hole", value=7.0, limit=8.0, unit="count", samples=9, window=(1.0, 2.0), ready_in=4.5
    )
    assert passed.because(doubt) == dataclasses.replace(FULL, reason=Reason.COVERAGE, message="a hole", ready_in=4.5)
    final = passed.because(doubt).because(broken(Reason.BAD_ANSWER, "bent"))
    assert final == dataclasses.replace(FULL, verdict=ERROR, reason=Reason.BAD_ANSWER, message="bent", ready_in=None)


@pytest.mark.parametrize("reason", Reason)
def test_waiting_helps_only_for_want_of_evidence(reason: Reason) -> None:
    assert inconclusive(reason, "").may_still_arrive is (reason in EVIDENCE_MAY_ARRIVE)
    assert not broken(reason, "").may_still_arrive
    assert not dataclasses.replace(BARE, reason=reason).may_still_arrive


def test_shorthands_carry_what_is_known() -> None:
    assert inconclusive(Reason.NO_DATA, "nothing", samples=0) == CheckResult(
        verdict=Verdict.INCONCLUSIVE, reason=Reason.NO_DATA, message="nothing", samples=0
    )
    assert broken(Reason.BAD_ANSWER, "bent", unit="share") == CheckResult(
        verdict=Verdict.ERROR, reason=Reason.BAD_ANSWER, message="bent", unit="share"
    )
