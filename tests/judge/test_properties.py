"""The one property above all: less evidence never makes a pass. And its neighbours.

What holds for a judge that sees only samples, and is tested here, has limits that are the design's own:

- The newest sample of a series is never taken away. What happened since the scrape before it is nowhere else, so
  a lost newest scrape is the same as having judged one scrape earlier.
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
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from hypothesis import event, given, strategies as st

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
LENIENT = {"coverage": 0.5, "max_gap": 8 * STEP}
"""So that a pass with some evidence lost is possible at all."""
RANK = {Verdict.PASSED: 0, Verdict.INCONCLUSIVE: 1, Verdict.BREACHED: 2}

Group: TypeAlias = tuple[Series, ...]
Loss: TypeAlias = frozenset[float]


@dataclass(frozen=True)
class Evidence:
    """Groups of series, and who judges them."""

    groups: tuple[Group, ...]
    judge: Callable[..., CheckResult]

    def judged(self, change: Callable[[Series], Series] = lambda one: one) -> CheckResult:
        return self.judge(*(tuple(map(change, group)) for group in self.groups))


def ratio(good: Group, bad: Group) -> CheckResult:
    evidence = RatioEvidence(bad, (*good, *bad), bad_is_narrower=True, bad_labels=frozenset())
    return judge_ratio(evidence, WINDOW, replace(SHARE, limit=0.05, **LENIENT))


def quantile(*histograms: Group) -> CheckResult:
    buckets = tuple(itertools.chain.from_iterable(histograms))
    return judge_quantile(0.95, buckets, WINDOW, replace(LATENCY, limit=0.1, **LENIENT))


def counter(series: Group, starts: Group) -> CheckResult:
    return judge_counter(series, starts, WINDOW, replace(COUNT, limit=2.0, **LENIENT))


# --- evidence of all kinds ----------------------------------------------------------------------------------

BYTES = st.binary(min_size=SCRAPES + 2, max_size=SCRAPES + 2)
FIRST = st.sampled_from([0, 0, 0, 1, 2, 5])
"""The scrape that sees a series for the first time."""
RARELY = st.sampled_from([0, 1, 2, 4, 16])


@st.composite
def counters(draw: st.DrawFn, often: int, labels: Labels) -> Series:
    """Return a counter; of 256 scrapes, ``often`` see one event."""
    values = itertools.accumulate((byte < often for byte in draw(BYTES)), initial=draw(st.sampled_from([0, 0, 3, 500])))
    first = draw(FIRST)
    return counted(list(values)[first : SCRAPES + 2], labels, first=first)


def busy(draw: st.DrawFn, labels: Labels) -> Series:
    steps = draw(st.sampled_from([1, 4, 16]))
    values = itertools.accumulate((byte % steps for byte in draw(BYTES)), initial=100)
    return counted(list(values)[: SCRAPES + 2], labels)


@st.composite
def ratios(draw: st.DrawFn) -> Evidence:
    good = tuple(busy(draw, {"code": "200", "pod": str(pod)}) for pod in range(draw(st.integers(1, 2))))
    pods = range(draw(st.integers(0, 2)))
    bad = tuple(draw(counters(draw(RARELY), {"code": "500", "pod": str(pod)})) for pod in pods)
    return Evidence((good, bad), ratio)


@st.composite
def histograms(draw: st.DrawFn) -> Evidence:
    """Every byte of four is a request: of how many of them is slower than which bound?"""
    out = []
    for pod in range(draw(st.integers(1, 2))):
        slow, first, base = draw(RARELY), draw(FIRST), draw(st.sampled_from([0, 50]))
        scrapes = zip(*(draw(BYTES) for _ in range(4)), strict=True)
        seen = [(4, *(sum(byte < limit for byte in four) for limit in (64, slow, slow // 2))) for four in scrapes]
        slower = [list(itertools.accumulate(column, initial=base)) for column in zip(*seen, strict=True)]
        held = [[requests - out for requests, out in zip(slower[0], column, strict=True)] for column in slower[1:]]
        rows = zip(BOUNDS, [*held, slower[0]], strict=True)
        out.append(tuple(counted(row[first:-1], {"le": le, "pod": str(pod)}, first=first) for le, row in rows))
    return Evidence(tuple(out), quantile)


@st.composite
def zeros(draw: st.DrawFn) -> Evidence:
    series = draw(counters(draw(RARELY), {"pod": "0"}))
    started = [1000.0] * len(ALL)
    restart = draw(st.sampled_from([0, 0, 4, 20, 41]))
    if restart:
        dead = {at: value for at, value in series.samples if at >= ALL[restart]}
        before = next((value for at, value in reversed(series.samples) if at < ALL[restart]), 0.0)
        series = replace(series, samples=tuple((at, value - before * (at in dead)) for at, value in series.samples))
        started = [1000.0 if place < restart else 2000.0 for place in range(len(ALL))]
    return Evidence(((series,), (counted(started, {"job": "a"}),)), counter)


EVIDENCE = ratios() | histograms() | zeros()
LOSSES = st.frozensets(st.sampled_from(ALL[:-1]), max_size=12)
"""Times of samples; never the newest."""


def losing(lost: Loss) -> Callable[[Series], Series]:
    return lambda one: replace(one, samples=tuple(pair for pair in one.samples if pair[0] not in lost))


def losing_here(place: int, lost: Loss, evidence: Evidence) -> Callable[[Series], Series]:
    """Return what takes samples from one series only, but never from what tells of restarts."""
    series = [one for group in evidence.groups for one in group if one.labels != {"job": "a"}]
    chosen = series[place % len(series)]
    return lambda one: losing(lost)(one) if one is chosen else one


def never_a_pass(before: CheckResult, after: CheckResult) -> None:
    event(f"{before.verdict} -> {after.verdict}")
    if before.verdict is not Verdict.PASSED:
        assert after.verdict is not Verdict.PASSED, (before.message, after.message)


# --- less evidence ------------------------------------------------------------------------------------------


@given(EVIDENCE, LOSSES)
def test_lost_scrapes_never_make_a_pass(evidence: Evidence, lost: Loss) -> None:
    kept = losing(lost)
    never_a_pass(evidence.judged(), evidence.judged(lambda one: one if one.labels == {"job": "a"} else kept(one)))


@given(EVIDENCE, LOSSES, st.integers(0, 100))
def test_lost_samples_of_one_series_never_make_a_pass(evidence: Evidence, lost: Loss, place: int) -> None:
    never_a_pass(evidence.judged(), evidence.judged(losing_here(place, lost, evidence)))


@given(ratios(), st.integers(0, 1))
def test_a_lost_series_of_the_total_never_makes_a_pass(evidence: Evidence, place: int) -> None:
    good, bad = evidence.groups
    never_a_pass(evidence.judged(), ratio(good[:place] + good[place + 1 :], bad))


@given(histograms(), st.sampled_from(BOUNDS))
def test_a_lost_bucket_never_makes_a_pass(evidence: Evidence, bound: str) -> None:
    kept = (tuple(one for one in group if one.labels["le"] != bound) for group in evidence.groups)
    never_a_pass(evidence.judged(), quantile(*kept))


@given(histograms(), st.integers(0, 7))
def test_a_lost_bucket_of_one_instance_never_makes_a_pass(evidence: Evidence, place: int) -> None:
    buckets = [one for group in evidence.groups for one in group]
    del buckets[place % len(buckets)]
    never_a_pass(evidence.judged(), quantile(tuple(buckets)))


@given(EVIDENCE)
def test_no_evidence_is_never_a_pass(evidence: Evidence) -> None:
    emptied = evidence.judged(lambda one: replace(one, samples=()))
    assert emptied.verdict is Verdict.INCONCLUSIVE
    assert evidence.judge(*(() for _ in evidence.groups)).verdict is Verdict.INCONCLUSIVE
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


@given(EVIDENCE, st.randoms(use_true_random=False))
def test_the_order_of_series_does_not_matter(evidence: Evidence, order: "random.Random") -> None:
    shuffled = tuple(tuple(order.sample(group, len(group))) for group in evidence.groups)
    assert evidence.judge(*shuffled) == evidence.judged()


@given(EVIDENCE, st.integers(0, 100), st.integers(0, 100), st.sampled_from([math.nan, math.inf, -math.inf]))
def test_what_is_no_number_never_passes(evidence: Evidence, place: int, at: int, value: float) -> None:
    series = [one for group in evidence.groups for one in group]
    chosen = series[place % len(series)]
    bent = list(chosen.samples)
    bent[at % len(bent)] = (bent[at % len(bent)][0], value)
    result = evidence.judged(lambda one: replace(one, samples=tuple(bent)) if one is chosen else one)
    if chosen.labels != {"job": "a"} or ALL[at % len(bent)] > START:
        assert result.verdict is not Verdict.PASSED


@given(EVIDENCE)
def test_every_result_survives_json(evidence: Evidence) -> None:
    result = evidence.judged()
    assert CheckResult.from_dict(json.loads(json.dumps(result.to_dict(), allow_nan=False))) == result
