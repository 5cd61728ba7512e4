"""A made-up shop with a canary, whose slots are kept for real: pytest runs in processes of their own."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pytest_rollout.canary import CanaryRunner, Occasion
from pytest_rollout.evidence.log import EvidenceLog
from pytest_rollout.evidence.record import Place
from pytest_rollout.evidence.runs import add_run
from pytest_rollout.judge.history import CanaryRun
from pytest_rollout.judge.slot import Slot
from pytest_rollout.plan.schedule import Schedule
from pytest_rollout.process import Bounds, run_bounded
from pytest_rollout.schedule.keeper import Keeper

URL = "http://127.0.0.1:9"
"""Nobody answers there; canaries of tests bring their own servers."""
PLACE = Place("shop", "staging", URL)
CANARY = "settlement"
WRITES = """
import os, pytest

@pytest.mark.canary("settlement")
def test_it():
    with open("begun", "a") as file:
        print(os.environ["ROLLOUT_CANARY_SLOT"], os.environ["ROLLOUT_CANARY_RUN"], file=file)
"""
"""A canary that leaves a line whenever it is run."""
QUICK = tuple(
    part
    for name in ("playwright", "base_url", "hypothesispytest", "anyio", "allure_pytest", "locust", "rerunfailures")
    for part in ("-p", f"no:{name}")
)
"""Without the plugins that nothing here is about."""


def schedule(every: str = "15m", **other: Any) -> Schedule:
    """Return a schedule as a plan has it."""
    return Schedule.model_validate({"every": every, **other})


def write_shop(folder: Path, source: str = WRITES, canaries: Mapping[str, Any] | None = None) -> Path:
    """Write a plan with one gate, and the tests of its canary; return the plan."""
    gate = {"id": "settlement", "canary": {"name": CANARY}}
    plan = {
        "rollout": "shop",
        "environments": {"staging": {"target": URL}, "fast": {"target": URL, "time_scale": 60}},
        "canaries": dict(canaries or {}),
        "stages": [{"stage": 1, "name": "Pay", "gates": [gate]}],
    }
    (folder / "pyproject.toml").write_text('[tool.pytest]\nrollout_plans = ["."]\n')
    (folder / "test_shop.py").write_text(source)
    path = folder / "shop.rollout.yaml"
    path.write_text(json.dumps(plan, indent=1))
    return path


def runner(folder: Path, log: EvidenceLog, *arguments: str) -> CanaryRunner:
    """Return what runs the canaries of a shop."""
    return CanaryRunner(
        log=log,
        place=PLACE,
        folder=folder,
        rootdir=folder,
        reports=folder / "reports",
        arguments=("-n", "0", *QUICK, *arguments),
    )


def begun(folder: Path) -> list[tuple[float, str]]:
    """Return slot and run id of every run that `WRITES` noted."""
    path = folder / "begun"
    lines = path.read_text().splitlines() if path.exists() else []
    return [(float(slot), run) for slot, run in map(str.split, lines)]


class ClockedLog(EvidenceLog):
    """A log whose clock a test sets."""

    time = 1_000_000.0

    def now(self) -> float:
        return self.time


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedRunner(CanaryRunner):
    """Runs nothing: records what the script says, while the log's clock goes on."""

    script: list[Mapping[str, Any]] = field(default_factory=list)
    """For each run: fields of its record, and ``seconds`` that it takes; without an entry it is ok."""
    asked: list[tuple[float, Occasion]] = field(default_factory=list)
    """Deadline and occasion of every run."""

    def run(self, canary: str, deadline: float, occasion: Occasion | None = None) -> CanaryRun:
        assert occasion is not None
        assert isinstance(self.log, ClockedLog)
        self.asked.append((deadline, occasion))
        told = dict(self.script.pop(0)) if self.script else {}
        started = self.log.time
        self.log.time += told.pop("seconds", 1.0)
        run = CanaryRun(
            run_id=occasion.run_id,
            canary=canary,
            started_at=started,
            ended_at=self.log.time,
            slot=occasion.slot,
            attempt=occasion.attempt,
            **{"outcome": "ok", "message": "passed", **told},
        )
        add_run(self.log, run, self.place)
        return run


LIGHT = """
import os, sys, time
with open("begun", "a") as file:
    print(os.environ["ROLLOUT_CANARY_SLOT"], os.environ["ROLLOUT_CANARY_RUN"], file=file)
time.sleep(float(sys.argv[1]))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LightRunner(CanaryRunner):
    """Runs a process that leaves a line as `WRITES` does, in a fiftieth of the time that pytest takes."""

    seconds: float = 0.0
    """How long it runs."""

    def run(self, canary: str, deadline: float, occasion: Occasion | None = None) -> CanaryRun:
        assert occasion is not None
        begun = time.time()
        code = run_bounded(
            [sys.executable, "-I", "-S", "-c", LIGHT, str(self.seconds)],
            cwd=self.folder,
            env=self._variables(occasion, deadline),
            output=self.folder / "output",
            bounds=Bounds(deadline, self.stopped),
        )
        run = CanaryRun(
            run_id=occasion.run_id,
            canary=canary,
            started_at=begun,
            ended_at=time.time(),
            outcome="ok" if code == 0 else "error",
            message=f"exit code {code}",
            slot=occasion.slot,
            attempt=occasion.attempt,
        )
        add_run(self.log, run, self.place)
        return run


def light(folder: Path, address: Path | str, own: Mapping[str, Schedule], seconds: float = 0.0) -> Keeper:
    """Return a keeper of canaries that are light processes; its periods are those of the schedules by 1000."""
    log = EvidenceLog(address)
    runs = LightRunner(log=log, place=PLACE, folder=folder, rootdir=folder, reports=folder, seconds=seconds)
    return Keeper(runner=runs, schedules=own, scale=1000.0)


@dataclass(frozen=True, slots=True)
class Scripted:
    """A keeper whose runs are scripted, with all that a test looks at."""

    keeper: Keeper
    log: ClockedLog
    runs: ScriptedRunner
    told: list[Slot]
    """What `on_slots` was told."""

    def at(self, time: float) -> Scripted:
        """Set the clock."""
        self.log.time = time
        return self

    def other(self) -> Keeper:
        """Return a keeper of the same slots on another machine."""
        return replace(self.keeper, holder="elsewhere:1")

    def states(self) -> list[tuple[float, str]]:
        """Return time and state of every recorded slot, oldest first."""
        return [(slot.at, slot.state.value) for slot in self.keeper.slots(CANARY)]


def scripted(folder: Path, own: Schedule, script: Sequence[Mapping[str, Any]] = ()) -> Scripted:
    """Return a keeper of one canary, over an empty log."""
    log, told = ClockedLog(folder / "evidence.db"), list[Slot]()
    runs = ScriptedRunner(
        log=log, place=PLACE, folder=folder, rootdir=folder, reports=folder / "reports", script=list(script)
    )
    keeper = Keeper(runner=runs, schedules={CANARY: own}, on_slots=told.extend, holder="here:1")
    return Scripted(keeper, log, runs, told)
