"""The supervisor: start everything, say where it is, watch it, and stop all of it whatever happens."""

import json
import os
import secrets
import shlex
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from sandbox.components import (
    Component,
    Job,
    ScrapeConfig,
    configure_prometheus,
    request,
    start_alertmanager,
    start_prometheus,
    start_pushgateway,
    stop_all,
)
from sandbox.prisma.config import Config, FlagSetting

LIFETIME_SECONDS = 7200.0
"""A sandbox nobody stops ends by itself."""
METRICS = "/api/internal/metrics"
_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Wish:
    """What a sandbox is started with; without a ``directory`` it gets a temporary one."""

    faults: frozenset[str] = frozenset()
    flags: tuple[FlagSetting, ...] = ()
    history: float = 0.0
    locale: str = "en"
    directory: Path | None = None
    state: Path | None = None
    leash: bool = False


class Stack(NamedTuple):
    """The running components."""

    app: Component
    prometheus: Component
    pushgateway: Component
    alertmanager: Component

    def scrape(self) -> ScrapeConfig:
        """Return what Prometheus has to scrape, every second."""
        jobs = (
            Job("prisma", self.app.address, METRICS),
            Job("pushgateway", self.pushgateway.address, honor_labels=True),
        )
        return ScrapeConfig(jobs, alertmanager=self.alertmanager.address)

    def versions(self) -> dict[str, str]:
        """Return the versions the monitoring components say they have."""
        return {
            "prometheus": _ask(self.prometheus, "/api/v1/status/buildinfo")["data"]["version"],
            "pushgateway": _ask(self.pushgateway, "/api/v1/status")["data"]["build_information"]["version"],
            "alertmanager": _ask(self.alertmanager, "/api/v2/status")["versionInfo"]["version"],
            "python": sys.version.split()[0],
        }


class StopRequest:
    """Tells the main thread to stop, also from a signal handler.

    The handler runs in the main thread, in the middle of its waiting. ``threading.Event.set`` would then
    wait for ever for the lock that ``Event.wait`` holds; a name that is bound needs no lock.
    """

    asked = False

    def ask(self) -> None:
        """Ask to stop."""
        self.asked = True

    def wait(self, seconds: float) -> bool:
        """Return whether a stop was asked for, after so many seconds at most."""
        if not self.asked:
            time.sleep(seconds)
        return self.asked


def up(wish: Wish) -> int:
    """Run a sandbox until it is told to stop and return the exit code: 0, or 1 if a component died.

    Raises MissingBinaryError and ComponentError; everything started is stopped first.
    """
    stop = StopRequest()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.ask())
    if wish.leash:
        threading.Thread(target=_until_end_of_input, args=(stop.ask,), daemon=True).start()
    with ExitStack() as stack:
        directory = wish.directory or Path(tempfile.mkdtemp(prefix="prisma-sandbox-"))
        if wish.directory is None:
            stack.callback(shutil.rmtree, directory, ignore_errors=True)
        components: list[Component] = []
        stack.callback(lambda: stop_all(components))
        watched = _start(wish, directory.resolve(), components, stack)
        return _watch(watched, stop)


def _start(wish: Wish, directory: Path, components: list[Component], cleanup: ExitStack) -> list[Component]:
    """Start everything, tell the state, and return the components that have to stay alive."""
    token = secrets.token_urlsafe(24)
    config = Config(
        directory=directory,
        locale=wish.locale,
        faults=wish.faults,
        flags=wish.flags,
        flags_token=token,
        settings_secret=secrets.token_urlsafe(24),
        since=time.time() - wish.history if wish.history else None,
    )
    started = _start_components(config, components)
    # Without metrics there is nothing to fill a history with.
    _begin_observation(started, None if "metrics-down" in wish.faults else config.since)
    components.append(_python("traffic", directory, "sandbox.traffic", started.app.address))
    state = _state(started, wish, directory, token)
    if "prometheus-down" in wish.faults:
        started.prometheus.stop()
    state_file = (wish.state or directory / "sandbox.json").resolve()
    _write_private(state_file, state)
    cleanup.callback(state_file.unlink, missing_ok=True)
    _announce(state, state_file)
    return [one for one in components if one.process.poll() is None or one is not started.prometheus]


def _start_components(config: Config, components: list[Component]) -> Stack:
    """Start the components side by side; each joins the list as soon as it is a process."""

    def keep(component: Component) -> Component:
        components.append(component)
        return component

    return Stack(
        app=keep(_python("app", config.directory, "sandbox.prisma.app", env=config.to_environment())),
        prometheus=keep(start_prometheus(config.directory)),
        pushgateway=keep(start_pushgateway(config.directory)),
        alertmanager=keep(start_alertmanager(config.directory)),
    )


def _begin_observation(stack: Stack, since: float | None) -> None:
    """Fill the history, if any, and let Prometheus scrape from now on."""
    if since is None:
        configure_prometheus(stack.prometheus, stack.scrape())
        return
    from sandbox.history import Target, bridge, fill

    target = Target(f"{stack.app.url}{METRICS}", "prisma", stack.app.address)
    fill(stack.prometheus.url, target, since)
    configure_prometheus(stack.prometheus, stack.scrape())
    threading.Thread(target=bridge, args=(stack.prometheus.url, target), daemon=True).start()


def _watch(components: list[Component], stop: StopRequest) -> int:
    deadline = time.monotonic() + LIFETIME_SECONDS
    while not stop.wait(_POLL_SECONDS) and time.monotonic() < deadline:
        for component in components:
            if component.process.poll() is not None:
                print(component.obituary(), file=sys.stderr)  # noqa: T201
                return 1
    return 0


def _python(name: str, directory: Path, module: str, *arguments: str, env: dict[str, str] | None = None) -> Component:
    """Start a module of this package as a component."""
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    argv = [sys.executable, "-m", module, *arguments]
    return Component(name, argv, directory, ready="/healthz", env={"PYTHONPATH": path, **(env or {})})


def _state(stack: Stack, wish: Wish, directory: Path, token: str) -> dict[str, Any]:
    return {
        "id": uuid4().hex,
        "pid": os.getpid(),
        "target": stack.app.url,
        "prometheus": stack.prometheus.url,
        "pushgateway": stack.pushgateway.url,
        "alertmanager": stack.alertmanager.url,
        "flags": stack.app.url,
        "flags_token": token,
        "faults": sorted(wish.faults),
        "directory": str(directory),
        "versions": stack.versions(),
    }


def _write_private(path: Path, state: dict[str, Any]) -> None:
    """Write the state in one step; it holds a token, so only its owner may read it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with suppress(FileNotFoundError):
        draft.unlink()
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(state, file, indent=2)
    draft.replace(path)


def _announce(state: dict[str, Any], state_file: Path) -> None:
    lines = [f"{name:<13}{state[name]}" for name in ("target", "prometheus", "pushgateway", "alertmanager")]
    faults = ", ".join(state["faults"]) or "none"
    attach = f"to judge this one:  export ROLLOUT_SANDBOX={shlex.quote(str(state_file))}"
    print("\n".join([*lines, f"{'faults':<13}{faults}", attach, "Ctrl-C stops everything"]), flush=True)  # noqa: T201


def _until_end_of_input(then: Callable[[], None]) -> None:
    """Read standard input to its end, which comes when the process that holds it is gone."""
    # os.read, not sys.stdin: a thread blocked in a buffered read breaks the interpreter's exit.
    with suppress(OSError):
        while os.read(0, 4096):
            pass
    then()


def _ask(component: Component, path: str) -> Any:
    return json.loads(request(component.url + path))
