"""Snapshot and restore of the tables that hold stages: a text file that is the same for the same data.

Modes and audit are not in it: putting data back must neither flip a validator nor forget what was done.
"""

import filecmp
import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, delete, insert, select

from sandbox.normalization.db import reading, writing
from sandbox.normalization.migration.columns import COLUMNS
from sandbox.normalization.migration.steps import Steps

FORMAT = "stage-normalization/1"
TABLES: tuple[Table, ...] = tuple(column.table for column in COLUMNS)
_CHUNK = 5000
Row = list[Any]


class SnapshotError(RuntimeError):
    """A file is not a whole snapshot of these tables, or the database did not become what it says."""


@dataclass(frozen=True)
class Restored:
    """How many rows came back, and how many later ones are gone."""

    rows: int
    dropped: int
    sha256: str

    def as_json(self) -> dict[str, Any]:
        """Return what is printed."""
        return asdict(self)


def take(engine: Engine, path: Path) -> dict[str, Any]:
    """Write a snapshot and return its row count and SHA-256. Raises SnapshotError if the file is there."""
    if path.exists():
        raise SnapshotError(f"{path} is there already; a snapshot is never overwritten")
    with reading(engine) as connection:
        return _write(connection, path)


def rows_of(path: Path) -> Iterator[tuple[str, Row]]:
    """Return table and row of a snapshot, in order. Raises SnapshotError if it is not whole."""
    _require_whole(path)
    return _rows(path)


def restore(engine: Engine, path: Path, steps: Steps) -> Restored:
    """Put the tables back to the snapshot, in one transaction that is kept only if the result is equal byte for byte.

    Raises SnapshotError; the database is then as before.
    """
    _require_whole(path)
    with writing(engine) as connection:
        before = _keys(connection)
        count = _replace(connection, path, steps)
        again = path.with_name(f".{path.name}.restored")
        try:
            footer = _write(connection, again)
            if steps.compares and not filecmp.cmp(path, again, shallow=False):
                raise SnapshotError(f"the restored tables differ from {path}; nothing was restored")
        finally:
            again.unlink(missing_ok=True)
        return Restored(count, len(before - _keys(connection)), footer["sha256"])


def _replace(connection: Connection, path: Path, steps: Steps) -> int:
    for table in TABLES:
        connection.execute(delete(table))
    count = 0
    for table in TABLES:
        names = [column.name for column in table.columns]
        rows = (row for name, row in _rows(path) if name == table.name)
        while chunk := list(islice(rows, _CHUNK)):
            kept = steps.restored(chunk)
            if kept:
                connection.execute(insert(table), [dict(zip(names, row, strict=True)) for row in kept])
            count += len(kept)
    return count


def _keys(connection: Connection) -> set[tuple[str, int]]:
    return {(table.name, key) for table in TABLES for key in connection.scalars(select(table.c.id))}


def _write(connection: Connection, path: Path) -> dict[str, Any]:
    """Write header, rows and footer, and give the file its name only when it is whole."""
    draft = path.with_name(f".{path.name}.draft")
    digest, count = hashlib.sha256(), 0
    with draft.open("wb") as file:
        for line in _lines(connection):
            digest.update(line)
            file.write(line)
            count += 1
        footer = {"rows": count - 1, "sha256": digest.hexdigest()}
        file.write(_line(footer))
    draft.replace(path)
    return footer


def _lines(connection: Connection) -> Iterator[bytes]:
    columns = {table.name: [column.name for column in table.columns] for table in TABLES}
    yield _line({"snapshot": FORMAT, "columns": columns})
    for table in TABLES:
        for row in connection.execute(select(table).order_by(table.c.id)):
            yield _line([table.name, *row])


def _line(entry: object) -> bytes:
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _rows(path: Path) -> Iterator[tuple[str, Row]]:
    with path.open(encoding="utf-8") as file:
        entries = (json.loads(line) for line in file)
        yield from ((entry[0], entry[1:]) for entry in entries if isinstance(entry, list))


def _require_whole(path: Path) -> None:
    """Raise SnapshotError unless the file has this format's header and its footer fits what is before it."""
    digest, count, first, last = hashlib.sha256(), 0, b"", b""
    try:
        with path.open("rb") as file:
            for line in file:
                digest.update(last)
                first, last, count = first or line, line, count + 1
        header, footer = json.loads(first), json.loads(last)
    except (OSError, ValueError) as error:
        raise SnapshotError(f"{path} is not a snapshot: {error!r}") from error
    if not isinstance(header, dict) or header.get("snapshot") != FORMAT:
        raise SnapshotError(f"{path} is not a snapshot of the format {FORMAT}")
    if footer != {"rows": count - 2, "sha256": digest.hexdigest()}:
        raise SnapshotError(f"{path} is not a whole snapshot: it was cut or changed")
