"""``rollout run-slot``: run one canary's slot in progress, for schedules that others keep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from pytest_rollout.commands.board import slot_line
from pytest_rollout.commands.where import Where, stopping_by_signals
from pytest_rollout.errors import PlanError, RolloutError
from pytest_rollout.judge.slot import Slot, SlotState
from pytest_rollout.plan.strict import did_you_mean
from pytest_rollout.plugin.world import World
from pytest_rollout.process import StopRequest
from pytest_rollout.schedule.keeper import Keeper, Turn
from pytest_rollout.units import format_moment

_OK, _NOT_OK, _WRONG, _NOT_MINE = 0, 1, 2, 3


def run_slot(canary: str, where: Where, say: Callable[[str], None]) -> int:
    """Account for the slots since the last one, and run the one in progress unless somebody else has it.

    Returns the exit status: 0 if it was ok, 1 if not, 2 if it cannot be run, 3 if somebody else has or had it.
    """
    try:
        with closing(where.world()) as world:
            world.say = lambda said: say(f"rollout: {said}")
            keeper, stop = world.keeper(_plan_of(canary, where, world)), StopRequest()
            with stopping_by_signals(stop):
                turn = _spoken(keeper, stop, say).run_due(canary)
    except RolloutError as exc:
        say(f"rollout: {exc}")
        return _WRONG
    return _conclusion(canary, turn, say, stopped=stop())


def _plan_of(canary: str, where: Where, world: World) -> Path:
    plans = {path: world.plan(path).plan.canaries for path in where.paths()}
    mine = [path for path, canaries in plans.items() if canary in canaries]
    if len(mine) > 1:
        raise PlanError(f"canary {canary!r} is in {' and '.join(path.name for path in mine)}; name one of them")
    if not mine:
        known = sorted({name for canaries in plans.values() for name in canaries})
        how = did_you_mean(canary, known) if known else "add it to a plan: canaries: {NAME: {every: 15m}}"
        raise PlanError(f"no plan at or below {where.plans} has a schedule for canary {canary!r}; {how}")
    return mine[0]


def _spoken(keeper: Keeper, stop: StopRequest, say: Callable[[str], None]) -> Keeper:
    def on_slots(slots: Sequence[Slot]) -> None:
        say("\n".join(map(slot_line, slots)))
        keeper.on_slots(slots)

    return replace(keeper, runner=replace(keeper.runner, stopped=stop), on_slots=on_slots)


def _conclusion(canary: str, turn: Turn, say: Callable[[str], None], *, stopped: bool) -> int:
    if turn.slot is not None and turn.mine:
        return _OK if turn.slot.state is SlotState.OK else _NOT_OK
    if stopped:
        say(f"{format_moment(turn.at)}  {canary}  stopped before it was begun")
        return _NOT_OK
    had = "somebody else runs it" if turn.slot is None else f"it has ended before: {turn.slot.state}"
    say(f"{format_moment(turn.at)}  {canary}  {had}")
    return _NOT_MINE
