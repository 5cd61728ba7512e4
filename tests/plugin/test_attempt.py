"""What a canary's test is told about its attempt."""

from __future__ import annotations

import time

import pytest

from pytest_rollout.plugin.attempt import Attempt, attempt_of

VARIABLES = ("RUN", "SLOT", "ATTEMPT", "STARTED", "DEADLINE")


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(f"ROLLOUT_CANARY_{name}", raising=False)


def test_a_run_that_a_person_started_is_an_attempt_of_its_own() -> None:
    one, other = attempt_of("pay"), attempt_of("pay")
    assert (one.slot, one.number, one.remaining()) == (None, 1, None)
    assert one.key == f"pay-{one.run_id}-1"
    assert one.key != other.key


def test_what_the_scheduler_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in zip(VARIABLES, ("abc", "1790000100.0", "2", f"{time.time()}", "30"), strict=True):
        monkeypatch.setenv(f"ROLLOUT_CANARY_{name}", value)
    attempt = attempt_of("pay")
    assert (attempt.run_id, attempt.slot, attempt.number) == ("abc", 1790000100.0, 2)
    assert attempt.key == "pay-1790000100-2"
    remaining = attempt.remaining()
    assert remaining is not None
    assert 29 < remaining <= 30


def test_slots_of_less_than_a_second_have_keys_of_their_own() -> None:
    assert Attempt(canary="pay", run_id="a", slot=5.5).key != Attempt(canary="pay", run_id="a", slot=5.0).key


def test_every_attempt_has_a_trace_of_its_own() -> None:
    one, other = Attempt(canary="pay", run_id="a"), Attempt(canary="pay", run_id="a")
    version, trace, parent, flags = one.traceparent.split("-")
    assert (version, len(trace), len(parent), flags) == ("00", 32, 16, "01")
    assert one.trace_id == trace != other.trace_id


def test_a_deadline_that_has_passed_leaves_nothing() -> None:
    assert Attempt(canary="pay", run_id="a", ends_at=0.0).remaining() == 0
