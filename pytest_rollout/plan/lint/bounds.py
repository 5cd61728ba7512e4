"""Between which values an expression always lies, as far as its text shows."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from pytest_rollout.plan.promql import COMPARISONS, Node, Selector

_SAME = frozenset(
    {
        *("avg", "bottomk", "limitk", "max", "min", "quantile", "topk"),
        *("avg_over_time", "last_over_time", "max_over_time", "min_over_time", "quantile_over_time"),
        *("ceil", "floor", "label_join", "label_replace", "round", "scalar", "sort", "sort_desc", "vector"),
    }
)
"""What gives a value between the least and the greatest it is given, rounded at most."""
RATES = frozenset({"rate", "increase", "irate"})
_COUNTS = RATES | {"changes", "count_over_time", "resets", "stddev_over_time", "stdvar_over_time"}
_MONOTONE = RATES | {"count", "count_over_time", "last_over_time", "max", "max_over_time", "sum", "sum_over_time"}
"""What cannot give less for more series, none of them negative."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The least and the greatest value, both included."""

    low: float = -math.inf
    high: float = math.inf

    def never_fails(self, comparator: str, limit: float) -> bool:
        """Whether every value satisfies a limit."""
        least, greatest = self.low, self.high
        return {
            "below": greatest < limit,
            "at_most": greatest <= limit,
            "above": least > limit,
            "at_least": least >= limit,
        }[comparator]

    def never_passes(self, comparator: str, limit: float) -> bool:
        """Whether no value satisfies a limit."""
        opposite = {"below": "at_least", "at_most": "above", "above": "at_most", "at_least": "below"}[comparator]
        return self.never_fails(opposite, limit)

    def __str__(self) -> str:
        if self.high == math.inf:
            return f"never less than {self.low:g}"
        return f"never more than {self.high:g}" if self.low == -math.inf else f"between {self.low:g} and {self.high:g}"


ANY, NOT_NEGATIVE, SHARE = Bounds(), Bounds(0.0), Bounds(0.0, 1.0)


def bounds(node: Node) -> Bounds:
    """Return between which numbers the values of an expression lie; NaN and no value are left out."""
    if node.number is not None:
        return Bounds(node.number, node.number)
    if node.selector is not None:
        metric = node.selector.metric
        return SHARE if metric == "up" else NOT_NEGATIVE if metric.endswith("_bucket") else ANY
    if node.kind == "binary":
        return _binary(node)
    if node.kind == "unary":
        inner = bounds(node.parts[0])
        return Bounds(-inner.high, -inner.low)
    return _applied(node)


def _applied(node: Node) -> Bounds:
    if node.kind == "subquery":
        return bounds(node.parts[0])
    if node.name in _COUNTS or node.name in ("count", "stddev", "stdvar", "time"):
        return NOT_NEGATIVE
    if node.name in ("group", "absent", "absent_over_time", "present_over_time"):
        return SHARE
    given = next((part for part in reversed(node.parts) if part.kind != "string"), None)
    if given is None or not _phi_is_share(node):
        return ANY
    inner = bounds(node.parts[0] if node.name.startswith("label_") else given)
    if node.name in ("sum", "sum_over_time"):
        return Bounds(0.0 if inner.low >= 0 else -math.inf, 0.0 if inner.high <= 0 else math.inf)
    return inner if node.name in _SAME and not (node.name == "round" and len(node.parts) > 1) else ANY


def _phi_is_share(node: Node) -> bool:
    wanted = node.parts[0].number if node.name in ("quantile", "quantile_over_time") else 0.0
    return wanted is not None and 0 <= wanted <= 1


def _binary(node: Node) -> Bounds:
    left, right = (bounds(part) for part in node.parts)
    if node.name == "or":
        return Bounds(min(left.low, right.low), max(left.high, right.high))
    if node.name in ("and", "unless") or node.name in COMPARISONS:
        return left if node.name not in COMPARISONS else ANY
    if node.fills:
        return ANY
    if node.name == "/" and is_share(node):
        return SHARE
    return _arithmetic(node.name, left, right)


def _arithmetic(operator: str, left: Bounds, right: Bounds) -> Bounds:
    if operator == "+":
        return Bounds(left.low + right.low, left.high + right.high)
    if operator == "-":
        return Bounds(left.low - right.high, left.high - right.low)
    known = math.isfinite(left.low + left.high) and math.isfinite(right.low + right.high)
    if operator == "*" and known:
        corners = [one * other for one in (left.low, left.high) for other in (right.low, right.high)]
        return Bounds(min(corners), max(corners))
    return NOT_NEGATIVE if operator in ("*", "/") and left.low >= 0 and right.low >= 0 else ANY


def is_share(node: Node) -> bool:
    """Whether a division is of a part by the whole: the same question, asked of fewer of the same series."""
    part, whole = node.parts
    monotone = all(
        one.kind in ("selector", "subquery") or one.name in _MONOTONE for one in whole.walk() if one.kind != "number"
    )
    pairs = zip(_selectors(part), _selectors(whole), strict=False)
    return (
        node.labels is None
        and monotone
        and bounds(whole).low >= 0
        and without_matchers(part) == without_matchers(whole)
        and all(one.narrows(other) for one, other in pairs)
    )


def without_matchers(node: Node) -> Node:
    """Return the same expression for every series of its metrics."""
    selector = node.selector
    return replace(
        node,
        parts=tuple(without_matchers(part) for part in node.parts),
        selector=replace(selector, text=selector.metric, matchers=()) if selector else None,
    )


def _selectors(node: Node) -> list[Selector]:
    return [one.selector for one in node.walk() if one.selector is not None]
