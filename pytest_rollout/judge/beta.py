"""The incomplete beta function, on which exact bounds of shares rest, and a root finder."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

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
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1) or _TINY)
    out = d
    for m in range(1, _STEPS + int(math.sqrt(a + b))):
        twice = a + 2 * m
        term = m * (b - m) * x / ((twice - 1) * twice)
        d, c = 1 / (1 + term * d or _TINY), 1 + term / c or _TINY
        out *= c * d
        term = -(a + m) * (a + b + m) * x / (twice * (twice + 1))
        d, c = 1 / (1 + term * d or _TINY), 1 + term / c or _TINY
        step = c * d
        out *= step
        if abs(step - 1) < _CONVERGED:
            break
    return out


def crossing(rising: Callable[[float], float], low: float, high: float) -> float:
    """Return where a rising function crosses zero between two places, to double precision.

    Inverse quadratic interpolation where it is safe, else bisection (Chandrupatla, Advances in Engineering Software
    28, 1997): a few evaluations for smooth functions, and never many.
    """
    near, far = (low, rising(low)), (high, rising(high))
    if near[1] >= 0 or far[1] <= 0:
        return low if near[1] >= 0 else high
    part = 0.5
    for _ in range(_ROOT_STEPS):
        place = near[0] + part * (far[0] - near[0])
        found = (place, rising(place))
        if (found[1] < 0) == (near[1] < 0):
            last = near
        else:
            last, far = far, near
        near = found
        best = min(near, far, key=lambda one: abs(one[1]))
        least = _PRECISE * abs(best[0]) / abs(far[0] - near[0])
        if best[1] == 0 or least > 0.5:  # noqa: PLR2004 - half of what is left
            return best[0]
        part = min(max(_part(near, far, last), least), 1 - least)
    return near[0]


_Point: TypeAlias = tuple[float, float]
"""A place and the function there."""


def _part(near: _Point, far: _Point, last: _Point) -> float:
    """Return how far to go from near to far: by interpolation through three points if that is safe, else half."""
    (x1, f1), (x2, f2), (x3, f3) = near, far, last
    if f3 in (f1, f2) or x3 == x2:
        return 0.5
    xi, phi = (x1 - x2) / (x3 - x2), (f1 - f2) / (f3 - f2)
    if not (phi * phi < xi and (1 - phi) ** 2 < 1 - xi):
        return 0.5
    return f1 / (f2 - f1) * f3 / (f2 - f3) + (x3 - x1) / (x2 - x1) * f1 / (f3 - f1) * f2 / (f3 - f2)
