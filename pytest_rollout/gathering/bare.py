"""Bare values of PromQL: fetch one, and look whether all that it was made of was watched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_rollout.gathering.reader import Reader, just_flipped, numbers
from pytest_rollout.judge.demand import Restarts
from pytest_rollout.judge.samples import Series, Window, shown
from pytest_rollout.judge.value import judge_value
from pytest_rollout.judge.watch import Watched
from pytest_rollout.plan.promql import LOOKBACK, Selector, selectors
from pytest_rollout.units import format_duration
from pytest_rollout.verdict import CheckResult, Reason, Verdict, inconclusive

if TYPE_CHECKING:
    from pytest_rollout.gathering.question import Question


def judge_bare(question: Question, expression: str, window: Window | None) -> CheckResult:
    """Return the verdict about the value that an expression has at the end of a window, or now."""
    if window is not None and window.length <= 0:
        return just_flipped(window)
    seconds = window.length if window else 0.0
    reader = question.reader(window or Window(question.moment.end, question.moment.end, 0.0))
    doubt = unseen(question, expression, reader)
    found = reader.value(expression.replace("$window", f"{max(1, round(seconds * 1000))}ms"))
    demand = question.demand(found)
    if question.gate.quantifier is None:
        judged = judge_value(found, window, demand)
    else:
        judged = question.several({shown(one.labels): judge_value((one,), window, demand) for one in found}, None)
    # A value that is too high breaches whatever is missing; one that is too low may be so for want of data.
    breached = judged.verdict is Verdict.BREACHED and demand.comparator in ("below", "at_most")
    return judged.because(doubt) if doubt and not breached else judged


def unseen(
    question: Question, expression: str, reader: Reader, *, span: float = 0.0, after_flip: bool = True
) -> CheckResult | None:
    """Return why what an expression reads was not watched well enough, or None if it was.

    It is evaluated at the end of the reader's window and, with ``span``, over so many seconds before.
    ``after_flip``: whether nothing that it reads may be from before the flip.
    """
    read = selectors(expression, reader.window.length or 1.0)
    if not read:
        return inconclusive(Reason.NO_DATA, "the query reads no series, so nothing that happens can change it")
    return next(filter(None, (_unseen(question, one, reader, span, after_flip=after_flip) for one in read)), None)


def _unseen(
    question: Question, selector: Selector, reader: Reader, span: float, *, after_flip: bool
) -> CheckResult | None:
    end = reader.window.end - selector.offset
    length = selector.reach - selector.offset - (LOOKBACK if selector.range is None else 0.0) + span
    since = question.moment.since if after_flip else None
    if since is not None and end - length < since - question.moment.interval / 2:
        missing = since - (end - length)
        if not length:
            said = f"the newest scrape is from before the flip; decides in about {format_duration(missing)}"
            return inconclusive(Reason.WINDOW_NOT_ELAPSED, said, ready_in=missing)
        return inconclusive(
            Reason.WINDOW_NOT_ELAPSED,
            f"{selector.text} reaches back {format_duration(length)}, to before the flip; "
            f"decides in about {format_duration(missing)}",
            ready_in=missing,
        )
    own = reader.about(Window(end - length, end, length))
    series = numbers(selector.text, own.raw(selector.text))
    if not series:
        return inconclusive(Reason.NO_DATA, f"no series matches {selector.text}; check its name and the scrape")
    stale = _stale(selector, series, own) if not length else None
    # Series of no process in particular, such as those of recording rules, are not missing from any.
    anybody = question.gate.expect_series is not None or any(not one.instance[1] for one in series)
    watch = own.watch(selector, series, absent_is_zero=anybody, counted=False)
    expected = question.gate.expect_series if question.gate.quantifier is None else None
    demand = replace(question.demand(series), restarts=Restarts.IGNORE, expect_series=expected)
    return stale or Watched(series, watch, own.window, demand).unwatched()


def _stale(selector: Selector, series: Sequence[Series], reader: Reader) -> CheckResult | None:
    """Return that Prometheus still counts a series that is scraped no more: its last value lives for 5 minutes."""
    fresh = [one.labels for one in series if one.samples[-1][0] >= reader.window.end]
    old = [shown(one.labels) for one in reader.value(selector.text) if one.labels not in fresh]
    if not old:
        return None
    return inconclusive(
        Reason.COVERAGE,
        f"{min(old)} was not scraped at the window's end, and its old value would still count; find out why",
        ready_in=LOOKBACK,
    )
