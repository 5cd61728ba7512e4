"""Rules about the series that a gate reads."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_rollout.plan.gates import Gate
from pytest_rollout.plan.lint import Expression, Finding, Pace
from pytest_rollout.plan.lint.asked import expression_findings
from pytest_rollout.plan.lint.facts import Case
from tests.plan.lint.fakes import PLACE, Known, codes, found

RATIO: dict[str, Any] = {"ratio": {"bad": 'r_total{code="5"}', "total": "r_total"}, "below": "1%", "over": "30m"}
QUANTILE: dict[str, Any] = {"quantile": {"q": 0.95, "of": "d_seconds"}, "below": "200ms", "over": "30m"}
COUNTER: dict[str, Any] = {"counter": {"of": "e_total"}, "at_most": 0, "over": "30m"}
BURN: dict[str, Any] = {"burn": {"bad": 'r_total{code="5"}', "total": "r_total", "objective": "99.9%"}}
ABSENT = "expected type vector in call to function 'absent', got matrix; write absent(x) or absent_over_time(x[5m])"
NAMES = frozenset({"r_total", "e_total", "d_seconds_bucket", "d_seconds_count", "up", "speed"})
EVERY_KIND: list[dict[str, Any]] = [
    RATIO,
    QUANTILE,
    COUNTER,
    BURN,
    {"promql": "min(up)", "at_least": 1},
    {"baseline": {"now": {"ratio": RATIO["ratio"]}, "before": "1d"}, "at_most": "10%", "over": "30m"},
    {"baseline": {"now": {"quantile": QUANTILE["quantile"]}, "before": "flip"}, "at_most": "10%", "over": "30m"},
    {"baseline": {"now": {"values": "sum(speed)"}, "before": "flip"}, "at_most": "10%", "over": "30m"},
]


def only(gate: dict[str, Any], code: str, **facts: Any) -> list[Finding]:
    return [one for one in found(gate, Known(**{"metric_names": NAMES, **facts})) if one.code == code]


@pytest.mark.parametrize("gate", EVERY_KIND)
def test_a_sound_gate_is_left_alone(gate: dict[str, Any]) -> None:
    assert found(gate) == []
    assert found(gate, Known(metric_names=NAMES)) == []


# --- names ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gate", "names", "path", "metric", "hint"),
    [
        (RATIO, {"requests"}, ("ratio", "bad"), "r_total", "is its target scraped?"),
        (COUNTER, {"es_total"}, ("counter", "of"), "e_total", "did you mean 'es_total'?"),
        (QUANTILE, {"d_second_bucket"}, ("quantile", "of"), "d_seconds_bucket", "did you mean 'd_second_bucket'?"),
        (BURN, set(), ("burn", "bad"), "r_total", "is its target scraped?"),
        (EVERY_KIND[4], {"ups"}, ("promql",), "up", "did you mean 'ups'?"),
        (EVERY_KIND[5], set(), ("baseline", "now", "ratio", "bad"), "r_total", "is its target scraped?"),
        (EVERY_KIND[6], set(), ("baseline", "now", "quantile", "of"), "d_seconds_bucket", "is its target scraped?"),
        (EVERY_KIND[7], {"speedy"}, ("baseline", "now", "values"), "speed", "did you mean 'speedy'?"),
    ],
)
def test_an_unknown_metric(
    gate: dict[str, Any], names: set[str], path: tuple[str, ...], metric: str, hint: str
) -> None:
    said = found(gate, Known(metric_names=frozenset(names)))
    assert said[0] == Finding(
        "error",
        "unknown-metric",
        (*PLACE, *path),
        f"the server has no metric {metric!r}, so the gate never has data",
        hint,
    )


def test_both_sides_of_a_ratio_and_of_a_comparison_are_looked_at() -> None:
    sides = {"now": {"ratio": RATIO["ratio"]}, "control": {"ratio": RATIO["ratio"]}}
    gate = {"baseline": sides, "at_most": "10%", "over": "30m"}
    places = [one.place for one in found(gate, Known())]
    assert places == [
        (*PLACE, "baseline", side, "ratio", key) for side in ("now", "control") for key in ("bad", "total")
    ]


def test_what_is_only_missing_in_absent_is_not_unknown() -> None:
    gate = {"promql": "sum(speed) unless absent(gone) unless absent_over_time(gone[5m])", "below": 5}
    assert found(gate, Known(metric_names=NAMES)) == []


def test_a_name_that_is_matched_is_not_looked_up() -> None:
    assert found({"promql": 'sum({__name__=~"speed|gone"})', "below": 5}, Known(metric_names=NAMES)) == []


def test_a_metric_that_is_exported_without_series_is_not_unknown() -> None:
    assert only(COUNTER, "no-series", metric_names=frozenset(), types={"e_total": "counter"}) == [
        Finding(
            "warning",
            "no-series",
            (*PLACE, "counter", "of"),
            "'e_total' is exported but has no series yet: its first event may be born at 1 and seen by no rate",
            "initialise every label value at the start of the process",
        )
    ]


def test_a_native_histogram_has_no_buckets_of_its_own() -> None:
    assert found(QUANTILE, Known(metric_names=frozenset({"d_seconds"}))) == []


@pytest.mark.parametrize(
    ("gate", "selector", "severity"),
    [
        (RATIO, 'r_total{code="5"}', "info"),
        ({**COUNTER, "counter": {"of": 'e_total{a="1"}'}}, 'e_total{a="1"}', "warning"),
        ({"promql": 'sum(speed{a="1"})', "below": 5}, 'speed{a="1"}', "warning"),
    ],
)
def test_labels_that_no_series_has(gate: dict[str, Any], selector: str, severity: str) -> None:
    (said,) = only(gate, "no-series", counts={selector: 0})
    metric = selector.partition("{")[0]
    assert (said.severity, said.message, said.hint) == (
        severity,
        f"no series matches {selector} now, though others of {metric!r} exist",
        "check names and values of the labels; if it has only not happened yet, this is well",
    )
    assert only(gate, "no-series", counts={selector: 1}) == []


# --- selectors ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("matchers", "label"),
    [
        ('a="1",a="2"', "a"),
        ('b="1",a="x",a=~"y.*"', "a"),
        ('a="1",a!="1"', "a"),
        ('a="1",a!~"[0-9]"', "a"),
        ('a=~"1|2",a!~"1|2"', "a"),
        ('a="",a=~".+"', "a"),
        ('a!~".*"', "a"),
    ],
)
def test_matchers_that_contradict_each_other(matchers: str, label: str) -> None:
    text = f"e_total{{{matchers}}}"
    for gate in ({**COUNTER, "counter": {"of": text}}, {"promql": f"sum({text})", "below": 5}):
        (said,) = found(gate)
        assert (said.severity, said.code, said.hint) == (
            "error",
            "contradiction",
            'drop one of them, or write alternatives as =~"a|b"',
        )
        assert said.message.endswith(f": its matchers of {label!r} contradict each other")


@pytest.mark.parametrize("matchers", ['a="1",a=~"1|2"', 'a="1",a!="2"', 'a="1",b="2"', 'a=~"1",a!~"2"', 'a="",a=~".*"'])
def test_matchers_that_agree(matchers: str) -> None:
    assert found({**COUNTER, "counter": {"of": f"e_total{{{matchers}}}"}}) == []


def test_a_fixed_time_is_no_evidence() -> None:
    assert found({"promql": "max(speed @ 1700000000)", "below": 5}) == [
        Finding(
            "error",
            "fixed-time",
            (*PLACE, "promql"),
            "speed is read at a fixed time (@), so nothing that happens now can change it",
            "leave out @; write offset to look back",
        )
    ]
    assert found({"promql": "max(speed @ end())", "below": 5}) == []


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("sum(", "parse", "the query cannot be read: unclosed left parenthesis"),
        (
            "absent(x[5m])",
            "type",
            f"the query cannot be read: {ABSENT}",
        ),
    ],
)
def test_what_cannot_be_read(text: str, code: str, message: str) -> None:
    gate = Gate.model_validate({"id": "g", **COUNTER})
    case = Case(gate, Expression(("promql",), text, "expression", None), PLACE, None, ())
    (said,) = expression_findings(case)
    assert (said.severity, said.code, said.message, said.hint) == ("error", code, message, "mend the query")


# --- counted gates --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("of", "told", "severity", "why"),
    [
        ("queue", {}, "warning", "not named like a counter"),
        ("queue", {"queue": "gauge"}, "error", "a gauge, says the server"),
        ("e_total", {"e_total": "gauge"}, "error", "a gauge, says the server"),
    ],
)
def test_a_gauge_is_not_counted(of: str, told: dict[str, str], severity: str, why: str) -> None:
    gate = {**COUNTER, "counter": {"of": of}}
    assert only(gate, "counts-a-gauge", types=told) == [
        Finding(
            severity,  # type: ignore[arg-type]
            "counts-a-gauge",
            (*PLACE, "counter", "of"),
            f"{of!r} is counted, but it is {why}: its rises are not events",
            "name a counter, or use a promql gate for a gauge",
        )
    ]


@pytest.mark.parametrize("told", ["counter", "histogram"])
def test_what_the_server_calls_a_counter_is_counted(told: str) -> None:
    assert only({**COUNTER, "counter": {"of": "queue"}}, "counts-a-gauge", types={"queue": told}) == []


def test_a_ratio_of_gauges_is_named_on_both_sides() -> None:
    gate = {**RATIO, "ratio": {"bad": 'g{a="1"}', "total": "g"}}
    assert [(one.code, one.place[-1]) for one in found(gate)] == [
        ("counts-a-gauge", "bad"),
        ("counts-a-gauge", "total"),
    ]


def test_a_sum_counts_no_events() -> None:
    assert found({**COUNTER, "counter": {"of": "d_seconds_sum"}}) == [
        Finding(
            "warning",
            "unit",
            (*PLACE, "counter", "of"),
            "'d_seconds_sum' sums up a quantity, but every unit of it is counted as an event",
            "count events: d_seconds_count",
        )
    ]


@pytest.mark.parametrize(
    ("of", "unit"),
    [("d_milliseconds", "milliseconds"), ("d_ms", "ms"), ("d_us", "us"), ("d_bytes", "bytes"), ("d_ratio", "ratio")],
)
def test_a_limit_in_seconds_for_buckets_in_something_else(of: str, unit: str) -> None:
    assert found({**QUANTILE, "quantile": {"q": 0.95, "of": of}}) == [
        Finding(
            "error",
            "unit",
            (*PLACE, "quantile", "of"),
            f"the limit is a duration in seconds, the buckets of {of!r} are in {unit}",
            "export seconds, or ask for the bucket itself in a promql gate",
        )
    ]


@pytest.mark.parametrize("of", ["d_seconds", "d", "items"])
def test_buckets_that_may_be_seconds(of: str) -> None:
    assert found({**QUANTILE, "quantile": {"q": 0.95, "of": of}}) == []


OUTSIDE = "the limit {} lies outside the finite buckets (0.1 to 10), so the gate can never decide"
BETWEEN = "the limit {} lies between the buckets {} and {}: the gate holds whenever the quantile does, too"


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("50ms", ("error", OUTSIDE.format("0.05"))),
        ("100ms", None),
        ("200ms", ("warning", BETWEEN.format("0.2", "0.1", "1"))),
        ("1s", None),
        ("2s", ("warning", BETWEEN.format("2", "1", "10"))),
        ("10s", None),
        ("11s", ("error", OUTSIDE.format("11"))),
    ],
)
def test_a_limit_that_no_bucket_decides(limit: str, expected: tuple[str, str] | None) -> None:
    said = only({**QUANTILE, "below": limit}, "bucket-limit", bounds=(0.1, 1.0, 10.0))
    assert [(one.severity, one.message) for one in said] == [expected] * (expected is not None)
    assert all(one.hint.startswith("add a bucket at ") for one in said)


# --- ratios ---------------------------------------------------------------------------------------------------


SAME = "'bad' and 'total' are the same series: every request is bad, the share is always 1"
APART = "no series of 'bad' is part of 'total': their 'c' contradict each other, so this is no share"
MORE = "'bad' does not repeat every matcher of 'total', so it may count requests that 'total' does not"


@pytest.mark.parametrize(
    ("bad", "total", "expected"),
    [
        ("x_total", "x_total", [("error", "self-match", SAME)]),
        ('x_total{a="1",b="2"}', 'x_total{b="2",a="1"}', [("error", "self-match", SAME)]),
        ('x_total{c="1"}', 'x_total{c="2"}', [("error", "not-a-part", APART)]),
        ('x_total{c="1",d="5"}', 'x_total{c=~"2|3"}', [("error", "not-a-part", APART)]),
        ('x_total{d="5"}', 'x_total{c="2"}', [("warning", "not-a-part", MORE)]),
        ('x_total{c="2",d="5"}', 'x_total{c="2"}', []),
        ('x_total{d="5"}', "x_total", []),
        ("refunds_total", "orders_total", []),
    ],
)
@pytest.mark.parametrize("kind", ["ratio", "burn"])
def test_the_sides_of_a_ratio(kind: str, bad: str, total: str, expected: list[tuple[str, str, str]]) -> None:
    sides = {"bad": bad, "total": total}
    gate = {**RATIO, "ratio": sides} if kind == "ratio" else {"burn": {**sides, "objective": "99%"}}
    said = found(gate)
    assert [(one.severity, one.code, one.message) for one in said] == expected
    assert all(one.place == (*PLACE, kind, "bad") for one in said)


ALL_GOOD = "'good' and 'total' are the same series: every request is good, the gate cannot fail"
NEVER_GOOD = (
    "no series of 'good' is part of 'total': their 'mode' contradict each other, so nothing of 'total' is ever known "
    "to be good"
)
MORE_GOOD = "'good' does not repeat every matcher of 'total', so it may count requests that 'total' does not"


@pytest.mark.parametrize(
    ("good", "total", "expected"),
    [
        ("x_total", "x_total", [("error", "self-match", ALL_GOOD)]),
        ('x_total{c="2"}', 'x_total{d="1"}', [("warning", "not-a-part", MORE_GOOD)]),
        ('x_total{c="2"}', "x_total", []),
        ('sent_total{mode="warn"}', 'asked_total{mode="enforce"}', [("error", "not-a-part", NEVER_GOOD)]),
        ('sent_total{mode="warn"}', 'asked_total{mode="warn",result="warn"}', []),
    ],
)
def test_the_sides_of_a_ratio_of_good_ones(good: str, total: str, expected: list[tuple[str, str, str]]) -> None:
    said = found({"ratio": {"good": good, "total": total}, "at_least": "99%", "over": "30m"})
    assert [(one.severity, one.code, one.message) for one in said] == expected
    assert all(one.place == (*PLACE, "ratio", "good") for one in said)


def test_good_ones_are_looked_up_like_any_other_metric() -> None:
    gate = {"ratio": {"good": 'sent_total{mod="warn"}', "total": "askd_total"}, "at_least": "99%", "over": "30m"}
    live = Known(metric_names=frozenset({"sent_total", "asked_total"}), counts={'sent_total{mod="warn"}': 0})
    said = [(one.severity, one.code, one.place[-1], one.hint) for one in found(gate, live)]
    assert said == [
        (
            "warning",
            "no-series",
            "good",
            "check names and values of the labels; if it has only not happened yet, this is well",
        ),
        ("error", "unknown-metric", "total", "did you mean 'asked_total'?"),
    ]
    slow = Known(metric_names=frozenset({"sent_total", "askd_total"}), rates={"askd_total": 0.1})
    assert ("warning", "too-little-traffic") in codes(found(gate, slow))


def test_a_side_that_contradicts_itself_is_told_once() -> None:
    gate = {**RATIO, "ratio": {"bad": 'x_total{c="1",c="2"}', "total": 'x_total{c="1"}'}}
    assert codes(found(gate)) == [("error", "contradiction")]


# --- windows --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gate", "kept", "reads"),
    [
        (COUNTER, 1799.0, "30 min"),
        ({**COUNTER, "streak": {"every": "1h", "consecutive": 3}}, 8999.0, "150 min"),
        (BURN, 21599.0, "6 h"),
        ({**EVERY_KIND[5]}, 88199.0, "24.5 h"),
        ({"promql": "max_over_time(sum(rate(e_total[1d]))[30d:1h])", "below": 5}, 2678399.0, "31 d"),
        ({"promql": "sum(rate(e_total[$window] offset 1h))", "below": 5, "over": "1h"}, 7199.0, "2 h"),
        ({"promql": "max(up)", "below": 0.5}, 299.0, "5 min"),
    ],
)
def test_a_window_longer_than_samples_are_kept(gate: dict[str, Any], kept: float, reads: str) -> None:
    said = only(gate, "beyond-retention", retention=kept)
    assert said
    assert all(one.severity == "error" for one in said)
    assert said[0].message.startswith(f"the gate reads {reads} back, the server keeps ")
    assert said[0].message.endswith(": the rest is never there")
    assert said[0].hint == "shorten the window, or keep samples longer (--storage.tsdb.retention.time)"
    assert only(gate, "beyond-retention", retention=kept + 1) == []
    assert only(gate, "beyond-retention", retention=None) == []


def test_a_scaled_window_needs_less_retention() -> None:
    live = Known(metric_names=NAMES, retention=30.0)
    assert found(COUNTER, live, scale=60.0) == []
    assert codes(found(COUNTER, live, scale=59.0)) == [("error", "beyond-retention")]


PACE = Pace(15.0, 1.0, "environment 'staging'")
ASSUMED = Pace(15.0, 1.0, "it is assumed that Prometheus", certain=False)


@pytest.mark.parametrize(
    ("gate", "pace", "expected"),
    [
        ({**COUNTER, "over": "59s"}, PACE, "error"),
        ({**COUNTER, "over": "60s"}, PACE, None),
        ({**COUNTER, "over": "59s"}, ASSUMED, "warning"),
        ({**QUANTILE, "over": "59s"}, PACE, "error"),
        ({**BURN, "burn": {**BURN["burn"], "pairs": [{"long": "1h", "short": "59s", "factor": 2}]}}, PACE, "error"),
        ({"promql": "sum(rate(e_total[59s]))", "below": 5}, PACE, "error"),
        ({"promql": "sum(rate(e_total[1m]))", "below": 5}, PACE, None),
        ({"promql": "sum(rate(e_total[59s]))", "below": 5}, ASSUMED, "warning"),
        ({"promql": "min(min_over_time(up[59s]))", "at_least": 1}, PACE, "warning"),
        ({"promql": "sum(rate(e_total[$window]))", "below": 5, "over": "59s"}, PACE, "error"),
        ({"promql": "max_over_time(speed[5m:1m])", "below": 5}, PACE, None),
    ],
)
def test_a_range_of_few_scrapes(gate: dict[str, Any], pace: Pace, expected: str | None) -> None:
    said = found(gate, paces=(pace,))
    assert {(one.severity, one.code) for one in said} == ({(expected, "short-range")} if expected else set())
    for one in said:
        assert one.message == (
            f"a range of 59 s holds fewer than four scrapes: {pace.said} scrapes every 15 s; "
            "one that is lost leaves a value of chance, or none"
        )
        assert one.hint == "take at least 1 min"


@pytest.mark.parametrize(("over", "few"), [("59m", True), ("60m", False)])
def test_ranges_are_scaled_with_the_environment(over: str, *, few: bool) -> None:
    pace = Pace(15.0, 60.0, "environment 'sandbox'")
    for gate in ({**COUNTER, "over": over}, {"promql": "sum(rate(e_total[$window]))", "below": 5, "over": over}):
        assert [one.hint for one in found(gate, paces=(pace,))] == ["take at least 1 h"] * few


@pytest.mark.parametrize(
    ("matchers", "few"),
    [("", False), ('{job="slow"}', True), ('{job=~"sl.*"}', True), ('{job="quick"}', False), ('{job="other"}', False)],
)
def test_the_interval_of_the_job_counts(matchers: str, *, few: bool) -> None:
    paces = (Pace(5.0, 1.0, "quick", job="quick"), Pace(60.0, 1.0, "slow", job="slow"))
    for gate in (
        {**COUNTER, "counter": {"of": f"e_total{matchers}"}, "over": "2m"},
        {"promql": f"sum(rate(e_total{matchers}[2m]))", "below": 5},
    ):
        assert codes(found(gate, paces=paces)) == [("error", "short-range")] * few
