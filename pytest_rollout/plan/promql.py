"""The little PromQL that plans need: parse, look inside, put together."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from typing import Any, Literal

LOOKBACK = 300.0
"""How old a sample may be, in seconds, that an instant selector still sees: Prometheus's default."""
COMPARISONS = frozenset({"==", "!=", "<", ">", "<=", ">="})
_ABSENT = ("absent", "absent_over_time")


@dataclass(frozen=True, slots=True)
class Selector:
    """A vector selector: a metric name and its matchers, and which stretch of time it reads."""

    text: str
    """Without range and offset."""
    metric: str
    """Empty if the name itself is matched, as in ``{__name__=~"a|b"}``."""
    matchers: tuple[tuple[str, str, str], ...]
    """(label, operator, value), sorted."""
    range: float | None = None
    """Seconds in its own brackets; None for an instant selector."""
    offset: float = 0.0
    """Seconds from its newest sample to the instant of evaluation, subqueries around it included."""
    reach: float = LOOKBACK
    """Seconds from its oldest sample to the instant of evaluation, subqueries around it included."""
    fixed: bool = False
    """Whether it reads at a fixed time (``@ 1700000000``) instead."""

    @property
    def demanded_labels(self) -> frozenset[str]:
        """Labels that a series must have to match (an empty value also matches their absence)."""
        return frozenset(label for label, op, value in self.matchers if op in ("=", "=~") and value)

    def narrows(self, other: Selector) -> bool:
        """Whether every series of this selector is also one of the other, as far as the text shows."""
        return self.metric == other.metric and set(other.matchers) <= set(self.matchers)

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether a series with these labels (and ``__name__``) is selected; a missing label is an empty one."""
        if self.metric and labels.get("__name__", "") != self.metric:
            return False
        return all(accepts(operator, wanted, labels.get(label, "")) for label, operator, wanted in self.matchers)


@dataclass(frozen=True, slots=True)
class Node:
    """A part of an expression. Brackets are gone; parts that say the same are equal."""

    kind: Literal["aggregate", "binary", "call", "number", "selector", "string", "subquery", "unary"]
    name: str = ""
    """The function or operator; of a subquery its range, step and offset; of a string its text."""
    parts: tuple[Node, ...] = ()
    """What it is made of, in order; the aggregated expression comes last."""
    selector: Selector | None = None
    number: float | None = None
    labels: tuple[str, ...] | None = None
    """Of ``by``, ``without``, ``on``, ``ignoring``; None if there is no such clause."""
    keeps: bool = False
    """Whether the labels are those kept (``by``, ``on``); an aggregate without a clause keeps none."""
    fills: bool = False
    """Whether missing matches are filled in (``fill(0)``)."""

    def walk(self) -> Iterator[Node]:
        """Yield this part and everything below it, from the left."""
        yield self
        for part in self.parts:
            yield from part.walk()


def accepts(operator: str, wanted: str, value: str) -> bool:
    """Whether one matcher takes a label's value. Raises ValueError for a regex that cannot be read here."""
    if operator in ("=", "!="):
        return (wanted == value) is (operator == "=")
    return bool(_compiled(wanted).fullmatch(value)) is (operator == "=~")


def parse_selector(text: str) -> Selector:
    """Return a bare selector such as ``http_requests_total{code="500"}``. Raises ValueError."""
    import promql_parser as promql

    parsed = promql.parse(text)
    if not isinstance(parsed, promql.VectorSelector) or parsed.offset or parsed.at or parsed.matchers.or_matchers:
        raise ValueError(
            f'{text!r} must be a bare selector such as http_requests_total{{code="500"}}: '
            "no function, range or offset; the gate reads the counts itself"
        )
    metric, matchers = _matched(parsed)
    if not metric:
        raise ValueError(f"{text!r} must name one metric")
    return Selector(text, metric, matchers)


def check_expression(text: str) -> None:
    """Accept an expression whose value Python compares. Raises ValueError.

    A comparison inside the query filters: NaN and no traffic then look like "nothing wrong".
    """
    root = tree(text)
    if root.kind == "binary" and root.name in COMPARISONS:
        raise ValueError(f"the query compares with {root.name}; write the bare value and put the limit in the gate")
    of_range = root.selector is not None and root.selector.range is not None
    if of_range or root.kind in ("subquery", "string", "number"):
        raise ValueError("the query must give an instant vector or a scalar that can change")


def tree(text: str, window: float = 60.0) -> Node:
    """Return an expression as values, ``$window`` being that many seconds. Raises ValueError."""
    import promql_parser as promql

    try:
        parsed = promql.parse(text.replace("$window", f"{max(1, round(window * 1000))}ms"))
    except ValueError as exc:
        instead = "; write absent(x) or absent_over_time(x[5m])" if "function 'absent', got matrix" in str(exc) else ""
        raise ValueError(f"{exc}{instead}") from exc
    return _node(parsed, 0.0, 0.0)


def selectors(expression: str, window: float = 60.0) -> tuple[Selector, ...]:
    """Return what an expression reads, each once, in order; ``$window`` is that many seconds.

    What stands in ``absent()`` is left out: there, nothing is the good answer. Raises ValueError for what
    ``check_expression`` refuses to parse.
    """
    return tuple(dict.fromkeys(_read(tree(expression, window))))


def _read(node: Node) -> Iterator[Selector]:
    if node.selector is not None:
        yield node.selector
    for part in () if node.kind == "call" and node.name in _ABSENT else node.parts:
        yield from _read(part)


def _node(parsed: Any, span: float, ago: float) -> Node:
    """Return a parsed part as values; subqueries around it reach ``span`` and end ``ago`` seconds before."""
    kind = type(parsed).__name__
    if kind == "ParenExpr":
        return _node(parsed.expr, span, ago)
    if kind in ("VectorSelector", "MatrixSelector"):
        return Node("selector", selector=_selector(parsed, span, ago))
    if kind == "SubqueryExpr":
        length, offset = _seconds(parsed.range), _seconds(parsed.offset)
        inner = _node(parsed.expr, span + length + offset, ago + offset)
        inner = _fixed(inner) if _is_fixed(parsed.at) else inner
        return Node("subquery", f"[{length:g}:{_seconds(parsed.step):g}] offset {offset:g}", (inner,))
    return _inner(parsed, kind, span, ago)


def _is_fixed(at: Any) -> bool:
    import promql_parser as promql

    return at is not None and bool(at.type == promql.AtModifierType.At)


def _fixed(node: Node) -> Node:
    """Return a part whose selectors read at a fixed time."""
    selector = replace(node.selector, fixed=True) if node.selector else None
    return replace(node, selector=selector, parts=tuple(map(_fixed, node.parts)))


def _inner(parsed: Any, kind: str, span: float, ago: float) -> Node:
    if kind == "NumberLiteral":
        return Node("number", number=float(parsed.val))
    if kind == "StringLiteral":
        return Node("string", parsed.val)
    if kind == "UnaryExpr":
        return Node("unary", "-", (_node(parsed.expr, span, ago),))
    if kind == "Call":
        return Node("call", parsed.func.name, tuple(_node(part, span, ago) for part in parsed.args))
    return _grouped(parsed, span, ago)


def _grouped(parsed: Any, span: float, ago: float) -> Node:
    import promql_parser as promql

    modifier = parsed.modifier
    if isinstance(parsed, promql.AggregateExpr):
        parts = [part for part in (parsed.param, parsed.expr) if part is not None]
        labels = None if modifier is None else tuple(modifier.labels)
        keeps, fills = modifier is None or modifier.type == promql.AggModifierType.By, False
    else:
        parts = [parsed.lhs, parsed.rhs]
        matching = modifier.matching if modifier is not None else None
        labels = None if matching is None else tuple(matching.labels)
        keeps = matching is not None and matching.type == promql.LabelModifierType.Include
        fills = modifier is not None and _fills(modifier)
    return Node(
        "aggregate" if isinstance(parsed, promql.AggregateExpr) else "binary",
        str(parsed.op),
        tuple(_node(part, span, ago) for part in parts),
        labels=labels,
        keeps=keeps,
        fills=fills,
    )


def _fills(modifier: Any) -> bool:
    # The parser learnt fill() only lately.
    values = getattr(modifier, "fill_values", None)
    return values is not None and (values.lhs is not None or values.rhs is not None)


def _selector(parsed: Any, span: float, ago: float) -> Selector:

    vector = getattr(parsed, "vector_selector", parsed)
    if vector.matchers.or_matchers:
        raise ValueError(f"{vector!s}: 'or' between matchers is not PromQL everywhere; write two selectors")
    metric, matchers = _matched(vector)
    own = _seconds(parsed.range) if vector is not parsed else None
    offset = ago + _seconds(vector.offset)
    inner = ",".join(f"{label}{operator}{_quoted(value)}" for label, operator, value in matchers)
    return Selector(
        f"{metric}{{{inner}}}" if inner else metric,
        metric,
        matchers,
        range=own,
        offset=offset,
        reach=span + _seconds(vector.offset) + (LOOKBACK if own is None else own),
        fixed=_is_fixed(vector.at),
    )


def _matched(vector: Any) -> tuple[str, tuple[tuple[str, str, str], ...]]:
    found = [(one.name, _operator(one.op), one.value) for one in vector.matchers.matchers]
    for label, operator, value in found:
        if operator in ("=~", "!~"):
            _compiled(value, label)
    named = [matcher for matcher in found if matcher[:2] == ("__name__", "=")]
    metric = vector.name or (named[0][2] if named else "")
    return metric, tuple(sorted(matcher for matcher in found if matcher != ("__name__", "=", metric)))


@lru_cache(maxsize=1024)
def _compiled(text: str, label: str = "") -> re.Pattern[str]:
    r"""Return a regex of Prometheus (RE2), where classes such as ``\d`` are ASCII and the folding of case is not.

    https://github.com/google/re2/wiki/Syntax
    """
    refused = f"the regex {text!r}{f' of {label!r}' if label else ''} cannot be read here"
    if re.search(r"\[:\^?[a-z]+:\]", text):
        raise ValueError(f"{refused}: write [a-z] or [0-9] for classes such as [[:alpha:]]")
    try:
        return re.compile(text, re.DOTALL | (re.NOFLAG if "(?i" in text else re.ASCII))
    except re.error as exc:
        raise ValueError(f"{refused}: {exc}") from exc


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _seconds(length: timedelta | None) -> float:
    return length.total_seconds() if length is not None else 0.0


def _operator(op: object) -> str:
    import promql_parser as promql

    pairs = ((promql.MatchOp.Equal, "="), (promql.MatchOp.NotEqual, "!="), (promql.MatchOp.Re, "=~"))
    return next((text for known, text in pairs if op == known), "!~")
