"""What stands in the evidence log: entries, and records, each with the hash of the one before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple, Self

from pytest_rollout.errors import EvidenceError

GENESIS = "0" * 64
"""What the first record names as the hash of the one before."""


class Kind(StrEnum):
    """What a record tells of; these words stand in logs and exports, so they stay as they are."""

    CANARY_RUN = "canary-run"
    SLOT_STARTED = "slot-started"
    SLOT = "slot"
    LOOK = "look"
    GATE = "gate"
    STAGE_ENTERED = "stage-entered"
    STAGE_LEFT = "stage-left"
    FLAG = "flag-change"
    ATTESTATION = "attestation"
    WAIVER = "waiver"
    BLESS = "bless"


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was seen. Evidence of one place says nothing of another, be it a second sandbox."""

    rollout: str
    environment: str
    target: str
    """The URL, without credentials."""


class Head(NamedTuple):
    """The end of a log: how many records it has, and the hash of the last one."""

    count: int
    hash: str

    def __str__(self) -> str:
        """Return ``count:hash``, as it is printed."""
        return f"{self.count}:{self.hash}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Undo ``str``. Raises ValueError."""
        count, _, digest = text.strip().partition(":")
        if not count.isdecimal() or len(digest) != len(GENESIS) or set(digest) - set("0123456789abcdef"):
            raise ValueError(f"{text!r} is not the head of an evidence log; it looks like 12:{'ab' * 32}")
        return cls(int(count), digest)


EMPTY = Head(0, GENESIS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Something to be recorded."""

    kind: Kind
    place: Place
    subject: str
    """What it is about: a canary, ``stage1`` or ``stage1/read-latency``, a flag."""
    at: float
    """When it happened, in unix seconds; for a slot the slot's own time."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """The rest, as JSON can hold it."""
    key: str | None = None
    """No two records of a log have the same key: what may happen only once is given one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record(Entry):
    """An entry with its place in the chain."""

    seq: int
    prev: str
    hash: str

    @property
    def head(self) -> Head:
        """The head of the log when this was its last record."""
        return Head(self.seq, self.hash)


def chained(entry: Entry, before: Head) -> Record:
    """Return the record that follows a head. Raises EvidenceError for data that JSON has no word for."""
    fields = {name: getattr(entry, name) for name in ("kind", "place", "subject", "at", "data", "key")}
    seq, prev = before.count + 1, before.hash
    return Record(**fields, seq=seq, prev=prev, hash=digest_of(entry, seq, prev))


def digest_of(entry: Entry, seq: int, prev: str) -> str:
    """Return the SHA-256 over everything that a record says but for its own hash."""
    told = {
        "seq": seq,
        "prev": prev,
        "kind": entry.kind.value,
        **asdict(entry.place),
        "subject": entry.subject,
        "at": entry.at,
        "key": entry.key,
        "data": entry.data,
    }
    return hashlib.sha256(canonical(told)).hexdigest()


def canonical(data: Any) -> bytes:
    """Return data as the one JSON text that stands for it. Raises EvidenceError if there is none (NaN, an object)."""
    try:
        text = json.dumps(data, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return text.encode()
    except (TypeError, ValueError) as exc:
        raise EvidenceError(f"this cannot be recorded: {exc}; put plain numbers, texts or null there") from exc
