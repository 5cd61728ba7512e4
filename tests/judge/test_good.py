"""Ratios of good ones that a metric of its own counts: what passes, what breaches, what does not decide, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest

from pytest_rollout.judge.demand import Demand, Restarts
from pytest_rollout.judge.good import pairs_of
from pytest_rollout.judge.lives import Watch
from pytest_rollout.judge.samples import Series, Window
from pytest_rollout.judge.share import RatioEvidence, judge_ratio
from pytest_rollout.verdict import CheckResult, Reason, Verdict
from tests.judge.evidence import LENGTH, SHARE, START, STEP, TIMES, WINDOW, A, Labels, counted, steady, watch, without

PASSED, BREACHED, INCONCLUSIVE, _ = Verdict
FINE = watch()
BOTH = watch("a", "b")
ONE_PER_CENT = replace(SHARE, limit=0.01)
NAMES = ("headers", "warned")


def headers(per_scrape: float, labels: Labels = {}, *, base: float = 0) -> Series:  # noqa: B006 - never changed
    return steady(per_scrape, {"__name__": "headers", "endpoint": "/x", **labels}, base=base)


def warned(per_scrape: float, labels: Labels = {}, *, base: float = 0) -> Series:  # noqa: B006 - never changed
    return steady(per_scrape, {"__name__": "warned", "endpoint": "/x", "result": "warn", **labels}, base=base)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """How both sides were watched, and when."""

    total: Watch = FINE
    good: Watch | None = None
    window: Window = WINDOW


def judged(
    good: Sequence[Series], total: Sequence[Series], seen: Seen = Seen(), demand: Demand = ONE_PER_CENT
) -> CheckResult:
    theirs = seen.good or seen.total
    evidence = RatioEvidence(bad=(), good=tuple(good), total=tuple(total), watch=seen.total, bad_watch=theirs)
    return judge_ratio(evidence, seen.window, demand)


def said(result: CheckResult) -> tuple[Verdict, Reason, str]:
    return result.verdict, result.reason, result.message


def late(series: Series, scrapes: int, *, by: float) -> Series:
    """Return a counter that missed events in the latest scrapes."""
    first = len(series.samples) - scrapes
    samples = ((at, value - by * max(place - first + 1, 0)) for place, (at, value) in enumerate(series.samples))
    return replace(series, samples=tuple(samples))


# --- what decides ---------------------------------------------------------------------------------------------


def test_all_good_passes_and_the_edges_of_the_window_cost_nothing() -> None:
    assert said(judged([headers(10)], [warned(10)])) == (
        PASSED,
        Reason.WITHIN_LIMIT,
        "0 not good of 1,200; with 95 % confidence the share lies in 0-0.307 %, the limit is 1 %",
    )


def test_one_in_fifty_that_is_not_good_breaches() -> None:
    result = judged([headers(49)], [warned(50)])
    assert said(result) == (
        BREACHED,
        Reason.LIMIT_BREACHED,
        "120 not good of 6,000; with 95 % confidence the share lies in 1.66-2.39 %, the limit is 1 %",
    )
    assert (result.value, result.limit) == (0.02, 0.01)


def test_what_was_missed_before_the_window_does_not_count() -> None:
    assert judged([headers(10)], [warned(10, base=500)]).verdict is PASSED


def test_few_events_hold() -> None:
    assert judged([headers(1)], [warned(1)]).reason is Reason.TOO_FEW_SAMPLES


def test_nothing_that_happened_is_no_pass() -> None:
    assert judged([headers(0)], [warned(0)]).reason is Reason.NO_DATA


def test_good_ones_of_one_process_or_endpoint_do_not_make_up_for_another() -> None:
    here, there = {"instance": "b"}, {"endpoint": "/y"}
    for other in (here, there):
        good = (headers(100), headers(45, other))
        total = (warned(50), warned(50, other))
        result = judged(good, total, Seen(total=BOTH if other is here else FINE))
        assert (result.verdict, result.derivation["bad"]) == (BREACHED, 600)


def test_good_ones_too_many_in_one_scrape_do_not_make_up_for_another_scrape() -> None:
    even = warned(10)
    good = counted([10 * place + (5 if place % 2 else 0) for place in range(len(TIMES))], headers(0).labels)
    result = judged([good], [even])
    assert (result.verdict, result.derivation["bad"]) == (INCONCLUSIVE, 5 * 60)


def test_what_is_told_later_is_no_breach() -> None:
    """A header counted when the answer is sent, and its request when it comes: some are always on their way."""
    good = counted([max(10 * place - 3 * (place % 2), 0) for place in range(len(TIMES))], headers(0).labels)
    assert judged([good], [warned(10)]).verdict is INCONCLUSIVE


# --- what is not there ------------------------------------------------------------------------------------------

NOWHERE = (
    "no series matches 'good', and not every process exports its metric, so nothing tells what was good; check the "
    "metric's name, its labels and the scrape"
)
TOO_GOOD = (
    '7,200 good ones of at most 6,000 in {endpoint="/x",instance="a",job="app"}, so \'good\' counts what \'total\' '
    "does not; give both the same matchers, or mend what is counted"
)
NOT_THERE = (
    "app/b has no series of 'good' and does not export its metric, so nothing tells what was good there; check the "
    "metric's name, its labels and what that process is"
)


def test_without_any_good_series_nothing_is_known_unless_the_metric_is_exported() -> None:
    assert said(judged([], [warned(50)])) == (INCONCLUSIVE, Reason.NO_DATA, NOWHERE)
    exporting = replace(FINE, exporters=frozenset({A}))
    assert judged([], [warned(50)], Seen(good=exporting)).verdict is BREACHED
    assert judged([], [warned(50)], Seen(good=replace(exporting, counted=1))).reason is Reason.PARTIAL_DATA


def test_without_any_total_nothing_is_known() -> None:
    assert said(judged([headers(10)], []))[1:] == (
        Reason.NO_DATA,
        "no series matches 'total'; check the metric's name, its labels and the scrape",
    )


def test_a_process_without_good_ones_holds_or_breaches_if_it_has_none() -> None:
    total = (warned(50), warned(50, {"instance": "b"}))
    result = judged([headers(50)], total, Seen(total=BOTH))
    assert said(result) == (INCONCLUSIVE, Reason.NO_DATA, NOT_THERE)
    assert result.derivation["bad"] == 6000
    exporting = replace(BOTH, exporters=frozenset({("app", "b")}))
    assert judged([headers(50)], total, Seen(total=BOTH, good=exporting)).verdict is BREACHED


def test_an_endpoint_without_good_ones_has_none() -> None:
    total = (warned(50), warned(50, {"endpoint": "/y"}))
    assert judged([headers(50)], total).verdict is BREACHED
    assert judged([headers(50)], total, Seen(good=replace(FINE, counted=2))).reason is Reason.PARTIAL_DATA


def test_good_ones_of_another_process_are_none_of_these() -> None:
    other = {"job": "proxy", "instance": "p"}
    assert judged([headers(50, other)], [warned(50)], Seen(good=Watch())).reason is Reason.NO_DATA


def test_more_good_ones_than_all_are_not_a_part() -> None:
    assert said(judged([headers(60)], [warned(50)]))[1:] == (
        Reason.NOT_A_PART,
        TOO_GOOD,
    )
    unmatched = (headers(50), headers(10, {"endpoint": "/y"}))
    assert judged(unmatched, [warned(50)]).reason is Reason.NOT_A_PART


def test_a_series_that_the_server_counts_and_did_not_send_holds() -> None:
    cut = replace(FINE, counted=2)
    for lost in (Seen(total=cut, good=FINE), Seen(good=cut)):
        assert judged([headers(50)], [warned(50)], lost).reason is Reason.PARTIAL_DATA


def test_a_good_series_that_ended_holds_and_what_came_after_is_not_good() -> None:
    ended = replace(headers(50), samples=headers(50).samples[:100])
    result = judged([ended], [warned(50)])
    assert (result.verdict, result.reason) == (INCONCLUSIVE, Reason.COVERAGE)
    assert result.derivation["bad"] == 50 * 27


# --- lost samples, births, restarts -----------------------------------------------------------------------------


def test_a_sample_that_one_side_lost_costs_nothing_inside() -> None:
    for good, total in (([60], []), ([], [60]), ([60], [61])):
        result = judged([without(headers(50), good)], [without(warned(50), total)])
        assert (result.verdict, result.derivation["bad"]) == (PASSED, 0)


def test_a_good_sample_lost_at_the_edge_counts_what_may_have_been_missed() -> None:
    """Before the window 7 were missed; without the good samples until then, it is not known when."""
    good, total = headers(50, base=93), warned(50, base=100)
    assert judged([good], [total]).derivation["bad"] == 0
    unknown = without(good, range(7))
    assert judged([unknown], [total]).derivation["bad"] == 7
    assert judged([without(good, [6])], [total]).derivation["bad"] == 0


def test_what_good_ones_showed_before_their_first_sample_is_not_known() -> None:
    """All good samples until the window's start are lost, and in the first scrape after it 3 were missed."""
    steps = [50 * place - 3 * (place > 1) for place in range(len(TIMES))]
    good = counted([value + 1000.0 for value in steps], headers(0).labels)
    assert judged([good], [warned(50, base=1000)]).derivation["bad"] == 3
    assert judged([without(good, range(7))], [warned(50, base=1000)]).derivation["bad"] == 3
    other = headers(10, {"kind": "a"}, base=200)
    for lost in ((), range(7)):
        result = judged([good, without(other, lost)], [warned(60, base=1200)])
        assert result.derivation["bad"] == 3


def test_good_ones_born_late_count_as_far_as_they_cannot_be_older() -> None:
    total = counted([0, 0, *(10 * place for place in range(1, 121))], warned(0).labels)
    good = replace(total, labels=headers(0).labels)
    born = replace(good, samples=tuple(pair for pair in good.samples if pair[1]))
    assert judged([born], [total]).derivation["bad"] == 0
    mature = replace(total, samples=tuple((at, value + 400) for at, value in total.samples))
    assert judged([born], [mature]).derivation["bad"] == 10


def test_several_totals_share_their_good_ones() -> None:
    total = (warned(20, {"code": "200"}), warned(30, {"code": "201"}))
    assert judged([headers(50)], total).verdict is PASSED
    assert judged([headers(48)], total).verdict is BREACHED
    assert judged([headers(25), headers(25, {"kind": "a"})], total).verdict is PASSED


def test_restarts_hold_or_are_charged() -> None:
    anew = [10 * place if place < 60 else 10 * (place - 60) for place in range(len(TIMES))]
    good, total = counted(anew, headers(0).labels), counted(anew, warned(0).labels)
    began = Series({"__name__": "process_start_time_seconds", "job": "app", "instance": "a"}, ())
    told = replace(began, samples=tuple((at, 500.0 if at < TIMES[60] else TIMES[60] - 5) for at in TIMES))
    seen = replace(FINE, starts=(told,))
    assert judged([good], [total], Seen(total=seen)).reason is Reason.RESTART
    charged = judged([good], [total], Seen(total=seen), demand=replace(ONE_PER_CENT, restarts=Restarts.CHARGE))
    assert (charged.derivation["bad"], charged.derivation["charged_for_restarts"]) == (10, 10)


def test_after_a_restart_all_that_is_behind_counts() -> None:
    total = counted([10 * place if place < 60 else 10 * (place - 59) for place in range(len(TIMES))], warned(0).labels)
    good = counted([10 * place if place < 60 else 10 * (place - 60) for place in range(len(TIMES))], headers(0).labels)
    demand = replace(ONE_PER_CENT, restarts=Restarts.IGNORE)
    assert judged([good], [total], demand=demand).derivation["bad"] == 10
    once = without(good, [64, 65])  # the last scrape before the restart, and the first after it
    assert judged([once], [total], demand=demand).derivation["bad"] == 20


def test_what_was_missed_together_may_be_one_event() -> None:
    result = judged([late(headers(50), 7, by=2)], [warned(50)])
    assert result.derivation["largest_burst"] == 14


# --- groups, baselines ------------------------------------------------------------------------------------------


def test_a_group_keeps_what_is_known_of_its_good_ones() -> None:
    total = (warned(50), warned(50, {"endpoint": "/y"}))
    evidence = RatioEvidence(bad=(), good=(headers(50),), total=total, watch=FINE, bad_watch=FINE)
    assert judge_ratio(evidence.only(total[:1], evidence.part), WINDOW, ONE_PER_CENT).verdict is PASSED
    assert judge_ratio(evidence.only(total[1:], ()), WINDOW, ONE_PER_CENT).verdict is BREACHED
    nobody = replace(evidence, good=())
    assert judge_ratio(nobody.only(total[1:], ()), WINDOW, ONE_PER_CENT).reason is Reason.NO_DATA


def test_expected_series_are_those_of_total() -> None:
    for expected, reason in ((1, Reason.WITHIN_LIMIT), (2, Reason.SERIES_MISSING)):
        demand = replace(ONE_PER_CENT, expect_series=expected)
        assert judged([headers(50)], [warned(50)], demand=demand).reason is reason


def test_pairs_are_made_by_the_labels_that_all_series_have() -> None:
    total = (warned(1), warned(1, {"endpoint": "/y", "zone": "z"}))
    assert [pair.name for pair in pairs_of((headers(1, {"zone": "z"}),), total)] == [
        'endpoint="/x",instance="a",job="app"',
        'endpoint="/y",instance="a",job="app"',
    ]


@pytest.mark.parametrize("first", [1, 30])
def test_early_in_a_window_only_a_sure_breach_is_told(first: int) -> None:
    early = Window(START, START + LENGTH - STEP * first * 2, LENGTH)
    assert judged([headers(50)], [warned(50)], Seen(window=early)).reason is Reason.WINDOW_NOT_ELAPSED
    assert judged([headers(40)], [warned(50)], Seen(window=early)).verdict is BREACHED
