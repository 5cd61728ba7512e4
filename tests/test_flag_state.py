"""The flags of a plan as one state."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_rollout.flag_state import change_between, flag_values, read_flag_state, settled_values
from pytest_rollout.judge.history import FlagReading
from pytest_rollout.plan.model import Plan
from pytest_rollout.sources.flags import UNREACHABLE

ON = FlagReading(flag="READS", cohort="admin", value=True, reason="STATIC", changed_at=100.0)
OFF = replace(ON, value=False)
WARN, OFF_MODE = replace(ON, value="warn"), replace(ON, value="off")
UNREAD = replace(ON, value=None, reason="", changed_at=None, fault="HTTP 503")
OTHER = replace(ON, flag="PORTAL", cohort="*")


class Reader:
    """Stands for a FlagReader: counts how often it is asked."""

    def __init__(self, *readings: FlagReading) -> None:
        self.readings = {(one.flag, one.cohort): one for one in readings}
        self.asked: list[str] = []

    def read(self, flag: str, cohort: str) -> FlagReading:
        self.asked.append(flag)
        return self.readings[flag, cohort]


def plan(*stages: dict[str, object]) -> Plan:
    numbered = [
        {"stage": number, "name": "x", "gates": [{"id": "a", "unproven": "b"}], "flags": flags}
        for number, flags in enumerate(stages)
    ]
    return Plan.model_validate({"rollout": "shop", "environments": {"e": {"target": "http://x"}}, "stages": numbered})


BOTH = plan(
    {"READS": {"value": True, "cohort": "admin"}},
    {"READS": {"value": False, "cohort": "admin"}, "PORTAL": {"value": True}},
)


def test_every_flag_of_every_stage_is_read_once() -> None:
    reader = Reader(ON, OTHER)
    assert read_flag_state(BOTH, reader) == (OTHER, ON)  # type: ignore[arg-type]
    assert reader.asked == ["PORTAL", "READS"]


def test_a_flag_that_the_service_does_not_know_hides_no_other() -> None:
    reader = Reader(replace(UNREAD, flag="PORTAL", cohort="*"), ON)
    assert read_flag_state(BOTH, reader)[1] == ON  # type: ignore[arg-type]


def test_a_service_that_is_not_reached_is_asked_once() -> None:
    reader = Reader(replace(UNREAD, flag="PORTAL", cohort="*", reason=UNREACHABLE))
    _, reads = read_flag_state(BOTH, reader)  # type: ignore[arg-type]
    assert reader.asked == ["PORTAL"]
    assert (reads.flag, reads.cohort, reads.value, reads.fault) == ("READS", "admin", None, "HTTP 503")


def test_without_a_service_there_is_no_state() -> None:
    assert read_flag_state(BOTH, None) == ()


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (ON, ON, None),
        (ON, OFF, "READS turned from True to False for 'admin' during the run"),
        (ON, replace(ON, changed_at=101.0), "READS was changed for 'admin' during the run, and is True again"),
        (WARN, OFF_MODE, "READS turned from 'warn' to 'off' for 'admin' during the run"),
        (replace(ON, value="True"), ON, "READS turned from 'True' to True for 'admin' during the run"),
        (WARN, replace(WARN, changed_at=101.0), "READS was changed for 'admin' during the run, and is 'warn' again"),
        (WARN, replace(WARN, value="-warn"[1:]), None),
        (UNREAD, ON, None),
        (ON, UNREAD, None),
    ],
)
def test_change(before: FlagReading, after: FlagReading, said: str | None) -> None:
    assert change_between([before], [after]) == said


def test_what_was_not_evaluated_has_no_value() -> None:
    assert flag_values([ON, replace(UNREAD, cohort="staff")]) == {"READS@admin": True, "READS@staff": None}
    # A service that sends a value beside an error sends the caller's default.
    assert flag_values([replace(ON, fault="not evaluated")]) == {"READS@admin": None}


def test_a_text_that_held_throughout_counts() -> None:
    assert settled_values([WARN], [replace(WARN, value="-warn"[1:])]) == {"READS@admin": "warn"}
    assert settled_values([WARN], [OFF_MODE]) == {"READS@admin": None}


@pytest.mark.parametrize("after", [[UNREAD], [OFF], [replace(ON, value="True")], []])
def test_only_what_held_throughout_counts(after: list[FlagReading]) -> None:
    assert settled_values([ON], [ON]) == {"READS@admin": True}
    assert settled_values([ON], after) == {"READS@admin": None}
