"""Subprocesses that end: by themselves, at their deadline, or with their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_rollout.process import Bounds, StopRequest, run_bounded

LONG = Bounds(20.0)
FAMILY = """
    import os, signal, subprocess, sys, time
    if {deaf}:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ignore = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    grandchild = subprocess.Popen([sys.executable, "-c", ignore], stdout=subprocess.PIPE)
    grandchild.stdout.readline()
    with open("pids.new", "w") as file:
        file.write(f"{{os.getpid()}} {{grandchild.pid}}")
    os.rename("pids.new", "pids")
    time.sleep(60)
"""
"""A process with a child that does not listen to SIGTERM; ``deaf`` says whether it listens itself."""


def run(folder: Path, code: str, *arguments: str, bounds: Bounds = LONG, **variables: str) -> int | None:
    argv = [sys.executable, "-c", textwrap.dedent(code), *arguments]
    env = {"PATH": os.environ["PATH"], **variables}
    return run_bounded(argv, cwd=folder, env=env, output=folder / "output", bounds=bounds)


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not fetched does not."""
    status = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        return status.exists() and status.read_text().rpartition(")")[2].split()[0] not in "ZX"
    return not subprocess.run(["kill", "-0", str(pid)], check=False, capture_output=True).returncode


def await_pids(folder: Path) -> list[int]:
    deadline = time.monotonic() + 20
    while not (folder / "pids").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return [int(pid) for pid in (folder / "pids").read_text().split()]


def still_alive(pids: list[int]) -> list[int]:
    """Return who is still there after a while."""
    deadline = time.monotonic() + 10
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.01)
    return [pid for pid in pids if alive(pid)]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Return a folder; whoever left a pid there is ended after the test."""
    yield tmp_path
    for pid in (tmp_path / "pids").read_text().split() if (tmp_path / "pids").exists() else ():
        if alive(int(pid)):
            os.kill(int(pid), signal.SIGKILL)


@pytest.mark.parametrize("code", [0, 1, 3])
def test_the_exit_code_is_told(folder: Path, code: int) -> None:
    assert run(folder, "import sys; sys.exit(int(sys.argv[1]))", str(code)) == code


def test_a_process_that_dies_of_a_signal_has_a_code_too(folder: Path) -> None:
    assert run(folder, "import os; os.kill(os.getpid(), 9)") == -9


def test_output_and_errors_go_to_the_file_in_order(folder: Path) -> None:
    (folder / "output").write_text("of the run before")
    run(folder, "import os; os.write(1, b'one '); os.write(2, b'two '); os.write(1, b'three')")
    assert (folder / "output").read_text() == "one two three"


def test_a_process_has_its_folder_its_variables_and_nothing_to_read(folder: Path) -> None:
    code = "import os, sys; print(os.getcwd(), os.environ['A'], 'HOME' in os.environ, repr(sys.stdin.read()))"
    run(folder, code, A="b")
    assert (folder / "output").read_text().split() == [str(folder), "b", "False", "''"]


@pytest.mark.parametrize("deaf", [False, True], ids=["listens", "deaf"])
def test_at_the_deadline_the_whole_family_ends(folder: Path, *, deaf: bool) -> None:
    begun = time.monotonic()
    assert run(folder, FAMILY.format(deaf=deaf), bounds=Bounds(1.0)) is None
    assert time.monotonic() - begun < 10
    assert still_alive(await_pids(folder)) == []


def test_a_process_that_listens_is_asked_before_it_is_killed(folder: Path) -> None:
    code = """
        import signal, sys, time
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(print("good-bye", flush=True)))
        print("hello", flush=True)
        time.sleep(60)
    """
    assert run(folder, code, bounds=Bounds(1.0)) is None
    assert (folder / "output").read_text() == "hello\ngood-bye\n"


def test_only_the_process_itself_is_asked_to_end_for_it_may_need_the_others(folder: Path) -> None:
    child = "import time; print(1, flush=True); time.sleep(60)"
    code = f"""
        import signal, subprocess, sys, time
        child = subprocess.Popen([sys.executable, "-c", {child!r}], stdout=subprocess.PIPE)
        child.stdout.readline()
        def tidy_up(*_):
            time.sleep(0.2)
            sys.exit(print("the child is", "gone" if child.poll() else "there", flush=True))
        signal.signal(signal.SIGTERM, tidy_up)
        time.sleep(60)
    """
    assert run(folder, code, bounds=Bounds(1.0)) is None
    assert (folder / "output").read_text() == "the child is there\n"


def test_a_process_is_stopped_before_its_deadline(folder: Path) -> None:
    begun = time.monotonic()
    stopped = (folder / "pids").exists
    assert run(folder, FAMILY.format(deaf=True), bounds=Bounds(60.0, stopped, grace=0.2)) is None
    assert time.monotonic() - begun < 10
    assert still_alive(await_pids(folder)) == []


def test_a_process_that_ended_in_time_has_a_code_in_spite_of_a_stop(folder: Path) -> None:
    done = folder / "done"
    code = "import pathlib, sys, time; pathlib.Path('done').touch(); time.sleep(0.3); sys.exit(3)"

    def stopped() -> bool:
        if done.exists():
            time.sleep(1.0)
        return done.exists()

    assert run(folder, code, bounds=Bounds(20.0, stopped)) == 3


def test_a_command_that_is_not_there_is_an_error(folder: Path) -> None:
    with pytest.raises(FileNotFoundError):
        run_bounded([str(folder / "nothing")], cwd=folder, env={}, output=folder / "output", bounds=Bounds(1.0))


def test_a_stop_request_ends_a_pause_even_from_a_signal_handler_in_the_middle_of_it() -> None:
    stop = StopRequest()
    before = signal.signal(signal.SIGALRM, lambda *_: stop.ask())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        begun = time.monotonic()
        stop.pause(30.0)
        assert 0.2 <= time.monotonic() - begun < 5
        assert stop()
        stop.pause(30.0)
        assert time.monotonic() - begun < 5, "once asked, nothing waits any more"
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_pause_is_as_long_as_it_should_be() -> None:
    begun = time.monotonic()
    StopRequest().pause(0.25)
    assert 0.25 <= time.monotonic() - begun < 2


def test_an_interrupted_wait_ends_the_process(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wait = subprocess.Popen.wait
    pids: list[int] = []

    def interrupted(child: subprocess.Popen[bytes], timeout: float | None = None) -> int:
        if not pids:
            pids.extend(await_pids(folder))
            raise KeyboardInterrupt
        return wait(child, timeout)

    monkeypatch.setattr(subprocess.Popen, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(folder, FAMILY.format(deaf=False))
    assert still_alive(pids) == []


def test_what_a_process_leaves_behind_ends_with_it(folder: Path) -> None:
    assert run(folder, FAMILY.format(deaf=False).replace("time.sleep(60)\n", "sys.exit(5)\n")) == 5
    assert still_alive(await_pids(folder)) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can tie a process to its parent")
def test_a_process_ends_with_its_killed_parent(folder: Path) -> None:
    child = "import os, time; open('new', 'w').write(str(os.getpid())); os.rename('new', 'pids'); time.sleep(60)"
    parent = f"""
        import sys
        from pathlib import Path
        from pytest_rollout.process import Bounds, run_bounded
        run_bounded([sys.executable, "-c", {child!r}], cwd=Path.cwd(), env={{}}, output=Path("out"), bounds=Bounds(60))
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(parent)], cwd=folder) as running:
        pids = await_pids(folder)
        assert all(map(alive, pids))
        running.send_signal(signal.SIGKILL)
    assert still_alive(pids) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can tie a process to its parent")
def test_a_process_whose_parent_died_before_it_was_tied_does_not_begin(folder: Path) -> None:
    code = """
        import os, sys
        from pytest_rollout.process import dying_with_parent
        prepare = dying_with_parent()
        def ended(child):
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if child := os.fork():
            sys.exit(ended(child))
        if grandchild := os.fork():
            os._exit(ended(grandchild))
        prepare()  # by another parent than the one that made it, as after an adoption
        os._exit(7)
    """
    assert run(folder, code) == 1
