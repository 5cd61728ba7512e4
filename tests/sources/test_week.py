"""Gates over a week of a real Prometheus: what did not change is not fetched sample by sample."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from pytest_rollout.gathering.gatherer import Gatherer
from pytest_rollout.plan.gates import Gate
from pytest_rollout.sources.http import Answer, Http
from pytest_rollout.sources.prometheus import Prometheus
from pytest_rollout.verdict import CheckResult, Reason, Verdict
from sandbox.components import Component, start_prometheus
from sandbox.remote_write import remote_write
from tests.sources.past import BREACHED, INCONCLUSIVE, PASSED, ROLLBACKS, TARGET, on

MINUTE = 60.0
SCRAPES = 7 * 24 * 60
START = 1_700_000_040.0
"""A whole minute."""
GATE = {"counter": {"of": "rollbacks_total"}, "at_most": 0, "over": "7d"}
AT = SCRAPES // 2
"""Where it happens, whatever it is."""
BEGAN = START - 9000

Value = Callable[[int], float | None]


def nan(place: int) -> float:
    return math.nan if place == AT else 7.0


def rest(_: int) -> float:
    return 7.0


def event(place: int) -> float:
    return 7.0 + (place >= AT)


def reset(place: int) -> float:
    return 7.0 if place < AT else 0.0


def dip(place: int) -> float:
    return 0.0 if place == AT else 7.0


def birth(place: int) -> float | None:
    return 1.0 if place >= AT else None


def gap(place: int) -> float | None:
    return None if AT <= place < AT + 5 else 7.0


def late(place: int) -> float | None:
    return None if place < AT else 7.0


def ended(place: int) -> float | None:
    return None if place > AT else 7.0


class Weighing:
    """A transport that counts the samples of counters and of process starts in the answers."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self.samples = 0

    def __call__(self, method: str, url: str, /, *, form: Mapping[str, str] | None = None, json: Any = None) -> Answer:
        """Pass the request on."""
        answer = self._http(method, url, form=form, json=json)
        self.samples += _weight(answer.text)
        return answer


def _weight(text: str) -> int:
    result = json.loads(text).get("data", {}).get("result", [])
    return sum(len(one.get("values", ())) for one in result if one["metric"].get("__name__") != "up")


Ask = Callable[..., tuple[CheckResult, int]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Component]:
    """Return a Prometheus with a week for every pod: each lives through something of its own."""
    lives: dict[str, tuple[Value, Value, Value]] = {
        name: (value, lambda _: 1.0, lambda _: BEGAN) for name, value in VALUES.items()
    }
    away = lambda place: None if gap(place) is None else 1.0  # noqa: E731
    lives["away"] = (gap, away, lambda place: None if gap(place) is None else BEGAN)
    lives["restarted"] = (rest, lambda _: 1.0, lambda place: BEGAN if place < AT else START + AT * MINUTE - 30)
    lives["silent"] = (rest, lambda _: 1.0, lambda _: None)
    series = []
    for name, (counter, up, began) in lives.items():
        own = {"job": name, "instance": "a"}
        for labels, value in (
            ({**on(ROLLBACKS, "a"), "job": name}, counter),
            ({"__name__": "up", **own}, up),
            ({"__name__": "process_start_time_seconds", **own}, began),
        ):
            told = ((START + place * MINUTE, value(place)) for place in range(-1, SCRAPES + 2))
            series.append((labels, [(at, one) for at, one in told if one is not None]))
    with start_prometheus(tmp_path_factory.mktemp("week")) as component:
        remote_write(component.url, series)
        yield component


VALUES: dict[str, Value] = {
    "rest": rest,
    "event": event,
    "reset": reset,
    "dip": dip,
    "birth": birth,
    "late": late,
    "ended": ended,
    "nan": nan,
}
EXPECTED: dict[str, tuple[Verdict, Reason]] = {
    "rest": (PASSED, Reason.WITHIN_LIMIT),
    "event": (BREACHED, Reason.LIMIT_BREACHED),
    "reset": (INCONCLUSIVE, Reason.RESTART),
    "dip": (BREACHED, Reason.LIMIT_BREACHED),
    "birth": (BREACHED, Reason.LIMIT_BREACHED),
    "late": (BREACHED, Reason.LIMIT_BREACHED),
    "ended": (INCONCLUSIVE, Reason.COVERAGE),
    "nan": (INCONCLUSIVE, Reason.NOT_A_NUMBER),
    "away": (INCONCLUSIVE, Reason.COVERAGE),
    "restarted": (INCONCLUSIVE, Reason.RESTART),
    "silent": (INCONCLUSIVE, Reason.RESTART_UNKNOWN),
}


@pytest.fixture
def ask(server: Component, http: Http) -> Ask:
    """Return what judges a gate at the end of the week, and how many samples were fetched for it."""

    def asked(gate: Mapping[str, Any], end: float = SCRAPES * MINUTE) -> tuple[CheckResult, int]:
        weighing = Weighing(http)
        target = replace(TARGET, scrape_interval=MINUTE)
        gatherer = Gatherer(Prometheus(server.url, weighing), target, None, START + end + 1.5 * MINUTE)
        return gatherer.judge(Gate.model_validate({"id": "g", **gate})), weighing.samples

    return asked


def of(name: str) -> dict[str, Any]:
    return {**GATE, "counter": {"of": f'rollbacks_total{{job=~"{name}"}}'}}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_week_is_judged_like_half_an_hour(ask: Ask, name: str) -> None:
    result, _ = ask(of(name))
    assert (result.verdict, result.reason) == EXPECTED[name]


def test_an_event_in_the_middle_of_a_week_is_told_to_the_minute(ask: Ask) -> None:
    result, _ = ask(of("rest|event"))
    assert (result.verdict, result.value) == (BREACHED, 1.0)
    (rise,) = result.derivation["rises"]
    assert (rise["after"], rise["at"]) == (START + (AT - 1) * MINUTE, START + AT * MINUTE)


def test_what_did_not_change_is_not_fetched_sample_by_sample(ask: Ask) -> None:
    _, still = ask(of("rest"))
    _, moved = ask(of("event"))
    assert still < 100
    assert SCRAPES < moved < SCRAPES + 200


def test_an_event_at_either_end_of_a_week_is_found(ask: Ask) -> None:
    event_at = AT * MINUTE
    for end, verdict in ((event_at, BREACHED), (event_at - MINUTE, PASSED)):
        result, _ = ask({**of("event"), "over": "3d"}, end)
        assert result.verdict is verdict
