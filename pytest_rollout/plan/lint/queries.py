"""Rules about one PromQL expression."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from pytest_rollout.plan.lint.bounds import ANY, RATES, SHARE, bounds, without_matchers
from pytest_rollout.plan.lint.facts import Case, Finding
from pytest_rollout.plan.lint.metrics import is_histogram, kind_of
from pytest_rollout.plan.promql import COMPARISONS, Node

_OF_GAUGES = frozenset({"delta", "idelta", "deriv", "predict_linear", "holt_winters", "double_exponential_smoothing"})
_PICKS_SERIES = frozenset({"min", "max", "topk", "bottomk", "quantile"})
_KEEPS_LABELS = frozenset({"topk", "bottomk", "limitk", "limit_ratio"})
_VECTORS = frozenset({"selector", "call", "aggregate", "binary", "unary"})


def query_findings(case: Case, root: Node) -> Iterator[Finding]:
    """Yield what is wrong with a query whose value is compared with a limit."""
    for rule in (_nothing_read, _refused, _never_decides, _saturates, _unaggregated):
        yield from rule(case, root)
    for node in root.walk():
        for look in (_comparison, _hidden, _always_same, _rate, _delta, _phi, _quantile):
            yield from look(case, node)


def _nothing_read(case: Case, root: Node) -> Iterator[Finding]:
    if not any(node.selector for node in root.walk()):
        yield case.finding(
            "error",
            "reads-nothing",
            "the query reads no series, so nothing that happens can change its value",
            "name a metric",
        )


def _refused(case: Case, root: Node) -> Iterator[Finding]:  # noqa: ARG001 - rules are called alike
    said = case.live.check(case.text.replace("$window", f"{case.window * 1000:.0f}ms")) if case.live else None
    if said is not None:
        yield case.finding(
            "error",
            "refused",
            f"the server refuses the query: {said}",
            "write it for the version of the server that is asked",
        )


def _comparison(case: Case, node: Node) -> Iterator[Finding]:
    if node.kind == "binary" and node.name in COMPARISONS:
        yield case.finding(
            "error",
            "comparison",
            f"the query compares with {node.name}: a filter drops NaN, and what is not there looks good",
            "leave the comparison out: the gate compares, and 'quantifier' counts the series that hold",
        )


def _hidden(case: Case, node: Node) -> Iterator[Finding]:
    constant = node.name == "or" and any(not any(one.selector for one in part.walk()) for part in node.parts)
    if node.kind == "binary" and (constant or node.fills):
        yield case.finding(
            "error",
            "hides-missing",
            f"{'fill()' if node.fills else 'or with a constant'} puts a number where data is missing: "
            "a misspelt metric or a dead target then looks like that number",
            "leave it out: a gate without data holds; 'absent_is: 0' of a ratio or counter says when nothing is zero",
        )


def _always_same(case: Case, node: Node) -> Iterator[Finding]:
    if node.kind != "binary" or node.name not in ("/", "-") or not any(one.selector for one in node.walk()):
        return
    left, right = node.parts
    grouped = node.labels is not None or any(one.kind == "aggregate" for one in node.walk())
    if left == right or (not grouped and without_matchers(left) == without_matchers(right)):
        yield case.finding(
            "error",
            "self-match",
            f"both sides of {node.name} are the same series, and each is matched with itself: "
            f"the value is always {1 if node.name == '/' else 0}, or nothing",
            "sum both sides first: sum(rate(bad)) / sum(rate(all)); or use a ratio gate, which counts",
        )


def _unaggregated(case: Case, root: Node) -> Iterator[Finding]:
    if root.kind == "aggregate" and root.name in _PICKS_SERIES:
        return
    plain = root.kind == "binary" and root.name == "/" and all(_is_plain_vector(part) for part in root.parts)
    if plain and len({without_matchers(part) for part in root.parts}) > 1:
        yield case.finding(
            "warning",
            "unaggregated-division",
            "the query divides series by series: a pod with three requests weighs as much as one with thousands",
            "sum both sides, or take min() or max() of the quotients",
        )
    for part in root.parts:
        yield from _unaggregated(case, part)


def _is_plain_vector(node: Node) -> bool:
    scalar = node.kind == "call" and node.name in ("scalar", "time")
    inside = list(node.walk())
    return (
        not scalar
        and node.kind in _VECTORS
        and any(one.selector for one in inside)
        and not any(one.kind == "aggregate" for one in inside)
    )


def _rate(case: Case, node: Node) -> Iterator[Finding]:
    if node.kind != "call" or node.name not in RATES or not node.parts:
        return
    (inner,) = node.parts[0].parts or node.parts[:1]
    if any(one.kind == "aggregate" for one in inner.walk()):
        yield case.finding(
            "error",
            "rate-of-aggregate",
            f"{node.name}() of an aggregate: when one instance restarts or leaves, the sum falls, "
            "and that looks like a counter that began anew",
            f"aggregate last: sum({node.name}(x[5m]))",
        )
    elif inner.selector and inner.selector.metric:
        kind = kind_of(inner.selector.metric, case.live)
        if kind.name == "gauge":
            yield case.finding(
                kind.severity,
                "rate-of-gauge",
                f"{node.name}() of {inner.selector.metric!r}, which is {kind.said}: every fall counts as a restart",
                "use a counter, or delta() or deriv() of the gauge",
            )


def _delta(case: Case, node: Node) -> Iterator[Finding]:
    if node.kind != "call" or node.name not in _OF_GAUGES or not node.parts:
        return
    selector = node.parts[0].selector
    kind = kind_of(selector.metric, case.live) if selector and selector.metric else None
    if selector and kind and kind.name == "counter":
        yield case.finding(
            kind.severity,
            "delta-of-counter",
            f"{node.name}() of {selector.metric!r}, which is {kind.said}: a restart makes it fall, and hides what rose",
            "use increase() or rate(), or a counter gate",
        )


def _phi(case: Case, node: Node) -> Iterator[Finding]:
    if node.name not in ("histogram_quantile", "quantile_over_time", "quantile") or not node.parts:
        return
    phi = node.parts[0].number
    if phi is not None and not 0 <= phi <= 1:
        wanted = f"write {phi / 100:g}" if 1 < phi <= 100 else "write a share, such as 0.95"  # noqa: PLR2004 - per cent
        yield case.finding(
            "error",
            "phi",
            f"{node.name} of {phi:g}: a quantile lies between 0 and 1, the value is always infinite",
            wanted,
        )


def _quantile(case: Case, node: Node) -> Iterator[Finding]:
    if node.name != "histogram_quantile" or not node.parts:
        return
    metrics = [one.selector.metric for one in node.walk() if one.selector and one.selector.metric]
    if any("_bucket" in metric for metric in metrics):
        yield from _without_le(case, node.parts[-1])
        return
    for metric in metrics:
        known, base = is_histogram(metric, case.live), re.sub(r"_(total|count|sum)$", "", metric)
        classic = case.live is not None and f"{base}_bucket" in case.live.metric_names
        if not known:
            yield case.finding(
                "error" if classic or known is False else "warning",
                "quantile-of-no-bucket",
                f"histogram_quantile() of {metric!r}, which does not name buckets: without them there is no value",
                f"read {base}_bucket; only a native histogram goes by its bare name",
            )


def _without_le(case: Case, node: Node) -> Iterator[Finding]:
    for one in node.walk():
        if one.kind != "aggregate" or one.name in _KEEPS_LABELS:
            continue
        if ("le" in (one.labels or ())) is not one.keeps:
            yield case.finding(
                "error",
                "quantile-without-le",
                f"{one.name}() drops the label 'le' below histogram_quantile(): the buckets cannot be told apart, "
                "and there is never a value",
                f"keep it: {one.name} by (le) (...)",
            )


def _never_decides(case: Case, root: Node) -> Iterator[Finding]:
    gate, found = case.gate, bounds(root)
    if gate.promql is None or gate.limit is None or gate.comparator is None or found == ANY:
        return
    limit = f"{gate.comparator}: {gate.limit:g}"
    percent = f"a share lies between 0 and 1: write {gate.limit / 100:g}" if found == SHARE and gate.limit > 1 else ""
    if found.never_fails(gate.comparator, gate.limit):
        yield case.finding(
            "error",
            "cannot-fail",
            f"the value is {found}, so '{limit}' holds whatever happens",
            percent or "set a limit that a bad release would break",
        )
    elif found.never_passes(gate.comparator, gate.limit):
        yield case.finding(
            "error",
            "cannot-pass",
            f"the value is {found}, so '{limit}' never holds",
            percent or "set a limit that a good release keeps",
        )


def _saturates(case: Case, root: Node) -> Iterator[Finding]:
    gate = case.gate
    if case.live is None or root.name != "histogram_quantile" or gate.limit is None or gate.comparator is None:
        return
    for selector in {node.selector.text for node in root.walk() if node.selector}:
        found = case.live.bucket_bounds(selector) or ()
        top = max(found, default=math.inf)
        if (gate.comparator == "at_most" and gate.limit >= top) or (gate.comparator == "below" and gate.limit > top):
            yield case.finding(
                "error",
                "bucket-limit",
                f"the value is never more than {top:g}, the greatest finite bucket, "
                f"so '{gate.comparator}: {gate.limit:g}' holds however slow it is",
                f"set a limit below {top:g}, or add buckets above it",
            )
