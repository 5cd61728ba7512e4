"""Metrics of the loads that a stage's latency gates rest on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_rollout.publish.pushgateway import Metric

_OUTCOMES = ("ok", "failed", "unfinished")


def load_metrics(checks: Sequence[Mapping[str, Any]]) -> Iterator[Metric]:
    """Yield metrics of the latency gates among the checks of a stage; nothing if it has none.

    A gate whose load told nothing has no numbers.
    """
    mine = [check for check in checks if check["kind"] == "latency"]
    if not mine:
        return
    told = [(check["id"], load) for check in mine if (load := (check.get("derivation") or {}).get("load"))]
    arms = [(name, arm, found) for name, load in told for arm, found in load["arms"].items()]
    yield (
        "rollout_load_latency_seconds",
        "Percentile of latency from when a request was due; none if failures reach it.",
        ("check", "arm", "quantile"),
        [((n, arm, _quantile(q)), value) for n, arm, found in arms for q, value in found["percentiles"].items()],
    )
    yield (
        "rollout_load_requests",
        "Requests (or arrivals) of the load, by how they ended.",
        ("check", "arm", "outcome"),
        [((n, arm, outcome), found[outcome]) for n, arm, found in arms for outcome in _OUTCOMES],
    )
    rates = [((n, what), load[f"{what}_rate"]) for n, load in told for what in ("offered", "achieved")]
    yield "rollout_load_rate", "Requests per second: asked for, and answered.", ("check", "rate"), rates
    lags = [((n,), load["lag_p99"]) for n, load in told]
    yield "rollout_load_generator_lag_seconds", "How late the load generator was, at p99.", ("check",), lags


def _quantile(name: str) -> str:
    """Return ``0.95`` for ``p95``, as Prometheus writes quantiles."""
    return f"{float(name[1:]) / 100:.6g}"
