"""The benchmarks say what they measure: the rules of other tools on small cases, and the simulation on a small grid."""

from __future__ import annotations

import math
import re
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from benchmarks import judging_cost, report
from benchmarks.peers import Argo, flagger, kayenta, point
from benchmarks.simulation import Hour, simulate
from benchmarks.wrong_verdicts import (
    LIMIT,
    Cell,
    Grid,
    Ours,
    broken_promises,
    full,
    measure,
    repeated_look_rules,
    single_look_rules,
    worst,
)
from pytest_rollout.judge.certainty import Certainty
from pytest_rollout.verdict import Decision
from sandbox.components import start_prometheus

GO, NO_GO, HOLD = Decision.GO, Decision.NO_GO, Decision.HOLD
NAN = math.nan
SUCCESS = Argo(success_below=0.1, failure_limit=0)
FAILURE = Argo(failure_from=0.1, failure_limit=0)
BOTH = Argo(success_below=0.1, failure_from=0.2, failure_limit=0)
TINY = Grid(rates=(0.5, 1.0, 4.0), requests=(20, 2_000), runs=20, kayenta_runs=5, looks=60, seed=1)


@pytest.mark.parametrize(("share", "decision"), [(0.05, GO), (0.1, NO_GO), (0.2, NO_GO), (NAN, HOLD)])
def test_a_point_is_compared_as_it_is(share: float, decision: Decision) -> None:
    assert point(share, 0.1) is decision


@pytest.mark.parametrize(
    ("share", "success", "failure", "both"),
    [
        (0.05, GO, GO, GO),
        (0.1, NO_GO, NO_GO, HOLD),
        (0.2, NO_GO, NO_GO, NO_GO),
        (NAN, NO_GO, GO, HOLD),
    ],
)
def test_argo_takes_a_missing_condition_for_the_opposite_of_the_other(
    share: float, success: Decision, failure: Decision, both: Decision
) -> None:
    assert [argo.measure(share) for argo in (SUCCESS, FAILURE, BOTH)] == [success, failure, both]
    assert [argo.run([share]) for argo in (SUCCESS, FAILURE, BOTH)] == [success, failure, both]


@pytest.mark.parametrize(("failures", "decision"), [(3, GO), (4, NO_GO)])
def test_argo_ends_after_more_failures_than_its_limit(failures: int, decision: Decision) -> None:
    shares = [0.0, *[1.0, 0.0] * failures]
    assert Argo(success_below=0.1, failure_limit=3).run(shares) is decision


@pytest.mark.parametrize(("limit", "decision"), [(0, HOLD), (1, GO)])
def test_argo_pauses_after_more_inconclusive_measurements_than_their_limit(limit: int, decision: Decision) -> None:
    argo = Argo(success_below=0.1, failure_from=0.2, failure_limit=0, inconclusive_limit=limit)
    assert argo.run([0.0, 0.15, 0.0]) is decision


@pytest.mark.parametrize(
    ("shares", "decision"),
    [
        ([0.1] * 4, GO),  # the limit itself is allowed
        ([0.0] * 3, HOLD),
        ([0.2, 0.0, 0.0, 0.0, 0.2], NO_GO),  # successes do not make up for failures
        ([NAN, NAN], NO_GO),
        ([0.2, 0.0, 0.0, 0.0, 0.0, 0.2], GO),  # promoted before the second
    ],
)
def test_flagger_adds_up_failed_checks(shares: list[float], decision: Decision) -> None:
    assert flagger(shares, 0.1, threshold=2, iterations=4) is decision


@pytest.mark.parametrize(
    ("control", "experiment", "decision"),
    [
        (range(20), range(100, 120), NO_GO),
        (range(100, 120), range(20), GO),  # better is no fault
        (range(20), range(20), GO),
        ([0.0] * 60, [0.0] * 59 + [1.0], GO),
        ([], range(20), HOLD),
        ([NAN] * 20, range(20), HOLD),
    ],
)
def test_kayenta_passes_what_it_cannot_tell_apart(
    control: list[float], experiment: list[float], decision: Decision
) -> None:
    assert kayenta(list(control), list(experiment)) is decision


def test_an_hour_is_cut_into_slots() -> None:
    hour = Hour(requests=10, looks=20, failed=[0, 1, *[0] * 17, 1])
    assert [hour.total(look) for look in (0, 1, 2, 20)] == [0, 0, 1, 10]
    assert math.isnan(hour.share(0, 1))
    assert hour.share(0, 2) == 1.0
    assert list(hour.shares(2)) == [0.2, 0.2]
    assert hour.burst(20) == 1


def test_the_burst_is_the_worst_tenth() -> None:
    assert Hour(requests=1000, looks=20, failed=[3, 4, 5, *[0] * 17]).burst(20) == 7
    assert Hour(requests=1000, looks=20, failed=[3, 4, 5, *[0] * 17]).burst(10) == 5


@pytest.mark.parametrize("burst", [1, 30])
@pytest.mark.parametrize("share", [0.005, 0.2])
@pytest.mark.parametrize("requests", [10, 500])
def test_the_simulated_share_is_the_true_one(requests: int, share: float, burst: int) -> None:
    rng = Random(4)  # noqa: S311 - not for secrets
    failed = sum(simulate(rng, share, requests, 20, burst).bad[-1] for _ in range(500_000 // requests))
    error = math.sqrt(share * burst / 5e5)
    assert failed / 5e5 == pytest.approx(share, abs=4 * error)


def test_single_failures_are_independent() -> None:
    rng = Random(5)  # noqa: S311 - not for secrets
    counts = [simulate(rng, 0.02, 500, 20).bad[-1] for _ in range(2_000)]
    mean = sum(counts) / len(counts)
    assert sum((count - mean) ** 2 for count in counts) / len(counts) == pytest.approx(500 * 0.02 * 0.98, rel=0.15)


def test_failures_fall_into_the_slot_of_their_request() -> None:
    hour = simulate(Random(6), 0.9, 7, 20)  # noqa: S311 - not for secrets
    for slot, failed in enumerate(hour.failed):
        assert failed <= hour.total(slot + 1) - hour.total(slot)


@pytest.mark.parametrize("epoch", [0, 1])
def test_the_fast_rule_is_the_rule_of_the_product(epoch: int) -> None:
    ours, rng = Ours(Certainty(0.95, epoch)), Random(7)  # noqa: S311 - not for secrets
    said: Counter[Decision] = Counter()
    for requests in (20, 1_200, 5_000):
        for rate in (0.2, 1.0, 4.0):
            hour = simulate(rng, rate * LIMIT, requests, 20, burst=rng.choice((1, 12)))
            for look in range(1, 21):
                slow = ours.judge(hour.bad[look], hour.total(look), hour.burst(look))
                assert ours.look(hour, look) is slow
                said[slow] += 1
    assert min(said[decision] for decision in Decision) > 3


def test_a_burst_alone_can_hold() -> None:
    spread = Hour(requests=10_000, looks=20, failed=[1, 0] * 10)
    together = Hour(requests=10_000, looks=20, failed=[10, *[0] * 19])
    ours = Ours(Certainty(0.95))
    assert [ours.look(spread, 20), ours.look(together, 20)] == [GO, HOLD]


def test_there_is_no_go_before_the_window_has_passed() -> None:
    quiet = Hour(requests=40_000, looks=20, failed=[0] * 20)
    late = Hour(requests=40_000, looks=20, failed=[*[0] * 8, 60, *[0] * 11])
    loud = Hour(requests=40_000, looks=20, failed=[200] * 20)
    ours = Ours(Certainty(0.95, epoch=1))
    assert [ours.watch(hour, window=10) for hour in (quiet, late, loud)] == [GO, HOLD, NO_GO]
    assert [ours.watch(hour) for hour in (quiet, late, loud)] == [GO, GO, NO_GO]


def test_the_rules_run_on_a_small_grid() -> None:
    cells = measure(TINY, single_look_rules(TINY.seed)) + measure(TINY, repeated_look_rules(TINY.looks))
    assert len(cells) == 6 * 15
    assert broken_promises(cells) == []
    found = {(cell.rule, cell.rate, cell.requests): cell for cell in cells[: 6 * 7]}
    assert found["ours", 0.5, 20].said == {HOLD: 20}
    assert found["ours", 4.0, 2_000].said == {NO_GO: 20}
    assert found["point", 1.0, 20].wrong > 0.5
    assert found["Kayenta", 1.0, 20].said.total() == 5


def test_the_same_seed_gives_the_same_cells() -> None:
    grid = Grid(rates=(1.0,), requests=(1_000,), runs=10, kayenta_runs=5, looks=60, seed=1)
    first, again = (measure(grid, single_look_rules(seed)) for seed in (1, 1))
    assert first == again
    assert first != measure(replace(grid, seed=2), single_look_rules(1))


def test_a_broken_promise_is_told() -> None:
    cells = [
        Cell("ours", 1.0, 100, Counter({GO: 40, HOLD: 960})),
        Cell("ours", 1.1, 100, Counter({GO: 39, HOLD: 961})),
        Cell("ours", 0.9, 100, Counter({GO: 900, NO_GO: 100})),
        Cell("point", 1.0, 100, Counter({GO: 1000})),
    ]
    allowed = "2.5% is promised, 3.98% is within chance"
    assert broken_promises(cells) == [
        f"ours: wrong GO in 4.00% of 1000 runs at 1x the limit and 100 requests; {allowed}",
        f"ours: wrong NO-GO in 10.00% of 1000 runs at 0.9x the limit and 100 requests; {allowed}",
    ]


def test_the_tables_show_the_worst_and_everything() -> None:
    cells = [
        Cell("Kayenta", 0.5, 20, Counter({NO_GO: 1, GO: 1})),
        Cell("Kayenta", 1.0, 20, Counter({NO_GO: 3, GO: 1})),
        Cell("ours", 0.5, 20, Counter({HOLD: 3, GO: 1})),
        Cell("ours", 1.0, 20, Counter({HOLD: 4})),
    ]
    assert worst(cells).splitlines()[2:] == ["| Kayenta | 25.0% | 0.0% | 100% |", "| ours | 0.0% | 0.0% | 12% |"]
    assert full(cells).splitlines()[2:] == [
        "| 20 | 0.5x | NO-GO | (50.0) / 0 | 0.0 / 75 |",
        "| 20 | 1x | GO | 25.0 / 0 | 0.0 / 100 |",
    ]


def test_tables_are_kept_between_their_comments(tmp_path: Path) -> None:
    path = tmp_path / "tables.md"
    report.write(path, "one", "first")
    assert path.read_text() == "<!-- one -->\n\nfirst\n\n<!-- /one -->\n"
    path.write_text(f"before\n{path.read_text()}after\n")
    report.write(path, "one", r"second \1")
    assert path.read_text() == "before\n<!-- one -->\n\nsecond \\1\n\n<!-- /one -->\nafter\n"
    with pytest.raises(ValueError, match=r"tables\.md has no <!-- two --> \.\.\. <!-- /two -->$"):
        report.write(path, "two", "")


def test_judging_is_compared_with_its_own_requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", {"prometheus": shutil.which("prometheus")}.get)
    wanted = judging_cost.gates()
    assert len(wanted) == 100
    with start_prometheus(tmp_path) as prometheus:
        text = judging_cost.measure(prometheus.url, tmp_path, wanted[:5], 1)
    head, *_ = text.splitlines()
    assert re.fullmatch(
        r"5 gates \(5 passed\), 1 rounds: ([1-9]\d*) requests, \1 of them distinct, so \d\.\d\d per gate\.", head
    ), head
    rows = [line.split(" | ")[0] for line in text.splitlines()[4:-2]]
    assert rows == ["| judged", "| httpx, the same requests", "| http.client, the same requests"]


def test_rounds_are_compared_with_their_neighbours() -> None:
    took = {"judged": [2.0, 30.0, 4.0], "other": [1.0, 10.0, 1.0]}
    assert judging_cost.shown(took).splitlines()[2:] == ["| judged | 4000.0 | 1.00 |", "| other | 1000.0 | 3.00 |"]


@pytest.mark.parametrize(("per_gate", "requests"), [(3.0, "met"), (3.1, "missed")])
@pytest.mark.parametrize(("seconds", "time"), [(1.2, "met"), (1.4, "missed")])
def test_an_aim_is_met_or_missed(per_gate: float, requests: str, seconds: float, time: str) -> None:
    assert judging_cost.aims(per_gate, {"judged": [seconds], judging_cost.HTTPX: [1.0]}) == (
        f"At most 3 requests per gate: {requests}. At most 1.3 times as long as the same requests with httpx: {time}."
    )


def test_the_first_round_is_not_counted() -> None:
    calls: list[str] = []
    took = judging_cost.in_turn({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 2)
    assert calls == ["a", "b"] * 3
    assert [len(seconds) for seconds in took.values()] == [2, 2]
