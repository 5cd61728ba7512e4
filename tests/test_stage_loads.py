"""Loads in a stage: made once, when the stage is as it has to be, and never older than the last flip."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from pytest_rollout.latency import Load, LoadTerms
from pytest_rollout.load.injected.book import Outcome
from pytest_rollout.load_runner import LoadRunner, Tell
from pytest_rollout.look import FLAG_STATE
from pytest_rollout.plan.gates import Gate
from pytest_rollout.stage import Clock, Scene, Waiting, decide
from pytest_rollout.verdict import Reason, Verdict
from tests.load.runs import result
from tests.test_stage import CANARY, COUNTER, START, VALUE, Results, World, _short_retries, words

__all__ = ["_short_retries"]
"""A fixture for every test here."""
Fate = Callable[[int], tuple[Outcome, float]]
LOAD: dict[str, Any] = {
    "id": "load",
    "latency": {"locustfile": "portal", "rate": "20/s", "for": "5s", "arrivals": "constant", "p90": {"below": "200ms"}},
}
OTHER = {**LOAD, "id": "another-load"}
SECONDS = 20.0
"""How long a load takes here."""


def good(_number: int) -> tuple[Outcome, float]:
    return "ok", 0.04


def slow(_number: int) -> tuple[Outcome, float]:
    return "ok", 0.5


@dataclass
class Loaded(World):
    """A made-up world in which loads are made up too: each takes its time, and says how far it has come."""

    fates: list[Fate] = field(default_factory=list)
    """Of the n-th load; the last one is good."""
    begun: list[tuple[str, float]] = field(default_factory=list)
    terms: list[LoadTerms] = field(default_factory=list)
    meanwhile: Callable[[], None] = lambda: None
    """Happens in the middle of each load."""
    earlier: dict[str, int] = field(default_factory=dict)

    def make(self, name: str, terms: LoadTerms, tell: Tell) -> Load:
        number, begun = len(self.begun), self.now
        self.begun.append((name, begun))
        self.terms.append(terms)
        tell(f"{name}: load for 5 s")
        self.now += SECONDS / 2
        self.meanwhile()
        self.now += SECONDS / 2
        fate = self.fates[number] if number < len(self.fates) else good
        order = terms.order("portal.py", "http://target", {})
        return Load(begun=begun, runs=(result(order, outcome=fate),), attachments=(f"{name}.svg",))

    def scene(self, *, flags: Any = None, settle: str = "0s", flipped_at: float | None = None) -> Scene:
        there = super().scene(flags=flags, settle=settle, flipped_at=flipped_at)
        return replace(there, loads=cast("LoadRunner", self))


def flip_once(world: Loaded, change: Callable[[], None] = lambda: None) -> None:
    """Let the flag be flipped during the next load."""

    def flip() -> None:
        world.flipped_at = world.now
        change()
        world.meanwhile = lambda: None

    world.meanwhile = flip


# --- when it is made --------------------------------------------------------------------------------------------


def test_a_load_is_made_and_judged() -> None:
    world = Loaded()
    results = world.decide(LOAD)
    assert words(results) == {FLAG_STATE: "passed within-limit", "load": "passed within-limit"}
    assert world.begun == [("load", START)]
    assert results["load"].attachments == ("load.svg",)
    assert results["load"].derivation["load"]["arms"]["all"]["ok"] == 100


def test_a_load_is_made_once_however_often_the_stage_is_looked_at() -> None:
    world = Loaded(flipped_at=START)
    results = world.decide(LOAD, {**COUNTER, "over": "1m"}, wait=120)
    assert set(words(results).values()) == {"passed within-limit"}
    assert len([waiting for waiting in world.waits if waiting.checks]) > 5, "it was looked at often"
    assert world.begun == [("load", START)]


def test_loads_are_made_one_after_the_other_as_the_plan_has_them() -> None:
    world = Loaded()
    results = world.decide(LOAD, VALUE, OTHER)
    assert set(words(results).values()) == {"passed within-limit"}
    assert world.begun == [("load", START), ("another-load", START + SECONDS)]


def test_no_load_is_made_before_the_stage_has_settled() -> None:
    world = Loaded(flipped_at=START)
    results = world.decide(LOAD, settle="30s", wait=300)
    assert words(results)["load"] == "passed within-limit"
    ((_, begun),) = world.begun
    assert START + 30 <= begun <= START + 32


def test_without_time_to_settle_it_is_said_when() -> None:
    world = Loaded(flipped_at=START - 10)
    found = world.decide(LOAD, settle="30s")["load"]
    assert (world.begun, found.verdict, found.reason, found.ready_in) == (
        [],
        Verdict.INCONCLUSIVE,
        Reason.WINDOW_NOT_ELAPSED,
        20.0,
    )
    assert found.message == "no load was made since the last flip and its settle time; wait, or run this again"


@pytest.mark.parametrize(
    ("flag", "flags"),
    [
        ({"flag": False}, "breached flag-mismatch"),
        ({"flags_are_down": True}, "error flag-not-evaluated"),
        ({"flipped_at": None}, "inconclusive flip-unknown"),
    ],
    ids=["wrong", "unknown", "of unknown age"],
)
@pytest.mark.parametrize("wait", [0.0, 5.0])
def test_no_load_is_made_while_a_flag_is_wrong(flag: dict[str, Any], flags: str, wait: float) -> None:
    world = Loaded(**flag)
    results = world.decide(LOAD, wait=wait, exhaustive=True)
    assert words(results) == {FLAG_STATE: flags, "load": "inconclusive window-not-elapsed"}
    assert world.begun == []
    assert results["load"].message == (
        "no load is made while the flags of the stage are not as they have to be; wait, or run this again"
    )


def test_a_load_is_made_as_soon_as_the_flag_is_right() -> None:
    world = Loaded(flag=False)
    sleep = world.sleep

    def turn_on(seconds: float) -> None:
        sleep(seconds)
        if world.now > START + 5 and not world.flag:
            world.flag, world.flipped_at = True, world.now

    scene = replace(world.scene(), clock=Clock(lambda: world.now, turn_on))
    results = decide(scene, [Gate.model_validate(LOAD)], wait=60, exhaustive=True).results
    assert set(words(results).values()) == {"passed within-limit"}
    ((_, begun),) = world.begun
    assert begun == world.flipped_at


def test_a_stage_without_flags_has_its_load_too() -> None:
    world = Loaded()
    assert words(world.decide(LOAD, flags={})) == {"load": "passed within-limit"}


# --- a flip during the load -------------------------------------------------------------------------------------


def test_a_load_during_which_the_flag_was_flipped_never_counts() -> None:
    world = Loaded()
    flip_once(world)
    found = world.decide(LOAD)["load"]
    assert (found.verdict, found.reason) == (Verdict.INCONCLUSIVE, Reason.WINDOW_NOT_ELAPSED)
    assert found.message == "no load was made since the last flip and its settle time; wait, or run this again"


def test_a_load_during_which_the_flag_was_flipped_is_made_again_with_time() -> None:
    world = Loaded()
    flip_once(world)
    results = world.decide(LOAD, settle="3s", wait=300)
    assert set(words(results).values()) == {"passed within-limit"}
    assert len(world.begun) == 2
    assert world.begun[1][1] >= (world.flipped_at or 0) + 3


@pytest.mark.parametrize("wait", [0.0, 300.0])
def test_a_flip_during_a_load_is_noticed_by_whatever_clock(wait: float) -> None:
    """The service of the flags may be ten minutes behind: the flip then seems older than the load."""
    world = Loaded()

    def flip() -> None:
        world.flipped_at = world.now - 600
        world.meanwhile = lambda: None

    world.meanwhile = flip
    found = words(world.decide(LOAD, wait=wait))["load"]
    assert (found, len(world.begun)) == (("passed within-limit", 2) if wait else ("inconclusive window-not-elapsed", 1))


@pytest.mark.parametrize("fate", [good, slow])
def test_a_load_that_ended_with_the_flag_off_is_no_load_of_the_stage(fate: Fate) -> None:
    world = Loaded(fates=[fate])

    def off() -> None:
        world.flag = False

    flip_once(world, off)
    assert words(world.decide(LOAD)) == {
        FLAG_STATE: "breached flag-mismatch",
        "load": "inconclusive window-not-elapsed",
    }


def test_a_flip_during_the_second_load_makes_both_again() -> None:
    world = Loaded()
    calls: list[str] = []

    def flip() -> None:
        calls.append("")
        if len(calls) == 2:
            world.flipped_at = world.now

    world.meanwhile = flip
    results = world.decide(LOAD, OTHER, wait=300)
    assert set(words(results).values()) == {"passed within-limit"}
    assert [name for name, _ in world.begun] == ["load", "another-load", "load", "another-load"]
    assert min(begun for _, begun in world.begun[2:]) >= (world.flipped_at or 0)


def test_a_load_that_breached_before_a_flip_says_nothing_of_after_it() -> None:
    world = Loaded(fates=[slow])
    flip_once(world)
    assert words(world.decide(LOAD, wait=300))["load"] == "passed within-limit"
    assert len(world.begun) == 2


# --- what comes of it -------------------------------------------------------------------------------------------


def test_a_breach_ends_the_wait() -> None:
    world = Loaded(flipped_at=START, fates=[slow])
    results = words(world.decide(LOAD, {**COUNTER, "over": "5m"}, wait=600))
    assert results["load"] == "breached limit-breached"
    assert results["rollbacks"].startswith("inconclusive")
    assert world.now == START + SECONDS


def test_a_breach_stands_while_the_others_are_followed() -> None:
    world = Loaded(flipped_at=START, fates=[slow])
    results = world.decide(LOAD, {**COUNTER, "over": "1m"}, wait=600, exhaustive=True)
    assert (words(results)["load"], words(results)["rollbacks"]) == ("breached limit-breached", "passed within-limit")
    assert len(world.begun) == 1
    assert results["load"].attachments == ("load.svg",)


def test_the_time_of_a_load_is_time_that_was_waited() -> None:
    world = Loaded(flipped_at=START)
    late = {**COUNTER, "over": "30s"}
    assert words(world.decide(LOAD, late, wait=25))["rollbacks"] == "inconclusive window-not-elapsed"
    assert world.now < START + 25 + 1
    again = Loaded(flipped_at=START)
    assert words(again.decide(LOAD, late, wait=40))["rollbacks"] == "passed within-limit"
    assert again.now < START + 40


def test_what_a_load_does_is_told() -> None:
    world = Loaded()
    world.decide(LOAD, OTHER, wait=60)
    assert world.waits == [
        Waiting((), 0.0, 60, "load: load for 5 s"),
        Waiting((), SECONDS, 60, "another-load: load for 5 s"),
    ]


def test_counters_are_read_after_the_load() -> None:
    """What a load breaks must not be missed: the instant of judging is after it."""
    world = Loaded(flipped_at=START - 5)
    world.rollbacks = lambda at: float(at >= START + 12)
    results = words(world.decide(COUNTER, LOAD, wait=60))
    assert results["rollbacks"] == "breached limit-breached"


def test_canaries_run_beside_loads() -> None:
    world = Loaded()
    results = world.decide({**CANARY, "canary": {"name": "smoke"}}, LOAD)
    assert set(words(results).values()) == {"passed within-limit"}


# --- what is missing --------------------------------------------------------------------------------------------


def test_where_no_load_can_be_made_there_is_an_error() -> None:
    found = World().decide(LOAD, wait=60)["load"]
    assert (found.verdict, found.reason, found.message) == (
        Verdict.ERROR,
        Reason.BENT_GENERATOR,
        "no load can be made here",
    )


@pytest.mark.parametrize("wait", [0.0, 60.0])
def test_a_log_that_cannot_tell_of_looks_lets_no_load_be_made(wait: float) -> None:
    world = Loaded(looks_are_broken=True)
    found = world.decide(LOAD, wait=wait)["load"]
    assert (found.verdict, found.reason) == (Verdict.ERROR, Reason.EVIDENCE)
    assert found.message == "nobody knows whether this was looked at before: the evidence log is broken"
    assert (world.begun, world.now) == ([], START)


def test_a_load_needs_no_prometheus() -> None:
    world = Loaded(prometheus_is_down=True)
    assert words(world.decide(LOAD))["load"] == "passed within-limit"


# --- how often it is made ---------------------------------------------------------------------------------------


def test_every_load_since_a_flip_is_a_turn() -> None:
    world = Loaded()
    verdicts: list[Results] = [world.decide(LOAD) for _ in range(3)]
    assert [terms.turn for terms in world.terms] == [1, 2, 3]
    needed = [results["load"].derivation["fewest_requests"] for results in verdicts]
    assert needed == [29, 36, 42]
    world.flipped_at = START + 1
    world.decide(LOAD)
    assert world.terms[-1].turn == 1


def test_looks_of_another_gate_are_no_turns_of_a_load() -> None:
    world = Loaded()
    for _ in range(3):
        world.decide(COUNTER)
    world.decide(LOAD)
    assert [terms.turn for terms in world.terms] == [1]


def test_a_load_within_a_run_is_judged_by_the_turn_that_it_was_made_in() -> None:
    world = Loaded(flipped_at=START)
    found = world.decide(LOAD, {**COUNTER, "over": "1m"}, wait=120)["load"]
    assert found.derivation["fewest_requests"] == 29
    assert found.derivation["confidence"] == 0.95


def test_what_the_plan_and_the_environment_say_reaches_the_load() -> None:
    world = Loaded()
    scene = world.scene()
    scene = replace(scene, target=replace(scene.target, time_scale=4.0))
    gate = Gate.model_validate({**LOAD, "confidence": "99%"})
    decide(scene, [gate])
    assert world.terms == [LoadTerms(asked=gate.latency, confidence=0.99, scale=4.0, turn=1)]  # type: ignore[arg-type]
