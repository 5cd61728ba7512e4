"""Fetch the evidence of one gate: its raw samples, and how the processes behind them were watched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_rollout.errors import SourceError
from pytest_rollout.judge.lives import Watch
from pytest_rollout.judge.samples import Instance, Series, Window, stretch
from pytest_rollout.plan.promql import Selector, accepts
from pytest_rollout.sources.native import NativeBucket
from pytest_rollout.sources.prometheus import Found, Prometheus
from pytest_rollout.units import format_duration
from pytest_rollout.verdict import CheckResult, Reason, inconclusive

LOOKBACK_IN_SCRAPES = 6
"""How far before a window samples are fetched at least, to subtract the first one inside from the last before."""
_LONG_IN_SCRAPES = 3000
"""From here on a window is long: half a day at one scrape every 15 s."""
_LAG_IN_SCRAPES = 1.5
"""How long before now a window ends: the scrape that closes it has to be there."""


class PartialAnswer(Exception):  # noqa: N818 - read as a state
    """Prometheus answered with warnings: some of the data may be missing."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When a stage is looked at."""

    since: float | None
    """Flip plus settle time, unix seconds; None if there was no flip."""
    flip: float | None
    """The flip itself."""
    now: float
    interval: float
    """Seconds between two scrapes, the longest of all jobs."""
    first_look: float | None = None
    """When it was first looked at since the flip, if it is, was or will be looked at again."""

    @property
    def end(self) -> float:
        """When windows end."""
        return self._end(self.now)

    def _end(self, now: float) -> float:
        return now - _LAG_IN_SCRAPES * self.interval

    def window(self, wanted: float, *, growing: bool) -> Window:
        """Return the window of so many seconds that ends now; it slides, or is a stretch that grows from the flip.

        Bounds of a share need the second, when they are asked for again; what is counted out does not.
        """
        if not growing:
            return stretch(self.end, wanted, self.since, again=False)
        since = self.since
        if since is None and self.first_look is not None:  # no flip to grow from: the first look begins it
            since = self._end(self.first_look) - wanted
        return stretch(self.end, wanted, since, again=self.first_look is not None)


@dataclass(frozen=True, slots=True)
class Reader:
    """Asks Prometheus for one gate, about one window, as of one instant."""

    prometheus: Prometheus
    window: Window
    now: float
    interval: float
    """Seconds between two scrapes."""
    lookback: float
    """Seconds before the window."""
    scraped: bool = True
    """Whether Prometheus scrapes the processes itself."""
    allow_partial: bool = False
    asked: list[str] = field(default_factory=list)
    """Queries in order, for the report."""
    notes: list[str] = field(default_factory=list)
    """Warnings that the plan allows."""

    def about(self, window: Window) -> Reader:
        """Return a reader for another window that adds to the same report."""
        return replace(self, window=window)

    def raw(self, selector: str) -> tuple[Series, ...]:
        """Return raw samples from before the window until now."""
        return self._whole(self._ranged(selector), self.now)

    def still(self, selector: str) -> tuple[Series, ...]:
        """Return what ``raw`` does, with only the ends of series that had one value all the time.

        For what should not change over days: that it never did is proven without fetching every sample.
        """
        if self.window.length <= _LONG_IN_SCRAPES * self.interval:
            return self.raw(selector)
        # changes() also counts a NaN between equal values, which least and largest value would skip.
        moved = self._whole(f"changes({self._ranged(selector)})", self.now)
        seen = {one.instance for job in {one.instance[0] for one in moved} for one in self._up(job)}
        if any(one.instance not in seen for one in moved):  # its own samples have to tell how it was watched
            return self.raw(selector)
        ends = [self._whole(f"{selector}[{round(self.lookback * 1000)}ms]", at) for at in (self.window.start, self.now)]
        out: list[Series] = []
        for changed in moved:
            first, last = (next((one for one in end if _named(one) == _named(changed)), None) for end in ends)
            if first and last and not changed.samples[-1][1]:
                out.append(Series(first.labels, (*first.samples, *last.samples)))
            else:
                near = self.raw(exactly(selector, changed.labels))  # series with more labels, too
                out += [one for one in near if _named(one) == _named(changed)]
        return tuple(out)

    def value(self, expression: str) -> tuple[Series, ...]:
        """Return the series of an expression at the window's end."""
        return self._whole(expression, self.window.end)

    def counted(self, selector: str) -> int:
        """Return how many series the server counts where ``raw`` looks."""
        found = self._whole(f"count(last_over_time({self._ranged(selector)}))", self.now)
        return round(found[0].samples[-1][1]) if found else 0

    def points(self, expression: str, step: float) -> tuple[Series, ...]:
        """Return the values of an expression in the window, one every ``step`` seconds."""
        found = self.prometheus.query_range(expression, self.window.start + step, self.window.end, step)
        return self._told(expression, found)

    def _ranged(self, selector: str) -> str:
        seconds = self.now - self.window.start + self.lookback
        return f"{selector}[{max(1, round(seconds * 1000))}ms]"

    def watch(
        self, selector: Selector, series: Sequence[Series], *, absent_is_zero: bool = False, counted: bool = True
    ) -> Watch:
        """Return how the processes behind series were watched.

        Who exports the metric is asked only when a process has no series of it.
        """
        targets = {(one.job, one.instance) for one in self.prometheus.targets()} if self.scraped else set[Instance]()
        exporters = frozenset[Instance]()
        jobs = {one.instance[0] for one in series}
        if not jobs and absent_is_zero:
            jobs = {job for job, _ in targets}
        elif not jobs:
            exporters = self.prometheus.exporters(selector.metric)
            jobs = {job for job, _ in exporters}
        health = [one for job in sorted(jobs - {""}) if _may_be(selector, {"job": job}) for one in self._health(job)]
        meant = [one for one in health if _may_be(selector, one.labels)]
        # A label that only `up` tells of, such as the cohort of a pod, can say that a process is not meant.
        others = {one.instance for one in health} - {one.instance for one in meant}
        others |= {one for one in targets | exporters if not _may_be(selector, {"job": one[0], "instance": one[1]})}
        up = tuple(one for one in meant if one.labels.get("__name__") == "up")
        silent = {one.instance for one in up} | {one for one in targets - others if one[0] in jobs}
        silent -= {one.instance for one in series}
        if absent_is_zero:
            exporters = frozenset(silent)
        elif silent and series:
            exporters = self.prometheus.exporters(selector.metric)
        return Watch(
            up=up,
            starts=tuple(one for one in meant if one.labels.get("__name__") != "up"),
            targets=frozenset(targets - others),
            scraped=self.scraped,
            exporters=frozenset(exporters - others),
            counted=self.counted(selector.text) if counted else None,
        )

    def _health(self, job: str) -> tuple[Series, ...]:
        if self.window.length <= _LONG_IN_SCRAPES * self.interval:
            return self.raw(exactly('{__name__=~"up|process_start_time_seconds"}', {"job": job}))
        return (*self._up(job), *self.still(exactly("process_start_time_seconds{}", {"job": job})))

    def _up(self, job: str) -> tuple[Series, ...]:
        return self.raw(exactly("up{}", {"job": job}))

    def _whole(self, expression: str, at: float) -> tuple[Series, ...]:
        return self._told(expression, self.prometheus.query(expression, at))

    def _told(self, expression: str, found: Found) -> tuple[Series, ...]:
        if expression not in self.asked:
            self.asked.append(expression)
        if found.warnings and not self.allow_partial:
            raise PartialAnswer("; ".join(found.warnings)[:300])
        self.notes.extend(note for note in found.warnings if note not in self.notes)
        return found.series


def just_flipped(window: Window) -> CheckResult:
    """Return that a window has only just begun."""
    said = f"the flip was just now; decides in about {format_duration(window.wanted)}"
    return inconclusive(Reason.WINDOW_NOT_ELAPSED, said, ready_in=window.wanted)


def numbers(selector: str, found: tuple[Series, ...]) -> tuple[Series, ...]:
    """Return series that are no native histograms: events of those cannot be counted bucket by bucket."""
    if any(isinstance(one, NativeBucket) for one in found):
        raise SourceError(f"{selector} is a native histogram, numbers were asked for; only a quantile reads those")
    return found


def exactly(selector: str, labels: Mapping[str, str]) -> str:
    """Return a selector that also wants these values of labels."""
    metric, brace, matchers = selector.partition("{")
    inner = matchers.rstrip().removesuffix("}").rstrip().removesuffix(",") if brace else ""
    wanted = [f"{name}={_quoted(value)}" for name, value in sorted(labels.items()) if name != "__name__"]
    return f"{metric.strip()}{{{','.join(filter(None, (inner, *wanted)))}}}"


def _may_be(selector: Selector, labels: Mapping[str, str]) -> bool:
    """Whether a process with these labels may have series that a selector means."""
    return all(
        accepts(operator, wanted, labels[label]) for label, operator, wanted in selector.matchers if label in labels
    )


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _named(one: Series) -> frozenset[tuple[str, str]]:
    """Return what tells a series from others of its metric; functions over time drop the name."""
    return frozenset((name, value) for name, value in one.labels.items() if name != "__name__")
