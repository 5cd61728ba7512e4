"""Plans as pytest nodes: ``prisma.rollout.yaml::stage1::read-latency``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_rollout.errors import GateBreached, GateError, GateInconclusive, PlanError
from pytest_rollout.plugin.ledger import Check
from pytest_rollout.plugin.progress import progress_line
from pytest_rollout.plugin.stash import plans_key, world_key
from pytest_rollout.verdict import CheckResult, Verdict

if TYPE_CHECKING:
    from pytest_rollout.plan.loader import LoadedPlan
    from pytest_rollout.plan.model import Stage

CHECK_PROPERTY = "rollout.check"
RESULT_PROPERTY = "rollout.result"
HEAD_PROPERTY = "rollout.evidence"
"""In JUnit files: where the evidence log ended when the gate was judged."""

RAISED = {
    Verdict.BREACHED: GateBreached,
    Verdict.INCONCLUSIVE: GateInconclusive,
    Verdict.ERROR: GateError,
}
"""By verdict; pytest and Allure tell failures from broken instruments by these."""


class PlanFile(pytest.File):
    """A ``*.rollout.yaml`` file."""

    def collect(self) -> Iterator[pytest.Collector]:
        """Yield a collector for each stage; a wrong plan fails with ``file:line:column``."""
        if self.path not in self.config.stash[plans_key]:
            raise self.CollectError(
                f"{self.path.name}: this plan was not found before collection; "
                "add its folder to the ini key rollout_plans, or give it as an argument"
            )
        try:
            loaded = self.config.stash[world_key].plan(self.path)
        except PlanError as exc:
            raise self.CollectError(str(exc)) from exc
        for index, stage in enumerate(loaded.plan.stages):
            yield StageNode.from_parent(self, name=stage.marker, loaded=loaded, index=index)


class StageNode(pytest.Collector):
    """One stage of a plan; its items carry the stage's marker."""

    def __init__(self, *, loaded: LoadedPlan, index: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.loaded = loaded
        self.index = index
        self.stage: Stage = loaded.plan.stages[index]
        self.add_marker(self.stage.marker)

    def collect(self) -> Iterator[pytest.Item]:
        """Yield the check of the stage's flags, then every gate in the plan's order."""
        for check in stage_checks(self.loaded, self.stage, self.parent.nodeid if self.parent else ""):
            yield GateItem.from_parent(self, name=check.id, check=check)


class GateItem(pytest.Item):
    """One gate; runs by having its whole stage judged once and reading its own result."""

    parent: StageNode

    def __init__(self, *, check: Check, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.check = check
        self.add_marker("rollout_gate")
        self.user_properties.append((CHECK_PROPERTY, check.key))

    def runtest(self) -> None:
        """Raise GateBreached, GateInconclusive or GateError unless the gate passed."""
        world = self.config.stash[world_key]
        node = self.parent
        gates = [gate for gate in node.stage.gates if gate.id in self._selected()]
        results = world.stage_results(node.loaded.path, node.stage, gates, progress_line(self.config))
        conclude(self, results[self.check.id])

    def _selected(self) -> set[str]:
        items = (item for item in self.session.items if isinstance(item, GateItem))
        return {item.check.id for item in items if item.parent is self.parent}

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show the explanation of a gate, not a traceback through the plugin."""
        if isinstance(excinfo.value, tuple(RAISED.values())):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style=style)

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        """Return file and line of the gate; the line must be a number, or skip marks crash pytest (#6508)."""
        return self.path, self._line() - 1, f"{self.parent.name}/{self.name}"

    def _line(self) -> int:
        node = self.parent
        ids = [gate.id for gate in node.stage.gates]
        if self.check.id in ids:
            return node.loaded.line_of_gate(node.index, ids.index(self.check.id))
        return node.loaded.line_of_stage(node.index)


def stage_checks(loaded: LoadedPlan, stage: Stage, plan_nodeid: str) -> list[Check]:
    """Return every check that a plan demands for a stage."""
    from pytest_rollout.look import FLAG_STATE

    named = [(FLAG_STATE, "flag")] if stage.flags else []
    named += [(gate.id, gate.kind) for gate in stage.gates]
    return [
        Check(
            rollout=loaded.plan.rollout,
            stage=stage.marker,
            id=name,
            kind=kind,
            nodeid=f"{plan_nodeid}::{stage.marker}::{name}",
        )
        for name, kind in named
    ]


def plan_nodeid(path: Path, root: Path) -> str:
    """Return the node id that pytest gives a plan's file."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def conclude(item: pytest.Item, result: CheckResult, text: str | None = None) -> None:
    """Put a result on an item's reports, tell the hooks, and raise unless it passed; ``text`` is what is then said."""
    from pytest_rollout.publish.explain import explain

    data = result.to_dict()
    item.user_properties += [
        ("rollout.verdict", data["verdict"]),
        ("rollout.reason", data["reason"]),
        (RESULT_PROPERTY, json.dumps(data, allow_nan=False)),
    ]
    if head := result.derivation.get("evidence", {}).get("head"):
        item.user_properties.append((HEAD_PROPERTY, head))
    item.ihook.pytest_rollout_gate_evaluated(item=item, result=data)
    if raised := RAISED.get(result.verdict):
        raise raised(text or explain(item.name, result, verbose=item.config.get_verbosity() > 0))
