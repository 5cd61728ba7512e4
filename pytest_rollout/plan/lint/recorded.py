"""Rules about what is recorded and not measured: slots of canaries, answers of people."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_rollout.plan.document import KeyPath
from pytest_rollout.plan.lint.facts import Finding
from pytest_rollout.plan.model import Plan, Stage
from pytest_rollout.plan.strict import did_you_mean


def person_findings(stage: Stage, place: KeyPath) -> Iterator[Finding]:
    """Yield that a stage waits for people, and for whom it waits in vain."""
    asked = {position: gate for position, gate in enumerate(stage.gates) if gate.attestation is not None}
    if asked:
        yield Finding(
            "info",
            "needs-a-person",
            place,
            f"{stage.marker} holds until a person has answered {', '.join(gate.id for gate in asked.values())}",
            "agree beforehand who answers, and when",
        )
    for position, gate in asked.items():
        if gate.attestation is not None and gate.attestation.two_people and not stage.flags:
            yield Finding(
                "error",
                "cannot-pass",
                (*place, "gates", position, "attestation", "two_people"),
                f"{stage.marker} has no flags, so nobody ever knows who made its change, and the gate never passes",
                "name the flags of the stage, or leave out 'two_people'",
            )


def schedule_findings(plan: Plan) -> Iterator[Finding]:
    """Yield the canaries that run by themselves and that no gate asks about."""
    asked = {gate.canary.name for stage in plan.stages for gate in stage.gates if gate.canary is not None}
    for name in plan.canaries:
        if name not in asked:
            hint = did_you_mean(name, sorted(asked)) if asked else "write a canary gate"
            yield Finding(
                "warning",
                "unasked-canary",
                ("canaries", name),
                f"no gate asks about the canary {name!r}, so whatever becomes of its slots decides nothing",
                hint,
            )
