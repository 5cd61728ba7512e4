"""Older logs are brought forward, newer ones refused."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from pytest_rollout.errors import EvidenceError
from pytest_rollout.evidence.log import EvidenceLog
from pytest_rollout.evidence.record import EMPTY, Place
from pytest_rollout.evidence.runs import find_run, look, runs
from pytest_rollout.judge.history import CanaryRun, Looks
from tests.evidence.logs import PLACE, Open, broken, entry, execute

RUNS = """
    CREATE TABLE canary_runs (run_id VARCHAR NOT NULL, rollout VARCHAR NOT NULL, environment VARCHAR NOT NULL,
        target VARCHAR NOT NULL, canary VARCHAR NOT NULL, started_at FLOAT NOT NULL, ended_at FLOAT NOT NULL,
        outcome VARCHAR NOT NULL, message VARCHAR NOT NULL, attachments VARCHAR NOT NULL, PRIMARY KEY (run_id));
    CREATE INDEX by_canary ON canary_runs (rollout, environment, target, canary, started_at);
"""
LOOKS = """
    CREATE TABLE looks (rollout VARCHAR NOT NULL, environment VARCHAR NOT NULL, target VARCHAR NOT NULL,
        stage VARCHAR NOT NULL, gate VARCHAR NOT NULL, flipped_at FLOAT NOT NULL, looked_at FLOAT NOT NULL);
    CREATE INDEX by_gate ON looks (rollout, environment, target, stage, gate, flipped_at);
"""
SHOP = ("shop", "staging", "http://shop")
ELSEWHERE = Place("shop", "staging", "http://elsewhere")
OPENER = """
    import sys
    from pytest_rollout.evidence.log import EvidenceLog
    print("ready", flush=True)
    sys.stdin.readline()
    EvidenceLog(sys.argv[1]).head()
"""


def old(path: Path, tables: str = RUNS + LOOKS) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.executescript(tables)
    return connection


def old_run(number: int, place: Sequence[str] = SHOP) -> tuple[object, ...]:
    return (f"r{number}", *place, "smoke", float(number), number + 0.5, "ok", "grüße", '["a.png"]')


def add(connection: sqlite3.Connection, table: str, rows: Sequence[tuple[object, ...]]) -> None:
    connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)  # noqa: S608
    connection.commit()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".rollout" / "evidence.db"


def test_runs_of_before_become_records(path: Path, open_log: Open) -> None:
    with closing(old(path)) as connection:
        add(connection, "canary_runs", [old_run(2), old_run(1), old_run(3, ("shop", "staging", "http://elsewhere"))])
    log = open_log(path)
    expected = CanaryRun(
        run_id="r1",
        canary="smoke",
        started_at=1.0,
        ended_at=1.5,
        outcome="ok",
        message="grüße",
        attachments=("a.png",),
        plan="",  # of which version of the plan and under which flags, was not recorded
        flags={},
    )
    assert [run.run_id for run in runs(log, "smoke", PLACE)] == ["r1", "r2"]
    assert find_run(log, "r1") == expected
    assert [run.run_id for run in runs(log, "smoke", ELSEWHERE)] == ["r3"]
    assert broken(log) is None
    with closing(sqlite3.connect(path)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert tables == {"schema_version", "head", "streams", "records", "leases"}


def test_looks_of_before_are_counted(path: Path, open_log: Open) -> None:
    with closing(old(path)) as connection:
        seen = [(5.0, 30.0), (5.0, 10.0), (0.0, 20.0), (5.0, 40.0)]
        add(connection, "looks", [(*SHOP, "stage1", "latency", *times) for times in seen])
    log = open_log(path)
    assert look(log, PLACE, "stage1", ["latency"], 5.0, 50.0) == {"latency": Looks(4, 10.0)}
    assert look(log, PLACE, "stage1", ["latency"], None, 50.0) == {"latency": Looks(2, 20.0)}
    assert broken(log) is None


@pytest.mark.parametrize("tables", [RUNS, LOOKS, RUNS + LOOKS], ids=["runs", "looks", "both"])
def test_a_log_of_before_may_be_empty(path: Path, open_log: Open, tables: str) -> None:
    old(path, tables).close()
    assert open_log(path).head() == EMPTY


def test_several_may_bring_it_forward_at_once(path: Path, open_log: Open) -> None:
    with closing(old(path)) as connection:
        add(connection, "canary_runs", [old_run(number) for number in range(500)])
    with ThreadPoolExecutor(4) as pool:
        heads = set(pool.map(lambda _: open_log(path).head(), range(4)))
    assert [head.count for head in heads] == [500]


@pytest.mark.parametrize("begun", [True, False], ids=["older", "new"])
def test_several_processes_may_open_it_for_the_first_time(path: Path, open_log: Open, *, begun: bool) -> None:
    if begun:
        with closing(old(path)) as connection:
            add(connection, "canary_runs", [old_run(number) for number in range(100)])
    openers = [opener(path) for _ in range(4)]
    for process in openers:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    assert [process.communicate(timeout=30)[1] for process in openers] == [""] * 4
    assert open_log(path).head().count == (100 if begun else 0)


def test_killed_in_the_middle_it_is_brought_forward_later(path: Path, open_log: Open) -> None:
    with closing(old(path)) as connection:
        add(connection, "canary_runs", [old_run(number) for number in range(3000)])
    for number in range(6):
        process = opener(path)
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
        time.sleep(0.02 * number)  # at another instant each time
        process.kill()
        process.communicate()
    log = open_log(path)
    assert [run.run_id for run in runs(log, "smoke", PLACE)] == [f"r{number}" for number in range(3000)]
    assert broken(log) is None


def opener(path: Path) -> subprocess.Popen[str]:
    """Return a process that is ready to open a log."""
    argv = [sys.executable, "-c", textwrap.dedent(OPENER), str(path)]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("version", [1, 3, 4711])
def test_a_version_that_is_not_known_is_refused(log: EvidenceLog, version: int) -> None:
    log.append([entry()])
    log.close()
    execute(log.address, "UPDATE schema_version SET version = :version", {"version": version})
    for _ in range(2):
        with pytest.raises(EvidenceError) as refused:
            log.append([entry()])
        assert str(refused.value) == (
            f"the evidence log {log.address} has schema {version}, and 2 is known here; update pytest-rollout"
        )


@pytest.mark.parametrize(
    ("statement", "count"),
    [("DELETE FROM schema_version", 0), ("INSERT INTO schema_version SELECT version FROM schema_version", 2)],
)
def test_a_log_has_one_version(log: EvidenceLog, open_log: Open, statement: str, count: int) -> None:
    log.append([entry()])
    execute(log.address, statement)
    with pytest.raises(EvidenceError) as refused:
        open_log(log.address).head()
    said = f"the evidence log {log.address} has {count} schema versions; restore it from a copy"
    assert str(refused.value) == said


def test_a_log_without_its_version_is_not_taken_for_a_new_one(log: EvidenceLog, open_log: Open) -> None:
    log.append([entry()])
    execute(log.address, "DROP TABLE schema_version")
    with pytest.raises(EvidenceError) as refused:
        open_log(log.address).head()
    assert str(refused.value) == (
        f"the evidence log {log.address} has a table head and no schema version; restore it from a copy, "
        "or give it a database of its own"
    )


def test_other_tables_in_the_database_are_left_alone(log: EvidenceLog) -> None:
    if isinstance(log.address, Path):
        log.address.parent.mkdir()
    execute(log.address, "CREATE TABLE orders (number INTEGER)")
    log.append([entry()])
    execute(log.address, "INSERT INTO orders VALUES (1)")
    assert log.head().count == 1


def test_a_table_of_another_form_is_not_a_log(path: Path, open_log: Open) -> None:
    old(path, "CREATE TABLE canary_runs (run_id TEXT)").close()
    with pytest.raises(EvidenceError, match=r"cannot be used \(no such column: started_at\)"):
        open_log(path).head()
