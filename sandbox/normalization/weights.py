"""Sums of weights, in decimal: three thirds of six places are 0.999999 and count as one; floats would say no."""

from collections.abc import Iterable
from decimal import Context, Decimal
from functools import reduce

TOLERANCE = Decimal("0.000001")
"""How far from 1 a sum may be, inclusive."""
_EXACT = Context(prec=60)  # the usual 28 digits would round a long weight right at the tolerance


def total(weights: Iterable[Decimal]) -> Decimal:
    """Return the sum, to 60 digits."""
    return reduce(_EXACT.add, weights, Decimal(0))


def is_one(weights: Iterable[Decimal]) -> bool:
    """Return whether the weights sum to 1 within the tolerance."""
    return _EXACT.subtract(total(weights), Decimal(1)).copy_abs() <= TOLERANCE
