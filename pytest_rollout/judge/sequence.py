"""Bounds that hold at all times at once, for evidence that is looked at again and again while it grows.

Whoever waits until a fixed-sample interval clears the limit, finds it cleared by chance sooner or later. Here, for
each share ``s`` that is asked about, a bet is placed against "the true share is at least ``s``": the mixture, over
all smaller shares, of their likelihood ratios. If the claim is true, the bet is a non-negative supermartingale that
begins at 1, so the chance that it *ever* reaches ``1 / tail`` is at most ``tail`` (Ville 1939; Robbins, Annals of
Mathematical Statistics 41, 1970; Howard, Ramdas, McAuliffe and Sekhon, Annals of Statistics 49, 2021, for
confidence sequences). That mixture is a Beta(1/2, 1/2) cut off at ``s``; the one against "at most ``s``", over all
larger shares, is even in their logarithm.
"""

from __future__ import annotations

import math
from functools import lru_cache

from pytest_rollout.judge.beta import crossing, incomplete_beta, log_beta
from pytest_rollout.judge.binomial import Interval

_HALF = 0.5
_KEPT = 4096
_LEAST = 1e-12
"""The smallest share that is asked about."""
_NOTHING = -1e9
"""The logarithm of a bet that is lost beyond what a double can hold."""


def interval(bad: float, total: float, tail: float) -> Interval:
    """Return an interval of the share that is wrong on either side, ever, with at most ``tail``.

    All of [0, 1] without data.
    """
    return Interval(lower(bad, total, tail), upper(bad, total, tail))


@lru_cache(_KEPT)
def lower(bad: float, total: float, tail: float) -> float:
    """Return the lower end of the interval: the largest share that the bet has not been won against."""
    if bad <= 0 or total <= 0:
        return 0.0
    wanted = -math.log(tail)
    return crossing(lambda share: max(wanted - log_bet_above(bad, total, share), -50.0), _LEAST, min(bad / total, 1.0))


@lru_cache(_KEPT)
def upper(bad: float, total: float, tail: float) -> float:
    """Return the upper end of the interval: the least share that the bet has not been won against."""
    if bad >= total:
        return 1.0
    wanted = -math.log(tail)
    # A bet of infinity at 1 would spoil the steps of the root finder.
    return crossing(lambda share: min(log_bet(bad, total, share) - wanted, 50.0), bad / total, 1.0)


def spent(tail: float, epoch: int) -> float:
    """Return the part of ``tail`` that belongs to one stretch of evidence, counted from 1.

    Evidence that lost its use is left behind by beginning anew; all parts together are ``tail``, since the sum of
    1/n^2 is pi^2/6.
    """
    return tail * 6 / (math.pi * epoch) ** 2


def log_bet(bad: float, total: float, share: float) -> float:
    """Return the logarithm of the bet against "the true share is at least ``share``"."""
    if share >= 1:
        return math.inf if bad < total else _NOTHING
    if share <= 0:
        return _NOTHING
    a, b = bad + _HALF, total - bad + _HALF
    below = incomplete_beta(a, b, share)
    if below <= 0:
        return _NOTHING
    won = log_beta(a, b) + math.log(below) - log_beta(_HALF, _HALF) - math.log(incomplete_beta(_HALF, _HALF, share))
    return won - bad * math.log(share) - (total - bad) * math.log1p(-share)


def log_bet_above(bad: float, total: float, share: float) -> float:
    """Return the logarithm of the bet against "the true share is at most ``share``".

    It is spread evenly over the logarithm of the larger shares: a limit that is exceeded is exceeded by some factor,
    and small shares are what limits are about.
    """
    above = incomplete_beta(total - bad + 1, bad, 1 - share)
    if share >= 1 or above <= 0:
        return _NOTHING
    won = log_beta(bad, total - bad + 1) + math.log(above) - math.log(-math.log(share))
    return won - bad * math.log(share) - (total - bad) * math.log1p(-share)
