"""Whether bounds are wrong as seldom as they promise, by following what may happen: all paths, or many drawn ones."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from random import Random

import pytest

from pytest_rollout.judge.binomial import Interval
from pytest_rollout.judge.certainty import Certainty
from pytest_rollout.judge.demand import Restarts
from pytest_rollout.judge.lives import Watch
from pytest_rollout.judge.samples import Window
from pytest_rollout.judge.share import RatioEvidence, judge_ratio
from pytest_rollout.verdict import Verdict
from tests.judge.evidence import SHARE, STEP, counted

LOOKS = 240
PER_LOOK = 50
TAIL = 0.025


@cache
def chances(share: float) -> Sequence[float]:
    """Return the chances of so many bad events among those of one look."""
    return [math.comb(PER_LOOK, bad) * share**bad * (1 - share) ** (PER_LOOK - bad) for bad in range(PER_LOOK + 1)]


def ever_wrong(interval: Callable[[float, float], Interval], share: float, looks: range) -> tuple[float, float]:
    """Return the chances that a truth is ever excluded from below and from above, exactly.

    ``looks`` says at which multiples of PER_LOOK events the bounds are read. A path ends where it first excludes.
    """
    few, many = -1, 0  # as many bad events as few, or fewer, exclude the truth; and as many as many, or more
    alive, below, above = {0: 1.0}, 0.0, 0.0
    for look in range(1, looks.stop):
        alive = _next(alive, chances(share))
        if look not in looks:
            continue
        total = look * PER_LOOK
        while interval(few + 1, total).high < share:
            few += 1
        while many <= total and interval(many, total).low <= share:
            many += 1
        below += math.fsum(chance for bad, chance in alive.items() if bad <= few)
        above += math.fsum(chance for bad, chance in alive.items() if bad >= many)
        alive = {bad: chance for bad, chance in alive.items() if few < bad < many}
    return below, above


def _next(alive: dict[int, float], steps: Sequence[float]) -> dict[int, float]:
    out: dict[int, float] = {}
    for bad, chance in alive.items():
        for more, step in enumerate(steps):
            if step < 1e-12:
                continue
            out[bad + more] = out.get(bad + more, 0.0) + chance * step
    return out


@pytest.mark.parametrize("share", [0.002, 0.01, 0.05])
def test_over_many_looks_the_truth_is_hardly_ever_excluded(share: float) -> None:
    below, above = ever_wrong(Certainty(0.95, epoch=1).interval, share, range(1, LOOKS + 1))
    assert 0.0005 < below <= TAIL
    assert 0.0005 < above <= TAIL


def test_over_many_looks_the_bounds_for_one_look_are_wrong_far_too_often() -> None:
    below, above = ever_wrong(Certainty(0.95).interval, 0.01, range(1, LOOKS + 1))
    assert min(below, above) > 4 * TAIL


@pytest.mark.parametrize("share", [0.002, 0.01, 0.05])
def test_at_one_look_each_bound_is_wrong_as_seldom_as_promised(share: float) -> None:
    for looks in (1, 10, 60):
        below, above = ever_wrong(Certainty(0.95).interval, share, range(looks, looks + 1))
        assert below <= TAIL
        assert above <= TAIL


def test_all_stretches_together_keep_the_promise() -> None:
    """Each stretch begins anew, and is looked at from one to two lengths of it."""
    length = 12
    stretches = [
        ever_wrong(Certainty(0.95, epoch).interval, 0.02, range(1 if epoch == 1 else length, 2 * length + 1))
        for epoch in range(1, 9)
    ]
    assert all(wrong <= Certainty(0.95, 1 + at).spent for at, pair in enumerate(stretches) for wrong in pair)
    assert math.fsum(below for below, _ in stretches) <= TAIL
    assert math.fsum(above for _, above in stretches) <= TAIL


# --- the verdicts themselves ------------------------------------------------------------------------------------


SCRAPES = 24
WINDOW = Window(10_000.0, 10_000.0 + SCRAPES * STEP, SCRAPES * STEP)
RUNS = 800
ALLOWED = RUNS * TAIL + 3 * math.sqrt(RUNS * TAIL * (1 - TAIL))
"""Wrong verdicts, and three standard deviations."""


def verdict(bad: Sequence[int], per_scrape: int, limit: float) -> Verdict:
    """Return the verdict about bad requests at each scrape, from one before the window to one after it."""
    good = itertools.accumulate((per_scrape - here for here in bad), initial=0)
    ok, errors = counted(good, {"code": "200"}), counted(itertools.accumulate(bad, initial=0), {"code": "500"})
    watch = Watch(scraped=False, counted=2)
    evidence = RatioEvidence(bad=(errors,), total=(ok, errors), watch=watch, bad_labels=frozenset({"code"}))
    return judge_ratio(evidence, WINDOW, replace(SHARE, limit=limit, restarts=Restarts.IGNORE)).verdict


def seeded() -> Random:
    return Random(1934)  # noqa: S311 - not a secret


def drawn(random: Random, share: float) -> list[int]:
    return random.choices(range(PER_LOOK + 1), chances(share), k=SCRAPES + 2)


def test_a_release_at_the_limit_passes_and_breaches_as_seldom_as_promised() -> None:
    random = seeded()
    found = [verdict(drawn(random, 0.02), PER_LOOK, 0.02) for _ in range(RUNS)]
    assert found.count(Verdict.PASSED) <= ALLOWED
    assert 0 < found.count(Verdict.BREACHED) <= ALLOWED


def test_a_good_release_passes_and_a_bad_one_breaches() -> None:
    random = seeded()
    good = [verdict(drawn(random, 0.002), PER_LOOK, 0.02) for _ in range(100)]
    bad = [verdict(drawn(random, 0.06), PER_LOOK, 0.02) for _ in range(100)]
    assert good.count(Verdict.PASSED) >= 95
    assert bad.count(Verdict.BREACHED) >= 95


def test_bad_events_that_come_together_do_not_make_passes_more_likely() -> None:
    """A fault now and then takes twelve requests at once: the share is at the limit, but few faults were seen."""
    random, chance, burst = seeded(), 0.08, 12
    share = chance * burst / PER_LOOK
    runs = [[burst * (random.random() < chance) for _ in range(SCRAPES + 2)] for _ in range(RUNS)]
    found = [verdict(run, PER_LOOK, share) for run in runs if any(run)]
    assert found.count(Verdict.PASSED) <= ALLOWED
