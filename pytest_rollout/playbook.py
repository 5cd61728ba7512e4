"""Carry out the playbook of a plan, one action at a time, and prove that it is done."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, urlsplit

from pytest_rollout.errors import EnvironmentUnready, PlanError, SourceError
from pytest_rollout.flags.turn import STABLE, Note, Pace, Turned, Wish, is_split, read_all, turn
from pytest_rollout.flags.writer import EVERYBODY, FlagWriter, Snapshot
from pytest_rollout.judge.history import FlagReading, is_same
from pytest_rollout.plan.model import Plan
from pytest_rollout.plan.rollback import Action, is_secret
from pytest_rollout.plan.strict import did_you_mean
from pytest_rollout.plan.variables import Unset, filled
from pytest_rollout.process import Bounds, run_bounded
from pytest_rollout.publish.redact import without_userinfo
from pytest_rollout.sources.flags import FlagReader
from pytest_rollout.sources.http import Transport
from pytest_rollout.units import format_duration

_SHOWN_LINES, _SHOWN, _READ = 20, 2000, 2**20
"""Of a command's output: lines and characters that are shown, from the end, and bytes that are looked at."""
_SECRET = 4
"""Secrets shorter than that are words, too, and not taken out of texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Where actions are carried out."""

    flags: FlagWriter | None
    reader: FlagReader | None
    """None, as the other, if there is no flag service."""
    variables: Mapping[str, str] = field(repr=False)
    """All that a command has as its environment."""
    folder: Path
    """Where commands run."""
    cohorts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By flag: for whom the plan's stages want it to be something."""
    secrets: Sequence[str] = field(default=(), repr=False)
    """What nobody should read, beside the variables whose names say so."""

    @classmethod
    def of(  # noqa: PLR0913 - the parts of an environment
        cls,
        plan: Plan,
        *,
        http: Transport,
        flags_url: str | None,
        variables: Mapping[str, str],
        folder: Path,
        secrets: Sequence[str] = (),
    ) -> Self:
        """Return the ground for a plan's playbook; ``http`` sends the token that the flag service wants."""
        return cls(
            flags=FlagWriter(flags_url, http) if flags_url else None,
            reader=FlagReader(flags_url, http) if flags_url else None,
            variables=variables,
            folder=folder,
            cohorts={flag: plan.cohorts(flag) for stage in plan.stages for flag in stage.flags},
            secrets=secrets,
        )

    def redacted(self, text: str) -> str:
        """Return a text without the secrets of this ground, and without what a terminal would obey."""
        for secret in sorted(self._secrets(), key=len, reverse=True):
            text = text.replace(secret, "***")
        lines = without_userinfo(text).splitlines()
        return "\n".join("".join(c if c.isprintable() else " " for c in line).rstrip() for line in lines)

    def _secrets(self) -> set[str]:
        named = {value for name, value in self.variables.items() if is_secret(name)}
        known = {*self.secrets, *named, *map(_password, self.variables.values())}
        return {form for one in known if len(one) >= _SECRET for form in (one, quote(one, safe=""))}

    def command(self, line: str) -> list[str]:
        """Return the words of a command line. Raises EnvironmentUnready for a variable that is not set."""
        try:
            words = shlex.split(filled(line, self.variables))
        except Unset as exc:
            raise EnvironmentUnready(f"{exc}; export it") from None
        except ValueError as exc:
            raise EnvironmentUnready(f"{line!r} is no command line once its variables are filled in: {exc}") from exc
        if not words:
            raise EnvironmentUnready(f"{line!r} is empty once its variables are filled in; export them")
        return words


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A part of an action: a flag, a command, a request to a person."""

    what: str
    done: bool
    """Whether it is proven to be done."""
    message: str
    readings: tuple[FlagReading, ...] = ()
    """Of a flag: what it was in the end."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an action."""

    action: str
    steps: tuple[Step, ...]

    @property
    def confirmed(self) -> bool:
        """Whether every part of it is proven to be done."""
        return bool(self.steps) and all(step.done for step in self.steps)

    @property
    def message(self) -> str:
        """Say in a line what is done, and what is not."""
        done = ", ".join(step.what for step in self.steps if step.done)
        open_steps = "; ".join(f"{step.what}: {step.message}" for step in self.steps if not step.done)
        if not open_steps:
            return f"{self.action}: confirmed: {done}"
        return f"{self.action}: NOT confirmed; done: {done or 'nothing'}; not done: {open_steps}"


def find_action(plan: Plan, action: str) -> Action:
    """Return an action of the playbook. Raises PlanError."""
    known = {one.id: one for one in plan.rollback}
    if not known:
        raise PlanError(f"the plan of {plan.rollout} has no playbook; add rollback: [{{id: ..., set: ...}}] to it")
    if action not in known:
        raise PlanError(f"the playbook of {plan.rollout} has no {action!r}; {did_you_mean(action, list(known))}")
    return known[action]


def _ignore(_word: str, _data: Mapping[str, Any]) -> None:
    pass


def carry_out(  # noqa: PLR0913 - what, where, on whose behalf, and who is told
    action: Action, ground: Ground, *, by: str, reason: str, note: Note = _ignore, pace: Pace | None = None
) -> Outcome:
    """Carry out an action. What the world does wrong is in the outcome, nothing of it is raised.

    ``note`` is told at once whatever is done, before and after it, so that a run which is killed leaves a trace.
    """
    told = {"kind": action.kind, "set": action.set, "run": action.run, "ask": action.ask}
    note("begun", {"by": by, "reason": reason, **{name: value for name, value in told.items() if value is not None}})
    if action.set is not None:
        steps = _set(_wish(action, ground, by, reason), ground, note, pace)
    elif action.run is not None:
        steps = (_run(action.run, action.within, ground),)
    else:
        steps = (Step(what=action.ask or "", done=True, message=f"{by} says that it is done: {reason}"),)
    outcome = Outcome(action.id, steps)
    told_steps = [{"what": one.what, "done": one.done, "message": one.message} for one in steps]
    note("ended", {"confirmed": outcome.confirmed, "message": outcome.message, "steps": told_steps})
    return outcome


def prospect(action: Action, ground: Ground) -> Iterator[str]:
    """Yield in lines what an action would do now; nothing is changed."""
    if action.set is not None:
        wish = _wish(action, ground, "", "")
        now = read_all(wish, ground.reader) if ground.reader else {}
        for flag, value in action.set.items():
            yield f"{flag}: {_words(now[flag]) if now else _NO_SERVICE}; would be {value!r} for everybody"
    elif action.run is not None:
        yield action.run
        try:
            yield f"that is: {ground.redacted(shlex.join(ground.command(action.run)))}"
        except EnvironmentUnready as exc:
            yield f"cannot be run now: {exc}"
    else:
        yield action.ask or ""


# --- flags ---

_NO_SERVICE = "the environment names no flag service; add flags: {url: ...} to it"


def _wish(action: Action, ground: Ground, by: str, reason: str) -> Wish:
    values = action.set or {}
    return Wish(values=values, cohorts=ground.cohorts, actor=by, reason=reason, within=action.within)


def _set(wish: Wish, ground: Ground, note: Note, pace: Pace | None) -> tuple[Step, ...]:
    if ground.flags is None or ground.reader is None:
        return tuple(
            Step(what=_what(flag, value), done=False, message=_NO_SERVICE) for flag, value in wish.values.items()
        )
    wish = replace(wish, cohorts=_whom(wish, _listed(ground.flags)))
    turned = turn(wish, ground.flags, ground.reader, note, pace)
    after = _listed(ground.flags)
    return tuple(_step(one, wish, ground, _others(one, after)) for one in turned)


def _listed(writer: FlagWriter) -> Snapshot | str:
    """Return every rule of the service, or why nobody knows them."""
    try:
        return writer.snapshot()
    except (SourceError, ValueError) as exc:
        return str(exc)


def _whom(wish: Wish, listed: Snapshot | str) -> Mapping[str, Sequence[str]]:
    """Return for whom each flag has to be read: the cohorts of the plan, and whoever has a value of their own."""
    rules = {} if isinstance(listed, str) else listed
    own = {flag: rules[flag].cohorts if flag in rules else () for flag in wish.values}
    return {flag: sorted({*wish.cohorts.get(flag, ()), *own[flag]}) for flag in wish.values}


def _others(turned: Turned, listed: Snapshot | str) -> str:
    """Say who has another value in the end; a flag that the service does not list is one of several flags at once."""
    if isinstance(listed, str):
        return f"nobody knows who else has a value of their own: {listed}"
    rules = listed.get(turned.flag)
    own = rules.cohorts if rules else {}
    others = {cohort: value for cohort, value in own.items() if not is_same(value, turned.wanted)}
    return f"others have a value of their own: {others}" if others else ""


def _step(turned: Turned, wish: Wish, ground: Ground, others: str) -> Step:
    said = f"was {_words(turned.before)}, is {_words(turned.after)}"
    said += f"; taken away: what {', '.join(map(repr, turned.freed))} had of its own" if turned.freed else ""
    if not turned.confirmed:
        late = f"the service took it, but it was not read so {STABLE} times in a row within "
        said += f"; {turned.fault or late + format_duration(wish.within)}"
    elif others:
        said += f"; {others}"
    done = turned.confirmed and not others
    what = _what(turned.flag, turned.wanted)
    return Step(what=what, done=done, message=ground.redacted(said), readings=turned.after)


def _what(flag: str, value: bool | str) -> str:
    return f"{flag} to {value!r}"


def _words(readings: Sequence[FlagReading]) -> str:
    return ", ".join(
        f"{_value(one)} for {'everybody' if one.cohort == EVERYBODY else repr(one.cohort)}" for one in readings
    )


def _value(reading: FlagReading) -> str:
    if reading.fault:
        return f"unknown ({reading.fault})"
    return f"{reading.value!r}{' by lot' if is_split(reading) else ''}"


# --- commands ---


def _run(line: str, within: float, ground: Ground) -> Step:
    try:
        words = ground.command(line)
        with tempfile.TemporaryDirectory(prefix="rollout-") as folder:
            output = Path(folder) / "output"
            code = run_bounded(words, cwd=ground.folder, env=ground.variables, output=output, bounds=Bounds(within))
            said = _shown(ground.redacted(_end_of(output)).strip())
    except EnvironmentUnready as exc:
        return Step(what=line, done=False, message=f"not started: {exc}")
    except (OSError, ValueError) as exc:  # the second: a zero byte in a word
        return Step(what=line, done=False, message=f"not started: {ground.redacted(str(exc))}")
    if code is None:
        how = f"it did not end within {format_duration(within)} and was stopped; what it has done, nobody knows"
    else:
        how = f"it ended with exit code {code}"
    return Step(what=line, done=code == 0, message=f"{how}:\n{said}" if said else f"{how}, and said nothing")


def _end_of(output: Path) -> str:
    with output.open("rb") as file:
        file.seek(max(output.stat().st_size - _READ, 0))
        return file.read().decode("utf-8", "replace")


def _shown(text: str) -> str:
    """Return the last lines of a text that has no secrets any more."""
    return "\n".join(text.splitlines()[-_SHOWN_LINES:])[-_SHOWN:]


def _password(text: str) -> str:
    """Return the password of a URL; empty if there is none."""
    try:
        return urlsplit(text).password or ""
    except ValueError:
        return ""
