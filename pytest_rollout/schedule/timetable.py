"""Which slots there are, and how each of them ended. No clock and no log."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_rollout.evidence.slots import Started
from pytest_rollout.judge.history import CanaryRun
from pytest_rollout.judge.slot import Slot, SlotState, newest_number, slot_number
from pytest_rollout.plan.schedule import Schedule

MOST_MISSED = 10_000
"""How many missed slots are recorded one by one."""
STOPPED = "stopped by its scheduler"
KILLED = "its scheduler was killed during the run; not run again, since it may have had side effects"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timetable:
    """The slots of one canary, here: slot k has the time ``k * every``. Times in unix seconds."""

    canary: str
    schedule: Schedule
    every: float
    """Seconds, scaled as the environment says."""

    @property
    def deadline(self) -> float:
        """How long one run may take, in seconds."""
        return min(self.schedule.deadline, self.every)

    def newest(self, now: float) -> float:
        """Return the time of the slot in progress."""
        return newest_number(now, self.every) * self.every

    def after(self, at: float) -> float:
        """Return the time of the next slot, which is when the slot at a time is over."""
        return (slot_number(at, self.every) + 1) * self.every

    def times(self, first: float, until: float) -> list[float]:
        """Return the times of the slots from one on whose time comes before another."""
        begin = slot_number(first, self.every)
        return [number * self.every for number in range(begin, math.ceil(until / self.every - 1e-9))]

    def passed(self, last: Slot | None, now: float) -> range:
        """Return the numbers of the slots that are over and come after the last that is accounted for.

        A canary that was never scheduled here begins at the slot in progress.
        """
        newest = newest_number(now, self.every)
        # By the period that it had: the plan may have been changed since. Less than a millionth is rounding.
        first = newest if last is None else math.ceil((last.at + last.every) / self.every - 1e-6)
        return range(min(first, newest), newest)

    def slot(self, at: float, state: SlotState, message: str, ended_at: float | None = None) -> Slot:
        """Return a slot that had no run, or none that told of itself; without a time it ended when it was over."""
        ended = self.after(at) if ended_at is None else ended_at
        return Slot(canary=self.canary, at=at, every=self.every, state=state, ended_at=ended, message=message)

    def suppressed(self, at: float, ended_at: float | None = None) -> Slot | None:
        """Return the slot if its time lies in maintenance."""
        maintenance = self.schedule.suppressed(at)
        if maintenance is None:
            return None
        return self.slot(at, SlotState.SUPPRESSED, f"maintenance: {maintenance.reason}", ended_at)


@dataclass(frozen=True, slots=True)
class Account:
    """What became of the slots since somebody last looked."""

    ended: tuple[Slot, ...]
    """To be recorded, oldest first."""
    late: float | None
    """Time of a slot to be run late."""


def account_for(table: Timetable, now: float, last: Slot | None, broken_off: Mapping[float, Slot]) -> Account:
    """Return what became of the slots after the last one, up to the one in progress.

    ``broken_off`` has those that were started and never ended, by time, as they ended now.
    """
    if last is None and broken_off:  # the first one ever: what follows it has passed, too
        last = broken_off[min(broken_off)]
    passed = table.passed(last, now)
    listed = {number * table.every for number in passed[-MOST_MISSED:]}
    ended: list[Slot] = []
    running = last if last is not None and last.runs else None
    for at in sorted(listed | broken_off.keys()):
        slot = broken_off.get(at) or _not_run(table, at, running)
        running = slot if slot.runs else running
        ended.append(slot)
    late = ended[-1].at if ended and _runs_late(table, now, ended[-1]) else None
    if late is not None:
        ended.pop()
    return Account(tuple(_with_unlisted(ended, len(passed) - len(listed))), late)


def _not_run(table: Timetable, at: float, running: Slot | None) -> Slot:
    if suppressed := table.suppressed(at):
        return suppressed
    if running is not None and running.ended_at >= table.after(at):
        said = "the run before it was still going on when it was over"
        return table.slot(at, SlotState.SKIPPED_OVERLAP, said)
    return table.slot(at, SlotState.MISSED, "nobody ran it in its time")


def _runs_late(table: Timetable, now: float, newest: Slot) -> bool:
    wanted = table.schedule.catch_up == "latest" and newest.state is SlotState.MISSED
    return wanted and table.schedule.suppressed(now) is None


def _with_unlisted(slots: list[Slot], unlisted: int) -> list[Slot]:
    oldest = next((place for place, slot in enumerate(slots) if not slot.runs), None)
    if unlisted > 0 and oldest is not None:
        said = f"{slots[oldest].message}; {unlisted:,} slots before it passed unseen, too, and are not recorded"
        slots[oldest] = replace(slots[oldest], message=said)
    return slots


def wants_another(table: Timetable, at: float, attempts: Sequence[CanaryRun], now: float) -> bool:
    """Whether a slot is attempted again: only after a fault before any side effect, and in its time."""
    last = attempts[-1]
    again = last.outcome != "ok" and last.retryable and len(attempts) <= table.schedule.retries
    return again and now < table.after(at)


def conclude(table: Timetable, started: Started, attempts: Sequence[CanaryRun], ended_at: float) -> Slot:
    """Return how a slot ended, from its attempts, oldest first; at least one."""
    last = attempts[-1]
    state = _state(attempts)
    said = f"passed at attempt {len(attempts)}, after: {attempts[0].message}" if len(attempts) > 1 else last.message
    return replace(
        table.slot(started.at, state, said if last.outcome == "ok" else last.message, ended_at),
        began_at=started.started_at,
        plan=last.plan,
        flags=last.flags,
        runs=tuple(run.run_id for run in attempts),
        attachments=tuple(path for run in attempts for path in run.attachments),
    )


def _state(attempts: Sequence[CanaryRun]) -> SlotState:
    last = attempts[-1]
    if last.outcome == "ok":
        return SlotState.OK if len(attempts) == 1 else SlotState.FLAKY
    if last.outcome == "failed":
        return SlotState.FAILED
    return SlotState.OVERRAN if last.overran else SlotState.ERROR
