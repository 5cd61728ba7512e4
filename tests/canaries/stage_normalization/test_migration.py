"""The canaries of the migration: each fault turns the rehearsal red, and whatever happens the data is put back."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from canaries.stage_normalization import (
    migration,
    test_data_scan as scan,
    test_migration_clean as clean,
    test_migration_rehearsal as rehearsal,
)
from canaries.stage_normalization.instances import Instance, UnusableError
from canaries.stage_normalization.migration import (
    CHECKS,
    Migration,
    MigrationError,
    Report,
    wrong_batches,
    wrong_plan,
    wrong_verification,
)
from canaries.stage_normalization.rehearsal import Preview, borrowed
from tests.canaries.stage_normalization.conftest import NAME, Open, migration_in_process

One = Callable[..., Instance]
Lend = Callable[..., Preview]
NOTICED = {
    "alias-lost-after-migration": "apply: http://sandbox: fund 1 with the filter 'series-a': ",
    "migration-defaults-unknown": "apply: mapping: ",
    "migration-drops-plus": "apply: mapping: ",
    "migration-drops-share": "apply: mapping: ",
    "migration-unaudited": "apply: audited: ",
    "migration-skips-row": "rows were updated, ",
    "migration-touches-column": "apply: other-columns: ",
    "migration-plan-writes": "plan: --plan says another thing the second time",
    "migration-restore-loses-row": "restore: the restored data is not the snapshot's",
}
MIGRATED = ("migration-defaults-unknown", "migration-drops-plus", "migration-unaudited", "migration-touches-column")
"""Faults that the serving data show afterwards."""
PLAN = {
    "rows": {"companies": 3, "strategies": 2},
    "rows_to_change": 1,
    "changes": [{"table": "companies", "from": "Seed", "to": "seed", "rows": 1}],
    "quarantine": [{"table": "companies", "value": "angel", "rows": 1}],
}
OTHERS = {"table": "strategies", "first": 1, "last": 2, "rows": 2, "updated": 0, "mismatches": 0}
BATCH = {"table": "companies", "first": 1, "last": 3, "rows": 3, "updated": 1, "mismatches": 0}
LAST = {"updated": 1}
VERIFIED = {
    "passed": True,
    "rows": 3,
    "checks": [{"name": name, "means": "m", "wrong": 0, "examples": []} for name in CHECKS],
}


def nowhere(_name: str, _value: object) -> None:
    """Take a property of the report."""


@pytest.fixture
def lend(one: One, database: Path, tmp_path: Path) -> Lend:
    """Return what lends a preview of one instance, with faults."""

    def lend_one(*faults: str) -> Preview:
        preview = Preview((one(*faults),), migration_in_process(database, faults), tmp_path)
        preview.migrate.snapshot(preview.snapshot)
        return preview

    return lend_one


def rehearse(preview: Preview) -> None:
    rehearsal.test_migration_is_planned_applied_verified_and_taken_back(preview, nowhere)


def test_healthy_migration_passes(lend: Lend) -> None:
    healthy = lend()
    rehearse(healthy)
    assert healthy.data("over") == healthy.kept


@pytest.mark.parametrize("fault", NOTICED)
def test_fault_turns_the_rehearsal_red(lend: Lend, fault: str) -> None:
    with pytest.raises(AssertionError) as caught:
        rehearse(lend(fault))
    assert NOTICED[fault] in str(caught.value).splitlines()[0]


def test_digest_that_is_blind_is_seen(site: Open) -> None:
    blind = site("migration-digest-blind")
    with pytest.raises(AssertionError, match="two plans for different rows have the same digest"):
        rehearsal.test_digest_tells_plans_of_one_size_apart(in_off(blind.preview), NAME)


def test_digest_tells_plans_apart(site: Open) -> None:
    rehearsal.test_digest_tells_plans_of_one_size_apart(in_off(site().preview), NAME)


def in_off(preview: Preview) -> Preview:
    """Return the preview where the canary's cohort is in off: the database has such a cohort already."""
    instance = preview.instances[0]
    ask = instance.send
    object.__setattr__(instance, "send", lambda one, _cohort: ask(one, "consistency-off"))
    return preview


@pytest.mark.parametrize("refuses", [AssertionError, KeyboardInterrupt], ids=["failed", "interrupted"])
def test_data_is_put_back_whatever_happens(
    one: One, database: Path, tmp_path: Path, refuses: type[BaseException]
) -> None:
    migrate = migration_in_process(database)

    def rehearse_and_break() -> None:
        with borrowed((one(),), migrate, tmp_path) as preview:
            migrate.apply(migrate.plan()["digest"], 500)
            assert preview.data("applied") != preview.kept
            raise refuses

    with pytest.raises(refuses):
        rehearse_and_break()
    migrate.snapshot(tmp_path / "over")
    assert (tmp_path / "over").read_bytes() == (tmp_path / "before.snapshot").read_bytes()


def test_data_that_is_not_put_back_is_a_failure(one: One, database: Path, tmp_path: Path) -> None:
    lossy = migration_in_process(database, ["migration-restore-loses-row"])
    with (
        pytest.raises(AssertionError, match="the preview's data was not put back"),
        borrowed((one(),), lossy, tmp_path),
    ):
        pass


def migrated(database: Path, folder: Path, *faults: str) -> dict[str, str]:
    """Migrate the data as a release does, and return the canary's variables."""
    faulty, snapshot = migration_in_process(database, faults), folder / "before"
    faulty.snapshot(snapshot)
    faulty.apply(faulty.plan()["digest"], 5000)
    return {"STAGE_SNAPSHOT": str(snapshot)}


def test_migrated_data_is_clean(database: Path, tmp_path: Path) -> None:
    told: dict[str, object] = {}
    variables = migrated(database, tmp_path)
    clean.test_serving_data_is_migrated(migration_in_process(database), variables, told.__setitem__)
    assert list(told) == ["rollout.plan", "rollout.verified", "rollout.quarantine"]
    assert "angel" in str(told["rollout.quarantine"]) or told["rollout.quarantine"] != "[]"


@pytest.mark.parametrize("fault", MIGRATED)
def test_badly_migrated_data_is_not(database: Path, tmp_path: Path, fault: str) -> None:
    variables = migrated(database, tmp_path, fault)
    with pytest.raises(AssertionError, match=r"^(plan|verification): "):
        clean.test_serving_data_is_migrated(migration_in_process(database), variables, nowhere)


def test_data_that_is_not_migrated_is_not_clean(database: Path, tmp_path: Path) -> None:
    migrate = migration_in_process(database)
    migrate.snapshot(tmp_path / "before")
    with pytest.raises(AssertionError, match=r"^plan: \d+ rows of companies are still '"):
        clean.test_serving_data_is_migrated(migrate, {"STAGE_SNAPSHOT": str(tmp_path / "before")}, nowhere)


def test_snapshot_from_after_the_migration_shows_nothing(database: Path, tmp_path: Path) -> None:
    migrated(database, tmp_path)
    migrate = migration_in_process(database)
    migrate.snapshot(tmp_path / "late")
    with pytest.raises(UnusableError, match="no row differs from the snapshot, so it shows no migration"):
        clean.test_serving_data_is_migrated(migrate, {"STAGE_SNAPSHOT": str(tmp_path / "late")}, nowhere)


def test_without_a_snapshot_nothing_is_verified(database: Path, tmp_path: Path) -> None:
    with pytest.raises(UnusableError, match=r"--verify gave no report: .*is not a snapshot"):
        clean.test_serving_data_is_migrated(
            migration_in_process(database), {"STAGE_SNAPSHOT": str(tmp_path / "gone")}, nowhere
        )


def test_verification_that_leaves_rows_out_is_seen(database: Path, tmp_path: Path) -> None:
    variables = migrated(database, tmp_path)
    whole = migration_in_process(database)
    lazy = Lazy(whole.start)
    with pytest.raises(AssertionError, match=r"^verification: 1 rows were looked at, and there are \d+ to \d+$"):
        clean.test_serving_data_is_migrated(lazy, variables, nowhere)


def test_quarantine_list_that_is_gone_is_seen(database: Path, tmp_path: Path) -> None:
    variables = migrated(database, tmp_path)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("DELETE FROM stage_quarantine WHERE table_name = 'companies'")
    forgetful = Trusting(migration_in_process(database).start)
    with pytest.raises(AssertionError, match=r"^quarantine: set aside are \{\} of companies, unknown are \{'"):
        clean.test_serving_data_is_migrated(forgetful, variables, nowhere)


class Lazy(Migration):
    """Compares one row and says that all is well."""

    def verify(self, snapshot: Path) -> Report:
        """Return a report of one row."""
        return {**super().verify(snapshot), "rows": 1, "later": 0}


class Trusting(Migration):
    """Says that all is well whatever it has found."""

    def verify(self, snapshot: Path) -> Report:
        """Return a report without anything wrong."""
        report = super().verify(snapshot)
        return {**report, "passed": True, "checks": [{**one, "wrong": 0} for one in report["checks"]]}


def test_what_a_command_has_started_ends_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migration, "DEADLINE_SECONDS", 0.3)
    late = tmp_path / "late"
    slow = Migration.of(f"sh -c '(sleep 1; touch {late}) & sleep 5' --")
    with pytest.raises(UnusableError, match=r"did not end within 0\.3 s and was ended$"):
        slow.plan()
    time.sleep(1.2)
    assert not late.exists()


def test_scan_passes(database: Path) -> None:
    scan.test_scan_changes_nothing_and_knows_every_value(migration_in_process(database), nowhere)


def test_scan_that_writes_is_seen(database: Path) -> None:
    writing = migration_in_process(database, ["migration-plan-writes"])
    with pytest.raises(AssertionError, match="planning has changed what is planned for companies"):
        scan.test_scan_changes_nothing_and_knows_every_value(writing, nowhere)


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        (1, MigrationError, "normalize-stages --plan refused: no such thing"),
        (2, UnusableError, "normalize-stages --plan ended with exit code 2: no such thing"),
    ],
)
def test_command_that_fails_says_why(code: int, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=f"^{said}$"):
        Migration.of(f"sh -c 'echo no such thing >&2; exit {code}'").plan()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"changes": [{"from": "x", "to": "sead"}]}, "'x' would become 'sead', no stage"),
        ({"changes": [{"from": "seed", "to": "series-a"}]}, "'seed' is a stage and would become 'series-a'"),
        (
            {"changes": [{"from": "S", "to": "seed"}, {"from": "S", "to": "series-a"}]},
            "'S' would become seed and series-a",
        ),
        ({"changes": [{"from": "angel", "to": "seed"}]}, "'angel' would be both changed and set aside"),
        ({"quarantine": [{"value": "seed"}]}, "'seed' is a stage and would be set aside"),
        ({"rows": {"companies": 0, "strategies": 2}}, "the plan has looked at no rows of companies"),
        ({"rows": {"companies": 3}}, "the plan has looked at no rows of strategies"),
    ],
)
def test_plan_that_is_wrong_in_itself(changed: Mapping[str, Any], said: str) -> None:
    assert wrong_plan(PLAN) == []
    assert wrong_plan({**PLAN, **changed}) == [said]


@pytest.mark.parametrize(
    ("batches", "said"),
    [
        ([], "the batches of companies went over 0 rows of 3"),
        ([{**BATCH, "rows": 2}], "the batches of companies went over 2 rows of 3"),
        ([{**BATCH, "rows": 2}, {**BATCH, "rows": 1, "updated": 0}], "the batches of companies overlap"),
        ([{**BATCH, "mismatches": 2}], "a batch of companies has 2 mismatches"),
        ([{**BATCH, "updated": 0}], "0 rows were updated, 1 were told, 1 were approved"),
    ],
)
def test_batches_that_are_not_the_plan(batches: Sequence[Mapping[str, Any]], said: str) -> None:
    assert wrong_batches([{"batch": BATCH}, {"batch": OTHERS}, LAST], PLAN) == []
    assert wrong_batches([*({"batch": one} for one in (*batches, OTHERS)), LAST], PLAN)[0] == said


@pytest.mark.parametrize("name", CHECKS)
def test_verification_has_to_look_at_everything(name: str) -> None:
    assert wrong_verification(VERIFIED) == []
    checks = [one for one in VERIFIED["checks"] if one["name"] != name]  # type: ignore[attr-defined]
    assert wrong_verification({**VERIFIED, "checks": checks}) == [f"{name} was not checked"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"rows": 0}, "no row was compared with the snapshot"),
        ({"passed": False}, "the verification did not pass and does not say why"),
    ],
)
def test_verification_that_proves_nothing(changed: Mapping[str, Any], said: str) -> None:
    assert wrong_verification({**VERIFIED, **changed}) == [said]
