"""The playbook of a plan: what to do, in this order, when the rollout has to go back."""

from __future__ import annotations

import re
import shlex
from typing import Self

from pydantic import Field, model_validator

from pytest_rollout.plan.strict import Duration, FlagValue, Name, Strict, wrong
from pytest_rollout.plan.variables import references

_SECRET_NAME = re.compile(
    r"token|secret|passw|credential|apikey|_pwd|_pass|(?:^|_)(?:key|auth|jwt)(?:_|$)", re.IGNORECASE
)
_KINDS = ("set", "run", "ask")


def is_secret(variable: str) -> bool:
    """Whether a variable with this name may hold what nobody should read."""
    return _SECRET_NAME.search(variable) is not None


class Action(Strict):
    """One step of the playbook. It has exactly one of ``set``, ``run`` and ``ask``."""

    id: Name
    name: str = ""
    """What people call it."""
    set: dict[str, FlagValue] | None = Field(default=None, min_length=1)
    """Flags, and what each has to be for everybody."""
    run: str | None = None
    """A command line without a shell; ``${NAME}`` is a variable of the environment."""
    ask: str | None = None
    """What a person has to do."""
    within: Duration = 300.0
    """How many seconds flags may take to be read back, or the command to end; never scaled."""

    @property
    def kind(self) -> str:
        """``set``, ``run`` or ``ask``."""
        return next(kind for kind in _KINDS if getattr(self, kind) is not None)

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        given = [kind for kind in _KINDS if getattr(self, kind) is not None]
        if not given:
            raise wrong("id", f"action {self.id!r} does nothing; give one of {', '.join(_KINDS)}")
        if len(given) > 1:
            raise wrong(given[1], f"action {self.id!r} has {' and '.join(given)}; make an action of each")
        if not self.within:
            raise wrong("within", "an action needs some time; give a duration, or leave it out for 5m")
        return self

    @model_validator(mode="after")
    def _sound_text(self) -> Self:
        for kind, text in (("run", self.run), ("ask", self.ask)):
            if text is not None and not text.strip():
                raise wrong(kind, f"action {self.id!r} says nothing here")
        return self

    @model_validator(mode="after")
    def _sound_command(self) -> Self:
        if self.run is None:
            return self
        try:
            shlex.split(self.run)
        except ValueError as exc:
            raise wrong("run", f"{self.run!r} is no command line: {exc}") from None
        for name in references(self.run):
            if is_secret(name):
                said = f"everybody on the machine can read a command line, and {name} looks like a secret"
                raise wrong("run", f"{said}; let the command read the variable itself, which it is given")
        return self
