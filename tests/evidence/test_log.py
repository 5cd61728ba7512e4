"""The evidence log: what is written stays, for every process, and what cannot be written is never silently lost."""

from __future__ import annotations

import dataclasses
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytest_rollout.errors import EvidenceError
from pytest_rollout.evidence.log import EvidenceLog, Place
from pytest_rollout.judge.history import CanaryRun

ROOT = Path(__file__).parents[2]
PLACE = Place("prisma", "staging", "http://127.0.0.1:1")
RUN = CanaryRun(
    run_id="a", canary="smoke", started_at=10.0, ended_at=12.5, outcome="ok", message="passed", attachments=("1.png",)
)
ADVICE = "check that the folder is writable and the disk not full, or give another file with --rollout-evidence"
WRITER = """
import itertools, sys
from pathlib import Path
from pytest_rollout.evidence.log import EvidenceLog, Place
from pytest_rollout.judge.history import CanaryRun
log = EvidenceLog(Path(sys.argv[1]))
for number in itertools.count() if sys.argv[3] == "forever" else range(int(sys.argv[3])):
    run = CanaryRun(run_id=f"{sys.argv[2]}-{number}", canary="smoke", started_at=number, ended_at=number, outcome="ok")
    log.add_run(run, Place("prisma", "staging", "http://127.0.0.1:1"))
    print(number, flush=True)
"""


def numbered(number: int, outcome: str = "ok") -> CanaryRun:
    return dataclasses.replace(RUN, run_id=str(number), started_at=float(number), outcome=outcome)


def writer(path: Path, name: str, count: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", WRITER, str(path), name, count]
    return subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_a_run_comes_back_whole_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "evidence.db"
    log = EvidenceLog(path)
    log.add_run(RUN, PLACE)
    log.close()
    assert EvidenceLog(path).runs("smoke", PLACE) == [RUN]
    assert EvidenceLog(path).run("a") == RUN
    assert EvidenceLog(path).run("b") is None


def test_runs_come_in_the_order_of_time(tmp_path: Path) -> None:
    log = EvidenceLog(tmp_path / "evidence.db")
    for number in (3, 1, 2):
        log.add_run(numbered(number), PLACE)
    assert [run.run_id for run in log.runs("smoke", PLACE)] == ["1", "2", "3"]


@pytest.mark.parametrize(
    "other",
    [
        dataclasses.replace(PLACE, rollout="shop"),
        dataclasses.replace(PLACE, environment="production"),
        dataclasses.replace(PLACE, target="http://127.0.0.1:2"),
    ],
    ids=["rollout", "environment", "target"],
)
def test_evidence_of_another_place_does_not_count(tmp_path: Path, other: Place) -> None:
    log = EvidenceLog(tmp_path / "evidence.db")
    log.add_run(RUN, PLACE)
    assert log.runs("smoke", other) == []
    assert log.runs("another-canary", PLACE) == []


def test_an_unknown_outcome_is_refused_and_not_written(tmp_path: Path) -> None:
    log = EvidenceLog(tmp_path / "evidence.db")
    with pytest.raises(EvidenceError, match=r"^a canary run cannot end as 'fine'$"):
        log.add_run(numbered(1, "fine"), PLACE)
    assert log.runs("smoke", PLACE) == []


def test_the_same_run_is_not_written_twice(tmp_path: Path) -> None:
    log = EvidenceLog(tmp_path / "evidence.db")
    log.add_run(RUN, PLACE)
    with pytest.raises(EvidenceError, match="UNIQUE constraint failed"):
        log.add_run(dataclasses.replace(RUN, outcome="failed"), PLACE)
    assert log.runs("smoke", PLACE) == [RUN]


def test_two_processes_write_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "evidence.db"
    writers = [writer(path, name, "40") for name in ("one", "two")]
    for process in writers:
        process.communicate(timeout=60)
        assert process.returncode == 0
    runs = {run.run_id for run in EvidenceLog(path).runs("smoke", PLACE)}
    assert runs == {f"{name}-{number}" for name in ("one", "two") for number in range(40)}


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "evidence.db"
    for attempt in range(3):
        process = writer(path, f"attempt{attempt}", "forever")
        time.sleep(0.8)
        process.send_signal(signal.SIGKILL)
        acknowledged = process.communicate(timeout=30)[0].split()
        assert acknowledged
        runs = {run.run_id for run in EvidenceLog(path).runs("smoke", PLACE)}
        assert {f"attempt{attempt}-{number}" for number in acknowledged} <= runs


@pytest.mark.parametrize(
    ("content", "cause"),
    [(b"this is not a database, but it is long enough to look like one" * 20, "file is not a database")],
)
def test_a_damaged_log_says_so(tmp_path: Path, content: bytes, cause: str) -> None:
    path = tmp_path / "evidence.db"
    path.write_bytes(content)
    with pytest.raises(EvidenceError) as caught:
        EvidenceLog(path).runs("smoke", PLACE)
    assert str(caught.value) == f"the evidence log {path} cannot be used: {cause}; {ADVICE}"
    assert path.read_bytes() == content


def test_a_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    path = tmp_path / "file" / "evidence.db"
    with pytest.raises(EvidenceError) as caught:
        EvidenceLog(path).add_run(RUN, PLACE)
    assert str(caught.value).startswith(f"the evidence log {path} cannot be used: ")
    assert str(caught.value).endswith(ADVICE)


def test_a_locked_log_says_so(tmp_path: Path) -> None:
    path = tmp_path / "evidence.db"
    log = EvidenceLog(path, patience=0.2)
    log.add_run(RUN, PLACE)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(EvidenceError, match=rf"the evidence log {path} cannot be used: database is locked; "):
            log.add_run(numbered(2), PLACE)
    finally:
        holder.close()
    assert [run.run_id for run in log.runs("smoke", PLACE)] == ["a"]


def test_a_log_that_is_a_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError) as caught:
        EvidenceLog(tmp_path).add_run(RUN, PLACE)
    assert str(caught.value) == f"the evidence log {tmp_path} cannot be used: unable to open database file; {ADVICE}"
