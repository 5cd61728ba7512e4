"""Servers on which other tools are wrong, before the judge: stalls, silence, roundings, too few requests.

A generator on a busy machine may be late; then the verdict is an error that says so, and never another one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_rollout.judge.latency import ErrorsAtMost, Limit, QuantileBelow
from pytest_rollout.judge.order import nearest_rank
from pytest_rollout.load.judged import Demand, judge_load
from pytest_rollout.load.result import LoadResult
from pytest_rollout.load.soundness import unsound
from pytest_rollout.verdict import Reason, Verdict
from tests.load.runs import Seen, rank, side_by_side, visit
from tests.load.servers import freezing, healthy, hung, lognormal, stalling, taking

BUSY_AT_FIRST = """
    import time
    from locust import FastHttpUser, task

    while time.process_time() < 2.0:
        pass


    class Visitor(FastHttpUser):
        @task
        def look(self):
            self.client.get("/")
"""
WAITING = """
    from locust import FastHttpUser, constant, task


    class Visitor(FastHttpUser):
        wait_time = constant(0.02)

        @task
        def look(self):
            self.client.get("/")
"""
PHASES = (0.0, 4.7)
STALL: dict[str, Any] = {"duration": 10.0, "rate": 200.0, "arrivals": "constant", "drain": 2.0}
VISITS = {
    **{f"stall {phase}": visit(stalling(10.0, 1.0, phase), **STALL) for phase in PHASES},
    "closed": visit(stalling(10.0, 1.0), WAITING, duration=10.0, users=4, drain=2.0),
    "hung": visit(hung, duration=5.0, rate=20.0, arrivals="constant"),
    "cut": visit(freezing(after=1.2, until=2.2), duration=2.0, warm_up=0.0, drain=2.0, rate=100.0, arrivals="constant"),
    "rounded": visit(taking(0.2049), duration=4.0, rate=30.0),
    "few": visit(healthy, rate=100.0, arrivals="constant"),
    "busy at first": visit(healthy, BUSY_AT_FIRST, rate=20.0),
}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Seen]:
    return side_by_side(tmp_path_factory.mktemp("vectors"), VISITS, at_once=5)


def verdict(made: LoadResult, **limits: Limit) -> Verdict | None:
    """Return the verdict, or None if the machine was too busy to make the load in time."""
    found = judge_load([made], Demand(limits=limits))
    if found.reason is Reason.BENT_GENERATOR:
        assert "the load generator was late: " in found.message
        return None
    return found.verdict


def test_a_server_that_accepts_and_never_answers_breaches(seen: Callable[[str], Seen]) -> None:
    """Locust, k6 and wrk exit 0."""
    made, server = seen("hung").made, seen("hung").server
    assert made.samples().ok == made.samples().failed == ()
    assert len(made.samples().censored) == made.due == 100
    assert len(server.requests) == len(made.asked.order.schedule())
    assert rank(made.samples(), 0.5) >= 2.5 + made.asked.drain
    assert made.achieved_rate == 0
    assert verdict(made, p95=QuantileBelow(0.95, 0.2)) in (Verdict.BREACHED, None)
    assert verdict(made, errors=ErrorsAtMost(0)) in (Verdict.BREACHED, None)


@pytest.mark.parametrize("phase", PHASES)
def test_a_stall_of_a_second_in_ten_is_seen_whenever_it_begins(seen: Callable[[str], Seen], phase: float) -> None:
    one = seen(f"stall {phase}")
    assert one.made.due == len(one.made.samples().ok) == 2000
    assert verdict(one.made, p99=QuantileBelow(0.99, 0.5)) in (Verdict.BREACHED, None)
    assert rank(one.made.samples("transaction"), 0.99) >= 0.855
    assert rank(one.made.samples("transaction"), 0.99) <= 0.945 or busy(one)


def test_closed_users_hardly_see_a_stall_and_their_result_says_so(seen: Callable[[str], Seen]) -> None:
    made = seen("closed").made
    assert made.tail_is_lower_bound
    assert rank(made.samples(), 0.99) < 0.5 < max(made.samples().ok)
    found = judge_load([made], Demand(limits={"p99": QuantileBelow(0.99, 0.5)}))
    assert found.verdict in (Verdict.INCONCLUSIVE, Verdict.ERROR)
    assert "the tail is a lower bound" in found.message or "was late" in found.message


def test_a_window_that_ends_in_a_stall_does_not_forget_it(seen: Callable[[str], Seen]) -> None:
    made = seen("cut").made
    assert made.due == len(made.samples().ok) == 200
    assert sum(latency > 0.2 for latency in made.samples().ok) >= 40
    assert rank(made.samples("transaction"), 0.99) > 0.9
    assert verdict(made, p95=QuantileBelow(0.95, 0.5)) in (Verdict.BREACHED, None)


def test_nothing_is_rounded_below_a_limit(seen: Callable[[str], Seen]) -> None:
    """Locust prints 200 for 204.9."""
    made = seen("rounded").made
    assert min(made.samples().ok) >= 0.2049
    assert verdict(made, p95=QuantileBelow(0.95, 0.2)) in (Verdict.BREACHED, None)


def test_a_hundred_requests_prove_no_p99(seen: Callable[[str], Seen]) -> None:
    made = seen("few").made
    assert made.due == len(made.samples().ok) == 100
    assert verdict(made, p99=QuantileBelow(0.99, 0.5)) in (Verdict.INCONCLUSIVE, None)


def test_a_locustfile_that_is_busy_at_first_gets_its_whole_window(seen: Callable[[str], Seen]) -> None:
    """Locust's own clock would have ended it at once."""
    made = seen("busy at first").made
    assert made.duration >= 1.0
    assert len(made.samples().ok) == made.due > 0


def test_fourteen_hundred_a_second_are_measured_to_two_milliseconds(tmp_path: Path) -> None:
    """By the server's own log: who asks is never faster than it, and slower only where a machine is busy."""
    one = visit(lognormal(0.04, 0.6), duration=2.0, rate=1400.0, drain=2.0)(tmp_path)
    mine, truth = one.made.samples().ok, one.server.residences
    assert one.made.due > 2500
    if len(mine) < one.made.due:
        assert unsound(one.made), "whoever is in time here is answered in time"
        return
    for q in (0.5, 0.99):
        error = rank_of(mine, q) - rank_of(truth[-len(mine) :], q)
        assert error > -0.002
        assert error < 0.002 or busy(one), f"{error} at {q}"


def busy(one: Seen) -> bool:
    """Whether the machine was too busy for the generator, or for the server."""
    return bool(unsound(one.made)) or rank_of(one.server.late, 0.99) > 0.002


def rank_of(values: Sequence[float], q: float) -> float:
    return nearest_rank(sorted(values), q)
