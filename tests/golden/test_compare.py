"""Bodies against goldens and matchers: what is said, and which matcher speaks."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from pydantic import TypeAdapter

from pytest_rollout.golden.compare import Rules, compare
from pytest_rollout.golden.exact import MISSING, equal
from pytest_rollout.golden.finding import lines
from pytest_rollout.golden.matchers import Matching
from pytest_rollout.golden.matching import Scene
from pytest_rollout.verdict import Reason, Verdict
from tests.golden.test_exact import VALUES

MODELS: TypeAdapter[Matching] = TypeAdapter(Matching)
INTEGER = {"is": "type", "type": "integer"}
TEXT = {"is": "type", "type": "string"}
IGNORED = {"is": "ignore", "why": "volatile"}


def rules(*levels: dict[str, Any], secrets: tuple[str, ...] = ()) -> Rules:
    padded = ({}, {}, {}, *levels)[-3:]
    return Rules([MODELS.validate_python(level) for level in padded], secrets)


def said(golden: Any, actual: Any, *levels: dict[str, Any], pinned: bool = True) -> list[str]:
    found = compare(golden, actual, rules(*levels), Scene(body=actual), pinned=pinned)
    return [one.line for one in found.findings]


def used(golden: Any, actual: Any, *levels: dict[str, Any]) -> set[str]:
    given = rules(*levels)
    return {given.all[number].pattern.text for number in compare(golden, actual, given, Scene()).used}


@settings(derandomize=True, deadline=None)
@given(VALUES, VALUES)
def test_without_matchers_only_equal_bodies_agree(golden: Any, actual: Any) -> None:
    assert said(golden, golden) == []
    assert (said(golden, actual) == []) is equal(golden, actual)


@pytest.mark.parametrize(
    ("golden", "actual", "line"),
    [
        ({"a": 1}, {"a": 2}, "/a: value: expected 1, got 2 [golden]"),
        ({"a": 1}, {"a": "1"}, '/a: type: expected 1, got "1" [golden]'),
        ({"a": 1}, {"a": True}, "/a: type: expected 1, got true [golden]"),
        ({"a": None}, {}, "/a: missing: expected null, got nothing [golden]"),
        ({}, {"a": None}, "/a: extra: expected nothing, got null [golden]"),
        ([1, 2], [2, 1], "(body): order: expected [1,2], got [2,1] [golden]"),
        ([1], [1, 2], "/1: extra: expected nothing, got 2 [golden]"),
        ([1, 2], [1], "/1: missing: expected 2, got nothing [golden]"),
        ({"a": [{"b": Decimal("0.1")}]}, {"a": [{"b": Decimal("0.10000001")}]},
         "/a/0/b: value: expected 0.1, got 0.10000001 [golden]"),
        ("x" * 200, "", f'(body): value: expected "{"x" * 119}... (202 characters), got "" [golden]'),
    ],
)  # fmt: skip
def test_a_difference_says_where_what_and_why(golden: Any, actual: Any, line: str) -> None:
    assert said(golden, actual) == [line]


def test_the_first_ten_are_shown_and_the_others_counted() -> None:
    found = compare(list(range(30)), [*map(str, range(30))], rules(), Scene()).findings
    shown = lines(found).splitlines()
    assert (len(shown), shown[-1]) == (11, "+20 more")


def test_a_matcher_stands_for_all_below_it() -> None:
    golden, actual = {"a": {"b": 1, "c": [1]}}, {"a": {"b": 2, "d": None}}
    assert said(golden, actual, {"/a": IGNORED}) == []
    assert said(golden, actual, {"/a": {"is": "type", "type": "object"}}) == []
    assert said(golden, {}, {"/a": {"is": "type", "type": "object"}}) == [
        "/a: missing: expected type, got nothing [type at /a]"
    ]
    assert said(golden, {}, {"/a": IGNORED}) == []


def test_the_longest_pointer_wins() -> None:
    golden, actual = {"a": {"b": 1, "c": 1}}, {"a": {"b": 2, "c": 2}}
    assert said(golden, actual, {"/a": IGNORED, "/a/b": {"is": "equals", "value": 1}}) == [
        "/a/b: value: expected 1, got 2 [equals at /a/b]"
    ]
    assert said(golden, actual, {"/**": IGNORED, "/a/*": {"is": "equals", "value": 2}}) == []
    assert said(golden, actual, {"/a/*": IGNORED, "/a/b": TEXT}) == [
        "/a/b: type: expected string, got 2 [type at /a/b]"
    ]
    assert said(golden, actual, {"/*/b": TEXT, "/a/*": INTEGER}) == []  # as many literals: the earlier ones


def test_of_equal_pointers_the_closer_level_wins() -> None:
    mode, case, endpoint = {"/a": {"is": "equals", "value": 2}}, {"/a": TEXT}, {"/a": TEXT}
    assert said({"a": 1}, {"a": 2}, endpoint, case, mode) == []
    assert said({"a": 1}, {"a": 2}, endpoint, case, {}) == ["/a: type: expected string, got 2 [type at /a]"]


def test_wildcards_reach_every_entry() -> None:
    golden = {"rows": [{"id": 1, "v": 1}, {"id": 2, "v": 1}]}
    actual = {"rows": [{"id": 3, "v": 1}, {"id": "x", "v": 2}]}
    assert said(golden, actual, {"/rows/*/id": INTEGER}) == [
        '/rows/1/id: type: expected integer, got "x" [type at /rows/*/id]',
        "/rows/1/v: value: expected 1, got 2 [golden]",
    ]
    assert said(golden, actual, {"/**/id": INTEGER, "/**/v": INTEGER}) == [
        '/rows/1/id: type: expected integer, got "x" [type at /**/id]'
    ]


def test_the_number_of_entries_is_not_a_wildcards_matter() -> None:
    golden, actual = {"rows": [{"id": 1}, {"id": 2}]}, {"rows": [{"id": 1}]}
    assert said(golden, actual, {"/rows/*/id": INTEGER}) == [
        '/rows/1: missing: expected {"id":2}, got nothing [golden]'
    ]


def test_used_matchers_are_those_that_met_something() -> None:
    golden = {"a": 1, "b": {"c": 1}}
    assert used(golden, golden, {"/a": INTEGER, "/b/*": INTEGER, "/none": INTEGER, "/**/d": INTEGER}) == {"/a", "/b/*"}
    assert used(golden, golden, {"/a": INTEGER, "/*": TEXT}) == {"/a", "/*"}
    assert used({"a": 1}, {"a": 1}, {"/a": INTEGER, "/*": TEXT}) == {"/a"}
    assert used({}, {}, {"/gone": {"is": "absent"}, "/odd": IGNORED}) == {"/gone"}


# --- unordered ----------------------------------------------------------------------------------------------

UNORDERED = {"/rows": {"is": "unordered"}}
KEYED = {"/rows": {"is": "unordered", "key": "/stage"}}


def row(stage: str, weight: int) -> dict[str, Any]:
    return {"stage": stage, "weight": weight}


def test_order_does_not_matter_and_number_does() -> None:
    one, two = row("seed", 1), row("a", 2)
    assert said({"rows": [one, two]}, {"rows": [two, one]}, UNORDERED) == []
    assert said({"rows": [one, two]}, {"rows": [two, one, one]}, UNORDERED) == [
        '/rows/2: extra: expected nothing, got {"stage":"seed","weight":1} [unordered at /rows]'
    ]
    assert said({"rows": [one, one]}, {"rows": [one]}, UNORDERED) == [
        '/rows/-: missing: expected {"stage":"seed","weight":1}, got nothing [unordered at /rows]'
    ]
    assert said({"rows": [one]}, {"rows": 1}, UNORDERED) == ["/rows: type: expected array, got 1 [unordered at /rows]"]
    assert said({"rows": [one]}, {}, UNORDERED) == ["/rows: missing: expected array, got nothing [unordered at /rows]"]


def test_entries_are_paired_by_their_key() -> None:
    golden = {"rows": [row("seed", 1), row("a", 2)]}
    assert said(golden, {"rows": [row("a", 2), row("seed", 1)]}, KEYED) == []
    assert said(golden, {"rows": [row("a", 3), row("b", 1)]}, KEYED) == [
        '/rows/-: missing: expected {"stage":"seed","weight":1}, got nothing [golden]',
        "/rows/0/weight: value: expected 2, got 3 [golden]",
        '/rows/1: extra: expected nothing, got {"stage":"b","weight":1} [golden]',
    ]
    assert said(golden, {"rows": [row("a", 7), row("seed", 8)]}, {**KEYED, "/rows/*/weight": INTEGER}) == []


@pytest.mark.parametrize("rows", [[row("a", 1), row("a", 2)], [{"weight": 1}, row("a", 1)]])
def test_a_key_has_to_tell_entries_apart(rows: list[Any]) -> None:
    golden = {"rows": [row("a", 1), row("b", 2)]}
    assert said(golden, {"rows": rows}, KEYED) == [
        '/rows: order: expected entries with a /stage of their own, got "answer" [unordered at /rows]'
    ]


# --- without a golden ---------------------------------------------------------------------------------------


def test_without_a_golden_the_modes_places_must_be_there() -> None:
    mode = {"/a": INTEGER, "/b/*": INTEGER, "/c": {"is": "absent"}, "/d": IGNORED}
    assert said(MISSING, {"a": 1, "b": [2], "x": 1}, mode, pinned=False) == []
    assert said(MISSING, {"b": ["x"], "c": 1}, mode, pinned=False) == [
        '/b/0: type: expected integer, got "x" [type at /b/*]',
        "/c: extra: expected nothing, got 1 [absent at /c]",
        "/a: missing: expected type, got nothing [type at /a]",
    ]
    assert said(MISSING, {}, {"/a": INTEGER}, {}, pinned=False) == []  # the case's: it may be another mode's


def test_what_is_secret_is_never_shown() -> None:
    given = rules({"/t": {"is": "equals", "value": "wanted-secret"}}, secrets=("/**/token", "/t"))
    golden, actual = {"a": {"token": "old-secret"}, "t": 1}, {"a": {"token": "new-secret"}, "b": {"token": "s3cret"}}
    found = compare(golden, actual, given, Scene()).findings
    assert "secret" not in lines(found)
    assert [one.line for one in found] == [
        '/a/token: value: expected ***, got "***" [golden]',
        '/t: missing: expected ***, got "***" [equals at /t]',
        '/b: extra: expected nothing, got {"token":"***"} [golden]',
    ]


def test_a_matcher_that_cannot_judge_is_an_error_and_no_pass() -> None:
    (found,) = compare({"a": "x"}, {"a": 1}, rules({"/a": {"is": "near", "abs": 1}}), Scene()).findings
    assert (found.verdict, found.reason) == (Verdict.ERROR, Reason.CASE_UNUSABLE)


# --- a loss is noticed --------------------------------------------------------------------------------------


@settings(derandomize=True, deadline=None)
@given(st.data())
def test_a_value_taken_away_never_makes_bodies_agree(data: st.DataObject) -> None:
    golden: dict[str, Any] = {"a": [1, {"b": 2}], "c": {"d": None}, "e": "x"}
    levels: list[dict[str, Any]] = [{}, {"/a": {"is": "length", "min": 2}}, {"/**/b": INTEGER}, {"/c/*": TEXT}]
    level = data.draw(st.sampled_from(levels))
    actual = data.draw(st.sampled_from([golden, {**golden, "e": "y"}, {**golden, "c": {}}, {**golden, "f": 1}]))
    before = said(golden, actual, level)
    path = data.draw(st.sampled_from(sorted(actual)))
    less = {key: value for key, value in actual.items() if key != path}
    if before and path != "f":
        assert said(golden, less, level)
