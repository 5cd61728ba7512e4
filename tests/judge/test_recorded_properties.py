"""The one property above all, for what is recorded: runs, slots, answers. Less of it never makes a pass.

The property has limits, and they are the log's to guard, whose records are chained and whose head is printed:

- A canary without schedule has no slots that could be missing, so a lost run that was no pass is not missed.
- The newest answer counts alone, so losing it brings back the one before; likewise what contradicts an answer.
- Nobody records two ends of one slot.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import pytest
from hypothesis import event, given, settings, strategies as st

from pytest_rollout.judge.attestation import Attestation, Contradiction, Ground, Question, judge_attestation
from pytest_rollout.judge.history import CanaryRun, Conditions, FlagReading, Passes, judge_canary, judge_flags
from pytest_rollout.judge.slot import Slot, SlotState, slots_in_a_row
from pytest_rollout.judge.slots import Census, Terms, judge_slots
from pytest_rollout.verdict import CheckResult, Reason, Verdict

RANK = {Verdict.PASSED: 0, Verdict.INCONCLUSIVE: 1, Verdict.ERROR: 1, Verdict.BREACHED: 2}
HERE = Conditions("p1", {"PAY@*": True})
STRANGE: tuple[dict[str, Any], ...] = (
    {"plan": "p2"},
    {"plan": ""},
    {"flags": {"PAY@*": False}},
    {"flags": {"PAY@*": None}},
    {"flags": {}},
)
"""What makes a record one of another plan version or flag state."""


def never_a_pass(before: CheckResult, after: CheckResult) -> None:
    event(f"{before.verdict} -> {after.verdict}")
    if before.verdict is not Verdict.PASSED:
        assert after.verdict is not Verdict.PASSED, (before.message, after.message)


def never_better(before: CheckResult, after: CheckResult) -> None:
    event(f"{before.verdict} -> {after.verdict}")
    assert RANK[after.verdict] >= RANK[before.verdict], (before.message, after.message)


# --- slots ----------------------------------------------------------------------------------------------------

EVERY = 10.0
STATES = [*[SlotState.OK] * 12, *SlotState]


@dataclass(frozen=True)
class World:
    """Slots of a canary, what is asked about them, and when.

    None is dated ahead: that it exists tells that it is later than we think, so what its loss means only the log knows.
    """

    slots: tuple[Slot, ...]
    wanted: Passes | Census
    terms: Terms
    since: float
    now: float

    def judged(self) -> CheckResult:
        return judge_slots(self.slots, self.wanted, self.terms, self.since, self.now)


def good(number: int) -> Slot:
    known: dict[str, Any] = {"plan": "p1", "flags": {"PAY@*": True}}
    at = number * EVERY
    return Slot(canary="pay", at=at, every=EVERY, state=SlotState.OK, ended_at=at + 1, began_at=at, **known)


def slot(number: int, random: Random) -> Slot:
    one = replace(good(number), state=random.choice(STATES))
    if random.random() < 0.05:
        one = replace(one, **random.choice(STRANGE))
    if random.random() < 0.1:
        began = one.at + random.choice([0.5, 6.0, 9.5])
        one = replace(one, began_at=random.choice([None, began]), ended_at=began + 1)
    return one


def build(seed: int) -> World:
    random = Random(seed)  # noqa: S311 - of a world
    first, size = random.randrange(3), random.randrange(1, 14)
    numbers = [number for number in range(first, first + size) if random.random() < 0.95]
    wanted: Passes | Census = Passes(random.randrange(1, 6), random.choice([0, 0, 25, 30, 60]))
    if random.random() < 0.5:
        wanted = Census(random.choice([1, 1, 0.9, 0.75, 0.5]), random.choice([10, 20, 45, 50, 80]))
    return World(
        slots=tuple(slot(number, random) for number in random.sample(numbers, len(numbers))),
        wanted=wanted,
        terms=Terms(EVERY, HERE, random.choice([0, 0, 1, 2])),
        since=random.choice([-1.0, 0.0, 5.0, 10.0, 31.0]),
        now=(first + size - 1) * EVERY + random.choice([0.0, 1.0, 4.0, 4.0, 4.0, 12.0]),
    )


WORLDS = st.integers(0, 10**6).map(build)
RANDOM = st.integers(0, 10**6).map(Random)


def test_the_worlds_of_slots_are_of_all_kinds() -> None:
    """The properties are only as good as the worlds: each form passes, breaches and holds for every reason."""
    found = Counter((type(world.wanted), world.judged().reason) for world in map(build, range(1000)))
    both = {Reason.WITHIN_LIMIT, Reason.CANARY_FAILED, Reason.TOO_FEW_PASSES, Reason.SLOT_MISSED}
    assert {reason for form, reason in found if form is Passes} == both | {Reason.CANARY_ERROR}
    assert {reason for form, reason in found if form is Census} == both | {Reason.WINDOW_NOT_ELAPSED}
    assert min(found.values()) >= 20


@settings(max_examples=600)
@given(WORLDS, RANDOM)
def test_lost_slots_never_make_a_pass(world: World, random: Random) -> None:
    before = world.judged()
    for one in world.slots:
        never_a_pass(before, replace(world, slots=tuple(other for other in world.slots if other is not one)).judged())
    kept = tuple(one for one in world.slots if random.random() < 0.7)
    never_a_pass(before, replace(world, slots=kept).judged())


def test_every_loss_from_a_short_line_of_slots_is_no_gain() -> None:
    """All lines of up to four slots that pass, fail, break or are flaky, and every way to lose some of them."""
    few = (SlotState.OK, SlotState.FAILED, SlotState.ERROR, SlotState.FLAKY)
    wanted = (Passes(1, 0), Passes(2, 0), Passes(2, 20), Census(1.0, 20), Census(0.5, 40))
    for states in itertools.product(few, repeat=4):
        slots = tuple(replace(good(number), state=state) for number, state in enumerate(states, 1))
        for form in wanted:
            world = World(slots, form, Terms(EVERY, HERE, 1), -1, 44)
            passes = world.judged().verdict is Verdict.PASSED
            for size in range(4):
                for kept in itertools.combinations(slots, size):
                    assert passes or replace(world, slots=kept).judged().verdict is not Verdict.PASSED


def rests_on(world: World) -> list[Slot]:
    """Return the slots that a pass rests on: all of a window, or the newest so many."""
    come = sorted((one for one in world.slots if one.at <= world.now), key=lambda one: one.at)
    if isinstance(world.wanted, Census):
        return [one for one in come if one.at > world.now - world.wanted.over]
    return come[-slots_in_a_row(world.wanted.wanted, world.wanted.across, EVERY) :]


def test_a_pass_rests_on_every_one_of_its_slots() -> None:
    passing = [world for world in map(build, range(2000)) if world.judged().verdict is Verdict.PASSED]
    assert len(passing) > 200
    unknown = [
        {"state": state} for state in SlotState if state not in {SlotState.OK, SlotState.FLAKY, SlotState.FAILED}
    ]
    for world in passing:
        own = rests_on(world)
        flaky = sum(one.state is SlotState.FLAKY for one in own)
        assert flaky <= world.terms.flaky or isinstance(world.wanted, Census)
        for one in own:
            others = tuple(other for other in world.slots if other is not one)
            changed: list[dict[str, Any]] = [*STRANGE, *unknown]
            if one.state is not SlotState.FAILED:
                changed.append({"ended_at": one.at + EVERY + 1})
            if isinstance(world.wanted, Passes):
                changed.append({"state": SlotState.FAILED})
            assert replace(world, slots=others).judged().verdict is not Verdict.PASSED
            for change in changed:
                worse = replace(world, slots=(*others, replace(one, **change)))
                assert worse.judged().verdict is not Verdict.PASSED, (change, world)


@settings(max_examples=500)
@given(WORLDS, RANDOM)
def test_slots_of_another_plan_or_flag_state_never_make_a_pass(world: World, random: Random) -> None:
    before = world.judged()
    for place, one in enumerate(world.slots):
        strange = replace(one, **random.choice(STRANGE))
        slots = (*world.slots[:place], strange, *world.slots[place + 1 :])
        never_a_pass(before, replace(world, slots=slots).judged())


@settings(max_examples=500)
@given(WORLDS, st.sampled_from([state for state in SlotState if state is not SlotState.OK]))
def test_a_pass_that_was_none_never_improves_a_verdict(world: World, state: SlotState) -> None:
    before = world.judged()
    for place, one in enumerate(world.slots):
        if one.state is SlotState.OK:
            slots = (*world.slots[:place], replace(one, state=state), *world.slots[place + 1 :])
            never_better(before, replace(world, slots=slots).judged())


@given(WORLDS, RANDOM)
def test_more_that_is_asked_of_slots_never_makes_a_pass(world: World, random: Random) -> None:
    harder: Passes | Census
    if isinstance(world.wanted, Passes):
        harder = Passes(world.wanted.wanted + random.randrange(2), world.wanted.across + random.choice([0, 10]))
    else:
        harder = Census(min(world.wanted.share + random.choice([0, 0.2]), 1), world.wanted.over)
    fewer = replace(world.terms, flaky=max(world.terms.flaky - 1, 0))
    never_a_pass(world.judged(), replace(world, wanted=harder, terms=fewer).judged())


@given(WORLDS, RANDOM)
def test_the_order_of_slots_does_not_matter(world: World, random: Random) -> None:
    shuffled = tuple(random.sample(world.slots, len(world.slots)))
    assert replace(world, slots=shuffled).judged() == world.judged()


@given(WORLDS, st.integers(1, 10**8))
def test_the_day_does_not_matter(world: World, slots: int) -> None:
    by = slots * EVERY

    def moved(one: Slot) -> Slot:
        began = None if one.began_at is None else one.began_at + by
        return replace(one, at=one.at + by, ended_at=one.ended_at + by, began_at=began)

    later = tuple(map(moved, world.slots))
    then, now = replace(world, slots=later, since=world.since + by, now=world.now + by).judged(), world.judged()
    kept = ("verdict", "reason", "value", "limit", "samples", "ready_in")
    assert [getattr(then, name) for name in kept] == [getattr(now, name) for name in kept]


@given(WORLDS)
def test_waiting_for_slots_is_worth_it(world: World) -> None:
    """Whoever waits as long as a result says, and sees nothing but passes, has a pass or is asked to wait again."""
    for _ in range(12):
        result = world.judged()
        if not result.may_still_arrive:
            return
        ready = result.ready_in or 0.0
        until, done = world.now + ready, {one.at for one in world.slots}
        come = map(good, range(int(world.now // EVERY), int(until // EVERY) + 1))
        more = tuple(one for one in come if one.at not in done and one.at > world.since)
        world = replace(world, slots=(*world.slots, *more), now=until)
    raise AssertionError((world, world.judged()))


# --- runs of canaries without schedule --------------------------------------------------------------------------

OUTCOMES = st.sampled_from(["ok", "ok", "ok", "failed", "error"])
KNOWN: dict[str, Any] = {"plan": "p1", "flags": {"PAY@*": True}}
CONDITIONS = st.sampled_from([KNOWN] * 12 + [KNOWN | strange for strange in STRANGE])


def canary_run(at: int, outcome: str, known: dict[str, Any]) -> CanaryRun:
    return CanaryRun(run_id=str(at), canary="c", started_at=at, ended_at=at + 1, outcome=outcome, **known)


RUNS = st.lists(
    st.builds(canary_run, st.integers(0, 100), OUTCOMES, CONDITIONS), max_size=8, unique_by=lambda one: one.run_id
)
PASSES = st.builds(Passes, st.integers(1, 3), st.integers(0, 40))


def judged_runs(runs: Sequence[CanaryRun], passes: Passes, since: float) -> CheckResult:
    return judge_canary(runs, passes, since, 100, HERE)


@given(RUNS, st.sets(st.integers(0, 7)), PASSES, st.integers(0, 50))
def test_lost_passes_of_a_canary_never_make_a_pass(
    runs: list[CanaryRun], lost: set[int], passes: Passes, since: int
) -> None:
    kept = [
        run
        for place, run in enumerate(runs)
        if run.outcome != "ok" or HERE.objection(run.plan, run.flags) or place not in lost
    ]
    never_a_pass(judged_runs(runs, passes, since), judged_runs(kept, passes, since))


@given(RUNS, PASSES, st.integers(0, 50), st.sampled_from(STRANGE))
def test_runs_of_another_plan_or_flag_state_never_make_a_pass(
    runs: list[CanaryRun], passes: Passes, since: int, strange: dict[str, Any]
) -> None:
    before = judged_runs(runs, passes, since)
    for place, run in enumerate(runs):
        others = [*runs[:place], replace(run, **strange), *runs[place + 1 :]]
        never_a_pass(before, judged_runs(others, passes, since))
        if run.outcome != "ok":
            assert judged_runs(others, passes, since).verdict is before.verdict


@given(RUNS, PASSES, st.integers(0, 50))
def test_a_pass_rests_on_every_one_of_the_newest_runs(runs: list[CanaryRun], passes: Passes, since: int) -> None:
    result = judged_runs(runs, passes, since)
    event(result.verdict)
    for place in range(len(runs))[-passes.wanted :] if result.verdict is Verdict.PASSED else ():
        for change in (*STRANGE, {"outcome": "failed"}, {"outcome": "error"}):
            others = [*runs[:place], replace(runs[place], **change), *runs[place + 1 :]]
            assert judged_runs(others, passes, since).verdict is not Verdict.PASSED


@given(RUNS, PASSES, st.integers(0, 50), st.sampled_from(["failed", "error"]))
def test_a_run_that_did_not_pass_never_improves_a_verdict(
    runs: list[CanaryRun], passes: Passes, since: int, outcome: str
) -> None:
    before = judged_runs(runs, passes, since)
    for place, run in enumerate(runs):
        if run.outcome == "ok":
            others = [*runs[:place], replace(run, outcome=outcome), *runs[place + 1 :]]
            never_better(before, judged_runs(others, passes, since))


@given(RUNS, PASSES, st.integers(0, 50), st.integers(-100, 100))
def test_what_was_recorded_last_counts_whatever_its_clock_said(
    runs: list[CanaryRun], passes: Passes, since: int, at: int
) -> None:
    for outcome in ("failed", "error"):
        last = replace(runs[-1], run_id="last", outcome=outcome, started_at=float(at)) if runs else None
        if last:
            assert judged_runs([*runs, last], passes, since).verdict is not Verdict.PASSED


# --- answers of people ------------------------------------------------------------------------------------------

ASKED = Question(rollout="r", environment="e", stage="stage1", gate="g", text="Quiet?", expires=50.0, two_people=True)
NAMES = ("Jo Desk", "jo  desk", "Kim", "Ann", "")
NOW = 100.0
GROUND = Ground(since=0.0, plan="p1", heads=frozenset({"1:a"}), contradictions=(), changed_by=None)


@dataclass(frozen=True)
class Case:
    """Answers to a question, and what they stand on."""

    answers: tuple[Attestation, ...]
    asked: Question
    ground: Ground

    def judged(self) -> CheckResult:
        return judge_attestation(self.answers, self.asked, self.ground, NOW)


def answer(at: int, random: Random) -> Attestation:
    return Attestation(
        question=random.choice(["Quiet?"] * 15 + ["Loud?"]),
        answer=random.random() < 0.8,
        by=random.choice(NAMES[:4] * 5 + NAMES),
        reason="said so",
        given_at=float(at),
        expires_at=float(random.randrange(90, 200)),
        head=random.choice(["1:a"] * 15 + ["2:b"]),
        plan=random.choice(["p1"] * 15 + ["p2", ""]),
    )


def case(seed: int) -> Case:
    random = Random(seed)  # noqa: S311 - of a world
    times = random.sample(range(40, 104), random.randrange(4))
    changed_by = random.choice([None, random.sample(NAMES, random.randrange(3)), ["Kim"]])
    found = tuple(Contradiction(float(random.randrange(60)), "x failed") for _ in range(random.randrange(3)))
    return Case(
        answers=tuple(answer(at, random) for at in times),
        asked=replace(ASKED, expires=random.choice([50.0, 90.0]), two_people=random.random() < 0.4),
        ground=replace(GROUND, since=float(random.randrange(60)), contradictions=found, changed_by=changed_by),
    )


CASES = st.integers(0, 10**6).map(case)
LESS: tuple[dict[str, Any], ...] = (
    {"plan": "p2"},
    {"plan": ""},
    {"question": "?"},
    {"head": "3:c"},
    {"answer": False},
    {"expires_at": NOW},
    {"given_at": NOW + 5},
    {"by": " "},
)
"""What makes an answer stand on less, or none."""


def test_the_cases_of_answers_are_of_all_kinds() -> None:
    found = Counter(one.judged().reason for one in map(case, range(1000)))
    assert found.keys() == {Reason.WITHIN_LIMIT, Reason.ATTESTED_NO, Reason.NOT_ATTESTED, Reason.SAME_PERSON}
    assert min(found.values()) >= 50


@settings(max_examples=500)
@given(CASES)
def test_an_answer_that_stands_on_less_never_makes_a_pass(one: Case) -> None:
    before = one.judged()
    for (place, answered), less in itertools.product(enumerate(one.answers), LESS):
        answers = (*one.answers[:place], replace(answered, **less), *one.answers[place + 1 :])
        never_a_pass(before, replace(one, answers=answers).judged())
    ground = one.ground
    for less_known in (
        replace(ground, heads=frozenset()),
        replace(ground, changed_by=None),
        replace(ground, contradictions=(*ground.contradictions, Contradiction(NOW, "y failed"))),
        replace(ground, since=ground.since + 20),
    ):
        never_a_pass(before, replace(one, ground=less_known).judged())


@settings(max_examples=300)
@given(CASES)
def test_lost_answers_before_the_newest_change_nothing(one: Case) -> None:
    newest = one.answers[-1:]
    alone, among = replace(one, answers=tuple(newest)).judged(), one.judged()
    assert (alone.verdict, alone.reason, alone.message) == (among.verdict, among.reason, among.message)
    assert replace(one, answers=()).judged().verdict is Verdict.INCONCLUSIVE


@settings(max_examples=300)
@given(CASES, RANDOM)
def test_the_order_of_what_speaks_against_an_answer_does_not_matter(one: Case, random: Random) -> None:
    found = one.ground.contradictions
    other = replace(one.ground, contradictions=tuple(random.sample(found, len(found))))
    assert replace(one, ground=other).judged() == one.judged()


# --- flags ------------------------------------------------------------------------------------------------------

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


# --- what must not matter -----------------------------------------------------------------------------------------


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
    def all_of_it() -> list[CheckResult]:
        return [one(seed).judged() for one in (build, case) for seed in range(60)]

    here = all_of_it()
    for zone in ("UTC", "Pacific/Kiritimati", "America/St_Johns"):
        elsewhere(zone)
        assert all_of_it() == here
