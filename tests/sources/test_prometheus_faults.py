"""Asking fakes of Prometheus: what a real one does only on a bad day. No fault ever looks like a value."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

import pytest

from pytest_rollout.errors import QueryRefused, SourceError, SourceUnreachable
from pytest_rollout.gathering.gatherer import Gatherer
from pytest_rollout.judge.samples import Series
from pytest_rollout.plan.gates import Gate
from pytest_rollout.sources.http import Http
from pytest_rollout.sources.prometheus import Found, Prometheus
from pytest_rollout.target import Target
from pytest_rollout.verdict import CheckResult, Reason, Verdict
from tests.sources.fakes import Asked, FakeServer, Reply, fake_server

DEADLINE = 0.4
BUDGET = 0.25
TARGET = Target(
    environment="staging",
    url="http://shop",
    prometheus=None,
    pushgateway=None,
    flags_url=None,
    flags_token=None,
    time_scale=1.0,
    wait=0.0,
    scrape_interval=None,
    via="api",
    rehearsal=(),
)
GATE = Gate.model_validate({"id": "g", "promql": "errors", "at_most": 5})
TARGETS = Reply({"status": "success", "data": {"activeTargets": [{"labels": {"job": "a"}, "scrapeInterval": "15s"}]}})

Answered = tuple[FakeServer, Found]
Refused = tuple[FakeServer, SourceError]


def success(kind: str, result: Any, **more: Any) -> Reply:
    return Reply({"status": "success", "data": {"resultType": kind, "result": result}, **more})


FINE = success("vector", [{"metric": {}, "value": [1000, "0"]}])


@pytest.fixture(autouse=True)
def _short_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_rollout.sources.prometheus._RETRY_BUDGET", BUDGET)


@pytest.fixture(scope="module")
def http() -> Iterator[Http]:
    client = Http(deadline=5.0)
    yield client
    client.close()


def in_turn(*replies: Reply) -> Callable[[Asked], Reply]:
    """Return what gives these replies, the last one for ever."""
    queue = list(replies)
    return lambda _: queue.pop(0) if len(queue) > 1 else queue[0]


@pytest.fixture
def ask(http: Http) -> Callable[..., Answered]:
    """Return what asks a fake that gives these replies in turn."""

    def asking(*replies: Reply, expression: str = "errors") -> Answered:
        with fake_server(in_turn(*replies)) as server:
            return server, Prometheus(server.url + "/", http).query(expression, 1985.0)

    return asking


@pytest.fixture
def refuse(http: Http) -> Callable[..., Refused]:
    """Return what asks a fake that gives these replies in turn, for the fault."""

    def asking(*replies: Reply, expression: str = "errors") -> Refused:
        with fake_server(in_turn(*replies)) as server, pytest.raises(SourceError) as refused:
            Prometheus(server.url + "/", http).query(expression, 1985.0)
        return server, refused.value

    return asking


Ask = Callable[..., Answered]
Refuse = Callable[..., Refused]


def test_a_sound_answer_is_asked_for_at_the_instant(ask: Ask) -> None:
    server, found = ask(FINE)
    assert found == Found((Series({}, ((1000.0, 0.0),)),))
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("POST", "/api/v1/query")
    assert parse_qs(asked.body) == {"query": ["errors"], "time": ["1985.000"]}


# --- the source is not there ---------------------------------------------------------------------------------

STARTING = Reply(b"Service Unavailable", 503, {"Content-Type": "text/plain"})
BAD_DATA = {"status": "error", "errorType": "bad_data", "error": "1:5: parse error"}
OVERLOADED = Reply({"status": "error", "errorType": "timeout", "error": "query timed out"}, 503)
BROKEN_OFF = "peer closed connection without sending complete message body (received 10 bytes, expected 20)"
UNREACHABLE = {
    "starting up": (STARTING, "{url}: HTTP 503: Service Unavailable"),
    "overloaded": (OVERLOADED, "{url}: HTTP 503: query timed out"),
    "a gateway's page": (Reply(b"<html>Bad Gateway</html>", 502), "{url}: HTTP 502: <html>Bad Gateway</html>"),
    "a fault with data": (replace(FINE, status=500), "{url}: HTTP 500: " + FINE.payload.decode()),
    "too often": (Reply(b"slow down", 429), "{url}: HTTP 429: slow down"),
    "breaks off": (Reply(b'{"status":', missing=10), "{url}/api/v1/query: " + BROKEN_OFF),
}


@pytest.mark.parametrize(("reply", "said"), UNREACHABLE.values(), ids=UNREACHABLE)
def test_a_source_that_does_not_answer_is_unreachable(refuse: Refuse, reply: Reply, said: str) -> None:
    server, fault = refuse(reply)
    assert isinstance(fault, SourceUnreachable)
    assert str(fault) == said.replace("{url}", server.url)


SLOW = {
    "hangs": Reply(hangs=True),
    "drips": Reply(b"[" * 100, drips=True),
    "drips headers": Reply(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 9, raw=True, drips=True, at_once=30),
}


@pytest.mark.parametrize("reply", SLOW.values(), ids=SLOW)
def test_a_question_takes_at_most_the_budget_and_a_deadline(reply: Reply) -> None:
    client = Http(DEADLINE)
    with fake_server(reply) as server:
        begun = time.monotonic()
        with pytest.raises(SourceUnreachable) as refused:
            Prometheus(server.url, client).query("errors", 1985.0)
        assert time.monotonic() - begun < BUDGET + DEADLINE + 0.3
    assert str(refused.value) == f"{server.url}/api/v1/query: no complete answer within 0.4 s"
    client.close()


@pytest.mark.parametrize(
    "fault", [STARTING, replace(FINE, missing=10), Reply(b"", 429)], ids=["503", "broken off", "429"]
)
def test_a_fault_that_passes_is_asked_again(ask: Ask, fault: Reply) -> None:
    server, found = ask(fault, FINE)
    assert found.series
    assert len(server.asked) == 2


def test_a_source_that_asks_for_patience_is_not_asked_again(refuse: Refuse) -> None:
    server, fault = refuse(Reply(b"", 429, {"Retry-After": "1"}), FINE)
    assert str(fault) == f"{server.url}: HTTP 429: "
    assert len(server.asked) == 1


# --- the source refuses --------------------------------------------------------------------------------------

REFUSED = {
    "parse error": (Reply(BAD_DATA, 400), "HTTP 400: 1:5: parse error"),
    "execution": (Reply({**BAD_DATA, "error": "many-to-many"}, 422), "HTTP 422: many-to-many"),
    "not found": (Reply(b"404 page not found\n", 404), "HTTP 404: 404 page not found"),
    "a page": (Reply(b"<html>" + b"x" * 500, 404), "HTTP 404: <html>" + "x" * 194),
    "not allowed": (Reply(b"", 401), "HTTP 401: "),
}


@pytest.mark.parametrize(("reply", "said"), REFUSED.values(), ids=REFUSED)
def test_a_refusal_is_not_asked_again(refuse: Refuse, reply: Reply, said: str) -> None:
    server, fault = refuse(reply, FINE)
    assert type(fault) is QueryRefused
    assert str(fault) == f"{server.url}: {said}"
    assert len(server.asked) == 1


# --- the source answers, but not with an answer --------------------------------------------------------------

NOT_AN_ANSWER = {
    "a page": Reply(b"<html>Sign in</html>"),
    "a text": Reply(b"Prometheus is Ready.\n"),
    "nothing": Reply(b""),
    "a list": Reply([1, 2]),
    "a list without end": Reply(b"[" * 100_000),
    "an error with 200": Reply(BAD_DATA),
    "an error with data": Reply({**FINE.body, "status": "error"}),
    "a redirect": Reply(b"", 302, {"Location": "/login"}),
    "a permanent redirect": Reply(b"", 308, {"Location": "/api/v1/query"}),
}


@pytest.mark.parametrize("reply", NOT_AN_ANSWER.values(), ids=NOT_AN_ANSWER)
def test_what_is_not_from_prometheus_is_no_answer(refuse: Refuse, reply: Reply) -> None:
    server, fault = refuse(reply)
    assert type(fault) is SourceError
    assert str(fault) == f"{server.url}: not an answer of Prometheus: {reply.payload.decode()[:120]!r}"
    assert len(server.asked) == 1


@pytest.mark.parametrize("length", range(1, len(FINE.payload)))
def test_an_answer_cut_short_anywhere_is_no_answer(refuse: Refuse, length: int) -> None:
    server, fault = refuse(Reply(FINE.payload[:length]))
    end = FINE.payload[:length].decode()[-60:]
    assert str(fault) == (f"{server.url}: the answer is cut short or not JSON: {length} characters that end in {end!r}")


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("place", ["1000", '"0"'], ids=["time", "value"])
def test_a_constant_that_is_not_json_is_refused(refuse: Refuse, constant: str, place: str) -> None:
    body = FINE.payload.decode().replace(place, constant)
    server, fault = refuse(Reply(body.encode()))
    assert str(fault).startswith(f"{server.url}: the answer is cut short or not JSON: ")


@pytest.mark.parametrize("body", [{"status": "success"}, {"status": "success", "data": None}], ids=["none", "null"])
def test_success_without_data_is_no_answer(refuse: Refuse, body: Any) -> None:
    server, fault = refuse(Reply(body))
    assert str(fault) == f"{server.url}: success without data: {json.dumps(body)!r}"


def row(**one: Any) -> list[dict[str, Any]]:
    return [{"metric": {"a": "b"}, **one}]


def one_value(*pair: Any) -> Reply:
    return success("vector", row(value=list(pair)))


SAMPLE = "is not a sample: unix seconds and a number in quotes"
ASKED = "came, vector or scalar was asked for"
UNKNOWN_FORMS = {
    "a string": (success("string", [1000, "fine"]), f"a result of type 'string' {ASKED}"),
    "a matrix": (success("matrix", row(values=[[1, "1"]])), f"a result of type 'matrix' {ASKED}"),
    "streams": (success("streams", [{"stream": {}, "values": []}]), f"a result of type 'streams' {ASKED}"),
    "no type": (Reply({"status": "success", "data": {"result": []}}), f"a result of type None {ASKED}"),
    "a type of a list": (success([], []), f"a result of type [] {ASKED}"),  # type: ignore[arg-type]
    "data of a list": (Reply({"status": "success", "data": []}), f"a result of type None {ASKED}"),
    "result of nothing": (success("vector", None), "a vector of None"),
    "result of an object": (success("vector", {}), "a vector of {}"),
    "a series of nothing": (success("vector", [None]), "a series without labels: None"),
    "labels of nothing": (
        success("vector", [{"metric": None, "value": [1000, "1"]}]),
        "a series without labels: {'metric': None, 'value': [1000, '1']}",
    ),
    "a label of a number": (
        success("vector", [{"metric": {"a": 1}, "value": [1000, "1"]}]),
        "a series without labels: {'metric': {'a': 1}, 'value': [1000, '1']}",
    ),
    "a histogram": (
        success("vector", row(histogram=[1000, {}])),
        "the native histogram {'a': 'b'} came, numbers were asked for",
    ),
    "a value of a word": (one_value(1000, "many"), f"[1000, 'many'] {SAMPLE}"),
    "a value of a number": (one_value(1000, 5), f"[1000, 5] {SAMPLE}"),
    "a value of nothing": (one_value(1000, None), f"[1000, None] {SAMPLE}"),
    "a value of one part": (one_value(1000), f"[1000] {SAMPLE}"),
    "a value of three parts": (one_value(1000, "1", "2"), f"[1000, '1', '2'] {SAMPLE}"),
    "no value": (success("vector", row()), f"None {SAMPLE}"),
    "two letters": (success("vector", row(value="11")), f"'11' {SAMPLE}"),
    "a time of nothing": (one_value(None, "1"), f"[None, '1'] {SAMPLE}"),
    "a time of a text": (one_value("1000", "1"), f"['1000', '1'] {SAMPLE}"),
    "a time of the text NaN": (one_value("NaN", "1"), f"['NaN', '1'] {SAMPLE}"),
    "a time of a truth": (one_value(True, "1"), f"[True, '1'] {SAMPLE}"),
    "a time without end": (
        Reply(FINE.payload.replace(b"1000", b"1e999")),
        f"[inf, '0'] {SAMPLE}",
    ),
    "a time too long": (one_value(10**400, "1"), f"[1{'0' * 75}... {SAMPLE}"),
    "a scalar of a number": (success("scalar", [1000, 1]), f"[1000, 1] {SAMPLE}"),
    "a series twice": (
        success("vector", row(value=[1000, "1"]) + row(value=[1000, "2"])),
        "the series {'a': 'b'} came twice",
    ),
    "a warning of a text": (success("vector", [], warnings="partial"), "warnings that are no list: ['partial', []]"),
    "an info of an object": (success("vector", [], infos={"a": 1}), "warnings that are no list: [[], {'a': 1}]"),
}


@pytest.mark.parametrize(("reply", "said"), UNKNOWN_FORMS.values(), ids=UNKNOWN_FORMS)
def test_an_answer_of_unknown_form_is_no_answer(refuse: Refuse, reply: Reply, said: str) -> None:
    server, fault = refuse(reply)
    assert type(fault) is SourceError
    assert str(fault) == f"{server.url}: an answer of unknown form to 'errors': {said}"


UNKNOWN_RANGES = {
    "a vector": (FINE, "a result of type 'vector' came, matrix was asked for"),
    "a string": (success("string", [1, "1"]), "a result of type 'string' came, matrix was asked for"),
    "no samples": (success("matrix", row(values=[])), "the series {'a': 'b'} has no samples"),
    "samples of nothing": (success("matrix", row(values=None)), "the series {'a': 'b'} has no samples"),
    "histograms besides": (
        success("matrix", row(values=[[1, "1"]], histograms=[])),
        "the native histogram {'a': 'b'} came, numbers were asked for",
    ),
    "backwards": (
        success("matrix", row(values=[[1, "1"], [3, "1"], [2.5, "1"]])),
        "the samples of {'a': 'b'} are not in the order of time: 2.5 after 3.0",
    ),
    "one time twice": (
        success("matrix", row(values=[[1, "1"], [1, "1"]])),
        "the samples of {'a': 'b'} are not in the order of time: 1.0 after 1.0",
    ),
    "a bad sample at last": (success("matrix", row(values=[[1, "1"], [2, 1]])), f"[2, 1] {SAMPLE}"),
    "a series twice": (
        success("matrix", row(values=[[1, "1"]]) * 2),
        "the series {'a': 'b'} came twice",
    ),
}


@pytest.mark.parametrize(("reply", "said"), UNKNOWN_RANGES.values(), ids=UNKNOWN_RANGES)
@pytest.mark.parametrize("expression", ["x[5m]", "x[5m:1m] "])
def test_a_range_of_unknown_form_is_no_answer(refuse: Refuse, reply: Reply, said: str, expression: str) -> None:
    server, fault = refuse(reply, expression=expression)
    assert str(fault) == f"{server.url}: an answer of unknown form to {expression!r}: {said}"


SOUND = {
    "not a number": (one_value(1000, "NaN"), "((1000.0, nan),)"),
    "without end": (one_value(1000.25, "+Inf"), "((1000.25, inf),)"),
    "large": (one_value(1000, "1e+21"), "((1000.0, 1e+21),)"),
    "a scalar": (success("scalar", [1000, "-Inf"]), "((1000.0, -inf),)"),
}


@pytest.mark.parametrize(("reply", "samples"), SOUND.values(), ids=SOUND)
def test_every_number_of_prometheus_is_read(ask: Ask, reply: Reply, samples: str) -> None:
    _, found = ask(reply)
    assert [repr(one.samples) for one in found.series] == [samples]


# --- targets and metadata ------------------------------------------------------------------------------------


def of(data: Any, **more: Any) -> Reply:
    return Reply({"status": "success", "data": data, **more})


def active(**target: Any) -> Reply:
    return of({"activeTargets": [{"labels": {"job": "a", "instance": "b"}, "scrapeInterval": "15s", **target}]})


Get = Callable[[Prometheus], Any]
TARGETS_ASKED: Get = Prometheus.targets
FORMS: dict[str, tuple[Get, Reply, str]] = {
    "targets of a list": (TARGETS_ASKED, of([]), "targets of unknown form: [] has no activeTargets"),
    "targets of nothing": (
        TARGETS_ASKED,
        of({"activeTargets": None}),
        "targets of unknown form: active targets of None",
    ),
    "no targets": (TARGETS_ASKED, of({}), "targets of unknown form: {} has no activeTargets"),
    "a target of nothing": (
        TARGETS_ASKED,
        of({"activeTargets": [None]}),
        "targets of unknown form: None has no labels",
    ),
    "labels of a list": (
        TARGETS_ASKED,
        of({"activeTargets": [{"labels": []}]}),
        "targets of unknown form: a target without labels: {'labels': []}",
    ),
    "no interval": (
        TARGETS_ASKED,
        of({"activeTargets": [{"labels": {}}]}),
        "targets of unknown form: None is not a duration",
    ),
    "an interval of a number": (
        TARGETS_ASKED,
        active(scrapeInterval=15),
        "targets of unknown form: 15 is not a duration",
    ),
    "an interval of a word": (
        TARGETS_ASKED,
        active(scrapeInterval="1m now"),
        "targets of unknown form: '1m now' is not a duration",
    ),
    "intervals": (
        Prometheus.scrape_intervals,
        active(scrapeInterval=""),
        "targets of unknown form: '' is not a duration",
    ),
    "a warning": (
        TARGETS_ASKED,
        of({"activeTargets": []}, warnings=["one", "two"]),
        "targets of unknown form: some may be missing: one; two",
    ),
    "exporters of an object": (lambda p: p.exporters("x"), of({}), "metadata of unknown form: targets of {}"),
    "an exporter of nothing": (
        lambda p: p.exporters("x"),
        of([{"type": "gauge"}]),
        "metadata of unknown form: {'type': 'gauge'} has no target",
    ),
    "an exporter without a job": (
        lambda p: p.exporters("x"),
        of([{"target": {"instance": "b"}, "type": "gauge"}]),
        "metadata of unknown form: {'instance': 'b'} has no job",
    ),
    "metadata of a list": (lambda p: p.metric_type("x"), of([]), "metadata of unknown form: metadata of []"),
    "types of nothing": (
        lambda p: p.metric_type("x"),
        of({"x": None}),
        "metadata of unknown form: types of None",
    ),
    "a type of nothing": (
        lambda p: p.metric_type("x"),
        of({"x": [{}]}),
        "metadata of unknown form: {} has no type",
    ),
    "names of an object": (Prometheus.metric_names, of({}), "names of unknown form: names of {}"),
    "names of numbers": (Prometheus.metric_names, of([1]), "names of unknown form: names of [1]"),
    "names not all": (
        Prometheus.metric_names,
        of([], warnings=["limit"]),
        "names of unknown form: some may be missing: limit",
    ),
    "no retention": (Prometheus.retention, of({}), "runtime information of unknown form: {} has no storageRetention"),
    "retention of a number": (
        Prometheus.retention,
        of({"storageRetention": 15}),
        "runtime information of unknown form: a retention of 15",
    ),
    "retention of a word": (
        Prometheus.retention,
        of({"storageRetention": "long"}),
        "runtime information of unknown form: 'long' is not a duration",
    ),
}


@pytest.mark.parametrize(("get", "reply", "said"), FORMS.values(), ids=FORMS)
def test_what_is_known_in_an_unknown_form_is_not_known(http: Http, get: Get, reply: Reply, said: str) -> None:
    with fake_server(reply) as server, pytest.raises(SourceError) as refused:
        get(Prometheus(server.url, http))
    assert type(refused.value) is SourceError
    assert str(refused.value) == f"{server.url}: {said}"


# --- what a gate makes of it ---------------------------------------------------------------------------------

WARNING = "remote_read: connection refused"


@pytest.fixture
def judged(http: Http) -> Callable[..., tuple[FakeServer, CheckResult]]:
    """Return what judges a gate over a fake that gives one reply to queries."""

    def judging(reply: Reply | Callable[[Asked], Reply], targets: Reply = TARGETS) -> tuple[FakeServer, CheckResult]:
        said = reply if callable(reply) else lambda _: reply
        with fake_server(lambda asked: targets if asked.path.startswith("/api/v1/targets") else said(asked)) as server:
            return server, Gatherer(Prometheus(server.url, http), TARGET, None, 2000.0).judge(GATE)

    return judging


Judged = Callable[..., tuple[FakeServer, CheckResult]]


@pytest.mark.parametrize("replies", [(STARTING,), (FINE, STARTING)], ids=["query", "targets"])
def test_a_source_that_does_not_answer_judges_nothing(judged: Judged, replies: tuple[Reply, ...]) -> None:
    server, result = judged(*replies)
    assert (result.verdict, result.reason) == (Verdict.ERROR, Reason.SOURCE_UNREACHABLE)
    assert result.message == (
        f"Prometheus cannot be asked: {server.url}: HTTP 503: Service Unavailable; "
        "the system is not judged, mend the source and judge again"
    )


def test_a_refused_question_judges_nothing(judged: Judged) -> None:
    server, result = judged(Reply(BAD_DATA, 400))
    assert (result.verdict, result.reason) == (Verdict.ERROR, Reason.QUERY_REFUSED)
    assert result.message == (f"Prometheus refused the query: {server.url}: HTTP 400: 1:5: parse error; mend the plan")


@pytest.mark.parametrize("reply", [Reply(b"<html>"), success("string", [1, "1"])], ids=["page", "string"])
def test_an_answer_that_cannot_be_read_judges_nothing(judged: Judged, reply: Reply) -> None:
    _, result = judged(reply)
    assert (result.verdict, result.reason) == (Verdict.ERROR, Reason.BAD_ANSWER)


@pytest.mark.parametrize("kind", ["warnings", "infos"])
def test_a_warning_means_that_data_may_be_missing(judged: Judged, kind: str) -> None:
    notes = {kind: [WARNING, "another"]}
    ranged, single = (
        success("matrix", row(values=[[1000, "0"]]), **notes),
        success("vector", row(value=[1000, "0"]), **notes),
    )
    _, result = judged(lambda asked: ranged if asked.body.partition("&")[0].endswith("%5D") else single)
    assert (result.verdict, result.reason) == (Verdict.INCONCLUSIVE, Reason.PARTIAL_DATA)
    assert result.message == (
        f"Prometheus warns that data may be missing: {WARNING}; another; mend the source and judge again"
    )


def test_warnings_and_infos_are_kept_with_what_was_found(ask: Ask) -> None:
    _, found = ask(success("vector", [], warnings=["a", "b"], infos=["c"]))
    assert found == Found((), ("a", "b", "c"))


@pytest.mark.parametrize("nothing", [[], None])
def test_no_warning_is_no_warning(ask: Ask, nothing: Any) -> None:
    assert ask(success("vector", [], warnings=nothing, infos=nothing))[1].warnings == ()


def test_without_a_prometheus_nothing_is_judged() -> None:
    result = Gatherer(None, TARGET, None, 2000.0).judge(GATE)
    assert (result.verdict, result.reason) == (Verdict.ERROR, Reason.ENVIRONMENT)
    assert result.message == "environment 'staging' names no prometheus; add it to the plan"


def test_a_prometheus_that_scrapes_nothing_does_not_say_how_much_to_expect(judged: Judged) -> None:
    _, result = judged(FINE, of({"activeTargets": []}))
    assert (result.verdict, result.reason) == (Verdict.INCONCLUSIVE, Reason.NO_DATA)
    assert result.message == (
        "Prometheus scrapes nothing and the environment gives no scrape_interval, so it is not known "
        "how many samples there should be"
    )


def test_credentials_of_a_source_are_not_shown(http: Http) -> None:
    with fake_server(STARTING) as server:
        url = server.url.replace("http://", "http://me:secret@")
        result = Gatherer(Prometheus(url, http), TARGET, None, 2000.0).judge(GATE)
    assert result.reason is Reason.SOURCE_UNREACHABLE
    assert "secret" not in result.message
    assert server.url in result.message
