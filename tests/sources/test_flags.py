"""Reading flags over OFREP, from a fake flag service: a fault never looks like "off"."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pytest_rollout.judge.history import FlagReading, judge_flags
from pytest_rollout.sources.flags import UNREACHABLE, FlagReader
from pytest_rollout.sources.http import Http
from pytest_rollout.verdict import Verdict
from tests.sources.fakes import FakeServer, Reply, fake_server

CHANGED = "2025-01-02T03:04:05+00:00"
CHANGED_AT = 1735787045.0
EVALUATED = {
    "key": "READS",
    "value": False,
    "variant": "off",
    "reason": "STATIC",
    "metadata": {"changedAt": CHANGED, "changedBy": "ada"},
}

Read = Callable[[Reply], tuple[FakeServer, FlagReading]]


@pytest.fixture(autouse=True)
def _short_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_rollout.sources.flags._RETRY_BUDGET", 0.15)


@pytest.fixture(scope="module")
def http() -> Iterator[Http]:
    client = Http(deadline=1.0)
    yield client
    client.close()


@pytest.fixture
def read(http: Http) -> Read:
    """Return what reads the flag READS for the cohort admin from a fake that gives one reply."""

    def reading(reply: Reply) -> tuple[FakeServer, FlagReading]:
        with fake_server(reply) as server:
            return server, FlagReader(server.url + "/", http).read("READS", "admin")

    return reading


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in EVALUATED.items() if name != key}


@pytest.mark.parametrize("value", [True, False])
@pytest.mark.parametrize("reason", ["STATIC", "TARGETING_MATCH", "SPLIT", "DISABLED"])
def test_an_evaluated_flag_has_its_value_and_the_time_of_its_change(read: Read, *, value: bool, reason: str) -> None:
    _, reading = read(Reply({**EVALUATED, "value": value, "reason": reason}))
    assert reading == FlagReading(
        flag="READS", cohort="admin", value=value, reason=reason, changed_at=CHANGED_AT, fault="", changed_by="ada"
    )


def test_a_flag_is_asked_for_by_its_cohort(read: Read) -> None:
    server, _ = read(Reply(EVALUATED))
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("POST", "/ofrep/v1/evaluate/flags/READS")
    assert json.loads(asked.body) == {"context": {"targetingKey": "rollout-admin", "cohort": "admin"}}


def test_the_name_of_a_flag_may_be_anything(http: Http) -> None:
    with fake_server(Reply({**EVALUATED, "key": "a/b c?"})) as server:
        assert FlagReader(server.url, http).read("a/b c?", "*").fault == ""
        assert server.asked[0].path == "/ofrep/v1/evaluate/flags/a%2Fb%20c%3F"


@pytest.mark.parametrize(
    ("metadata", "changed_at"),
    [
        ({"changedAt": CHANGED}, CHANGED_AT),
        ({"changedAt": "2025-01-02T03:04:05Z"}, CHANGED_AT),
        ({"changedAt": "2025-01-02T04:04:05.5+01:00"}, CHANGED_AT + 0.5),
        ({"changedAt": "2025-01-02T03:04:05"}, None),
        ({"changedAt": "yesterday"}, None),
        ({"changedAt": 1735787045}, None),
        ({"changedAt": None}, None),
        ({}, None),
        (None, None),
        ([], None),
        ("", None),
        ("yesterday", None),
    ],
    ids=repr,
)
def test_only_a_time_with_its_zone_is_a_time(read: Read, metadata: Any, changed_at: float | None) -> None:
    _, reading = read(Reply({**EVALUATED, "metadata": metadata}))
    assert (reading.fault, reading.value, reading.changed_at) == ("", False, changed_at)


FAULTS: dict[str, tuple[Reply, str]] = {
    # statuses
    "400": (Reply({"errorCode": "PARSE_ERROR"}, 400), 'HTTP 400 from {url}: {{"errorCode": "PARSE_ERROR"}}'),
    "401": (Reply(b"", 401), "HTTP 401 from {url}: "),
    "403": (Reply(b"no\n", 403), "HTTP 403 from {url}: no"),
    "404": (Reply({"key": "READS"}, 404), 'HTTP 404 from {url}: {{"key": "READS"}}'),
    "429": (Reply(b"slow down", 429), "HTTP 429 from {url}: slow down"),
    "500 with a value": (Reply({"value": False}, 500), 'HTTP 500 from {url}: {{"value": false}}'),
    "503": (Reply(b"", 503), "HTTP 503 from {url}: "),
    "204": (Reply(b"", 204), "HTTP 204 from {url}: "),
    "302": (Reply(b"", 302, {"Location": "/"}), "HTTP 302 from {url}: "),
    "304": (Reply(b"", 304), "HTTP 304 from {url}: "),
    # transport
    "hangs": (Reply(hangs=True), "{url}/ofrep/v1/evaluate/flags/READS: no complete answer within 1 s"),
    "drips": (
        Reply(EVALUATED, drips=True),
        "{url}/ofrep/v1/evaluate/flags/READS: no complete answer within 1 s",
    ),
    # not OFREP
    "no JSON": (Reply(b"off"), "not an OFREP answer: 'off'"),
    "a page": (Reply(b"<html>Sign in</html>"), "not an OFREP answer: '<html>Sign in</html>'"),
    "nothing": (Reply(b""), "not an OFREP answer: ''"),
    "cut short": (Reply(b'{"key": "READS", "val'), 'not an OFREP answer: \'{{"key": "READS", "val\''),
    "without end": (Reply(b"[" * 100_000), f"not an OFREP answer: {'[' * 120!r}"),
    "NaN": (Reply(b'{"key": NaN}'), "not an OFREP answer: '{{\"key\": NaN}}'"),
    "false": (Reply(b"false"), "not an OFREP answer: 'false'"),
    "a list": (Reply([1]), "not an OFREP answer: '[1]'"),
    "null": (Reply(b"null"), "not an OFREP answer: 'null'"),
    # not evaluated
    "another flag": (Reply({**EVALUATED, "key": "WRITES"}), "the answer is about 'WRITES'"),
    "no flag": (Reply(without("key")), "the answer is about None"),
    "reason ERROR": (
        Reply({**EVALUATED, "reason": "ERROR", "errorCode": "FLAG_NOT_FOUND"}),
        "reason ERROR, FLAG_NOT_FOUND",
    ),
    "an error with a good reason": (
        Reply({**EVALUATED, "errorCode": "PROVIDER_NOT_READY"}),
        "reason STATIC, PROVIDER_NOT_READY",
    ),
    "reason DEFAULT": (Reply({**EVALUATED, "reason": "DEFAULT"}), "reason DEFAULT, no error code"),
    "reason STALE": (Reply({**EVALUATED, "reason": "STALE"}), "reason STALE, no error code"),
    "reason CACHED": (Reply({**EVALUATED, "reason": "CACHED"}), "reason CACHED, no error code"),
    "reason UNKNOWN": (Reply({**EVALUATED, "reason": "UNKNOWN"}), "reason UNKNOWN, no error code"),
    "reason in small letters": (Reply({**EVALUATED, "reason": "static"}), "reason static, no error code"),
    "no reason": (Reply(without("reason")), "reason missing, no error code"),
    # not a value of a flag
    "value 0": (Reply({**EVALUATED, "value": 0}), "the value 0 is neither a boolean nor a text"),
    "value 1.0": (Reply({**EVALUATED, "value": 1.0}), "the value 1.0 is neither a boolean nor a text"),
    "an empty text": (Reply({**EVALUATED, "value": ""}), "the value '' is neither a boolean nor a text"),
    "value null": (Reply({**EVALUATED, "value": None}), "the value None is neither a boolean nor a text"),
    "an object": (Reply({**EVALUATED, "value": {"a": 1}}), "the value {{'a': 1}} is neither a boolean nor a text"),
    "no value": (Reply(without("value")), "the value None is neither a boolean nor a text"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_never_looks_like_off(read: Read, name: str) -> None:
    reply, fault = FAULTS[name]
    server, reading = read(reply)
    assert reading == FlagReading(
        flag="READS",
        cohort="admin",
        value=None,
        reason=UNREACHABLE if name in ("hangs", "drips") else "ERROR",
        changed_at=None,
        fault=fault.format(url=server.url),
    )
    assert judge_flags({"READS": False}, [reading], 0.0).verdict is Verdict.ERROR


@pytest.mark.parametrize("value", ["off", "warn", "false", " "])
def test_a_flag_may_be_a_text(read: Read, value: str) -> None:
    _, reading = read(Reply({**EVALUATED, "value": value}))
    assert (reading.value, reading.fault) == (value, "")
    assert judge_flags({"READS": False}, [reading], 0.0).verdict is Verdict.ERROR
    assert judge_flags({"READS": value}, [reading], 0.0).verdict is Verdict.PASSED


def test_a_service_that_is_not_there_never_looks_like_off(http: Http) -> None:
    reading = FlagReader("http://me:secret@127.0.0.1:1", http).read("READS", "admin")
    assert (reading.value, reading.reason) == (None, UNREACHABLE)
    assert reading.fault == "http://127.0.0.1:1/ofrep/v1/evaluate/flags/READS: [Errno 111] Connection refused"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_fault_that_passes_is_asked_again(http: Http, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_rollout.sources.flags._RETRY_BUDGET", 2.0)
    replies = [Reply(b"", status), Reply(EVALUATED)]
    with fake_server(lambda _: replies.pop(0)) as server:
        assert FlagReader(server.url, http).read("READS", "admin").fault == ""
        assert len(server.asked) == 2


@pytest.mark.parametrize("status", [400, 401, 404])
def test_a_refusal_is_not_asked_again(read: Read, status: int) -> None:
    server, _ = read(Reply(b"", status))
    assert len(server.asked) == 1
