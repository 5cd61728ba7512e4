"""Values of one series over time against those of a baseline, for those who come from Kayenta."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from pytest_rollout.judge.demand import Demand, short_window
from pytest_rollout.judge.mann_whitney import Comparison, Direction, Label, classify, shift
from pytest_rollout.judge.samples import Series, Window, shown
from pytest_rollout.units import format_value
from pytest_rollout.verdict import CheckResult, Reason, Verdict, inconclusive


@dataclass(frozen=True, slots=True)
class Points:
    """What a query gave for one side."""

    series: tuple[Series, ...]
    expected: int
    """How many points there should be."""

    @property
    def found(self) -> list[float]:
        """The values that are numbers."""
        return [value for one in self.series for _, value in one.samples if math.isfinite(value)]

    def completed(self, instead: float) -> list[float]:
        """Return the values with one for each that is missing: what is unknown counts against the release."""
        return [*self.found, *[instead] * max(self.expected - len(self.found), 0)]


@dataclass(frozen=True, slots=True)
class Sides:
    """Both sides, and which way values become worse."""

    now: Points
    base: Points
    direction: Direction

    def bounds(self, confidence: float) -> tuple[float, float]:
        """Return the least and the largest shift there may be, with missing points as bad as can be."""
        low, high = -math.inf, math.inf  # the worst that was seen may itself be what is missing
        largest = shift(self.now.completed(high), self.base.completed(low), confidence).high
        least = shift(self.now.completed(low), self.base.completed(high), confidence).low
        return least, largest

    def harmless(self, least: float, largest: float, allowed: float) -> bool:
        """Whether no shift within these bounds is worse than what is allowed."""
        up, down = largest <= allowed, least >= -allowed
        return {"increase": up, "decrease": down, "either": up and down}[self.direction]


def judge_points(sides: Sides, demand: Demand, window: Window) -> CheckResult:
    """Judge one series of values against another by the Mann-Whitney test.

    A pass needs more than Kayenta's label ``Pass``, which only says that nothing was shown: the largest shift that the
    points leave possible must be within the limit, a share of the baseline's median.
    """
    for name, points in (("the query", sides.now), ("the baseline's query", sides.base)):
        if len(points.series) > 1:
            names = ", ".join(sorted(shown(one.labels) for one in points.series)[:3])
            said = f"{name} gave {len(points.series)} series ({names}); aggregate them to one"
            return inconclusive(Reason.SEVERAL_SERIES, said)
        if not points.found:
            return short_window(window, demand) or inconclusive(
                Reason.NO_DATA, f"{name} gave no numbers; check the metric's name, the traffic and the scrape"
            )
    confidence = 1 - 2 * demand.certainty(window).spent
    compared = classify(
        sides.base.found,
        sides.now.found,
        direction=sides.direction,
        confidence=confidence,
        allowed_increase=1 + demand.limit,
        allowed_decrease=1 - demand.limit,
    )
    return _judged(sides, compared, demand, window)


def _judged(sides: Sides, compared: Comparison, demand: Demand, window: Window) -> CheckResult:
    confidence = 1 - 2 * demand.certainty(window).spent
    middle = median(sides.base.found)
    allowed = demand.limit * abs(middle)
    least, largest = sides.bounds(confidence) if compared.shift else (-math.inf, math.inf)
    result = CheckResult(
        verdict=Verdict.PASSED,
        reason=Reason.WITHIN_LIMIT,
        message=f"shifted by {least:.4g} to {largest:.4g} against a baseline of {middle:.4g} (Kayenta's label: "
        f"{compared.label}), at most {format_value(demand.limit, 'share')} worse is allowed",
        value=compared.shift.estimate / abs(middle) if compared.shift and middle else None,
        limit=demand.limit,
        unit=demand.unit,
        samples=compared.experiment,
        window=window.bounds,
        derivation=_told(sides, compared, confidence),
    )
    sure = compared.shift is not None and not sides.harmless(compared.shift.high, compared.shift.low, allowed)
    if sure and compared.label in (Label.HIGH, Label.LOW):
        return replace(result, verdict=Verdict.BREACHED, reason=Reason.LIMIT_BREACHED)
    if short := short_window(window, demand):
        return result.because(short)
    if compared.shift is not None and sides.harmless(least, largest, allowed):
        return result
    fewest = min(compared.control, compared.experiment)
    hint = (
        f"each side needs at least {compared.needed} points, {fewest} are there"
        if fewest < compared.needed
        else ("the points vary too much to tell; ask for a longer window")
    )
    return replace(
        result,
        verdict=Verdict.INCONCLUSIVE,
        reason=Reason.TOO_FEW_SAMPLES,
        message=f"{result.message}; {hint}",
        ready_in=window.clear_of(window.end),
    )


def _told(sides: Sides, compared: Comparison, confidence: float) -> dict[str, Any]:
    return {
        "rule": "Mann-Whitney, both shifts bounded",
        "confidence": confidence,
        "label": compared.label.value,
        "effect": compared.effect,
        "points": {"now": _counted(sides.now), "baseline": _counted(sides.base)},
    }


def _counted(points: Points) -> dict[str, int]:
    return {"found": len(points.found), "expected": points.expected}


def points_between(series: Sequence[Series], window: Window, step: float) -> Points:
    """Return the points of a side, one expected every ``step`` seconds."""
    return Points(tuple(series), max(round(window.length / step), 1))
