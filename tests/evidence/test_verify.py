"""The first broken record is named, and why; so is what was cut off."""

from __future__ import annotations

from collections import Counter

import pytest

from pytest_rollout.evidence.record import EMPTY, Head, Stored, StreamName, draft
from pytest_rollout.evidence.verify import Broken, verify
from tests.evidence.logs import entry

OTHER = "f" * 64


def chain(*subjects: str, at: float = 1.0) -> list[Stored]:
    rows: list[Stored] = []
    numbers: Counter[str] = Counter()
    head = EMPTY
    for place, subject in enumerate(subjects):
        numbers[subject] += 1
        rows.append(draft(entry(subject, at + place)).follow(head, numbers[subject], 0.0))
        head = head_of(rows)
    return rows


def head_of(rows: list[Stored]) -> Head:
    return Head(rows[-1].seq, rows[-1].hash) if rows else EMPTY


def counts(rows: list[Stored]) -> Counter[StreamName]:
    return Counter(row.stream for row in rows)


ROWS = chain("smoke", "settlement", "smoke", "smoke", "settlement")
HEAD = head_of(ROWS)


def found(rows: list[Stored], head: Head = HEAD, given: Head | None = None) -> Broken | None:
    return verify(rows, head, counts(ROWS), given)


def again(row: Stored, **other: object) -> Stored:
    """Return a record that was changed and hashed again."""
    return draft(entry(row.subject, row.at)).follow(
        Head(row.seq - 1, str(other.get("prev", row.prev))), int(str(other.get("nth", row.nth))), row.peak
    )


def test_a_whole_log_is_whole() -> None:
    assert found(ROWS) is None
    assert verify([], EMPTY, {}) is None


@pytest.mark.parametrize("given", [EMPTY, *(row.record().head for row in ROWS)])
def test_every_head_that_there_was_is_known(given: Head) -> None:
    assert found(ROWS, given=given) is None


@pytest.mark.parametrize("missing", range(4))
def test_a_missing_record_is_named(missing: int) -> None:
    rows = ROWS[:missing] + ROWS[missing + 1 :]
    assert found(rows) == Broken(missing + 1, f"it is missing; the next one is {missing + 2}")


def test_a_doubled_record_is_named() -> None:
    assert found([*ROWS[:2], *ROWS[1:]]) == Broken(2, "there are two of it")


def test_a_changed_record_is_named() -> None:
    rows = [*ROWS[:1], ROWS[1]._replace(data='{"outcome":"ok"}'), ROWS[2]._replace(data="[]"), *ROWS[3:]]
    assert found(rows) == Broken(2, "its hash does not fit its content")


def test_a_changed_record_with_a_new_hash_does_not_fit_the_next() -> None:
    changed = draft(entry("settlement", 7.0)).follow(head_of(ROWS[:1]), 1, 0.0)
    assert found([ROWS[0], changed, *ROWS[2:]]) == Broken(
        3, "it does not follow the record before it: that one's hash is another"
    )


def test_a_record_that_was_numbered_anew_is_named() -> None:
    rows = [*ROWS[:2], again(ROWS[2], nth=1)]
    assert found(rows, head_of(rows)) == Broken(3, "it says 1 and 3.0 for its nth and peak, which are 2 and 3.0")


def test_a_time_of_its_stream_that_is_wrong_is_named() -> None:
    rows = [*ROWS[:2], draft(entry("smoke", 3.0)).follow(head_of(ROWS[:2]), 2, 9.0)]
    assert found(rows, head_of(rows)) == Broken(3, "it says 2 and 9.0 for its nth and peak, which are 2 and 3.0")


def test_a_log_that_was_cut_off_is_shorter_than_its_own_head() -> None:
    assert found(ROWS[:3]) == Broken(4, "it is missing; its own head says that there are 5 records")
    assert found([]) == Broken(1, "it is missing; its own head says that there are 5 records")


def test_a_log_that_was_cut_off_with_its_head_is_shorter_than_the_given_one() -> None:
    rows = ROWS[:3]
    assert verify(rows, head_of(rows), counts(rows)) is None  # this is why heads are printed
    assert verify(rows, head_of(rows), counts(rows), HEAD) == Broken(
        4, "it is missing; the given head says that there are 5 records"
    )


def test_a_log_that_was_made_anew_is_not_the_given_one() -> None:
    forged = chain("smoke", "settlement", "smoke", "smoke", "settlement", at=2.0)
    assert verify(forged, head_of(forged), counts(forged)) is None
    assert verify(forged, head_of(forged), counts(forged), ROWS[2].record().head) == Broken(
        3, f"it is not the one of the given head: its hash is {forged[2].hash}"
    )


@pytest.mark.parametrize("head", [Head(5, OTHER), Head(4, ROWS[3].hash), EMPTY])
def test_the_logs_own_head_is_its_last_record(head: Head) -> None:
    assert found(ROWS, head) == Broken(5, f"it is the last one, and the log's own head is {head}")


def test_what_a_log_counts_is_there() -> None:
    """Whoever reads trusts these numbers."""
    numbers = counts(ROWS)
    numbers[ROWS[0].stream] = 2
    said = "it is the last one, and the log has counted 2 records of canary-run smoke and has 3"
    assert verify(ROWS, HEAD, numbers) == Broken(5, said)
    del numbers[ROWS[0].stream]
    assert verify(ROWS, HEAD, numbers) == Broken(5, said.replace("counted 2", "counted 0"))


def test_a_finding_is_a_line() -> None:
    assert str(Broken(7, "it is missing; the next one is 8")) == "record 7: it is missing; the next one is 8"
