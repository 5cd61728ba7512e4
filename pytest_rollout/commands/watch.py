"""``rollout watch``: run the canaries of plans by their schedules, and account for every slot."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from pydantic import ValidationError

from pytest_rollout.commands.board import Board, tally
from pytest_rollout.commands.where import Where, stopping_by_signals
from pytest_rollout.errors import EvidenceError, PlanError, RolloutError
from pytest_rollout.judge.slot import Slot, SlotState
from pytest_rollout.plan.loader import LoadedPlan
from pytest_rollout.plan.schedule import Schedule
from pytest_rollout.plugin.selection import selects
from pytest_rollout.plugin.world import World
from pytest_rollout.process import StopRequest
from pytest_rollout.schedule.keeper import Keeper
from pytest_rollout.schedule.watch import Watch, keep_all
from pytest_rollout.units import format_duration, parse_duration

_OK, _NOT_OK, _WRONG = 0, 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Which canaries are watched, and for how long."""

    expression: str = "canary"
    """As pytest's ``-m``: the words are ``canary`` and the canary's name, with ``_`` for what no word can have."""
    every: str | None = None
    lasting: str | None = None
    """A duration of the plan, so it is scaled as every other."""


def watch(wish: Wish, where: Where, write: Callable[[str], None]) -> int:
    """Run every canary that is wanted, until its time is over or somebody stops it.

    Returns the exit status: 0 if every slot that came was ok, 1 if not, 2 if nothing can be run.
    """
    try:
        lasting = math.inf if wish.lasting is None else _duration("--for", wish.lasting)
        with closing(where.world()) as world:
            keepers = _keepers(wish, where, world)
            tables = [keeper.timetable(canary) for canary, keeper in keepers.items()]
            board = Board(tables, write, live=sys.stdout.isatty())
            world.say = board.trouble
            return _watch(keepers, lasting, board, write)
    except RolloutError as exc:
        write(f"rollout: {exc}\n")
        return _WRONG


def _keepers(wish: Wish, where: Where, world: World) -> dict[str, Keeper]:
    rota = _rota(wish, [world.plan(path) for path in where.paths()])
    keepers = {
        canary: replace(world.keeper(loaded.path), schedules={canary: schedule})
        for canary, (loaded, schedule) in rota.items()
    }
    for keeper in keepers.values():
        keeper.log.head()  # before threads share it, and before anything is begun without it
    return keepers


# --- which canaries ---

_Rota = dict[str, tuple[LoadedPlan, Schedule]]


def _rota(wish: Wish, plans: Sequence[LoadedPlan]) -> _Rota:
    """Return plan and schedule of every canary that is wanted. Raises PlanError."""
    rota: _Rota = {}
    for loaded in plans:
        for canary in _canaries(loaded, wish.every):
            if not selects(wish.expression, "".join(c if c.isalnum() else "_" for c in canary), ("canary",)):
                continue
            if canary in rota:
                names = f"{rota[canary][0].path.name} and {loaded.path.name}"
                raise PlanError(f"canary {canary!r} is in {names}; name one of them")
            rota[canary] = loaded, _schedule(loaded, canary, wish.every)
    if rota:
        return rota
    names = ", ".join(canary for loaded in plans for canary in _canaries(loaded, wish.every))
    known = f"there is {names}" if names else "no canary has a schedule; add canaries: {NAME: {every: 15m}} to a plan"
    raise PlanError(f"-m {wish.expression!r} selects no canary: {known}")


def _canaries(loaded: LoadedPlan, every: str | None) -> list[str]:
    """Return the canaries that have a period: by the plan, or because one is given for the rest."""
    asked = (gate.canary for stage in loaded.plan.stages for gate in stage.gates)
    return sorted({*loaded.plan.canaries, *(one.name for one in asked if one is not None and every is not None)})


def _schedule(loaded: LoadedPlan, canary: str, every: str | None) -> Schedule:
    own = loaded.plan.canaries.get(canary)
    if every is None:
        return loaded.plan.canaries[canary]
    period = _duration("--every", every)
    if own is not None and own.every != period:
        raise PlanError(
            f"--every {every}: {loaded.path.name} has canary {canary!r} every {format_duration(own.every)}, and gates "
            "count those slots; leave --every away, or change the plan"
        )
    try:
        return own or Schedule.model_validate({"every": every, "deadline": f"{min(120.0, period * 0.9)}s"})
    except ValidationError as exc:
        raise PlanError(f"--every {every}: {exc.errors()[0]['msg']}") from None


def _duration(option: str, text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as exc:
        raise PlanError(f"{option}: {exc}") from None


# --- for a while ---


def _watch(keepers: dict[str, Keeper], lasting: float, board: Board, write: Callable[[str], None]) -> int:
    stop, begun = StopRequest(), next(iter(keepers.values())).log.now()
    watches = [
        Watch(
            keeper=_listened_to(keeper, stop, board),
            canary=canary,
            until=begun + lasting / keeper.scale,
            stop=stop,
            trouble=board.trouble,
        )
        for canary, keeper in keepers.items()
    ]
    for one in watches:
        write(f"{_opening(one, lasting)}\n")
    with stopping_by_signals(stop):
        keep_all(watches, stop, lambda: board.show(time.time()))
    board.show(time.time())
    return max(_conclusion(one, begun, write) for one in watches)


def _listened_to(keeper: Keeper, stop: StopRequest, board: Board) -> Keeper:
    def on_slots(slots: Sequence[Slot]) -> None:
        board.on_slots(slots)
        keeper.on_slots(slots)

    return replace(keeper, runner=replace(keeper.runner, stopped=stop), on_slots=on_slots)


def _opening(watch: Watch, lasting: float) -> str:
    table, scale = watch.keeper.timetable(watch.canary), watch.keeper.scale
    said = f"{watch.canary}: every {format_duration(table.schedule.every)}"
    said += "" if math.isinf(lasting) else f" for {format_duration(lasting)}"
    scaled = f", {scale:g} times as fast" if scale != 1 else ""
    return f"{said}{scaled}, in {watch.keeper.place.environment}"


def _conclusion(watch: Watch, begun: float, write: Callable[[str], None]) -> int:
    """Say what became of the slots since a time, and return the exit status: the log knows, whoever ran them."""
    table, keeper = watch.keeper.timetable(watch.canary), watch.keeper
    first = table.newest(begun)
    try:
        slots = keeper.slots(watch.canary, first)
        over = table.times(first, min(watch.until, table.newest(keeper.log.now())))
    except EvidenceError as exc:
        write(f"rollout: {watch.canary}: {exc}\n")
        return _NOT_OK
    left_open = len(set(over) - {slot.at for slot in slots})
    missing = f"; {left_open} not accounted for" if left_open else ""
    write(f"{watch.canary}: {tally(slots)}{missing}\n")
    good = slots and not left_open and all(slot.state is SlotState.OK for slot in slots)
    return _OK if good else _NOT_OK
