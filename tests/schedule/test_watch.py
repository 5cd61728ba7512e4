"""Keeping slots for a while: in time, side by side, past trouble, until somebody says stop."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_rollout.canary import Occasion
from pytest_rollout.errors import EvidenceError
from pytest_rollout.evidence.leases import Leases
from pytest_rollout.evidence.log import EvidenceLog
from pytest_rollout.evidence.record import Kind
from pytest_rollout.evidence.slots import slots
from pytest_rollout.judge.history import CanaryRun
from pytest_rollout.process import StopRequest
from pytest_rollout.schedule.keeper import Keeper
from pytest_rollout.schedule.watch import Watch, keep_all
from tests.evidence.logs import broken
from tests.plugin.conftest import until
from tests.postgres import Postgres
from tests.schedule.shop import CANARY, PLACE, LightRunner, begun, light, runner, schedule, write_shop
from tests.schedule.test_keeper import LEASE
from tests.test_canary import HANGS

ROOT = Path(__file__).parents[2]
SCHEDULER = """
import sys, time
from pathlib import Path
from pytest_rollout.process import StopRequest
from pytest_rollout.schedule.watch import Watch
from tests.schedule.shop import CANARY, light, schedule

folder, address, every, ends = sys.argv[1:]
keeper = light(Path(folder), address, {CANARY: schedule(every)}, seconds=0.05)
keeper.log.head()
print("ready", flush=True)
Watch(keeper=keeper, canary=CANARY, until=float(ends), stop=StopRequest(), trouble=print).keep()
"""


def watch(keeper: Keeper, seconds: float, stop: StopRequest | None = None, canary: str = CANARY) -> Watch:
    told: list[str] = []
    until = keeper.log.now() + seconds
    return Watch(keeper=keeper, canary=canary, until=until, stop=stop or StopRequest(), trouble=told.append)


@contextmanager
def scheduler(folder: Path, address: Path | str, every: str, ends: float) -> Iterator[subprocess.Popen[str]]:
    """Start a scheduler in a process of its own; it is killed in the end."""
    argv = [sys.executable, "-c", SCHEDULER, str(folder), str(address), every, repr(ends)]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def states(keeper: Keeper, canary: str = CANARY) -> list[str]:
    return [slot.state.value for slot in keeper.slots(canary)]


# --- time ---


def test_nothing_drifts_however_long_a_run_takes(tmp_path: Path) -> None:
    keeper = light(tmp_path, tmp_path / "evidence.db", {CANARY: schedule("250s")}, seconds=0.07)
    watch(keeper, 3.0).keep()

    ended = keeper.slots(CANARY)
    first = round(ended[0].at / 0.25)
    assert [slot.at for slot in ended] == [(first + number) * 0.25 for number in range(len(ended))]
    assert len(ended) in (12, 13)
    started = keeper.log.read(Kind.SLOT_STARTED, PLACE, CANARY)
    lags = [record.data["started_at"] - record.at for record in started[1:]]
    assert min(lags[-5:]) < 0.05, f"the last ones begin as soon as the first: {lags}"


def test_it_ends_with_the_run_of_the_last_slot(tmp_path: Path) -> None:
    keeper = light(tmp_path, tmp_path / "evidence.db", {CANARY: schedule("100h")})
    begun_at = time.monotonic()
    watch(keeper, 0.5).keep()
    assert time.monotonic() - begun_at < 3, "it does not wait for a slot that it will not run"
    assert states(keeper) == ["ok"]


def test_nothing_is_run_after_its_time(tmp_path: Path) -> None:
    keeper = light(tmp_path, tmp_path / "evidence.db", {CANARY: schedule("100h")})
    watch(keeper, -400.0).keep()
    assert states(keeper) == []


# --- stop ---


def test_a_stop_ends_the_waiting(tmp_path: Path) -> None:
    keeper, stop = light(tmp_path, tmp_path / "evidence.db", {CANARY: schedule("1d")}), StopRequest()
    thread = threading.Thread(target=watch(keeper, 1000.0, stop).keep)
    thread.start()
    until(lambda: states(keeper), "no slot was run")
    stop.ask()
    thread.join(5)
    assert not thread.is_alive()


def test_a_stop_ends_the_run(tmp_path: Path) -> None:
    write_shop(tmp_path, HANGS)
    stop = StopRequest()
    runs = replace(runner(tmp_path, EvidenceLog(tmp_path / "evidence.db")), stopped=stop)
    keeper = Keeper(runner=runs, schedules={CANARY: schedule()})
    thread = threading.Thread(target=watch(keeper, 1000.0, stop).keep)
    thread.start()
    until((tmp_path / "pid").exists, "the canary did not begin")
    stop.ask()
    thread.join(10)

    (slot,) = keeper.slots(CANARY)
    assert (slot.state.value, slot.message) == ("error", "stopped by its scheduler")
    assert (tmp_path / "tidied").exists()
    assert Leases(keeper.log).acquire(LEASE, "elsewhere:1", 1.0), "the lease was given back"


# --- trouble ---


class Moody(EvidenceLog):
    """A log that fails now and then."""

    moods: list[str]

    def now(self) -> float:
        if self.moods and (mood := self.moods.pop(0)):
            raise EvidenceError(mood)
        return super().now()


def test_trouble_is_told_once_and_overcome(tmp_path: Path) -> None:
    log, told = Moody(tmp_path / "evidence.db"), list[str]()
    log.moods = ["disk full", "disk full", "locked", "locked", "locked"]
    keeper = light(tmp_path, tmp_path / "evidence.db", {CANARY: schedule("400s")})
    keeper = replace(keeper, runner=replace(keeper.runner, log=log))
    Watch(keeper=keeper, canary=CANARY, until=time.time() + 0.9, stop=StopRequest(), trouble=told.append).keep()
    assert told == ["settlement: disk full", "settlement: locked"]
    assert set(states(keeper)) == {"ok"}


def test_a_slot_that_somebody_else_gives_back_is_run_in_its_time(tmp_path: Path) -> None:
    keeper = light(tmp_path, tmp_path / "evidence.db", {CANARY: schedule("100h")})
    leases = Leases(keeper.log)
    fence = leases.acquire(LEASE, "elsewhere:1", 60.0)
    assert fence is not None
    thread = threading.Thread(target=watch(keeper, 0.5).keep)
    thread.start()
    thread.join(0.3)
    assert thread.is_alive()
    leases.release(fence)
    thread.join(10)
    assert states(keeper) == ["ok"]


def test_a_slot_that_somebody_else_keeps_to_its_end_is_left(tmp_path: Path) -> None:
    keeper = light(tmp_path, tmp_path / "evidence.db", {CANARY: schedule("500s")})
    Leases(keeper.log).acquire(LEASE, "elsewhere:1", 60.0)
    watch(keeper, 0.1).keep()
    assert states(keeper) == []


# --- several ---


def test_canaries_run_side_by_side(tmp_path: Path) -> None:
    own = {name: schedule("1000s") for name in ("one", "two", "three")}
    keeper = light(tmp_path, tmp_path / "evidence.db", own, seconds=0.4)
    keeper.log.head()
    stop, shown = StopRequest(), list[float]()
    keep_all([watch(keeper, 2.0, stop, name) for name in own], stop, lambda: shown.append(time.time()))
    assert [set(states(keeper, name)) for name in own] == [{"ok"}, {"ok"}, {"ok"}]
    assert {len(states(keeper, name)) for name in own} <= {2, 3}
    assert len(shown) > 3


class Absurd(LightRunner):
    """Has a fault that nobody thought of."""

    def run(self, canary: str, deadline: float, occasion: Occasion | None = None) -> CanaryRun:
        if canary == "absurd":
            raise ZeroDivisionError(f"{deadline:g} {occasion}")
        return LightRunner.run(self, canary, deadline, occasion)


def test_a_fault_of_ones_own_ends_all_and_is_not_hidden(tmp_path: Path) -> None:
    own = {"absurd": schedule("500s"), CANARY: schedule("100h")}
    keeper = light(tmp_path, tmp_path / "evidence.db", own)
    keeper.log.head()
    told = {name: getattr(keeper.runner, name) for name in keeper.runner.__dataclass_fields__}
    keeper, stop = replace(keeper, runner=Absurd(**told)), StopRequest()
    with pytest.raises(ZeroDivisionError):
        keep_all([watch(keeper, 1000.0, stop, name) for name in own], stop, lambda: None)
    assert stop()


def test_a_fault_of_the_display_ends_all(tmp_path: Path) -> None:
    keeper, stop = light(tmp_path, tmp_path / "evidence.db", {CANARY: schedule("100h")}), StopRequest()

    def show() -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        keep_all([watch(keeper, 1000.0, stop)], stop, show)


# --- processes ---


def test_a_scheduler_that_sleeps_across_three_slots_leaves_three_missed(tmp_path: Path) -> None:
    address, every = tmp_path / "evidence.db", 0.8
    with closing(EvidenceLog(address)) as log, scheduler(tmp_path, address, "800s", time.time() + 60) as process:
        until(lambda: slots(log, CANARY, PLACE), "no slot was run")
        process.send_signal(signal.SIGSTOP)
        asleep = time.time()
        time.sleep(4.3 * every)
        awake = time.time()
        process.send_signal(signal.SIGCONT)
        until(
            lambda: any(slot.at > awake and slot.state.value == "ok" for slot in slots(log, CANARY, PLACE)), "no more"
        )
        slept = [slot for slot in slots(log, CANARY, PLACE) if asleep < slot.at and slot.at + every < awake]

    assert [slot.state.value for slot in slept][:3] == ["missed", "missed", "missed"]
    assert {slot.state.value for slot in slept} == {"missed"}
    assert [round((slot.at - slept[0].at) / every) for slot in slept] == list(range(len(slept)))


def test_two_schedulers_on_one_postgresql_run_each_of_twenty_slots_once(tmp_path: Path, postgres: Postgres) -> None:
    address, every = postgres.new_database(), 0.6
    ends = time.time() + 3 + 20 * every
    with (
        scheduler(tmp_path, address, "600s", ends) as one,
        scheduler(tmp_path, address, "600s", ends) as two,
        closing(EvidenceLog(address)) as log,
    ):
        assert (one.wait(60), two.wait(60)) == (0, 0)
        ended = slots(log, CANARY, PLACE)
        assert broken(log) is None

    first = round(ended[0].at / every)
    assert [round(slot.at / every) for slot in ended] == list(range(first, first + len(ended)))
    assert len(ended) >= 20
    runs = Counter(slot for slot, _ in begun(tmp_path))
    assert runs == {slot.at: 1 for slot in ended if slot.runs}
    assert [(slot.at, slot.runs[0]) for slot in ended if slot.runs] == begun(tmp_path)
    assert sum(slot.state.value == "ok" for slot in ended) >= 20
