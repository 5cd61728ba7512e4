"""What a plan may say. All durations in seconds, shares between 0 and 1."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from pytest_rollout.plan.gates import Gate
from pytest_rollout.plan.rollback import Action
from pytest_rollout.plan.schedule import Schedule
from pytest_rollout.plan.strict import Duration, FlagValue, Name, Strict, did_you_mean, wrong

DEFAULT_SYSTEM = "prisma"
"""The system of a ``sandbox: true``."""


def _system(value: object) -> object:
    if isinstance(value, bool) or (isinstance(value, str) and re.fullmatch(r"[a-z][a-z0-9-]*", value)):
        return value
    raise ValueError(f"{value!r} is no sandbox; write true, or the name of one of its systems")


class FlagExpectation(Strict):
    """What a flag has to be while the stage is judged."""

    value: FlagValue
    cohort: str = "*"


class Stage(Strict):
    """A step of the rollout: everything that must hold before the next one's flag is flipped."""

    stage: int = Field(ge=0)
    name: str
    flags: dict[str, FlagExpectation] = Field(default_factory=dict)
    settle: Duration = 0.0
    """Time after the flip that no window includes."""
    sandbox: tuple[Name, ...] = ()
    """Further words for the sandbox that a run starts for this stage: ``migrated`` is its ``--migrated``."""
    gates: tuple[Gate, ...] = Field(min_length=1)

    @property
    def marker(self) -> str:
        """``stage1``: the pytest marker, and the stage's name in every report."""
        return f"stage{self.stage}"

    @property
    def wanted(self) -> dict[str, bool | str]:
        """``FLAG@cohort`` for each of its flags, with the value that it has to have."""
        return {f"{name}@{flag.cohort}": flag.value for name, flag in self.flags.items()}

    @model_validator(mode="after")
    def _distinct_ids(self) -> Self:
        ids = [gate.id for gate in self.gates]
        for gate_id in ids:
            if ids.count(gate_id) > 1:
                raise wrong("gates", f"two gates are called {gate_id!r}")
        if "flag-state" in ids:
            raise wrong("gates", "'flag-state' is the name of the check that reads the stage's flags")
        return self


class FlagService(Strict):
    """Where flags are read. The token is never shown."""

    provider: Literal["ofrep"] = "ofrep"
    url: str
    token: str | None = Field(default=None, repr=False)


_ADDRESSES = ("target", "prometheus", "pushgateway", "flags")


class Environment(Strict):
    """Where a stage is judged. ``${NAME}`` is taken from the process environment when it is entered."""

    sandbox: Annotated[bool | str, BeforeValidator(_system)] = False
    """Start the reference target of this repository, or the one of its systems with this name, and judge that."""
    history: Duration = 0.0
    """Only with sandbox: fill this much history before the first scrape."""
    time_scale: float = Field(default=1.0, ge=1)
    """Divide every duration of the plan by this; the run is then a rehearsal."""
    wait: Duration = 0.0
    """How long to wait for evidence that can still arrive, if ``--rollout-wait`` does not say."""
    scrape_interval: Duration | None = None
    """If Prometheus cannot tell it."""
    target: str | None = None
    prometheus: str | None = None
    pushgateway: str | None = None
    flags: FlagService | None = None
    via: Literal["api", "browser"] = "api"
    """How canaries that can do either drive the target."""

    @property
    def system(self) -> str | None:
        """The system whose sandbox this is; None if it is no sandbox."""
        if isinstance(self.sandbox, str):
            return self.sandbox
        return DEFAULT_SYSTEM if self.sandbox else None

    @model_validator(mode="after")
    def _sandbox_or_addresses(self) -> Self:
        given = [name for name in _ADDRESSES if getattr(self, name) is not None]
        if self.sandbox and given:
            raise wrong(given[0], "a sandbox brings its own addresses")
        if not self.sandbox and self.target is None:
            raise wrong("target", "an environment needs a target, or sandbox: true")
        if self.history and not self.sandbox:
            raise wrong("history", "only a sandbox can be given a history")
        return self


class Plan(Strict):
    """A whole rollout."""

    rollout: Name
    environments: dict[str, Environment] = Field(min_length=1)
    canaries: dict[Name, Schedule] = Field(default_factory=dict)
    """Canaries that run by themselves, and how often."""
    stages: tuple[Stage, ...] = Field(min_length=1)
    rollback: tuple[Action, ...] = ()
    """The playbook: what to do, in this order, when the rollout has to go back."""

    @model_validator(mode="after")
    def _distinct_stages(self) -> Self:
        numbers = [stage.stage for stage in self.stages]
        for number in numbers:
            if numbers.count(number) > 1:
                raise wrong("stages", f"stage {number} is given twice")
        return self

    @model_validator(mode="after")
    def _one_corpus_an_id(self) -> Self:
        seen: dict[str, object] = {}
        for number, stage in enumerate(self.stages):
            for place, gate in enumerate(stage.gates):
                if gate.golden is not None and seen.setdefault(gate.id, gate.golden) != gate.golden:
                    said = f"another stage has a golden gate {gate.id!r} that asks something else; give it another id"
                    raise wrong(("stages", number, "gates", place, "golden"), said)
        return self

    @model_validator(mode="after")
    def _scheduled(self) -> Self:
        for number, stage in enumerate(self.stages):
            for place, gate in enumerate(stage.gates):
                canary = gate.canary
                if canary is not None and (found := canary.misfit(self.canaries.get(canary.name))):
                    key, said = found
                    raise wrong(("stages", number, "gates", place, "canary", key), said)
        return self

    @model_validator(mode="after")
    def _distinct_actions(self) -> Self:
        ids = [action.id for action in self.rollback]
        for place, name in enumerate(ids):
            if name in ids[:place]:
                raise wrong(("rollback", place, "id"), f"two actions are called {name!r}")
        return self

    @model_validator(mode="after")
    def _known_flags(self) -> Self:
        known = sorted({flag for stage in self.stages for flag in stage.flags})
        for place, action in enumerate(self.rollback):
            for flag in action.set or ():
                if flag not in known:
                    how = did_you_mean(flag, known) if known else "the stages have no flags"
                    raise wrong(("rollback", place, "set", flag), f"no stage has the flag {flag!r}; {how}")
        return self

    @model_validator(mode="after")
    def _one_type_a_flag(self) -> Self:
        texts = {flag: value for flag, value, _ in self._flag_values() if isinstance(value, str)}
        for flag, value, where in self._flag_values():
            if flag in texts and not isinstance(value, str):
                said = f"{flag} is a boolean here and a text elsewhere, such as {texts[flag]!r}"
                how = 'YAML takes off, no, on and yes for booleans: write the text in quotes, as "off"'
                raise wrong(where, f"{said}; {how}")
        return self

    def _flag_values(self) -> Iterator[tuple[str, bool | str, tuple[str | int, ...]]]:
        """Yield every value that the plan gives a flag, with its place."""
        for number, stage in enumerate(self.stages):
            for flag, wanted in stage.flags.items():
                yield flag, wanted.value, ("stages", number, "flags", flag, "value")
        for number, action in enumerate(self.rollback):
            for flag, value in (action.set or {}).items():
                yield flag, value, ("rollback", number, "set", flag)

    def cohorts(self, flag: str) -> tuple[str, ...]:
        """Return for whom the stages want a flag to be something."""
        return tuple(sorted({stage.flags[flag].cohort for stage in self.stages if flag in stage.flags}))
