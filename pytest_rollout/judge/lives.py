"""What Prometheus tells of the processes behind a gate's series, and the life of each as it was seen."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from pytest_rollout.judge.demand import Demand
from pytest_rollout.judge.samples import Instance, Series, Window
from pytest_rollout.verdict import CheckResult, Reason, inconclusive


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What Prometheus knows of the processes behind a gate's series."""

    up: tuple[Series, ...] = ()
    """``up``: 1 for each scrape that succeeded, 0 for each that failed."""
    starts: tuple[Series, ...] = ()
    """``process_start_time_seconds``."""
    targets: frozenset[Instance] = frozenset()
    """What is scraped now."""
    scraped: bool = True
    """Whether this Prometheus scrapes them itself, so that it must have ``up`` of each."""
    exporters: frozenset[Instance] = frozenset()
    """Which of them export the gate's metric by their metadata, even while it has no series."""
    counted: int | None = None
    """How many series the server itself counts."""

    def incomplete(self, sent: int) -> CheckResult | None:
        """Return that an answer with so many series was cut, or None."""
        if self.counted is None or self.counted == sent:
            return None
        return inconclusive(
            Reason.PARTIAL_DATA,
            f"the server counts {self.counted} series and sent {sent}; some of the answer was lost, judge again",
        )

    def only(self, instances: Collection[Instance]) -> Watch:
        """Return what is known of some processes; how many series there are of those, nobody counted."""
        return Watch(
            up=tuple(one for one in self.up if one.instance in instances),
            starts=tuple(one for one in self.starts if one.instance in instances),
            targets=self.targets.intersection(instances),
            scraped=self.scraped,
            exporters=self.exporters.intersection(instances),
        )


@dataclass(frozen=True, slots=True)
class Life:
    """One process as it was seen: its good scrapes, and when it says that it began."""

    instance: Instance
    scrapes: tuple[float, ...]
    began: float | None
    """Unix seconds; None if it does not tell."""
    told: bool
    """Whether it has told when it began, at any time."""
    told_before: bool
    """Whether it has told so before the window."""
    seen_before: bool
    """Whether it, or another one at its place, was there before the window."""
    replaced: bool
    """Whether another process was seen at its place before it began."""
    gone: bool
    """Whether Prometheus scrapes its job, and it no more."""

    @property
    def name(self) -> str:
        """The process in words."""
        job, instance = self.instance
        return f"{job}/{instance}" if instance else job or "the series"

    def start(self, window: Window) -> float:
        """Return since when it was to be watched in a window."""
        return max(window.start, self.began) if self.began is not None and not self.replaced else window.start

    def left(self, window: Window) -> bool:
        """Whether it ended inside a window: it was not scraped until the end, and is looked for no more."""
        return self.gone and not (self.scrapes and self.scrapes[-1] >= window.end)

    def interrupted(self, window: Window) -> bool:
        """Whether it began anew or ended inside a window, so that some of what it counted is lost."""
        return self.replaced or self.left(window)

    def coverage(self, window: Window, demand: Demand) -> tuple[float, float]:
        """Return the share of scrapes that succeeded, and the longest stretch without one in seconds.

        For a process that was there before the window, gaps count from ``max_gap`` before it: there it is told
        whether another one ended or was replaced.
        """
        start, end, interval = self.start(window), window.end, demand.pace(self.instance[0])
        inside = [at for at in self.scrapes if start < at <= end]
        since = start - demand.max_gap if self.seen_before and start == window.start else start
        before = [at for at in self.scrapes if at <= since][-1:]
        near = [at for at in self.scrapes if since < at <= start]
        after = [at for at in self.scrapes if at > end][:1]
        edges = [*(before or near[:1] or [start]), *near, *inside, *(after or [end])]
        longest = max((later - earlier for earlier, later in itertools.pairwise(edges)), default=0.0)
        if end - start <= interval:  # too young for a share to mean anything
            return 1.0, longest
        return min(1.0, len(inside) * interval / (end - start)), longest


def lives_of(series: Sequence[Series], watch: Watch, window: Window, max_gap: float) -> Iterator[Life]:
    """Yield a life for each process that is scraped now, or may have lived in the window."""
    jobs = {one.instance[0] for one in (*series, *watch.up)} | {job for job, _ in watch.exporters}
    ended = _seen_before(series, watch, window) - max_gap
    seen = {one.instance for one in (*series, *watch.up, *watch.starts) if one.samples and one.samples[-1][0] >= ended}
    for instance in sorted(one for one in seen | watch.targets if one[0] in jobs):
        own = {at for one in _of(series, instance) for at, _ in one.samples}
        scrapes = {at for one in _of(watch.up, instance) for at in _good(one)} | own
        starts = sorted(pair for one in _of(watch.starts, instance) for pair in one.samples)
        closing = max((_closing(one, window) for one in _of(series, instance)), default=window.end)
        began = next((value for at, value in starts if at >= closing), None)
        # A scrape that failed tells of a process, too: a crash loop looks just like that.
        sights = own | {at for one in _of(watch.up, instance) for at, _ in one.samples}
        since = max((at for at, _ in starts if at <= window.start), default=-math.inf)
        # A change within the window is a restart whatever the process's own clock says.
        replaced = len({value for at, value in starts if since <= at <= closing}) > 1
        if began is not None and began > window.start:
            replaced = replaced or min((at for at in sights if at >= ended), default=began) < began
        tried = any(at >= window.end for one in _of(watch.up, instance) for at, _ in one.samples)
        yield Life(
            instance,
            tuple(sorted(scrapes)),
            began,
            told=bool(starts),
            told_before=math.isfinite(since),
            seen_before=any(at <= window.start for at in sights),
            replaced=replaced,
            gone=watch.scraped and instance not in watch.targets and not tried,
        )


def _seen_before(series: Sequence[Series], watch: Watch, window: Window) -> float:
    """Return when anybody was last scraped at or before the window's start: minus infinity if nobody was."""
    good = (at for one in watch.up for at in _good(one))
    own = (at for one in series for at, _ in one.samples)
    return max((at for at in (*good, *own) if at <= window.start), default=-math.inf)


def _closing(one: Series, window: Window) -> float:
    """Return the time of the sample that closes a window, or of the last one if it was not closed."""
    return next((at for at, _ in one.samples if at >= window.end), window.end)


def _of(series: Sequence[Series], instance: Instance) -> list[Series]:
    return [one for one in series if one.instance == instance]


def _good(up: Series) -> list[float]:
    return [at for at, value in up.samples if value == 1]
