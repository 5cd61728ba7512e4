"""What a plan may say. All durations in seconds, shares between 0 and 1."""

from __future__ import annotations

import re
from typing import Literal, Self

from pydantic import Field, model_validator

from pytest_rollout.plan.gates import Gate
from pytest_rollout.plan.schedule import Schedule
from pytest_rollout.plan.strict import Duration, Name, Strict, wrong


class FlagExpectation(Strict):
    """What a flag has to be while the stage is judged."""

    value: bool
    cohort: str = "*"


class Stage(Strict):
    """A step of the rollout: everything that must hold before the next one's flag is flipped."""

    stage: int = Field(ge=0)
    name: str
    flags: dict[str, FlagExpectation] = Field(default_factory=dict)
    settle: Duration = 0.0
    """Time after the flip that no window includes."""
    gates: tuple[Gate, ...] = Field(min_length=1)

    @property
    def marker(self) -> str:
        """``stage1``: the pytest marker, and the stage's name in every report."""
        return f"stage{self.stage}"

    @property
    def wanted(self) -> dict[str, bool]:
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

    sandbox: bool = False
    """Start the reference target of this repository and judge that."""
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

    @model_validator(mode="after")
    def _distinct_stages(self) -> Self:
        numbers = [stage.stage for stage in self.stages]
        for number in numbers:
            if numbers.count(number) > 1:
                raise wrong("stages", f"stage {number} is given twice")
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


ENV_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
