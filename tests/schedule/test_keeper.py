"""A keeper of slots: what it records, and what it leaves to others. Runs are scripted, the log is real."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_rollout.canary import CanaryRunner, Occasion
from pytest_rollout.errors import EvidenceError, FencedOut
from pytest_rollout.evidence.leases import Fence, Leases
from pytest_rollout.evidence.record import canonical
from pytest_rollout.evidence.runs import add_run, find_run
from pytest_rollout.evidence.slots import Started, start_slot
from pytest_rollout.judge.history import CanaryRun
from pytest_rollout.judge.slot import SlotState
from pytest_rollout.schedule.keeper import Keeper, Turn
from tests.schedule.shop import CANARY, PLACE, ClockedLog, Scripted, ScriptedRunner, schedule, scripted

LEASE = f"canary:{canonical([PLACE.rollout, PLACE.environment, PLACE.target, CANARY])}"
FAULT = {"outcome": "error", "message": "no route", "retryable": True}


def lease(log: ClockedLog, seconds: float, holder: str = "elsewhere:1") -> Fence:
    """Take the canary's lease, as another machine does."""
    fence = Leases(log).acquire(LEASE, holder, seconds)
    assert fence is not None
    return fence


def killed(shop: Scripted, at: float) -> str:
    """Leave a slot as a scheduler does that is killed right after it was started; return the run's id."""
    started = Started(at=at, run_id=f"run-of-{at:g}", holder="elsewhere:1", started_at=at + 1)
    start_slot(shop.log, PLACE, CANARY, started, lease(shop.log, 455.0))
    return started.run_id


def attempt(shop: Scripted, run_id: str, outcome: str = "ok", **other: Any) -> None:
    """Record an attempt, as the canary's process does."""
    told: dict[str, Any] = {"started_at": 2701.0, "ended_at": 2705.0, "message": "passed", **other}
    add_run(shop.log, CanaryRun(run_id=run_id, canary=CANARY, outcome=outcome, **told), PLACE)


# --- the slot in progress ---


def test_the_slot_in_progress_is_run_once(tmp_path: Path) -> None:
    shop = scripted(tmp_path, schedule(deadline="60s")).at(2750.0)

    turn = shop.keeper.run_due(CANARY)

    assert turn.slot is not None
    assert (turn.at, turn.mine, turn.slot.state, turn.slot.message) == (2700.0, True, SlotState.OK, "passed")
    ((deadline, occasion),) = shop.runs.asked
    assert (deadline, occasion.slot, occasion.attempt) == (60.0, 2700.0, 1)
    assert turn.slot.runs == (occasion.run_id,)
    assert shop.keeper.run_due(CANARY) == Turn(2700.0, turn.slot)
    lease(shop.log, 60.0, "third:1")
    assert shop.other().run_due(CANARY) == Turn(2700.0, turn.slot), "nobody has to be waited for"
    assert (len(shop.runs.asked), shop.told) == (1, [turn.slot])


def test_every_period_has_a_slot(tmp_path: Path) -> None:
    shop = scripted(tmp_path, schedule())
    for now in (2700.0, 3599.0, 3601.0, 4500.0):
        shop.at(now).keeper.run_due(CANARY)
    assert shop.states() == [(2700.0, "ok"), (3600.0, "ok"), (4500.0, "ok")]


def test_the_scale_of_an_environment_shortens_the_period(tmp_path: Path) -> None:
    shop = scripted(tmp_path, schedule())
    keeper = replace(shop.keeper, scale=60.0)
    shop.at(31.0)
    slot = keeper.run_due(CANARY).slot
    assert slot is not None
    assert (slot.at, slot.every, shop.runs.asked[0][0]) == (30.0, 15.0, 15.0)


def test_canaries_have_slots_of_their_own(tmp_path: Path) -> None:
    shop = scripted(tmp_path, schedule())
    keeper = replace(shop.keeper, schedules={CANARY: schedule(), "portal": schedule("10m")})
    shop.at(2700.0)
    fence = lease(shop.log, 900.0)
    assert keeper.run_due("portal").at == 2400.0
    assert [slot.state for slot in keeper.slots("portal")] == [SlotState.OK]
    Leases(shop.log).release(fence)
    assert keeper.run_due(CANARY).mine


def test_a_slot_in_maintenance_is_not_run(tmp_path: Path) -> None:
    window = {"since": "1970-01-01T00:45:00Z", "until": "1970-01-01T00:46:00Z", "reason": "the vault moves"}
    shop = scripted(tmp_path, schedule(maintenance=[window])).at(2750.0)
    slot = shop.keeper.run_due(CANARY).slot
    assert slot is not None
    assert (slot.state, slot.message, slot.ended_at) == (SlotState.SUPPRESSED, "maintenance: the vault moves", 2750.0)
    assert (shop.runs.asked, shop.told) == ([], [slot])


# --- attempts ---


def test_a_fault_before_any_side_effect_is_tried_again(tmp_path: Path) -> None:
    shop = scripted(tmp_path, schedule(retries=1), [FAULT]).at(2700.0)

    slot = shop.keeper.run_due(CANARY).slot

    assert slot is not None
    assert (slot.state, slot.message) == (SlotState.FLAKY, "passed at attempt 2, after: no route")
    first, second = (occasion for _, occasion in shop.runs.asked)
    assert (second.run_id, second.attempt, second.slot) == (f"{first.run_id}-2", 2, 2700.0)
    assert slot.runs == (first.run_id, second.run_id)
    assert [found.outcome for run_id in slot.runs if (found := find_run(shop.log, run_id))] == ["error", "ok"]


@pytest.mark.parametrize(
    ("script", "retries", "runs"),
    [
        ([FAULT], 0, 1),
        ([{**FAULT, "retryable": False}], 3, 1),
        ([{"outcome": "failed", "message": "no"}], 3, 1),
        ([{**FAULT, "seconds": 901}], 3, 1),
        ([FAULT, FAULT, FAULT, FAULT, FAULT], 3, 4),
    ],
    ids=["no retries", "after a side effect", "a failure", "its time is over", "as often as the plan says"],
)
def test_nothing_else_is_tried_again(tmp_path: Path, script: list[dict[str, Any]], retries: int, runs: int) -> None:
    shop = scripted(tmp_path, schedule(retries=retries), script).at(2700.0)
    shop.keeper.run_due(CANARY)
    assert len(shop.runs.asked) == runs
    assert shop.states()[0][1] in ("error", "failed")


def test_the_lease_is_renewed_for_every_attempt(tmp_path: Path) -> None:
    shop = scripted(tmp_path, schedule(retries=2, deadline="300s"), [{**FAULT, "seconds": 299.0}] * 2).at(2700.0)
    seen: list[Fence | None] = []

    class Curious(ScriptedRunner):
        def run(self, canary: str, deadline: float, occasion: Occasion | None = None) -> CanaryRun:
            run = ScriptedRunner.run(self, canary, deadline, occasion)
            seen.append(Leases(self.log).acquire(LEASE, "elsewhere:1", 1.0))
            return run

    told = {name: getattr(shop.runs, name) for name in shop.runs.__dataclass_fields__}
    slot = replace(shop.keeper, runner=Curious(**told)).run_due(CANARY).slot
    assert slot is not None
    assert (slot.state, seen) == (SlotState.FLAKY, [None, None, None])


# --- somebody else ---


def test_somebody_else_has_the_slot(tmp_path: Path) -> None:
    shop = scripted(tmp_path, schedule()).at(2700.0)
    fence = lease(shop.log, 125.0)
    assert shop.keeper.run_due(CANARY) == Turn(2700.0, None)
    assert shop.at(2824.0).keeper.run_due(CANARY) == Turn(2700.0, None)
    Leases(shop.log).release(fence)
    assert shop.keeper.run_due(CANARY).mine


def test_a_slot_whose_time_passes_during_the_run_before_it_is_run_late_or_skipped(tmp_path: Path) -> None:
    shop = scripted(tmp_path, schedule(), [{"seconds": 1000.0}, {"seconds": 1850.0}]).at(2700.0)
    shop.keeper.run_due(CANARY)  # until 3700
    shop.keeper.run_due(CANARY)  # the one of 3600, until 5550
    shop.keeper.run_due(CANARY)
    assert shop.states() == [(2700.0, "ok"), (3600.0, "ok"), (4500.0, "skipped-overlap"), (5400.0, "ok")]


def test_whoever_was_suspended_past_its_lease_records_nothing(tmp_path: Path) -> None:
    shop = scripted(tmp_path, schedule()).at(2700.0)

    class Suspended(ScriptedRunner):
        def run(self, canary: str, deadline: float, occasion: Occasion | None = None) -> CanaryRun:
            run = ScriptedRunner.run(self, canary, deadline, occasion)
            shop.at(2999.0).other().run_due(CANARY)
            return run

    told = {name: getattr(shop.runs, name) for name in shop.runs.__dataclass_fields__}
    with pytest.raises(FencedOut, match=r'the lease canary:\["shop",.* elsewhere:1 has token 2; nothing was written'):
        replace(shop.keeper, runner=Suspended(**told)).run_due(CANARY)
    assert shop.states() == [(2700.0, "ok")]
    assert len(shop.runs.asked) == 1
    assert [slot.runs for slot in shop.told] == [(shop.runs.asked[0][1].run_id,)], "told by who took over"


def test_whoever_was_suspended_before_the_run_does_not_begin_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = scripted(tmp_path, schedule()).at(2700.0)
    renew = Leases.renew

    def suspended(leases: Leases, fence: Fence, seconds: float) -> None:
        monkeypatch.setattr(Leases, "renew", renew)
        assert shop.at(2824.0).other().run_due(CANARY) == Turn(2700.0, None)
        shop.at(2999.0).other().run_due(CANARY)
        renew(leases, fence, seconds)

    monkeypatch.setattr(Leases, "renew", suspended)
    with pytest.raises(FencedOut):
        shop.keeper.run_due(CANARY)
    assert (shop.states(), shop.runs.asked) == ([(2700.0, "error")], [])


def test_a_lease_that_expired_and_nobody_took_is_good(tmp_path: Path) -> None:
    shop = scripted(tmp_path, schedule(), [{"seconds": 3000.0}]).at(2700.0)
    assert shop.keeper.run_due(CANARY).mine
    shop.keeper.run_due(CANARY)
    assert shop.states() == [
        (2700.0, "ok"),
        (3600.0, "skipped-overlap"),
        (4500.0, "skipped-overlap"),
        (5400.0, "ok"),
    ]


# --- after a crash, a pause, a stop ---


def test_a_slot_whose_scheduler_was_killed_is_an_error_and_not_run_again(tmp_path: Path) -> None:
    shop = scripted(tmp_path, schedule()).at(2700.0)
    run_id = killed(shop, 2700.0)
    assert shop.at(3154.0).keeper.run_due(CANARY) == Turn(2700.0, None), "who has the lease may still be running it"

    slot = shop.at(3156.0).keeper.run_due(CANARY).slot

    assert slot is not None
    assert (slot.state, slot.runs, slot.began_at, slot.ended_at) == (SlotState.ERROR, (run_id,), 2701.0, 2821.0)
    assert slot.message == "its scheduler was killed during the run; not run again, since it may have had side effects"
    assert (shop.runs.asked, shop.told) == ([], [slot])


def test_what_the_canary_recorded_counts_although_its_scheduler_was_killed(tmp_path: Path) -> None:
    shop = scripted(tmp_path, schedule()).at(2700.0)
    attempt(shop, killed(shop, 2700.0), plan="p", flags={"READS@*": True}, attachments=("a.png",))

    shop.at(5000.0).keeper.run_due(CANARY)

    first, second, third = shop.keeper.slots(CANARY)
    assert (first.state, first.ended_at, first.plan, first.flags) == (SlotState.OK, 2705.0, "p", {"READS@*": True})
    assert (second.state, third.state) == (SlotState.MISSED, SlotState.OK)
    assert first.attachments == ("a.png",)


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        (["failed"], "failed"),
        (["error"], "error"),
        (["error", "ok"], "flaky"),
        (["error", "error", "ok"], "flaky"),
        (["error", "failed"], "failed"),
    ],
)
def test_all_attempts_that_were_recorded_count(tmp_path: Path, outcomes: list[str], state: str) -> None:
    shop = scripted(tmp_path, schedule(retries=2)).at(2700.0)
    run_id = killed(shop, 2700.0)
    for number, outcome in enumerate(outcomes, 1):
        attempt(shop, run_id if number == 1 else f"{run_id}-{number}", outcome, retryable=outcome == "error")
    shop.at(3600.0).keeper.run_due(CANARY)
    assert shop.states() == [(2700.0, state), (3600.0, "ok")]
    assert len(shop.keeper.slots(CANARY)[0].runs) == len(outcomes)


def test_a_process_that_ended_badly_after_it_had_passed_has_not_passed_also_after_a_crash(tmp_path: Path) -> None:
    shop = scripted(tmp_path, schedule()).at(2700.0)
    run_id = killed(shop, 2700.0)
    attempt(shop, run_id)
    attempt(shop, f"{run_id}-end", "error", overran=True)
    shop.at(3600.0).keeper.run_due(CANARY)
    assert shop.states() == [(2700.0, "overran"), (3600.0, "ok")]


def test_a_run_that_met_its_deadline_is_overran_also_after_a_crash(tmp_path: Path) -> None:
    shop = scripted(tmp_path, schedule(), [{"outcome": "error", "overran": True}]).at(1800.0)
    shop.keeper.run_due(CANARY)
    attempt(shop, killed(shop.at(2700.0), 2700.0), "error", overran=True)
    shop.at(3600.0).keeper.run_due(CANARY)
    assert shop.states() == [(1800.0, "overran"), (2700.0, "overran"), (3600.0, "ok")]


def test_slots_that_passed_while_nobody_was_there_are_missed_and_told(tmp_path: Path) -> None:
    shop = scripted(tmp_path, schedule()).at(2700.0)
    shop.keeper.run_due(CANARY)
    shop.at(6400.0).keeper.run_due(CANARY)
    assert shop.states() == [(2700.0, "ok"), (3600.0, "missed"), (4500.0, "missed"), (5400.0, "missed"), (6300.0, "ok")]
    assert [slot.at for slot in shop.told] == [2700.0, 3600.0, 4500.0, 5400.0, 6300.0]


def test_the_newest_missed_slot_is_run_late(tmp_path: Path) -> None:
    shop = scripted(tmp_path, schedule(catch_up="latest")).at(2700.0)
    shop.keeper.run_due(CANARY)
    shop.at(6400.0).keeper.run_due(CANARY)
    assert shop.states() == [(2700.0, "ok"), (3600.0, "missed"), (4500.0, "missed"), (5400.0, "ok"), (6300.0, "ok")]
    assert [occasion.slot for _, occasion in shop.runs.asked] == [2700.0, 5400.0, 6300.0]
    assert [slot.at for slot in shop.told] == [2700.0, 3600.0, 4500.0, 5400.0, 6300.0]


def test_a_late_run_may_last_beyond_the_slot_in_progress(tmp_path: Path) -> None:
    shop = scripted(tmp_path, schedule(catch_up="latest"), [{}, {"seconds": 900.0}]).at(2700.0)
    shop.keeper.run_due(CANARY)
    assert shop.at(4500.0).keeper.run_due(CANARY) == Turn(4500.0, None)
    shop.keeper.run_due(CANARY)
    assert shop.states() == [(2700.0, "ok"), (3600.0, "ok"), (4500.0, "skipped-overlap"), (5400.0, "ok")]


def test_ten_thousand_missed_slots_are_recorded(tmp_path: Path) -> None:
    shop = scripted(tmp_path, schedule()).at(0.0)
    shop.keeper.run_due(CANARY)
    shop.at(900.0 * 12_000).keeper.run_due(CANARY)
    slots = shop.keeper.slots(CANARY)
    assert len(slots) == 10_002
    assert slots[1].message.endswith("; 1,999 slots before it passed unseen, too, and are not recorded")


def test_a_stop_leaves_the_slot_to_others(tmp_path: Path) -> None:
    shop = scripted(tmp_path, schedule()).at(2700.0)
    keeper = replace(shop.keeper, runner=replace(shop.runs, stopped=lambda: True))
    assert keeper.run_due(CANARY) == Turn(2700.0, None)
    assert shop.other().run_due(CANARY).mine


def test_a_stop_during_the_run_is_an_error_and_no_attempt_follows(tmp_path: Path) -> None:
    shop = scripted(tmp_path, schedule(retries=3), [FAULT]).at(2700.0)
    stopped = replace(shop.runs, stopped=lambda: bool(shop.runs.asked))
    slot = replace(shop.keeper, runner=stopped).run_due(CANARY).slot
    assert slot is not None
    assert (slot.state, slot.message, len(slot.runs)) == (SlotState.ERROR, "stopped by its scheduler", 1)
    assert shop.at(3600.0).other().run_due(CANARY).mine, "the lease was given back"


def test_a_run_that_passed_in_spite_of_a_stop_passed(tmp_path: Path) -> None:
    shop = scripted(tmp_path, schedule()).at(2700.0)
    stopped = replace(shop.runs, stopped=lambda: bool(shop.runs.asked))
    slot = replace(shop.keeper, runner=stopped).run_due(CANARY).slot
    assert slot is not None
    assert (slot.state, slot.message) == (SlotState.OK, "passed")


class Unlucky(ScriptedRunner):
    """Cannot record its run."""

    def run(self, canary: str, deadline: float, occasion: Occasion | None = None) -> CanaryRun:
        raise EvidenceError(f"disk full for {canary} after {deadline:g} s: {occasion is None}")


def test_a_log_that_fails_during_the_run_leaves_an_error_and_the_lease_free(tmp_path: Path) -> None:
    shop = scripted(tmp_path, schedule()).at(1800.0)
    shop.keeper.run_due(CANARY)
    told = {name: getattr(shop.runs, name) for name in shop.runs.__dataclass_fields__}
    unlucky: CanaryRunner = Unlucky(**told)
    shop.at(3600.0)
    with pytest.raises(EvidenceError, match="disk full"):
        replace(shop.keeper, runner=unlucky).run_due(CANARY)
    assert [slot.at for slot in shop.told] == [1800.0, 2700.0], "what was recorded before is told"
    shop.other().run_due(CANARY)
    assert shop.states() == [(1800.0, "ok"), (2700.0, "missed"), (3600.0, "error")]


def test_a_clock_that_was_set_back_runs_nothing_twice(tmp_path: Path) -> None:
    shop = scripted(tmp_path, schedule()).at(3600.0)
    shop.keeper.run_due(CANARY)
    turn = shop.at(2750.0).keeper.run_due(CANARY)
    assert (turn.at, turn.mine, len(shop.runs.asked)) == (2700.0, False, 1)
    assert shop.states() == [(3600.0, "ok")]


def test_no_two_keepers_are_the_same_holder(tmp_path: Path) -> None:
    runs = scripted(tmp_path, schedule()).runs
    assert Keeper(runner=runs, schedules={}).holder != Keeper(runner=runs, schedules={}).holder
