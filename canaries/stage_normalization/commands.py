"""The environment's own command lines: run to their end, or ended with everything that they have started."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path

from canaries.stage_normalization.instances import UnusableError
from pytest_rollout.process import Bounds, run_bounded


def run(command: str, words: Sequence[str], seconds: float) -> tuple[int, str]:
    """Run a command line with further words, without a shell; return its exit code and what it said, both streams.

    What it has started is ended with it, so that nothing writes on after it was given up. Raises UnusableError if it
    does not end in time.
    """
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "output"
        code = run_bounded(
            [*shlex.split(command), *words],
            cwd=Path.cwd(),
            env=os.environ,
            output=output,
            bounds=Bounds(seconds),
        )
        said = output.read_text(encoding="utf-8", errors="replace")
    if code is None:
        raise UnusableError(f"{command} {' '.join(words)} did not end within {seconds:g} s and was ended")
    return code, said
