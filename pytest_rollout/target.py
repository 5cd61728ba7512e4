"""An environment that has been entered: addresses, time scale, and what makes it a rehearsal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pytest_rollout.errors import EnvironmentUnready
from pytest_rollout.plan.loader import LoadedPlan
from pytest_rollout.plan.model import Environment, FlagService
from pytest_rollout.sandbox import SandboxState
from pytest_rollout.sources.http import without_credentials


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
    )


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
