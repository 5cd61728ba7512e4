"""Sums of weights: in decimal, with an inclusive tolerance."""

from decimal import Decimal

import pytest
from hypothesis import given, strategies as st

from sandbox.normalization.weights import is_one, total


@pytest.mark.parametrize(
    ("weights", "one"),
    [
        (["1"], True),
        (["0.333333"] * 3, True),  # 1 - 1e-6; in floats a little more than that
        (["0.5", "0.500001"], True),
        (["0.142857"] * 7, True),
        (["0.166667"] * 6, False),  # 1 + 2e-6
        (["0.9999991"], True),
        (["0.9999989"], False),
        (["1.0000009"], True),
        (["1.0000011"], False),
        (["0.999998999999999999999999999999999999999"], False),
        (["0.001"] * 1000, True),
        (["0.5", "0.5", "1e-300"], True),
        ([], False),
    ],
)
def test_sum_is_one_within_1e_6_inclusive(weights: list[str], one: bool) -> None:
    assert is_one(map(Decimal, weights)) is one


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=20))
def test_sum_is_exact(millionths: list[int]) -> None:
    assert total(Decimal(part).scaleb(-6) for part in millionths) == Decimal(sum(millionths)).scaleb(-6)
