"""Decide a stage: gather evidence, have it judged, and wait for what can still arrive."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from pytest_rollout.canary import CanaryRunner
from pytest_rollout.errors import EvidenceError
from pytest_rollout.evidence.people import Found
from pytest_rollout.judge.history import CanaryRun, FlagReading, Looks
from pytest_rollout.judge.slot import Slot
from pytest_rollout.latency import Load, LoadTerms
from pytest_rollout.load_runner import LoadRunner, Tell
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


def _nobody_asked(gate: str, _at: float) -> Found:
    raise EvidenceError(f"nobody can be asked about {gate} here")


class SlotSource(Protocol):
    """Runs the canaries that have a schedule, and knows their slots."""

    def run_due(self, canary: str) -> object:
        """Run the slot in progress unless somebody has it already. Raises EvidenceError."""

    def slots(self, canary: str, since: float) -> Sequence[Slot]:
        """Return the slots since a time. Raises EvidenceError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A stage in an environment, with the sources of its evidence."""

    rollout: str
    plan: str
    """The plan's version."""
    stage: Stage
    target: Target
    prometheus: Prometheus | None
    flags: FlagReader | None
    canaries: CanaryRunner | None
    loads: LoadRunner | None = None
    slots: SlotSource | None = None
    periods: Mapping[str, float] = field(default_factory=dict)
    """By canary with a schedule: seconds from one slot to the next, as the plan has them."""
    answers: Callable[[str, float], Found] = _nobody_asked
    """By gate: what people answered, as of a time. Raises EvidenceError."""
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
    doing: str = ""
    """What is done meanwhile, in a line; empty if there is nothing to do but wait."""


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

    def tell(doing: str) -> None:
        progress(Waiting((), clock.now() - begun, wait, doing))

    observer = _Observer(scene, gates, waits=wait > 0, tell=tell)
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
        stands = {gate.id: breached[gate.id] for gate in gates if gate.id in breached and gate.measured}
        observer.gates = [gate for gate in gates if gate.id not in stands]
        latest = observer.look(first=False)
        decided = Decided(latest.look, latest.results | stands, frozenset(stands))


@dataclass(frozen=True, slots=True)
class _Recorded:
    """What the evidence log knows of canaries, by gate."""

    runs: dict[str, tuple[CanaryRun, ...] | str] = field(default_factory=dict)
    slots: dict[str, tuple[Slot, ...] | str] = field(default_factory=dict)


@dataclass(slots=True)
class _Observer:
    """Looks at a stage, as often as it takes, and records once for each flip that it did."""

    scene: Scene
    gates: Sequence[Gate]
    waits: bool
    tell: Tell
    recorded: dict[float | None, Mapping[str, Looks] | str] = field(default_factory=dict)
    loads: dict[tuple[str, float | None], Load] = field(default_factory=dict)
    """By gate and flip: whatever the clock of the flags says, a load that saw a flip is of neither state."""

    def look(self, *, first: bool) -> Decided:
        """Return what is found as of now; canaries that are due run before the instant is taken.

        The first look of a run makes every canary run once, so that no pass is older than the run.
        """
        scene = self.scene
        found = self._recorded(first=first)
        self._make_loads(found)
        look = self._seen(found)  # canaries and loads take time: what counts is the state at the instant of judging
        look = replace(look, looks=self._looks(look))
        if scene.prometheus is not None:
            scene.prometheus.forget()
        if scene.recording is not None:
            scene.recording.clear()
        return Decided(look, self._judged.results(look, self.gates))

    @property
    def _judged(self) -> Judged:
        scene = self.scene
        return Judged(
            rollout=scene.rollout,
            plan=scene.plan,
            stage=scene.stage,
            target=scene.target,
            prometheus=scene.prometheus,
            periods=scene.periods,
        )

    def _seen(self, found: _Recorded) -> Look:
        readings = _read_flags(self.scene)
        now = self.scene.clock.now()
        look = Look(
            now=now,
            readings=readings,
            runs=found.runs,
            slots=found.slots,
            answers={gate.id: self._answers(gate, now) for gate in self.gates if gate.attestation is not None},
            looks={},
            waits=self.waits,
        )
        keys = [(gate.id, look.flip) for gate in self.gates]
        return replace(look, loads={key[0]: self.loads[key] for key in keys if key in self.loads})

    def _make_loads(self, found: _Recorded) -> None:
        """Make the load of every gate that has none since the flip, unless a flag is wrong: then it would not count."""
        for gate in self.gates:
            if gate.latency is None:
                continue
            look = self._seen(found)
            look = replace(look, looks=self._looks(look))
            since = look.since(self.scene.stage, self.scene.target) or 0.0
            due = look.now >= since and gate.id not in look.loads
            if due and not isinstance(look.looks, str) and self._could_count(look):
                self.loads[gate.id, look.flip] = self._load(gate, self._judged.terms(gate, gate.latency, look))

    def _load(self, gate: Gate, terms: LoadTerms) -> Load:
        if self.scene.loads is None:
            return Load(begun=self.scene.clock.now(), fault="no load can be made here")
        return self.scene.loads.make(gate.id, terms, self.tell)

    def _looks(self, look: Look) -> Mapping[str, Looks] | str:
        measured = [gate.id for gate in self.gates if gate.measured]
        if look.flip not in self.recorded:
            try:
                self.recorded[look.flip] = self.scene.looks(measured, look.flip, look.now) if measured else {}
            except EvidenceError as exc:
                self.recorded[look.flip] = str(exc)
        return self.recorded[look.flip]

    def _answers(self, gate: Gate, now: float) -> Found | str:
        try:
            return self.scene.answers(gate.id, now)
        except EvidenceError as exc:
            return str(exc)

    def _recorded(self, *, first: bool) -> _Recorded:
        """Return what is recorded of canaries and corpora, after those that are due have run."""
        gates = [gate for gate in self.gates if gate.filed]
        found = _Recorded()
        if not gates:
            return found
        before = self._seen(found)
        for gate in gates:
            if gate.canary is not None and gate.canary.name in self.scene.periods:
                found.slots[gate.id] = self._slots(gate.canary, before)
            else:
                found.runs[gate.id] = self._runs(gate, before, first=first)
        return found

    def _slots(self, canary: CanaryHistory, before: Look) -> tuple[Slot, ...] | str:
        """Return the slots of a canary since the flip; the one in progress is run if nobody else does."""
        if self.scene.slots is None:
            return "canaries cannot be run here"
        try:
            self.scene.slots.run_due(canary.name)
            return tuple(self.scene.slots.slots(canary.name, before.since(self.scene.stage, self.scene.target) or 0.0))
        except EvidenceError as exc:
            return str(exc)

    def _could_count(self, before: Look) -> bool:
        """Whether a pass made now would be one: not while a flag of the stage is wrong or unknown."""
        flags = self._judged.flags(before)
        return flags is None or flags.verdict is Verdict.PASSED

    def _runs(self, gate: Gate, before: Look, *, first: bool) -> tuple[CanaryRun, ...] | str:
        """Return the runs that a gate is about, with one more if it is due, or why there cannot be any."""
        scene = self.scene
        if scene.canaries is None:
            return "canaries cannot be run here"
        try:
            runs = tuple(scene.canaries.history(gate.filed))
            so_far = self._judged.of_runs(gate, replace(before, now=scene.clock.now(), runs={gate.id: runs}))
            due = so_far.may_still_arrive and not so_far.ready_in
            if first or (due and self._could_count(before)):
                runs = (*runs, _run(scene.canaries, gate))
        except EvidenceError as exc:
            return str(exc)
        return runs


def _run(runner: CanaryRunner, gate: Gate) -> CanaryRun:
    if gate.golden is not None:
        return runner.run_corpus(gate.filed, gate.golden.corpus, gate.golden.deadline)
    if gate.canary is None:
        raise EvidenceError(f"{gate.id} is about no runs")
    return runner.run(gate.filed, gate.canary.deadline)


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
