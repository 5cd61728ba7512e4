"""What happened, what Prometheus saw of it, and what a gate may say then: scenarios over a real Prometheus."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest

from pytest_rollout.units import format_moment
from pytest_rollout.verdict import Reason, Verdict
from tests.sources.past import (
    BAD,
    BREACHED,
    COUNTER,
    FIRST,
    GOOD,
    INCONCLUSIVE,
    ITSELF,
    LAST,
    PASSED,
    QUANTILE,
    RATIO,
    ROLLBACKS,
    SCRAPES,
    STEP,
    Instance,
    Life,
    Past,
    Samples,
    Told,
    born,
    buckets,
    lost,
    on,
    once,
    ramp,
)

WITHIN, OVER = Reason.WITHIN_LIMIT, Reason.LIMIT_BREACHED
A, B, C = (on(ROLLBACKS, name) for name in "abc")
NAIVE = "sum(increase(rollbacks_total[30m]))"


@dataclass(frozen=True)
class Scenario:
    """Counters and lives of processes, whether a rollback happened, and what is said of it."""

    counters: Sequence[Told]
    happened: bool
    naive: float | None
    """What ``sum(increase())`` makes of it, rounded."""
    verdict: Verdict
    reason: Reason
    said: str
    lives: Mapping[str | Instance, Life] = field(default_factory=dict)
    exporters: Sequence[str] = ()


ROSE = "rose by 1, at most 0 is allowed"
REST = "rose by 0, at most 0 is allowed"
RESTARTED = "shop/{} restarted inside the window, so increments may be lost; let the window pass again"
LEFT = "shop/{} left inside the window, so increments may be lost; let the window pass again"
EARLY, LATE = Life.during(0), Life.during(60, began=58.5 * STEP)

SCENARIOS = {
    # --- a rollback happened
    "it rises from 0": Scenario([(A, once(1))], True, 1, BREACHED, OVER, ROSE),
    "it rises from 7": Scenario([(A, once(1, base=7))], True, 1, BREACHED, OVER, ROSE),
    "born at 1": Scenario([(A, born(1))], True, 0, BREACHED, OVER, ROSE),
    "born at 1 in the first scrape": Scenario([(A, born(1, at=FIRST + 1))], True, 0, BREACHED, OVER, ROSE),
    "it rises in the first scrape": Scenario([(A, once(1, at=FIRST + 1))], True, 1, BREACHED, OVER, ROSE),
    "it rises in the last scrape": Scenario([(A, once(1, at=LAST))], True, 1, BREACHED, OVER, ROSE),
    "a new pod is born at 1": Scenario(
        [(A, ramp(0)), (B, ramp(0, base=1))], True, 0, BREACHED, OVER, ROSE, {"b": LATE}
    ),
    "one of three pods rises": Scenario(
        [(A, ramp(0, base=3)), (B, ramp(0)), (C, once(1, base=9))], True, 1, BREACHED, OVER, ROSE
    ),
    "a crash loop, each life born at 1": Scenario(
        [(A, lost(born(1, at=40), 60, 61))],
        True,
        0,
        BREACHED,
        OVER,
        ROSE,
        {"a": Life().without(60, 61, 0.0).restarted(62)},
    ),
    "it rises, and the pod leaves": Scenario(
        [(A, ramp(0)), (B, born(1, at=79))], True, 0, BREACHED, OVER, ROSE, {"b": Life.during(0, 80)}
    ),
    # --- none did
    "it rests at 0": Scenario([(A, ramp(0))], False, 0, PASSED, WITHIN, REST),
    "it rests at 7": Scenario([(A, ramp(0, base=7))], False, 0, PASSED, WITHIN, REST),
    "never born, but exported": Scenario([], False, None, PASSED, WITHIN, REST, {"a": Life()}, ["a"]),
    "it rose in the scrape before the window": Scenario([(A, once(1, at=FIRST))], False, 0, PASSED, WITHIN, REST),
    "a pod restarts": Scenario(
        [(A, lost(ramp(0, base=7), 60, SCRAPES, 0.0))],
        False,
        0,
        INCONCLUSIVE,
        Reason.RESTART,
        RESTARTED.format("a"),
        {"a": Life().restarted(60)},
    ),
    "a pod leaves": Scenario(
        [(A, ramp(0, base=7)), (B, ramp(0, base=7))],
        False,
        0,
        INCONCLUSIVE,
        Reason.RESTART,
        LEFT.format("b"),
        {"b": Life.during(0, 60)},
    ),
    "a new pod comes": Scenario([(A, ramp(0, base=7)), (B, ramp(0))], False, 0, PASSED, WITHIN, REST, {"b": LATE}),
}


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_a_rollback_is_found_whatever_it_looks_like_and_none_is_made_up(past: Past, scenario: Scenario) -> None:
    past.bent.exporters["rollbacks_total"] = {("shop", name) for name in scenario.exporters}
    past.write(*scenario.counters, lives=scenario.lives)
    verdict, reason, said = past.said(COUNTER)
    assert (verdict, reason, said.split("; first")[0]) == (scenario.verdict, scenario.reason, scenario.said)
    naive = past.value(NAIVE)
    assert (None if naive is None else round(naive)) == scenario.naive


def test_the_scenarios_hold_what_increase_misses_and_more() -> None:
    every = SCENARIOS.values()
    missed = [one for one in every if one.happened and one.naive == 0]
    assert (len(every), sum(one.happened for one in every), len(missed)) == (17, 10, 5)
    assert all((one.verdict is BREACHED) is one.happened for one in every)


# --- how well it was watched ---------------------------------------------------------------------------------

GATES: dict[str, dict[str, Any]] = {
    "ratio": RATIO,
    "counter": COUNTER,
    "quantile": QUANTILE,
    "promql": {"promql": "sum(rate(req[$window]))", "below": 5, "over": "30m"},
}
NEXT = "find out why, then let the window pass again"
GAP = "no scrape of shop for {} (at most 1 min is allowed); " + NEXT
GAPPED, TOO_EARLY = (INCONCLUSIVE, Reason.COVERAGE), (INCONCLUSIVE, Reason.WINDOW_NOT_ELAPSED)
WATCHED = {
    "throughout": (Life(), (PASSED, WITHIN), None),
    "the target was down for 10 min": (Life().without(40, 79, 0.0), GAPPED, GAP.format("10.2 min")),
    "Prometheus was away for 20 min": (Life().without(30, 109), GAPPED, GAP.format("20.2 min")),
    "Prometheus was away for 4 min": (Life().without(40, 55), GAPPED, GAP.format("4.25 min")),
    "it began 10 min late": (
        Life().without(0, 40),
        TOO_EARLY,
        "; decides in about ",  # either it may have been restarted, or a bare value was seen late
    ),
    "it stopped 4 min early": (Life().without(LAST - 15, SCRAPES), GAPPED, GAP.format("4 min")),
    "every second scrape was lost": (
        Life([float(place % 2) or None for place in range(SCRAPES)]),
        GAPPED,
        "only 50.0% of the expected scrapes of shop succeeded (95.0% needed); " + NEXT,
    ),
}


@pytest.mark.parametrize("gate", GATES.values(), ids=GATES)
@pytest.mark.parametrize(("life", "expected", "said"), WATCHED.values(), ids=WATCHED)
def test_only_what_was_watched_passes(
    past: Past, gate: dict[str, Any], life: Life, expected: tuple[Verdict, Reason], said: str | None
) -> None:
    requests = buckets({"0.05": 40, "0.1": 50, "+Inf": 50})
    past.write((GOOD, ramp(50)), (ROLLBACKS, ramp(0)), *requests, lives={"": life})
    verdict, reason, message = past.said(gate)
    assert (verdict, reason) == expected
    assert (said or "") in message  # a quantile begins with what it knows


def test_a_target_that_flaps_is_not_watched(past: Past) -> None:
    past.write((GOOD, ramp(50)), lives={"": Life([float(place % 3 > 0) for place in range(SCRAPES)])})
    said = "only 66.7% of the expected scrapes of shop succeeded (95.0% needed); " + NEXT
    assert past.said(RATIO) == (*GAPPED, said)
    assert past.judged({**RATIO, "coverage": "60%"}).verdict is PASSED


def test_a_scrape_lost_now_and_then_does_not_matter(past: Past) -> None:
    past.write((GOOD, ramp(50)), (ROLLBACKS, ramp(0)), lives={"": Life().without(30, 32, 0.0).without(90, 91)})
    assert past.judged(RATIO).verdict is PASSED
    assert past.judged(COUNTER).verdict is PASSED


def test_what_happened_while_nobody_looked_is_counted_from_both_sides(past: Past) -> None:
    past.write((ROLLBACKS, once(1, at=60)), lives={"": Life().without(50, 70)})
    assert past.judged(COUNTER).verdict is BREACHED  # it happened in the gap, and the gap lies in the window


def test_what_may_have_happened_before_the_window_is_not_sure(past: Past) -> None:
    past.write((ROLLBACKS, once(1, at=2)), lives={"": Life().without(FIRST, 3, 0.0)})
    said = (
        f'rollbacks_total{{job="shop"}} was 1 higher at {format_moment(past.start + 3 * STEP)}, in the window or '
        "before: the scrape that would tell is missing; let the window pass again"
    )
    assert past.said(COUNTER) == (*GAPPED, said)
    assert past.judged(COUNTER).may_still_arrive


# --- processes come, go and begin anew -----------------------------------------------------------------------

UNKNOWN = "{} has no process_start_time_seconds, so a restart would not be noticed; export it, or say restarts: ignore"
RESTART = (INCONCLUSIVE, Reason.RESTART)
BEGINNINGS = {
    "with the process": (Life.during(60, began=58.5 * STEP), (BREACHED, OVER), ROSE),
    "on a process found late": (
        Life.during(60),
        TOO_EARLY,
        "shop/b was first seen 14.8 min after the window's start",
    ),
    "on a process that does not say when it began": (
        Life.during(60, began=None),
        TOO_EARLY,
        "shop/b was first seen 14.8 min after the window's start",
    ),
}


@pytest.mark.parametrize(("life", "expected", "said"), BEGINNINGS.values(), ids=BEGINNINGS)
def test_a_birth_counts_for_sure_only_if_the_process_is_as_young(
    past: Past, life: Life, expected: tuple[Verdict, Reason], said: str
) -> None:
    past.write((A, ramp(0)), (B, ramp(0, base=1)), lives={"b": life})
    verdict, reason, message = past.said(COUNTER)
    assert ((verdict, reason), message.partition("; ")[0]) == (expected, said)


RESETS = {
    "it tells": (lost(ramp(0, base=7), 60, SCRAPES, 0.0), Life().restarted(60), RESTARTED),
    "it does not tell": (lost(ramp(0, base=7), 60, SCRAPES, 0.0), Life(began={0: None}), RESTARTED),
    "it tells the same": (lost(ramp(0, base=7), 60, SCRAPES, 0.0), Life(), RESTARTED),
    "the counter does not show it": (ramp(0), Life().restarted(60), RESTARTED),
    "while it was down": (ramp(0), Life().without(60, 62, 0.0).restarted(63), RESTARTED),
    "in the first scrape": (ramp(0), Life().restarted(FIRST + 1), RESTARTED),
    "in the last scrape": (ramp(0), Life().restarted(LAST), RESTARTED),
    "its clock is behind": (ramp(0), Life().restarted(FIRST + 3, began=-60.0), RESTARTED),
}


@pytest.mark.parametrize(("values", "life", "said"), RESETS.values(), ids=RESETS)
def test_a_restart_is_noticed(past: Past, values: Sequence[float | None], life: Life, said: str) -> None:
    past.write((A, values), lives={"a": life})
    assert past.said(COUNTER) == (*RESTART, said.format("a"))


@pytest.mark.parametrize("gate", [RATIO, COUNTER, QUANTILE], ids=["ratio", "counter", "quantile"])
def test_without_the_start_of_a_process_a_restart_would_not_be_noticed(past: Past, gate: dict[str, Any]) -> None:
    counters = [(GOOD, ramp(50)), (ROLLBACKS, ramp(0)), *buckets({"0.1": 50, "+Inf": 50})]
    past.write(*counters, lives={"": Life(began={0: None})})
    verdict, reason, said = past.said(gate)
    assert (verdict, reason) == (INCONCLUSIVE, Reason.RESTART_UNKNOWN)
    assert said.endswith(UNKNOWN.format("shop"))
    assert past.judged({**gate, "restarts": "ignore"}).verdict is PASSED


def test_a_closing_scrape_that_was_lost_is_waited_for(past: Past) -> None:
    past.write((A, ramp(0)), lives={"a": Life().without(LAST, SCRAPES)})
    result = past.judged(COUNTER)
    assert (result.verdict, result.reason, result.ready_in) == (*GAPPED, STEP)


def test_a_job_that_began_anew_as_a_whole_may_have_been_restarted(past: Past) -> None:
    past.write((A, ramp(0)), lives={"a": LATE})
    verdict, reason, said = past.said(COUNTER)
    assert (verdict, reason) == TOO_EARLY
    assert said.startswith("nothing from before the window tells when shop/a began, so it may have been restarted; ")


def test_a_restart_before_the_window_does_not_matter(past: Past) -> None:
    past.write((A, ramp(0)), lives={"a": Life().restarted(FIRST)})
    assert past.judged(COUNTER).verdict is PASSED


def test_a_restart_of_another_job_does_not_matter(past: Past) -> None:
    past.write((A, ramp(0)), lives={("other", "a"): Life().without(20, 59, 0.0).restarted(60)})
    assert past.judged(COUNTER).verdict is PASSED


def test_the_reset_of_a_rollback_is_a_breach_all_the_same(past: Past) -> None:
    past.write((A, lost(ramp(0, base=5), 60, SCRAPES, 1.0)), lives={"a": Life().restarted(60)})
    assert past.said(COUNTER)[:2] == (BREACHED, OVER)


@pytest.mark.parametrize("gate", [RATIO, COUNTER], ids=["ratio", "counter"])
def test_a_pod_that_left_holds_until_the_plan_says_what_it_means(past: Past, gate: dict[str, Any]) -> None:
    here, there = on(GOOD, "a"), on(GOOD, "b")
    past.write((here, ramp(50)), (there, ramp(50)), (A, ramp(0)), (B, ramp(0)), lives={"b": Life.during(0, 60)})
    assert past.said(gate) == (*RESTART, LEFT.format("b"))
    assert past.judged({**gate, "restarts": "ignore"}).verdict is PASSED


def test_what_a_pod_may_have_taken_along_is_charged(past: Past) -> None:
    past.write((on(GOOD, "a"), ramp(50)), (on(GOOD, "b"), ramp(50)), lives={"b": Life.during(0, 60)})
    result = past.judged({**RATIO, "below": "5%", "restarts": "charge"})
    assert (result.verdict, result.derivation["bad"], result.derivation["charged_for_restarts"]) == (PASSED, 50, 50)
    assert (result.derivation["largest_burst"], result.samples) == (50, 120 * 50 + 59 * 50 + 50)
    assert past.judged({**RATIO, "below": "0.9%", "restarts": "charge"}).reason is Reason.TOO_FEW_SAMPLES


def test_a_charge_may_make_a_counter_too_high(past: Past) -> None:
    past.write((A, ramp(0)), (B, once(3, at=20)), lives={"b": Life.during(0, 60)})
    gate = {**COUNTER, "at_most": 5}
    assert past.judged({**gate, "restarts": "ignore"}).verdict is PASSED
    assert past.judged({**gate, "restarts": "charge"}).verdict is INCONCLUSIVE
    assert past.judged({**gate, "at_most": 6, "restarts": "charge"}).verdict is PASSED


def test_the_only_target_of_a_job_that_vanished_has_left(past: Past) -> None:
    past.write((A, ramp(0)), lives={"a": Life.during(0, 60)})
    assert past.said(COUNTER) == (*RESTART, LEFT.format("a"))


def test_what_somebody_sent_and_sends_no_more_is_a_gap(past: Past) -> None:
    past.write((A, ramp(0)), lives={"a": Life().without(60, SCRAPES)})
    past.bent.targets.clear()
    assert past.said(COUNTER) == (*GAPPED, GAP.format("15.5 min").replace("shop", "shop/a"))


def test_one_instance_out_of_three_is_named(past: Past) -> None:
    three = [(on(GOOD, name), ramp(50)) for name in "abc"]
    past.write(*three, lives={"b": Life().without(60, 79, 0.0)})
    assert past.said(RATIO) == (*GAPPED, GAP.format("5.25 min").replace("shop", "shop/b"))


# --- metrics that are not what the plan thinks ---------------------------------------------------------------


NO_UP = "Prometheus has no 'up' of {}; if it does not scrape it itself, give the environment a scrape_interval"


def test_a_counter_renamed_everywhere_is_no_data(past: Past) -> None:
    past.write(({**A, "__name__": "rollback_events_total"}, ramp(0)))
    said = "no series matches, and no process exports such a metric; a counter that was never born proves nothing"
    assert past.said(COUNTER) == (INCONCLUSIVE, Reason.NO_DATA, said)


def test_a_counter_renamed_on_one_pod_of_three_is_not_counted_there(past: Past) -> None:
    past.write((A, ramp(0)), (B, ramp(0)), ({**C, "__name__": "rollback_events_total"}, once(3)))
    said = "shop/c was scraped and has no such series; if it need not have one, say expect_series"
    assert past.said(COUNTER) == (INCONCLUSIVE, Reason.NO_DATA, said)
    missing = "2 series, at least 3 are expected; find out which one vanished"
    assert past.said({**COUNTER, "expect_series": 3}) == (INCONCLUSIVE, Reason.SERIES_MISSING, missing)
    assert past.judged({**COUNTER, "expect_series": 2}).verdict is PASSED


@pytest.mark.parametrize("family", ["rollbacks_total", "rollbacks"], ids=["text format", "OpenMetrics"])
def test_a_counter_not_born_yet_on_one_pod_of_three_is_zero_there(past: Past, family: str) -> None:
    past.bent.exporters[family] = {("shop", name) for name in "abc"}
    past.write((A, ramp(0)), (B, ramp(0)), lives={"c": Life()})
    assert past.judged(COUNTER).verdict is PASSED
    past.bent.exporters[family].discard(("shop", "c"))
    assert past.judged(COUNTER).reason is Reason.NO_DATA


def test_a_counter_that_only_some_processes_export_is_not_born_on_the_others(past: Past) -> None:
    past.bent.exporters["rollbacks_total"] = {("shop", "a")}
    past.write(lives={"a": Life(), "b": Life()})
    assert past.judged(COUNTER).reason is Reason.NO_DATA
    past.bent.exporters["rollbacks_total"].add(("shop", "b"))
    assert past.judged(COUNTER).verdict is PASSED


def test_a_counter_without_a_job_is_nobodys(past: Past) -> None:
    past.write(({"__name__": "rollbacks_total"}, ramp(0)))
    assert past.said(COUNTER) == (INCONCLUSIVE, Reason.NO_DATA, NO_UP.format("the series"))
    past.bent.targets.clear()
    assert past.said(COUNTER) == (INCONCLUSIVE, Reason.RESTART_UNKNOWN, UNKNOWN.format("the series"))
    assert past.judged({**COUNTER, "restarts": "ignore"}).verdict is PASSED


@pytest.mark.parametrize("matcher", ['instance="a"', 'instance=~"a|z"', 'instance!~"b|c"'])
def test_processes_that_the_selector_does_not_mean_are_not_asked_about(past: Past, matcher: str) -> None:
    past.write((A, ramp(0)), (B, once(1)), lives={"c": Life().restarted(60)})
    assert past.judged({**COUNTER, "counter": {"of": f'rollbacks_total{{job="shop",{matcher}}}'}}).verdict is PASSED


def test_an_exporter_in_another_job_does_not_matter(past: Past) -> None:
    past.bent.exporters["rollbacks_total"] = {("shop", "a"), ("other", "a")}
    past.write(lives={"a": Life(), ("other", "a"): Life().restarted(60)})
    assert past.judged(COUNTER).reason is Reason.RESTART
    assert past.judged({**COUNTER, "counter": {"of": 'rollbacks_total{job="shop"}'}}).verdict is PASSED


def test_a_counter_of_a_job_without_up_is_not_believed(past: Past) -> None:
    past.write((A, ramp(0)))
    past.bent.drop = lambda labels: labels["__name__"] == "up"
    assert past.said(COUNTER) == (INCONCLUSIVE, Reason.NO_DATA, NO_UP.format("shop/a"))


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    ("gate", "labels", "what"),
    [(RATIO, BAD, "the ratio"), (COUNTER, ROLLBACKS, "the counter"), (QUANTILE, None, "the histogram")],
)
def test_a_sample_that_is_no_number_decides_nothing(
    past: Past, gate: dict[str, Any], labels: dict[str, str] | None, what: str, number: float
) -> None:
    told = labels or {"__name__": "lat_bucket", "job": "shop", "le": "0.2"}
    past.write((GOOD, ramp(50)), (told, lost(ramp(0), 60, 60, number)), *buckets({"0.1": 50, "+Inf": 50}))
    said = f"{what} has samples that are not finite numbers; mend the exporter"
    assert past.said(gate) == (INCONCLUSIVE, Reason.NOT_A_NUMBER, said)


BUCKETS = "the series of the histogram do not all have the same buckets, +Inf and a finite one"


@pytest.mark.parametrize("gone", ["0.1", "+Inf"])
def test_a_bucket_missing_on_one_instance_decides_nothing(past: Past, gone: str) -> None:
    whole = {"0.05": 45.0, "0.1": 50.0, "+Inf": 50.0}
    part = {le: n for le, n in whole.items() if le != gone}
    past.write(*buckets(whole, instance="a"), *buckets(part, instance="b"))
    assert past.said(QUANTILE) == (INCONCLUSIVE, Reason.BUCKET_MISSING, BUCKETS)


def test_a_whole_histogram_missing_on_one_instance_decides_nothing(past: Past) -> None:
    past.write(*buckets({"0.1": 50, "+Inf": 50}, instance="a"), lives={"b": Life()})
    verdict, reason, said = past.said(QUANTILE)
    assert (verdict, reason) == (INCONCLUSIVE, Reason.NO_DATA)
    assert said.endswith("shop/b was scraped and has no such series; if it need not have one, say expect_series")


# --- answers that are not whole ------------------------------------------------------------------------------


def test_a_series_lost_from_an_answer_is_missed(past: Past) -> None:
    past.write((on(GOOD, "a"), ramp(50)), (on(BAD, "b"), once(500)), (on(GOOD, "b"), ramp(50)))
    assert past.judged(RATIO).verdict is BREACHED
    past.bent.drop = lambda labels: labels.get("code") == "500"
    said = "the server counts 3 series and sent 2; some of the answer was lost, judge again"
    assert past.said(RATIO) == (INCONCLUSIVE, Reason.PARTIAL_DATA, said)


ELSEWHERE = {
    "ratio": {"bad": 'failures{job="shop"}', "total": 'req{job="shop"}'},
    "below": "0.5%",
    "over": "30m",
}
FAILURES = {"__name__": "failures", "job": "shop", "code": "500"}


@pytest.mark.parametrize("more", [{}, {"by": ["job"], "quantifier": "all", "expect_series": 1}], ids=["", "by"])
@pytest.mark.parametrize("absent", [None, 0])
def test_bad_requests_lost_from_an_answer_are_not_zero(past: Past, absent: int | None, more: dict[str, Any]) -> None:
    past.bent.exporters["failures"] = {("shop", "")}
    past.write((GOOD, ramp(50)), (FAILURES, once(500)))
    ratio = ELSEWHERE["ratio"] if absent is None else {**ELSEWHERE["ratio"], "absent_is": 0}  # type: ignore[dict-item]
    gate = {**ELSEWHERE, **more, "ratio": ratio}
    assert past.judged(gate).verdict is BREACHED
    past.bent.drop = lambda labels: labels.get("__name__") == "failures"
    assert past.judged(gate).reason is Reason.PARTIAL_DATA


def test_a_counter_lost_from_an_answer_was_not_never_born(past: Past) -> None:
    past.bent.exporters["rollbacks_total"] = {("shop", "a")}
    past.write((A, once(1)))
    past.bent.drop = lambda labels: labels.get("__name__") == "rollbacks_total"
    assert past.said(COUNTER)[:2] == (INCONCLUSIVE, Reason.PARTIAL_DATA)


DIFFERS = "the clock of Prometheus is 29 s {} ours, so windows are not where they seem; synchronise both"
UNTOLD = "Prometheus does not tell its time, so its clock may differ from ours; mend the proxy"


@pytest.mark.parametrize(
    ("ahead", "said"),
    [(30.0, DIFFERS.format("ahead of")), (-30.0, DIFFERS.format("behind")), (None, UNTOLD)],
)
@pytest.mark.parametrize("bad", [0, 25], ids=["good", "bad"])
def test_a_clock_that_differs_decides_nothing(past: Past, bad: float, ahead: float | None, said: str) -> None:
    past.write((GOOD, ramp(50)), (BAD, ramp(bad)))
    assert past.judged(RATIO).verdict is (BREACHED if bad else PASSED)
    past.bent.skew = lambda _: ahead
    assert past.said(RATIO) == (INCONCLUSIVE, Reason.CLOCK_SKEW, said)


@pytest.mark.parametrize("ahead", [-8.0, 8.0])
def test_a_clock_that_differs_by_less_than_half_a_scrape_does_not_matter(past: Past, ahead: float) -> None:
    past.write((GOOD, ramp(50)))
    past.bent.skew = lambda _: ahead
    assert past.judged(RATIO).verdict is PASSED


# --- whatever is lost ----------------------------------------------------------------------------------------

TRIES = 25


@dataclass(frozen=True)
class Loss:
    """Samples that do not arrive: of some metrics, of one or of every process, for a while."""

    metrics: Sequence[str]
    instance: str | None
    first: float
    last: float
    every: int
    """1: all of them. 2: every second."""

    @classmethod
    def drawn(cls, random: Random, metrics: Sequence[str], start: float) -> Loss:
        """Return one by chance."""
        names = random.choice([metrics, ["up"], ["process_start_time_seconds"], [*metrics, "up"]])
        first, last = sorted(random.randrange(SCRAPES) for _ in range(2))
        if random.random() < 0.4:
            first, last = random.choice([(0, last), (first, SCRAPES), (0, SCRAPES)])
        instance = random.choice(["a", "b", "c", None])
        while_lost = (start + (first - 1.5) * STEP, start + (last - 0.5) * STEP)
        return cls(names, instance, *while_lost, random.choice([1, 2]))

    def thin(self, labels: Mapping[str, str], samples: Samples) -> Samples:
        """Return what is left of a series."""
        mine = labels["__name__"] in self.metrics and self.instance in {None, labels.get("instance")}
        return [pair for pair in samples if not (mine and self._hit(pair[0]))]

    def _hit(self, at: float) -> bool:
        return self.first <= at <= self.last and at // STEP % self.every == 0


def three_pods(bad: float, per_scrape: float = 1000) -> list[Told]:
    """Return requests of three pods, of which one has bad ones."""
    good = [(on(GOOD, name), ramp(per_scrape)) for name in "abc"]
    return [*good, (on(BAD, "b"), ramp(bad))]


def three_histograms(slow: float) -> list[Told]:
    """Return histograms of three pods, of which one is slow."""
    shares = {"a": 1.0, "b": slow, "c": 1.0}
    return [
        told for name, n in shares.items() for told in buckets({"0.05": 80, "0.1": 100 - n, "+Inf": 100}, instance=name)
    ]


FAILING: dict[str, tuple[dict[str, Any], Sequence[Told], Mapping[str | Instance, Life]]] = {
    name: (COUNTER, one.counters, one.lives) for name, one in SCENARIOS.items() if one.verdict is not PASSED
}
FAILING |= {
    "too many bad requests": (RATIO, three_pods(30), {}),
    "just enough bad requests": (RATIO, three_pods(16), {}),
    "too few requests": (RATIO, three_pods(0, 2), {}),
    "requests before a restart": (RATIO, three_pods(0), {"b": Life().restarted(60)}),
    "requests of a pod that left": (RATIO, three_pods(0), {"b": Life.during(0, 70)}),
    "requests with a gap": (RATIO, three_pods(0), {"b": Life().without(50, 60, 0.0)}),
    "slow requests": (QUANTILE, three_histograms(20), {}),
    "slow requests before a restart": (QUANTILE, three_histograms(1), {"b": Life().restarted(60)}),
}


@pytest.mark.parametrize(("gate", "told", "lives"), FAILING.values(), ids=FAILING)
def test_whatever_is_lost_on_the_way_does_not_make_a_pass(
    past: Past, gate: dict[str, Any], told: Sequence[Told], lives: Mapping[str | Instance, Life]
) -> None:
    past.write(*told, lives=lives)
    assert past.judged(gate).verdict is not PASSED
    metrics = sorted({labels["__name__"] for labels, _ in told})
    for seed in range(TRIES):
        loss = Loss.drawn(Random(seed), metrics, past.start)  # noqa: S311 - the same every time
        past.bent.thin = loss.thin
        assert past.judged(gate).verdict is not PASSED, loss


def test_without_its_targets_prometheus_proves_nothing(past: Past) -> None:
    past.write(*three_pods(0), lives={"b": Life.during(0, 70)})
    for left in (set(), {ITSELF}, {ITSELF, ("shop", "a")}):
        past.bent.targets = left
        assert past.judged(RATIO).verdict is not PASSED
