"""Subprocesses end: by themselves, at their deadline with everything they started, or with their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytest_rollout.process import run_bounded

ROOT = Path(__file__).parents[1]


def run(tmp_path: Path, code: str, deadline: float = 20.0) -> int | None:
    output = tmp_path / "output.log"
    return run_bounded(
        [sys.executable, "-c", code], cwd=tmp_path, env=dict(os.environ), deadline=deadline, output=output
    )


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not (status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z")


def gone(pid: int, seconds: float = 10.0) -> bool:
    until = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.02)
    return not alive(pid)


@pytest.mark.parametrize("code", [0, 3])
def test_the_exit_code_comes_back_and_the_output_is_kept(tmp_path: Path, code: int) -> None:
    said = f"import sys; print('out'); print('err', file=sys.stderr); sys.exit({code})"
    assert run(tmp_path, said) == code
    assert sorted((tmp_path / "output.log").read_text().split()) == ["err", "out"]


def test_standard_input_is_empty(tmp_path: Path) -> None:
    assert run(tmp_path, "import sys; sys.exit(len(sys.stdin.read()))") == 0


@pytest.mark.parametrize("deaf", [False, True], ids=["polite", "deaf to SIGTERM"])
def test_a_deadline_ends_the_child_and_what_it_started(tmp_path: Path, deaf: bool) -> None:
    ignore = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)" if deaf else ""
    code = (
        f"{ignore}\nimport subprocess, sys, time\n"
        "grandchild = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(grandchild.pid, flush=True)\ntime.sleep(60)"
    )
    began = time.monotonic()
    assert run(tmp_path, code, deadline=1.5) is None
    assert time.monotonic() - began < 15
    assert gone(int((tmp_path / "output.log").read_text()))


def test_nothing_is_left_behind_by_a_child_that_ends_well(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys\n"
        "deaf = 'import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)'\n"
        "print(subprocess.Popen([sys.executable, '-c', deaf]).pid)"
    )
    assert run(tmp_path, code) == 0
    assert gone(int((tmp_path / "output.log").read_text()))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can tell a child that its parent died")
def test_a_child_does_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom pytest_rollout.process import run_bounded\n"
        "child = [sys.executable, '-c', 'import os, time; print(os.getpid(), flush=True); time.sleep(60)']\n"
        f"run_bounded(child, cwd=Path('.'), env=dict(os.environ), deadline=50, output=Path({str(tmp_path / 'pid')!r}))"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    pid_file = tmp_path / "pid"
    until = time.monotonic() + 20
    while not (pid_file.exists() and pid_file.read_text().strip()) and time.monotonic() < until:
        time.sleep(0.02)
    parent.send_signal(signal.SIGKILL)
    parent.wait(10)
    assert gone(int(pid_file.read_text()))
