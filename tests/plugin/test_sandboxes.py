"""A sandbox for each plan, of the system that the plan names, and the variables that it brings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.plugin.conftest import GATE, Bench

MODES = {"MODE": {"value": "warn", "cohort": "canary"}}


def plan(bench: Bench, rollout: str, system: bool | str, **stage: Any) -> Path:
    """Write a plan into a folder of its own, whose sandbox is of a system."""
    first = {"stage": 1, "name": "First", "gates": [GATE], **stage}
    last = {"stage": 9, "name": "Last", "gates": [GATE], "sandbox": ["unheard-of"]}
    sandbox = {"sandbox": {"sandbox": system, "time_scale": 60}}
    return bench.write_plan({"rollout": rollout, "environments": sandbox, "stages": [first, last]}, folder=rollout)


def decisions(bench: Bench) -> dict[str, str]:
    return {stage["rollout"]: stage["decision"] for stage in bench.document()["stages"]}


@pytest.fixture
def both(bench: Bench) -> Bench:
    """Return a bench with two plans, whose sandboxes are of different systems."""
    bench.sandbox()
    bench.world.flags["MODE"] = "warn"
    plan(bench, "shop", True, flags={"READS": {"value": True}})
    plan(bench, "stages", "modes", flags=MODES, sandbox=["migrated"])
    return bench


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["one process", "two workers"])
def test_two_plans_have_a_sandbox_each(both: Bench, workers: tuple[str, ...]) -> None:
    result = both.run_apart("-m", "stage1", "--rollout-env", "sandbox", *workers)

    assert (result.ret, decisions(both)) == (0, {"shop": "GO", "stages": "GO"})
    one, other = sorted(both.sandbox_starts(), key=len)
    assert one.endswith("--flag READS=*:true")
    assert "--system" not in one
    for words in ("--system modes", "--migrated", "--flag MODE=canary:warn"):
        assert words in other
    assert "READS" not in other


def test_a_sandbox_is_started_for_the_last_stage_of_its_own_plan(both: Bench) -> None:
    both.run("-m", "stage1 or stage9", "shop", "--rollout-env", "sandbox")
    (start,) = both.sandbox_starts()
    assert start.endswith("--unheard-of")


def test_one_that_does_not_start_holds_its_own_plan(both: Bench) -> None:
    plan(both, "stages", "broken", flags=MODES)

    result = both.run_apart("-m", "stage1", "--rollout-env", "sandbox", "-n2")

    assert (result.ret, decisions(both)) == (1, {"shop": "GO", "stages": "HOLD"})
    assert len(both.sandbox_starts()) == 2
    result.stdout.fnmatch_lines(["*the sandbox did not start: there is no room for a sandbox"])


def test_a_fault_is_switched_on_where_it_is_known(both: Bench) -> None:
    arguments = ("-m", "stage1", "--rollout-env", "sandbox", "--rollout-fault", "wrong-mode")

    both.run(*arguments)
    one, other = sorted(both.sandbox_starts(), key=len)
    assert "--fault" not in one
    assert "--fault wrong-mode" in other
    rehearsals = {stage["rollout"]: stage["rehearsal_reasons"] for stage in both.document()["stages"]}
    assert rehearsals["shop"] == ["sandbox", "time scale 60"]
    assert rehearsals["stages"] == ["sandbox", "time scale 60", "fault wrong-mode"]


def test_a_fault_that_no_sandbox_of_the_run_knows_is_refused(both: Bench) -> None:
    result = both.run("-m", "stage1", "--rollout-env", "sandbox", "--rollout-fault", "wrong-mode", "shop")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*the sandbox has no fault 'wrong-mode'; known here: api-5xx, slow-reads"])
    assert both.sandbox_starts() == []


def test_a_fault_of_a_plan_whose_stages_are_not_asked_for_is_missed(both: Bench) -> None:
    plan(both, "shop", True, stage=2)

    result = both.run("-m", "stage2", "--rollout-env", "sandbox", "--rollout-fault", "wrong-mode")

    assert (result.ret, both.decision) == (1, "HOLD")
    result.stdout.fnmatch_lines(["not complete: the fault 'wrong-mode' was switched on in no sandbox of these stages"])


def up(bench: Bench, system: str) -> Path:
    """Write the state file of a sandbox that is up."""
    words = dict.fromkeys(("target", "prometheus", "pushgateway", "flags"), bench.world.url)
    told = {"flags_token": "t", "faults": [], "system": system, "variables": {"SHOP_SYSTEM": "up"}}
    path = bench.path / "up.json"
    path.write_text(json.dumps({**words, **told}), encoding="utf-8")
    return path


@pytest.mark.parametrize("system", ["prisma", "modes"])
def test_a_sandbox_that_is_up_is_used_for_the_plans_of_its_system(
    both: Bench, monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    monkeypatch.setenv("ROLLOUT_SANDBOX", str(up(both, system)))

    assert both.run("-m", "stage1", "--rollout-env", "sandbox").ret == 0

    (start,) = both.sandbox_starts()
    assert ("--system modes" in start) == (system == "prisma")


# --- variables -----------------------------------------------------------------------------------------------

CANARY = """
import pytest

@pytest.mark.canary("variables")
def test_variables(rollout_variables, rollout_target):
    assert rollout_variables is rollout_target.variables
    assert rollout_variables["SHOP_SYSTEM"] == "modes"
    assert rollout_variables["SHOP_REGION"] == "eu"
    assert "SHOP_EMPTY" not in rollout_variables
    assert rollout_variables.get("SHOP_NOWHERE") is None
    assert "s3cret" not in repr(rollout_variables) + str(rollout_variables) + repr(rollout_target)
    assert rollout_variables["SHOP_TOKEN"] == "s3cret-modes"
    rollout_variables["SHOP_NOWHERE"]
"""
GATES = [{"id": "variables", "canary": {"name": "variables"}}]
UNSET = (
    "test_variables: call failed: pytest_rollout.errors.EnvironmentUnready: the environment variable SHOP_NOWHERE is "
    "not set; export it, or choose an environment that brings it, as a sandbox does"
)


def test_a_canary_has_the_variables_of_its_plans_sandbox(both: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last thing that the canary does is to ask for one that is not set: so all before that went well."""
    for variable, text in (("SHOP_REGION", "eu"), ("SHOP_SYSTEM", "of the process"), ("SHOP_EMPTY", "")):
        monkeypatch.setenv(variable, text)
    plan(both, "stages", "modes", gates=GATES)
    (both.path / "stages" / "test_canary.py").write_text(CANARY, encoding="utf-8")

    both.run("-m", "stage1", "--rollout-env", "sandbox", "stages")

    (check,) = both.document()["stages"][0]["checks"]
    assert (check["verdict"], check["reason"], check["message"]) == ("error", "canary-error", UNSET)
