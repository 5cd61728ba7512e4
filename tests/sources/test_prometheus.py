"""Gates over a real Prometheus, filled by remote write at times of its own."""

from __future__ import annotations

import math
import struct
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from pytest_rollout.gather import Gatherer
from pytest_rollout.plan.gates import Gate
from pytest_rollout.sources.http import Http
from pytest_rollout.sources.prometheus import Prometheus
from pytest_rollout.target import Target
from pytest_rollout.verdict import CheckResult, Reason, Verdict
from sandbox.components import Component, Job, ScrapeConfig, start_prometheus
from sandbox.remote_write import remote_write

STEP = 15.0
LENGTH = 1800.0
SCRAPES = 122
"""One before the window, one at its start, 120 in it."""
STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
"""What Prometheus writes when a scrape fails."""
PASSED, BREACHED, INCONCLUSIVE, ERROR = Verdict

TARGET = Target(
    environment="staging",
    url="http://shop",
    prometheus=None,
    pushgateway=None,
    flags_url=None,
    flags_token=None,
    time_scale=1.0,
    wait=0.0,
    scrape_interval=STEP,
    rehearsal=(),
)
RATIO = {"ratio": {"bad": 'req{job="shop",code="500"}', "total": 'req{job="shop"}'}, "below": "0.5%", "over": "30m"}
COUNTER = {"counter": {"of": "rollbacks_total"}, "at_most": 0, "over": "30m"}
QUANTILE = {"quantile": {"q": 0.95, "of": "lat"}, "below": "100ms", "over": "30m"}
GOOD = {"__name__": "req", "job": "shop", "code": "200"}
BAD = {**GOOD, "code": "500"}
ROLLBACKS = {"__name__": "rollbacks_total", "job": "shop"}

Values = Iterable[float | None]


class Past:
    """Half an hour of history in a Prometheus, and what a gate says of it at its end."""

    def __init__(self, prometheus: Prometheus, url: str, start: float) -> None:
        self.prometheus = prometheus
        self.url = url
        self.start = start
        self.now = start + LENGTH + STEP

    def write(self, *series: tuple[Mapping[str, str], Values]) -> None:
        """Write one value for each scrape, None for a scrape that did not happen."""
        remote_write(self.url, [(labels, self._samples(values)) for labels, values in series])

    def _samples(self, values: Values) -> list[tuple[float, float]]:
        times = (self.start + STEP * (place - 1) for place in range(SCRAPES))
        return [(at, value) for at, value in zip(times, values, strict=False) if value is not None]

    def judged(self, gate: Mapping[str, Any], since: float | None = None) -> CheckResult:
        flip = None if since is None else self.start + since
        return Gatherer(self.prometheus, TARGET, flip, self.now).judge(Gate.model_validate({"id": "g", **gate}))

    def value(self, expression: str) -> float:
        """Return what Prometheus itself makes of it."""
        (one,) = self.prometheus.query(expression, self.start + LENGTH).series
        return one.samples[-1][1]


@pytest.fixture(scope="module")
def http() -> Iterator[Http]:
    client = Http()
    yield client
    client.close()


@pytest.fixture
def past(prometheus: Component, era: float, http: Http) -> Past:
    return Past(Prometheus(prometheus.url, http), prometheus.url, era)


@pytest.fixture(scope="module")
def scraping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Component]:
    """Return a Prometheus with two jobs, which it will have discovered within six seconds."""
    jobs = (Job("slow", "127.0.0.1:9"), Job("shop", "127.0.0.1:9"))
    with start_prometheus(tmp_path_factory.mktemp("scraping"), scrape=ScrapeConfig(jobs, interval=2)) as component:
        yield component


@pytest.fixture(scope="module", autouse=True)
def _early(scraping: Component) -> None:
    """Start it before the first test, so that the last one need not wait."""


def ramp(per_scrape: float, base: float = 0.0) -> list[float | None]:
    return [base + per_scrape * place for place in range(SCRAPES)]


def once(by: float, *, base: float = 0.0, at: int = 60) -> list[float | None]:
    return [base + by * (place >= at) for place in range(SCRAPES)]


def lost(values: Values, first: int, last: int, instead: float | None = None) -> list[float | None]:
    return [instead if first <= place <= last else value for place, value in enumerate(values)]


# --- a real Prometheus ---------------------------------------------------------------------------------------


def test_requests_are_counted_exactly(past: Past) -> None:
    past.write((GOOD, ramp(50, base=1e6)), (BAD, once(12, base=300)))
    result = past.judged(RATIO)
    assert (result.verdict, result.samples, result.derivation["bad"]) == (PASSED, 6012, 12)
    assert result.window == (past.start, past.start + LENGTH)
    assert past.judged({**RATIO, "below": "0.1%"}).verdict is BREACHED


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
    past.write((ROLLBACKS, [None] * 60 + [1.0] * 62))
    assert past.value("sum(increase(rollbacks_total[30m]))") == 0
    result = past.judged(COUNTER)
    assert (result.verdict, result.reason, result.value) == (BREACHED, Reason.LIMIT_BREACHED, 1.0)
    assert result.derivation["rises"][0]["at"] == past.start + 59 * STEP


def test_a_counter_at_rest_passes(past: Past) -> None:
    past.write((ROLLBACKS, ramp(0, base=7)))
    assert past.judged(COUNTER).verdict is PASSED


@pytest.mark.parametrize("later", [1.0, 7.0, 14.0])
def test_between_two_scrapes_the_sample_before_the_window_is_known(past: Past, later: float) -> None:
    past.write((ROLLBACKS, ramp(0, base=7)))
    past.now += later
    assert past.judged(COUNTER).verdict is PASSED


def test_a_reset_does_not_prove_a_zero(past: Past) -> None:
    past.write((ROLLBACKS, lost(ramp(0, base=7), 60, SCRAPES, instead=0.0)))
    assert past.judged(COUNTER).reason is Reason.RESTART


def test_a_restart_that_the_counter_does_not_show_does_not_prove_a_zero(past: Past) -> None:
    started = {"__name__": "process_start_time_seconds", "job": "shop"}
    past.write((ROLLBACKS, ramp(0)), (started, once(500, base=1000)))
    assert past.judged(COUNTER).reason is Reason.RESTART


def test_a_restart_of_another_job_does_not_matter(past: Past) -> None:
    started = {"__name__": "process_start_time_seconds", "job": "other"}
    past.write((ROLLBACKS, ramp(0)), (started, once(500, base=1000)))
    assert past.judged(COUNTER).verdict is PASSED


@pytest.mark.parametrize("marker", [None, STALE], ids=["Prometheus was away", "the target was down"])
@pytest.mark.parametrize("gate", [RATIO, COUNTER], ids=["ratio", "counter"])
def test_a_gap_is_no_observation(past: Past, gate: dict[str, Any], marker: float | None) -> None:
    values = lost(ramp(0 if gate is COUNTER else 50), 60, 80)
    values[60] = marker
    past.write((ROLLBACKS if gate is COUNTER else GOOD, values))
    result = past.judged(gate)
    assert (result.verdict, result.reason) == (INCONCLUSIVE, Reason.COVERAGE)
    assert result.message == (
        "no sample for 5.5 min (at most 1 min is allowed); find out why the target was not scraped, "
        "then let the window pass again"
    )


def test_a_late_start_has_not_been_observed_for_long_enough(past: Past) -> None:
    past.write((GOOD, lost(ramp(50), 0, 40)))
    result = past.judged(RATIO)
    assert (result.verdict, result.reason, result.ready_in) == (INCONCLUSIVE, Reason.WINDOW_NOT_ELAPSED, 600)


@pytest.mark.parametrize("gate", [RATIO, COUNTER, QUANTILE, {"promql": "sum(req)", "below": 5}])
def test_a_metric_of_another_name_is_no_data(past: Past, gate: dict[str, Any]) -> None:
    past.write(({**GOOD, "__name__": "requests_total"}, ramp(50)))
    result = past.judged(gate)
    assert (result.verdict, result.reason) == (INCONCLUSIVE, Reason.NO_DATA)


def test_a_label_of_another_name_is_unknown(past: Past) -> None:
    past.write(({"__name__": "req", "job": "shop", "status": "500"}, ramp(50)))
    result = past.judged(RATIO)
    assert (result.verdict, result.reason) == (INCONCLUSIVE, Reason.UNKNOWN_LABEL)
    assert result.message == (
        "no series of 'total' has the label 'code' that 'bad' asks for; labels there: __name__, job, status"
    )


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_sample_that_is_no_number_decides_nothing(past: Past, number: float) -> None:
    past.write((GOOD, ramp(50)), (BAD, lost(ramp(0), 60, 60, instead=number)))
    assert past.judged(RATIO).reason is Reason.NOT_A_NUMBER


def test_no_traffic_is_not_a_number(past: Past) -> None:
    past.write((GOOD, ramp(0)))
    idle = {"promql": "sum(rate(req[$window])) / sum(rate(req[$window]))", "at_most": 5, "over": "30m"}
    result = past.judged(idle)
    assert (result.verdict, result.reason) == (INCONCLUSIVE, Reason.NOT_A_NUMBER)
    assert result.message == "the query gave nan; often this is 0/0, no traffic"


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


def test_a_query_that_prometheus_refuses_is_a_fault_of_the_plan(past: Past) -> None:
    past.write((GOOD, ramp(50)), (BAD, ramp(0)))
    result = past.judged({"promql": "req * on(job) req", "below": 5})
    assert (result.verdict, result.reason) == (ERROR, Reason.QUERY_REFUSED)
    assert result.message.startswith(
        f"Prometheus refused the query: {past.url}: HTTP 422: found duplicate series for the match group"
    )
    assert result.message.endswith("; mend the plan")


def test_a_quantile_agrees_with_prometheus(past: Past) -> None:
    buckets = {"0.05": 80, "0.1": 98, "0.25": 100, "+Inf": 100}
    past.write(*(({"__name__": "lat_bucket", "job": "shop", "le": le}, ramp(n)) for le, n in buckets.items()))
    result = past.judged(QUANTILE)
    own = past.value("histogram_quantile(0.95, sum by (le) (rate(lat_bucket[30m])))")
    assert (result.verdict, result.samples) == (PASSED, 12_000)
    assert result.value == pytest.approx(own, rel=1e-3)


def test_without_scrapes_and_a_given_interval_nothing_is_judged(past: Past) -> None:
    unknown = replace(TARGET, scrape_interval=None)
    result = Gatherer(past.prometheus, unknown, None, past.now).judge(Gate.model_validate({"id": "g", **RATIO}))
    assert (result.verdict, result.reason) == (INCONCLUSIVE, Reason.NO_DATA)


def test_intervals_are_told_by_prometheus_and_a_stopped_one_is_unreachable(
    scraping: Component, http: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_rollout.sources.prometheus._RETRY_BUDGET", 0.3)
    source = Prometheus(scraping.url, http)
    deadline = time.monotonic() + 15
    while not (found := source.scrape_intervals()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert found == {"slow": 2.0, "shop": 2.0}
    url = scraping.url
    scraping.stop()
    result = Gatherer(source, TARGET, None, 0.0).judge(Gate.model_validate({"id": "g", **RATIO}))
    assert (result.verdict, result.reason) == (ERROR, Reason.SOURCE_UNREACHABLE)
    assert result.message == (
        f"Prometheus cannot be asked: {url}/api/v1/targets: [Errno 111] Connection refused; "
        "the system is not judged, mend the source and judge again"
    )
