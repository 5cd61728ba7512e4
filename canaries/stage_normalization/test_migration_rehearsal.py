"""The rehearsal of normalize-stages on the preview's database: plan, snapshot, apply, verify, again, and back.

Nobody else may write there meanwhile. Whatever happens the data is put back in the end, byte for byte; audit rows and
the quarantine list stay, for they say what was done.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from canaries.stage_normalization.endpoints import COHORT_FLAG, STRATEGIES
from canaries.stage_normalization.instances import SPREAD_SECONDS, UnusableError, require, until
from canaries.stage_normalization.migration import Report, wrong_batches, wrong_plan, wrong_verification
from canaries.stage_normalization.rehearsal import Preview
from pytest_rollout.flags.writer import FlagWriter

pytestmark = pytest.mark.canary("migration-rehearsal")

ACTOR = COHORT = "migration-rehearsal"
"""The cohort whose strategies are stored as they are sent."""
BATCH_ROWS = 500
"""Small, so that there are several batches."""


@pytest.fixture
def as_sent(preview_flags: FlagWriter, borrowed_preview: Preview) -> Iterator[Preview]:
    """Return the preview with the canary's own cohort in off, where stages are stored as they are sent."""
    preview_flags.set(COHORT_FLAG, "off", COHORT, actor=ACTOR, reason="store aliases as they are sent")
    try:
        require(f"after {SPREAD_SECONDS:g} s", until(lambda: _not_off(borrowed_preview), SPREAD_SECONDS))
        yield borrowed_preview
    finally:
        preview_flags.remove(COHORT_FLAG, COHORT, actor=ACTOR, reason="over")


def test_migration_is_planned_applied_verified_and_taken_back(
    borrowed_preview: Preview, record_property: Callable[[str, object], None]
) -> None:
    """The plan changes nothing and says all; applied, nothing is lost; applied again, nothing happens; it goes back."""
    preview, shown = borrowed_preview, borrowed_preview.books()
    plan = preview.migrate.plan()
    record_property("rollout.plan", json.dumps(plan))
    require("plan", [*wrong_plan(plan), *_planned_again(preview, plan)])
    if not plan["rows_to_change"]:
        raise UnusableError("the preview has nothing to migrate, so nothing can be rehearsed")

    reports = preview.migrate.apply(plan["digest"], BATCH_ROWS)
    verified = preview.migrate.verify(preview.snapshot)
    record_property("rollout.verified", json.dumps(verified))
    wrong = [*wrong_batches(reports, plan), *wrong_verification(verified), *_wrong_counts(verified, plan)]
    require("apply", [*wrong, *_wrong_quarantine(preview, plan), *preview.unlike(shown)])
    if not plan["quarantine"]:
        raise UnusableError("the preview has no unknown stage, so nothing shows that they are set aside")
    require("apply again", _applied_again(preview, plan))

    preview.migrate.restore(preview.snapshot)
    same = preview.data("restored") == preview.kept
    require("restore", [*([] if same else ["the restored data is not the snapshot's"]), *preview.unlike(shown)])


def test_digest_tells_plans_of_one_size_apart(as_sent: Preview, name: str) -> None:
    """Two plans with as many rows to change, but other rows, have two digests: who approves one approves no other."""
    usual = as_sent.migrate.plan()
    first = _plan_with("Series A", as_sent, name)
    as_sent.migrate.restore(as_sent.snapshot)
    second = _plan_with("series_b", as_sent, name)
    sizes = [plan["rows_to_change"] - usual["rows_to_change"] for plan in (first, second)]
    if sizes != [1, 1]:
        raise UnusableError(f"one more alias makes {sizes[0]} and {sizes[1]} rows to change, not 1 and 1")
    assert first["digest"] != second["digest"], "two plans for different rows have the same digest"


def _plan_with(stage: str, preview: Preview, name: str) -> Report:
    instance = preview.instances[0]
    answer = instance.send(STRATEGIES.ask(stage, name=name), COHORT)
    if answer.status != 201:
        raise UnusableError(f"{instance.url}: a strategy with {stage!r} was answered {answer}")
    return preview.migrate.plan()


def _planned_again(preview: Preview, plan: Report) -> list[str]:
    """Return whether planning has changed anything, or says another thing the second time."""
    wrong = [] if preview.migrate.plan() == plan else ["--plan says another thing the second time"]
    return wrong + ([] if preview.data("planned") == preview.kept else ["--plan has changed the data"])


def _wrong_counts(verified: Report, plan: Report) -> list[str]:
    """Return what was compared, changed or added other than planned: nobody else writes here."""
    wanted = (sum(plan["rows"].values()), plan["rows_to_change"], 0)
    found = (verified["rows"], verified["changed"], verified["later"])
    return [] if found == wanted else [f"rows, changed and later are {found}, planned {wanted}"]


def _wrong_quarantine(preview: Preview, plan: Report) -> list[str]:
    """Return the unknown values of the plan that are not in the quarantine list."""
    listed = {(one["table_name"], one["value"]) for one in preview.migrate.quarantine()}
    unknown = {(one["table"], one["value"]) for one in plan["quarantine"]}
    return [f"{value!r} of {table} is unknown and not set aside" for table, value in sorted(unknown - listed)]


def _applied_again(preview: Preview, plan: Report) -> list[str]:
    """Return what is left to do, or is done, when it is planned and applied a second time."""
    settled, again = preview.data("applied"), preview.migrate.plan()
    wrong = [f"{again['rows_to_change']} rows would be changed a second time"] if again["rows_to_change"] else []
    wrong += [] if again["quarantine"] == plan["quarantine"] else ["the unknown values are others than before"]
    wrong += [] if again["rows"] == plan["rows"] else [f"there are {again['rows']} rows, and were {plan['rows']}"]
    if updated := preview.migrate.apply(again["digest"], BATCH_ROWS)[-1]["updated"]:
        wrong.append(f"{updated} rows were changed a second time")
    return wrong + ([] if preview.data("again") == settled else ["a second run changed the data"])


def _not_off(preview: Preview) -> list[str]:
    told = {one.url: one.get("/api/internal/modes")["modes"]["strategies"].get(COHORT) for one in preview.instances}
    return [f"{url} has {COHORT} in {mode}, not off" for url, mode in told.items() if mode != "off"]
