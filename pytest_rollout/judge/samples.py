"""Raw samples, and what can be counted from them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Series:
    """One time series: labels, and (unix seconds, value) in the order of time."""

    labels: Mapping[str, str]
    samples: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time that a gate asks about.

    ``start`` is never before the flip plus settle time, so it may be shorter than ``wanted`` seconds.
    """

    start: float
    end: float
    wanted: float

    @property
    def bounds(self) -> tuple[float, float]:
        """Start and end, unix seconds."""
        return (self.start, self.end)


@dataclass(frozen=True, slots=True)
class Rise:
    """Events counted between two samples; ``born`` if there was no earlier sample to subtract."""

    at: float
    by: float
    labels: Mapping[str, str]
    born: bool = False
    reset: bool = False


def rises(series: Sequence[Series], window: Window) -> Iterator[Rise]:
    """Yield every rise of counters within a window.

    A series whose first sample lies in the window was born there: all it shows happened at that time or
    before. After a reset the whole value counts (prometheus/prometheus#3886: ``increase`` misses births).
    """
    for one in series:
        before: float | None = None
        for at, value in one.samples:
            if window.start < at <= window.end:
                born, reset = before is None, before is not None and value < before
                by = value if before is None or value < before else value - before
                if by > 0 or reset:
                    yield Rise(at, by, one.labels, born, reset)
            before = value if at <= window.end else before


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of a window was observed."""

    share: float
    longest_gap: float
    first: float | None
    """When observation began, if later than the window's start."""


def coverage(series: Sequence[Series], window: Window, interval: float) -> Coverage:
    """Return how well samples of any of the series cover a window, with a sample due every interval."""
    times = sorted({at for one in series for at, _ in one.samples if at <= window.end})
    inside = [at for at in times if at > window.start]
    length = window.end - window.start
    if not inside or length <= 0:
        return Coverage(0.0, max(length, 0.0), None)
    earlier = [at for at in times if at <= window.start]
    edges = [*(earlier[-1:] or [window.start]), *inside, window.end]
    longest = max(after - before for before, after in itertools.pairwise(edges))
    share = min(1.0, len(inside) * interval / length)
    return Coverage(share, longest, None if earlier else inside[0])


def all_finite(series: Sequence[Series]) -> bool:
    """Whether no sample is NaN or infinite."""
    return all(math.isfinite(value) for one in series for _, value in one.samples)
