"""``rollout watch`` and ``rollout run-slot``, as people and schedulers meet them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from pytest_rollout.cli import main
from pytest_rollout.commands.board import Board, slot_line, tally
from pytest_rollout.evidence.leases import Leases
from pytest_rollout.evidence.log import EvidenceLog
from pytest_rollout.evidence.record import Place
from pytest_rollout.evidence.slots import slots
from pytest_rollout.judge.slot import Slot, SlotState
from pytest_rollout.schedule.timetable import Timetable
from tests.plugin.conftest import until
from tests.postgres import Postgres
from tests.schedule.shop import CANARY, URL, WRITES, begun, schedule, write_shop
from tests.test_canary import HANGS

FAST = Place("shop", "fast", URL)
RARELY = {CANARY: {"every": "100h"}}
ENTRY = "canaries: {NAME: {every: 15m}}"
OTHERWISE = (
    "--every 15m: shop.rollout.yaml has canary 'settlement' every 4.17 d, and gates count those slots; "
    "leave --every away, or change the plan"
)
MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to an empty folder, shielded from the run outside."""
    for name in [name for name in os.environ if name.startswith(("ROLLOUT_", "PYTEST_XDIST"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def log(folder: Path) -> Iterator[EvidenceLog]:
    """Return the evidence log of the folder."""
    with closing(EvidenceLog(folder / ".rollout" / "evidence.db")) as log:
        yield log


def rollout(*arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--rollout-env", "fast"])


def said(result: Result) -> list[str]:
    """Return what was said, with moments left out."""
    return re.sub(MOMENT, "T", result.output).splitlines()


# --- run-slot ---


def test_the_slot_in_progress_is_run_once(folder: Path, log: EvidenceLog) -> None:
    write_shop(folder, canaries=RARELY)

    first = rollout("run-slot", CANARY, ".")
    second = rollout("run-slot", CANARY, ".")

    assert (first.exit_code, said(first)) == (0, ["T  settlement  ok"])
    assert (second.exit_code, said(second)) == (3, ["T  settlement  it has ended before: ok"])
    (slot,) = slots(log, CANARY, FAST)
    assert [run for _, run in begun(folder)] == list(slot.runs)
    assert (slot.every, slot.at % 6000) == (6000.0, 0.0)


def test_a_slot_that_is_not_ok(folder: Path) -> None:
    write_shop(folder, WRITES + "    assert 1 == 2\n", RARELY)
    result = rollout("run-slot", CANARY, ".")
    assert (result.exit_code, said(result)) == (1, ["T  settlement  failed: test_it: assert 1 == 2"])


def test_somebody_else_has_it(folder: Path, log: EvidenceLog) -> None:
    write_shop(folder, canaries=RARELY)
    Leases(log).acquire(f'canary:["shop","fast","{URL}","settlement"]', "elsewhere:1", 60.0)
    result = rollout("run-slot", CANARY, ".")
    assert (result.exit_code, said(result)) == (3, ["T  settlement  somebody else runs it"])
    assert begun(folder) == []


def test_the_gap_since_the_last_slot_is_accounted_for(folder: Path, log: EvidenceLog) -> None:
    write_shop(folder, canaries={CANARY: {"every": "5m"}})
    assert rollout("run-slot", CANARY, ".").exit_code in (0, 1)  # a slot of 5 seconds may be too short here
    last = slots(log, CANARY, FAST)[-1].at
    time.sleep(max(last + 15.1 - time.time(), 0))

    result = rollout("run-slot", CANARY, ".")

    missed = "T  settlement  missed: nobody ran it in its time"
    assert said(result)[:2] == [missed, missed]
    assert len(slots(log, CANARY, FAST)) == 4


@pytest.mark.parametrize(
    ("canaries", "name", "message"),
    [
        (
            RARELY,
            "setlement",
            "no plan at or below . has a schedule for canary 'setlement'; did you mean 'settlement'?",
        ),
        ({}, CANARY, f"no plan at or below . has a schedule for canary 'settlement'; add it to a plan: {ENTRY}"),
    ],
)
def test_a_canary_that_no_plan_has(folder: Path, canaries: dict[str, Any], name: str, message: str) -> None:
    write_shop(folder, canaries=canaries)
    result = rollout("run-slot", name, ".")
    assert (result.exit_code, result.output) == (2, f"rollout: {message}\n")


def test_a_canary_of_two_plans(folder: Path) -> None:
    for name in ("one", "two"):
        (folder / name).mkdir()
        write_shop(folder / name, canaries=RARELY).rename(folder / name / f"{name}.rollout.yaml")
    message = "canary 'settlement' is in one.rollout.yaml and two.rollout.yaml; name one of them"
    for command in (["run-slot", CANARY], ["watch"]):
        result = rollout(*command, ".")
        assert (result.exit_code, result.output) == (2, f"rollout: {message}\n")


@pytest.mark.parametrize("command", [["run-slot", CANARY], ["watch"]])
def test_no_plan(command: list[str]) -> None:
    result = rollout(*command)
    message = "rollout: no *.rollout.yaml at or below canaries; name a file or a folder\n"
    assert (result.exit_code, result.output) == (2, message)


@pytest.mark.parametrize("command", [["run-slot", CANARY], ["watch"]])
def test_a_log_that_cannot_be_used(folder: Path, command: list[str]) -> None:
    write_shop(folder, canaries=RARELY)
    (folder / ".rollout").write_text("in the way")
    result = rollout(*command, ".")
    assert result.exit_code == 2
    assert result.output.startswith("rollout: the evidence log ")
    assert begun(folder) == []


# --- watch ---


def test_canaries_are_run_for_a_while(folder: Path, log: EvidenceLog) -> None:
    write_shop(folder, canaries={CANARY: {"every": "5m", "deadline": "4m"}})

    result = rollout("watch", ".", "-m", "canary", "--every", "5m", "--for", "10m")

    ended = slots(log, CANARY, FAST)
    assert len(ended) in (2, 3)
    assert said(result) == [
        "settlement: every 5 min for 10 min, 60 times as fast, in fast",
        *["T  settlement  ok"] * len(ended),
        f"settlement: {len(ended)} ok",
    ]
    assert result.exit_code == 0
    assert [slot for slot, _ in begun(folder)] == [slot.at for slot in ended]


def test_a_watch_with_a_slot_that_is_not_ok_does_not_succeed(folder: Path) -> None:
    write_shop(folder, WRITES + "    assert 1 == 2\n", RARELY)
    result = rollout("watch", ".", "--for", "1s")
    assert said(result)[1:] == ["T  settlement  failed: test_it: assert 1 == 2", "settlement: 1 failed"]
    assert result.exit_code == 1


def test_slots_that_others_run_count(folder: Path) -> None:
    write_shop(folder, canaries=RARELY)
    assert rollout("run-slot", CANARY, ".").exit_code == 0
    result = rollout("watch", ".", "--for", "1s")
    assert said(result)[1:] == ["settlement: 1 ok"]
    assert result.exit_code == 0
    assert len(begun(folder)) == 1


def test_a_slot_that_nobody_accounted_for_is_no_success(folder: Path, log: EvidenceLog) -> None:
    write_shop(folder, canaries={CANARY: {"every": "90s", "deadline": "80s"}})
    Leases(log).acquire(f'canary:["shop","fast","{URL}","settlement"]', "elsewhere:1", 60.0)
    result = rollout("watch", ".", "--for", "1s")
    assert said(result)[1:] == ["settlement: no slot yet; 1 not accounted for"]
    assert result.exit_code == 1


def test_the_log_may_be_a_database(folder: Path, postgres: Postgres) -> None:
    write_shop(folder, canaries=RARELY)
    url = postgres.new_database()
    result = rollout("watch", ".", "--for", "1s", "--rollout-evidence", url, "--rollout-reports", "elsewhere")
    with closing(EvidenceLog(url)) as log:
        assert [slot.state for slot in slots(log, CANARY, FAST)] == [SlotState.OK]
    assert result.exit_code == 0
    assert (folder / "elsewhere" / "canaries" / "settlement.log").exists()
    assert not (folder / ".rollout").exists()


@pytest.mark.parametrize(
    ("expression", "chosen"),
    [("settlement", True), ("canary and not settlement", False), ("canary and settlement", True), ("stage1", False)],
)
def test_an_expression_chooses_canaries(folder: Path, expression: str, *, chosen: bool) -> None:
    write_shop(folder, canaries=RARELY)
    result = rollout("watch", ".", "-m", expression, "--every", "15m")
    nothing = f"rollout: -m {expression!r} selects no canary: there is settlement\n"
    assert result.exit_code == 2
    assert (result.output.startswith("rollout: --every 15m: "), result.output == nothing) == (chosen, not chosen)


def test_the_word_of_a_canary_has_an_underscore_for_what_no_word_can_have(folder: Path) -> None:
    write_shop(folder, canaries={"pay-in.2": {"every": "100h"}})
    for expression, begins in (("pay_in_2", "rollout: --every 15m: "), ("pay", "rollout: -m 'pay' selects no canary")):
        assert rollout("watch", ".", "-m", expression, "--every", "15m").output.startswith(begins)


@pytest.mark.parametrize(
    ("canaries", "every", "message"),
    [
        (RARELY, "15m", OTHERWISE),
        (RARELY, "15", "--every: '15' is not a duration; write a number with a unit, such as 120ms, 30s, 15m, 2h, 7d"),
        ({}, "0s", "--every 0s: a period must be longer than nothing"),
        ({}, None, f"-m 'canary' selects no canary: no canary has a schedule; add {ENTRY} to a plan"),
    ],
)
def test_a_period_that_cannot_be(folder: Path, canaries: dict[str, Any], every: str | None, message: str) -> None:
    write_shop(folder, canaries=canaries)
    result = rollout("watch", ".", *(("--every", every) if every else ()))
    assert (result.exit_code, result.output) == (2, f"rollout: {message}\n")


def test_a_canary_without_a_schedule_may_be_given_a_period(folder: Path, log: EvidenceLog) -> None:
    write_shop(folder)
    result = rollout("watch", ".", "--every", "100h", "--for", "1s")
    assert said(result)[0] == "settlement: every 4.17 d for 1 s, 60 times as fast, in fast"
    assert [(slot.every, slot.state) for slot in slots(log, CANARY, FAST)] == [(6000.0, SlotState.OK)]
    assert result.exit_code == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_run_and_ends_the_watch(folder: Path, log: EvidenceLog, number: signal.Signals) -> None:
    write_shop(folder, HANGS, RARELY)
    argv = [sys.executable, "-c", "from pytest_rollout.cli import main; main()", "watch", ".", "--rollout-env", "fast"]
    with subprocess.Popen(
        argv,
        stdout=subprocess.PIPE,
        text=True,
        # A shell starts its background jobs with SIGINT ignored, and they hand that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509 - one call
    ) as process:
        until((folder / "pid").exists, "the canary did not begin")
        process.send_signal(number)
        output, _ = process.communicate(timeout=20)

    assert process.returncode == 1
    assert re.sub(MOMENT, "T", output).splitlines() == [
        "settlement: every 4.17 d, 60 times as fast, in fast",
        "T  settlement  error: stopped by its scheduler",
        "settlement: 1 error",
    ]
    assert (folder / "tidied").exists()
    assert [slot.message for slot in slots(log, CANARY, FAST)] == ["stopped by its scheduler"]
    assert Leases(log).acquire(f'canary:["shop","fast","{URL}","settlement"]', "elsewhere:1", 60.0)


# --- what is shown ---


def slot(at: float, state: SlotState = SlotState.OK, message: str = "passed") -> Slot:
    return Slot(canary=CANARY, at=at, every=900.0, state=state, ended_at=at + 1, message=message)


def test_the_line_of_a_slot() -> None:
    assert slot_line(slot(900.0)) == "1970-01-01T00:15:00Z  settlement  ok"
    missed = slot(1800.0, SlotState.MISSED, "nobody ran it in its time")
    assert slot_line(missed) == "1970-01-01T00:30:00Z  settlement  missed: nobody ran it in its time"


def test_a_tally() -> None:
    assert tally([]) == "no slot yet"
    assert tally([slot(0.0, SlotState.MISSED), slot(0.0), slot(0.0)]) == "2 ok, 1 missed"


def test_a_terminal_has_one_line_for_each_canary_that_changes() -> None:
    written: list[str] = []
    tables = [
        Timetable(canary=name, schedule=schedule(every), every=seconds)
        for name, every, seconds in (("portal", "1h", 3600.0), (CANARY, "15m", 900.0))
    ]
    board = Board(tables, written.append, live=True)
    portal = "portal  next 1970-01-01T01:00:00Z  none yet  no slot yet"

    board.show(1000.0)
    board.show(1001.0)
    board.on_slots([slot(900.0, SlotState.MISSED), slot(1800.0)])
    board.show(1900.0)
    board.trouble("settlement: disk full")
    board.show(1901.0)

    first = "settlement  next 1970-01-01T00:30:00Z  none yet  no slot yet"
    then = "settlement  next 1970-01-01T00:45:00Z  last ok  1 ok, 1 missed"
    assert written == [
        f"{portal}\x1b[K\n{first}\x1b[K\n",
        f"\x1b[2F{portal}\x1b[K\n{then}\x1b[K\n",
        "rollout: settlement: disk full\n",
        f"{portal}\x1b[K\n{then}\x1b[K\n",
    ]


def test_elsewhere_there_is_a_line_for_each_slot() -> None:
    written: list[str] = []
    board = Board([Timetable(canary=CANARY, schedule=schedule(), every=900.0)], written.append, live=False)
    board.show(1000.0)
    board.on_slots([slot(900.0, SlotState.MISSED, "nobody"), slot(1800.0)])
    board.show(1900.0)
    lines = "1970-01-01T00:15:00Z  settlement  missed: nobody\n1970-01-01T00:30:00Z  settlement  ok\n"
    assert written == [lines]
