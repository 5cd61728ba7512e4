"""Records the outcome of one canary's run in the evidence log, in the process that ran it."""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path

import pytest

from pytest_rollout.errors import EnvironmentUnready, EvidenceError
from pytest_rollout.plugin.outcome import result_of
from pytest_rollout.plugin.selection import covers
from pytest_rollout.plugin.settings import Settings
from pytest_rollout.plugin.stash import world_key
from pytest_rollout.verdict import Verdict

_ARTEFACTS = ("playwright_screenshot", "playwright_trace", "playwright_video")


class Recorder:
    """Runs exactly one canary, all of it, and says how it went.

    ``ok`` only if every test of the canary ran and passed: a run with a test left out proves nothing.
    """

    def __init__(self, config: pytest.Config, settings: Settings, plan: Path) -> None:
        self.config = config
        self.canary = settings.canary or ""
        self.plan = plan
        self.started_at = time.time()
        self.open: set[str] = set()
        self.left_out: list[str] = []
        self.faults: list[tuple[str, str]] = []
        """(``failed`` or ``error``, what was seen)."""
        self.attachments: list[str] = []

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Note a test of the canary, so that nobody can drop it without a word."""
        if self._is_mine(item):
            self.open.add(item.nodeid)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep the tests of the canary."""
        mine = [item for item in items if self._is_mine(item)]
        others = [item for item in items if not self._is_mine(item)]
        if others:
            self.config.hook.pytest_deselected(items=others)
        items[:] = mine
        self.open |= {item.nodeid for item in mine}

    def _is_mine(self, item: pytest.Item) -> bool:
        return any(mark.args[:1] == (self.canary,) for mark in item.iter_markers("canary"))

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        """Note tests of the canary that something else left out."""
        self.left_out += [item.nodeid for item in items if self._is_mine(item)]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note how a test went, and what it left for people to look at."""
        base = self.config.invocation_params.dir
        artefacts = [str(base / str(path)) for name, path in report.user_properties if name in _ARTEFACTS]
        self.attachments += [path for path in artefacts if path not in self.attachments]
        result = result_of(report)
        if result is None:
            return
        if result.verdict is not Verdict.PASSED:
            kind = "failed" if result.verdict is Verdict.BREACHED else "error"
            self.faults.append((kind, f"{report.nodeid.rpartition('::')[2]}: {result.message}"))
        elif not isinstance(report, pytest.SubtestReport):
            self.open.discard(report.nodeid)

    def pytest_keyboard_interrupt(self) -> None:
        """Note that the run was cut short; pytest.exit gets here too, and may ask for exit status 0."""
        self.faults.append(("error", "the run was stopped before its end"))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Append the run to the evidence log; a run that cannot be recorded does not succeed."""
        from pytest_rollout.canary import RUN_VARIABLE
        from pytest_rollout.judge.history import CanaryRun

        outcome, message = self._conclusion(exitstatus)
        world = self.config.stash[world_key]
        run = CanaryRun(
            run_id=os.environ.get(RUN_VARIABLE) or uuid.uuid4().hex,
            canary=self.canary,
            started_at=self.started_at,
            ended_at=time.time(),
            outcome=outcome,
            message=message,
            attachments=tuple(self.attachments),
        )
        try:
            world.evidence().add_run(run, world.place(self.plan))
        except (EvidenceError, EnvironmentUnready) as exc:
            self._fail(session, str(exc))
        if outcome != "ok":
            self._fail(session, message)

    def _fail(self, session: pytest.Session, message: str) -> None:
        reporter = self.config.pluginmanager.getplugin("terminalreporter")
        if reporter is not None:
            reporter.write_line(f"\ncanary {self.canary}: {message}", red=True)
        if session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _conclusion(self, exitstatus: int) -> tuple[str, str]:
        for wanted in ("failed", "error"):
            for kind, message in self.faults:
                if kind == wanted:
                    return kind, message
        if self.left_out or not covers(self.config, self.plan.parent):
            return "error", f"only a part of canary {self.canary} was selected, so the run proves nothing"
        if self.open:
            return "error", f"{min(self.open)} did not run to a pass"
        if exitstatus != pytest.ExitCode.OK:
            return "error", f"pytest ended with exit status {int(exitstatus)}"
        return "ok", "passed"
