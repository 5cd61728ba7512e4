"""A database that cannot be used says what is wrong and what to do, and holds nothing half written."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from pytest_rollout.errors import EvidenceError
from pytest_rollout.evidence import database
from pytest_rollout.evidence.log import EvidenceLog
from pytest_rollout.evidence.trouble import told
from tests.evidence.logs import Address, Open, broken, entry, execute, read
from tests.postgres import Postgres

ELSEWHERE = "or give another log with --rollout-evidence"
DAMAGED = f"keep it for an inquiry and put a good copy in its place, {ELSEWHERE}"
FORBIDDEN = f"give yourself the right to write it, {ELSEWHERE}"
PASSWORD = "hunter2"
KICK = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
BIG = {"message": "x" * 4000}
FILLER = """
    import resource, sys
    from pytest_rollout.evidence.log import EvidenceLog
    from pytest_rollout.evidence.record import Entry, Kind, Place

    log = EvidenceLog(sys.argv[1])
    log.head()
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
    for number in range(1000):
        place = Place("shop", "staging", "http://shop")
        entry = Entry(kind=Kind.CANARY_RUN, place=place, subject="smoke", at=number, data={"message": "x" * 4000})
        log.append([entry])
        print(number, flush=True)
"""


def refused(use: Callable[[], object]) -> str:
    with pytest.raises(EvidenceError) as error:
        use()
    return str(error.value)


def unusable(log: EvidenceLog, what: str) -> None:
    """Assert that neither reading nor writing works, and that it says why."""
    for use in (lambda: log.append([entry()]), lambda: read(log), lambda: log.by_key("run:1"), log.head):
        assert refused(use) == f"the evidence log {log.address} {what}"


# --- files ---------------------------------------------------------------------------------------------------


def test_a_file_that_is_no_database_is_not_read_as_empty(tmp_path: Path, open_log: Open) -> None:
    path = tmp_path / "evidence.db"
    path.write_bytes(b"this is not a database, but long enough to look like one" * 100)
    unusable(open_log(path), f"is something else (file is not a database); move it away, {ELSEWHERE}")


def test_a_file_that_lost_its_end_is_not_read_as_shorter(file_log: EvidenceLog, open_log: Open) -> None:
    for number in range(100):
        file_log.append([entry(at=number)])
    file_log.close()
    with Path(file_log.address).open("r+b") as file:
        file.truncate(8192)
    unusable(open_log(file_log.address), f"is damaged (database disk image is malformed); {DAMAGED}")


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path, open_log: Open) -> None:
    (tmp_path / "file").touch()
    log = open_log(tmp_path / "file" / "evidence.db")
    unusable(log, f"cannot be used ([Errno 17] File exists: '{tmp_path / 'file'}'); see to it, {ELSEWHERE}")


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
    with as_nobody():
        said = f"(unable to open database file); check that its folder is there and can be written, {ELSEWHERE}"
        unusable(open_log(read_only / "evidence.db"), f"cannot be opened {said}")
        cause = f"[Errno 13] Permission denied: '{read_only}/deeper'"
        unusable(open_log(read_only / "deeper" / "evidence.db"), f"cannot be used ({cause}); see to it, {ELSEWHERE}")


def test_a_read_only_file_takes_nothing_more(read_only: Path, open_log: Open) -> None:
    read_only.chmod(0o777)
    log = open_log(read_only / "evidence.db")
    log.append([entry()])
    log.close()
    Path(log.address).chmod(0o444)
    with as_nobody():
        again = open_log(log.address)
        said = refused(lambda: again.append([entry()]))
        assert said == (
            f"the evidence log {log.address} cannot be written (attempt to write a readonly database); {FORBIDDEN}"
        )
        assert read(again) == [1.0]


def limited(log: EvidenceLog, pages: int) -> None:
    """Let the file of a log grow no further, as on a disk that is nearly full."""

    def limit(connection: Any, _record: object) -> None:
        connection.execute(f"PRAGMA max_page_count={pages}")

    engine = log._database._opened()
    sa.event.listen(engine, "connect", limit)
    engine.dispose()


def test_a_full_disk_keeps_what_was_appended(file_log: EvidenceLog, open_log: Open) -> None:
    file_log.head()
    limited(file_log, 60)
    kept: list[float] = []

    def fill() -> None:
        for number in range(1000):
            file_log.append([entry(at=number, data=BIG), entry("other", at=number, data=BIG)])
            kept.append(number)

    assert refused(fill) == (
        f"the evidence log {file_log.address} cannot take any more (database or disk is full); "
        "make room on its disk, and try again"
    )
    assert kept
    assert read(file_log) == read(file_log, "other") == kept
    again = open_log(file_log.address)
    again.append([entry(at=5000.0)])
    assert broken(again) is None


def test_a_write_that_fails_in_the_middle_keeps_what_was_appended(file_log: EvidenceLog) -> None:
    file_log.head()
    argv = [sys.executable, "-c", textwrap.dedent(FILLER), str(file_log.address)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    kept = [float(line) for line in done.stdout.split()]
    assert done.stderr.splitlines()[-1] == (
        f"pytest_rollout.errors.EvidenceError: the evidence log {file_log.address} cannot be used (disk I/O error); "
        f"check that its disk is sound and not full, {ELSEWHERE}"
    )
    assert 10 < len(kept) < 100
    assert read(file_log) == kept
    assert broken(file_log) is None


# --- locked --------------------------------------------------------------------------------------------------


def test_who_waits_too_long_is_told(log: EvidenceLog, open_log: Open) -> None:
    log.append([entry()])
    impatient = open_log(log.address, 0.1)
    with log.appending() as appending:
        said = refused(lambda: impatient.append([entry(at=2.0)]))
        assert read(impatient) == [1.0]
        appending.append([entry(at=3.0)])
    cause = {True: "database is locked", False: "canceling statement due to lock timeout"}[
        isinstance(log.address, Path)
    ]
    assert cause in said
    assert said.startswith(f"the evidence log {log.address} is locked, others have been writing for too long (")
    assert said.endswith("); end them or wait for them, and try again")
    impatient.append([entry(at=4.0)])
    assert read(log) == [1.0, 3.0, 4.0]


@pytest.mark.parametrize("new", [True, False])
def test_a_file_that_another_program_holds_is_waited_for_and_then_told(tmp_path: Path, *, new: bool) -> None:
    path = tmp_path / "evidence.db"
    if not new:
        EvidenceLog(path).append([entry()])
    with closing(sqlite3.connect(path, check_same_thread=False)) as other:
        other.execute("CREATE TABLE x (y)")
        other.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        assert "is locked, others" in refused(lambda: EvidenceLog(path, 0.1).append([entry()]))
        assert time.monotonic() - began < 5
        release = threading.Timer(0.3, other.rollback)
        release.start()
        patient = EvidenceLog(path)
        patient.append([entry(at=2.0)])
        assert read(patient)[-1] == 2.0
        release.join()
        patient.close()


# --- PostgreSQL ----------------------------------------------------------------------------------------------


def test_a_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    log = EvidenceLog(f"postgresql://test@/test?host={tmp_path}")
    said = refused(lambda: log.append([entry()]))
    assert said.startswith(f"the evidence log {log.address} cannot be reached (")
    assert said.endswith("); check its URL, that the server runs, and the password in PGPASSWORD or ~/.pgpass")
    assert "\n" not in said


@pytest.mark.parametrize(
    ("database", "user", "cause"),
    [("nowhere", "test", 'database "nowhere" does not exist'), ("postgres", "nobody", 'role "nobody" does not exist')],
)
def test_who_is_not_let_in_is_told(postgres: Postgres, open_log: Open, database: str, user: str, cause: str) -> None:
    log = open_log(postgres.url(database, user))
    said = refused(log.head)
    assert said.startswith(f"the evidence log {log.address} cannot be reached (")
    assert cause in said


def test_a_connection_that_was_lost_is_made_again(postgres: Postgres, open_log: Open) -> None:
    log = open_log(postgres.new_database())
    log.append([entry()])
    execute(log.address, KICK)
    log.append([entry(at=2.0)])
    assert read(log) == [1.0, 2.0]


def test_a_connection_that_is_lost_in_the_middle_leaves_nothing(postgres: Postgres, open_log: Open) -> None:
    log = open_log(postgres.new_database())
    log.append([entry()])

    def interrupted() -> None:
        with log.appending() as appending:
            appending.append([entry(at=2.0)])
            execute(log.address, KICK)

    assert "cannot be reached (" in refused(interrupted)
    assert read(log) == [1.0]


def test_a_role_that_may_only_add_can_keep_a_log(postgres: Postgres, open_log: Open) -> None:
    """So that whoever runs the tests cannot take anything back."""
    address = postgres.new_database()
    open_log(address).append([entry()])
    for statement in (
        "CREATE ROLE recorder LOGIN",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO recorder",
        "GRANT INSERT ON records TO recorder",
        "GRANT INSERT, UPDATE ON streams, leases TO recorder",
        "GRANT UPDATE ON head TO recorder",
        "GRANT USAGE ON SEQUENCE streams_id_seq TO recorder",
    ):
        execute(address, statement)
    mine = address.replace("test@", "recorder@")
    log = open_log(mine)
    log.append([entry(at=2.0), entry("new")])
    assert read(log) == [1.0, 2.0]
    for statement in ("DELETE FROM records", "UPDATE records SET data = '{}'"):
        with pytest.raises(sa.exc.ProgrammingError, match="permission denied for table records"):
            execute(mine, statement)
    execute(address, "REVOKE INSERT ON records FROM recorder")
    assert refused(lambda: log.append([entry()])) == (
        f"the evidence log {mine} cannot be written (permission denied for table records); {FORBIDDEN}"
    )


# --- what is told --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (psycopg.errors.DiskFull("could not extend file"), "cannot take any more (could not extend file); make room"),
        (psycopg.errors.DataCorrupted("invalid page"), "is damaged (invalid page); keep it for an inquiry"),
        (psycopg.errors.ReadOnlySqlTransaction("read-only"), "cannot be written (read-only); give yourself the right"),
        (psycopg.errors.AdminShutdown("going down"), "cannot be reached (going down); check its URL"),
        (psycopg.errors.UndefinedTable("no head"), "cannot be used (no head); see to it"),
        (sqlite3.OperationalError(), "cannot be used (OperationalError); see to it"),
    ],
)
def test_every_trouble_has_its_advice(error: Exception, what: str) -> None:
    """Some cannot be brought about here."""
    wrapped = sa.exc.DBAPIError(f"INSERT ... {PASSWORD}", {"secret": PASSWORD}, error)
    said = str(told("x.db", wrapped))
    assert said.startswith(f"the evidence log x.db {what}")
    assert PASSWORD not in said


@pytest.mark.parametrize(
    "address",
    [
        f"postgresql://me:{PASSWORD}@db/evidence",
        f"postgres://me:{PASSWORD}@db/evidence",
        f"postgresql://me@db/evidence?password={PASSWORD}",
        f"postgresql://me@db/evidence?sslpassword={PASSWORD}",
        f"postgresql://me@db/evidence?pass%77ord={PASSWORD}",
        "postgresql://me:@db/evidence",
    ],
)
def test_a_password_has_no_place_in_a_url(address: str) -> None:
    assert refused(lambda: EvidenceLog(address)) == (
        "the URL of the evidence log has a password in it, which everybody on this machine can see; "
        "take it out, and set PGPASSWORD or write the password into ~/.pgpass"
    )


def test_a_url_that_cannot_be_read_is_not_quoted() -> None:
    said = "the URL of an evidence log is like postgresql://USER@HOST/DATABASE; this is not"
    assert refused(lambda: EvidenceLog(f"postgresql://me:{PASSWORD}@db:port/evidence")) == said


@pytest.mark.parametrize("scheme", ["mysql", "sqlite", "postgresql+asyncpg", "http"])
def test_another_sort_of_database_is_refused(scheme: str) -> None:
    said = f"an evidence log is a file or postgresql://USER@HOST/DATABASE, and not {scheme}://"
    assert refused(lambda: EvidenceLog(f"{scheme}://me:{PASSWORD}@db/evidence")) == said


def test_without_its_driver_postgresql_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    log = EvidenceLog("postgresql://me@db/evidence")
    said = "an evidence log in PostgreSQL needs psycopg: pip install 'pytest-rollout[postgres]'"
    assert refused(log.head) == said


@pytest.mark.parametrize("name", [":memory:", "file:evidence?mode=memory", "evidence 50%.db"])
def test_a_name_is_a_file_whatever_it_looks_like(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, open_log: Open, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    open_log(name).append([entry()])
    assert (tmp_path / name).is_file()


def test_a_log_that_has_to_be_there_is_not_made(address: Address) -> None:
    log = EvidenceLog(address, create=False)
    assert (
        refused(log.head)
        == f"there is no evidence log at {address}; give the file or URL of one with --rollout-evidence"
    )
    if isinstance(address, Path):
        assert not address.parent.exists()
        address.parent.mkdir()
        address.touch()
    assert "there is no evidence log" in refused(log.head)


def test_urls_are_kept_apart_from_files() -> None:
    assert database.url_of("postgresql://me@db/evidence").render_as_string() == "postgresql+psycopg://me@db/evidence"
