"""A baseline gate: fetch both sides, and have them compared."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_rollout.gathering.bare import unseen
from pytest_rollout.judge.baseline import Effect, judge_quantiles, judge_ratios
from pytest_rollout.judge.demand import short_window
from pytest_rollout.judge.points import Points, Sides, judge_points, points_between
from pytest_rollout.judge.quantile import Measured, measure
from pytest_rollout.judge.samples import Window
from pytest_rollout.judge.share import Reading, read_ratio
from pytest_rollout.plan.kinds import Baseline, Quantile, Ratio
from pytest_rollout.verdict import CheckResult, Reason, inconclusive

if TYPE_CHECKING:
    from pytest_rollout.gathering.question import Question

_POINTS = 30
"""How many points a window of values has, if it has as many scrapes."""


def compare(question: Question, baseline: Baseline, window: Window) -> CheckResult:
    """Return the verdict of a baseline gate in a window."""
    now, base = baseline.now, baseline.control or baseline.now
    if now.values is not None and window.epoch:
        # Ranks have no bound for all times: each stretch is judged once, when it is complete.
        window = replace(window, end=min(window.end, window.start + window.wanted))
    earlier = _earlier(question, baseline, window)
    if isinstance(earlier, CheckResult):
        return earlier
    effect, demand = Effect(question.gate.limit or 0.0, baseline.least_effect), question.demand(())
    if now.ratio is not None and base.ratio is not None:
        mine, theirs = _counted(question, now.ratio, window), _counted(question, base.ratio, earlier)
        if isinstance(mine, Reading) and isinstance(theirs, Reading):
            return judge_ratios(mine, theirs, effect, demand)
        return _wrong(mine, theirs)
    if now.quantile is not None and base.quantile is not None:
        fast, slow = _measured(question, now.quantile, window), _measured(question, base.quantile, earlier)
        if isinstance(fast, Measured) and isinstance(slow, Measured):
            return judge_quantiles(now.quantile.q, fast, slow, effect, demand)
        return _wrong(fast, slow)
    return _points(question, baseline, window, earlier)


def _wrong(mine: object, theirs: object) -> CheckResult:
    if isinstance(mine, CheckResult):
        return mine
    if not isinstance(theirs, CheckResult):
        raise TypeError(f"neither side is wrong: {mine!r}, {theirs!r}")
    return replace(theirs, message=f"the baseline: {theirs.message}")


def _counted(question: Question, ratio: Ratio, window: Window) -> Reading | CheckResult:
    evidence = question.ratio_evidence(ratio, window)
    return read_ratio(evidence, window, question.demand(evidence.total))


def _measured(question: Question, quantile: Quantile, window: Window) -> Measured | CheckResult:
    buckets, watch = question.buckets(quantile, window)
    return measure(buckets, watch, window, question.demand(buckets))


def _points(question: Question, baseline: Baseline, window: Window, earlier: Window) -> CheckResult:
    mine, theirs = baseline.now.values or "", (baseline.control or baseline.now).values or ""
    step = _step(question, window)
    if window.length < 2 * step and (short := short_window(window, question.demand(()))):
        return short  # so early that a range of points would end before it begins
    sides = Sides(_values(question, mine, window), _values(question, theirs, earlier), baseline.direction)
    span = window.length - step
    doubt = unseen(question, mine, question.reader(window), span=span)
    base = unseen(question, theirs, question.reader(earlier), span=span, after_flip=baseline.before is None)
    judged = judge_points(sides, question.demand(()), window)
    if doubt is None and base is not None:
        doubt = replace(base, message=f"the baseline: {base.message}")
    return judged.because(doubt) if doubt else judged


def _values(question: Question, expression: str, window: Window) -> Points:
    step = _step(question, window)
    return points_between(question.reader(window).points(expression, step), window, step)


def _step(question: Question, window: Window) -> float:
    return max(window.length / _POINTS, question.moment.interval)


def _earlier(question: Question, baseline: Baseline, window: Window) -> Window | CheckResult:
    """Return the window of the baseline, or why there is none."""
    if baseline.before is None:
        return window
    flip = question.moment.flip
    if flip is None:
        return inconclusive(
            Reason.FLIP_UNKNOWN, "a baseline 'before' needs a flip; give the stage flags, or a 'control'"
        )
    if baseline.before == "flip":
        return Window(flip - window.wanted, flip, window.wanted, window.epoch)
    ago = question.target.scaled(baseline.before)
    if window.end - ago > flip:
        return inconclusive(
            Reason.FLIP_UNKNOWN,
            "the baseline would lie after the flip, and be compared with itself; look further back with 'before'",
        )
    return replace(window, start=window.start - ago, end=window.end - ago)
