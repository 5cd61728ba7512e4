"""Run a canary: a pytest process of its own, with a deadline, whose outcome is in the evidence log."""

from __future__ import annotations

import os
import shutil
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_rollout.evidence.log import EvidenceLog, Place
from pytest_rollout.judge.history import CanaryRun
from pytest_rollout.process import run_bounded
from pytest_rollout.publish.redact import redact
from pytest_rollout.sandbox import STATE_VARIABLE
from pytest_rollout.units import format_duration

RUN_VARIABLE = "ROLLOUT_CANARY_RUN"
"""The run id that a canary process records its outcome under."""
_RECORDINGS_KEPT = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryRunner:
    """Everything a canary's process needs to know about the run that starts it."""

    log: EvidenceLog
    place: Place
    folder: Path
    """Where the canary's tests are: the plan's folder."""
    rootdir: Path
    reports: Path
    arguments: Sequence[str] = ()
    """Further arguments of the pytest process."""
    browser: bool = False
    """Whether pytest-playwright is there to record what the browser saw."""
    sandbox_state: Path | None = None

    def history(self, canary: str) -> list[CanaryRun]:
        """Return the recorded runs of a canary here. Raises EvidenceError."""
        return self.log.runs(canary, self.place)

    def run(self, canary: str, deadline: float) -> CanaryRun:
        """Run a canary once, at most ``deadline`` seconds. Raises EvidenceError.

        The process records its own outcome; a process that dies or hangs before that is recorded here as
        ``error``, so that no attempt is ever without a result.
        """
        run_id, started = uuid.uuid4().hex, time.time()
        output = self.reports / "canaries" / f"{canary}.log"
        output.parent.mkdir(parents=True, exist_ok=True)
        recordings = self.reports / "playwright" / run_id
        code = run_bounded(
            self._command(canary, recordings),
            cwd=self.rootdir,
            env=self._variables(run_id),
            deadline=deadline,
            output=output,
        )
        redact(recordings)
        _prune(recordings.parent)
        run = self.log.run(run_id) if code is not None else None
        if run is None:
            what = f"exit code {code}" if code is not None else f"deadline of {format_duration(deadline)}"
            run = CanaryRun(
                run_id=run_id,
                canary=canary,
                started_at=started,
                ended_at=time.time(),
                outcome="error",
                message=f"canary {canary} ended without a result ({what}); see {output}",
            )
            self.log.add_run(run, self.place)
        return run

    def _command(self, canary: str, recordings: Path) -> list[str]:
        return [
            *(sys.executable, "-m", "pytest", str(self.folder), "-m", "canary"),
            *(f"--rollout-canary={canary}", f"--rollout-env={self.place.environment}"),
            *(f"--rollout-evidence={self.log.path}", f"--rollout-reports={self.reports}"),
            *("--rollout-push=never", "-p", "no:cacheprovider"),
            *self.arguments,
            *(_recording(recordings) if self.browser else ()),
        ]

    def _variables(self, run_id: str) -> Mapping[str, str]:
        dropped = {"PYTEST_ADDOPTS", "PYTEST_CURRENT_TEST", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT"}
        kept = {key: value for key, value in os.environ.items() if key not in dropped}
        sandbox = {STATE_VARIABLE: str(self.sandbox_state)} if self.sandbox_state else {}
        return {**kept, **sandbox, RUN_VARIABLE: run_id}


def _recording(folder: Path) -> Sequence[str]:
    """Return what to record: pictures always, because people who sign want to see passes too."""
    return (f"--output={folder}", "--screenshot=on", "--tracing=retain-on-failure")


def _prune(folder: Path) -> None:
    """Keep the recordings of the newest runs."""
    runs = sorted((path for path in folder.glob("*") if path.is_dir()), key=lambda path: path.stat().st_mtime)
    for old in runs[:-_RECORDINGS_KEPT]:
        shutil.rmtree(old, ignore_errors=True)
