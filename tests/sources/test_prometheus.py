"""Gates over a real Prometheus: what it says of a quiet half hour, of broken sources, and of what it scrapes itself."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from pytest_rollout.gathering.gatherer import Gatherer
from pytest_rollout.plan.gates import Gate
from pytest_rollout.sources.http import Http
from pytest_rollout.sources.prometheus import Prometheus
from pytest_rollout.verdict import CheckResult, Reason
from sandbox.components import Component, Job, ScrapeConfig, request, start_prometheus
from tests.sources.past import (
    BAD,
    BREACHED,
    COUNTER,
    ERROR,
    GOOD,
    INCONCLUSIVE,
    LENGTH,
    PASSED,
    QUANTILE,
    RATIO,
    ROLLBACKS,
    STEP,
    TARGET,
    Past,
    born,
    buckets,
    once,
    ramp,
)

STARTED = time.time() - 9000


class Exposition:
    """A process that exposes what a test lets it: a body, or nothing but an error."""

    def __init__(self) -> None:
        self.began: float = STARTED
        self.healthy = True
        self.requests = 0
        handler = type("Handler", (_Handler,), {"process": self})
        self._httpd = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._httpd.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def target(self) -> str:
        """Where it is scraped."""
        return f"127.0.0.1:{self._httpd.server_port}"

    def exposed(self) -> str:
        """Return what it says of itself: a counter with a child, and one without."""
        self.requests += 100
        return (
            f"# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds {self.began}\n"
            f'# TYPE req_total counter\nreq_total{{code="200"}} {self.requests}\n'
            "# HELP rollbacks_total Rollbacks by reason.\n# TYPE rollbacks_total counter\n"
        )

    def close(self) -> None:
        """Expose no more."""
        self._httpd.shutdown()
        self._httpd.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    process: Exposition

    def do_GET(self) -> None:
        body = self.process.exposed().encode() if self.process.healthy else b""
        self.send_response(200 if self.process.healthy else 500)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


OVER = 6.0
"""Seconds that the gates over scraped processes ask about."""


@dataclass
class Scraped:
    """A Prometheus that scrapes three processes every second, and the instant at which it is judged."""

    component: Component
    processes: Mapping[str, Exposition]
    http: Http
    now: float = 0.0
    _source: list[Prometheus] = field(default_factory=list)

    def await_history(self) -> None:
        """Let the processes do what they do, and return once it lies in a window (about 12 s after the start)."""
        source = Prometheus(self.component.url, self.http)
        begun = self._scraped_since(source)
        time.sleep(max(begun + OVER / 2 - time.time(), 0))
        self.processes["restarted"].began = time.time()
        self.processes["down"].healthy = False
        self._source.append(source)
        time.sleep(max(begun + OVER + 3.5 - time.time(), 0))
        self.now = time.time()

    @staticmethod
    def _scraped_since(source: Prometheus) -> float:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            source.forget()
            found = source.query("req_total", time.time()).series
            if len(found) == 3:
                return time.time()
            time.sleep(0.1)
        raise AssertionError("nothing was scraped for 20 s")

    def judged(self, gate: Mapping[str, Any]) -> CheckResult:
        """Return the verdict at the one instant."""
        target = replace(TARGET, scrape_interval=None)
        self._source[0].forget()
        gatherer = Gatherer(self._source[0], target, None, self.now)
        return gatherer.judge(Gate.model_validate({"id": "g", "over": f"{OVER:g}s", **gate}))


@pytest.fixture(scope="module", autouse=True)
def scraped(tmp_path_factory: pytest.TempPathFactory, http: Http) -> Iterator[Scraped]:
    """Start it before the first test, so that the last ones need not wait for long."""
    processes = {name: Exposition() for name in ("quiet", "restarted", "down")}
    jobs = tuple(Job(name, process.target) for name, process in processes.items())
    with start_prometheus(tmp_path_factory.mktemp("scraped"), scrape=ScrapeConfig(jobs, interval=1)) as component:
        yield Scraped(component, processes, http)
    for process in processes.values():
        process.close()


# --- half an hour of even traffic ----------------------------------------------------------------------------


def test_requests_are_counted_exactly(past: Past) -> None:
    past.write((GOOD, ramp(50, base=1e6)), (BAD, [300 + place // 10 for place in range(123)]))
    result = past.judged(RATIO)
    assert (result.verdict, result.samples, result.derivation["bad"]) == (PASSED, 6012, 12)
    assert result.window == (past.start, past.start + LENGTH)
    assert result.message == (
        "12 bad requests of 6,012; with 95 % confidence the share lies in 0.103-0.348 %, the limit is 0.5 %"
    )
    assert past.judged({**RATIO, "below": "0.1%"}).verdict is BREACHED


def test_bad_requests_that_came_together_may_be_one_event(past: Past) -> None:
    past.write((GOOD, ramp(50, base=1e6)), (BAD, once(12, base=300)))
    result = past.judged(RATIO)
    assert (result.verdict, result.reason) == (INCONCLUSIVE, Reason.TOO_FEW_SAMPLES)
    assert result.derivation["largest_burst"] == 12
    assert "; 12 of them came together and may be one event; needs " in result.message


def test_absent_bad_requests_are_none(past: Past) -> None:
    past.write((GOOD, ramp(50)))
    assert past.judged(RATIO).verdict is PASSED


def test_what_was_before_the_flip_is_not_counted(past: Past) -> None:
    past.write((GOOD, ramp(50)), (BAD, once(60, at=20)))
    result = past.judged(RATIO, since=600)
    assert (result.verdict, result.reason) == (INCONCLUSIVE, Reason.WINDOW_NOT_ELAPSED)
    assert (result.samples, result.derivation["bad"], result.ready_in) == (80 * 50, 0, 600)
    assert past.judged(RATIO, since=-600).verdict is BREACHED


@pytest.mark.parametrize("since", [LENGTH, LENGTH + 1, LENGTH + 3600])
def test_just_after_the_flip_nothing_is_judged(past: Past, since: float) -> None:
    past.write((GOOD, ramp(50)))
    result = past.judged(RATIO, since=since)
    assert (result.verdict, result.reason, result.ready_in) == (INCONCLUSIVE, Reason.WINDOW_NOT_ELAPSED, LENGTH)
    assert result.message == "the flip was just now; decides in about 30 min"


def test_an_event_that_increase_does_not_see_is_seen(past: Past) -> None:
    past.write((ROLLBACKS, born(1)))
    assert past.value("sum(increase(rollbacks_total[30m]))") == 0
    result = past.judged(COUNTER)
    assert (result.verdict, result.reason, result.value) == (BREACHED, Reason.LIMIT_BREACHED, 1.0)
    assert result.derivation["rises"] == [
        {"after": None, "at": past.start + 59 * STEP, "by": 1.0, "labels": ROLLBACKS, "surely": True}
    ]


@pytest.mark.parametrize("later", [1.0, 7.0, 14.0])
def test_between_two_scrapes_the_sample_before_the_window_is_known(past: Past, later: float) -> None:
    past.write((ROLLBACKS, ramp(0, base=7)))
    past.now += later
    assert past.judged(COUNTER).verdict is PASSED


@pytest.mark.parametrize("gate", [RATIO, COUNTER, QUANTILE, {"promql": "sum(req)", "below": 5}])
def test_a_metric_of_another_name_is_no_data(past: Past, gate: dict[str, Any]) -> None:
    past.write(({**GOOD, "__name__": "requests_total"}, ramp(50)))
    result = past.judged(gate)
    assert (result.verdict, result.reason) == (INCONCLUSIVE, Reason.NO_DATA)


def test_a_label_of_another_name_is_unknown(past: Past) -> None:
    past.write(({"__name__": "req", "job": "shop", "status": "500"}, ramp(50)))
    said = "no series of 'total' has the label 'code' that tells what is bad; labels there: __name__, job, status"
    assert past.said(RATIO) == (INCONCLUSIVE, Reason.UNKNOWN_LABEL, said)


def test_no_traffic_is_not_a_number(past: Past) -> None:
    past.write((GOOD, ramp(0)))
    idle = {"promql": "sum(rate(req[$window])) / sum(rate(req[$window]))", "at_most": 5, "over": "30m"}
    said = "the query gave nan; often this is 0/0, no traffic"
    assert past.said(idle) == (INCONCLUSIVE, Reason.NOT_A_NUMBER, said)
    nothing = "the series exist, but nothing was counted in the window; is there traffic?"
    assert past.said(RATIO) == (INCONCLUSIVE, Reason.NO_DATA, nothing)


def test_a_bare_value_sees_the_window_it_asks_for(past: Past) -> None:
    past.write((GOOD, ramp(50)))
    gate = {"promql": "count(count_over_time(req[$window]) > 119)", "at_least": 1, "over": "30m"}
    assert past.judged(gate).verdict is PASSED
    assert past.judged(gate, since=600).reason is Reason.WINDOW_NOT_ELAPSED
    assert past.judged({"promql": "scalar(req)", "below": 5}).verdict is BREACHED
    assert past.judged({"promql": "time() - timestamp(req)", "at_most": 0}).verdict is PASSED


def test_several_series_are_not_one_value(past: Past) -> None:
    past.write((GOOD, ramp(50)), (BAD, ramp(0)))
    assert past.judged({"promql": "req", "below": 5}).reason is Reason.SEVERAL_SERIES


def test_a_quantile_agrees_with_prometheus(past: Past) -> None:
    past.write(*buckets({"0.05": 80, "0.1": 98, "0.25": 100, "+Inf": 100}))
    result = past.judged(QUANTILE)
    own = past.value("histogram_quantile(0.95, sum by (le) (rate(lat_bucket[30m])))")
    assert (result.verdict, result.samples) == (PASSED, 12_000)
    assert result.value == pytest.approx(own, rel=1e-3)


# --- what is wrong with the source ---------------------------------------------------------------------------


def test_a_query_that_prometheus_refuses_is_a_fault_of_the_plan(past: Past) -> None:
    past.write((GOOD, ramp(50)), (BAD, ramp(0)))
    verdict, reason, said = past.said({"promql": "req * on(job) req", "below": 5})
    assert (verdict, reason) == (ERROR, Reason.QUERY_REFUSED)
    assert said.startswith(
        f"Prometheus refused the query: {past.url}: HTTP 422: found duplicate series for the match group"
    )
    assert said.endswith("; mend the plan")


def test_without_scrapes_and_a_given_interval_nothing_is_judged(past: Past) -> None:
    past.bent.targets.clear()
    gatherer = Gatherer(past.prometheus, replace(TARGET, scrape_interval=None), None, past.now)
    result = gatherer.judge(Gate.model_validate({"id": "g", **RATIO}))
    assert (result.verdict, result.reason) == (INCONCLUSIVE, Reason.NO_DATA)
    assert result.message == (
        "Prometheus scrapes nothing and the environment gives no scrape_interval, so it is not known how many "
        "samples there should be"
    )


def test_a_storage_that_cannot_be_read_makes_every_answer_partial(
    tmp_path_factory: pytest.TempPathFactory, http: Http
) -> None:
    with start_prometheus(tmp_path_factory.mktemp("partial")) as component:
        config = json.loads((component.log.parent / "prometheus.yml").read_text())
        config["remote_read"] = [{"url": "http://127.0.0.1:9/read", "read_recent": True}]
        past = Past(component.url, http, 1_700_000_000.0)
        past.write((GOOD, ramp(50)), (ROLLBACKS, ramp(0)), *buckets({"0.05": 49, "0.1": 50, "+Inf": 50}))
        (component.log.parent / "prometheus.yml").write_text(json.dumps(config))
        request(f"{component.url}/-/reload", method="POST")
        bare = {"promql": "sum(rate(req[$window]))", "below": 5, "over": "30m"}
        for gate in (RATIO, COUNTER, QUANTILE, bare):
            verdict, reason, said = past.said(gate)
            assert (verdict, reason) == (INCONCLUSIVE, Reason.PARTIAL_DATA)
            assert said.startswith("Prometheus warns that data may be missing: remote_read: ")
            assert said.endswith("connection refused; mend the source and judge again")
            allowed = past.judged({**gate, "warnings": "allow"})
            assert allowed.verdict is PASSED
            assert [note.partition(":")[0] for note in allowed.derivation["warnings"]] == ["remote_read"]


# --- what it scrapes itself; the slow ones, side by side -----------------------------------------------------


def test_what_is_scraped_is_told_as_it_is(scraped: Scraped, monkeypatch: pytest.MonkeyPatch) -> None:
    scraped.await_history()
    never_born = {"counter": {"of": 'rollbacks_total{job="%s"}'}, "at_most": 0}
    requests = {"ratio": {"bad": 'req_total{job="%s",code="500"}', "total": 'req_total{job="%s"}'}, "below": "5%"}

    def judged(gate: dict[str, Any], job: str) -> CheckResult:
        return scraped.judged(json.loads(json.dumps(gate).replace("%s", job)))

    quiet = judged(requests, "quiet")
    assert quiet.verdict is PASSED
    assert quiet.samples in {500, 600}  # as the window lies between two scrapes, or at one
    # Only metadata tells that the counter is exported, and of which job, nobody knows from a selector: all three are.
    everywhere = judged({"counter": {"of": "rollbacks_total"}, "at_most": 0}, "")
    assert (everywhere.verdict, everywhere.reason) == (INCONCLUSIVE, Reason.RESTART)
    assert judged({"counter": {"of": "rollback_total"}, "at_most": 0}, "").reason is Reason.NO_DATA

    restarted = judged(requests, "restarted")
    assert (restarted.verdict, restarted.reason) == (INCONCLUSIVE, Reason.RESTART)
    place = scraped.processes["restarted"].target
    assert restarted.message.startswith(f"restarted/{place} restarted inside the window")
    assert judged({**requests, "restarts": "ignore"}, "restarted").verdict is PASSED

    down = judged(requests, "down")
    assert (down.verdict, down.reason) == (INCONCLUSIVE, Reason.COVERAGE)
    assert down.message.startswith(f"no scrape of down/{scraped.processes['down'].target} for ")
    assert judged(never_born, "quiet").verdict is PASSED

    monkeypatch.setattr("pytest_rollout.sources.prometheus._RETRY_BUDGET", 0.3)
    url = scraped.component.url
    assert Prometheus(url, scraped.http).scrape_intervals() == dict.fromkeys(scraped.processes, 1.0)
    scraped.component.stop()
    gone = judged(requests, "quiet")
    assert (gone.verdict, gone.reason) == (ERROR, Reason.SOURCE_UNREACHABLE)
    assert gone.message == (
        f"Prometheus cannot be asked: {url}/api/v1/targets: [Errno 111] Connection refused; "
        "the system is not judged, mend the source and judge again"
    )
