"""What a load run is asked to do, and the schedule that follows from it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from pytest_rollout.load.order import Arm, LoadOrder, without_secrets

ARMS = (Arm("control", "http://u:s3cret@a.test/x", {"authorization": "s3cret"}), Arm("candidate"))


def order(**asked: Any) -> LoadOrder:
    """Return an order for 10 s at 20 per second."""
    return LoadOrder("scenario.py", "http://127.0.0.1:1", **{"duration": 10.0, "rate": 20.0} | asked)


def test_constant_arrivals_are_evenly_spread_over_warm_up_and_window() -> None:
    arrivals = order(arrivals="constant", warm_up=1.0).schedule()
    assert [at for at, _ in arrivals] == pytest.approx([number / 20 for number in range(-19, 200)])
    assert [number for _, number in arrivals] == list(range(-19, 200))
    assert order(arrivals="constant").due() == 200


def test_poisson_arrivals_are_the_same_every_time_and_others_with_another_seed() -> None:
    assert order().schedule() == order().schedule() != order(seed=1).schedule()
    assert order().schedule() == sorted(order().schedule())
    assert 140 < order().due() < 260


@given(st.sampled_from(["constant", "poisson"]), st.integers(0, 99), st.integers(1, 5))
def test_workers_have_every_arrival_once_between_them(arrivals: Any, seed: int, workers: int) -> None:
    alone, crew = order(arrivals=arrivals, seed=seed), order(arrivals=arrivals, seed=seed, workers=workers)
    shared = [arrival for share in range(workers) for arrival in crew.schedule(share)]
    assert sorted(shared) == alone.schedule()
    assert crew.due() == alone.due() == sum(at >= 0 for at, _ in shared)


def test_of_two_arrivals_that_follow_one_another_each_arm_has_one_in_random_order() -> None:
    paired = order(arms=ARMS, seed=3)
    turns = [(paired.arm(2 * pair).name, paired.arm(2 * pair + 1).name) for pair in range(200)]
    assert set(turns) == {("control", "candidate"), ("candidate", "control")}
    assert 60 < turns.count(("control", "candidate")) < 140


@given(st.sampled_from(["constant", "poisson"]), st.integers(0, 99))
def test_a_paired_window_has_whole_pairs(arrivals: Any, seed: int) -> None:
    paired = order(arms=ARMS, arrivals=arrivals, seed=seed, duration=1.02, warm_up=0.33)
    assert paired.due("control") == paired.due("candidate") == paired.due() / 2


def test_an_order_travels_whole_and_is_shown_without_secrets() -> None:
    asked = LoadOrder("scenario.py", "http://me:s3cret@b.test:8", 10.0, rate=20.0, arms=ARMS)
    assert LoadOrder.from_json(asked.to_json()) == asked
    assert "s3cret" not in repr(asked.shown())
    assert asked.shown()["host"] == "http://b.test:8"
    assert [arm["host"] for arm in asked.shown()["arms"]] == ["http://a.test/x", None]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://me:s3cret@a.test/x?token=s3cret&y=1", "http://a.test/x?..."),
        ("/orders?token=s3cret", "/orders?..."),
        ("URL http://a.test/?token=s3cret: code=500", "URL http://a.test/?... code=500"),
        ("refused with url: /?a=s3cret (by X(1))", "refused with url: /?... (by X(1))"),
        ("has the agent open ones?", "has the agent open ones?"),
        ("/mail/me@a.test", "/mail/me@a.test"),
    ],
)  # fmt: skip
def test_what_is_secret_in_addresses_is_left_out(text: str, shown: str) -> None:
    assert without_secrets(text) == shown


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"users": 3}, "a load run has either a rate (open arrivals) or users (closed model)"),
        ({"rate": None}, "a load run has either a rate (open arrivals) or users (closed model)"),
        ({"rate": 0.0}, "a load run needs a duration and a rate above 0"),
        ({"duration": float("nan")}, "a load run needs a duration and a rate above 0"),
        ({"duration": float("inf")}, "a load run needs a duration and a rate above 0"),
        ({"drain": -1.0}, "warm-up and drain of a load run have to be finite, and cannot be negative"),
        ({"warm_up": float("nan")}, "warm-up and drain of a load run have to be finite, and cannot be negative"),
        ({"drain": float("inf")}, "warm-up and drain of a load run have to be finite, and cannot be negative"),
        (
            {"rate": None, "users": 1, "workers": 2},
            "a load run needs room for one arrival, and a user for every worker",
        ),
        ({"rate": None, "users": 0}, "a load run needs room for one arrival, and a user for every worker"),
        ({"workers": -1}, "a load run needs room for one arrival, and a user for every worker"),
        ({"most_in_flight": 0}, "a load run needs room for one arrival, and a user for every worker"),
        ({"arms": ARMS[:1]}, "a paired run has two arms and open arrivals"),
        ({"arms": ARMS, "rate": None, "users": 3}, "a paired run has two arms and open arrivals"),
    ],
)
def test_what_cannot_be_is_refused(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=r"^a load run|^warm-up|^a paired") as refused:
        order(**asked)
    assert str(refused.value) == message
