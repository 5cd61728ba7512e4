"""What may have happened in a window, against what surely did."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_rollout.judge.counts import Counts, count
from pytest_rollout.judge.demand import Demand, Restarts
from pytest_rollout.judge.lives import Watch
from pytest_rollout.judge.samples import Series, Window
from pytest_rollout.judge.watch import Watched
from tests.judge.evidence import LENGTH, SHARE, START, STEP, TIMES, WINDOW, counted, risen, steady, unscraped, watch

BAD = {"code": "500"}
MANY = steady(50)
FINE = watch()


def counts(bad: Series, *total: Series, window: Window = WINDOW, seen: Watch = FINE, demand: Demand = SHARE) -> Counts:
    return count([bad], total, Watched(total, seen, window, demand))


def sides(found: Counts) -> tuple[float, float, float, float]:
    """Return the worse side (bad, total) and the better one (sure, most)."""
    return (found.bad, found.total, found.sure, found.most)


def test_where_all_is_known_both_sides_are_the_same() -> None:
    found = counts(risen(12, BAD), MANY)
    assert sides(found) == (12, 6000, 12, 6000)
    assert (found.least, found.burst, found.lost) == (12, 12, 0)


def test_a_rise_over_the_start_may_have_happened_before() -> None:
    bad, total = (unscraped(one, -16, 15) for one in (risen(12, BAD, at=2), MANY))
    found = counts(bad, total)
    assert sides(found) == (12, 119 * 50, 0, 121 * 50)
    assert found.least == 0


def test_a_rise_over_the_end_may_have_happened_after() -> None:
    earlier = Window(START, START + LENGTH - 1, LENGTH)
    found = counts(risen(12, BAD, at=121), MANY, window=earlier)
    assert sides(found) == (12, 119 * 50, 0, 6000)


def test_a_birth_counts_among_the_bad_and_not_among_all() -> None:
    bad, total = counted([12.0] * 62, BAD, first=60), counted([900.0 + 50 * at for at in range(62)], first=60)
    found = counts(bad, total, seen=replace(FINE, up=()))
    assert sides(found) == (12, 61 * 50, 0, 900 + 61 * 50)


def test_a_birth_is_sure_if_the_process_had_been_scraped_without_it() -> None:
    found = counts(counted([12.0] * 62, BAD, first=60), MANY)
    assert sides(found) == (12, 6000, 12, 6000)
    assert found.least == 0  # but a baseline does not rest on it: its older samples may be lost


def test_bad_ones_are_never_more_than_all() -> None:
    found = counts(counted([12.0] * 62, BAD, first=60), counted([7.0] * 122))
    assert sides(found) == (12, 12, 12, 12)


def test_what_a_replaced_process_left_before_the_window_is_not_counted() -> None:
    seen = replace(FINE, starts=(counted([500.0] + [START - 5] * 121, {"__name__": "process_start_time_seconds"}),))
    found = counts(counted([5.0] + [0.0] * 50 + [2.0] * 71, BAD), MANY, seen=seen)
    assert (found.bad, found.sure) == (2, 2)
    # It has as many as the one before, so nothing else tells.
    same = counts(counted([5.0] + [5.0] * 121, BAD), MANY, seen=seen)
    assert same.bad == 0
    unseen = unscraped(counted([5.0] + [5.0] * 121, BAD), -1, 1)
    assert counts(unseen, MANY, seen=seen).bad == 5


@pytest.mark.parametrize(("every", "burst"), [(60, 5), (13, 5), (12, 10), (6, 15), (1, 65)])
def test_a_burst_is_what_may_have_come_within_a_tenth_of_the_window(every: int, burst: float) -> None:
    assert WINDOW.burst == 12 * STEP
    assert counts(counted([5.0 * (max(place - 1, 0) // every) for place in range(122)], BAD), MANY).burst == burst


# --- charging for restarts --------------------------------------------------------------------------------------

CHARGE = replace(SHARE, restarts=Restarts.CHARGE)


def anew(*places: int) -> tuple[Series, Watch]:
    """Return a counter that counts 50 a scrape, once 80, of a process that begins anew at some scrapes."""
    values, value, began, starts = [], 0.0, 500.0, []
    for place in range(len(TIMES)):
        value, began = (50.0, TIMES[place] - 5) if place in places else (value + (80 if place == 30 else 50), began)
        values.append(value)
        starts.append(began)
    told = counted(starts, {"__name__": "process_start_time_seconds"})
    return counted(values), replace(FINE, starts=(told,))


@pytest.mark.parametrize(("places", "lost"), [((), 0), ((60,), 80), ((60, 90), 160), ((40, 60, 90), 240)])
def test_each_restart_may_lose_as_many_as_at_the_busiest_time(places: tuple[int, ...], lost: float) -> None:
    total, seen = anew(*places)
    found = counts(risen(0, BAD), total, seen=seen, demand=CHARGE)
    assert (found.lost, found.bad, found.sure) == (lost, lost, 0)
    assert found.burst == lost
    ignored = counts(risen(0, BAD), total, seen=seen, demand=replace(SHARE, restarts=Restarts.IGNORE))
    assert (ignored.lost, ignored.bad) == (0, 0)
    assert found.total == ignored.total + lost


def test_a_process_that_left_is_charged_for_too() -> None:
    gone = counted([50.0 * place for place in range(60)], {"instance": "b"})
    both = watch("a", "b")
    ended = replace(both.up[1], samples=both.up[1].samples[: 5 + 60])
    seen = replace(both, up=(both.up[0], ended), targets=FINE.targets)
    assert counts(risen(0, BAD), MANY, gone, seen=seen, demand=CHARGE).lost == 50
