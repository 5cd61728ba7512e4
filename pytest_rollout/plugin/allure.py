"""Shows gates in Allure. It only displays: its own verdicts, percentages and quality gates decide nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import allure
import pytest

from pytest_rollout.plugin.items import GateItem
from pytest_rollout.publish.explain import explain
from pytest_rollout.verdict import CheckResult

_IMAGES = {".png": allure.attachment_type.PNG, ".svg": allure.attachment_type.SVG}


class AllureReport:
    """Registered only if Allure results are asked for."""

    def pytest_rollout_gate_evaluated(self, item: pytest.Item, result: dict[str, Any]) -> None:
        """Label an item with its rollout, stage and gate, and attach why it was decided so."""
        if isinstance(item, GateItem):
            _label(item)
        name = item.name
        said = explain(name, CheckResult.from_dict(result), verbose=True)
        allure.attach(said, f"why {name} {result['verdict']}", allure.attachment_type.TEXT)
        evidence = json.dumps(result["derivation"], indent=2)
        allure.attach(evidence, "derivation", allure.attachment_type.JSON)
        for path in map(Path, result["attachments"]):
            if path.suffix in _IMAGES and path.is_file():
                allure.attach.file(str(path), path.parent.name, _IMAGES[path.suffix])


def _label(item: GateItem) -> None:
    check, stage = item.check, item.parent.stage
    named = f"Stage {stage.stage} · {stage.name}"
    for label, value in (("epic", check.rollout), ("feature", named), ("story", check.id)):
        getattr(allure.dynamic, label)(value)
    for label, value in (("parent_suite", check.rollout), ("suite", named), ("sub_suite", check.kind)):
        getattr(allure.dynamic, label)(value)
    # Two stages merged into one report would count as retries of each other without this parameter.
    allure.dynamic.parameter("stage", f"{check.rollout}/{check.stage}")
    allure.dynamic.severity(allure.severity_level.BLOCKER)
    allure.dynamic.tag(check.stage, check.kind)
