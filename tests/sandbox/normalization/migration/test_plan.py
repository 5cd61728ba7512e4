"""The plan: counts a person can read, a digest of every row, and nothing changed."""

from pathlib import Path

from sqlalchemy import Engine

from sandbox.normalization.db import writing
from tests.sandbox.normalization.migration.data import data_digest, make, plan

COMPANIES = ["seed", "Series A", "series_a", "Series A", "angel", "seriesc", "Series C+"]
STRATEGIES = [{"seed": "1"}, {"Series A": "0.5", "seriesA": "0.25", "angel": "0.25"}]
NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # SHA-256 of no line


def test_counts_per_old_and_new_value(tmp_path: Path) -> None:
    make(tmp_path / "db", COMPANIES, STRATEGIES)
    answer = plan(tmp_path / "db")
    assert answer["rows"] == {"companies": 7, "strategies": 2}
    assert answer["rows_to_change"] == 5
    assert [tuple(change.values()) for change in answer["changes"]] == [
        ("companies", "Series A", "series-a", 2),
        ("companies", "Series C+", "series-c+", 1),
        ("companies", "series_a", "series-a", 1),
        ("strategies", "Series A", "series-a", 1),
        ("strategies", "seriesA", "series-a", 1),
    ]
    assert [tuple(entry.values()) for entry in answer["quarantine"]] == [
        ("companies", "angel", 1),
        ("companies", "seriesc", 1),
        ("strategies", "angel", 1),
    ]


def test_plan_changes_nothing(database: Path) -> None:
    before = database.read_bytes()
    assert plan(database) == plan(database)
    assert database.read_bytes() == before


def set_stage(engine: Engine, key: int, stage: str) -> None:
    with writing(engine) as connection:
        connection.exec_driver_sql("UPDATE companies SET stage = ? WHERE id = ?", (stage, key))


def test_digest_is_of_every_row_not_of_the_counts(tmp_path: Path) -> None:
    engine = make(tmp_path / "db", COMPANIES, STRATEGIES)
    first = plan(tmp_path / "db")
    set_stage(engine, 2, "series_a")
    set_stage(engine, 3, "Series A")
    swapped = plan(tmp_path / "db")
    assert swapped["changes"] == first["changes"]
    assert swapped["digest"] != first["digest"]
    set_stage(engine, 2, "Series A")
    set_stage(engine, 3, "series_a")
    assert plan(tmp_path / "db") == first


def test_what_is_not_changed_is_not_in_the_digest(tmp_path: Path) -> None:
    """A release in warn goes on storing unknown stages: the approved plan stays good."""
    engine = make(tmp_path / "db", COMPANIES, STRATEGIES)
    first = plan(tmp_path / "db")["digest"]
    set_stage(engine, 5, "growth")
    set_stage(engine, 1, "series-b")
    assert plan(tmp_path / "db")["digest"] == first


def test_clean_data_has_an_empty_plan(tmp_path: Path) -> None:
    engine = make(tmp_path / "db", ["seed", "series-c+"], [{"pre-seed": "1"}])
    answer = plan(tmp_path / "db")
    assert (answer["rows_to_change"], answer["changes"], answer["quarantine"]) == (0, [], [])
    assert answer["digest"] == NOTHING
    assert data_digest(engine, tmp_path)
