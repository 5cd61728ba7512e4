"""Answers and waivers of people: what is read back, and what speaks against it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from pytest_rollout.errors import EvidenceError
from pytest_rollout.evidence.log import EvidenceLog
from pytest_rollout.evidence.people import Asked, Found, add_attestation, add_waiver, answers, waivers
from pytest_rollout.evidence.record import EMPTY, Entry, Head, Kind, Place
from pytest_rollout.evidence.results import StageLog
from pytest_rollout.judge.attestation import (
    Attestation,
    Contradiction,
    Ground,
    Question,
    Waiver,
    judge_attestation,
)
from pytest_rollout.judge.history import FlagReading
from pytest_rollout.verdict import CheckResult, Reason, Verdict
from tests.evidence.logs import PLACE, Open, tampering

ASKED = Asked(place=PLACE, stage="stage3", gate="tickets", flags={"PORTAL@agents"}, canaries={"portal"})
QUESTION = Question(
    rollout="shop", environment="staging", stage="stage3", gate="tickets", text="Calm?", expires=1e6, two_people=False
)
GIVEN, NOW = 1000.0, 2000.0
ODD = "has characters that nobody sees; type it anew on one line"


def attestation(**changes: Any) -> Attestation:
    known: dict[str, Any] = {"question": "Calm?", "answer": True, "by": "Ann", "reason": "3 tickets", "plan": "p"}
    return Attestation(**{**known, "given_at": GIVEN, "expires_at": 5000.0, "head": str(EMPTY), **changes})


def waiver(**changes: Any) -> Waiver:
    known: dict[str, Any] = {"check": "tickets", "verdict": "inconclusive", "by": "Ann", "reason": "agreed with Bob"}
    return Waiver(**{**known, "given_at": GIVEN, "expires_at": 5000.0, **changes})


def give(log: EvidenceLog, asked: Asked = ASKED, **changes: Any) -> Attestation:
    """Append an answer that was given on the log as it is now."""
    given = attestation(**{"head": str(log.head()), **changes})
    add_attestation(log, asked, given)
    return given


def judged(
    log: EvidenceLog, verdict: Verdict, *, stage: str = "stage3", gate: str = "latency", at: float = 1500.0
) -> None:
    result = CheckResult(verdict=verdict, reason=Reason.LIMIT_BREACHED, message="too slow")
    StageLog(log, PLACE, stage).add_results({gate: result}, [], at)


def flag(log: EvidenceLog, changed_at: float | None, *, changed_by: str | None = "bob", name: str = "PORTAL") -> None:
    reading = FlagReading(
        flag=name, cohort="agents", value=False, reason="STATIC", changed_at=changed_at, changed_by=changed_by
    )
    StageLog(log, PLACE, "stage3").add_results({}, [reading], 1500.0)


def run(
    log: EvidenceLog, outcome: str, *, canary: str = "portal", place: Place = PLACE, ended_at: float = 1500.0
) -> None:
    data = {"outcome": outcome, "ended_at": ended_at, "message": "no payment"}
    log.append([Entry(kind=Kind.CANARY_RUN, place=place, subject=canary, at=ended_at - 100, data=data)])


def left(log: EvidenceLog, stage: str = "stage3", **verdicts: str) -> None:
    data = {"decision": "NO-GO", "verdicts": verdicts}
    log.append([Entry(kind=Kind.STAGE_LEFT, place=PLACE, subject=stage, at=1500.0, data=data)])


def against(log: EvidenceLog, now: float = NOW) -> list[Contradiction]:
    return list(answers(log, ASKED, now).contradictions)


# --- answers ---


def test_an_answer_is_read_back(log: EvidenceLog) -> None:
    judged(log, Verdict.BREACHED)
    first = give(log, link="https://desk/1", answer=False)
    second = give(log, given_at=1100.0)

    assert answers(log, ASKED, NOW) == Found((first, second), (), (first.head, second.head))
    assert next(log.records()).head == Head.parse(first.head)


def test_nobody_has_answered(file_log: EvidenceLog) -> None:
    judged(file_log, Verdict.BREACHED)
    assert answers(file_log, ASKED, NOW) == Found()


@pytest.mark.parametrize(
    "other",
    [
        replace(ASKED, gate="calls"),
        replace(ASKED, stage="stage4"),
        replace(ASKED, place=replace(PLACE, environment="production")),
        replace(ASKED, place=replace(PLACE, target="http://other")),
    ],
)
def test_an_answer_is_about_its_own_gate_and_place(file_log: EvidenceLog, other: Asked) -> None:
    give(file_log)
    assert answers(file_log, other, NOW) == Found()


@pytest.mark.parametrize(
    "head", ["", "1:xyz", str(Head(1, "ab" * 32)), str(Head(9, "ab" * 32)), str(Head(0, "ab" * 32))]
)
def test_the_head_of_another_log_is_told_apart(file_log: EvidenceLog, head: str) -> None:
    judged(file_log, Verdict.PASSED)
    given = attestation(head=head)
    add_attestation(file_log, ASKED, given)
    judged(file_log, Verdict.BREACHED)

    assert answers(file_log, ASKED, NOW) == Found((given,))


# --- what speaks against them ---


def test_a_breach_speaks_against_an_answer(file_log: EvidenceLog) -> None:
    give(file_log)
    judged(file_log, Verdict.BREACHED)
    assert against(file_log) == [Contradiction(1500.0, "stage3/latency was breached: too slow")]


def test_a_failed_canary_speaks_against_an_answer(file_log: EvidenceLog) -> None:
    give(file_log)
    run(file_log, "failed")
    assert against(file_log) == [Contradiction(1500.0, "the canary portal failed: no payment")]


def test_a_failed_test_of_the_stage_speaks_against_an_answer(file_log: EvidenceLog) -> None:
    """It is no gate, so it has no record but that of the stage."""
    give(file_log)
    left(file_log, **{"test_shop.py::test_refunds": "breached", "tickets": "passed"})
    assert against(file_log) == [Contradiction(1500.0, "stage3/test_shop.py::test_refunds was breached")]


@pytest.mark.parametrize(("by", "told"), [("bob", " by bob"), (None, "")])
def test_a_changed_flag_speaks_against_an_answer(file_log: EvidenceLog, by: str | None, told: str) -> None:
    give(file_log)
    flag(file_log, 1200.0, changed_by=by)
    assert against(file_log) == [Contradiction(1200.0, f"PORTAL@agents was changed to False{told}")]


def test_a_flag_that_was_so_before_does_not(file_log: EvidenceLog) -> None:
    """The first look at a stage records every flag."""
    give(file_log)
    flag(file_log, 900.0)
    assert against(file_log) == []


def test_a_flag_that_may_have_changed_does(file_log: EvidenceLog) -> None:
    give(file_log)
    flag(file_log, None)
    assert against(file_log) == [Contradiction(1500.0, "PORTAL@agents was changed to False by bob")]


def went_back(log: EvidenceLog, event: str = "begun", kind: str = "run", place: Place = PLACE) -> None:
    data = {"event": event, "kind": kind, "by": "bob", "reason": "too slow"}
    log.append([Entry(kind=Kind.ROLLBACK, place=place, subject="previous-tag", at=1500.0, data=data)])


@pytest.mark.parametrize("kind", ["run", "set"])
def test_who_goes_back_speaks_against_an_answer(file_log: EvidenceLog, kind: str) -> None:
    went_back(file_log, kind=kind)
    give(file_log)
    assert against(file_log) == []
    went_back(file_log, kind=kind)
    said = "bob went back by previous-tag of the playbook: too slow"
    assert against(file_log) == [Contradiction(1500.0, said)]


def test_a_note_or_another_place_speaks_against_nothing(file_log: EvidenceLog) -> None:
    give(file_log)
    went_back(file_log, kind="ask")
    went_back(file_log, event="ended")
    went_back(file_log, place=replace(PLACE, environment="production"))
    assert against(file_log) == []


def test_what_was_recorded_later_counts_whenever_it_happened(file_log: EvidenceLog) -> None:
    """A canary that was running while somebody answered."""
    give(file_log)
    run(file_log, "failed", ended_at=900.0)
    assert against(file_log) == [Contradiction(GIVEN, "the canary portal failed: no payment")]


def test_everything_is_told(log: EvidenceLog) -> None:
    give(log)
    judged(log, Verdict.BREACHED)
    run(log, "failed")
    judged(log, Verdict.BREACHED, gate="errors")
    assert [one.what.split()[0] for one in against(log)] == ["stage3/latency", "the", "stage3/errors"]


def test_what_does_not_speak_against_it(file_log: EvidenceLog) -> None:
    judged(file_log, Verdict.BREACHED)
    run(file_log, "failed")
    flag(file_log, 1200.0)
    give(file_log)
    for verdict in set(Verdict) - {Verdict.BREACHED}:
        judged(file_log, verdict)
    for outcome in ("ok", "error"):
        run(file_log, outcome)
    left(file_log, latency="passed", errors="inconclusive", tickets="breached")
    left(file_log, "stage30", latency="breached")
    judged(file_log, Verdict.BREACHED, gate="tickets")  # somebody's no: the newest answer counts
    judged(file_log, Verdict.BREACHED, stage="stage30")
    run(file_log, "failed", canary="settlement")
    run(file_log, "failed", place=replace(PLACE, environment="production"))
    flag(file_log, 1200.0, name="READS")
    file_log.append([Entry(kind=Kind.LOOK, place=PLACE, subject="stage3/latency", at=1500.0)])

    assert against(file_log) == []


def test_only_the_newest_answer_is_held_against_the_evidence(file_log: EvidenceLog) -> None:
    give(file_log)
    judged(file_log, Verdict.BREACHED)
    give(file_log, given_at=1600.0)
    assert against(file_log) == []


def test_the_newest_answer_is_the_last_that_was_recorded(file_log: EvidenceLog) -> None:
    """A clock may be set back between the two."""
    give(file_log)
    judged(file_log, Verdict.BREACHED)
    give(file_log, given_at=GIVEN - 5)
    assert against(file_log) == []
    assert [one.given_at for one in answers(file_log, ASKED, NOW).given] == [GIVEN, GIVEN - 5]


def test_nothing_is_looked_for_behind_an_answer_that_expired(file_log: EvidenceLog) -> None:
    give(file_log, expires_at=1800.0)
    judged(file_log, Verdict.BREACHED)
    assert (len(against(file_log, 1799.0)), against(file_log, 1800.0)) == (1, [])


def test_records_that_are_missing_are_missed(tmp_path: Path, open_log: Open) -> None:
    log = story(open_log(tmp_path / "log.db"))
    with tampering(tmp_path / "log.db") as connection:
        connection.execute(sa.text("DELETE FROM records WHERE seq = 4"))
    with pytest.raises(EvidenceError) as refused:
        against(log)
    assert str(refused.value) == "the evidence log is not whole after record 3; run: rollout evidence verify"


def test_no_removed_record_makes_it_pass(tmp_path: Path, open_log: Open) -> None:
    story(open_log(tmp_path / "log.db")).close()
    assert verdict(open_log(tmp_path / "log.db")) is Verdict.INCONCLUSIVE
    for table, row in [*(("records", seq) for seq in range(1, 7)), *(("streams", n) for n in (1, 2, 3)), ("head", 1)]:
        path = Path(shutil.copy(tmp_path / "log.db", tmp_path / f"{table}-{row}.db"))
        with tampering(path) as connection:
            connection.execute(sa.text(f"DELETE FROM {table} WHERE rowid = {row}"))  # noqa: S608 - a table of ours
        assert verdict(open_log(path)) is not Verdict.PASSED, (table, row)


def story(log: EvidenceLog) -> EvidenceLog:
    """A log of six records: a pass, a no, a yes, a pass, a breach, a pass."""
    judged(log, Verdict.PASSED)
    give(log, answer=False, given_at=900.0)
    give(log)
    judged(log, Verdict.PASSED, gate="errors")
    judged(log, Verdict.BREACHED)
    judged(log, Verdict.PASSED)
    return log


def verdict(log: EvidenceLog) -> Verdict:
    try:
        told = answers(log, ASKED, NOW)
    except EvidenceError:
        return Verdict.ERROR
    ground = Ground(since=0.0, plan="p", heads=told.heads, contradictions=told.contradictions, changed_by=None)
    return judge_attestation(told.given, QUESTION, ground, NOW).verdict


def test_everybody_who_set_a_flag_to_what_it_is_made_the_change(file_log: EvidenceLog) -> None:
    for at, value, by in ((1.0, False, "eve"), (2.0, True, "ann"), (3.0, True, None), (4.0, True, "terraform")):
        data = {"value": value, "changed_at": at, "changed_by": by}
        entry = Entry(kind=Kind.FLAG, place=PLACE, subject="PORTAL@agents", at=at, data=data)
        file_log.append([entry])
    assert answers(file_log, ASKED, NOW).changed_by == ("terraform", "ann")


# --- waivers ---


def test_the_newest_waiver_in_force_counts(log: EvidenceLog) -> None:
    first, second = waiver(), waiver(given_at=1100.0, expires_at=1800.0, reason="again")
    other = waiver(check="latency")
    for one in (first, second, other):
        add_waiver(log, PLACE, "stage3", one)

    assert waivers(log, PLACE, "stage3", 1500.0) == {"tickets": second, "latency": other}
    assert waivers(log, PLACE, "stage3", 1800.0) == {"tickets": first, "latency": other}
    assert waivers(log, PLACE, "stage3", 5000.0) == {}
    assert waivers(log, PLACE, "stage3", 999.0) == {}


def test_a_waiver_is_about_its_own_stage_and_place(file_log: EvidenceLog) -> None:
    add_waiver(file_log, PLACE, "stage3", waiver())
    assert waivers(file_log, PLACE, "stage30", NOW) == {}
    assert waivers(file_log, replace(PLACE, environment="production"), "stage3", NOW) == {}


# --- what nobody should sign ---


def refusal(log: EvidenceLog, said: Attestation | Waiver) -> str:
    with pytest.raises(EvidenceError) as refused:
        add_waiver(log, PLACE, "stage3", said) if isinstance(said, Waiver) else add_attestation(log, ASKED, said)
    assert log.head() == EMPTY
    return str(refused.value)


@pytest.mark.parametrize("kind", [attestation, waiver])
@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"by": " \u200c-"}, "the name ' \\u200c-' says nothing; say who it is"),
        ({"reason": ""}, "the reason '' says nothing; say why"),
        ({"by": "x" * 201}, "the name has 201 characters; 200 are enough, put the rest behind a link"),
        ({"reason": "a\nb"}, f"the reason 'a\\nb' {ODD}"),
        ({"by": "Ann\x1b[31m"}, f"the name 'Ann\\x1b[31m' {ODD}"),
        ({"by": "\u202ennA"}, f"the name '\\u202ennA' {ODD}"),
        ({"by": "Ann\u2028Bob"}, f"the name 'Ann\\u2028Bob' {ODD}"),
        ({"by": "Ann\ud800"}, f"the name 'Ann\\ud800' {ODD}"),
    ],
    ids=["no name", "no reason", "long", "two lines", "escape", "turned", "separator", "half a pair"],
)
def test_texts_that_nobody_should_sign(file_log: EvidenceLog, kind: Any, changes: dict[str, str], why: str) -> None:
    assert refusal(file_log, kind(**changes)) == why


@pytest.mark.parametrize("name", ["Zoë Åström", "Ali\u200cReza", "李 明", "O'Brien <ops@shop>", "x" * 200])
def test_names_of_people(file_log: EvidenceLog, name: str) -> None:
    assert answers(file_log, ASKED, NOW).given == ()
    given = give(file_log, by=name)
    assert answers(file_log, ASKED, NOW).given == (given,)


@pytest.mark.parametrize("link", ["https://desk/board?range=24h#top", "http://desk:8080/1", "https://desk/ü"])
def test_links(file_log: EvidenceLog, link: str) -> None:
    assert give(file_log, link=link).link == link


@pytest.mark.parametrize(
    "link",
    [
        "desk/1",
        "ftp://desk/1",
        "javascript:alert(1)",
        "https://",
        "https://desk/a b",
        "https://desk/\n",
        "http://[",
        "h",
        "https://desk/" + "x" * 2000,
    ],
    ids=lambda link: link[:20],
)
def test_what_is_no_link(file_log: EvidenceLog, link: str) -> None:
    """It is not shown: it may be a secret that was pasted."""
    why = "the link is none; write http:// or https:// and an address, 2000 characters at most"
    assert refusal(file_log, attestation(link=link)) == why


@pytest.mark.parametrize(
    "link",
    ["https://ann:s3cret@desk/1", "https://desk/1?access_token=s3cret", "https://desk/?sig=1&X-Amz-Signature=s3cret"],
)
def test_a_link_with_credentials_is_not_shown(file_log: EvidenceLog, link: str) -> None:
    why = "the link has credentials in it, and the evidence log is for many eyes; take them out"
    assert refusal(file_log, attestation(link=link)) == why
