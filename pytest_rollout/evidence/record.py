"""What stands in the evidence log: entries, and records, each with the hash of the one before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from json.encoder import encode_basestring_ascii
from typing import Any, NamedTuple, Self

from pytest_rollout.errors import EvidenceError

GENESIS = "0" * 64
"""What the first record names as the hash of the one before."""


class Kind(StrEnum):
    """What a record tells of; these words stand in logs and exports, so they stay as they are."""

    RUN_STARTED = "run-started"
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
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was seen. Evidence of one place says nothing of another, be it a second sandbox."""

    rollout: str
    environment: str
    target: str
    """The URL, without credentials."""


@dataclass(frozen=True, slots=True)
class Head:
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
    """Something to be recorded. Entries of one kind, place and subject make a stream."""

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


class StreamName(NamedTuple):
    """What the entries of a stream have in common."""

    kind: str
    rollout: str
    environment: str
    target: str
    subject: str

    @classmethod
    def of(cls, kind: Kind, place: Place, subject: str) -> Self:
        """Return the name of the stream of a kind, place and subject."""
        return cls(kind.value, place.rollout, place.environment, place.target, subject)


class Stored(NamedTuple):
    """A record as it is kept, whether or not it is still what it was."""

    seq: int
    prev: str
    hash: str
    kind: str  # from here on the fields of StreamName
    rollout: str
    environment: str
    target: str
    subject: str
    at: float
    key: str | None
    data: str
    """Canonical JSON."""
    nth: int
    """Its number in its stream, from 1: a gap there shows that a record is missing, without reading the whole log."""
    peak: float
    """The latest ``at`` of its stream up to here. It never falls, though a clock may be set back."""

    @property
    def stream(self) -> StreamName:
        """The stream it belongs to."""
        return StreamName(*self[3:8])

    @property
    def line(self) -> str:
        """The canonical JSON that is hashed: all of it but ``hash``."""
        key = "null" if self.key is None else _quoted(self.key)
        return (
            f'{{"at":{self.at!r},"data":{self.data},"environment":{_quoted(self.environment)},"key":{key},'
            f'"kind":{_quoted(self.kind)},"nth":{self.nth},"peak":{self.peak!r},"prev":"{self.prev}",'
            f'"rollout":{_quoted(self.rollout)},"seq":{self.seq},"subject":{_quoted(self.subject)},'
            f'"target":{_quoted(self.target)}}}'
        )

    def follow(self, before: Head, nth: int, peak: float) -> Self:
        """Return it as the record after a head, the nth of its stream, whose latest time was ``peak`` so far."""
        placed = self._replace(seq=before.count + 1, prev=before.hash, nth=nth, peak=max(peak, self.at))
        return placed._replace(hash=digest(placed.line))

    @property
    def intact(self) -> bool:
        """Whether its hash fits its content."""
        try:
            return digest(self.line) == self.hash
        except ValueError:  # text that is no Unicode
            return False

    def record(self) -> Record:
        """Return what was recorded. Raises ValueError if it is not intact and therefore not understood."""
        return Record(
            kind=Kind(self.kind),
            place=Place(self.rollout, self.environment, self.target),
            subject=self.subject,
            at=self.at,
            data=json.loads(self.data),
            key=self.key,
            seq=self.seq,
            prev=self.prev,
            hash=self.hash,
        )


def draft(entry: Entry) -> Stored:
    """Return an entry as it will be kept, without a place in the chain yet.

    Raises EvidenceError for what JSON or a database has no word for.
    """
    stream = StreamName.of(entry.kind, entry.place, entry.subject)
    if any(not _plain(text) for text in (*stream, entry.key or "")):
        raise EvidenceError(f"this cannot be recorded: {entry.subject!r} or its place or key holds what is no text")
    at = float(entry.at) + 0.0  # no negative zero: SQLite does not keep its sign
    canonical(at)
    return Stored(0, "", "", *stream, at, entry.key, canonical(entry.data), 0, at)


def digest(line: str) -> str:
    """Return the SHA-256 of a text in UTF-8, in hexadecimal."""
    return hashlib.sha256(line.encode()).hexdigest()


def canonical(data: Any) -> str:
    """Return data as the one JSON text that stands for it: ASCII, keys in alphabetical order, no spaces.

    Raises EvidenceError if there is none (NaN, an object).
    """
    try:
        plain = json.loads(json.dumps(data, allow_nan=False))  # a number as a key becomes a text, which sorts otherwise
    except (TypeError, ValueError) as exc:
        raise EvidenceError(f"this cannot be recorded: {exc}; put plain numbers, texts or null there") from exc
    return json.dumps(plain, sort_keys=True, separators=(",", ":"))


def _quoted(text: object) -> str:
    """Return a text in JSON; in a damaged row it may be something else."""
    return encode_basestring_ascii(str(text))


def _plain(text: str) -> bool:
    """Whether every database can keep a text: PostgreSQL takes no NUL, and half a surrogate pair is no Unicode."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
