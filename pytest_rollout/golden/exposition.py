"""Metrics in Prometheus's text format; prometheus_client reads them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

from pytest_rollout.plan.promql import Selector, parse_selector

_BLOCK = re.compile(r"^(?=# HELP )", re.MULTILINE)
Labels = tuple[tuple[str, str], ...]
"""Sorted, with the name of the metric as ``__name__``."""


@dataclass(frozen=True)
class Exposition:
    """What one process says of itself at one moment."""

    series: Mapping[Labels, float]
    families: frozenset[str]
    """Names of metrics that exist, be it without a series yet."""

    @cached_property
    def _named(self) -> Mapping[str, list[Labels]]:
        named: dict[str, list[Labels]] = {}
        for labels in self.series:
            named.setdefault(dict(labels)["__name__"], []).append(labels)
        return named

    @classmethod
    def read(cls, body: bytes) -> Exposition:
        """Read an exposition. Raises ValueError for what is none, and for a series that is there twice."""
        return _read(body)

    def selected(self, selector: str) -> dict[Labels, float]:
        """Return the series that a selector selects. Raises ValueError for what is no selector."""
        chosen = _selector(selector)
        candidates = self._named.get(chosen.metric, ()) if chosen.metric else self.series
        return {labels: self.series[labels] for labels in candidates if chosen.matches(dict(labels))}

    def knows(self, selector: str) -> bool:
        """Whether the metric that a selector names exists."""
        return _selector(selector).metric in self.families


@lru_cache(maxsize=256)
def _selector(text: str) -> Selector:
    return parse_selector(text)


@lru_cache(maxsize=256)
def _read(body: bytes) -> Exposition:
    series: dict[Labels, float] = {}
    families: set[str] = set()
    for block in _BLOCK.split(_decoded(body)):
        names, samples = _block(block)
        families |= names
        for labels, value in samples:
            if labels in series:
                raise ValueError(f"not an exposition of metrics: the series {name_of(labels)} is there twice")
            series[labels] = value
    return Exposition(series, frozenset(families))


def _decoded(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise ValueError(f"not an exposition of metrics: {exc}") from exc


@lru_cache(maxsize=4096)
def _block(text: str) -> tuple[frozenset[str], tuple[tuple[Labels, float], ...]]:
    """Read one family, or what has no help; from one exposition to the next most of them are the same."""
    from prometheus_client.parser import text_string_to_metric_families

    names: set[str] = set()
    samples: list[tuple[Labels, float]] = []
    try:
        for family in text_string_to_metric_families(text):
            names |= {family.name, f"{family.name}_total"} if family.type == "counter" else {family.name}
            for sample in family.samples:
                labels = tuple(sorted({**sample.labels, "__name__": sample.name}.items()))
                samples.append((labels, float(sample.value)))
                names.add(sample.name)
    except (ValueError, KeyError, IndexError, AttributeError) as exc:
        raise ValueError(f"not an exposition of metrics: {exc}") from exc
    return frozenset(names), tuple(samples)


def name_of(labels: Labels) -> str:
    """Return a series as people write it."""
    known = dict(labels)
    name = known.pop("__name__", "")
    return name + ("{" + ",".join(f'{key}="{value}"' for key, value in sorted(known.items())) + "}" if known else "")


def narrows(selector: str, other: str) -> bool:
    """Whether every series of a selector is also one of the other. Raises ValueError for what is no selector."""
    return _selector(selector).narrows(_selector(other))


def total(series: Mapping[Labels, float]) -> float:
    """Return the sum of some series; none is 0."""
    return math.fsum(series.values())
