"""Evidence made by hand for the judge: a window of half an hour, scraped every 15 seconds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from pytest_rollout.judge.demand import Demand
from pytest_rollout.judge.lives import Watch
from pytest_rollout.judge.samples import Instance, Series, Window

STEP = 15.0
START = 10_000.0
LENGTH = 1800.0
END = START + LENGTH
WINDOW = Window(START, START + LENGTH, LENGTH)
SCRAPES = int(LENGTH / STEP)
TIMES = tuple(START + STEP * scrape for scrape in range(-1, SCRAPES + 1))
"""One scrape before the window, one at its start, then all of it."""
OLDER = tuple(START + STEP * scrape for scrape in range(-6, -1))
"""More scrapes before the window, when nothing changed."""
A: Instance = ("app", "a")
"""The process that series come from, if their labels say nothing else."""
BOUNDS = ("0.05", "0.1", "0.25", "+Inf")
"""Buckets of a histogram, in seconds."""

Labels = Mapping[str, str]
NO_LABELS: Labels = {}

SHARE = Demand(limit=0.005, unit="share", comparator="below", coverage=0.95, max_gap=4 * STEP, interval=STEP)
COUNT = replace(SHARE, limit=0.0, unit="count", comparator="at_most")
LATENCY = replace(SHARE, limit=0.1, unit="seconds")
VALUE = replace(SHARE, limit=5.0, unit="")


def counted(values: Iterable[float], labels: Labels = NO_LABELS, *, first: int = 0) -> Series:
    """Return a series with one value for each scrape, from scrape number ``first`` on."""
    samples = list(zip(TIMES[first:], values, strict=False))
    older = [(at, value) for at in OLDER for _, value in samples[:1] if not first]
    return Series({"job": A[0], "instance": A[1], **labels}, (*older, *samples))


def steady(per_scrape: float, labels: Labels = NO_LABELS, *, base: float = 0) -> Series:
    """Return a counter that rises by the same at every scrape, over the whole window."""
    return counted([base + per_scrape * scrape for scrape in range(len(TIMES))], labels)


def risen(by: float, labels: Labels = NO_LABELS, *, base: float = 0, at: int = 60) -> Series:
    """Return a counter that rises once, at one scrape."""
    return counted([base + (by if scrape >= at else 0) for scrape in range(len(TIMES))], labels)


def spread(events: int, labels: Labels = NO_LABELS, *, first: int = 2) -> Series:
    """Return a counter that rises by 1 at a time, evenly from a scrape on until the window's end."""
    left = len(TIMES) - first
    return counted([max((place - first + 1) * events // left, 0) for place in range(len(TIMES))], labels)


def histogram(requests: float, slower: Sequence[float], labels: Labels = NO_LABELS) -> tuple[Series, ...]:
    """Return buckets that see ``requests`` at every scrape; ``slower`` says how many of them exceed each bound."""
    beyond = zip(BOUNDS, (*slower, 0), strict=True)
    return tuple(steady(requests - out, {**labels, "le": le}) for le, out in beyond)


def watch(*names: str, counted_as: int | None = None, began: float = 500.0) -> Watch:
    """Return that processes were scraped all the time, and lived all the time."""
    several = names or ("a",)
    return Watch(
        up=tuple(steady(0, {"__name__": "up", "instance": name}, base=1) for name in several),
        starts=tuple(
            steady(0, {"__name__": "process_start_time_seconds", "instance": name}, base=began) for name in several
        ),
        targets=frozenset(("app", name) for name in several),
        counted=counted_as,
    )


def without(series: Series, lost: Iterable[int]) -> Series:
    """Return a series without the samples at these places."""
    gone = set(lost)
    return replace(series, samples=tuple(pair for place, pair in enumerate(series.samples) if place not in gone))


def unscraped(series: Series, start: float, end: float) -> Series:
    """Return a series without the samples after ``start`` and before ``end``, in seconds of the window."""
    kept = (pair for pair in series.samples if not START + start < pair[0] < START + end)
    return replace(series, samples=tuple(kept))
