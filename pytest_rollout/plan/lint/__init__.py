"""What is wrong with a plan although it can be read: gates that cannot fail, cannot pass, or read nothing.

Pure: what a server knows comes in as ``Live``.
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_rollout.plan.document import KeyPath
from pytest_rollout.plan.gates import Gate
from pytest_rollout.plan.lint.asked import expression_findings, ratio_findings
from pytest_rollout.plan.lint.facts import Case, Expression, Finding, Live, Pace, Severity, expressions_of
from pytest_rollout.plan.lint.load import load_findings
from pytest_rollout.plan.lint.recorded import person_findings, schedule_findings
from pytest_rollout.plan.lint.stages import duration_findings, traffic_findings, wait_findings
from pytest_rollout.plan.model import Plan

__all__ = ["Expression", "Finding", "Live", "Pace", "Severity", "expressions_of", "lint", "lint_gate", "offline_errors"]

_ASSUMED = Pace(15.0, 1.0, "it is assumed that Prometheus", certain=False)


def lint(plan: Plan, live: Live | None = None, *, environment: str | None = None) -> list[Finding]:
    """Return everything found in a plan, gate by gate, and at last what its environments lack.

    ``live`` is what the server of ``environment`` knows. Without an environment all of them are looked at.
    """
    paces = _paces(plan, live, environment)
    scale = plan.environments[environment].time_scale if environment else 1.0
    out: list[Finding] = []
    for number, stage in enumerate(plan.stages):
        for position, gate in enumerate(stage.gates):
            out += lint_gate(gate, ("stages", number, "gates", position), live, paces, scale)
        out += duration_findings(stage, ("stages", number), plan.canaries, scale)
        out += person_findings(stage, ("stages", number))
    return [*out, *schedule_findings(plan), *wait_findings(plan, environment)]


def lint_gate(
    gate: Gate, place: KeyPath, live: Live | None = None, paces: tuple[Pace, ...] = (), scale: float = 1.0
) -> Iterator[Finding]:
    """Yield what is wrong with one gate, which stands at ``place``; its durations are divided by ``scale``."""
    yield from ratio_findings(gate, place)
    yield from load_findings(gate, place)
    for expression in expressions_of(gate):
        yield from dict.fromkeys(expression_findings(Case(gate, expression, place, live, paces, scale)))
    yield from traffic_findings(gate, place, live, scale)


def offline_errors(plan: Plan) -> list[tuple[KeyPath, str]]:
    """Return what must keep a plan from being run, each with its place: what is certain without a server."""
    found = [one for one in lint(plan) if one.severity == "error"]
    return [(one.place, f"{one.message}; {one.hint} [{one.code}]") for one in found]


def _paces(plan: Plan, live: Live | None, environment: str | None) -> tuple[Pace, ...]:
    chosen = {name: one for name, one in plan.environments.items() if environment in (None, name)}
    if live is not None and live.scrape_intervals:
        scale = plan.environments[environment].time_scale if environment else 1.0
        jobs = sorted(live.scrape_intervals.items(), key=lambda pair: pair[1])
        return tuple(Pace(seconds, scale, f"for job {job!r} the server", job=job) for job, seconds in jobs)
    said = [
        Pace(one.scrape_interval, one.time_scale, f"environment {name!r}")
        for name, one in chosen.items()
        if one.scrape_interval
    ]
    return tuple(said) or (_ASSUMED,)
