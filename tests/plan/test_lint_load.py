"""Whether a load can decide its gate: what cannot pass is refused, and nothing that can."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from pytest_rollout.latency import Load, LoadTerms, judge_latency
from pytest_rollout.plan.gates import Gate
from pytest_rollout.plan.lint import Finding
from pytest_rollout.plan.lint.stages import seconds_to_go
from pytest_rollout.plan.model import Stage
from pytest_rollout.verdict import Verdict
from tests.load.runs import result
from tests.plan.lint.fakes import PLACE, found

LOAD = {"locustfile": "portal", "rate": "10/s", "for": "1s", "arrivals": "constant"}
SIDES = {"control": {"headers": {"x": "old"}}, "candidate": {"headers": {"x": "new"}}}
LIMITS: dict[str, dict[str, str]] = {
    "p50": {"below": "200ms"},
    "p95": {"below": "200ms"},
    "p99": {"below": "200ms"},
    "p99.9": {"below": "200ms"},
    "errors": {"below": "1%"},
}
FEWEST = {"p50": 5, "p95": 59, "p99": 299, "p99.9": 2995, "errors": 299}
"""The least n with (limit's share)^n below 5 %: 0.95^59 is 4.85 %, 0.95^58 5.1 %."""


def gate(**asked: Any) -> dict[str, Any]:
    return {"latency": {**LOAD, **asked}}


def seconds(requests: int) -> str:
    """Return the time of so many requests at ten a second."""
    return f"{requests / 10:g}s"


def cannot_pass(key: str, needed: str, load: str, hint: str) -> Finding:
    return Finding(
        "error",
        "cannot-pass",
        (*PLACE, "latency", key),
        f"{key} needs {needed} requests at least, all of them good; {load}",
        f"make it {hint} or longer, or raise the rate",
    )


@pytest.mark.parametrize(
    ("key", "needed", "hint"),
    [
        ("p50", "5", "1 s"),
        ("p95", "59", "6 s"),
        ("p99", "299", "30 s"),
        ("p99.9", "2,995", "5 min"),
        ("errors", "299", "30 s"),
    ],
)
def test_a_load_that_is_too_short(key: str, needed: str, hint: str) -> None:
    said = "10 a second for 400 ms are about 4"
    assert found(gate(**{key: LIMITS[key], "for": "400ms"})) == [cannot_pass(key, needed, said, hint)]


@pytest.mark.parametrize(("key", "needed"), [("p95", "72"), ("p99", "368"), ("p99.9", "3,688"), ("errors", "368")])
def test_a_load_that_may_be_extended_needs_more(key: str, needed: str) -> None:
    minutes = {"p99.9": "7 min"}.get(key, "8 s" if key == "p95" else "37 s")
    said = "10 a second for 3 s are about 30"
    assert found(gate(**{key: LIMITS[key], "extend": "2s"})) == [cannot_pass(key, needed, said, minutes)]


def test_one_request_too_few_is_too_short_and_one_more_is_not() -> None:
    for key, needed in FEWEST.items():
        assert len(found(gate(**{key: LIMITS[key], "for": seconds(needed - 1)}))) == 1, key
        assert found(gate(**{key: LIMITS[key], "for": seconds(needed)})) == [], key


@pytest.mark.parametrize("key", FEWEST)
def test_what_lint_lets_through_can_pass_and_what_it_refuses_cannot(key: str) -> None:
    """The lint and the judge agree to the request."""
    for requests in (FEWEST[key] - 1, FEWEST[key]):
        said = gate(**{key: LIMITS[key], "for": seconds(requests)})
        assert (made_well(said) is Verdict.PASSED) == (found(said) == []), requests


@pytest.mark.parametrize("key", ["p95", "errors"])
def test_of_a_pair_half_are_the_controls(key: str) -> None:
    for requests in (2 * FEWEST[key] - 2, 2 * FEWEST[key]):
        said = gate(**SIDES, **{key: LIMITS[key], "for": seconds(requests)})
        assert (made_well(said) is Verdict.PASSED) == (found(said) == []), requests
    (told,) = found(gate(**SIDES, **{key: LIMITS[key]}))
    assert told.message.startswith(f"{key} needs {2 * FEWEST[key]} requests at least")


def made_well(said: dict[str, Any]) -> Verdict:
    """Return the verdict of a load without anything bad."""
    asked = Gate.model_validate({"id": "g", **said}).latency
    assert asked is not None
    terms = LoadTerms(asked=asked)
    run = result(terms.order("portal.py", "http://target", {}))
    return judge_latency(terms, Load(begun=1.0, runs=(run,))).verdict


def test_an_extension_may_bring_what_is_missing() -> None:
    short = {"p95": LIMITS["p95"], "for": "5s"}
    assert len(found(gate(**short))) == 1
    assert len(found(gate(**short, extend="2s"))) == 1
    assert found(gate(**short, extend="10m")) == []


def test_how_many_requests_an_arrival_makes_nobody_knows() -> None:
    assert found(gate(p95=LIMITS["p95"], of="request")) == []
    assert len(found(gate(p95=LIMITS["p95"], of="transaction"))) == 1


def test_who_wants_to_be_surer_needs_more() -> None:
    messages = [
        found({**gate(p95=LIMITS["p95"]), "confidence": sure})[0].message for sure in ("90%", "95%", "99%", "99.9%")
    ]
    needed = [int(message.split()[2]) for message in messages]
    assert needed == [45, 59, 90, 135]
    assert all(less < more for less, more in pairwise(needed))


def test_what_is_only_observed_needs_a_request() -> None:
    assert found({**gate(p95=LIMITS["p95"], **{"p99.9": LIMITS["p99.9"]}), "confidence": "point"}) == []


def test_a_count_of_failures_needs_no_number_of_requests() -> None:
    assert found(gate(errors={"at_most": 0}, **{"for": "100ms"})) == []


def test_every_limit_is_looked_at() -> None:
    assert [one.place[-1] for one in found(gate(**LIMITS))] == ["p95", "p99", "p99.9", "errors"]


def test_users_never_pass() -> None:
    asked = {"locustfile": "portal", "users": 5, "for": "1h", "p95": LIMITS["p95"]}
    assert found({"latency": asked}) == [
        Finding(
            "warning",
            "never-go",
            (*PLACE, "latency", "users"),
            "users wait for their answers, so they ask least while it is slow: 'g' can breach, and never pass",
            "give it a rate",
        )
    ]


def test_a_load_takes_its_warm_up_and_its_window() -> None:
    asked = {"id": "load", **gate(p95=LIMITS["p95"], **{"for": "2m"}, warm_up="10s", extend="1h")}
    other = {"id": "rate", "counter": {"of": "x_total"}, "at_most": 0, "over": "1m"}
    stage = {"stage": 1, "name": "n", "settle": "30s", "gates": [asked, other]}
    assert seconds_to_go(Stage.model_validate(stage), {}) == 30 + 10 + 120
