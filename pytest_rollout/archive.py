"""Keep what a decision rests on: the raw evidence as a bundle in the reports, the results in the evidence log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_rollout.errors import EvidenceError
from pytest_rollout.evidence.log import EvidenceLog
from pytest_rollout.evidence.people import waivers
from pytest_rollout.evidence.record import Place
from pytest_rollout.evidence.results import StageLog
from pytest_rollout.judge.attestation import Waiver
from pytest_rollout.plan.gates import Gate
from pytest_rollout.replay import bundle, write_bundle
from pytest_rollout.stage import Decided, Scene
from pytest_rollout.units import format_moment
from pytest_rollout.verdict import CheckResult, Reason, Verdict, broken

FOLDER = "evidence"
"""Where in the reports the bundles are."""


@dataclass(frozen=True, slots=True)
class Archive:
    """Where the evidence of one place is kept."""

    reports: Path
    log: EvidenceLog
    place: Place

    def keep(self, name: str, scene: Scene, gates: Sequence[Gate], decided: Decided) -> dict[str, CheckResult]:
        """Keep a decision under a name; return its results, each with where its evidence is and who waived it.

        A pass whose evidence cannot be kept is none: then it is an error.
        """
        stage, look = scene.stage.marker, decided.look
        file = f"{FOLDER}/{scene.rollout}-{name}.json.gz"
        try:
            kept = {"file": file, "sha256": write_bundle(self.reports / file, bundle(scene, gates, decided))}
            # What an earlier look found stands, but its answers are not in the bundle of the last one.
            results = {
                gate: result if gate in decided.earlier else _at(result, kept)
                for gate, result in decided.results.items()
            }
            head = StageLog(self.log, self.place, stage).add_results(results, look.readings or (), look.now)
            waived = waivers(self.log, self.place, stage, look.now)
        except (OSError, EvidenceError) as exc:
            return {gate: _unkept(result, exc) for gate, result in decided.results.items()}
        results = {gate: _at(one, {"head": str(head)}) for gate, one in results.items()}
        return {gate: _waived(one, waived[gate]) if gate in waived else one for gate, one in results.items()}


def _at(result: CheckResult, kept: Mapping[str, str]) -> CheckResult:
    evidence = {**result.derivation.get("evidence", {}), **kept}
    return replace(result, derivation={**result.derivation, "evidence": evidence})


def _waived(result: CheckResult, waiver: Waiver) -> CheckResult:
    """Return a result that tells of its waiver; the verdict stays, for a waiver is no proof."""
    until = format_moment(waiver.expires_at)
    said = f"{result.message} [WAIVED by {waiver.by} until {until}: {waiver.reason}; it does not count as passed]"
    told = {"by": waiver.by, "reason": waiver.reason, "expires_at": waiver.expires_at}
    return replace(result, message=said, derivation={**result.derivation, "waiver": told})


def _unkept(result: CheckResult, exc: Exception) -> CheckResult:
    said = f"the evidence cannot be kept: {exc}"
    if isinstance(exc, OSError):
        said += "; make the reports folder writable, or free some space"
    return broken(Reason.EVIDENCE, said) if result.verdict is Verdict.PASSED else result
