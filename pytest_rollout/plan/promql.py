"""The little PromQL that plans need: parse, look inside, put together."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Selector:
    """An instant vector selector: a metric name and its matchers, as written."""

    text: str
    metric: str
    matchers: tuple[tuple[str, str, str], ...]
    """(label, operator, value), sorted."""

    @property
    def demanded_labels(self) -> frozenset[str]:
        """Labels that a series must have to match (an empty value also matches their absence)."""
        return frozenset(label for label, op, value in self.matchers if op in ("=", "=~") and value)

    def narrows(self, other: Selector) -> bool:
        """Whether every series of this selector is also one of the other, as far as the text shows."""
        return self.metric == other.metric and set(other.matchers) <= set(self.matchers)


def parse_selector(text: str) -> Selector:
    """Return a bare selector such as ``http_requests_total{code="500"}``. Raises ValueError."""
    import promql_parser as promql

    parsed = promql.parse(text)
    if not isinstance(parsed, promql.VectorSelector) or parsed.offset or parsed.at or parsed.matchers.or_matchers:
        raise ValueError(
            f'{text!r} must be a bare selector such as http_requests_total{{code="500"}}: '
            "no function, range or offset; the gate reads the counts itself"
        )
    matchers = [(m.name, _operator(m.op), m.value) for m in parsed.matchers.matchers]
    names = [value for label, op, value in matchers if label == "__name__" and op == "="]
    metric = parsed.name or (names[0] if names else "")
    if not metric:
        raise ValueError(f"{text!r} must name one metric")
    return Selector(text, metric, tuple(sorted(m for m in matchers if m[0] != "__name__")))


def check_expression(text: str) -> None:
    """Accept an expression whose value Python compares. Raises ValueError.

    A comparison inside the query filters: NaN and no traffic then look like "nothing wrong".
    """
    import promql_parser as promql

    parsed = promql.parse(text.replace("$window", "1m"))
    while isinstance(parsed, promql.ParenExpr):
        parsed = parsed.expr
    if isinstance(parsed, promql.BinaryExpr) and str(parsed.op) in {"==", "!=", "<", ">", "<=", ">="}:
        raise ValueError(f"the query compares with {parsed.op!s}; write the bare value and put the limit in the gate")
    if isinstance(parsed, promql.MatrixSelector | promql.SubqueryExpr | promql.StringLiteral | promql.NumberLiteral):
        raise ValueError("the query must give an instant vector or a scalar that can change")


def _operator(op: object) -> str:
    import promql_parser as promql

    pairs = ((promql.MatchOp.Equal, "="), (promql.MatchOp.NotEqual, "!="), (promql.MatchOp.Re, "=~"))
    return next((text for known, text in pairs if op == known), "!~")
