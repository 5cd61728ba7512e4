"""A server that knows what a test says, and a gate under inspection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_rollout.plan.gates import Gate
from pytest_rollout.plan.lint import Finding, Live, Pace, lint_gate

PLACE = ("stages", 0, "gates", 0)


@dataclass(frozen=True)
class Known:
    """What a server knows."""

    metric_names: frozenset[str] = frozenset()
    retention: float | None = None
    scrape_intervals: Mapping[str, float] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)
    bounds: tuple[float, ...] | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    rates: Mapping[str, float] = field(default_factory=dict)
    refuses: Mapping[str, str] = field(default_factory=dict)

    def metric_type(self, name: str) -> str | None:
        return self.types.get(name)

    def bucket_bounds(self, selector: str) -> tuple[float, ...] | None:
        return self.bounds if "_bucket" in selector else None

    def series_count(self, selector: str) -> int | None:
        return self.counts.get(selector)

    def rate(self, selector: str) -> float | None:
        return self.rates.get(selector)

    def check(self, expression: str) -> str | None:
        return self.refuses.get(expression)


def found(
    gate: Mapping[str, Any], live: Live | None = None, paces: tuple[Pace, ...] = (), scale: float = 1.0
) -> list[Finding]:
    """Return everything that is wrong with a gate."""
    return list(lint_gate(Gate.model_validate({"id": "g", **gate}), PLACE, live, paces, scale))


def query(text: str, live: Live | None = None, limit: Mapping[str, float] | None = None) -> list[Finding]:
    """Return everything that is wrong with a query, whose limit nobody knows to be out of reach."""
    over = {"over": "30m"} if "$window" in text else {}
    return found({"promql": text, **over, **(limit or {"below": 1e-9})}, live)


def codes(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(one.severity, one.code) for one in findings]
