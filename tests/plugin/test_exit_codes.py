"""Exit statuses: 0 is a GO and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from tests.plugin.conftest import GATE, OTHER, Bench


@pytest.mark.parametrize(
    ("value", "arguments", "status", "decision"),
    [
        pytest.param(1, ("-m", "stage1"), 0, "GO", id="0 every gate passed"),
        pytest.param(9, ("-m", "stage1"), 1, "NO-GO", id="1 a gate is breached"),
        pytest.param([], ("-m", "stage1"), 1, "HOLD", id="1 no data"),
        pytest.param(1, ("-m", "stage1", "-k", "errors"), 1, "HOLD", id="1 a gate is deselected"),
        pytest.param(1, ("-m", "stage1", "-k", "nothing"), 5, "HOLD", id="5 every gate is deselected"),
    ],
)
def test_exit_status_of_a_stage(
    bench: Bench, value: Any, arguments: tuple[str, ...], status: int, decision: str
) -> None:
    bench.plan(GATE, OTHER)
    bench.world.values["latency"] = value

    result = bench.run_apart(*arguments)

    assert (result.ret, bench.decision) == (status, decision)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-m", "stage9"), "no plan has stage9; the plans here have stage1"),
        (("-m", "stage1 or stage9"), "no plan has stage9; the plans here have stage1"),
        (("--rollout-env", "stagin"), "no environment 'stagin'; did you mean 'staging'?"),
        (("--rollout-push", "maybe"), "argument --rollout-push: invalid choice: 'maybe'*"),
        (("--rollout-wait", "3"), "--rollout-wait: '3' is not a duration; write a number with a unit, such as 120ms*"),
        (("--rollout-wait", "soon"), "--rollout-wait: 'soon' is not a duration;*"),
        (("--rollout-flipped-at", "noon"), "--rollout-flipped-at: *; write 2025-09-26T14:30:00+00:00"),
        (("--rollout-flipped-at", "2025-09-26T14:30:00"), "--rollout-flipped-at: '2025-09-26T14:30:00' has no UTC*"),
        (("--rollout-fault", "api-5xx"), "--rollout-fault works only where the run starts a sandbox, not in 'staging'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_arguments_are_exit_status_4_and_the_message_says_what_to_write(
    bench: Bench, arguments: tuple[str, ...], said: str
) -> None:
    bench.plan()

    result = bench.run(*arguments)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{said}"])
    assert bench.world.requests == []


@pytest.mark.parametrize(
    ("strict", "arguments"), [("true", ()), ("false", ()), ("true", ("-n2",))], ids=["strict", "not strict", "-n2"]
)
def test_unknown_stage_is_exit_status_4(bench: Bench, strict: str, arguments: tuple[str, ...]) -> None:
    bench.plan()
    bench.pytester.makepyprojecttoml(f"[tool.pytest]\nrollout_plans = ['.']\nstrict = {strict}\n")

    result = bench.run_apart("-m", "stage9", *arguments)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*ERROR: no plan has stage9; the plans here have stage1"])
    assert not bench.verdict_path.exists()


def test_a_variable_that_is_not_set_is_exit_status_4(bench: Bench) -> None:
    bench.plan(prometheus="${SHOP_PROMETHEUS}")

    result = bench.run("-m", "stage1")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*shop.rollout.yaml:*:*: environments.staging.prometheus needs the environment variable SHOP_PROMETHEUS*"]
    )


def test_a_run_that_cannot_begin_leaves_no_older_go_behind(bench: Bench) -> None:
    bench.plan()
    assert bench.run("-m", "stage1").ret == 0
    assert bench.decision == "GO"
    bench.plan(prometheus="${SHOP_PROMETHEUS}")

    assert bench.run("-m", "stage1").ret == pytest.ExitCode.USAGE_ERROR

    assert (bench.decision, bench.document()["complete"]) == ("HOLD", False)


def test_a_status_that_is_not_zero_stays(bench: Bench) -> None:
    bench.plan()
    bench.test("import pytest\n@pytest.mark.stage1\ndef test_it(): pytest.exit('enough', returncode=42)")

    assert bench.run("-m", "stage1").ret == 42
    assert bench.decision == "HOLD"


def test_without_plans_a_run_is_none_of_our_business(bench: Bench) -> None:
    bench.test("def test_it(): pass", "test_good")

    assert bench.run().ret == 0

    bench.test("import surely_not_there", "test_broken")
    result = bench.run()

    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert sorted(path.name for path in bench.path.iterdir() if not path.name.startswith("_")) == [
        *("pyproject.toml", "test_broken.py", "test_good.py"),
    ]
    assert "rollout:" not in result.stdout.str()
    assert "decision" not in result.stdout.str()


def test_header_names_plan_environment_and_pushing(bench: Bench) -> None:
    bench.plan()
    bench.plan(rollout="till", folder="till")

    result = bench.run("-m", "stage1")

    result.stdout.fnmatch_lines(["rollout: shop, till, environment staging, push never"])


def test_a_token_is_never_shown(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAGS_TOKEN", "s3cr3t-token")
    stage = {"stage": 1, "name": "Reads", "flags": {"WRITES": {"value": True}}, "gates": [GATE]}
    service = {"url": bench.world.url, "token": "${FLAGS_TOKEN}"}
    bench.write_plan({"rollout": "shop", "stages": [stage]}, flags=service)

    result = bench.run("-m", "stage1", "-vv", "--showlocals", "--full-trace")

    assert bench.checks()["flag-state"] == "error flag-not-evaluated"
    assert "s3cr3t" not in result.stdout.str() + result.stderr.str() + bench.verdict_path.read_text(encoding="utf-8")
