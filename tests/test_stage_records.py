"""Deciding a stage by what was recorded: slots of canaries with a schedule, and answers of people."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from pytest_rollout.errors import EvidenceError
from pytest_rollout.evidence.people import Found
from pytest_rollout.judge.attestation import Attestation, Contradiction
from pytest_rollout.judge.history import CanaryRun
from pytest_rollout.judge.slot import Slot, SlotState
from pytest_rollout.plan.gates import Gate
from pytest_rollout.replay import bundle, judge_again
from pytest_rollout.stage import Scene, decide
from pytest_rollout.verdict import CheckResult
from tests.test_stage import PLAN, START, World, words

EVERY = 60.0
STREAK = {"id": "streak", "canary": {"name": "pay", "consecutive": 3}}
HOURS = {"id": "hours", "canary": {"name": "pay", "quiet": "3m"}}
QUESTION = "Is the support desk quiet?"
ASKED = {"id": "desk", "attestation": {"question": QUESTION, "expires": "1h"}}
HEAD = f"7:{'ab' * 32}"
YES = Attestation(
    question=QUESTION,
    answer=True,
    by="Grace",
    reason="no tickets",
    given_at=START - 10,
    expires_at=START + 3000,
    head=HEAD,
    plan=PLAN,
)


@dataclass
class Slots:
    """Slots that are kept as told; stands for the scheduler's keeper. A run takes a second."""

    world: World
    states: dict[int, SlotState] = field(default_factory=dict)
    """By number; those that are run here and not told end ``ok``."""
    kept: list[Slot] = field(default_factory=list)
    broken: bool = False

    def run_due(self, canary: str) -> None:
        if self.broken:
            raise EvidenceError("the evidence log is broken")
        number = math.floor(self.world.now / EVERY)
        if number in {round(slot.at / EVERY) for slot in self.kept}:
            return
        self.world.now += 1
        state = self.states.get(number, SlotState.OK)
        if state is not SlotState.MISSED:
            self.kept.append(self._slot(canary, number, state))

    def _slot(self, canary: str, number: int, state: SlotState) -> Slot:
        return Slot(
            canary=canary,
            at=number * EVERY,
            every=EVERY,
            state=state,
            ended_at=self.world.now,
            message=state.value,
            plan=PLAN,
            flags={"READS@admin": True},
            runs=("r",),
            began_at=self.world.now - 1,
        )

    def slots(self, canary: str, since: float) -> list[Slot]:
        return [slot for slot in self.kept if slot.canary == canary and slot.at >= since]


def scene(world: World, slots: Slots | None = None, answers: Found | str | None = None) -> Scene:
    def asked(gate: str, at: float) -> Found:
        assert (gate, at) == ("desk", world.now)
        if isinstance(answers, str):
            raise EvidenceError(answers)
        return answers or Found()

    found = replace(world.scene(), answers=asked)
    return replace(found, slots=slots, periods={"pay": EVERY}) if slots else found


def results_of(given: Scene, *gates: Mapping[str, Any], wait: float = 0) -> dict[str, CheckResult]:
    """Decide, keep it, judge it again without any source, and return what both found."""
    models = [Gate.model_validate(gate) for gate in gates]
    decided = decide(given, models, wait=wait)
    again = judge_again(json.loads(json.dumps(bundle(given, models, decided))))
    assert {name: one.to_dict() for name, one in again.items()} == {
        name: one.to_dict() for name, one in decided.results.items()
    }
    return decided.results


def test_a_wait_runs_every_slot_that_is_due_and_none_twice() -> None:
    world = World(flipped_at=START)
    slots = Slots(world)
    results = results_of(scene(world, slots), STREAK, HOURS, wait=600)
    assert set(words(results).values()) == {"passed within-limit"}
    numbers = [round(slot.at / EVERY) for slot in slots.kept]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert world.now <= START + 5 * EVERY


def test_without_waiting_one_slot_is_run_and_the_rest_is_missing() -> None:
    world = World(flipped_at=START - 1000)
    slots = Slots(world)
    results = results_of(scene(world, slots), STREAK)
    assert words(results)["streak"] == "inconclusive too-few-passes"
    assert len(slots.kept) == 1


def test_a_failed_slot_is_a_breach() -> None:
    world = World(flipped_at=START - 1000)
    slots = Slots(world, {math.floor(START / EVERY): SlotState.FAILED})
    assert words(results_of(scene(world, slots), STREAK, HOURS)) == {
        "flag-state": "passed within-limit",
        "streak": "breached canary-failed",
        "hours": "breached canary-failed",
    }


def test_a_slot_that_nobody_ran_holds() -> None:
    world = World(flipped_at=START - 1000)
    first = math.floor(START / EVERY)
    slots = Slots(world, {first + 2: SlotState.MISSED})
    results = results_of(scene(world, slots), HOURS, wait=4 * EVERY)
    assert words(results)["hours"] == "inconclusive slot-missed"


def test_slots_before_the_flip_do_not_count() -> None:
    world = World(flipped_at=START - 1000)
    slots = Slots(world)
    results_of(scene(world, slots), STREAK, wait=300)
    world.flipped_at = world.now
    assert words(results_of(scene(world, slots), STREAK))["streak"] == "inconclusive too-few-passes"


def test_a_log_that_cannot_be_read_is_an_error() -> None:
    world = World()
    results = results_of(scene(world, Slots(world, broken=True)), STREAK)
    assert (words(results)["streak"], results["streak"].message) == (
        "error canary-error",
        "the evidence log is broken",
    )


def test_a_gate_about_slots_needs_a_schedule() -> None:
    world = World()
    world.runs = [CanaryRun(run_id="1", canary="pay", started_at=START, ended_at=START, outcome="ok", plan=PLAN)]
    results = results_of(scene(world), STREAK)
    assert words(results)["streak"] == "error canary-error"
    assert results["streak"].message == (
        "'consecutive' counts slots, and the canary 'pay' has no schedule; "
        "add it to the plan: canaries: {pay: {every: 15m}}"
    )


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (Found((YES,), heads=(HEAD,)), "passed within-limit"),
        (Found((YES,)), "inconclusive not-attested"),
        (Found(), "inconclusive not-attested"),
        (Found((replace(YES, answer=False),), heads=(HEAD,)), "breached attested-no"),
        (Found((replace(YES, plan="other"),), heads=(HEAD,)), "inconclusive not-attested"),
        (Found((YES,), (Contradiction(START - 1, "it broke"),), (HEAD,)), "inconclusive not-attested"),
        ("the evidence log is broken", "error evidence-unusable"),
    ],
    ids=["yes", "head unknown", "nobody", "no", "other plan", "contradicted", "broken"],
)
def test_an_answer(answers: Found | str, said: str) -> None:
    world = World()
    assert words(results_of(scene(world, answers=answers), ASKED))["desk"] == said


@pytest.mark.parametrize(
    ("changed_by", "said"),
    [
        ("Ada", "passed within-limit"),
        ("grace ", "inconclusive same-person"),
        (None, "inconclusive same-person"),
    ],
)
def test_who_made_the_change_does_not_answer(changed_by: str | None, said: str) -> None:
    world = World(changed_by=changed_by)
    two = {**ASKED, "attestation": {**ASKED["attestation"], "two_people": True}}  # type: ignore[dict-item]
    assert words(results_of(scene(world, answers=Found((YES,), heads=(HEAD,))), two))["desk"] == said


def test_nobody_is_asked_where_there_is_no_log() -> None:
    world = World()
    results = results_of(world.scene(), ASKED)
    assert results["desk"].message == "nobody can be asked about desk here"
