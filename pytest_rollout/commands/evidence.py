"""``rollout evidence``: verify, export and show the evidence log."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from pytest_rollout.errors import EvidenceError
from pytest_rollout.evidence.log import EvidenceLog
from pytest_rollout.evidence.record import Head, Kind, Stored
from pytest_rollout.evidence.snapshot import Snapshot
from pytest_rollout.evidence.verify import Broken, verify
from pytest_rollout.units import format_moment

Say = Callable[[str], None]
_WHOLE, _BROKEN, _UNREADABLE = 0, 1, 2
_WIDTH = 160
"""Characters in a line where there is no terminal."""
_TELLING = {
    Kind.RUN_STARTED: ("run_id",),
    Kind.CANARY_RUN: ("outcome", "message"),
    Kind.SLOT_STARTED: ("holder",),
    Kind.SLOT: ("state", "message"),
    Kind.LOOK: ("count",),
    Kind.GATE: ("verdict", "message"),
    Kind.STAGE_ENTERED: ("plan",),
    Kind.STAGE_LEFT: ("decision",),
    Kind.FLAG: ("value", "changed_by", "changed_at"),
    Kind.ATTESTATION: ("answer", "by", "reason"),
    Kind.WAIVER: ("check", "by", "reason"),
    Kind.ROLLBACK: ("event", "message", "flag", "cohort", "fault", "by", "reason"),
}
"""What matters of each kind's data, the most important first."""
_BEFORE = {"by": "by", "changed_by": "by", "holder": "by", "count": "look"}


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
    width = shutil.get_terminal_size((_WIDTH, 0)).columns
    for row in shown:
        say(_line(row, width))
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


def _line(row: Stored, width: int) -> str:
    when, where = format_moment(row.at), f"{row.rollout}/{row.environment}"
    told = f"{row.seq:>6}  {when}  {where}  {row.kind:<13}  {row.subject}: {_told(row)}"
    plain = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in told)
    return plain if len(plain) <= width else f"{plain[: width - 3]}..."


def _told(row: Stored) -> str:
    """Return what matters of a record's data; an export has all of it."""
    try:
        data = json.loads(row.data)
        words = [_word(name, data[name]) for name in _TELLING[Kind(row.kind)] if data.get(name) not in (None, "")]
    except (AttributeError, LookupError, ValueError):  # damaged, or nothing is known of this kind
        return row.data
    return ", ".join(words)


def _word(name: str, value: Any) -> str:
    if name == "answer":
        return "yes" if value else "no"
    if name == "changed_at":
        return f"at {format_moment(value)}"
    if name == "plan":
        return f"plan {value[:12]}"
    text = value if isinstance(value, str) else json.dumps(value)
    return f"{_BEFORE[name]} {text}" if name in _BEFORE else text
