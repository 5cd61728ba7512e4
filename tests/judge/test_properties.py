"""The one property above all: less evidence never makes a pass. And its neighbours.

What holds for a judge that sees only samples, and is tested here, has limits that are the design's own:

- The newest sample of a series is never taken away. What happened since the scrape before it is nowhere else, so
  a lost newest scrape is the same as having judged one scrape earlier.
- The last sample before the window is taken away only with those before it. With a still older one left, requests of
  one or two scrapes before the window count into the total.
- A series of bad requests, a counter or an instance is never taken away as a whole. While "no bad request yet" is
  told by the absence of the series, its disappearance says the same. Series of the total and buckets are taken.
- Ratios and quantiles are tested without resets: what a process counted between its last scrape and its death is in
  no sample, and with the last scrape before a reset lost, neither is what that scrape saw. Counters are tested with
  resets, as long as process_start_time_seconds is there, which makes a restart visible by itself.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import TypeAlias

from hypothesis import event, given, settings, strategies as st

from pytest_rollout.judge.history import CanaryRun, FlagReading, Passes, judge_canary, judge_flags
from pytest_rollout.judge.quantile import judge_quantile
from pytest_rollout.judge.samples import Series, Window
from pytest_rollout.judge.share import RatioEvidence, judge_ratio
from pytest_rollout.judge.value import judge_counter, judge_value
from pytest_rollout.verdict import CheckResult, Verdict
from tests.judge.evidence import BOUNDS, COUNT, LATENCY, SHARE, START, STEP, TIMES, VALUE, Labels, counted

SCRAPES = 40
"""In the window; two more lie before it."""
ALL = TIMES[: SCRAPES + 2]
WINDOW = Window(START, START + SCRAPES * STEP, SCRAPES * STEP)
LENIENT = replace(SHARE, coverage=0.5, max_gap=8 * STEP)
"""So that a pass with some evidence lost is possible at all."""
RANK = {Verdict.PASSED: 0, Verdict.INCONCLUSIVE: 1, Verdict.BREACHED: 2}
STARTED = {"job": "a"}
"""Labels of the series that tells when the process started."""

Group: TypeAlias = tuple[Series, ...]
Change: TypeAlias = Callable[[Series], Series]
Judge: TypeAlias = Callable[[tuple[Group, ...], float], CheckResult]


@dataclass(frozen=True)
class Evidence:
    """Groups of series, who judges them, and a limit that they just do not meet."""

    groups: tuple[Group, ...]
    judge: Judge
    limit: float

    def judged(self, change: Change = lambda one: one) -> CheckResult:
        return self.judge(tuple(tuple(map(change, group)) for group in self.groups), self.limit)

    def judged_without(self, lost: Series) -> CheckResult:
        groups = tuple(tuple(one for one in group if one is not lost) for group in self.groups)
        return self.judge(groups, self.limit)

    def series(self) -> list[Series]:
        return [one for group in self.groups for one in group if one.labels != STARTED]


def ratio(groups: tuple[Group, ...], limit: float) -> CheckResult:
    good, bad = groups
    evidence = RatioEvidence(bad, (*good, *bad), bad_is_narrower=True, bad_labels=frozenset())
    return judge_ratio(evidence, WINDOW, replace(LENIENT, limit=limit))


def quantile(groups: tuple[Group, ...], limit: float) -> CheckResult:
    """Judge the quantile that leaves ``limit`` of the requests slower than 100 ms, or a hair less."""
    q = 1 - limit
    while 1 - q > limit:
        q = math.nextafter(q, 1)
    buckets = tuple(itertools.chain.from_iterable(groups))
    return judge_quantile(q, buckets, WINDOW, replace(LENIENT, limit=LATENCY.limit, unit="seconds"))


def counter(groups: tuple[Group, ...], limit: float) -> CheckResult:
    series, starts = groups
    return judge_counter(series, starts, WINDOW, replace(LENIENT, limit=limit, unit=COUNT.unit))


# --- evidence of all kinds ----------------------------------------------------------------------------------


RANDOM = st.integers(0, 10**6).map(Random)


def share_just_not_met(groups: tuple[Group, ...], judge: Judge) -> Evidence:
    """Take the upper bound of the share itself as the limit: any pass needs a lower one."""
    high = float(judge(groups, 0.5).derivation.get("high", 0.5))
    return Evidence(groups, judge, min(high, 0.999))


def events(random: Random, chance: float) -> int:
    return (random.random() < chance) + (random.random() < chance)


def rising(random: Random, chance: float, labels: Labels) -> Series:
    """Return a counter that sees up to two events in a scrape, and was seen first before or in the window."""
    base, first = random.choice([0, 0, 3, 500]), random.choice([0, 0, 0, 1, 2, 5])
    steps = (events(random, chance) for _ in ALL)
    return counted(list(itertools.accumulate(steps, initial=base))[first:-1], labels, first=first)


def busy(random: Random, labels: Labels) -> Series:
    steps = [random.randrange(1, 30) for _ in ALL]
    return counted(list(itertools.accumulate(steps, initial=random.choice([0, 1000])))[:-1], labels)


@st.composite
def ratios(draw: st.DrawFn) -> Evidence:
    random = draw(RANDOM)
    chance = draw(st.sampled_from([0.0, 0.05, 0.3]))
    good = tuple(busy(random, {"code": "200", "pod": str(pod)}) for pod in range(draw(st.integers(1, 2))))
    bad = tuple(rising(random, chance, {"code": "500", "pod": str(pod)}) for pod in range(draw(st.integers(0, 2))))
    return share_just_not_met((good, bad), ratio)


def buckets(random: Random, chance: float, pod: str) -> Group:
    """Return the buckets of one instance: of twenty requests in a scrape, up to two take more than 100 ms."""
    base, first = random.choice([0, 100]), random.choice([0, 0, 0, 1, 2, 5])
    slow = [events(random, chance) for _ in ALL]
    steps = ([18 - many for many in slow], [20 - many for many in slow], [20] * len(ALL), [20] * len(ALL))
    counts = (list(itertools.accumulate(column, initial=base))[first:-1] for column in steps)
    labels = ({"le": le, "pod": pod} for le in BOUNDS)
    return tuple(counted(column, label, first=first) for column, label in zip(counts, labels, strict=True))


@st.composite
def histograms(draw: st.DrawFn) -> Evidence:
    random = draw(RANDOM)
    chance = draw(st.sampled_from([0.0, 0.1, 0.5]))
    groups = tuple(buckets(random, chance, str(pod)) for pod in range(draw(st.integers(1, 2))))
    return share_just_not_met(groups, quantile)


def restarted(one: Series, at: float) -> Series:
    """Return a counter that begins anew with the sample at a time."""
    before = max((value for when, value in one.samples if when < at), default=0.0)
    return replace(one, samples=tuple((when, value - before * (when >= at)) for when, value in one.samples))


@st.composite
def zeros(draw: st.DrawFn) -> Evidence:
    random = draw(RANDOM)
    chance = draw(st.sampled_from([0.0, 0.02, 0.2]))
    series = [rising(random, chance, {"pod": str(pod)}) for pod in range(draw(st.integers(1, 3)))]
    restart = draw(st.sampled_from([0, 0, 4, 20, 41]))
    if restart:
        series[0] = restarted(series[0], ALL[restart])
    starts = counted([1000.0 + 500 * (place >= restart) for place in range(len(ALL))], STARTED)
    groups = (tuple(series), (starts,))
    return Evidence(groups, counter, max(float(counter(groups, 0.0).value or 0) - 1, 0.0))


EVIDENCE = ratios() | histograms() | zeros()
OLDEST = st.integers(0, 10).map(lambda count: frozenset(ALL[:count]))
LOSSES = OLDEST | st.frozensets(st.sampled_from(ALL[2:-1]), max_size=12)
"""Times of samples; never the newest, and the last before the window only with all before it."""


def losing(lost: frozenset[float]) -> Change:
    """Return what takes samples away, but none that tell of restarts."""
    return lambda one: (
        one
        if one.labels == STARTED
        else replace(one, samples=tuple(pair for pair in one.samples if pair[0] not in lost))
    )


def never_a_pass(before: CheckResult, after: CheckResult) -> None:
    event(f"{before.verdict} -> {after.verdict}")
    if before.verdict is not Verdict.PASSED:
        assert after.verdict is not Verdict.PASSED, (before.message, after.message)


# --- less evidence ------------------------------------------------------------------------------------------


@settings(max_examples=300)
@given(EVIDENCE, LOSSES)
def test_lost_scrapes_never_make_a_pass(evidence: Evidence, lost: frozenset[float]) -> None:
    never_a_pass(evidence.judged(), evidence.judged(losing(lost)))


@settings(max_examples=300)
@given(EVIDENCE, LOSSES, st.integers(0, 100))
def test_lost_samples_of_one_series_never_make_a_pass(evidence: Evidence, lost: frozenset[float], place: int) -> None:
    chosen = evidence.series()[place % len(evidence.series())]
    after = evidence.judged(lambda one: losing(lost)(one) if one is chosen else one)
    never_a_pass(evidence.judged(), after)


@given(ratios(), st.integers(0, 1))
def test_a_lost_series_of_the_total_never_makes_a_pass(evidence: Evidence, place: int) -> None:
    good = evidence.groups[0]
    never_a_pass(evidence.judged(), evidence.judged_without(good[place % len(good)]))


@given(histograms(), st.integers(0, 7))
def test_a_lost_bucket_of_one_instance_never_makes_a_pass(evidence: Evidence, place: int) -> None:
    series = evidence.series()
    never_a_pass(evidence.judged(), evidence.judged_without(series[place % len(series)]))


@given(histograms(), st.sampled_from(BOUNDS))
def test_a_lost_bucket_never_makes_a_pass(evidence: Evidence, bound: str) -> None:
    kept = tuple(tuple(one for one in group if one.labels["le"] != bound) for group in evidence.groups)
    never_a_pass(evidence.judged(), quantile(kept, evidence.limit))


@given(EVIDENCE)
def test_no_evidence_is_never_a_pass(evidence: Evidence) -> None:
    emptied = evidence.judged(lambda one: replace(one, samples=()))
    absent = evidence.judge(tuple(() for _ in evidence.groups), evidence.limit)
    assert emptied.verdict is absent.verdict is Verdict.INCONCLUSIVE
    assert judge_value((), WINDOW, VALUE).verdict is Verdict.INCONCLUSIVE


OUTCOMES = st.sampled_from(["ok", "ok", "ok", "failed", "error"])
HISTORY = st.lists(st.tuples(st.integers(0, 100), OUTCOMES), max_size=8, unique_by=lambda one: one[0])


def canary_run(at: int, outcome: str) -> CanaryRun:
    return CanaryRun(run_id=str(at), canary="c", started_at=at, ended_at=at + 1, outcome=outcome)


@given(HISTORY, st.sets(st.integers(0, 7)), st.integers(1, 3), st.integers(0, 40), st.integers(0, 50))
def test_lost_passes_of_a_canary_never_make_a_pass(
    history: list[tuple[int, str]], lost: set[int], wanted: int, across: int, since: int
) -> None:
    runs = [canary_run(at, outcome) for at, outcome in history]
    kept = [run for place, run in enumerate(runs) if run.outcome != "ok" or place not in lost]
    passes = Passes(wanted, across)
    never_a_pass(judge_canary(runs, passes, since, 100), judge_canary(kept, passes, since, 100))


READINGS = st.lists(
    st.tuples(st.sampled_from([True, False, None]), st.sampled_from([None, 5.0]), st.sampled_from(["", "HTTP 503"])),
    min_size=1,
    max_size=3,
)


@given(READINGS, st.sets(st.integers(0, 2), min_size=1))
def test_lost_readings_of_flags_never_make_a_pass(
    seen: list[tuple[bool | None, float | None, str]], lost: set[int]
) -> None:
    readings = [
        FlagReading(flag=str(place), cohort="*", value=value, reason="STATIC", changed_at=at, fault=fault)
        for place, (value, at, fault) in enumerate(seen)
    ]
    wanted = {one.flag: True for one in readings}
    kept = [one for place, one in enumerate(readings) if place not in lost]
    never_a_pass(judge_flags(wanted, readings, 9), judge_flags(wanted, kept, 9))
    if len(kept) < len(readings):
        assert judge_flags(wanted, kept, 9).verdict is not Verdict.PASSED


# --- its neighbours -----------------------------------------------------------------------------------------


def raised(one: Series, since: int, by: int) -> Series:
    return replace(one, samples=tuple((at, value + by * (at >= ALL[since])) for at, value in one.samples))


@given(ratios() | zeros(), st.integers(6, SCRAPES + 1), st.integers(1, 30))
def test_more_bad_events_never_improve_a_verdict(evidence: Evidence, since: int, by: int) -> None:
    events = evidence.groups[1] if evidence.judge is ratio else evidence.groups[0]
    worse = evidence.judged(lambda one: raised(one, since, by) if one in events[:1] else one)
    assert RANK[worse.verdict] >= RANK[evidence.judged().verdict]


@given(histograms(), st.integers(6, SCRAPES + 1), st.integers(1, 30))
def test_more_slow_requests_never_improve_a_verdict(evidence: Evidence, since: int, by: int) -> None:
    worse = evidence.judged(lambda one: raised(one, since, by) if one.labels["le"] in {"0.25", "+Inf"} else one)
    assert RANK[worse.verdict] >= RANK[evidence.judged().verdict]


@given(EVIDENCE, RANDOM)
def test_the_order_of_series_does_not_matter(evidence: Evidence, random: Random) -> None:
    shuffled = tuple(tuple(random.sample(group, len(group))) for group in evidence.groups)
    assert evidence.judge(shuffled, evidence.limit) == evidence.judged()


@given(EVIDENCE, st.integers(0, 100), st.integers(0, 100), st.sampled_from([math.nan, math.inf, -math.inf]))
def test_what_is_no_number_never_passes(evidence: Evidence, place: int, at: int, value: float) -> None:
    chosen = evidence.series()[place % len(evidence.series())]
    samples = list(chosen.samples)
    samples[at % len(samples)] = (samples[at % len(samples)][0], value)
    bent = replace(evidence, limit=min(evidence.limit * 2, 0.9))
    result = bent.judged(lambda one: replace(one, samples=tuple(samples)) if one is chosen else one)
    assert result.verdict is Verdict.INCONCLUSIVE


@given(EVIDENCE)
def test_every_result_survives_json(evidence: Evidence) -> None:
    result = evidence.judged()
    assert CheckResult.from_dict(json.loads(json.dumps(result.to_dict(), allow_nan=False))) == result
