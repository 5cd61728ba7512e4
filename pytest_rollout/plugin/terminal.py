"""The summary: one table a stage, the decision, and where to read more."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_rollout.units import format_duration, format_moment, format_value

_HEADINGS = ("check", "verdict", "value", "limit", "window", "samples")
_COLOURS = {
    "passed": {"green": True},
    "breached": {"red": True, "bold": True},
    "inconclusive": {"yellow": True},
    "error": {"purple": True, "bold": True},
    "GO": {"green": True, "bold": True},
    "NO-GO": {"red": True, "bold": True},
    "HOLD": {"yellow": True, "bold": True},
}
_NARROWEST = 40
_NARROWEST_TERMINAL = 100


def summary(reporter: pytest.TerminalReporter, document: Mapping[str, Any], notes: Sequence[str], path: Path) -> None:
    """Print what was decided, and why."""
    for stage in document["stages"]:
        reporter.section(_title(stage), sep="=", **_COLOURS[stage["decision"]])
        _table(reporter, stage["checks"])
        for waiver in stage["waivers"]:
            reporter.write_line(waiver_line(waiver), yellow=True)
    for fault in document["faults"]:
        reporter.write_line(f"not complete: {fault}", yellow=True)
    for note in notes:
        reporter.write_line(note)
    if document["evidence"]["head"]:
        reporter.write_line(f"evidence {document['evidence']['head']}  {document['evidence']['log']}")
    rehearsal = " (REHEARSAL)" if document["rehearsal"] else ""
    reporter.write(f"decision: {document['decision']}{rehearsal}", **_COLOURS[document["decision"]])
    reporter.write_line(f"  {path}")


def waiver_line(waiver: Mapping[str, Any]) -> str:
    """Return what is said of a waiver, beside whatever the verdict of its check is."""
    until = format_moment(waiver["expires_at"])
    return (
        f"WAIVED: {waiver['check']}, by {waiver['by']} until {until}: {waiver['reason']}; it does not count as passed"
    )


def _title(stage: Mapping[str, Any]) -> str:
    rehearsal = f" REHEARSAL ({', '.join(stage['rehearsal_reasons'])})" if stage["rehearsal"] else ""
    where = f" in {stage['environment']}" if stage["environment"] else ""
    return f"{stage['rollout']} {stage['stage']}{where}: {stage['decision']}{rehearsal}"


def _table(reporter: pytest.TerminalReporter, checks: Sequence[Mapping[str, Any]]) -> None:
    rows = [_row(check) for check in checks]
    widths = [max(len(row[column]) for row in (_HEADINGS, *rows)) for column in range(len(_HEADINGS))]
    room = max(shutil.get_terminal_size().columns, _NARROWEST_TERMINAL) - sum(widths) - 2 * len(widths)
    reporter.write_line("  ".join(word.ljust(width) for word, width in zip(_HEADINGS, widths, strict=True)) + "  why")
    for row, check in zip(rows, checks, strict=True):
        _line(reporter, row, widths, check, max(room, _NARROWEST))


def _line(
    reporter: pytest.TerminalReporter, row: Sequence[str], widths: Sequence[int], check: Mapping[str, Any], room: int
) -> None:
    for index, (word, width) in enumerate(zip(row, widths, strict=True)):
        style = _COLOURS[check["verdict"]] if index == 1 else {}
        reporter.write(word.ljust(width) + "  ", **style)
    reason = "" if check["verdict"] == "passed" else f"{check['reason']}: "
    why = textwrap.wrap(reason + check["message"].replace("\n", " "), room) or [""]
    indent = " " * (sum(widths) + 2 * len(widths))
    reporter.write_line(why[0])
    for more in why[1:]:
        reporter.write_line(indent + more)


def _row(check: Mapping[str, Any]) -> tuple[str, ...]:
    window = check["window"]
    samples = check["samples"]
    return (
        check["id"],
        check["verdict"],
        format_value(check["value"], check["unit"]),
        format_value(check["limit"], check["unit"]),
        format_duration(max(window[1] - window[0], 0)) if window else "-",
        f"{samples:,}" if samples is not None else "-",
    )
