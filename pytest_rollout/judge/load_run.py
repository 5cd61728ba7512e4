"""What a load run leaves behind: when each request was due, and how long its answer took."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from pytest_rollout.judge.certainty import Certainty
from pytest_rollout.verdict import CheckResult, Reason, broken, inconclusive

Moments: TypeAlias = tuple[tuple[float, float], ...]
"""(at, seconds): when a request was due, since the window's beginning, and how long it took from then."""


class Model(StrEnum):
    """Who decides when a request is sent."""

    OPEN = "open"
    """A schedule: requests come whether or not the earlier ones were answered, as those of many people do."""
    CLOSED = "closed"
    """Simulated users who wait for their answers: while the system stalls, they hardly ask."""


class Bad(NamedTuple):
    """Bad requests, from both sides."""

    times: tuple[float, ...]
    """When those were due that may be bad, ascending."""
    sure: int
    """How many surely are."""
    row: int
    """The most of them that came one after the other, without a good one in between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Every request of a window, by what is known of it.

    Of a request without an answer only "at least so long" is known, and one that failed counts the same: nobody
    knows how long its answer would have taken, and a quick error must not make a service fast.
    """

    ok: Moments
    failed: Moments
    censored: Moments
    """Given up by the client, or still in flight at the end."""
    due: int
    """How many there must be by the document's own count, so that a lost one shows."""
    planned: int | None = None
    """How many the whole run has by its schedule; None if there is none."""

    @property
    def unknown(self) -> Moments:
        """Those of which only "at least so long" is known."""
        return self.failed + self.censored

    @property
    def early(self) -> list[float]:
        """Seconds of each, as few as they may be, ascending."""
        return sorted(seconds for _, seconds in self.ok + self.unknown)

    @property
    def late(self) -> list[float]:
        """Seconds of each, as many as they may be, ascending."""
        return sorted(seconds for _, seconds in self.ok) + [math.inf] * len(self.unknown)

    def slow(self, limit: float) -> Bad:
        """Return the requests that took ``limit`` seconds or longer."""
        return self._bad(limit, sum(seconds >= limit for _, seconds in self.ok + self.unknown))

    def wrong(self, patience: float) -> Bad:
        """Return the requests that failed; one without an answer for so many seconds did."""
        silent = sum(seconds >= patience for _, seconds in self.censored)
        return self._bad(math.inf, len(self.failed) + silent)

    def _bad(self, limit: float, sure: int) -> Bad:
        """Return what has no good answer, or one that took ``limit`` seconds or longer."""
        times = sorted(at for at, seconds in (*self.ok, *self._forever()) if seconds >= limit)
        good = sorted(at for at, seconds in self.ok if seconds < limit)
        return Bad(tuple(times), sure, longest_row(times, good))

    def _forever(self) -> Moments:
        return tuple((at, math.inf) for at, _ in self.unknown)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How the load was made, and what is promised about verdicts on it. Seconds."""

    model: Model
    whole: bool
    """Whether it ran to its end; False while it runs."""
    seconds: float
    """Of the window as asked for by now, with every extension."""
    patience: float
    """A request without an answer for so long has failed."""
    faults: tuple[str, ...] = ()
    """Why the generator cannot be believed."""
    confidence: float | None = 0.95
    """One-sided: how often a pass, or a breach, has to be right. None compares what was observed."""
    budget: float = 0.0
    """How long the run may be extended in all."""
    added: float = 0.0
    """How much of that was used."""
    window: tuple[float, float] | None = None
    """Unix seconds."""

    @property
    def certainty(self) -> Certainty:
        """What bounds have to keep now.

        A run that may be extended is looked at once at its planned end, with half of what may go wrong. The other half
        is for all later looks together: how many there are, and when, follows from what was seen, so those bounds hold
        at all times at once.
        """
        return self._promise(extended=self.added > 0)

    @property
    def next_certainty(self) -> Certainty:
        """What bounds would have to keep after an extension, or in a longer run if there is no budget for one."""
        return self._promise(extended=self.budget > 0)

    def _promise(self, *, extended: bool) -> Certainty:
        if self.confidence is None:
            return Certainty(None)
        tail = (1 - self.confidence) / (2 if self.budget else 1)
        return Certainty(1 - 2 * tail, epoch=int(extended))

    @property
    def left(self) -> float:
        """How much longer it may be extended."""
        return max(self.budget - self.added, 0.0)

    @property
    def burst(self) -> float:
        """Within so long, bad requests may be one event with many effects: a tenth of the window."""
        return self.seconds / 10


def unusable(answers: Answers, run: Run) -> CheckResult | None:
    """Return why a run cannot be judged at all, or None."""
    there = answers.ok + answers.unknown
    numbers = all(math.isfinite(at) and math.isfinite(seconds) and seconds >= 0 for at, seconds in there)
    planned = answers.due if answers.planned is None else answers.planned
    said = ""
    if run.faults:
        said = "; ".join(run.faults)
    elif not numbers:
        said = "the result document has latencies that are not finite numbers of seconds; run the load again"
    elif len(there) != answers.due:
        said = (
            f"the result document tells of {len(there):,} requests, but counts {answers.due:,}; evidence was lost, "
            "run the load again"
        )
    elif planned < answers.due or (run.whole and planned > answers.due):
        said = f"{answers.due:,} requests were due, but the schedule has {planned:,}; run the load again"
    if said:
        reason = Reason.BENT_GENERATOR if run.faults else Reason.EVIDENCE
        return broken(reason, said, window=run.window, samples=len(there))
    if not there:
        return inconclusive(Reason.NO_DATA, "no request was due in the window; is the run too short?")
    return None


def longest_row(times: Sequence[float], others: Sequence[float]) -> int:
    """Return the most of these sorted times with none of the others in between; at the same time is not between."""
    return max(Counter(bisect_left(others, at) for at in times).values(), default=0)


def largest_burst(times: Sequence[float], seconds: float) -> int:
    """Return the most of these sorted times that lie within any stretch of so many seconds."""
    largest = begin = 0
    for end, at in enumerate(times):
        while times[begin] < at - seconds:
            begin += 1
        largest = max(largest, end - begin + 1)
    return largest
