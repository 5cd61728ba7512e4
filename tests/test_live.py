"""What a real Prometheus tells a linter."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_rollout.errors import SourceError
from pytest_rollout.judge.samples import Series
from pytest_rollout.live import LivePrometheus
from pytest_rollout.sources.http import Http
from pytest_rollout.sources.prometheus import Found, Prometheus
from sandbox.components import Component, Job, ScrapeConfig, start_prometheus
from sandbox.remote_write import remote_write

MONTH = 30 * 86400.0


@pytest.fixture(scope="module")
def http() -> Iterator[Http]:
    client = Http()
    yield client
    client.close()


@pytest.fixture
def live(prometheus: Component, era: float, http: Http) -> LivePrometheus:
    """Return a server that knows ten minutes of two counters and a histogram."""
    times = [era + 15 * place for place in range(41)]
    ramp = [(at, 3.0 * place) for place, at in enumerate(times)]
    series = [({"__name__": "live_total", "a": a}, ramp) for a in ("1", "2")]
    series += [
        ({"__name__": "live_bucket", "le": le, "b": b}, ramp) for le in ("10", "+Inf", "0.5") for b in ("1", "2")
    ]
    series.append(({"__name__": "live_bucket", "le": "odd", "b": "3"}, ramp))
    remote_write(prometheus.url, series)
    return LivePrometheus(Prometheus(prometheus.url, http), times[-1])


def test_what_is_stored(live: LivePrometheus) -> None:
    assert {"live_total", "live_bucket"} <= live.metric_names
    assert "nothing" not in live.metric_names
    assert live.retention == MONTH
    assert live.scrape_intervals == {}
    assert live.metric_type("live_total") is None


def test_series_and_their_rate(live: LivePrometheus) -> None:
    assert (live.series_count("live_total"), live.series_count('live_total{a="1"}')) == (2, 1)
    assert live.series_count('live_total{a="3"}') == 0
    assert live.rate("live_total") == pytest.approx(0.4)
    assert live.rate("nothing") is None


def test_the_finite_buckets(live: LivePrometheus) -> None:
    assert live.bucket_bounds("live_bucket") == (0.5, 10.0)
    assert live.bucket_bounds('live_bucket{b="3"}') is None
    assert live.bucket_bounds("nothing_bucket") is None


def test_what_it_refuses(live: LivePrometheus) -> None:
    assert live.check("sum(live_total)") is None
    assert "unknown function" in (live.check("no_such_function(live_total)") or "")


def test_a_scraping_server_knows_its_intervals(tmp_path_factory: pytest.TempPathFactory, http: Http) -> None:
    scrape = ScrapeConfig((Job("shop", "127.0.0.1:9"),), interval=2)
    with start_prometheus(tmp_path_factory.mktemp("scraping"), scrape=scrape) as component:
        assert set(LivePrometheus(Prometheus(component.url, http), 0.0).scrape_intervals.values()) <= {2.0}


def test_a_server_that_is_gone_is_said(http: Http) -> None:
    with pytest.raises(SourceError):
        _ = LivePrometheus(Prometheus("http://127.0.0.1:9", http), 0.0).metric_names


class Partial(Prometheus):
    """A server that warns with each answer."""

    def __init__(self) -> None:
        pass

    def query(self, expression: str, at: float) -> Found:  # noqa: ARG002 - always the same answer
        return Found((Series({"le": "1"}, ((0.0, 1.0),)),), ("a store is down",))


def test_an_answer_that_may_be_partial_is_no_knowledge() -> None:
    live = LivePrometheus(Partial(), 0.0)
    assert live.series_count("x") is None
    assert live.bucket_bounds("x_bucket") is None
