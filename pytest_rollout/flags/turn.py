"""Turn flags for everybody, and prove that they are turned: asked for, taken, and read back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pytest_rollout.errors import QueryRefused, SourceError
from pytest_rollout.flags.writer import EVERYBODY, FlagWriter
from pytest_rollout.judge.history import FlagReading, is_same
from pytest_rollout.sources.flags import UNREACHABLE, FlagReader

Note = Callable[[str, Mapping[str, Any]], None]
"""Told at once what was done: a word, and data that JSON can hold."""
STABLE = 3
"""How often in a row everything has to be read as wanted: replicas may answer in turns after a flip.

https://github.com/featurehub-io/featurehub/issues/1187
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What flags have to be for everybody, and on whose behalf."""

    values: Mapping[str, bool | str]
    cohorts: Mapping[str, Sequence[str]]
    """By flag: cohorts that may have a value of their own, and must not have another one in the end."""
    actor: str
    reason: str
    within: float
    """Seconds. The last requests may end later, by their own deadlines."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often it is looked at, in seconds, and by which clock."""

    poll: float = 0.2
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True, kw_only=True)
class Turned:
    """What became of one flag."""

    flag: str
    wanted: bool | str
    before: tuple[FlagReading, ...]
    after: tuple[FlagReading, ...]
    """For everybody, then for each cohort."""
    taken: bool
    """Whether the service said that it took all that was asked for."""
    fault: str
    """What was in the way, if something was."""
    freed: tuple[str, ...]
    """Cohorts whose own value was taken away."""
    stable: bool
    """Whether it was read as wanted so many times in a row."""

    @property
    def confirmed(self) -> bool:
        """Whether it is proven to be as wanted for everybody."""
        return self.taken and self.stable and bool(self.after) and all(_is(one, self.wanted) for one in self.after)


def turn(wish: Wish, writer: FlagWriter, reader: FlagReader, note: Note, pace: Pace | None = None) -> list[Turned]:
    """Turn flags until all of them are proven to be turned, none can be any more, or the time is over."""
    return _Turning(wish, writer, reader, note, pace or Pace()).run()


@dataclass
class _Turning:
    wish: Wish
    writer: FlagWriter
    reader: FlagReader
    note: Note
    pace: Pace
    taken: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    faults: dict[str, str] = field(default_factory=dict)
    freed: dict[str, list[str]] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    said: dict[tuple[str, str], str] = field(default_factory=dict)
    """By flag and cohort: the fault that was told last."""
    until: float = 0.0

    def run(self) -> list[Turned]:
        """Ask, read back and look again."""
        self.until = self.pace.now() + self.wish.within
        before = read_all(self.wish, self.reader)
        while True:
            self._ask()
            after = read_all(self.wish, self.reader)
            self._free(after)
            self._count(after)
            if self._over or all(flag in self.refused or self._is_stable(flag) for flag in self.wish.values):
                return [self._turned(flag, before[flag], after[flag]) for flag in self.wish.values]
            self.pace.sleep(self.pace.poll)

    @property
    def _over(self) -> bool:
        return self.pace.now() >= self.until

    def _ask(self) -> None:
        """Ask for whatever the service has neither taken nor refused yet."""
        for flag, value in self.wish.values.items():
            if flag in self.taken | self.refused:
                continue
            if self._over:
                self.faults.setdefault(flag, "there was no time left to ask for it")
                continue
            told = {"flag": flag, "cohort": EVERYBODY, "value": value}
            if self._did(told, partial(self.writer.set, flag, value, **self._who)):
                self.taken.add(flag)

    def _free(self, readings: Mapping[str, tuple[FlagReading, ...]]) -> None:
        """Take a cohort's own value away where everybody has the wanted one, and the cohort has not."""
        for flag, value in self.wish.values.items():
            everybody, *cohorts = readings[flag]
            there = flag in self.taken - self.refused and _is(everybody, value)
            for one in cohorts if there else ():
                if one.fault or is_same(one.value, value) or one.cohort in self.freed.get(flag, ()):
                    continue
                told = {"flag": flag, "cohort": one.cohort, "value": None}
                if self._did(told, partial(self.writer.remove, flag, one.cohort, **self._who)):
                    self.freed.setdefault(flag, []).append(one.cohort)

    @property
    def _who(self) -> dict[str, str]:
        return {"actor": self.wish.actor, "reason": self.wish.reason}

    def _did(self, told: Mapping[str, Any], do: Callable[[], None]) -> bool:
        """Do it, and say so: before, as it may happen although nobody answers, and after; the same thing once."""
        flag, key = told["flag"], (told["flag"], told["cohort"])
        if key not in self.said:
            self.note("asking", told)
        try:
            do()
        except (SourceError, ValueError) as exc:
            if isinstance(exc, QueryRefused):
                self.refused.add(flag)
            self.faults[flag] = str(exc)
            if self.said.get(key) != str(exc):
                self.note("not taken", {**told, "fault": str(exc)})
            self.said[key] = str(exc)
            return False
        self.faults.pop(flag, None)
        self.note("taken", told)
        return True

    def _count(self, readings: Mapping[str, tuple[FlagReading, ...]]) -> None:
        """Count how often in a row each flag was read as wanted, since the service took it."""
        for flag, value in self.wish.values.items():
            there = flag in self.taken and all(_is(one, value) for one in readings[flag])
            self.rows[flag] = self.rows.get(flag, 0) + 1 if there else 0

    def _is_stable(self, flag: str) -> bool:
        return self.rows.get(flag, 0) >= STABLE

    def _turned(self, flag: str, before: tuple[FlagReading, ...], after: tuple[FlagReading, ...]) -> Turned:
        return Turned(
            flag=flag,
            wanted=self.wish.values[flag],
            before=before,
            after=after,
            taken=flag in self.taken - self.refused,
            fault=self.faults.get(flag, ""),
            freed=tuple(self.freed.get(flag, ())),
            stable=self._is_stable(flag),
        )


def read_all(wish: Wish, reader: FlagReader) -> dict[str, tuple[FlagReading, ...]]:
    """Return by flag what it is for everybody, then for each cohort. A service that nobody reaches is asked once."""
    found: dict[str, tuple[FlagReading, ...]] = {}
    lost = ""
    for flag in wish.values:
        readings = []
        for cohort in _cohorts(wish, flag):
            one = _unread(flag, cohort, lost) if lost else reader.read(flag, cohort)
            lost = one.fault if one.reason == UNREACHABLE else ""
            readings.append(one)
        found[flag] = tuple(readings)
    return found


def _cohorts(wish: Wish, flag: str) -> Iterator[str]:
    yield EVERYBODY
    yield from (cohort for cohort in wish.cohorts.get(flag, ()) if cohort != EVERYBODY)


def is_split(reading: FlagReading) -> bool:
    """Whether a service draws lots: what it says to one is then not what it says to all."""
    return reading.reason == "SPLIT"


def _is(reading: FlagReading, wanted: bool | str) -> bool:
    return not reading.fault and not is_split(reading) and is_same(reading.value, wanted)


def _unread(flag: str, cohort: str, fault: str) -> FlagReading:
    return FlagReading(flag=flag, cohort=cohort, value=None, reason=UNREACHABLE, changed_at=None, fault=fault)
