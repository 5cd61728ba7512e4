"""One look at a stage: all that was found at one instant, and what the judge makes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_rollout.evidence.people import Found
from pytest_rollout.gathering.gatherer import Gatherer
from pytest_rollout.judge.attestation import (
    Ground,
    Question,
    changers,
    judge_attestation,
)
from pytest_rollout.judge.history import (
    CanaryRun,
    Conditions,
    FlagReading,
    Looks,
    Passes,
    judge_canary,
    judge_flags,
)
from pytest_rollout.judge.slot import Slot
from pytest_rollout.judge.slots import Census, Terms, judge_slots
from pytest_rollout.latency import Load, LoadTerms, judge_latency
from pytest_rollout.plan.gates import Gate
from pytest_rollout.plan.kinds import Attest, CanaryHistory
from pytest_rollout.plan.latency import Latency
from pytest_rollout.plan.model import Stage
from pytest_rollout.sources.prometheus import Prometheus
from pytest_rollout.target import Target
from pytest_rollout.verdict import CheckResult, Reason, Verdict, broken, inconclusive

FLAG_STATE = "flag-state"
"""Id of the check that reads a stage's flags back; every stage with flags has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was found. The answers of Prometheus are beside it, for they are asked for while judging."""

    now: float
    readings: tuple[FlagReading, ...] | None
    """None if there is no flag service."""
    runs: Mapping[str, tuple[CanaryRun, ...] | str]
    """By gate of a canary without schedule: its runs, or why there are none."""
    slots: Mapping[str, tuple[Slot, ...] | str] = field(default_factory=dict)
    """By gate of a canary with one: its slots, or why nobody knows them."""
    answers: Mapping[str, Found | str] = field(default_factory=dict)
    """By gate that asks people: their answers, or why nobody knows them."""
    loads: Mapping[str, Load] = field(default_factory=dict)
    """By gate of a latency: the load that was made for it, if one was."""
    looks: Mapping[str, Looks] | str
    """By gate: how often it was looked at since the flip, or why nobody knows."""
    waits: bool
    """Whether the run looks more than once."""

    @property
    def flip(self) -> float | None:
        """The last flip (unix seconds). Without any, the flag check itself keeps the stage from GO."""
        changes = [reading.changed_at for reading in self.readings or () if reading.changed_at is not None]
        return max(changes, default=None)

    def since(self, stage: Stage, target: Target) -> float | None:
        """Return the last flip plus settle time: no window reaches further back."""
        return None if self.flip is None else self.flip + target.scaled(stage.settle)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A stage in an environment, with what answers questions about it."""

    rollout: str
    plan: str
    """The plan's version."""
    stage: Stage
    target: Target
    prometheus: Prometheus | None
    periods: Mapping[str, float] = field(default_factory=dict)
    """By canary with a schedule: seconds from one slot to the next, as the plan has them."""

    def results(self, look: Look, gates: Sequence[Gate]) -> dict[str, CheckResult]:
        """Return the result of every gate, and of the flags of the stage, all at one instant."""
        flags = self.flags(look)
        results = {FLAG_STATE: flags} if flags else {}
        looks = {} if isinstance(look.looks, str) else look.looks
        since = look.since(self.stage, self.target)
        gatherer = Gatherer(self.prometheus, self.target, since, look.now, look.flip, looks, look.waits)
        return results | {gate.id: self._result(gate, look, gatherer) for gate in gates}

    def _result(self, gate: Gate, look: Look, gatherer: Gatherer) -> CheckResult:
        if gate.unproven is not None:
            said = f"not proven yet: {gate.unproven}; replace this entry of the plan with a gate that proves it"
            return inconclusive(Reason.UNPROVEN, said)
        if gate.filed:
            return self.of_runs(gate, look)
        if gate.attestation is not None:
            return self._attestation(gate, gate.attestation, look)
        if isinstance(look.looks, str):
            return broken(Reason.EVIDENCE, f"nobody knows whether this was looked at before: {look.looks}")
        return gatherer.judge(gate) if gate.latency is None else self._latency(gate, gate.latency, look)

    def terms(self, gate: Gate, asked: Latency, look: Look) -> LoadTerms:
        """Return what a gate's load has to be like, and how surely a limit has to hold. Raises KeyError."""
        turn = 1 if isinstance(look.looks, str) else look.looks[gate.id].count
        return LoadTerms(asked=asked, confidence=gate.confidence, scale=self.target.time_scale, turn=turn)

    def _latency(self, gate: Gate, asked: Latency, look: Look) -> CheckResult:
        load = look.loads.get(gate.id)
        if load is not None and load.begun >= self._since(look):
            return judge_latency(self.terms(gate, asked, look), load)
        left = self._since(look) - look.now
        said = "no load was made since the last flip and its settle time"
        if (flags := self.flags(look)) and flags.verdict is not Verdict.PASSED:
            said = "no load is made while the flags of the stage are not as they have to be"
        return inconclusive(Reason.WINDOW_NOT_ELAPSED, f"{said}; wait, or run this again", ready_in=max(left, 0.0))

    def of_runs(self, gate: Gate, look: Look) -> CheckResult:
        """Return the result of a canary's slots if it has a schedule, else of the runs that a gate is about."""
        if gate.canary is not None and gate.canary.name in self.periods:
            slots = look.slots[gate.id]
            return (
                broken(Reason.CANARY_ERROR, slots) if isinstance(slots, str) else self._slots(gate.canary, slots, look)
            )
        runs = look.runs[gate.id]
        if isinstance(runs, str):
            return broken(Reason.CANARY_ERROR, runs)
        if gate.canary is not None and (misfit := gate.canary.misfit(None)):
            return broken(Reason.CANARY_ERROR, misfit[1])
        passes = self._passes(gate.canary) if gate.canary else Passes(gate.golden.passes if gate.golden else 1, 0.0)
        found = judge_canary(runs, passes, self._since(look), look.now, self._conditions)
        told = gate.golden is not None and found.verdict is Verdict.PASSED
        return replace(found, message=f"{found.message}: {runs[-1].message}") if told else found

    def _slots(self, canary: CanaryHistory, slots: Sequence[Slot], look: Look) -> CheckResult:
        asked = Census(canary.share, self.target.scaled(canary.window)) if canary.window else self._passes(canary)
        terms = Terms(self.target.scaled(self.periods[canary.name]), self._conditions, canary.flaky)
        return judge_slots(slots, asked, terms, self._since(look), look.now)

    def _passes(self, canary: CanaryHistory) -> Passes:
        return Passes(canary.wanted, self.target.scaled(canary.across))

    def _since(self, look: Look) -> float:
        return look.since(self.stage, self.target) or 0.0

    @property
    def _conditions(self) -> Conditions:
        return Conditions(self.plan, self.stage.wanted)

    def _attestation(self, gate: Gate, asked: Attest, look: Look) -> CheckResult:
        answers = look.answers[gate.id]
        if isinstance(answers, str):
            return broken(Reason.EVIDENCE, answers)
        question = Question(
            rollout=self.rollout,
            environment=self.target.environment,
            stage=self.stage.marker,
            gate=gate.id,
            text=asked.question,
            expires=asked.expires,
            two_people=asked.two_people,
        )
        ground = Ground(
            since=self._since(look),
            plan=self.plan,
            heads=answers.heads,
            contradictions=answers.contradictions,
            changed_by=_makers(look.readings or (), answers.changed_by),
        )
        return judge_attestation(answers.given, question, ground, look.now)

    def flags(self, look: Look) -> CheckResult | None:
        """Return whether the stage's flags are as they have to be; None if it has none."""
        return self._flags(look) if self.stage.flags else None

    def _flags(self, look: Look) -> CheckResult:
        if look.readings is None:
            said = f"environment {self.target.environment!r} names no flag service; add it to the plan"
            return broken(Reason.ENVIRONMENT, said)
        wanted = {name: flag.value for name, flag in self.stage.flags.items()}
        return judge_flags(wanted, look.readings, look.now)


def _makers(readings: Sequence[FlagReading], recorded: Sequence[str]) -> tuple[str, ...] | None:
    """Return everybody who made the change; None if nobody knows who did it last."""
    last = changers(readings)
    return None if last is None else (*last, *recorded)
