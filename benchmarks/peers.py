"""The rules by which other tools decide, written anew from what they publish, so that all see the same counts.

Each function is the published semantics of one tool, no more: no retries, hooks or notifications, and none of its code.
A share is bad requests over all requests, NaN where there was no traffic, as 0/0 is in PromQL.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pytest_rollout.judge.mann_whitney import Label, classify
from pytest_rollout.verdict import Decision


def point(share: float, limit: float) -> Decision:
    """Compare the observed share, as a script does that reads one number from a dashboard."""
    if math.isnan(share):
        return Decision.HOLD
    return Decision.GO if share < limit else Decision.NO_GO


@dataclass(frozen=True, slots=True)
class Argo:
    """Published semantics of an Argo Rollouts 1.8 metric (docs/features/analysis.md, utils/evaluate, analysis).

    A condition that is not given is the opposite of the other. Limits are exclusive: the run ends when there are
    *more* such measurements. ``inconclusive_limit`` is the default; 3 failures are what the documented examples allow.
    """

    success_below: float | None = None
    """``successCondition: result < ...``."""
    failure_from: float | None = None
    """``failureCondition: result >= ...``."""
    failure_limit: int = 3
    inconclusive_limit: int = 0

    def measure(self, share: float) -> Decision:
        """Return the phase of one measurement: Successful, Failed or Inconclusive."""
        success = self.success_below is None or share < self.success_below
        failure = share >= self.failure_from if self.failure_from is not None else not success
        if failure:
            return Decision.NO_GO
        return Decision.GO if success else Decision.HOLD

    def run(self, shares: Iterable[float]) -> Decision:
        """Return what ``count`` measurements come to; Inconclusive pauses the rollout."""
        failed = inconclusive = 0
        for share in shares:
            phase = self.measure(share)
            failed += phase is Decision.NO_GO
            inconclusive += phase is Decision.HOLD
            if failed > self.failure_limit:
                return Decision.NO_GO
            if inconclusive > self.inconclusive_limit:
                return Decision.HOLD
        return Decision.GO


def flagger(shares: Iterable[float], limit: float, *, threshold: int, iterations: int) -> Decision:
    """Published semantics of Flagger 1.x (pkg/controller/scheduler.go, docs "How it works").

    One check per interval. ``max`` is inclusive; no data is a failed check. Failed checks add up and are never
    forgiven: rolled back at ``threshold``, promoted after ``iterations`` good ones. HOLD: still on its way.
    """
    failed = good = 0
    for share in shares:
        if share <= limit:
            good += 1
        else:  # NaN compares false
            failed += 1
        if failed >= threshold:
            return Decision.NO_GO
        if good >= iterations:
            return Decision.GO
    return Decision.HOLD


def kayenta(control: Sequence[float], experiment: Sequence[float]) -> Decision:
    """Published semantics of Kayenta's default judge for one metric of direction "increase" (NetflixACAJudge).

    High is NO-GO, Pass is GO, and without data on a side (Nodata) nothing is decided. Its search for the bounds is
    numeric, so with many equal points it is chance on which side of a tie it ends; here its test at that place
    decides, which finds more. On fewer than 5 points a side nothing is decided, where Kayenta would.
    """
    label = classify(control, experiment, direction="increase").label
    return {Label.HIGH: Decision.NO_GO, Label.PASS: Decision.GO}.get(label, Decision.HOLD)
