"""Golden gates: a corpus as a criterion of a stage, whole, on the target that it names, and in the evidence log."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from pytest_rollout.cli import main
from pytest_rollout.errors import PlanError
from pytest_rollout.evidence.log import EvidenceLog
from pytest_rollout.evidence.record import Kind, Record
from pytest_rollout.golden.wire import RawRequest, Reply
from pytest_rollout.plan.loader import load_plan
from tests.golden.corpora import ENDPOINT, INVALID, VALID, write_corpus
from tests.golden.served import served
from tests.golden.target import Target, reply
from tests.plugin.conftest import FLAGS, Bench
from tests.plugin.saboteurs import CONFTESTS

QUICK = {**ENDPOINT["metrics"], "control": "20ms", "settle": "500ms", "hold": "20ms"}
SERVED = {**ENDPOINT, "instances": "${STAGES}", "metrics": QUICK, "mode": {**ENDPOINT["mode"], "hold": "20ms"}}
CORPUS = {"id": "corpus", "golden": {"corpus": "golden_payloads", "cases": 2}}
DIRECT = ("shop.rollout.yaml", "golden_payloads", "-p", "no:xdist", "--rollout-canary", "golden:corpus")
WHOLE = "2 cases in off, warn, enforce on 2 instances, 9 results"


@pytest.fixture
def target() -> Target:
    return Target()


@pytest.fixture(autouse=True)
def corpus(bench: Bench, target: Target, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Write a plan with a golden gate and its corpus, and serve the corpus's target."""
    monkeypatch.delenv("CI", raising=False)
    bench.plan(CORPUS)
    write_corpus(bench.path / "golden_payloads", (VALID, INVALID), SERVED)
    with served(target) as places:
        monkeypatch.setenv("STAGES", places)
        yield


def records(bench: Bench) -> list[Record]:
    log = EvidenceLog(bench.path / ".rollout" / "evidence.db", create=False)
    return [record for record in log.records() if record.kind is Kind.CANARY_RUN]


def outcome(bench: Bench) -> tuple[str, str]:
    """Return outcome and message of the only run."""
    (record,) = records(bench)
    assert record.subject == "golden:corpus"
    return record.data["outcome"], record.data["message"]


def message(bench: Bench) -> str:
    return next(str(one["message"]) for one in bench.document()["stages"][0]["checks"] if one["id"] == "corpus")


# --- in a stage ---------------------------------------------------------------------------------------------


def test_a_corpus_that_passes_is_a_go_and_says_what_was_run(bench: Bench) -> None:
    bench.plan(CORPUS, flags=FLAGS)

    bench.run("-m", "stage1")

    assert bench.checks()["corpus"] == "passed within-limit", message(bench)
    assert message(bench) == f"passed 1 of 1 times in a row: {WHOLE}"
    assert (bench.decision, outcome(bench)) == ("GO", ("ok", WHOLE))
    assert "9 passed" in (bench.path / "reports/canaries/golden-corpus.log").read_text()
    done = CliRunner().invoke(main, ["replay", str(bench.verdict_path)])
    assert "same  shop/stage1/corpus: passed (within-limit)" in done.output.splitlines()
    told = CliRunner().invoke(main, ["explain", str(bench.verdict_path), "corpus"])
    assert f"message: {WHOLE}" in told.output, told.output


def test_a_difference_is_a_no_go_that_names_the_case(bench: Bench, target: Target) -> None:
    target.bend = lambda _i, r, g: reply({**g.json(), "stages": []}, g.status) if r.method == "POST" else g
    bench.run("-m", "stage1")
    assert (bench.decision, bench.checks()["corpus"]) == ("NO-GO", "breached canary-failed")
    assert message(bench).startswith("ok.json::off: ")
    assert '/stages: value: expected ["seed"], got []' in message(bench)


def test_a_foreign_server_holds(bench: Bench, target: Target) -> None:
    target.title = "Other"
    bench.run("-m", "stage1")
    assert (bench.decision, bench.checks()["corpus"]) == ("HOLD", "error canary-error")
    assert "target-not-proven" in message(bench)
    assert {request.method for _, request in target.asked} == {"GET"}


@pytest.mark.parametrize("kept", ["one", "twice"])
def test_an_instance_that_is_left_out_holds(bench: Bench, monkeypatch: pytest.MonkeyPatch, kept: str) -> None:
    first = os.environ["STAGES"].partition(",")[0]
    monkeypatch.setenv("STAGES", first if kept == "one" else f"{first},{first}")
    bench.run(*DIRECT)
    assert outcome(bench)[0] == "error"
    assert "'instances' names" in outcome(bench)[1]


def test_a_pass_must_be_made_again_after_each_flip_and_counts_only_in_a_row(bench: Bench) -> None:
    bench.plan({**CORPUS, "golden": {**CORPUS["golden"], "passes": 2}})  # type: ignore[dict-item]
    bench.run("-m", "stage1", "--rollout-wait", "30s")
    assert (bench.decision, len(records(bench))) == ("GO", 2)


def test_a_run_that_hangs_is_ended_and_no_pass(bench: Bench, target: Target) -> None:
    def late(*_: Any) -> Any:
        time.sleep(20)

    target.bend = late
    bench.plan({**CORPUS, "golden": {**CORPUS["golden"], "deadline": "4s"}})  # type: ignore[dict-item]
    bench.run("-m", "stage1")
    assert (bench.decision, bench.checks()["corpus"]) == ("HOLD", "error canary-error")


# --- one run of a gate's corpus -----------------------------------------------------------------------------


def test_modes_are_narrowed_by_the_plan(bench: Bench, target: Target) -> None:
    bench.plan({"id": "corpus", "golden": {"corpus": "golden_payloads", "modes": ["enforce"], "cases": 2}})
    assert bench.run(*DIRECT).ret == 0
    assert outcome(bench) == ("ok", "2 cases in enforce on 2 instances, 2 results")
    assert {request.content for _, request in target.asked if request.method == "PUT"} == {
        b'{"mode":"enforce"}',
        b'{"mode":"off"}',
    }


def test_two_modes_keep_their_promises_to_each_other(bench: Bench, target: Target) -> None:
    bench.plan({"id": "corpus", "golden": {"corpus": "golden_payloads", "modes": ["off", "warn"], "cases": 2}})
    assert bench.run(*DIRECT).ret == 0
    assert outcome(bench) == ("ok", "2 cases in off, warn on 2 instances, 7 results")
    assert {request.content for _, request in target.asked if request.method == "PUT"} == {
        b'{"mode":"off"}',
        b'{"mode":"warn"}',
    }


def test_two_modes_that_break_their_promises_are_no_pass(bench: Bench, target: Target) -> None:
    def bent(instance: str, request: RawRequest, given: Reply) -> Reply:
        odd = request.method == "POST" and target.instances[instance].mode == "warn"
        return reply({**given.json(), "extra": 1}, given.status, dict(given.headers[1:])) if odd else given

    target.bend = bent
    bench.plan({"id": "corpus", "golden": {"corpus": "golden_payloads", "modes": ["off", "warn"], "cases": 2}})
    assert bench.run(*DIRECT).ret == 1
    assert outcome(bench)[0] == "failed"
    assert outcome(bench)[1].startswith("ok.json::matrix: warn on http://127.0.0.1:")


def test_all_modes_by_name_are_the_whole_matrix(bench: Bench) -> None:
    bench.plan(
        {"id": "corpus", "golden": {"corpus": "golden_payloads", "modes": ["off", "enforce", "warn"], "cases": 2}}
    )
    bench.run(*DIRECT)
    assert outcome(bench) == ("ok", "2 cases in off, enforce, warn on 2 instances, 9 results")


@pytest.mark.parametrize(
    ("golden", "said"),
    [
        (
            {"corpus": "golden_payloads", "cases": 2, "modes": ["enfroce"]},
            "stages has no mode 'enfroce'; it has off, warn, enforce",
        ),
        ({"corpus": "golden_payloads", "cases": 3}, "golden_payloads holds 2 cases, and the plan counts 3"),
        ({"corpus": "golden_payloads", "cases": 1}, "golden_payloads holds 2 cases, and the plan counts 1"),
        ({"corpus": "gone", "cases": 1}, "gone holds 0 cases, and the plan counts 1"),
    ],
)
def test_what_the_plan_wants_and_the_disk_does_not_hold(bench: Bench, golden: dict[str, Any], said: str) -> None:
    bench.plan({"id": "corpus", "golden": golden})
    assert bench.run("shop.rollout.yaml", golden["corpus"], *DIRECT[2:]).ret != 0
    assert outcome(bench) == ("error", said)


def test_a_case_that_is_taken_away_is_missed(bench: Bench, target: Target) -> None:
    target.bend = lambda _i, r, g: reply({}) if b"sed" in (r.content or b"") else g
    (bench.path / "golden_payloads/stages/typo.json").unlink()
    bench.run(*DIRECT)
    assert outcome(bench) == ("error", "golden_payloads holds 1 cases, and the plan counts 2")


@pytest.mark.parametrize(
    "arguments",
    [
        ("shop.rollout.yaml", "golden_payloads/stages/ok.json"),
        ("shop.rollout.yaml", "golden_payloads", "-k", "ok"),
        ("shop.rollout.yaml", "golden_payloads", "-m", "enforce"),
        ("shop.rollout.yaml", "golden_payloads", "--deselect", "golden_payloads/stages/typo.json::warn"),
    ],
    ids=" ".join,
)
def test_a_part_of_a_corpus_proves_nothing(bench: Bench, arguments: tuple[str, ...]) -> None:
    assert bench.run(*arguments, *DIRECT[2:]).ret == 1
    assert outcome(bench) == ("error", "only a part of golden gate corpus was selected, so the run proves nothing")


def test_a_file_that_is_not_collected_is_missed(bench: Bench) -> None:
    (bench.path / "golden_payloads/conftest.py").write_text("collect_ignore_glob = ['*/typo.json']")
    assert bench.run(*DIRECT).ret == 1
    assert outcome(bench) == ("error", "golden_payloads/stages/typo.json::enforce did not run to a pass")


@pytest.mark.parametrize(
    "name",
    [
        "drops items without a word",
        "drops everything",
        "makes every report a pass",
        "forgets properties of passes",
        "replaces what gates do",
    ],
)
def test_no_conftest_makes_a_failed_corpus_ok(bench: Bench, target: Target, name: str) -> None:
    target.bend = lambda _i, r, g: reply({}) if r.method == "POST" else g
    (bench.path / "golden_payloads/conftest.py").write_text(CONFTESTS[name])
    assert bench.run(*DIRECT).ret != 0
    assert outcome(bench)[0] != "ok"


def test_a_gate_that_is_not_there_is_an_error(bench: Bench) -> None:
    bench.run(*DIRECT[:-1], "golden:other")
    (record,) = records(bench)
    assert record.data["message"] == "shop.rollout.yaml has no golden gate 'other'"


def test_a_wrong_case_is_named_with_its_place(bench: Bench) -> None:
    (bench.path / "golden_payloads/stages/ok.json").write_text(json.dumps({**VALID, "kind": "x"}, indent=1))
    bench.run(*DIRECT)
    assert outcome(bench) == ("error", "ok.json:4:10: unknown kind 'x'; known here: alias, invalid, malformed, valid")


def test_the_variables_are_those_of_the_environment_of_the_plan(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sandbox that is up says nothing of staging."""
    state = {"system": "normalization", "variables": {"STAGES": os.environ["STAGES"]}}
    (bench.path / "state.json").write_text(json.dumps(state))
    monkeypatch.setenv("ROLLOUT_SANDBOX", str(bench.path / "state.json"))
    monkeypatch.delenv("STAGES")
    bench.run(*DIRECT)
    assert outcome(bench)[0] == "error"
    assert "the environment variable STAGES is not set" in outcome(bench)[1]


# --- what a plan may say ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("golden", "said"),
    [
        ({"corpus": "/golden", "cases": 2}, "name a folder from the root of the project, such as golden_payloads"),
        ({"corpus": "a/../../b", "cases": 2}, "name a folder from the root of the project, such as golden_payloads"),
        ({"corpus": " ", "cases": 2}, "name a folder from the root of the project, such as golden_payloads"),
        (
            {"corpus": "g", "modes": [], "cases": 2},
            "no mode at all proves nothing; leave 'modes' out to have every mode",
        ),
        ({"corpus": "g", "modes": ["off", "off"], "cases": 2}, "a mode is named twice"),
        ({"corpus": "g", "deadline": "0s", "cases": 2}, "a run needs some time"),
        ({"corpus": "g"}, "'cases' is missing"),
        ({"corpus": "g", "cases": 2, "case": 3}, "unknown key 'case'; did you mean 'cases'?"),
    ],
)
def test_wrong_golden_gates(bench: Bench, golden: dict[str, Any], said: str) -> None:
    with pytest.raises(PlanError) as caught:
        load_plan(bench.plan({"id": "corpus", "golden": golden}))
    assert str(caught.value).partition(": ")[2] == said


def test_a_golden_gate_has_no_limit(bench: Bench) -> None:
    with pytest.raises(PlanError, match="a golden gate has no limit"):
        load_plan(bench.plan({**CORPUS, "below": 3}))
    with pytest.raises(PlanError, match="a golden gate does not take 'over'"):
        load_plan(bench.plan({**CORPUS, "over": "3m"}))


def test_one_id_asks_one_thing_in_all_stages(bench: Bench) -> None:
    """The runs of a gate are filed under its id."""
    other = {"id": "corpus", "golden": {"corpus": "golden_payloads", "modes": ["off"], "cases": 2}}
    stages = [{"stage": 1, "name": "a", "gates": [CORPUS]}, {"stage": 2, "name": "b", "gates": [other]}]
    path = bench.write_plan({"rollout": "shop", "stages": stages})
    with pytest.raises(PlanError, match="another stage has a golden gate 'corpus' that asks something else"):
        load_plan(path)
    stages[1]["gates"] = [CORPUS]
    assert len(load_plan(bench.write_plan({"rollout": "shop", "stages": stages})).plan.stages) == 2
