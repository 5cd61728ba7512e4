"""Metrics in Prometheus's text format; prometheus_client reads them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from pytest_rollout.plan.promql import Selector, parse_selector

Labels = tuple[tuple[str, str], ...]
"""Sorted, with the name of the metric as ``__name__``."""


@dataclass(frozen=True)
class Exposition:
    """What one process says of itself at one moment."""

    series: Mapping[Labels, float]
    families: frozenset[str]
    """Names of metrics that exist, be it without a series yet."""

    @classmethod
    def read(cls, body: bytes) -> Exposition:
        """Read an exposition. Raises ValueError for what is none, and for a series that is there twice."""
        return _read(body)

    def selected(self, selector: str) -> dict[Labels, float]:
        """Return the series that a selector selects. Raises ValueError for what is no selector."""
        chosen = _selector(selector)
        return {labels: value for labels, value in self.series.items() if chosen.matches(dict(labels))}

    def knows(self, selector: str) -> bool:
        """Whether the metric that a selector names exists."""
        return _selector(selector).metric in self.families


@lru_cache(maxsize=256)
def _selector(text: str) -> Selector:
    return parse_selector(text)


@lru_cache(maxsize=256)
def _read(body: bytes) -> Exposition:
    from prometheus_client.parser import text_string_to_metric_families

    series: dict[Labels, float] = {}
    families: set[str] = set()
    try:
        for family in text_string_to_metric_families(body.decode("utf-8")):
            families |= {family.name, f"{family.name}_total"} if family.type == "counter" else {family.name}
            for sample in family.samples:
                labels = tuple(sorted({**sample.labels, "__name__": sample.name}.items()))
                if labels in series:
                    raise ValueError(f"the series {name_of(labels)} is there twice")  # noqa: TRY301 - one way out
                series[labels] = float(sample.value)
                families.add(sample.name)
    except (ValueError, KeyError, IndexError, AttributeError) as exc:
        raise ValueError(f"not an exposition of metrics: {exc}") from exc
    return Exposition(series, frozenset(families))


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
