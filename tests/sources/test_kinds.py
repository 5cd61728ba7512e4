"""Every kind of gate and every key of one, over a real Prometheus."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from pytest_rollout.judge.history import Looks
from pytest_rollout.plan.gates import Gate
from pytest_rollout.sources.http import Http
from pytest_rollout.verdict import Reason, Verdict
from sandbox.components import Component
from tests.sources.past import (
    BAD,
    BREACHED,
    COUNTER,
    GOOD,
    INCONCLUSIVE,
    LAST,
    LENGTH,
    PASSED,
    QUANTILE,
    RATIO,
    ROLLBACKS,
    SCRAPES,
    STEP,
    Labels,
    Life,
    Past,
    Told,
    buckets,
    on,
    once,
    ramp,
)

EARLIER = -SCRAPES * STEP
"""Seconds from a past to the one just before it."""


def pair(bad: float, per_scrape: float = 1000, **labels: str) -> list[Told]:
    """Return good and bad requests at an even rate."""
    return [({**GOOD, **labels}, ramp(per_scrape - bad)), ({**BAD, **labels}, ramp(bad))]


def during(per_scrape: float, first: int, last: int = SCRAPES) -> list[float | None]:
    """Return a counter that rises at some scrapes only."""
    return [per_scrape * min(max(place - first + 1, 0), last - first + 1) for place in range(SCRAPES)]


# --- several series ------------------------------------------------------------------------------------------

EACH = {**RATIO, "by": ["instance"], "expect_series": 3}


@pytest.fixture
def three(past: Past) -> Past:
    """Return a past in which one of three pods is bad."""
    past.write(*pair(1, instance="a"), *pair(50, instance="b"), *pair(1, instance="c"))
    return past


def test_each_of_several_has_to_pass(three: Past) -> None:
    result = three.judged(EACH)
    assert (result.verdict, result.reason) == (BREACHED, Reason.LIMIT_BREACHED)
    assert result.message.startswith('1 of 3 breach, all must pass: instance="b": 6,000 bad requests of 120,000; ')
    each = result.derivation["each"]
    assert {name: one["verdict"] for name, one in each.items()} == {
        'instance="a"': "passed",
        'instance="b"': "breached",
        'instance="c"': "passed",
    }


def test_bad_requests_of_a_group_without_a_total_are_not_forgotten(past: Past) -> None:
    failures = {"__name__": "failures_total", "job": "shop"}
    past.write(
        ({**GOOD, "instance": "a"}, ramp(50)),
        ({**failures, "instance": "a"}, ramp(0)),
        ({**failures, "instance": "b"}, ramp(50)),
    )
    ratio = {"bad": "failures_total", "total": "req"}
    result = past.judged({**RATIO, "ratio": ratio, "by": ["instance"], "expect_series": 1})
    assert result.verdict is INCONCLUSIVE
    assert {name: one["reason"] for name, one in result.derivation["each"].items()}['instance="b"'] == "no-data"


def test_all_of_them_together_hide_one(three: Past) -> None:
    assert three.judged({**RATIO, "below": "3%"}).verdict is PASSED
    assert three.judged({**EACH, "below": "3%"}).verdict is BREACHED


@pytest.mark.parametrize(
    ("quantifier", "verdict", "said"),
    [
        ("all", BREACHED, "1 of 3 breach, all must pass: "),
        ("any", PASSED, "2 of 3 pass, at least 1 must: "),
        ({"at_least": 2}, PASSED, "2 of 3 pass, at least 2 must: "),
        ({"at_least": 3}, BREACHED, "1 of 3 breach, at least 3 must pass: "),
    ],
    ids=["all", "any", "two", "three"],
)
def test_a_quantifier_says_how_many(three: Past, quantifier: Any, verdict: Verdict, said: str) -> None:
    result = three.judged({**EACH, "quantifier": quantifier})
    assert (result.verdict, result.message[: len(said)]) == (verdict, said)


@pytest.mark.parametrize("quantifier", ["all", "any", {"at_least": 1}])
def test_a_group_that_vanished_does_not_make_the_others_enough(past: Past, quantifier: Any) -> None:
    past.write(*pair(1, instance="a"), *pair(1, instance="c"))
    said = (
        '2 of at least 3 expected are there (instance="a", instance="c"); find out which one vanished',
        Reason.SERIES_MISSING,
    )
    result = past.judged({**EACH, "quantifier": quantifier})
    assert (result.verdict, (result.message, result.reason)) == (INCONCLUSIVE, said)
    assert past.judged({**EACH, "quantifier": quantifier, "expect_series": 2, "below": "1%"}).verdict is PASSED


def test_one_that_is_undecided_holds_all_of_them_but_not_any(past: Past) -> None:
    past.write(
        *pair(1, instance="a"), *pair(1, instance="b"), *pair(1, instance="c"), lives={"b": Life().restarted(60)}
    )
    result = past.judged(EACH)
    assert (result.verdict, result.reason) == (INCONCLUSIVE, Reason.RESTART)
    assert result.message == (
        '2 of 3 pass, all must; undecided: instance="b": shop/b restarted inside the window, so increments may be '
        "lost; let the window pass again"
    )
    assert past.judged({**EACH, "quantifier": "any"}).verdict is PASSED


@pytest.mark.parametrize("quantifier", ["all", "any"])
def test_a_series_lost_from_an_answer_holds_every_quantifier(three: Past, quantifier: str) -> None:
    three.bent.drop = lambda labels: labels.get("code") == "500"
    result = three.judged({**EACH, "quantifier": quantifier})
    assert (result.verdict, result.reason) == (INCONCLUSIVE, Reason.PARTIAL_DATA)
    assert result.message == "the server counts 6 series and sent 3; some of the answer was lost, judge again"


def test_counters_and_histograms_are_grouped_too(past: Past) -> None:
    counters = [(on(ROLLBACKS, "a"), ramp(0)), (on(ROLLBACKS, "b"), once(1))]
    slow, fast = {"0.1": 10.0, "0.25": 50.0, "+Inf": 50.0}, {"0.1": 50.0, "0.25": 50.0, "+Inf": 50.0}
    past.write(*counters, *buckets(fast, instance="a"), *buckets(slow, instance="b"))
    for gate in (COUNTER, QUANTILE):
        several = {**gate, "by": ["instance"], "expect_series": 2}
        assert past.judged(several).message.startswith('1 of 2 breach, all must pass: instance="b": ')
        assert past.judged({**several, "quantifier": "any"}).verdict is PASSED


def test_bare_values_are_judged_one_by_one(past: Past) -> None:
    past.write(
        *(({"__name__": "queue", "job": "shop", "name": name}, ramp(0, deep)) for name, deep in (("a", 3), ("b", 9)))
    )
    gate = {"promql": "max by (name) (queue)", "below": 5, "quantifier": "all", "expect_series": 2}
    said = '1 of 2 breach, all must pass: {name="b"}: the value 9 is not below 5'
    assert past.said(gate) == (BREACHED, Reason.LIMIT_BREACHED, said)
    assert past.judged({**gate, "quantifier": "any"}).verdict is PASSED
    assert past.judged({**gate, "below": 10, "expect_series": 3}).reason is Reason.SERIES_MISSING


# --- a streak ------------------------------------------------------------------------------------------------

FIVE = 20
"""Scrapes in five minutes."""
ROW = {**RATIO, "over": "5m", "streak": {"every": "5m", "consecutive": 3}}
SOME = {**RATIO, "over": "5m", "streak": {"every": "5m", "at_least": 2, "of": 3}}


@pytest.fixture
def aligned(past: Past) -> Past:
    """Return a past whose window ends at a whole multiple of five minutes."""
    past.start = math.ceil(past.start / 300) * 300
    past.now = past.start + LENGTH + 1.5 * STEP
    return past


def burst(back: int) -> list[Told]:
    """Return requests that were bad in one of the latest periods, 0 the newest."""
    last = LAST - back * FIVE
    return [(GOOD, ramp(1000)), (BAD, during(50, last - FIVE + 1, last))]


@pytest.mark.parametrize(
    ("back", "row", "some"),
    [(0, BREACHED, PASSED), (1, INCONCLUSIVE, PASSED), (2, INCONCLUSIVE, PASSED), (3, PASSED, PASSED)],
)
def test_a_breach_breaks_a_row_and_counts_until_it_leaves(
    aligned: Past, back: int, row: Verdict, some: Verdict
) -> None:
    aligned.write(*burst(back))
    result = aligned.judged(ROW)
    assert result.verdict is row
    assert aligned.judged(SOME).verdict is some
    if row is INCONCLUSIVE:
        assert (result.reason, result.ready_in) == (Reason.TOO_FEW_PASSES, (3 - back) * 300)
        assert result.message == "2 of the latest 3 periods of 5 min pass, 3 must; the streak is still short"


def test_more_breaches_than_a_streak_forgives_are_a_breach(aligned: Past) -> None:
    aligned.write((GOOD, ramp(1000)), (BAD, during(50, LAST - 2 * FIVE + 1)))
    result = aligned.judged(SOME)
    assert (result.verdict, result.reason) == (BREACHED, Reason.LIMIT_BREACHED)
    assert result.message.startswith("1 of the latest 3 periods of 5 min pass, 2 must; last breach: 1,000 bad ")


def test_a_row_passes_with_every_period(aligned: Past) -> None:
    aligned.write(*pair(1))
    result = aligned.judged(ROW)
    assert (result.verdict, result.derivation["rule"]) == (PASSED, "3 of 3 periods")
    ends = [one["window"] for one in result.derivation["periods"]]
    assert ends == [[aligned.start + 900 + 300 * n, aligned.start + 1200 + 300 * n] for n in range(3)]


def test_a_period_without_data_holds(aligned: Past) -> None:
    aligned.write(*pair(1), lives={"": Life().without(LAST - 2 * FIVE + 5, LAST - FIVE - 5)})
    result = aligned.judged(ROW)
    assert (result.verdict, result.reason) == (INCONCLUSIVE, Reason.TOO_FEW_PASSES)
    assert result.message == (
        "2 of the latest 3 periods of 5 min pass, 3 must; held by: no scrape of shop for 3 min (at most 1 min is "
        "allowed); find out why, then let the window pass again"
    )


def test_a_row_begins_at_the_flip(aligned: Past) -> None:
    aligned.write(*pair(1))
    assert aligned.judged(ROW, since=900).verdict is PASSED
    early = aligned.judged(ROW, since=1000)
    assert (early.verdict, early.reason) == (INCONCLUSIVE, Reason.TOO_FEW_PASSES)
    assert "; held by: observed for 3.33 min of 5 min since the flip; decides in about 100 s" in early.message


def test_a_period_is_judged_the_same_until_the_next_one_ends(aligned: Past) -> None:
    aligned.write(*burst(0))
    now = aligned.judged(ROW)
    aligned.now += STEP / 3
    later = aligned.judged(ROW)
    assert now.verdict is later.verdict is BREACHED
    assert now.window == later.window == (aligned.start + LENGTH - 300, aligned.start + LENGTH)


def test_a_row_of_bare_values_looks_at_each_end(aligned: Past) -> None:
    queue: Labels = {"__name__": "queue", "job": "shop"}
    aligned.write((queue, [9.0 if LAST - FIVE - 2 <= place <= LAST - FIVE + 2 else 1.0 for place in range(SCRAPES)]))
    gate = {"promql": "max(queue)", "below": 5, "streak": {"every": "5m", "consecutive": 3}}
    assert aligned.judged(gate).reason is Reason.TOO_FEW_PASSES
    assert aligned.judged({**gate, "streak": {"every": "5m", "at_least": 2, "of": 3}}).verdict is PASSED
    windowed = {"promql": "max(max_over_time(queue[$window]))", "below": 5, "over": "5m", "streak": gate["streak"]}
    assert aligned.judged(windowed).verdict is BREACHED  # the newest period saw the end of it


# --- how fast a budget burns ---------------------------------------------------------------------------------

BURN = {
    "burn": {
        "bad": 'req{job="shop",code="500"}',
        "total": 'req{job="shop"}',
        "objective": "99%",
        "pairs": [{"long": "30m", "short": "5m", "factor": 5}],
    }
}
BURNING = {
    "both windows burn": (during(200, 0), BREACHED, "the budget burns, 5x over 30 min/5 min: 24,000 bad requests of "),
    "only the short one": (
        during(60, LAST - FIVE + 1),
        PASSED,
        "no pair of windows burns: 5x over 30 min/5 min: 1,200 bad requests of ",
    ),
    "only the long one": (
        during(400, 0, LAST - FIVE),
        PASSED,
        "no pair of windows burns: 5x over 30 min/5 min: 0 bad requests of ",
    ),
    "neither": (during(1, 0), PASSED, "no pair of windows burns: 5x over 30 min/5 min: 120 bad requests of "),
}


@pytest.mark.parametrize(("bad", "verdict", "said"), BURNING.values(), ids=BURNING)
def test_a_budget_burns_when_both_windows_do(
    past: Past, bad: Sequence[float | None], verdict: Verdict, said: str
) -> None:
    past.write((GOOD, ramp(1000)), (BAD, bad))
    result = past.judged(BURN)
    assert (result.verdict, result.message[: len(said)]) == (verdict, said)
    assert set(result.derivation["pairs"]) == {"5x over 30 min/5 min"}


def test_a_budget_that_may_burn_unseen_is_undecided(past: Past) -> None:
    past.write((GOOD, ramp(1000)), (BAD, during(1, 0)), lives={"": Life().without(LAST - 10, LAST - 4)})
    said = (
        "5x over 30 min/5 min is undecided: no scrape of shop for 2 min (at most 1 min is allowed); find out why, "
        "then let the window pass again"
    )
    assert past.said(BURN) == (INCONCLUSIVE, Reason.COVERAGE, said)


def test_a_budget_is_not_burnt_before_the_window_has_passed(past: Past) -> None:
    past.write(*pair(1))
    assert past.judged(BURN, since=LENGTH - 60).reason is Reason.WINDOW_NOT_ELAPSED
    assert past.judged(BURN, since=LENGTH - 300).verdict is PASSED  # the short window alone proves it quiet


# --- against a baseline --------------------------------------------------------------------------------------


def ratio_of(cohort: str) -> dict[str, Any]:
    labels = f'job="shop",cohort="{cohort}"'
    return {"ratio": {"bad": f'req{{{labels},code="500"}}', "total": f"req{{{labels}}}"}}


def quantile_of(cohort: str) -> dict[str, Any]:
    return {"quantile": {"q": 0.95, "of": "lat", "where": f'cohort="{cohort}"'}}


CONTROL = {"baseline": {"now": ratio_of("new"), "control": ratio_of("old")}, "at_most": "50%", "over": "30m"}
SHARES = {
    "the same": (10, PASSED, Reason.WITHIN_LIMIT),
    "better": (1, PASSED, Reason.WITHIN_LIMIT),
    "a little worse": (12, PASSED, Reason.WITHIN_LIMIT),
    "worse, but who knows": (15, INCONCLUSIVE, Reason.TOO_FEW_SAMPLES),
    "worse": (30, BREACHED, Reason.LIMIT_BREACHED),
}


@pytest.mark.parametrize(("bad", "verdict", "reason"), SHARES.values(), ids=SHARES)
def test_a_cohort_is_compared_with_another(past: Past, bad: float, verdict: Verdict, reason: Reason) -> None:
    past.write(*pair(bad, cohort="new"), *pair(10, cohort="old"))
    result = past.judged(CONTROL)
    assert (result.verdict, result.reason) == (verdict, reason)
    assert result.derivation["now"] == {"bad": bad * 120, "total": 120_000}
    assert result.derivation["baseline"] == {"bad": 1200, "total": 120_000}
    assert result.derivation["rule"] == "Fisher's exact test with a margin, single look"


@pytest.mark.parametrize(("cohort", "said"), [("new", ""), ("old", "the baseline: ")])
def test_neither_side_may_be_missing(past: Past, cohort: str, said: str) -> None:
    past.write(*pair(10, cohort="new" if cohort == "old" else "old"))
    expected = f"{said}no series matches 'total'; check the metric's name, its labels and the scrape"
    assert past.said(CONTROL) == (INCONCLUSIVE, Reason.NO_DATA, expected)


def earlier(past: Past, told: Sequence[Told], life: Life | None = None) -> None:
    """Write what was before, of the same process."""
    past.write(*told, lives={"": replace(life or Life(), began={0: -9000.0 - EARLIER})}, later=EARLIER)


def going_on(told: Iterable[Told], before: Iterable[Told]) -> list[Told]:
    """Return counters that go on from where they were before."""
    bases = [(list(values)[1] or 0) * SCRAPES for _, values in before]
    return [
        (labels, [(value or 0) + base for value in values]) for (labels, values), base in zip(told, bases, strict=True)
    ]


BEFORE = {"baseline": {"now": ratio_of("new"), "before": "flip"}, "at_most": "50%", "over": "30m"}


@pytest.mark.parametrize(("bad", "verdict"), [(10, PASSED), (30, BREACHED)])
def test_a_release_is_compared_with_the_time_before_its_flip(past: Past, bad: float, verdict: Verdict) -> None:
    earlier(past, pair(10, cohort="new"))
    past.write(*going_on(pair(bad, cohort="new"), pair(10, cohort="new")))
    result = past.judged(BEFORE, since=0)
    assert result.verdict is verdict
    assert result.derivation["now"]["bad"] == bad * 120
    assert result.derivation["baseline"]["bad"] == 1190 + bad  # the scrape at the flip tells of the time before


@pytest.mark.parametrize(("bad", "verdict"), [(10, PASSED), (30, BREACHED)])
def test_a_release_is_compared_with_yesterday(
    prometheus: Component, http: Http, eras: Iterator[float], bad: float, verdict: Verdict
) -> None:
    past = Past(prometheus.url, http, next(eras) + 86400)
    for _ in range(4):  # the day until then
        next(eras)
    past.write(*pair(10, cohort="new"), later=-86400)
    past.write(*pair(bad, cohort="new"))  # by another process: there was a release in between
    gate = {**BEFORE, "baseline": {**BEFORE["baseline"], "before": "24h"}}  # type: ignore[dict-item]
    result = past.judged(gate, since=0)
    assert (result.verdict, result.derivation["baseline"]) == (verdict, {"bad": 1200, "total": 120_000})


def test_a_time_before_the_flip_needs_a_flip_and_to_lie_before_it(past: Past) -> None:
    past.write(*pair(10, cohort="new"))
    said = "a baseline 'before' needs a flip; give the stage flags, or a 'control'"
    assert past.said(BEFORE) == (INCONCLUSIVE, Reason.FLIP_UNKNOWN, said)
    itself = {**BEFORE, "baseline": {**BEFORE["baseline"], "before": "1h"}}  # type: ignore[dict-item]
    said = "the baseline would lie after the flip, and be compared with itself; look further back with 'before'"
    assert past.said(itself, since=-3600) == (INCONCLUSIVE, Reason.FLIP_UNKNOWN, said)


def test_a_time_before_the_flip_that_nobody_watched_is_no_baseline(past: Past) -> None:
    earlier(past, pair(10, cohort="new"), Life().without(40, 90, 0.0))
    past.write(*going_on(pair(10, cohort="new"), pair(10, cohort="new")))
    verdict, reason, said = past.said(BEFORE, since=0)
    assert (verdict, reason) == (INCONCLUSIVE, Reason.COVERAGE)
    assert said.startswith("the baseline: no scrape of shop for 13 min ")


SLOWNESS = {
    "the same": ({"0.05": 90.0, "0.1": 99.0}, PASSED, "p95 lies between 50 ms and 100 ms, in the baseline between 50"),
    "slower": (
        dict.fromkeys(("0.05", "0.1", "0.2", "0.4"), 20.0),
        BREACHED,
        "p95 lies between 400 ms and anything, in the baseline between 50",
    ),
    "perhaps slower": ({"0.05": 10.0, "0.1": 90.0, "0.2": 97.0}, INCONCLUSIVE, "p95 lies between 100 ms and 200 ms, "),
}


@pytest.mark.parametrize(("new", "verdict", "said"), SLOWNESS.values(), ids=SLOWNESS)
def test_a_quantile_is_compared_by_its_buckets(past: Past, new: dict[str, float], verdict: Verdict, said: str) -> None:
    old = {"0.05": 90.0, "0.1": 99.0, "0.2": 99.0, "0.4": 99.0, "+Inf": 100.0}
    past.write(*buckets({**old, **new}, cohort="new"), *buckets(old, cohort="old"))
    gate = {"baseline": {"now": quantile_of("new"), "control": quantile_of("old")}, "at_most": "100%", "over": "30m"}
    result = past.judged(gate)
    assert (result.verdict, result.message[: len(said)]) == (verdict, said)


VALUES = {
    "baseline": {"now": {"values": 'queue{cohort="new"}'}, "control": {"values": 'queue{cohort="old"}'}},
    "at_most": "10%",
    "over": "30m",
}
NEW, OLD = ({"__name__": "queue", "job": "shop", "cohort": cohort} for cohort in ("new", "old"))


def noise(level: float, seed: int) -> list[float | None]:
    random = Random(seed)  # noqa: S311 - noise that is the same every time
    return [level + random.random() for _ in range(SCRAPES)]


@pytest.mark.parametrize(
    ("level", "verdict", "label"), [(10, PASSED, "Pass"), (5, PASSED, "Pass"), (15, BREACHED, "High")]
)
def test_values_over_time_are_compared_by_ranks(past: Past, level: float, verdict: Verdict, label: str) -> None:
    past.write((NEW, noise(level, 1)), (OLD, noise(10, 2)))
    result = past.judged(VALUES)
    assert (result.verdict, result.derivation["label"]) == (verdict, label)
    assert result.derivation["points"] == {side: {"found": 30, "expected": 30} for side in ("now", "baseline")}


@pytest.mark.parametrize("since", [LENGTH - 2, LENGTH - STEP, LENGTH - 2 * STEP + 1])
def test_values_right_after_the_flip_wait_for_more(past: Past, since: float) -> None:
    past.write(*((labels, ramp(0, base=5)) for labels in (NEW, OLD)))
    result = past.judged(VALUES, since=since)
    assert (result.verdict, result.reason) == (INCONCLUSIVE, Reason.WINDOW_NOT_ELAPSED)


def test_values_that_nobody_scraped_are_not_those_before(past: Past) -> None:
    rare = [place % 16 == LAST % 16 or place > LAST for place in range(SCRAPES)]
    new = [low if seldom else 100.0 for low, seldom in zip(noise(10, 1), rare, strict=True)]
    past.write((NEW, new), (OLD, noise(10, 2)), lives={"": Life([1.0 if seldom else None for seldom in rare])})
    assert past.judged(VALUES).reason is Reason.COVERAGE


def test_values_of_a_baseline_that_nobody_scraped_are_none(past: Past) -> None:
    past.write((NEW, noise(10, 1)), ({**OLD, "job": "old"}, noise(10, 2)), lives={("old", ""): Life().without(40, 55)})
    verdict, reason, said = past.said(VALUES)
    assert (verdict, reason) == (INCONCLUSIVE, Reason.COVERAGE)
    assert said.startswith("the baseline: no scrape of old for 4.25 min (at most 1 min is allowed)")


def test_values_do_not_reach_to_before_the_flip(past: Past) -> None:
    past.write(*pair(1, cohort="new"), *pair(1, cohort="old"))
    gate = {
        "baseline": {
            "now": {"values": 'sum(rate(req{cohort="new"}[20m]))'},
            "control": {"values": 'sum(rate(req{cohort="old"}[20m]))'},
        },
        "at_most": "10%",
        "over": "10m",
    }
    assert past.judged(gate, since=1200).reason is Reason.WINDOW_NOT_ELAPSED
    assert past.judged({**gate, "over": "25m"}, since=300).reason is Reason.WINDOW_NOT_ELAPSED
    assert past.judged({**gate, "over": "10m"}, since=0).verdict is PASSED


# --- keys of a gate ------------------------------------------------------------------------------------------


def test_a_point_estimate_promises_nothing_and_says_so(past: Past) -> None:
    past.write((GOOD, ramp(1)))
    assert past.judged(RATIO).reason is Reason.TOO_FEW_SAMPLES
    said = "0 bad requests of 120; the observed share is compared, without any confidence, the limit is 0.5 %"
    result = past.judged({**RATIO, "confidence": "point"})
    assert (result.verdict, result.message) == (PASSED, said)
    assert result.derivation["rule"] == "point estimate, no confidence"


def test_more_confidence_needs_more_requests(past: Past) -> None:
    past.write((GOOD, ramp(7)))
    assert past.judged(RATIO).verdict is PASSED
    assert past.judged({**RATIO, "confidence": "99%"}).reason is Reason.TOO_FEW_SAMPLES


ELSEWHERE = {"ratio": {"bad": "failures", "total": 'req{job="shop"}'}, "below": "0.5%", "over": "30m"}
NOT_ZERO = (
    "no series matches 'bad', it is not part of 'total', and not every process exports its metric, so nothing proves "
    "that it means zero; if it does, say absent_is: 0"
)


def test_bad_requests_of_another_metric_are_zero_if_it_is_exported_or_the_plan_says_so(past: Past) -> None:
    past.write((on(GOOD, "a"), ramp(50)), (on(GOOD, "b"), ramp(50)))
    assert past.said(ELSEWHERE) == (INCONCLUSIVE, Reason.NO_DATA, NOT_ZERO)
    assert past.judged({**ELSEWHERE, "ratio": {**ELSEWHERE["ratio"], "absent_is": 0}}).verdict is PASSED  # type: ignore[dict-item]
    past.bent.exporters["failures"] = {("shop", "a")}
    assert past.said(ELSEWHERE) == (INCONCLUSIVE, Reason.NO_DATA, NOT_ZERO)
    past.bent.exporters["failures"].add(("shop", "b"))
    assert past.judged(ELSEWHERE).verdict is PASSED


def test_bad_requests_of_another_metric_count(past: Past) -> None:
    past.write((GOOD, ramp(50)), ({"__name__": "failures", "job": "shop"}, ramp(5)))
    assert past.judged({**ELSEWHERE, "ratio": {**ELSEWHERE["ratio"], "absent_is": 0}}).verdict is BREACHED  # type: ignore[dict-item]


def test_a_counter_without_series_is_zero_if_the_plan_says_so(past: Past) -> None:
    past.write((GOOD, ramp(50)))
    counter = {"of": 'rollbacks_total{job="shop"}'}
    assert past.judged({**COUNTER, "counter": counter}).reason is Reason.NO_DATA
    assert past.judged({**COUNTER, "counter": {**counter, "absent_is": 0}}).verdict is PASSED


def test_fewer_series_than_expected_hold(past: Past) -> None:
    past.write((on(GOOD, "a"), ramp(50)), (on(GOOD, "b"), ramp(50)))
    assert past.judged({**RATIO, "expect_series": 2}).verdict is PASSED
    said = "2 series, at least 3 are expected; find out which one vanished"
    assert past.said({**RATIO, "expect_series": 3}) == (INCONCLUSIVE, Reason.SERIES_MISSING, said)


# --- bare values ---------------------------------------------------------------------------------------------

ERRORS = {"__name__": "errors_total", "job": "shop"}


@pytest.mark.parametrize(
    "expression",
    [
        "sum(rate(errors_total[$window])) / sum(rate(req[$window]))",
        "sum(rate(req[$window])) * 0 + sum(max_over_time(errors_total[$window]))",
        "max(max_over_time(errors_total[$window:15s]))",
        "sum(increase(errors_total[$window])) or vector(0)",
    ],
)
def test_every_selector_of_an_expression_has_to_be_watched(past: Past, expression: str) -> None:
    jobs = [(GOOD, ramp(50)), ({**ERRORS, "instance": "e"}, ramp(0))]
    past.write(*jobs, lives={"e": Life().without(60, 69, 0.0)})
    result = past.judged({"promql": expression, "below": 5, "over": "30m", "expect_series": 1})
    assert (result.verdict, result.reason) == (INCONCLUSIVE, Reason.COVERAGE)
    assert result.message.startswith("no scrape of shop/e for 165 s (at most 1 min is allowed)")


@pytest.mark.parametrize("expected", [None, 1])
def test_a_process_without_the_series_of_an_expression_holds_it(past: Past, expected: int | None) -> None:
    past.write(({**GOOD, "instance": "a"}, ramp(50)), ({**ERRORS, "instance": "b"}, ramp(0)))
    more = {"expect_series": expected} if expected else {}
    result = past.judged({"promql": "sum(rate(errors_total[$window]))", "below": 5, "over": "30m", **more})
    if expected:
        assert result.verdict is PASSED
    else:
        said = "shop/a was scraped and has no such series; if it need not have one, say expect_series"
        assert (result.reason, result.message) == (Reason.NO_DATA, said)


@pytest.mark.parametrize(
    "expression",
    [
        "sum(rate(errors_total[$window])) or vector(0)",
        "sum(rate(req[$window])) * 0 or sum(rate(errors_total[$window]))",
        "sum(rate(req[$window])) - (sum(rate(errors_total[$window])) or vector(50))",
        "count(rate(errors_total[$window])) or on() vector(0)",
    ],
)
def test_nothing_hides_that_a_metric_is_not_there(past: Past, expression: str) -> None:
    past.write((GOOD, ramp(50)))
    said = "no series matches errors_total; check its name and the scrape"
    gate = {"promql": expression, "below": 5, "over": "30m"}
    assert past.said(gate) == (INCONCLUSIVE, Reason.NO_DATA, said)


def test_a_query_that_reads_nothing_proves_nothing(past: Past) -> None:
    past.write((GOOD, ramp(50)))
    said = "the query reads no series, so nothing that happens can change it"
    assert past.said({"promql": "vector(1)", "below": 5}) == (INCONCLUSIVE, Reason.NO_DATA, said)


BACK = "{} reaches back {}, to before the flip; decides in about {}"


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("sum(increase(req[25m]))", BACK.format("req", "25 min", "10 min")),
        ("sum(increase(req[10m] offset 10m))", BACK.format("req", "10 min", "5 min")),
        ("max_over_time(sum(rate(req[10m]))[10m:15s])", BACK.format("req", "20 min", "5 min")),
        ("max_over_time(req[20m:15s])", BACK.format("req", "20 min", "5 min")),
        ("sum(req offset 20m)", "the newest scrape is from before the flip; decides in about 5 min"),
    ],
)
def test_no_expression_reads_from_before_the_flip(past: Past, expression: str, said: str) -> None:
    past.write((GOOD, ramp(0)))
    gate = {"promql": expression, "below": 5}
    assert past.said(gate, since=900) == (INCONCLUSIVE, Reason.WINDOW_NOT_ELAPSED, said)
    assert past.judged(gate, since=0).verdict is PASSED


@pytest.mark.parametrize("targets", [True, False], ids=["scraped", "sent by somebody"])
def test_an_instant_value_is_not_an_old_one(past: Past, targets: bool) -> None:
    past.write((GOOD, ramp(0)), lives={"": Life().without(LAST - 3, SCRAPES)})
    if not targets:
        past.bent.targets.clear()
    result = past.judged({"promql": "sum(req)", "below": 5})
    assert (result.verdict, result.reason) == (INCONCLUSIVE, Reason.COVERAGE)


def test_an_instant_value_does_not_hold_the_old_one_of_an_instance(past: Past) -> None:
    past.write((on(GOOD, "a"), ramp(0)), (on(GOOD, "b"), ramp(0)), lives={"b": Life().without(LAST - 8, SCRAPES)})
    past.bent.targets.clear()
    said = (
        'req{code="200",instance="b",job="shop"} was not scraped at the window\'s end, and its old value would still '
        "count; find out why"
    )
    assert past.value("sum(req)") == 0
    assert past.said({"promql": "sum(req)", "below": 5}) == (INCONCLUSIVE, Reason.COVERAGE, said)


def test_a_breach_needs_no_more_than_the_value(past: Past) -> None:
    past.write((GOOD, ramp(50)), lives={"": Life().without(60, 69, 0.0)})
    gate = {"promql": "sum(increase(req[$window]))", "below": 5, "over": "30m"}
    assert past.judged(gate).verdict is BREACHED


# --- looked at again -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("since", "epoch"), [(0.0, 1), (-LENGTH, 2), (-3 * LENGTH, 4)])
def test_what_is_looked_at_again_has_bounds_for_all_times(past: Past, since: float, epoch: int) -> None:
    past.write(*pair(1))
    once_only, again = past.judged(RATIO, since), past.judged(RATIO, since, again=True)
    assert once_only.derivation["rule"] == "Clopper-Pearson, two-sided, single look"
    assert again.derivation["rule"] == f"beta-binomial mixture, time-uniform, stretch {epoch}"
    assert again.window == (past.start, past.start + LENGTH)
    assert again.derivation["high"] > once_only.derivation["high"]
    assert again.verdict is once_only.verdict is PASSED


def test_a_stretch_grows_from_the_flip_until_the_next_is_long_enough(past: Past) -> None:
    earlier(past, pair(1))
    past.write(*going_on(pair(1), pair(1)))
    result = past.judged(RATIO, since=-LENGTH / 2, again=True)
    assert result.window == (past.start - LENGTH / 2, past.start + LENGTH)
    assert (result.samples, result.derivation["rule"][-9:]) == (180_000, "stretch 1")
    assert past.judged(RATIO, since=-LENGTH / 2).samples == 120_000


def test_later_stretches_need_more(past: Past) -> None:
    past.write((GOOD, ramp(10)))
    assert past.judged(RATIO, since=0).verdict is PASSED
    late = past.judged(RATIO, since=-LENGTH * 40, again=True)
    assert (late.verdict, late.reason) == (INCONCLUSIVE, Reason.TOO_FEW_SAMPLES)


@pytest.mark.parametrize(("count", "rule"), [(1, "Clopper-Pearson"), (2, "beta-binomial")])
def test_a_second_run_looks_again_even_if_it_does_not_wait(past: Past, count: int, rule: str) -> None:
    past.write(*pair(1))
    looks = {"g": Looks(count, past.now - 60)}
    gate = Gate.model_validate({"id": "g", **RATIO, "looks": "once"})
    result = past.gatherer(past.start, looks=looks).judge(gate)
    assert result.derivation["rule"].startswith(rule)


def test_without_a_flip_the_first_look_is_where_a_stretch_begins(past: Past) -> None:
    earlier(past, pair(1))
    past.write(*going_on(pair(1), pair(1)))
    looks = {"g": Looks(5, past.now - 600)}
    gate = Gate.model_validate({"id": "g", **RATIO})
    result = past.gatherer(None, looks=looks).judge(gate)
    assert result.window == (past.start - 600, past.start + LENGTH)
    assert result.samples == 160_000


# --- how much is asked ---------------------------------------------------------------------------------------

STAGE: tuple[dict[str, Any], ...] = (
    RATIO,
    {**RATIO, "below": "2%", "confidence": "99%"},
    {**RATIO, "over": "10m"},
    COUNTER,
    QUANTILE,
    {**QUANTILE, "quantile": {"q": 0.5, "of": "lat"}},
    {"promql": "sum(rate(req[$window]))", "above": 1, "over": "30m"},
    BURN,
    {**EACH, "expect_series": 1},
)


def test_a_stage_asks_at_most_three_times_a_gate_and_nothing_twice(past: Past) -> None:
    past.write(*pair(1), (ROLLBACKS, ramp(0)), *buckets({"0.05": 48, "0.1": 50, "+Inf": 50}))
    gates = [Gate.model_validate({"id": f"g{place}", **gate}) for place, gate in enumerate(STAGE)]
    gatherer = past.gatherer(None)
    assert {gatherer.judge(gate).verdict for gate in gates} == {PASSED}
    asked = past.bent.asked
    assert len(set(asked)) == len(asked)
    assert len(asked) <= 3 * len(gates)


def test_one_gate_alone_asks_four_times(past: Past) -> None:
    past.write(*pair(1))
    past.judged(RATIO)
    assert [one.split("?")[0] for one in past.bent.asked] == ["GET /api/v1/targets", *3 * ["POST /api/v1/query"]]


def test_the_report_names_every_query(past: Past) -> None:
    past.write(*pair(1))
    asked = past.judged(RATIO).derivation
    assert asked["at"] == past.now
    assert [query.split("[")[0] for query in asked["queries"]] == [
        'req{job="shop"}',
        '{__name__=~"up|process_start_time_seconds",job="shop"}',
        'count(last_over_time(req{job="shop"}',
    ]


# --- good ones of a metric of their own -----------------------------------------------------------------------

SENT: Labels = {"__name__": "sent_total", "job": "shop", "mode": "warn"}
ASKED: Labels = {"__name__": "asked_total", "job": "shop", "mode": "warn", "result": "warn"}
GOOD_ONES = {"ratio": {"good": "sent_total", "total": 'asked_total{result="warn"}'}, "at_least": "99%", "over": "30m"}


def test_good_ones_are_matched_by_process_and_labels(past: Past) -> None:
    past.write(*((on(labels, name), ramp(50)) for labels in (SENT, ASKED) for name in "ab"))
    assert past.said(GOOD_ONES) == (
        PASSED,
        Reason.WITHIN_LIMIT,
        "0 not good of 12,000; with 95 % confidence the share lies in 0-0.0307 %, the limit is 1 %",
    )


def test_good_ones_of_one_process_are_missing(past: Past) -> None:
    past.write((on(SENT, "a"), ramp(50)), *((on(ASKED, name), ramp(50)) for name in "ab"))
    assert past.said(GOOD_ONES)[:2] == (INCONCLUSIVE, Reason.NO_DATA)
    past.bent.exporters["sent_total"] = {("shop", "b")}
    assert past.judged(GOOD_ONES).verdict is BREACHED


def test_good_ones_are_judged_group_by_group(past: Past) -> None:
    parts = (("/x", ramp(50)), ("/y", ramp(49)))
    told = [({**ASKED, "endpoint": name}, ramp(50)) for name, _ in parts]
    past.write(*told, *(({**SENT, "endpoint": name}, good) for name, good in parts))
    grouped = {**GOOD_ONES, "by": ["endpoint"], "expect_series": 2}
    verdict, _, said = past.said(grouped)
    assert verdict is BREACHED
    assert said.startswith('1 of 2 breach, all must pass: endpoint="/y": 120 not good of 6,000; ')
    assert past.judged({**grouped, "quantifier": "any"}).verdict is PASSED
    assert past.said({**grouped, "by": ["result"]}) == (
        INCONCLUSIVE,
        Reason.UNKNOWN_LABEL,
        "no series of 'good' has the label 'result' that 'by' asks for; labels there: __name__, endpoint, job, mode",
    )


def test_good_ones_of_the_same_metric_leave_the_rest(past: Past) -> None:
    past.write((GOOD, ramp(50)), (BAD, ramp(1)))
    gate = {"ratio": {"good": 'req{code="200"}', "total": "req"}, "at_least": "99%", "over": "30m"}
    assert past.said(gate)[2].startswith("120 bad requests of 6,120; ")
    assert past.judged(gate).verdict is BREACHED
    assert past.judged({**gate, "at_least": "95%"}).verdict is PASSED
    unknown = {**gate, "ratio": {"good": 'req{cod="200"}', "total": "req"}}
    assert past.said(unknown)[1:] == (
        Reason.UNKNOWN_LABEL,
        "no series of 'total' has the label 'cod' that tells what is bad; labels there: __name__, code, job",
    )


def test_the_share_slower_than_a_bound_is_compared(past: Past) -> None:
    def side(cohort: str, le: str) -> dict[str, Any]:
        sides = {"good": f'lat_bucket{{cohort="{cohort}",le="{le}"}}', "total": f'lat_count{{cohort="{cohort}"}}'}
        return {"ratio": sides}

    def gate(cohort: str, le: str = "0.1") -> dict[str, Any]:
        compared = {"now": side(cohort, le), "control": side("main", le), "absolute": "2%"}
        return {"baseline": compared, "at_most": "10%", "over": "30m"}

    told: list[tuple[Labels, list[float | None]]] = []
    for cohort, fast in (("main", 49), ("like", 49), ("slow", 40)):
        labels = {"job": "shop", "instance": "a", "cohort": cohort}
        told += [
            ({**labels, "__name__": "lat_bucket", "le": "0.1"}, ramp(fast)),
            ({**labels, "__name__": "lat_bucket", "le": "+Inf"}, ramp(50)),
            ({**labels, "__name__": "lat_count"}, ramp(50)),
        ]
    past.write(*told)
    assert past.judged(gate("like")).verdict is PASSED
    assert past.judged(gate("slow")).verdict is BREACHED
    assert past.judged(gate("slow", "0.10")).reason is Reason.NO_DATA
    past.bent.exporters["lat_bucket"] = {("shop", "a")}
    assert past.said(gate("slow", "0.10"))[:2] == (INCONCLUSIVE, Reason.NO_DATA)
