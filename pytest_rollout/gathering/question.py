"""One gate at one instant: which windows it asks about, what it needs from each, and who judges that."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from pytest_rollout.gathering.bare import judge_bare
from pytest_rollout.gathering.compare import compare
from pytest_rollout.gathering.reader import LOOKBACK_IN_SCRAPES, Moment, Reader, just_flipped, numbers
from pytest_rollout.judge.demand import Demand, Restarts
from pytest_rollout.judge.lives import Watch
from pytest_rollout.judge.quantile import judge_quantile
from pytest_rollout.judge.samples import Series, Window, shown, stretch
from pytest_rollout.judge.several import (
    BurnWindow,
    Quantifier,
    Row,
    judge_burn,
    judge_row,
    judge_several,
    period_tail,
)
from pytest_rollout.judge.share import RatioEvidence, judge_ratio
from pytest_rollout.judge.value import judge_counter
from pytest_rollout.plan.gates import Gate
from pytest_rollout.plan.kinds import Burn, BurnPair, Counter, Quantile, Ratio
from pytest_rollout.plan.promql import parse_selector
from pytest_rollout.plan.several import AtLeast
from pytest_rollout.sources.native import NativeBucket, histogram, told_throughout
from pytest_rollout.sources.prometheus import Prometheus
from pytest_rollout.target import Target
from pytest_rollout.units import format_duration
from pytest_rollout.verdict import CheckResult, Reason, inconclusive

_GAP_IN_SCRAPES = 4
Judge = Callable[[Sequence[Series], Watch, Window, Demand], CheckResult]


@dataclass(frozen=True, slots=True)
class Question:
    """One gate at one moment."""

    gate: Gate
    prometheus: Prometheus
    target: Target
    moment: Moment
    asked: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def answer(self) -> CheckResult:
        """Return the verdict, with all that was asked for it."""
        result = self._answer()
        told: dict[str, Any] = {"at": self.moment.now, "queries": list(self.asked)}
        told |= {"warnings": list(self.notes)} if self.notes else {}
        return replace(result, derivation={**result.derivation, **told})

    def _answer(self) -> CheckResult:
        gate = self.gate
        if gate.burn is not None:
            return judge_burn([self._burn(gate.burn, pair) for pair in gate.burn.pairs])
        if gate.streak is not None:
            every = self.target.scaled(gate.streak.every)
            shared = math.ceil((gate.over or gate.streak.every) / gate.streak.every)
            row = Row(gate.streak.wanted, gate.streak.periods, every, shared)
            return judge_row([self._period(window, row) for window in self._periods(row)], row)
        if gate.over is None:
            return self._in_window(None)
        growing = gate.counter is None and gate.promql is None
        return self._in_window(self.moment.window(self.target.scaled(gate.over), growing=growing))

    def _periods(self, row: Row) -> list[Window]:
        """Return the latest periods, oldest first. They end at whole multiples, so a period is judged the same anew."""
        newest = math.floor(self.moment.end / row.every) * row.every
        wanted = self.target.scaled(self.gate.over) if self.gate.over else row.every
        ends = [newest - place * row.every for place in range(row.periods)]
        return [stretch(end, wanted, self.moment.since, again=False) for end in reversed(ends)]

    def _period(self, window: Window, row: Row) -> CheckResult:
        if self.gate.confidence is None:
            return self._in_window(window)
        begun = self.moment.since or self.moment.first_look or window.end
        number = max(math.ceil((window.end - begun) / row.every), 1)
        tail = period_tail((1 - self.gate.confidence) / 2, row, number)
        surer = self.gate.model_copy(update={"confidence": 1 - 2 * tail})
        return replace(self, gate=surer)._in_window(window)  # noqa: SLF001 - its own class

    def _in_window(self, window: Window | None) -> CheckResult:
        gate = self.gate
        if window is None or gate.promql is not None:
            return judge_bare(self, gate.promql or "", window)
        if window.length <= 0:
            return just_flipped(window)
        if gate.ratio is not None:
            return self._ratio(gate.ratio, window)
        if gate.quantile is not None:
            return self._quantile(gate.quantile, window)
        if gate.counter is not None:
            return self._counter(gate.counter, window)
        if gate.baseline is not None:
            return compare(self, gate.baseline, window)
        raise TypeError(f"a {gate.kind} gate is not judged by what Prometheus says")

    # --- counting gates

    def _ratio(self, ratio: Ratio, window: Window) -> CheckResult:
        evidence = self.ratio_evidence(ratio, window)
        demand = self.demand(evidence.total)
        if not self.gate.by:
            return judge_ratio(evidence, window, demand)
        totals, parts = (_by_labels(side, self.gate.by) for side in (evidence.total, evidence.part))
        single = replace(demand, expect_series=1)
        results = {
            name: judge_ratio(evidence.only(totals.get(name, ()), parts.get(name, ())), window, single)
            for name in totals | parts
        }
        doubt = evidence.watch.incomplete(len(evidence.total))
        if evidence.bad_watch is not None:
            doubt = doubt or evidence.bad_watch.incomplete(len(evidence.part)) or self._apart(evidence)
        return self.several(results, doubt)

    def _apart(self, evidence: RatioEvidence) -> CheckResult | None:
        """Return that no good series can belong to any group, for want of a label that tells the groups apart."""
        known = frozenset(label for one in evidence.good or () for label in one.labels)
        missing = [label for label in self.gate.by if label not in known]
        if not known or not missing:
            return None
        return inconclusive(
            Reason.UNKNOWN_LABEL,
            f"no series of 'good' has the label {missing[0]!r} that 'by' asks for; "
            f"labels there: {', '.join(sorted(known))}",
        )

    def ratio_evidence(self, ratio: Ratio, window: Window) -> RatioEvidence:
        """Return the raw counters of a ratio."""
        reader = self.reader(window)
        part, total = parse_selector(ratio.part), parse_selector(ratio.total)
        all_of_it = numbers(ratio.total, reader.raw(ratio.total))
        watch = reader.watch(total, all_of_it)
        if part.narrows(total):
            wanted = ratio.good is None
            bad = tuple(one for one in all_of_it if part.matches(one.labels) is wanted)
            return RatioEvidence(bad=bad, total=all_of_it, watch=watch, bad_labels=part.demanded_labels)
        found = numbers(ratio.part, reader.raw(ratio.part))
        if ratio.good is not None:
            own = reader.watch(part, found)
            return RatioEvidence(bad=(), good=found, total=all_of_it, watch=watch, bad_watch=own)
        absent = ratio.absent_is == 0
        own = reader.watch(part, found, absent_is_zero=absent)
        return RatioEvidence(bad=found, total=all_of_it, watch=watch, bad_watch=own, absent_is_zero=absent)

    def _burn(self, burn: Burn, pair: BurnPair) -> BurnWindow:
        def judged(over: float) -> CheckResult:
            window = self.moment.window(self.target.scaled(over), growing=True)
            if window.length <= 0:
                return just_flipped(window)
            evidence = self.ratio_evidence(burn.ratio, window)
            return judge_ratio(evidence, window, replace(self.demand(evidence.total), limit=limit))

        limit = pair.factor * (1 - burn.objective)
        windows = f"{format_duration(pair.long)}/{format_duration(pair.short)}"
        return BurnWindow(f"{pair.factor:g}x over {windows}", judged(pair.long), judged(pair.short))

    def _quantile(self, quantile: Quantile, window: Window) -> CheckResult:
        buckets, watch = self.buckets(quantile, window)
        return self._judged(buckets, watch, window, partial(judge_quantile, quantile.q))

    def buckets(self, quantile: Quantile, window: Window) -> tuple[tuple[Series, ...], Watch]:
        """Return the raw buckets of a histogram, and how they were watched.

        Classic ones if there are any, for the plan knows their bounds; else those of the native histogram.
        """
        reader = self.reader(window)
        classic = reader.raw(quantile.selector)
        watch = reader.watch(parse_selector(quantile.selector), classic)
        found = reader.raw(quantile.native)
        native = tuple(one for one in found if isinstance(one, NativeBucket))
        if classic or watch.counted:
            return classic, self._beside(classic, watch, found, reader.counted(quantile.native))
        exact = told_throughout(native, window)
        own = reader.watch(parse_selector(quantile.native), exact)
        bounds = len({one.labels["le"] for one in exact})
        return exact, replace(own, counted=(own.counted or 0) * bounds)  # the server counts histograms, not bounds

    def _beside(self, classic: Sequence[Series], watch: Watch, found: Sequence[Series], counted: int) -> Watch:
        """Return how classic buckets were watched, if native histograms beside them may have what those have not."""
        native = {histogram(one) for one in found if isinstance(one, NativeBucket)}
        others = sum(not isinstance(one, NativeBucket) for one in found)
        alone = native - {histogram(one) for one in classic}
        unseen = len(alone) + abs(counted - len(native) - others)
        if not unseen:
            return watch
        said = sorted(f"{shown(dict(one))} has a native histogram and no classic buckets" for one in alone)
        self.notes.extend(note for note in said if note not in self.notes)
        return replace(watch, counted=max(watch.counted or 0, len(classic)) + unseen)

    def _counter(self, counter: Counter, window: Window) -> CheckResult:
        reader = self.reader(window)
        series = numbers(counter.of, reader.still(counter.of))
        watch = reader.watch(parse_selector(counter.of), series, absent_is_zero=counter.absent_is == 0)
        return self._judged(series, watch, window, judge_counter)

    def _judged(self, series: Sequence[Series], watch: Watch, window: Window, judge: Judge) -> CheckResult:
        demand = self.demand(series)
        if not self.gate.by:
            return judge(series, watch, window, demand)
        results = {
            name: judge(part, watch.only({one.instance for one in part}), window, replace(demand, expect_series=1))
            for name, part in _by_labels(series, self.gate.by).items()
        }
        return self.several(results, watch.incomplete(len(series)))

    def several(self, results: dict[str, CheckResult], doubt: CheckResult | None) -> CheckResult:
        """Return the verdict of the gate out of those of its groups or series."""
        quantifier = self.gate.quantifier
        wanted = quantifier.at_least if isinstance(quantifier, AtLeast) else (1 if quantifier == "any" else None)
        judged = judge_several(results, Quantifier(wanted, self.gate.expect_series or 1))
        return judged.because(doubt) if doubt else judged

    # --- what both need

    def reader(self, window: Window) -> Reader:
        """Return what asks about a window, for this gate's report."""
        lookback = max(self._max_gap + self.moment.interval, LOOKBACK_IN_SCRAPES * self.moment.interval)
        return Reader(
            self.prometheus,
            window,
            self.moment.now,
            self.moment.interval,
            lookback,
            scraped=self.target.scrape_interval is None,
            allow_partial=self.gate.warnings == "allow",
            asked=self.asked,
            notes=self.notes,
        )

    def demand(self, series: Iterable[Series]) -> Demand:
        """Return what the gate demands of series, scraped as often as their jobs are."""
        gate, given = self.gate, self.target.scrape_interval
        intervals = {} if given else self.prometheus.scrape_intervals()
        # A job that is not known is taken for one of those scraped most often: more is expected of it.
        most = given or min(intervals.values(), default=self.moment.interval)
        own = [intervals.get(job, most) for job in {one.instance[0] for one in series}]
        return Demand(
            limit=gate.limit or 0.0,
            unit=gate.unit,
            comparator=gate.comparator or "",
            coverage=gate.coverage,
            max_gap=self._max_gap if gate.max_gap is not None else _GAP_IN_SCRAPES * max(own, default=most),
            interval=most,
            intervals=intervals,
            confidence=gate.confidence,
            restarts=Restarts(gate.restarts),
            expect_series=gate.expect_series,
        )

    @property
    def _max_gap(self) -> float:
        if self.gate.max_gap is None:
            return _GAP_IN_SCRAPES * self.moment.interval
        return self.target.scaled(self.gate.max_gap)


def _by_labels(series: Iterable[Series], labels: Sequence[str]) -> dict[str, tuple[Series, ...]]:
    groups: dict[str, tuple[Series, ...]] = {}
    for one in series:
        name = ",".join(f'{label}="{one.labels.get(label, "")}"' for label in labels)
        groups[name] = (*groups.get(name, ()), one)
    return groups
