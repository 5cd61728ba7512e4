"""A whole plan: where findings stand, and what keeps a plan from being run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_rollout.plan.document import Document, read_document
from pytest_rollout.plan.gates import Gate
from pytest_rollout.plan.lint import expressions_of, lint, offline_errors
from pytest_rollout.plan.loader import load_plan
from pytest_rollout.plan.model import Plan
from tests.plan.lint.fakes import Known

ROOT = Path(__file__).parents[3]
SEED = 'rate(p_total{status="success"}[$window]) / rate(p_total[$window])'
ALWAYS_ONE = (
    "both sides of / are the same series, and each is matched with itself: the value is always 1, or nothing; "
    "sum both sides first: sum(rate(bad)) / sum(rate(all)); or use a ratio gate, which counts"
)
CHANCE = "one that is lost leaves a value of chance, or none"
SHORT = (
    f"a range of 90 s holds fewer than four scrapes: environment 'staging' scrapes every 30 s; {CHANCE}; "
    "take at least 2 min"
)
FILTERED = (
    "the query compares with >: a filter drops NaN, and what is not there looks good; "
    "leave the comparison out: the gate compares, and 'quantifier' counts the series that hold"
)
TEXT = f"""\
rollout: shop
environments:
  sandbox: {{sandbox: true, time_scale: 60}}
  staging: {{target: http://shop, prometheus: http://prom, scrape_interval: 30s}}
stages:
  - stage: 1
    name: Reads
    gates:
      - {{id: share, promql: '{SEED}', at_least: 0.99, over: 5m}}
      - {{id: errors, ratio: {{bad: 'x_total{{c="5"}}', total: x_total}}, below: 1%, over: 90s}}
  - stage: 2
    name: Writes
    gates:
      - {{id: up, promql: 'count(up > 0)', at_least: 1}}
      - {{id: lag, promql: 'rate(lag[5m])', below: 5}}
"""


def written(folder: Path) -> Document:
    path = folder / "shop.rollout.yaml"
    path.write_text(TEXT)
    return read_document(path)


@pytest.mark.parametrize("path", sorted(ROOT.glob("canaries/*/*.rollout.yaml")), ids=lambda path: path.name)
def test_the_plans_of_this_repository_have_no_errors(path: Path) -> None:
    assert offline_errors(load_plan(path).plan) == []


def test_errors_that_need_no_server_have_a_place(tmp_path: Path) -> None:
    document = written(tmp_path)
    found = offline_errors(Plan.model_validate(document.data))
    said = [document.error(where, message) for where, message in found]
    assert said == [
        f"shop.rollout.yaml:9:29: {ALWAYS_ONE} [self-match]",
        f"shop.rollout.yaml:10:35: {SHORT} [short-range]",
        f"shop.rollout.yaml:10:60: {SHORT} [short-range]",
        f"shop.rollout.yaml:14:26: {FILTERED} [comparison]",
    ]


def plan(interval: str | None, **environments: dict[str, Any]) -> Plan:
    gate = {"id": "a", "counter": {"of": "e_total"}, "at_most": 0, "over": "50s"}
    own = {"scrape_interval": interval} if interval else {}
    staging = {"target": "http://shop", "prometheus": "http://prom", **own}
    return Plan.model_validate(
        {
            "rollout": "shop",
            "environments": {"staging": staging, **environments},
            "stages": [{"stage": 1, "name": "A", "gates": [gate]}],
        }
    )


@pytest.mark.parametrize(
    ("interval", "expected"),
    [(None, [("warning", "it is assumed that Prometheus scrapes every 15 s")]), ("12s", []), ("10s", [])],
)
def test_fifteen_seconds_are_assumed_if_nobody_says(interval: str | None, expected: list[tuple[str, str]]) -> None:
    said = [one for one in lint(plan(interval)) if one.code == "short-range"]
    assert [one.severity for one in said] == [severity for severity, _ in expected]
    assert all(words in one.message for one, (_, words) in zip(said, expected, strict=True))


def test_the_interval_of_the_environment_is_certain() -> None:
    slow = {"target": "http://shop", "scrape_interval": "13s"}
    two = plan("1s", production=slow)
    assert [one.severity for one in lint(two) if one.code == "short-range"] == ["error"]
    assert [one.severity for one in lint(two, environment="staging") if one.code == "short-range"] == []
    assert [one.severity for one in lint(two, environment="production") if one.code == "short-range"] == ["error"]


def test_the_interval_of_the_server_is_more_certain() -> None:
    names = frozenset({"e_total"})
    two = plan("1s")
    for intervals, expected in (({"a": 13.0}, ["error"]), ({"a": 13.0, "b": 12.0}, []), ({}, [])):
        live = Known(metric_names=names, scrape_intervals=intervals)
        assert [one.severity for one in lint(two, live) if one.code == "short-range"] == expected
    scaled = plan(None, sandbox={"sandbox": True, "time_scale": 10})
    live = Known(metric_names=names, scrape_intervals={"a": 1.3})
    said = [one.message for one in lint(scaled, live, environment="sandbox") if one.code == "short-range"]
    assert said == [
        f"a range of 5 s holds fewer than four scrapes: for job 'a' the server scrapes every 1.3 s; {CHANCE}"
    ]


def test_every_place_is_one_of_the_plan(tmp_path: Path) -> None:
    document = written(tmp_path)
    places = [one.place for one in lint(Plan.model_validate(document.data), Known(retention=1.0))]
    assert places
    assert all(place in document.values for place in places)


SIDES = {"bad": 'x{c="5"}', "total": "x"}
WHOLE = {"q": 0.9, "of": "d"}
DAY, HOUR = 86400.0, 3600.0


@pytest.mark.parametrize(
    ("gate", "expected"),
    [
        ({"unproven": "x"}, []),
        ({"canary": {"name": "c"}}, []),
        ({"promql": "sum(x)", "below": 5}, [("promql", "sum(x)", "expression", None, 0.0)]),
        (
            {"promql": "rate(x[$window])", "below": 5, "over": "1h"},
            [("promql", "rate(x[$window])", "expression", HOUR, HOUR)],
        ),
        (
            {"ratio": SIDES, "below": "1%", "over": "1h", "streak": {"every": "1h", "at_least": 2, "of": 3}},
            [
                ("ratio.bad", 'x{c="5"}', "counter", HOUR, 3 * HOUR),
                ("ratio.total", "x", "counter", HOUR, 3 * HOUR),
            ],
        ),
        ({"quantile": WHOLE, "below": "1s", "over": "1h"}, [("quantile.of", "d_bucket{}", "buckets", HOUR, HOUR)]),
        ({"counter": {"of": "x"}, "at_most": 0, "over": "1h"}, [("counter.of", "x", "counter", HOUR, HOUR)]),
        (
            {"burn": {**SIDES, "objective": "99%"}},
            [("burn.bad", 'x{c="5"}', "counter", 300.0, 6 * HOUR), ("burn.total", "x", "counter", 300.0, 6 * HOUR)],
        ),
        (
            {"baseline": {"now": {"quantile": WHOLE}, "before": "1d"}, "at_most": "5%", "over": "1h"},
            [("baseline.now.quantile.of", "d_bucket{}", "buckets", HOUR, DAY + HOUR)],
        ),
        (
            {"baseline": {"now": {"values": "a"}, "control": {"values": "b"}}, "at_most": "5%", "over": "1h"},
            [
                ("baseline.now.values", "a", "expression", HOUR, HOUR),
                ("baseline.control.values", "b", "expression", HOUR, HOUR),
            ],
        ),
    ],
)
def test_everything_that_a_gate_asks(gate: dict[str, Any], expected: list[tuple[Any, ...]]) -> None:
    asked = expressions_of(Gate.model_validate({"id": "g", **gate}))
    assert [(".".join(map(str, one.path)), one.text, one.role, one.window, one.furthest) for one in asked] == expected
