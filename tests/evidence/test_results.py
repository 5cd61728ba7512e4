"""What a run found out about a stage, in the evidence log."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_rollout.evidence.log import EvidenceLog
from pytest_rollout.evidence.record import Kind, Place
from pytest_rollout.evidence.results import StageLog
from pytest_rollout.judge.history import FlagReading
from pytest_rollout.verdict import CheckResult, Reason, Verdict

PLACE = Place("shop", "staging", "http://shop")
ON = FlagReading(flag="READS", cohort="admin", value=True, reason="STATIC", changed_at=90.0, changed_by="ada")
BREACH = CheckResult(
    verdict=Verdict.BREACHED,
    reason=Reason.LIMIT_BREACHED,
    message="too slow",
    value=0.2,
    limit=0.1,
    window=(1.0, 2.0),
    derivation={"rule": "long", "evidence": {"file": "evidence/shop-stage1.json.gz", "sha256": "ab"}},
    attachments=("a.png",),
)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EvidenceLog]:
    log = EvidenceLog(tmp_path / "evidence.db")
    yield log
    log.close()


@pytest.fixture
def stage(log: EvidenceLog) -> StageLog:
    return StageLog(log, PLACE, "stage1")


def told(log: EvidenceLog) -> list[tuple[str, str]]:
    return [(record.kind.value, record.subject) for record in log.records()]


def flags(log: EvidenceLog) -> list[Any]:
    return [record.data["value"] for record in log.read(Kind.FLAG, PLACE, "READS@admin")]


def test_a_run_from_end_to_end(log: EvidenceLog, stage: StageLog) -> None:
    log.append([stage.entered(100.0, "digest")])
    stage.add_results({"latency": BREACH}, [ON], 101.0)
    head = log.append([stage.left(102.0, "NO-GO", {"latency": "breached"})])

    assert told(log) == [
        ("stage-entered", "stage1"),
        ("flag-change", "READS@admin"),
        ("gate", "stage1/latency"),
        ("stage-left", "stage1"),
    ]
    assert head == log.head()
    entered, changed, _, left = log.records()
    assert (entered.at, dict(entered.data)) == (100.0, {"plan": "digest"})
    assert dict(changed.data) == {"value": True, "changed_at": 90.0, "changed_by": "ada"}
    assert dict(left.data) == {"decision": "NO-GO", "verdicts": {"latency": "breached"}}


def test_a_result_names_its_raw_evidence_by_digest_alone(log: EvidenceLog, stage: StageLog) -> None:
    stage.add_results({"latency": BREACH}, [], 101.0)
    (record,) = log.records()
    data = dict(record.data)
    assert data["derivation"] == {"evidence": {"file": "evidence/shop-stage1.json.gz", "sha256": "ab"}}
    assert "attachments" not in data
    assert (data["verdict"], data["value"], data["window"]) == ("breached", 0.2, [1.0, 2.0])


def test_a_flag_is_recorded_when_it_is_not_as_it_was(log: EvidenceLog, stage: StageLog) -> None:
    for reading in (ON, ON, replace(ON, value=False, changed_at=95.0), replace(ON, changed_at=97.0)):
        stage.add_results({}, [reading], 101.0)
    assert flags(log) == [True, False, True]


def test_a_flag_that_was_turned_and_turned_back_is_recorded(log: EvidenceLog, stage: StageLog) -> None:
    for reading in (ON, replace(ON, changed_at=99.0)):
        stage.add_results({}, [reading], 101.0)
    assert flags(log) == [True, True]


def test_a_flag_that_was_not_evaluated_tells_nothing(log: EvidenceLog, stage: StageLog) -> None:
    stage.add_results({}, [replace(ON, value=False, fault="HTTP 503")], 101.0)
    assert told(log) == []


def test_a_flag_of_another_place_is_another(log: EvidenceLog, stage: StageLog) -> None:
    stage.add_results({}, [ON], 101.0)
    StageLog(log, replace(PLACE, environment="production"), "stage1").add_results({}, [ON], 102.0)
    assert len(told(log)) == 2
