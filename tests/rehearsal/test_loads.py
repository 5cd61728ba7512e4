"""Load gates on the real sandbox, with the plan's own limits: passed when it is healthy, breached by a fault.

What every fault does to its gate is in tests/sandbox/test_load_gates.py, which is faster. Settlement under load is part
of the two hours of test_faults.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.rehearsal.test_faults import rehearse

BROKEN = [
    ("stage2", "settlement-load", "settlement-overload"),
    ("stage3", "portal-load", "portal-slow"),
    ("stage3", "portal-load", "portal-hung"),
]


def check(document: dict[str, Any], gate: str) -> dict[str, Any]:
    """Return what became of a gate."""
    return next(found for stage in document["stages"] for found in stage["checks"] if found["id"] == gate)


def test_a_healthy_portal_keeps_its_limits(tmp_path: Path) -> None:
    _, document, output = rehearse(tmp_path, "stage3")
    portal = check(document, "portal-load")
    if portal["reason"] == "bent-generator":
        pytest.skip(f"this machine has too much else to do: {portal['message']}")
    assert portal["verdict"] == "passed", output
    assert document["decision"] == "HOLD", "its other gates look at a day"


@pytest.mark.parametrize(("stage", "gate", "fault"), BROKEN)
def test_a_fault_under_load_is_no_go(tmp_path: Path, stage: str, gate: str, fault: str) -> None:
    code, document, output = rehearse(tmp_path, stage, f"--rollout-fault={fault}", "--rollout-wait=10s")
    assert (code, document["decision"], check(document, gate)["verdict"]) == (1, "NO-GO", "breached"), output
