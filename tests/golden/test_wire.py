"""Requests as they are sent, and answers as they came."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from pytest_rollout.errors import SourceUnreachable
from pytest_rollout.golden.case import RequestObject
from pytest_rollout.golden.endpoint import Route
from pytest_rollout.golden.exact import MISSING
from pytest_rollout.golden.wire import RawRequest, Reply, RequestError, raw_request, wire_over
from pytest_rollout.sources.http import Http
from tests.sources.fakes import Asked, Reply as FakeReply, fake_server

ROUTE = Route(method="POST", path="/api/{fund}/x")


def sent(request: dict[str, Any], **common: str) -> RawRequest:
    return raw_request(ROUTE, RequestObject.model_validate({"path": {"fund": 1}, **request}), common)


def test_numbers_are_sent_as_they_were_written() -> None:
    weights = [Decimal("0.3333343"), Decimal("1.000001"), 1, Decimal("1E+309")]
    assert sent({"json": {"weights": weights}}).content == b'{"weights":[0.3333343,1.000001,1,1E+309]}'


@pytest.mark.parametrize(
    ("query", "target"),
    [
        ({"query": {"stage": "series-c+"}}, "/api/1/x?stage=series-c%2B"),
        ({"query_raw": "stage=series-c+"}, "/api/1/x?stage=series-c+"),
        ({"query": {"a b": ["ü/&=", 1, Decimal("0.10")]}}, "/api/1/x?a%20b=%C3%BC%2F%26%3D&a%20b=1&a%20b=0.10"),
        ({"query": {"a": "\u0000~-._"}}, "/api/1/x?a=%00~-._"),
        ({"path": {"fund": "../a b"}}, "/api/..%2Fa%20b/x"),
        ({"query_raw": ""}, "/api/1/x?"),
        ({}, "/api/1/x"),
    ],
)
def test_the_target_is_encoded_once_and_strictly(query: dict[str, Any], target: str) -> None:
    assert sent(query).target == target


@pytest.mark.parametrize(
    ("request_", "content", "content_type"),
    [
        ({"json": None}, b"null", "application/json"),
        ({"json": {"a": "\u0000é\ud800"}}, b'{"a":"\\u0000\xc3\xa9\\ud800"}', "application/json"),
        ({"text": '{"runs": NaN}'}, b'{"runs": NaN}', "application/json"),
        ({"text": "", "content_type": "text/plain"}, b"", "text/plain"),
        ({"base64": "//4A"}, b"\xff\xfe\x00", "application/octet-stream"),
        ({"json": 1, "content_type": None}, b"1", None),
        ({}, None, None),
    ],
)
def test_bodies_of_every_kind(request_: dict[str, Any], content: bytes | None, content_type: str | None) -> None:
    request = sent(request_)
    assert (request.content, dict(request.headers).get("Content-Type")) == (content, content_type)


def test_own_headers_replace_those_in_common() -> None:
    common = {"Authorization": "Bearer x", "Accept": "a/b"}
    request = sent({"headers": {"accept": "c/d", "AUTHORIZATION": None, "X": "1"}}, **common)
    assert request.headers == (("accept", "c/d"), ("X", "1"))


@pytest.mark.parametrize(
    ("request_", "key", "said"),
    [
        ({"path": {}}, "path", "the endpoint's path needs a value for {fund}"),
        ({"path": {"fund": 1, "x": 1}}, "path", "the endpoint's path has no {x}; it is /api/{fund}/x"),
        ({"query": {"a": True}}, "query", "true is neither a text nor a number"),
        ({"query": {"a": "\ud800"}}, "query", "half a character cannot be percent-encoded; use query_raw"),
        ({"query_raw": "a b"}, "query_raw", "a raw query is printable ASCII without spaces; encode the rest"),
        ({"text": "\ud800"}, "text", "half a character cannot be sent as UTF-8; use base64"),
        ({"base64": "a"}, "base64", "not base64: "),
        ({"headers": {"X": "a\r\nY: b"}}, "headers", "the value of X has characters that a header cannot carry"),
    ],
)
def test_what_cannot_be_sent_names_the_key(request_: dict[str, Any], key: str, said: str) -> None:
    with pytest.raises(RequestError) as caught:
        sent(request_)
    assert caught.value.key == key
    assert str(caught.value).startswith(said)


REPLY = Reply.received(200, [("A", "1"), ("B", "2")], b"abc")


@pytest.mark.parametrize(
    "bent",
    [
        replace(REPLY, status=201),
        replace(REPLY, headers=(("A", "1"),)),
        replace(REPLY, headers=(("A", "1B"), ("", "2"))),
        replace(REPLY, headers=()),
        replace(REPLY, body=b"ab"),
        replace(REPLY, seal=""),
    ],
)
def test_a_reply_notices_what_was_lost(bent: Reply) -> None:
    assert REPLY.whole
    assert not bent.whole


@pytest.mark.parametrize(
    ("lines", "is_json"),
    [
        ([("Content-Type", "application/json")], True),
        ([("content-type", "application/problem+json; charset=utf-8")], True),
        ([("Content-Type", "application/jsonx")], False),
        ([("Content-Type", "text/html")], False),
        ([("Content-Type", "application/json"), ("Content-Type", "text/html")], False),
        ([], False),
    ],
)
def test_a_reply_says_once_that_it_is_json(lines: list[tuple[str, str]], is_json: bool) -> None:
    assert Reply.received(200, lines, b"1").is_json is is_json


def test_a_body_that_is_not_strict_json_is_missing() -> None:
    for body in (b'{"a": 1, "a": 2}', b"NaN", b"\xff", b""):
        assert Reply.received(200, [], body).json_or_missing() is MISSING


@pytest.fixture(scope="module")
def http() -> Iterator[Http]:
    client = Http(5.0)
    yield client
    client.close()


def test_the_client_of_every_source_is_a_wire(http: Http) -> None:
    def answer(asked: Asked) -> FakeReply:
        return FakeReply({"path": asked.path, "body": asked.body}, 201, headers={"X-Seen": "yes"})

    with fake_server(answer) as server:
        reply = wire_over(http)(server.url, RawRequest("POST", "/a?b=c+", (("X", "1"),), b"{}"))
        assert (reply.status, reply.json()) == (201, {"path": "/a?b=c+", "body": "{}"})
        assert reply.fields("x-seen") == ["yes"]
        assert reply.whole
    with pytest.raises(SourceUnreachable):
        wire_over(http)("http://127.0.0.1:9", RawRequest("GET", "/"))
