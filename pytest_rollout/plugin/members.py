"""Python tests that carry a stage marker, and so are checks of that stage."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_rollout.errors import PlanError
from pytest_rollout.plugin.items import CHECK_PROPERTY, GateItem
from pytest_rollout.plugin.ledger import Check
from pytest_rollout.plugin.selection import STAGE, selects
from pytest_rollout.plugin.stash import world_key

NO_PLAN = "tests"
"""The rollout of stage tests that no plan is near to."""


def stage_markers(item: pytest.Item) -> list[str]:
    """Return the stage markers of an item."""
    return sorted({mark.name for mark in item.iter_markers() if STAGE.fullmatch(mark.name)})


def members(item: pytest.Item, plans: list[Path], expression: str) -> list[Check]:
    """Return the checks that a Python test is, for the stages that a run is about.

    Marks the test's reports with them, so that they are known wherever the report ends up.
    """
    if isinstance(item, GateItem):
        return []
    marks = {mark.name for mark in item.iter_markers()}
    stages = [stage for stage in stage_markers(item) if selects(expression, stage, marks - {stage})]
    rollout = _rollout(item, plans) if stages else NO_PLAN
    checks = [Check(rollout=rollout, stage=stage, id=item.nodeid, kind="test", nodeid=item.nodeid) for stage in stages]
    item.user_properties += [(CHECK_PROPERTY, check.key) for check in checks]
    return checks


def nearest_plan(path: Path, plans: list[Path]) -> Path | None:
    """Return the plan in the closest folder at or above a test's file, or the only plan there is."""
    above = [plan for plan in plans if plan.parent in path.parents]
    if above:
        return max(above, key=lambda plan: len(plan.parents))
    return plans[0] if len(plans) == 1 else None


def _rollout(item: pytest.Item, plans: list[Path]) -> str:
    plan = nearest_plan(item.path, plans)
    try:
        return item.config.stash[world_key].plan(plan).plan.rollout if plan else NO_PLAN
    except PlanError:
        return NO_PLAN
