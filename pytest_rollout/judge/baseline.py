"""Now against a baseline: an earlier window, or a control cohort in the same one."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from pytest_rollout.judge import fisher
from pytest_rollout.judge.certainty import Certainty
from pytest_rollout.judge.counts import Counts
from pytest_rollout.judge.demand import Demand, short_window
from pytest_rollout.judge.fisher import Sample
from pytest_rollout.judge.quantile import Measured, bracket
from pytest_rollout.judge.samples import Window
from pytest_rollout.judge.share import Reading
from pytest_rollout.units import format_duration, format_value
from pytest_rollout.verdict import CheckResult, Reason, Verdict, inconclusive

_MOST_TIMES = 1024


@dataclass(frozen=True, slots=True)
class Effect:
    """How much worse than the baseline is still the same."""

    relative: float
    """A share of the baseline's value."""
    absolute: float
    """In the unit of the value; a smaller difference never counts."""

    def worst(self, base: float) -> float:
        """Return the highest value that is not worse than a baseline's."""
        return max(base * (1 + self.relative), base + self.absolute)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Counts of both sides. Each side counts what is uncertain against the claim that is made."""

    now: Counts
    base: Counts
    effect: Effect
    certainty: Certainty

    def not_worse(self) -> bool:
        """Whether now is surely not worse than the effect allows."""
        now, base, effect, certainty = self.now, self.base, self.effect, self.certainty
        if certainty.confidence is None:
            return now.bad / now.total <= effect.worst(base.least / base.most)
        if certainty.epoch:
            return self._highest(_halved(certainty)) < effect.worst(self._lowest(_halved(certainty)))
        both = bool(effect.relative and effect.absolute)  # two ways to pass share what may go wrong
        tail = certainty.tail / 2 if both else certainty.tail
        mine = Sample(math.ceil(now.bad), math.floor(now.total))
        theirs = Sample(math.floor(base.least), math.ceil(base.most))
        if effect.relative and fisher.not_worse(mine, theirs, 1 + effect.relative, tail):
            return True
        bounds = _halved(_halved(certainty)) if both else _halved(certainty)
        return self._highest(bounds) < self._lowest(bounds) + effect.absolute

    def worse(self) -> bool:
        """Whether now is surely worse than the effect allows, by the relative and by the absolute margin."""
        now, base, effect, certainty = self.now, self.base, self.effect, self.certainty
        if not now.sure or not base.total:
            return False
        if certainty.confidence is None:
            return now.sure / now.most > effect.worst(base.bad / base.total)
        bounds = _halved(certainty)
        low, high = bounds.lowest(now.sure, now.most), bounds.highest(base.bad, base.total)
        if certainty.epoch:
            return low > effect.worst(high)
        mine = Sample(math.floor(now.sure), math.ceil(now.most))
        theirs = Sample(math.ceil(base.bad), math.floor(base.total))
        ratio = fisher.worst_ratio_low(mine, theirs, certainty.tail)
        return ratio > 1 + effect.relative and (not effect.absolute or low > high + effect.absolute)

    def times(self, many: int) -> Comparison:
        """Return the comparison as it would be with as many times the requests."""
        return replace(self, now=_times(self.now, many), base=_times(self.base, many))

    def _highest(self, certainty: Certainty) -> float:
        return certainty.highest(self.now.bad, self.now.total, self.now.burst)

    def _lowest(self, certainty: Certainty) -> float:
        return certainty.lowest(self.base.least, self.base.most)


def _halved(certainty: Certainty) -> Certainty:
    """Return the same promise with half as many wrong bounds, for a claim that rests on two."""
    return Certainty(None if certainty.confidence is None else (1 + certainty.confidence) / 2, certainty.epoch)


def _times(counts: Counts, many: int) -> Counts:
    grown = {name: getattr(counts, name) * many for name in ("bad", "total", "sure", "most", "least", "apart")}
    return replace(counts, **grown)


def judge_ratios(now: Reading, base: Reading, effect: Effect, demand: Demand) -> CheckResult:
    """Judge a share of bad requests against the baseline's, by exact tests on counts.

    Looked at once: Fisher's exact test with a margin (not worse by ``relative``), or exact bounds of both shares (not
    worse by ``absolute``). Looked at again: time-uniform bounds of both shares.
    """
    window = now.watched.window
    compared = Comparison(now.counts, base.counts, effect, demand.certainty(window))
    result = _compared(compared, demand, window)
    if compared.worse():
        return replace(result, verdict=Verdict.BREACHED, reason=Reason.LIMIT_BREACHED)
    if doubt := _doubt(now, base) or _nothing_counted(compared):
        return result.because(doubt)
    return result if compared.not_worse() else _too_few(result, compared, window)


def _doubt(now: Reading | Measured, base: Reading | Measured) -> CheckResult | None:
    early = short_window(now.watched.window, now.watched.demand) or now.doubt
    if early or base.doubt is None:
        return early
    return replace(base.doubt, message=f"the baseline: {base.doubt.message}")


def _nothing_counted(compared: Comparison) -> CheckResult | None:
    for name, counts in (("now", compared.now), ("in the baseline", compared.base)):
        if not counts.total:
            return inconclusive(Reason.NO_DATA, f"the series exist, but nothing was counted {name}; is there traffic?")
        if counts.bad >= counts.total:  # nothing is worse than that, so the comparison could not fail
            return inconclusive(
                Reason.NO_DATA,
                f"all {round(counts.total):,} requests counted {name} may be bad, so nothing can be compared; "
                "check what the selectors match",
            )
    return None


def _compared(compared: Comparison, demand: Demand, window: Window) -> CheckResult:
    now, base, rule = compared.now, compared.base, compared.certainty.rule
    exact = not compared.certainty.epoch and demand.confidence is not None
    mine, theirs = (counts.bad / counts.total if counts.total else None for counts in (now, base))
    return CheckResult(
        verdict=Verdict.PASSED,
        reason=Reason.WITHIN_LIMIT,
        message=f"bad requests {format_value(mine, 'share')} ({round(now.bad):,} of {round(now.total):,}), in the "
        f"baseline {format_value(theirs, 'share')} ({round(base.bad):,} of {round(base.total):,}); at most "
        f"{format_value(demand.limit, 'share')} worse is allowed",
        value=mine,
        limit=demand.limit,
        unit=demand.unit,
        samples=round(now.total),
        window=window.bounds,
        derivation={
            "rule": "Fisher's exact test with a margin, single look" if exact else f"{rule}, of both sides",
            "confidence": demand.confidence,
            "now": {"bad": round(now.bad), "total": round(now.total)},
            "baseline": {"bad": round(base.bad), "total": round(base.total)},
        },
    )


def _too_few(result: CheckResult, compared: Comparison, window: Window) -> CheckResult:
    times = 2
    while times <= _MOST_TIMES and not compared.times(times).not_worse():
        times *= 2
    likely = times <= _MOST_TIMES
    hint = f"about {times} times as many would prove it" if likely else "more may not prove it either"
    return replace(
        result,
        verdict=Verdict.INCONCLUSIVE,
        reason=Reason.TOO_FEW_SAMPLES,
        message=f"{result.message}; too few requests to tell, {hint}",
        ready_in=(times - 1) * window.length if likely else None,
    )


def judge_quantiles(q: float, now: Measured, base: Measured, effect: Effect, demand: Demand) -> CheckResult:
    """Judge a quantile against the baseline's, by the bucket bounds that each surely lies between (seconds)."""
    window = now.watched.window
    certainty = _halved(demand.certainty(window))
    mine, theirs = (bracket(side, 1 - q, certainty) for side in (now, base))
    result = CheckResult(
        verdict=Verdict.PASSED,
        reason=Reason.WITHIN_LIMIT,
        message=f"p{q * 100:g} lies between {_between(mine)}, in the baseline between {_between(theirs)}; at most "
        f"{format_value(demand.limit, 'share')} worse is allowed",
        limit=demand.limit,
        unit=demand.unit,
        samples=round(now.slower(now.bounds[0]).total),
        window=window.bounds,
        derivation={"rule": f"bucket bounds, {certainty.rule}", "now": _bounds(mine), "baseline": _bounds(theirs)},
    )
    if mine[0] > effect.worst(theirs[1]):
        return replace(result, verdict=Verdict.BREACHED, reason=Reason.LIMIT_BREACHED)
    if doubt := _doubt(now, base):
        return result.because(doubt)
    if mine[1] <= effect.worst(theirs[0]):
        return result
    return replace(
        result,
        verdict=Verdict.INCONCLUSIVE,
        reason=Reason.BUCKET_MISSING,
        message=f"{result.message}; the buckets are too far apart, or the requests too few, to tell; add buckets "
        f"around {format_duration(theirs[0])}",
    )


def _between(bounds: tuple[float, float]) -> str:
    return f"{format_duration(bounds[0])} and {format_duration(bounds[1]) if math.isfinite(bounds[1]) else 'anything'}"


def _bounds(found: tuple[float, float]) -> list[float | None]:
    return [one if math.isfinite(one) else None for one in found]
