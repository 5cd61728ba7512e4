"""Exact binomial bounds (Clopper and Pearson, Biometrika 26, 1934), for evidence that is looked at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pytest_rollout.judge.beta import crossing, incomplete_beta

_LEAST_LOG = -745.0
"""About the logarithm of the smallest double."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Where the true share lies, at the confidence asked for."""

    low: float
    high: float


def interval(bad: float, total: float, tail: float) -> Interval:
    """Return the exact interval of the share ``bad / total``, wrong on either side with at most ``tail``.

    All of [0, 1] without data. Counts need not be whole: the bounds are quantiles of beta distributions, which
    rise with ``bad`` and, for the same share, move apart as ``total`` shrinks.
    """
    log_tail = math.log(tail)
    low, high = 0.0, 1.0
    if bad > 0 and total > 0:
        low = crossing(lambda p: _log(at_least(bad, total, p)) - log_tail, 0.0, min(bad / total, 1.0))
    if bad < total:
        high = crossing(lambda p: log_tail - _log(at_most(bad, total, p)), bad / total, 1.0)
    return Interval(low, high)


def at_most(k: float, n: float, p: float) -> float:
    """Return P(X <= k) for X ~ Binomial(n, p)."""
    return 1.0 if k >= n else incomplete_beta(n - k, k + 1, 1 - p)


def at_least(k: float, n: float, p: float) -> float:
    """Return P(X >= k) for X ~ Binomial(n, p)."""
    return 1.0 if k <= 0 else incomplete_beta(k, n - k + 1, p)


def _log(probability: float) -> float:
    return math.log(probability) if probability > 0 else _LEAST_LOG
