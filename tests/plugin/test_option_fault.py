"""--rollout-fault."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import Bench


def test_faults_are_switched_on_and_shown(bench: Bench) -> None:
    bench.plan()
    bench.sandbox()

    result = bench.run(
        *("-m", "stage1", "--rollout-env", "sandbox", "--rollout-fault", "api-5xx", "--rollout-fault", "slow-reads")
    )

    assert result.ret == 0
    assert (bench.path / "sandbox.ended").exists()
    (start,) = bench.sandbox_starts()
    assert "--fault api-5xx --fault slow-reads" in start
    result.stdout.fnmatch_lines(
        [
            "rollout: shop, environment sandbox, faults api-5xx, slow-reads, push never",
            "* GO REHEARSAL (sandbox, time scale 60, fault api-5xx, fault slow-reads) *",
        ]
    )


def test_a_fault_needs_a_sandbox_of_its_own(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLLOUT_SANDBOX", str(bench.path / "elsewhere.json"))
    bench.plan()
    bench.sandbox()

    assert bench.run("-m", "stage1", "--rollout-env", "sandbox", "--rollout-fault", "api-5xx").ret == 0
    assert len(bench.sandbox_starts()) == 1


def test_an_unknown_fault_is_refused_with_a_suggestion(bench: Bench) -> None:
    bench.plan()
    bench.sandbox()

    result = bench.run("-m", "stage1", "--rollout-env", "sandbox", "--rollout-fault", "api-5x")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*the sandbox has no fault 'api-5x'; did you mean 'api-5xx'?"])
    assert bench.sandbox_starts() == []
