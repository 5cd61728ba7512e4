"""Take anything out of an evidence log, and no answer gets better: it stays what it was, or there is none."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from pytest_rollout.errors import EvidenceError
from pytest_rollout.evidence.log import EvidenceLog
from pytest_rollout.evidence.record import Kind
from tests.evidence.logs import PLACE, Open, broken, entry, execute, read, tampering

TIMES = (10.0, 30.0, 20.0, 40.0)
"""The clock is set back once."""
SINCE = (None, 10.0, 15.0, 20.0, 25.0, 40.0, 45.0)
Question = Callable[[EvidenceLog], object]


def filled(log: EvidenceLog) -> EvidenceLog:
    for number, at in enumerate(TIMES):
        log.append([entry(at=at, key=f"run:{number}"), entry("settlement", at=at)])
    log.append([entry("once"), entry("settlement", at=50.0)])
    return log


def questions() -> Iterator[Question]:
    for subject, since in itertools.product(("smoke", "settlement", "once", "never"), SINCE):
        yield partial(EvidenceLog.read, kind=Kind.CANARY_RUN, place=PLACE, subject=subject, since=since)
        yield partial(EvidenceLog.latest, kind=Kind.CANARY_RUN, place=PLACE, subject=subject, since=since)
    yield EvidenceLog.head


def answer(log: EvidenceLog, question: Question) -> object:
    with suppress(EvidenceError):
        return question(log)
    return EvidenceError


@pytest.mark.parametrize("at_once", [1, 2])
def test_no_answer_outlives_what_it_rests_on(tmp_path: Path, open_log: Open, at_once: int) -> None:
    whole = filled(open_log(tmp_path / "whole.db"))
    before = [answer(whole, question) for question in questions()]
    whole.close()
    rows = [("records", seq) for seq in range(1, 11)] + [("streams", number) for number in (1, 2, 3)] + [("head", 1)]
    for number, removed in enumerate(itertools.combinations(rows, at_once)):
        path = shutil.copy(tmp_path / "whole.db", tmp_path / f"{number}.db")
        with tampering(path) as connection:
            for table, row in removed:
                connection.execute(sa.text(f"DELETE FROM {table} WHERE rowid = :row"), {"row": row})  # noqa: S608
        log = open_log(path)
        after = [answer(log, question) for question in questions()]
        better = [(one, two) for one, two in zip(before, after, strict=True) if two not in (one, EvidenceError)]
        assert not better, removed
        assert broken_or_unreadable(log), removed


def broken_or_unreadable(log: EvidenceLog) -> bool:
    try:
        return broken(log) is not None
    except EvidenceError:
        return True


def not_whole(log: EvidenceLog, use: Callable[[], Any], what: str) -> None:
    with pytest.raises(EvidenceError) as refused:
        use()
    assert str(refused.value) == f"the evidence log {log.address} is not whole: {what}; run: rollout evidence verify"


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("DELETE FROM records WHERE seq = 3", "of the records that belong together one is missing after record 1"),
        (
            "DELETE FROM records WHERE seq = 1",
            "of the records that belong together one is missing before the first of them",
        ),
        ("DELETE FROM records WHERE seq = 7", "of the records that belong together one is missing after record 5"),
        ("DELETE FROM records WHERE seq > 9", "its last record is 9, and 10 were written"),
        ("DELETE FROM records", "its last record is 0, and 10 were written"),
        ("DELETE FROM streams WHERE subject = 'smoke'", "its streams have 6 records, and 10 were written"),
        ("DELETE FROM head", "it has 0 heads"),
        ("INSERT INTO head SELECT * FROM head", "it has 2 heads"),
        ("UPDATE head SET count = 9", "its last record is 10, and 9 were written"),
        ("UPDATE records SET data = '[]' WHERE seq = 3", "record 3 is not what was written"),
        ("UPDATE records SET kind = 'slot' WHERE seq = 3", "record 3 is not what was written"),
        ("UPDATE records SET hash = 'x' WHERE seq = 10", "record 10 is not the one that was written"),
    ],
)
def test_what_is_missing_or_changed_is_named(log: EvidenceLog, statement: str, what: str) -> None:
    filled(log)
    execute(log.address, statement)
    not_whole(log, lambda: read(log), what)


def test_a_record_of_another_stream_does_not_fill_a_gap(log: EvidenceLog) -> None:
    filled(log)
    execute(log.address, "DELETE FROM records WHERE seq = 3")
    execute(log.address, "UPDATE records SET stream = 1 WHERE seq = 4")
    stream = (
        "StreamName(kind='canary-run', rollout='shop', environment='staging', target='http://shop', subject='smoke')"
    )
    not_whole(log, lambda: read(log), f"record 4 is taken for one of {stream}")


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        (
            "DELETE FROM records WHERE seq = 7",
            "of the records that belong together one is missing before the first of them",
        ),
        ("UPDATE records SET at = 41 WHERE seq = 7", "record 7 is not what was written"),
    ],
)
def test_the_latest_is_checked(log: EvidenceLog, statement: str, what: str) -> None:
    filled(log)
    execute(log.address, statement)
    not_whole(log, lambda: log.latest(Kind.CANARY_RUN, PLACE, "smoke"), what)


def test_a_record_by_its_key_is_checked(log: EvidenceLog) -> None:
    filled(log)
    execute(log.address, "UPDATE records SET data = '{\"outcome\":\"ok\"}' WHERE key = 'run:1'")
    not_whole(log, lambda: log.by_key("run:1"), "record 3 is not what was written")
    execute(log.address, "DELETE FROM records WHERE seq = 10")
    not_whole(log, lambda: log.by_key("run:0"), "its last record is 9, and 10 were written")


def test_a_head_that_was_had_is_not_forgotten(log: EvidenceLog) -> None:
    filled(log)
    head = log.head()
    log.append([entry(at=60.0)])
    execute(log.address, "DELETE FROM records WHERE seq = 10")
    not_whole(log, lambda: log.had(head), "record 10 is missing")


def test_nothing_is_appended_to_a_log_that_lost_its_end(log: EvidenceLog) -> None:
    filled(log)
    execute(log.address, "DELETE FROM records WHERE seq = 10")
    not_whole(log, lambda: log.append([entry()]), "its last record is 9, and 10 were written")


def test_records_are_checked_as_they_are_streamed(log: EvidenceLog) -> None:
    filled(log)
    execute(log.address, "UPDATE records SET at = 41 WHERE seq = 7")
    not_whole(log, lambda: list(log.records()), "record 7 is not what was written")


def test_damaged_text_is_a_damaged_record(file_log: EvidenceLog) -> None:
    """A flipped bit may leave what is no UTF-8."""
    filled(file_log)
    execute(file_log.address, "UPDATE records SET data = CAST(x'7bff7d' AS TEXT) WHERE seq = 3")
    not_whole(file_log, lambda: read(file_log), "record 3 is not what was written")
    assert str(broken(file_log)) == "record 3: its hash does not fit its content"


def test_a_table_that_is_gone_is_no_empty_log(log: EvidenceLog) -> None:
    filled(log)
    execute(log.address, "DROP TABLE streams")
    with pytest.raises(EvidenceError, match=r"the evidence log .* cannot be used \(.*streams"):
        read(log)
