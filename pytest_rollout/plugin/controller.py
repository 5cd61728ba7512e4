"""Decides stages, in the one process that sees every report: the main one, or xdist's controller."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_rollout import __version__
from pytest_rollout.errors import EnvironmentUnready, PlanError, PublishError
from pytest_rollout.plugin.browser import find_browser
from pytest_rollout.plugin.items import plan_nodeid, stage_checks
from pytest_rollout.plugin.ledger import Ledger, StageInfo, pending_document
from pytest_rollout.plugin.members import NO_PLAN, left_out, members
from pytest_rollout.plugin.outcome import check_keys, is_rerun, result_of
from pytest_rollout.plugin.selection import names_stage, selects
from pytest_rollout.plugin.settings import Settings, only_looks
from pytest_rollout.plugin.witness import Witness
from pytest_rollout.plugin.world import World
from pytest_rollout.publish.verdict_file import write_verdict
from pytest_rollout.verdict import Decision, Reason

if TYPE_CHECKING:
    from pytest_rollout.plan.loader import LoadedPlan
    from pytest_rollout.plan.model import Stage
    from pytest_rollout.publish.pushgateway import PushOutcome


class Controller:
    """Keeps the ledger of a run and draws the conclusions."""

    def __init__(self, config: pytest.Config, settings: Settings, world: World, plans: list[Path]) -> None:
        self.config = config
        self.settings = settings
        self.world = world
        self.plans = plans
        self.ledger = Ledger()
        self.witness = Witness(world, settings.reports / "verdict.json")
        self.expression: str = config.getoption("markexpr") or ""
        self.decides = settings.canary is None and not only_looks(config)
        """Whether this run is about stages at all."""
        self.distributed = bool(config.getoption("dist", "no") != "no" or config.getoption("tx", None))
        self.workers_listed = 0
        self.chosen: list[tuple[Path, Stage]] = []
        self.collected: set[Path] = set()
        """Files with items, deselected ones included."""
        self.waivers: dict[tuple[str, str], list[dict[str, Any]]] = {}
        """By rollout and stage."""
        self.document: dict[str, Any] | None = None
        self.notes: list[str] = []
        """What happened while handing on the results, for the terminal."""

    @property
    def verdict_path(self) -> Path:
        """Where the verdict document goes."""
        return self.witness.verdict

    # What has to be decided

    def expect_plans(self) -> list[tuple[Path, Stage]]:
        """Note every check of the stages that this run is about; return the stages."""
        chosen: list[tuple[Path, Stage]] = []
        names: dict[str, Path] = {}
        for path in self.plans:
            try:
                loaded = self.world.plan(path)
            except PlanError as exc:
                self._expect_broken(path, exc)
                continue
            if (other := names.setdefault(loaded.plan.rollout, path)) is not path:
                # Their checks would be one and the same in every report: the second would pass unjudged.
                raise pytest.UsageError(f"two plans are called {loaded.plan.rollout!r}: {other}, {path}; rename one")
            chosen += [(path, stage) for stage in loaded.plan.stages if self._expect_stage(loaded, stage)]
        return chosen

    def _expect_stage(self, loaded: LoadedPlan, stage: Stage) -> bool:
        if not (selects(self.expression, stage.marker) and names_stage(self.config, loaded.path, stage.marker)):
            return False
        for check in stage_checks(loaded, stage, plan_nodeid(loaded.path, self.config.rootpath)):
            self.ledger.expect(check)
        return True

    def _expect_broken(self, path: Path, exc: PlanError) -> None:
        from pytest_rollout.plugin.selection import stage_numbers

        if any(selects(self.expression, f"stage{number}") for number in stage_numbers(path)) or not self.expression:
            self.ledger.faults.append(str(exc))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Enter the environment, before xdist starts its workers."""
        if not self.decides:
            return
        self.chosen = chosen = self.expect_plans()
        self.witness.remember()
        self._write_pending()  # also if the environment cannot be entered: an older GO must not stand for this run
        last = dict(chosen)  # of each plan
        for path, stage in chosen:
            self._enter(path, stage, last[path])
        for name in self.world.sandboxes.idle_faults() if chosen else ():
            self.ledger.faults.append(f"the fault {name!r} was switched on in no sandbox of these stages")
        self.witness.enter(chosen)
        self._write_pending()

    def _write_pending(self) -> None:
        if self.ledger:
            self._write(pending_document(self._draw_up(interrupted=True)))

    def _enter(self, path: Path, stage: Stage, last: Stage) -> None:
        rollout = self.world.plan(path).plan.rollout
        environment = self.settings.environment
        try:
            if self.world.needs_sandbox(path):
                self.world.start_sandbox(path, last)
            target = self.world.target(path)
        except EnvironmentUnready as exc:
            if not self.world.sandboxes.trouble(path):
                raise pytest.UsageError(str(exc)) from exc
            info = StageInfo(rollout=rollout, stage=stage.marker, environment=environment, rehearsal=("sandbox",))
        else:
            info = StageInfo(rollout=rollout, stage=stage.marker, environment=environment, rehearsal=target.rehearsal)
        self.ledger.describe(info)

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Note Python tests of a stage; under xdist the workers do this."""
        self.collected.add(item.path)
        self._expect_members([item])

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        """Note that some checks will not run."""
        self._expect_members(items)
        said = "deselected, so it proves nothing; run the whole stage"
        for item in items:
            key = self.ledger.by_nodeid(item.nodeid)
            self.ledger.note_missing([key] if key else [], Reason.DESELECTED, said)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note tests that a conftest gave the marker of a stage."""
        self._expect_members(session.items)

    def _expect_members(self, items: Iterable[pytest.Item]) -> None:
        for item in items:
            for check in members(item, self.plans, self.expression):
                self.ledger.expect(check)

    # What became of it

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A module or plan that cannot be collected may hold checks of the stage: then nothing is complete."""
        if report.failed and (self.ledger or not self.expression):
            self.ledger.faults.append(f"{report.nodeid} could not be collected")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what a report decides; of several runs of an item the last one counts, and the rest is told."""
        if is_rerun(report):
            for key in check_keys(report):
                self.ledger.note_rerun(key)
        result = result_of(report)
        if result is None:
            return
        keys = check_keys(report) or [key for key in [self.ledger.by_nodeid(report.nodeid)] if key]
        for key in keys:
            if isinstance(report, pytest.SubtestReport):
                self.ledger.record_part(key, result)
            elif report.when == "teardown":
                self.ledger.revoke(key, result)
            else:
                self.ledger.record(key, result)

    def pytest_keyboard_interrupt(self) -> None:
        """Note that the run was cut short; pytest.exit gets here too, and may ask for exit status 0."""
        if self.ledger:
            self.ledger.faults.append("the run was stopped before its end")

    # What follows from it

    def _draw_up(self, *, interrupted: bool) -> dict[str, Any]:
        document = self.ledger.document(
            version=__version__, finished_at=time.time(), interrupted=interrupted, more_faults=self.witness.faults
        )
        document["evidence"] = self.witness.told()
        for entry in document["stages"]:
            entry["waivers"] = self.waivers.get((entry["rollout"], entry["stage"]), [])
        document["versions"] |= {
            "python": platform.python_version(),
            "pytest": pytest.__version__,
            "platform": sys.platform,
        }
        if self.world.records_browser:
            document["versions"]["browser"] = str(find_browser())
        return document

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Write and push the verdict; take a zero exit status away unless every stage is GO."""
        if not (self.decides and self.ledger):
            return
        if self.distributed and not self.workers_listed:
            self.ledger.faults.append("no worker finished and said which tests belong to the stage")
        self._look_for_what_was_left_out()
        interrupted = exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        for path, stage in self.chosen:
            rollout = self.world.plan(path).plan.rollout
            self.waivers[rollout, stage.marker] = self.witness.waivers(path, stage)
        self._write(self._draw_up(interrupted=interrupted))  # what nobody can read is no GO, in the log neither
        self.witness.leave(self.chosen, self._draw_up(interrupted=interrupted))
        self.document = self._draw_up(interrupted=interrupted)
        if not self._write(self.document):
            self.document = self._draw_up(interrupted=interrupted)
            self.witness.leave(self.chosen, self.document)
        if self.settings.push:
            self._push()
        if session.exitstatus == pytest.ExitCode.OK and self.document["decision"] != Decision.GO.value:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        self._tell()

    def _look_for_what_was_left_out(self) -> None:
        for path, stage in self.chosen:
            for file in left_out(self.config, path, stage.marker, self.collected):
                name = plan_nodeid(file, self.config.rootpath)
                said = f"{name} speaks of {stage.marker} and was not collected as a whole; run the folder of the plan"
                self.ledger.faults.append(said)

    def _write(self, document: dict[str, Any]) -> bool:
        try:
            write_verdict(self.verdict_path, document)
        except PublishError as exc:
            if str(exc) not in self.ledger.faults:
                self.ledger.faults.append(str(exc))
            return False
        return True

    def _push(self) -> None:
        stages = self.document["stages"] if self.document else []
        for url, rollouts in sorted(self._gateways().items()):
            try:
                outcome = self._pushed(url, [stage for stage in stages if stage["rollout"] in rollouts])
                self.notes.append(f"pushgateway {outcome.state}: {outcome.message}")
            except Exception as exc:  # noqa: BLE001 - a push never changes a verdict, whatever goes wrong
                self.notes.append(f"pushgateway failed: {exc!r}")

    def _pushed(self, url: str, stages: list[dict[str, Any]]) -> PushOutcome:
        from pytest_rollout.publish.pushgateway import Pushgateway

        return Pushgateway(url, self.settings.spool).push(stages)

    def _gateways(self) -> dict[str, set[str]]:
        """Return every Pushgateway with the rollouts that it is told about."""
        found: dict[str, set[str]] = {}
        for path in self.plans:
            try:
                url, rollout = self.world.target(path).pushgateway, self.world.plan(path).plan.rollout
            except (EnvironmentUnready, PlanError):
                continue
            if url:
                found.setdefault(url, {NO_PLAN}).add(rollout)
        return found

    def _tell(self) -> None:
        try:
            self.config.hook.pytest_rollout_decided(config=self.config, document=self.document)
        except Exception as exc:  # noqa: BLE001 - what is done with a verdict does not change it
            self.notes.append(f"pytest_rollout_decided failed: {exc!r}")
        if not self.config.pluginmanager.hasplugin("terminalreporter") and self.document:
            # Without a terminal reporter nobody else explains the exit status.
            sys.stderr.write(f"rollout: {self.document['decision']}, see {self.verdict_path}\n")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the table of checks."""
        from pytest_rollout.plugin.terminal import summary

        if self.document is not None:
            summary(terminalreporter, self.document, self.notes, self.verdict_path)
