"""Decide a stage: gather evidence, have it judged, and wait for what can still arrive."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_rollout.canary import CanaryRunner
from pytest_rollout.errors import EvidenceError
from pytest_rollout.judge.history import CanaryRun, FlagReading, Looks
from pytest_rollout.look import Judged, Look
from pytest_rollout.plan.gates import Gate
from pytest_rollout.plan.kinds import CanaryHistory
from pytest_rollout.plan.model import Stage
from pytest_rollout.sources.flags import FlagReader
from pytest_rollout.sources.prometheus import Prometheus
from pytest_rollout.sources.recording import Recording
from pytest_rollout.target import Target
from pytest_rollout.verdict import CheckResult, Verdict


@dataclass(frozen=True, slots=True)
class Clock:
    """Where the time comes from."""

    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep


LooksAt = Callable[[Sequence[str], float | None, float], Mapping[str, Looks]]
"""Records that gates are looked at after a flip at a time, and tells how often they were. Raises EvidenceError."""


def _nothing_recorded(gates: Sequence[str], _flip: float | None, at: float) -> Mapping[str, Looks]:
    return dict.fromkeys(gates, Looks(1, at))


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
    looks: LooksAt = _nothing_recorded
    recording: Recording | None = None
    """What Prometheus answered, since the last look began."""
    clock: Clock = field(default_factory=Clock)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Where a wait stands: for whom, how long already, and how long at most (seconds)."""

    checks: Sequence[str]
    waited: float
    budget: float


@dataclass(frozen=True, slots=True)
class Decided:
    """The last look at a stage, and the result of every check."""

    look: Look
    results: dict[str, CheckResult]
    earlier: frozenset[str] = frozenset()
    """Checks that an earlier look found breached; that stands, and the last look says nothing of them."""


Progress = Callable[[Waiting], None]


def decide(
    scene: Scene,
    gates: Sequence[Gate],
    *,
    wait: float = 0.0,
    exhaustive: bool = False,
    progress: Progress = lambda _: None,
) -> Decided:
    """Return the result of every gate, and of the flags of the stage, all at one instant.

    Looks again while a check may still be decided within ``wait`` seconds. Stops at the first breach, for it is
    certain, unless ``exhaustive``: then every other check is followed to its own end.
    """
    clock, begun = scene.clock, scene.clock.now()
    observer = _Observer(scene, gates, waits=wait > 0)
    decided = observer.look(first=True)
    while True:
        waited = clock.now() - begun
        pending = {name: result for name, result in decided.results.items() if result.may_still_arrive}
        # Also true when nothing is pending: then there is nothing to wait for.
        hopeless = all((result.ready_in or 0.0) > wait - waited for result in pending.values())
        breached = {name: one for name, one in decided.results.items() if one.verdict is Verdict.BREACHED}
        if hopeless or (breached and not exhaustive):
            return decided
        progress(Waiting(sorted(pending), waited, wait))
        soonest = min(result.ready_in or 0.0 for result in pending.values())
        clock.sleep(min(max(soonest, 0.25), 1.0))
        stands = {gate.id: breached[gate.id] for gate in gates if gate.id in breached and gate.canary is None}
        observer.gates = [gate for gate in gates if gate.id not in stands]
        latest = observer.look(first=False)
        decided = Decided(latest.look, latest.results | stands, frozenset(stands))


@dataclass(slots=True)
class _Observer:
    """Looks at a stage, as often as it takes, and records once for each flip that it did."""

    scene: Scene
    gates: Sequence[Gate]
    waits: bool
    recorded: dict[float | None, Mapping[str, Looks] | str] = field(default_factory=dict)

    def look(self, *, first: bool) -> Decided:
        """Return what is found as of now; canaries that are due run before the instant is taken.

        The first look of a run makes every canary run once, so that no pass is older than the run.
        """
        scene = self.scene
        canaries = {gate.id: gate.canary for gate in self.gates if gate.canary is not None}
        before = self._seen({}) if canaries else None
        runs = {name: self._runs(canary, before, first=first) for name, canary in canaries.items()}
        look = self._seen(runs)  # canaries take time: what counts is the state at the instant of judging
        look = replace(look, looks=self._looks(look))
        if scene.prometheus is not None:
            scene.prometheus.forget()
        if scene.recording is not None:
            scene.recording.clear()
        return Decided(look, self._judged.results(look, self.gates))

    @property
    def _judged(self) -> Judged:
        return Judged(self.scene.stage, self.scene.target, self.scene.prometheus)

    def _seen(self, runs: Mapping[str, tuple[CanaryRun, ...] | str]) -> Look:
        readings = _read_flags(self.scene)
        return Look(now=self.scene.clock.now(), readings=readings, runs=runs, looks={}, waits=self.waits)

    def _looks(self, look: Look) -> Mapping[str, Looks] | str:
        measured = [gate.id for gate in self.gates if gate.canary is None and gate.unproven is None]
        if look.flip not in self.recorded:
            try:
                self.recorded[look.flip] = self.scene.looks(measured, look.flip, look.now) if measured else {}
            except EvidenceError as exc:
                self.recorded[look.flip] = str(exc)
        return self.recorded[look.flip]

    def _runs(self, canary: CanaryHistory, before: Look | None, *, first: bool) -> tuple[CanaryRun, ...] | str:
        """Return the runs of a canary, with one more if it is due, or why there cannot be any."""
        scene = self.scene
        if scene.canaries is None or before is None:
            return "canaries cannot be run here"
        try:
            runs = tuple(scene.canaries.history(canary.name))
            since = before.since(scene.stage, scene.target)
            so_far = self._judged.canary(canary, runs, since, scene.clock.now())
            if first or (so_far.may_still_arrive and not so_far.ready_in):
                runs = (*runs, scene.canaries.run(canary.name, canary.deadline))
        except EvidenceError as exc:
            return str(exc)
        return runs


def _read_flags(scene: Scene) -> tuple[FlagReading, ...] | None:
    if scene.flags is None:
        return None
    readings = [scene.flags.read(name, wanted.cohort) for name, wanted in scene.stage.flags.items()]
    return tuple(
        reading
        if reading.fault or reading.changed_at or scene.flipped_at is None
        else replace(reading, changed_at=scene.flipped_at)
        for reading in readings
    )
