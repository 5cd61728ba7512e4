"""The evidence log: what was added is there, for every process, and what cannot be used says so."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from pytest_rollout.errors import EvidenceError
from pytest_rollout.evidence.log import EvidenceLog, Place
from pytest_rollout.judge.history import CanaryRun, Looks

PLACE = Place("shop", "staging", "http://shop")
RUN = CanaryRun(
    run_id="r1",
    canary="smoke",
    started_at=1_700_000_000.125,
    ended_at=1_700_000_001.5,
    outcome="ok",
    message="grüße; DROP TABLE canary_runs",
    attachments=("a.png", "b c.zip"),
)
ADVICE = "check that the folder is writable and the disk not full, or give another file with --rollout-evidence"
WRITER = """
    import sys, time
    from pathlib import Path
    from pytest_rollout.evidence.log import EvidenceLog, Place
    from pytest_rollout.judge.history import CanaryRun

    path, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    log = EvidenceLog(path)
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(count):
        run = CanaryRun(run_id=f"{name}{number}", canary="smoke", started_at=number, ended_at=number, outcome="ok")
        log.add_run(run, Place("shop", "staging", "http://shop"))
    print("written", flush=True)
    sys.stdin.readline()
"""

LOOKER = """
    import sys
    from pathlib import Path
    from pytest_rollout.evidence.log import EvidenceLog, Place

    path, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    log = EvidenceLog(path)
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(count):
        looks = log.look(Place("shop", "staging", "http://shop"), "stage1", ["latency"], 5.0, float(ord(name) + number))
        print(looks["latency"].count, looks["latency"].first_at)
"""
FLIP = 1_700_000_000.125

Open = Callable[[Path], EvidenceLog]


@pytest.fixture
def open_log() -> Iterator[Open]:
    opened: list[EvidenceLog] = []

    def new(path: Path) -> EvidenceLog:
        opened.append(EvidenceLog(path))
        return opened[-1]

    yield new
    for log in opened:
        log.close()


@pytest.fixture
def log(tmp_path: Path, open_log: Open) -> EvidenceLog:
    return open_log(tmp_path / ".rollout" / "evidence.db")


def ids(log: EvidenceLog, place: Place = PLACE, canary: str = "smoke") -> list[str]:
    return [run.run_id for run in log.runs(canary, place)]


def numbered(number: int) -> CanaryRun:
    return replace(RUN, run_id=f"r{number}", started_at=float(number))


# --- what was added is there ---------------------------------------------------------------------------------


def test_what_was_added_is_read_back(log: EvidenceLog) -> None:
    log.add_run(RUN, PLACE)
    assert log.runs("smoke", PLACE) == [RUN]
    assert log.run("r1") == RUN


def test_nothing_is_there_before(log: EvidenceLog) -> None:
    assert log.runs("smoke", PLACE) == []
    assert log.run("r1") is None


@pytest.mark.parametrize("outcome", ["ok", "failed", "error"])
def test_every_outcome_is_kept(log: EvidenceLog, outcome: str) -> None:
    log.add_run(replace(RUN, outcome=outcome, attachments=(), message=""), PLACE)
    assert [run.outcome for run in log.runs("smoke", PLACE)] == [outcome]


def test_runs_come_in_the_order_of_time(log: EvidenceLog) -> None:
    for number in (3, 1, 2):
        log.add_run(numbered(number), PLACE)
    assert ids(log) == ["r1", "r2", "r3"]


@pytest.mark.parametrize("other", ["rollout", "environment", "target"])
def test_evidence_of_one_place_says_nothing_of_another(log: EvidenceLog, other: str) -> None:
    log.add_run(RUN, replace(PLACE, **{other: "elsewhere"}))
    assert ids(log) == []
    assert ids(log, canary="other") == []
    assert ids(log, replace(PLACE, **{other: "elsewhere"})) == ["r1"]


def test_another_canary_has_runs_of_its_own(log: EvidenceLog) -> None:
    log.add_run(RUN, PLACE)
    assert ids(log, canary="settlement") == []


def test_a_restart_forgets_nothing(log: EvidenceLog, open_log: Open) -> None:
    log.add_run(numbered(1), PLACE)
    log.close()
    log.close()
    again = open_log(log.path)
    again.add_run(numbered(2), PLACE)
    assert ids(again) == ids(log) == ["r1", "r2"]


def test_every_write_reaches_the_disk(log: EvidenceLog) -> None:
    with log._connection() as connection:
        found = [connection.execute(sa.text(f"PRAGMA {name}")).scalar() for name in ("journal_mode", "synchronous")]
    assert found == ["wal", 2]


@contextmanager
def writers(path: Path, *names: str, count: int, program: str = WRITER) -> Iterator[list[subprocess.Popen[str]]]:
    """Start processes that are ready to write, and let them all begin at once."""
    argv = [sys.executable, "-c", textwrap.dedent(program), str(path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    running = [subprocess.Popen([*argv, name, str(count)], **pipes) for name in names]  # type: ignore[call-overload]
    try:
        for process in running:
            assert process.stdout.readline() == "ready\n"
        for process in running:
            process.stdin.write("\n")
            process.stdin.flush()
        yield running
    finally:
        for process in running:
            process.kill()
            process.communicate()


def test_processes_that_begin_at_once_all_write(log: EvidenceLog) -> None:
    with writers(log.path, "a", "b", "c", count=5) as running:
        said = [process.communicate("\n", timeout=30) for process in running]
    assert [(out, err) for out, err in said] == [("written\n", "")] * 3
    assert len(ids(log)) == 15


def test_what_a_killed_process_wrote_is_there(log: EvidenceLog) -> None:
    with writers(log.path, "a", count=2) as (process,):
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    assert ids(log) == ["a0", "a1"]


# --- looks ---------------------------------------------------------------------------------------------------


def look(log: EvidenceLog, at: float, **other: Any) -> dict[str, Looks]:
    known = {"place": PLACE, "stage": "stage1", "gates": ["latency"], "flip": FLIP, **other}
    return log.look(known["place"], known["stage"], known["gates"], known["flip"], at)


def test_the_first_look_is_the_first(log: EvidenceLog) -> None:
    assert look(log, 20.5, gates=["latency", "errors"]) == {"latency": Looks(1, 20.5), "errors": Looks(1, 20.5)}


def test_looks_are_counted_from_the_first_on(log: EvidenceLog) -> None:
    assert [look(log, at)["latency"] for at in (20.5, 30.0, 10.0)] == [
        Looks(1, 20.5),
        Looks(2, 20.5),
        Looks(3, 10.0),  # the clock was set back
    ]


def test_only_gates_that_are_looked_at_are_told(log: EvidenceLog) -> None:
    look(log, 1.0, gates=["latency", "errors"])
    assert look(log, 2.0, gates=["errors", "new"]) == {"errors": Looks(2, 1.0), "new": Looks(1, 2.0)}
    assert look(log, 3.0) == {"latency": Looks(2, 1.0)}


@pytest.mark.parametrize(
    "other",
    [
        {"place": replace(PLACE, rollout="elsewhere")},
        {"place": replace(PLACE, environment="elsewhere")},
        {"place": replace(PLACE, target="elsewhere")},
        {"stage": "stage2"},
        {"flip": FLIP + 0.001},
        {"flip": None},
    ],
    ids=["rollout", "environment", "target", "stage", "another flip", "no flip"],
)
def test_looks_elsewhere_say_nothing_of_these(log: EvidenceLog, other: dict[str, Any]) -> None:
    assert look(log, 1.0, **other)["latency"] == Looks(1, 1.0)
    assert look(log, 2.0)["latency"] == Looks(1, 2.0)
    assert look(log, 3.0, **other)["latency"] == Looks(2, 1.0)
    assert look(log, 4.0)["latency"] == Looks(2, 2.0)


def test_a_restart_forgets_no_look(log: EvidenceLog, open_log: Open) -> None:
    look(log, 1.0)
    log.close()
    assert look(open_log(log.path), 2.0)["latency"] == Looks(2, 1.0)


def test_looks_of_processes_that_begin_at_once_are_all_counted(log: EvidenceLog) -> None:
    """Each sees every look before its own: two that both believed to be the first would promise too much."""
    with writers(log.path, "a", "b", "c", count=5, program=LOOKER) as running:
        said = [process.communicate(timeout=30) for process in running]
    assert [err for _, err in said] == [""] * 3
    counts = sorted(int(line.split()[0]) for out, _ in said for line in out.splitlines())
    assert counts == list(range(1, 16))
    assert look(log, 1000.0, flip=5.0)["latency"] == Looks(16, 97.0)


def test_a_file_of_before_there_were_looks_gets_them(log: EvidenceLog, open_log: Open) -> None:
    log.add_run(RUN, PLACE)
    log.close()
    with closing(sqlite3.connect(log.path)) as connection:
        connection.execute("DROP TABLE looks")
    older = open_log(log.path)
    assert look(older, 1.0)["latency"] == Looks(1, 1.0)
    assert older.runs("smoke", PLACE) == [RUN]


# --- what cannot be used says so -----------------------------------------------------------------------------


def unusable(log: EvidenceLog, cause: str) -> None:
    """Assert that neither reading nor writing works, and that it says why."""
    uses: tuple[Callable[[], object], ...] = (
        lambda: log.add_run(RUN, PLACE),
        lambda: log.runs("smoke", PLACE),
        lambda: log.run("r1"),
        lambda: look(log, 1.0),
    )
    for use in uses:
        with pytest.raises(EvidenceError) as refused:
            use()
        assert str(refused.value) == f"the evidence log {log.path} cannot be used: {cause}; {ADVICE}"


@pytest.mark.parametrize("outcome", ["", "OK", "passed", "skipped"])
def test_another_outcome_is_refused_and_leaves_nothing(log: EvidenceLog, outcome: str) -> None:
    with pytest.raises(EvidenceError) as refused:
        log.add_run(replace(RUN, outcome=outcome), PLACE)
    assert str(refused.value) == f"a canary run cannot end as {outcome!r}"
    assert not log.path.exists()


def test_a_run_is_never_changed(log: EvidenceLog) -> None:
    log.add_run(RUN, PLACE)
    with pytest.raises(EvidenceError) as refused:
        log.add_run(replace(RUN, outcome="failed"), PLACE)
    cause = "UNIQUE constraint failed: canary_runs.run_id"
    assert str(refused.value) == f"the evidence log {log.path} cannot be used: {cause}; {ADVICE}"
    assert log.runs("smoke", PLACE) == [RUN]


def test_a_corrupt_file_is_not_read_as_empty(tmp_path: Path, open_log: Open) -> None:
    path = tmp_path / "evidence.db"
    path.write_bytes(b"this is not a database, but long enough to look like one" * 100)
    unusable(open_log(path), "file is not a database")


def test_a_file_that_lost_its_end_is_not_read_as_shorter(log: EvidenceLog, open_log: Open) -> None:
    for number in range(100):
        log.add_run(numbered(number), PLACE)
    log.close()
    with log.path.open("r+b") as file:
        file.truncate(8192)
    unusable(open_log(log.path), "database disk image is malformed")


def test_a_file_of_another_form_is_not_read_as_empty(tmp_path: Path, open_log: Open) -> None:
    path = tmp_path / "evidence.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE canary_runs (run_id TEXT)")
    with pytest.raises(EvidenceError, match="cannot be used: no such column: "):
        open_log(path).runs("smoke", PLACE)


def test_a_file_that_another_process_holds_is_waited_for_and_then_told(
    tmp_path: Path,
) -> None:
    log = EvidenceLog(tmp_path / "evidence.db", patience=0.1)
    log.add_run(RUN, PLACE)
    with closing(sqlite3.connect(log.path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(EvidenceError) as refused:
            log.add_run(numbered(2), PLACE)
        assert log.runs("smoke", PLACE) == [RUN]
    assert str(refused.value) == f"the evidence log {log.path} cannot be used: database is locked; {ADVICE}"
    log.add_run(numbered(2), PLACE)
    log.close()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path, open_log: Open) -> None:
    (tmp_path / "file").touch()
    log = open_log(tmp_path / "file" / "evidence.db")
    unusable(log, f"[Errno 17] File exists: '{tmp_path / 'file'}'")
    deeper = open_log(tmp_path / "file" / "deeper" / "evidence.db")
    unusable(deeper, f"[Errno 20] Not a directory: '{tmp_path / 'file' / 'deeper'}'")


@contextmanager
def as_nobody() -> Iterator[None]:
    """Give up the rights of root for a while: root may write everywhere."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def read_only() -> Iterator[Path]:
    """Return a folder that nobody may write into, and everybody may read."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o555)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_a_read_only_folder_is_told(read_only: Path, open_log: Open) -> None:
    log = open_log(read_only / "evidence.db")
    with as_nobody():
        unusable(log, "unable to open database file")
    with as_nobody():
        unusable(open_log(read_only / "deeper" / "evidence.db"), f"[Errno 13] Permission denied: '{read_only}/deeper'")


def test_a_read_only_file_takes_nothing_more(read_only: Path, open_log: Open) -> None:
    read_only.chmod(0o777)
    log = open_log(read_only / "evidence.db")
    log.add_run(RUN, PLACE)
    log.close()
    log.path.chmod(0o444)
    read_only.chmod(0o555)
    cause = "attempt to write a readonly database"
    for use in (lambda: open_log(log.path).add_run(numbered(2), PLACE), lambda: look(open_log(log.path), 1.0)):
        with as_nobody(), pytest.raises(EvidenceError) as refused:
            use()
        assert str(refused.value) == f"the evidence log {log.path} cannot be used: {cause}; {ADVICE}"
