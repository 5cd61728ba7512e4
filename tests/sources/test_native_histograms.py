"""Native histograms: as a real Prometheus sends them, and in forms that it does not send."""

from __future__ import annotations

import json
import math
import re
import struct
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest

from pytest_rollout.judge.demand import Demand, Restarts
from pytest_rollout.judge.lives import Watch
from pytest_rollout.judge.quantile import judge_quantile
from pytest_rollout.judge.samples import Series, Window
from pytest_rollout.sources import answers
from pytest_rollout.sources.http import Http
from pytest_rollout.sources.native import NativeBucket, told_throughout
from pytest_rollout.verdict import Reason, Verdict
from sandbox.components import Component, ScrapeConfig, find_binary, request
from sandbox.remote_write import _HEADERS, _field, _snappy, _varint
from tests.sources.past import (
    BREACHED,
    INCONCLUSIVE,
    LAST,
    PASSED,
    QUANTILE,
    SCRAPES,
    STEP,
    Bent,
    Labels,
    Life,
    Past,
    buckets,
)

LAT = {"__name__": "lat", "job": "shop"}
MOST = repr(sys.float_info.max)
FAST = {0.03: 900, 0.045: 60, 0.06: 40}
"""Events of each value at each scrape: the 95 % quantile is 45 ms."""
SLOW = {0.03: 900, 0.2: 100}


@dataclass(frozen=True)
class Scrape:
    """What one scrape brings: events by value, and how finely they are told."""

    events: Mapping[float, int]
    schema: int = 3
    zero_threshold: float = 2.0**-128
    strange: int = 0
    """Events that were not numbers."""

    def encoded(self, at: float) -> bytes:
        """Return a Histogram of remote write 1.0 (prompb/types.proto)."""
        zero = sum(n for value, n in self.events.items() if value <= self.zero_threshold)
        held: dict[int, int] = {}
        for value, n in self.events.items():
            if value > self.zero_threshold:
                index = math.ceil(math.log2(value) * 2**self.schema)
                held[index] = held.get(index, 0) + n
        return b"".join(
            [
                _number(1, sum(self.events.values()) + self.strange),
                _double(3, 1.0),
                _number(4, _zigzag(self.schema)),
                _double(5, self.zero_threshold),
                _number(6, zero),
                *_spans(held),
                _number(15, round(at * 1000)),
            ]
        )


def _spans(held: Mapping[int, int]) -> Iterator[bytes]:
    deltas, before, place = [], 0, 0
    for index in sorted(held):
        yield _field(11, _number(1, _zigzag(index - place)) + _number(2, 1))
        deltas.append(_varint(_zigzag(held[index] - before)))
        before, place = held[index], index + 1
    yield _field(12, b"".join(deltas))


def _zigzag(number: int) -> int:
    return number << 1 if number >= 0 else ~(number << 1)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _double(field: int, value: float) -> bytes:
    return _varint(field << 3 | 1) + struct.pack("<d", value)


def rising(per_scrape: Mapping[float, int], **how: Any) -> list[Scrape | None]:
    """Return a histogram that rises by the same at every scrape."""
    return [Scrape({value: n * place for value, n in per_scrape.items()}, **how) for place in range(SCRAPES)]


def joined(*parts: tuple[int, Sequence[Scrape | None]]) -> list[Scrape | None]:
    """Return scrapes of several pasts, each up to a scrape."""
    out: list[Scrape | None] = []
    for until, scrapes in parts:
        out += scrapes[len(out) : until]
    return out


class NativeBent(Bent):
    """A transport that bends answers of native histograms as well."""

    def _cut(self, text: str) -> str:
        body = json.loads(text)
        if body.get("status") != "success" or body["data"].get("resultType") != "matrix":
            return text
        kept = [one for one in body["data"]["result"] if not self.drop(one["metric"])]
        for one in kept:
            for form in {"values", "histograms"} & set(one):
                one[form] = self.thin(one["metric"], one[form])
        body["data"]["result"] = kept
        return json.dumps(body)


class NativePast(Past):
    """Half an hour in a Prometheus that keeps native histograms."""

    def __init__(self, url: str, http: Http, start: float) -> None:
        super().__init__(url, http, start)
        self.bent = NativeBent(http)
        self.prometheus = type(self.prometheus)(url, self.bent)

    def histogram(self, scrapes: Sequence[Scrape | None], labels: Labels | None = None, **more: str) -> None:
        """Write a histogram, one for each scrape, of the one process of the shop unless others were written."""
        if not self._begun:
            self.write(lives={"": Life()})
        named = sorted({**(labels or LAT), **more}.items())
        told = b"".join(_field(1, _field(1, k.encode()) + _field(2, v.encode())) for k, v in named)
        for place, scrape in enumerate(scrapes):
            if scrape is not None:
                told += _field(4, scrape.encoded(self.start + (place - 1) * STEP))
        request(f"{self.url}/api/v1/write", method="POST", body=_snappy(_field(1, told)), headers=_HEADERS)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Component]:
    """Return a real Prometheus that takes native histograms."""
    directory = tmp_path_factory.mktemp("native")
    config = directory / "prometheus.yml"
    config.write_text(ScrapeConfig().as_yaml())
    flags = [
        f"--config.file={config}",
        f"--storage.tsdb.path={directory / 'data'}",
        "--web.listen-address=127.0.0.1:0",
        "--web.enable-remote-write-receiver",
        "--enable-feature=native-histograms",
    ]
    with Component("prometheus", [find_binary("prometheus"), *flags], directory) as component:
        yield component


@pytest.fixture
def past(server: Component, era: float, http: Http) -> NativePast:
    """Return half an hour that belongs to one test alone."""
    return NativePast(server.url, http, era)


# --- what a gate says of them -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("events", "verdict", "reason"),
    [
        (FAST, PASSED, Reason.WITHIN_LIMIT),
        (SLOW, BREACHED, Reason.LIMIT_BREACHED),
        ({0.03: 900, 0.099: 100}, INCONCLUSIVE, Reason.BUCKET_MISSING),
        ({0.03: 20, 0.12: 1}, INCONCLUSIVE, Reason.TOO_FEW_SAMPLES),
        ({}, INCONCLUSIVE, Reason.NO_DATA),
    ],
    ids=["below", "above", "in one bucket with the limit", "not sure", "no events"],
)
def test_a_quantile_of_a_native_histogram(
    past: NativePast, events: Mapping[float, int], verdict: Verdict, reason: Reason
) -> None:
    past.histogram(rising(events))
    result = past.judged(QUANTILE)
    assert (result.verdict, result.reason) == (verdict, reason), result.message


def test_a_limit_that_no_event_is_near_to_needs_no_bucket(past: NativePast) -> None:
    past.histogram(rising({0.03: 1000}))
    assert past.said({**QUANTILE, "below": "10s"}) == (
        PASSED,
        Reason.WITHIN_LIMIT,
        (
            "p95 lies between 28.7 ms and 31.2 ms; 0 requests slower than 31.2 ms of 120,000; with 95 % confidence the "
            "share lies in 0-0.00307 %, the limit is 5 %"
        ),
    )
    assert past.judged({**QUANTILE, "below": "1ms"}).verdict is BREACHED


@pytest.mark.parametrize("schema", [-2, 0, 3, 8])
@pytest.mark.parametrize("q", [0.5, 0.93, 0.99])
def test_a_bracket_is_as_narrow_as_a_bucket_and_holds_what_prometheus_says(
    past: NativePast, schema: int, q: float
) -> None:
    past.histogram(rising(FAST, schema=schema))
    result = past.judged({**QUANTILE, "quantile": {"q": q, "of": "lat"}, "below": "1m"})
    low, high = result.derivation["low_bound"], result.derivation["high_bound"]
    own = past.value(f"histogram_quantile({q}, sum(rate(lat[30m])))")
    assert own is not None
    assert low <= own <= high
    assert high / low == pytest.approx(2**2**-schema)
    assert result.verdict is PASSED


def test_values_that_are_no_numbers_count_as_slow(past: NativePast) -> None:
    scrapes = [Scrape({0.03: 90 * place}, strange=10 * place) for place in range(SCRAPES)]
    past.histogram(scrapes)
    assert past.judged(QUANTILE).verdict is BREACHED
    assert past.judged({**QUANTILE, "quantile": {"q": 0.85, "of": "lat"}}).verdict is PASSED


def test_events_around_zero_are_fast(past: NativePast) -> None:
    past.histogram(rising({0.0: 100, 0.03: 10}, zero_threshold=0.001))
    result = past.judged(QUANTILE)
    assert (result.verdict, result.samples) == (PASSED, 110 * (LAST - 1))


def test_each_process_is_judged(past: NativePast) -> None:
    past.write(lives={"a": Life(), "b": Life()})
    past.histogram(rising(FAST), instance="a")
    past.histogram(rising(SLOW), instance="b")
    result = past.judged({**QUANTILE, "by": ["instance"], "expect_series": 2})
    assert {name: one["verdict"] for name, one in result.derivation["each"].items()} == {
        'instance="a"': "passed",
        'instance="b"': "breached",
    }


@pytest.mark.parametrize(("limit", "verdict"), [("100%", PASSED), ("20%", BREACHED)])
def test_a_baseline_of_native_histograms(past: NativePast, limit: str, verdict: Verdict) -> None:
    past.histogram(rising({0.03: 1000}), cohort="old")
    past.histogram(rising({0.045: 1000}), cohort="new")
    now, control = ({"quantile": {"q": 0.95, "of": "lat", "where": f'cohort="{one}"'}} for one in ("new", "old"))
    result = past.judged({"baseline": {"now": now, "control": control}, "at_most": limit, "over": "30m"})
    assert result.verdict is verdict, result.message


# --- evidence that is lost --------------------------------------------------------------------------------------


@pytest.fixture
def pair(past: NativePast) -> NativePast:
    """Return a past of a fast and a slow process."""
    past.write(lives={"a": Life(), "b": Life()})
    past.histogram(rising(FAST), instance="a")
    past.histogram(rising({0.03: 1000, 0.2: 45}), instance="b")
    assert past.judged({**QUANTILE, "expect_series": 1}).verdict is PASSED
    return past


def test_a_lost_histogram_holds(pair: NativePast) -> None:
    pair.bent.drop = lambda labels: labels.get("instance") == "b" and labels["__name__"] == "lat"
    result = pair.judged({**QUANTILE, "expect_series": 1})
    assert (result.verdict, result.reason) == (INCONCLUSIVE, Reason.PARTIAL_DATA)
    assert result.message.endswith("some of the answer was lost, judge again")
    pair.bent.drop = lambda labels: labels.get("__name__") == "lat"
    assert pair.said({**QUANTILE, "expect_series": 1})[:2] == (INCONCLUSIVE, Reason.NO_DATA)


@pytest.mark.parametrize(
    ("first", "last", "verdict", "reason"),
    [
        (60, 60, PASSED, Reason.WITHIN_LIMIT),
        (LAST, SCRAPES, INCONCLUSIVE, Reason.COVERAGE),
        (0, SCRAPES, INCONCLUSIVE, Reason.PARTIAL_DATA),
    ],
    ids=["one", "the last", "all"],
)
def test_lost_samples(past: NativePast, first: int, last: int, verdict: Verdict, reason: Reason) -> None:
    past.histogram(rising(FAST))
    past.histogram(rising(FAST), path="/cart")
    start = past.start
    gone = {start + (place - 1) * STEP for place in range(first, last + 1)}

    def thin(labels: Labels, samples: list[Any]) -> list[Any]:
        return [one for one in samples if one[0] not in gone or labels["__name__"] != "lat" or "path" not in labels]

    past.bent.thin = thin
    if not [one for one in range(SCRAPES) if not first <= one <= last]:
        past.bent.drop = lambda labels: "path" in labels
    result = past.judged(QUANTILE)
    assert (result.verdict, result.reason) == (verdict, reason), result.message


def test_a_process_without_a_start_holds(past: NativePast) -> None:
    past.write(lives={"a": Life(began={0: None})})
    past.histogram(rising(FAST), instance="a")
    gate = {**QUANTILE, "expect_series": 1}
    assert past.judged(gate).reason is Reason.RESTART_UNKNOWN
    assert past.judged({**gate, "restarts": "ignore"}).verdict is PASSED


def test_a_histogram_of_a_process_that_is_not_scraped_holds(past: NativePast) -> None:
    past.write(lives={"a": Life()})
    past.histogram(rising(FAST), instance="b")
    result = past.judged({**QUANTILE, "expect_series": 1})
    assert result.reason is Reason.NO_DATA
    assert "Prometheus has no 'up' of shop/b" in result.message


# --- beside others ----------------------------------------------------------------------------------------------

CLASSIC = {"0.05": 999.0, "0.1": 1000.0, "+Inf": 1000.0}


def test_classic_buckets_come_first(past: NativePast) -> None:
    past.write(*buckets(CLASSIC))
    past.histogram(rising(SLOW))
    result = past.judged(QUANTILE)
    assert (result.verdict, result.derivation["high_bound"]) == (PASSED, 0.05)
    assert "warnings" not in result.derivation


def test_lost_classic_buckets_are_not_replaced_by_finer_ones(past: NativePast) -> None:
    past.write(*buckets({"0.05": 900.0, "0.25": 1000.0, "+Inf": 1000.0}))
    past.histogram(rising({0.03: 900, 0.06: 100}))
    assert past.judged(QUANTILE).reason is Reason.BUCKET_MISSING
    past.bent.drop = lambda labels: labels.get("__name__") == "lat_bucket"
    result = past.judged(QUANTILE)
    assert (result.verdict, result.reason) == (INCONCLUSIVE, Reason.NO_DATA)


def test_a_process_with_a_native_histogram_only_is_not_overlooked(past: NativePast) -> None:
    past.write(*buckets(CLASSIC, instance="a"), lives={"a": Life(), "b": Life()})
    past.histogram(rising(FAST), instance="a")
    past.bent.exporters = {"lat_bucket": {("shop", "b")}}  # they have metadata of the histogram
    assert past.judged(QUANTILE).verdict is PASSED
    past.histogram(rising(SLOW), instance="b")
    result = past.judged(QUANTILE)
    assert (result.verdict, result.reason) == (INCONCLUSIVE, Reason.PARTIAL_DATA)
    assert result.message.endswith("the server counts 4 series and sent 3; some of the answer was lost, judge again")
    assert result.derivation["warnings"] == ['{instance="b",job="shop"} has a native histogram and no classic buckets']
    past.bent.drop = lambda labels: labels.get("__name__") == "lat"
    assert past.judged(QUANTILE).reason is Reason.PARTIAL_DATA


def test_a_number_of_the_histograms_name_is_no_histogram(past: NativePast) -> None:
    past.write(({**LAT, "quantile": "0.95"}, [0.01] * SCRAPES), *buckets(CLASSIC))
    assert past.judged(QUANTILE).verdict is PASSED
    past.bent.drop = lambda labels: labels.get("__name__") == "lat" and "quantile" in labels
    assert past.judged(QUANTILE).reason is Reason.PARTIAL_DATA


def test_numbers_alone_are_no_histogram(past: NativePast) -> None:
    past.write(({**LAT, "quantile": "0.95"}, [0.01] * SCRAPES))
    assert past.judged(QUANTILE).reason is Reason.NO_DATA


def test_numbers_beside_a_native_histogram_hold(past: NativePast) -> None:
    past.write(({**LAT, "quantile": "0.95"}, [0.01] * SCRAPES))
    past.histogram(rising(FAST))
    assert past.judged(QUANTILE).reason is Reason.PARTIAL_DATA


@pytest.mark.parametrize(
    "gate",
    [
        {"ratio": {"bad": "lat", "total": "req"}, "below": "1%", "over": "30m"},
        {"ratio": {"bad": "req", "total": "lat"}, "below": "1%", "over": "30m"},
        {"counter": {"of": "lat"}, "at_most": 9, "over": "30m"},
        {"promql": "sum(changes(lat[$window]))", "at_most": 0, "over": "30m"},
    ],
    ids=["bad", "total", "counter", "promql"],
)
def test_what_asks_for_numbers_refuses_them(past: NativePast, gate: dict[str, Any]) -> None:
    past.histogram(rising({}))
    result = past.judged(gate)
    assert (result.verdict, result.reason) == (Verdict.ERROR, Reason.BAD_ANSWER)
    assert result.message == "lat is a native histogram, numbers were asked for; only a quantile reads those"


def test_a_series_that_is_both_is_refused(past: NativePast) -> None:
    past.write((LAT, [1.0] * 60 + [None] * (SCRAPES - 60)))
    past.histogram([*[None] * 61, *rising(FAST)[61:]])  # a staleness marker comes between
    result = past.judged(QUANTILE)
    assert (result.verdict, result.reason) == (Verdict.ERROR, Reason.BAD_ANSWER)
    assert result.message.endswith(f"{LAT} is a native histogram at some times and a number at others")


# --- resets and resolutions -------------------------------------------------------------------------------------


def test_a_reset_holds(past: NativePast) -> None:
    again = [None] * 60 + rising(FAST)[: SCRAPES - 60]
    past.histogram(joined((60, rising(FAST)), (SCRAPES, again)))
    result = past.judged(QUANTILE)
    assert (result.verdict, result.reason) == (INCONCLUSIVE, Reason.RESTART)


@pytest.mark.parametrize("how", [{}, {"schema": 4}, {"zero_threshold": 2.0**-129}], ids=["lost", "finer", "near zero"])
def test_a_reset_that_the_count_hides_is_refused(past: NativePast, how: Mapping[str, Any]) -> None:
    before = [Scrape({0.0: 9, 0.03: 10, 0.2: 5 * (not how)}) for _ in range(60)]
    after = [Scrape({0.0: 9, 0.03: 1000 + place}, **how) for place in range(SCRAPES)]
    past.histogram(joined((60, before), (SCRAPES, after)))
    result = past.judged(QUANTILE)
    assert (result.verdict, result.reason) == (Verdict.ERROR, Reason.BAD_ANSWER)
    at = past.start + 59 * STEP
    assert result.message.endswith(f"the native histogram {LAT} was reset before {at}, and its count hides it")


@pytest.mark.parametrize("at", [2, 60, LAST - 1, LAST])
@pytest.mark.parametrize(
    ("events", "limit", "said"),
    [
        (FAST, "100ms", (PASSED, Reason.WITHIN_LIMIT)),
        (FAST, "63ms", (PASSED, Reason.WITHIN_LIMIT)),
        (SLOW, "100ms", (BREACHED, Reason.LIMIT_BREACHED)),
        # Between 62.5 and 125 ms nothing is told any more; it was before, and must not be believed for all of it.
        ({0.03: 900, 0.08: 100}, "100ms", (INCONCLUSIVE, Reason.BUCKET_MISSING)),
        ({0.03: 900, 0.11: 100}, "100ms", (INCONCLUSIVE, Reason.BUCKET_MISSING)),
    ],
    ids=["fast", "fast, near", "slow", "below within", "above within"],
)
def test_a_resolution_that_falls_inside_the_window(
    past: NativePast, at: int, events: Mapping[float, int], limit: str, said: tuple[Verdict, Reason]
) -> None:
    past.histogram(joined((at, rising(events, schema=5)), (SCRAPES, rising(events, schema=0))))
    result = past.judged({**QUANTILE, "below": limit})
    assert (result.verdict, result.reason) == said, result.message


@pytest.mark.parametrize("at", [1, LAST + 1])
def test_a_resolution_that_falls_outside_the_window(past: NativePast, at: int) -> None:
    events = {0.03: 900, 0.08: 100}
    past.histogram(joined((at, rising(events, schema=5)), (SCRAPES, rising(events, schema=0))))
    result = past.judged(QUANTILE)
    assert result.verdict is (PASSED if at > LAST else INCONCLUSIVE), result.message


def test_requests_that_become_slow_with_the_resolution_are_not_missed(past: NativePast) -> None:
    turned = [
        Scrape({0.03: 100 * place, 0.11: 100 * max(place - 60, 0)}, schema=5 if place < 60 else 0)
        for place in range(SCRAPES)
    ]
    past.histogram(turned)
    assert past.judged(QUANTILE).verdict is not PASSED
    assert past.judged({**QUANTILE, "below": "62ms"}).verdict is BREACHED


# --- forms ------------------------------------------------------------------------------------------------------

A = {"__name__": "lat", "a": "b"}
Element = dict[str, Any]


def element(*samples: Any, **labels: str) -> Element:
    """Return a native histogram as the query API sends it; each sample (time, count, buckets)."""
    told = [[at, {"count": str(count), "sum": "1", "buckets": list(parts)}] for at, count, parts in samples]
    return {"metric": {**A, **labels}, "histograms": told}


def part(low: float, high: float, events: float, rule: int = 0) -> list[Any]:
    return [rule, str(low), str(high), str(events)]


def read(*elements: Element) -> tuple[Series, ...]:
    return answers.read_series({"resultType": "matrix", "result": list(elements)}, answers.RANGES)


def test_the_bounds_of_all_are_the_bounds_of_each() -> None:
    found = read(
        element((1, 9, [part(0.5, 1, 7)]), (2, 12, [part(0.5, 1, 8), part(2, 4, 2)])),
        element((1, 5, [part(1, 4, 5)]), a="c"),
    )
    told = {(one.labels["a"], one.labels["le"]): one.samples for one in found}
    assert all(one.labels["__name__"] == "lat_bucket" and isinstance(one, NativeBucket) for one in found)
    assert told == {
        ("b", "0.0"): ((1, 0), (2, 0)),
        ("b", "0.5"): ((1, 0), (2, 0)),
        ("b", "1.0"): ((1, 7), (2, 8)),
        ("b", "2.0"): ((1, 7), (2, 8)),
        ("b", "4.0"): ((1, 7), (2, 10)),
        ("b", MOST): ((1, 7), (2, 10)),
        ("b", "+Inf"): ((1, 9), (2, 12)),
        ("c", "0.0"): ((1, 0),),
        ("c", "0.5"): ((1, 0),),
        ("c", "1.0"): ((1, 0),),
        ("c", "4.0"): ((1, 5),),
        ("c", MOST): ((1, 5),),
        ("c", "+Inf"): ((1, 5),),
    }


def test_a_histogram_of_nothing_has_bounds_as_well() -> None:
    empty = {"metric": A, "histograms": [[1, {"count": "0", "sum": "0"}]]}
    assert [(one.labels["le"], one.samples) for one in read(empty)] == [
        ("0.0", ((1, 0),)),
        (MOST, ((1, 0),)),
        ("+Inf", ((1, 0),)),
    ]


def test_negative_and_overflowing_buckets() -> None:
    found = read(element((1, 6, [part(-2, -1, 1, 1), part(-0.1, 0.1, 2, 3), part(1, math.inf, 3)])))
    assert {one.labels["le"]: one.samples[0][1] for one in found} == {"0.1": 3, "1.0": 3, "+Inf": 6}


def test_bounds_that_a_sample_of_the_window_does_not_tell_are_left_out() -> None:
    fine, coarse = [part(1, 2, 1), part(2, 4, 1)], [part(1, 4, 2)]
    samples = [(at, 2, fine if at < 40 else coarse) for at in range(0, 60, 10)]
    found = tuple(one for one in read(element(*samples)) if isinstance(one, NativeBucket))

    def told(start: float, end: float) -> bool:
        kept = told_throughout(found, Window(start, end, end - start))
        assert {"1.0", "4.0", "+Inf"} <= {one.labels["le"] for one in kept}
        return "2.0" in {one.labels["le"] for one in kept}

    assert told(0, 30)
    assert told(5, 29)
    assert not told(5, 31)  # the sample that closes the window does not tell it
    assert not told(45, 50)


def test_a_sample_before_the_window_counts_and_so_does_every_histogram() -> None:
    fine, coarse = [part(1, 2, 1), part(2, 4, 1)], [part(1, 4, 3)]
    again = element((0, 3, coarse), (10, 2, fine), (20, 2, fine))

    def told(start: float, *elements: Element) -> bool:
        found = tuple(one for one in read(*elements) if isinstance(one, NativeBucket))
        return "2.0" in {one.labels["le"] for one in told_throughout(found, Window(start, 20, 20 - start))}

    assert told(10, again)
    assert not told(9, again)  # what it rose by until the first sample inside is counted from the one before
    assert not told(10, again, element((0, 3, coarse), (10, 3, coarse), a="c"))


def test_an_empty_bucket_hides_no_bound() -> None:
    found = read(element((1, 3, [part(1, 4, 0), part(1, 2, 3)])))
    assert {one.labels["le"]: one.samples[0][1] for one in found}["2.0"] == 3


REFUSED: dict[str, tuple[Element, str]] = {
    "a number too": (
        {**element((1, 0, [])), "values": [[2, "1"]]},
        f"{A} is a native histogram at some times and a number at others",
    ),
    "no list": ({"metric": A, "histograms": "1"}, "histograms of '1'"),
    "no labels": ({"metric": None, "histograms": [[1, {}]]}, "a series without labels: {'metric': None, "),
    "a bound of its own": (
        element((1, 0, []), le="1"),
        f"the native histogram { ({**A, 'le': '1'}) } has a label 'le'",
    ),
    "backwards": (
        element((2, 0, []), (1, 0, [])),
        f"the samples of {A} are not in the order of time: 1.0 after 2.0",
    ),
    "one time twice": (
        element((1, 0, []), (1, 0, [])),
        f"the samples of {A} are not in the order of time: 1.0 after 1.0",
    ),
    "a bucket that lost events": (
        element((1, 5, [part(1, 2, 5)]), (2, 9, [part(1, 2, 4), part(4, 8, 5)])),
        f"the native histogram {A} was reset before 2.0, and its count hides it",
    ),
    "a zero bucket that lost events": (
        element((1, 5, [part(-1, 1, 5, 3)]), (2, 9, [part(-1, 1, 4, 3), part(4, 8, 5)])),
        f"the native histogram {A} was reset before 2.0, and its count hides it",
    ),
    "a bucket that vanished": (
        element((1, 5, [part(1, 2, 5)]), (2, 9, [part(2, 4, 9)])),
        f"the native histogram {A} was reset before 2.0, and its count hides it",
    ),
    "a bucket that split": (
        element((1, 5, [part(1, 4, 5)]), (2, 9, [part(1, 2, 4), part(2, 4, 5)])),
        f"the native histogram {A} was reset before 2.0, and its count hides it",
    ),
    "fewer that are no numbers": (
        element((1, 5, [part(1, 2, 1)]), (2, 9, [part(1, 2, 9)])),
        f"the native histogram {A} was reset before 2.0, and its count hides it",
    ),
}


@pytest.mark.parametrize(("one", "said"), REFUSED.values(), ids=REFUSED)
def test_another_form_is_refused(one: Element, said: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(said)}"):
        read(one)


FORMS: dict[str, Any] = {
    "nothing": None,
    "a number": [1, "5"],
    "a time of a text": ["1", {"count": "0"}],
    "a time without end": [math.inf, {"count": "0"}],
    "no count": [1, {"sum": "1"}],
    "a count of a number": [1, {"count": 1}],
    "a count of a word": [1, {"count": "many"}],
    "a count below nothing": [1, {"count": "-1"}],
    "a count of no number": [1, {"count": "NaN"}],
    "a count without end": [1, {"count": "+Inf"}],
    "more than the count": [1, {"count": "4", "buckets": [part(1, 2, 5)]}],
    "buckets of nothing": [1, {"count": "4", "buckets": None}],
    "a bucket of three": [1, {"count": "4", "buckets": [[0, "1", "2"]]}],
    "an unknown rule": [1, {"count": "4", "buckets": [part(1, 2, 1, 4)]}],
    "a rule for others": [1, {"count": "4", "buckets": [part(1, 2, 1, 1)]}],
    "bounds the wrong way": [1, {"count": "4", "buckets": [part(2, 1, 1)]}],
    "a bound of no number": [1, {"count": "4", "buckets": [part(math.nan, 1, 1)]}],
    "fewer than none": [1, {"count": "4", "buckets": [part(1, 2, -1)]}],
}


@pytest.mark.parametrize("pair", FORMS.values(), ids=FORMS)
def test_a_sample_of_unknown_form_is_refused(pair: Any) -> None:
    with pytest.raises(ValueError, match=r" is not a sample of a native histogram$"):
        read({"metric": A, "histograms": [pair]})


# --- the property -----------------------------------------------------------------------------------------------

WINDOW = Window(100.0, 400.0, 300.0)
DEMAND = Demand(
    limit=0.1,
    unit="seconds",
    comparator="below",
    coverage=0.5,
    max_gap=70.0,
    interval=15.0,
    confidence=0.95,
    restarts=Restarts.HOLD,
    expect_series=None,
)


def world(random: Random) -> list[tuple[float, dict[float, int], int]]:
    """Return (time, events by value, schema) of scrapes: coarser at times, reset at times."""
    values = [0.02, 0.07, 0.09, 0.098, 0.105, 0.12, 0.3]
    weights = [100, 20, *(random.choice([0, 0, 3, 8]) for _ in values[2:])]
    schema, events, out = 5, dict.fromkeys(values, 0), []
    for place in range(30):
        if random.random() < 0.04:
            schema -= random.choice([1, 2, 4])
        if random.random() < 0.02:
            schema, events = 5, dict.fromkeys(values, 0)
        for value, weight in zip(values, weights, strict=True):
            events[value] += random.randint(0, weight)
        out.append((40.0 + 15 * place, dict(events), max(schema, -1)))
    return out


def sent(scrapes: Sequence[tuple[float, Mapping[float, int], int]]) -> Element:
    told = []
    for at, events, schema in scrapes:
        held: dict[int, int] = {}
        for value, n in events.items():
            index = math.ceil(math.log2(value) * 2**schema)
            held[index] = held.get(index, 0) + n
        parts = [part(2 ** ((i - 1) / 2**schema), 2 ** (i / 2**schema), n) for i, n in sorted(held.items()) if n]
        told.append((at, sum(events.values()), parts))
    return element(*told, job="shop", instance="a")


def verdict(scrapes: Sequence[tuple[float, Mapping[float, int], int]], all_of_them: Sequence[float]) -> Verdict:
    own = {"job": "shop", "instance": "a"}
    watch = Watch(
        up=(Series({"__name__": "up", **own}, tuple((at, 1.0) for at in all_of_them)),),
        starts=(Series(own, tuple((at, 0.0) for at in all_of_them)),),
        targets=frozenset({("shop", "a")}),
    )
    try:
        found = tuple(one for one in read(sent(scrapes)) if isinstance(one, NativeBucket))
    except ValueError:
        return Verdict.ERROR
    return judge_quantile(0.95, told_throughout(found, WINDOW), watch, WINDOW, DEMAND).verdict


def test_lost_samples_never_make_a_pass() -> None:
    random, seen = Random(7), dict.fromkeys(Verdict, 0)  # noqa: S311 - no secret
    for _ in range(60):
        scrapes = world(random)
        times = [at for at, _, _ in scrapes]
        whole = verdict(scrapes, times)
        seen[whole] += 1
        for _ in range(0 if whole is PASSED else 12):
            kept = [one for one in scrapes if random.random() < random.choice([0.5, 0.9, 0.97])]
            assert not kept or verdict(kept, times) is not PASSED, (scrapes, kept)
    assert min(seen[one] for one in (PASSED, BREACHED, INCONCLUSIVE)) > 3
