"""Shares of requests, judged on counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pytest_rollout.judge.binomial import Interval
from pytest_rollout.judge.counts import Counts, count
from pytest_rollout.judge.demand import Demand, Restarts, short_window, unusable
from pytest_rollout.judge.good import count_missing, pairs_of, unfit, untold
from pytest_rollout.judge.lives import Watch
from pytest_rollout.judge.samples import Instance, Series, Window
from pytest_rollout.judge.watch import Watched
from pytest_rollout.units import format_duration, format_value
from pytest_rollout.verdict import CheckResult, Reason, Verdict, inconclusive


@dataclass(frozen=True, slots=True, kw_only=True)
class RatioEvidence:
    """The raw counters of a ratio gate."""

    bad: tuple[Series, ...]
    total: tuple[Series, ...]
    watch: Watch
    good: tuple[Series, ...] | None = None
    """If not None, what of ``total`` was good, counted by another metric: all else is bad, and ``bad`` is empty."""
    bad_watch: Watch | None = None
    """How ``bad`` (or ``good``) was watched; None if it is a part of ``total``, so that its absence can mean zero."""
    bad_labels: frozenset[str] = frozenset()
    """Labels that tell bad series from good ones, if both are of one metric."""
    absent_is_zero: bool = False
    """Whether the plan says that a ``bad`` without any series is zero."""

    @property
    def part(self) -> tuple[Series, ...]:
        """What is set against ``total``: the bad ones, or the good ones."""
        return self.bad if self.good is None else self.good

    @property
    def told(self) -> frozenset[Instance]:
        """The processes whose good ones are known, if only to be none."""
        exporters = self.bad_watch.exporters if self.bad_watch else frozenset[Instance]()
        return exporters.union(one.instance for one in self.good or ())

    def only(self, total: tuple[Series, ...], part: tuple[Series, ...]) -> RatioEvidence:
        """Return the evidence of a group of series alone."""
        mine, theirs = ({one.instance for one in side} for side in (total, part))
        own = replace(self.bad_watch, exporters=self.told).only(mine | theirs) if self.bad_watch else None
        alone = replace(self, total=total, watch=self.watch.only(mine), bad_watch=own)
        return replace(alone, bad=part) if self.good is None else replace(alone, good=part)


@dataclass(frozen=True, slots=True)
class Reading:
    """Counts of a window, and why they may not tell all that happened."""

    counts: Counts
    watched: Watched
    doubt: CheckResult | None


def judge_ratio(evidence: RatioEvidence, window: Window, demand: Demand) -> CheckResult:
    """Judge on counts how large a share of ``total`` was bad."""
    reading = read_ratio(evidence, window, demand)
    what = "bad requests" if evidence.good is None else "not good"
    return reading if isinstance(reading, CheckResult) else judge_counts(reading, what)


def read_ratio(evidence: RatioEvidence, window: Window, demand: Demand) -> Reading | CheckResult:
    """Return what can be counted of a ratio, or why nothing can."""
    series = (*evidence.part, *evidence.total)
    if wrong := unusable(series, "the ratio") or _absent(evidence, window, demand):
        return wrong
    watched = Watched(evidence.total, evidence.watch, window, demand)
    if evidence.good is not None and evidence.bad_watch is not None:
        return _read_good(evidence, evidence.good, evidence.bad_watch, watched)
    doubt = watched.unwatched() or _unwatched(evidence, window, demand)
    return Reading(count(evidence.bad, evidence.total, watched), watched, doubt)


def _read_good(evidence: RatioEvidence, good: tuple[Series, ...], watch: Watch, watched: Watched) -> Reading:
    window, demand = watched.window, watched.demand
    pairs, lost = pairs_of(watched.own(good), watched.own(evidence.total)), watch.incomplete(len(good))
    # How many series are expected is said of 'total'; which of them 'good' has to have, the pairs tell.
    own = Watched(good, watch, window, replace(demand, expect_series=demand.expect_series and 0))
    told = evidence.told
    doubt = watched.unwatched() or lost or untold(pairs, told, watched) or own.unwatched() or unfit(pairs, watched)
    return Reading(count_missing(pairs, frozenset() if lost else told, watched), watched, doubt)


def _unwatched(evidence: RatioEvidence, window: Window, demand: Demand) -> CheckResult | None:
    """Return why ``bad`` does not tell all that happened, if it is not a part of ``total``."""
    if evidence.bad_watch is None:
        return None
    if not evidence.bad and evidence.absent_is_zero:
        return evidence.bad_watch.incomplete(0)
    # What a process of its own may take along is in no count of 'total', so it cannot be charged there.
    restarts = Restarts.HOLD if demand.restarts is Restarts.CHARGE else demand.restarts
    own = replace(demand, expect_series=None, restarts=restarts)
    return Watched(evidence.bad, evidence.bad_watch, window, own).unwatched()


def _absent(evidence: RatioEvidence, window: Window, demand: Demand) -> CheckResult | None:
    if not evidence.total:
        return short_window(window, demand) or inconclusive(
            Reason.NO_DATA, "no series matches 'total'; check the metric's name, its labels and the scrape"
        )
    if evidence.bad_watch is not None:
        known_zero = evidence.part or evidence.absent_is_zero
        return None if known_zero else _never_born(evidence, evidence.bad_watch)
    known = frozenset(label for one in evidence.total for label in one.labels)
    if unknown := sorted(evidence.bad_labels - known):
        return inconclusive(
            Reason.UNKNOWN_LABEL,
            f"no series of 'total' has the label {unknown[0]!r} that tells what is bad; "
            f"labels there: {', '.join(sorted(known))}",
        )
    return None


def _never_born(evidence: RatioEvidence, watch: Watch) -> CheckResult | None:
    if all(one.instance in watch.exporters for one in evidence.total):
        return None
    if evidence.good is not None:
        return inconclusive(
            Reason.NO_DATA,
            "no series matches 'good', and not every process exports its metric, so nothing tells what was good; "
            "check the metric's name, its labels and the scrape",
        )
    return inconclusive(
        Reason.NO_DATA,
        "no series matches 'bad', it is not part of 'total', and not every process exports its metric, so nothing "
        "proves that it means zero; if it does, say absent_is: 0",
    )


def judge_counts(reading: Reading, what: str) -> CheckResult:
    """Judge a share by the interval around it; ``what`` names the bad events."""
    counts, watched = reading.counts, reading.watched
    window, demand = watched.window, watched.demand
    certainty = demand.certainty(window)
    short = short_window(window, demand)
    # Early in a window, one burst is not yet a rate: what came together counts as one event until it is complete.
    sure = counts.apart if short else counts.sure
    shown = Interval(certainty.lowest(sure, counts.most), certainty.highest(counts.bad, counts.total, counts.burst))
    base = CheckResult(
        verdict=Verdict.PASSED,
        reason=Reason.WITHIN_LIMIT,
        message=_message(counts, shown, demand, what),
        value=counts.bad / counts.total if counts.total else None,
        limit=demand.limit,
        unit=demand.unit,
        samples=round(counts.total),
        window=window.bounds,
        derivation={
            "rule": certainty.rule,
            "confidence": demand.confidence,
            "bad": round(counts.bad),
            "total": round(counts.total),
            "low": shown.low,
            "high": shown.high,
            "largest_burst": round(counts.burst),
            **_noted(counts, demand),
            "coverage": watched.coverage(),
        },
    )
    if counts.sure and shown.low > demand.limit:
        return replace(base, verdict=Verdict.BREACHED, reason=Reason.LIMIT_BREACHED)
    if doubt := short or reading.doubt or _no_events(counts):
        return base.because(doubt)
    if shown.high < demand.limit:
        return base
    return _undecided(base, counts, watched)


def _noted(counts: Counts, demand: Demand) -> Mapping[str, Any]:
    noted: dict[str, Any] = {"restarts": demand.restarts.value}
    if counts.lost:
        noted["charged_for_restarts"] = round(counts.lost)
    return noted


def _no_events(counts: Counts) -> CheckResult | None:
    if counts.total:
        return None
    return inconclusive(Reason.NO_DATA, "the series exist, but nothing was counted in the window; is there traffic?")


def _message(counts: Counts, bounds: Interval, demand: Demand, what: str) -> str:
    said = f"{round(counts.bad):,} {what} of {round(counts.total):,}"
    limit = format_value(demand.limit, "share")
    if demand.confidence is None:
        return f"{said}; the observed share is compared, without any confidence, the limit is {limit}"
    return (
        f"{said}; with {demand.confidence * 100:g} % confidence the share lies in "
        f"{bounds.low * 100:.3g}-{bounds.high * 100:.3g} %, the limit is {limit}"
    )


def _undecided(base: CheckResult, counts: Counts, watched: Watched) -> CheckResult:
    window, demand = watched.window, watched.demand
    certainty = demand.certainty(window)
    more = certainty.further_needed(counts.bad, counts.total, counts.burst, demand.limit)
    seconds = None
    together = certainty.highest(counts.bad, counts.total) < demand.limit
    burst = f"{round(counts.burst):,} of them came together and may be one event; " if together else ""
    hint = "the observed share is not below the limit, but too few requests prove that it is above"
    if more is not None:
        seconds = more / (counts.total / window.length)
        hint = f"needs {more:,} more requests, about {format_duration(seconds)} at the current rate"
    return replace(
        base,
        verdict=Verdict.INCONCLUSIVE,
        reason=Reason.TOO_FEW_SAMPLES,
        message=f"{base.message}; {burst}{hint}",
        ready_in=seconds,
    )
