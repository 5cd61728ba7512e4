"""The first stage of the stage-normalization rollout, with every rehearsal, on the real sandbox: GO when it is healthy.

What each fault does to a canary alone is in tests/canaries/stage_normalization, which is faster.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from pytest_rollout.plan.loader import load_plan

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "canaries" / "stage_normalization"
DEADLINE_SECONDS = 420


def rehearse(reports: Path, stage: str) -> tuple[int, dict[str, Any], str]:
    """Return exit code, verdict document and output of ``pytest -m stage``."""
    argv = [sys.executable, "-m", "pytest", str(FOLDER), "-m", stage, "-p", "no:cacheprovider", "--rollout-push=never"]
    argv += ["--rollout-wait=5m"]  # on a busy machine
    argv += [f"--rollout-reports={reports}", f"--rollout-evidence={reports / 'evidence.db'}"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False)
    return done.returncode, json.loads((reports / "verdict.json").read_text()), done.stdout + done.stderr


def gates(stage: str) -> set[str]:
    """Return the checks that a stage has to have passed."""
    plan = load_plan(FOLDER / "stage-normalization.rollout.yaml").plan
    return {"flag-state", *(gate.id for one in plan.stages if one.marker == stage for gate in one.gates)}


def test_a_healthy_first_stage_is_go(tmp_path: Path) -> None:
    code, document, output = rehearse(tmp_path, "stage1")
    assert (code, document["decision"], document["rehearsal"]) == (0, "GO", True), output
    passed = {check["id"] for one in document["stages"] for check in one["checks"] if check["verdict"] == "passed"}
    assert passed == gates("stage1")
