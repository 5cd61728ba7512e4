"""Run a canary: a pytest process of its own, with a deadline, whose outcome is in the evidence log."""

from __future__ import annotations

import os
import shutil
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pytest_rollout.errors import AlreadyRecorded
from pytest_rollout.evidence.log import EvidenceLog
from pytest_rollout.evidence.record import Place
from pytest_rollout.evidence.runs import add_run, end_id, find_run, runs
from pytest_rollout.judge.history import CanaryRun
from pytest_rollout.process import Bounds, run_bounded
from pytest_rollout.publish.redact import redact, redact_log
from pytest_rollout.sandbox import STATE_VARIABLE
from pytest_rollout.units import format_duration

RUN_VARIABLE = "ROLLOUT_CANARY_RUN"
"""The run id that a canary process records its outcome under."""
SLOT_VARIABLE = "ROLLOUT_CANARY_SLOT"
"""The time of the slot it is run for, in unix seconds; not set without a slot."""
ATTEMPT_VARIABLE = "ROLLOUT_CANARY_ATTEMPT"
"""Which attempt of the slot it is, from 1."""
STARTED_VARIABLE = "ROLLOUT_CANARY_STARTED"
"""When the process was started, in unix seconds: pytest needs a while to come up."""
DEADLINE_VARIABLE = "ROLLOUT_CANARY_DEADLINE"
"""Seconds from then to its inner deadline."""
INNER_SHARE = 0.9
"""The share of a run's time that its tests have; the rest is for screenshots, traces and tidying up.

As Cloudprober does it: https://github.com/cloudprober/cloudprober/pull/998
"""
GRACE = 3.0
"""Seconds between asking a canary to end and killing it."""
_RECORDINGS_KEPT = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """What a run is for."""

    run_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    slot: float | None = None
    """Time of the slot, in unix seconds."""
    attempt: int = 1


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
    plan: Path | None = None
    """The plan's file: the process of a golden gate needs nothing else of the folder."""
    stopped: Callable[[], bool] = lambda: False
    """Whether a run has to end at once."""

    def history(self, canary: str) -> list[CanaryRun]:
        """Return the recorded runs of a canary here. Raises EvidenceError."""
        return runs(self.log, canary, self.place)

    def run(self, canary: str, deadline: float, occasion: Occasion | None = None) -> CanaryRun:
        """Run a canary once, at most ``deadline`` seconds. Raises EvidenceError.

        The process records its own outcome; a process that dies or hangs before that is recorded here as
        ``error``, so that no attempt is ever without a result.
        """
        occasion = occasion or Occasion()
        recording = _recording(self._recordings(occasion)) if self.browser else ()
        return self._run(canary, (str(self.folder), "-m", "canary", *recording), deadline, occasion)

    def run_corpus(self, gate: str, corpus: str, deadline: float) -> CanaryRun:
        """Run the corpus of a golden gate once, as `run` does a canary; ``gate`` is what its runs are filed under."""
        plan, folder = str(self.plan or self.folder), str(self.rootdir / corpus)
        words = (plan, folder, f"--rootdir={self.rootdir}", "-m", "golden")
        return self._run(gate, words, deadline, Occasion())

    def _run(self, canary: str, words: Sequence[str], deadline: float, occasion: Occasion) -> CanaryRun:
        started = time.time()
        output = self.reports / "canaries" / f"{canary.replace(':', '-')}.log"
        recordings = self._recordings(occasion)
        try:
            output.parent.mkdir(parents=True, exist_ok=True)
            code = run_bounded(
                self._command(canary, words),
                cwd=self.rootdir,
                env=self._variables(occasion, deadline),
                output=output,
                bounds=Bounds(deadline, self.stopped, GRACE),
            )
        except OSError as exc:
            return self._add(_broken(canary, occasion, started, f"canary {canary} could not be started: {exc}"))
        redact(recordings)
        redact_log(output)
        _prune(recordings.parent)
        overran = code is None and not self.stopped()
        run = find_run(self.log, occasion.run_id)
        if run is None:
            said = f"{_ending(canary, code, deadline, overran=overran)}; see {output}"
            run = self._add(replace(_broken(canary, occasion, started, said), overran=overran))
        elif run.outcome == "ok" and (overran or code):
            how = f"met its deadline of {format_duration(deadline)}" if overran else f"ended with exit code {code}"
            said = f"canary {canary} said that it passed, but its process {how}; see {output}"
            ended = replace(occasion, run_id=end_id(occasion.run_id))
            run = self._add(replace(_broken(canary, ended, started, said), overran=overran))
        return replace(run, overran=run.overran or (overran and run.outcome == "error"))

    def _add(self, run: CanaryRun) -> CanaryRun:
        try:
            add_run(self.log, run, self.place)
        except AlreadyRecorded:  # it was the last thing that a killed process did
            return find_run(self.log, run.run_id) or run
        return run

    def _recordings(self, occasion: Occasion) -> Path:
        return self.reports / "playwright" / occasion.run_id

    def _command(self, canary: str, words: Sequence[str]) -> list[str]:
        return [
            *(sys.executable, "-m", "pytest", *words),
            *(f"--rollout-canary={canary}", f"--rollout-env={self.place.environment}"),
            *(f"--rollout-evidence={self.log.address}", f"--rollout-reports={self.reports}"),
            *("--rollout-push=never", "-p", "no:cacheprovider"),
            *self.arguments,
        ]

    def _variables(self, occasion: Occasion, deadline: float) -> Mapping[str, str]:
        dropped = {"PYTEST_ADDOPTS", "PYTEST_CURRENT_TEST", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT"}
        kept = {key: value for key, value in os.environ.items() if key not in dropped | {SLOT_VARIABLE}}
        sandbox = {STATE_VARIABLE: str(self.sandbox_state)} if self.sandbox_state else {}
        slot = {} if occasion.slot is None else {SLOT_VARIABLE: repr(occasion.slot)}
        mine = {
            RUN_VARIABLE: occasion.run_id,
            ATTEMPT_VARIABLE: str(occasion.attempt),
            STARTED_VARIABLE: repr(time.time()),
            DEADLINE_VARIABLE: f"{deadline * INNER_SHARE:g}",
        }
        return {**kept, **sandbox, **slot, **mine}


def _broken(canary: str, occasion: Occasion, started: float, message: str) -> CanaryRun:
    """Return a run of which nobody knows more."""
    return CanaryRun(
        run_id=occasion.run_id,
        canary=canary,
        started_at=started,
        ended_at=time.time(),
        outcome="error",
        message=message,
        slot=occasion.slot,
        attempt=occasion.attempt,
    )


def _ending(canary: str, code: int | None, deadline: float, *, overran: bool) -> str:
    if overran:
        return f"canary {canary} met its deadline of {format_duration(deadline)} and was killed"
    if code is None:
        return f"canary {canary} was stopped by its scheduler"
    return f"canary {canary} ended without a result (exit code {code})"


def _recording(folder: Path) -> Sequence[str]:
    """Return what to record: pictures always, because people who sign want to see passes too."""
    return (f"--output={folder}", "--screenshot=on", "--tracing=retain-on-failure")


def _prune(folder: Path) -> None:
    """Keep the recordings of the newest runs."""
    runs = sorted((path for path in folder.glob("*") if path.is_dir()), key=_age_of, reverse=True)
    for old in runs[_RECORDINGS_KEPT:]:
        shutil.rmtree(old, ignore_errors=True)


def _age_of(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # another canary's run removed it
        return 0.0
