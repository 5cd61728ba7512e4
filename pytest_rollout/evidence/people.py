"""What people said, as records: answers to the questions of a plan, and waivers. The newest one counts."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from urllib.parse import parse_qsl, urlsplit

from pytest_rollout.errors import EvidenceError
from pytest_rollout.evidence.log import EvidenceLog
from pytest_rollout.evidence.record import Entry, Head, Kind, Place, Record
from pytest_rollout.evidence.snapshot import Snapshot
from pytest_rollout.judge.attestation import Attestation, Contradiction, Waiver
from pytest_rollout.judge.slot import SlotState
from pytest_rollout.verdict import Verdict

_LONGEST, _LONGEST_LINK = 200, 2000
"""Characters."""
_UNSEEN = frozenset({"Cc", "Cs", "Zl", "Zp"})
_TURNING = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
"""Control characters, and those that make a line read otherwise than it is written."""
_SECRET = re.compile(r"token|secret|password|api-?key|signature", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A gate that asks people, and whatever else may speak against an answer."""

    place: Place
    stage: str
    """Its marker, such as ``stage3``."""
    gate: str
    flags: Collection[str] = ()
    """``FLAG@cohort`` for each flag of the stage."""
    canaries: Collection[str] = ()
    """Those that gates of the stage rest on."""

    @property
    def subject(self) -> str:
        """What its answers are recorded under, such as ``stage3/support-tickets``."""
        return f"{self.stage}/{self.gate}"


def add_attestation(log: EvidenceLog, asked: Asked, given: Attestation) -> Head:
    """Append an answer and return the new head. Raises EvidenceError, also for texts that nobody should sign."""
    _refuse_odd_texts(given)
    _refuse_odd_link(given.link)
    entry = Entry(
        kind=Kind.ATTESTATION, place=asked.place, subject=asked.subject, at=given.given_at, data=asdict(given)
    )
    return log.append([entry])


def add_waiver(log: EvidenceLog, place: Place, stage: str, waiver: Waiver) -> Head:
    """Append that a check of a stage is waived, and return the new head. Raises EvidenceError as `add_attestation`."""
    _refuse_odd_texts(waiver)
    return log.append([Entry(kind=Kind.WAIVER, place=place, subject=stage, at=waiver.given_at, data=asdict(waiver))])


def waivers(log: EvidenceLog, place: Place, stage: str, now: float) -> dict[str, Waiver]:
    """Return by check the newest waiver of a stage that is in force. Raises EvidenceError."""
    found = [Waiver(**record.data) for record in log.read(Kind.WAIVER, place, stage)]
    return {one.check: one for one in found if one.in_force(now)}


def answers(log: EvidenceLog, asked: Asked, now: float) -> tuple[list[Attestation], list[Contradiction], list[str]]:
    """Return every answer, what the newest one did not know of, and which of the heads they name the log had.

    Behind an answer that has expired, nothing is looked for. Raises EvidenceError.
    """
    with log.snapshot() as kept:
        given = [Attestation(**record.data) for record in kept.read(Kind.ATTESTATION, asked.place, asked.subject)]
        heads = {one.head: head for one in given if (head := _known(kept, one.head))}
        latest = max((one.given_at for one in given), default=now)
        counting = [one for one in given if one.given_at == latest and one.head in heads and now < one.expires_at]
        first = min((heads[one.head] for one in counting), key=lambda head: head.count, default=None)
        found = _contradictions(kept, asked, first, latest) if first else []
        return given, found, list(heads)


def _contradictions(kept: Snapshot, asked: Asked, after: Head, given_at: float) -> list[Contradiction]:
    """Return what was recorded after a head and speaks against an answer given on it; nothing is dated before that.

    Raises EvidenceError unless it is proven that these are all.
    """
    found = (_contradiction(record, asked, given_at) for record in _recorded(kept, after))
    return [Contradiction(max(one.at, given_at), one.what) for one in found if one]


def _contradiction(record: Record, asked: Asked, given_at: float) -> Contradiction | None:
    if record.place != asked.place:
        return None
    data, subject = record.data, record.subject
    if record.kind is Kind.GATE and subject.startswith(f"{asked.stage}/") and subject != asked.subject:
        if data["verdict"] == Verdict.BREACHED:
            return Contradiction(record.at, f"{subject} was breached: {data['message']}")
    elif record.kind is Kind.SLOT and subject in asked.canaries:
        if data["state"] == SlotState.FAILED:
            return Contradiction(data["ended_at"], f"the canary {subject} failed: {data['message']}")
    elif record.kind is Kind.FLAG and subject in asked.flags:
        # A flag is also recorded when somebody looks at it for the first time: then it may have been so all along.
        changed_at = record.at if data["changed_at"] is None else data["changed_at"]
        if data["changed_at"] is None or changed_at > given_at:
            by = f" by {data['changed_by']}" if data["changed_by"] else ""
            return Contradiction(changed_at, f"{subject} was changed to {data['value']}{by}")
    return None


def _recorded(kept: Snapshot, after: Head) -> Iterator[Record]:
    """Yield all records after a head that the log had: one that is missing breaks the chain, and the last is known."""
    end = after
    for record in kept.records(after.count):
        if (record.seq, record.prev) != (end.count + 1, end.hash):
            raise EvidenceError(f"the evidence log is not whole after record {end.count}; run: rollout evidence verify")
        yield record
        end = record.head


def _known(kept: Snapshot, text: str) -> Head | None:
    """Return a head that was written down, if the log had it."""
    try:
        head = Head.parse(text)
    except ValueError:
        return None
    return head if kept.had(head) else None


def _refuse_odd_texts(said: Attestation | Waiver) -> None:
    for name, text, then in (("name", said.by, "say who it is"), ("reason", said.reason, "say why")):
        if not any(map(str.isalnum, text)):
            raise EvidenceError(f"the {name} {text!r} says nothing; {then}")
        if len(text) > _LONGEST:
            raise EvidenceError(
                f"the {name} has {len(text)} characters; {_LONGEST} are enough, put the rest behind a link"
            )
        if any(unicodedata.category(c) in _UNSEEN or unicodedata.bidirectional(c) in _TURNING for c in text):
            raise EvidenceError(f"the {name} {text!r} has characters that nobody sees; type it anew on one line")


def _refuse_odd_link(link: str) -> None:
    if not link:
        return
    try:
        parts = urlsplit(link)
        usable = parts.scheme in ("http", "https") and parts.hostname and len(link) <= _LONGEST_LINK
    except ValueError:
        usable = False
    if not (usable and link.isprintable() and " " not in link):
        raise EvidenceError("the link is none; write http:// or https:// and an address, 2000 characters at most")
    if "@" in parts.netloc or any(_SECRET.search(name) for name, _ in parse_qsl(parts.query, keep_blank_values=True)):
        raise EvidenceError("the link has credentials in it, and the evidence log is for many eyes; take them out")
