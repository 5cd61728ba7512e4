"""Gates that ask a person: whose answer counts, and until when."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pytest_rollout.judge.history import FlagReading
from pytest_rollout.units import format_moment
from pytest_rollout.verdict import CheckResult, Reason, Verdict, inconclusive

_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation:
    """What a named person answered. Times in unix seconds."""

    question: str
    answer: bool
    by: str
    reason: str
    link: str = ""
    given_at: float
    expires_at: float
    head: str
    """The head of the evidence log that the person saw, as ``count:hash``."""
    plan: str
    """Digest of the plan that asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """That somebody takes the risk of a check that did not pass. It is shown everywhere, and it makes nothing pass."""

    check: str
    verdict: str
    """What the check said when it was waived."""
    by: str
    reason: str
    given_at: float
    expires_at: float

    def in_force(self, now: float) -> bool:
        """Whether it is shown beside the check's verdict now."""
        return self.given_at <= now < self.expires_at


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Evidence that an answer given before it did not know of: a breach, a changed flag, a failed slot."""

    at: float
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a gate asks, and where its answer is given."""

    rollout: str
    environment: str
    stage: str
    """Its marker, such as ``stage3``."""
    gate: str
    text: str
    expires: float
    """Seconds that an answer holds at most."""
    two_people: bool

    @property
    def command(self) -> str:
        """The command that answers it."""
        where = f"{self.rollout} {self.stage} {self.gate} --rollout-env {self.environment}"
        return f"rollout attest {where} --yes|--no --by NAME --reason TEXT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What an answer has to stand on now."""

    since: float
    """The flip and settling; an older answer was about something else."""
    plan: str
    """Digest of the plan."""
    heads: Collection[str]
    """Those heads named by answers that the evidence log really had."""
    contradictions: Sequence[Contradiction]
    changed_by: Sequence[str] | None
    """Who made the change; None if nobody knows."""


def changers(readings: Sequence[FlagReading]) -> tuple[str, ...] | None:
    """Return who changed the flags of a stage last; None if nobody knows of one of them, or there are none."""
    names = [reading.changed_by for reading in readings if reading.changed_by]
    return tuple(names) if names and len(names) == len(readings) else None


def judge_attestation(attestations: Sequence[Attestation], asked: Question, ground: Ground, now: float) -> CheckResult:
    """Judge the answers to a question, in the order in which they were recorded: clocks are set back, a log is not.

    The newest counts alone; one that is void has to be given again.
    """
    given = list(attestations)
    known: dict[str, Any] = {
        "samples": len(given),
        "window": (ground.since, now),
        "derivation": _told(given, asked, ground),
    }
    if not given:
        said = f"nobody has answered {asked.text!r} yet; answer it: {asked.command}"
        return inconclusive(Reason.NOT_ATTESTED, said, **known)
    newest = given[-1]
    if why := next(_voids(newest, asked, ground, now), None):
        return inconclusive(Reason.NOT_ATTESTED, f"{why}; answer {asked.text!r} anew: {asked.command}", **known)
    if asked.two_people and newest.answer and (why := _same_person(newest, ground.changed_by, asked)):
        return inconclusive(Reason.SAME_PERSON, why, **known)
    link = f" ({newest.link})" if newest.link else ""
    said = f"{newest.by} answered {'yes' if newest.answer else 'no'} to {asked.text!r}: {newest.reason}{link}"
    if not newest.answer:
        return CheckResult(verdict=Verdict.BREACHED, reason=Reason.ATTESTED_NO, message=said, **known)
    said += f"; holds until {format_moment(_ends(newest, asked))}"
    return CheckResult(verdict=Verdict.PASSED, reason=Reason.WITHIN_LIMIT, message=said, **known)


def _ends(one: Attestation, asked: Question) -> float:
    return min(one.expires_at, one.given_at + asked.expires)


def _voids(one: Attestation, asked: Question, ground: Ground, now: float) -> Iterator[str]:
    """Yield every reason why an answer does not count, in words."""
    if not _person(one.by):
        yield "nobody's name is on the answer"
    if one.question != asked.text:
        yield f"{one.by} answered another question, {one.question!r}"
    if not one.plan or one.plan != ground.plan:
        yield f"{one.by} answered under another plan version"
    if one.head not in ground.heads:
        yield f"{one.by} answered on evidence that this log does not have, {one.head}"
    if one.given_at > now:
        yield f"the answer of {one.by} is dated {format_moment(one.given_at)}, which is yet to come"
    if one.given_at < ground.since:
        settled = format_moment(ground.since)
        yield f"{one.by} answered at {format_moment(one.given_at)}, before the change had settled at {settled}"
    if now >= _ends(one, asked):
        yield f"the answer of {one.by} expired at {format_moment(_ends(one, asked))}"
    later = [found for found in ground.contradictions if found.at >= one.given_at] if one.answer else []
    if later:
        first = min(later, key=_oldest_first)
        yield f"after {one.by} had answered, at {format_moment(first.at)}, {first.what}"


def _same_person(one: Attestation, changed_by: Sequence[str] | None, asked: Question) -> str | None:
    people = [_person(name) for name in changed_by or ()]
    if not people or not all(people):
        why = f"nobody knows who made the change, so it may have been {one.by}"
        return f"the plan wants two people, and {why}; have the flag service tell who changes a flag"
    if _person(one.by) in people:
        return f"the plan wants two people, and {one.by} made the change; have somebody else answer: {asked.command}"
    return None


def _oldest_first(found: Contradiction) -> tuple[float, str]:
    return found.at, found.what


def _person(name: str) -> str:
    """Return a name as it is compared: how it is typed, and what nobody sees, makes nobody a second person."""
    seen = "".join(char for char in unicodedata.normalize("NFKC", name) if not _unseen(char))
    return " ".join(seen.split()).casefold()


def _unseen(char: str) -> bool:
    return unicodedata.category(char) == "Cf" or "\N{VARIATION SELECTOR-1}" <= char <= "\N{VARIATION SELECTOR-16}"


def _told(given: Sequence[Attestation], asked: Question, ground: Ground) -> dict[str, Any]:
    return {
        "rule": "the newest answer alone",
        "question": asdict(asked),
        "plan": ground.plan,
        "answers": [asdict(one) for one in given[-_SHOWN:]],
        "contradictions": [asdict(one) for one in sorted(ground.contradictions, key=_oldest_first)[-_SHOWN:]],
        "changed_by": None if ground.changed_by is None else sorted(set(ground.changed_by)),
    }
