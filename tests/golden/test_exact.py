"""JSON without loss."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from pytest_rollout.golden.exact import (
    MISSING,
    digest,
    equal,
    kind_of,
    read_exact,
    read_number,
    write_exact,
    write_pretty,
)

NUMBERS = st.integers() | st.decimals(allow_nan=False, allow_infinity=False)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
DERANDOMISED = settings(derandomize=True, deadline=None)


@DERANDOMISED
@given(VALUES)
def test_what_is_written_is_read_again(value: Any) -> None:
    for text in (write_exact(value), write_pretty(value)):
        assert equal(read_exact(text), value)


@DERANDOMISED
@given(VALUES, VALUES)
def test_equal_values_and_no_others_have_one_digest(one: Any, other: Any) -> None:
    assert equal(one, one)
    assert equal(one, other) is equal(other, one) is (digest(one) == digest(other))


@pytest.mark.parametrize(
    "text", ["0.333333", "1.0000010", "0.1", "1e-7", "-0", "1e309", "123456789012345678901234567890.5"]
)
def test_a_number_is_what_was_written_and_no_float(text: str) -> None:
    assert read_exact(text) == Decimal(text)
    assert Decimal(write_exact(read_exact(text))) == Decimal(text)
    assert not isinstance(read_exact(text), float)


def test_a_number_of_many_digits_is_no_trouble() -> None:
    assert read_exact("7" * 5000) == Decimal("7" * 5000)


def test_a_number_beyond_all_means_is_refused() -> None:
    with pytest.raises(ValueError, match="out of every range"):
        read_number("1e99999999999999999999")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("NaN", "NaN is not JSON"),
        ("[-Infinity]", "-Infinity is not JSON"),
        ('{"a": 1, "a": 2}', "the key 'a' is given twice"),
        ("[" * 100_000, "nested more than 200 levels deep"),
        ("[" * 200 + "1" + "]" * 200, "nested more than 200 levels deep"),
        ("{", "Expecting property name"),
    ],
)
def test_what_is_not_strict_json_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_exact(text)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (1, Decimal("1.00"), True),
        (100, Decimal("1e2"), True),
        (Decimal("-0.0"), 0, True),
        (True, 1, False),
        (False, 0, False),
        (None, MISSING, False),
        (None, False, False),
        ("1", 1, False),
        ([], {}, False),
        ({"a": 1, "b": [True]}, {"b": [True], "a": Decimal("1.0")}, True),
        ([1, 2], [2, 1], False),
        ([1], [1, 2], False),
    ],
)
def test_equality_is_that_of_json(one: Any, other: Any, same: bool) -> None:
    assert equal(one, other) is same


def test_kinds_have_the_words_of_json() -> None:
    values = [None, True, 1, Decimal(1), "a", [], {}, MISSING]
    assert [kind_of(value) for value in values] == [
        "null", "boolean", "number", "number", "string", "array", "object", "absent",
    ]  # fmt: skip


def test_half_a_character_is_written_as_an_escape() -> None:
    assert write_exact("a\ud800é") == '"a\\ud800é"'
    assert json.loads(write_exact("\ud800")) == "\ud800"


def test_a_float_is_never_written() -> None:
    with pytest.raises(TypeError, match="exact"):
        write_exact([0.1])


def test_a_file_for_people_keeps_short_things_in_a_line() -> None:
    value = {"id": "a", "list": [{"stage": "seed", "weight": Decimal("0.10")}] * 2, "long": ["x" * 60, "y" * 60]}
    assert write_pretty(value) == (
        '{\n  "id": "a",\n  "list": [{"stage": "seed", "weight": 0.10}, {"stage": "seed", "weight": 0.10}],\n'
        f'  "long": [\n    "{"x" * 60}",\n    "{"y" * 60}"\n  ]\n}}'
    )
