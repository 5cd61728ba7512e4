"""Durations, shares and counts as people write them, and back."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def parse_duration(text: object) -> float:
    """Return seconds from ``120ms``, ``30m``, ``1h30m``.

    A bare number is refused, because nobody agrees on its unit. Raises ValueError with a suggestion.
    """
    if isinstance(text, str):
        compact = text.replace(" ", "")
        parts = _DURATION.findall(compact)
        if parts and "".join(number + unit for number, unit in parts) == compact:
            return math.fsum(float(number) * _SECONDS[unit] for number, unit in parts)
    raise ValueError(f"{text!r} is not a duration; write a number with a unit, such as 120ms, 30s, 15m, 2h, 7d")


def parse_rate(text: object) -> float:
    """Return events per second from ``50/s`` or ``600/min``. Raises ValueError with a suggestion."""
    if isinstance(text, str) and (found := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*/\s*(s|min|h)\s*", text)):
        rate = float(found[1]) / {"s": 1, "min": 60, "h": 3600}[found[2]]
        if 0 < rate < math.inf:
            return rate
    raise ValueError(f"{text!r} is not a rate; write how many in which time, such as 50/s or 600/min")


def parse_share(text: object) -> float:
    """Return a share between 0 and 1 from ``0.5%``.

    A bare number is refused: 0.5 could mean a half or half a percent. Raises ValueError with a suggestion.
    """
    if isinstance(text, str) and (found := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", text)):
        percent = float(found[1])
        if percent <= 100:  # noqa: PLR2004 - per cent
            return percent / 100
        raise ValueError(f"{text!r} is more than 100%")
    raise ValueError(f"{text!r} is not a share; write per cent, such as 0.5% or 99%")


def parse_count(text: object) -> float:
    """Return a whole number of events, zero or more. Raises ValueError."""
    if isinstance(text, int) and not isinstance(text, bool) and text >= 0:
        return float(text)
    raise ValueError(f"{text!r} is not a count; write a whole number, such as 0")


def parse_number(text: object) -> float:
    """Return a finite number without a unit. Raises ValueError."""
    if isinstance(text, int | float) and not isinstance(text, bool) and math.isfinite(text):
        return float(text)
    raise ValueError(f"{text!r} is not a number; this gate compares a bare value, write it without a unit")


def format_duration(seconds: float) -> str:
    """Return ``38 ms``, ``1.5 s``, ``30 s``, ``30 min``, ``2 h``."""
    if seconds < 0.9995:  # noqa: PLR2004 - from here on three digits round to a whole second
        return f"{seconds * 1000:.3g} ms"
    for size, name in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= size and (seconds % size == 0 or seconds >= 3 * size):
            return f"{seconds / size:.3g} {name}"
    return f"{seconds:.3g} s"


def format_value(value: float | None, unit: str) -> str:
    """Return a value for people; ``unit`` is ``share``, ``seconds``, ``count``, ``passes`` or ``""``."""
    if value is None:
        return "-"
    if unit == "share":
        return f"{value * 100:.3g} %"
    if unit == "seconds":
        return format_duration(value)
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.4g}"


def format_moment(moment: float) -> str:
    """Return unix seconds as ``2026-11-21T13:16:36Z``."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
