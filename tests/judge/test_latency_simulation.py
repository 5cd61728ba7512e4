"""Whether verdicts on load runs are wrong as seldom as they promise, by drawing many runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest

from pytest_rollout.judge.latency import QuantileBelow, judge_limit
from pytest_rollout.judge.order import between
from pytest_rollout.verdict import CheckResult, Reason, Verdict
from tests.judge.load_runs import RATE, WHOLE, answers, lognormal

RUNS = 300
TAIL = 0.05
ALLOWED = RUNS * TAIL + 3 * math.sqrt(RUNS * TAIL * (1 - TAIL))
"""Wrong verdicts, and three standard deviations."""
P95_OF_LOGNORMAL = 0.04 * math.exp(0.6 * 1.6448536269514722)
AT_THE_LIMIT = QuantileBelow(0.95, P95_OF_LOGNORMAL)


def seeded() -> Random:
    return Random(1950)  # noqa: S311 - not a secret


def judged(seconds: Sequence[float], limit: QuantileBelow, budget: float = 0.0, added: float = 0.0) -> CheckResult:
    run = replace(WHOLE, seconds=len(seconds) / RATE, budget=budget, added=added)
    return judge_limit(limit, answers(seconds), run)


def test_the_bounds_exclude_the_truth_seldom() -> None:
    random = seeded()
    found = [sorted(lognormal(random, 300)) for _ in range(RUNS)]
    bounds = [between(0.95, one, one, WHOLE.certainty) for one in found]
    assert 0 < sum(one.low > P95_OF_LOGNORMAL for one in bounds) <= ALLOWED
    assert 0 < sum(one.high < P95_OF_LOGNORMAL for one in bounds) <= ALLOWED


def test_a_release_at_the_limit_passes_and_breaches_seldom() -> None:
    random = seeded()
    found = [judged(lognormal(random, 1000), AT_THE_LIMIT).verdict for _ in range(RUNS)]
    assert found.count(Verdict.PASSED) <= ALLOWED
    assert found.count(Verdict.BREACHED) <= ALLOWED


def test_nor_do_extensions_make_it_pass() -> None:
    """Who extends until it passes sees it pass sooner or later, if the bounds are for one look."""
    random, runs = seeded(), RUNS // 2
    drawn = [lognormal(random, 1000) for _ in range(runs)]
    found = [extended(seconds).verdict for seconds in drawn]
    assert found.count(Verdict.PASSED) <= ALLOWED / 2
    assert found.count(Verdict.BREACHED) <= ALLOWED / 2
    single = [any(alone(seconds[:many]) for many in range(200, 1001, 100)) for seconds in drawn]
    assert sum(single) > ALLOWED / 2


def alone(seconds: Sequence[float]) -> bool:
    """Tell whether the bound for a single look passes, each request by itself."""
    slow = sum(one >= AT_THE_LIMIT.limit for one in seconds)
    return WHOLE.certainty.highest(slow, len(seconds)) < TAIL


def extended(seconds: Sequence[float]) -> CheckResult:
    """Judge a run of 200 requests, and extend it by 200 again and again as long as the judge asks for it."""
    budget, many = len(seconds) / RATE, 200
    while True:
        added = (many - 200) / RATE
        result = judged(seconds[:many], AT_THE_LIMIT, budget=budget, added=added)
        if result.reason is not Reason.TOO_FEW_SAMPLES or many >= len(seconds):
            return result
        many += 200


def test_a_good_release_passes_and_a_bad_one_breaches() -> None:
    random = seeded()
    good = [judged(lognormal(random, 3000, median=0.033), AT_THE_LIMIT).verdict for _ in range(40)]
    bad = [judged(lognormal(random, 3000, median=0.047), AT_THE_LIMIT).verdict for _ in range(40)]
    assert good.count(Verdict.PASSED) >= 36
    assert bad.count(Verdict.BREACHED) >= 36


def stalling(random: Random, many: int, row: int, share: float) -> list[float]:
    """A service that is fast, but for stalls now and then that make a row of requests slow."""
    out: list[float] = []
    chance = share / row / (1 - share)
    while len(out) < many:
        out.extend([0.5] * row if random.random() < chance else [0.01])
    return out[:many]


@pytest.mark.parametrize("row", [5, 20, 50])
def test_stalls_do_not_make_passes_more_likely(row: int) -> None:
    random, limit = seeded(), QuantileBelow(0.95, 0.2)
    runs = [stalling(random, 3000, row, 0.05) for _ in range(RUNS // 2)]
    assert sum(judged(run, limit).verdict is Verdict.PASSED for run in runs) <= ALLOWED / 2
    apart = [WHOLE.certainty.highest(sum(one > 0.2 for one in run), len(run)) < 0.05 for run in runs]
    assert sum(apart) > ALLOWED / 2
