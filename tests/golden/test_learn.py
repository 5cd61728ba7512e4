"""Matchers that are proposed, and never applied."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from pytest_rollout.golden.learn import TooFewToLearn, learn
from pytest_rollout.golden.observation import Observation
from pytest_rollout.units import format_moment
from tests.golden.corpora import ENDPOINT, VALID, changed
from tests.golden.runs import run
from tests.golden.target import reply

NOW = 1_800_000_000.0


def proposals(tmp_path: Path, *bodies: Any, step: float = 0.5) -> dict[str, Any]:
    seen = [
        Observation(case="ok", instance="http://one", sent_at=NOW + step * number, reply=reply(body))
        for number, body in enumerate(bodies)
    ]
    trial = run(tmp_path, (VALID,), changed(ENDPOINT, "/match", {"/known": {"is": "present"}})).trial("ok")
    return {one.pointer: dict(one.matcher) for one in learn(trial, "off", seen)}


def test_what_is_the_same_every_time_is_left_alone(tmp_path: Path) -> None:
    assert proposals(tmp_path, *[{"a": 1, "b": [1, {"c": None}]}] * 5) == {}


def test_each_kind_of_volatile_value_gets_its_matcher(tmp_path: Path) -> None:
    bodies = [
        {
            "key": str(uuid.UUID(int=n)),
            "at": format_moment(NOW + n),
            "old": format_moment(n * 1000.0),
            "n": n,
            "x": n + 0.5,
            "s": f"t{n}",
            "flag": n % 2 == 0,
            "odd": n if n % 2 else "n",
            "rows": [0] * n,
            "same": {"deep": 1, "other": n},
            "known": n,
            **({"maybe": 1} if n % 2 else {}),
        }
        for n in range(5)
    ]
    assert proposals(tmp_path, *bodies) == {
        "/key": {"is": "uuid"},
        "/at": {"is": "rfc3339", "within": "5m"},
        "/old": {"is": "rfc3339"},
        "/n": {"is": "type", "type": "integer"},
        "/x": {"is": "type", "type": "number"},
        "/s": {"is": "type", "type": "string"},
        "/flag": {"is": "type", "type": "boolean"},
        "/odd": {"is": "ignore", "why": "its type changes: number, string"},
        "/rows": {"is": "type", "type": "array"},
        "/same/other": {"is": "type", "type": "integer"},
        "/maybe": {"is": "ignore", "why": "it is not always there"},
    }


def test_places_of_a_list_are_thrown_together_only_if_each_is_volatile(tmp_path: Path) -> None:
    bodies = [
        {"rows": [{"id": n, "kind": "a", "last": 0}, {"id": n + 1, "kind": "b", "last": n}], "m": [[n, 0], [0, n]]}
        for n in range(5)
    ]
    assert proposals(tmp_path, *bodies) == {
        "/rows/*/id": {"is": "type", "type": "integer"},
        "/rows/1/last": {"is": "type", "type": "integer"},
        "/m/0/0": {"is": "type", "type": "integer"},
        "/m/1/1": {"is": "type", "type": "integer"},
    }
    nested = [{"m": [[n, n], [n, n]]} for n in range(5)]
    assert proposals(tmp_path, *nested) == {"/m/*/*": {"is": "type", "type": "integer"}}


def test_a_key_that_looks_like_a_place_or_a_wildcard_is_a_key(tmp_path: Path) -> None:
    bodies = [{"m": {"0": n, "1": n}, "*": n} for n in range(5)]
    assert set(proposals(tmp_path, *bodies)) == {"/m/0", "/m/1", "/~2"}


def test_examples_are_shown(tmp_path: Path) -> None:
    seen = [Observation(case="ok", instance="i", sent_at=NOW + n, reply=reply([n, n])) for n in range(5)]
    (one,) = learn(run(tmp_path, (VALID,)).trial("ok"), "off", seen)
    assert (one.pointer, one.examples) == ("/*", ("0", "1", "2"))


@pytest.mark.parametrize(
    ("number", "step", "said"),
    [
        (4, 1.0, "ok: 4 observations within 3.0 s; at least 5 over 2 s are needed"),
        (9, 0.2, "ok: 9 observations within 1.6 s; at least 5 over 2 s are needed"),
        (0, 1.0, "ok: 0 observations within 0.0 s; at least 5 over 2 s are needed"),
    ],
)
def test_too_few_or_too_quick_teach_nothing(tmp_path: Path, number: int, step: float, said: str) -> None:
    with pytest.raises(TooFewToLearn) as caught:
        proposals(tmp_path, *[{"a": 1}] * number, step=step)
    assert str(caught.value) == said
