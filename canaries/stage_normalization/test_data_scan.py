"""The read-only scan of the serving data before its migration: what would change, and what nobody knows.

Other rows come in meanwhile, so only companies, which the API does not write, are compared.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from canaries.stage_normalization.instances import require
from canaries.stage_normalization.migration import COMPANIES, Migration, Report, wrong_plan

pytestmark = pytest.mark.canary("data-scan")


def test_scan_changes_nothing_and_knows_every_value(
    migrate: Migration, record_property: Callable[[str, object], None]
) -> None:
    """The plan maps every stored value or names it as unknown, and planning again says the same of the companies."""
    first, second = migrate.plan(), migrate.plan()
    record_property("rollout.plan", json.dumps(first))
    same = companies(first) == companies(second)
    require("scan", [*wrong_plan(first), *([] if same else ["planning has changed what is planned for companies"])])


def companies(plan: Report) -> Any:
    """Return the part of a plan that nobody writes meanwhile."""
    parts = [[one for one in plan[key] if one["table"] == COMPANIES] for key in ("changes", "quarantine")]
    return plan["rows"].get(COMPANIES), parts
