"""Slots by number, and how many of them a criterion needs."""

from __future__ import annotations

import pytest

from pytest_rollout.judge.slot import newest_number, slot_number, slots_in_a_row

DAY = 1_795_219_200.0
"""2026-11-21T00:00:00Z."""


@pytest.mark.parametrize("every", [900.0, 15.0, 900 / 7, 900 / 29, 0.1, 1 / 3, 604_800.0])
def test_a_slot_keeps_its_number_wherever_its_time_is_looked_at(every: float) -> None:
    first = slot_number(DAY, every)
    for number in range(first, first + 500):
        at = number * every
        assert slot_number(at, every) == number
        assert newest_number(at, every) == number
        assert newest_number(at + every * 0.999, every) == number
        assert newest_number(at - every * 0.001, every) == number - 1


@pytest.mark.parametrize(
    ("passes", "across", "every", "needed"),
    [
        (1, 0, 900, 1),
        (5, 0, 900, 5),
        (2, 1800, 900, 3),
        (4, 1800, 900, 4),
        (2, 1801, 900, 4),
        (2, 900, 900, 2),
        (2, 899, 900, 2),
        (2, 2700 / 11, 900 / 11, 4),
        (2, 0.3, 0.1, 4),
    ],
)
def test_a_row_has_so_many_slots(passes: int, across: float, every: float, needed: int) -> None:
    assert slots_in_a_row(passes, across, every) == needed
