"""Two shares compared exactly on counts (Fisher 1935; Cornfield 1956 for the odds ratio).

Given how many of all requests were bad, the number of bad ones among ``now`` follows Fisher's noncentral
hypergeometric distribution, which knows the two shares only by their odds ratio. So it needs no guess of either.
It is log-concave: the ratios of neighbouring terms fall steadily. Each sum here is taken outwards from the observed
count, by these ratios alone. That needs no logarithm of factorials, which at 1e8 requests cancel to eight digits
less; and where a sum overflows, the chance asked for is 0 or 1 to double precision.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist

from pytest_rollout.judge import binomial
from pytest_rollout.judge.beta import crossing

_NEGLIGIBLE = 1e-17
_CLOSE = 5e-6
"""A chance below the one looked for by less than twice this part of it is taken for it."""
_LEAST = 1e-300
"""Chances below this are not told apart."""
_LEAST_LOG = -700.0
"""The logarithm of odds that are searched no further."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Bad requests of all requests of one side. Raises ValueError unless ``0 <= bad <= total``."""

    bad: int
    total: int

    def __post_init__(self) -> None:
        if not 0 <= self.bad <= self.total:
            raise ValueError(f"{self.bad} bad of {self.total} requests cannot be")


def at_most(now: Sample, base: Sample, odds: float) -> float:
    """Return P(K <= now.bad), K the bad ones among ``now``, given both totals and the sum of the bad ones.

    ``odds``, above 0, is the odds ratio of now over base. It falls as ``odds`` rises; 1 if the counts leave K no
    choice: a side without requests, no bad request at all, or nothing but bad ones.
    """
    below, above = _beside(now, base, odds)
    return 1 / (1 + above / (1 + below))


def at_least(now: Sample, base: Sample, odds: float) -> float:
    """Return P(K >= now.bad), the other tail; see ``at_most``."""
    below, above = _beside(now, base, odds)
    return 1 / (1 + below / (1 + above))


def not_worse(now: Sample, base: Sample, odds: float, tail: float) -> bool:
    """Whether "the odds ratio of now over base is at least ``odds``" is rejected, wrongly with at most ``tail``.

    For ``odds >= 1`` the ratio of the shares themselves is then below ``odds`` too, at no further error. It is
    ``odds ratio / (1 - p + odds ratio * p)`` with p the share of base: below 1 if the odds ratio is, else at most the
    odds ratio. That is why passes rest on this and not on a bound of the ratio. Without bad requests, or without
    requests on one side, nothing is proven.
    """
    return at_most(now, base, odds) < tail


def worst_ratio_low(now: Sample, base: Sample, tail: float) -> float:
    """Return a lower bound of the share of now over the share of base, too high with at most ``tail``.

    The exact test bounds the odds ratio, psi, not the ratio of shares, which is ``psi / (1 - p + psi * p)`` with p
    the share of base. It rises with psi; and it falls with p if psi > 1. So one half of ``tail`` pays for the lower
    bound of psi and the other for the upper bound of p (Clopper and Pearson). If psi <= 1, then the ratio is at least
    psi for every p. 0 if nothing is known.
    """
    psi = _odds_low(now, base, tail / 2)
    if psi <= 1:
        return psi
    most = binomial.interval(base.bad, base.total, tail / 2).high
    return psi / (1 - most + psi * most)


def _odds_low(now: Sample, base: Sample, tail: float) -> float:
    """Return the odds ratio at which as many bad ones among ``now`` as there are, or more, have the chance ``tail``.

    The search goes down from the observed odds ratio, at which that chance is about one half.
    """
    if not now.bad or base.bad == base.total:
        return 0.0
    cells = [part + 0.5 for part in (now.bad, now.total - now.bad, base.bad, base.total - base.bad)]
    high = math.log(cells[0] / cells[1]) - math.log(cells[2] / cells[3])
    step = math.sqrt(math.fsum(1 / cell for cell in cells))

    @cache
    def rising(log_odds: float) -> float:
        # On the scale of the normal distribution it is nearly straight, so a few steps find the place.
        chance = at_least(now, base, math.exp(log_odds))
        return 0.0 if tail * (1 - 2 * _CLOSE) <= chance <= tail else _normal(chance) - _normal(tail * (1 - _CLOSE))

    low = high - 4 * step
    while low > _LEAST_LOG and rising(low) > 0:
        step *= 2
        low = max(low - step, _LEAST_LOG)
    return math.exp(crossing(rising, low, high))


def _normal(chance: float) -> float:
    return NormalDist().inv_cdf(min(max(chance, _LEAST), 1 - 1e-15))


def _beside(now: Sample, base: Sample, odds: float) -> tuple[float, float]:
    """Return the chances of fewer and of more bad ones among ``now``, over the chance of as many as there are."""
    # With the sides swapped, fewer becomes more, and the odds ratio turns over.
    return _more(base, now, 1 / odds), _more(now, base, odds)


def _more(one: Sample, other: Sample, odds: float) -> float:
    """Return the chance of more bad ones in ``one``, over the chance of as many as there are."""
    out, term, good = 0.0, 1.0, one.total - one.bad
    for moved in range(other.bad):
        kept = other.bad - moved
        term *= odds * (good - moved) * kept / ((one.bad + moved + 1) * (other.total - kept + 1))
        out += term
        if term <= _NEGLIGIBLE * (1 + out):  # also where nothing more can move, and where the sum overflows
            break
    return out
