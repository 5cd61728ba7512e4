"""A result in words."""

from __future__ import annotations

import os
from datetime import UTC, datetime

from pytest_rollout.units import format_duration, format_value
from pytest_rollout.verdict import CheckResult


def explain(name: str, result: CheckResult) -> str:
    """Return a few lines: the verdict and why, the numbers, the window."""
    lines = [f"{name}: {result.verdict.value.upper()} ({result.reason.value})", f"  {result.message}"]
    if result.value is not None or result.limit is not None:
        samples = f", {result.samples:,} samples" if result.samples is not None else ""
        shown = format_value(result.value, result.unit)
        lines.append(f"  value {shown}, limit {format_value(result.limit, result.unit)}{samples}")
    if result.window:
        start, end = result.window
        lines.append(f"  window {_clock(start)} to {_clock(end)} ({format_duration(max(end - start, 0))})")
    if result.attachments:
        lines.append(f"  see {os.path.commonpath(result.attachments)}")
    return "\n".join(lines)


def _clock(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
