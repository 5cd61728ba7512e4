"""How long until a stage can be GO, and whether anybody waits so long."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_rollout.plan.lint import Finding, lint
from pytest_rollout.plan.model import Plan
from tests.plan.lint.fakes import PLACE, Known, found

OVER = {"id": "rate", "counter": {"of": "e_total"}, "at_most": 0, "over": "2h"}
CANARY = {"id": "smoke", "canary": {"name": "smoke", "passes": 3, "across": "3h"}}
ONCE = {"id": "once", "canary": {"name": "once"}}
BURN = {"id": "burn", "burn": {"bad": 'r_total{c="5"}', "total": "r_total", "objective": "99.9%"}}
STREAK = {**OVER, "id": "streak", "streak": {"every": "30m", "consecutive": 3}}
UNPROVEN = {"id": "desk", "unproven": "no spike"}
TARGET = {"target": "http://shop", "prometheus": "http://prom"}


def plan(*gates: dict[str, Any], settle: str = "0s", **environments: dict[str, Any]) -> Plan:
    stages = [{"stage": 3, "name": "A", "settle": settle, "gates": gates}]
    environments = environments or {"production": TARGET}
    return Plan.model_validate({"rollout": "shop", "environments": environments, "stages": stages})


def scheduled(*gates: dict[str, Any], every: str) -> Plan:
    stages = [{"stage": 3, "name": "A", "gates": gates}]
    environments, canaries = {"production": TARGET}, {"pay": {"every": every}}
    said = {"rollout": "shop", "environments": environments, "canaries": canaries, "stages": stages}
    return Plan.model_validate(said)


@pytest.mark.parametrize(
    ("gates", "settle", "said"),
    [
        ((OVER,), "0s", "2 h after its flip at the earliest: 2 h for 'rate'"),
        ((OVER,), "30m", "150 min after its flip at the earliest: 30 min to settle, 2 h for 'rate'"),
        ((OVER, CANARY), "0s", "3 h after its flip at the earliest: 3 h for 'smoke'"),
        ((OVER, BURN), "0s", "6 h after its flip at the earliest: 6 h for 'burn'"),
        ((OVER, STREAK), "0s", "3 h after its flip at the earliest: 3 h for 'streak'"),
        ((ONCE,), "30s", "30 s after its flip at the earliest: 30 s to settle, 0 ms for 'once'"),
    ],
)
def test_the_time_until_go(gates: tuple[dict[str, Any], ...], settle: str, said: str) -> None:
    assert lint(plan(*gates, settle=settle)) == [
        Finding(
            "info",
            "time-to-go",
            ("stages", 0),
            f"stage3 is decided {said}",
            "plan for it, or shorten the longest window",
        )
    ]


@pytest.mark.parametrize(
    ("history", "said"),
    [
        # The first of five slots in a row comes with the flip, the last four slots later.
        ({"consecutive": 5}, "1 h after its flip at the earliest: 1 h for 'paid'"),
        ({"passes": 5}, "1 h after its flip at the earliest: 1 h for 'paid'"),
        ({"passes": 2, "across": "30m"}, "30 min after its flip at the earliest: 30 min for 'paid'"),
        ({"passes": 2, "across": "31m"}, "45 min after its flip at the earliest: 45 min for 'paid'"),
        ({"passes": 4, "across": "30m"}, "45 min after its flip at the earliest: 45 min for 'paid'"),
        ({"success": "99.5%", "over": "7d"}, "7 d after its flip at the earliest: 7 d for 'paid'"),
        ({"quiet": "2h"}, "2 h after its flip at the earliest: 2 h for 'paid'"),
    ],
)
def test_slots_take_their_time(history: dict[str, Any], said: str) -> None:
    gates = [
        {"id": "paid", "canary": {"name": "pay", **history}},
        {"id": "desk", "attestation": {"question": "Quiet?"}},
    ]
    (told,) = [one for one in lint(scheduled(*gates, every="15m")) if one.code == "time-to-go"]
    assert told.message == f"stage3 is decided {said}"


def test_what_nothing_proves_is_never_go() -> None:
    never, _ = lint(plan(OVER, UNPROVEN, {**UNPROVEN, "id": "ops"}))
    assert never == Finding(
        "info", "never-go", ("stages", 0), "stage3 holds for ever: nothing proves desk, ops", "write a gate for each"
    )


def test_durations_are_those_of_the_environment() -> None:
    scaled = plan(OVER, settle="30m", sandbox={"sandbox": True, "time_scale": 60}, production=TARGET)
    (said,) = lint(scaled, environment="sandbox")
    assert said.message == "stage3 is decided 150 s after its flip at the earliest: 30 s to settle, 2 min for 'rate'"


@pytest.mark.parametrize(
    ("wait", "scale", "few"),
    [("149m", 1, True), ("150m", 1, False), ("0s", 1, False), ("149s", 60, True), ("150s", 60, False)],
)
def test_waiting_ends_too_early(wait: str, scale: int, *, few: bool) -> None:
    environments: dict[str, dict[str, Any]] = {
        "staging": {**TARGET, "wait": wait, "time_scale": scale},
        "production": TARGET,
    }
    needed = "150 min" if scale == 1 else "150 s"
    said = [one for one in lint(plan(OVER, settle="30m", **environments)) if one.code == "wait-too-short"]
    expected = Finding(
        "warning",
        "wait-too-short",
        ("environments", "staging", "wait"),
        f"staging waits {wait[:3]} {'min' if scale == 1 else 's'}, but stage3 takes {needed} after its flip: "
        "waiting ends with HOLD",
        f"wait {needed} or more, or leave out 'wait' and run again later",
    )
    assert said == [expected] * few


def test_another_environment_is_not_looked_at() -> None:
    two = plan(OVER, staging={**TARGET, "wait": "1m"}, production=TARGET)
    assert [one.code for one in lint(two, environment="production")] == ["time-to-go"]
    assert [one.code for one in lint(two, environment="staging")] == ["time-to-go", "wait-too-short"]


# --- traffic --------------------------------------------------------------------------------------------------

RATIO: dict[str, Any] = {
    "ratio": {"bad": 'r_total{c="5"}', "total": 'r_total{a="1"}'},
    "below": "0.5%",
    "over": "30m",
}
QUANTILE: dict[str, Any] = {"quantile": {"q": 0.95, "of": "d_seconds", "where": 'a="1"'}, "below": "1s", "over": "30m"}
NAMES = frozenset({"r_total", "d_seconds_bucket"})


def traffic(gate: dict[str, Any], rates: dict[str, float], scale: float = 1.0) -> list[Finding]:
    said = found(gate, Known(metric_names=NAMES, rates=rates), scale=scale)
    return [one for one in said if one.code == "too-little-traffic"]


@pytest.mark.parametrize(
    ("gate", "path", "selector", "needed"),
    [
        # The logarithm of half of 1 - confidence, over that of 1 - limit, rounded up.
        (RATIO, ("ratio", "total"), 'r_total{a="1"}', 736),
        ({**RATIO, "confidence": "99%"}, ("ratio", "total"), 'r_total{a="1"}', 1058),
        (QUANTILE, ("quantile", "of"), 'd_seconds_count{a="1"}', 72),
    ],
)
def test_too_little_traffic_to_prove_a_share(
    gate: dict[str, Any], path: tuple[str, ...], selector: str, needed: int
) -> None:
    assert traffic(gate, {selector: needed / 1800}) == []
    assert traffic(gate, {}) == []
    (said,) = traffic(gate, {selector: (needed - 1) / 1800})
    assert said == Finding(
        "warning",
        "too-little-traffic",
        (*PLACE, *path),
        f"a flawless release needs at least {needed:,} requests within 30 min, "
        f"at the rate of now about {needed - 1:,} come: the gate holds",
        "take a window of 31 min or more",
    )


def test_no_traffic_at_all() -> None:
    assert [one.hint for one in traffic(RATIO, {'r_total{a="1"}': 0.0})] == ["send traffic"]


def test_a_scaled_window_sees_less_traffic() -> None:
    rates = {'r_total{a="1"}': 736 / 1800}
    (said,) = traffic(RATIO, rates, scale=60.0)
    assert "needs at least 736 requests within 30 s, at the rate of now about 12 come" in said.message
    assert said.hint == "take a window of 30 h or more"


@pytest.mark.parametrize("gate", [{**RATIO, "confidence": "point"}, {"promql": "sum(r_total)", "below": 5}])
def test_what_needs_no_number_of_requests(gate: dict[str, Any]) -> None:
    assert traffic(gate, {'r_total{a="1"}': 0.0}) == []
