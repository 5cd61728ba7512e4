"""What the migration does at each joint where a fault can change it; the defaults are what it ought to do."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from sandbox.normalization import allocations, stages


def sha256(lines: Iterable[str]) -> str:
    """Return the SHA-256 of the lines."""
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode())
        digest.update(b"\n")
    return digest.hexdigest()


@dataclass(frozen=True)
class Steps:
    """One function per joint; a fault replaces one of them."""

    rename: Callable[[str], str | None] = stages.recognise
    """The canonical stage of a stored text, None if it is unknown."""
    merge: Callable[[Iterable[tuple[str, Decimal]]], dict[str, Decimal]] = allocations.merged
    """The shares of an allocation after its stages were renamed."""
    digest: Callable[[Iterable[str]], str] = sha256
    """The digest of a plan, from one line per row that will change."""
    audited: Callable[[Sequence[Any]], Sequence[Any]] = lambda rows: rows
    """The changed rows that get an audit row."""
    looked_at: Callable[[Sequence[Any]], Sequence[Any]] = lambda rows: rows
    """The rows of a batch that are looked at."""
    touches: tuple[str, ...] = ()
    """Other columns an update sets to the present time."""
    planned: Callable[[Connection, Sequence[Any]], None] = lambda _connection, _edits: None
    """What ``--plan`` does after it has looked."""
    restored: Callable[[Sequence[Any]], Sequence[Any]] = lambda rows: rows
    """The rows of a snapshot that come back."""
    compares: bool = True
    """Whether a restored database is compared with its snapshot."""
