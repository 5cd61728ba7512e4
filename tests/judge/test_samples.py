"""What is counted from raw samples, and which windows are asked about."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, strategies as st

from pytest_rollout.judge.samples import Rise, Series, Window, all_finite, largest_burst, rises, shown, stretch
from tests.judge.evidence import counted

ONE = Window(100.0, 200.0, 100.0)
LABELS = {"job": "a"}


BORN = -math.inf


def seen(*samples: tuple[float, float]) -> list[Rise]:
    return list(rises([Series(LABELS, samples)], ONE))


def rise(after: float, at: float, by: float, *, reset: bool = False) -> Rise:
    return Rise(after, at, by, LABELS, reset)


RISES: dict[str, tuple[list[tuple[float, float]], list[Rise]]] = {
    "nothing": ([], []),
    "stays": ([(90, 7), (110, 7), (190, 7)], []),
    "rises": ([(90, 7), (110, 8), (120, 8), (130, 10)], [rise(90, 110, 1), rise(120, 130, 2)]),
    "an old baseline is not counted": ([(90, 500), (110, 500)], []),
    "born at 1": ([(150, 1), (160, 1)], [rise(BORN, 150, 1)]),
    "born at 0": ([(150, 0), (160, 1)], [rise(150, 160, 1)]),
    "born at 1, then rises": ([(150, 1), (160, 3)], [rise(BORN, 150, 1), rise(150, 160, 2)]),
    "reset to 0": ([(90, 7), (110, 0)], [rise(90, 110, 0, reset=True)]),
    "reset and risen": ([(90, 7), (110, 3)], [rise(90, 110, 3, reset=True)]),
    "a crash loop": (
        [(90, 1), (110, 0), (120, 1), (130, 0)],
        [rise(90, 110, 0, reset=True), rise(110, 120, 1), rise(120, 130, 0, reset=True)],
    ),
    "a reset before the window": ([(80, 7), (90, 0), (110, 1)], [rise(90, 110, 1)]),
    "at the start is before the window": ([(100, 1), (110, 1)], []),
    "from the start is in the window": ([(100, 1), (110, 2)], [rise(100, 110, 1)]),
    "at the end is in the window": ([(90, 1), (200, 2)], [rise(90, 200, 1)]),
    "over the end may be in the window": ([(90, 1), (190, 1), (201, 5), (202, 9)], [rise(190, 201, 4)]),
    "after the first sample after the end it is over": ([(90, 1), (190, 1), (200, 5), (202, 9)], [rise(190, 200, 4)]),
    "born after the end may have been before": ([(205, 3), (210, 4)], [rise(BORN, 205, 3)]),
    "over a gap": ([(90, 1), (195, 4)], [rise(90, 195, 3)]),
    "over all of it": ([(90, 1), (215, 4)], [rise(90, 215, 3)]),
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


@pytest.mark.parametrize(
    ("after", "at", "inside"),
    [(100, 200, True), (99, 110, False), (190, 201, False), (BORN, 150, False), (120, 130, True)],
)
def test_what_is_surely_inside(after: float, at: float, inside: bool) -> None:
    assert rise(after, at, 1).inside(ONE) is inside


SCRAPED = st.lists(
    st.tuples(st.integers(60, 240), st.integers(0, 9)), min_size=1, max_size=12, unique_by=lambda x: x[0]
)


@given(SCRAPED, st.sets(st.integers(0, 11)))
def test_of_a_counter_without_resets_lost_samples_hide_nothing(steps: list[tuple[int, int]], lost: set[int]) -> None:
    times = sorted(at for at, _ in steps)
    values = itertools.accumulate(by for _, by in steps)
    whole = tuple(zip(map(float, times), map(float, values), strict=True))
    closed = (*whole, (250.0, whole[-1][1]))
    kept = tuple(pair for place, pair in enumerate(closed) if place not in lost or place == len(whole))
    before, after = seen(*closed), seen(*kept)
    assert sum(one.by for one in after) >= sum(one.by for one in before)
    assert sum(one.by for one in after if one.inside(ONE)) <= sum(one.by for one in before if one.inside(ONE))
    assert largest_burst(after, 10) >= largest_burst(before, 10)


# --- bursts ---------------------------------------------------------------------------------------------------

BURSTS: dict[str, tuple[list[Rise], float]] = {
    "none": ([], 0),
    "one": ([rise(100, 110, 3)], 3),
    "two far apart": ([rise(100, 110, 3), rise(150, 160, 4)], 4),
    "two close together": ([rise(100, 110, 3), rise(115, 125, 4)], 7),
    "two that just may be together": ([rise(100, 110, 3), rise(119, 125, 4)], 7),
    "two that cannot be together": ([rise(100, 110, 3), rise(120, 125, 4)], 4),
    "of several series at once": ([rise(100, 110, 3), rise(100, 110, 4), rise(100, 110, 5)], 12),
    "over a gap": ([rise(100, 180, 3), rise(105, 110, 4), rise(150, 160, 5)], 8),
    "born, who knows when": ([rise(BORN, 190, 3), rise(105, 110, 4), rise(150, 160, 5)], 8),
}


@pytest.mark.parametrize(("found", "most"), BURSTS.values(), ids=BURSTS)
def test_the_largest_burst_within_ten_seconds(found: list[Rise], most: float) -> None:
    assert largest_burst(found, 10) == most
    assert largest_burst(found[::-1], 10) == most


MOMENTS = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20), st.integers(1, 9)), max_size=8)


@given(MOMENTS, st.integers(1, 20))
def test_the_largest_burst_is_that_of_every_stretch_tried(found: list[tuple[int, int, int]], seconds: int) -> None:
    several = [rise(after, after + length, by) for after, length, by in found]
    touched = [
        sum(one.by for one in several if one.after < begin + seconds and one.at > begin)
        for begin in [half / 2 - 0.25 for half in range(-2 * seconds, 170)]
    ]
    assert largest_burst(several, seconds) >= max(touched)
    assert largest_burst(several, seconds) <= max(
        sum(one.by for one in several if one.after < begin + seconds and one.at >= begin) for begin in range(81)
    )


# --- windows --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("since", "again", "wanted"),
    [
        (None, False, Window(900, 1000, 100)),
        (None, True, Window(900, 1000, 100)),
        (0, False, Window(900, 1000, 100)),
        (950, False, Window(950, 1000, 100)),
        (950, True, Window(950, 1000, 100, 1)),
        (900, True, Window(900, 1000, 100, 1)),
        (801, True, Window(801, 1000, 100, 1)),
        (800, True, Window(900, 1000, 100, 2)),
        (750, True, Window(850, 1000, 100, 2)),
        (0, True, Window(900, 1000, 100, 10)),
        (1010, True, Window(1010, 1000, 100, 1)),
    ],
)
def test_a_window_slides_or_grows_from_the_flip(since: float | None, again: bool, wanted: Window) -> None:
    assert stretch(1000, 100, since, again=again) == wanted


def test_a_window_knows_its_length_and_how_long_a_burst_is() -> None:
    young = Window(950, 1000, 100)
    assert (young.length, young.bounds, young.burst) == (50, (950, 1000), 10)


@pytest.mark.parametrize(
    ("window", "moment", "ready"),
    [
        (Window(900, 1000, 100), 900, 0),
        (Window(900, 1000, 100), 850, 0),
        (Window(900, 1000, 100), 960, 60),
        (Window(900, 1000, 100), 1000, 100),
        (Window(950, 1000, 100), 900, 50),
        (Window(900, 1000, 100, 3), 900, 0),
        (Window(900, 1000, 100, 3), 901, 100),
        (Window(850, 1000, 100, 1), 950, 50),
        (Window(850, 1000, 100, 1), 951, 150),
        (Window(850, 1000, 100, 1), 950 + 1e-8, 50),
    ],
)
def test_a_window_says_when_it_is_clear_of_a_moment(window: Window, moment: float, ready: float) -> None:
    assert window.clear_of(moment) == ready


def test_a_series_knows_its_process() -> None:
    assert Series({"job": "a", "instance": "b", "x": "c"}, ()).instance == ("a", "b")
    assert Series({}, ()).instance == ("", "")


def test_labels_are_shown_as_promql_writes_them() -> None:
    assert shown({"b": "2", "__name__": "up", "a": "1"}) == 'up{a="1",b="2"}'
    assert shown({}) == "{}"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_one_number_that_is_none_is_noticed(value: float) -> None:
    fine = counted([1, 2, 3])
    assert all_finite([fine, fine])
    assert all_finite([])
    assert not all_finite([fine, counted([1, value, 3])])
