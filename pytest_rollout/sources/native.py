"""Native histograms, read as the classic buckets that say the same.

Their buckets come and go, and get coarser when there are too many (https://prometheus.io/docs/specs/native_histograms/).
So a sample is exact about some bounds only: those that lie inside none of its buckets.
"""

from __future__ import annotations

import itertools
import math
import reprlib
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from pytest_rollout.judge.samples import Series, Window

_RIGHT_CLOSED = (0, 3)
"""Boundary rules of buckets that hold their upper bound; 1 and 2 do not, and only negative buckets have those."""
_ROUNDING = 1e-12
"""Relative: below one event of a trillion, above what adding floats costs."""

Labels: TypeAlias = Mapping[str, str]
Histogram: TypeAlias = frozenset[tuple[str, str]]
"""What tells one histogram from another: its labels without the metric's name and ``le``."""


@dataclass(frozen=True, slots=True)
class NativeBucket(Series):
    """How many events of a native histogram were at or below the bound ``le``; no sample where it is not exact."""


@dataclass(frozen=True, slots=True)
class _Sample:
    at: float
    count: float
    parts: tuple[tuple[float, float, float], ...]
    """(lower bound, upper bound, events) of each bucket that is not empty, by upper bound."""

    def below(self, bounds: Sequence[float]) -> dict[float, float]:
        """Return how many events were at or below each bound that it is exact about, and all at infinity."""
        inside = {
            b for low, high, _ in self.parts for b in bounds[bisect_right(bounds, low) : bisect_left(bounds, high)]
        }
        ends = [high for _, high, _ in self.parts]
        sums = list(itertools.accumulate((events for _, _, events in self.parts), initial=0.0))
        exact = {b: min(sums[bisect_right(ends, b)], self.count) for b in bounds if b not in inside}
        return exact | {math.inf: self.count}


def read_native(found: Iterable[tuple[Labels, Any]]) -> tuple[NativeBucket, ...]:
    """Return the buckets of native histograms: labels, and samples as the query API sends them.

    All have the same bounds, those of any bucket of any sample, if a sample is exact about them; ``le="+Inf"`` has
    every event, also what is not a number. Raises ValueError for another form, and for a reset that the count hides.
    """
    told = [(labels, _samples(labels, pairs)) for labels, pairs in found]
    parts = [part for _, samples in told for sample in samples for part in sample.parts]
    edges = {0.0, sys.float_info.max, *(edge for low, high, _ in parts for edge in (low, high))}
    bounds = sorted(edge for edge in edges if 0 <= edge < math.inf)
    return tuple(bucket for labels, samples in told for bucket in _buckets(labels, samples, bounds))


def told_throughout(buckets: Sequence[NativeBucket], window: Window) -> tuple[NativeBucket, ...]:
    """Return the buckets of those bounds that every histogram is exact about in a window.

    That is: at every sample that counts there, from the last at or before its start to the first at or after its end.
    """
    held: dict[Histogram, dict[str, set[float]]] = {}
    for one in buckets:
        held.setdefault(histogram(one), {})[one.labels["le"]] = {at for at, _ in one.samples}
    whole = [{le for le, times in own.items() if _counting(own["+Inf"], window) <= times} for own in held.values()]
    return tuple(one for one in buckets if all(one.labels["le"] in exact for exact in whole))


def histogram(one: Series) -> Histogram:
    """Return which histogram a bucket, classic or native, belongs to."""
    return frozenset((name, value) for name, value in one.labels.items() if name not in ("__name__", "le"))


def _counting(times: Iterable[float], window: Window) -> set[float]:
    ordered = sorted(times)
    first = max(bisect_right(ordered, window.start) - 1, 0)
    return set(ordered[first : bisect_left(ordered, window.end) + 1])


def _buckets(labels: Labels, samples: Sequence[_Sample], bounds: Sequence[float]) -> Iterator[NativeBucket]:
    told = [(sample.at, sample.below(bounds)) for sample in samples]
    for (_, before), (at, after) in itertools.pairwise(told):
        if after[math.inf] >= before[math.inf] and not _continues(before, after):
            raise ValueError(f"the native histogram {labels} was reset before {at}, and its count hides it")
    named = {"__name__": f"{labels['__name__']}_bucket"} if "__name__" in labels else {}
    for bound in (*bounds, math.inf):
        exact = tuple((at, below[bound]) for at, below in told if bound in below)
        if exact:
            yield NativeBucket({**labels, **named, "le": repr(bound) if math.isfinite(bound) else "+Inf"}, exact)


def _continues(before: Mapping[float, float], after: Mapping[float, float]) -> bool:
    """Whether no bucket lost events or became finer; only a reset does that, as ``DetectReset`` of Prometheus knows."""
    if not after.keys() <= before.keys():
        return False
    risen = [0.0, *(events - before[bound] for bound, events in after.items())]
    slack = _ROUNDING * after[math.inf]
    return all(more >= less - slack for less, more in itertools.pairwise(risen))


def _samples(labels: Labels, pairs: Any) -> tuple[_Sample, ...]:
    if "le" in labels:
        raise ValueError(f"the native histogram {labels} has a label 'le'")
    samples = tuple(_sample(pair) for pair in pairs)
    for before, after in itertools.pairwise(samples):
        if after.at <= before.at:
            raise ValueError(f"the samples of {labels} are not in the order of time: {after.at} after {before.at}")
    return samples


def _sample(pair: Any) -> _Sample:
    try:
        at, told = pair
        count = _number(told["count"])
        parts = sorted((_part(one) for one in told.get("buckets", ())), key=lambda part: part[1])
        if type(at) in (int, float) and math.isfinite(at) and _fits(count, parts):
            return _Sample(float(at), count, tuple(part for part in parts if part[2]))
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        pass
    raise ValueError(f"{reprlib.repr(pair)} is not a sample of a native histogram")


def _fits(count: float, parts: Iterable[tuple[float, float, float]]) -> bool:
    """Whether buckets hold no more than the count; it may be more, for values that are not numbers are in no bucket."""
    return count < math.inf and math.fsum(events for _, _, events in parts) <= count * (1 + _ROUNDING)


def _part(one: Any) -> tuple[float, float, float]:
    rule, *numbers = one
    low, high, events = map(_number, numbers)
    if not (low <= high and 0 <= events < math.inf and (rule in _RIGHT_CLOSED or (rule in (1, 2) and high <= 0))):
        raise ValueError(one)
    return low, high, events


def _number(text: Any) -> float:
    if type(text) is not str:
        raise TypeError(text)
    return float(text)
