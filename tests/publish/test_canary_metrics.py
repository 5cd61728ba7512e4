"""Metrics of canaries, in a real Pushgateway."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest

from pytest_rollout.evidence.record import Place
from pytest_rollout.judge.history import CanaryRun
from pytest_rollout.judge.slot import Slot, SlotState
from pytest_rollout.publish.canary_metrics import canary_group
from pytest_rollout.publish.pushgateway import Pushgateway, PushOutcome, exposition
from tests.publish.gateways import stored

PLACE = Place("prisma", "production", "https://portal")
GROUP = ("settlement", "production", "pytest_rollout", "prisma")
UNRUN = [SlotState.MISSED, SlotState.SUPPRESSED, SlotState.SKIPPED_OVERLAP]


def slot(number: int, state: SlotState = SlotState.OK, **changes: Any) -> Slot:
    at = 900.0 * number
    runs = () if state in UNRUN else (f"run{number}",)
    known = {"canary": "settlement", "at": at, "every": 900.0, "state": state, "ended_at": at + 31.5, "runs": runs}
    return Slot(**{**known, **changes})


def run(number: int, began: float = 1.5, ended: float = 31.5, **changes: Any) -> CanaryRun:
    at = 900.0 * number
    known = {"run_id": f"run{number}", "canary": "settlement", "outcome": "ok"}
    return CanaryRun(**{**known, "started_at": at + began, "ended_at": at + ended, **changes})


def exported(*slots: Slot, runs: tuple[CanaryRun, ...] = ()) -> list[str]:
    lines = exposition(canary_group(PLACE, slots, runs).metrics).splitlines()
    return [line for line in lines if not line.startswith("#")]


def named(lines: list[str], name: str) -> dict[str, float]:
    """Label value (or nothing) to value, of one metric."""
    found = [re.fullmatch(rf'{name}(?:{{\w+="(.*)"}})? (\S+)', line) for line in lines]
    return {match[1] or "": float(match[2]) for match in found if match}


def test_a_slot_that_is_ok_exports_exactly_this() -> None:
    assert exported(slot(1), slot(2), runs=(run(1), run(2))) == [
        'rollout_canary_state{state="ok"} 1.0',
        'rollout_canary_state{state="failed"} 0.0',
        'rollout_canary_state{state="error"} 0.0',
        'rollout_canary_state{state="flaky"} 0.0',
        'rollout_canary_state{state="missed"} 0.0',
        'rollout_canary_state{state="overran"} 0.0',
        'rollout_canary_state{state="skipped-overlap"} 0.0',
        'rollout_canary_state{state="suppressed"} 0.0',
        'rollout_canary_slots{state="ok"} 2.0',
        'rollout_canary_slots{state="failed"} 0.0',
        'rollout_canary_slots{state="error"} 0.0',
        'rollout_canary_slots{state="flaky"} 0.0',
        'rollout_canary_slots{state="missed"} 0.0',
        'rollout_canary_slots{state="overran"} 0.0',
        'rollout_canary_slots{state="skipped-overlap"} 0.0',
        'rollout_canary_slots{state="suppressed"} 0.0',
        "rollout_canary_slot_timestamp_seconds 1800.0",
        "rollout_canary_duration_seconds 30.0",
        "rollout_canary_last_run_timestamp_seconds 1831.5",
        "rollout_canary_last_success_timestamp_seconds 1831.5",
    ]


def test_every_metric_is_explained() -> None:
    names = {re.split(r"[ {]", line)[0] for line in exported(slot(1))}
    told = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert names == set(re.findall(r"^\| `(rollout_canary_\w+)` \|", told, re.MULTILINE))


def test_the_newest_slot_is_that_of_the_newest_time() -> None:
    """A slot may be accounted for after the one that follows it."""
    lines = exported(slot(3, SlotState.FAILED), slot(2, ended_at=5000.0))

    assert [state for state, value in named(lines, "rollout_canary_state").items() if value] == ["failed"]
    assert named(lines, "rollout_canary_slot_timestamp_seconds") == {"": 2700.0}


@pytest.mark.parametrize("state", [state for state in SlotState if state is not SlotState.OK])
def test_only_ok_is_a_success(state: SlotState) -> None:
    assert named(exported(slot(1, state)), "rollout_canary_last_success_timestamp_seconds") == {}
    lines = exported(slot(1), slot(2, state))
    assert named(lines, "rollout_canary_last_success_timestamp_seconds") == {"": 931.5}
    assert [state for state, value in named(lines, "rollout_canary_state").items() if value] == [state.value]
    assert sum(named(lines, "rollout_canary_slots").values()) == 2


@pytest.mark.parametrize("state", UNRUN)
def test_a_slot_that_was_not_run_is_no_run(state: SlotState) -> None:
    assert named(exported(slot(1, state)), "rollout_canary_last_run_timestamp_seconds") == {}
    lines = exported(slot(1), slot(2, state), runs=(run(1),))
    assert named(lines, "rollout_canary_last_run_timestamp_seconds") == {"": 931.5}
    assert math.isnan(named(lines, "rollout_canary_duration_seconds")[""])


def test_the_duration_has_every_attempt() -> None:
    flaky = slot(1, SlotState.FLAKY, runs=("first", "second"))
    attempts = (run(1, 1.0, 5.0, run_id="first"), run(1, 6.0, 20.0, run_id="second"), run(0))

    assert named(exported(flaky, runs=attempts), "rollout_canary_duration_seconds") == {"": 19.0}


def test_every_canary_has_its_own_group(gateway: str, tmp_path: Path) -> None:
    other = slot(2, SlotState.FAILED, canary="smoke")
    groups = [canary_group(PLACE, [slot(1)], [run(1)]), canary_group(PLACE, [other], [])]

    assert Pushgateway(gateway, tmp_path).send(groups) == PushOutcome("pushed", f"2 pushed to {gateway}", 2, 0)
    assert stored(gateway, "rollout_canary_slot_timestamp_seconds") == {GROUP: 900, ("smoke", *GROUP[1:]): 1800}


def test_last_run_and_last_success_outlive_a_night_of_missed_slots(gateway: str, tmp_path: Path) -> None:
    pushgateway = Pushgateway(gateway, tmp_path)
    pushgateway.send([canary_group(PLACE, [slot(1)], [run(1)])])
    pushgateway.send([canary_group(PLACE, [slot(200, SlotState.MISSED)], [])])

    assert stored(gateway, "rollout_canary_last_run_timestamp_seconds") == {GROUP: 931.5}
    assert stored(gateway, "rollout_canary_last_success_timestamp_seconds") == {GROUP: 931.5}
    assert stored(gateway, "rollout_canary_slot_timestamp_seconds") == {GROUP: 180_000}
    assert [at for at, value in stored(gateway, "rollout_canary_state").items() if value] == [(*GROUP, "missed")]
    assert math.isnan(stored(gateway, "rollout_canary_duration_seconds")[GROUP]), "an older run's duration is left"
