"""The evidence log: what was appended is there, for every process, in one chain; in a file and in PostgreSQL."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from pytest_rollout.errors import AlreadyRecorded, EvidenceError
from pytest_rollout.evidence.log import EvidenceLog
from pytest_rollout.evidence.record import EMPTY, GENESIS, Head, Kind, Record
from tests.evidence.logs import PLACE, Address, Open, broken, entry, execute, read
from tests.postgres import Postgres

WRITER = """
    import sys
    from pytest_rollout.evidence.log import EvidenceLog
    from pytest_rollout.evidence.record import Entry, Kind, Place

    address, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    log = EvidenceLog(address)
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(count):
        place = Place("shop", "staging", "http://shop")
        log.append([Entry(kind=Kind.CANARY_RUN, place=place, subject="smoke", at=number, key=f"{name}{number}")])
    print("written", flush=True)
"""


def test_a_log_begins_empty(log: EvidenceLog) -> None:
    assert log.head() == EMPTY
    assert read(log) == []
    assert log.latest(Kind.CANARY_RUN, PLACE, "smoke") is None
    assert log.by_key("run:1") is None
    assert list(log.records()) == []
    assert broken(log) is None


def test_what_was_appended_is_read_back(log: EvidenceLog) -> None:
    one = entry(at=1_700_000_000.125, data={"message": "grüße; DROP TABLE records", "n": [1, 0.1, None]}, key="run:1")
    head = log.append([one])
    (record,) = log.read(Kind.CANARY_RUN, PLACE, "smoke")
    assert record == Record(
        kind=one.kind,
        place=PLACE,
        subject="smoke",
        at=one.at,
        data=one.data,
        key="run:1",
        seq=1,
        prev=GENESIS,
        hash=head.hash,
    )
    assert record.head == head == log.head() == Head(1, record.hash)
    assert log.latest(Kind.CANARY_RUN, PLACE, "smoke") == log.by_key("run:1") == record
    assert list(log.records()) == [record]


def test_both_sorts_make_the_same_chain(log: EvidenceLog) -> None:
    head = log.append([entry(at=0.1 + 0.2), entry("settlement", at=-0.0, data={"a": 1e300}), entry(at=1)])
    assert head.hash == "5836c268bcf5a8bcf6663115be884f9ab6afb5103371ad7b6be477d900644d31"


def test_each_record_has_the_hash_of_the_one_before(log: EvidenceLog) -> None:
    for at in range(3):
        log.append([entry(at=at), entry("settlement", at=at)])
    records = list(log.records())
    assert [record.seq for record in records] == [1, 2, 3, 4, 5, 6]
    assert [record.prev for record in records] == [GENESIS, *(record.hash for record in records[:-1])]
    assert broken(log) is None


def test_records_are_read_in_the_order_they_were_appended(log: EvidenceLog) -> None:
    log.append([entry(at=at) for at in (30, 10, 20)])
    assert read(log) == [30, 10, 20]


@pytest.mark.parametrize(
    ("since", "times"),
    [(10, [30, 10, 20, 40]), (10.5, [30, 20, 40]), (25, [30, 40]), (40, [40]), (40.5, []), (5, [30, 10, 20, 40])],
)
def test_records_are_read_since_a_time_even_if_the_clock_was_set_back(
    log: EvidenceLog, since: float, times: list[float]
) -> None:
    log.append([entry(at=at) for at in (30, 10, 20, 40)])
    assert read(log, since=since) == times
    last = log.latest(Kind.CANARY_RUN, PLACE, "smoke", since=since)
    assert (last.at if last else None) == (times[-1] if times else None)


def test_the_latest_since_a_time_may_be_an_earlier_one(log: EvidenceLog) -> None:
    log.append([entry(at=at) for at in (30, 10)])
    last = log.latest(Kind.CANARY_RUN, PLACE, "smoke", since=20)
    assert last is not None
    assert last.at == 30


@pytest.mark.parametrize("other", ["rollout", "environment", "target"])
def test_evidence_of_one_place_says_nothing_of_another(log: EvidenceLog, other: str) -> None:
    log.append([entry(place=replace(PLACE, **{other: "elsewhere"}))])
    assert read(log) == []
    assert len(log.read(Kind.CANARY_RUN, replace(PLACE, **{other: "elsewhere"}), "smoke")) == 1


def test_another_subject_or_kind_has_records_of_its_own(log: EvidenceLog) -> None:
    log.append([entry("settlement"), entry(kind=Kind.SLOT)])
    assert read(log) == []
    assert log.latest(Kind.CANARY_RUN, PLACE, "smoke") is None


def test_a_key_is_recorded_once(log: EvidenceLog) -> None:
    head = log.append([entry(key="run:1"), entry(), entry()])
    with pytest.raises(AlreadyRecorded) as refused:
        log.append([entry(key="run:2"), entry(key="run:1")])
    assert str(refused.value) == f"run:1 is in the evidence log {log.address} already; nothing was written"
    with pytest.raises(AlreadyRecorded) as refused:
        log.append([entry(key="run:2"), entry(key="run:2")])
    assert str(refused.value) == "run:2 is to be recorded twice at once; nothing was written"
    assert log.head() == head


def test_all_or_nothing_is_appended(log: EvidenceLog) -> None:
    head = log.append([entry()])
    with pytest.raises(EvidenceError, match="this cannot be recorded"):
        log.append([entry(at=2.0), entry(data={"value": float("nan")})])
    assert log.head() == head
    assert log.append([]) == head


def test_what_depends_on_the_log_is_appended_in_the_same_transaction(log: EvidenceLog) -> None:
    with log.appending() as appending:
        appending.append([entry(at=1.0)])
        last = appending.latest(Kind.CANARY_RUN, PLACE, "smoke")
        assert last is not None
        appending.append([entry(at=last.at + 1)])
    assert read(log) == [1.0, 2.0]
    with suppress(ZeroDivisionError), log.appending() as appending:
        appending.append([entry(at=3.0)])
        appending.append([entry(at=1 / 0)])
    assert read(log) == [1.0, 2.0]
    assert broken(log) is None


def test_a_snapshot_is_of_one_instant(log: EvidenceLog, open_log: Open) -> None:
    before = log.append([entry()])
    with log.snapshot() as snapshot:
        assert snapshot.head() == before
        open_log(log.address).append([entry(at=2.0)])
        assert snapshot.head() == before
        assert len(snapshot.read(Kind.CANARY_RUN, PLACE, "smoke")) == 1
    assert read(log) == [1.0, 2.0]


def test_records_are_streamed_after_a_seq(log: EvidenceLog) -> None:
    log.append([entry(at=at) for at in range(2500)])
    assert [record.seq for record in log.records(after=2498)] == [2499, 2500]
    assert [record.at for record in log.records()] == list(range(2500))


def test_many_keys_are_looked_up_at_once(log: EvidenceLog) -> None:
    log.append([entry(at=at, key=str(at)) for at in range(1200)])
    with pytest.raises(AlreadyRecorded, match="1199 is in the evidence log"):
        log.append([entry(key=str(number)) for number in range(2399, 1198, -1)])


def test_a_head_is_known_again(log: EvidenceLog) -> None:
    heads = [log.append([entry(at=at)]) for at in range(3)]
    assert all(log.had(head) for head in (EMPTY, *heads))
    assert not log.had(Head(2, heads[0].hash))
    assert not log.had(Head(4, heads[0].hash))
    assert not log.had(Head(0, heads[0].hash))


def test_a_restart_forgets_nothing(log: EvidenceLog, open_log: Open) -> None:
    log.append([entry(at=1.0)])
    log.close()
    log.close()
    again = open_log(log.address)
    again.append([entry(at=2.0)])
    assert read(again) == read(log) == [1.0, 2.0]


def test_every_write_reaches_the_disk(log: EvidenceLog) -> None:
    with log.transaction() as connection:
        if connection.dialect.name == "sqlite":
            names = ("PRAGMA journal_mode", "PRAGMA synchronous")
            assert [connection.execute(sa.text(name)).scalar() for name in names] == ["wal", 2]
        else:
            assert connection.execute(sa.text("SHOW synchronous_commit")).scalar() == "on"


def test_a_server_that_does_not_wait_for_its_disk_is_told_to(postgres: Postgres, open_log: Open) -> None:
    address = postgres.new_database()
    name = address.split("?")[0].rpartition("/")[2]
    execute(address, f"ALTER DATABASE {name} SET synchronous_commit = off")
    with open_log(address).transaction() as connection:
        assert connection.execute(sa.text("SHOW synchronous_commit")).scalar() == "on"


def test_time_is_the_databases(log: EvidenceLog) -> None:
    """Of one machine here, so they agree."""
    before, now, after = time.time(), log.now(), time.time()
    assert before - 1 < now < after + 1


# --- several at once -----------------------------------------------------------------------------------------


@contextmanager
def writers(address: Address, names: Sequence[str], count: int) -> Iterator[list[subprocess.Popen[str]]]:
    """Start processes that are ready to write, and let them all begin at once."""
    argv = [sys.executable, "-c", textwrap.dedent(WRITER), str(address)]
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


def test_processes_that_begin_at_once_all_append_to_one_chain(log: EvidenceLog) -> None:
    with writers(log.address, "abc", 20) as running:
        said = [process.communicate(timeout=60) for process in running]
    assert said == [("written\n", "")] * 3
    assert len(read(log)) == 60
    assert broken(log) is None


def test_threads_may_share_a_log(log: EvidenceLog) -> None:
    threads = [threading.Thread(target=lambda: [log.append([entry()]) for _ in range(5)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert log.head().count == 20
    assert broken(log) is None


def test_many_may_open_a_new_log_at_once(tmp_path: Path) -> None:
    """Without another try, some of these would be told that the database is locked."""
    said: list[str] = []
    rounds, together = 25, 6

    def opens(address: Path, all_there: threading.Barrier) -> None:
        all_there.wait(30)
        try:
            with closing(EvidenceLog(address)) as log:
                log.append([entry()])
        except EvidenceError as exc:
            said.append(str(exc))
        else:
            said.append("written")

    for number in range(rounds):
        all_there = threading.Barrier(together)
        address = tmp_path / f"{number}.db"
        threads = [threading.Thread(target=opens, args=(address, all_there)) for _ in range(together)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert said == ["written"] * rounds * together


def test_who_reads_does_not_wait_for_who_writes(log: EvidenceLog, open_log: Open) -> None:
    log.append([entry()])
    with open_log(log.address).appending() as appending:
        appending.append([entry(at=2.0)])
        assert read(log) == [1.0]
    assert read(log) == [1.0, 2.0]


def test_a_log_whose_file_was_put_elsewhere_is_not_written_into_the_void(file_log: EvidenceLog) -> None:
    file_log.append([entry()])
    path = Path(file_log.address)
    path.rename(path.with_suffix(".old"))
    with pytest.raises(EvidenceError) as refused:
        file_log.append([entry()])
    assert str(refused.value) == (
        f"the evidence log {path} was taken away or replaced while it was in use; "
        "put it back, and find out who did that"
    )
