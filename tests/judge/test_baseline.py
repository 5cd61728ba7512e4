"""Now against a baseline: by exact tests on counts, by bounds that grow, and by buckets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_rollout.judge.baseline import Comparison, Effect, judge_quantiles, judge_ratios
from pytest_rollout.judge.certainty import Certainty
from pytest_rollout.judge.counts import Counts
from pytest_rollout.judge.demand import Demand
from pytest_rollout.judge.lives import Watch
from pytest_rollout.judge.quantile import Measured, measure
from pytest_rollout.judge.samples import Series, Window
from pytest_rollout.judge.share import RatioEvidence, Reading, read_ratio
from pytest_rollout.verdict import CheckResult, Reason, Verdict
from tests.judge.evidence import LENGTH, SHARE, START, WINDOW, A, histogram, spread, steady, unscraped, watch

PASSED, BREACHED, INCONCLUSIVE, _ = Verdict
HALF = Effect(relative=0.5, absolute=0.0)
WORSE = replace(SHARE, limit=0.5)
FINE = watch()
BEFORE = Certainty(0.95)


def reading(bad: int, per_scrape: float = 50, *, window: Window = WINDOW, seen: Watch = FINE) -> Reading:
    good, failed = steady(per_scrape, {"code": "200"}), spread(bad, {"code": "500"})
    evidence = RatioEvidence(bad=(failed,), total=(good, failed), watch=seen, bad_labels=frozenset({"code"}))
    found = read_ratio(evidence, window, SHARE)
    assert isinstance(found, Reading)
    return found


def judged(now: Reading, base: Reading, effect: Effect = HALF, demand: Demand = WORSE) -> CheckResult:
    return judge_ratios(now, base, effect, demand)


def test_a_share_that_is_not_worse_passes_with_the_numbers_that_decided() -> None:
    result = judged(reading(60), reading(100))
    assert (result.verdict, result.reason) == (PASSED, Reason.WITHIN_LIMIT)
    assert result.message == (
        "bad requests 0.99 % (60 of 6,060), in the baseline 1.64 % (100 of 6,100); at most 50 % worse is allowed"
    )
    assert (result.value, result.limit, result.samples) == (60 / 6060, 0.5, 6060)
    assert result.derivation == {
        "rule": "Fisher's exact test with a margin, single look",
        "confidence": 0.95,
        "now": {"bad": 60, "total": 6060},
        "baseline": {"bad": 100, "total": 6100},
    }


def test_a_share_that_is_surely_worse_breaches() -> None:
    result = judged(reading(300), reading(60))
    assert (result.verdict, result.reason) == (BREACHED, Reason.LIMIT_BREACHED)


def test_between_them_it_says_how_many_times_the_requests_are_needed() -> None:
    result = judged(reading(30), reading(30))
    assert (result.verdict, result.reason) == (INCONCLUSIVE, Reason.TOO_FEW_SAMPLES)
    assert result.message.endswith("; too few requests to tell, about 2 times as many would prove it")
    assert result.ready_in == LENGTH
    never = judged(reading(90), reading(60))
    assert never.message.endswith("; too few requests to tell, more may not prove it either")
    assert never.ready_in is None


def test_a_difference_smaller_than_the_least_effect_never_counts() -> None:
    few, none = reading(20), reading(1)
    assert judged(few, none).verdict is BREACHED
    assert judged(few, none, Effect(0.5, 0.02)).verdict is PASSED


def test_no_bad_request_in_a_baseline_proves_nothing_of_a_share_of_it() -> None:
    assert judged(reading(0), reading(0)).verdict is INCONCLUSIVE
    assert judged(reading(0), reading(0), Effect(0.5, 0.01)).verdict is PASSED


def test_looked_at_again_both_sides_have_bounds_that_grow() -> None:
    again = replace(WINDOW, epoch=1)
    result = judged(reading(20, window=again), reading(200, window=again))
    assert (result.verdict, result.derivation["rule"]) == (
        PASSED,
        "beta-binomial mixture, time-uniform, stretch 1, of both sides",
    )
    assert judged(reading(75, window=again), reading(100, window=again)).verdict is INCONCLUSIVE
    assert judged(reading(600, window=again), reading(60, window=again)).verdict is BREACHED


@pytest.mark.parametrize(("bad", "verdict"), [(90, PASSED), (95, BREACHED)])
def test_without_confidence_the_observed_shares_are_compared(bad: int, verdict: Verdict) -> None:
    point = replace(WORSE, confidence=None)
    assert judged(reading(bad), reading(60), demand=point).verdict is verdict


def test_each_side_counts_what_is_uncertain_against_the_claim() -> None:
    sure = Counts(bad=60, total=6000, sure=60, most=6000, least=60, apart=60, burst=1)
    base = Counts(bad=100, total=6000, sure=100, most=6000, least=100, apart=100, burst=1)
    assert Comparison(sure, base, HALF, BEFORE).not_worse()
    for now in (replace(sure, bad=120), replace(sure, total=3000)):
        assert not Comparison(now, base, HALF, BEFORE).not_worse()
    for then in (replace(base, least=50), replace(base, most=12_000)):
        assert not Comparison(sure, then, HALF, BEFORE).not_worse()
    many = replace(sure, bad=300, sure=300, least=300, apart=300)
    assert Comparison(many, base, HALF, BEFORE).worse()
    for now in (replace(many, sure=150), replace(many, most=12_000)):
        assert not Comparison(now, base, HALF, BEFORE).worse()
    for then in (replace(base, bad=200), replace(base, total=3000)):
        assert not Comparison(many, then, HALF, BEFORE).worse()


def test_a_doubt_about_either_side_holds() -> None:
    hole = replace(FINE, up=(unscraped(FINE.up[0], 600, 900),))
    lost = replace(FINE, counted=3)
    assert judged(reading(60, seen=lost), reading(100)).reason is Reason.PARTIAL_DATA
    result = judged(reading(60), reading(100, seen=lost))
    assert (result.verdict, result.reason) == (INCONCLUSIVE, Reason.PARTIAL_DATA)
    assert result.message == (
        "the baseline: the server counts 3 series and sent 2; some of the answer was lost, judge again"
    )
    assert judged(reading(300, seen=lost), reading(60, seen=hole)).verdict is BREACHED


def test_nothing_counted_on_either_side_is_no_data() -> None:
    quiet = reading(0, 0)
    for now, base, name in ((quiet, reading(60), "now"), (reading(60), quiet, "in the baseline")):
        result = judged(now, base)
        assert (result.verdict, result.reason) == (INCONCLUSIVE, Reason.NO_DATA)
        assert result.message == f"the series exist, but nothing was counted {name}; is there traffic?"


def test_a_side_that_is_all_bad_cannot_be_compared() -> None:
    """A misspelt bound of a bucket makes every request of both sides slow, and nothing is worse than that."""
    none_good = RatioEvidence(
        bad=(), good=(), total=(steady(50),), watch=FINE, bad_watch=replace(FINE, exporters=frozenset({A}))
    )
    side = read_ratio(none_good, WINDOW, SHARE)
    assert isinstance(side, Reading)
    for now, base, name in ((side, side, "now"), (reading(60), side, "in the baseline")):
        result = judged(now, base)
        assert (result.verdict, result.reason) == (INCONCLUSIVE, Reason.NO_DATA)
        assert result.message == (
            f"all 6,000 requests counted {name} may be bad, so nothing can be compared; check what the selectors match"
        )
    assert judged(side, reading(60)).verdict is BREACHED


def test_a_young_window_waits() -> None:
    young = Window(START + 1200, START + LENGTH, LENGTH)
    assert judged(reading(10, window=young), reading(100)).reason is Reason.WINDOW_NOT_ELAPSED


# --- quantiles ------------------------------------------------------------------------------------------------


def measured(*slower: float, seen: Watch = FINE) -> Measured:
    buckets: tuple[Series, ...] = histogram(100, slower)
    found = measure(buckets, seen, WINDOW, SHARE)
    assert isinstance(found, Measured)
    return found


FAST, SLOW, SLOWER = measured(20, 2, 0), measured(40, 10, 1), measured(60, 40, 20)


def quantiles(now: Measured, base: Measured, effect: Effect = HALF) -> CheckResult:
    return judge_quantiles(0.95, now, base, effect, WORSE)


def test_a_quantile_within_the_same_buckets_cannot_be_told() -> None:
    result = quantiles(FAST, FAST)
    assert (result.verdict, result.reason) == (INCONCLUSIVE, Reason.BUCKET_MISSING)
    assert result.message == (
        "p95 lies between 50 ms and 100 ms, in the baseline between 50 ms and 100 ms; at most 50 % worse is allowed; "
        "the buckets are too far apart, or the requests too few, to tell; add buckets around 50 ms"
    )


def test_a_quantile_that_surely_is_not_worse_passes() -> None:
    result = quantiles(FAST, SLOW)
    assert (result.verdict, result.reason) == (PASSED, Reason.WITHIN_LIMIT)
    assert result.derivation["now"] == [0.05, 0.1]
    assert result.derivation["baseline"] == [0.1, 0.25]
    assert quantiles(FAST, FAST, Effect(1.0, 0.0)).verdict is PASSED
    assert quantiles(FAST, FAST, Effect(0.0, 0.05)).verdict is PASSED


def test_a_quantile_that_surely_is_worse_breaches() -> None:
    result = quantiles(SLOWER, FAST)
    assert (result.verdict, result.reason) == (BREACHED, Reason.LIMIT_BREACHED)
    assert result.derivation["now"] == [0.25, None]
    assert quantiles(SLOWER, FAST, Effect(2.0, 0.0)).verdict is not BREACHED


def test_a_doubt_about_a_histogram_holds() -> None:
    lost = replace(FINE, counted=3)
    assert quantiles(measured(20, 2, 0, seen=lost), SLOW).reason is Reason.PARTIAL_DATA
    result = quantiles(FAST, measured(40, 10, 1, seen=lost))
    assert result.message.startswith("the baseline: the server counts 3 series and sent 4")
