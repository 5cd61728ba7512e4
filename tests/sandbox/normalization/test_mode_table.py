"""The contract's table: valid, alias and unknown in off, warn and enforce, at all three endpoints."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from sandbox.normalization.stages import CANONICAL
from tests.sandbox.normalization.asking import (
    DEPRECATION,
    add,
    companies,
    deprecation,
    distribution,
    simulate,
    stable,
    strategy,
)
from tests.sandbox.normalization.conftest import MODES

Ask = Callable[[httpx.Client, str, str], httpx.Response]

ASK: dict[str, Ask] = {
    "monte_carlo": lambda client, mode, stage: simulate(client, mode, distribution("seed", stage)),
    "strategies": lambda client, mode, stage: add(client, mode, strategy(**{"seed": 0.5, stage: 0.5})),
    "companies": lambda client, mode, stage: companies(client, mode, str(httpx.QueryParams({"stage": stage}))),
}
SUCCESS = {"monte_carlo": 200, "strategies": 201, "companies": 200}
STAGES: dict[str, Callable[[Any], list[str]]] = {
    "monte_carlo": lambda body: [entry["stage"] for entry in body["stageDistribution"]],
    "strategies": lambda body: list(body["stageAllocation"]),
    "companies": lambda body: ["seed", body["stage"]],
}


@pytest.mark.parametrize("endpoint", ASK)
@pytest.mark.parametrize("stage", CANONICAL[2:])
def test_valid_is_answered_the_same_in_every_mode(unchanged: httpx.Client, endpoint: str, stage: str) -> None:
    answers = [ASK[endpoint](unchanged, mode, stage) for mode in MODES]
    assert {answer.status_code for answer in answers} == {SUCCESS[endpoint]}
    assert all(stable(answer) == stable(answers[0]) for answer in answers)
    assert not any(deprecation(answer) for answer in answers)
    assert STAGES[endpoint](answers[0].json()) == ["seed", stage]


@pytest.mark.parametrize("endpoint", ASK)
@pytest.mark.parametrize(("mode", "stage"), [("off", "Series A"), ("warn", "series-a"), ("enforce", "series-a")])
def test_alias_is_served_and_normalized_but_in_off(
    unchanged: httpx.Client, endpoint: str, mode: str, stage: str
) -> None:
    answer = ASK[endpoint](unchanged, mode, "Series A")
    assert (answer.status_code, deprecation(answer)) == (SUCCESS[endpoint], {})
    assert STAGES[endpoint](answer.json()) == ["seed", stage]


@pytest.mark.parametrize("endpoint", ASK)
def test_unknown_is_served_in_off_without_a_word(unchanged: httpx.Client, endpoint: str) -> None:
    answer = ASK[endpoint](unchanged, "off", "serie-b")
    assert (answer.status_code, deprecation(answer)) == (SUCCESS[endpoint], {})
    assert STAGES[endpoint](answer.json()) == ["seed", "serie-b"]


@pytest.mark.parametrize("endpoint", ASK)
def test_unknown_is_served_in_warn_as_in_off_with_headers(unchanged: httpx.Client, endpoint: str) -> None:
    off, warn = (ASK[endpoint](unchanged, mode, "serie-b") for mode in ("off", "warn"))
    assert warn.status_code == SUCCESS[endpoint]
    assert stable(warn) == stable(off)
    assert set(deprecation(warn)) == set(DEPRECATION)


@pytest.mark.parametrize("endpoint", ASK)
def test_unknown_is_rejected_in_enforce_without_headers(unchanged: httpx.Client, endpoint: str) -> None:
    answer = ASK[endpoint](unchanged, "enforce", "serie-b")
    assert (answer.status_code, deprecation(answer)) == (400, {})
    assert answer.json()["details"]["invalid"] == ["serie-b"]


@pytest.mark.parametrize("mode", ["warn", "enforce"])
def test_seriesc_is_unknown(unchanged: httpx.Client, mode: str) -> None:
    answer = companies(unchanged, mode, "stage=seriesc")
    assert (answer.status_code, bool(deprecation(answer))) == ((200, True) if mode == "warn" else (400, False))


@pytest.mark.parametrize("endpoint", ASK)
@pytest.mark.parametrize("stage", ["__proto__", "constructor", "toString", "hasOwnProperty", "🌱", "a\0b", "x" * 100])
def test_odd_texts_are_unknown_stages_like_any_other(unchanged: httpx.Client, endpoint: str, stage: str) -> None:
    statuses = [ASK[endpoint](unchanged, mode, stage).status_code for mode in MODES]
    assert statuses == [SUCCESS[endpoint], SUCCESS[endpoint], 400]
    assert ASK[endpoint](unchanged, "enforce", stage).json()["details"]["invalid"] == [stage]


def test_head_is_answered_with_the_same_headers(unchanged: httpx.Client) -> None:
    head = unchanged.head("/api/funds/1/companies?stage=foo", headers={"x-cohort": "warn"})
    assert (head.status_code, head.content, set(deprecation(head))) == (200, b"", set(DEPRECATION))
