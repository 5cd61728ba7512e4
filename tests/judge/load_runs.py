"""Load runs made up: latencies (seconds) at a constant rate."""

from __future__ import annotations

import math
from collections.abc import Iterable
from random import Random

from pytest_rollout.judge.load_run import Answers, Model, Moments, Run

RATE = 50.0
WHOLE = Run(model=Model.OPEN, whole=True, seconds=120.0, patience=10.0, window=(1000.0, 1120.0))


def moments(seconds: Iterable[float], start: float = 0.0, rate: float = RATE) -> Moments:
    return tuple((start + number / rate, one) for number, one in enumerate(seconds))


def answers(
    ok: Iterable[float] = (),
    failed: Iterable[float] = (),
    censored: Iterable[float] = (),
    *,
    planned: int | None = None,
    rate: float = RATE,
) -> Answers:
    """Good answers, then failures, then silence, one after the other on the schedule."""
    parts: list[Moments] = []
    there = 0
    for part in (ok, failed, censored):
        parts.append(moments(part, there / rate, rate))
        there += len(parts[-1])
    return Answers(
        ok=parts[0], failed=parts[1], censored=parts[2], due=there, planned=there if planned is None else planned
    )


def spread(many: int, slow: int, fast_s: float = 0.04, slow_s: float = 0.5) -> list[float]:
    """So many latencies, with the slow ones evenly among them."""
    out = [fast_s] * many
    for number in range(slow):
        out[number * many // slow] = slow_s
    return out


def lognormal(random: Random, many: int, median: float = 0.04, sigma: float = 0.6) -> list[float]:
    return [random.lognormvariate(math.log(median), sigma) for _ in range(many)]
