"""Waiting for what happens elsewhere, and looking at processes that others have started."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def eventually(holds: Callable[[], Any], seconds: float = 20) -> Any:
    """Return the first result that is true; fails after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (result := holds()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return result


def children(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def gone(pid: int) -> bool:
    """Return whether a process has ended, even if nobody has asked how."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
