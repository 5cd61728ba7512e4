"""The serving database after its migration: nothing left to do, and nothing lost since the snapshot from before."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from canaries.stage_normalization.instances import UnusableError, require
from canaries.stage_normalization.migration import Migration, wrong_plan, wrong_verification

pytestmark = pytest.mark.canary("migration-clean")


def test_serving_data_is_migrated(
    migrate: Migration, rollout_variables: Any, record_property: Callable[[str, object], None]
) -> None:
    """The plan is empty, the comparison with the snapshot passes; what was set aside is on record."""
    plan, verified = migrate.plan(), migrate.verify(Path(rollout_variables["STAGE_SNAPSHOT"]))
    aside = migrate.quarantine()
    for key, value in {"plan": plan, "verified": verified, "quarantine": aside}.items():
        record_property(f"rollout.{key}", json.dumps(value))
    left = [f"{one['rows']} rows of {one['table']} are still {one['from']!r}" for one in plan["changes"]]
    require("plan", [*wrong_plan(plan), *left])
    require("verification", wrong_verification(verified))
    if not verified["changed"]:
        raise UnusableError("no row differs from the snapshot, so it shows no migration; was it taken before it?")
