"""What ``rollout watch`` shows: a line for each slot, or on a terminal one line for each canary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from pytest_rollout.judge.slot import Slot, SlotState
from pytest_rollout.schedule.timetable import Timetable
from pytest_rollout.units import format_moment


def slot_line(slot: Slot) -> str:
    """Return what became of one slot."""
    said = f": {slot.message}" if slot.message and slot.state is not SlotState.OK else ""
    return f"{format_moment(slot.at)}  {slot.canary}  {slot.state}{said}"


def tally(slots: Sequence[Slot]) -> str:
    """Return how many slots ended in each state: ``7 ok, 1 missed``."""
    count = Counter(slot.state for slot in slots)
    return ", ".join(f"{count[state]:,} {state}" for state in SlotState if count[state]) or "no slot yet"


class Board:
    """Shows slots as they end. Used by several threads; each has a canary of its own."""

    def __init__(self, tables: Sequence[Timetable], write: Callable[[str], None], *, live: bool) -> None:
        self._write = write
        self._live = live
        self._tables = tables
        self._ended: dict[str, list[Slot]] = {table.canary: [] for table in tables}
        self._shown: list[str] = []

    def on_slots(self, slots: Sequence[Slot]) -> None:
        """Take note of slots of one canary that ended."""
        self._ended[slots[0].canary] += slots
        if not self._live:
            self._write("".join(f"{slot_line(slot)}\n" for slot in slots))

    def trouble(self, said: str) -> None:
        """Say what keeps slots from being kept, above the lines that change."""
        self._shown.clear()
        self._write(f"rollout: {said}\n")

    def show(self, now: float) -> None:
        """Bring the lines of a terminal up to date (unix seconds)."""
        if self._live and (lines := [self._line(table, now) for table in self._tables]) != self._shown:
            up = f"\x1b[{len(self._shown)}F" if self._shown else ""
            self._write(up + "".join(f"{line}\x1b[K\n" for line in lines))
            self._shown = lines

    def _line(self, table: Timetable, now: float) -> str:
        ended = self._ended[table.canary]
        following = format_moment(table.after(table.newest(now)))
        last = f"last {ended[-1].state}" if ended else "none yet"
        return f"{table.canary}  next {following}  {last}  {tally(ended)}"
