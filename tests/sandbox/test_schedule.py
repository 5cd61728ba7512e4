"""The scheduled traffic: its mix and its pace."""

from collections import Counter
from itertools import pairwise

import pytest

from sandbox.schedule import CYCLE_SECONDS, KINDS, cycle


def test_rates_per_second() -> None:
    rates = {"admin": 0.0, "staff": 0.0, "agents": 0.0}
    for kind in KINDS:
        rates[kind.cohort] += kind.per_cycle / CYCLE_SECONDS
    assert rates == {"admin": 120, "staff": 5, "agents": 5}


def test_enough_of_the_traffic_meets_the_dashboard_and_the_filter() -> None:
    admin = sum(kind.per_cycle for kind in KINDS if kind.cohort == "admin")
    share = {kind.path: kind.per_cycle / admin for kind in KINDS if kind.cohort == "admin"}
    assert share["/"] > 0.02, "a dashboard that fails has to stand out in 30 s"
    assert share["/api/payments?agentId={agent}"] > 0.4


def test_cycle_is_evenly_paced_and_mixed() -> None:
    shots = cycle()
    gaps = [later.at - earlier.at for earlier, later in pairwise(shots)]
    assert gaps == pytest.approx([CYCLE_SECONDS / len(shots)] * len(gaps))
    assert Counter(shot.kind for shot in shots) == {kind: kind.per_cycle for kind in KINDS}
    halves = [sum(shot.kind.path == "/" for shot in half) for half in (shots[:130], shots[130:])]
    assert max(halves) - min(halves) <= 1


def test_one_payment_every_cycle() -> None:
    paying = [shot for shot in cycle() if shot.kind.pays]
    assert len(paying) == 1
    assert paying[0].body(3) != paying[0].body(4)
