"""A result in words: three lines, or all that it rests on."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_rollout.judge.samples import shown
from pytest_rollout.units import format_duration, format_moment, format_value
from pytest_rollout.verdict import CheckResult

_MOMENTS = frozenset({"at", "after", "started_at", "changed_at"})
_SHARES = frozenset({"confidence", "high", "low", "share"})
_DURATIONS = frozenset(
    {"high_bound", "lag_p99", "latency", "longest_gap", "low_bound", "p50", "p90", "p95", "p99", "p99.9"}
)
_LONGEST = 300
"""Characters; what is longer is for machines."""
_BY_NAME = frozenset({"coverage", "each", "pairs"})
"""Their keys are names of things, not of numbers: they stay as they are."""


def explain(name: str, result: CheckResult, *, verbose: bool = False) -> str:
    """Return the verdict, why, and the numbers, each on a line; ``verbose`` adds the whole derivation.

    Raises ValueError, TypeError or AttributeError if the derivation holds results that are none.
    """
    lines = [
        f"{_line(name)}: {result.verdict.value.upper()} ({result.reason.value})",
        f"  {_line(result.message)}",
        f"  {', '.join(_numbers(result)) or 'nothing was measured'}",
    ]
    if verbose:
        lines += _told(result.derivation, "  ")
    return "\n".join(lines)


def _line(text: str) -> str:
    return " ".join(text.split())


def _numbers(result: CheckResult) -> Iterator[str]:
    if result.value is not None or result.limit is not None:
        yield f"value {format_value(result.value, result.unit)}"
        yield f"limit {format_value(result.limit, result.unit)}"
    if result.samples is not None:
        yield f"{result.samples:,} samples"
    if result.window:
        start, end = result.window
        yield f"window {format_moment(start)} to {format_moment(end)} ({format_duration(max(end - start, 0))})"
    if result.attachments:
        yield f"see {os.path.commonpath(result.attachments)}"


def _told(data: Mapping[str, Any], indent: str, *, by_name: bool = False) -> Iterator[str]:
    for key, value in data.items():
        name = key if by_name else key.replace("_", " ")
        if isinstance(value, Mapping) and key != "labels":
            yield from _mapping(name, key, value, indent)
        elif isinstance(value, list) and not all(isinstance(one, int | float) for one in value):
            yield f"{indent}{name}:"
            yield from _listed(value, indent + "  ")
        else:
            yield f"{indent}{name}: {_plain(key, value)}"


def _mapping(name: str, key: str, value: Mapping[str, Any], indent: str) -> Iterator[str]:
    if "verdict" in value and "derivation" in value:
        yield from (indent + line for line in explain(name, CheckResult.from_dict(value), verbose=True).splitlines())
    elif value and all(isinstance(one, int | float) for one in value.values()):
        yield f"{indent}{name}: {', '.join(line.strip() for line in _told(value, ''))}"
    else:
        yield f"{indent}{name}:"
        yield from _told(value, indent + "  ", by_name=key in _BY_NAME)


def _listed(values: list[Any], indent: str) -> Iterator[str]:
    for place, value in enumerate(values, 1):
        if not isinstance(value, Mapping):
            yield f"{indent}- {_plain('', value)}"
        elif "verdict" in value:
            yield from _mapping(str(place), "", value, indent)
        else:
            first, *rest = _told(value, indent + "  ")
            yield f"{indent}- {first.strip()}"
            yield from rest


def _plain(key: str, value: Any) -> str:
    if isinstance(value, Mapping):
        return _line(shown(value))
    if isinstance(value, list):
        return ", ".join(_plain(key, one) for one in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return _number(key, value)
    return "-" if value in (None, "") else _text(_line(str(value)))


def _text(line: str) -> str:
    return line if len(line) <= _LONGEST else f"{len(line):,} characters, in the verdict file"


def _number(key: str, value: float) -> str:
    if key in _MOMENTS:
        return format_moment(value)
    if key in _SHARES:
        return f"{value * 100:.6g} %"  # a confidence of 99.99 % is not one of 100 %
    if key in _DURATIONS:
        return format_duration(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.10g}"
