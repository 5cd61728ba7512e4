"""Python tests that carry a stage marker, and so are checks of that stage."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

import pytest

from pytest_rollout.errors import PlanError
from pytest_rollout.plugin.items import CHECK_PROPERTY, GateItem
from pytest_rollout.plugin.ledger import Check
from pytest_rollout.plugin.selection import STAGE, covers, selects, walk
from pytest_rollout.plugin.stash import plans_key, world_key

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
    properties = [(CHECK_PROPERTY, check.key) for check in checks]
    item.user_properties += [one for one in properties if one not in item.user_properties]
    return checks


def nearest_plan(path: Path, plans: list[Path]) -> Path | None:
    """Return the plan in the closest folder at or above a test's file, or the only plan there is."""
    above = [plan for plan in plans if plan.parent in path.parents]
    if above:
        return max(above, key=lambda plan: len(plan.parents))
    return plans[0] if len(plans) == 1 else None


def left_out(config: pytest.Config, plan: Path, stage: str, collected: Collection[Path]) -> list[Path]:
    """Return files of tests near a plan that speak of a stage, but that this run did not collect as a whole.

    Arguments, --ignore and conftest files can keep tests from being collected; nothing else tells of them.
    """
    plans = config.stash[plans_key]
    files = walk(plan.parent, config.getini("python_files"))
    near = (file for file in files if nearest_plan(file, plans) == plan and _mentions(file, stage))
    return [file for file in near if file not in collected or not covers(config, file)]


def _mentions(file: Path, stage: str) -> bool:
    try:
        return re.search(rf"\b{stage}\b", file.read_text(encoding="utf-8", errors="replace")) is not None
    except OSError:
        return True


def _rollout(item: pytest.Item, plans: list[Path]) -> str:
    plan = nearest_plan(item.path, plans)
    try:
        return item.config.stash[world_key].plan(plan).plan.rollout if plan else NO_PLAN
    except PlanError:
        return NO_PLAN
