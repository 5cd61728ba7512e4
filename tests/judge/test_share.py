"""Ratios on counts: what passes, what breaches, what does not decide, and in which words."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from pytest_rollout.judge import binomial
from pytest_rollout.judge.certainty import Certainty
from pytest_rollout.judge.demand import Demand, Restarts
from pytest_rollout.judge.lives import Watch
from pytest_rollout.judge.samples import Series, Window
from pytest_rollout.judge.share import RatioEvidence, judge_ratio
from pytest_rollout.verdict import CheckResult, Reason, Verdict
from tests.judge.evidence import (
    LENGTH,
    SHARE,
    START,
    STEP,
    TIMES,
    WINDOW,
    A,
    Labels,
    counted,
    risen,
    spread,
    steady,
    unscraped,
    watch,
)

OK: Labels = {"code": "200"}
OTHER: Labels = {"code": "200", "instance": "b"}
BAD: Labels = {"code": "500"}
MANY = steady(50, OK)
"""6,000 requests in the window."""
FINE = watch()
NEVER_BORN = (
    "no series matches 'bad', it is not part of 'total', and not every process exports its metric, so nothing proves "
    "that it means zero; if it does, say absent_is: 0"
)
PASSED, BREACHED, INCONCLUSIVE, _ = Verdict


def judged(
    bad: Series | None,
    *total: Series,
    window: Window = WINDOW,
    demand: Demand = SHARE,
    narrower: bool = True,
    seen: Watch = FINE,
) -> CheckResult:
    bads = (bad,) if bad else ()
    evidence = RatioEvidence(
        bad=bads,
        total=(*total, *bads),
        watch=seen,
        bad_watch=None if narrower else seen,
        bad_labels=frozenset({"code"}),
    )
    return judge_ratio(evidence, window, demand)


def said(result: CheckResult) -> tuple[Verdict, Reason, str]:
    return result.verdict, result.reason, result.message


def test_few_bad_of_many_pass_with_the_numbers_that_decided() -> None:
    result = judged(spread(12, BAD), steady(50, OK))
    assert said(result) == (
        PASSED,
        Reason.WITHIN_LIMIT,
        "12 bad requests of 6,012; with 95 % confidence the share lies in 0.103-0.348 %, the limit is 0.5 %",
    )
    bounds = binomial.interval(12, 6012, 0.025)
    assert (result.value, result.limit, result.unit) == (12 / 6012, 0.005, "share")
    assert (result.samples, result.window, result.ready_in) == (6012, (START, START + LENGTH), None)
    assert result.derivation == {
        "rule": "Clopper-Pearson, two-sided, single look",
        "confidence": 0.95,
        "bad": 12,
        "total": 6012,
        "low": pytest.approx(bounds.low),
        "high": pytest.approx(bounds.high),
        "largest_burst": 2,
        "restarts": "hold",
        "coverage": {"app/a": {"share": 1.0, "longest_gap": 15.0, "scrapes": 127}},
    }


def test_too_many_bad_breach() -> None:
    assert said(judged(spread(60, BAD), MANY)) == (
        BREACHED,
        Reason.LIMIT_BREACHED,
        "60 bad requests of 6,060; with 95 % confidence the share lies in 0.756-1.27 %, the limit is 0.5 %",
    )


def test_between_the_bounds_it_says_how_many_more_are_needed() -> None:
    result = judged(spread(20, BAD), MANY)
    more = Certainty(0.95).further_needed(20, 6020, 3, 0.005)
    assert more is not None
    assert (result.verdict, result.reason) == (INCONCLUSIVE, Reason.TOO_FEW_SAMPLES)
    assert result.message == (
        "20 bad requests of 6,020; with 95 % confidence the share lies in 0.203-0.513 %, the limit is 0.5 %; "
        f"needs {more:,} more requests, about 5.59 min at the current rate"
    )
    assert result.ready_in == pytest.approx(more / (6020 / LENGTH))


def test_a_share_above_the_limit_that_is_not_proven_says_so() -> None:
    result = judged(spread(35, BAD), MANY)
    assert (result.verdict, result.reason) == (INCONCLUSIVE, Reason.TOO_FEW_SAMPLES)
    assert result.message == (
        "35 bad requests of 6,035; with 95 % confidence the share lies in 0.404-0.806 %, the limit is 0.5 %; "
        "the observed share is not below the limit, but too few requests prove that it is above"
    )
    assert result.ready_in is None


@pytest.mark.parametrize(("per_scrape", "verdict"), [(6, INCONCLUSIVE), (7, PASSED)])
def test_without_a_bad_request_736_prove_half_a_per_cent(per_scrape: int, verdict: Verdict) -> None:
    assert judged(None, steady(per_scrape, OK)).verdict is verdict


def test_the_confidence_of_the_plan_decides() -> None:
    assert judged(spread(18, BAD), MANY).verdict is PASSED
    assert judged(spread(18, BAD), MANY, demand=replace(SHARE, confidence=0.99)).verdict is INCONCLUSIVE


# --- what is counted ----------------------------------------------------------------------------------------


def test_what_a_total_held_when_first_seen_proves_nothing() -> None:
    late = steady(50, OK, base=10_000)
    born = replace(late, samples=late.samples[7:])
    assert judged(None, born).samples == 119 * 50


def test_what_a_bad_series_held_when_first_seen_counts() -> None:
    born = counted([60.0] * 99, BAD, first=22)
    result = judged(born, MANY)
    assert (result.verdict, result.derivation["bad"], result.derivation["total"]) == (BREACHED, 60, 6000)


def test_more_bad_than_total_is_all_of_them() -> None:
    born = counted([60.0] * 99, BAD, first=22)
    result = judged(born)
    assert (result.derivation["bad"], result.derivation["total"], result.verdict) == (60, 60, BREACHED)


def test_several_instances_are_added() -> None:
    two = [steady(25, {**OK, "instance": name}, base=1e6) for name in ("a", "b")]
    result = judged(risen(12, BAD, base=500), *two)
    assert (result.derivation["bad"], result.derivation["total"]) == (12, 6012)


def test_a_reset_counts_what_came_after_it() -> None:
    values = [1000.0 + 50 * scrape if scrape < 61 else 50.0 * (scrape - 60) for scrape in range(122)]
    assert judged(None, counted(values, OK)).samples == 59 * 50 + 61 * 50


# --- what does not decide -----------------------------------------------------------------------------------


def test_no_total_is_no_data() -> None:
    assert said(judged(None)) == (
        INCONCLUSIVE,
        Reason.NO_DATA,
        "no series matches 'total'; check the metric's name, its labels and the scrape",
    )


def test_no_total_yet_is_too_early() -> None:
    young = Window(START, START + 600, LENGTH)
    result = judged(None, window=young)
    assert said(result) == (
        INCONCLUSIVE,
        Reason.WINDOW_NOT_ELAPSED,
        "observed for 10 min of 30 min since the flip; decides in about 20 min",
    )
    assert result.ready_in == 1200


def test_no_traffic_is_no_data() -> None:
    assert said(judged(None, counted([7.0] * 122, OK)))[1:] == (
        Reason.NO_DATA,
        "the series exist, but nothing was counted in the window; is there traffic?",
    )


def test_absent_bad_requests_mean_none_only_within_the_total() -> None:
    assert judged(None, MANY).verdict is PASSED
    assert said(judged(None, MANY, narrower=False)) == (
        INCONCLUSIVE,
        Reason.NO_DATA,
        NEVER_BORN,
    )


def test_a_label_that_nobody_has_is_a_typing_error() -> None:
    unlabelled = steady(50, {"status": "200"})
    assert said(judged(None, unlabelled)) == (
        INCONCLUSIVE,
        Reason.UNKNOWN_LABEL,
        "no series of 'total' has the label 'code' that tells what is bad; labels there: instance, job, status",
    )


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("bent", ["bad", "total"])
def test_a_sample_that_is_no_number_decides_nothing(value: float, bent: str) -> None:
    broken = counted([0.0, value, 0.0], BAD)
    result = judged(broken, MANY) if bent == "bad" else judged(None, MANY, broken)
    assert said(result) == (
        INCONCLUSIVE,
        Reason.NOT_A_NUMBER,
        "the ratio has samples that are not finite numbers; mend the exporter",
    )


def test_shortly_after_the_flip_even_many_requests_do_not_pass() -> None:
    young = Window(START + 1200, START + LENGTH, LENGTH)
    result = judged(None, steady(500, OK), window=young)
    assert said(result) == (
        INCONCLUSIVE,
        Reason.WINDOW_NOT_ELAPSED,
        "observed for 10 min of 30 min since the flip; decides in about 20 min",
    )
    assert (result.samples, result.ready_in) == (20_000, 1200)


def test_shortly_after_the_flip_a_certain_breach_is_a_breach() -> None:
    young = Window(START + 1200, START + LENGTH, LENGTH)
    assert judged(spread(60, BAD, first=82), steady(50, OK), window=young).verdict is BREACHED


@pytest.mark.parametrize(("short", "verdict"), [(7.5, PASSED), (7.6, INCONCLUSIVE)])
def test_half_a_scrape_is_forgiven_and_no_more(short: float, verdict: Verdict) -> None:
    window = Window(START + short, START + LENGTH, LENGTH)
    assert judged(None, MANY, window=window).verdict is verdict


def away(start: float, end: float) -> Watch:
    """Return that the process was not scraped for a while, in seconds of the window."""
    return replace(FINE, up=(unscraped(FINE.up[0], start, end),))


@pytest.mark.parametrize(("first", "verdict"), [(60.0, PASSED), (75.0, INCONCLUSIVE)])
def test_a_process_that_was_scraped_late_was_not_observed(first: float, verdict: Verdict) -> None:
    both = [unscraped(MANY, -999, first), unscraped(steady(0, OTHER), -999, first)]
    seen = watch("a", "b")
    seen = replace(seen, up=(unscraped(seen.up[0], -999, first), *seen.up[1:]))
    seen = replace(seen, starts=(unscraped(seen.starts[0], -999, first), *seen.starts[1:]))
    result = judged(None, both[0], steady(0, OTHER), seen=seen)
    assert result.verdict is verdict
    if verdict is INCONCLUSIVE:
        assert said(result)[1:] == (
            Reason.WINDOW_NOT_ELAPSED,
            "app/a was first seen 75 s after the window's start; decides in about 75 s",
        )


HOLE = "no scrape of app/a for 5 min (at most 1 min is allowed); find out why, then let the window pass again"


def test_a_hole_is_no_observation() -> None:
    result = judged(None, unscraped(MANY, 600, 900), seen=away(600, 900))
    assert said(result) == (INCONCLUSIVE, Reason.COVERAGE, HOLE)
    told = result.derivation["coverage"]["app/a"]
    assert (told["longest_gap"], told["share"]) == (300, pytest.approx(101 / 120))
    assert result.ready_in == 900


def test_a_hole_in_what_is_bad_alone_is_one_too() -> None:
    result = judged(unscraped(spread(0, BAD), 1500, LENGTH + 1), MANY)
    assert (result.verdict, result.reason) == (INCONCLUSIVE, Reason.COVERAGE)


def test_a_hole_does_not_excuse_a_breach() -> None:
    lost = unscraped(spread(60, BAD), 600, 1200), unscraped(MANY, 600, 1200)
    assert judged(*lost, seen=away(600, 1200)).verdict is BREACHED


def test_the_gap_that_the_plan_allows_is_allowed() -> None:
    holed, seen = unscraped(MANY, 600, 675), away(600, 675)
    assert judged(None, holed, seen=seen).verdict is INCONCLUSIVE
    assert judged(None, holed, seen=seen, demand=replace(SHARE, max_gap=5 * STEP)).verdict is PASSED


# --- bursts, points, restarts -------------------------------------------------------------------------------


def test_bad_requests_that_came_together_may_be_one_event() -> None:
    result = judged(risen(12, BAD), MANY)
    high = binomial.interval(1, 6000 / 12 + 1, 0.025).high
    assert (result.verdict, result.reason) == (INCONCLUSIVE, Reason.TOO_FEW_SAMPLES)
    assert result.derivation["high"] == pytest.approx(high)
    assert "; 12 of them came together and may be one event; needs " in result.message


def test_without_confidence_the_observed_share_is_compared() -> None:
    point = replace(SHARE, confidence=None)
    result = judged(spread(29, BAD), MANY, demand=point)
    assert said(result) == (
        PASSED,
        Reason.WITHIN_LIMIT,
        "29 bad requests of 6,029; the observed share is compared, without any confidence, the limit is 0.5 %",
    )
    assert judged(spread(42, BAD), MANY, demand=point).verdict is BREACHED


def test_looked_at_again_and_again_more_is_needed() -> None:
    again = replace(WINDOW, epoch=1)
    once, often = judged(spread(15, BAD), MANY), judged(spread(15, BAD), MANY, window=again)
    assert (once.verdict, often.verdict) == (PASSED, INCONCLUSIVE)
    assert often.derivation["rule"] == "beta-binomial mixture, time-uniform, stretch 1"


def test_a_restart_is_charged_with_what_may_be_lost() -> None:
    began = TIMES[60] - 5
    starts = counted([500.0] * 60 + [began] * 62, {"__name__": "process_start_time_seconds"})
    seen = replace(FINE, starts=(starts,))
    anew = counted([50.0 * scrape if scrape < 60 else 50.0 * (scrape - 59) for scrape in range(122)], OK)
    assert judged(None, anew, seen=seen).reason is Reason.RESTART
    charged = judged(None, anew, seen=seen, demand=replace(SHARE, restarts=Restarts.CHARGE))
    assert (charged.verdict, charged.derivation["bad"]) == (INCONCLUSIVE, 50)
    assert charged.derivation["charged_for_restarts"] == 50
    ignored = judged(None, anew, seen=seen, demand=replace(SHARE, restarts=Restarts.IGNORE))
    assert (ignored.verdict, ignored.derivation["bad"], ignored.derivation["restarts"]) == (PASSED, 0, "ignore")


# --- bad requests of a metric of their own ------------------------------------------------------------------


def apart(bad: Series | None, theirs: Watch, *, absent_is_zero: bool = False) -> CheckResult:
    evidence = RatioEvidence(
        bad=(bad,) if bad else (), total=(MANY,), watch=FINE, bad_watch=theirs, absent_is_zero=absent_is_zero
    )
    return judge_ratio(evidence, WINDOW, SHARE)


def test_absence_means_zero_if_the_plan_or_the_metadata_says_so() -> None:
    assert said(apart(None, FINE))[1:] == (Reason.NO_DATA, NEVER_BORN)
    assert apart(None, FINE, absent_is_zero=True).verdict is PASSED
    assert apart(None, replace(FINE, exporters=frozenset({A}))).verdict is PASSED
    assert apart(None, replace(FINE, exporters=frozenset({("app", "b")}))).reason is Reason.NO_DATA


@pytest.mark.parametrize("absent_is_zero", [True, False])
def test_absence_means_nothing_if_the_server_counts_more(absent_is_zero: bool) -> None:
    theirs = replace(FINE, exporters=frozenset({A}), counted=1)
    assert apart(None, theirs, absent_is_zero=absent_is_zero).reason is Reason.PARTIAL_DATA


def test_bad_requests_are_watched_for_themselves() -> None:
    assert apart(spread(12, BAD), FINE).verdict is PASSED
    assert apart(spread(12, BAD), replace(FINE, counted=2)).reason is Reason.PARTIAL_DATA
    assert apart(spread(12, {**BAD, "instance": "b"}), FINE).reason is not Reason.WITHIN_LIMIT


def test_bad_requests_of_another_process_that_was_born_are_counted() -> None:
    born = counted([60.0] * 62, {**BAD, "job": "proxy"}, first=60)
    result = apart(born, replace(FINE, exporters=frozenset({A})))
    assert (result.verdict, result.derivation["bad"]) == (INCONCLUSIVE, 60)


def test_of_a_window_shorter_than_a_scrape_a_tenth_is_forgiven() -> None:
    short = Window(START + LENGTH - 10.0, START + LENGTH, 11.2)
    assert judged(None, MANY, window=short).reason is Reason.WINDOW_NOT_ELAPSED
    assert judged(None, MANY, window=replace(short, wanted=11.0)).reason is not Reason.WINDOW_NOT_ELAPSED


def test_a_group_keeps_who_exports_its_bad_requests() -> None:
    exporting = replace(FINE, exporters=frozenset({("app", "a")}))
    evidence = RatioEvidence(bad=(), total=(MANY,), watch=FINE, bad_watch=exporting)
    assert judge_ratio(evidence.only((MANY,), ()), WINDOW, SHARE).verdict is PASSED


def test_what_a_process_of_bad_requests_alone_took_along_cannot_be_charged() -> None:
    job = {"job": "till", "instance": "t"}
    bad = unscraped(steady(0, {"__name__": "failures", **job}), 900, LENGTH + 99)
    up = unscraped(steady(0, {"__name__": "up", **job}, base=1), 900, LENGTH + 99)
    theirs = Watch(up=(up,))
    evidence = RatioEvidence(bad=(bad,), total=(MANY,), watch=FINE, bad_watch=theirs)
    result = judge_ratio(evidence, WINDOW, replace(SHARE, restarts=Restarts.CHARGE))
    assert result.reason is Reason.RESTART
