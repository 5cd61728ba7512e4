"""Durations, shares and counts: what is read, what is refused and in which words, what is shown."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from pytest_rollout.units import (
    format_duration,
    format_value,
    parse_count,
    parse_duration,
    parse_number,
    parse_rate,
    parse_share,
)

NO_DURATION = "{!r} is not a duration; write a number with a unit, such as 120ms, 30s, 15m, 2h, 7d"
NO_SHARE = "{!r} is not a share; write per cent, such as 0.5% or 99%"
NO_COUNT = "{!r} is not a count; write a whole number, such as 0"
NO_RATE = "{!r} is not a rate; write how many in which time, such as 50/s or 600/min"
NO_NUMBER = "{!r} is not a number; this gate compares a bare value, write it without a unit"


def refusal(parse: Callable[[object], float], text: object) -> str:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the whole text is compared
        parse(text)
    return str(refused.value)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120ms", 0.12),
        ("30s", 30.0),
        ("15m", 900.0),
        ("2h", 7200.0),
        ("7d", 604800.0),
        ("1h30m", 5400.0),
        ("1h 30m", 5400.0),
        ("1.5h", 5400.0),
        ("0s", 0.0),
        ("1m0s", 60.0),
        ("1s500ms", 1.5),
    ],
)
def test_durations_are_read_into_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds, rel=1e-12)


@pytest.mark.parametrize(
    "text",
    ["", "30", "30 ", "s", "-5m", "5M", "5w", "1e3s", "a minute", "5m!", "!5m", "5m5", 30, 30.0, True, None, ["5m"]],
    ids=repr,
)
def test_what_is_not_a_duration_is_refused_with_a_suggestion(text: object) -> None:
    assert refusal(parse_duration, text) == NO_DURATION.format(text)


@pytest.mark.parametrize(
    ("text", "share"), [("0.5%", 0.005), ("99%", 0.99), ("0%", 0.0), ("100%", 1.0), (" 5 % ", 0.05), ("100.0%", 1.0)]
)
def test_shares_are_read_from_per_cent(text: str, share: float) -> None:
    assert parse_share(text) == pytest.approx(share, rel=1e-12)


@pytest.mark.parametrize("text", ["0.5", "%", "-1%", "1e1%", "half", "5%%", "5 percent", 0.5, 1, True, None], ids=repr)
def test_what_is_not_a_share_is_refused_with_a_suggestion(text: object) -> None:
    assert refusal(parse_share, text) == NO_SHARE.format(text)


@pytest.mark.parametrize("text", ["100.1%", "101%", "500%"])
def test_more_than_everything_is_refused(text: str) -> None:
    assert refusal(parse_share, text) == f"{text!r} is more than 100%"


@pytest.mark.parametrize(
    ("text", "rate"),
    [("50/s", 50.0), ("0.5/s", 0.5), ("600/min", 10.0), ("90/h", 0.025), (" 50 / s ", 50.0), ("1/min", 1 / 60)],
)
def test_rates_are_read_into_events_per_second(text: str, rate: float) -> None:
    assert parse_rate(text) == pytest.approx(rate, rel=1e-12)


@pytest.mark.parametrize(
    "text",
    [
        *("", "50", "50/", "/s", "0/s", "0.0/min", "-1/s", "1e3/s", "50/m", "50/d", "50/ms", "50/s/s", "50 per s"),
        "9" * 400 + "/s",
        50,
        50.0,
        True,
        None,
        ["50/s"],
    ],
    ids=lambda text: repr(text)[:12],
)
def test_what_is_not_a_rate_is_refused_with_a_suggestion(text: object) -> None:
    assert refusal(parse_rate, text) == NO_RATE.format(text)


def test_counts_are_whole_numbers() -> None:
    assert [parse_count(number) for number in (0, 1, 1412)] == [0.0, 1.0, 1412.0]


@pytest.mark.parametrize("text", [-1, 1.0, 0.5, "0", "3x", True, None], ids=repr)
def test_what_is_not_a_count_is_refused_with_a_suggestion(text: object) -> None:
    assert refusal(parse_count, text) == NO_COUNT.format(text)


def test_numbers_are_finite_and_bare() -> None:
    assert [parse_number(number) for number in (0, -1.5, 3)] == [0.0, -1.5, 3.0]


@pytest.mark.parametrize("text", [math.nan, math.inf, -math.inf, "1", "5%", "5ms", True, None], ids=repr)
def test_what_is_not_a_number_is_refused_with_a_suggestion(text: object) -> None:
    assert refusal(parse_number, text) == NO_NUMBER.format(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 ms"),
        (0.038, "38 ms"),
        (0.12, "120 ms"),
        (0.9996, "1 s"),
        (1.0, "1 s"),
        (1.5, "1.5 s"),
        (30.0, "30 s"),
        (60.0, "1 min"),
        (90.0, "90 s"),
        (200.0, "3.33 min"),
        (1800.0, "30 min"),
        (7200.0, "2 h"),
        (86400.0, "1 d"),
        (604800.0, "7 d"),
        (100 * 86400.0, "100 d"),
    ],
)
def test_durations_are_shown_in_the_unit_that_fits(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize("text", ["120ms", "30s", "5m", "30m", "2h", "1d", "7d"])
def test_what_a_plan_says_is_shown_as_the_same_time(text: str) -> None:
    shown = format_duration(parse_duration(text)).replace(" ", "").replace("min", "m")
    assert parse_duration(shown) == parse_duration(text)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "share", "-"),
        (0.005, "share", "0.5 %"),
        (0.00012345, "share", "0.0123 %"),
        (1.0, "share", "100 %"),
        (0.12, "seconds", "120 ms"),
        (1412.0, "count", "1,412"),
        (2.0, "passes", "2"),
        (0.5, "", "0.5"),
        (0.123456, "", "0.1235"),
        (math.inf, "", "inf"),
        (math.nan, "", "nan"),
    ],
)
def test_values_are_shown_with_their_unit(value: float | None, unit: str, text: str) -> None:
    assert format_value(value, unit) == text
