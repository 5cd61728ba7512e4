"""What the documents say is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_rollout.judge.slot import SlotState
from pytest_rollout.plan.gates import KINDS, Gate
from pytest_rollout.plan.kinds import Baseline, Burn, CanaryHistory
from pytest_rollout.plan.loader import load_plan
from pytest_rollout.plan.schedule import Schedule
from pytest_rollout.plan.several import Streak
from pytest_rollout.verdict import Reason
from sandbox.faults import FAULTS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_first_plan_of_the_readme_loads(tmp_path: Path) -> None:
    (text,) = re.findall(r"```yaml\n(rollout: .*?)```", README, re.DOTALL)
    path = tmp_path / "checkout.rollout.yaml"
    path.write_text(text)
    (stage,) = load_plan(path).plan.stages
    assert [gate.kind for gate in stage.gates] == ["ratio", "quantile", "counter"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_gate_kind_is_explained(kind: str) -> None:
    assert f"\n| `{kind}` |" in README


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_to_hold_is_explained(reason: Reason) -> None:
    obvious = {
        Reason.WITHIN_LIMIT,
        Reason.LIMIT_BREACHED,
        Reason.CANARY_FAILED,
        Reason.FLAG_MISMATCH,
        Reason.TEST_FAILED,
        Reason.ATTESTED_NO,
    }
    assert reason in obvious or f"`{reason.value}`" in README


_OF_CANARIES = {*Schedule.model_fields, *CanaryHistory.model_fields, *(state.value for state in SlotState)}


@pytest.mark.parametrize("word", sorted(_OF_CANARIES))
def test_every_key_and_state_of_canaries_is_explained(word: str) -> None:
    assert re.search(rf"\b{word}\b", (ROOT / "docs" / "canaries.md").read_text(encoding="utf-8"))


_KEYS = {*Gate.model_fields, *Baseline.model_fields, *Burn.model_fields, *Streak.model_fields} - {"id"}


@pytest.mark.parametrize("key", sorted(_KEYS))
def test_every_key_of_a_gate_is_named(key: str) -> None:
    assert re.search(rf"`[^`\n]*\b{key}\b[^`\n]*`", README)


def test_every_option_is_explained(pytestconfig: pytest.Config) -> None:
    ours = {name for name in vars(pytestconfig.option) if name.startswith(("rollout_", "golden_"))}
    assert ours
    assert sorted(name for name in ours if f"`--{name.replace('_', '-')}" not in README) == []


def test_every_fault_of_the_readme_exists() -> None:
    named = set(re.findall(r"--rollout-fault ([a-z0-9-]+)", README))
    assert named
    assert named <= {fault.name for fault in FAULTS}


def test_every_option_of_the_readme_exists(pytestconfig: pytest.Config) -> None:
    for option in set(re.findall(r"--(?:rollout|golden)-[a-z-]+", README)):
        assert pytestconfig.getoption(option.removeprefix("--").replace("-", "_"), default="missing") != "missing", (
            option
        )


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_every_link_leads_somewhere(link: str) -> None:
    assert (ROOT / link).exists()
