"""How well sources are: their clocks, what they scrape and know, and what they said, said again without them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest

from pytest_rollout.errors import QueryRefused, SourceError, SourceUnreachable
from pytest_rollout.judge.samples import Series
from pytest_rollout.sources.flags import FlagReader
from pytest_rollout.sources.http import Answer, Http, Transport
from pytest_rollout.sources.prometheus import Found, Prometheus, ScrapeTarget
from pytest_rollout.sources.recording import Recorded, Recording, Replayed
from sandbox.components import Component, Job, ScrapeConfig, start_prometheus
from tests.sources.fakes import Reply, fake_server

EMPTY = json.dumps({"status": "success", "data": {"resultType": "vector", "result": []}})
FLAG = json.dumps({"key": "READS", "value": True, "reason": "STATIC"})
HERE = "http://me:secret@prom:9090/base"
SHOWN = "http://prom:9090/base"


class Given:
    """A transport that gives what a test says, in turn, the last one for ever; ``asked`` are the questions."""

    def __init__(self, *given: Answer | SourceError) -> None:
        self.given, self.asked = list(given), list[tuple[str, str, Any]]()

    def __call__(self, method: str, url: str, /, *, form: Mapping[str, str] | None = None, json: Any = None) -> Answer:
        self.asked.append((method, url, form or json))
        given = self.given.pop(0) if len(self.given) > 1 else self.given[0]
        if isinstance(given, SourceError):
            raise given
        return given


@pytest.fixture(autouse=True)
def _no_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    for source in ("prometheus", "flags"):
        monkeypatch.setattr(f"pytest_rollout.sources.{source}._RETRY_BUDGET", 0.0)


@pytest.fixture(scope="module")
def http() -> Iterator[Http]:
    client = Http(5.0)
    yield client
    client.close()


def said(data: Any) -> Answer:
    return Answer(200, json.dumps({"status": "success", "data": data}))


# --- the clock -----------------------------------------------------------------------------------------------

CLOCKS = {
    "untold": ([None], None),
    "the same": ([0.4], 0.0),
    "ahead": ([30.0], 29.0),
    "behind": ([-30.0], -29.0),
    "the largest": ([3.0, -30.0, 20.0], -29.0),
    "one untold": ([None, 3.0, None], 2.0),
}


@pytest.mark.parametrize(("skews", "sure"), CLOCKS.values(), ids=CLOCKS)
def test_the_largest_skew_of_all_answers_counts(skews: list[float | None], sure: float | None) -> None:
    source = Prometheus(HERE, Given(*(Answer(200, EMPTY, skew) for skew in skews)))
    assert source.skew() is None
    for at in range(len(skews)):
        source.query("up", at)
    assert source.skew() == sure
    source.forget()
    assert source.skew() is None


@pytest.mark.parametrize(("skews", "sure"), CLOCKS.values(), ids=CLOCKS)
def test_the_largest_skew_of_all_flags_counts(skews: list[float | None], sure: float | None) -> None:
    flags = FlagReader(HERE, Given(*(Answer(200, FLAG, skew) for skew in skews)))
    assert flags.skew() is None
    for _ in skews:
        assert flags.read("READS", "*").fault == ""
    assert flags.skew() == sure
    flags.forget()
    assert flags.skew() is None


def test_a_refusal_tells_the_time_too() -> None:
    source = Prometheus(HERE, Given(Answer(400, "", 30.0)))
    with pytest.raises(QueryRefused):
        source.query("up", 0)
    assert source.skew() == 29.0


def test_the_round_trip_is_not_skew() -> None:
    source = Prometheus(HERE, Given(Answer(200, EMPTY, 4.0, took=4.0)))
    source.query("up", 0)
    assert source.skew() == 1.0


def test_the_clock_of_a_source_is_read_from_its_answers() -> None:
    client = Http(5.0, wall=lambda: time.time() + 3600)
    with fake_server(Reply(json.loads(EMPTY))) as server:
        source = Prometheus(server.url, client)
        source.query("up", 0)
    client.close()
    assert source.skew() == pytest.approx(-3600, abs=2)


# --- questions -----------------------------------------------------------------------------------------------


def test_a_range_is_asked_for_with_its_step(http: Http) -> None:
    result = [{"metric": {"a": "b"}, "values": [[10, "1"], [15.5, "2"]]}]
    reply = Reply({"status": "success", "data": {"resultType": "matrix", "result": result}, "warnings": ["w"]})
    with fake_server(reply) as server:
        found = Prometheus(server.url, http).query_range("sum(x)", 10.0004, 20, 5.5)
    assert found == Found((Series({"a": "b"}, ((10.0, 1.0), (15.5, 2.0))),), ("w",))
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("POST", "/api/v1/query_range")
    expected = {"query": ["sum(x)"], "start": ["10.000"], "end": ["20.000"], "step": ["5.500"]}
    assert parse_qs(asked.body) == expected


def test_a_range_that_is_a_vector_is_no_range() -> None:
    with pytest.raises(SourceError) as refused:
        Prometheus(HERE, Given(Answer(200, EMPTY))).query_range("sum(x)", 0, 1, 1)
    assert str(refused.value) == (
        f"{SHOWN}: an answer of unknown form to 'sum(x)': a result of type 'vector' came, matrix was asked for"
    )


MATRIX = said({"resultType": "matrix", "result": []})
VECTOR = Answer(200, EMPTY)
QUESTIONS: dict[str, tuple[Any, Answer]] = {
    "query": (lambda p: p.query("x", 1), VECTOR),
    "raw": (lambda p: p.raw("x", 60, 1), MATRIX),
    "query_range": (lambda p: p.query_range("x", 1, 2, 1), MATRIX),
    "targets": (lambda p: p.targets(), said({"activeTargets": []})),
    "scrape_intervals": (lambda p: p.scrape_intervals(), said({"activeTargets": []})),
    "exporters": (lambda p: p.exporters("x"), said([])),
    "metric_type": (lambda p: p.metric_type("x"), said({})),
    "metric_names": (lambda p: p.metric_names(), said([])),
    "retention": (lambda p: p.retention(), said({"storageRetention": ""})),
}


@pytest.mark.parametrize(("question", "answer"), QUESTIONS.values(), ids=QUESTIONS)
def test_the_same_question_is_asked_once_until_another_look(question: Any, answer: Answer) -> None:
    given = Given(answer)
    source = Prometheus(HERE, given)
    assert question(source) == question(source)
    assert len(given.asked) == 1
    source.forget()
    question(source)
    assert len(given.asked) == 2


def test_another_question_is_asked() -> None:
    given = Given(VECTOR)
    source = Prometheus(HERE, given)
    for expression, at in (("x", 1), ("x", 2), ("y", 1)):
        source.query(expression, at)
    assert len(given.asked) == 3


def test_a_fault_is_kept_until_the_next_look() -> None:
    source = Prometheus(HERE, Given(SourceUnreachable("down"), VECTOR))
    for _ in range(2):
        with pytest.raises(SourceUnreachable, match=r"^down$"):
            source.query("x", 1)
    source.forget()
    assert source.query("x", 1) == Found(())


def test_targets_and_intervals_are_one_question() -> None:
    labels: tuple[dict[str, str], ...] = (
        {"job": "a", "instance": "1"},
        {"job": "a", "instance": "2"},
        {"job": "b"},
        {},
    )
    intervals = ("1m30s", "15s", "1d", "500ms")
    more: tuple[dict[str, str], ...] = (
        {"health": "up", "lastError": ""},
        {"health": "down", "lastError": "refused"},
        {},
        {},
    )
    told = [
        {"labels": label, "scrapeInterval": interval, **one}
        for label, interval, one in zip(labels, intervals, more, strict=True)
    ]
    given = Given(said({"activeTargets": told}))
    source = Prometheus(HERE, given)
    assert source.targets() == (
        ScrapeTarget("a", "1", 90.0, "up"),
        ScrapeTarget("a", "2", 15.0, "down"),
        ScrapeTarget("b", "", 86400.0, "unknown"),
        ScrapeTarget("", "", 0.5, "unknown"),
    )
    assert source.scrape_intervals() == {"a": 90.0, "b": 86400.0, "": 0.5}
    assert [url for _, url, _ in given.asked] == [f"{HERE}/api/v1/targets?state=active"]


FAMILIES = {
    "x": ["x"],
    "x_total": ["x_total", "x"],
    "x_bucket": ["x_bucket", "x"],
    "x_count": ["x_count", "x"],
    "x_sum": ["x_sum", "x"],
    "x_count_total": ["x_count_total", "x_count"],
    "_total": ["_total"],
    "a&b": ["a%26b"],
    "": [],
}


@pytest.mark.parametrize(("metric", "families"), FAMILIES.items(), ids=FAMILIES)
def test_a_metric_is_looked_up_by_its_names(metric: str, families: list[str]) -> None:
    given = Given(said([]))
    assert Prometheus(HERE, given).exporters(metric) == frozenset()
    assert [url for _, url, _ in given.asked] == [
        f"{HERE}/api/v1/targets/metadata?metric={family}" for family in families
    ]


def exporter(instance: str, kind: str) -> dict[str, Any]:
    return {"target": {"job": "a", "instance": instance}, "type": kind}


@pytest.mark.parametrize(
    ("metric", "kind", "known"),
    [
        ("x_total", "counter", True),
        ("x_total", "gauge", False),
        ("x_bucket", "histogram", True),
        ("x_bucket", "gaugehistogram", True),
        ("x_bucket", "summary", False),
        ("x_count", "histogram", True),
        ("x_count", "summary", True),
        ("x_count", "counter", False),
        ("x_sum", "summary", True),
        ("x_sum", "gauge", False),
    ],
)
def test_a_family_of_another_type_is_another_metric(metric: str, kind: str, *, known: bool) -> None:
    own, base = said([exporter("1", "unknown")]), said([exporter("2", kind)])
    found = {("a", "1"), ("a", "2")} if known else {("a", "1")}
    assert Prometheus(HERE, Given(own, base)).exporters(metric) == found
    assert Prometheus(HERE, Given(said({}), said({"x": [{"type": kind}]}))).metric_type(metric) == (
        kind if known else None
    )


@pytest.mark.parametrize("names", [("x", "x_total"), ("x_total", "x")], ids=" then ".join)
def test_who_was_asked_for_one_name_may_be_asked_for_another(names: tuple[str, str]) -> None:
    class Gauge(Given):
        def __call__(self, method: str, url: str, /, **more: Any) -> Answer:
            super().__call__(method, url, **more)
            here = url.endswith("metric=x")
            return (
                said([exporter("1", "gauge")] if here else [])
                if "targets" in url
                else said({"x": [{"type": "gauge"}]} if here else {})
            )

    given = Gauge(VECTOR)
    source = Prometheus(HERE, given)
    assert {name: source.exporters(name) for name in names} == {"x": {("a", "1")}, "x_total": frozenset()}
    assert {name: source.metric_type(name) for name in names} == {"x": "gauge", "x_total": None}
    assert len(given.asked) == 4


def test_targets_that_disagree_on_a_type_do_not_tell_it() -> None:
    both = said({"x": [{"type": "gauge"}, {"type": "counter"}]})
    assert Prometheus(HERE, Given(both)).metric_type("x") is None
    agreed = said({"x": [{"type": "gauge"}, {"type": "gauge", "help": "h"}]})
    assert Prometheus(HERE, Given(agreed)).metric_type("x") == "gauge"


def test_names_may_be_those_that_match() -> None:
    given = Given(said(["a", "b"]))
    assert Prometheus(HERE, given).metric_names('{job="x"}') == {"a", "b"}
    assert given.asked[0][1] == f"{HERE}/api/v1/label/__name__/values?match[]=%7Bjob%3D%22x%22%7D"


DAY = 86400.0
RETENTIONS = {
    "15d": 15 * DAY,
    "2w": 14 * DAY,
    "1y": 365 * DAY,
    "1d12h": 1.5 * DAY,
    "30d or 5GiB": 30 * DAY,
    "5GiB": None,
    "512B": None,
    "0s": None,
    "0": None,
    "": None,
}


@pytest.mark.parametrize(("told", "seconds"), RETENTIONS.items(), ids=repr)
def test_retention_is_for_some_time_or_without_limit(told: str, seconds: float | None) -> None:
    given = Given(said({"storageRetention": told}))
    assert Prometheus(HERE, given).retention() == seconds


# --- a real Prometheus ---------------------------------------------------------------------------------------

TEXT = b"""# TYPE text_total counter
# TYPE text_seconds histogram
text_seconds_bucket{le="+Inf"} 1
text_seconds_sum 1
text_seconds_count 1
"""
OPEN = b"""# TYPE open counter
# TYPE gauge gauge
gauge 5
# EOF
"""
OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class Exposition(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        kind, body = (OPEN_METRICS, OPEN) if self.path == "/open" else ("text/plain; version=0.0.4", TEXT)
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def exposed() -> Iterator[str]:
    """Return host:port of a server of two expositions, in which no counter has a child yet."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Exposition)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def scraping(tmp_path_factory: pytest.TempPathFactory, exposed: str) -> Iterator[Component]:
    jobs = (Job("text", exposed), Job("open", exposed, "/open"), Job("gone", "127.0.0.1:9"))
    with start_prometheus(tmp_path_factory.mktemp("scraping"), scrape=ScrapeConfig(jobs, interval=0.5)) as component:
        until = time.monotonic() + 20
        client = Http()
        while not _scraped(Prometheus(component.url, client)) and time.monotonic() < until:
            time.sleep(0.05)
        client.close()
        yield component


def _scraped(source: Prometheus) -> bool:
    health = [one.health for one in source.targets()]
    return len(health) == 3 and "unknown" not in health


def test_who_exports_a_metric_without_series_is_known(scraping: Component, exposed: str, http: Http) -> None:
    source = Prometheus(scraping.url, http)
    for metric in ("text_total", "text_seconds", "text_seconds_bucket", "text_seconds_count", "text_seconds_sum"):
        assert source.exporters(metric) == {("text", exposed)}, metric
    for metric in ("open", "open_total", "gauge"):
        assert source.exporters(metric) == {("open", exposed)}, metric
    for metric in ("text", "gauge_total", "nothing"):
        assert source.exporters(metric) == frozenset(), metric


def test_types_and_names_are_known(scraping: Component, http: Http) -> None:
    source = Prometheus(scraping.url, http)
    types = {
        "text_total": "counter",
        "open_total": "counter",
        "open": "counter",
        "text_seconds_bucket": "histogram",
        "gauge": "gauge",
        "nothing": None,
    }
    assert {name: source.metric_type(name) for name in types} == types
    assert {"up", "gauge", "text_seconds_bucket"} <= source.metric_names()
    assert "text_total" not in source.metric_names()
    assert source.metric_names('up{job="gone"}') == {"up"}
    assert source.metric_names("nothing") == frozenset()


def test_targets_tell_their_health(scraping: Component, exposed: str, http: Http) -> None:
    source = Prometheus(scraping.url, http)
    targets = {one.job: one for one in source.targets()}
    assert targets["text"] == ScrapeTarget("text", exposed, 0.5, "up")
    assert (targets["gone"].health, targets["gone"].interval) == ("down", 0.5)
    assert source.scrape_intervals() == {"text": 0.5, "open": 0.5, "gone": 0.5}


def test_retention_and_clock_of_a_real_one(scraping: Component, http: Http) -> None:
    source = Prometheus(scraping.url, http)
    assert source.retention() == 30 * DAY
    assert source.skew() == 0.0


def test_a_range_of_a_real_one(scraping: Component, http: Http) -> None:
    source, now = Prometheus(scraping.url, http), 1_700_000_000.0
    found = source.query_range("vector(7)", now, now + 1, 0.25)
    assert found == Found((Series({}, tuple((now + step / 4, 7.0) for step in range(5))),))
    with pytest.raises(QueryRefused, match=r"exceeded maximum resolution of 11,000 points"):
        source.query_range("vector(7)", now, now + 11_001, 1)


# --- recording and replay ------------------------------------------------------------------------------------

ANSWER = Answer(200, EMPTY, 30.25, 0.5, 7.0)


def questions(http: Transport, base: str) -> list[Any]:
    """Return what a source at a base says to several questions, faults as their texts."""
    source, flags = Prometheus(base, http), FlagReader(f"{base}/", http)
    asked = (
        lambda: source.query("up", 1),
        lambda: source.query("up", 2),
        source.targets,
        lambda: flags.read("READS", "a"),
        lambda: flags.read("READS", "b"),
    )
    return [*(_tried(one) for one in asked), source.skew(), flags.skew()]


def _tried(ask: Any) -> Any:
    try:
        return ask()
    except SourceError as exc:
        return (isinstance(exc, SourceUnreachable), isinstance(exc, QueryRefused)), str(exc)


GIVEN = {
    "answers": [ANSWER, ANSWER, said({"activeTargets": []}), Answer(200, FLAG, -5.0), Answer(200, FLAG)],
    "refusals": [Answer(400, "no"), Answer(422, "no"), Answer(404, "no"), Answer(401, ""), Answer(302, "")],
    "faults": [Answer(500, "no"), Answer(429, "no"), SourceUnreachable(f"{SHOWN}/x: down"), Answer(503, "")],
    "too large": [SourceError(f"{SHOWN}/api/v1/query: too large")],
}


@pytest.mark.parametrize("given", GIVEN.values(), ids=GIVEN)
def test_a_recording_says_the_same_again(given: list[Answer | SourceError]) -> None:
    recording = Recording(Given(*given), HERE)
    live = questions(recording, HERE)
    text = json.dumps(recording.dump())
    assert "secret" not in text
    assert "prom:9090" not in text
    assert questions(Replayed(json.loads(text), HERE), HERE) == live
    elsewhere = questions(Replayed(json.loads(text), "http://elsewhere/"), "http://elsewhere")
    assert repr(elsewhere).replace("http://elsewhere", SHOWN) == repr(live)


def test_a_recording_holds_what_was_asked_and_answered() -> None:
    recording = Recording(Given(ANSWER, SourceUnreachable(f"{SHOWN}/a: down")), HERE + "/")
    recording("POST", f"{HERE}/api/v1/query", form={"time": "1", "query": "up"})
    with pytest.raises(SourceUnreachable):
        recording("POST", f"{HERE}/a?b=c", json={"x": [1]})
    assert recording.dump() == [
        {
            "method": "POST",
            "path": "/api/v1/query",
            "form": {"query": "up", "time": "1"},
            "status": 200,
            "text": EMPTY,
            "skew": 30.25,
            "took": 0.5,
        },
        {
            "method": "POST",
            "path": "/a?b=c",
            "form": {},
            "json": {"x": [1]},
            "fault": "/a: down",
            "unreachable": True,
        },
    ]
    recording.clear()
    assert recording.dump() == []


def test_the_last_answer_to_a_question_counts() -> None:
    recording = Recording(
        Given(SourceUnreachable("down"), Answer(503, ""), Answer(200, "first"), Answer(200, "last")), "http://p"
    )
    for _ in range(2):
        _tried(lambda: recording("GET", "http://p/x"))
        replayed = Replayed(recording.dump(), "http://p")
    assert replayed("GET", "http://p/x").status == 503
    for _ in range(2):
        recording("GET", "http://p/x")
    assert [one["text"] for one in recording.dump()] == ["last"]


def test_a_dump_is_a_copy() -> None:
    recording = Recording(Given(ANSWER), "http://p")
    recording("GET", "http://p/x", form={"a": "b"})
    recording.dump()[0]["form"].clear()
    assert recording.dump()[0]["form"] == {"a": "b"}


UNASKED: dict[str, dict[str, Any]] = {
    "method": {"method": "POST"},
    "path": {"path": "/y?a=b"},
    "query": {"path": "/x?a=c"},
    "form": {"form": {"q": "2"}},
    "more form": {"form": {"q": "1", "r": "1"}},
    "no form": {"form": None},
    "json": {"json": 1},
}


@pytest.mark.parametrize("other", UNASKED.values(), ids=UNASKED)
def test_what_was_not_asked_is_not_in_the_recording(other: dict[str, Any]) -> None:
    asked: dict[str, Any] = {"method": "GET", "path": "/x?a=b", "form": {"q": "1"}, "json": None}
    replayed = Replayed([{**asked, "status": 200, "text": "t", "skew": None}], HERE)
    assert replayed("GET", f"{HERE}/x?a=b", form={"q": "1"}).text == "t"
    one = {**asked, **other}
    with pytest.raises(SourceUnreachable) as refused:
        replayed(one["method"], HERE + one["path"], form=one["form"], json=one["json"])
    form = "".join(f" {name}={value}" for name, value in (one["form"] or {}).items())
    assert str(refused.value) == f"{SHOWN}: {one['method']} {one['path']}{form} is not in the recording"


def test_a_replay_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_rollout.sources.prometheus._RETRY_BUDGET", 60.0)
    recorded: list[Recorded] = [
        {"method": "GET", "path": "/api/v1/targets?state=active", "form": {}, "status": 503, "text": "starting"},
        {"method": "GET", "path": "/api/v1/status/runtimeinfo", "form": {}, "fault": ": down", "unreachable": True},
    ]
    source = Prometheus(HERE, Replayed(recorded, HERE))
    begun = time.monotonic()
    assert [_tried(one)[1] for one in (source.targets, source.retention, source.metric_names)] == [
        f"{SHOWN}: HTTP 503: starting",
        f"{SHOWN}: down",
        f"{SHOWN}: GET /api/v1/label/__name__/values is not in the recording",
    ]
    assert time.monotonic() - begun < 1


@pytest.mark.parametrize("url", ["http://q/x", "http://prom:9090/base/x", f"{HERE}x", HERE])
def test_another_place_is_neither_recorded_nor_replayed(url: str) -> None:
    for transport in (Recording(Given(ANSWER), HERE), Replayed([], HERE)):
        with pytest.raises(ValueError, match=r" is not below http://prom:9090/base$") as refused:
            transport("GET", url)
        assert "secret" not in str(refused.value)


def test_a_real_source_is_recorded_and_replayed(scraping: Component, http: Http) -> None:
    recording = Recording(http, scraping.url)
    source = Prometheus(scraping.url, recording)
    now = time.time()
    live = (source.raw("up", 10, now), source.targets(), source.exporters("open_total"), source.skew())
    again = Prometheus("http://nowhere", Replayed(json.loads(json.dumps(recording.dump())), "http://nowhere"))
    assert (again.raw("up", 10, now), again.targets(), again.exporters("open_total"), again.skew()) == live
    assert live[0].series
