"""Load runs judged: quantiles of latency against a limit, and failed requests.

**What is counted.** `p95: {below: 200ms}` is the question whether fewer than 5 % of the requests took 200 ms or longer,
from the moment they were due. Who passes counts every request without a good answer as slower than any limit; who
breaches counts it with the time that surely went by.

**How sure.** Both by exact binomial bounds of that share, which is the same as bounds from the order of the latencies
(see order.py). Such bounds want independent requests, but a stall makes all of its requests slow. So they must also
hold if all slow requests came in rows as long as the longest, each as one event among so many fewer; and those within
a tenth of the window have to fit below the limit as one, as for shares of counters.

**Early stop.** A run is breached while it goes on if its planned end will say so, whatever comes: the bad requests so
far are compared with *all* the planned ones. That is the verdict of the end, told earlier, so looking often costs no
certainty. A pass is never told early.

**Closed model.** Users who wait for answers ask less while the system is slow, so the truth is at least as bad as what
they see. A breach is a breach; a pass, of latency or of errors, is not claimed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

from pytest_rollout.judge import order
from pytest_rollout.judge.binomial import Interval
from pytest_rollout.judge.certainty import Certainty
from pytest_rollout.judge.load_run import Answers, Bad, Model, Run, largest_burst, unusable
from pytest_rollout.judge.several import Quantifier, judge_several
from pytest_rollout.units import format_duration, format_value
from pytest_rollout.verdict import CheckResult, Reason, Verdict, inconclusive

CLOSED = (
    "closed model: users wait for answers, so the tail is a lower bound and no pass can be claimed; give the gate a "
    "rate, so that requests come on a schedule"
)


@dataclass(frozen=True, slots=True)
class QuantileBelow:
    """`p95: {below: 200ms}`."""

    q: float
    limit: float
    """Seconds."""

    def __post_init__(self) -> None:
        """Refuse what nothing could break: no latency is above a limit that is not a number. Raises ValueError."""
        order.check(self.q)
        if not 0 < self.limit < math.inf:
            raise ValueError(f"a latency limit of {self.limit} s; it has to be above 0 and finite")


@dataclass(frozen=True, slots=True)
class ErrorsBelow:
    """`errors: {below: 1%}`."""

    limit: float
    """A share."""

    def __post_init__(self) -> None:
        """Refuse what nothing could break, or nothing keep. Raises ValueError."""
        if not 0 < self.limit <= 1:
            raise ValueError(f"a limit of {self.limit} for the share of errors; it has to be above 0, and at most 1")


@dataclass(frozen=True, slots=True)
class ErrorsAtMost:
    """`errors: {at_most: 0}`: a fact about this run, without any inference."""

    limit: int

    def __post_init__(self) -> None:
        """Refuse what is no number of requests. Raises ValueError."""
        if not 0 <= self.limit < math.inf:
            raise ValueError(f"at most {self.limit} errors; it has to be a number from 0 on")


Limit: TypeAlias = QuantileBelow | ErrorsBelow | ErrorsAtMost


def together(results: Mapping[str, CheckResult]) -> CheckResult:
    """Return one verdict of all limits of a gate, by their names."""
    if len(results) > 1:
        return judge_several(results, Quantifier(None, len(results)))
    ((name, only),) = results.items()
    return replace(only, message=f"{name}: {only.message}")


def judge_limit(limit: Limit, answers: Answers, run: Run) -> CheckResult:
    """Judge a run by one limit; while it still runs, the result is BREACHED or not decided yet."""
    if wrong := unusable(answers, run):
        return wrong
    match limit:
        case QuantileBelow():
            return _quantile(limit, answers, run)
        case ErrorsBelow():
            return _errors_below(limit, answers, run)
        case ErrorsAtMost():
            return _errors_at_most(limit, answers, run)


def _quantile(limit: QuantileBelow, answers: Answers, run: Run) -> CheckResult:
    slow = answers.slow(limit.limit)
    early, late = answers.early, answers.late
    low, high = order.between(limit.q, early, late, run.certainty)
    value, known = order.nearest_rank(early, limit.q), order.nearest_rank(late, limit.q)
    at_least = "at least " if known > value else ""
    top = format_duration(high) if math.isfinite(high) else "anything"
    found = {
        "quantile": limit.q,
        "value_is": "at least" if at_least else "exact",
        "low_bound": low,
        "high_bound": high if math.isfinite(high) else None,
        "fewest_requests": order.fewest(limit.q, run.certainty) if run.confidence is not None else 1,
    }
    said = (
        f"{at_least}{format_duration(value)}, surely between {format_duration(low)} and {top}; "
        f"the limit is {format_duration(limit.limit)}; {len(slow.times):,} of {answers.due:,} requests took as long or "
        "have no good answer"
    )
    result = _told(said, answers, run, value=value, limit=limit.limit, unit="seconds", found=found)
    return _judge_share(result, slow, order.slower(limit.q), answers, run)


def _errors_below(limit: ErrorsBelow, answers: Answers, run: Run) -> CheckResult:
    wrong = answers.wrong(run.patience)
    share = len(wrong.times) / answers.due
    said = (
        f"{len(wrong.times):,} of {answers.due:,} requests have no good answer, {format_value(share, 'share')}; "
        f"the limit is {format_value(limit.limit, 'share')}"
    )
    result = _told(said, answers, run, value=share, limit=limit.limit, unit="share", found={})
    return _judge_share(result, wrong, limit.limit, answers, run)


def _errors_at_most(limit: ErrorsAtMost, answers: Answers, run: Run) -> CheckResult:
    wrong = answers.wrong(run.patience)
    many = len(wrong.times)
    said = f"{many:,} of {answers.due:,} requests have no good answer; at most {limit.limit:,} may"
    found = {"rule": "a count of this run", "bad": many, "sure": wrong.sure, "total": answers.due}
    result = _told(said, answers, run, value=float(many), limit=float(limit.limit), unit="count", found=found)
    if wrong.sure > limit.limit:
        return breached(result, run)
    if doubt := unfinished(answers, run):
        return result.because(doubt)
    if many <= limit.limit:
        return result
    open_ones = f"{many - wrong.sure:,} of them were in flight when the run ended; let it wait longer for answers"
    return replace(
        result, verdict=Verdict.INCONCLUSIVE, reason=Reason.UNPROVEN, message=f"{result.message}; {open_ones}"
    )


def _told(  # noqa: PLR0913 - the parts of a result
    said: str, answers: Answers, run: Run, *, value: float, limit: float, unit: str, found: Mapping[str, object]
) -> CheckResult:
    closed = f" ({run.model} model)" if run.model is Model.CLOSED else ""
    return CheckResult(
        verdict=Verdict.PASSED,
        reason=Reason.WITHIN_LIMIT,
        message=said + closed,
        value=value,
        limit=limit,
        unit=unit,
        samples=answers.due,
        window=run.window,
        derivation={"model": run.model.value, "planned": answers.planned, "extended_by": run.added, **found},
    )


def breached(result: CheckResult, run: Run) -> CheckResult:
    """Return a result as breached."""
    early = "" if run.whole else "; nothing that the rest of the run may bring can mend it"
    return replace(result, verdict=Verdict.BREACHED, reason=Reason.LIMIT_BREACHED, message=f"{result.message}{early}")


def unfinished(answers: Answers, run: Run) -> CheckResult | None:
    """Return why a run that is not breached can never be a pass as it is, or None."""
    if not run.whole:
        planned = "" if answers.planned is None else f" of {answers.planned:,}"
        return inconclusive(
            Reason.WINDOW_NOT_ELAPSED, f"the run is not over: {answers.due:,}{planned} requests were due so far"
        )
    return inconclusive(Reason.UNPROVEN, CLOSED) if run.model is Model.CLOSED else None


def _judge_share(result: CheckResult, bad: Bad, limit: float, answers: Answers, run: Run) -> CheckResult:
    """Give a result the verdict that bad requests are fewer than a share."""
    certainty, many, total = run.certainty, len(bad.times), answers.due
    events = _Events(bad, total, largest_burst(bad.times, run.burst))
    # Nothing is known of the end of a run without a schedule, so it has no verdict before it.
    whole = total if answers.planned is None else answers.planned
    low = certainty.lowest(bad.sure, whole) if run.whole or answers.planned is not None else 0.0
    shown = Interval(low, events.highest(certainty))
    counted = {
        "rule": certainty.one_sided_rule,
        "confidence": run.confidence,
        "bad": many,
        "sure": bad.sure,
        "total": total,
    }
    found = {**counted, "low": shown.low, "high": shown.high, "largest_burst": events.burst, "longest_row": bad.row}
    result = replace(result, derivation={**result.derivation, **found})
    if shown.low > limit:
        return breached(result, run)
    if doubt := unfinished(answers, run):
        return result.because(doubt)
    if shown.high < limit:
        return result
    together = (
        f"{bad.row:,} of them came one after the other, {events.burst:,} within {format_duration(run.burst)}, and may "
        "be fewer events; "
    )
    alone = certainty.highest(many, total) < limit
    return undecided(result, events.further_needed(run.next_certainty, limit), run, hint=together if alone else "")


class _Events(NamedTuple):
    """Bad requests of all requests, if those that came together may be one event with many effects."""

    bad: Bad
    total: int
    burst: int

    def highest(self, certainty: Certainty) -> float:
        """Return the upper bound of the share: the greatest of what each way of counting events gives."""
        many, row = len(self.bad.times), max(self.bad.row, 1)
        return max(certainty.highest(many, self.total, self.burst), certainty.highest(many / row, self.total / row))

    def further_needed(self, certainty: Certainty, limit: float) -> int | None:
        """Return how many more requests would prove the share below the limit, if they were like these."""
        many, row = len(self.bad.times), max(self.bad.row, 1)
        one = certainty.further_needed(many, self.total, self.burst, limit)
        other = certainty.further_needed(many / row, self.total / row, 1, limit)
        return None if one is None or other is None else max(one, other * row)


def undecided(result: CheckResult, more: int | None, run: Run, hint: str = "", what: str = "requests") -> CheckResult:
    """Return a result as inconclusive, with what would decide it: ``more`` samples, if any number would."""
    seconds = None if more is None or not result.samples else more * run.seconds / result.samples
    needs, reason = "more of the same would not prove it", Reason.UNPROVEN
    if seconds is not None:
        needs = f"needs about {more:,} more {what}, {format_duration(seconds)} at this rate"
        if seconds <= run.left:
            reason = Reason.TOO_FEW_SAMPLES
        elif run.budget:
            needs += f"; {format_duration(run.left)} of its extension are left"
    return replace(
        result,
        verdict=Verdict.INCONCLUSIVE,
        reason=reason,
        message=f"{result.message}; {hint}{needs}",
        ready_in=seconds if reason is Reason.TOO_FEW_SAMPLES else None,
    )
