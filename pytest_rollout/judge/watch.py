"""Whether the processes behind a gate's series were watched well enough to believe what the series show."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from pytest_rollout.judge.demand import Demand, Restarts
from pytest_rollout.judge.lives import Life, Watch, lives_of
from pytest_rollout.judge.samples import Instance, Rise, Series, Window, rises, shown
from pytest_rollout.units import format_duration
from pytest_rollout.verdict import CheckResult, Reason, inconclusive


@dataclass(frozen=True, slots=True)
class Watched:
    """A gate's series together with the lives of their processes."""

    series: tuple[Series, ...]
    watch: Watch
    window: Window
    demand: Demand
    lives: tuple[Life, ...] = field(init=False)
    sent: int = field(init=False)
    """How many series the server sent, those of processes that ended before the window among them."""

    def __post_init__(self) -> None:
        """Tell the lives from the samples, once."""
        object.__setattr__(self, "sent", len(self.series))
        object.__setattr__(self, "lives", tuple(lives_of(self.series, self.watch, self.window, self.demand.max_gap)))
        alive = {life.instance for life in self.lives}
        object.__setattr__(self, "series", self.own(one for one in self.series if one.instance in alive))

    def life(self, instance: Instance) -> Life | None:
        """Return the life of the process behind a series, if it is one of those that are watched."""
        return next((life for life in self.lives if life.instance == instance), None)

    def own(self, series: Iterable[Series]) -> tuple[Series, ...]:
        """Return series without what another process left in them, one that a restart before the window replaced."""
        began = {life.instance: life.began for life in self.lives if life.began and life.began <= self.window.start}
        return tuple(
            replace(one, samples=tuple(pair for pair in one.samples if pair[0] >= since))
            if one.samples and one.samples[0][0] < (since := began.get(one.instance, -math.inf))
            else one
            for one in series
        )

    def surely(self, rise: Rise) -> bool:
        """Whether a rise happened in the window beyond doubt.

        A birth did if the process itself began in the window, or had been scraped without the series before.
        """
        if not rise.born:
            return rise.inside(self.window)
        life = self.life(rise.instance)
        if life is None or rise.at > self.window.end:
            return False
        if life.began is not None and life.began >= self.window.start:
            return True
        reach = rise.at - self.demand.max_gap
        return any(max(self.window.start, reach) <= at < rise.at for at in life.scrapes)

    def unwatched(self) -> CheckResult | None:
        """Return why the series do not tell all that happened, or None if they do."""
        for found in self._doubts():
            return found
        return None

    def _doubts(self) -> Iterator[CheckResult]:
        yield from self._lost_series()
        for life in self.lives:
            yield from self._strange(life)
        for life in self.lives:
            yield from self._restarted(life)
        yield from self._unseen_before()
        for life in self.lives:
            yield from self._gaps(life)
        yield from self._ended()
        if not self.lives:
            yield inconclusive(Reason.COVERAGE, "nothing was scraped; find out why", ready_in=self.demand.interval)
        for life in self.lives:
            yield from self._unknown(life)

    def _lost_series(self) -> Iterator[CheckResult]:
        if lost := self.watch.incomplete(self.sent):
            yield lost
        expected = self.demand.expect_series
        if expected is not None and len(self.series) < expected:
            yield inconclusive(
                Reason.SERIES_MISSING,
                f"{len(self.series)} series, at least {expected} are expected; find out which one vanished",
            )

    def _strange(self, life: Life) -> Iterator[CheckResult]:
        shows = any(one.instance == life.instance for one in self.series)
        if not shows and life.instance not in self.watch.exporters and self.demand.expect_series is None:
            yield inconclusive(
                Reason.NO_DATA,
                f"{life.name} was scraped and has no such series; if it need not have one, say expect_series",
            )
        if self.watch.scraped and all(one.instance != life.instance for one in self.watch.up):
            yield inconclusive(
                Reason.NO_DATA,
                f"Prometheus has no 'up' of {life.name}; if it does not scrape it itself, give the environment a "
                "scrape_interval",
            )

    def _restarted(self, life: Life) -> Iterator[CheckResult]:
        reset = any(rise.reset for rise in self._rises(life))
        if self.demand.restarts is Restarts.HOLD and (life.interrupted(self.window) or reset):
            what = "left" if life.left(self.window) else "restarted"
            yield inconclusive(
                Reason.RESTART,
                f"{life.name} {what} inside the window, so increments may be lost; let the window pass again",
                window=self.window.bounds,
            )

    def _unknown(self, life: Life) -> Iterator[CheckResult]:
        if self.demand.restarts is Restarts.IGNORE or life.began is not None or life.left(self.window):
            return
        if life.told:
            yield inconclusive(
                Reason.COVERAGE,
                f"process_start_time_seconds of {life.name} has no sample at the window's end; wait for the next "
                "scrape",
                window=self.window.bounds,
                ready_in=self.demand.interval,
            )
        yield inconclusive(
            Reason.RESTART_UNKNOWN,
            f"{life.name} has no process_start_time_seconds, so a restart would not be noticed; export it, or say "
            "restarts: ignore",
            window=self.window.bounds,
        )

    def _unseen_before(self) -> Iterator[CheckResult]:
        """Tell of a process of which nothing from before the window says that it is still the same one."""
        if self.demand.restarts is Restarts.IGNORE:
            return
        for life in self.lives:
            if life.told_before or life.began is None or not (life.seen_before or self._nobody_before):
                continue
            ready = self.window.clear_of(max(life.start(self.window), *life.scrapes[:1], self.window.start))
            yield inconclusive(
                Reason.WINDOW_NOT_ELAPSED,
                f"nothing from before the window tells when {life.name} began, so it may have been restarted; "
                f"decides in about {format_duration(ready)}",
                window=self.window.bounds,
                ready_in=ready,
            )

    @property
    def _nobody_before(self) -> bool:
        """Whether nobody was scraped long enough before the window for a predecessor to have been seen."""
        sights = [one.samples[0][0] for one in (*self.watch.up, *self.series) if one.samples]
        return min(sights, default=math.inf) > self.window.start - self.demand.max_gap

    def _rises(self, life: Life) -> Iterator[Rise]:
        return rises((one for one in self.series if one.instance == life.instance), self.window)

    def _gaps(self, life: Life) -> Iterator[CheckResult]:
        if life.left(self.window):  # what it may have lost is charged, or ignored as the plan says
            return
        share, longest = life.coverage(self.window, self.demand)
        known: dict[str, Any] = {"window": self.window.bounds, "derivation": {"coverage": self.coverage()}}
        late = life.scrapes[0] - life.start(self.window) if life.scrapes else self.window.length
        if late > self.demand.max_gap:
            ready = self.window.clear_of(life.scrapes[0] if life.scrapes else self.window.end)
            yield inconclusive(
                Reason.WINDOW_NOT_ELAPSED,
                f"{life.name} was first seen {format_duration(late)} after the window's start; "
                f"decides in about {format_duration(ready)}",
                ready_in=ready,
                **known,
            )
        if longest > self.demand.max_gap:
            yield inconclusive(
                Reason.COVERAGE,
                f"no scrape of {life.name} for {format_duration(longest)} (at most "
                f"{format_duration(self.demand.max_gap)} is allowed); find out why, then let the window pass again",
                ready_in=self.window.clear_of(self._hole(life)),
                **known,
            )
        if share < self.demand.coverage:
            yield inconclusive(
                Reason.COVERAGE,
                f"only {share:.1%} of the expected scrapes of {life.name} succeeded ({self.demand.coverage:.1%} "
                "needed); find out why, then let the window pass again",
                ready_in=self.window.clear_of(self.window.end),
                **known,
            )

    def _hole(self, life: Life) -> float:
        """Return the end of the last hole."""
        edges = [*life.scrapes, self.window.end]
        wide = [b for a, b in itertools.pairwise(edges) if b - a > self.demand.max_gap]
        return max(wide, default=self.window.end)

    def _ended(self) -> Iterator[CheckResult]:
        """Tell of a series that has no sample at or after the window's end: what happened since, nobody counted."""
        for one in self.series:
            last = one.samples[-1][0] if one.samples else self.window.start
            life = self.life(one.instance)
            if last >= self.window.end or (life and self._excused(last, life)):
                continue
            yield inconclusive(
                Reason.COVERAGE,
                f"{shown(one.labels)} has no sample in the last {format_duration(self.window.end - last)} of the "
                "window; wait for the next scrape, or find out why it vanished",
                window=self.window.bounds,
                ready_in=self.demand.interval,
            )

    def _excused(self, last: float, life: Life) -> bool:
        # A process that ended takes its series along; the plan said what that means.
        ended = life.left(self.window) or (life.replaced and last < (life.began or 0))
        return ended and self.demand.restarts is not Restarts.HOLD

    def coverage(self) -> dict[str, Any]:
        """Return how well each process was watched, for the report."""
        out = {}
        for life in self.lives:
            share, longest = life.coverage(self.window, self.demand)
            out[life.name] = {"share": share, "longest_gap": longest, "scrapes": len(life.scrapes)}
        return out
