"""Exact binomial bounds (Clopper and Pearson, Biometrika 26, 1934)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

_TINY = 1e-300
_STEPS = 500


@dataclass(frozen=True, slots=True)
class Interval:
    """Where the true share lies, at the confidence asked for."""

    low: float
    high: float


def interval(bad: int, total: int, confidence: float) -> Interval:
    """Return the two-sided exact interval of the share ``bad / total``; all of [0, 1] without data."""
    tail = (1 - confidence) / 2
    low = 0.0 if bad == 0 or total == 0 else _solve(lambda p: at_least(bad, total, p) < tail)
    high = 1.0 if bad >= total else _solve(lambda p: at_most(bad, total, p) > tail)
    return Interval(low, high)


def at_most(k: int, n: int, p: float) -> float:
    """Return P(X <= k) for X ~ Binomial(n, p)."""
    return 1.0 if k >= n else _incomplete_beta(n - k, k + 1, 1 - p)


def at_least(k: int, n: int, p: float) -> float:
    """Return P(X >= k) for X ~ Binomial(n, p)."""
    return 1.0 if k <= 0 else _incomplete_beta(k, n - k + 1, p)


def further_needed(bad: int, total: int, limit: float, confidence: float) -> int | None:
    """Return how many more requests would prove the share below the limit, if the observed rate holds.

    None if it would not: the observed rate is not below the limit.
    """
    rate = bad / total if total else 0.0
    if rate >= limit:
        return None
    low, high = total, max(total, 16)
    while not _proven(rate, high, limit, confidence):
        low, high = high, high * 2
        if high > 10**10:  # a rate this close to the limit is never proven in practice
            return None
    while high - low > max(1, high // 1000):
        middle = (low + high) // 2
        low, high = (low, middle) if _proven(rate, middle, limit, confidence) else (middle, high)
    return high - total


def _proven(rate: float, total: int, limit: float, confidence: float) -> bool:
    return at_most(math.ceil(rate * total), total, limit) < (1 - confidence) / 2


def _solve(below: Callable[[float], bool]) -> float:
    """Bisect for the share at which ``below(p)`` turns from true to false."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) else (low, middle)
    return (low + high) / 2


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """Return the regularised incomplete beta function (DLMF 8.17.22, by Lentz's method)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(b, a, 1 - x)
    front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
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
        if abs(c * d - 1) < 1e-15:  # noqa: PLR2004 - converged to double precision
            break
    return out


def _away(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
