"""Headers by their standards: RFC 9745, RFC 8594, RFC 8288."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from pytest_rollout.golden.header_checks import HeaderChecks
from pytest_rollout.golden.headers import BadHeader, header_findings, parse_deprecation, parse_http_date, parse_links
from pytest_rollout.golden.wire import Reply

CHECKS: TypeAdapter[HeaderChecks] = TypeAdapter(HeaderChecks)
NOW = 1_700_000_000.0
DEPRECATION, SUNSET = "@1688169599", "Sun, 30 Jun 2024 23:59:59 GMT"
NO_LINKS = "which is not a list of links such as '<https://..>; rel=\"deprecation\"'"
AFTER = 1_719_791_999


def said(check: dict[str, Any], *values: str, name: str = "X", status: int = 200, others: Any = ()) -> str:
    reply = Reply.received(status, [*[(name, value) for value in values], *others], b"")
    found = list(header_findings(CHECKS.validate_python({name.upper(): check}), reply, NOW))
    assert all(one.pointer == f"#header/{name.upper()}" for one in found)
    return " / ".join(f"expected {one.expected}, got {one.actual}" for one in found)


@pytest.mark.parametrize(
    ("check", "values"),
    [
        ({"is": "absent"}, []),
        ({"is": "present"}, [""]),
        ({"is": "equals", "value": "a b"}, ["a b"]),
        ({"is": "regex", "pattern": "[a-z]+"}, ["abc"]),
        ({"is": "enum", "values": ["a", "b"]}, ["b"]),
        ({"is": "list", "values": ["a", "b", "c"]}, ["a, b", "a"]),
        ({"is": "list", "values": ["a", "b"], "all": True}, ["b,a"]),
        ({"is": "deprecation"}, [DEPRECATION]),
        ({"is": "deprecation", "at": 1688169599}, ["@1688169599;a=1"]),
        ({"is": "deprecation"}, ["@-1"]),
        ({"is": "sunset"}, [SUNSET]),
        ({"is": "sunset", "at": SUNSET}, [SUNSET]),
        ({"is": "link", "rel": "deprecation"}, ['<https://a.example/x>; rel="other", </d>; rel="DEPRECATION up"']),
        ({"is": "link", "rel": "sunset", "href": "/d", "type": "text/html"}, ['</d>;rel=sunset;type="text/html"']),
    ],
)  # fmt: skip
def test_what_a_check_takes(check: dict[str, Any], values: list[str]) -> None:
    assert said(check, *values) == ""


@pytest.mark.parametrize(
    ("check", "values", "words"),
    [
        ({"is": "absent"}, ["a"], "expected no such field, got 1 fields: a"),
        ({"is": "present"}, [], "expected exactly one field, got none"),
        ({"is": "present"}, ["a", "b"], "expected exactly one field, got 2 fields: a | b"),
        ({"is": "equals", "value": "a"}, ["A"], "expected 'a', got 'A'"),
        ({"is": "regex", "pattern": "[a-z]+"}, ["abc1"], "expected like [a-z]+, got 'abc1'"),
        ({"is": "enum", "values": ["a", "b"]}, ["a, b"], "expected one of a, b, got 'a, b'"),
        ({"is": "list", "values": ["a", "b"]}, ["a, x"], "expected only a, b, got 'x'"),
        ({"is": "list", "values": ["a", "b"]}, [], "expected exactly one field, got none"),
        ({"is": "list", "values": ["a", "b"], "all": True}, ["a"], "expected all of a, b, got no 'b'"),
        ({"is": "deprecation", "at": 1}, [DEPRECATION], "expected @1, got @1688169599"),
        ({"is": "deprecation"}, [DEPRECATION] * 2,
         f"expected exactly one field, got 2 fields: {DEPRECATION} | {DEPRECATION}"),
        ({"is": "sunset", "at": "Mon, 01 Jul 2024 00:00:00 GMT"}, [SUNSET],
         f"expected Mon, 01 Jul 2024 00:00:00 GMT, got {SUNSET}"),
        ({"is": "link", "rel": "deprecation"}, [], "expected a link with rel='deprecation', got none"),
        ({"is": "link", "rel": "deprecation"}, ['</d>; rel="next"'],
         "expected a link with rel='deprecation', got 1 fields: </d>; rel=\"next\""),
        ({"is": "link", "rel": "next", "href": "/e"}, ["</d>; rel=next"],
         "expected a link with rel='next' and href '/e', got /d"),
        ({"is": "link", "rel": "next"}, ["/d; rel=next"],
         f"expected a link with rel='next', got '/d; rel=next', {NO_LINKS}"),
    ],
)  # fmt: skip
def test_what_a_check_refuses(check: dict[str, Any], values: list[str], words: str) -> None:
    assert said(check, *values) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("true", "the legacy form 'true' of a draft; RFC 9745 wants a date such as @1688169599"),
        ("?1", "the legacy form '?1' of a draft; RFC 9745 wants a date such as @1688169599"),
        (SUNSET, f"the legacy form '{SUNSET}' (an HTTP-date) of a draft; RFC 9745 wants @1688169599"),
        ("@1.5", "'@1.5', which is not a structured-field date such as @1688169599"),
        ("1688169599", "'1688169599', which is not a structured-field date such as @1688169599"),
        ('"@1"', "'\"@1\"', which is not a structured-field date such as @1688169599"),
        ("2023-06-30", "'2023-06-30', which is not a structured-field date such as @1688169599"),
        ("@1, @1", "'@1, @1', which is not a structured-field date such as @1688169599"),
        ("@1;a=1, @2", "'@1;a=1, @2', which is not a structured-field date such as @1688169599"),
        ("@1;A=1", "'@1;A=1', which is not a structured-field date such as @1688169599"),
    ],
)
def test_a_deprecation_is_one_structured_date(value: str, words: str) -> None:
    with pytest.raises(BadHeader) as caught:
        parse_deprecation(value)
    assert str(caught.value) == words
    assert said({"is": "deprecation"}, value, name="Deprecation").endswith(words)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("Sun, 30 Jun 2024 23:59:59 UTC", "'Sun, 30 Jun 2024 23:59:59 UTC', which ends in UTC and not in GMT"),
        ("Mon, 30 Jun 2024 23:59:59 GMT", "'Mon, 30 Jun 2024 23:59:59 GMT', but that day is a Sun"),
        ("Sun, 31 Jun 2024 23:59:59 GMT", "'Sun, 31 Jun 2024 23:59:59 GMT', which is no date: day is out of range"),
        ("Sun, 30 Jun 2024 24:00:00 GMT", "'Sun, 30 Jun 2024 24:00:00 GMT', which is no date: hour must be in 0..23"),
        ("@1719791999", "'@1719791999', which is not an HTTP-date such as 'Sun, 30 Jun 2024 23:59:59 GMT'"),
        ("Sunday, 30-Jun-24 23:59:59 GMT", "'Sunday, 30-Jun-24 23:59:59 GMT', which is not an HTTP-date such as "),
        ("2024-06-30T23:59:59Z", "'2024-06-30T23:59:59Z', which is not an HTTP-date such as "),
    ],
)
def test_a_sunset_is_an_http_date(value: str, words: str) -> None:
    with pytest.raises(BadHeader) as caught:
        parse_http_date(value)
    assert str(caught.value).startswith(words)
    assert words in said({"is": "sunset"}, value)


def test_an_http_date_is_a_moment() -> None:
    assert parse_http_date(SUNSET) == AFTER


def test_a_sunset_is_not_before_the_deprecation() -> None:
    after = [("deprecation", f"@{AFTER + 1}")]
    assert (
        said({"is": "sunset"}, SUNSET, others=after) == f"expected not before Deprecation (@{AFTER + 1}), got {SUNSET}"
    )
    assert said({"is": "sunset"}, SUNSET, others=[("deprecation", f"@{AFTER}")]) == ""


def test_what_still_answers_is_not_past_its_sunset() -> None:
    past = "Mon, 31 Dec 2018 23:59:59 GMT"
    assert (
        said({"is": "sunset"}, past)
        == f"expected a date to come, for the resource still answers, got past sunset: {past}"
    )
    assert said({"is": "sunset"}, past, status=410) == ""
    assert said({"is": "sunset", "future": False}, past) == ""


def test_links_have_parameters_of_which_the_first_counts() -> None:
    (one, two) = parse_links('<a,b;c> ; rel="x y" ; rel=z;title="a \\"q\\", b", <>')
    assert (one.href, one.relations, one.parameters["title"]) == ("a,b;c", frozenset("xy"), 'a "q", b')
    assert (two.href, two.relations) == ("", frozenset())


@pytest.mark.parametrize("value", ["<a", "<a>; rel", "<a> b", '<a>; rel="x', "a"])
def test_links_that_are_none(value: str) -> None:
    if value == "<a>; rel":
        assert parse_links(value)[0].relations == frozenset()
        return
    with pytest.raises(BadHeader):
        parse_links(value)
