"""Keep the slots of canaries: run the one in progress, unless somebody else has it, and account for those before."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from pytest_rollout.canary import CanaryRunner, Occasion
from pytest_rollout.errors import EvidenceError
from pytest_rollout.evidence.leases import Fence, Leases
from pytest_rollout.evidence.log import EvidenceLog
from pytest_rollout.evidence.record import Place, canonical
from pytest_rollout.evidence.runs import end_id, find_run
from pytest_rollout.evidence.slots import Started, attempt_id, end_slots, find_slot, left_open, slots, start_slot
from pytest_rollout.judge.history import CanaryRun
from pytest_rollout.judge.slot import Slot, SlotState
from pytest_rollout.plan.schedule import Schedule
from pytest_rollout.schedule.timetable import KILLED, STOPPED, Timetable, account_for, conclude, wants_another

MARGIN = 5.0
"""Seconds that a lease lasts longer than a run may: for ending it, and for recording how it ended."""


def _holder() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


@dataclass(frozen=True, slots=True)
class Turn:
    """What came of one attempt to run the slot in progress."""

    at: float
    """The slot's time, in unix seconds."""
    slot: Slot | None
    """How it ended; None if it has not, because somebody else has it, or because of a stop."""
    mine: bool = False
    """Whether it was recorded here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeper:
    """Runs the canaries of one plan in one environment, each slot once, whoever else does the same."""

    runner: CanaryRunner
    schedules: Mapping[str, Schedule]
    """By canary."""
    scale: float = 1.0
    """What every period is divided by."""
    on_slots: Callable[[Sequence[Slot]], None] = lambda _: None
    """Told once of all slots that were recorded in one go, oldest first, also those that nobody ran; never raises."""
    margin: float = MARGIN
    holder: str = field(default_factory=_holder)
    """Who keeps the slots, as others see it; no two keepers have the same."""

    @property
    def log(self) -> EvidenceLog:
        """The evidence log."""
        return self.runner.log

    @property
    def place(self) -> Place:
        """What the slots are filed under."""
        return self.runner.place

    def timetable(self, canary: str) -> Timetable:
        """Return the slots of a canary."""
        schedule = self.schedules[canary]
        return Timetable(canary=canary, schedule=schedule, every=schedule.every / self.scale)

    def slots(self, canary: str, since: float | None = None) -> list[Slot]:
        """Return the slots of a canary that ended, oldest first, from a time on. Raises EvidenceError."""
        return slots(self.log, canary, self.place, since)

    def run_due(self, canary: str) -> Turn:
        """Account for the slots that passed, and run the one in progress; blocks while it runs.

        Does nothing for a slot that somebody else runs or ran. Raises EvidenceError; FencedOut if it took so long
        that somebody else took over.
        """
        table = self.timetable(canary)
        at = table.newest(self.log.now())
        if ended := find_slot(self.log, self.place, canary, at):
            return Turn(at, ended)
        leases = Leases(self.log)
        name = f"canary:{canonical([self.place.rollout, self.place.environment, self.place.target, canary])}"
        fence = leases.acquire(name, self.holder, table.deadline + self.margin)
        if fence is None:
            return Turn(at, None)
        shift = _Shift(self, table, leases, fence)
        try:
            return shift.work(at)
        finally:
            with suppress(EvidenceError):  # then it expires
                leases.release(fence)
            if shift.ended:
                self.on_slots(shift.ended)


@dataclass(slots=True)
class _Shift:
    """The time for which a lease on a canary is held."""

    keeper: Keeper
    table: Timetable
    leases: Leases
    fence: Fence
    ended: list[Slot] = field(default_factory=list)
    """What was recorded."""

    def work(self, at: float) -> Turn:
        """Account for what is before a slot, run it if it is still its time, and tell how it ended."""
        log, table = self.keeper.log, self.table
        last, started = left_open(log, self.keeper.place, table.canary)
        if last is not None and last.at >= at:  # it was ended a moment ago, or the clock was set back
            return Turn(at, last)
        now = log.now()
        account = account_for(table, now, last, {one.at: self._broken_off(one, now) for one in started})
        self._end(*account.ended)
        if account.late is not None:
            self._run(account.late)
        if not (started and started[-1].at == at) and table.newest(now := log.now()) == at:
            suppressed = table.suppressed(at, now)
            self._end(suppressed) if suppressed else self._run(at)
        mine = self.ended[-1] if self.ended and self.ended[-1].at == at else None
        return Turn(at, mine, mine=mine is not None)

    def _broken_off(self, started: Started, now: float) -> Slot:
        """Return how a slot ended whose scheduler did not live to say so."""
        attempts: list[CanaryRun] = []
        while run := self._recorded(attempt_id(started.run_id, len(attempts) + 1)):
            attempts.append(run)
        if attempts:
            return conclude(self.table, started, attempts, attempts[-1].ended_at)
        ended = min(now, started.started_at + self.table.deadline)
        slot = self.table.slot(started.at, SlotState.ERROR, KILLED, ended)
        return replace(slot, began_at=started.started_at, runs=(started.run_id,))

    def _recorded(self, run_id: str) -> CanaryRun | None:
        """Return how a run ended: what is said of its process' end comes after what the process said itself."""
        return find_run(self.keeper.log, end_id(run_id)) or find_run(self.keeper.log, run_id)

    def _run(self, at: float) -> None:
        """Run a slot and record how it ended."""
        keeper = self.keeper
        if keeper.runner.stopped():
            return
        begun = Started(at=at, run_id=uuid.uuid4().hex, holder=keeper.holder, started_at=keeper.log.now())
        start_slot(keeper.log, keeper.place, self.table.canary, begun, self.fence)
        attempts = [self._attempt(begun, 1)]
        while not keeper.runner.stopped() and wants_another(self.table, at, attempts, keeper.log.now()):
            attempts.append(self._attempt(begun, len(attempts) + 1))
        slot = conclude(self.table, begun, attempts, keeper.log.now())
        if keeper.runner.stopped() and slot.state is SlotState.ERROR:
            slot = replace(slot, message=STOPPED)
        self._end(slot)

    def _attempt(self, begun: Started, number: int) -> CanaryRun:
        # Whoever was suspended for too long finds out here, before anything is changed in the system.
        self.leases.renew(self.fence, self.table.deadline + self.keeper.margin)
        occasion = Occasion(run_id=attempt_id(begun.run_id, number), slot=begun.at, attempt=number)
        return self.keeper.runner.run(self.table.canary, self.table.deadline, occasion)

    def _end(self, *slots: Slot) -> None:
        end_slots(self.keeper.log, self.keeper.place, slots, self.fence)
        self.ended += slots
