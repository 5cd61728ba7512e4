"""Turning flags for everybody: nothing but what was asked for, taken and read back is confirmed."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from pytest_rollout.errors import SourceError
from pytest_rollout.flags.turn import Pace, Turned, Wish, turn
from pytest_rollout.flags.writer import FlagWriter
from pytest_rollout.sources.flags import FlagReader
from tests.flags.service import Service, Value

WANTED: dict[str, Value] = {"READS": False, "MODE": "warn"}
COHORTS = {"READS": ("*", "admin"), "MODE": ("canary",)}


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.at = 0.0

    def pace(self) -> Pace:
        return Pace(0.2, lambda: self.at, self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.at += seconds


@pytest.fixture(autouse=True)
def _no_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("flags.writer", "sources.flags"):
        monkeypatch.setattr(f"pytest_rollout.{module}._RETRY_BUDGET", 0.0)


@pytest.fixture
def service() -> Service:
    """Return a healthy service in which everything is still on, for two cohorts by rules of their own."""
    return Service({"READS": {"*": True, "admin": True}, "MODE": {"*": "enforce", "canary": "enforce"}})


def turned(
    service: Service, within: float = 2.0, note: Callable[[str, Mapping[str, Any]], None] = lambda _word, _data: None
) -> dict[str, Turned]:
    wish = Wish(values=WANTED, cohorts=COHORTS, actor="ann", reason="too slow", within=within)
    url = "http://flags"
    found = turn(wish, FlagWriter(url, service), FlagReader(url, service), note, Clock().pace())
    return {one.flag: one for one in found}


def confirmed(found: Mapping[str, Turned]) -> list[str]:
    return [flag for flag, one in found.items() if one.confirmed]


def values(readings: tuple[Any, ...]) -> list[object]:
    return [one.value for one in readings]


def test_everybody_is_turned_also_cohorts_with_a_value_of_their_own(service: Service) -> None:
    found = turned(service)
    assert confirmed(found) == ["READS", "MODE"]
    assert (values(found["READS"].before), values(found["READS"].after)) == ([True, True], [False, False])
    assert (values(found["MODE"].before), values(found["MODE"].after)) == (["enforce"] * 2, ["warn"] * 2)
    assert (found["READS"].freed, found["MODE"].freed) == (("admin",), ("canary",))
    assert service.asked == [
        "READS@* False by ann: too slow",
        "MODE@* 'warn' by ann: too slow",
        "READS@admin None by ann: too slow",
        "MODE@canary None by ann: too slow",
    ]
    assert service.rules == {"READS": {"*": False}, "MODE": {"*": "warn"}}


def test_a_service_that_clears_cohorts_by_itself_is_asked_once(service: Service) -> None:
    service.clears = True
    assert confirmed(turned(service)) == ["READS", "MODE"]
    assert len(service.asked) == 2


def test_a_cohort_that_has_the_wanted_value_keeps_it(service: Service) -> None:
    service.rules["MODE"]["canary"] = "warn"
    assert confirmed(turned(service)) == ["READS", "MODE"]
    assert service.rules["MODE"] == {"*": "warn", "canary": "warn"}


def test_what_is_so_already_is_asked_for_all_the_same(service: Service) -> None:
    """Cohorts that nobody knows of may have values of their own."""
    service.rules = {"READS": {"*": False}, "MODE": {"*": "warn"}}
    assert confirmed(turned(service)) == ["READS", "MODE"]
    assert len(service.asked) == 2


# --- what the service may do wrong ------------------------------------------------------------------------------


def test_a_service_that_says_yes_and_does_nothing_is_not_believed(service: Service) -> None:
    service.ignores = {"READS"}
    found = turned(service)
    assert confirmed(found) == ["MODE"]
    assert (found["READS"].taken, found["READS"].fault, values(found["READS"].after)) == (True, "", [True, True])


@pytest.mark.parametrize("instead", [True, "false", "False", "", 0])
def test_another_value_than_was_asked_for_is_not_confirmed(service: Service, instead: Any) -> None:
    service.instead = {"READS": instead}
    assert "READS" not in confirmed(turned(service))


@pytest.mark.parametrize("instead", ["Warn", "warn ", "off", True, False])
def test_another_text_than_was_asked_for_is_not_confirmed(service: Service, instead: Value) -> None:
    service.instead = {"MODE": instead}
    assert "MODE" not in confirmed(turned(service))


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_refusal_ends_it_for_that_flag_alone(service: Service, status: int) -> None:
    service.refuses = {"READS": status}
    found = turned(service, within=1e9)
    assert confirmed(found) == ["MODE"]
    assert (found["READS"].taken, values(found["READS"].after)) == (False, [True, True])
    assert found["READS"].fault == f'HTTP {status} from http://flags: {{"message": "as the test wants it"}}'
    assert [one for one in service.asked if one.startswith("READS")] == ["READS@* False by ann: too slow"]


def test_refusals_of_all_end_it_at_once(service: Service) -> None:
    service.refuses = {"READS": 401, "MODE": 401}
    assert confirmed(turned(service, within=1e9)) == []


def test_a_refused_flag_that_is_as_wanted_is_not_confirmed(service: Service) -> None:
    service.rules["READS"] = {"*": False}
    service.refuses = {"READS": 401}
    assert confirmed(turned(service)) == ["MODE"]


def test_a_cohort_that_cannot_be_freed_is_not_confirmed(service: Service) -> None:
    asked = itertools.count()

    def before(method: str, flag: str) -> None:
        if (method, flag) == ("PUT", "READS") and next(asked):
            service.refuses = {"READS": 403}

    service.before = before
    found = turned(service, within=1e9)
    assert confirmed(found) == ["MODE"]
    assert values(found["READS"].after) == [False, True]
    assert found["READS"].fault.startswith("HTTP 403")


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_fault_is_tried_again_until_the_time_is_over(service: Service, status: int) -> None:
    service.refuses = {"READS": status}
    found = turned(service)
    assert confirmed(found) == ["MODE"]
    assert len([one for one in service.asked if one.startswith("READS")]) > 3


def test_a_fault_that_passes_is_none(service: Service) -> None:
    service.refuses = {"READS": 503}

    def before(method: str, _flag: str) -> None:
        if method == "PUT" and len(service.asked) > 3:
            service.refuses = {}

    service.before = before
    found = turned(service)
    assert (confirmed(found), found["READS"].fault) == (["READS", "MODE"], "")


def test_a_service_that_is_gone_is_asked_until_the_time_is_over(service: Service) -> None:
    service.gone = True
    found = turned(service)
    assert confirmed(found) == []
    assert found["READS"].fault == "http://flags/admin/flags/READS: Connection refused"
    assert values(found["READS"].after) == [None, None]


def test_what_was_taken_and_cannot_be_read_is_not_confirmed(service: Service) -> None:
    service.unread = {"READS": 503}
    found = turned(service)
    assert confirmed(found) == ["MODE"]
    assert found["READS"].taken
    assert service.rules["READS"]["*"] is False


def test_an_answer_that_was_lost_is_asked_for_again(service: Service) -> None:
    """The first change happens, and nobody hears of it: the second is the same once more."""
    lost = iter([True])

    def before(method: str, flag: str) -> None:
        if (method, flag) == ("PUT", "READS") and next(lost, False):
            service.rules["READS"]["*"] = False
            raise SourceError("no complete answer")

    service.before = before
    assert confirmed(turned(service)) == ["READS", "MODE"]


def test_replicas_that_answer_in_turns_are_waited_for(service: Service) -> None:
    """As long as one of them has the old value, it is not three times in a row."""
    reads = itertools.count()

    def before(method: str, flag: str) -> None:
        if method == "POST" and flag == "MODE":
            service.rules["MODE"]["*"] = "enforce" if next(reads) % 3 == 0 else "warn"

    service.before = before
    assert confirmed(turned(service)) == ["READS"]


def test_a_flag_that_is_turned_back_meanwhile_is_not_confirmed(service: Service) -> None:
    """READS was there and stable, and somebody turns it on again while MODE is still waited for."""
    service.ignores, reads = {"MODE"}, itertools.count()

    def before(method: str, flag: str) -> None:
        if method == "POST" and flag == "READS" and next(reads) == 12:
            service.rules["READS"]["*"] = True

    service.before = before
    assert confirmed(turned(service)) == []


@pytest.mark.parametrize(
    ("reason", "counts"),
    [
        ("STATIC", True),
        ("DISABLED", True),
        ("TARGETING_MATCH", True),
        ("SPLIT", False),
        ("DEFAULT", False),
        ("", False),
    ],
)
def test_what_is_drawn_by_lot_or_not_evaluated_is_not_for_everybody(
    service: Service, reason: str, *, counts: bool
) -> None:
    service.reason = reason
    assert confirmed(turned(service)) == (["READS", "MODE"] if counts else [])


def test_without_time_nothing_is_asked_for(service: Service) -> None:
    found = turned(service, within=0.0)
    assert (confirmed(found), service.asked) == ([], [])
    assert found["READS"].fault == "there was no time left to ask for it"


# --- what is told ------------------------------------------------------------------------------------------------


def test_everything_is_told_before_it_is_done_and_after(service: Service) -> None:
    told: list[tuple[str, str, int]] = []
    service.refuses = {"MODE": 401}
    turned(service, note=lambda word, data: told.append((word, f"{data['flag']}@{data['cohort']}", len(service.asked))))
    assert told == [
        ("asking", "READS@*", 0),
        ("taken", "READS@*", 1),
        ("asking", "MODE@*", 1),
        ("not taken", "MODE@*", 2),
        ("asking", "READS@admin", 2),
        ("taken", "READS@admin", 3),
    ]


def test_the_same_fault_is_told_once(service: Service) -> None:
    told: list[str] = []
    service.gone = True
    turned(service, note=lambda word, _data: told.append(word))
    assert told == ["asking", "not taken", "asking", "not taken"]


@pytest.mark.parametrize("survives", range(6))
def test_whatever_is_lost_of_the_service_after_a_while_is_no_confirmation(service: Service, survives: int) -> None:
    """The service dies after so many requests: the more it did, the more is known, but it is never confirmed."""
    requests = itertools.count()

    def before(_method: str, _flag: str) -> None:
        service.gone = next(requests) >= survives

    service.before = before
    assert confirmed(turned(service)) == []
