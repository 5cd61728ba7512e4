"""What the controller and the workers of pytest-xdist tell each other."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from pytest_rollout.plugin.controller import Controller
from pytest_rollout.plugin.ledger import Check
from pytest_rollout.plugin.members import members


class Distribution:
    """What the controller and the workers of xdist tell each other; registered only with xdist."""

    def __init__(self, controller: Controller) -> None:
        self.controller = controller

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker where the run's folder and the sandboxes are."""
        world = self.controller.world
        node.workerinput["rollout_run_folder"] = str(world.run_folder)
        node.workerinput["rollout_sandboxes"] = world.sandboxes.told()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take over the Python tests that a worker found to belong to a stage."""
        listed = getattr(node, "workeroutput", {}).get("rollout_checks")
        if listed is None:
            return
        self.controller.workers_listed += 1
        for check in listed:
            self.controller.ledger.expect(Check(**check))
        self.controller.collected |= {Path(path) for path in node.workeroutput["rollout_files"]}


class Worker:
    """Lists the Python tests of a stage in a worker of xdist, for the controller."""

    def __init__(self, config: pytest.Config, plans: list[Path]) -> None:
        self.config = config
        self.plans = plans
        self.checks: dict[str, dict[str, str]] = {}
        self.files: set[str] = set()

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Note a test of a stage."""
        self.files.add(str(item.path))
        self._note([item])

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        """Note tests of a stage that will not run."""
        self._note(items)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note tests that a conftest gave the marker of a stage."""
        self._note(session.items)

    def _note(self, items: Iterable[pytest.Item]) -> None:
        for item in items:
            for check in members(item, self.plans, self.config.getoption("markexpr") or ""):
                self.checks[check.key] = dataclasses.asdict(check)

    def pytest_sessionfinish(self) -> None:
        """Hand the list over; only a worker that ends well gets here."""
        output: dict[str, Any] = self.config.workeroutput  # type: ignore[attr-defined]
        output |= {"rollout_checks": list(self.checks.values()), "rollout_files": sorted(self.files)}
