"""The supervisor: start a system and its monitoring, say where they are, and stop all of it whatever happens."""

import json
import os
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from uuid import uuid4

from sandbox.components import (
    Component,
    Job,
    ScrapeConfig,
    request,
    start_alertmanager,
    start_prometheus,
    start_pushgateway,
)
from sandbox.supervision import Supervision, supervised

Keep = Callable[[Component], Component]
"""Takes every component as soon as it is a process, and gives it back."""


class Running(Protocol):
    """A system whose processes run."""

    @property
    def jobs(self) -> tuple[Job, ...]:
        """What Prometheus has to scrape."""

    @property
    def rules(self) -> tuple[Path, ...]:
        """The rule files that Prometheus loads."""

    @property
    def receiver(self) -> str | None:
        """The URL Alertmanager notifies; None: nobody."""

    def begin(self, prometheus: Component, scrape: ScrapeConfig) -> None:
        """Let Prometheus observe the system, and let the traffic begin."""

    def state(self, alertmanager: str) -> dict[str, Any]:
        """Return target, flags, flags_token and variables; Alertmanager's URL is given."""


class System(Protocol):
    """A system to try rollouts on, and what it is started with."""

    @property
    def name(self) -> str:
        """What ``--system`` calls it."""

    @property
    def faults(self) -> frozenset[str]:
        """The faults it has."""

    def start(self, directory: Path, keep: Keep) -> Running:
        """Start the processes."""


@dataclass(frozen=True)
class Wish:
    """What a sandbox is started with; without a ``directory`` it gets a temporary one."""

    system: System
    directory: Path | None = None
    state: Path | None = None
    leash: bool = False


class Monitoring(NamedTuple):
    """The running components beside the system."""

    prometheus: Component
    pushgateway: Component
    alertmanager: Component

    def scrape(self, running: Running) -> ScrapeConfig:
        """Return what Prometheus has to scrape, every second."""
        jobs = (*running.jobs, Job("pushgateway", self.pushgateway.address, honor_labels=True))
        return ScrapeConfig(jobs, alertmanager=self.alertmanager.address, rule_files=running.rules)

    def versions(self) -> dict[str, str]:
        """Return the versions the components say they have."""
        return {
            "prometheus": _ask(self.prometheus, "/api/v1/status/buildinfo")["data"]["version"],
            "pushgateway": _ask(self.pushgateway, "/api/v1/status")["data"]["build_information"]["version"],
            "alertmanager": _ask(self.alertmanager, "/api/v2/status")["versionInfo"]["version"],
            "python": sys.version.split()[0],
        }


def up(wish: Wish) -> int:
    """Run a sandbox until it is told to stop and return the exit code: 0, or 1 if a component died.

    Raises MissingBinaryError and ComponentError; everything started is stopped first.
    """
    with supervised(wish.directory, name=wish.system.name, leash=wish.leash) as supervision:
        _start(wish, supervision)
        return supervision.watch()


def _start(wish: Wish, supervision: Supervision) -> None:
    """Start everything and tell the state."""
    system, directory = wish.system, supervision.directory
    running = system.start(directory, supervision.keep)
    monitoring = Monitoring(
        supervision.keep(start_prometheus(directory)),
        supervision.keep(start_pushgateway(directory)),
        supervision.keep(start_alertmanager(directory, running.receiver)),
    )
    running.begin(monitoring.prometheus, monitoring.scrape(running))
    state = {
        "id": uuid4().hex,
        "pid": os.getpid(),
        "system": system.name,
        **{name: component.url for name, component in monitoring._asdict().items()},
        **running.state(monitoring.alertmanager.url),
        "faults": sorted(system.faults),
        "directory": str(directory),
        "versions": monitoring.versions(),
    }
    if "prometheus-down" in system.faults:
        supervision.give_up(monitoring.prometheus)
    state_file = (wish.state or directory / "sandbox.json").resolve()
    supervision.publish(state_file, state)
    _announce(state, state_file)


def _announce(state: dict[str, Any], state_file: Path) -> None:
    lines = [f"{name:<13}{state[name]}" for name in ("target", "prometheus", "pushgateway", "alertmanager")]
    faults = ", ".join(state["faults"]) or "none"
    attach = f"to judge this one:  export ROLLOUT_SANDBOX={shlex.quote(str(state_file))}"
    print("\n".join([*lines, f"{'faults':<13}{faults}", attach, "Ctrl-C stops everything"]), flush=True)  # noqa: T201


def _ask(component: Component, path: str) -> Any:
    return json.loads(request(component.url + path))
