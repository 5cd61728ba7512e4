"""A result in words."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from pytest_rollout.publish.explain import explain
from pytest_rollout.verdict import CheckResult, Reason, Verdict, inconclusive

START = 1_700_000_000.0
RESULT = CheckResult(
    verdict=Verdict.BREACHED,
    reason=Reason.LIMIT_BREACHED,
    message="12 bad requests of 1,000",
    value=0.012,
    limit=0.005,
    unit="share",
    samples=1000,
    window=(START, START + 1800),
)
THREE = """\
api-5xx: BREACHED (limit-breached)
  12 bad requests of 1,000
  value 1.2 %, limit 0.5 %, 1,000 samples, window 2023-11-14T22:13:20Z to 2023-11-14T22:43:20Z (30 min)"""


def told(derivation: dict[str, Any]) -> list[str]:
    """Return the lines of a derivation."""
    result = inconclusive(Reason.NO_DATA, "m", derivation=derivation)
    lines = explain("g", result, verbose=True).splitlines()
    assert lines[:3] == ["g: INCONCLUSIVE (no-data)", "  m", "  nothing was measured"]
    return lines[3:]


def test_three_lines() -> None:
    assert explain("api-5xx", RESULT) == THREE
    assert explain("api-5xx", RESULT, verbose=True) == THREE  # no derivation


@pytest.mark.parametrize("verdict", Verdict)
def test_there_are_three_lines_whatever_is_known(verdict: Verdict) -> None:
    bare = CheckResult(verdict=verdict, reason=Reason.TEST_FAILED, message="a\n  b\r\n\u2028c\n", derivation={"a": 1})
    assert explain("t\nu", bare).splitlines() == [
        f"t u: {verdict.value.upper()} (test-failed)",
        "  a b c",
        "  nothing was measured",
    ]


def test_where_pictures_are_is_in_the_third_line() -> None:
    seen = inconclusive(Reason.NO_DATA, "m", attachments=("reports/run/a.png", "reports/run/b/c.zip"))
    assert explain("g", seen).splitlines()[2:] == ["  see reports/run"]


def test_numbers_that_are_not_known() -> None:
    half = inconclusive(Reason.NO_DATA, "m", limit=0.1, unit="seconds", samples=0)
    assert explain("g", half).splitlines()[2] == "  value -, limit 100 ms, 0 samples"


def test_a_window_that_has_not_begun() -> None:
    early = inconclusive(Reason.NO_DATA, "m", window=(START, START - 5))
    assert explain("g", early).splitlines()[2] == ("  window 2023-11-14T22:13:20Z to 2023-11-14T22:13:15Z (0 ms)")


def test_the_derivation_of_a_share() -> None:
    assert told(
        {
            "rule": "Clopper-Pearson, two-sided, single look",
            "confidence": 0.9999,
            "bad": 12,
            "total": 240000,
            "low": 0.0008775283100782485,
            "high": 0.001134767744,
            "restarts": "hold",
            "coverage": {"my_shop/a": {"share": 0.9875, "longest_gap": 15.0, "scrapes": 123}},
            "at": START + 22.5,
            "queries": ['req{job="shop"}[1912500ms]'],
        }
    ) == [
        "  rule: Clopper-Pearson, two-sided, single look",
        "  confidence: 99.99 %",
        "  bad: 12",
        "  total: 240,000",
        "  low: 0.0877528 %",
        "  high: 0.113477 %",
        "  restarts: hold",
        "  coverage:",
        "    my_shop/a: share: 98.75 %, longest gap: 15 s, scrapes: 123",
        "  at: 2023-11-14T22:13:42Z",
        "  queries:",
        '    - req{job="shop"}[1912500ms]',
    ]


def test_the_derivation_of_a_counter() -> None:
    labels = {"__name__": "rollbacks_total", "job": "shop", "my_label": "a\nb"}
    rise = {"after": START, "at": START + 15, "by": 1.0, "labels": labels, "surely": True}
    assert told({"rises": [rise, {**rise, "surely": False}], "charged_for_restarts": 0}) == [
        "  rises:",
        *[
            line
            for sure in ("yes", "no")
            for line in (
                "    - after: 2023-11-14T22:13:20Z",
                "      at: 2023-11-14T22:13:35Z",
                "      by: 1",
                '      labels: rollbacks_total{job="shop",my_label="a b"}',
                f"      surely: {sure}",
            )
        ],
        "  charged for restarts: 0",
    ]


def test_results_inside_a_result_are_told_like_it() -> None:
    inner = CheckResult.from_dict({**RESULT.to_dict(), "derivation": {"confidence": 0.95}}).to_dict()
    three = [f"      {line.strip()}" for line in THREE.splitlines()[1:]]
    assert told({"expected": 2, "each": {'my_label="a_b"': inner}}) == [
        "  expected: 2",
        "  each:",
        '    my_label="a_b": BREACHED (limit-breached)',
        *three,
        "      confidence: 95 %",
    ]
    assert told({"periods": [inner, inner]}) == [
        "  periods:",
        *[line for n in (1, 2) for line in (f"    {n}: BREACHED (limit-breached)", *three, "      confidence: 95 %")],
    ]
    deep = [f"  {line}" for line in three]
    assert told({"pairs": {"5x over 1 h/5 min": {"long": inner}}}) == [
        "  pairs:",
        "    5x over 1 h/5 min:",
        "      long: BREACHED (limit-breached)",
        *deep,
        "        confidence: 95 %",
    ]


@pytest.mark.parametrize(
    ("derivation", "line"),
    [
        ({"low_bound": 0.05}, "low bound: 50 ms"),
        ({"high_bound": None}, "high bound: -"),
        ({"now": [0.05, None]}, "now:"),
        ({"now": [0.05, 0.1]}, "now: 0.05, 0.1"),
        ({"now": {"bad": 1, "total": 1000}}, "now: bad: 1, total: 1,000"),
        ({"effect": 1.0067764521234}, "effect: 1.006776452"),
        ({"confidence": None}, "confidence: -"),
        ({"changed_at": None}, "changed at: -"),
        ({"changed_at": START}, "changed at: 2023-11-14T22:13:20Z"),
        ({"started_at": 0.0}, "started at: 1970-01-01T00:00:00Z"),
        ({"fault": ""}, "fault: -"),
        ({"runs": []}, "runs: none"),
        ({"coverage": {}}, "coverage:"),
        ({"message": "a\nb"}, "message: a b"),
        ({"value": float("inf")}, "value: inf"),
    ],
    ids=repr,
)
def test_a_line(derivation: dict[str, Any], line: str) -> None:
    assert told(derivation)[0] == f"  {line}"


@pytest.fixture
def kathmandu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Kathmandu")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("kathmandu")
def test_times_are_those_of_greenwich() -> None:
    assert explain("api-5xx", RESULT) == THREE
