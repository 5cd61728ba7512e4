"""A result in words: three lines, or all that it rests on."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from pytest_rollout.units import format_duration, format_value
from pytest_rollout.verdict import CheckResult

_MOMENTS = frozenset({"at", "after", "started_at", "changed_at"})
_WINDOWS = frozenset({"window"})
_LATE = 1e8
"""A number above this, where a moment is meant, is unix seconds."""


def explain(name: str, result: CheckResult, *, verbose: bool = False) -> str:
    """Return the verdict, why, and the numbers, each on a line; ``verbose`` adds the whole derivation."""
    lines = [f"{name}: {result.verdict.value.upper()} ({result.reason.value})", f"  {result.message}"]
    if numbers := _numbers(result):
        lines.append(f"  {numbers}")
    if result.attachments:
        lines.append(f"  see {os.path.commonpath(result.attachments)}")
    if verbose:
        lines += _told(result.derivation, "  ")
    return "\n".join(lines)


def _numbers(result: CheckResult) -> str:
    parts = []
    if result.value is not None or result.limit is not None:
        parts.append(f"value {format_value(result.value, result.unit)}")
        parts.append(f"limit {format_value(result.limit, result.unit)}")
    if result.samples is not None:
        parts.append(f"{result.samples:,} samples")
    if result.window:
        start, end = result.window
        parts.append(f"window {_clock(start)} to {_clock(end)} ({format_duration(max(end - start, 0))})")
    return ", ".join(parts)


def _told(data: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, value in data.items():
        name = key.replace("_", " ")
        if isinstance(value, Mapping):
            yield f"{indent}{name}:"
            yield from _told(value, indent + "  ")
        elif isinstance(value, list) and value and key not in _WINDOWS:
            yield f"{indent}{name}:"
            yield from _listed(value, indent + "  ")
        else:
            yield f"{indent}{name}: {_plain(key, value)}"


def _listed(values: list[Any], indent: str) -> Iterator[str]:
    for value in values:
        if isinstance(value, Mapping):
            first, *rest = _told(value, indent + "  ")
            yield f"{indent}- {first.strip()}"
            yield from rest
        else:
            yield f"{indent}- {_plain('', value)}"


def _plain(key: str, value: Any) -> str:
    if isinstance(value, float) and key in _MOMENTS and value > _LATE:
        return _clock(value)
    if isinstance(value, list):
        return " to ".join(_plain("at", one) for one in value) or "none"
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:.10g}"
    return "-" if value is None else str(value)


def _clock(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
