"""--rollout-env and the ini key rollout_environment."""

from __future__ import annotations

import json
import os

import pytest

from tests.plugin.conftest import FLAGS, Bench


def environment_of(bench: Bench) -> str:
    return str(bench.document()["stages"][0]["environment"])


def test_the_option_beats_the_ini_key_beats_the_sandbox(bench: Bench) -> None:
    bench.plan()
    bench.sandbox()

    assert bench.pytester.runpytest_inprocess("-p", "no:playwright", "-m", "stage1", "--rollout-push=never").ret == 0
    assert environment_of(bench) == "sandbox"
    bench.pytester.makepyprojecttoml('[tool.pytest]\nrollout_plans = ["."]\nrollout_environment = "staging"\n')
    assert bench.pytester.runpytest_inprocess("-p", "no:playwright", "-m", "stage1", "--rollout-push=never").ret == 0
    assert environment_of(bench) == "staging"
    assert bench.run("-m", "stage1", "--rollout-env", "sandbox").ret == 0
    assert environment_of(bench) == "sandbox"


def test_a_sandbox_is_started_once_with_the_flags_of_the_stage_and_ended(bench: Bench) -> None:
    bench.plan(flags={"READS": {"value": True, "cohort": "admin"}})
    bench.sandbox()

    result = bench.run_apart("-m", "stage1", "--rollout-env", "sandbox", "-n2")

    assert (result.ret, bench.decision) == (0, "GO")
    assert bench.document()["stages"][0]["rehearsal_reasons"] == ["sandbox", "time scale 60"]
    (start,) = bench.sandbox_starts()
    assert start.startswith("up --leash ")
    assert start.endswith("--flag READS=admin:true")
    assert (bench.path / "sandbox.ended").exists()


def test_a_sandbox_that_does_not_start_holds_and_is_not_tried_again(bench: Bench) -> None:
    bench.plan(flags=FLAGS)
    bench.test("import pytest\n@pytest.mark.stage1\ndef test_it(rollout_target): pass")
    bench.sandbox(starts=False)

    result = bench.run("-m", "stage1", "--rollout-env", "sandbox")

    assert (result.ret, bench.decision, len(bench.sandbox_starts())) == (1, "HOLD", 1)
    assert bench.checks() == {
        "flag-state": "error environment",
        "latency": "error environment",
        "test_shop.py::test_it": "error test-error",
    }
    assert bench.document()["rehearsal"] is True
    result.stdout.fnmatch_lines(["*the sandbox did not start: there is no room for a sandbox"])


def test_without_a_sandbox_in_the_repository_it_holds(bench: Bench) -> None:
    bench.plan()

    result = bench.run("-m", "stage1", "--rollout-env", "sandbox")

    assert result.ret != 0
    assert "there is no sandbox/ at or above" in result.stdout.str() + result.stderr.str()
    assert bench.decision == "HOLD"


def test_a_sandbox_that_is_up_is_used(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.plan()
    bench.sandbox()
    state = bench.path / "up.json"
    monkeypatch.setenv("ROLLOUT_SANDBOX", str(state))

    missing = bench.run("-m", "stage1", "--rollout-env", "sandbox")
    assert missing.ret != 0
    assert bench.decision == "HOLD"

    words = dict.fromkeys(("target", "prometheus", "pushgateway", "flags"), bench.world.url)
    system = {"system": "prisma", "variables": {}, "faults": ["api-5xx"]}
    state.write_text(json.dumps({**words, **system, "flags_token": "t"}), encoding="utf-8")
    assert bench.run("-m", "stage1", "--rollout-env", "sandbox").ret == 0
    assert bench.sandbox_starts() == []
    assert bench.document()["stages"][0]["rehearsal_reasons"] == ["sandbox", "time scale 60", "fault api-5xx"]
    assert os.environ["ROLLOUT_SANDBOX"] == str(state)
