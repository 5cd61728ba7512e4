"""Start the reference target of a repository, and talk to it: a subprocess and a state file, nothing more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pytest_rollout.errors import EnvironmentUnready
from pytest_rollout.plan.model import DEFAULT_SYSTEM
from pytest_rollout.plan.strict import did_you_mean
from pytest_rollout.process import dying_with_parent

STATE_VARIABLE = "ROLLOUT_SANDBOX"
"""Path of the state file of a sandbox that is already up."""
_START_DEADLINE = 60.0
_TEXTS = ("target", "prometheus", "pushgateway", "flags", "flags_token", "system")


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxState:
    """Where the parts of a running sandbox answer.

    ``variables`` are the environment variables that people would set in an environment that is not a sandbox.
    """

    target: str
    prometheus: str
    pushgateway: str
    flags: str
    flags_token: str = field(repr=False)
    faults: tuple[str, ...]
    system: str = DEFAULT_SYSTEM
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)


def read_state(path: Path) -> SandboxState:
    """Return the addresses of a running sandbox. Raises EnvironmentUnready."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        words = {name: str(data[name]) for name in _TEXTS}
        variables = {str(name): str(text) for name, text in data["variables"].items()}
        return SandboxState(faults=tuple(data["faults"]), variables=variables, **words)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise EnvironmentUnready(
            f"no sandbox is described by {path}: {exc!r}; start one with: rollout sandbox up"
        ) from exc


def known_faults(root: Path, system: str | None = None) -> dict[str, str]:
    """Return the faults of one system of the sandbox, or of all, name to what it does. Raises EnvironmentUnready."""
    done = subprocess.run(
        [sys.executable, "-m", "sandbox", "faults", "--json"],
        cwd=sandbox_home(root),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    if done.returncode:
        raise EnvironmentUnready(f"the sandbox does not list its faults: {done.stderr.strip()[-300:]}")
    listed = json.loads(done.stdout)
    return {fault["name"]: fault["does"] for fault in listed if system in (None, fault.get("system", DEFAULT_SYSTEM))}


def check_faults(root: Path, names: Sequence[str], system: str | None = None) -> None:
    """Raise EnvironmentUnready if this system of the sandbox, or none at all, knows such a fault."""
    known = sorted(known_faults(root, system)) if names else []
    for name in names:
        if name not in known:
            raise EnvironmentUnready(f"the sandbox has no fault {name!r}; {did_you_mean(name, known)}")


class Sandbox:
    """A sandbox that lives as long as this object, and never longer than this process."""

    def __init__(self, process: subprocess.Popen[bytes], state_file: Path) -> None:
        self._process = process
        self.state_file = state_file

    @classmethod
    def start(  # noqa: PLR0913 - the options of its command line
        cls,
        root: Path,
        folder: Path,
        *,
        faults: Sequence[str],
        flags: Mapping[str, str],
        history: float,
        system: str = DEFAULT_SYSTEM,
        words: Sequence[str] = (),
    ) -> Sandbox:
        """Start a sandbox below ``folder`` with flags as ``{name: "cohort:value"}``. Raises EnvironmentUnready.

        ``words`` are further options of that system, without their dashes.
        """
        folder.mkdir(parents=True, exist_ok=True)
        state = folder / "sandbox.json"
        argv = [sys.executable, "-m", "sandbox", "up", "--leash", "--state", str(state), "--directory", str(folder)]
        argv += ["--system", system] if system != DEFAULT_SYSTEM else []
        argv += [f"--{word}" for word in words]
        argv += [part for name in faults for part in ("--fault", name)]
        argv += [part for name, value in flags.items() for part in ("--flag", f"{name}={value}")]
        argv += ["--history", f"{round(history)}s"] if history else []
        with (folder / "sandbox.log").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - our own command line
                argv,
                cwd=sandbox_home(root),
                env={key: value for key, value in os.environ.items() if key != STATE_VARIABLE},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                preexec_fn=dying_with_parent(),  # noqa: PLW1509 - one prctl call, no lock is taken
            )
        sandbox = cls(process, state)
        sandbox._await(folder / "sandbox.log")
        return sandbox

    def _await(self, log: Path) -> None:
        until = time.monotonic() + _START_DEADLINE
        while not self.state_file.exists():
            if self._process.poll() is not None or time.monotonic() > until:
                self.stop()
                said = log.read_text(encoding="utf-8", errors="replace").strip()[-800:]
                raise EnvironmentUnready(f"the sandbox did not start: {said or 'it said nothing'}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop every part of it; safe to call twice."""
        if self._process.stdin:
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def sandbox_home(root: Path) -> Path:
    """Return the folder that holds ``sandbox/``, at or above a path. Raises EnvironmentUnready."""
    for folder in (root, *root.parents):
        if (folder / "sandbox" / "__main__.py").is_file():
            return folder
    raise EnvironmentUnready(
        f"there is no sandbox/ at or above {root}; the sandbox comes with the repository of pytest-rollout, "
        "not with the package"
    )
