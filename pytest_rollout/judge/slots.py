"""Gates that look at the slots of a canary: what has no record is no pass.

A pass rests on slots that are all there, one after the other, the last of them the slot of now. So no record can be
lost without being missed, not even that of a failure. Therefore the newest slot counts from its time on: as long as
it has no record it is open, and the gate waits for it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, takewhile
from typing import Any

from pytest_rollout.judge.history import Conditions, Passes
from pytest_rollout.judge.slot import Slot, SlotState, newest_number, slot_number, slots_in_a_row
from pytest_rollout.units import format_duration, format_moment
from pytest_rollout.verdict import CheckResult, Reason, Verdict, broken, inconclusive

_WORDS = {
    SlotState.FAILED: "failed",
    SlotState.ERROR: "ended in error",
    SlotState.MISSED: "was missed",
    SlotState.OVERRAN: "overran",
    SlotState.SKIPPED_OVERLAP: "was skipped",
    SlotState.SUPPRESSED: "was suppressed",
}
_NEVER_RUN = frozenset({SlotState.MISSED, SlotState.SKIPPED_OVERLAP, SlotState.SUPPRESSED})
_BROKEN = frozenset({SlotState.ERROR, SlotState.OVERRAN})
_SLACK, _MOST_SLACK = 0.1, 5.0
"""A share of a period, and seconds: by the smaller may passes lie less apart, for no run begins to the millisecond."""
_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Census:
    """At least this share of all slots of so many seconds has to pass."""

    share: float
    over: float


@dataclass(frozen=True, slots=True)
class Terms:
    """How slots are counted."""

    every: float
    """Seconds from one slot to the next."""
    conditions: Conditions
    flaky: int = 0
    """How many flaky slots count as passes, of those that a verdict rests on."""


def judge_slots(slots: Sequence[Slot], wanted: Passes | Census, terms: Terms, since: float, now: float) -> CheckResult:
    """Judge the slots of one canary whose time came after the flip, at ``since``, and up to now."""
    line = _Line.of(slots, terms, since, now)
    return _judge_census(line, wanted) if isinstance(wanted, Census) else _judge_row(line, wanted)


@dataclass(frozen=True, slots=True)
class _Seen:
    """One slot as it counts."""

    at: float
    slot: Slot | None
    why_not: str
    """Why it is no pass; empty if it is one."""
    decided: bool
    """Whether it is known how the system did."""

    @classmethod
    def of(cls, at: float, slot: Slot | None, conditions: Conditions) -> _Seen:
        """Return how a slot counts by itself; a flaky one as a pass."""
        if slot is None:
            return cls(at, slot, "was missed", decided=False)
        decided = slot.state not in _NEVER_RUN | _BROKEN
        if decided and (objection := conditions.objection(slot.plan, slot.flags)):
            return cls(at, slot, f"was run {objection}", decided=False)
        if decided and slot.state is not SlotState.FAILED and slot.ended_at > at + slot.every:
            return cls(at, slot, "was run late, when its time was over", decided=False)
        word = _WORDS.get(slot.state, "")
        return cls(at, slot, f"{word}: {slot.message}" if word and slot.message else word, decided)

    @property
    def failed(self) -> bool:
        return self.decided and self.state is SlotState.FAILED

    @property
    def missed(self) -> bool:
        return self.state in (None, SlotState.MISSED)

    @property
    def state(self) -> SlotState | None:
        return self.slot.state if self.slot else None

    @property
    def told(self) -> str:
        return f"slot {format_moment(self.at)} {self.why_not}"


@dataclass(frozen=True, slots=True)
class _Line:
    """The slots since a flip, by number and in their order; one without a record is missing."""

    slots: dict[int, Slot]
    terms: Terms
    since: float
    now: float

    @classmethod
    def of(cls, slots: Iterable[Slot], terms: Terms, since: float, now: float) -> _Line:
        """Return the slots after a time that are of this period. Of two records of one slot the worse one counts.

        A slot dated ahead has been run all the same, by a clock that is ahead of ours: then it is later than we think.
        """
        every = terms.every
        mine = {slot_number(one.at, every): one for one in sorted(slots, key=_worst_last) if _fits(one, every)}
        now = max([now, *(number * every for number in mine)])
        numbers = range(newest_number(since, every) + 1, newest_number(now, every) + 1)
        return cls({number: mine[number] for number in sorted(mine) if number in numbers}, terms, since, now)

    @property
    def newest(self) -> int:
        """The number of the slot of now."""
        return newest_number(self.now, self.terms.every)

    @property
    def open(self) -> bool:
        """Whether the slot of now has come, and nobody knows yet how it ends."""
        return self.newest not in self.slots and self.newest * self.terms.every > self.since

    def back(self) -> Iterator[_Seen]:
        """Yield every slot as it counts, from the newest that is over or recorded back to the flip."""
        flaky, oldest = 0, newest_number(self.since, self.terms.every) + 1
        for number in range(self.newest - self.open, oldest - 1, -1):
            one = self.seen(number)
            if one.decided and one.state is SlotState.FLAKY:
                flaky += 1
                if flaky > self.terms.flaky:
                    one = replace(one, why_not=f"was flaky (allowed: {self.terms.flaky})")
            yield one

    def seen(self, number: int) -> _Seen:
        """Return one slot as it counts by itself."""
        return _Seen.of(number * self.terms.every, self.slots.get(number), self.terms.conditions)

    def last_run(self) -> _Seen | None:
        """Return the newest slot that was run at all."""
        run = (number for number, slot in reversed(self.slots.items()) if slot.state not in _NEVER_RUN)
        return next(map(self.seen, run), None)

    def ahead(self, slots: int) -> float:
        """Return the seconds until the time of so many more slots has come, the open one among them."""
        last = max(self.newest, newest_number(self.since, self.terms.every)) - self.open
        return max((last + slots) * self.terms.every - self.now, 0.0)

    def awaited(self) -> str:
        """Return in words what comes next."""
        if self.open:
            return f"slot {format_moment(self.newest * self.terms.every)} is still open"
        return f"next slot in {format_duration(self.ahead(1))}"

    def is_it_running(self) -> str:
        """Return the question to ask if the newest slot that is over was missed."""
        newest = next(self.back(), None)
        return "; is `rollout watch` running?" if newest and newest.missed else ""

    def known(self, rule: str) -> dict[str, Any]:
        """Return what every result about these slots says."""
        newest = next(reversed(self.slots.values()), None)
        return {
            "samples": len(self.slots),
            "window": (self.since or min((one.at for one in self.slots.values()), default=self.now), self.now),
            "derivation": {
                "rule": rule,
                "every": self.terms.every,
                "flaky": self.terms.flaky,
                "plan": self.terms.conditions.plan,
                "flags": dict(self.terms.conditions.flags),
                "slots": [_shown(one) for one in islice(self.back(), _SHOWN)][::-1],
            },
            "attachments": newest.attachments if newest else (),
        }


def _fits(slot: Slot, every: float) -> bool:
    # Another time scale has other slots, whose numbers mean other times.
    on_grid = abs(slot.at - slot_number(slot.at, every) * every) <= every / 1000
    return on_grid and math.isclose(slot.every, every, rel_tol=1e-6)


def _worst_last(slot: Slot) -> tuple[bool, bool, str, float]:
    return slot.state is SlotState.FAILED, slot.state is not SlotState.OK, slot.state.value, slot.ended_at


def _shown(one: _Seen) -> dict[str, Any]:
    return {
        "at": one.at,
        "state": one.state.value if one.state else "missing",
        "message": one.slot.message if one.slot else "",
        "why_not": one.why_not,
    }


def _unbroken(seen: Iterable[_Seen], allowed: int) -> tuple[list[_Seen], _Seen | None]:
    """Return the slots in a row of which at most so many did not pass, and the slot that ends it."""
    row: list[_Seen] = []
    lost = 0
    for one in seen:
        lost += bool(one.why_not)
        if lost > allowed or not one.decided:
            return row, one
        row.append(one)
    return row, None


def _spread(row: Sequence[_Seen]) -> float:
    """Return the seconds that surely lie between the beginnings of the first and the last run of a row."""
    slots = [one.slot for one in row if one.slot is not None]
    if not slots:
        return 0.0
    last, first = slots[0], slots[-1]
    began = last.at if last.began_at is None else last.began_at
    return max(began - (first.ended_at if first.began_at is None else first.began_at), 0.0)


def _judge_row(line: _Line, wanted: Passes) -> CheckResult:
    """Judge that the newest slots passed, so many in a row."""
    needed = slots_in_a_row(wanted.wanted, wanted.across, line.terms.every)
    row, breaker = _unbroken(line.back(), 0)
    known = {"value": float(len(row)), "limit": float(needed), "unit": "passes", **line.known("slots in a row")}
    last, newest = line.last_run(), next(line.back(), None)
    if last and last.failed:
        return CheckResult(verdict=Verdict.BREACHED, reason=Reason.CANARY_FAILED, message=last.told, **known)
    if newest and newest.state in _BROKEN:
        return broken(Reason.CANARY_ERROR, newest.told, **known)
    spread = _spread(row)
    apart = f", {format_duration(spread)} apart" if wanted.across else ""
    said = f"passed {len(row)} of {needed} slots in a row{apart}"
    far_enough = not wanted.across or spread >= wanted.across - min(line.terms.every * _SLACK, _MOST_SLACK)
    if len(row) >= needed and far_enough and not line.open:
        return CheckResult(verdict=Verdict.PASSED, reason=Reason.WITHIN_LIMIT, message=said, **known)
    if not far_enough:
        said += f" of {format_duration(wanted.across)}"
    return inconclusive(
        Reason.SLOT_MISSED if newest and newest.missed else Reason.TOO_FEW_PASSES,
        f"{said}{f'; {breaker.told}' if breaker else ''}; {line.awaited()}{line.is_it_running()}",
        ready_in=line.ahead(max(needed - len(row), 1)),
        **known,
    )


def _judge_census(line: _Line, wanted: Census) -> CheckResult:
    """Judge that enough of all slots of a window passed. This is no sample: each of them has to be known."""
    start = line.now - wanted.over
    size = line.newest - newest_number(start, line.terms.every)
    allowed = math.floor((1 - wanted.share) * size + 1e-9)
    seen = list(takewhile(lambda one: one.at > start, line.back()))
    passed, failed = sum(not one.why_not for one in seen), [one for one in seen if one.failed]
    known = line.known("all slots of a window") | {
        "value": passed / len(seen) if seen else None,
        "limit": wanted.share,
        "unit": "share",
        "samples": sum(one.slot is not None for one in seen),
        "window": (max(start, line.since), line.now),
    }
    said = f"passed {passed} of {size} slots in {format_duration(wanted.over)}, {size - allowed} are needed"
    if len(failed) > allowed:
        said = f"{said}; {failed[0].told}"
        return CheckResult(verdict=Verdict.BREACHED, reason=Reason.CANARY_FAILED, message=said, **known)
    _, blocker = _unbroken(seen, allowed)
    if doubt := _doubt(line, wanted.over, blocker):
        reason, why, ready_in = doubt
        return inconclusive(reason, f"{said}; {why}", ready_in=ready_in, **known)
    return CheckResult(verdict=Verdict.PASSED, reason=Reason.WITHIN_LIMIT, message=said, **known)


def _doubt(line: _Line, over: float, blocker: _Seen | None) -> tuple[Reason, str, float] | None:
    """Return why the slots of a window do not decide yet, in words too, and the seconds until they can."""
    if blocker:
        free_in = blocker.at + over - line.now
        reason = Reason.SLOT_MISSED if blocker.missed else Reason.TOO_FEW_PASSES
        said = f"{blocker.told}; the window is free of it in {format_duration(free_in)}{line.is_it_running()}"
        return reason, said, free_in
    if (elapsed_in := line.since + over - line.now) > 0:
        observed = f"observed for {format_duration(max(line.now - line.since, 0))} of {format_duration(over)}"
        return (
            Reason.WINDOW_NOT_ELAPSED,
            f"{observed} since the flip; decides in about {format_duration(elapsed_in)}",
            elapsed_in,
        )
    return (Reason.TOO_FEW_PASSES, line.awaited(), 0.0) if line.open else None
