"""The incomplete beta function and the root finder, against values computed elsewhere and closed forms."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given, strategies as st

from pytest_rollout.judge.beta import crossing, incomplete_beta, log_beta


# By scipy.special.betainc.
@pytest.mark.parametrize(
    ("a", "b", "x", "wanted", "precise"),
    [
        (0.5, 0.5, 0.2, 0.2951672353008665, 1e-13),
        (3, 5000, 0.001, 0.8756426259625869, 1e-10),
        (2.5, 1e8, 3e-8, 0.693781094722808, 1e-6),
        (1e5, 1e8, 0.001, 0.6245045184730371, 1e-7),
        (1e8, 1e8, 0.50001, 0.6113512944797161, 5e-7),
    ],
)
def test_known_values(a: float, b: float, x: float, wanted: float, precise: float) -> None:
    assert incomplete_beta(a, b, x) == pytest.approx(wanted, rel=precise)
    assert incomplete_beta(b, a, 1 - x) == pytest.approx(1 - wanted, rel=precise * 10)


@given(st.floats(0.1, 300), st.floats(0.001, 0.999))
def test_closed_forms(a: float, x: float) -> None:
    assert incomplete_beta(a, 1, x) == pytest.approx(x**a, rel=1e-10)
    assert incomplete_beta(1, a, x) == pytest.approx(1 - (1 - x) ** a, rel=1e-9)
    assert incomplete_beta(0.5, 0.5, x) == pytest.approx(math.asin(math.sqrt(x)) * 2 / math.pi, rel=1e-10)
    assert incomplete_beta(a, a, 0.5) == pytest.approx(0.5, rel=1e-10)


@pytest.mark.parametrize(("x", "wanted"), [(-1.0, 0.0), (0.0, 0.0), (1.0, 1.0), (2.0, 1.0)])
def test_outside_there_is_nothing_or_all(x: float, wanted: float) -> None:
    assert incomplete_beta(2, 3, x) == wanted


def test_the_beta_function_of_whole_numbers_is_made_of_factorials() -> None:
    assert math.exp(log_beta(4, 6)) == pytest.approx(1 / 504)
    assert log_beta(1e8, 1e8) == pytest.approx(-138629444.05681705, rel=1e-12)


@pytest.mark.parametrize(
    ("rising", "low", "high", "wanted"),
    [
        (lambda x: x - 0.3, 0.0, 1.0, 0.3),
        (lambda x: x**9 - 1e-9, 0.0, 1.0, 0.1),
        (lambda x: math.exp(x) - 5, -100.0, 100.0, math.log(5)),
        (lambda x: math.copysign(1.0, x - 0.7), 0.0, 1.0, 0.7),
        (lambda x: -1.0 if x < 1e-7 else 1e9, 0.0, 1.0, 1e-7),
    ],
    ids=["straight", "flat", "steep", "a step", "a high step"],
)
def test_a_crossing_is_found(rising: Callable[[float], float], low: float, high: float, wanted: float) -> None:
    asked: list[float] = []

    def noted(x: float) -> float:
        asked.append(x)
        return rising(x)

    found = crossing(noted, low, high)
    assert found == pytest.approx(wanted, rel=1e-11)
    assert len(asked) < 110


@pytest.mark.parametrize(("by", "wanted"), [(5.0, 0.0), (0.0, 0.0), (-1.0, 1.0), (-5.0, 1.0)])
def test_what_does_not_cross_ends_at_the_nearer_end(by: float, wanted: float) -> None:
    assert crossing(lambda x: x + by, 0.0, 1.0) == wanted
