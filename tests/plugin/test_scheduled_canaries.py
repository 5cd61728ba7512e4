"""Gates about the slots of a canary, in a real run: it runs the slots that are due, each once."""

from __future__ import annotations

import re

import pytest

from pytest_rollout.evidence.log import EvidenceLog
from pytest_rollout.evidence.record import Kind, Place, Record
from tests.plugin.conftest import GATE, Bench

CANARY = "import pytest\npytestmark = pytest.mark.canary('smoke')\ndef test_it(): pass\n"
STREAK = {"id": "streak", "canary": {"name": "smoke", "consecutive": 2}}


def plan(bench: Bench, *gates: object, scale: int = 150) -> None:
    """Write a plan with a canary every 15 minutes, which are as many seconds as the scale leaves."""
    stage = {"stage": 1, "name": "Reads", "gates": list(gates)}
    bench.write_plan({"rollout": "shop", "canaries": {"smoke": {"every": "15m"}}, "stages": [stage]}, time_scale=scale)


def slots(bench: Bench) -> list[Record]:
    log = EvidenceLog(bench.path / ".rollout" / "evidence.db", create=False)
    return log.read(Kind.SLOT, Place("shop", "staging", bench.world.url), "smoke")


def test_a_run_that_waits_runs_every_slot_and_pushes_each(bench: Bench) -> None:
    plan(bench, STREAK, {"id": "again", "canary": {"name": "smoke", "quiet": "30m"}})
    bench.test(CANARY)

    result = bench.run("-m", "stage1", "--rollout-wait=2m", "--rollout-push=always")

    assert result.ret == 0
    times = [slot.at for slot in slots(bench)]
    assert len(times) >= 2
    assert times == [times[0] + 6 * number for number in range(len(times))]
    beats = [body for path, body in bench.world.pushes if "/canary/smoke" in path]
    assert len(beats) == len(times)
    (told,) = re.findall(r"^rollout_canary_slot_timestamp_seconds (.+)$", beats[-1], re.MULTILINE)
    assert float(told) == times[-1]


def test_a_failing_canary_is_no_go_at_once(bench: Bench) -> None:
    plan(bench, STREAK, GATE)
    bench.test(CANARY.replace("pass", "assert 0"))

    assert bench.run("-m", "stage1", "--rollout-wait=30s").ret == 1

    assert bench.checks()["streak"] == "breached canary-failed"
    assert [slot.data["state"] for slot in slots(bench)] == ["failed"]


def test_a_python_test_asks_about_slots_too(bench: Bench) -> None:
    plan(bench, GATE, scale=1)
    bench.test(CANARY, "test_smoke")
    bench.test(
        "import pytest\n@pytest.mark.stage1\ndef test_enough(rollout_gate): rollout_gate.canary('smoke', consecutive=2)"
    )

    assert bench.run("-m", "stage1").ret == 1

    assert bench.checks()["test_shop.py::test_enough"] == "inconclusive too-few-passes"
    assert len(slots(bench)) == 1


@pytest.mark.parametrize("asked", ["consecutive=2", "quiet='2h'", "success='99%', over='7d'", "flaky=1"])
def test_a_python_test_cannot_ask_about_slots_that_nobody_plans(bench: Bench, asked: str) -> None:
    bench.plan(GATE)
    bench.test(f"import pytest\n@pytest.mark.stage1\ndef test_it(rollout_gate): rollout_gate.canary('smoke', {asked})")

    assert bench.run("-m", "stage1").ret == 1

    assert bench.checks()["test_shop.py::test_it"] == "error canary-error"
