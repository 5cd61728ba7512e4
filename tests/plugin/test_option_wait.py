"""--rollout-wait and the environment's wait."""

from __future__ import annotations

import fnmatch
import time
from typing import Any

import pytest

from tests.plugin.conftest import FLAGS, GATE, Bench

SOON: dict[str, Any] = {"id": "speed", "promql": "last_over_time(speed[$window])", "below": 5, "over": "400ms"}
"""Decided less than a second after the flip."""
LATE = {**SOON, "over": "10m"}


@pytest.fixture(autouse=True)
def _flipped_now(bench: Bench) -> None:
    bench.world.flipped_at = "now"
    bench.world.interval = 0.2
    bench.world.values[SOON["promql"]] = 1


def plan(bench: Bench, gate: dict[str, Any], **staging: Any) -> None:
    bench.plan(GATE, gate, flags=FLAGS, **staging)


@pytest.mark.parametrize(
    ("gate", "staging", "arguments", "decision"),
    [
        pytest.param(SOON, {}, (), "HOLD", id="no waiting"),
        pytest.param(SOON, {}, ("--rollout-wait", "30s"), "GO", id="option"),
        pytest.param(SOON, {"wait": "30s"}, (), "GO", id="plan"),
        pytest.param(SOON, {"wait": "30s"}, ("--rollout-wait", "0"), "HOLD", id="option beats plan"),
        pytest.param(LATE, {}, ("--rollout-wait", "30s"), "HOLD", id="hopeless"),
    ],
)
def test_waiting(
    bench: Bench, gate: dict[str, Any], staging: dict[str, Any], arguments: tuple[str, ...], decision: str
) -> None:
    plan(bench, gate, **staging)
    begun = time.monotonic()

    result = bench.run("-m", "stage1", *arguments)

    assert (bench.decision, result.ret) == (decision, int(decision != "GO"))
    assert bench.checks()["speed"] == ("passed within-limit" if decision == "GO" else "inconclusive window-not-elapsed")
    assert time.monotonic() - begun < 10


def test_a_breach_ends_the_waiting(bench: Bench) -> None:
    plan(bench, LATE)
    bench.world.values["latency"] = 9
    begun = time.monotonic()

    assert bench.run("-m", "stage1", "--rollout-wait", "20m").ret == 1

    assert bench.decision == "NO-GO"
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize(("arguments", "shown"), [((), True), (("-q",), True), (("-qq",), False)], ids=str)
def test_it_says_what_it_waits_for(bench: Bench, arguments: tuple[str, ...], shown: bool) -> None:
    plan(bench, SOON)

    result = bench.run("-m", "stage1", "--rollout-wait", "30s", *arguments)

    assert result.ret == 0
    lines = fnmatch.filter(result.stderr.lines, "waiting for evidence: *speed (* so far, at most * s more)")
    assert len(lines) == shown
