"""Ask Prometheus what a gate needs to know, and have it judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_rollout.errors import QueryRefused, SourceError, SourceUnreachable
from pytest_rollout.judge.demand import Demand
from pytest_rollout.judge.quantile import judge_quantile
from pytest_rollout.judge.samples import Series, Window
from pytest_rollout.judge.share import RatioEvidence, judge_ratio
from pytest_rollout.judge.value import judge_counter, judge_value
from pytest_rollout.plan.gates import Gate, Quantile, Ratio
from pytest_rollout.plan.promql import parse_selector
from pytest_rollout.sources.prometheus import Found, Prometheus
from pytest_rollout.target import Target
from pytest_rollout.units import format_duration
from pytest_rollout.verdict import CheckResult, Reason, broken, inconclusive

_GAP_IN_SCRAPES = 4
_LOOKBACK_IN_SCRAPES = 2
"""How far before the window a sample is sought to subtract the first one inside from."""


class PartialAnswer(Exception):  # noqa: N818 - read as a state
    """Prometheus answered with warnings: some of the data may be missing."""


@dataclass(frozen=True, slots=True)
class Gatherer:
    """Judges gates at one instant, so that all of a stage see the same moment."""

    prometheus: Prometheus | None
    target: Target
    since: float | None
    """Flip plus settle time, unix seconds: no window reaches further back. None if there was no flip."""
    now: float

    def judge(self, gate: Gate) -> CheckResult:
        """Return the verdict of one gate. Faults of the source become verdicts; nothing is raised for them."""
        if self.prometheus is None:
            said = f"environment {self.target.environment!r} names no prometheus; add it to the plan"
            return broken(Reason.ENVIRONMENT, said)
        try:
            return self._judge(gate, self.prometheus)
        except PartialAnswer as exc:
            said = f"Prometheus warns that data may be missing: {exc}; mend the source and judge again"
            return inconclusive(Reason.PARTIAL_DATA, said)
        except SourceUnreachable as exc:
            said = f"Prometheus cannot be asked: {exc}; the system is not judged, mend the source and judge again"
            return broken(Reason.SOURCE_UNREACHABLE, said)
        except QueryRefused as exc:
            return broken(Reason.QUERY_REFUSED, f"Prometheus refused the query: {exc}; mend the plan")
        except SourceError as exc:
            return broken(Reason.BAD_ANSWER, str(exc))

    def _judge(self, gate: Gate, prometheus: Prometheus) -> CheckResult:
        intervals = prometheus.scrape_intervals()
        longest = self.target.scrape_interval or max(intervals.values(), default=0.0)
        if not longest:
            return inconclusive(
                Reason.NO_DATA,
                "Prometheus scrapes nothing and the environment gives no scrape_interval, so it is not known "
                "how many samples there should be",
            )
        window = self._window(gate, longest)
        if gate.promql is not None:
            return self._value(gate, gate.promql, prometheus, window, longest)
        if window is None or window.end <= window.start:
            wanted = self.target.scaled(gate.over or 0.0)
            said = f"the flip was just now; decides in about {format_duration(wanted)}"
            return inconclusive(Reason.WINDOW_NOT_ELAPSED, said, ready_in=wanted)
        reader = _Reader(prometheus, window, longest)
        if gate.ratio is not None:
            return self._ratio(gate, gate.ratio, reader, intervals)
        if gate.quantile is not None:
            return self._quantile(gate, gate.quantile, reader, intervals)
        return self._counter(gate, reader, intervals)

    def _window(self, gate: Gate, interval: float) -> Window | None:
        if gate.over is None:
            return None
        wanted, end = self.target.scaled(gate.over), self.now - interval
        start = end - wanted if self.since is None else max(end - wanted, self.since)
        return Window(start, end, wanted)

    def _ratio(self, gate: Gate, ratio: Ratio, reader: _Reader, intervals: dict[str, float]) -> CheckResult:
        bad, total = parse_selector(ratio.bad), parse_selector(ratio.total)
        evidence = RatioEvidence(
            reader.raw(ratio.bad), reader.raw(ratio.total), bad.narrows(total), bad.demanded_labels
        )
        return judge_ratio(evidence, reader.window, self._demand(gate, evidence.total, intervals, reader.interval))

    def _quantile(self, gate: Gate, quantile: Quantile, reader: _Reader, intervals: dict[str, float]) -> CheckResult:
        buckets = reader.raw(quantile.selector)
        demand = self._demand(gate, buckets, intervals, reader.interval)
        return judge_quantile(quantile.q, buckets, reader.window, demand)

    def _counter(self, gate: Gate, reader: _Reader, intervals: dict[str, float]) -> CheckResult:
        series = reader.raw(gate.counter.of if gate.counter else "")
        demand = self._demand(gate, series, intervals, reader.interval)
        jobs = sorted({one.labels.get("job", "") for one in series})
        starts = [run for job in jobs for run in reader.raw(f'process_start_time_seconds{{job="{job}"}}')]
        return judge_counter(series, starts, reader.window, demand)

    def _value(
        self, gate: Gate, expression: str, prometheus: Prometheus, window: Window | None, interval: float
    ) -> CheckResult:
        at = self.now - interval
        if window is not None:
            milliseconds = max(1, round((window.end - window.start) * 1000))
            expression = expression.replace("$window", f"{milliseconds}ms")
        found = _whole(prometheus.query(expression, at))
        return judge_value(found, window, self._demand(gate, found, {}, interval))

    def _demand(self, gate: Gate, series: Sequence[Series], intervals: dict[str, float], longest: float) -> Demand:
        own = [intervals[job] for job in {one.labels.get("job", "") for one in series} if job in intervals]
        interval = self.target.scrape_interval or max(own, default=longest)
        return Demand(
            limit=gate.limit or 0.0,
            unit=gate.unit,
            comparator=gate.comparator or "",
            coverage=gate.coverage,
            max_gap=self.target.scaled(gate.max_gap) if gate.max_gap is not None else _GAP_IN_SCRAPES * interval,
            interval=interval,
            confidence=gate.confidence,
        )


@dataclass(frozen=True, slots=True)
class _Reader:
    prometheus: Prometheus
    window: Window
    interval: float

    def raw(self, selector: str) -> tuple[Series, ...]:
        seconds = self.window.end - self.window.start + _LOOKBACK_IN_SCRAPES * self.interval
        return _whole(self.prometheus.raw(selector, seconds, self.window.end))


def _whole(found: Found) -> tuple[Series, ...]:
    if found.warnings:
        raise PartialAnswer("; ".join(found.warnings)[:300])
    return found.series
