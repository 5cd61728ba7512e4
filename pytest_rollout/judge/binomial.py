"""Exact binomial bounds (Clopper and Pearson, Biometrika 26, 1934), for evidence that is looked at once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from pytest_rollout.judge.beta import crossing, incomplete_beta

_KEPT = 4096
"""Bounds that are kept: the same counts are asked for by several gates and buckets."""
_LEAST_LOG = -745.0
"""About the logarithm of the smallest double."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Where the true share lies, at the confidence asked for."""

    low: float
    high: float


def interval(bad: float, total: float, tail: float) -> Interval:
    """Return the exact interval of the share ``bad / total``, wrong on either side with at most ``tail``.

    All of [0, 1] without data.
    """
    return Interval(lower(bad, total, tail), upper(bad, total, tail))


@lru_cache(_KEPT)
def lower(bad: float, total: float, tail: float) -> float:
    """Return the lower end of the interval. Counts need not be whole; it rises with ``bad``."""
    if bad <= 0 or total <= 0:
        return 0.0
    log_tail = math.log(tail)
    return crossing(lambda p: _log(at_least(bad, total, p)) - log_tail, 0.0, min(bad / total, 1.0))


@lru_cache(_KEPT)
def upper(bad: float, total: float, tail: float) -> float:
    """Return the upper end of the interval. Counts need not be whole.

    It rises with ``bad`` and, for the same share, as ``total`` shrinks.
    """
    if bad >= total:
        return 1.0
    log_tail = math.log(tail)
    return crossing(lambda p: log_tail - _log(at_most(bad, total, p)), bad / total, 1.0)


def at_most(k: float, n: float, p: float) -> float:
    """Return P(X <= k) for X ~ Binomial(n, p)."""
    return 1.0 if k >= n else incomplete_beta(n - k, k + 1, 1 - p)


def at_least(k: float, n: float, p: float) -> float:
    """Return P(X >= k) for X ~ Binomial(n, p)."""
    return 1.0 if k <= 0 else incomplete_beta(k, n - k + 1, p)


def _log(probability: float) -> float:
    return math.log(probability) if probability > 0 else _LEAST_LOG
