"""Each matcher on what it takes and what it refuses."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from pydantic import TypeAdapter

from pytest_rollout.golden.exact import MISSING, read_exact
from pytest_rollout.golden.matchers import Matcher
from pytest_rollout.golden.matching import Scene, differences, is_near
from pytest_rollout.golden.schemas import Schemas

NOW = 1_800_000_000.0
SCENE = Scene(
    request={"json": {"fund": 7}},
    body={"id": 7, "other": 8},
    sent_at=NOW,
    schemas=Schemas({"components": {"schemas": {"Whole": {"type": "integer", "maximum": 3}}}}),
)
ADAPTER: TypeAdapter[Matcher] = TypeAdapter(Matcher)
D = Decimal


def told(matcher: dict[str, Any], actual: Any, golden: Any = MISSING) -> list[str]:
    model = ADAPTER.validate_python(matcher)
    return [f"{one.kind}: {one.expected}" for one in differences(model, golden, actual, SCENE)]


@pytest.mark.parametrize(
    ("matcher", "golden", "actual"),
    [
        ({"is": "equals", "value": [1, None]}, MISSING, [D("1.0"), None]),
        ({"is": "near", "abs": D("0.000001")}, 1, D("1.000001")),
        ({"is": "near", "abs": D("0.000001")}, 1, D("0.999999")),
        ({"is": "near", "rel": D("0.01"), "value": -200}, MISSING, -198),
        ({"is": "number"}, MISSING, 0),
        ({"is": "number", "min": 1, "max": 2}, MISSING, D("2.0")),
        ({"is": "type", "type": "integer"}, MISSING, D("3.0")),
        ({"is": "type", "type": "null"}, MISSING, None),
        ({"is": "regex", "pattern": "a+"}, MISSING, "aa"),
        ({"is": "uuid"}, MISSING, "018F5E6A-7B2C-7d3e-8f4a-5b6c7d8e9f0a"),
        ({"is": "uuid", "version": 7}, MISSING, "018f5e6a-7b2c-7d3e-8f4a-5b6c7d8e9f0a"),
        ({"is": "rfc3339"}, MISSING, "1990-12-31T23:59:59.5-08:00"),
        ({"is": "rfc3339", "within": "5m"}, MISSING, "2027-01-15T08:04:59Z"),
        ({"is": "enum", "values": [1, "a"]}, MISSING, D("1.0")),
        ({"is": "length", "min": 2, "max": 2}, MISSING, "ab"),
        ({"is": "length", "min": 2}, MISSING, {"a": 1, "b": 2}),
        ({"is": "each", "of": {"is": "type", "type": "string"}}, MISSING, ["a", "b"]),
        ({"is": "each", "of": {"is": "type", "type": "string"}, "min": 0}, MISSING, []),
        ({"is": "same-as", "pointer": "/id"}, MISSING, 7),
        ({"is": "same-as", "pointer": "/json/fund", "in": "request"}, MISSING, 7),
        ({"is": "absent"}, MISSING, MISSING),
        ({"is": "present"}, MISSING, None),
        ({"is": "schema", "schema": "#/components/schemas/Whole"}, MISSING, 3),
        ({"is": "schema", "schema": {"minimum": 2}}, MISSING, D("2.0")),
        ({"is": "ignore", "why": "random"}, MISSING, MISSING),
        ({"is": "ignore", "why": "random"}, MISSING, [1]),
    ],
    ids=str,
)
def test_what_a_matcher_takes(matcher: dict[str, Any], golden: Any, actual: Any) -> None:
    assert told(matcher, actual, golden) == []


@pytest.mark.parametrize(
    ("matcher", "golden", "actual", "said"),
    [
        ({"is": "equals", "value": 1}, MISSING, True, "value: 1"),
        ({"is": "equals", "value": None}, MISSING, MISSING, "missing: equals"),
        ({"is": "near", "abs": D("0.000001")}, 1, D("1.0000011"), "value: 1 within 0.000001"),
        ({"is": "near", "abs": D("0.000001")}, 1, D("0.9999989"), "value: 1 within 0.000001"),
        ({"is": "near", "rel": D("0.01")}, -200, -197, "value: -200 within 0.01 of it"),
        ({"is": "near", "abs": 1}, 1, "1", "type: number"),
        ({"is": "near", "abs": 1}, MISSING, 1, "rule: a number to be near to, in the golden or as value"),
        ({"is": "near", "abs": 1}, "1", 1, "rule: a number to be near to, in the golden or as value"),
        ({"is": "number"}, MISSING, True, "type: number"),
        ({"is": "number", "min": 1}, MISSING, D("0.99"), "value: at least 1"),
        ({"is": "number", "max": 1}, MISSING, D("1.01"), "value: at most 1"),
        ({"is": "type", "type": "integer"}, MISSING, D("3.5"), "type: integer"),
        ({"is": "type", "type": "number"}, MISSING, True, "type: number"),
        ({"is": "type", "type": "boolean"}, MISSING, 0, "type: boolean"),
        ({"is": "regex", "pattern": "a+"}, MISSING, "aab", "value: like a+"),
        ({"is": "regex", "pattern": "a+"}, MISSING, 1, "type: string"),
        ({"is": "uuid"}, MISSING, "018f5e6a7b2c7d3e8f4a5b6c7d8e9f0a", "value: a UUID"),
        ({"is": "uuid", "version": 4}, MISSING, "018f5e6a-7b2c-7d3e-8f4a-5b6c7d8e9f0a", "value: a UUID of version 4"),
        ({"is": "uuid"}, MISSING, 1, "type: string"),
        ({"is": "rfc3339"}, MISSING, "2027-01-15 08:00:00Z", "value: a date and time with offset (RFC 3339)"),
        ({"is": "rfc3339"}, MISSING, "2027-01-15T08:00:00", "value: a date and time with offset (RFC 3339)"),
        ({"is": "rfc3339"}, MISSING, "2027-02-30T08:00:00Z", "value: a date and time with offset (RFC 3339)"),
        ({"is": "rfc3339", "within": "5m"}, MISSING, "2027-01-15T08:05:01Z", "value: within 5 min of the sending"),
        ({"is": "rfc3339", "within": "5m"}, MISSING, "2027-01-15T07:54:59Z", "value: within 5 min of the sending"),
        ({"is": "enum", "values": [1, "a"]}, MISSING, True, 'value: one of [1,"a"]'),
        ({"is": "length", "min": 2}, MISSING, "a", "length: at least 2"),
        ({"is": "length", "max": 2}, MISSING, [1, 2, 3], "length: at most 2"),
        ({"is": "length"}, MISSING, 12, "type: string, array or object"),
        ({"is": "each", "of": {"is": "type", "type": "string"}}, MISSING, ["a", 1], "type: string"),
        ({"is": "each", "of": {"is": "present"}}, MISSING, [], "length: at least 1"),
        ({"is": "each", "of": {"is": "present"}}, MISSING, "ab", "type: array or object"),
        ({"is": "same-as", "pointer": "/other"}, MISSING, 7, "value: what the body has at '/other'"),
        ({"is": "same-as", "pointer": "/none"}, MISSING, 7, "value: what the body has at '/none'"),
        ({"is": "absent"}, MISSING, None, "extra: nothing"),
        ({"is": "present"}, MISSING, MISSING, "missing: present"),
        ({"is": "schema", "schema": "#/components/schemas/Whole"}, MISSING, D("3.5"), "schema: maximum"),
        ({"is": "schema", "schema": "#/components/schemas/None"}, MISSING, 3, "rule: a schema that can be used"),
    ],
    ids=str,
)
def test_what_a_matcher_refuses(matcher: dict[str, Any], golden: Any, actual: Any, said: str) -> None:
    assert told(matcher, actual, golden)[-1 if matcher["is"] == "schema" else 0] == said


def test_each_names_the_entry() -> None:
    model = ADAPTER.validate_python({"is": "each", "of": {"is": "length", "max": 1}})
    (found,) = differences(model, MISSING, {"a": [1], "b": [1, "x"]}, SCENE)
    assert (found.path, found.actual) == (("b",), 2)


@settings(derandomize=True, deadline=None)
@given(st.decimals(-10, 10, places=8), st.decimals(-10, 10, places=8), st.decimals(0, 1, places=8, allow_nan=False))
def test_nearness_is_inclusive_and_exact(actual: Decimal, wanted: Decimal, allowed: Decimal) -> None:
    scaled = [int(one.scaleb(8)) for one in (actual, wanted, allowed)]
    assert is_near(actual, wanted, allowed, None) is (abs(scaled[0] - scaled[1]) <= scaled[2])
    assert is_near(actual, wanted, None, allowed) is (abs(scaled[0] - scaled[1]) * 10**8 <= scaled[2] * abs(scaled[1]))


def test_rounding_never_makes_numbers_near() -> None:
    close = read_exact("1" + "0" * 999 + "1")
    assert not is_near(D("1e1000"), close, D("0.5"), None)
    assert not is_near(D("1e1000"), D(1), D("1e999"), None)
    assert is_near(D("1e1000"), D("1e1000"), D(0), None)
    assert not is_near(D("1." + "0" * 300 + "1"), D(0), D(1), None)
    assert not is_near(D("1." + "0" * 300 + "1"), D("0.5"), None, D(1))
