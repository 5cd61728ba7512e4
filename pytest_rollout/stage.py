"""Decide a stage: gather evidence, have it judged, and wait for what can still arrive."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from pytest_rollout.canary import CanaryRunner
from pytest_rollout.errors import EvidenceError
from pytest_rollout.gather import Gatherer
from pytest_rollout.judge.history import CanaryRun, FlagReading, Passes, judge_canary, judge_flags
from pytest_rollout.plan.gates import CanaryHistory, Gate
from pytest_rollout.plan.model import Stage
from pytest_rollout.sources.flags import FlagReader
from pytest_rollout.sources.prometheus import Prometheus
from pytest_rollout.target import Target
from pytest_rollout.verdict import CheckResult, Reason, Verdict, broken, inconclusive

FLAG_STATE = "flag-state"
"""Id of the check that reads a stage's flags back; every stage with flags has it."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Where the time comes from."""

    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A stage in an environment, with the sources of its evidence."""

    stage: Stage
    target: Target
    prometheus: Prometheus | None
    flags: FlagReader | None
    canaries: CanaryRunner | None
    flipped_at: float | None = None
    """Time of the flip, if the flag service cannot tell."""
    clock: Clock = field(default_factory=Clock)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Where a wait stands: for whom, how long already, and how long at most (seconds)."""

    checks: Sequence[str]
    waited: float
    budget: float


Progress = Callable[[Waiting], None]


def decide(
    scene: Scene,
    gates: Sequence[Gate],
    *,
    wait: float = 0.0,
    exhaustive: bool = False,
    progress: Progress = lambda _: None,
) -> dict[str, CheckResult]:
    """Return the result of every gate, and of the flags of the stage, all at one instant.

    Looks again while a check may still be decided within ``wait`` seconds. Stops at the first certain breach,
    unless ``exhaustive``: then every other check is followed to its own end.
    """
    clock, begun = scene.clock, scene.clock.now()
    results = look(scene, gates, first=True)
    while True:
        waited = clock.now() - begun
        pending = {name: result for name, result in results.items() if result.may_still_arrive}
        # Also true when nothing is pending: then there is nothing to wait for.
        hopeless = all((result.ready_in or 0.0) > wait - waited for result in pending.values())
        breached = any(result.verdict is Verdict.BREACHED for result in results.values())
        if hopeless or (breached and not exhaustive):
            return results
        progress(Waiting(sorted(pending), waited, wait))
        soonest = min(result.ready_in or 0.0 for result in pending.values())
        clock.sleep(min(max(soonest, 0.25), 1.0))
        results = look(scene, gates, first=False)


def look(scene: Scene, gates: Sequence[Gate], *, first: bool) -> dict[str, CheckResult]:
    """Return the result of every gate as of now; canaries that are due run before the instant is taken.

    The first look of a run makes every canary run once, so that no pass is older than the run.
    """
    canaries = {gate.id: gate.canary for gate in gates if gate.canary is not None}
    before = _since(scene, _read_flags(scene)) if canaries else None
    runs = {name: _runs(scene, canary, before, first=first) for name, canary in canaries.items()}
    readings = _read_flags(scene)  # canaries take time: what counts is the state at the instant of judging
    since = _since(scene, readings)
    if scene.prometheus is not None:
        scene.prometheus.forget()
    gatherer = Gatherer(scene.prometheus, scene.target, since, scene.clock.now())
    results = {name: _canary(scene, canary, runs[name], since) for name, canary in canaries.items()}
    if scene.stage.flags:
        results[FLAG_STATE] = _flag_state(scene, readings)
    for gate in gates:
        if gate.unproven is not None:
            said = f"not proven yet: {gate.unproven}; replace this entry of the plan with a gate that proves it"
            results[gate.id] = inconclusive(Reason.UNPROVEN, said)
        elif gate.canary is None:
            results[gate.id] = gatherer.judge(gate)
    return results


def _read_flags(scene: Scene) -> list[FlagReading]:
    if scene.flags is None:
        return []
    readings = [scene.flags.read(name, wanted.cohort) for name, wanted in scene.stage.flags.items()]
    if scene.flipped_at is None:
        return readings
    return [
        reading if reading.fault or reading.changed_at else replace(reading, changed_at=scene.flipped_at)
        for reading in readings
    ]


def _since(scene: Scene, readings: Sequence[FlagReading]) -> float | None:
    """Return the last flip plus settle time. Without any, the flag check itself keeps the stage from GO."""
    flips = [reading.changed_at for reading in readings if reading.changed_at is not None]
    return max(flips) + scene.target.scaled(scene.stage.settle) if flips else None


def _flag_state(scene: Scene, readings: Sequence[FlagReading]) -> CheckResult:
    if scene.flags is None:
        said = f"environment {scene.target.environment!r} names no flag service; add it to the plan"
        return broken(Reason.ENVIRONMENT, said)
    wanted = {name: flag.value for name, flag in scene.stage.flags.items()}
    return judge_flags(wanted, readings, scene.clock.now())


def _runs(scene: Scene, canary: CanaryHistory, since: float | None, *, first: bool) -> list[CanaryRun] | CheckResult:
    """Return the runs of a canary, with one more if it is due, or why there cannot be any."""
    if scene.canaries is None:
        return broken(Reason.ENVIRONMENT, "canaries cannot be run here")
    try:
        runs = scene.canaries.history(canary.name)
        so_far = _canary(scene, canary, runs, since)
        if first or (so_far.may_still_arrive and not so_far.ready_in):
            runs = [*runs, scene.canaries.run(canary.name, canary.deadline)]
    except EvidenceError as exc:
        return broken(Reason.CANARY_ERROR, str(exc))
    return runs


def _canary(
    scene: Scene, canary: CanaryHistory, runs: list[CanaryRun] | CheckResult, since: float | None
) -> CheckResult:
    if isinstance(runs, CheckResult):
        return runs
    passes = Passes(canary.passes, scene.target.scaled(canary.across))
    return judge_canary(runs, passes, since or 0.0, scene.clock.now())
