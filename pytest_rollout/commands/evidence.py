"""``rollout evidence``: verify, export and show the evidence log."""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO

from pytest_rollout.errors import EvidenceError
from pytest_rollout.evidence.log import EvidenceLog
from pytest_rollout.evidence.record import Head, Kind, Stored
from pytest_rollout.evidence.snapshot import Snapshot
from pytest_rollout.evidence.verify import Broken, verify
from pytest_rollout.units import format_moment

Say = Callable[[str], None]
_WHOLE, _BROKEN, _UNREADABLE = 0, 1, 2
_SHOWN = 200


def verify_log(address: str, given: str | None, say: Say) -> int:
    """Say how many records there are, the head, and "whole"; or the first broken record. Returns the exit code."""
    try:
        earlier = Head.parse(given) if given else None
        with _snapshot(address) as kept:
            head, broken = kept.kept_head(), verify(kept.kept_records(), kept.kept_head(), kept.kept_counts(), earlier)
    except (EvidenceError, ValueError) as exc:
        say(f"rollout: {exc}")
        return _UNREADABLE
    return _conclude(address, head, broken, say)


def export_log(address: str, output: Path | None, say: Say) -> int:
    """Write a line of JSON for each record, to a file in one step or to the standard output. Returns the exit code.

    A line is exactly what was hashed: the SHA-256 of its bytes, without the line feed, is the record's hash, which the
    next line has as ``prev``; that of the last line is the hash of the head. What is broken is written, too, and said.
    """
    try:
        with _snapshot(address) as kept, _sink(output) as file:
            rows = _written(kept.kept_records(), file)
            head, broken = kept.kept_head(), verify(rows, kept.kept_head(), kept.kept_counts())
            deque(rows, maxlen=0)  # what follows a broken record
    except EvidenceError as exc:
        say(f"rollout: {exc}")
        return _UNREADABLE
    except OSError as exc:
        say(f"rollout: {output or 'the export'}: not written: {exc.strerror}; choose another file")
        return _UNREADABLE
    return _conclude(address, head, broken, say)


def show_log(address: str, kind: Kind | None, subject: str | None, last: int | None, say: Say) -> int:
    """Say a line for each record, the newest last. Returns the exit code."""
    try:
        with _snapshot(address) as kept:
            everything = kind is None and subject is None
            skipped = max(kept.kept_head().count - last, 0) if last and everything else 0
            rows = (row for row in kept.kept_records(skipped) if _wanted(row, kind, subject))
            shown = deque(rows, last)
    except EvidenceError as exc:
        say(f"rollout: {exc}")
        return _UNREADABLE
    for row in shown:
        say(_line(row))
    broken = [row.seq for row in shown if not row.intact]
    if broken:
        say(f"rollout: record {broken[0]} is not what was written; run: rollout evidence verify")
    return _BROKEN if broken else _WHOLE


@contextmanager
def _snapshot(address: str) -> Iterator[Snapshot]:
    with closing(EvidenceLog(address, create=False)) as log, log.snapshot() as kept:
        yield kept


def _conclude(address: str, head: Head, broken: Broken | None, say: Say) -> int:
    if broken:
        say(f"rollout: the evidence log {address} is broken: {broken}")
        return _BROKEN
    say(f"{head.count} records, head {head}: whole")
    return _WHOLE


def _written(rows: Iterator[Stored], file: BinaryIO) -> Iterator[Stored]:
    for row in rows:
        file.write(row.line.encode(errors="surrogateescape") + b"\n")
        yield row


@contextmanager
def _sink(output: Path | None) -> Iterator[BinaryIO]:
    """Open a file that appears under its name when all is written, or the standard output."""
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    draft = output.with_name(f".{output.name}.{secrets.token_hex(4)}.tmp")
    try:
        with draft.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(output)
    finally:
        draft.unlink(missing_ok=True)


def _wanted(row: Stored, kind: Kind | None, subject: str | None) -> bool:
    """Whether a record is of a kind and subject; the subject ``stage1`` has ``stage1/read-latency`` in it."""
    if kind not in (None, row.kind):
        return False
    return subject is None or row.subject == subject or row.subject.startswith((f"{subject}/", f"{subject}@"))


def _line(row: Stored) -> str:
    where = f"{row.rollout}/{row.environment}"
    told = f"{row.seq:>6}  {format_moment(row.at)}  {row.kind:<13}  {where}  {row.subject}  {_told(row)}"
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in told)


def _told(row: Stored) -> str:
    """Return the data in short: ``outcome ok, attempt 1``. Empty values are left out."""
    try:
        data = json.loads(row.data)
        told = ", ".join(f"{name} {_short(value)}" for name, value in data.items() if value not in (None, "", [], {}))
    except (AttributeError, ValueError):
        told = row.data
    return told if len(told) <= _SHOWN else f"{told[:_SHOWN]} ..."


def _short(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
