"""Apply: what was approved and nothing else, in batches that are whole or not at all."""

from pathlib import Path

import pytest
from sqlalchemy import Engine, insert
from sqlalchemy.orm import Session

from sandbox.normalization.db import Company, Strategy, open_database, writing
from sandbox.normalization.migration.batches import Batch, MismatchError, PlanChangedError, apply
from sandbox.normalization.migration.steps import Steps
from sandbox.normalization.stages import CANONICAL
from tests.sandbox.normalization.migration.data import (
    allocations,
    audit,
    company,
    data_digest,
    make,
    plan,
    quarantine,
    rows,
    run,
    stages,
)

STEPS = Steps()


def set_stage(engine: Engine, key: int, stage: str) -> None:
    with writing(engine) as connection:
        connection.exec_driver_sql("UPDATE companies SET stage = ? WHERE id = ?", (stage, key))


def approved(database: Path) -> str:
    digest: str = plan(database)["digest"]
    return digest


def test_every_stage_gets_its_canonical_name_and_the_unknown_stay(tmp_path: Path) -> None:
    texts = ["seed", "Series A", "angel", "seriesc", "Series C+", "PRESEED"]
    shares = [{"seed": "1"}, {"Series A": "0.5", "angel": "0.125", "seriesA": "0.25", "seed": "0.125"}]
    engine = make(tmp_path / "db", texts, shares)
    code, answers, _ = run(tmp_path / "db", "--apply", approved(tmp_path / "db"))
    assert code == 0
    assert stages(engine) == ["seed", "series-a", "angel", "seriesc", "series-c+", "pre-seed"]
    assert allocations(engine) == [shares[0], {"series-a": "0.75", "angel": "0.125", "seed": "0.125"}]
    assert quarantine(engine) == [("companies", 3, "angel"), ("companies", 4, "seriesc"), ("strategies", 2, "angel")]
    assert answers[-1] == {"applied": answers[-1]["applied"], "updated": 4, "quarantined": 3}


def test_thirds_of_six_places_still_sum_to_what_they_did(tmp_path: Path) -> None:
    engine = make(tmp_path / "db", [], [{"Series A": "0.333333", "series a": "0.333333", "seed": "0.333333"}])
    run(tmp_path / "db", "--apply", approved(tmp_path / "db"))
    assert allocations(engine) == [{"series-a": "0.666666", "seed": "0.333333"}]


def test_allocation_with_nothing_to_rename_is_not_rewritten(tmp_path: Path) -> None:
    engine = make(tmp_path / "db", [], [{"seed": "1.000"}])
    with writing(engine) as connection:
        connection.exec_driver_sql("""UPDATE strategies SET stageAllocation = '{ "seed":"1.000" }'""")
    assert plan(tmp_path / "db")["rows_to_change"] == 0


def test_second_plan_is_empty_and_second_apply_changes_no_row(database: Path, tmp_path: Path) -> None:
    digest = approved(database)
    _, first, _ = run(database, "--apply", digest)
    engine = open_database(database)
    after = (data_digest(engine, tmp_path), audit(engine), quarantine(engine))
    assert plan(database)["rows_to_change"] == 0
    for again in (digest, approved(database)):
        code, second, _ = run(database, "--apply", again)
        assert (code, second[-1]["updated"]) == (0, 0)
        assert (data_digest(engine, tmp_path), audit(engine), quarantine(engine)) == after
    assert first[-1]["updated"] == len(audit(engine)) > 100


def test_valid_rows_and_all_other_columns_are_untouched(database: Path) -> None:
    engine = open_database(database)
    before, others = rows(engine, Company), rows(engine, Strategy)
    run(database, "--apply", approved(database))
    place = Company.__table__.columns.keys().index("stage")
    for old, new in zip(before, rows(engine, Company), strict=True):
        assert old[:place] + old[place + 1 :] == new[:place] + new[place + 1 :]
        assert old[place] not in CANONICAL or old == new
    place = Strategy.__table__.columns.keys().index("stageAllocation")
    for old, new in zip(others, rows(engine, Strategy), strict=True):
        assert old[:place] + old[place + 1 :] == new[:place] + new[place + 1 :]


def test_every_batch_is_logged_with_its_keys(database: Path) -> None:
    _, answers, _ = run(database, "--apply", approved(database), "--batch-size", 100)
    batches = [answer["batch"] for answer in answers[:-1]]
    assert set(batches[0]) == {"table", "first", "last", "rows", "updated", "mismatches", "quarantined", "seconds"}
    keys = [(batch["table"], batch["first"], batch["last"], batch["rows"]) for batch in batches]
    assert keys == [
        ("companies", 1, 100, 100),
        ("companies", 101, 200, 100),
        ("companies", 201, 300, 100),
        ("companies", 301, 400, 100),
        ("companies", 401, 480, 80),
        ("strategies", 1, 48, 48),
    ]
    assert sum(batch["updated"] for batch in batches) == answers[-1]["updated"]
    assert {batch["mismatches"] for batch in batches} == {0}
    assert all(batch["seconds"] > 0 for batch in batches)


def test_every_change_has_its_audit_row(database: Path) -> None:
    engine = open_database(database)
    before = dict(rows(engine, Company, "id", "stage"))
    run(database, "--apply", approved(database))
    after = dict(rows(engine, Company, "id", "stage"))
    changed = [("companies", key, before[key], after[key]) for key in before if before[key] != after[key]]
    assert [row for row in audit(engine) if row[0] == "companies"] == changed


def test_other_data_than_was_approved_is_refused(database: Path, tmp_path: Path) -> None:
    digest = approved(database)
    engine = open_database(database)
    set_stage(engine, 1, "Series B")
    before = data_digest(engine, tmp_path)
    code, answers, complaint = run(database, "--apply", digest)
    now = approved(database)
    assert (code, answers, data_digest(engine, tmp_path), audit(engine)) == (1, [], before, [])
    assert complaint == (
        f"the data is not what the plan was made from: approved {digest}, now {now}; "
        "nothing was changed; look at --plan again\n"
    )


def test_interrupted_run_refuses_data_that_changed_meanwhile(tmp_path: Path) -> None:
    database = tmp_path / "db"
    engine = make(database, ["Series A"] * 20, [])
    digest = approved(database)

    def interrupt(_batch: Batch) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        apply(engine, digest, 5, STEPS, interrupt)
    assert len(audit(engine)) == 5
    set_stage(engine, 12, "series_b")
    with pytest.raises(PlanChangedError):
        apply(engine, digest, 5, STEPS, lambda _batch: None)
    set_stage(engine, 12, "Series A")
    assert apply(engine, digest, 5, STEPS, lambda _batch: None) == 15


def test_row_that_changes_during_the_run_stops_it(tmp_path: Path) -> None:
    engine = make(tmp_path / "db", ["Series A"] * 20, [])
    with pytest.raises(MismatchError) as caught:
        apply(engine, approved(tmp_path / "db"), 5, STEPS, lambda _batch: set_stage(engine, 12, "series_b"))
    assert str(caught.value) == (
        "1 rows of companies between 11 and 15 are not as approved; the batch was rolled back; look at --plan again"
    )
    assert stages(engine) == ["series-a"] * 10 + ["Series A", "series_b"] + ["Series A"] * 8
    assert len(audit(engine)) == 10


def test_update_that_does_not_take_is_rolled_back_with_its_audit(tmp_path: Path) -> None:
    engine = make(tmp_path / "db", ["Series A"] * 10, [])
    with writing(engine) as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER stubborn AFTER UPDATE ON companies WHEN new.id = 7 "
            "BEGIN UPDATE companies SET stage = 'oops' WHERE id = 7; END"
        )
    code, answers, complaint = run(tmp_path / "db", "--apply", approved(tmp_path / "db"), "--batch-size", 5)
    assert (code, [answer["batch"]["mismatches"] for answer in answers]) == (1, [0, 1])
    assert "1 rows of companies between 6 and 10 are not as approved" in complaint
    assert stages(engine) == ["series-a"] * 5 + ["Series A"] * 5
    assert len(audit(engine)) == 5


def test_rows_later_than_the_plan_are_left_alone(tmp_path: Path) -> None:
    engine = make(tmp_path / "db", ["Series A"] * 10, [])

    def write(batch: Batch) -> None:
        with Session(engine) as session, session.begin():
            session.execute(insert(Company), [company(100 + batch.first, "Series B")])

    assert apply(engine, approved(tmp_path / "db"), 5, STEPS, write) == 10
    assert stages(engine) == ["series-a"] * 10 + ["Series B"] * 2


def test_gaps_between_keys_are_no_end(tmp_path: Path) -> None:
    engine = make(tmp_path / "db", [], [])
    with Session(engine) as session, session.begin():
        session.execute(insert(Company), [company(key, "Seed") for key in (3, 5000, 5001, 900_000_000)])
    batches: list[Batch] = []
    assert apply(engine, approved(tmp_path / "db"), 2, STEPS, batches.append) == 4
    assert [(batch.first, batch.last) for batch in batches] == [(3, 5000), (5001, 900_000_000)]


def test_more_rows_than_are_read_at_once(tmp_path: Path) -> None:
    database, before = tmp_path / "db", tmp_path / "before"
    engine = make(database, ["Series A", "seed"] * 6000, [])
    run(database, "--snapshot", before)
    assert plan(database)["rows_to_change"] == 6000
    _, answers, _ = run(database, "--apply", approved(database))
    assert [answer["batch"]["rows"] for answer in answers[:-1]] == [5000, 5000, 2000], "the default size"
    assert set(stages(engine)) == {"series-a", "seed"}
    assert run(database, "--verify", before)[0] == 0
    assert run(database, "--restore", before)[1][0]["restored"]["rows"] == 12_000
