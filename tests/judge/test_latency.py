"""Load runs by their limits: what passes, what breaches, what does not decide, and in which words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from random import Random

import pytest

from pytest_rollout.judge.latency import (
    CLOSED,
    ErrorsAtMost,
    ErrorsBelow,
    Limit,
    QuantileBelow,
    judge_limit,
    together,
)
from pytest_rollout.judge.load_run import Answers, Bad, Model, Run, largest_burst, longest_row
from pytest_rollout.verdict import CheckResult, Reason, Verdict
from tests.judge.load_runs import WHOLE, answers, lognormal, spread

P95 = QuantileBelow(0.95, 0.2)
P99 = QuantileBelow(0.99, 0.5)
ERRORS = ErrorsBelow(0.01)
NONE_FAILED = ErrorsAtMost(0)
LIMITS: list[Limit] = [P95, P99, ERRORS, NONE_FAILED]
FAST = answers(spread(6000, 0))
AT_REST = replace(WHOLE, whole=False)


def verdict(result: CheckResult) -> tuple[Verdict, Reason]:
    return result.verdict, result.reason


HELD = (Verdict.INCONCLUSIVE, Reason.UNPROVEN)
PASSED = (Verdict.PASSED, Reason.WITHIN_LIMIT)
BREACHED = (Verdict.BREACHED, Reason.LIMIT_BREACHED)
LOST = (Verdict.ERROR, Reason.EVIDENCE)


# --- quantiles ------------------------------------------------------------------------------------------------


def test_a_fast_service_passes() -> None:
    result = judge_limit(P95, answers(spread(6000, 150)), WHOLE)
    assert verdict(result) == PASSED
    assert result.message == (
        "40 ms, surely between 40 ms and 40 ms; the limit is 200 ms; 150 of 6,000 requests took as long or have no "
        "good answer"
    )
    assert (result.value, result.limit, result.unit, result.samples) == (0.04, 0.2, "seconds", 6000)
    assert result.window == (1000.0, 1120.0)


def test_the_derivation_tells_all_that_the_verdict_rests_on() -> None:
    found = judge_limit(P95, answers(spread(6000, 150)), WHOLE).derivation
    assert found["rule"] == "Clopper-Pearson, one-sided, single look"
    assert found["confidence"] == 0.95
    assert (found["bad"], found["sure"], found["total"], found["planned"]) == (150, 150, 6000, 6000)
    assert found["low"] < 0.025 < found["high"] < 0.05
    assert (found["quantile"], found["fewest_requests"], found["value_is"]) == (0.95, 59, "exact")
    assert (found["low_bound"], found["high_bound"], found["model"]) == (0.04, 0.04, "open")
    assert (found["largest_burst"], found["longest_row"]) == (16, 1)


def test_a_slow_service_breaches() -> None:
    result = judge_limit(P95, answers(spread(6000, 400)), WHOLE)
    assert verdict(result) == BREACHED
    assert result.message.startswith("500 ms, surely between 500 ms and 500 ms; the limit is 200 ms; 400 of 6,000")


def test_a_percentile_just_above_its_limit_is_not_rounded_below_it() -> None:
    """Locust prints 200 for 204.9."""
    assert verdict(judge_limit(P95, answers([0.2049] * 6000), WHOLE)) == BREACHED
    assert verdict(judge_limit(P95, answers([0.2] * 6000), WHOLE)) == BREACHED
    assert verdict(judge_limit(P95, answers([0.1999] * 6000), WHOLE)) == PASSED


@pytest.mark.parametrize(("limit", "enough"), [(P95, 59), (P99, 299), (QuantileBelow(0.999, 0.5), 2995)])
def test_a_percentile_passes_on_no_fewer_requests_than_prove_it(limit: QuantileBelow, enough: int) -> None:
    assert verdict(judge_limit(limit, answers([0.04] * enough), WHOLE)) == PASSED
    assert verdict(judge_limit(limit, answers([0.04] * (enough - 1)), WHOLE)) == HELD


def test_a_p99_of_a_hundred_requests_is_no_p99() -> None:
    result = judge_limit(P99, answers([0.04] * 100), replace(WHOLE, seconds=2.0))
    assert verdict(result) == HELD
    assert result.message == (
        "40 ms, surely between 40 ms and anything; the limit is 500 ms; 0 of 100 requests took as long or have no good "
        "answer; needs about 199 more requests, 3.98 s at this rate"
    )
    assert result.derivation["high_bound"] is None
    assert result.ready_in is None
    assert not result.may_still_arrive


def test_what_is_too_slow_for_a_pass_and_too_little_for_a_breach_does_not_decide() -> None:
    result = judge_limit(P95, answers(spread(6000, 305)), WHOLE)
    assert verdict(result) == HELD
    assert result.message.endswith("; more of the same would not prove it")


def test_slow_requests_that_came_together_may_be_one_event() -> None:
    together = [0.5] * 200 + [0.04] * 5800
    result = judge_limit(P95, answers(together), WHOLE)
    assert verdict(result) == HELD
    assert "; 200 of them came one after the other, 200 within 12 s, and may be fewer events; " in result.message
    assert verdict(judge_limit(P95, answers(spread(6000, 200)), WHOLE)) == PASSED


def chance_of_at_least(slow: int, many: int, share: float) -> float:
    logs = (
        math.lgamma(many + 1) - math.lgamma(k + 1) - math.lgamma(many - k + 1)
        + k * math.log(share) + (many - k) * math.log1p(-share)
        for k in range(slow, many + 1)
    )  # fmt: skip
    return math.fsum(map(math.exp, logs))


def test_the_verdicts_turn_where_the_exact_test_does() -> None:
    """With 600 requests at p95: the fewest slow ones that breach, and the most that pass."""
    run = replace(WHOLE, seconds=12.0)
    breach = next(slow for slow in range(30, 100) if chance_of_at_least(slow, 600, 0.05) < 0.05)
    most = next(slow for slow in range(30, 0, -1) if 1 - chance_of_at_least(slow + 1, 600, 0.05) < 0.05)
    found = {slow: judge_limit(P95, answers(spread(600, slow)), run).verdict for slow in range(1, 60)}
    assert [slow for slow in found if found[slow] is Verdict.BREACHED] == list(range(breach, 60))
    assert [slow for slow in found if found[slow] is Verdict.PASSED] == list(range(1, most + 1))


def test_slow_requests_within_a_tenth_of_the_run_may_be_one_event_even_with_fast_ones_in_between() -> None:
    between = [0.5, 0.04] * 200 + [0.04] * 5600
    result = judge_limit(P95, answers(between), WHOLE)
    assert (result.derivation["longest_row"], result.derivation["largest_burst"]) == (1, 200)
    assert verdict(result) == HELD


# --- what has no good answer -------------------------------------------------------------------------------------


def test_a_server_that_never_answers_breaches() -> None:
    """5 s at 20/s; Locust and k6 have nothing to tell, and exit 0."""
    ages = [5.0 + 2.0 - number / 20 for number in range(100)]
    hung = replace(WHOLE, seconds=5.0, patience=30.0)
    result = judge_limit(P95, answers(censored=ages, rate=20.0), hung)
    assert verdict(result) == BREACHED
    assert result.message.startswith(
        "at least 6.75 s, surely between 6.55 s and anything; the limit is 200 ms; 100 of 100"
    )
    assert result.derivation["value_is"] == "at least"


def test_a_quick_error_does_not_make_a_service_fast() -> None:
    quick = answers(spread(5700, 0), failed=[0.001] * 300)
    result = judge_limit(P95, quick, WHOLE)
    assert verdict(result) == HELD
    assert verdict(judge_limit(P95, answers(spread(5700, 0)), WHOLE)) == PASSED


def test_a_quick_error_does_not_make_it_slow_either() -> None:
    assert verdict(judge_limit(P95, answers(failed=[0.001] * 6000), WHOLE)) == HELD
    assert verdict(judge_limit(P95, answers(failed=[0.2] * 6000), WHOLE)) == BREACHED


def test_a_stall_at_the_end_counts_like_one_in_the_middle() -> None:
    """200/s for 20 s with two stalls of a second, p99 below 500 ms; the second one was still on when the run ended."""

    def latency(at: float, *, last: float) -> float:
        for start in (4.0, last):
            if start <= at < start + 1:
                return start + 1 - at
        return 0.002

    run = replace(WHOLE, seconds=20.0)
    at = [number / 200 for number in range(4000)]
    middle = answers([latency(one, last=14.0) for one in at], rate=200.0)
    open_end = answers(
        [latency(one, last=19.0) for one in at[:3800]], censored=[20.0 - one for one in at[3800:]], rate=200.0
    )
    for run_of in (middle, open_end):
        result = judge_limit(P99, run_of, run)
        assert verdict(result) == BREACHED
        assert result.value == pytest.approx(0.9, rel=0.05)


# --- errors ---------------------------------------------------------------------------------------------------


def test_few_errors_pass_and_many_breach() -> None:
    few = judge_limit(ERRORS, answers(spread(5990, 0), failed=[]), WHOLE)
    assert verdict(few) == PASSED
    assert few.message == "0 of 5,990 requests have no good answer, 0 %; the limit is 1 %"
    many = judge_limit(ERRORS, answers([0.04] * 5900, failed=[0.01] * 100), WHOLE)
    assert verdict(many) == BREACHED
    assert many.message == "100 of 6,000 requests have no good answer, 1.67 %; the limit is 1 %"
    assert (many.value, many.limit, many.unit) == (100 / 6000, 0.01, "share")


def test_a_request_without_an_answer_has_failed_when_patience_is_over() -> None:
    silent = judge_limit(ERRORS, answers([0.04] * 5900, censored=[10.0] * 100), WHOLE)
    assert verdict(silent) == BREACHED
    in_flight = judge_limit(ERRORS, answers([0.04] * 5900, censored=[9.9] * 100), WHOLE)
    assert verdict(in_flight) == HELD


def test_none_may_fail() -> None:
    result = judge_limit(NONE_FAILED, answers([0.04] * 600), WHOLE)
    assert verdict(result) == PASSED
    assert result.message == "0 of 600 requests have no good answer; at most 0 may"
    assert (result.value, result.limit, result.unit) == (0.0, 0.0, "count")


def test_one_failure_is_one_too_many() -> None:
    assert verdict(judge_limit(NONE_FAILED, answers([0.04] * 599, failed=[0.04]), WHOLE)) == BREACHED
    assert verdict(judge_limit(ErrorsAtMost(1), answers([0.04] * 599, failed=[0.04]), WHOLE)) == PASSED


def test_a_request_in_flight_at_the_end_leaves_it_open_whether_it_failed() -> None:
    result = judge_limit(NONE_FAILED, answers([0.04] * 599, censored=[3.0]), WHOLE)
    assert verdict(result) == HELD
    assert result.message == (
        "1 of 600 requests have no good answer; at most 0 may; 1 of them were in flight when the run ended; let it "
        "wait longer for answers"
    )


# --- a run that cannot be believed ------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("seconds", [0.04, 5.0])
def test_a_bent_generator_neither_passes_nor_breaches(limit: Limit, seconds: float) -> None:
    bent = replace(WHOLE, faults=("bent generator: its p99 lag is 80 ms, above 10 ms", "worker 2 was lost"))
    result = judge_limit(limit, answers(failed=[seconds] * 6000), bent)
    assert verdict(result) == (Verdict.ERROR, Reason.BENT_GENERATOR)
    assert result.message == "bent generator: its p99 lag is 80 ms, above 10 ms; worker 2 was lost"


@pytest.mark.parametrize("limit", LIMITS)
def test_a_lost_sample_is_seen(limit: Limit) -> None:
    result = judge_limit(limit, replace(FAST, ok=FAST.ok[:-1]), WHOLE)
    assert verdict(result) == LOST
    assert result.message == (
        "the result document tells of 5,999 requests, but counts 6,000; evidence was lost, run the load again"
    )


@pytest.mark.parametrize("limit", LIMITS)
def test_a_whole_run_has_all_that_was_planned(limit: Limit) -> None:
    for planned in (5999, 6001):
        result = judge_limit(limit, replace(FAST, planned=planned), WHOLE)
        assert verdict(result) == LOST
        assert result.message == f"6,000 requests were due, but the schedule has {planned:,}; run the load again"


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("seconds", [math.nan, math.inf, -0.001])
def test_a_latency_that_is_no_number_of_seconds_is_an_error(limit: Limit, seconds: float) -> None:
    result = judge_limit(limit, answers([0.04] * 5999 + [seconds]), WHOLE)
    assert verdict(result) == LOST
    assert result.message == (
        "the result document has latencies that are not finite numbers of seconds; run the load again"
    )


@pytest.mark.parametrize("limit", LIMITS)
def test_no_requests_are_no_data(limit: Limit) -> None:
    result = judge_limit(limit, answers(), WHOLE)
    assert verdict(result) == (Verdict.INCONCLUSIVE, Reason.NO_DATA)
    assert result.message == "no request was due in the window; is the run too short?"


# --- closed model -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", LIMITS)
def test_a_closed_model_never_passes(limit: Limit) -> None:
    result = judge_limit(limit, replace(FAST, planned=None), replace(WHOLE, model=Model.CLOSED))
    assert verdict(result) == HELD
    assert result.message == CLOSED


def test_a_closed_model_can_breach_and_says_what_it_is() -> None:
    slow = replace(answers(spread(6000, 400)), planned=None)
    result = judge_limit(P95, slow, replace(WHOLE, model=Model.CLOSED))
    assert verdict(result) == BREACHED
    assert result.message.endswith("(closed model)")


def test_a_closed_model_is_not_judged_before_its_end() -> None:
    slow = replace(answers([5.0] * 6000), planned=None)
    result = judge_limit(P95, slow, replace(AT_REST, model=Model.CLOSED))
    assert verdict(result) == (Verdict.INCONCLUSIVE, Reason.WINDOW_NOT_ELAPSED)


# --- while it runs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", LIMITS)
def test_a_pass_is_never_told_early(limit: Limit) -> None:
    result = judge_limit(limit, answers([0.04] * 5999, planned=6000), AT_REST)
    assert verdict(result) == (Verdict.INCONCLUSIVE, Reason.WINDOW_NOT_ELAPSED)
    assert result.message == "the run is not over: 5,999 of 6,000 requests were due so far"


def test_a_run_is_breached_as_soon_as_its_end_must_be() -> None:
    """A hung server at 50/s: about 340 of 6,000 planned requests are enough, whatever the rest does."""
    needed = next(
        many
        for many in range(1, 6000)
        if judge_limit(P95, answers(censored=[1.0] * many, planned=6000), AT_REST).verdict is Verdict.BREACHED
    )
    assert 300 < needed < 350
    rest = answers([0.001] * (6000 - needed), censored=[1.0] * needed)
    assert verdict(judge_limit(P95, rest, WHOLE)) == BREACHED
    better = answers([0.001] * (6000 - needed + 1), censored=[1.0] * (needed - 1))
    assert verdict(judge_limit(P95, better, WHOLE)) != BREACHED


def test_an_early_breach_says_so() -> None:
    result = judge_limit(ERRORS, answers(failed=[0.01] * 100, planned=6000), AT_REST)
    assert verdict(result) == BREACHED
    assert result.message.endswith("; nothing that the rest of the run may bring can mend it")
    assert verdict(judge_limit(NONE_FAILED, answers([0.1], failed=[0.1], planned=600), AT_REST)) == BREACHED


def test_what_is_told_early_is_what_the_end_says() -> None:
    random = Random(6)  # noqa: S311 - not a secret
    early = 0
    for _ in range(24):
        seconds = lognormal(random, 1500, median=random.choice([0.06, 0.075, 0.09, 0.12]))
        end = judge_limit(P95, answers(seconds), WHOLE)
        looks = [judge_limit(P95, answers(seconds[:many], planned=1500), AT_REST) for many in range(100, 1500, 350)]
        if any(look.verdict is Verdict.BREACHED for look in looks):
            early += 1
            assert end.verdict is Verdict.BREACHED
    assert early > 2


# --- extension --------------------------------------------------------------------------------------------------


EXTENDABLE = replace(WHOLE, budget=240.0)
SHORT = answers(spread(1500, 60))
"""30 s, of which 4 % were slow."""


def test_an_undecided_run_says_how_much_longer_it_has_to_be() -> None:
    result = judge_limit(P95, SHORT, replace(EXTENDABLE, seconds=30.0))
    assert verdict(result) == (Verdict.INCONCLUSIVE, Reason.TOO_FEW_SAMPLES)
    assert result.message.endswith("; needs about 4,669 more requests, 93.4 s at this rate")
    assert result.ready_in == pytest.approx(4669 / 50)
    assert result.may_still_arrive


def test_an_extension_of_that_length_decides_if_the_rest_is_alike() -> None:
    first = judge_limit(P95, SHORT, replace(EXTENDABLE, seconds=30.0))
    assert first.ready_in is not None
    many = 1500 + math.ceil(first.ready_in * 50)
    longer = replace(EXTENDABLE, added=first.ready_in, seconds=30 + first.ready_in)
    grown = answers(spread(many, 60 * many // 1500))
    result = judge_limit(P95, grown, longer)
    assert verdict(result) == PASSED
    assert result.derivation["rule"] == "beta-binomial mixture, time-uniform, stretch 1"
    assert result.derivation["extended_by"] == first.ready_in


def test_rows_need_a_longer_extension() -> None:
    rows = answers([0.5 if number % 200 < 5 else 0.04 for number in range(1000)])
    first = judge_limit(P95, rows, replace(EXTENDABLE, seconds=20.0))
    assert first.ready_in is not None
    many = 1000 + math.ceil(first.ready_in * 50)
    grown = answers([0.5 if number % 200 < 5 else 0.04 for number in range(many)])
    longer = replace(EXTENDABLE, added=first.ready_in, seconds=many / 50)
    assert verdict(judge_limit(P95, grown, longer)) == PASSED


def test_what_is_left_of_the_budget_counts() -> None:
    half_spent = replace(EXTENDABLE, seconds=30.0, budget=100.0, added=50.0)
    assert verdict(judge_limit(P95, SHORT, half_spent)) == HELD
    assert judge_limit(P95, SHORT, half_spent).message.endswith("; 50 s of its extension are left")
    assert judge_limit(P95, SHORT, replace(half_spent, added=1.0)).reason is Reason.TOO_FEW_SAMPLES


def test_beyond_the_budget_nothing_is_waited_for() -> None:
    result = judge_limit(P95, answers(spread(6000, 280)), EXTENDABLE)
    assert verdict(result) == HELD
    assert result.message.endswith("; 4 min of its extension are left")
    spent = judge_limit(P95, answers(spread(18000, 840)), replace(EXTENDABLE, added=240.0, seconds=360.0))
    assert verdict(spent) == HELD
    assert spent.message.endswith("; 0 ms of its extension are left")


def test_a_run_that_may_be_extended_keeps_a_part_of_the_promise_for_later() -> None:
    just = answers([0.04] * 59)
    assert verdict(judge_limit(P95, just, WHOLE)) == PASSED
    assert verdict(judge_limit(P95, just, EXTENDABLE)) != PASSED
    assert verdict(judge_limit(P95, answers([0.04] * 72), EXTENDABLE)) == PASSED
    tails = EXTENDABLE.certainty.spent + EXTENDABLE.next_certainty.spent
    assert tails <= 1 - 0.95


def test_a_point_estimate_is_compared_as_it_is() -> None:
    point = replace(WHOLE, confidence=None)
    assert verdict(judge_limit(P95, answers([0.04]), point)) == PASSED
    assert judge_limit(P95, answers([0.04]), point).derivation["rule"] == "point estimate, no confidence"
    assert verdict(judge_limit(P95, answers(spread(20, 2)), point)) == BREACHED


# --- several limits ------------------------------------------------------------------------------------------------


def judge_limits(limits: Mapping[str, Limit], answers: Answers, run: Run) -> CheckResult:
    """Judge a run by several limits, as one gate."""
    return together({name: judge_limit(limit, answers, run) for name, limit in limits.items()})


def test_all_limits_have_to_hold() -> None:
    passed = judge_limits({"p95": P95, "errors": ERRORS}, FAST, WHOLE)
    assert verdict(passed) == PASSED
    assert passed.message.startswith("2 of 2 pass, all must: p95: 40 ms, surely")
    mixed = judge_limits({"p95": P95, "errors": ERRORS}, answers(spread(6000, 400)), WHOLE)
    assert verdict(mixed) == BREACHED
    assert mixed.message.startswith("1 of 2 breach, all must pass: p95: 500 ms")


def test_one_limit_speaks_for_itself() -> None:
    assert judge_limits({"p95": P95}, FAST, WHOLE).message.startswith("p95: 40 ms, surely between")


# --- limits that are none ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -0.2, 0.0])
def test_a_latency_limit_that_nothing_breaks_is_refused(seconds: float) -> None:
    """No latency is above what is not a number, so a hung server would pass it."""
    with pytest.raises(ValueError, match=rf"^a latency limit of {seconds} s; it has to be above 0 and finite$"):
        QuantileBelow(0.95, seconds)


@pytest.mark.parametrize("q", [math.nan, -0.5, 0.0, 1.0, 95.0])
def test_a_quantile_that_is_none_is_refused(q: float) -> None:
    with pytest.raises(ValueError, match=rf"^a quantile of {q}; it has to be between 0 and 1, such as 0.95$"):
        QuantileBelow(q, 0.2)


@pytest.mark.parametrize("share", [math.nan, math.inf, -0.01, 0.0, 1.01])
def test_a_share_of_errors_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match=rf"^a limit of {share} for the share of errors; it has to be above 0, and at"):
        ErrorsBelow(share)


def test_a_number_of_errors_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^at most -1 errors; it has to be a number from 0 on$"):
        ErrorsAtMost(-1)


# --- parts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("times", "largest"),
    [((), 0), ((1.0,), 1), ((1.0, 2.0, 3.0), 3), ((1.0, 2.0, 3.1), 2), ((0.0, 5.0, 5.0, 5.0, 9.0), 3)],
)
def test_the_largest_burst_is_the_most_within_a_stretch(times: tuple[float, ...], largest: int) -> None:
    assert largest_burst(times, 2.0) == largest


@pytest.mark.parametrize(
    ("times", "others", "longest"),
    [
        ((), (), 0),
        ((), (1.0,), 0),
        ((1.0, 2.0, 3.0), (), 3),
        ((1.0, 2.0, 3.0), (2.5,), 2),
        ((1.0, 3.0, 5.0), (2.0, 4.0), 1),
        ((1.0, 5.0, 6.0, 7.0), (2.0, 9.0), 3),
    ],
)
def test_a_row_has_no_good_answer_in_between(times: tuple[float, ...], others: tuple[float, ...], longest: int) -> None:
    assert longest_row(times, others) == longest


def test_rows_of_slow_requests_are_fewer_events() -> None:
    """2.5 % slow in six stalls of half a second; alone they would pass."""
    stalls = [0.5 if number % 1000 < 25 else 0.04 for number in range(6000)]
    result = judge_limit(P95, answers(stalls), WHOLE)
    assert result.derivation["longest_row"] == 25
    assert verdict(result) == PASSED
    longer = [0.5 if number % 2000 < 50 else 0.04 for number in range(6000)]
    assert verdict(judge_limit(P95, answers(longer), WHOLE)) == HELD
    assert WHOLE.certainty.highest(150, 6000) < 0.03


def test_bad_requests_are_seen_from_both_sides() -> None:
    mixed = answers([0.1, 0.3], failed=[0.05, 0.4], censored=[0.1, 12.0], rate=1.0)
    assert mixed.slow(0.2) == Bad((1.0, 2.0, 3.0, 4.0, 5.0), 3, row=5)
    assert mixed.wrong(10.0) == Bad((2.0, 3.0, 4.0, 5.0), 3, row=4)
    assert mixed.early == [0.05, 0.1, 0.1, 0.3, 0.4, 12.0]
    assert mixed.late == [0.1, 0.3, math.inf, math.inf, math.inf, math.inf]
