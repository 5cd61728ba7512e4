"""One line that says what a run waits for."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from pytest_rollout.units import format_duration

if TYPE_CHECKING:
    from pytest_rollout.stage import Progress, Waiting

_QUIET_SECONDS = 10.0
"""Without a terminal, a new line at most this often."""


def progress_line(config: pytest.Config) -> Progress:
    """Return a reporter of waiting: rewrites its line on a terminal, else adds one now and then.

    In a worker of xdist there is no terminal reporter, so standard error is written to; capturing is lifted for
    the moment of writing.
    """
    capture = config.pluginmanager.getplugin("capturemanager")
    last = [-_QUIET_SECONDS]

    def show(waiting: Waiting) -> None:
        if config.get_verbosity() < -1:
            return
        if capture is None:
            _write(waiting, last)
            return
        with capture.global_and_fixture_disabled():
            _write(waiting, last)

    return show


def _write(waiting: Waiting, last: list[float]) -> None:
    line = waiting.doing or _of_waiting(waiting)
    if sys.stderr.isatty() and "PYTEST_XDIST_WORKER" not in os.environ:
        sys.stderr.write(f"\r\033[K{line}")
    elif waiting.waited - last[0] >= _QUIET_SECONDS:
        last[0] = waiting.waited
        sys.stderr.write(f"\n{line}\n")
    sys.stderr.flush()


def _of_waiting(waiting: Waiting) -> str:
    names = ", ".join(waiting.checks)
    left = format_duration(max(waiting.budget - waiting.waited, 0))
    return f"waiting for evidence: {names} ({format_duration(round(waiting.waited))} so far, at most {left} more)"
