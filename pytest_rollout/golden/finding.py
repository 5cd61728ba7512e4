"""What differs from what was expected, where, and by which rule; and a verdict from any number of these."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pytest_rollout.golden.exact import MISSING, write_exact
from pytest_rollout.verdict import CheckResult, Reason, Verdict

SHOWN = 10
"""Findings that a message names; the others are counted."""
_LONGEST = 120
_WORST = (Verdict.BREACHED, Verdict.ERROR, Verdict.INCONCLUSIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One difference. ``expected`` and ``actual`` are for people: cut, and secrets are masked."""

    pointer: str
    """A JSON Pointer into the body, or ``#status``, ``#header/Sunset``, ``#metric/...``, ``#state/...``, ``#mode``."""
    kind: str
    expected: str
    actual: str
    rule: str
    verdict: Verdict = Verdict.BREACHED
    reason: Reason = Reason.GOLDEN_MISMATCH
    mode: str = ""
    instance: str = ""

    @property
    def line(self) -> str:
        """The finding in one line."""
        where = " on ".join(part for part in (self.mode, self.instance) if part)
        said = f"{self.pointer or '(body)'}: {self.kind}: expected {self.expected}, got {self.actual} [{self.rule}]"
        return f"{where}: {said}" if where else said

    def to_dict(self) -> dict[str, str]:
        """Return builtins only."""
        return {field.name: str(getattr(self, field.name)) for field in dataclasses.fields(self)}


def doubt(pointer: str, reason: Reason, expected: str, actual: str, rule: str) -> Finding:
    """Return a finding that leaves the question open."""
    return Finding(
        pointer=pointer,
        kind=reason.value,
        expected=expected,
        actual=actual,
        rule=rule,
        verdict=Verdict.INCONCLUSIVE,
        reason=reason,
    )


def shown(value: Any) -> str:
    """Return a value for people, cut where it is long."""
    if value is MISSING:
        return "nothing"
    text = write_exact(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text)} characters)"


def lines(findings: Sequence[Finding], most: int = SHOWN) -> str:
    """Return the first findings, one a line, and how many more there are."""
    told = [finding.line for finding in findings[:most]]
    return "\n".join([*told, f"+{len(findings) - most} more"] if len(findings) > most else told)


def judged(findings: Sequence[Finding], passed: str, derivation: dict[str, Any] | None = None) -> CheckResult:
    """Return the verdict of some findings: breached before error before inconclusive; none is a pass."""
    told = {**(derivation or {}), "findings": [finding.to_dict() for finding in findings[:SHOWN]]}
    told["more"] = max(len(findings) - SHOWN, 0)
    if not findings:
        return CheckResult(verdict=Verdict.PASSED, reason=Reason.WITHIN_LIMIT, message=passed, derivation=told)
    ordered = sorted(findings, key=lambda finding: _WORST.index(finding.verdict))
    worst = ordered[0]
    return CheckResult(verdict=worst.verdict, reason=worst.reason, message=lines(ordered), derivation=told)
