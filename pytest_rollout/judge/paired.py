"""Two arms of one load run, compared pair by pair, so that what hits both cancels out.

A request of the candidate and one of the control are sent side by side, in random order. What makes both slow, such as
a noisy machine, is in both, and only the pairs that differ say anything. Nothing is assumed about distributions, nor
that one moment is like another; pairs are taken as independent given what hits both.

Let Q be the control's q-quantile, unknown, and worst(Q) what the candidate's may be. The candidate is not worse if its
share above worst(Q) is at most the control's share above Q, for that is at most 1 - q. This is a question about the
pairs of which exactly one is above (McNemar, Psychometrika 12, 1947): in fewer than half of them it must be the
candidate. An exact binomial bound answers it; if the chance differs from pair to pair, extreme counts are only rarer
(Hoeffding, Annals of Mathematical Statistics 27, 1956). Or directly: the candidate's share above worst(Q) is below
1 - q. Since Q is unknown, one of the two has to hold at every value within its bounds. Each has a part of what may go
wrong: a quarter the bounds of Q, half the pairs, a quarter the candidate alone.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from pytest_rollout.judge import order
from pytest_rollout.judge.baseline import Effect
from pytest_rollout.judge.certainty import Certainty
from pytest_rollout.judge.latency import breached, undecided, unfinished
from pytest_rollout.judge.load_run import Answers, Run, unusable
from pytest_rollout.judge.order import Between
from pytest_rollout.units import format_duration, format_value
from pytest_rollout.verdict import CheckResult, Reason, Verdict, broken

_HALF = 0.5
_MOST_TIMES = 16
_MOST_REPEATED = 200_000


@dataclass(frozen=True, slots=True)
class WorseBy:
    """`p95: {at_most: 10%}` of a paired run: the candidate's quantile may be so much worse than the control's."""

    q: float
    effect: Effect

    def __post_init__(self) -> None:
        """Refuse what nothing could break. Raises ValueError."""
        order.check(self.q)
        if not (0 <= self.effect.relative < math.inf and 0 <= self.effect.absolute < math.inf):
            raise ValueError(f"{self.effect} may be worse; both have to be finite and not negative")

    def as_control(self, seconds: float) -> float:
        """Return the control's quantile of which this is the worst allowed; what is above one is above the other."""
        return min(seconds / (1 + self.effect.relative), seconds - self.effect.absolute)


@dataclass(frozen=True, slots=True)
class Pairs:
    """The seconds of both arms, pair by pair; the candidate's as ``WorseBy.as_control`` gives them."""

    control: Sequence[float]
    candidate: Sequence[float]


class _Above:
    """How many pairs have their control, their candidate, or both above a value."""

    def __init__(self, pairs: Pairs) -> None:
        self.control, self.candidate = sorted(pairs.control), sorted(pairs.candidate)
        self.both = sorted(map(min, pairs.control, pairs.candidate))

    def at(self, value: float) -> tuple[int, int, int]:
        control, candidate, both = (
            len(part) - bisect_right(part, value) for part in (self.control, self.candidate, self.both)
        )
        return control, candidate, both

    def steps(self, bounds: Between) -> list[float]:
        """Return the values within bounds at which a count changes, and the first of them."""
        inside = (one for part in (self.control, self.candidate) for one in part if bounds.low < one <= bounds.high)
        return [bounds.low, *sorted(set(inside))]


def judge_worse(limit: WorseBy, control: Answers, candidate: Answers, run: Run) -> CheckResult:
    """Judge how much worse the candidate's quantile is; the k-th request of each arm are a pair."""
    if wrong := _unusable(control, candidate, run):
        return wrong
    compared = _Comparison(limit, control, candidate, run.certainty)
    result = _told(compared, run)
    # Some answers of a run without an end may still turn either way, and without them no pair is complete.
    if run.whole and compared.worse():
        return breached(result, run)
    if doubt := unfinished(candidate, run):
        return result.because(doubt)
    if compared.not_worse():
        return result
    return undecided(result, _more(compared, run), run, what="pairs")


def _unusable(control: Answers, candidate: Answers, run: Run) -> CheckResult | None:
    if wrong := unusable(candidate, run):
        return wrong
    if wrong := unusable(control, run):
        return replace(wrong, message=f"the control: {wrong.message}")
    if run.whole and control.due != candidate.due:
        said = f"{control.due:,} requests of the control, {candidate.due:,} of the candidate; they come in pairs"
        return broken(Reason.EVIDENCE, f"{said}, so evidence was lost; run the load again", window=run.window)
    return None


class _Comparison:
    def __init__(
        self, limit: WorseBy, control: Answers, candidate: Answers, certainty: Certainty, times: int = 1
    ) -> None:
        self.limit, self.answers, self.times, self.certainty = limit, (control, candidate), times, certainty
        self.quarter, self.half = _part(certainty, 4), _part(certainty, 2)

    @cached_property
    def bounds(self) -> Between:
        """Where the control's quantile surely lies."""
        control = self.answers[0]
        early, late = (sorted(part * self.times) if self.times > 1 else part for part in (control.early, control.late))
        return order.between(self.limit.q, early, late, _part(self.quarter, 2))

    def not_worse(self) -> bool:
        """Whether the candidate's quantile is surely not worse than allowed."""
        bounds = self.bounds
        if not math.isfinite(bounds.high):
            return False
        share, above = order.slower(self.limit.q), _Above(self._pairs(early=0))
        total = len(above.candidate) * self.times
        for value in above.steps(bounds):
            control, candidate, both = (self.times * count for count in above.at(value))
            alone, differ = candidate - both, candidate + control - 2 * both
            if self.half.highest(alone, differ) >= _HALF and self.quarter.highest(candidate, total) >= share:
                return False
        return True

    def worse(self) -> bool:
        """Whether the candidate's quantile is surely worse than allowed."""
        pairs = self._pairs(early=1)
        # A control at Q is not above Q, but belongs to the share of 1 - q.
        nudged = [math.nextafter(one, math.inf) for one in pairs.control]
        share, above = order.slower(self.limit.q), _Above(replace(pairs, control=nudged))
        total = len(above.candidate)
        for value in above.steps(self.bounds):
            control, candidate, both = above.at(value)
            alone, differ = candidate - both, candidate + control - 2 * both
            if self.half.lowest(alone, differ) <= _HALF and self.quarter.lowest(candidate, total) <= share:
                return False
        return True

    def grown(self, times: int, certainty: Certainty) -> _Comparison:
        """Return the comparison as it would be with so many times the pairs."""
        return _Comparison(self.limit, *self.answers, certainty, times)

    def _pairs(self, early: int) -> Pairs:
        """Return the pairs, with the arm of that number (0: control) taken as fast as it may be, the other as slow."""
        control, candidate = (_in_turn(part, early=at == early) for at, part in enumerate(self.answers))
        return Pairs(control, [self.limit.as_control(one) for one in candidate])


def _in_turn(answers: Answers, *, early: bool) -> list[float]:
    known = [(at, seconds, seconds) for at, seconds in answers.ok]
    perhaps = [(at, seconds, math.inf) for at, seconds in answers.unknown]
    return [least if early else most for _, least, most in sorted(known + perhaps)]


def _part(certainty: Certainty, parts: int) -> Certainty:
    """Return the same promise with so small a part of wrong bounds."""
    confidence = certainty.confidence
    return Certainty(None if confidence is None else 1 - (1 - confidence) / parts, certainty.epoch)


def _more(compared: _Comparison, run: Run) -> int | None:
    """Return how many more pairs would prove it if they were like these, or None if none would."""
    pairs, times = compared.answers[1].due, 2
    while times <= _MOST_TIMES and times * pairs <= _MOST_REPEATED:
        if compared.grown(times, run.next_certainty).not_worse():
            return (times - 1) * pairs
        times *= 2
    return None


def _told(compared: _Comparison, run: Run) -> CheckResult:
    limit, (control, candidate) = compared.limit, compared.answers
    theirs, mine = (order.nearest_rank(part.early, limit.q) for part in (control, candidate))
    low, high = compared.bounds
    relative = bool(limit.effect.relative)
    unit, most = ("share", limit.effect.relative) if relative else ("seconds", limit.effect.absolute)
    top = format_duration(high) if math.isfinite(high) else "anything"
    allowed = f"at most {format_value(most, unit)} worse is allowed"
    if relative and limit.effect.absolute:
        allowed += f", or {format_duration(limit.effect.absolute)}"
    at_least = "at least " if order.nearest_rank(candidate.late, limit.q) > mine else ""
    value = mine - theirs if not relative else (mine / theirs - 1 if theirs else None)
    return CheckResult(
        verdict=Verdict.PASSED,
        reason=Reason.WITHIN_LIMIT,
        message=f"{at_least}{format_duration(mine)}, the control's is {format_duration(theirs)}, surely between "
        f"{format_duration(low)} and {top}; {allowed}; {candidate.due:,} pairs",
        value=value,
        limit=most,
        unit=unit,
        samples=candidate.due,
        window=run.window,
        derivation={
            "rule": f"pairs of which one is slower (McNemar), {compared.certainty.one_sided_rule}",
            "confidence": run.confidence,
            "model": run.model.value,
            "quantile": limit.q,
            "candidate": mine,
            "control": {"value": theirs, "low": low, "high": high if math.isfinite(high) else None},
        },
    )
