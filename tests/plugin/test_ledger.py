"""The ledger: everything starts undecided, and only passes make a GO."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from pytest_rollout.plugin.ledger import Check, Ledger, StageInfo, pending_document
from pytest_rollout.verdict import CheckResult, Reason, Verdict, broken, inconclusive

PASS = CheckResult(verdict=Verdict.PASSED, reason=Reason.WITHIN_LIMIT, message="fine")
BREACH = CheckResult(verdict=Verdict.BREACHED, reason=Reason.LIMIT_BREACHED, message="too much")
DOUBT = inconclusive(Reason.NO_DATA, "nothing there")
FAULT = broken(Reason.SOURCE_UNREACHABLE, "no answer")


def check(name: str, stage: str = "stage1") -> Check:
    return Check(rollout="shop", stage=stage, id=name, kind="promql", nodeid=f"shop.rollout.yaml::{stage}::{name}")


def ledger_of(*names: str, stage: str = "stage1") -> Ledger:
    ledger = Ledger()
    for name in names:
        ledger.expect(check(name, stage))
    return ledger


def document(ledger: Ledger, *, interrupted: bool = False) -> dict[str, Any]:
    return ledger.document(version="1", finished_at=20.0, interrupted=interrupted)


def decision(ledger: Ledger, *, interrupted: bool = False) -> str:
    return str(document(ledger, interrupted=interrupted)["decision"])


def test_key_names_rollout_stage_and_check() -> None:
    assert check("latency").key == "shop/stage1/latency"


def test_an_empty_ledger_has_nothing_to_decide_and_holds() -> None:
    assert not Ledger()
    assert decision(Ledger()) == "HOLD"


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ({"a": PASS, "b": PASS}, "GO"),
        ({"a": PASS}, "HOLD"),
        ({}, "HOLD"),
        ({"a": PASS, "b": DOUBT}, "HOLD"),
        ({"a": PASS, "b": FAULT}, "HOLD"),
        ({"a": PASS, "b": BREACH}, "NO-GO"),
        ({"b": BREACH}, "NO-GO"),
        ({"a": FAULT, "b": BREACH}, "NO-GO"),
        ({"a": PASS, "c": PASS}, "HOLD"),
        ({"a": PASS, "c": BREACH}, "HOLD"),
    ],
)
def test_decision_of_a_stage_with_two_checks(results: dict[str, CheckResult], expected: str) -> None:
    ledger = ledger_of("a", "b")
    for name, result in results.items():
        ledger.record(check(name).key, result)

    assert decision(ledger) == expected


def test_what_was_never_reported_says_so() -> None:
    (entry,) = document(ledger_of("a"))["stages"][0]["checks"]

    assert (entry["verdict"], entry["reason"]) == ("inconclusive", "not-reported")
    assert "run it again" in entry["message"]


@pytest.mark.parametrize("breached", [False, True])
def test_a_fault_or_an_interruption_takes_a_go_away_and_nothing_else(breached: bool) -> None:
    ledger = ledger_of("a")
    ledger.record(check("a").key, BREACH if breached else PASS)
    expected = "NO-GO" if breached else "HOLD"

    assert decision(ledger, interrupted=True) == expected
    ledger.faults.append("a plan is broken")
    assert decision(ledger) == expected
    assert document(ledger)["faults"] == ["a plan is broken"]


def test_a_fault_alone_is_something_to_decide() -> None:
    ledger = Ledger()
    ledger.faults.append("a plan is broken")

    assert ledger
    assert decision(ledger) == "HOLD"


def test_the_last_report_wins() -> None:
    ledger = ledger_of("a")
    ledger.record(check("a").key, BREACH)
    ledger.record(check("a").key, PASS)

    assert decision(ledger) == "GO"


@pytest.mark.parametrize(
    ("before", "expected"), [(PASS, DOUBT), (None, DOUBT), (BREACH, BREACH), (FAULT, FAULT)], ids=str
)
def test_revoking_takes_a_pass_away_and_nothing_else(before: CheckResult | None, expected: CheckResult) -> None:
    ledger = ledger_of("a")
    if before:
        ledger.record(check("a").key, before)

    ledger.revoke(check("a").key, DOUBT)

    assert ledger.result(check("a").key) == expected


def test_note_missing_knows_only_what_is_expected() -> None:
    ledger = ledger_of("a")

    ledger.note_missing([check("a").key, check("z").key], Reason.DESELECTED, "left out")

    assert ledger.result(check("a").key).reason is Reason.DESELECTED
    assert ledger.result(check("z").key).reason is Reason.NOT_REPORTED


def test_checks_are_found_by_node_id() -> None:
    ledger = ledger_of("a", "b")

    assert ledger.by_nodeid("shop.rollout.yaml::stage1::b") == "shop/stage1/b"
    assert ledger.by_nodeid("shop.rollout.yaml::stage1::c") is None


def test_expecting_twice_is_expecting_once() -> None:
    ledger = ledger_of("a", "a")

    assert len(document(ledger)["stages"][0]["checks"]) == 1


def test_a_run_over_two_stages_is_as_bad_as_the_worse() -> None:
    ledger = ledger_of("a")
    ledger.expect(check("b", "stage2"))
    ledger.record(check("a").key, PASS)
    assert decision(ledger) == "HOLD"

    ledger.record(check("b", "stage2").key, BREACH)

    assert decision(ledger) == "NO-GO"
    assert [stage["decision"] for stage in document(ledger)["stages"]] == ["GO", "NO-GO"]


def test_one_rehearsed_stage_makes_the_run_a_rehearsal() -> None:
    ledger = ledger_of("a")
    ledger.expect(check("b", "stage2"))
    ledger.describe(StageInfo(rollout="shop", stage="stage2", environment="sandbox", rehearsal=("sandbox",)))

    said = document(ledger)

    assert said["rehearsal"] is True
    assert [stage["rehearsal"] for stage in said["stages"]] == [False, True]
    assert said["stages"][1]["rehearsal_reasons"] == ["sandbox"]


def test_a_pending_document_is_hold_whatever_is_known() -> None:
    ledger = ledger_of("a")
    ledger.record(check("a").key, PASS)

    said = pending_document(document(ledger))

    assert (said["decision"], said["complete"]) == ("HOLD", False)
    assert said["faults"] == ["the run has not finished; if it is no longer running, it was killed: run it again"]


def test_the_document_is_json_and_has_exactly_these_keys() -> None:
    ledger = ledger_of("a")
    ledger.record(check("a").key, PASS)
    said = document(ledger)
    stage = said["stages"][0]

    assert json.loads(json.dumps(said, allow_nan=False)) == said
    assert list(said) == [
        *("schema", "decision", "rehearsal", "complete", "faults"),
        *("started_at", "finished_at", "versions", "stages"),
    ]
    assert said["schema"] == "rollout-verdict/1"
    assert said["complete"] is True
    assert list(stage) == [
        *("rollout", "stage", "environment", "decision", "rehearsal", "rehearsal_reasons"),
        *("started_at", "finished_at", "checks"),
    ]
    assert set(stage["checks"][0]) == {
        *("id", "kind", "nodeid", "verdict", "reason", "message", "value", "limit", "unit", "samples", "window"),
        *("ready_in", "derivation", "attachments"),
    }


RESULTS = st.sampled_from([PASS, PASS, PASS, BREACH, DOUBT, FAULT])


@given(results=st.lists(RESULTS, min_size=1, max_size=6), data=st.data())
def test_removing_any_part_of_the_evidence_never_makes_a_go(results: list[CheckResult], data: st.DataObject) -> None:
    names = [str(number) for number in range(len(results))]
    kept = data.draw(st.sets(st.sampled_from(names)), label="kept")
    whole, part = ledger_of(*names), ledger_of(*names)
    for name, result in zip(names, results, strict=True):
        whole.record(check(name).key, result)
        if name in kept:
            part.record(check(name).key, result)

    assert decision(part) != "GO" or decision(whole) == "GO"
    assert (decision(part) == "GO") is (kept == set(names) and all(result is PASS for result in results))
