"""What kind of metric a name is: by what the server says, else by how it is spelt."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from pytest_rollout.plan.lint.facts import Live, Severity

_COUNTED = ("_total", "_count", "_sum", "_bucket")
_TYPES: dict[str, Literal["counter", "gauge"]] = {
    "counter": "counter",
    "gauge": "gauge",
    "gaugehistogram": "gauge",
    "info": "gauge",
    "stateset": "gauge",
}


@dataclass(frozen=True, slots=True)
class Kind:
    """Whether a metric only rises."""

    name: Literal["counter", "gauge"]
    certain: bool
    """Whether the server says so; else it is the spelling alone."""

    @property
    def severity(self) -> Severity:
        """How grave it is to use it as the other kind."""
        return "error" if self.certain else "warning"

    @property
    def said(self) -> str:
        """Why it is thought to be one."""
        if self.certain:
            return f"a {self.name}, says the server"
        return f"a {self.name}, by its name" if self.name == "counter" else "not named like a counter"


def kind_of(metric: str, live: Live | None) -> Kind:
    """Return what kind of metric it is. Histograms rise, and so do the parts of histograms and summaries."""
    told = live.metric_type(metric) if live else None
    if told == "histogram" or (told == "summary" and metric.endswith(("_count", "_sum"))):
        return Kind("counter", certain=True)
    if told == "summary":
        return Kind("gauge", certain=True)
    if told in _TYPES:
        return Kind(_TYPES[told], certain=True)
    return Kind("counter" if metric.endswith(_COUNTED) else "gauge", certain=False)


def is_histogram(metric: str, live: Live | None) -> bool | None:
    """Return whether it has buckets, classic or native; None if its name alone cannot tell."""
    told = live.metric_type(metric) if live else None
    if "_bucket" in metric or told == "histogram":
        return True
    return False if told or metric.endswith(("_total", "_count", "_sum")) else None


def suggestion(name: str, known: Collection[str]) -> str:
    """Return ``did you mean 'x'?``, or where to look."""
    near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.7)
    return f"did you mean {near[0]!r}?" if near else "is its target scraped?"
