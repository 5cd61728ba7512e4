"""An environment that has been entered: addresses, time scale, and what makes it a rehearsal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pytest_rollout.errors import EnvironmentUnready
from pytest_rollout.plan.loader import LoadedPlan
from pytest_rollout.plan.model import DEFAULT_SYSTEM, Environment, FlagService
from pytest_rollout.sandbox import STATE_VARIABLE, SandboxState, read_state
from pytest_rollout.sources.http import without_credentials


class Variables(dict[str, str]):
    """Environment variables as an environment of a plan has them. Values are kept out of ``repr``."""

    def __missing__(self, name: str) -> str:
        """Raise EnvironmentUnready for what is not set."""
        how = "export it, or choose an environment that brings it, as a sandbox does"
        raise EnvironmentUnready(f"the environment variable {name} is not set; {how}")

    def __repr__(self) -> str:
        """Say how many there are, and nothing of them."""
        return f"Variables({len(self)} of them)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What gates and canaries talk to. Tokens are kept out of ``repr``."""

    environment: str
    url: str
    prometheus: str | None
    pushgateway: str | None
    flags_url: str | None
    flags_token: str | None
    time_scale: float
    wait: float
    """Seconds to wait for evidence, unless the command line says otherwise."""
    scrape_interval: float | None
    via: str
    """How canaries that can do either drive the target: ``api`` or ``browser``."""
    rehearsal: tuple[str, ...]
    """Why this run is only a rehearsal; empty for the real thing."""
    variables: Variables = field(default_factory=Variables)
    """Those of the process that are not empty, and over them what a sandbox says in their place."""

    def __repr__(self) -> str:
        """Name the place, never a token."""
        return f"Target({self.environment!r}, {without_credentials(self.url)!r})"

    def scaled(self, seconds: float) -> float:
        """Return a duration of the plan as it is here."""
        return seconds / self.time_scale


def enter(loaded: LoadedPlan, name: str, *, sandbox: SandboxState | None, variables: Mapping[str, str]) -> Target:
    """Return a plan's environment with every address known. Raises EnvironmentUnready."""
    environment = loaded.environment(name, variables)
    if environment.sandbox:
        if sandbox is None:
            raise EnvironmentUnready(f"environment {name!r} needs a sandbox, and none is up")
        environment = environment.model_copy(update=_addresses(sandbox))
    flags = environment.flags
    return Target(
        environment=name,
        url=environment.target or "",
        prometheus=environment.prometheus,
        pushgateway=environment.pushgateway,
        flags_url=flags.url if flags else None,
        flags_token=flags.token if flags else None,
        time_scale=environment.time_scale,
        wait=environment.wait,
        scrape_interval=environment.scrape_interval,
        via=environment.via,
        rehearsal=_rehearsal(environment, sandbox),
        variables=_variables(variables, sandbox if environment.sandbox else None),
    )


def enter_as_it_is(loaded: LoadedPlan, name: str, variables: Mapping[str, str]) -> Target:
    """Enter an environment without starting anything: a sandbox has to be up, and the variables have to name it.

    Raises EnvironmentUnready.
    """
    system = loaded.environment(name, variables).system
    return enter(loaded, name, sandbox=_sandbox_that_is_up(name, system, variables), variables=variables)


def _sandbox_that_is_up(name: str, system: str | None, variables: Mapping[str, str]) -> SandboxState | None:
    if system is None:
        return None
    how = "rollout sandbox up" if system == DEFAULT_SYSTEM else f"rollout sandbox up --system {system}"
    how = f"start it with '{how}', and export {STATE_VARIABLE} as it says"
    if not (file := variables.get(STATE_VARIABLE)):
        raise EnvironmentUnready(f"{name!r} is a sandbox that is not up: {how}")
    state = read_state(Path(file))
    if state.system != system:
        raise EnvironmentUnready(f"{name!r} is a sandbox of {system}, and {STATE_VARIABLE} names {state.system}: {how}")
    return state


def _variables(variables: Mapping[str, str], sandbox: SandboxState | None) -> Variables:
    told = {**variables, **(sandbox.variables if sandbox else {})}
    return Variables({name: value for name, value in told.items() if value})


def _addresses(sandbox: SandboxState) -> dict[str, object]:
    return {
        "target": sandbox.target,
        "prometheus": sandbox.prometheus,
        "pushgateway": sandbox.pushgateway,
        "flags": FlagService(url=sandbox.flags, token=sandbox.flags_token),
    }


def _rehearsal(environment: Environment, sandbox: SandboxState | None) -> tuple[str, ...]:
    why = []
    if environment.sandbox:
        why.append("sandbox")
    if environment.time_scale != 1:
        why.append(f"time scale {environment.time_scale:g}")
    if environment.history:
        why.append("filled history")
    why += [f"fault {name}" for name in (sandbox.faults if sandbox and environment.sandbox else ())]
    return tuple(why)
