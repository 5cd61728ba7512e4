"""What a source of evidence may do wrong is never a pass."""

from __future__ import annotations

from typing import Any

import pytest

from tests.plugin.conftest import FLAGS, GATE, Bench

NOWHERE = "http://127.0.0.1:1"  # a port that nothing listens on


@pytest.mark.parametrize(
    ("value", "said", "decision"),
    [
        (1, "passed within-limit", "GO"),
        (5, "breached limit-breached", "NO-GO"),
        ("1e300", "breached limit-breached", "NO-GO"),
        ("-1", "passed within-limit", "GO"),
        ([], "inconclusive no-data", "HOLD"),
        ([1, 2], "inconclusive several-series", "HOLD"),
        ([1, 1], "inconclusive several-series", "HOLD"),
        ("NaN", "inconclusive not-a-number", "HOLD"),
        ("+Inf", "inconclusive not-a-number", "HOLD"),
        ("-Inf", "inconclusive not-a-number", "HOLD"),
        ("none", "error bad-answer", "HOLD"),
    ],
)
def test_values(bench: Bench, value: Any, said: str, decision: str) -> None:
    bench.plan()
    bench.world.values["latency"] = value

    result = bench.run("-m", "stage1")

    assert bench.checks() == {"latency": said}
    assert (bench.decision, result.ret) == (decision, int(decision != "GO"))


@pytest.mark.parametrize(
    ("unseen", "said"),
    [
        ("process_start_time_seconds", "passed within-limit"),  # a value is not what a process lost in a restart
        ("latency", "inconclusive no-data"),
        ("up", "inconclusive no-data"),
    ],
)
def test_a_value_is_no_better_than_what_it_is_made_of(bench: Bench, unseen: str, said: str) -> None:
    bench.plan()
    bench.world.unseen.add(unseen)

    bench.run("-m", "stage1")

    assert bench.checks() == {"latency": said}


def test_a_value_of_what_is_scraped_no_more_is_no_pass(bench: Bench) -> None:
    bench.plan({**GATE, "promql": "last_over_time(latency[$window])", "over": "1m"})
    bench.world.values["last_over_time(latency[$window])"] = 1
    bench.world.silent_for = 30

    bench.run("-m", "stage1")

    assert bench.checks() == {"latency": "inconclusive coverage"}


@pytest.mark.parametrize("skew", [-60, 60])
def test_a_prometheus_of_another_time_is_no_pass(bench: Bench, skew: float) -> None:
    bench.plan()
    bench.world.skew = skew

    bench.run("-m", "stage1")

    assert bench.checks() == {"latency": "inconclusive clock-skew"}


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"statuses": {"latency": 503}}, "error source-unreachable"),
        ({"statuses": {"latency": 400}}, "error query-refused"),
        ({"statuses": {"latency": 404}}, "error query-refused"),
        ({"warnings": {"latency": "PromQL warning: data is partial"}}, "inconclusive partial-data"),
    ],
    ids=["503", "400", "404", "warning"],
)
def test_answers(bench: Bench, broken: dict[str, Any], said: str) -> None:
    bench.plan()
    for name, what in broken.items():
        getattr(bench.world, name).update(what)

    result = bench.run("-m", "stage1")

    assert bench.checks() == {"latency": said}
    assert (bench.decision, result.ret) == ("HOLD", 1)


@pytest.mark.parametrize(
    ("staging", "said"),
    [
        ({"prometheus": NOWHERE}, "error source-unreachable"),
        ({"prometheus": None}, "error environment"),
    ],
    ids=["dead", "not named"],
)
def test_prometheus_itself(bench: Bench, staging: dict[str, Any], said: str) -> None:
    bench.plan(**staging)

    result = bench.run("-m", "stage1")

    assert bench.checks() == {"latency": said}
    assert (bench.decision, result.ret) == ("HOLD", 1)


@pytest.mark.parametrize(
    ("says", "said", "decision"),
    [
        ({"READS": True}, "passed within-limit", "GO"),
        ({"READS": False}, "breached flag-mismatch", "NO-GO"),
        ({"READS": "on"}, "error flag-not-evaluated", "HOLD"),
        ({}, "error flag-not-evaluated", "HOLD"),
    ],
    ids=["on", "off", "no boolean", "unknown"],
)
def test_flags(bench: Bench, says: dict[str, Any], said: str, decision: str) -> None:
    bench.plan(flags=FLAGS)
    bench.world.flags = says

    result = bench.run("-m", "stage1")

    assert bench.checks() == {"flag-state": said, "latency": "passed within-limit"}
    assert (bench.decision, result.ret) == (decision, int(decision != "GO"))


def test_without_a_flag_service(bench: Bench) -> None:
    stage = {"stage": 1, "name": "Reads", "flags": FLAGS, "gates": [GATE]}
    bench.write_plan({"rollout": "shop", "stages": [stage]}, flags=None)

    result = bench.run("-m", "stage1")

    assert bench.checks() == {"flag-state": "error environment", "latency": "passed within-limit"}
    assert (bench.decision, result.ret) == ("HOLD", 1)


def test_what_is_not_proven_yet_holds(bench: Bench) -> None:
    bench.plan(GATE, {"id": "tickets", "unproven": "the support desk reports no spike"})

    result = bench.run("-m", "stage1")

    assert bench.checks() == {"latency": "passed within-limit", "tickets": "inconclusive unproven"}
    assert (bench.decision, result.ret) == ("HOLD", 1)
    result.stdout.fnmatch_lines(["*not proven yet: the support desk reports no spike; replace this entry of the*"])


def test_two_stages_are_decided_each_for_itself(bench: Bench) -> None:
    stages = [
        {"stage": 1, "name": "Reads", "gates": [GATE]},
        {"stage": 2, "name": "Writes", "gates": [{"id": "errors", "promql": "errors", "at_most": 0}]},
    ]
    bench.write_plan({"rollout": "shop", "stages": stages})
    bench.world.values["errors"] = 3

    assert bench.run("-m", "stage1").ret == 0
    assert bench.decision == "GO"
    assert bench.world.queries("errors") == 0

    assert bench.run().ret == 1
    assert bench.decision == "NO-GO"
    assert [stage["decision"] for stage in bench.document()["stages"]] == ["GO", "NO-GO"]


def test_the_verdict_document_of_a_run(bench: Bench) -> None:
    bench.plan()
    assert bench.run("-m", "stage1").ret == 0

    document = bench.document()
    (stage,) = document["stages"]
    (check,) = stage["checks"]
    assert document["schema"] == "rollout-verdict/1"
    assert set(document["versions"]) == {"pytest-rollout", "python", "pytest", "platform"}
    assert (document["rehearsal"], document["complete"], document["faults"]) == (False, True, [])
    assert document["started_at"] <= document["finished_at"]
    assert (stage["rollout"], stage["stage"], stage["environment"]) == ("shop", "stage1", "staging")
    assert check == {
        "id": "latency",
        "kind": "promql",
        "nodeid": "shop.rollout.yaml::stage1::latency",
        "verdict": "passed",
        "reason": "within-limit",
        "message": "the value 1 is below 5",
        "value": 1.0,
        "limit": 5.0,
        "unit": "",
        "samples": 1,
        "window": None,
        "ready_in": None,
        "derivation": check["derivation"],
        "attachments": [],
    }


def test_a_rehearsal_says_so_everywhere(bench: Bench) -> None:
    bench.plan(time_scale=60)

    result = bench.run("-m", "stage1")

    assert result.ret == 0
    assert bench.document()["rehearsal"] is True
    assert bench.document()["stages"][0]["rehearsal_reasons"] == ["time scale 60"]
    result.stdout.fnmatch_lines(
        ["*= shop stage1 in staging: GO REHEARSAL (time scale 60) =*", "decision: GO (REHEARSAL)*verdict.json"]
    )
