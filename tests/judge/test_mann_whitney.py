"""Kayenta's published cases, R's numbers, and what is stricter here."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given, strategies as st

from pytest_rollout.judge.mann_whitney import Comparison, Direction, Label, classify, points_needed, shift, statistic

NAN = math.nan


def _points(text: str) -> tuple[float, ...]:
    """Read points as ``value`` or ``value*times``; their order is no matter."""
    counted = (one.partition("*") for one in text.split())
    return tuple(float(value) for value, _, times in counted for _ in range(int(times or 1)))


# From kayenta-judge's ClassifierSuite and kayenta-mannwhitney's MannWhitneySuite (spinnaker/spinnaker), rounded to
# three or four digits after the point.
STEADY = _points("""
    4.923 6.954 7.798 7.838 8.154 8.271 8.377 8.435 8.921 8.936 9.022 9.275 9.324 9.379 9.748 9.777 10.086 10.562
    10.587 10.623 10.701 11.054 11.11 11.251 11.421 11.598 11.624 11.91 12.521 13.498
""")
"""The experiment of "Pass Metric" and "Low Metric"."""
CALM = _points("""
    6.187 6.211 6.946 7.002 7.069 7.301 8.102 8.346 8.384 8.498 8.609 9.604 9.794 9.913 9.962 10.115 10.16 10.216
    10.361 10.372 10.756 10.908 10.946 11.145 11.74 12.113 12.346 12.823 13.272 14.207
""")
"""The control of "Pass Metric" and "High Metric"."""
RAISED = _points("""
    15.86 16.44 16.977 17.157 17.779 17.806 18.537 18.655 19.106 19.392 19.51 19.553 19.708 20.068 20.556 20.878
    20.962 20.978 21 21.56 21.659 21.771 21.786 21.81 21.979 22.12 22.627 22.927 23.423 24.056
""")
"""The experiment of "High Metric"."""
FORMER = _points("""
    15.919 16.105 16.971 17.456 17.554 17.871 17.905 18.234 18.308 18.4 18.854 18.983 18.995 19.062 19.083 19.388
    19.468 20.051 20.479 20.612 20.758 20.973 21.531 21.767 22.802 23.058 23.469 24.228 24.382 25.879
""")
"""The control of "Low Metric"."""
ERRORS = _points("""
    0*146 1.2346 1.3333 1.3514 1.3699 1.3889 1.4286*3 1.4493 1.4706 1.5152*2 1.5625*3 1.5873 1.6129 1.6393*2
    1.6667*3 1.6949 1.7241*2 1.7544*2 1.7857 1.8182*4 1.8519*5 1.8868*3 1.9231 1.9608*2 2 2.0408*2 2.439 2.5641
    2.7027 2.8169 2.9851 3.0303 3.125 3.1746 3.2258 3.3333*2 3.3898 3.4483 3.5714 3.7037 4.0816 4.1096 5.5556
""")
"""The experiment of "Large Input"."""
FEWER_ERRORS = _points("""
    0*193 1.3889 1.4706 1.4925*3 1.5385 1.5625 1.5873 1.6393 1.6949 1.7241 1.7544 1.7857 1.8519 2.5 2.9851 3.125
""")
"""The control of "Large Input"."""
TENFOLD = ((1.0, 2.2, 1.1, 2.5, 3.0), (20.0, 22.0, 21.0, 25.0, 30.0))
ERRORS_ONLY_NOW = (0.05, 0.05, 0.016667, 0.016667, 0.016667, 0.05, 0.033333, 0.05, 0.05, 0.133333)


def compared(control: Sequence[float], experiment: Sequence[float], direction: Direction, **rest: Any) -> Comparison:
    """With the settings that most of Kayenta's cases have."""
    return classify(control, experiment, direction=direction, **{"tolerance": 0.1, "confidence": 0.95, **rest})


@pytest.mark.parametrize(
    ("control", "experiment", "direction", "label"),
    [
        pytest.param(CALM, STEADY, "either", Label.PASS, id="Pass Metric"),
        pytest.param(CALM, RAISED, "either", Label.HIGH, id="High Metric"),
        pytest.param(FORMER, STEADY, "either", Label.LOW, id="Low Metric"),
        pytest.param(FORMER, STEADY, "increase", Label.PASS, id="Directional: Increase"),
        pytest.param(CALM, RAISED, "decrease", Label.PASS, id="Directional: Decrease"),
        pytest.param(CALM, RAISED, "increase", Label.HIGH, id="Directional: High Metric"),
        pytest.param(FORMER, STEADY, "decrease", Label.LOW, id="Directional: Low Metric"),
        pytest.param(FEWER_ERRORS, ERRORS, "either", Label.HIGH, id="High Metric (Large Input)"),
        pytest.param(*TENFOLD, "either", Label.HIGH, id="Critical High (Default Thresholds)"),
        pytest.param((10.0, 20.2, 10.1, 20.5, 30.0), (2.0, 2.0, 2.0, 2.0, 3.0), "either", Label.LOW, id="Critical Low"),
        pytest.param((5.0, 4.0, 3.0, 2.0, 1.0), (1.0, 2.0, 3.0, 4.0, 5.0), "decrease", Label.PASS, id="Identical"),
        pytest.param((1.0,) * 5, (0.0, 1.0, 1.0, 1.0, 1.0), "decrease", Label.PASS, id="Leading Zero"),
        pytest.param((1.0, 2.0, 3.0, 4.0, 5.0), (), "decrease", Label.NODATA, id="Missing Experiment Data"),
        pytest.param((), (), "decrease", Label.NODATA, id="Missing Data"),
        pytest.param((1.0,) * 5, (1.0, 1.0, 1.0, 1.0, 10.0), "either", Label.PASS, id="Majority Tied Observations"),
        pytest.param((1.0,) * 5, (10.0,) * 5, "either", Label.HIGH, id="Tied Ranks"),
        pytest.param((0.0,) * 5, (10.0,) * 5, "either", Label.HIGH, id="Tied Ranks With Zeros"),
        pytest.param((0.0,) * 10, ERRORS_ONLY_NOW, "either", Label.HIGH, id="Zero Mean: Critical Metric"),
    ],
)
def test_the_labels_of_kayentas_own_cases(
    control: Sequence[float], experiment: Sequence[float], direction: Direction, label: Label
) -> None:
    assert compared(control, experiment, direction).label is label


@pytest.mark.parametrize(
    ("control", "experiment", "allowed", "label", "effect"),
    [
        pytest.param(*TENFOLD, (0.8, 1.2), Label.HIGH, 118 / 9.8, id="Mean Ratio Effect Size: High"),
        pytest.param(*TENFOLD, (1.0, 5.0), Label.HIGH, 118 / 9.8, id="Critical Effect Size: High"),
        pytest.param(*TENFOLD, (1.0, 13.0), Label.PASS, 118 / 9.8, id="Critical Effect Size: Pass"),
        pytest.param(
            FORMER, STEADY, (0.8, 1.2), Label.LOW, sum(STEADY) / sum(FORMER), id="Mean Ratio Effect Size: Low"
        ),
        pytest.param(
            (20.0, 22.0, 21.0, 25.0, 30.0),
            (10.0, 12.2, 10.1, 12.5, 23.0),
            (0.5, 1.0),
            Label.PASS,
            67.8 / 118,
            id="Mean Ratio Effect Size: Pass",
        ),
        pytest.param(FEWER_ERRORS, ERRORS, (1.0, 5.0), Label.PASS, 4.4466, id="Effect Size: Pass (Large Input)"),
        pytest.param((0.0,) * 5, (54.9, 54.5, 55.1, 55.6, 57.4), (0.8, 1.2), Label.HIGH, None, id="Zero Mean: High"),
        pytest.param((54.9, 54.5, 55.1, 55.6, 57.4), (0.0,) * 5, (0.8, 1.2), Label.LOW, None, id="Zero Mean: Low"),
        pytest.param((0.0,) * 5, (0.0,) * 5, (0.8, 1.2), Label.PASS, None, id="Zero Mean: Pass"),
    ],
)
def test_the_effects_of_kayentas_own_cases(
    control: Sequence[float],
    experiment: Sequence[float],
    allowed: tuple[float, float],
    label: Label,
    effect: float | None,
) -> None:
    found = compared(control, experiment, "either", allowed_decrease=allowed[0], allowed_increase=allowed[1])
    assert found.label is label
    assert found.effect == (None if effect is None else pytest.approx(effect, abs=1e-3))


def test_the_large_input_turned_round_is_low() -> None:
    """Both ends of the interval are 0, most points being 0; the test of "no shift" decides."""
    found = compared(ERRORS, FEWER_ERRORS, "either")
    assert found.label is Label.LOW
    assert found.shift is not None
    assert (found.shift.low, found.shift.high, found.bound) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(("allowed", "label"), [(0.4, Label.PASS), (0.5, Label.LOW)])
def test_a_decrease_that_is_allowed(allowed: float, label: Label) -> None:
    """The mean falls to 0.49 of the control's."""
    assert compared(FORMER, STEADY, "either", allowed_decrease=allowed).label is label


def test_tied_observations_are_too_few_where_kayenta_passes_them() -> None:
    """Its "Tied Observations": what is too little to show a difference must not pass, or losing points would help."""
    found = compared((1.0, 1.0), (1.0, 1.0, 1.0), "decrease")
    assert (found.label, found.control, found.experiment, found.needed) == (Label.TOO_FEW, 2, 3, 4)
    assert (found.shift, found.effect) == (None, None)


# --- R's numbers, from the same suites; its root finder stops within 1e-4 --------------------------------------

TIED = _points("""
    1.5*9 2*16 2.5*22 3*17 3.5*9 4*5 4.5 5*3 5.5 6*2 6.5*2 7 7.5 16.5
""")
TIED_CONTROL = _points("""
    1.5*2 2*16 2.5*18 3*16 3.5*10 4*8 4.5*4 5*6 5.5*2 6*5 8 15.5 54.5
""")
LARGE = _points("""
    0.5*20 1*41 1.5*67 2*37 2.5*3 3*2 3.5*3 4 5 5.5*3 8.5 19
""")
LARGE_CONTROL = _points("""
    0 0.5*7 1*32 1.5*70 2*33 2.5*22 3*6 3.5*2 4*3 4.5 5.5 7 7.5
""")


@pytest.mark.parametrize(
    ("x", "y", "confidence", "numbers"),
    [
        ((10.0, 20.0, 30.0, 40.0), (1.0, 2.0, 3.0, 4.0), 0.95, (22.5, 6.0, 39.0)),
        (TIED, TIED_CONTROL, 0.95, (-0.4999393907, -0.5000025217, -3.486287505871302e-05)),
        (LARGE, LARGE_CONTROL, 0.98, (-3.45044082729315e-05, -0.4999173251, -6.912685789769486e-06)),
        (ERRORS, FEWER_ERRORS, 0.95, (2.6279243045155653e-05, 3.521755377702165e-05, 2.02456461662334e-05)),
    ],
)
def test_intervals_of_wilcox_test(
    x: Sequence[float], y: Sequence[float], confidence: float, numbers: tuple[float, float, float]
) -> None:
    found = shift(x, y, confidence)
    assert (found.estimate, found.low, found.high) == pytest.approx(numbers, abs=1e-4)


def test_the_statistic_at_both_ends_of_kayentas_intermediate_values() -> None:
    quantile = 1.9599639845400536
    ends = (min(ERRORS) - max(FEWER_ERRORS), max(ERRORS) - min(FEWER_ERRORS))
    assert ends == pytest.approx((-3.125, 5.5556))
    at_ends = [statistic(ERRORS, FEWER_ERRORS, end) - quantile for end in ends]
    assert at_ends == pytest.approx((17.090968923762254, -20.997687930433106), abs=5e-5)


# scipy 1.17: stats.mannwhitneyu(x, y, method="asymptotic", use_continuity=True); R's wilcox.test agrees.
@pytest.mark.parametrize(
    ("x", "y", "p_value"),
    [
        ((10.0, 20.0, 30.0, 40.0), (1.0, 2.0, 3.0, 4.0), 0.030382821976577512),
        ((1.1, 2.2, 3.3, 4.4, 5.5), (2.0, 3.0, 4.0, 5.0, 6.0, 7.0), 0.41131379177625893),
        ((1.0, 1.0, 2.0, 2.0, 3.0, 5.0), (2.0, 3.0, 3.0, 4.0, 4.0, 4.0), 0.16358371160503804),
        ((0.0, 0.0, 0.0, 1.0, 0.0, 2.0, 3.0), (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0), 0.18067836651143554),
        ((1.0, 2.0, 3.0), (1.0, 2.0, 3.0), 1.0),
        ((1.0, 1.0, 1.0), (1.0, 1.0), 1.0),
    ],
)
def test_known_p_values(x: Sequence[float], y: Sequence[float], p_value: float) -> None:
    assert shift(x, y, 0.95).p_value == pytest.approx(p_value, rel=1e-12)


# --- what the numbers mean -------------------------------------------------------------------------------------

POINTS = st.lists(st.integers(-6, 6).map(float), min_size=2, max_size=14)


@given(POINTS, POINTS, st.sampled_from([0.8, 0.95, 0.98]))
def test_the_interval_is_what_the_test_does_not_reject(x: list[float], y: list[float], confidence: float) -> None:
    found = shift(x, y, confidence)
    wanted = {0.8: 1.2815515655446004, 0.95: 1.9599639845400545, 0.98: 2.3263478740408408}[confidence]
    least, most = min(x) - max(y), max(x) - min(y)
    assert least <= found.low <= found.estimate <= found.high <= most
    # The values are whole, so halfway between two of them nothing is tied across the sides.
    assert statistic(x, y, found.low + 0.5) <= wanted
    assert found.low == least or statistic(x, y, found.low - 0.5) > wanted
    assert statistic(x, y, found.high - 0.5) >= -wanted
    assert found.high == most or statistic(x, y, found.high + 0.5) < -wanted


@given(POINTS, POINTS, st.randoms(use_true_random=False))
def test_the_order_of_points_is_no_matter(x: list[float], y: list[float], random: Random) -> None:
    mixed = [random.sample(side, len(side)) for side in (x, y)]
    assert classify(mixed[1], mixed[0], direction="either") == classify(y, x, direction="either")


@given(POINTS, POINTS)
def test_swapped_sides_mirror_each_other(x: list[float], y: list[float]) -> None:
    here, there = shift(x, y, 0.95), shift(y, x, 0.95)
    assert (here.estimate, here.low, here.high) == (-there.estimate, -there.high, -there.low)
    assert here.p_value == pytest.approx(there.p_value)
    mirrored = {Label.HIGH: Label.LOW, Label.LOW: Label.HIGH}
    label = classify(y, x, direction="either", allowed_increase=0, allowed_decrease=math.inf).label
    turned = classify(x, y, direction="either", allowed_increase=0, allowed_decrease=math.inf).label
    assert turned is mirrored.get(label, label)


@given(POINTS, POINTS, st.sampled_from([0.5, 3.0]))
def test_the_unit_is_no_matter(x: list[float], y: list[float], unit: float) -> None:
    scaled = [[one * unit for one in side] for side in (x, y)]
    assert classify(scaled[1], scaled[0], direction="either").label is classify(y, x, direction="either").label


@given(st.lists(st.sampled_from([1.0, NAN]), max_size=9), st.lists(st.sampled_from([2.0, NAN]), max_size=9))
def test_what_is_no_number_is_dropped_and_counted(control: list[float], experiment: list[float]) -> None:
    found = classify(control, experiment, direction="either")
    counts = (found.control, found.dropped_control, found.experiment, found.dropped_experiment)
    assert counts == (control.count(1.0), len(control) - counts[0], experiment.count(2.0), len(experiment) - counts[2])
    few, none = min(counts[0], counts[2]) < 5, not (counts[0] and counts[2])
    assert found.label is (Label.NODATA if none else Label.TOO_FEW if few else Label.HIGH)


def test_constant_sides_differ_by_what_they_differ() -> None:
    found = classify((1000.0,) * 6, (1000.001,) * 6, direction="either")
    assert found.label is Label.HIGH
    assert found.shift is not None
    difference = 1000.001 - 1000.0
    assert (found.shift.estimate, found.shift.low, found.shift.high) == (difference, difference, difference)
    assert found.bound == 0.25 * difference


def test_equal_constant_sides_pass() -> None:
    found = classify((3.0,) * 6, (3.0,) * 6, direction="either")
    assert found.label is Label.PASS
    assert found.shift is not None
    assert (found.shift.low, found.shift.high, found.shift.p_value) == (0.0, 0.0, 1.0)


def test_means_that_are_not_positive_hide_no_increase() -> None:
    """From -20 to -10 is an increase; the ratio of the means, 0.5, would say otherwise."""
    control, experiment = [-20.0 - one for one in range(6)], [-10.0 - one for one in range(6)]
    found = classify(control, experiment, direction="increase", allowed_increase=1.2)
    assert (found.label, found.effect) == (Label.HIGH, None)


@pytest.mark.parametrize("tolerance", [0.0, 0.25, 0.9, 1.0])
def test_the_shift_must_be_beyond_the_tolerance(tolerance: float) -> None:
    control, experiment = [float(one) for one in range(10)], [one + 20.0 for one in range(10)]
    found = classify(control, experiment, direction="either", tolerance=tolerance)
    assert found.shift is not None
    assert (found.shift.estimate, found.bound) == (20.0, 20.0 * tolerance)
    assert (found.label is Label.HIGH) == (found.shift.low > found.bound) == (tolerance < 0.5)
    turned = classify(experiment, control, direction="either", tolerance=tolerance)
    assert turned.shift is not None
    assert (turned.shift.estimate, turned.bound) == (-20.0, found.bound)
    assert (turned.label is Label.LOW) == (turned.shift.high < -turned.bound) == (tolerance < 0.5)


@given(POINTS, POINTS, st.sampled_from([0.0, 0.1, 0.25]))
def test_a_label_and_its_interval_agree(x: list[float], y: list[float], tolerance: float) -> None:
    found = classify(y, x, direction="either", tolerance=tolerance, allowed_increase=0, allowed_decrease=math.inf)
    if found.shift is None:
        assert found.label is Label.TOO_FEW
        return
    if found.label is Label.HIGH:
        assert found.shift.low >= found.bound
    elif found.label is Label.LOW:
        assert found.shift.high <= -found.bound
    else:
        assert found.shift.low <= found.bound
        assert found.shift.high >= -found.bound


# --- how many points -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("confidence", "needed"), [(0.5, 2), (0.8, 3), (0.9, 4), (0.95, 4), (0.98, 5), (0.99, 6), (0.999, 8), (0.9999, 11)]
)
def test_points_needed(confidence: float, needed: int) -> None:
    assert points_needed(confidence) == needed
    control, experiment = [float(one) for one in range(needed)], [one + 1e6 for one in range(needed)]
    assert classify(control, experiment, direction="either", confidence=confidence).label is Label.HIGH
    for sides in ((control[1:], experiment), (control, experiment[1:])):
        found = classify(*sides, direction="either", confidence=confidence)
        assert (found.label, found.needed) == (Label.TOO_FEW, needed)
    # One point less each could not have shown it.
    p_value = 2 / math.comb(2 * needed - 2, needed - 1)
    assert p_value >= 1 - confidence or shift(experiment[1:], control[1:], confidence).p_value >= 1 - confidence


@pytest.mark.parametrize("confidence", [1.0, 1.5])
def test_certainty_is_not_to_be_had(confidence: float) -> None:
    with pytest.raises(ValueError, match="p must be in the range"):
        points_needed(confidence)


@pytest.mark.parametrize("bad", [math.inf, -math.inf])
def test_infinite_points_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match=r"^an infinite point has no distance from the others; mend the query$"):
        classify([1.0] * 6, [1.0] * 5 + [bad], direction="either")


def test_more_pairs_than_can_be_compared_are_refused() -> None:
    message = r"^5,000 against 2,001 points are too many to compare; use a larger step$"
    with pytest.raises(ValueError, match=message):
        classify([1.0] * 2001, [1.0] * 5000, direction="either")


# --- how often it errs -----------------------------------------------------------------------------------------


def lognormal(random: Random) -> float:
    return random.lognormvariate(0, 1)


def mostly_zero(random: Random) -> float:
    return random.expovariate(1) if random.random() < 0.2 else 0.0


@pytest.mark.parametrize("draw", [lognormal, mostly_zero])
@pytest.mark.parametrize(("n", "m"), [(6, 6), (6, 20), (12, 12), (30, 30)])
def test_two_samples_of_the_same_differ_no_oftener_than_promised(draw: Any, n: int, m: int) -> None:
    random = Random(f"{draw.__name__} {n} {m}")  # noqa: S311 - drawn, not secret
    runs = 1500
    found = [
        classify([draw(random) for _ in range(n)], [draw(random) for _ in range(m)], direction="either", tolerance=0.0)
        for _ in range(runs)
    ]
    alarms = sum(one.label in (Label.HIGH, Label.LOW) for one in found)
    assert alarms <= 0.02 * runs + 3 * math.sqrt(0.02 * runs)
    assert alarms or n == 6


def test_a_large_difference_is_found() -> None:
    random = Random(7)  # noqa: S311 - drawn, not secret
    found = Counter(
        classify(
            [random.gauss(100, 10) for _ in range(12)], [random.gauss(130, 10) for _ in range(12)], direction="increase"
        ).label
        for _ in range(300)
    )
    assert found[Label.HIGH] > 290
