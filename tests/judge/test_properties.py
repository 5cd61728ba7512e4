"""The one property above all: less evidence never makes a pass. And its neighbours.

Whatever is lost of a world (see worlds.py): one sample of anything, rounds of scrapes, scrapes of one process that
fail, a series, all of a metric, a target, what metadata says of a process, the server's own count. The property has
limits, and these are all:

- What is taken away *consistently from everything that tells of it* (all its series, ``up``, process start, target and
  the server's count alike) is another world, not a loss.
- With ``restarts: charge`` or ``ignore`` the plan gave up a part of it: worlds in which processes restart, come or
  leave are judged with ``hold``.
- A restart is told by ``process_start_time_seconds``. Where a counter begins anew while its process lives on (an
  exporter that speaks for others), the samples between which it did can be lost, and nothing else tells of it.
- Of several series one may be lost as a whole if the plan neither expects it nor asks for all that the server counts.
- The server's count is a number that is always asked for; ``counted=None`` means that nobody asked, not that it was
  lost.
"""

from __future__ import annotations

import itertools
import json
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from random import Random

import pytest
from hypothesis import assume, event, given, settings, strategies as st

from pytest_rollout.judge.points import Points, Sides, judge_points
from pytest_rollout.judge.samples import Series
from pytest_rollout.judge.several import BurnWindow, Quantifier, Row, judge_burn, judge_row, judge_several
from pytest_rollout.judge.value import judge_value
from pytest_rollout.verdict import CheckResult, Reason, Verdict, inconclusive
from tests.judge.evidence import SHARE, START, STEP, VALUE, WINDOW
from tests.judge.worlds import END, KINDS, LOSSES, SHARES, World, build

RANK = {Verdict.PASSED: 0, Verdict.INCONCLUSIVE: 1, Verdict.BREACHED: 2}
WORLDS = st.integers(0, 10**6).map(build)
RANDOM = st.integers(0, 10**6).map(Random)


def never_a_pass(before: CheckResult, after: CheckResult, why: str = "") -> None:
    event(f"{before.verdict} -> {after.verdict}")
    if before.verdict is not Verdict.PASSED:
        assert after.verdict is not Verdict.PASSED, (why, before.message, after.message)


# --- less evidence ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@settings(max_examples=250)
@given(world=WORLDS, random=RANDOM)
def test_lost_evidence_never_makes_a_pass(
    loss: Callable[[World, Random], tuple[str, World]], world: World, random: Random
) -> None:
    before = world.judged()
    for _ in range(3):
        what, left = loss(world, random)
        never_a_pass(before, left.judged(), what)


@settings(max_examples=60)
@given(WORLDS, RANDOM)
def test_losses_one_after_the_other_never_make_a_pass(world: World, random: Random) -> None:
    names = ("lose_sample", "lose_samples", "lose_rounds", "fail_rounds")
    left, lost = world, ""
    for _ in range(3):
        what, left = LOSSES[random.choice(names)](left, random)
        lost += f"; {what}"
        never_a_pass(world.judged(), left.judged(), lost)


def test_the_worlds_are_of_all_kinds() -> None:
    """The properties are only as good as the worlds: they pass, breach and hold for every reason."""
    worlds = [build(seed) for seed in range(300)]
    results = [(world, world.judged()) for world in worlds]
    passed = Counter(world.kind for world, result in results if result.verdict is Verdict.PASSED)
    reasons = {result.reason for _, result in results}
    assert passed.keys() == set(KINDS)
    assert {
        Reason.LIMIT_BREACHED,
        Reason.TOO_FEW_SAMPLES,
        Reason.WINDOW_NOT_ELAPSED,
        Reason.COVERAGE,
        Reason.RESTART,
        Reason.NO_DATA,
        Reason.SERIES_MISSING,
        Reason.BUCKET_MISSING,
    } <= reasons
    assert {world.window.epoch for world in worlds} == {0, 1, 2}


@given(WORLDS, st.sampled_from([0.5, 0.999, 1e9]))
def test_no_evidence_is_never_a_pass(world: World, limit: float) -> None:
    if world.kind in SHARES:
        limit = min(limit, 0.999)
    world = world.within(limit)
    emptied = world.changed(lambda one: replace(one, samples=()))
    absent = world.changed(lambda _: None)
    nobody = replace(absent, targets=frozenset(), exporters=frozenset(), counts=dict.fromkeys(world.counts, 0))
    unheard = replace(nobody, exporters=world.exporters)
    for nothing in (emptied, absent, nobody, unheard):
        assert nothing.judged().verdict is Verdict.INCONCLUSIVE


def test_no_value_is_never_a_pass() -> None:
    assert judge_value((), WINDOW, VALUE).verdict is Verdict.INCONCLUSIVE


@given(WORLDS, RANDOM, st.sampled_from([math.nan, math.inf, -math.inf]))
def test_what_is_no_number_never_passes(world: World, random: Random, value: float) -> None:
    assume(world.series)
    chosen = random.choice(world.series)
    place = random.randrange(len(chosen.samples))
    samples = tuple((at, value if here == place else held) for here, (at, held) in enumerate(chosen.samples))
    easy = world.within(1e9 if world.kind in {"counter", "before", "control", "slower", "behind"} else 0.999)
    bent = easy.changed(lambda one: replace(one, samples=samples) if one is chosen else one)
    result = bent.judged()
    assert (result.verdict, result.reason) == (Verdict.INCONCLUSIVE, Reason.NOT_A_NUMBER)


@given(WORLDS, RANDOM, st.sampled_from([math.nan, math.inf, -math.inf]))
def test_what_is_no_number_in_up_or_process_start_never_makes_a_pass(
    world: World, random: Random, value: float
) -> None:
    chosen = random.choice([*world.up, *world.starts])
    place = random.randrange(len(chosen.samples))
    samples = tuple((at, value if here == place else held) for here, (at, held) in enumerate(chosen.samples))
    bent = world.changed(lambda one: replace(one, samples=samples) if one is chosen else one)
    never_a_pass(world.judged(), bent.judged(), str(chosen.labels))


# --- more of what is bad, less of what is good ----------------------------------------------------------------


def shifted(one: Series, since: float, by: float) -> Series:
    """Return a counter that counted more (or fewer) at a time, until it begins anew."""
    samples, before, more = [], 0.0, 0.0
    for at, value in one.samples:
        if value < before:
            more = 0.0 if at > since else more
            since = math.inf if at > since else since
        if at >= since:
            more = by
        samples.append((at, value + more))
        before = value
    return replace(one, samples=tuple(samples))


def risen(one: Series, at: float) -> float:
    """Return by how much a counter rose with the sample at a time; 0 if it began anew there."""
    before = [value for when, value in one.samples if when < at][-1:]
    here = [value for when, value in one.samples if when == at]
    return max(here[0] - before[0], 0.0) if before and here else 0.0


def bad_series(world: World) -> list[Series]:
    """Return the series of bad events of now: for a histogram, the buckets that slow requests are in."""
    if world.kind in {"quantile", "slower"}:
        return [one for one in world.of("seconds") if one.labels["le"] != "0.1"]
    if world.kind in {"failures", "counter"}:
        return list(world.of("failures"))
    if world.kind in {"good", "behind"}:  # one more that was answered, and not well
        return list(world.of("warned"))
    return [one for one in world.of("requests") if one.labels["code"] == "500"]


def some_rise(series: Sequence[Series], random: Random) -> tuple[Series, float]:
    """Return a series, and the time of a sample that closes a rise which is surely within the window."""
    assume(series)
    chosen = random.choice(series)
    times = [at for at, _ in chosen.samples]
    inside = [at for before, at in itertools.pairwise(times) if before >= START + 3 * STEP and at <= END]
    assume(inside)
    return chosen, random.choice(inside)


def any_of(series: Sequence[Series], change: Callable[[Series], Series]) -> Callable[[Series], Series]:
    """Return what changes some series and leaves the others."""
    return lambda one: change(one) if any(one is other for other in series) else one


@settings(max_examples=200)
@given(WORLDS, RANDOM, st.integers(1, 30))
def test_more_bad_events_never_improve_a_verdict(world: World, random: Random, by: int) -> None:
    chosen, at = some_rise(bad_series(world), random)
    also = [chosen]
    if world.kind in {"quantile", "slower"}:  # a slow request is in every bucket above
        also = [one for one in bad_series(world) if one.instance == chosen.instance]
    if world.kind == "failures":  # one more request that failed is one more request
        also += [one for one in world.of("requests") if one.instance == chosen.instance][:1]
    before, after = world.judged(), world.changed(any_of(also, lambda one: shifted(one, at, by))).judged()
    event(f"{before.verdict} -> {after.verdict}")
    assert RANK[after.verdict] >= RANK[before.verdict], (before.message, after.message)


@settings(max_examples=200)
@given(WORLDS, RANDOM)
def test_fewer_good_events_never_make_a_pass(world: World, random: Random) -> None:
    assume(world.kind != "counter")
    buckets = [one for one in world.series if one.labels["__name__"] == "seconds"]
    good = [one for one in world.of("requests") if one.labels["code"] == "200"] or list(world.of("headers"))
    chosen, at = some_rise([one for one in buckets if one.labels["le"] == "0.1"] or good, random)
    also = [one for one in buckets if one.instance == chosen.instance] or [chosen]
    fewer = -min(random.choice([1.0, math.inf]), risen(chosen, at))
    less = world.changed(any_of(also, lambda one: shifted(one, at, fewer)))
    never_a_pass(world.judged(), less.judged(), f"{fewer} at {at}")


# --- what must not matter ---------------------------------------------------------------------------------------


@given(WORLDS, RANDOM)
def test_the_order_of_series_and_of_labels_does_not_matter(world: World, random: Random) -> None:
    def mixed(one: Series) -> Series:
        names = random.sample(sorted(one.labels), len(one.labels))
        return replace(one, labels={name: one.labels[name] for name in names})

    def shuffled(group: tuple[Series, ...]) -> tuple[Series, ...]:
        return tuple(mixed(one) for one in random.sample(group, len(group)))

    other = replace(world, series=shuffled(world.series), up=shuffled(world.up), starts=shuffled(world.starts))
    assert other.judged() == world.judged()


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Return what moves this process to a time zone."""

    def move(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    yield move
    monkeypatch.undo()
    time.tzset()


def test_the_time_zone_does_not_matter(elsewhere: Callable[[str], None]) -> None:
    worlds = [build(seed) for seed in range(60)]
    here = [world.judged() for world in worlds]
    for zone in ("UTC", "Pacific/Kiritimati", "America/St_Johns"):
        elsewhere(zone)
        assert [world.judged() for world in worlds] == here


@given(WORLDS, st.integers(1, 20_000))
def test_the_day_does_not_matter(world: World, days: int) -> None:
    by = days * 86_400.0

    def later(one: Series) -> Series:
        told = by if one.labels["__name__"] == "process_start_time_seconds" else 0.0
        return replace(one, samples=tuple((at + by, value + told) for at, value in one.samples))

    window = replace(world.window, start=world.window.start + by, end=world.window.end + by)
    then, now = replace(world.changed(later), window=window).judged(), world.judged()
    kept = ("verdict", "reason", "value", "limit", "samples", "ready_in")
    assert [getattr(then, name) for name in kept] == [getattr(now, name) for name in kept]
    assert {key: value for key, value in then.derivation.items() if key != "rises"} == {
        key: value for key, value in now.derivation.items() if key != "rises"
    }


@given(WORLDS)
def test_every_result_survives_json(world: World) -> None:
    result = world.judged()
    assert CheckResult.from_dict(json.loads(json.dumps(result.to_dict(), allow_nan=False))) == result


# --- values over time -------------------------------------------------------------------------------------------


@given(RANDOM, st.sampled_from(["increase", "decrease", "either"]), st.sampled_from([0, 1]))
def test_lost_points_never_make_a_pass(random: Random, direction: str, epoch: int) -> None:
    def points(spread: float) -> list[float]:
        return [random.gauss(10, spread) * (5 if random.random() < 0.1 else 1) for _ in range(many)]

    def judged(now: list[float], base: list[float]) -> CheckResult:
        sides = Sides(_as_points(now, many), _as_points(base, many), direction)  # type: ignore[arg-type]
        return judge_points(sides, replace(SHARE, limit=limit), replace(WINDOW, epoch=epoch))

    many, limit = random.randrange(8, 25), random.choice([0.05, 0.1, 0.2])
    now, base = points(random.choice([0.2, 1])), points(random.choice([0.2, 1]))
    before = judged(now, base)
    for _ in range(4):
        lost = random.sample(range(many), random.choice([1, 1, 2, 3]))
        lost += [max(range(many), key=now.__getitem__)] * (random.random() < 0.5)
        kept = [value for place, value in enumerate(now) if place not in lost]
        never_a_pass(before, judged(kept, base), f"now without {lost}")
        kept = [value for place, value in enumerate(base) if place not in lost]
        never_a_pass(before, judged(now, kept), f"baseline without {lost}")


def _as_points(values: list[float], expected: int) -> Points:
    return Points((Series({}, tuple((START + STEP * at, value) for at, value in enumerate(values))),), expected)


# --- one out of several -----------------------------------------------------------------------------------------


def _result(verdict: Verdict, *, waits: bool = False) -> CheckResult:
    reason = {
        Verdict.PASSED: Reason.WITHIN_LIMIT,
        Verdict.BREACHED: Reason.LIMIT_BREACHED,
        Verdict.INCONCLUSIVE: Reason.COVERAGE if waits else Reason.NO_DATA,
        Verdict.ERROR: Reason.BAD_ANSWER,
    }[verdict]
    return CheckResult(verdict=verdict, reason=reason, message=str(reason), ready_in=9.0 if waits else None)


RESULT = st.builds(_result, st.sampled_from(Verdict), waits=st.booleans())
UNKNOWN = inconclusive(Reason.COVERAGE, "lost")


@given(st.lists(RESULT, min_size=1, max_size=6), st.integers(0, 5), st.none() | st.integers(1, 6), st.integers(0, 3))
def test_a_lost_or_unknown_series_of_several_never_makes_a_pass(
    results: list[CheckResult], place: int, wanted: int | None, spare: int
) -> None:
    named = {str(name): result for name, result in enumerate(results)}
    quantifier = Quantifier(wanted, max(len(results) - spare, 1) if wanted else len(results))
    lost = str(place % len(results))
    before = judge_several(named, quantifier)
    kept = {name: result for name, result in named.items() if name != lost}
    never_a_pass(before, judge_several(kept, quantifier), "lost")
    never_a_pass(before, judge_several({**named, lost: UNKNOWN}, quantifier), "unknown")


@given(st.lists(RESULT, min_size=1, max_size=7), st.integers(0, 6), st.integers(1, 5), st.integers(0, 3))
def test_a_lost_or_unknown_period_never_makes_a_pass(
    results: list[CheckResult], place: int, wanted: int, spare: int
) -> None:
    row, place = Row(wanted, wanted + spare, 60.0), place % len(results)
    before = judge_row(results, row)
    unknown = [UNKNOWN if here == place else result for here, result in enumerate(results)]
    never_a_pass(before, judge_row(unknown, row), "unknown")


@given(st.lists(st.tuples(RESULT, RESULT), min_size=1, max_size=3), st.integers(0, 5))
def test_an_unknown_window_of_a_burn_rate_never_makes_a_pass(
    pairs: list[tuple[CheckResult, CheckResult]], place: int
) -> None:
    flat = [result for pair in pairs for result in pair]

    def judged(results: list[CheckResult]) -> CheckResult:
        halves = zip(results[::2], results[1::2], strict=True)
        return judge_burn([BurnWindow(str(at), *pair) for at, pair in enumerate(halves)])

    place %= len(flat)
    never_a_pass(judged(flat), judged([UNKNOWN if at == place else one for at, one in enumerate(flat)]))
