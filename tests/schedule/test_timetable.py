"""Which slots there are, and what became of them: the pure part."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from pytest_rollout.evidence.slots import Started
from pytest_rollout.judge.history import CanaryRun
from pytest_rollout.judge.slot import Slot, SlotState
from pytest_rollout.schedule.timetable import (
    MOST_MISSED,
    Timetable,
    account_for,
    conclude,
    wants_another,
)
from tests.schedule.shop import CANARY, schedule

STARTED = Started(at=900.0, run_id="one", holder="here:1", started_at=901.0)


def timetable(every: float = 900.0, **own: Any) -> Timetable:
    return Timetable(
        canary=CANARY, schedule=schedule(f"{every:f}s", **{"deadline": f"{every / 2:f}s", **own}), every=every
    )


def ended(at: float, state: SlotState = SlotState.OK, *, every: float = 900.0, ended_at: float | None = None) -> Slot:
    runs = ("one",) if state not in (SlotState.MISSED, SlotState.SUPPRESSED, SlotState.SKIPPED_OVERLAP) else ()
    return Slot(canary=CANARY, at=at, every=every, state=state, ended_at=ended_at or at + 10, runs=runs)


def run(outcome: str = "ok", **other: Any) -> CanaryRun:
    told = {"run_id": "one", "canary": CANARY, "started_at": 1.0, "ended_at": 2.0, "message": outcome}
    return CanaryRun(outcome=outcome, **{**told, **other})


def states(slots: tuple[Slot, ...]) -> list[tuple[float, str]]:
    return [(slot.at, slot.state.value) for slot in slots]


# --- slots ---


@pytest.mark.parametrize(("now", "newest"), [(900.0, 900.0), (899.999, 0.0), (1799.0, 900.0), (1800.0, 1800.0)])
def test_a_slot_is_due_from_its_time_until_the_next_ones(now: float, newest: float) -> None:
    table = timetable()
    assert table.newest(now) == newest
    assert table.after(newest) == newest + 900


@given(st.integers(0, 10**7), st.floats(0.05, 90_000))
def test_slot_times_never_drift(number: int, every: float) -> None:
    table = timetable(every)
    at = number * every
    assert table.newest(at) == at
    assert table.after(at) == (number + 1) * every
    assert table.newest(table.after(at)) == table.after(at)
    assert table.times(at, table.after(table.after(at))) == [at, (number + 1) * every]


def test_a_run_is_no_longer_than_a_slot() -> None:
    scaled = Timetable(canary=CANARY, schedule=schedule("15m", deadline="2m"), every=15.0)
    assert scaled.deadline == 15.0
    assert timetable(900.0, deadline="2m").deadline == 120.0


# --- the slots that passed ---


def test_a_canary_that_was_never_scheduled_begins_at_the_slot_in_progress() -> None:
    assert account_for(timetable(), 5000.0, None, {}).ended == ()


def test_nobody_was_there() -> None:
    account = account_for(timetable(), 4600.0, ended(900.0), {})
    assert states(account.ended) == [(1800.0, "missed"), (2700.0, "missed"), (3600.0, "missed")]
    assert account.late is None
    first = account.ended[0]
    assert (first.every, first.ended_at, first.message) == (900.0, 2700.0, "nobody ran it in its time")
    assert (first.runs, first.flags, first.plan) == ((), {}, "")


def test_a_slot_in_maintenance_is_suppressed() -> None:
    window = {"since": "1970-01-01T00:30:00Z", "until": "1970-01-01T00:45:00Z", "reason": "the vault moves"}
    account = account_for(timetable(maintenance=[window]), 3700.0, ended(900.0), {})
    assert states(account.ended) == [(1800.0, "suppressed"), (2700.0, "missed")]
    assert account.ended[0].message == "maintenance: the vault moves"


def test_a_slot_that_was_over_before_the_run_in_front_of_it_is_skipped() -> None:
    account = account_for(timetable(), 5000.0, ended(900.0, ended_at=3600.0), {})
    assert states(account.ended) == [(1800.0, "skipped-overlap"), (2700.0, "skipped-overlap"), (3600.0, "missed")]
    assert account.ended[0].message == "the run before it was still going on when it was over"


def test_what_nobody_ran_does_not_overlap() -> None:
    account = account_for(timetable(), 3000.0, ended(900.0, SlotState.MISSED, ended_at=2700.0), {})
    assert states(account.ended) == [(1800.0, "missed")]


def test_a_slot_that_was_started_and_never_ended() -> None:
    broken_off = {1800.0: ended(1800.0, SlotState.ERROR, ended_at=3700.0)}
    account = account_for(timetable(), 4600.0, ended(900.0), broken_off)
    assert states(account.ended) == [(1800.0, "error"), (2700.0, "skipped-overlap"), (3600.0, "missed")]
    assert account_for(timetable(), 1900.0, None, broken_off).ended == (broken_off[1800.0],)
    first_ever = account_for(timetable(), 4600.0, None, broken_off)
    assert states(first_ever.ended) == [(1800.0, "error"), (2700.0, "skipped-overlap"), (3600.0, "missed")]


def test_the_newest_missed_slot_is_run_late_where_the_plan_says_so() -> None:
    table = timetable(catch_up="latest")
    account = account_for(table, 4600.0, ended(900.0), {})
    assert (states(account.ended), account.late) == ([(1800.0, "missed"), (2700.0, "missed")], 3600.0)
    assert account_for(table, 1900.0, ended(900.0), {}).late is None
    broken_off = {1800.0: ended(1800.0, SlotState.ERROR)}
    assert account_for(table, 2800.0, ended(900.0), broken_off).late is None


@pytest.mark.parametrize(
    ("since", "until"),
    [("1970-01-01T00:45:00Z", "1970-01-01T00:50:00Z"), ("1970-01-01T01:00:00Z", "1970-01-01T02:00:00Z")],
    ids=["the slot was suppressed", "it is maintenance now"],
)
def test_nothing_is_run_late_because_of_maintenance_or_in_it(since: str, until: str) -> None:
    table = timetable(catch_up="latest", maintenance=[{"since": since, "until": until, "reason": "moving"}])
    assert account_for(table, 3601.0, ended(900.0), {}).late is None


def test_so_many_missed_slots_are_recorded_and_the_rest_is_counted() -> None:
    last, now = ended(900.0), 900.0 * 12_003
    account = account_for(timetable(), now, last, {})
    assert len(account.ended) == MOST_MISSED == 10_000
    assert account.ended[-1].at == now - 900
    assert account.ended[0].message == (
        "nobody ran it in its time; 2,001 slots before it passed unseen, too, and are not recorded"
    )
    assert {slot.message for slot in account.ended[1:]} == {"nobody ran it in its time"}
    exact = account_for(timetable(), 900.0 * 10_002, last, {})
    assert (len(exact.ended), exact.ended[0].message) == (10_000, "nobody ran it in its time")


def test_a_slot_that_was_started_is_recorded_however_long_ago() -> None:
    broken_off = {1800.0: ended(1800.0, SlotState.ERROR)}
    account = account_for(timetable(), 900.0 * 12_003, ended(900.0), broken_off)
    assert account.ended[0] == broken_off[1800.0]
    assert account.ended[1].message.startswith("nobody ran it in its time; 2,001 slots before it")


@pytest.mark.parametrize(
    ("every", "first"), [(300.0, 2700.0), (1800.0, 3600.0), (900.0, 2700.0), (800.0, 3200.0), (2700.0, 2700.0)]
)
def test_slots_of_another_period_begin_where_the_last_slot_was_over(every: float, first: float) -> None:
    account = account_for(timetable(every), first + 2 * every, ended(1800.0, every=900.0), {})
    assert [slot.at for slot in account.ended] == [first, first + every]


def test_a_clock_that_was_set_back_makes_no_slot_pass() -> None:
    assert account_for(timetable(), 1000.0, ended(9000.0), {}).ended == ()


@given(
    gap=st.integers(0, 40),
    every=st.floats(0.1, 5000.0),
    opened=st.sets(st.integers(1, 40)),
    late=st.booleans(),
    busy=st.integers(0, 45),
)
def test_every_slot_that_passed_is_accounted_for_once(
    *, gap: int, every: float, opened: set[int], late: bool, busy: int
) -> None:
    first = 1000
    table = timetable(every, catch_up="latest" if late else "skip")
    last = ended(first * every, every=every, ended_at=(first + busy) * every)
    broken_off = {
        (first + one) * every: ended((first + one) * every, SlotState.ERROR, every=every)
        for one in opened
        if one <= gap
    }

    account = account_for(table, (first + 1 + gap) * every, last, broken_off)

    times = [slot.at for slot in account.ended] + ([] if account.late is None else [account.late])
    assert times == [(first + 1 + number) * every for number in range(gap)]
    assert {slot.at for slot in account.ended if slot.runs} == set(broken_off)


# --- attempts ---


@pytest.mark.parametrize(
    ("attempts", "state", "message"),
    [
        ([run()], "ok", "ok"),
        ([run("failed")], "failed", "failed"),
        ([run("error")], "error", "error"),
        ([run("error", overran=True)], "overran", "error"),
        ([run("failed", overran=True)], "failed", "failed"),
        ([run("error", retryable=True, message="no route"), run()], "flaky", "passed at attempt 2, after: no route"),
        ([run("error", retryable=True), run("failed")], "failed", "failed"),
        ([run("error", retryable=True), run("error", retryable=True, message="again")], "error", "again"),
    ],
)
def test_the_state_of_a_slot_follows_from_its_attempts(attempts: list[CanaryRun], state: str, message: str) -> None:
    slot = conclude(timetable(), STARTED, attempts, 950.0)
    assert (slot.state.value, slot.message) == (state, message)
    assert (slot.at, slot.began_at, slot.ended_at) == (900.0, 901.0, 950.0)


def test_a_slot_has_plan_and_flags_of_its_last_attempt_and_what_all_left() -> None:
    first = run("error", retryable=True, attachments=("a.png",), plan="old", flags={"READS@*": None})
    last = run(run_id="one-2", attachments=("b.png",), plan="new", flags={"READS@*": True})
    slot = conclude(timetable(), STARTED, [first, last], 950.0)
    assert (slot.plan, slot.flags) == ("new", {"READS@*": True})
    assert (slot.runs, slot.attachments) == (("one", "one-2"), ("a.png", "b.png"))


@pytest.mark.parametrize(
    ("last", "retries", "now", "again"),
    [
        (run("error", retryable=True), 1, 1000.0, True),
        (run("error", retryable=True), 1, 1800.0, False),
        (run("error", retryable=True), 0, 1000.0, False),
        (run("error"), 3, 1000.0, False),
        (run("failed"), 3, 1000.0, False),
        (run(retryable=True), 3, 1000.0, False),
    ],
    ids=["a fault of the way", "its time is over", "none left", "an error", "a failure", "it passed"],
)
def test_only_a_fault_before_any_side_effect_is_tried_again(
    last: CanaryRun, retries: int, now: float, *, again: bool
) -> None:
    assert wants_another(timetable(retries=retries), 900.0, [last], now) is again


def test_attempts_are_counted() -> None:
    table, fault = timetable(retries=2), run("error", retryable=True)
    assert wants_another(table, 900.0, [fault, fault], 1000.0)
    assert not wants_another(table, 900.0, [fault, fault, fault], 1000.0)
