"""``rollout rollback``: show the playbook of a plan, or carry out one action of it and prove that it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_rollout.errors import EvidenceError, PlanError, RolloutError
from pytest_rollout.evidence.log import EvidenceLog
from pytest_rollout.evidence.people import refuse_odd_texts
from pytest_rollout.evidence.record import Entry, Kind, Place
from pytest_rollout.evidence.results import add_flags
from pytest_rollout.plan.loader import LoadedPlan, load_plan
from pytest_rollout.plan.rollback import Action
from pytest_rollout.playbook import Ground, Outcome, carry_out, find_action, prospect
from pytest_rollout.plugin.selection import SUFFIX, walk
from pytest_rollout.sources.http import Http, without_credentials
from pytest_rollout.target import Target, enter_as_it_is
from pytest_rollout.units import format_duration

Say = Callable[[str], None]
_CONFIRMED, _NOT_CONFIRMED, _WRONG = 0, 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be done, as it was typed."""

    plan: Path
    """A plan, or a folder with one."""
    action: str | None
    """None shows the playbook."""
    environment: str
    by: str
    reason: str
    evidence: str
    """File or URL."""
    variables: Mapping[str, str]
    """The process environment."""
    folder: Path
    """Where commands run."""


def rollback(asked: Asked, say: Say) -> int:
    """Show the playbook, or carry out an action. Returns the exit status.

    0: shown, or proven to be done and recorded; 1: not proven, or not recorded; 2: nothing was done, as what was asked
    for makes no sense.
    """
    try:
        loaded = _plan(asked.plan)
        action = None if asked.action is None else find_action(loaded.plan, asked.action)
        if action is not None:
            refuse_odd_texts(asked.by, asked.reason)
        target = enter_as_it_is(loaded, asked.environment, asked.variables)
        with _ground(loaded, target, asked.folder) as ground:
            if action is None:
                return _show(loaded, target, ground, say)
            return _do(action, ground, Journal(asked.evidence, _place(loaded, target), action.id, say), asked)
    except RolloutError as exc:
        say(f"rollout: {exc}")
        return _WRONG


def _plan(place: Path) -> LoadedPlan:
    found = list(walk(place))
    if len(found) != 1:
        names = f"{len(found)} plans ({', '.join(path.name for path in found)})" if found else f"no *{SUFFIX}"
        raise PlanError(f"{names} at or below {place}; name one plan")
    return load_plan(found[0])


def _place(loaded: LoadedPlan, target: Target) -> Place:
    return Place(loaded.plan.rollout, target.environment, without_credentials(target.url))


@contextmanager
def _ground(loaded: LoadedPlan, target: Target, folder: Path) -> Iterator[Ground]:
    token = target.flags_token
    with closing(Http(headers={"Authorization": f"Bearer {token}"} if token else {})) as http:
        yield Ground.of(
            loaded.plan,
            http=http,
            flags_url=target.flags_url,
            variables=target.variables,
            folder=folder,
            secrets=(token,) if token else (),
        )


def _show(loaded: LoadedPlan, target: Target, ground: Ground, say: Say) -> int:
    if not loaded.plan.rollback:
        raise PlanError(
            f"the plan of {loaded.plan.rollout} has no playbook; add rollback: [{{id: ..., set: ...}}] to it"
        )
    say(f"the playbook of {_where(_place(loaded, target))}, in this order:")
    for number, action in enumerate(loaded.plan.rollback, 1):
        say(f"{number}. {_named(action)}: {action.kind}, within {format_duration(action.within)}")
        for line in prospect(action, ground):
            say(f"     {line}")
    say(f"carry one out: rollout rollback {loaded.path} ID --env {target.environment} --reason '...'")
    return _CONFIRMED


def _where(place: Place) -> str:
    return f"{place.rollout} in {place.environment} ({place.target})"


def _named(action: Action) -> str:
    return f"{action.id} ({action.name})" if action.name else action.id


def _do(action: Action, ground: Ground, journal: Journal, asked: Asked) -> int:
    say = journal.say
    say(f"{_named(action)} of {_where(journal.place)}, by {asked.by}: {asked.reason}")
    with closing(journal):
        outcome = carry_out(action, ground, by=asked.by, reason=asked.reason, note=journal.note)
        journal.flags(outcome)
        for step in outcome.steps:
            said = step.message.replace("\n", "\n    ")
            say(f"  {'done' if step.done else 'NOT done'}: {step.what}: {said}")
        head = journal.head()
    if journal.trouble:
        say(
            f"{action.id}: {'confirmed' if outcome.confirmed else 'NOT confirmed'}, and NOT recorded: {journal.trouble}"
        )
        return _NOT_CONFIRMED
    say(f"the evidence is now   {head}")
    say(f"{action.id}: {'confirmed' if outcome.confirmed else 'NOT confirmed'}")
    return _CONFIRMED if outcome.confirmed else _NOT_CONFIRMED


@dataclass(slots=True)
class Journal:
    """Records what is done while it is done. A log that cannot be written keeps nobody from going back: it is told."""

    address: str
    place: Place
    action: str
    say: Say
    trouble: str = ""
    """Why something is not recorded, if it is not."""
    _log: EvidenceLog = field(init=False)

    def __post_init__(self) -> None:
        """Name the log; it is opened by the first record."""
        self._log = EvidenceLog(self.address)

    def note(self, word: str, data: Mapping[str, Any]) -> None:
        """Record one thing that was done, or is about to be."""
        if word == "not taken":
            self.say(f"  {data['flag']} for {data['cohort']!r}: {data['fault']}")
        if self.trouble and word != "ended":
            return  # a log that others hold would keep everything waiting, again and again
        told = {"event": word, **data}
        with self._noting_trouble():
            entry = Entry(kind=Kind.ROLLBACK, place=self.place, subject=self.action, at=self._log.now(), data=told)
            self._log.append([entry])

    def flags(self, outcome: Outcome) -> None:
        """Record what is known of the flags in the end."""
        readings = [one for step in outcome.steps for one in step.readings]
        with self._noting_trouble():
            add_flags(self._log, self.place, readings, self._log.now())

    def head(self) -> str:
        """Return the head of the log; empty if it cannot be read."""
        with self._noting_trouble():
            return str(self._log.head())
        return ""

    def close(self) -> None:
        """Close the log."""
        self._log.close()

    @contextmanager
    def _noting_trouble(self) -> Iterator[None]:
        try:
            yield
        except EvidenceError as exc:
            if not self.trouble:
                self.say(f"rollout: NOT recorded, and going on: {exc}")
            self.trouble = str(exc)
