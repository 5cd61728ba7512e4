"""Raw samples, and what can be counted from them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

Instance: TypeAlias = tuple[str, str]
"""The process behind a series: its ``job`` and ``instance`` labels, empty where there are none."""


@dataclass(frozen=True, slots=True)
class Series:
    """One time series: labels, and (unix seconds, value) in the order of time."""

    labels: Mapping[str, str]
    samples: tuple[tuple[float, float], ...]

    @property
    def instance(self) -> Instance:
        """The process that it comes from."""
        return (self.labels.get("job", ""), self.labels.get("instance", ""))


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time that a gate asks about.

    ``start`` is never before the flip plus settle time, so it may be shorter than ``wanted`` seconds; it is longer
    when ``epoch`` says that the evidence is looked at again and again while it grows.
    """

    start: float
    end: float
    wanted: float
    epoch: int = 0
    """0: looked at once. n: the n-th stretch since the flip, looked at as often as anyone likes."""

    @property
    def bounds(self) -> tuple[float, float]:
        """Start and end, unix seconds."""
        return (self.start, self.end)

    @property
    def length(self) -> float:
        """Seconds."""
        return self.end - self.start

    @property
    def burst(self) -> float:
        """Seconds within which bad events may be one event with many effects: a tenth of what is asked for."""
        return self.wanted / 10

    def clear_of(self, moment: float) -> float:
        """Return in how many seconds a window decides that begins no earlier than a moment."""
        begins = max(moment, self.start)
        if self.epoch:
            begins = self.start + math.ceil((begins - self.start) / self.wanted - 1e-9) * self.wanted
        return max(begins + self.wanted - self.end, 0.0)


def stretch(end: float, wanted: float, since: float | None, *, again: bool) -> Window:
    """Return the window that ends at a time, looked at once or ``again`` and again.

    For the second, evidence may only grow: the window begins at the flip and then anew after every ``wanted``
    seconds, as soon as the new one is long enough. Each beginning is a stretch of its own, which spends its own part
    of the promise (see sequence.py). Without any beginning there is nothing to grow from, and the window slides.
    """
    if since is None:
        return Window(end - wanted, end, wanted)
    if not again:
        return Window(max(end - wanted, since), end, wanted)
    epoch = max(1, math.floor((end - since) / wanted))
    return Window(since + (epoch - 1) * wanted, end, wanted, epoch)


class Rise(NamedTuple):
    """Events counted between two samples. They happened after ``after`` and not later than ``at``."""

    after: float
    """Minus infinity if there was no sample before."""
    at: float
    by: float
    labels: Mapping[str, str]
    reset: bool = False

    @property
    def born(self) -> bool:
        """Whether there was no earlier sample to subtract."""
        return self.after == -math.inf

    @property
    def instance(self) -> Instance:
        """The process that it comes from."""
        return (self.labels.get("job", ""), self.labels.get("instance", ""))

    def inside(self, window: Window) -> bool:
        """Whether all of it surely happened in a window."""
        return self.after >= window.start and self.at <= window.end


def rises(series: Iterable[Series], window: Window) -> Iterator[Rise]:
    """Yield every rise of counters, and every reset, that may have happened within a window.

    That is: from the last sample at or before its start, up to the first at or after its end. So a lost sample can
    only widen what one rise spans, never hide it. A series without a sample before was born: all it shows happened at
    that time or before (prometheus/prometheus#3886: ``increase`` misses births). After a reset the whole value counts.
    """
    start, end = window.bounds
    for one in series:
        after, before = -math.inf, 0.0
        for at, value in one.samples:
            if at > start and value != before:
                reset = value < before
                yield Rise(after, at, value if reset else value - before, one.labels, reset)
            after, before = at, value
            if at >= end:
                break


def grown(series: Iterable[Series], window: Window) -> tuple[float, float]:
    """Return how much counters rose, surely within a window and perhaps: the sums of what ``rises`` yields."""
    start, end = window.bounds
    surely = perhaps = 0.0
    for one in series:
        after, before = -math.inf, 0.0
        for at, value in one.samples:
            if at > start and value != before:
                by = value if value < before else value - before
                perhaps += by
                if after >= start and at <= end:
                    surely += by
            after, before = at, value
            if at >= end:
                break
    return surely, perhaps


def largest_burst(found: Sequence[Rise], seconds: float) -> float:
    """Return the most events that may have happened within any stretch of so many seconds.

    A rise counts in every stretch that it touches, so a lost sample can only make a burst larger.
    """
    ends = sorted((rise.at, rise.by) for rise in found)
    starts = sorted((rise.after, rise.by) for rise in found)
    begun = list(itertools.accumulate((by for _, by in starts), initial=0.0))
    largest, over, place = 0.0, 0.0, 0
    for at, by in ends:  # a stretch that begins just before a rise ends is never worse than one that begins later
        while place < len(starts) and starts[place][0] < at + seconds:
            place += 1
        largest = max(largest, begun[place] - over)
        over += by
    return largest


def all_finite(series: Sequence[Series]) -> bool:
    """Whether no sample is NaN or infinite."""
    return all(math.isfinite(value) for one in series for _, value in one.samples)


def shown(labels: Mapping[str, str]) -> str:
    """Return labels as PromQL writes them."""
    inner = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()) if key != "__name__")
    return f"{labels.get('__name__', '')}{{{inner}}}"
