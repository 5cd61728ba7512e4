"""Slots in the evidence log: each is started once and ends once, and only by who holds the lease."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_rollout.errors import AlreadyRecorded, EvidenceError, FencedOut
from pytest_rollout.evidence.leases import Fence, Leases
from pytest_rollout.evidence.log import EvidenceLog
from pytest_rollout.evidence.record import Kind, Place
from pytest_rollout.evidence.slots import (
    Started,
    attempt_id,
    end_slots,
    find_slot,
    left_open,
    slot_key,
    slots,
    start_slot,
)
from pytest_rollout.judge.slot import Slot, SlotState
from tests.evidence.logs import PLACE, execute

ELSEWHERE = Place("shop", "production", "http://shop")


def slot(at: float = 900.0, state: SlotState = SlotState.OK, **other: Any) -> Slot:
    return Slot(canary="pay", at=at, every=900.0, state=state, ended_at=at + 10, **other)


def started(at: float = 900.0, run_id: str = "one") -> Started:
    return Started(at=at, run_id=run_id, holder="here:1", started_at=at + 1)


@pytest.fixture
def fence(log: EvidenceLog) -> Fence:
    """Return the lease on the canary."""
    fence = Leases(log).acquire("canary:pay", "here:1", 60.0)
    assert fence is not None
    return fence


def test_a_slot_is_read_as_it_was_recorded(log: EvidenceLog, fence: Fence) -> None:
    full = slot(
        state=SlotState.FLAKY,
        began_at=901.5,
        message="passed at attempt 2",
        plan="abc",
        flags={"READS@*": True, "PAY@*": None},
        runs=("one", "one-2"),
        attachments=("a.png",),
    )
    end_slots(log, PLACE, [full], fence)
    assert slots(log, "pay", PLACE) == [full]
    assert find_slot(log, PLACE, "pay", 900.0) == full
    (record,) = log.read(Kind.SLOT, PLACE, "pay")
    assert (record.at, record.key) == (900.0, 'slot:["shop","staging","http://shop","pay",900.0]')
    assert record.key == slot_key(PLACE, "pay", 900.0)


def test_slots_of_another_place_canary_or_time_are_others(log: EvidenceLog, fence: Fence) -> None:
    end_slots(log, PLACE, [slot(900.0), slot(1800.0)], fence)
    assert find_slot(log, PLACE, "pay", 2700.0) is None
    assert find_slot(log, PLACE, "buy", 900.0) is None
    assert find_slot(log, ELSEWHERE, "pay", 900.0) is None
    assert slots(log, "pay", ELSEWHERE) == []
    assert [one.at for one in slots(log, "pay", PLACE, since=1800.0)] == [1800.0]
    end_slots(log, ELSEWHERE, [slot(900.0)], fence)


def test_slots_come_in_the_order_of_their_times(log: EvidenceLog, fence: Fence) -> None:
    end_slots(log, PLACE, [slot(1800.0), slot(900.0)], fence)
    assert [one.at for one in slots(log, "pay", PLACE)] == [900.0, 1800.0]


def test_no_slot_ends_twice_and_of_several_all_or_none(log: EvidenceLog, fence: Fence) -> None:
    end_slots(log, PLACE, [slot(900.0)], fence)
    with pytest.raises(AlreadyRecorded, match=r'slot:\["shop","staging","http://shop","pay",900.0\] is in the'):
        end_slots(log, PLACE, [slot(1800.0), slot(900.0, SlotState.FAILED)], fence)
    assert [(one.at, one.state) for one in slots(log, "pay", PLACE)] == [(900.0, SlotState.OK)]


def test_no_slot_is_started_twice(log: EvidenceLog, fence: Fence) -> None:
    start_slot(log, PLACE, "pay", started(), fence)
    with pytest.raises(AlreadyRecorded, match=r'slot-started:\["shop","staging","http://shop","pay",900.0\] is in the'):
        start_slot(log, PLACE, "pay", started(run_id="other"), fence)
    start_slot(log, PLACE, "buy", started(), fence)
    assert left_open(log, PLACE, "pay") == (None, [started()])


def test_who_lost_the_lease_neither_starts_nor_ends_a_slot(log: EvidenceLog, fence: Fence) -> None:
    Leases(log).release(fence)
    assert Leases(log).acquire("canary:pay", "elsewhere:1", 60.0)
    with pytest.raises(FencedOut):
        start_slot(log, PLACE, "pay", started(), fence)
    with pytest.raises(FencedOut):
        end_slots(log, PLACE, [slot()], fence)
    assert log.head().count == 0


def test_what_is_left_open_is_what_was_started_after_the_newest_slot(log: EvidenceLog, fence: Fence) -> None:
    assert left_open(log, PLACE, "pay") == (None, [])
    start_slot(log, PLACE, "pay", started(900.0), fence)
    end_slots(log, PLACE, [slot(900.0)], fence)
    assert left_open(log, PLACE, "pay") == (slot(900.0), [])
    start_slot(log, PLACE, "pay", started(2700.0, "two"), fence)
    start_slot(log, ELSEWHERE, "pay", started(1800.0), fence)
    assert left_open(log, PLACE, "pay") == (slot(900.0), [started(2700.0, "two")])


def test_thousands_of_slots_are_recorded_in_pieces(log: EvidenceLog, fence: Fence) -> None:
    end_slots(log, PLACE, [slot(900.0 * number, SlotState.MISSED) for number in range(1201)], fence)
    assert len(slots(log, "pay", PLACE)) == 1201


def test_a_slot_that_is_missing_from_the_log_is_noticed(log: EvidenceLog, fence: Fence) -> None:
    end_slots(log, PLACE, [slot(900.0), slot(1800.0, SlotState.FAILED), slot(2700.0)], fence)
    execute(log.address, "DELETE FROM records WHERE at = 1800")
    with pytest.raises(EvidenceError):
        slots(log, "pay", PLACE)


def test_attempts_have_ids_that_follow_from_the_first() -> None:
    assert [attempt_id("one", number) for number in (1, 2, 3)] == ["one", "one-2", "one-3"]
