"""Fields of a plan that speak of series: selectors, names of metrics, expressions."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator

from pytest_rollout.plan import promql


def _selector(text: object) -> str:
    if not isinstance(text, str):
        raise ValueError("a selector is text")
    promql.parse_selector(text)
    return text


def _metric(text: object) -> str:
    if not isinstance(text, str) or not re.fullmatch(r"[a-zA-Z_:][a-zA-Z0-9_:]*", text):
        raise ValueError(f"{text!r} is not the name of a metric; matchers go into 'where'")
    return text


def _expression(text: object) -> str:
    if not isinstance(text, str):
        raise ValueError("an expression is text")
    promql.check_expression(text)
    return text


def _zero(value: object) -> object:
    if value is None or (value == 0 and not isinstance(value, bool)):
        return value
    raise ValueError(f"{value!r}: no series can only mean zero; write absent_is: 0, or leave it out")


Zero = Annotated[Literal[0], BeforeValidator(_zero)]
Selector = Annotated[str, BeforeValidator(_selector)]
Metric = Annotated[str, BeforeValidator(_metric)]
Expression = Annotated[str, BeforeValidator(_expression)]
