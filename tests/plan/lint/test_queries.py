"""Rules about a query: what looks like a gate and is none."""

from __future__ import annotations

import pytest

from pytest_rollout.plan.lint import Finding
from tests.plan.lint.fakes import PLACE, Known, codes, query

WHERE = (*PLACE, "promql")
FALL = "a filter drops NaN, and what is not there looks good"
NO_COMPARING = "leave the comparison out: the gate compares, and 'quantifier' counts the series that hold"
LOOKS = "puts a number where data is missing: a misspelt metric or a dead target then looks like that number"
LEAVE = "leave it out: a gate without data holds; 'absent_is: 0' of a ratio or counter says when nothing is zero"
SAME = "are the same series, and each is matched with itself: the value is always"
SUM_BOTH = "sum both sides first: sum(rate(bad)) / sum(rate(all)); or use a ratio gate, which counts"
LE = "drops the label 'le' below histogram_quantile(): the buckets cannot be told apart, and there is never a value"
NO_BUCKETS = "which does not name buckets: without them there is no value"
NATIVE = "only a native histogram goes by its bare name"
FALLS = "when one instance restarts or leaves, the sum falls, and that looks like a counter that began anew"
SEED = 'rate(p_total{status="success"}[5m]) / rate(p_total[5m])'

# By code: what is found (severity, message, hint), and in which queries.
BAD: dict[str, list[tuple[str, str, str, str]]] = {
    "reads-nothing": [
        (
            text,
            "error",
            "the query reads no series, so nothing that happens can change its value",
            "name a metric",
        )
        for text in ("vector(1) * vector(2)", "time() - 1", "1 + 1")
    ],
    "comparison": [
        ("count(x > 1)", "error", f"the query compares with >: {FALL}", NO_COMPARING),
        ("sum(x == bool 1)", "error", f"the query compares with ==: {FALL}", NO_COMPARING),
        ("a and b <= 2", "error", f"the query compares with <=: {FALL}", NO_COMPARING),
        ("avg_over_time((x != 1)[5m:])", "error", f"the query compares with !=: {FALL}", NO_COMPARING),
    ],
    "hides-missing": [
        ("sum(x) or vector(0)", "error", f"or with a constant {LOOKS}", LEAVE),
        ("sum(x) or on() vector(0)", "error", f"or with a constant {LOOKS}", LEAVE),
        ("vector(0) or sum(x)", "error", f"or with a constant {LOOKS}", LEAVE),
        ("abs(sum(x) or vector(1))", "error", f"or with a constant {LOOKS}", LEAVE),
        ("sum(x) + fill(0) sum(y)", "error", f"fill() {LOOKS}", LEAVE),
        ("sum(x) + fill_right(0) sum(y)", "error", f"fill() {LOOKS}", LEAVE),
        ("sum(x) + fill_left(0) sum(y)", "error", f"fill() {LOOKS}", LEAVE),
    ],
    "self-match": [
        (SEED, "error", f"both sides of / {SAME} 1, or nothing", SUM_BOTH),
        (f"sum({SEED})", "error", f"both sides of / {SAME} 1, or nothing", SUM_BOTH),
        ('p{a="1"} - p', "error", f"both sides of - {SAME} 0, or nothing", SUM_BOTH),
        ("sum(x) / sum(x)", "error", f"both sides of / {SAME} 1, or nothing", SUM_BOTH),
    ],
    "unaggregated-division": [
        (
            text,
            "warning",
            "the query divides series by series: a pod with three requests weighs as much as one with thousands",
            "sum both sides, or take min() or max() of the quotients",
        )
        for text in ("a / b", "avg(rate(a_total[5m]) / rate(b_total[5m]))", "-a / abs(b)", "a / ignoring(c) b")
    ],
    "rate-of-aggregate": [
        (
            text,
            "error",
            f"{name}() of an aggregate: {FALLS}",
            f"aggregate last: sum({name}(x[5m]))",
        )
        for name, text in (
            ("rate", "rate(sum(x_total)[5m:1m])"),
            ("increase", "sum(increase(sum by (a) (x_total)[5m:1m]))"),
            ("irate", "irate((sum(x_total) + 1)[5m:1m])"),
        )
    ],
    "rate-of-gauge": [
        (
            text,
            "warning",
            f"{name}() of 'queue_size', which is not named like a counter: every fall counts as a restart",
            "use a counter, or delta() or deriv() of the gauge",
        )
        for name, text in (
            ("rate", "sum(rate(queue_size[5m]))"),
            ("increase", "increase(queue_size[5m:1m])"),
            ("irate", "max(irate(queue_size[5m]))"),
        )
    ],
    "delta-of-counter": [
        (
            f"sum({name}(x_total[5m]))",
            "warning",
            f"{name}() of 'x_total', which is a counter, by its name: a restart makes it fall, and hides what rose",
            "use increase() or rate(), or a counter gate",
        )
        for name in ("delta", "idelta", "deriv")
    ],
    "phi": [
        (
            text.format(phi),
            "error",
            f"{name} of {phi}: a quantile lies between 0 and 1, the value is always infinite",
            hint,
        )
        for name, text in (
            ("histogram_quantile", "histogram_quantile({}, sum by (le) (rate(x_bucket[5m])))"),
            ("quantile_over_time", "max(quantile_over_time({}, x[5m]))"),
            ("quantile", "quantile({}, x)"),
        )
        for phi, hint in (
            ("95", "write 0.95"),
            ("99.9", "write 0.999"),
            ("-0.5", "write a share, such as 0.95"),
            ("950", "write a share, such as 0.95"),
        )
    ],
    "quantile-without-le": [
        (
            f"histogram_quantile(0.9, {inner})",
            "error",
            f"{name}() {LE}",
            f"keep it: {name} by (le) (...)",
        )
        for name, inner in (
            ("sum", "sum(rate(x_bucket[5m]))"),
            ("sum", "sum by (job) (rate(x_bucket[5m]))"),
            ("max", "max without (le, job) (x_bucket)"),
            ("sum", "label_replace(sum(x_bucket), 'a', 'b', 'c', 'd')"),
        )
    ],
    "quantile-of-no-bucket": [
        (
            "histogram_quantile(0.9, sum by (le) (rate(x_seconds[5m])))",
            "warning",
            f"histogram_quantile() of 'x_seconds', {NO_BUCKETS}",
            f"read x_seconds_bucket; {NATIVE}",
        ),
        (
            "histogram_quantile(0.9, sum by (le) (rate(x_seconds_count[5m])))",
            "error",
            f"histogram_quantile() of 'x_seconds_count', {NO_BUCKETS}",
            f"read x_seconds_bucket; {NATIVE}",
        ),
    ],
}


@pytest.mark.parametrize(
    ("code", "text", "severity", "message", "hint"),
    [(code, *one) for code, many in BAD.items() for one in many],
)
def test_a_query_that_does_not_ask_what_it_seems_to(
    code: str, text: str, severity: str, message: str, hint: str
) -> None:
    said = [one for one in query(text) if one.code == code]
    assert [(one.severity, one.message, one.hint) for one in said] == [(severity, message, hint)]
    assert said[0].place == WHERE


def test_what_is_always_one_is_told_once() -> None:
    assert codes(query(SEED)) == [("error", "self-match")]


@pytest.mark.parametrize(
    "text",
    [
        "up",
        'min(min_over_time(up{job="a"}[$window]))',
        "sum(rate(a_total[5m])) / sum(rate(b_total[5m]))",
        'sum(rate(p_total{s="a"}[5m])) / sum(rate(p_total[5m]))',
        'sum by (job) (x{a="1"}) / sum by (job) (x)',
        "1 - sum(x) / sum(y)",
        "sum(a) or sum(b)",
        "a and b",
        "a unless b",
        "max(a / b)",
        "topk(1, a / b)",
        "min((a / b))",
        "a / scalar(b)",
        "a / 2",
        "a / sum(b)",
        "x - x offset 5m",
        "sum(rate(x_total[5m])) / sum(rate(x_total[1h]))",
        "sum(increase(x_seconds_count[5m]))",
        "max_over_time(sum(rate(x_total[5m]))[1h:1m])",
        "deriv(queue_size[5m])",
        "sum(delta(queue_size[5m]))",
        "histogram_quantile(0.95, sum by (le) (rate(x_bucket[5m])))",
        "histogram_quantile(0.95, sum without (job) (rate(x_bucket[5m])))",
        "histogram_quantile(1, rate(x_bucket[5m]))",
        "max(histogram_quantile(0, topk(5, x_bucket)))",
        "histogram_quantile(0.9, sum by (le) (job:x_bucket:rate5m))",
        "quantile(0.5, x)",
        "quantile_over_time(scalar(phi), x[5m])",
        "time() - max(push_time_seconds)",
        "absent(x)",
        "-x",
        '{__name__=~"a|b"}',
    ],
)
def test_a_sound_query_is_left_alone(text: str) -> None:
    assert query(text) == []


# --- what a server knows --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "told", "expected"),
    [
        ("rate(x[5m])", {"x": "gauge"}, [("error", "rate-of-gauge")]),
        ("rate(x_total[5m])", {"x_total": "gauge"}, [("error", "rate-of-gauge")]),
        ("rate(x[5m])", {"x": "counter"}, []),
        ("rate(x[5m])", {"x": "histogram"}, []),
        ("rate(x[5m])", {"x": "summary"}, [("error", "rate-of-gauge")]),
        ("rate(x_sum[5m])", {"x_sum": "summary"}, []),
        ("rate(x[5m])", {"x": "unknown"}, [("warning", "rate-of-gauge")]),
        ("rate(x[5m])", {"x": "gaugehistogram"}, [("error", "rate-of-gauge")]),
        ("delta(x[5m])", {"x": "counter"}, [("error", "delta-of-counter")]),
        ("delta(x_total[5m])", {"x_total": "gauge"}, []),
        ("histogram_quantile(0.9, rate(x[5m]))", {"x": "histogram"}, []),
        ("histogram_quantile(0.9, rate(x[5m]))", {"x": "counter"}, [("error", "quantile-of-no-bucket")]),
        ("histogram_quantile(0.9, rate(x_total[5m]))", {}, [("error", "quantile-of-no-bucket")]),
    ],
)
def test_the_server_knows_types_better_than_names_do(
    text: str, told: dict[str, str], expected: list[tuple[str, str]]
) -> None:
    live = Known(metric_names=frozenset({"x", "x_total", "x_sum"}), types=told)
    assert codes(query(text, live)) == expected


@pytest.mark.parametrize(("names", "severity"), [({"x", "x_bucket"}, "error"), ({"x"}, "warning")])
def test_a_histogram_with_buckets_is_not_read_by_its_bare_name(names: set[str], severity: str) -> None:
    said = query("histogram_quantile(0.9, sum by (le) (x))", Known(metric_names=frozenset(names)))
    assert codes(said) == [(severity, "quantile-of-no-bucket")]


def test_types_that_the_server_told_are_named_so() -> None:
    live = Known(metric_names=frozenset({"x"}), types={"x": "gauge"})
    assert query("rate(x[5m])", live)[0].message == (
        "rate() of 'x', which is a gauge, says the server: every fall counts as a restart"
    )


def test_what_the_server_refuses_is_an_error() -> None:
    live = Known(metric_names=frozenset({"x"}), refuses={"mad_over_time(x[1800000ms])": "unknown function"})
    assert query("mad_over_time(x[$window])", live) == [
        Finding(
            "error",
            "refused",
            WHERE,
            "the server refuses the query: unknown function",
            "write it for the version of the server that is asked",
        )
    ]


@pytest.mark.parametrize(
    ("limit", "bad"),
    [
        ({"at_most": 10}, True),
        ({"at_most": 9.9}, False),
        ({"below": 10.1}, True),
        ({"below": 10}, False),
        ({"above": 11}, False),
    ],
)
def test_a_quantile_never_rises_above_its_greatest_bucket(limit: dict[str, float], *, bad: bool) -> None:
    live = Known(metric_names=frozenset({"x_bucket"}), bounds=(0.1, 1.0, 10.0))
    said = query("histogram_quantile(0.9, sum by (le) (rate(x_bucket[5m])))", live, limit)
    ((comparator, value),) = limit.items()
    expected = Finding(
        "error",
        "bucket-limit",
        WHERE,
        "the value is never more than 10, the greatest finite bucket, "
        f"so '{comparator}: {value:g}' holds however slow it is",
        "set a limit below 10, or add buckets above it",
    )
    assert said == [expected] * bad


# --- limits out of reach --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "limit", "why"),
    [
        ("sum(increase(x_total[5m]))", {"at_least": 0}, "never less than 0, so 'at_least: 0'"),
        ("count(up)", {"above": -1}, "never less than 0, so 'above: -1'"),
        ("min(up)", {"at_least": 0}, "between 0 and 1, so 'at_least: 0'"),
        ("min(up)", {"below": 2}, "between 0 and 1, so 'below: 2'"),
        ('1 - sum(rate(x{a="1"}[5m])) / sum(rate(x[5m]))', {"at_most": 1}, "between 0 and 1, so 'at_most: 1'"),
    ],
)
def test_a_gate_that_cannot_fail(text: str, limit: dict[str, float], why: str) -> None:
    said = [one for one in query(text, limit=limit) if one.code.startswith("cannot")]
    assert [(one.severity, one.code, one.message) for one in said] == [
        ("error", "cannot-fail", f"the value is {why} holds whatever happens")
    ]


@pytest.mark.parametrize(
    ("limit", "hint"),
    [
        ({"at_least": 99.5}, "a share lies between 0 and 1: write 0.995"),
        ({"above": 1}, "set a limit that a good release keeps"),
        ({"below": 0}, "set a limit that a good release keeps"),
        ({"at_most": -0.1}, "set a limit that a good release keeps"),
    ],
)
def test_a_gate_that_cannot_pass(limit: dict[str, float], hint: str) -> None:
    ((comparator, value),) = limit.items()
    assert query("avg(up)", limit=limit) == [
        Finding(
            "error",
            "cannot-pass",
            WHERE,
            f"the value is between 0 and 1, so '{comparator}: {value:g}' never holds",
            hint,
        )
    ]


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("min(up)", {"at_least": 1}),
        ("min(up)", {"above": 0}),
        ("count(up)", {"at_least": 1}),
        ("sum(x)", {"at_least": 0}),
        ("sum(increase(x_total[5m]))", {"at_most": 0}),
        ("sum(a_total) / sum(b_total)", {"at_most": 1}),
    ],
)
def test_a_limit_within_reach_is_left_alone(text: str, limit: dict[str, float]) -> None:
    assert query(text, limit=limit) == []


def test_percent_are_told_from_shares() -> None:
    (said,) = query("avg(up)", limit={"at_most": 5})
    assert (said.code, said.hint) == ("cannot-fail", "a share lies between 0 and 1: write 0.05")
