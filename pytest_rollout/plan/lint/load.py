"""Whether the load of a latency gate can decide it."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pytest_rollout.plan.document import KeyPath
from pytest_rollout.plan.gates import Gate
from pytest_rollout.plan.lint.facts import Finding
from pytest_rollout.units import format_duration


def load_findings(gate: Gate, place: KeyPath) -> Iterator[Finding]:
    """Yield that a load is too short for its limits, or of a kind that proves nothing."""
    asked, where = gate.latency, (*place, "latency")
    if asked is None:
        return
    if asked.rate is None:
        yield Finding(
            "warning",
            "never-go",
            (*where, "users"),
            f"users wait for their answers, so they ask least while it is slow: {gate.id!r} can breach, and never pass",
            "give it a rate",
        )
        return
    if asked.of == "request":
        return  # how many of them an arrival makes only the locustfile knows
    longest = asked.duration + asked.extend
    for key, q in asked.inferred():
        needed = asked.fewest(q, gate.confidence)
        if asked.rate * longest < needed:
            yield Finding(
                "error",
                "cannot-pass",
                (*where, key),
                f"{key} needs {needed:,} requests at least, all of them good; {asked.rate:g} a second for "
                f"{format_duration(longest)} are about {asked.rate * longest:,.0f}",
                f"make it {_minutes(needed / asked.rate)} or longer, or raise the rate",
            )


def _minutes(seconds: float) -> str:
    return format_duration(math.ceil(seconds) if seconds < 60 else math.ceil(seconds / 60) * 60)  # noqa: PLR2004
