"""Verification sees each way in which a migration can be wrong, and names it."""

from pathlib import Path

import pytest
from sqlalchemy import Engine, insert
from sqlalchemy.orm import Session

from sandbox.normalization.db import Company, writing
from sandbox.normalization.migration.verification import CHECKS
from tests.sandbox.normalization.migration.data import company, make, plan, run

COMPANIES = ["seed", "Series A", "series_a", "angel", "Series C+", "series-b"]
STRATEGIES = [{"seed": "1"}, {"Series A": "0.5", "seriesA": "0.25", "angel": "0.25"}]


@pytest.fixture
def migrated(tmp_path: Path) -> Engine:
    """Return a migrated database, its snapshot from before beside it."""
    engine = make(tmp_path / "db", COMPANIES, STRATEGIES)
    run(tmp_path / "db", "--snapshot", tmp_path / "before")
    run(tmp_path / "db", "--apply", plan(tmp_path / "db")["digest"])
    return engine


def wrong(folder: Path) -> dict[str, list[str]]:
    """Return the examples of every check that failed."""
    code, (report,), _ = run(folder / "db", "--verify", folder / "before")
    assert [check["name"] for check in report["checks"]] == list(CHECKS)
    failed = {check["name"]: check["examples"] for check in report["checks"] if check["wrong"]}
    assert (code, report["passed"]) == ((1, False) if failed else (0, True))
    return failed


@pytest.mark.usefixtures("migrated")
def test_good_migration_passes(tmp_path: Path) -> None:
    _, (report,), _ = run(tmp_path / "db", "--verify", tmp_path / "before")
    assert (report["passed"], report["rows"], report["changed"], report["later"]) == (True, 8, 4, 0)


@pytest.mark.parametrize(
    ("statement", "failed"),
    [
        ("DELETE FROM companies WHERE id = 2", {"keys": ["companies 2"]}),
        ("DELETE FROM companies WHERE id = 6", {"keys": ["companies 6"]}),
        ("UPDATE companies SET id = -5 WHERE id = 6", {"keys": ["companies -5", "companies 6"]}),
        ("UPDATE companies SET name = 'X' WHERE id = 1", {"other-columns": ["companies 1"]}),
        ("UPDATE strategies SET updatedAt = 'now' WHERE id = 1", {"other-columns": ["strategies 1"]}),
        ("UPDATE companies SET stage = 'seed' WHERE id = 2", {"mapping": ["companies 2"], "audited": ["companies 2"]}),
        ("UPDATE companies SET stage = 'seed' WHERE id = 6", {"mapping": ["companies 6"], "audited": ["companies 6"]}),
        ("UPDATE companies SET stage = 'seed' WHERE id = 4", {"mapping": ["companies 4"], "audited": ["companies 4"]}),
        (
            "UPDATE companies SET stage = 'Series A' WHERE id = 2",
            {"mapping": ["companies 2"], "canonical": ["companies 2"]},
        ),
        ("DELETE FROM stage_quarantine WHERE table_name = 'companies'", {"canonical": ["companies 4"]}),
        ("DELETE FROM stage_quarantine WHERE table_name = 'strategies'", {"canonical": ["strategies 2"]}),
        ("DELETE FROM stage_audit WHERE row_id = 5", {"audited": ["companies 5"]}),
        ("UPDATE stage_audit SET before = 'seed' WHERE row_id = 5", {"audited": ["companies 5"]}),
        (
            """UPDATE strategies SET stageAllocation = '{"series-a": "0.25", "angel": "0.25"}' WHERE id = 2""",
            {"mapping": ["strategies 2"], "sums": ["strategies 2"], "audited": ["strategies 2"]},
        ),
    ],
)  # fmt: skip
def test_each_deviation_is_named(
    migrated: Engine, tmp_path: Path, statement: str, failed: dict[str, list[str]]
) -> None:
    with writing(migrated) as connection:
        connection.exec_driver_sql(statement)
    assert wrong(tmp_path) == failed


def test_data_that_was_not_migrated_fails(tmp_path: Path) -> None:
    make(tmp_path / "db", COMPANIES, STRATEGIES)
    run(tmp_path / "db", "--snapshot", tmp_path / "before")
    assert set(wrong(tmp_path)) == {"mapping", "canonical"}


def test_later_rows_are_counted_and_not_judged(migrated: Engine, tmp_path: Path) -> None:
    with Session(migrated) as session, session.begin():
        session.execute(insert(Company), [company(key, "anything") for key in (50, 51)])
    _, (report,), _ = run(tmp_path / "db", "--verify", tmp_path / "before")
    assert (report["passed"], report["later"]) == (True, 2)


def test_nothing_compared_is_no_pass(tmp_path: Path) -> None:
    make(tmp_path / "db", [], [])
    run(tmp_path / "db", "--snapshot", tmp_path / "before")
    code, (report,), _ = run(tmp_path / "db", "--verify", tmp_path / "before")
    assert (code, report["passed"], report["rows"]) == (1, False, 0)


def test_three_examples_and_the_count(migrated: Engine, tmp_path: Path) -> None:
    with writing(migrated) as connection:
        connection.exec_driver_sql("UPDATE companies SET name = 'X'")
    _, (report,), _ = run(tmp_path / "db", "--verify", tmp_path / "before")
    (check,) = [check for check in report["checks"] if check["wrong"]]
    assert (check["wrong"], check["examples"]) == (6, ["companies 1", "companies 2", "companies 3"])
