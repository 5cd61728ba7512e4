"""A canary's slots in a real Pushgateway."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_rollout.evidence.leases import Leases
from pytest_rollout.evidence.log import EvidenceLog
from pytest_rollout.evidence.record import Place
from pytest_rollout.evidence.runs import add_run
from pytest_rollout.evidence.slots import end_slots
from pytest_rollout.heartbeat import Heartbeat
from pytest_rollout.judge.history import CanaryRun
from pytest_rollout.judge.slot import Slot, SlotState
from sandbox.components import start_pushgateway
from tests.publish.gateways import stored

PLACE = Place("shop", "staging", "http://shop")
GOOD = Slot(canary="pay", at=900.0, every=900.0, state=SlotState.OK, ended_at=931.0, runs=("a",))
LOST = replace(GOOD, at=1800.0, state=SlotState.MISSED, ended_at=2700.0, runs=())
NAMES = ("last_run_timestamp_seconds", "last_success_timestamp_seconds", "slot_timestamp_seconds", "duration_seconds")


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[str]:
    with start_pushgateway(tmp_path / "gateway") as component:
        yield component.url


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EvidenceLog]:
    log = EvidenceLog(tmp_path / "evidence.db")
    run = CanaryRun(run_id="a", canary="pay", started_at=901.0, ended_at=930.5, outcome="ok")
    add_run(log, run, PLACE)
    yield log
    log.close()


def heartbeat(log: EvidenceLog, gateway: str, tmp_path: Path) -> Heartbeat:
    return Heartbeat(log=log, place=PLACE, gateway=gateway, spool=tmp_path / "spool", scale=1)


def ended(log: EvidenceLog, slot: Slot) -> Slot:
    fence = Leases(log).acquire("pay", "me", 60)
    assert fence is not None
    end_slots(log, PLACE, [slot], fence)
    return slot


def told(gateway: str) -> dict[str, float]:
    return {name: next(iter(stored(gateway, f"rollout_canary_{name}").values())) for name in NAMES}


def test_a_good_slot_and_a_missed_one(log: EvidenceLog, gateway: str, tmp_path: Path) -> None:
    beats = heartbeat(log, gateway, tmp_path)
    assert beats.tell(ended(log, GOOD)) == ""
    assert told(gateway) == dict(zip(NAMES, (931.0, 931.0, 900.0, 29.5), strict=True))

    assert beats.tell(ended(log, LOST)) == ""
    after = told(gateway)
    assert after["slot_timestamp_seconds"] == 1800.0
    assert after["last_run_timestamp_seconds"] == 931.0, "nobody ran it, so the alert on silence has to fire"
    states = stored(gateway, "rollout_canary_state")
    assert [key for key, value in states.items() if value] == [key for key in states if SlotState.MISSED.value in key]


def test_a_gateway_that_is_down_is_told_of_and_not_raised(log: EvidenceLog, tmp_path: Path) -> None:
    said = heartbeat(log, "http://127.0.0.1:9", tmp_path).tell(ended(log, GOOD))
    assert said.startswith("pushgateway spooled: ")


def test_an_address_that_is_none(log: EvidenceLog, tmp_path: Path) -> None:
    said = heartbeat(log, "ftp://gateway", tmp_path).tell(ended(log, GOOD))
    assert said.startswith("the metrics of pay were not pushed: 'ftp://gateway' is no address of a Pushgateway")


def test_a_log_that_cannot_be_read(gateway: str, tmp_path: Path) -> None:
    (tmp_path / "none.db").write_text("no database")
    broken = EvidenceLog(tmp_path / "none.db")
    said = heartbeat(broken, gateway, tmp_path).tell(GOOD)
    assert said.startswith("the metrics of pay were not pushed: the evidence log")
