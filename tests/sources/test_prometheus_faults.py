"""Gates over fakes of Prometheus: what a real one does only on a bad day."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

import pytest

from pytest_rollout.gather import Gatherer
from pytest_rollout.plan.gates import Gate
from pytest_rollout.sources.http import Http
from pytest_rollout.sources.prometheus import Prometheus
from pytest_rollout.target import Target
from pytest_rollout.verdict import CheckResult, Reason, Verdict
from tests.sources.fakes import Asked, FakeServer, Reply, fake_server

DEADLINE = 0.4
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
    rehearsal=(),
)
GATE = Gate.model_validate({"id": "g", "promql": "errors", "at_most": 5})
RATIO = Gate.model_validate({"id": "g", "ratio": {"bad": "b", "total": "t"}, "below": "1%", "over": "5m"})
TARGETS = Reply({"status": "success", "data": {"activeTargets": [{"labels": {"job": "a"}, "scrapeInterval": "15s"}]}})
INCONCLUSIVE, ERROR = Verdict.INCONCLUSIVE, Verdict.ERROR

Ask = Callable[..., tuple[FakeServer, CheckResult]]


def success(kind: str, result: Any, **more: Any) -> Reply:
    return Reply({"status": "success", "data": {"resultType": kind, "result": result}, **more})


FINE = success("vector", [{"metric": {}, "value": [1000, "0"]}])


@pytest.fixture(autouse=True)
def _short_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_rollout.sources.prometheus._RETRY_BUDGET", 0.25)


@pytest.fixture(scope="module")
def http() -> Iterator[Http]:
    client = Http(deadline=DEADLINE)
    yield client
    client.close()


@pytest.fixture
def ask(http: Http) -> Ask:
    """Return what judges a gate over a fake that gives these replies to queries, the last one for ever."""

    def judged(*replies: Reply, targets: Reply = TARGETS, gate: Gate = GATE) -> tuple[FakeServer, CheckResult]:
        queue = list(replies)

        def answer(asked: Asked) -> Reply:
            if asked.path.startswith("/api/v1/targets"):
                return targets
            return queue.pop(0) if len(queue) > 1 else queue[0]

        with fake_server(answer) as server:
            return server, Gatherer(Prometheus(server.url + "/", http), TARGET, None, 2000.0).judge(gate)

    return judged


def test_a_sound_answer_passes_and_is_asked_for_at_the_instant(ask: Ask) -> None:
    server, result = ask(FINE)
    assert result.verdict is Verdict.PASSED
    asked = server.asked[-1]
    assert (asked.method, asked.path) == ("POST", "/api/v1/query")
    assert parse_qs(asked.body) == {"query": ["errors"], "time": ["1985.000"]}


# --- the source is not there ---------------------------------------------------------------------------------

STARTING = Reply(b"Service Unavailable", 503, {"Content-Type": "text/plain"})
OVERLOADED = Reply({"status": "error", "errorType": "timeout", "error": "query timed out"}, 503)
BROKEN_OFF = "peer closed connection without sending complete message body (received 10 bytes, expected 20)"
UNREACHABLE = {
    "starting up": (STARTING, "{url}: HTTP 503: Service Unavailable"),
    "overloaded": (OVERLOADED, "{url}: HTTP 503: query timed out"),
    "a gateway's page": (Reply(b"<html>Bad Gateway</html>", 502), "{url}: HTTP 502: <html>Bad Gateway</html>"),
    "hangs": (Reply(hangs=True), "{url}/api/v1/query: timed out"),
    "drips": (Reply(b"[" * 100, drips=True), "{url}/api/v1/query: no complete answer within 0.4 s"),
    "breaks off": (
        Reply(b'{"status":', missing=10),
        "{url}/api/v1/query: " + BROKEN_OFF,
    ),
}


@pytest.mark.parametrize(("reply", "said"), UNREACHABLE.values(), ids=UNREACHABLE)
def test_a_source_that_does_not_answer_judges_nothing(ask: Ask, reply: Reply, said: str) -> None:
    begun = time.monotonic()
    server, result = ask(reply)
    assert (result.verdict, result.reason) == (ERROR, Reason.SOURCE_UNREACHABLE)
    assert result.message == (
        f"Prometheus cannot be asked: {said.format(url=server.url)}; "
        "the system is not judged, mend the source and judge again"
    )
    assert time.monotonic() - begun < 3


@pytest.mark.parametrize("targets", [STARTING, OVERLOADED, Reply(hangs=True)], ids=["text", "JSON", "hangs"])
def test_a_source_that_does_not_tell_its_targets_judges_nothing(ask: Ask, targets: Reply) -> None:
    assert ask(FINE, targets=targets)[1].reason is Reason.SOURCE_UNREACHABLE


@pytest.mark.parametrize("fault", [STARTING, replace(FINE, missing=10)], ids=["503", "broken off"])
def test_a_fault_that_passes_is_asked_again(ask: Ask, fault: Reply) -> None:
    server, result = ask(fault, FINE)
    assert result.verdict is Verdict.PASSED
    assert len(server.asked) == 3


# --- the source refuses --------------------------------------------------------------------------------------

BAD_DATA = {"status": "error", "errorType": "bad_data", "error": "1:5: parse error"}
REFUSED = {
    "parse error": (Reply(BAD_DATA, 400), "HTTP 400: 1:5: parse error"),
    "execution": (Reply({**BAD_DATA, "error": "many-to-many"}, 422), "HTTP 422: many-to-many"),
    "not found": (Reply(b"404 page not found\n", 404), "HTTP 404: 404 page not found"),
    "not allowed": (Reply(b"", 401), "HTTP 401: "),
}


@pytest.mark.parametrize(("reply", "said"), REFUSED.values(), ids=REFUSED)
def test_a_refusal_is_not_asked_again(ask: Ask, reply: Reply, said: str) -> None:
    server, result = ask(reply, FINE)
    assert (result.verdict, result.reason) == (ERROR, Reason.QUERY_REFUSED)
    assert result.message == f"Prometheus refused the query: {server.url}: {said}; mend the plan"
    assert len(server.asked) == 2


# --- the source answers, but not with an answer --------------------------------------------------------------

NOT_AN_ANSWER = {
    "a page": Reply(b"<html>Sign in</html>"),
    "nothing": Reply(b""),
    "half an answer": Reply(FINE.payload[:-10]),
    "a list": Reply([1, 2]),
    "an error with 200": Reply(BAD_DATA),
    "an error with data": Reply({**FINE.body, "status": "error"}),
    "no data": Reply({"status": "success"}),
    "a redirect": Reply(b"", 302, {"Location": "/login"}),
    "a permanent redirect": Reply(b"", 308, {"Location": "/api/v1/query"}),
}


@pytest.mark.parametrize("reply", NOT_AN_ANSWER.values(), ids=NOT_AN_ANSWER)
def test_what_is_not_from_prometheus_is_no_answer(ask: Ask, reply: Reply) -> None:
    server, result = ask(reply)
    assert (result.verdict, result.reason) == (ERROR, Reason.BAD_ANSWER)
    assert result.message == f"{server.url}: not an answer of Prometheus: {reply.payload.decode()[:120]!r}"
    assert len(server.asked) == 2


UNKNOWN_FORMS = {
    "a string": success("string", [1000, "fine"]),
    "streams": success("streams", [{"stream": {}, "values": []}]),
    "no type": Reply({"status": "success", "data": {"result": []}}),
    "data of nothing": Reply({"status": "success", "data": None}),
    "data of a list": Reply({"status": "success", "data": []}),
    "result of nothing": success("vector", None),
    "a histogram": success("vector", [{"metric": {}, "histogram": [1000, {}]}]),
    "a value of a word": success("vector", [{"metric": {}, "value": [1000, "many"]}]),
    "a value of one part": success("vector", [{"metric": {}, "value": [1000]}]),
    "a time of nothing": success("vector", [{"metric": {}, "value": [None, "1"]}]),
    "labels of nothing": success("vector", [{"metric": None, "value": [1000, "1"]}]),
}


@pytest.mark.parametrize("reply", UNKNOWN_FORMS.values(), ids=UNKNOWN_FORMS)
def test_an_answer_of_unknown_form_is_no_answer(ask: Ask, reply: Reply) -> None:
    server, result = ask(reply)
    assert (result.verdict, result.reason) == (ERROR, Reason.BAD_ANSWER)
    assert result.message.startswith(f"{server.url}: an answer of unknown form to 'errors': ")


UNKNOWN_TARGETS: dict[str, Any] = {
    "data of a list": [],
    "data of nothing": None,
    "targets of nothing": {"activeTargets": None},
    "a target of nothing": {"activeTargets": [None]},
    "no labels": {"activeTargets": [{"scrapeInterval": "15s"}]},
    "no interval": {"activeTargets": [{"labels": {}}]},
    "an interval of a number": {"activeTargets": [{"labels": {}, "scrapeInterval": 15}]},
}


@pytest.mark.parametrize("data", UNKNOWN_TARGETS.values(), ids=UNKNOWN_TARGETS)
def test_targets_of_unknown_form_are_no_answer(ask: Ask, data: Any) -> None:
    server, result = ask(FINE, targets=Reply({"status": "success", "data": data}))
    assert (result.verdict, result.reason) == (ERROR, Reason.BAD_ANSWER)
    assert result.message.startswith(f"{server.url}: targets of unknown form: ")


# --- the source warns ----------------------------------------------------------------------------------------

ROW = [{"metric": {}, "value": [1000, "0"]}]
WARNING = "remote_read: connection refused"


@pytest.mark.parametrize("kind", ["warnings", "infos"])
def test_a_warning_means_that_data_may_be_missing(ask: Ask, kind: str) -> None:
    _, result = ask(success("vector", ROW, **{kind: [WARNING, "another"]}))
    assert (result.verdict, result.reason) == (INCONCLUSIVE, Reason.PARTIAL_DATA)
    assert result.message == (
        f"Prometheus warns that data may be missing: {WARNING}; another; mend the source and judge again"
    )


@pytest.mark.parametrize("nothing", [[], None])
def test_no_warning_is_no_warning(ask: Ask, nothing: Any) -> None:
    assert ask(success("vector", ROW, warnings=nothing, infos=nothing))[1].verdict is Verdict.PASSED


@pytest.mark.parametrize("warned", [0, 1], ids=["bad", "total"])
def test_a_warning_about_any_part_of_a_ratio_counts(ask: Ask, warned: int) -> None:
    values = [[1000 + 15 * place, str(90 * place)] for place in range(80)]
    replies = [success("matrix", [{"metric": {}, "values": values}])] * 2
    replies[warned] = success("matrix", [{"metric": {}, "values": values}], warnings=[WARNING])
    assert ask(*replies, gate=RATIO)[1].reason is Reason.PARTIAL_DATA


# --- one instant, one question -------------------------------------------------------------------------------


def test_the_same_question_is_asked_once_until_another_look(http: Http) -> None:
    with fake_server(FINE) as server:
        source = Prometheus(server.url, http)
        for _ in range(3):
            source.query("errors", 1000.0)
        source.query("errors", 1001.0)
        assert len(server.asked) == 2
        source.forget()
        source.query("errors", 1000.0)
        assert len(server.asked) == 3


def test_without_a_prometheus_nothing_is_judged() -> None:
    result = Gatherer(None, TARGET, None, 2000.0).judge(GATE)
    assert (result.verdict, result.reason) == (ERROR, Reason.ENVIRONMENT)
    assert result.message == "environment 'staging' names no prometheus; add it to the plan"


def test_a_prometheus_that_scrapes_nothing_does_not_say_how_much_to_expect(ask: Ask) -> None:
    _, result = ask(FINE, targets=Reply({"status": "success", "data": {"activeTargets": []}}))
    assert (result.verdict, result.reason) == (INCONCLUSIVE, Reason.NO_DATA)
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
