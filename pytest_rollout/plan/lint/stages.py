"""How long it takes until a stage can be GO."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TypeAlias

from pytest_rollout.judge.slot import slots_in_a_row
from pytest_rollout.plan.document import KeyPath
from pytest_rollout.plan.gates import Gate
from pytest_rollout.plan.kinds import CanaryHistory
from pytest_rollout.plan.lint.facts import Finding, Live
from pytest_rollout.plan.model import Plan, Stage
from pytest_rollout.plan.promql import parse_selector
from pytest_rollout.plan.schedule import Schedule
from pytest_rollout.units import format_duration

Schedules: TypeAlias = Mapping[str, Schedule]
"""By canary."""


def duration_findings(stage: Stage, place: KeyPath, schedules: Schedules, scale: float = 1.0) -> Iterator[Finding]:
    """Yield how long after its flip a stage can be GO, durations divided by ``scale``."""
    unproven = [gate.id for gate in stage.gates if gate.unproven is not None]
    if unproven:
        yield Finding(
            "info",
            "never-go",
            place,
            f"{stage.marker} holds for ever: nothing proves {', '.join(unproven)}",
            "write a gate for each",
        )
    slowest = max(stage.gates, key=lambda gate: time_of(gate, schedules))
    settling = f"{format_duration(stage.settle / scale)} to settle, " if stage.settle else ""
    needed = format_duration(seconds_to_go(stage, schedules) / scale)
    yield Finding(
        "info",
        "time-to-go",
        place,
        f"{stage.marker} is decided {needed} after its flip at the earliest: "
        f"{settling}{format_duration(time_of(slowest, schedules) / scale)} for {slowest.id!r}",
        "plan for it, or shorten the longest window",
    )


def wait_findings(plan: Plan, environment: str | None) -> Iterator[Finding]:
    """Yield the environments that stop waiting before their longest stage can be GO."""
    for name, one in plan.environments.items():
        slowest = max(plan.stages, key=lambda stage: seconds_to_go(stage, plan.canaries))
        needed = seconds_to_go(slowest, plan.canaries) / one.time_scale
        if environment in (None, name) and 0 < one.wait < needed:
            yield Finding(
                "warning",
                "wait-too-short",
                ("environments", name, "wait"),
                f"{name} waits {format_duration(one.wait)}, but {slowest.marker} takes {format_duration(needed)} "
                "after its flip: waiting ends with HOLD",
                f"wait {format_duration(needed)} or more, or leave out 'wait' and run again later",
            )


def seconds_to_go(stage: Stage, schedules: Schedules) -> float:
    """Return the seconds from a stage's flip until all of its windows have passed."""
    loads = sum(time_of(gate, schedules) for gate in stage.gates if gate.latency is not None)  # one after the other
    return stage.settle + max(loads, *(time_of(gate, schedules) for gate in stage.gates))


def time_of(gate: Gate, schedules: Schedules) -> float:
    """Return the seconds that a gate needs after the flip and settling. A new kind of gate is added here."""
    if gate.canary is not None:
        return _time_of_history(gate.canary, schedules.get(gate.canary.name))
    if gate.latency is not None:
        return gate.latency.warm_up + gate.latency.duration
    if gate.burn is not None:
        return max(pair.long for pair in gate.burn.pairs)
    streak = gate.streak.every * (gate.streak.periods - 1) if gate.streak else 0.0
    return (gate.over or 0.0) + streak


def _time_of_history(canary: CanaryHistory, schedule: Schedule | None) -> float:
    if canary.window or schedule is None:
        return canary.window or canary.across
    return (slots_in_a_row(canary.wanted, canary.across, schedule.every) - 1) * schedule.every


def traffic_findings(gate: Gate, place: KeyPath, live: Live | None, scale: float = 1.0) -> Iterator[Finding]:
    """Yield that a window is too short to prove a share at the rate of requests now.

    Without one bad request, the exact upper bound 1 - (alpha/2)^(1/n) has to lie below the limit
    (Clopper and Pearson 1934).
    """
    asked = _share(gate)
    if live is None or asked is None or gate.over is None or not gate.confidence:
        return
    path, selector, share = asked
    rate, over = live.rate(selector), gate.over / scale
    needed = math.ceil(math.log((1 - gate.confidence) / 2) / math.log1p(-share))
    if rate is not None and rate * over < needed:
        yield Finding(
            "warning",
            "too-little-traffic",
            (*place, *path),
            f"a flawless release needs at least {needed:,} requests within {format_duration(over)}, "
            f"at the rate of now about {rate * over:,.0f} come: the gate holds",
            f"take a window of {format_duration(math.ceil(needed / rate * scale / 60) * 60)} or more"
            if rate
            else "send traffic",
        )


def _share(gate: Gate) -> tuple[KeyPath, str, float] | None:
    if gate.ratio is not None and gate.limit:
        return ("ratio", "total"), gate.ratio.total, gate.limit
    if gate.quantile is None:
        return None
    buckets = parse_selector(gate.quantile.selector)
    count = f"{gate.quantile.of}_count"
    return ("quantile", "of"), buckets.text.replace(buckets.metric, count, 1), 1 - gate.quantile.q
