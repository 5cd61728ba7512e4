"""The serving database after its migration: nothing left to do, and nothing lost since the snapshot from before."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from canaries.stage_normalization.instances import UnusableError, require
from canaries.stage_normalization.migration import (
    COMPANIES,
    Migration,
    Report,
    values_of,
    wrong_plan,
    wrong_verification,
)

pytestmark = pytest.mark.canary("migration-clean")


def test_serving_data_is_migrated(
    migrate: Migration, rollout_variables: Any, record_property: Callable[[str, object], None]
) -> None:
    """The plan is empty, the comparison with the snapshot passes; what was set aside is on record."""
    plan, verified = migrate.plan(), migrate.verify(Path(rollout_variables["STAGE_SNAPSHOT"]))
    aside, later = migrate.quarantine(), migrate.plan()
    for key, value in {"plan": plan, "verified": verified, "quarantine": aside}.items():
        record_property(f"rollout.{key}", json.dumps(value))
    left = [f"{one['rows']} rows of {one['table']} are still {one['from']!r}" for one in plan["changes"]]
    require("plan", [*wrong_plan(plan), *left])
    require("verification", [*wrong_verification(verified), *_uncompared(verified, plan, later)])
    require("quarantine", _not_aside(aside, plan))
    if not verified["changed"]:
        raise UnusableError("no row differs from the snapshot, so it shows no migration; was it taken before it?")


def _uncompared(verified: Report, before: Report, after: Report) -> list[str]:
    """Return whether rows were left out: each is compared or later than the snapshot, while others come in."""
    seen = verified["rows"] + verified["later"]
    least, most = (sum(plan["rows"].values()) for plan in (before, after))
    return [] if least <= seen <= most else [f"{seen} rows were looked at, and there are {least} to {most}"]


def _not_aside(aside: Sequence[Report], plan: Report) -> list[str]:
    """Return the unknown companies that are not in the quarantine list; nobody has written any since."""
    listed = Counter(one["value"] for one in aside if one["table_name"] == COMPANIES)
    unknown = values_of(plan, COMPANIES)
    return [] if listed == unknown else [f"set aside are {dict(listed)} of {COMPANIES}, unknown are {unknown}"]
