"""--rollout-push: what is pushed, and that pushing never changes a verdict."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.plugin.conftest import GATE, Bench

NOWHERE = "http://127.0.0.1:1"


def families_of(body: str) -> set[str]:
    return {line.split()[2] for line in body.splitlines() if line.startswith("# TYPE")}


@pytest.mark.parametrize(
    ("ini", "option", "pushes"),
    [
        ("", "always", 1),
        ("", "never", 0),
        ("", None, 1),
        ("rollout_push = 'never'", None, 0),
        ("rollout_push = 'never'", "always", 1),
        ("rollout_push = 'always'", "never", 0),
    ],
)
def test_the_option_beats_the_ini_key(bench: Bench, ini: str, option: str | None, pushes: int) -> None:
    bench.pytester.makepyprojecttoml(f"[tool.pytest]\nrollout_plans = ['.']\n{ini}\n")
    bench.plan()
    told = ("--rollout-push", option) if option else ()

    result = bench.pytester.runpytest_inprocess(
        "-p", "no:playwright", "-m", "stage1", "--rollout-env", "staging", *told
    )

    assert result.ret == 0
    assert len(bench.world.pushes) == pushes


def test_a_wrong_ini_key_is_refused(bench: Bench) -> None:
    bench.pytester.makepyprojecttoml("[tool.pytest]\nrollout_plans = ['.']\nrollout_push = 'alwyas'\n")
    bench.plan()

    result = bench.pytester.runpytest_inprocess("-p", "no:playwright", "-m", "stage1", "--rollout-env", "staging")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*rollout_push: 'alwyas' is neither always nor never"])


@pytest.mark.parametrize(("value", "decision"), [(1, "GO"), (9, "NO-GO"), ([], "HOLD")])
def test_only_a_go_moves_the_time_of_the_last_success(bench: Bench, value: Any, decision: str) -> None:
    """The family is absent otherwise, so that a POST leaves what stands in the gateway."""
    bench.plan()
    bench.world.values["latency"] = value

    result = bench.run("-m", "stage1", "--rollout-push", "always")

    ((path, body),) = bench.world.pushes
    assert path == "/metrics/job/pytest_rollout/instance/staging/rollout/shop/stage/stage1"
    assert ("rollout_last_success_timestamp_seconds" in families_of(body)) is (decision == "GO")
    assert f'rollout_stage_decision{{decision="{decision}"}} 1.0' in body
    result.stdout.fnmatch_lines([f"pushgateway pushed: 1 pushed to {bench.world.url}"])


@pytest.mark.parametrize(
    ("trouble", "value"), [("down", 1), ("503", 1), ("503", 9), ("400", 1), ("slow", 1), ("no address", 1)]
)
def test_trouble_with_the_gateway_never_changes_a_verdict(bench: Bench, trouble: str, value: int) -> None:
    staging: dict[str, Any] = {"down": {"pushgateway": NOWHERE}, "no address": {"pushgateway": "http://"}}
    bench.plan(**staging.get(trouble, {}))
    bench.world.values["latency"] = value
    bench.world.statuses["push"] = int(trouble) if trouble.isdecimal() else 200
    bench.world.push_delay = 6 if trouble == "slow" else 0
    begun = time.monotonic()

    result = bench.run("-m", "stage1", "--rollout-push", "always")

    assert (result.ret, bench.decision) == ((0, "GO") if value == 1 else (1, "NO-GO"))
    assert time.monotonic() - begun < 5
    said = {
        "down": "pushgateway spooled: not pushed to http://127.0.0.1:1; *refused*; 1 kept in */.rollout/spool for *",
        "503": "pushgateway spooled: not pushed to *; HTTP 503: *; 1 kept in */.rollout/spool for the next push",
        "400": "pushgateway spooled: not pushed to *; HTTP 400: *; 1 kept in */.rollout/spool for the next push",
        "slow": "pushgateway spooled: not pushed to *; no answer within 2 s; 1 kept in */.rollout/spool for the next*",
        "no address": "pushgateway failed: PublishError(\"'http://' is no address of a Pushgateway; *",
    }
    result.stdout.fnmatch_lines([said[trouble]])


def test_what_could_not_be_pushed_is_pushed_by_the_next_run(bench: Bench) -> None:
    bench.plan()
    bench.world.statuses["push"] = 503
    bench.run("-m", "stage1", "--rollout-push", "always")
    bench.world.statuses["push"] = 200
    bench.world.pushes.clear()

    result = bench.run("-m", "stage1", "--rollout-push", "always")

    assert len(bench.world.pushes) == 2
    result.stdout.fnmatch_lines([f"pushgateway pushed: 2 pushed to {bench.world.url}"])


def test_every_stage_has_its_own_group_and_one_push(bench: Bench) -> None:
    stages = [{"stage": number, "name": "x", "gates": [GATE]} for number in (1, 2)]
    bench.write_plan({"rollout": "shop", "stages": stages})
    bench.write_plan({"rollout": "till", "stages": stages[:1]})

    bench.run("--rollout-push", "always")

    assert sorted(path.partition("/rollout/")[2] for path in bench.world.push_paths()) == [
        "shop/stage/stage1",
        "shop/stage/stage2",
        "till/stage/stage1",
    ]


def test_a_plan_is_never_pushed_to_the_gateway_of_another(bench: Bench) -> None:
    bench.plan(rollout="shop")
    bench.plan(rollout="till", pushgateway=None)

    bench.run("--rollout-push", "always")

    assert [path.partition("/rollout/")[2] for path in bench.world.push_paths()] == ["shop/stage/stage1"]


def test_a_run_without_a_gateway_pushes_nothing_and_says_nothing(bench: Bench) -> None:
    bench.plan(pushgateway=None)

    result = bench.run("-m", "stage1", "--rollout-push", "always")

    assert result.ret == 0
    assert "pushgateway" not in result.stdout.str()


def test_numbers_that_are_none_are_pushed_as_none(bench: Bench) -> None:
    bench.plan()
    bench.world.values["latency"] = "NaN"

    bench.run("-m", "stage1", "--rollout-push", "always")

    assert json.loads(bench.verdict_path.read_text(encoding="utf-8"))["stages"][0]["checks"][0]["value"] is None
    (line,) = (line for line in bench.world.pushes[0][1].splitlines() if line.startswith("rollout_check_value"))
    assert line.endswith(" NaN")
