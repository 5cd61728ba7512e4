"""The little PromQL that plans need."""

from __future__ import annotations

import pytest

from pytest_rollout.plan.promql import LOOKBACK, Node, Selector, check_expression, parse_selector, selectors, tree
from pytest_rollout.sources.http import Http
from pytest_rollout.sources.prometheus import Prometheus
from sandbox.components import Component
from sandbox.remote_write import remote_write


@pytest.mark.parametrize(
    ("text", "metric", "matchers"),
    [
        ("up", "up", ()),
        ("job:errors:rate5m", "job:errors:rate5m", ()),
        ('{__name__="up",job="a"}', "up", (("job", "=", "a"),)),
        (
            'x{d!~"4",c=~"3..",b!="2",a="1"}',
            "x",
            (("a", "=", "1"), ("b", "!=", "2"), ("c", "=~", "3.."), ("d", "!~", "4")),
        ),
    ],
)
def test_a_selector_is_its_metric_and_its_matchers(
    text: str, metric: str, matchers: tuple[tuple[str, str, str], ...]
) -> None:
    found = parse_selector(text)
    assert (found.text, found.metric, found.matchers) == (text, metric, matchers)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x{",
        "{}",
        '{a="b"}',
        '{__name__=~"up|down"}',
        "x[5m]",
        "x[5m:1m]",
        "x offset 5m",
        "x offset -5m",
        "x @ 5",
        "rate(x[5m])",
        "sum(x)",
        "x + y",
        "-x",
        "1",
        '"x"',
        "(x)",
        'x{a="1" or b="2"}',
        "x{a=~'['}",
    ],
)
def test_anything_but_a_bare_selector_of_one_metric_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - some of the texts are the parser's
        parse_selector(text)


@pytest.mark.parametrize(
    ("narrow", "wide", "expected"),
    [
        ('x{code="500"}', "x", True),
        ("x", "x", True),
        ('x{b="2",a="1"}', 'x{a="1"}', True),
        ('x{a="1",b="2"}', 'x{b="2",a="1"}', True),
        ("x", 'x{a="1"}', False),
        ('x{a="1"}', 'x{a="2"}', False),
        ('x{a="1"}', 'x{a=~"1"}', False),
        ('x{a="1"}', 'x{a!="1"}', False),
        ("x_errors_total", "x_total", False),
    ],
)
def test_a_selector_narrows_another_only_if_the_text_shows_it(narrow: str, wide: str, *, expected: bool) -> None:
    assert parse_selector(narrow).narrows(parse_selector(wide)) is expected


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("x", set()),
        ('x{a="1",b=~"2.."}', {"a", "b"}),
        ('x{a="",b!="2",c!~"3"}', set()),
        ('{__name__="x",a="1"}', {"a"}),
    ],
)
def test_labels_that_a_series_must_have(text: str, labels: set[str]) -> None:
    assert parse_selector(text).demanded_labels == labels


@pytest.mark.parametrize(
    "text",
    [
        "up",
        "(up)",
        "sum(rate(x[$window]))",
        'min(min_over_time(up{job="a"}[$window]))',
        "sum(x) / sum(y)",
        "a and b",
        "a unless b",
        "time() - x",
        "1 - sum(x)",
        "count(x > 1)",
    ],
)
def test_bare_values_are_accepted(text: str) -> None:
    check_expression(text)


@pytest.mark.parametrize("operator", ["==", "!=", "<", ">", "<=", ">="])
@pytest.mark.parametrize("form", ["x {} 1", "(x {} 1)", "((x {} bool 1))", "sum(rate(x[$window])) {} y"])
def test_a_comparison_belongs_into_the_gate(form: str, operator: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the whole text is compared
        check_expression(form.format(operator))
    said = f"the query compares with {operator}; write the bare value and put the limit in the gate"
    assert str(refused.value) == said


@pytest.mark.parametrize("text", ["x[5m]", "(x[5m])", "x[5m:1m]", "rate(x[5m])[1h:1m]", "1", "(1)", '"text"'])
def test_what_gives_no_value_that_can_change_is_refused(text: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the whole text is compared
        check_expression(text)
    assert str(refused.value) == "the query must give an instant vector or a scalar that can change"


@pytest.mark.parametrize("text", ["", "absent(x[5m])", "rate(x)", "sum(", "x y", 'x{a="1" or b="2"}', 'x{a=~"\\\\z"}'])
def test_what_cannot_be_parsed_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the texts are the parser's
        check_expression(text)


def test_a_range_in_absent_comes_with_what_to_write_instead() -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the whole text is compared
        check_expression("absent(x[5m])")
    assert str(refused.value) == (
        "expected type vector in call to function 'absent', got matrix; write absent(x) or absent_over_time(x[5m])"
    )


# --- which series a selector matches ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "labels", "expected"),
    [
        ("x", {}, True),
        ('x{a="1"}', {"a": "1", "b": "2"}, True),
        ('x{a="1"}', {"a": "11"}, False),
        ('x{a="1"}', {}, False),
        ('x{a=""}', {}, True),
        ('x{a=""}', {"a": "1"}, False),
        ('x{a!="1"}', {}, True),
        ('x{a!="1"}', {"a": "1"}, False),
        ('x{a!=""}', {}, False),
        ('x{a=~"1|2"}', {"a": "2"}, True),
        ('x{a=~"1|2"}', {"a": "12"}, False),
        ('x{a=~"5.."}', {"a": "503"}, True),
        ('x{a=~"5.."}', {"a": "1503"}, False),
        ('x{a=~"5.."}', {"a": "5030"}, False),
        ('x{a=~".*"}', {}, True),
        ('x{a=~".+"}', {}, False),
        ('x{a!~"5.."}', {"a": "503"}, False),
        ('x{a!~"5.."}', {}, True),
        ('x{a=~"(?i)get"}', {"a": "GeT"}, True),
        ('x{a=~"get"}', {"a": "GET"}, False),
        ('x{a=~"(?i)ü"}', {"a": "Ü"}, True),
        ('x{a=~"\\\\d+"}', {"a": "42"}, True),
        ('x{a=~"\\\\d"}', {"a": "٣"}, False),
        ('x{a=~"\\\\w"}', {"a": "ü"}, False),
        ('x{a=~"a.b"}', {"a": "a\nb"}, True),
        ('x{a=~"a$"}', {"a": "a\n"}, False),
        ('x{a="q\\"\\n\\\\"}', {"a": 'q"\n\\'}, True),
        ('x{a="1",b="2"}', {"a": "1", "b": "3"}, False),
        ('{__name__="x",a="1"}', {"a": "1"}, True),
    ],
)
def test_a_series_is_selected_as_prometheus_does(text: str, labels: dict[str, str], *, expected: bool) -> None:
    assert parse_selector(text).matches({"__name__": "x", **labels}) is expected
    assert not parse_selector(text).matches({"__name__": "y", **labels})
    (selector,) = selectors(text)
    assert selector.matches({"__name__": "x", **labels}) is expected
    assert selectors(selector.text) == (selector,)


def test_a_name_can_be_matched_like_any_label() -> None:
    (selector,) = selectors('{__name__=~"x|y",a="1"}')
    assert (selector.metric, selector.matches({"__name__": "y", "a": "1"})) == ("", True)
    assert not selector.matches({"__name__": "z", "a": "1"})
    (selector,) = selectors('{__name__="x",__name__!="x"}')
    assert (selector.metric, selector.matches({"__name__": "x"})) == ("x", False)


@pytest.mark.parametrize(
    ("regex", "why"),
    [
        ("[[:alpha:]]+", "write [a-z] or [0-9] for classes such as [[:alpha:]]"),
        ("a(?i)b", "global flags not at the start of the expression at position 1"),
    ],
)
def test_a_regex_that_python_reads_differently_is_refused(regex: str, why: str) -> None:
    for read in (parse_selector, selectors):
        with pytest.raises(ValueError) as refused:  # noqa: PT011 - the whole text is compared
            read(f'x{{code=~"{regex}"}}')
        assert str(refused.value) == f"the regex {regex!r} of 'code' cannot be read here: {why}"


VALUES = ("", "1", "12", "503", "5030", "GET", "get", "ü", "Ü", 'q"', "a\\b", "a.b", "axb", "٣", " ")
REGEXES = (
    "",
    ".*",
    ".+",
    "1|12",
    "5..",
    "(?i)get",
    "(?i)ü",
    "get|",
    "a.b",
    "a\\\\.b",
    "\\\\d+",
    "\\\\w+",
    "[^a-z]*",
    "(1)?2?",
    "^1$",
)


def test_prometheus_selects_the_same_series(prometheus: Component, era: float) -> None:
    labels = [
        {"__name__": "same", "place": str(place), **({"a": value} if value else {})}
        for place, value in enumerate(VALUES)
    ]
    remote_write(prometheus.url, [(one, [(era, 1.0)]) for one in labels])
    matchers = [f'a{operator}"{regex}"' for regex in REGEXES for operator in ("=~", "!~")]
    matchers += [f"a{operator}'{value}'" for value in ("", "1", "GET", 'q"', "ü") for operator in ("=", "!=")]
    http = Http()
    try:
        server = Prometheus(prometheus.url, http)
        for matcher in matchers:
            text = f"same{{{matcher}}}"
            found = sorted(one.labels["place"] for one in server.query(text, era).series)
            assert sorted(one["place"] for one in labels if parse_selector(text).matches(one)) == found, text
            (selector,) = selectors(text)
            assert sorted(one.labels["place"] for one in server.query(selector.text, era).series) == found, text
    finally:
        http.close()


# --- what an expression reads ----------------------------------------------------------------------------------


def reads(text: str, window: float = 60.0) -> list[tuple[str, float | None, float, float]]:
    return [(one.text, one.range, one.offset, one.reach) for one in selectors(text, window)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x", [("x", None, 0.0, LOOKBACK)]),
        ("sum(rate(x[5m])) / (y)", [("x", 300.0, 0.0, 300.0), ("y", None, 0.0, LOOKBACK)]),
        ("y + x", [("y", None, 0.0, LOOKBACK), ("x", None, 0.0, LOOKBACK)]),
        ("x + x", [("x", None, 0.0, LOOKBACK)]),
        ("x - x offset 1h", [("x", None, 0.0, LOOKBACK), ("x", None, 3600.0, 3600.0 + LOOKBACK)]),
        ("x offset -5m", [("x", None, -300.0, LOOKBACK - 300.0)]),
        ("rate(x[$window] offset 1m)", [("x", 90.0, 60.0, 150.0)]),
        ("max_over_time(rate(x[1m])[1h:] offset 2h)", [("x", 60.0, 7200.0, 10860.0)]),
        ("max_over_time(max_over_time(x[1m:])[1h:])", [("x", None, 0.0, 3660.0 + LOOKBACK)]),
        ('topk(3, x{b="2",a!="1"})', [('x{a!="1",b="2"}', None, 0.0, LOOKBACK)]),
        ("-x", [("x", None, 0.0, LOOKBACK)]),
        ("x unless absent(y)", [("x", None, 0.0, LOOKBACK)]),
        ("x unless absent_over_time(y[5m])", [("x", None, 0.0, LOOKBACK)]),
        ("count(absent(y) or x)", [("x", None, 0.0, LOOKBACK)]),
        ("time()", []),
    ],
)
def test_what_an_expression_reads(text: str, expected: list[tuple[str, float | None, float, float]]) -> None:
    assert reads(text, 90.0) == expected


@pytest.mark.parametrize(("at", "fixed"), [("", False), (" @ 5", True), (" @ start()", False), (" @ end()", False)])
def test_a_fixed_time_is_noticed(at: str, *, fixed: bool) -> None:
    assert [one.fixed for one in selectors(f"x{at} + rate(x[5m]{at})")] == [fixed, fixed]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("((1))", Node("number", number=1.0)),
        ("-1", Node("number", number=-1.0)),
        ("time()", Node("call", "time")),
        ("sum(x)", Node("aggregate", "sum", (Node("selector", selector=Selector("x", "x", ())),), keeps=True)),
    ],
)
def test_a_tree_is_made_of_values(text: str, expected: Node) -> None:
    assert tree(text) == expected


@pytest.mark.parametrize(
    ("text", "labels", "keeps"),
    [
        ("sum(x)", None, True),
        ("sum by (a, b) (x)", ("a", "b"), True),
        ("sum by () (x)", (), True),
        ("sum without (a) (x)", ("a",), False),
        ("x / y", None, False),
        ("x / on (a) y", ("a",), True),
        ("x / on () y", (), True),
        ("x / ignoring (a) group_left y", ("a",), False),
    ],
)
def test_labels_that_are_kept_or_dropped(text: str, labels: tuple[str, ...] | None, *, keeps: bool) -> None:
    root = tree(text)
    assert (root.labels, root.keeps) == (labels, keeps)


@pytest.mark.parametrize(
    ("text", "fills"),
    [("x / y", False), ("x / on (a) y", False), ("x / fill(0) y", True), ("x / fill_left(0) y", True)],
)
def test_fills_are_noticed(text: str, *, fills: bool) -> None:
    assert tree(text).fills is fills


def test_the_parameter_of_an_aggregate_comes_first() -> None:
    first, last = tree("quantile(0.9, x)").parts
    assert (first.number, last.selector) == (0.9, Selector("x", "x", ()))


def test_subqueries_that_differ_are_not_equal() -> None:
    texts = ["max_over_time(x[1h:1m])", "max_over_time(x[1h:2m])", "max_over_time(x[1h:])", "max_over_time(x[2h:1m])"]
    assert len({tree(text) for text in texts}) == len(texts)
