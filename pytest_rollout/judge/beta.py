"""The incomplete beta function, on which exact bounds of shares rest, and a root finder."""

from __future__ import annotations

import math
from collections.abc import Callable

_TINY = 1e-300
_STEPS = 500
_CONVERGED = 1e-15
_ROOT_STEPS = 100
_PRECISE = 1e-13


def log_beta(a: float, b: float) -> float:
    """Return the logarithm of the beta function."""
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def incomplete_beta(a: float, b: float, x: float) -> float:
    """Return the regularised incomplete beta function (DLMF 8.17.22, by Lentz's method)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - incomplete_beta(b, a, 1 - x)
    front = a * math.log(x) + b * math.log1p(-x) - log_beta(a, b)
    return math.exp(front) * _fraction(a, b, x) / a


def _fraction(a: float, b: float, x: float) -> float:
    c, d = 1.0, 1 / _away(1 - (a + b) * x / (a + 1))
    out = d
    for m in range(1, _STEPS + int(math.sqrt(a + b))):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d, c = 1 / _away(1 + term * d), _away(1 + term / c)
            out *= c * d
        if abs(c * d - 1) < _CONVERGED:
            break
    return out


def _away(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def crossing(rising: Callable[[float], float], low: float, high: float) -> float:
    """Return where a rising function crosses zero between two places, to double precision.

    False position with the Illinois change (Dowell and Jarratt, BIT 11, 1971): the end that stays for a second time
    counts half. Every fourth step is a bisection, so it is never slower than that for long.
    """
    at_low, at_high, stayed = rising(low), rising(high), 0
    if at_low >= 0 or at_high <= 0:
        return low if at_low >= 0 else high
    for step in range(_ROOT_STEPS):
        width = high - low
        if width <= _PRECISE * max(abs(low), abs(high)):
            break
        place = low + width / 2 if step % 4 == 3 else low - at_low * width / (at_high - at_low)  # noqa: PLR2004
        place = min(max(place, low), high)
        value = rising(place)
        if value == 0:
            return place
        if value < 0:
            low, at_low = place, value
            at_high, stayed = (at_high / 2 if stayed > 0 else at_high), 1
        else:
            high, at_high = place, value
            at_low, stayed = (at_low / 2 if stayed < 0 else at_low), -1
    return (low + high) / 2
