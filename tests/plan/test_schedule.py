"""Canaries that run by themselves: how often, and when not."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from pytest_rollout.errors import PlanError
from pytest_rollout.plan.loader import load_plan
from pytest_rollout.plan.model import Plan
from pytest_rollout.plan.schedule import Schedule

PLAN = """\
rollout: shop
environments: {sandbox: {sandbox: true}}
canaries:
  %s
stages: [{stage: 1, name: Reads, gates: [{id: a, canary: {name: pay}}]}]
"""
NO_DURATION = "is not a duration; write a number with a unit, such as 120ms, 30s, 15m, 2h, 7d"
NO_MOMENT = "is not a moment with a UTC offset; write 2025-09-26T14:30:00+00:00"
TOO_LONG = "a run must end before the next slot: give a deadline shorter than 'every'"
NOON, ONE = "2025-09-26T12:00:00+00:00", "2025-09-26T13:00:00+00:00"


def load(folder: Path, canaries: str) -> Plan:
    path = folder / "shop.rollout.yaml"
    path.write_text(PLAN % canaries, encoding="utf-8")
    return load_plan(path).plan


def schedule(**keys: Any) -> Schedule:
    return Schedule.model_validate({"every": "15m", **keys})


FAULTS = {
    "no period": ("pay: {retries: 1}", "4:8: 'every' is missing"),
    "a period of nothing": ("pay: {every: 0s}", "4:9: a period must be longer than nothing"),
    "a period without a unit": ("pay: {every: 15}", f"4:16: 15 {NO_DURATION}"),
    "unknown key": ("pay: {evry: 15m}", "4:9: unknown key 'evry'; did you mean 'every'?"),
    "a name with a space": ("a b: {every: 15m}", "4:3: 'a b' is not a name: use a-z, 0-9, '.', '_' and '-'"),
    "a deadline as long as a slot": ("pay: {every: 15m, deadline: 15m}", f"4:21: {TOO_LONG}"),
    "a deadline of nothing": ("pay: {every: 15m, deadline: 0s}", f"4:21: {TOO_LONG}"),
    "slots shorter than the usual deadline": ("pay: {every: 2m}", f"4:3: {TOO_LONG}"),
    "too many retries": ("pay: {every: 15m, retries: 4}", "4:30: Input should be less than or equal to 3"),
    "an unknown way to catch up": ("pay: {every: 15m, catch_up: all}", "4:31: Input should be 'skip' or 'latest'"),
    "maintenance without a reason": (
        f"pay: {{every: 15m, maintenance: [{{since: {NOON}, until: {ONE}}}]}}",
        "4:35: 'reason' is missing",
    ),
    "maintenance for no reason": (
        f"pay: {{every: 15m, maintenance: [{{since: {NOON}, until: {ONE}, reason: ''}}]}}",
        "4:112: String should have at least 1 character",
    ),
    "maintenance that ends before it begins": (
        f"pay: {{every: 15m, maintenance: [{{since: {ONE}, until: {NOON}, reason: x}}]}}",
        "4:70: maintenance must end after it begins",
    ),
    "maintenance in nobody's time zone": (
        f"pay: {{every: 15m, maintenance: [{{since: 2025-09-26T12:00:00, until: {ONE}, reason: x}}]}}",
        f"4:43: '2025-09-26T12:00:00' {NO_MOMENT}",
    ),
    "maintenance for a day": (
        f"pay: {{every: 15m, maintenance: [{{since: 2025-09-26, until: {ONE}, reason: x}}]}}",
        f"4:43: '2025-09-26' {NO_MOMENT}",
    ),
    "maintenance some time": (
        f"pay: {{every: 15m, maintenance: [{{since: noon, until: {ONE}, reason: x}}]}}",
        f"4:43: 'noon' {NO_MOMENT}",
    ),
}


@pytest.mark.parametrize(("canaries", "message"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_named_with_its_place(tmp_path: Path, canaries: str, message: str) -> None:
    with pytest.raises(PlanError) as refused:
        load(tmp_path, canaries)
    assert str(refused.value) == f"shop.rollout.yaml:{message}"


def test_what_a_schedule_does_not_say_is_harmless(tmp_path: Path) -> None:
    pay = load(tmp_path, "pay: {every: 15m}").canaries["pay"]
    assert (pay.every, pay.deadline, pay.grace) == (900.0, 120.0, 300.0)
    assert (pay.retries, pay.catch_up, pay.maintenance) == (0, "skip", ())


def test_a_plan_needs_no_schedule() -> None:
    stage = {"stage": 1, "name": "A", "gates": [{"id": "a", "unproven": "x"}]}
    plan = Plan.model_validate({"rollout": "shop", "environments": {"e": {"sandbox": True}}, "stages": [stage]})
    assert plan.canaries == {}


@pytest.mark.parametrize("since", [NOON, "2025-09-26T14:00:00+02:00", "2025-09-26T12:00:00Z"])
def test_maintenance_is_from_its_first_moment_to_before_its_last(since: str) -> None:
    noon = datetime.fromisoformat(NOON).timestamp()
    quiet = schedule(maintenance=[{"since": since, "until": ONE, "reason": "disks"}])
    suppressed = [quiet.suppressed(noon + seconds) is not None for seconds in (-1, 0, 3599, 3600)]
    assert suppressed == [False, True, True, False]


def test_the_maintenance_that_a_slot_lies_in_tells_its_reason() -> None:
    noon = datetime.fromisoformat(NOON).timestamp()
    later = {"since": ONE, "until": "2025-09-26T14:00:00+00:00", "reason": "network"}
    both = schedule(maintenance=[{"since": NOON, "until": ONE, "reason": "disks"}, later])
    found = [both.suppressed(noon + seconds) for seconds in (0, 3600)]
    assert [one and one.reason for one in found] == ["disks", "network"]
