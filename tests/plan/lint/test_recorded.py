"""What is recorded and not measured: people that a stage waits for, canaries that nobody asks about."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_rollout.plan.lint import Finding, lint, offline_errors
from pytest_rollout.plan.model import Plan

QUIET = {"id": "quiet", "attestation": {"question": "Is it quiet?"}}
DESK = {"id": "desk", "attestation": {"question": "No tickets?", "two_people": True}}
PAID = {"id": "paid", "canary": {"name": "pay", "consecutive": 5}}
FLAGS = {"F": {"value": True}}


def plan(*gates: dict[str, Any], flags: dict[str, Any] | None = None, **canaries: dict[str, Any]) -> Plan:
    stage = {"stage": 3, "name": "A", "flags": FLAGS if flags is None else flags, "gates": gates}
    environments = {"production": {"target": "http://shop"}}
    said = {"rollout": "shop", "environments": environments, "canaries": canaries, "stages": [stage]}
    return Plan.model_validate(said)


def found(said: Plan) -> list[Finding]:
    return [one for one in lint(said) if one.code != "time-to-go"]


def test_a_stage_waits_for_a_person() -> None:
    assert found(plan(DESK, {"id": "a", "canary": {"name": "smoke"}}, QUIET)) == [
        Finding(
            "info",
            "needs-a-person",
            ("stages", 0),
            "stage3 holds until a person has answered desk, quiet",
            "agree beforehand who answers, and when",
        )
    ]


def test_two_people_need_to_know_who_made_the_change() -> None:
    bare = plan(QUIET, DESK, flags={})
    _, error = found(bare)
    assert error == Finding(
        "error",
        "cannot-pass",
        ("stages", 0, "gates", 1, "attestation", "two_people"),
        "stage3 has no flags, so nobody ever knows who made its change, and the gate never passes",
        "name the flags of the stage, or leave out 'two_people'",
    )
    assert [place for place, _ in offline_errors(bare)] == [error.place]


@pytest.mark.parametrize(
    ("gates", "hint"),
    [
        ((PAID,), "did you mean 'pay'?"),
        ((PAID, {"id": "s", "canary": {"name": "zzz"}}), "did you mean 'pay'?"),
        (({"id": "s", "canary": {"name": "zzz"}},), "known here: zzz"),
        ((QUIET,), "write a canary gate"),
    ],
)
def test_a_canary_that_no_gate_asks_about(gates: tuple[dict[str, Any], ...], hint: str) -> None:
    said = found(plan(*gates, pay={"every": "15m"}, pya={"every": "15m"}))
    asked = Finding(
        "warning",
        "unasked-canary",
        ("canaries", "pya"),
        "no gate asks about the canary 'pya', so whatever becomes of its slots decides nothing",
        hint,
    )
    assert asked in said
    assert (("canaries", "pay") in [one.place for one in said]) is (PAID not in gates)
