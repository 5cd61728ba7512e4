"""Keep the slots of several canaries side by side, for a while or until somebody says stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pytest_rollout.errors import EvidenceError
from pytest_rollout.process import StopRequest
from pytest_rollout.schedule.keeper import Keeper

_LOOK_SECONDS = 0.1
_LONGEST_WAIT = 5.0
"""Seconds until the clock is asked again: the machine may have been asleep, or its clock set."""
_LONGEST_PAUSE = 1.0
"""Seconds until something is tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """One canary whose slots are kept."""

    keeper: Keeper
    canary: str
    until: float
    """Unix seconds; slots whose time comes before are run."""
    stop: StopRequest
    trouble: Callable[[str], None]
    """Told why a slot cannot be kept just now; once as long as it is the same."""

    def keep(self) -> None:
        """Run every slot in its time; each time is computed from the slot's number, so that nothing drifts."""
        told = ""
        while not self.stop():
            try:
                wake = self._turn()
                if wake is None:
                    return
                self._wait(wake)
                told = ""
            except EvidenceError as exc:
                if told != (told := f"{self.canary}: {exc}"):
                    self.trouble(told)
                self.stop.pause(self._pause)

    @property
    def _pause(self) -> float:
        return min(self.keeper.timetable(self.canary).every / 20, _LONGEST_PAUSE)

    def _turn(self) -> float | None:
        """Do what is due, and return when to come again (unix seconds); None if there is nothing left to do."""
        table, now = self.keeper.timetable(self.canary), self.keeper.log.now()
        if table.newest(now) >= self.until:
            return None
        turn = self.keeper.run_due(self.canary)
        if turn.slot is None:  # somebody else has it, and may die of it
            return now + self._pause
        following = table.after(turn.at)
        return following if following < self.until else None

    def _wait(self, until: float) -> None:
        while not self.stop() and (left := until - self.keeper.log.now()) > 0:
            self.stop.pause(min(left, _LONGEST_WAIT))


def keep_all(watches: Sequence[Watch], stop: StopRequest, show: Callable[[], None]) -> None:
    """Keep the slots of all canaries, each in a thread of its own, and call ``show`` now and then meanwhile.

    After a stop nothing new is begun, and what runs is asked to end. Raises what a thread raised.
    """
    with ThreadPoolExecutor(len(watches)) as pool:
        running = [pool.submit(watch.keep) for watch in watches]
        try:
            while not all(one.done() for one in running):
                show()
                time.sleep(_LOOK_SECONDS)
                if any(one.done() and one.exception() for one in running):
                    stop.ask()
        except BaseException:
            stop.ask()  # or the pool would wait for ever
            raise
    for one in running:
        one.result()
