"""Snapshot and restore: the same data gives the same bytes, and bytes that are not whole restore nothing."""

import hashlib
import json
from pathlib import Path

import pytest
from sqlalchemy import insert
from sqlalchemy.orm import Session

from sandbox.normalization.db import Company, ModeChange, open_database
from sandbox.normalization.migration.snapshot import SnapshotError, restore, rows_of
from sandbox.normalization.migration.steps import Steps
from tests.sandbox.normalization.migration.data import (
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


def snapshot(database: Path, name: str = "before") -> Path:
    path = database.with_name(f"{name}.snapshot")
    assert run(database, "--snapshot", path)[0] == 0
    return path


def test_restored_tables_are_equal_byte_for_byte(database: Path) -> None:
    before = snapshot(database)
    run(database, "--apply", plan(database)["digest"])
    assert snapshot(database, "migrated").read_bytes() != before.read_bytes()
    code, (answer,), _ = run(database, "--restore", before)
    count = sum(plan(database)["rows"].values())
    assert (code, answer["restored"]["rows"], answer["restored"]["dropped"]) == (0, count, 0)
    assert snapshot(database, "restored").read_bytes() == before.read_bytes()
    assert {path.suffix for path in database.parent.iterdir()} <= {".db", ".db-wal", ".db-shm", ".snapshot"}


def test_plan_is_as_before_after_a_restore_and_can_be_applied_again(database: Path, tmp_path: Path) -> None:
    first, before = plan(database), snapshot(database)
    run(database, "--apply", first["digest"])
    engine = open_database(database)
    migrated = data_digest(engine, tmp_path)
    run(database, "--restore", before)
    assert plan(database) == first
    assert run(database, "--apply", first["digest"])[0] == 0
    assert data_digest(engine, tmp_path) == migrated
    assert run(database, "--verify", before)[0] == 0


def test_modes_audit_and_quarantine_are_not_put_back(database: Path) -> None:
    before = snapshot(database)
    run(database, "--apply", plan(database)["digest"])
    engine = open_database(database)
    kept = (rows(engine, ModeChange), audit(engine), quarantine(engine))
    run(database, "--restore", before)
    assert (rows(engine, ModeChange), audit(engine), quarantine(engine)) == kept
    assert all(kept)


def test_rows_later_than_the_snapshot_go_and_are_told(tmp_path: Path) -> None:
    engine = make(tmp_path / "db", ["seed", "Series A"], [])
    before = snapshot(tmp_path / "db")
    with Session(engine) as session, session.begin():
        session.execute(insert(Company), [company(key, "seed") for key in (3, 4)])
    _, (answer,), _ = run(tmp_path / "db", "--restore", before)
    assert (answer["restored"]["rows"], answer["restored"]["dropped"]) == (2, 2)
    assert stages(engine) == ["seed", "Series A"]


def test_odd_texts_survive(tmp_path: Path) -> None:
    texts = [
        "a\0b",
        "new\nline",
        "\N{LINE SEPARATOR}",
        '"quoted"',
        "s\N{CYRILLIC SMALL LETTER IE}d",
        "\N{SEEDLING}",
        "",
    ]
    engine = make(tmp_path / "db", texts, [{"\N{SEEDLING}\n": "1"}])
    before = snapshot(tmp_path / "db")
    assert run(tmp_path / "db", "--restore", before)[0] == 0
    assert stages(engine) == texts


def cut(lines: list[bytes]) -> list[bytes]:
    return lines[:-1]


def without_a_row(lines: list[bytes]) -> list[bytes]:
    return lines[:3] + lines[4:]


def without_end(lines: list[bytes]) -> list[bytes]:
    return lines[: len(lines) // 2]


def with_a_change(lines: list[bytes]) -> list[bytes]:
    return [lines[0], lines[1].replace(b"Company 1", b"Company 9"), *lines[2:]]


def with_more(lines: list[bytes]) -> list[bytes]:
    return [*lines, lines[1]]


def of_another_format(lines: list[bytes]) -> list[bytes]:
    rows = [lines[0].replace(b"/1", b"/2"), *lines[1:-1]]
    footer = {"rows": len(rows) - 1, "sha256": hashlib.sha256(b"".join(rows)).hexdigest()}
    return [*rows, json.dumps(footer).encode()]


@pytest.mark.parametrize("damage", [cut, without_a_row, without_end, with_a_change, with_more, of_another_format])
def test_snapshot_that_is_not_whole_is_refused(tmp_path: Path, damage: object) -> None:
    engine = make(tmp_path / "db", ["seed", "Series A", "series b"], [{"seed": "1"}])
    before = snapshot(tmp_path / "db")
    whole = before.read_bytes().splitlines(keepends=True)
    assert callable(damage)
    before.write_bytes(b"".join(damage(whole)))
    for command in ("--restore", "--verify"):
        code, answers, complaint = run(tmp_path / "db", command, before)
        assert (code, answers) == (1, [])
        assert complaint.startswith(f"{before} is not a")
    assert stages(engine) == ["seed", "Series A", "series b"]


@pytest.mark.parametrize("content", [b"", b"\n", b"[]\n", b"\xff\xfe", b'{"rows":0,"sha256":""}\n', None])
def test_file_that_is_no_snapshot_is_refused(tmp_path: Path, content: bytes | None) -> None:
    engine, path = make(tmp_path / "db", ["seed"], []), tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SnapshotError):
        rows_of(path)
    with pytest.raises(SnapshotError):
        restore(engine, path, Steps())
    assert stages(engine) == ["seed"]


def test_restore_that_differs_is_undone(tmp_path: Path) -> None:
    engine = make(tmp_path / "db", ["Series A", "series-b"], [{"seed": "1"}])
    before = snapshot(tmp_path / "db")
    run(tmp_path / "db", "--apply", plan(tmp_path / "db")["digest"])
    with pytest.raises(SnapshotError, match=r"the restored tables differ from .*; nothing was restored"):
        restore(engine, before, Steps(restored=lambda rows: rows[:-1]))
    assert stages(engine) == ["series-a", "series-b"]


def test_snapshot_is_never_overwritten(database: Path) -> None:
    before = snapshot(database)
    content = before.read_bytes()
    code, _, complaint = run(database, "--snapshot", before)
    assert (code, complaint) == (1, f"{before} is there already; a snapshot is never overwritten\n")
    assert before.read_bytes() == content


def test_footer_tells_rows_and_digest(database: Path) -> None:
    path = database.with_name("one.snapshot")
    _, (answer,), _ = run(database, "--snapshot", path)
    footer = json.loads(path.read_bytes().splitlines()[-1])
    assert answer == {"snapshot": str(path), **footer}
    assert footer["rows"] == sum(plan(database)["rows"].values())
