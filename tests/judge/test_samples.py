"""What is counted from raw samples, and how much of a window was observed."""

from __future__ import annotations

import math

import pytest

from pytest_rollout.judge.samples import Coverage, Rise, Series, Window, all_finite, coverage, rises
from tests.judge.evidence import START, STEP, WINDOW, counted, unscraped

ONE = Window(100.0, 200.0, 100.0)
LABELS = {"job": "a"}


def seen(*samples: tuple[float, float]) -> list[Rise]:
    return list(rises([Series(LABELS, samples)], ONE))


def rise(at: float, by: float, *, born: bool = False, reset: bool = False) -> Rise:
    return Rise(at, by, LABELS, born, reset)


RISES: dict[str, tuple[list[tuple[float, float]], list[Rise]]] = {
    "nothing": ([], []),
    "stays": ([(90, 7), (110, 7), (190, 7)], []),
    "rises": ([(90, 7), (110, 8), (120, 8), (130, 10)], [rise(110, 1), rise(130, 2)]),
    "an old baseline is not counted": ([(90, 500), (110, 500)], []),
    "born at 1": ([(150, 1), (160, 1)], [rise(150, 1, born=True)]),
    "born at 0": ([(150, 0), (160, 1)], [rise(160, 1)]),
    "born at 1, then rises": ([(150, 1), (160, 3)], [rise(150, 1, born=True), rise(160, 2)]),
    "reset to 0": ([(90, 7), (110, 0)], [rise(110, 0, reset=True)]),
    "reset and risen": ([(90, 7), (110, 3)], [rise(110, 3, reset=True)]),
    "a crash loop": (
        [(90, 1), (110, 0), (120, 1), (130, 0)],
        [rise(110, 0, reset=True), rise(120, 1), rise(130, 0, reset=True)],
    ),
    "a reset before the window": ([(80, 7), (90, 0), (110, 1)], [rise(110, 1)]),
    "at the start is before the window": ([(100, 1), (110, 1)], []),
    "at the end is in the window": ([(90, 1), (200, 2)], [rise(200, 1)]),
    "after the window": ([(90, 1), (201, 5), (202, 9)], []),
    "over a gap": ([(90, 1), (195, 4)], [rise(195, 3)]),
    "gone for good": ([(80, 1), (90, 2)], []),
}


@pytest.mark.parametrize(("samples", "expected"), RISES.values(), ids=RISES)
def test_every_event_within_the_window_is_counted_once(
    samples: list[tuple[float, float]], expected: list[Rise]
) -> None:
    assert seen(*samples) == expected


def test_every_series_is_counted_for_itself() -> None:
    first, second = Series({"i": "1"}, ((90, 5), (110, 6))), Series({"i": "2"}, ((150, 2),))
    assert [(one.labels["i"], one.by, one.born) for one in rises([first, second], ONE)] == [
        ("1", 1, False),
        ("2", 2, True),
    ]


# --- coverage: two hours scraped every 15 seconds, the cases of a target or a Prometheus that was away ---------

TWO_HOURS = Window(START, START + 7200, 7200)
FULL = Series({}, tuple((START + STEP * scrape, 1.0) for scrape in range(-1, 481)))
COVERAGES = {
    "full": (FULL, Coverage(1.0, 15.0, None)),
    "down for 10 minutes": (unscraped(FULL, 3000, 3615), Coverage(440 / 480, 615.0, None)),
    "down for 4 minutes": (unscraped(FULL, 3000, 3255), Coverage(464 / 480, 255.0, None)),
    "started 30 minutes late": (unscraped(FULL, -99, 1800), Coverage(361 / 480, 1800.0, START + 1800)),
    "started with the window": (unscraped(FULL, -99, 15), Coverage(1.0, 15.0, START + 15)),
    "stopped 4 minutes early": (unscraped(FULL, 6960, 7201), Coverage(464 / 480, 240.0, None)),
    "every second scrape lost": (Series({}, FULL.samples[1::2]), Coverage(0.5, 30.0, None)),
    "only before the window": (unscraped(FULL, 0, 7201), Coverage(0.0, 7200.0, None)),
    "never": (Series({}, ()), Coverage(0.0, 7200.0, None)),
}


@pytest.mark.parametrize(("series", "expected"), COVERAGES.values(), ids=COVERAGES)
def test_how_much_of_a_window_was_observed(series: Series, expected: Coverage) -> None:
    assert coverage([series], TWO_HOURS, STEP) == expected


def test_no_series_is_no_observation() -> None:
    assert coverage([], WINDOW, STEP) == Coverage(0.0, 1800.0, None)


def test_twice_as_many_samples_are_not_twice_the_coverage() -> None:
    assert coverage([FULL], TWO_HOURS, 2 * STEP).share == 1.0


def test_samples_after_the_window_do_not_help() -> None:
    late = Series({}, ((START + 7201, 1.0), (START + 7216, 1.0)))
    assert coverage([late], TWO_HOURS, STEP) == Coverage(0.0, 7200.0, None)


@pytest.mark.parametrize("end", [START, START - 1])
def test_a_window_that_has_not_begun_is_not_covered(end: float) -> None:
    assert coverage([FULL], Window(START, end, 1800), STEP) == Coverage(0.0, 0.0, None)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_one_number_that_is_none_is_noticed(value: float) -> None:
    fine = counted([1, 2, 3])
    assert all_finite([fine, fine])
    assert all_finite([])
    assert not all_finite([fine, counted([1, value, 3])])
