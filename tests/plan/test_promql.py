"""The little PromQL that plans need."""

from __future__ import annotations

import pytest

from pytest_rollout.plan.promql import check_expression, parse_selector


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


@pytest.mark.parametrize("text", ["", "absent(x[5m])", "rate(x)", "sum(", "x y"])
def test_what_cannot_be_parsed_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the texts are the parser's
        check_expression(text)
