"""Stages on the real sandbox: GO when healthy, and each fault of stage 1 turns red exactly the checks that it names.

Every run is a pytest process with its own application, Prometheus, Pushgateway, Alertmanager and browser. What faults
do to a canary alone is in tests/canaries, which is faster: those of stage 2, and those that only the smoke notices.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sandbox.faults import FAULTS, SMOKE, turning_red

ROOT = Path(__file__).parents[2]
DEADLINE_SECONDS = 240
BLIND = {"metrics-down", "prometheus-down", "flags-down", "counter-renamed"}
"""Faults of an instrument: nothing is known to be bad, so no check is breached and the stage holds."""
PAIRS = (
    ("slow-reads", "dashboard-500"),
    ("errors-1pct", "flag-lost"),
    ("metrics-down", "kill-switch-stuck"),
    ("flags-down", "counter-renamed"),
)
"""Faults with no evidence in common: they share a run, which takes a minute."""


def rehearse(reports: Path, stage: str, *arguments: str) -> tuple[int, dict[str, Any], str]:
    """Return exit code, verdict document and output of ``pytest -m stage``."""
    argv = [sys.executable, "-m", "pytest", "canaries/prisma", "-m", stage, "-p", "no:cacheprovider"]
    argv += [f"--rollout-reports={reports}", f"--rollout-evidence={reports / 'evidence.db'}", *arguments]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False)
    return done.returncode, json.loads((reports / "verdict.json").read_text()), done.stdout + done.stderr


def verdicts(document: dict[str, Any]) -> dict[str, str]:
    return {
        f"{stage['stage']}/{check['id']}": check["verdict"] for stage in document["stages"] for check in stage["checks"]
    }


def red(document: dict[str, Any]) -> set[str]:
    return {check for check, verdict in verdicts(document).items() if verdict != "passed"}


def test_a_healthy_system_is_go_and_pushed_once(tmp_path: Path) -> None:
    code, document, output = rehearse(tmp_path, "stage1", "-n", "2")
    assert (code, document["decision"], red(document)) == (0, "GO", set()), output
    assert document["rehearsal"] is True
    assert output.count("pushgateway pushed: 1 pushed") == 1, output


def test_two_hours_of_slots_are_a_go(tmp_path: Path) -> None:
    code, document, output = rehearse(tmp_path, "stage2")
    assert (code, document["decision"], red(document)) == (0, "GO", set()), output
    values = {check["id"]: check["value"] for stage in document["stages"] for check in stage["checks"]}
    assert (values["rollbacks"], values["settlement-hours"], values["settlement-load"]) == (0, 1, 0)
    assert values["settlement-streak"] >= 5


def rehearsed() -> list[tuple[str, ...]]:
    """Return the faults of every run: alone or in a pair, but for those that only the smoke notices."""
    paired = {name for pair in PAIRS for name in pair}
    smoke = {fault.name for fault in turning_red("stage1") if fault.red_in("stage1") == {SMOKE}}
    alone = [(fault.name,) for fault in turning_red("stage1") if fault.name not in paired | smoke]
    return [*PAIRS, *alone]


@pytest.mark.parametrize("names", rehearsed(), ids="+".join)
def test_a_fault_turns_red_what_it_names_and_nothing_else(tmp_path: Path, names: tuple[str, ...]) -> None:
    faults = [f"--rollout-fault={name}" for name in names]
    code, document, output = rehearse(tmp_path, "stage1", *faults, "--rollout-wait=80s")
    turned = {one.name: one.red_in("stage1") for one in FAULTS if one.name in names}
    assert red(document) == set().union(*turned.values()), output
    breached = {check for check, verdict in verdicts(document).items() if verdict == "breached"}
    assert breached <= set().union(*(checks for name, checks in turned.items() if name not in BLIND)), output
    assert all(breached & checks for name, checks in turned.items() if name not in BLIND), output
    assert document["decision"] == ("HOLD" if BLIND.issuperset(names) else "NO-GO"), output
    assert code == 1


def test_settlements_that_fail_under_load_are_no_go(tmp_path: Path) -> None:
    faults = ("--rollout-fault=settlement-overload", "--rollout-wait=10s")
    code, document, output = rehearse(tmp_path, "stage2", *faults)
    assert (code, document["decision"]) == (1, "NO-GO"), output
    assert verdicts(document)["stage2/settlement-load"] == "breached", output


def test_a_portal_that_is_slow_under_load_never_passes(tmp_path: Path) -> None:
    """It is breached, by the plan's own limits, unless this machine is too busy to measure them."""
    code, document, output = rehearse(tmp_path, "stage3", "--rollout-fault=portal-slow", "--rollout-wait=10s")
    (portal,) = [check for check in document["stages"][0]["checks"] if check["id"] == "portal-load"]
    assert (portal["verdict"], portal["reason"]) in {("breached", "limit-breached"), ("error", "bent-generator")}, (
        output
    )
    assert (code, document["decision"]) == (1, "NO-GO" if portal["verdict"] == "breached" else "HOLD"), output
