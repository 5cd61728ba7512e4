"""The plan: its flags and playbook, every canary it names, and that its limits are those of the alerts."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from canaries.stage_normalization.alerts import RULES, Alert, alerts_of
from canaries.stage_normalization.endpoints import COHORT_FLAG, ENDPOINTS
from canaries.stage_normalization.test_rollback_rehearsal import PLAN, turned
from pytest_rollout.plan.lint import lint
from pytest_rollout.plan.loader import load_plan
from pytest_rollout.plan.model import Stage

LOADED = load_plan(PLAN)
STAGES = LOADED.plan.stages
GATES = {  # the gate that has the same limit as an alert
    "StageValidationErrorRate": "validator-errors",
    "StageValidationLatency": "validator-p99",
    "StageDeprecationHeaderCoverage": "header-coverage",
}


def modes(stage: Stage) -> list[bool | str]:
    """Return what everybody meets at the three endpoints, and the canary everywhere."""
    return [stage.wanted[f"{one.flag}@*"] for one in ENDPOINTS] + [stage.wanted[f"{COHORT_FLAG}@canary"]]


def test_stages_go_from_warn_to_enforce() -> None:
    warn, enforce = "warn", "enforce"
    assert {stage.stage: modes(stage) for stage in STAGES} == {
        1: [warn, warn, warn, warn],
        2: ["off", "off", "off", warn],
        3: [warn, warn, warn, warn],
        4: [warn, warn, warn, enforce],
        5: [warn, warn, enforce, enforce],
        6: [warn, enforce, enforce, enforce],
        7: [enforce, enforce, enforce, enforce],
    }


def test_migration_is_done_from_stage_3_on() -> None:
    assert [stage.stage for stage in STAGES if stage.sandbox == ("migrated",)] == [3, 4, 5, 6, 7]


def test_playbook_is_in_the_order_of_the_document() -> None:
    names = [action.id for action in LOADED.plan.rollback]
    assert names == ["warn", "off-monte-carlo", "off-strategies", "off-companies", "previous-tag", "data", "note"]


def test_every_canary_of_the_plan_is_there() -> None:
    named = {gate.canary.name for stage in STAGES for gate in stage.gates if gate.canary}
    marks = {line for path in Path(PLAN).parent.glob("test_*.py") for line in path.read_text().splitlines()}
    assert {name for name in named if f'pytestmark = pytest.mark.canary("{name}")' not in marks} == set()


def test_every_stage_confirms_the_mode_and_asks_the_alerts() -> None:
    for stage in STAGES:
        ids = {gate.id for gate in stage.gates}
        assert {"modes", "alerts-quiet", "metrics-arriving", "validator-errors", "validator-p99"} <= ids, stage.name


def test_nothing_is_wrong_with_the_plan() -> None:
    assert [found.message for found in lint(LOADED.plan) if found.severity == "error"] == []


@pytest.mark.parametrize("alert", alerts_of(yaml.safe_load(RULES.read_text())), ids=lambda alert: str(alert.name))
def test_limit_of_an_alert_is_that_of_its_gate(alert: Alert) -> None:
    limits = {gate.limit for stage in STAGES for gate in stage.gates if gate.id == GATES[alert.name]}
    bad = alert.limit if alert.sign == ">" else 1 - alert.limit  # a gate's limit is of what is not good
    assert list(limits) == [pytest.approx(bad)]


def test_flags_turn_the_modes_they_name() -> None:
    before = {(one.name, cohort): "enforce" for one in ENDPOINTS for cohort in ("*", "canary")}
    one = turned(before, {"STAGE_VALIDATION_MODE_COMPANIES": "off"})  # type: ignore[arg-type]
    assert {place for place, mode in one.items() if mode == "off"} == {("companies", "*"), ("companies", "canary")}
    assert set(turned(before, {COHORT_FLAG: "warn"}).values()) == {"warn"}  # type: ignore[arg-type]
