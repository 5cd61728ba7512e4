"""Answers of people: the newest counts alone, and only while it stands on what is known now."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pytest_rollout.judge.attestation import (
    Attestation,
    Contradiction,
    Ground,
    Question,
    Waiver,
    changers,
    judge_attestation,
)
from pytest_rollout.judge.history import FlagReading
from pytest_rollout.verdict import CheckResult, Reason, Verdict

NOON = 1_795_262_400.0
"""2026-11-21T12:00:00Z."""
HOUR = 3600.0
NOW = NOON + 6 * HOUR
HEAD, OTHER_HEAD = "12:" + "ab" * 32, "12:" + "cd" * 32
PASSED, BREACHED, INCONCLUSIVE, _ = Verdict
QUESTION = Question(
    rollout="prisma",
    environment="production",
    stage="stage3",
    gate="support-tickets",
    text="Is it quiet at the desk?",
    expires=24 * HOUR,
    two_people=False,
)
TWO_PEOPLE = replace(QUESTION, two_people=True)
GROUND = Ground(since=NOON, plan="p1", heads={HEAD}, contradictions=(), changed_by=("Kim Ops",))
COMMAND = "rollout attest prisma stage3 support-tickets --rollout-env production --yes|--no --by NAME --reason TEXT"
ANEW = f"answer 'Is it quiet at the desk?' anew: {COMMAND}"
YES = Attestation(
    question="Is it quiet at the desk?",
    answer=True,
    by="Jo Desk",
    reason="no tickets",
    given_at=NOON + HOUR,
    expires_at=NOON + 20 * HOUR,
    head=HEAD,
    plan="p1",
)
NO = replace(YES, answer=False, reason="40 tickets")


def judged(*given: Attestation, asked: Question = QUESTION, now: float = NOW, **ground: Any) -> CheckResult:
    return judge_attestation(given, asked, replace(GROUND, **ground), now)


def test_a_yes_passes() -> None:
    result = judged(YES)
    assert (result.verdict, result.reason, result.ready_in) == (PASSED, Reason.WITHIN_LIMIT, None)
    said = "Jo Desk answered yes to 'Is it quiet at the desk?': no tickets; holds until 2026-11-22T08:00:00Z"
    assert result.message == said
    linked = judged(replace(YES, link="https://desk/1"))
    assert linked.message == said.replace("no tickets", "no tickets (https://desk/1)")


def test_a_no_breaches() -> None:
    result = judged(NO)
    assert (result.verdict, result.reason) == (BREACHED, Reason.ATTESTED_NO)
    assert result.message == "Jo Desk answered no to 'Is it quiet at the desk?': 40 tickets"


def test_nobody_has_answered() -> None:
    result = judged()
    assert (result.verdict, result.reason, result.ready_in) == (INCONCLUSIVE, Reason.NOT_ATTESTED, None)
    assert result.message == f"nobody has answered 'Is it quiet at the desk?' yet; answer it: {COMMAND}"
    assert not result.may_still_arrive


LATER = replace(YES, given_at=NOON + 2 * HOUR)


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        ((NO, LATER), PASSED),
        ((YES, replace(NO, given_at=NOON + 2 * HOUR)), BREACHED),
        ((YES, replace(LATER, expires_at=NOON + 3 * HOUR)), INCONCLUSIVE),
        ((YES, replace(LATER, plan="p2")), INCONCLUSIVE),
        ((YES, NO), BREACHED),
        ((LATER, NO), BREACHED),
    ],
    ids=["no, then yes", "yes, then no", "yes, then expired", "yes, then another plan", "at once", "clock set back"],
)
def test_the_newest_answer_counts_alone(given: tuple[Attestation, ...], verdict: Verdict) -> None:
    assert judged(*given).verdict is verdict


# what is different -> why it does not count
VOID: dict[str, tuple[dict[str, Any], str]] = {
    "of nobody": ({"by": " \t"}, "nobody's name is on the answer"),
    "to another question": ({"question": "Is it loud?"}, "Jo Desk answered another question, 'Is it loud?'"),
    "of another plan": ({"plan": "p2"}, "Jo Desk answered under another plan version"),
    "of no plan": ({"plan": ""}, "Jo Desk answered under another plan version"),
    "on other evidence": (
        {"head": OTHER_HEAD},
        f"Jo Desk answered on evidence that this log does not have, {OTHER_HEAD}",
    ),
    "of tomorrow": (
        {"given_at": NOW + 1, "expires_at": NOW + HOUR},
        "the answer of Jo Desk is dated 2026-11-21T18:00:01Z, which is yet to come",
    ),
    "before the change": (
        {"given_at": NOON - 1},
        "Jo Desk answered at 2026-11-21T11:59:59Z, before the change had settled at 2026-11-21T12:00:00Z",
    ),
    "expired": ({"expires_at": NOW}, "the answer of Jo Desk expired at 2026-11-21T18:00:00Z"),
}


@pytest.mark.parametrize("answer", [True, False])
@pytest.mark.parametrize(("changed", "why"), VOID.values(), ids=VOID)
def test_an_answer_is_void(changed: dict[str, Any], why: str, *, answer: bool) -> None:
    result = judged(replace(YES, answer=answer, **changed))
    assert (result.verdict, result.reason) == (INCONCLUSIVE, Reason.NOT_ATTESTED)
    assert result.message == f"{why}; {ANEW}"
    assert not result.may_still_arrive


@pytest.mark.parametrize(("changed", "why"), VOID.values(), ids=VOID)
def test_a_void_answer_hides_the_one_before_it(changed: dict[str, Any], why: str) -> None:
    void = replace(YES, given_at=NOON + 2 * HOUR)
    assert judged(replace(YES, given_at=NOON - HOUR), replace(void, **changed)).message == f"{why}; {ANEW}"


def test_a_plan_that_nobody_knows_has_no_answers() -> None:
    assert judged(replace(YES, plan=""), plan="").verdict is INCONCLUSIVE


def test_an_answer_holds_from_the_moment_of_settling_to_before_its_end() -> None:
    assert judged(replace(YES, given_at=NOON)).verdict is PASSED
    assert judged(replace(YES, given_at=NOW)).verdict is PASSED
    assert judged(replace(YES, expires_at=NOW + 0.1)).verdict is PASSED


def test_an_answer_holds_no_longer_than_the_plan_allows() -> None:
    result = judged(YES, asked=replace(QUESTION, expires=5 * HOUR))
    assert result.message == f"the answer of Jo Desk expired at 2026-11-21T18:00:00Z; {ANEW}"
    longer = judged(YES, asked=replace(QUESTION, expires=5 * HOUR + 1))
    assert longer.message.endswith("holds until 2026-11-21T18:00:01Z")


# --- contradictions -------------------------------------------------------------------------------------------

BREACH = Contradiction(NOON + 3 * HOUR, "stage3/portal-latency was breached")
FLIP = Contradiction(NOON + 2 * HOUR, "PORTAL_PRISMA was changed")


def test_later_evidence_makes_a_yes_void() -> None:
    result = judged(YES, contradictions=(BREACH, FLIP))
    assert (result.verdict, result.reason) == (INCONCLUSIVE, Reason.NOT_ATTESTED)
    said = "after Jo Desk had answered, at 2026-11-21T14:00:00Z, PORTAL_PRISMA was changed"
    assert result.message == f"{said}; {ANEW}"
    assert judged(YES, contradictions=(FLIP, BREACH)) == result


@pytest.mark.parametrize(
    ("at", "verdict"),
    [(NOON + HOUR - 1, PASSED), (NOON + HOUR, INCONCLUSIVE), (NOW, INCONCLUSIVE), (NOW + 9, INCONCLUSIVE)],
)
def test_only_what_was_known_before_an_answer_leaves_it_alone(at: float, verdict: Verdict) -> None:
    assert judged(YES, contradictions=(replace(BREACH, at=at),)).verdict is verdict


def test_a_no_stands_whatever_comes_later() -> None:
    assert judged(NO, contradictions=(BREACH,)).verdict is BREACHED


# --- two people -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["Jo Desk", " jo  desk ", "JO\tDESK", "Jo\u00a0Desk", "\uff2ao Desk", "Jo\u200b Desk", "Jo\ufe0f Desk"]
)
def test_who_made_the_change_cannot_be_the_second_person(name: str) -> None:
    for changed_by in ((name,), ("Kim Ops", name)):
        result = judged(YES, asked=TWO_PEOPLE, changed_by=changed_by)
        assert (result.verdict, result.reason) == (INCONCLUSIVE, Reason.SAME_PERSON)
        assert result.message == (
            f"the plan wants two people, and Jo Desk made the change; have somebody else answer: {COMMAND}"
        )
        assert not result.may_still_arrive
    assert judged(YES, changed_by=(name,)).verdict is PASSED


def test_accents_may_be_typed_either_way() -> None:
    composed, decomposed = "Jos\u00e9 Stra\u00dfe", "jose\u0301 STRASSE"
    assert judged(replace(YES, by=composed), asked=TWO_PEOPLE, changed_by=(decomposed,)).verdict is INCONCLUSIVE


@pytest.mark.parametrize("changed_by", [None, (), ("",), ("Kim Ops", " ")])
def test_two_people_have_to_be_known(changed_by: tuple[str, ...] | None) -> None:
    result = judged(YES, asked=TWO_PEOPLE, changed_by=changed_by)
    assert (result.verdict, result.reason) == (INCONCLUSIVE, Reason.SAME_PERSON)
    assert result.message == (
        "the plan wants two people, and nobody knows who made the change, so it may have been Jo Desk; "
        "have the flag service tell who changes a flag"
    )
    assert judged(YES, changed_by=changed_by).verdict is PASSED


def test_two_people_are_two() -> None:
    assert judged(YES, asked=TWO_PEOPLE, changed_by=("Kim Ops", "Joe Desk")).verdict is PASSED


def test_anybody_may_say_no() -> None:
    assert judged(NO, asked=TWO_PEOPLE, changed_by=("Jo Desk",)).verdict is BREACHED
    assert judged(NO, asked=TWO_PEOPLE, changed_by=None).verdict is BREACHED


def reading(changed_by: str | None) -> FlagReading:
    return FlagReading(flag="F", cohort="*", value=True, reason="STATIC", changed_at=1.0, changed_by=changed_by)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ((), None),
        ((None,), None),
        (("",), None),
        (("kim", None), None),
        (("kim",), ("kim",)),
        (("kim", "jo"), ("kim", "jo")),
    ],
)
def test_who_made_the_change_is_known_for_every_flag_or_not_at_all(
    names: tuple[str | None, ...], expected: tuple[str, ...] | None
) -> None:
    assert changers([reading(name) for name in names]) == expected


# --- what is shown --------------------------------------------------------------------------------------------


def test_a_result_shows_the_answers_and_what_they_stand_on() -> None:
    result = judged(NO, LATER, contradictions=(BREACH, FLIP), changed_by=("Kim", "Jo", "Kim"))
    assert (result.samples, result.window) == (2, (NOON, NOW))
    told = result.derivation
    assert (told["rule"], told["plan"]) == ("the newest answer alone", "p1")
    assert told["question"]["text"] == "Is it quiet at the desk?"
    assert [(one["by"], one["answer"], one["head"]) for one in told["answers"]] == [
        ("Jo Desk", False, HEAD),
        ("Jo Desk", True, HEAD),
    ]
    assert [one["what"] for one in told["contradictions"]] == [FLIP.what, BREACH.what]
    assert told["changed_by"] == ["Jo", "Kim"]
    assert judged(YES, changed_by=None).derivation["changed_by"] is None


def test_of_many_answers_the_latest_twenty_are_shown() -> None:
    many = [replace(NO, given_at=NOON + minute * 60) for minute in range(30)]
    shown = judged(*many).derivation["answers"]
    assert [shown[0]["given_at"], shown[-1]["given_at"], len(shown)] == [NOON + 600, NOON + 1740, 20]


# --- waivers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("now", "in_force"), [(9.9, False), (10.0, True), (19.9, True), (20.0, False)])
def test_a_waiver_is_in_force_for_its_time(now: float, *, in_force: bool) -> None:
    waiver = Waiver(check="api-5xx", verdict="breached", by="Kim", reason="known", given_at=10.0, expires_at=20.0)
    assert waiver.in_force(now) is in_force
