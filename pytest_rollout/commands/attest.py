"""``rollout attest`` and ``rollout waive``: a named person answers a question, or takes the risk of a check."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pytest_rollout.errors import EvidenceError, PlanError, RolloutError
from pytest_rollout.evidence.log import EvidenceLog
from pytest_rollout.evidence.people import Asked, add_attestation, add_waiver
from pytest_rollout.evidence.record import Head, Kind, Place
from pytest_rollout.evidence.verify import verify
from pytest_rollout.judge.attestation import Attestation, Waiver
from pytest_rollout.plan.kinds import Attest
from pytest_rollout.plan.loader import LoadedPlan, load_plan
from pytest_rollout.plan.model import Stage
from pytest_rollout.plan.strict import did_you_mean
from pytest_rollout.plugin.selection import SUFFIX, walk
from pytest_rollout.sources.http import without_credentials
from pytest_rollout.target import enter_as_it_is
from pytest_rollout.units import format_duration, format_moment, parse_duration

T = TypeVar("T")
Say = Callable[[str], None]
_RECORDED, _REFUSED = 0, 2


class RefusedError(RolloutError):
    """What somebody says is not recorded, as it would not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What somebody says about a gate, as it was typed."""

    rollout: str
    stage: str
    gate: str
    by: str
    reason: str
    expires: str | None
    """A duration; None for as long as the plan lets an answer hold."""
    environment: str
    answer: bool | None = None
    """To the gate's question; None is neither yes nor no."""
    link: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """Where plans and evidence are."""

    plans: Path
    """A plan, or a folder with plans."""
    evidence: str
    """File or URL."""
    variables: Mapping[str, str]
    """The process environment."""


def attest(said: Statement, around: Around, say: Say) -> int:
    """Record the answer to a gate that asks people. Returns the exit status: 0, or 2 if nothing was recorded."""
    return _tell(_attest(said, around), say)


def waive(said: Statement, around: Around, say: Say) -> int:
    """Record that somebody takes the risk of a check that did not pass. Returns the exit status, as `attest`."""
    return _tell(_waive(said, around), say)


def _tell(lines: Iterator[str], say: Say) -> int:
    try:
        for line in lines:
            say(line)
    except RolloutError as exc:
        say(f"rollout: {exc}")
        return _REFUSED
    return _RECORDED


def _attest(said: Statement, around: Around) -> Iterator[str]:
    loaded, stage = _stage(said, around.plans)
    question = _question(stage, said)
    place = _place(loaded, said.environment, around.variables)
    yield f"{said.gate} of {said.rollout} {said.stage} in {said.environment} ({place.target}) asks:"
    yield f"  {question.question}"
    if said.answer is None:
        raise RefusedError("answer it with one of --yes and --no")
    holds = _holding(said, question.expires)
    with _whole(around.evidence) as (log, head):
        now = log.now()
        given = Attestation(
            question=question.question,
            answer=said.answer,
            by=said.by,
            reason=said.reason,
            link=said.link,
            given_at=now,
            expires_at=now + holds,
            head=str(head),
            plan=loaded.digest,
        )
        after = add_attestation(log, Asked(place=place, stage=said.stage, gate=said.gate), given)
    yield from _told_answer(given, question, after)


def _told_answer(given: Attestation, question: Attest, after: Head) -> Iterator[str]:
    link = f" ({given.link})" if given.link else ""
    yield f"recorded: {'yes' if given.answer else 'no'}, by {given.by}: {given.reason}{link}"
    unless = "something speaks against it" if given.answer else "somebody answers anew; the stage is NO-GO meanwhile"
    yield f"holds until {format_moment(given.expires_at)}, unless {unless}"
    if question.two_people and given.answer:
        yield f"the plan wants two people: it does not count if {given.by} made the change"
    yield f"given on the evidence {given.head}"
    yield f"the evidence is now   {after}"


def _waive(said: Statement, around: Around) -> Iterator[str]:
    loaded, stage = _stage(said, around.plans)
    _picked({gate.id: gate for gate in stage.gates}, said.gate, f"{said.rollout} {said.stage} has no gate")
    place = _place(loaded, said.environment, around.variables)
    holds = _holding(said, None)
    with _whole(around.evidence) as (log, _):
        now, judged = log.now(), log.latest(Kind.GATE, place, f"{said.stage}/{said.gate}")
        waiver = Waiver(
            check=said.gate,
            verdict=judged.data["verdict"] if judged else "",
            by=said.by,
            reason=said.reason,
            given_at=now,
            expires_at=now + holds,
        )
        after = add_waiver(log, place, said.stage, waiver)
    where = f"{said.rollout} {said.stage} in {said.environment} ({place.target})"
    yield f"recorded: {said.gate} of {where} is waived by {said.by}: {said.reason}"
    yield f"its verdict: {waiver.verdict or 'it was not judged yet'}"
    yield f"shown on every report until {format_moment(waiver.expires_at)}; it never counts as passed"
    yield f"the evidence is now   {after}"


# --- what it is about ---


def _stage(said: Statement, plans: Path) -> tuple[LoadedPlan, Stage]:
    found = [load_plan(path) for path in walk(plans)]
    if not found:
        raise PlanError(f"no *{SUFFIX} at or below {plans}; name a file or a folder with --plan")
    named = {loaded.plan.rollout: loaded for loaded in found}
    loaded = _picked(named, said.rollout, f"no plan at or below {plans} is about")
    if sum(one.plan.rollout == said.rollout for one in found) > 1:
        raise RefusedError(f"several plans at or below {plans} are about {said.rollout!r}; name one with --plan")
    stages = {stage.marker: stage for stage in loaded.plan.stages}
    return loaded, _picked(stages, said.stage, f"{said.rollout} has no stage")


def _question(stage: Stage, said: Statement) -> Attest:
    questions = {gate.id: gate.attestation for gate in stage.gates if gate.attestation is not None}
    if not questions:
        raise RefusedError(f"{said.rollout} {said.stage} asks nobody; its gates are decided by evidence alone")
    return _picked(questions, said.gate, f"{said.rollout} {said.stage} asks nobody about")


def _picked(among: Mapping[str, T], name: str, what: str) -> T:
    if name not in among:
        raise RefusedError(f"{what} {name!r}; {did_you_mean(name, list(among))}")
    return among[name]


def _place(loaded: LoadedPlan, environment: str, variables: Mapping[str, str]) -> Place:
    """Return what evidence of an environment is filed under; a sandbox has to be up, as each is a place of its own."""
    target = enter_as_it_is(loaded, environment, variables)
    return Place(loaded.plan.rollout, environment, without_credentials(target.url))


def _holding(said: Statement, longest: float | None) -> float:
    """Return for how many seconds it is to hold."""
    if said.expires is None and longest is not None:
        return longest
    try:
        holds = parse_duration(said.expires)
    except ValueError as exc:
        raise RefusedError(f"--expires: {exc}") from exc
    if holds <= 0:
        raise RefusedError("--expires: it has to hold for longer than nothing")
    if longest is not None and holds > longest:
        raise RefusedError(f"--expires: the plan lets an answer hold for {format_duration(longest)} at most")
    return holds


@contextmanager
def _whole(address: str) -> Iterator[tuple[EvidenceLog, Head]]:
    """Open an evidence log that has every record it ever had, and give its head. Raises EvidenceError."""
    with closing(EvidenceLog(address, create=False)) as log:
        with log.snapshot() as kept:
            head = kept.head()
            broken = verify(kept.kept_records(), head, kept.kept_counts())
        if broken:
            raise EvidenceError(
                f"the evidence log {address} is broken: {broken}; find out why before anybody vouches for it"
            )
        yield log, head
