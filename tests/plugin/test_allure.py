"""What Allure is told. Its plugin is global to a process, so every run is a process of its own."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.plugin.conftest import DEADLINE, FLAGS, GATE, OTHER, Bench

pytest.importorskip("allure_pytest")

STAGES = [
    {
        "stage": 1,
        "name": "Reads",
        "flags": FLAGS,
        "gates": [
            GATE,
            {**GATE, "id": "latency.p99", "promql": "slow"},
            {**GATE, "id": "latency.p50", "promql": "none"},
            {**OTHER, "promql": "refused"},
        ],
    },
    {"stage": 2, "name": "Writes", "gates": [GATE]},
]


@pytest.fixture(scope="module")
def reported() -> dict[str, dict[str, Any]]:
    """Return the results of the one run below, by stage and name."""
    return {}


@pytest.fixture
def results(bench: Bench, reported: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    if reported:
        return reported
    bench.write_plan({"rollout": "shop", "stages": STAGES})
    bench.world.values |= {"slow": 9, "none": []}
    bench.world.statuses["refused"] = 400
    bench.test("import pytest\n@pytest.mark.stage1\ndef test_it(rollout_gate): rollout_gate.promql('slow', below=5)\n")
    result = bench.pytester.runpytest_subprocess(
        *("-p", "no:playwright", "-p", "no:locust", "-p", "no:hypothesispytest"),
        *("--rollout-env=staging", "--rollout-push=never", "--alluredir=allure"),
        timeout=DEADLINE,
    )
    assert (result.ret, bench.decision) == (1, "NO-GO")
    for path in (bench.path / "allure").glob("*-result.json"):
        said = json.loads(path.read_text(encoding="utf-8"))
        said["texts"] = {
            one["name"]: (bench.path / "allure" / one["source"]).read_text(encoding="utf-8")
            for one in said.get("attachments", ())
        }
        stage = next((one["value"] for one in said.get("parameters", ()) if one["name"] == "stage"), "")
        reported[f"{stage} {said['name']}".strip()] = said
    return reported


def labels(said: dict[str, Any], name: str) -> list[str]:
    return sorted(label["value"] for label in said["labels"] if label["name"] == name)


def test_a_breach_and_a_doubt_are_failed_a_broken_instrument_is_broken(results: dict[str, dict[str, Any]]) -> None:
    assert {name: said["status"] for name, said in results.items()} == {
        "'shop/stage1' flag-state": "passed",
        "'shop/stage1' latency": "passed",
        "'shop/stage1' latency.p99": "failed",
        "'shop/stage1' latency.p50": "failed",
        "'shop/stage1' errors": "broken",
        "'shop/stage2' latency": "passed",
        "test_it": "failed",
    }


def test_gates_are_found_by_rollout_stage_and_gate(results: dict[str, dict[str, Any]]) -> None:
    said = results["'shop/stage1' latency.p99"]

    assert labels(said, "epic") == ["shop"]
    assert labels(said, "feature") == ["Stage 1 · Reads"]
    assert labels(said, "story") == ["latency.p99"]
    assert (labels(said, "parentSuite"), labels(said, "suite")) == (["shop"], ["Stage 1 · Reads"])
    assert labels(said, "subSuite") == ["promql"]
    assert labels(said, "severity") == ["blocker"]
    assert {"stage1", "promql"} <= set(labels(said, "tag"))


def test_no_two_gates_are_retries_of_each_other(results: dict[str, dict[str, Any]]) -> None:
    assert len({said["historyId"] for said in results.values()}) == len(results) == 7


@pytest.mark.parametrize(
    ("name", "attachment", "lines"),
    [
        (
            "'shop/stage1' latency.p99",
            "why latency.p99 breached",
            ["latency.p99: BREACHED (limit-breached)", "  the value 9 is not below 5", "  value 9, limit 5, 1 samples"],
        ),
        (
            "test_it",
            "why test_it breached",
            ["test_it: BREACHED (limit-breached)", "  the value 9 is not below 5", "  value 9, limit 5, 1 samples"],
        ),
    ],
)
def test_the_explanation_is_attached(
    results: dict[str, dict[str, Any]], name: str, attachment: str, lines: list[str]
) -> None:
    texts = results[name]["texts"]

    assert texts[attachment].splitlines()[: len(lines) + 1] == [*lines, "  rule: bare value"]
    assert json.loads(texts["derivation"])["rule"] == "bare value"


def test_the_message_is_the_explanation(results: dict[str, dict[str, Any]]) -> None:
    details = results["'shop/stage1' errors"]["statusDetails"]

    assert "errors: ERROR (query-refused)" in details["message"]
