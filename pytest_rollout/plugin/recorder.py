"""Records the outcome of one canary's run in the evidence log, in the process that ran it."""

from __future__ import annotations

import time
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_rollout.errors import EnvironmentUnready, EvidenceError, PlanError
from pytest_rollout.plugin.attempt import attempt_of
from pytest_rollout.plugin.outcome import TRANSPORT_PROPERTY, first_line, is_rerun, result_of
from pytest_rollout.plugin.selection import covers
from pytest_rollout.plugin.settings import Settings
from pytest_rollout.plugin.stash import attempt_key, world_key
from pytest_rollout.verdict import Verdict

if TYPE_CHECKING:
    from pytest_rollout.judge.history import CanaryRun, FlagReading

DEADLINE_PLUGIN = "rollout-deadline"
"""What ends a test that takes too long, under this name among pytest's plugins."""
_ARTEFACTS = ("playwright_screenshot", "playwright_trace", "playwright_video")


class Recorder:
    """Runs exactly one canary, all of it, and says how it went.

    ``ok`` only if every test of the canary ran and passed: a run with a test left out proves nothing.
    """

    def __init__(self, config: pytest.Config, settings: Settings, plan: Path) -> None:
        self.config = config
        self.canary = settings.canary or ""
        self.attempt = config.stash[attempt_key] = attempt_of(self.canary)
        self.plan = plan
        self.started_at = time.time()
        self.flags_before: tuple[FlagReading, ...] = ()
        self.flags_after: tuple[FlagReading, ...] = ()
        self.open: set[str] = set()
        self.left_out: list[str] = []
        self.faults: list[tuple[str, str]] = []
        """(``failed`` or ``error``, what was seen)."""
        self.reached = False
        """Whether something failed that was not the way to the system."""
        self.attachments: list[str] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        """Read the flags before the first test and after the last: a result belongs to one state of them."""
        self._begin()
        self.flags_before = self._flags()
        try:
            return (yield)
        finally:
            self.flags_after = self._flags()

    def _begin(self) -> None:
        """Record that the run begins. A slot is recorded before it is run, so its runs need not be."""
        from pytest_rollout.evidence.runs import start_run

        if self.attempt.slot is not None:
            return
        world = self.config.stash[world_key]
        try:
            start_run(world.evidence(), self.canary, self.attempt.run_id, self.started_at, world.place(self.plan))
        except (EvidenceError, EnvironmentUnready, PlanError) as exc:
            self.faults.append(("error", str(exc)))

    def _flags(self) -> tuple[FlagReading, ...]:
        try:
            return self.config.stash[world_key].flag_state(self.plan)
        except (EnvironmentUnready, PlanError):
            return ()  # the run cannot be filed either, and says so in the end

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
        if is_rerun(report):
            again = "and was run again, which a canary never is: use 'retries' in the plan, not pytest-rerunfailures"
            self.faults.append(("error", f"{report.nodeid.rpartition('::')[2]}: {first_line(report)}, {again}"))
            self.reached = True
        result = result_of(report)
        if result is None:
            return
        if result.verdict is not Verdict.PASSED:
            kind = "failed" if result.verdict is Verdict.BREACHED else "error"
            self.faults.append((kind, f"{self._called(report.nodeid)}: {result.message}"))
            self.reached = self.reached or TRANSPORT_PROPERTY not in dict(report.user_properties)
        elif not isinstance(report, pytest.SubtestReport) and self._proves(report):
            self.open.discard(report.nodeid)

    def _proves(self, report: pytest.TestReport) -> bool:  # noqa: ARG002 - for those that know better
        """Whether a report that is no failure is a pass."""
        return True

    def pytest_keyboard_interrupt(self) -> None:
        """Note that the run was cut short; pytest.exit gets here too, and may ask for exit status 0."""
        self.faults.append(("error", "the run was stopped before its end"))
        self.reached = True

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Append the run to the evidence log; a run that cannot be recorded does not succeed."""
        from pytest_rollout.evidence.runs import add_run

        world = self.config.stash[world_key]
        try:
            run = self._run(exitstatus)
            add_run(world.evidence(), run, world.place(self.plan))
        except (EvidenceError, EnvironmentUnready, PlanError) as exc:
            self._fail(session, str(exc))
        else:
            if run.outcome != "ok":
                self._fail(session, run.message)

    def _run(self, exitstatus: int) -> CanaryRun:
        from pytest_rollout.flag_state import settled_values
        from pytest_rollout.judge.history import CanaryRun

        outcome, message = self._conclusion(exitstatus)
        return CanaryRun(
            run_id=self.attempt.run_id,
            canary=self.canary,
            started_at=self.started_at,
            ended_at=time.time(),
            outcome=outcome,
            message=message,
            attachments=tuple(self.attachments),
            plan=self.config.stash[world_key].plan(self.plan).digest,
            flags=settled_values(self.flags_before, self.flags_after),
            slot=self.attempt.slot,
            attempt=self.attempt.number,
            overran=getattr(self.config.pluginmanager.getplugin(DEADLINE_PLUGIN), "overran", False),
            retryable=bool(self.faults) and not (self.reached or self.attempt.side_effect),
        )

    def _fail(self, session: pytest.Session, message: str) -> None:
        reporter = self.config.pluginmanager.getplugin("terminalreporter")
        if reporter is not None:
            reporter.write_line(f"\n{self._named}: {message}", red=True)
        if session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _conclusion(self, exitstatus: int) -> tuple[str, str]:
        from pytest_rollout.flag_state import change_between

        if changed := change_between(self.flags_before, self.flags_after):
            return "error", f"{changed}, so the run proves nothing"
        for wanted in ("failed", "error"):
            for kind, message in self.faults:
                if kind == wanted:
                    return kind, message
        if self.left_out or not covers(self.config, self._folder):
            return "error", f"only a part of {self._named} was selected, so the run proves nothing"
        if self.open:
            return "error", f"{min(self.open)} did not run to a pass"
        if exitstatus != pytest.ExitCode.OK:
            return "error", f"pytest ended with exit status {int(exitstatus)}"
        return "ok", self._passed

    @property
    def _folder(self) -> Path:
        """What has to be collected as a whole."""
        return self.plan.parent

    @property
    def _named(self) -> str:
        return f"canary {self.canary}"

    @property
    def _passed(self) -> str:
        """What is said of a pass."""
        return "passed"

    def _called(self, nodeid: str) -> str:
        """Return what a test is called in messages."""
        return nodeid.rpartition("::")[2]
