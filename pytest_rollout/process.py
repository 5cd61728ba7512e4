"""Subprocesses that end: by themselves, at their deadline, when they are asked to, or with their parent."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_POLL_SECONDS = 0.1


class StopRequest:
    """Tells threads to stop, also from a signal handler.

    A handler runs in the main thread, in the middle of whatever that does. ``threading.Event.set`` would then
    wait for ever for the lock that an ``Event.wait`` there holds; a name that is bound needs no lock.
    """

    def __init__(self) -> None:
        self.asked = False

    def ask(self) -> None:
        """Ask to stop."""
        self.asked = True

    def __call__(self) -> bool:
        """Whether a stop was asked for."""
        return self.asked

    def pause(self, seconds: float) -> None:
        """Wait so many seconds, or until a stop is asked for."""
        until = time.monotonic() + seconds
        while not self.asked and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _POLL_SECONDS))


def dying_with_parent() -> Callable[[], None] | None:
    """Return what a child runs before exec, so that it is ended when its parent dies, even by SIGKILL (Linux only).

    For ``preexec_fn``. The parent is the thread that starts it; that thread has to stay as long as the child may.
    """
    if sys.platform != "linux":
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()  # before the fork: another thread may hold the loader's lock

    def prepare() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before the call
            os._exit(1)

    return prepare


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long a process may run."""

    deadline: float
    """Seconds."""
    stopped: Callable[[], bool] = lambda: False
    """Whether it has to end at once; asked again and again."""
    grace: float = 3.0
    """Seconds from asking it to end to killing it."""


def run_bounded(argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], output: Path, bounds: Bounds) -> int | None:
    """Run a command, its output into a file; return its exit code, or None if it did not end within its bounds.

    Raises OSError if it cannot be started.
    """
    with output.open("wb") as sink:
        child = subprocess.Popen(  # noqa: S603 - our own command line
            list(argv),
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=dying_with_parent(),  # noqa: PLW1509 - one prctl call, no lock is taken
        )
        try:
            return _wait(child, bounds)
        finally:
            _end(child, bounds.grace)


def _wait(child: subprocess.Popen[bytes], bounds: Bounds) -> int | None:
    until = time.monotonic() + bounds.deadline
    while not bounds.stopped() and (left := until - time.monotonic()) > 0:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return child.wait(min(left, _POLL_SECONDS))
    return child.poll()


def _end(child: subprocess.Popen[bytes], grace: float) -> None:
    """Stop a child that still runs, politely at first, and whatever it has left in its process group."""
    if child.poll() is None:
        child.terminate()  # it alone: what it has started may be needed to tidy up
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(grace)
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: EPERM for a group of zombies
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
