"""What a run was not about, what it ran twice, and what it could not even start."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import GATE, OTHER, Bench


def two_stages(bench: Bench) -> str:
    stages = [{"stage": number, "name": "n", "gates": [GATE, OTHER]} for number in (1, 2)]
    return bench.write_plan({"rollout": "shop", "stages": stages}).name


def test_a_node_id_of_a_stage_is_about_that_stage_only(bench: Bench) -> None:
    name = two_stages(bench)
    assert bench.run(f"{name}::stage1").ret == 0
    assert [stage["stage"] for stage in bench.document()["stages"]] == ["stage1"]
    assert bench.decision == "GO"


def test_a_node_id_of_one_gate_leaves_the_rest_of_its_stage_unproven(bench: Bench) -> None:
    name = two_stages(bench)
    assert bench.run(f"{name}::stage1::latency").ret == 1
    assert bench.decision == "HOLD"
    assert bench.checks() == {"latency": "passed within-limit", "errors": "inconclusive not-reported"}


def test_a_path_beside_a_node_id_is_about_every_stage(bench: Bench) -> None:
    name = two_stages(bench)
    assert bench.run(f"{name}::stage1", name).ret == 0
    assert [stage["stage"] for stage in bench.document()["stages"]] == ["stage1", "stage2"]


@pytest.mark.parametrize("arguments", [(), ("-n1",)], ids=["alone", "worker"])
def test_a_test_that_passed_on_a_rerun_says_so(bench: Bench, arguments: tuple[str, ...]) -> None:
    name = bench.plan().name
    bench.test(
        "import pathlib, pytest\n"
        "@pytest.mark.stage1\n"
        "def test_flaky():\n"
        "    seen = pathlib.Path('seen')\n"
        "    first = not seen.exists()\n"
        "    seen.touch()\n"
        "    assert not first\n"
    )
    assert bench.run_apart(name, "test_shop.py", "-m", "stage1", "--reruns=2", *arguments).ret == 0
    (entry,) = [check for check in bench.document()["stages"][0]["checks"] if check["kind"] == "test"]
    assert (entry["verdict"], entry["message"]) == ("passed", "the test passed (run 2 times)")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("-m", "stage9"), "no plan has stage9; the plans here have stage1"),
        (("-m", "stage1", "--rollout-wait=soon"), "--rollout-wait: 'soon' is not a duration"),
        (("-m", "stage1", "--rollout-env=nowhere"), "no environment 'nowhere'"),
    ],
)
def test_an_older_go_does_not_stand_for_a_run_that_did_not_start(
    bench: Bench, arguments: tuple[str, ...], why: str
) -> None:
    name = bench.plan().name
    assert bench.run(name, "-m", "stage1").ret == 0
    assert bench.decision == "GO"
    result = bench.run(name, *arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{why}*"])
    assert bench.decision == "HOLD"
