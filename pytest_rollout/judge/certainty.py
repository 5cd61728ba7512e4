"""How sure a verdict about a share has to be, and which bound keeps that promise."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pytest_rollout.judge import binomial, sequence
from pytest_rollout.judge.binomial import Interval

_MOST = 10**10
"""More requests than this are never waited for."""


@dataclass(frozen=True, slots=True)
class Certainty:
    """A promise: how often a bound may be wrong, and how often the evidence is looked at."""

    confidence: float | None = 0.95
    """Two-sided. None: the observed share itself is compared, and nothing is promised."""
    epoch: int = 0
    """0: the evidence is looked at once. n: it is the n-th stretch, looked at as often as anyone likes."""

    @property
    def tail(self) -> float:
        """How often a bound may be wrong on one side."""
        return (1 - (self.confidence or 0)) / 2

    @property
    def spent(self) -> float:
        """How often a bound may be wrong on one side in this stretch alone."""
        return sequence.spent(self.tail, self.epoch) if self.epoch else self.tail

    @property
    def rule(self) -> str:
        """The rule in words, for every report."""
        return self._rule("two-sided")

    @property
    def one_sided_rule(self) -> str:
        """The same for who promises one side alone, and so asks for a confidence of that much less."""
        return self._rule("one-sided")

    def _rule(self, sides: str) -> str:
        if self.confidence is None:
            return "point estimate, no confidence"
        if not self.epoch:
            return f"Clopper-Pearson, {sides}, single look"
        return f"beta-binomial mixture, time-uniform, stretch {self.epoch}"

    def interval(self, bad: float, total: float) -> Interval:
        """Return where the true share lies; all of [0, 1] without data."""
        return Interval(self.lowest(bad, total), self.highest(bad, total))

    def lowest(self, bad: float, total: float) -> float:
        """Return the lower bound of a share."""
        if self.confidence is None:
            return bad / total if total else 0.0
        lower = sequence.lower if self.epoch else binomial.lower
        return lower(bad, total, self.spent)

    def highest(self, bad: float, total: float, burst: float = 0.0) -> float:
        """Return the upper bound of a share whose bad events may have come in one burst.

        A burst is one event of that size, not so many independent requests. So the share is also bounded by one
        such event and as many good ones as ``burst`` goes into the good requests: the more restrictive of the two
        counts. It does not bind when bad events are spread, and it can only rise when some are added anywhere.
        """
        if self.confidence is None:
            return bad / total if total else 1.0
        upper = sequence.upper if self.epoch else binomial.upper
        high = upper(bad, total, self.spent)
        return high if burst <= 1 else max(high, upper(1.0, max(total - bad, 0.0) / burst + 1, self.spent))

    def further_needed(self, bad: float, total: float, burst: float, limit: float) -> int | None:
        """Return how many more requests would prove the share below the limit, if the observed rate holds.

        None if it would not: the observed rate is not below the limit, or too close to it.
        """
        rate = bad / total if total else 0.0
        if rate >= limit:
            return None
        low, high = int(total), max(math.ceil(total), 16)
        while self.highest(rate * high, high, burst) >= limit:
            low, high = high, high * 2
            if high > _MOST:
                return None
        while high - low > max(1, high // 1000):
            middle = (low + high) // 2
            proven = self.highest(math.ceil(rate * middle), middle, burst) < limit
            low, high = (low, middle) if proven else (middle, high)
        return max(high - math.floor(total), 1)
