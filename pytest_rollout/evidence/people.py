"""What people said, as records: answers to the questions of a plan, and waivers. The newest one counts."""

from __future__ import annotations

import itertools
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
from pytest_rollout.verdict import Verdict

_LONGEST, _LONGEST_LINK = 200, 2000
"""Characters."""
_UNSEEN = frozenset({"Cc", "Cs", "Zl", "Zp"})
_TURNING = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
"""Control characters, and those that make a line read otherwise than it is written."""
_SECRET = re.compile(r"token|secret|passw|pwd|key|sig|auth|jwt|session|code|credential", re.IGNORECASE)


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
    refuse_odd_texts(given.by, given.reason)
    _refuse_odd_link(given.link)
    entry = Entry(
        kind=Kind.ATTESTATION, place=asked.place, subject=asked.subject, at=given.given_at, data=asdict(given)
    )
    return log.append([entry])


def add_waiver(log: EvidenceLog, place: Place, stage: str, waiver: Waiver) -> Head:
    """Append that a check of a stage is waived, and return the new head. Raises EvidenceError as `add_attestation`."""
    refuse_odd_texts(waiver.by, waiver.reason)
    return log.append([Entry(kind=Kind.WAIVER, place=place, subject=stage, at=waiver.given_at, data=asdict(waiver))])


def waivers(log: EvidenceLog, place: Place, stage: str, now: float) -> dict[str, Waiver]:
    """Return by check the newest waiver of a stage that is in force. Raises EvidenceError."""
    found = [Waiver(**record.data) for record in log.read(Kind.WAIVER, place, stage)]
    return {one.check: one for one in found if one.in_force(now)}


@dataclass(frozen=True, slots=True)
class Found:
    """What the log knows of one question."""

    given: tuple[Attestation, ...] = ()
    """Every answer, the newest last."""
    contradictions: tuple[Contradiction, ...] = ()
    """What the newest one did not know of."""
    heads: tuple[str, ...] = ()
    """Of the heads that the answers name: those that the log really had."""
    changed_by: tuple[str, ...] = ()
    """Who set the flags of the stage to what they are, also when somebody set them so again later."""


def answers(log: EvidenceLog, asked: Asked, now: float) -> Found:
    """Return what is known of a question. The newest answer is the last that was recorded, whatever its time.

    Behind an answer that has expired, nothing is looked for. Raises EvidenceError.
    """
    with log.snapshot() as kept:
        given = [Attestation(**record.data) for record in kept.read(Kind.ATTESTATION, asked.place, asked.subject)]
        heads = {one.head: head for one in given if (head := _known(kept, one.head))}
        newest = given[-1] if given else None
        counts = newest is not None and newest.head in heads and now < newest.expires_at
        found = _contradictions(kept, asked, heads[newest.head], newest.given_at) if newest and counts else []
        makers = [name for flag in asked.flags for name in _makers(kept, asked.place, flag)]
        return Found(tuple(given), tuple(found), tuple(heads), tuple(makers))


def _makers(kept: Snapshot, place: Place, flag: str) -> Iterator[str]:
    """Yield who set a flag to the value it had last, the newest first."""
    records = kept.read(Kind.FLAG, place, flag)[::-1]
    for record in itertools.takewhile(lambda one: one.data["value"] == records[0].data["value"], records):
        if record.data["changed_by"]:
            yield record.data["changed_by"]


def _contradictions(kept: Snapshot, asked: Asked, after: Head, given_at: float) -> list[Contradiction]:
    """Return what was recorded after a head and speaks against an answer given on it; nothing is dated before that.

    Raises EvidenceError unless it is proven that these are all.
    """
    records = _recorded(kept, after)
    found = (_contradiction(record, asked, given_at) or _went_back(record, asked) for record in records)
    return [Contradiction(max(one.at, given_at), one.what) for one in found if one]


def _contradiction(record: Record, asked: Asked, given_at: float) -> Contradiction | None:
    if record.place != asked.place:
        return None
    data, subject = record.data, record.subject
    if record.kind is Kind.GATE and subject.startswith(f"{asked.stage}/") and subject != asked.subject:
        if data["verdict"] == Verdict.BREACHED:
            return Contradiction(record.at, f"{subject} was breached: {data['message']}")
    elif record.kind is Kind.STAGE_LEFT and subject == asked.stage:
        if breached := sorted(name for name, verdict in data["verdicts"].items() if verdict == Verdict.BREACHED):
            others = [name for name in breached if name != asked.gate]
            return Contradiction(record.at, f"{subject}/{others[0]} was breached") if others else None
    elif record.kind is Kind.CANARY_RUN and subject in asked.canaries:
        if data["outcome"] == "failed":
            return Contradiction(data["ended_at"], f"the canary {subject} failed: {data['message']}")
    elif record.kind is Kind.FLAG and subject in asked.flags:
        # A flag is also recorded when somebody looks at it for the first time: then it may have been so all along.
        changed_at = record.at if data["changed_at"] is None else data["changed_at"]
        if data["changed_at"] is None or changed_at > given_at:
            by = f" by {data['changed_by']}" if data["changed_by"] else ""
            return Contradiction(changed_at, f"{subject} was changed to {data['value']}{by}")
    return None


def _went_back(record: Record, asked: Asked) -> Contradiction | None:
    """Return that somebody changed the system by the playbook; that a person did something else is no such change."""
    data = record.data
    if (record.kind, record.place) != (Kind.ROLLBACK, asked.place):
        return None
    if data["event"] != "begun" or data["kind"] == "ask":
        return None
    return Contradiction(record.at, f"{data['by']} went back by {record.subject} of the playbook: {data['reason']}")


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


def refuse_odd_texts(by: str, reason: str) -> None:
    """Raise EvidenceError for a name or a reason that says nothing, or has what nobody sees."""
    for name, text, then in (("name", by, "say who it is"), ("reason", reason, "say why")):
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
    named = parse_qsl("&".join((parts.query, parts.fragment, *parts.path.split(";")[1:])), keep_blank_values=True)
    if "@" in parts.netloc or any(_SECRET.search(name) for name, _ in named):
        raise EvidenceError("the link has credentials in it, and the evidence log is for many eyes; take them out")
