"""The picture of a load run."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree as ET

import pytest

from pytest_rollout.load.plot import Curve, Mark, draw

SVG = "{http://www.w3.org/2000/svg}"
FAST = [0.01 + number / 100_000 for number in range(2000)]
STEADY = Curve("portal", FAST, FAST)


def drawn(*curves: Curve, marks: tuple[Mark, ...] = ()) -> ET.Element:
    return ET.fromstring(draw("portal: 50/s for 2 min", curves, marks))  # noqa: S314 - our own


def texts(picture: ET.Element) -> list[str]:
    return [one.text or "" for one in picture.iter(f"{SVG}text")]


def paths(picture: ET.Element) -> list[list[tuple[float, float]]]:
    return [
        [(float(x), float(y)) for x, y in (pair.split(",") for pair in one.attrib["points"].split())]
        for one in picture.iter(f"{SVG}polyline")
    ]


def test_it_says_what_it_shows() -> None:
    found = texts(drawn(STEADY, Curve("control", FAST, FAST), marks=(Mark(0.95, 0.2),)))
    assert found[:3] == ["portal: 50/s for 2 min", "portal, n = 2,000", "control, n = 2,000"]
    assert {"p50", "p90", "p95", "p99", "p99.9", "20 ms", "100 ms", "p95 below 200 ms"} <= set(found)


def test_a_curve_rises_from_left_to_right_and_stays_in_its_frame() -> None:
    (points,) = paths(drawn(STEADY))
    assert points == sorted(points, key=lambda point: (point[0], -point[1]))
    assert all(70 <= x <= 736 and 52 <= y <= 374 for x, y in points)
    assert 50 < len(points) < 500


def place(picture: ET.Element, text: str) -> tuple[float, float]:
    (found,) = (one for one in picture.iter(f"{SVG}text") if one.text == text)
    return float(found.attrib["x"]), float(found.attrib["y"])


def test_a_percentile_lies_over_its_name_at_its_height() -> None:
    steps = [0.02] * 1900 + [0.2] * 100
    picture = drawn(Curve("portal", steps, steps))
    p95, low, high = place(picture, "p95")[0], place(picture, "20 ms")[1] - 4, place(picture, "200 ms")[1] - 4
    (points,) = paths(picture)
    assert max(x for x, y in points if y == pytest.approx(low, abs=0.2)) == pytest.approx(p95, abs=2)
    assert min(x for x, y in points if y == pytest.approx(high, abs=0.2)) >= p95


def test_where_answers_are_missing_the_curve_is_dashed() -> None:
    known = FAST[:1900]
    half = Curve("portal", [*known, *[9.0] * 100], [*known, *[math.inf] * 100])
    picture = drawn(half)
    solid, dashed = picture.iter(f"{SVG}polyline")
    assert "stroke-dasharray" in dashed.attrib
    assert "stroke-dasharray" not in solid.attrib
    assert paths(picture)[1][0][0] == pytest.approx(place(picture, "p95")[0], abs=0.2)


def test_quick_errors_do_not_bend_the_curve_down() -> None:
    known = FAST[:1900]
    errors = Curve("portal", [*[0.0001] * 100, *known], [*known, *[math.inf] * 100])
    solid, dashed = paths(drawn(errors))
    assert min(y for _, y in dashed) == pytest.approx(solid[-1][1], abs=0.1)
    assert max(y for _, y in dashed) == pytest.approx(solid[-1][1], abs=0.1)


def test_a_hung_server_has_a_curve_too() -> None:
    ages = [5 + number / 20 for number in range(100)]
    picture = drawn(Curve("portal", ages, [math.inf] * 100), marks=(Mark(0.95, 0.2, 6.5, None),))
    (only,) = picture.iter(f"{SVG}polyline")
    assert "stroke-dasharray" in only.attrib


def test_the_bounds_of_a_quantile_stand_over_its_name() -> None:
    picture = drawn(STEADY, marks=(Mark(0.95, 0.2, 0.02, 0.05),))
    bars = [one for one in picture.iter(f"{SVG}line") if one.attrib["stroke-width"] == "2"]
    upright = [one for one in bars if one.attrib["x1"] == one.attrib["x2"]]
    assert len(bars) == 3
    x, _ = place(picture, "p95")
    low, high = (place(picture, text)[1] - 4 for text in ("20 ms", "50 ms"))
    found = [float(upright[0].attrib[name]) for name in ("x1", "y1", "y2")]
    assert found == pytest.approx([x, low, high], abs=0.2)


def test_names_cannot_break_the_picture() -> None:
    text = draw("<b>&", [Curve('"><script>', [0.1], [0.1])])
    assert "<script>" not in text
    assert ET.fromstring(text).findtext(f"{SVG}title") == "<b>&"  # noqa: S314 - our own


def test_one_latency_of_nothing_is_drawn() -> None:
    (points,) = paths(drawn(Curve("portal", [0.0], [0.0])))
    assert len(points) == 2


def test_the_same_run_gives_the_same_picture() -> None:
    assert draw("a", [STEADY]) == draw("a", [STEADY])
    assert not re.search(r"nan|inf", draw("a", [STEADY]))


def test_nothing_cannot_be_drawn() -> None:
    with pytest.raises(ValueError, match=r"^there are no latencies to plot$"):
        draw("nothing", [Curve("portal", [], [])])
