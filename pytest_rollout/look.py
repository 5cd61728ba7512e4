"""One look at a stage: all that was found at one instant, and what the judge makes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_rollout.gathering.gatherer import Gatherer
from pytest_rollout.judge.history import CanaryRun, FlagReading, Looks, Passes, judge_canary, judge_flags
from pytest_rollout.plan.gates import Gate
from pytest_rollout.plan.kinds import CanaryHistory
from pytest_rollout.plan.model import Stage
from pytest_rollout.sources.prometheus import Prometheus
from pytest_rollout.target import Target
from pytest_rollout.verdict import CheckResult, Reason, broken, inconclusive

FLAG_STATE = "flag-state"
"""Id of the check that reads a stage's flags back; every stage with flags has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was found. The answers of Prometheus are beside it, for they are asked for while judging."""

    now: float
    readings: tuple[FlagReading, ...] | None
    """None if there is no flag service."""
    runs: Mapping[str, tuple[CanaryRun, ...] | str]
    """By gate: runs of its canary, or why there are none."""
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


@dataclass(frozen=True, slots=True)
class Judged:
    """A stage in an environment, with what answers questions about it."""

    stage: Stage
    target: Target
    prometheus: Prometheus | None

    def results(self, look: Look, gates: Sequence[Gate]) -> dict[str, CheckResult]:
        """Return the result of every gate, and of the flags of the stage, all at one instant."""
        since = look.since(self.stage, self.target)
        results = {FLAG_STATE: self._flags(look)} if self.stage.flags else {}
        looks = {} if isinstance(look.looks, str) else look.looks
        gatherer = Gatherer(self.prometheus, self.target, since, look.now, look.flip, looks, look.waits)
        for gate in gates:
            if gate.unproven is not None:
                said = f"not proven yet: {gate.unproven}; replace this entry of the plan with a gate that proves it"
                results[gate.id] = inconclusive(Reason.UNPROVEN, said)
            elif gate.canary is not None:
                results[gate.id] = self.canary(gate.canary, look.runs[gate.id], since, look.now)
            elif isinstance(look.looks, str):
                said = f"nobody knows whether this was looked at before: {look.looks}"
                results[gate.id] = broken(Reason.EVIDENCE, said)
            else:
                results[gate.id] = gatherer.judge(gate)
        return results

    def canary(
        self, canary: CanaryHistory, runs: Sequence[CanaryRun] | str, since: float | None, now: float
    ) -> CheckResult:
        """Return the result of a canary's runs."""
        if isinstance(runs, str):
            return broken(Reason.CANARY_ERROR, runs)
        passes = Passes(canary.passes, self.target.scaled(canary.across))
        return judge_canary(runs, passes, since or 0.0, now)

    def _flags(self, look: Look) -> CheckResult:
        if look.readings is None:
            said = f"environment {self.target.environment!r} names no flag service; add it to the plan"
            return broken(Reason.ENVIRONMENT, said)
        wanted = {name: flag.value for name, flag in self.stage.flags.items()}
        return judge_flags(wanted, look.readings, look.now)
