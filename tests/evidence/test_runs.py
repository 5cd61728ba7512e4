"""Runs of canaries and looks at gates, in the evidence log."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_rollout.errors import AlreadyRecorded, EvidenceError
from pytest_rollout.evidence.log import EvidenceLog
from pytest_rollout.evidence.record import Place
from pytest_rollout.evidence.runs import add_run, find_run, look, runs, start_run
from pytest_rollout.judge.history import CanaryRun, Looks
from tests.evidence.logs import PLACE, Open, broken, execute

RUN = CanaryRun(
    run_id="r1",
    canary="smoke",
    started_at=1_700_000_000.125,
    ended_at=1_700_000_001.5,
    outcome="failed",
    message="grüße; DROP TABLE records",
    attachments=("a.png", "b c.zip"),
    plan="ab" * 32,
    flags={"READS@admin": True, "WRITES@agent": None},
    slot=1_699_999_200.0,
    attempt=2,
    retryable=True,
)
FLIP = 1_700_000_000.125


def ids(log: EvidenceLog, place: Place = PLACE, canary: str = "smoke", since: float | None = None) -> list[str]:
    return [run.run_id for run in runs(log, canary, place, since)]


def numbered(number: int) -> CanaryRun:
    return replace(RUN, run_id=f"r{number}", started_at=float(number))


def test_what_was_added_is_read_back(log: EvidenceLog) -> None:
    add_run(log, RUN, PLACE)
    assert runs(log, "smoke", PLACE) == [RUN]
    assert find_run(log, "r1") == RUN


def test_a_run_that_says_little_is_read_back(log: EvidenceLog) -> None:
    short = CanaryRun(run_id="r1", canary="smoke", started_at=1.0, ended_at=2.0, outcome="ok")
    add_run(log, short, PLACE)
    assert runs(log, "smoke", PLACE) == [short]


def test_nothing_is_there_before(log: EvidenceLog) -> None:
    assert runs(log, "smoke", PLACE) == []
    assert find_run(log, "r1") is None


@pytest.mark.parametrize("outcome", ["ok", "failed", "error"])
def test_every_outcome_is_kept(log: EvidenceLog, outcome: str) -> None:
    add_run(log, replace(RUN, outcome=outcome), PLACE)
    assert [run.outcome for run in runs(log, "smoke", PLACE)] == [outcome]


@pytest.mark.parametrize("outcome", ["", "OK", "passed", "skipped"])
def test_another_outcome_is_refused_and_leaves_nothing(file_log: EvidenceLog, outcome: str) -> None:
    with pytest.raises(EvidenceError) as refused:
        add_run(file_log, replace(RUN, outcome=outcome), PLACE)
    assert str(refused.value) == f"a canary run cannot end as {outcome!r}"
    assert not Path(file_log.address).exists()


def test_runs_come_in_the_order_in_which_they_were_recorded(log: EvidenceLog) -> None:
    """Clocks differ, and are set back; a log is not."""
    for number in (3, 1, 2):
        add_run(log, numbered(number), PLACE)
    assert ids(log) == ["r3", "r1", "r2"]
    assert ids(log, since=2.0) == ["r3", "r2"]


def test_a_run_that_began_and_told_nothing_is_an_error(log: EvidenceLog) -> None:
    for number in (1, 2, 3):
        start_run(log, "smoke", f"r{number}", float(number), PLACE)
        if number != 2:
            add_run(log, numbered(number), PLACE)
    first, second, third = runs(log, "smoke", PLACE)
    assert [one.run_id for one in (first, second, third)] == ["r1", "r2", "r3"]
    assert (first, third) == (numbered(1), numbered(3))
    assert (second.outcome, second.started_at) == ("error", 2.0)
    assert second.message == (
        "the run of canary smoke that began at 1970-01-01T00:00:02Z has told no outcome: it was killed, or still goes "
        "on; run this again when none does"
    )


@pytest.mark.parametrize("other", ["rollout", "environment", "target"])
def test_evidence_of_one_place_says_nothing_of_another(log: EvidenceLog, other: str) -> None:
    add_run(log, RUN, replace(PLACE, **{other: "elsewhere"}))
    assert ids(log) == []
    assert ids(log, canary="other") == []
    assert ids(log, replace(PLACE, **{other: "elsewhere"})) == ["r1"]


def test_a_run_is_never_changed(log: EvidenceLog) -> None:
    add_run(log, RUN, PLACE)
    with pytest.raises(AlreadyRecorded) as refused:
        add_run(log, replace(RUN, outcome="ok"), PLACE)
    assert str(refused.value) == f"run:r1 is in the evidence log {log.address} already; nothing was written"
    assert runs(log, "smoke", PLACE) == [RUN]


def test_a_run_that_was_taken_out_is_missed(log: EvidenceLog) -> None:
    for number in (1, 2, 3):
        add_run(log, numbered(number), PLACE)
    execute(log.address, "DELETE FROM records WHERE key = 'run:r2'")
    with pytest.raises(EvidenceError, match="one is missing after record 1; run: rollout evidence verify"):
        runs(log, "smoke", PLACE)


# --- looks ---------------------------------------------------------------------------------------------------


def looks(log: EvidenceLog, at: float, **other: Any) -> dict[str, Looks]:
    known = {"place": PLACE, "stage": "stage1", "gates": ["latency"], "flip": FLIP, **other}
    return look(log, known["place"], known["stage"], known["gates"], known["flip"], at)


def test_the_first_look_is_the_first(log: EvidenceLog) -> None:
    assert looks(log, 20.5, gates=["latency", "errors"]) == {"latency": Looks(1, 20.5), "errors": Looks(1, 20.5)}


def test_looks_are_counted_from_the_first_on(log: EvidenceLog) -> None:
    assert [looks(log, at)["latency"] for at in (20.5, 30.0, 10.0, 40.0)] == [
        Looks(1, 20.5),
        Looks(2, 20.5),
        Looks(3, 10.0),  # the clock was set back
        Looks(4, 10.0),
    ]


def test_only_gates_that_are_looked_at_are_told(log: EvidenceLog) -> None:
    looks(log, 1.0, gates=["latency", "errors"])
    assert looks(log, 2.0, gates=["errors", "new"]) == {"errors": Looks(2, 1.0), "new": Looks(1, 2.0)}
    assert looks(log, 3.0) == {"latency": Looks(2, 1.0)}
    assert looks(log, 4.0, gates=[]) == {}


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
    assert looks(log, 1.0, **other)["latency"] == Looks(1, 1.0)
    assert looks(log, 2.0)["latency"] == Looks(1, 2.0)
    assert looks(log, 3.0, **other)["latency"] == Looks(2, 1.0)
    assert looks(log, 4.0)["latency"] == Looks(2, 2.0)


def test_a_restart_forgets_no_look(log: EvidenceLog, open_log: Open) -> None:
    looks(log, 1.0)
    log.close()
    assert looks(open_log(log.address), 2.0)["latency"] == Looks(2, 1.0)


def test_looks_of_several_at_once_are_all_counted(log: EvidenceLog, open_log: Open) -> None:
    """Each sees every look before its own: two that both believed to be the first would promise too much."""

    def several(first: int) -> list[int]:
        mine = open_log(log.address)
        return [looks(mine, float(first + number))["latency"].count for number in range(5)]

    with ThreadPoolExecutor(3) as pool:
        counts = [count for found in pool.map(several, (100, 200, 300)) for count in found]
    assert sorted(counts) == list(range(1, 16))
    assert looks(log, 1000.0)["latency"] == Looks(16, 100.0)
    assert broken(log) is None


@pytest.mark.parametrize("statement", ["DELETE FROM records WHERE seq = 2", "DELETE FROM streams"])
def test_a_look_that_was_taken_out_is_missed(log: EvidenceLog, statement: str) -> None:
    looks(log, 1.0)
    looks(log, 2.0)
    execute(log.address, statement)
    with pytest.raises(EvidenceError, match="is not whole"):
        looks(log, 3.0)
