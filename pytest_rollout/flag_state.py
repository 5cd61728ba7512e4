"""The flags of a whole plan as one state: what a run was made under, and whether that changed meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_rollout.judge.history import FlagReading, is_same
from pytest_rollout.plan.model import Plan
from pytest_rollout.sources.flags import UNREACHABLE, FlagReader


def read_flag_state(plan: Plan, reader: FlagReader | None) -> tuple[FlagReading, ...]:
    """Return a reading of every flag of every stage; none without a flag service.

    A service that nobody reaches is not asked for the rest: a run has better uses for its time.
    """
    wanted = sorted({(name, flag.cohort) for stage in plan.stages for name, flag in stage.flags.items()})
    readings: list[FlagReading] = []
    for name, cohort in wanted if reader is not None else ():
        if readings and readings[-1].reason == UNREACHABLE:
            readings.append(_unread(name, cohort, readings[-1].fault))
        elif reader is not None:
            readings.append(reader.read(name, cohort))
    return tuple(readings)


def flag_values(readings: Sequence[FlagReading]) -> Mapping[str, bool | str | None]:
    """Return ``FLAG@cohort`` with its value, or None if it was not evaluated."""
    return {f"{one.flag}@{one.cohort}": None if one.fault else one.value for one in readings}


def change_between(before: Sequence[FlagReading], after: Sequence[FlagReading]) -> str | None:
    """Return what changed between two readings of the same flags, in words; None if nothing did.

    Also a flag that was turned and turned back has changed, if the service tells when.
    """
    later = {(one.flag, one.cohort): one for one in after}
    for one in before:
        other = later.get((one.flag, one.cohort))
        if other is None or one.fault or other.fault:
            continue
        if not is_same(one.value, other.value):
            return f"{one.flag} turned from {one.value!r} to {other.value!r} for {one.cohort!r} during the run"
        if one.changed_at != other.changed_at:
            return f"{one.flag} was changed for {one.cohort!r} during the run, and is {other.value!r} again"
    return None


def settled_values(before: Sequence[FlagReading], after: Sequence[FlagReading]) -> Mapping[str, bool | str | None]:
    """Return the values that held throughout: None for what was not evaluated before or after."""
    first, last = flag_values(before), flag_values(after)
    return {name: value if is_same(last.get(name), value) else None for name, value in first.items()}


def _unread(flag: str, cohort: str, fault: str) -> FlagReading:
    return FlagReading(flag=flag, cohort=cohort, value=None, reason=UNREACHABLE, changed_at=None, fault=fault)
