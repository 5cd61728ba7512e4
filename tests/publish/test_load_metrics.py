"""What is pushed about the load of a latency gate."""

from __future__ import annotations

from typing import Any

from pytest_rollout.publish.load_metrics import load_metrics
from pytest_rollout.publish.pushgateway import exposition

ARM = {"due": 3, "ok": 2, "failed": 1, "unfinished": 0, "percentiles": {"p50": 0.1, "p99.9": None}}
LOAD = {"arms": {"all": ARM}, "offered_rate": 50.0, "achieved_rate": 49.5, "lag_p99": 0.002}


def check(**changes: Any) -> dict[str, Any]:
    return {"id": "portal-load", "kind": "latency", "derivation": {"load": LOAD}, **changes}


def exported(*checks: dict[str, Any]) -> list[str]:
    return [line for line in exposition(load_metrics(checks)).splitlines() if not line.startswith("#")]


def test_a_load_exports_exactly_this() -> None:
    assert exported(check()) == [
        'rollout_load_latency_seconds{arm="all",check="portal-load",quantile="0.5"} 0.1',
        'rollout_load_requests{arm="all",check="portal-load",outcome="ok"} 2.0',
        'rollout_load_requests{arm="all",check="portal-load",outcome="failed"} 1.0',
        'rollout_load_requests{arm="all",check="portal-load",outcome="unfinished"} 0.0',
        'rollout_load_rate{check="portal-load",rate="offered"} 50.0',
        'rollout_load_rate{check="portal-load",rate="achieved"} 49.5',
        'rollout_load_generator_lag_seconds{check="portal-load"} 0.002',
    ]


def test_a_closed_model_has_no_offered_rate() -> None:
    lines = exported(check(derivation={"load": {**LOAD, "offered_rate": None}}))
    assert [line for line in lines if line.startswith("rollout_load_rate")] == [
        'rollout_load_rate{check="portal-load",rate="achieved"} 49.5'
    ]


def test_a_gate_without_a_load_leaves_no_older_numbers_standing() -> None:
    nothing = exported(check(derivation={}), check(id="other", derivation=None))
    assert 'rollout_load_latency_seconds{arm="",check="",quantile=""} NaN' in nothing
    assert len(nothing) == 4


def test_a_stage_without_latency_gates_exports_none() -> None:
    assert exported(check(kind="quantile")) == []
