"""The sandboxes of a run: one for each plan whose environment is one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_rollout.errors import EnvironmentUnready

if TYPE_CHECKING:
    from pytest_rollout.plan.model import Environment, Stage
    from pytest_rollout.sandbox import Sandbox, SandboxState


class Sandboxes:
    """Attaches to sandboxes that are up, starts the others below a folder, and ends what it has started."""

    def __init__(self, folder: Path, faults: Sequence[str]) -> None:
        self._folder = folder
        self._faults = faults
        self._states: dict[Path, Path] = {}
        self._troubles: dict[Path, str] = {}
        self._started: list[Sandbox] = []
        self._switched_on: set[str] = set()

    def close(self) -> None:
        """End every sandbox that was started here."""
        while self._started:
            self._started.pop().stop()

    def needed(self, plan: Path, environment: Environment) -> bool:
        """Whether a plan's environment is a sandbox that nobody has attached to or tried to start yet."""
        return environment.system is not None and plan not in self._states and plan not in self._troubles

    def state_file(self, plan: Path) -> Path | None:
        """Return the state file of a plan's sandbox, if it has one."""
        return self._states.get(plan)

    def state(self, plan: Path) -> SandboxState | None:
        """Return a plan's sandbox, None if it has none. Raises EnvironmentUnready if it did not start."""
        from pytest_rollout.sandbox import read_state

        if trouble := self._troubles.get(plan):
            raise EnvironmentUnready(trouble)
        return read_state(self._states[plan]) if plan in self._states else None

    def trouble(self, plan: Path) -> str:
        """Return why a plan's sandbox did not start; empty if it did, or was never tried."""
        return self._troubles.get(plan, "")

    def bring_up(self, plan: Path, environment: Environment, stage: Stage | None) -> None:
        """Attach to the sandbox that the process environment names if it is of the plan's system, else start one.

        It is started with the flags and the words of a stage. Raises EnvironmentUnready; why it did not start is kept,
        so that it is not tried again.
        """
        if (known := self._known(environment)) is not None:
            self._states[plan] = known
            return
        try:
            sandbox = self._start(plan, environment, stage)
        except EnvironmentUnready as exc:
            self._troubles[plan] = str(exc)
            raise
        self._started.append(sandbox)
        self._states[plan] = sandbox.state_file

    def _known(self, environment: Environment) -> Path | None:
        from pytest_rollout.sandbox import STATE_VARIABLE, read_state

        file = os.environ.get(STATE_VARIABLE)
        if not file or self._faults:
            return None
        return Path(file) if read_state(Path(file)).system == environment.system else None

    def _start(self, plan: Path, environment: Environment, stage: Stage | None) -> Sandbox:
        from pytest_rollout.sandbox import Sandbox, known_faults

        system = environment.system or ""
        theirs = known_faults(plan.parent, system) if self._faults else {}
        faults = [name for name in self._faults if name in theirs]
        self._switched_on |= set(faults)
        wanted = stage.flags if stage else {}
        return Sandbox.start(
            plan.parent,
            Path(tempfile.mkdtemp(prefix="sandbox-", dir=self._folder)),  # another worker may start one, too
            faults=faults,
            flags={name: f"{flag.cohort}:{_word(flag.value)}" for name, flag in wanted.items()},
            history=environment.history,
            system=system,
            words=stage.sandbox if stage else (),
        )

    def idle_faults(self) -> list[str]:
        """Return the faults that no sandbox was started with."""
        return [name for name in self._faults if name not in self._switched_on]

    def told(self) -> dict[str, dict[str, str]]:
        """Return what another process of the run has to know, in builtins."""
        states = {str(plan): str(state) for plan, state in self._states.items()}
        return {"states": states, "troubles": {str(plan): said for plan, said in self._troubles.items()}}

    def learn(self, told: Mapping[str, Mapping[str, str]]) -> None:
        """Take over what another process told."""
        self._states |= {Path(plan): Path(state) for plan, state in told.get("states", {}).items()}
        self._troubles |= {Path(plan): said for plan, said in told.get("troubles", {}).items()}


def _word(value: bool | str) -> str:
    """Return a value of a flag as a command line has it."""
    return value if isinstance(value, str) else str(value).lower()
