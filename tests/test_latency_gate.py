"""From what a plan asks to a load, and from what was found to a verdict: no damage to a load makes a pass."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from pytest_rollout.errors import LoadError
from pytest_rollout.judge.baseline import Effect
from pytest_rollout.judge.latency import ErrorsAtMost, ErrorsBelow, QuantileBelow
from pytest_rollout.judge.paired import WorseBy
from pytest_rollout.latency import Load, LoadTerms, is_bent, judge_latency
from pytest_rollout.load.injected.book import Outcome
from pytest_rollout.load.judged import Demand
from pytest_rollout.load.order import Arm
from pytest_rollout.load.result import LoadResult
from pytest_rollout.plan.latency import Latency
from pytest_rollout.verdict import CheckResult, Reason, Verdict
from tests.load.runs import result
from tests.load.test_judged import lose_sample, places, without

ASKED: dict[str, Any] = {"locustfile": "portal", "rate": "20/s", "for": "5s", "arrivals": "constant"}
P90 = {"p90": {"below": "200ms"}}
P99 = {"p99": {"below": "200ms"}}
"""Needs 299 requests: a hundred decide nothing."""
ALL = {**ASKED, **P90, "errors": {"at_most": 0}}
SIDES = {"control": {"headers": {"x": "old"}}, "candidate": {"headers": {"x": "new"}}}
MINUTES: dict[str, Any] = {"locustfile": "portal", "rate": "10/s", "for": "2m", "p95": {"below": "200ms"}}
Fate = Callable[[int], tuple[Outcome, float]]


def terms(asked: dict[str, Any], **more: Any) -> LoadTerms:
    return LoadTerms(asked=Latency.model_validate(asked), **more)


def good(_number: int) -> tuple[Outcome, float]:
    return "ok", 0.04


def slow(_number: int) -> tuple[Outcome, float]:
    return "ok", 0.5


def hung(_number: int) -> tuple[Outcome, float]:
    return "unfinished", 12.0


def quick_errors(number: int) -> tuple[Outcome, float]:
    return ("failed", 0.001) if number % 3 == 0 else ("ok", 0.04)


def one_is_slow(number: int) -> tuple[Outcome, float]:
    return ("ok", 0.5) if number == 7 else ("ok", 0.04)


def runs(wanted: LoadTerms, *fates: Fate, seconds: float = 0.0, lag: float = 0.001) -> tuple[LoadResult, ...]:
    """Return a load, and an extension of so many seconds for each further fate."""
    order = wanted.order("portal.py", "http://target", {})
    orders = [order, *(replace(order, seed=seed, duration=seconds) for seed in range(1, len(fates)))]
    return tuple(result(one, outcome=fate, lag=lag) for one, fate in zip(orders, fates, strict=True))


def load(*made: LoadResult, **more: Any) -> Load:
    return Load(begun=1000.5, runs=made, **more)


def judged(asked: dict[str, Any], fate: Fate = good, **more: Any) -> CheckResult:
    wanted = terms(asked)
    return judge_latency(wanted, load(*runs(wanted, fate), **more))


# --- the load that is made --------------------------------------------------------------------------------------


def test_a_load_is_what_the_plan_asks_for() -> None:
    asked = {**MINUTES, "arrivals": "constant", "warm_up": "7s", "drain": "9s", "workers": 2}
    order = terms(asked).order("/p/portal.py", "http://target", {})
    assert (order.locustfile, order.host) == ("/p/portal.py", "http://target")
    assert (order.duration, order.rate, order.users, order.arrivals) == (120.0, 10.0, None, "constant")
    assert (order.warm_up, order.drain, order.workers, order.arms) == (7.0, 9.0, 2, ())


def test_users_are_ordered_as_users() -> None:
    order = terms({"locustfile": "portal", "users": 3, "for": "1m", **P90}).order("p.py", "http://t", {})
    assert (order.rate, order.users) == (None, 3)


@pytest.mark.parametrize(
    ("scale", "asked", "duration"),
    [
        (1.0, {}, 120.0),
        (0.5, {}, 120.0),  # nothing makes a load longer
        (10.0, {}, 12.0),
        (100.0, {}, 11.8),  # 118 requests are twice the 59 that p95 needs
        (100.0, {"rate": "100/s"}, 5.0),
        (100.0, {"extend": "1m"}, 14.4),  # with an extension it needs 72
        (100.0, SIDES, 23.6),  # of which half are the control's
        (100.0, {"for": "10s"}, 10.0),
        (100.0, {"for": "4s", "rate": "100/s"}, 4.0),
        (100.0, {"p99": {"below": "1s"}}, 59.8),  # the one that needs most
    ],
)
def test_a_time_scale_shortens_a_load_but_not_below_what_it_needs(
    scale: float, asked: dict[str, Any], duration: float
) -> None:
    order = terms({**MINUTES, **asked}, scale=scale).order("p.py", "http://t", {})
    assert order.duration == pytest.approx(duration, rel=1e-12)
    assert order.rate == (100.0 if "rate" in asked else 10.0)


def test_what_is_not_inferred_needs_no_number_of_requests() -> None:
    counted = {"locustfile": "portal", "rate": "1/s", "for": "10m", "errors": {"at_most": 0}}
    assert terms(counted, scale=1000.0).order("p.py", "http://t", {}).duration == 5.0
    observed = {"locustfile": "portal", "rate": "1/s", "for": "10m", "p99": {"below": "1s"}}
    assert terms(observed, scale=1000.0, confidence=None).order("p.py", "http://t", {}).duration == 5.0


@pytest.mark.parametrize(("warm_up", "made"), [("0s", 0.0), ("500ms", 0.5), ("5s", 1.0), ("30s", 3.0)])
def test_a_warm_up_is_shortened_to_a_second_at_least(warm_up: str, made: float) -> None:
    order = terms({**MINUTES, "warm_up": warm_up}, scale=10.0).order("p.py", "http://t", {})
    assert order.warm_up == pytest.approx(made)
    assert order.drain == 10.0


def test_an_extension_is_shortened_like_the_load() -> None:
    assert terms({**MINUTES, "extend": "10m"}).demand.budget == 600.0
    assert terms({**MINUTES, "extend": "10m"}, scale=4.0).demand.budget == pytest.approx(150.0)


def test_the_sides_of_a_pair_are_filled_in() -> None:
    sides = {
        "control": {"headers": {"Authorization": "Bearer ${OLD}", "x": "${A}${A}"}},
        "candidate": {"url": "http://${HOST}:80"},
    }
    variables = {"OLD": "o-token", "A": "a", "HOST": "canary"}
    order = terms({**MINUTES, **sides}).order("p.py", "http://t", variables)
    assert order.arms == (
        Arm("control", None, {"Authorization": "Bearer o-token", "x": "aa"}),
        Arm("candidate", "http://canary:80", {}),
    )


def test_a_slash_at_the_end_of_an_address_is_not_sent_twice() -> None:
    sides = {"control": {"url": "${URL}"}, "candidate": {"url": "http://new/base/"}}
    order = terms({**MINUTES, **sides}).order("p.py", "http://t:80/", {"URL": "http://old/"})
    assert (order.host, *(arm.host for arm in order.arms)) == ("http://t:80", "http://old", "http://new/base")


@pytest.mark.parametrize("variables", [{}, {"TOKEN": ""}])
def test_a_variable_that_is_not_set_is_named(variables: dict[str, str]) -> None:
    asked = {**MINUTES, "control": {}, "candidate": {"headers": {"Authorization": "Bearer ${TOKEN}"}}}
    with pytest.raises(LoadError) as refused:
        terms(asked).order("p.py", "http://t", variables)
    assert str(refused.value) == "the load needs the environment variable TOKEN, which is not set; export it"


# --- what the judge is asked ------------------------------------------------------------------------------------


def test_a_load_in_the_place_of_another_is_a_turn_of_its_own() -> None:
    once = terms({**ASKED, **P90})
    assert once.after(()) == once
    assert once.after(("late", "late again")).turn == 3
    assert once.after(("late",)).demand.confidence == 0.975


def test_every_limit_reaches_the_judge() -> None:
    limits = {
        **{name: {"below": "1s"} for name in ("p50", "p90", "p95", "p99")},
        "p99.9": {"at_most": "10%", "absolute": "5ms"},
        "errors": {"below": "1%"},
    }
    asked = terms({**ASKED, **SIDES, **limits, "of": "transaction", "name": "/page", "extend": "20s"}, confidence=0.99)
    assert asked.demand == Demand(
        limits={
            "p50": QuantileBelow(0.5, 1.0),
            "p90": QuantileBelow(0.9, 1.0),
            "p95": QuantileBelow(0.95, 1.0),
            "p99": QuantileBelow(0.99, 1.0),
            "p99.9": WorseBy(0.999, Effect(0.1, 0.005)),
            "errors": ErrorsBelow(0.01),
        },
        name="/page",
        kind="transaction",
        confidence=0.99,
        budget=20.0,
    )


@pytest.mark.parametrize("most", [0, 3])
def test_a_count_of_errors_reaches_the_judge(most: int) -> None:
    assert terms({**ASKED, "errors": {"at_most": most}}).demand.limits == {"errors": ErrorsAtMost(most)}


def doubt(turn: int, sure: float | None = 0.95) -> float | None:
    found = terms({**ASKED, **P90}, turn=turn, confidence=sure).demand.confidence
    return None if found is None else 1 - found


def test_whoever_repeats_a_load_until_it_passes_buys_nothing() -> None:
    doubts = [doubt(turn) or 0.0 for turn in range(1, 2000)]
    assert doubts[:4] == pytest.approx([0.05, 0.025, 0.0125, 0.00625])
    assert all(0 < after <= before for before, after in pairwise(doubts))
    assert sum(doubts[1:]) == pytest.approx(0.05, abs=1e-9)
    assert [doubt(turn, None) for turn in (1, 2, 99)] == [None] * 3


@pytest.mark.parametrize("turn", [1, 2, 10, 52, 1100])
def test_a_load_is_judged_however_often_it_was_made(turn: int) -> None:
    asked = terms({**ASKED, **P90, "rate": "100/s"}, turn=turn)
    found = judge_latency(asked, load(*runs(asked, good)))
    assert (found.verdict, found.derivation["fewest_requests"]) == (
        Verdict.PASSED,
        {1: 29, 2: 36, 10: 88, 52: 285, 1100: 285}[turn],
    )


def test_a_later_turn_needs_more_for_a_pass() -> None:
    short = {**ASKED, **P90, "for": "1.5s"}
    assert [judge_latency(one, load(*runs(one, good))).verdict for one in (terms(short), terms(short, turn=2))] == [
        Verdict.PASSED,
        Verdict.INCONCLUSIVE,
    ]


# --- the verdict ------------------------------------------------------------------------------------------------


def said(found: CheckResult) -> tuple[str, str, str]:
    return found.verdict.value, found.reason.value, found.message


def test_without_a_load_there_is_an_error() -> None:
    asked = terms({**ASKED, **P90})
    assert said(judge_latency(asked, load())) == ("error", "bent-generator", "no load was made; run it again")
    assert said(judge_latency(asked, load(fault="no Locust"))) == ("error", "bent-generator", "no Locust")


@pytest.mark.parametrize("fate", [good, slow])
def test_a_load_that_is_not_all_there_is_an_error(fate: Fate) -> None:
    found = judged({**ASKED, **P90}, fate, fault="Locust ended with exit code 137")
    assert said(found) == ("error", "bent-generator", "Locust ended with exit code 137")
    assert is_bent(found)


def test_a_good_load_passes() -> None:
    found = judged(ALL)
    assert (found.verdict, found.reason) == (Verdict.PASSED, Reason.WITHIN_LIMIT)
    assert found.message == (
        "2 of 2 pass, all must: p90: 40 ms, surely between 40 ms and 40 ms; the limit is 200 ms; 0 of 100 requests "
        "took as long or have no good answer; errors: 0 of 100 requests have no good answer; at most 0 may"
    )
    assert found.samples == 100
    assert found.derivation["load"]["arms"]["all"]["ok"] == 100


@pytest.mark.parametrize("fate", [slow, hung, quick_errors])
def test_a_bad_load_breaches(fate: Fate) -> None:
    found = judged(ALL, fate)
    assert (found.verdict, found.reason) == (Verdict.BREACHED, Reason.LIMIT_BREACHED)
    assert found.derivation["load"]["arms"]["all"]["due"] == 100
    assert not is_bent(found)


@pytest.mark.parametrize("extend", ["0s", "10m"])
def test_what_a_load_has_not_decided_no_wait_decides(extend: str) -> None:
    found = judged({**ASKED, **P99, "extend": extend})
    assert (found.verdict, found.reason, found.ready_in) == (Verdict.INCONCLUSIVE, Reason.UNPROVEN, None)
    assert not found.may_still_arrive
    assert "more requests" in found.message


def test_a_run_without_its_end_is_final_too() -> None:
    asked = terms({**ASKED, **P90})
    (made,) = runs(asked, good)
    (part,) = made.parts
    running = made.model_copy(update={"parts": (part.model_copy(update={"ended": "running"}),)})
    found = judge_latency(asked, load(running))
    assert (found.verdict, found.may_still_arrive, found.ready_in) == (Verdict.INCONCLUSIVE, False, None)


def test_a_late_generator_is_bent_and_says_so() -> None:
    asked = terms({**ASKED, **P90})
    found = judge_latency(asked, load(*runs(asked, good, lag=0.02)))
    assert is_bent(found)
    assert found.message.startswith("the load generator was late: 20 ms at p99, where 10 ms are allowed")


def test_users_can_breach_and_never_pass() -> None:
    asked = terms({"locustfile": "portal", "users": 3, "for": "5s", **P90})
    (made,) = runs(terms({**ASKED, **P90}), good)
    assert judge_latency(asked, load(made)).verdict is Verdict.ERROR  # it is another load
    closed = made.asked.model_copy(update={"rate": None, "users": 3, "arrivals": "poisson"})
    parts = tuple(part.model_copy(update={"users": 3}) for part in made.parts)
    found = judge_latency(asked, load(made.model_copy(update={"asked": closed, "parts": parts})))
    assert (found.verdict, found.reason) == (Verdict.INCONCLUSIVE, Reason.UNPROVEN)


def test_what_was_thrown_away_and_what_was_drawn_is_told() -> None:
    for fault in ("", "Locust ended with exit code 137"):
        found = judged({**ASKED, **P90}, fault=fault, spoiled=("late", "late again"), attachments=("a.svg",))
        assert found.derivation["thrown_away"] == ["late", "late again"]
        assert found.attachments == ("a.svg",)
    assert "thrown_away" not in judged({**ASKED, **P90}).derivation


@pytest.mark.parametrize(
    "other",
    [
        {"rate": "40/s"},
        {"rate": "10/s"},
        {"for": "4.9s"},
        {"arrivals": "poisson"},
        {"drain": "9s"},
        {"workers": 1},
        SIDES,
    ],
    ids=repr,
)
def test_another_load_than_the_one_that_is_asked_for_proves_nothing(other: dict[str, Any]) -> None:
    asked = terms({**ASKED, **P90})
    found = judge_latency(asked, load(*runs(terms({**ASKED, **P90, **other}), good)))
    assert said(found) == (
        "error",
        "bent-generator",
        "the load that was made is not the one that the gate asks for; run it again",
    )


def test_a_shortened_load_is_the_one_that_is_asked_for_only_where_time_is_scaled() -> None:
    here, there = terms(MINUTES, scale=10.0), terms(MINUTES)
    made = load(*runs(here, good))
    assert judge_latency(here, made).verdict is Verdict.PASSED
    assert judge_latency(there, made).verdict is Verdict.ERROR


# --- kept, and made again ---------------------------------------------------------------------------------------

LONGER = {**ASKED, **P99, "extend": "60s"}


def extended(*fates: Fate) -> tuple[LoadTerms, Load]:
    wanted = terms(LONGER)
    return wanted, load(*runs(wanted, *fates, seconds=30.0))


def test_a_load_is_kept_bit_by_bit() -> None:
    wanted, made = extended(one_is_slow, good)
    made = replace(made, begun=1_700_000_000.1, fault="f", spoiled=("a", "b"), attachments=("x.svg",))
    text = json.dumps(made.to_dict(), sort_keys=True, allow_nan=False)
    again = Load.from_dict(json.loads(text))
    assert again == made
    assert json.dumps(again.to_dict(), sort_keys=True) == text
    assert judge_latency(wanted, again).to_dict() == judge_latency(wanted, made).to_dict()


@pytest.mark.parametrize("key", ["begun", "runs", "fault", "spoiled", "attachments"])
def test_what_is_missing_of_a_kept_load_is_not_made_up(key: str) -> None:
    kept = load(*runs(terms(ALL), good)).to_dict()
    del kept[key]
    with pytest.raises(KeyError, match=f"^'{key}'$"):
        Load.from_dict(kept)


def test_an_extension_decides_what_the_load_alone_does_not() -> None:
    wanted, made = extended(good, good)
    assert judge_latency(wanted, made).verdict is Verdict.PASSED
    assert judge_latency(wanted, replace(made, runs=made.runs[:1])).verdict is Verdict.INCONCLUSIVE


BAD: dict[str, tuple[LoadTerms, Load]] = {
    "slow": (terms(ALL), load(*runs(terms(ALL), slow))),
    "hung": (terms(ALL), load(*runs(terms(ALL), hung))),
    "quick errors": (terms(ALL), load(*runs(terms(ALL), quick_errors))),
    "one is slow, of too few": (terms({**ASKED, **P99}), load(*runs(terms({**ASKED, **P99}), one_is_slow))),
    "a bad load, a good extension": extended(quick_errors, good),
    "a good load, a bad extension": extended(good, quick_errors),
    "late": (terms(ALL), load(*runs(terms(ALL), good, lag=0.02))),
    "broken off": (terms(ALL), load(*runs(terms(ALL), good), fault="Locust ended with exit code 137")),
    "a short one": (terms(ALL), load(*runs(terms({**ALL, "for": "4s"}), good))),
    "two workers, one bad": (
        terms({**ALL, "workers": 2}),
        load(*runs(terms({**ALL, "workers": 2}), lambda number: good(number) if number % 2 else hung(number))),
    ),
}
WELL: dict[str, tuple[LoadTerms, Load]] = {
    "one": (terms(ALL), load(*runs(terms(ALL), good))),
    "two workers": (terms({**ALL, "workers": 2}), load(*runs(terms({**ALL, "workers": 2}), good))),
    "extended": extended(good, good),
    "a pair": (terms({**ALL, **SIDES}), load(*runs(terms({**ALL, **SIDES}), good))),
}


FOR_PEOPLE = {"argv", "locust", "slowest"}
"""What can be missing of a load that passes: told to people alone,"""
NOTHING = {"failed", "timeout", "unfinished"}
"""or columns of no samples, which their counts say too."""


def outcome(wanted: LoadTerms, kept: dict[str, Any]) -> Verdict | None:
    """Return the verdict of a load as it was kept, or None if it cannot be read: a replay is refused then."""
    try:
        return judge_latency(wanted, Load.from_dict(json.loads(json.dumps(kept)))).verdict
    except (KeyError, TypeError, ValueError, IndexError):
        return None


def losses(kept: dict[str, Any]) -> Iterator[tuple[object, dict[str, Any]]]:
    """Yield every kept load from which one thing was taken: a key, a list's item, or a sample and its counts."""
    for path in places(kept):
        yield path, without(kept, path)
    for number, run in enumerate(kept["runs"]):
        there = {
            ended
            for one in run["parts"][0]["series"]
            for ended in ("ok", "failed", "timeout", "unfinished")
            if one[ended]["n"]
        }
        for ended in sorted(there):
            for depth in range(4):
                try:
                    less = lose_sample(run, ended, depth)
                except IndexError:
                    continue
                yield (
                    (number, ended, depth),
                    {**kept, "runs": [*kept["runs"][:number], less, *kept["runs"][number + 1 :]]},
                )


@pytest.mark.parametrize(("wanted", "made"), BAD.values(), ids=BAD)
def test_nothing_that_is_taken_from_a_load_makes_a_pass(wanted: LoadTerms, made: Load) -> None:
    kept = made.to_dict()
    assert outcome(wanted, kept) not in (None, Verdict.PASSED)
    for what, less in losses(kept):
        assert outcome(wanted, less) is not Verdict.PASSED, what


@pytest.mark.parametrize(("wanted", "made"), WELL.values(), ids=WELL)
def test_of_a_load_that_passes_nothing_can_be_missed_that_the_pass_rests_on(wanted: LoadTerms, made: Load) -> None:
    kept = made.to_dict()
    assert outcome(wanted, kept) is Verdict.PASSED
    missed = {
        what for what, less in losses(kept) if isinstance(what, tuple) and outcome(wanted, less) is Verdict.PASSED
    }
    names = {next(step for step in reversed(what) if isinstance(step, str)) for what in missed}
    assert names <= FOR_PEOPLE | NOTHING, names
