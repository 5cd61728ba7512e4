"""What every supervisor needs: watch the components, and stop all of them whatever happens."""

import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from sandbox.components import Component, stop_all

LIFETIME_SECONDS = 7200.0
"""A sandbox nobody stops ends by itself."""
_POLL_SECONDS = 0.1


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


class Supervision:
    """The components of one supervisor; ``directory`` is where their data and logs go."""

    def __init__(self, directory: Path, cleanup: ExitStack, stop: StopRequest) -> None:
        self.directory = directory
        self._cleanup = cleanup
        self._stop = stop
        self._components: list[Component] = []
        cleanup.callback(lambda: stop_all(self._components))

    def keep(self, component: Component) -> Component:
        """Watch a component, and stop it at the end."""
        self._components.append(component)
        return component

    def give_up(self, component: Component) -> None:
        """Stop a component now; it is no longer missed."""
        component.stop()
        self._components.remove(component)

    def at_end(self, then: Callable[[], object]) -> None:
        """Call this before the components are stopped."""
        self._cleanup.callback(then)

    def publish(self, file: Path, state: Mapping[str, Any]) -> None:
        """Write the state into a file that lives as long as the components."""
        write_private(file, state)
        self.at_end(lambda: file.unlink(missing_ok=True))

    def watch(self, between: Callable[[], object] = lambda: None) -> int:
        """Wait until told to stop, or until a component dies, and return the exit code: 0 or 1."""
        deadline = time.monotonic() + LIFETIME_SECONDS
        while not self._stop.wait(_POLL_SECONDS) and time.monotonic() < deadline:
            for component in self._components:
                if component.process.poll() is not None:
                    print(component.obituary(), file=sys.stderr)  # noqa: T201
                    return 1
            between()
        return 0


@contextmanager
def supervised(directory: Path | None, *, name: str, leash: bool = False) -> Iterator[Supervision]:
    """Supervise components in a directory, by default in a temporary one that goes at the end.

    Ends at SIGINT and SIGTERM, with a ``leash`` also at the end of standard input.
    """
    stop = StopRequest()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.ask())
    if leash:
        threading.Thread(target=_until_end_of_input, args=(stop.ask,), daemon=True).start()
    with ExitStack() as cleanup:
        chosen = directory or Path(tempfile.mkdtemp(prefix=f"{name}-sandbox-"))
        if directory is None:
            cleanup.callback(shutil.rmtree, chosen, ignore_errors=True)
        yield Supervision(chosen.resolve(), cleanup, stop)


def write_private(path: Path, state: Mapping[str, Any]) -> None:
    """Write the state in one step; it holds a token, so only its owner may read it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(state, file, indent=2)
    draft.replace(path)


def _until_end_of_input(then: Callable[[], None]) -> None:
    """Read standard input to its end, which comes when the process that holds it is gone."""
    # os.read, not sys.stdin: a thread blocked in a buffered read breaks the interpreter's exit.
    with suppress(OSError):
        while os.read(0, 4096):
            pass
    then()
