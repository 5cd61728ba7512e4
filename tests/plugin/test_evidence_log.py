"""Every run is in the evidence log, and the reports say where the log ended."""

from __future__ import annotations

import json
import sqlite3
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from pytest_rollout.evidence.log import EvidenceLog
from pytest_rollout.evidence.record import Head
from tests.plugin.conftest import FLAGS, GATE, OTHER, Bench


def log(bench: Bench) -> EvidenceLog:
    return EvidenceLog(bench.path / ".rollout" / "evidence.db", create=False)


def told(bench: Bench) -> list[tuple[str, str]]:
    return [(record.kind.value, record.subject) for record in log(bench).records()]


def head(bench: Bench) -> str:
    return str(bench.document()["evidence"]["head"])


def sql(bench: Bench, *statements: str) -> None:
    """Change a log behind its back."""
    connection = sqlite3.connect(bench.path / ".rollout" / "evidence.db")
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def faults(bench: Bench) -> str:
    return "\n".join(bench.document()["faults"])


def test_a_run_is_recorded_from_end_to_end(bench: Bench) -> None:
    bench.plan(GATE, OTHER, flags=FLAGS)
    bench.world.values["errors"] = 2

    bench.run("-m", "stage1")

    assert [one for one in told(bench) if one[0] != "look"] == [
        ("stage-entered", "stage1"),
        ("flag-change", "READS@*"),
        ("gate", "stage1/flag-state"),
        ("gate", "stage1/latency"),
        ("gate", "stage1/errors"),
        ("stage-left", "stage1"),
    ]
    *_, left = log(bench).records()
    assert left.data["decision"] == "NO-GO"
    assert left.data["verdicts"] == {"flag-state": "passed", "latency": "passed", "errors": "breached"}


def test_the_head_is_in_every_report(bench: Bench) -> None:
    bench.plan(GATE)
    result = bench.run("-m", "stage1", "--junitxml=junit.xml")

    now = log(bench).head()
    assert head(bench) == str(now)
    assert bench.document()["evidence"]["log"] == str(bench.path / ".rollout" / "evidence.db")
    result.stdout.fnmatch_lines([f"evidence {now}  *evidence.db"])
    (case,) = ET.parse(bench.path / "junit.xml").iter("testcase")  # noqa: S314 - our own file
    properties = {one.get("name"): one.get("value") for one in case.iter("property")}
    judged = Head.parse(str(properties["rollout.evidence"]))
    assert judged.count == now.count - 1, "all but that the stage was left"
    assert log(bench).had(judged)


def test_a_log_that_lost_its_end_is_no_go(bench: Bench) -> None:
    bench.plan(GATE)
    assert bench.run("-m", "stage1").ret == 0
    before = head(bench)
    (bench.path / ".rollout" / "evidence.db").unlink()

    assert bench.run("-m", "stage1").ret == 1

    assert bench.decision == "HOLD"
    assert faults(bench) == (
        f"the evidence log {bench.path / '.rollout' / 'evidence.db'} does not have what it had: {bench.verdict_path} "
        f"names the head {before}; restore the log, or remove that file if it is about another log"
    )
    assert head(bench) == before, "a second run must not forget it"
    assert bench.run("-m", "stage1").ret == 1


def test_a_run_with_another_log_in_between_does_not_make_it_forget(bench: Bench) -> None:
    bench.plan(GATE)
    bench.run("-m", "stage1")
    assert bench.run("-m", "stage1", "--rollout-evidence=other.db").ret == 0
    (bench.path / ".rollout" / "evidence.db").unlink()

    assert bench.run("-m", "stage1", "--rollout-evidence=other/../.rollout/evidence.db").ret == 1
    assert "does not have what it had" in faults(bench)


def test_a_run_that_could_not_start_does_not_make_it_forget(bench: Bench) -> None:
    bench.plan(GATE)
    bench.run("-m", "stage1")
    before = head(bench)
    (bench.path / ".rollout" / "evidence.db").unlink()

    assert bench.run("-m", "stage9").ret == pytest.ExitCode.USAGE_ERROR

    assert head(bench) == before
    assert bench.run("-m", "stage1").ret == 1


@pytest.mark.parametrize(
    "query",
    ["u:hunter2@db/log", "u:s3/hunter2@db/log", "u@db/log?pass%77ord=hunter2", "u@db/log?PGPASSWORD=hunter2"],
)
def test_a_password_in_the_address_gets_nowhere(bench: Bench, query: str) -> None:
    bench.plan(GATE)

    result = bench.run("-m", "stage1", f"--rollout-evidence=postgresql://{query}", "--junitxml=junit.xml")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--rollout-evidence: the URL of the evidence log has a password in it, *"])
    written = [path for path in bench.path.rglob("*") if path.is_file() and b"hunter2" in path.read_bytes()]
    assert written == []


def test_another_log_is_not_held_against_this_one(bench: Bench) -> None:
    bench.plan(GATE)
    assert bench.run("-m", "stage1").ret == 0
    assert bench.run("-m", "stage1", "--rollout-evidence=other.db").ret == 0


@pytest.mark.parametrize("head", ["12", "x:y", None, 7, f"-1:{'0' * 64}"])
def test_a_head_that_is_none_is_no_go(bench: Bench, head: Any) -> None:
    bench.plan(GATE)
    bench.run("-m", "stage1")
    document = bench.document()
    document["evidence"]["head"] = head
    bench.verdict_path.write_text(json.dumps(document), encoding="utf-8")

    assert bench.run("-m", "stage1").ret == (0 if head is None else 1)


def test_a_changed_record_is_no_go(bench: Bench) -> None:
    bench.plan(GATE, OTHER)
    bench.world.values["errors"] = 1
    bench.run("-m", "stage1")
    bench.world.values["errors"] = 0
    sql(bench, "UPDATE records SET data = replace(data, '\"count\":1', '\"count\":0') WHERE kind = 'look'")

    assert bench.run("-m", "stage1").ret == 1

    assert bench.decision == "HOLD"
    assert bench.checks()["latency"] == "error evidence-unusable"


def test_a_log_that_cannot_be_written_is_no_go(bench: Bench) -> None:
    bench.plan(GATE)
    place = bench.path / ".rollout"
    place.write_text("no folder", encoding="utf-8")

    assert bench.run("-m", "stage1").ret == 1

    assert bench.decision == "HOLD"
    assert str(place) in faults(bench)
    assert head(bench) == ""


def test_an_older_log_of_another_schema_is_refused(bench: Bench) -> None:
    bench.plan(GATE)
    bench.run("-m", "stage1")
    sql(bench, "UPDATE schema_version SET version = 9")

    assert bench.run("-m", "stage1").ret == 1

    assert "schema 9" in faults(bench)
