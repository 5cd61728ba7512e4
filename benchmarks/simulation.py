"""Requests of a service whose true share of failures is known."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Hour:
    """Requests that arrive evenly over an hour, and which of them failed, cut into as many slots as there are looks."""

    requests: int
    looks: int
    failed: Sequence[int]
    """Failed requests of each slot."""

    @cached_property
    def bad(self) -> list[int]:
        """Failed requests until each look, beginning with 0."""
        total, out = 0, [0]
        for count in self.failed:
            total += count
            out.append(total)
        return out

    def total(self, look: int) -> int:
        """Return the requests until a look."""
        return self.requests * look // self.looks

    def share(self, since: int, until: int) -> float:
        """Return the share of failed requests between two looks; NaN without traffic."""
        total = self.total(until) - self.total(since)
        return (self.bad[until] - self.bad[since]) / total if total else math.nan

    def shares(self, parts: int) -> Iterator[float]:
        """Return the share of each of so many equal parts of the hour."""
        step = self.looks // parts
        return (self.share(at, at + step) for at in range(0, self.looks, step))

    def burst(self, look: int) -> int:
        """Return the most failed requests in any tenth of the time until a look."""
        edges = [self.bad[look * tenth // 10] for tenth in range(11)]
        return max(later - earlier for earlier, later in itertools.pairwise(edges))


def simulate(rng: random.Random, rate: float, requests: int, looks: int, burst: int = 1) -> Hour:
    """Return an hour with that true share of failing requests, which fail in runs of ``burst`` one after the other.

    The good requests between two runs are geometric, so ``burst`` = 1 is independent failure, and the hour begins at
    an arbitrary moment of the process.
    """
    failed = [0] * looks
    good = (1 / rate - 1) * burst  # on average between two runs
    scale = 1 / math.log1p(-1 / (1 + good))
    at, left = (0, rng.randint(1, burst)) if rng.random() < rate else (1, 0)  # in a run, or at a good request
    while True:
        for one in range(at, min(at + left, requests)):
            failed[(looks * (one + 1) - 1) // requests] += 1
        at += left + int(math.log(1.0 - rng.random()) * scale)
        if at >= requests:
            return Hour(requests, looks, failed)
        left = burst
