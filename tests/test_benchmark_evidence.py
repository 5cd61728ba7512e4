"""The benchmark of the evidence log measures what it says, on a small log."""

from __future__ import annotations

import re
from contextlib import closing
from itertools import islice
from pathlib import Path

import pytest

from benchmarks import evidence_log
from benchmarks.evidence_log import Took, decision, filled, history, measure
from pytest_rollout.evidence.record import Kind


def test_a_history_has_as_many_entries_as_asked_for_up_to_now() -> None:
    entries = list(history(2000))
    assert len(entries) == 2000
    assert [entry.kind for entry in entries[:4]] == [Kind.ATTESTATION, Kind.ATTESTATION, Kind.CANARY_RUN, Kind.SLOT]
    times = [entry.at for entry in entries if entry.kind is Kind.SLOT]
    assert times == sorted(times)
    assert evidence_log.NOW - times[-1] < 2 * evidence_log.EVERY
    assert len({entry.place for entry in entries}) == 3


def test_a_decision_reads_the_same_of_every_log(tmp_path: Path) -> None:
    sizes = set()
    for count in (1000, 3000):
        with closing(filled(tmp_path / f"{count}.db", count)) as log:
            assert log.head().count == count
            sizes.add(decision(log))
    assert sizes == {17}


def test_times_are_compared_round_by_round() -> None:
    took = Took([2.0, 30.0, 4.0], [1.0, 10.0, 2.0])
    assert took.ratio == 2.0
    assert took.row("x", 2, 1e3) == ["x", "1000.000", "2000.000", "500.000", "1000.000", "2.00"]


def test_the_table_has_a_row_for_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence_log, "APPENDS", 5)
    monkeypatch.setattr(evidence_log, "READS", 2)
    text = measure(tmp_path, 1500, 1)
    rows = list(islice(text.splitlines(), 2, 5))
    assert [row.split(",")[0].removeprefix("| ") for row in rows] == [
        "an append",
        "what a stage is decided by",
        "verification of 1",
    ]
    assert all(re.search(r"\| \d+\.\d\d \|$", row) for row in rows)
    assert "a decision reads 17 records" in text
