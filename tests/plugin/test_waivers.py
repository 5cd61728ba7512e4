"""A waiver is on every report, and nothing passes by it."""

from __future__ import annotations

import time
import xml.etree.ElementTree as ET

import pytest
from typer.testing import CliRunner

from pytest_rollout.cli import main
from pytest_rollout.evidence.log import EvidenceLog
from pytest_rollout.evidence.people import add_waiver
from pytest_rollout.evidence.record import Place
from pytest_rollout.judge.attestation import Waiver
from tests.plugin.conftest import GATE, OTHER, Bench

TEXT = "[WAIVED by Ada until *Z: known to be slow today; it does not count as passed]"


def waive(bench: Bench, *, check: str = "latency", seconds: float = 600, stage: str = "stage1") -> None:
    log = EvidenceLog(bench.path / ".rollout" / "evidence.db")
    now = time.time()
    waiver = Waiver(
        check=check,
        verdict="breached",
        by="Ada",
        reason="known to be slow today",
        given_at=now - 1,
        expires_at=now + seconds,
    )
    add_waiver(log, Place("shop", "staging", bench.world.url), stage, waiver)
    log.close()


def test_a_waived_breach_is_shown_everywhere_and_stays_a_breach(bench: Bench) -> None:
    bench.plan(GATE, OTHER)
    bench.world.values["latency"] = 9
    waive(bench)

    result = bench.run("-m", "stage1", "--junitxml=junit.xml")

    assert result.ret == 1
    assert bench.decision == "NO-GO"
    assert bench.checks() == {"latency": "breached limit-breached", "errors": "passed within-limit"}
    (entry, other) = (check for stage in bench.document()["stages"] for check in stage["checks"])
    seen = {
        "terminal": " ".join(" ".join(result.stdout.lines).split()),
        "verdict file": entry["message"],
        "junit": ET.parse(bench.path / "junit.xml").findall(".//failure")[0].get("message"),  # noqa: S314 - our own file
        "explain": CliRunner().invoke(main, ["explain", str(bench.verdict_path), "latency"]).output,
    }
    for text in seen.values():
        pytest.LineMatcher([" ".join(str(text).split())]).fnmatch_lines([f"*{TEXT.replace('[', '[[]')}*"])
    assert entry["derivation"]["waiver"]["by"] == "Ada"
    assert "waiver" not in other["derivation"]


@pytest.mark.parametrize(
    ("check", "seconds", "stage"),
    [("latency", -0.5, "stage1"), ("latency", 600, "stage2")],
    ids=["expired", "another stage"],
)
def test_a_waiver_of_something_else_is_not_shown(bench: Bench, check: str, seconds: float, stage: str) -> None:
    bench.plan(GATE)
    bench.world.values["latency"] = 9
    waive(bench, check=check, seconds=seconds, stage=stage)

    result = bench.run("-m", "stage1")

    assert result.ret == 1
    assert "WAIVED" not in result.stdout.str()


def test_a_waived_check_that_was_not_run_is_shown_too(bench: Bench) -> None:
    bench.plan(GATE, OTHER)
    waive(bench)

    result = bench.run("-m", "stage1", "-k", "errors")

    assert (result.ret, bench.decision) == (1, "HOLD")
    result.stdout.fnmatch_lines(
        ["WAIVED: latency, by Ada until *Z: known to be slow today; it does not count as passed"]
    )
    (stage,) = bench.document()["stages"]
    assert [(waiver["check"], waiver["by"]) for waiver in stage["waivers"]] == [("latency", "Ada")]


def test_a_waived_check_without_evidence_still_holds(bench: Bench) -> None:
    bench.plan(GATE)
    bench.world.values["latency"] = []
    waive(bench)

    assert bench.run("-m", "stage1").ret == 1
    assert bench.decision == "HOLD"
