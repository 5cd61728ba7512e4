"""Targets and corpora that would pass by accident: what is not compared, not asked, or not told apart."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_rollout.errors import CaseError
from pytest_rollout.golden.corpus import load_corpus
from pytest_rollout.golden.matrix import judge_matrix
from pytest_rollout.golden.wire import RawRequest, Reply
from pytest_rollout.verdict import CheckResult, Reason, Verdict
from tests.golden.corpora import (
    ALIAS,
    ENDPOINT,
    INVALID,
    MODES,
    VALID,
    Json,
    case,
    changed,
    with_expect,
    write_corpus,
)
from tests.golden.runs import Run, run
from tests.golden.target import Target, reply

LONELY = changed(ENDPOINT, "/kinds/alias/same", [])
"""Aliases promise nothing across modes."""
Change = Callable[[Target, str, Reply], Reply]


def answering(change: Change) -> Target:
    """Return a target whose answers to cases are changed."""
    target = Target()

    def bent(instance: str, request: RawRequest, given: Reply) -> Reply:
        return change(target, instance, given) if request.method == "POST" else given

    target.bend = bent
    return target


def everywhere(**keys: Any) -> Json:
    return {mode: {"status": 201, "partial": True, **keys} for mode in MODES}


# --- one instance that has nothing to compare ---------------------------------------------------------------

ENTRIES = {"/stages/*": {"is": "enum", "values": ["seed"]}, "/id": {"is": "number", "min": 1}}


def empties(*instances: str) -> Change:
    def change(_target: Target, instance: str, given: Reply) -> Reply:
        empty = {**given.json(), "stages": []}
        return reply(empty, given.status) if instance in instances else given

    return change


ONE, BOTH = ("http://two",), ("http://one", "http://two")


@pytest.mark.parametrize(
    ("level", "instances", "red"),
    [
        ("mode", ONE, MODES),
        ("mode", BOTH, MODES),
        ("case", ONE, MODES),
        ("case", BOTH, ("matrix",)),
        ("endpoint", ONE, MODES),
    ],
)
def test_an_instance_that_has_nothing_to_compare_does_not_pass(
    tmp_path: Path, level: str, instances: tuple[str, ...], red: tuple[str, ...]
) -> None:
    entries, rest = {"/stages/*": ENTRIES["/stages/*"]}, {"/id": ENTRIES["/id"]}
    one = case("ok", "alias", ["seed"], expect=everywhere(match=ENTRIES if level == "mode" else rest))
    one |= {"match": entries} if level == "case" else {}
    endpoint = changed(LONELY, "/match", {**ENDPOINT["match"], **entries}) if level == "endpoint" else LONELY
    results = run(tmp_path, [one], endpoint, answering(empties(*instances))).results()
    assert {results[f"ok/{name}"].reason for name in red} == {Reason.STALE_MATCHER}


def test_the_instance_that_lacks_it_is_named(tmp_path: Path) -> None:
    one = case("ok", "alias", ["seed"], expect=everywhere(match={"/id": ENTRIES["/id"]}))
    one |= {"match": {"/stages/*": ENTRIES["/stages/*"]}}
    done = run(tmp_path, [one], LONELY, answering(empties("http://two")))
    assert done.results()["ok/warn"].message == (
        "warn on http://two: /stages/*: stale: expected something that the matcher is about, "
        "got nothing, and another answer had it [enum at /stages/*]"
    )


# --- modes that are narrowed, and modes that are alike ------------------------------------------------------


def narrowed(done: Run, *modes: str) -> dict[str, CheckResult]:
    return dict(judge_matrix(done.corpus, done.batches, done.site.instances, modes).named())


def test_narrowed_modes_keep_their_promises_too(tmp_path: Path) -> None:
    """A warn that changes a body: off and warn promise to answer alike."""

    def change(target: Target, instance: str, given: Reply) -> Reply:
        odd = target.instances[instance].mode == "warn" and given.status == 201
        return reply({**given.json(), "extra": 1}, given.status, dict(given.headers[1:])) if odd else given

    done = run(tmp_path, target=answering(change), modes=["off", "warn"])
    results = narrowed(done, "off", "warn")
    assert results["ok/warn"].verdict is Verdict.PASSED
    assert results["ok/matrix"].verdict is Verdict.BREACHED
    healthy = narrowed(run(tmp_path / "well", modes=["off", "warn"]), "off", "warn")
    assert {one.verdict for name, one in healthy.items() if "enforce" not in name} == {Verdict.PASSED}
    assert healthy["ok/matrix"].message == "ok keeps its promises in off, warn"
    assert healthy["modes"].message == "off, warn answer differently"


def test_a_narrowed_mode_that_was_not_run_is_no_promise_kept(tmp_path: Path) -> None:
    results = narrowed(run(tmp_path, modes=["off"]), "off", "warn")
    assert {results["ok/matrix"].reason, results["modes"].reason} == {Reason.NOT_RUN}


@pytest.mark.parametrize("matcher", [{"is": "uuid", "version": 4}, {"is": "regex", "pattern": "[a-f0-9-]{36}"}])
def test_modes_are_not_told_apart_by_chance(tmp_path: Path, matcher: Json) -> None:
    """What every answer has another value of tells no modes apart, be it matched in each mode."""
    endpoint = changed(LONELY, "/match", {"/id": {"is": "type", "type": "integer"}})
    same = {"/run": matcher, "/stages": {"is": "equals", "value": ["seed"]}}
    done = run(tmp_path, [case("ok", "alias", ["seed"], expect=everywhere(match=same))], endpoint)
    assert done.results()["ok/off"].verdict is Verdict.PASSED
    assert done.results()["modes"].reason is Reason.MODES_ALIKE


def test_modes_are_not_told_apart_by_what_nobody_pins(tmp_path: Path) -> None:
    def change(_target: Target, _instance: str, given: Reply) -> Reply:
        return reply({**given.json(), "trace": uuid.uuid4().hex}, given.status, {"X-Odd": uuid.uuid4().hex})

    one = case("ok", "alias", ["seed"], expect=everywhere(match={"/stages": {"is": "equals", "value": ["seed"]}}))
    assert run(tmp_path, [one], LONELY, answering(change)).results()["modes"].reason is Reason.MODES_ALIKE


def test_modes_are_told_apart_by_what_both_pin(tmp_path: Path) -> None:
    done = run(tmp_path, [ALIAS], modes=["off", "warn"])
    assert narrowed(done, "off", "warn")["modes"].verdict is Verdict.PASSED


# --- a mode that is another one in the middle ---------------------------------------------------------------


def test_a_mode_that_is_another_one_in_the_middle_is_noticed(tmp_path: Path) -> None:
    """It is so before all cases and after them, but not when the case is answered."""
    target = Target()

    def bent(instance: str, request: RawRequest, given: Reply) -> Reply:
        me = target.instances[instance]
        if request.method == "POST" and me.mode == "enforce":
            me.mode = "off"
        elif me.mode == "off" and request.target == "/mode" and target.asked[-2][1].method == "POST":
            me.mode = "enforce"
        return given

    target.bend = bent
    done = run(tmp_path, [VALID], changed(ENDPOINT, "/mode/set/restore", {"path": "/mode"}), target, modes=["enforce"])
    assert done.results()["ok/enforce"].reason is Reason.MODE_NOT_CONFIRMED
    assert "expected enforce, after the case, got off [confirmation]" in done.results()["ok/enforce"].message


# --- cases that let anything pass ---------------------------------------------------------------------------


def faults(tmp_path: Path, *cases: Json, endpoint: Json = ENDPOINT) -> str:
    with pytest.raises(CaseError) as caught:
        load_corpus(write_corpus(tmp_path, cases, endpoint))
    return str(caught.value)


@pytest.mark.parametrize(
    ("at", "matcher"),
    [
        ("", {"is": "present"}),
        ("", {"is": "type", "type": "object"}),
        ("", {"is": "length", "min": 1}),
        ("", {"is": "schema", "schema": True}),
        ("", {"is": "regex", "pattern": "x"}),
        ("/**", {"is": "type", "type": "object"}),
        ("/stages", {"is": "present"}),
        ("/stages", {"is": "schema", "schema": {}}),
        ("/stages", {"is": "length"}),
        ("/stages", {"is": "same-as", "pointer": "/stages"}),
        ("/stages/0", {"is": "regex", "pattern": ".*"}),
        ("/stages", {"is": "each", "of": {"is": "present"}}),
        ("/stages", {"is": "absent"}),
    ],
)
def test_a_matcher_that_takes_anything_proves_nothing(tmp_path: Path, at: str, matcher: Json) -> None:
    said = faults(tmp_path, case("ok", "valid", ["seed"], expect=everywhere(match={at: matcher})))
    assert "without a golden, something has to prove the body" in said


@pytest.mark.parametrize("schema", [True, {}])
def test_a_schema_of_anything_proves_nothing(tmp_path: Path, schema: Any) -> None:
    said = faults(tmp_path, case("ok", "valid", ["seed"], expect=everywhere(schema=schema)))
    assert "without a golden, something has to prove the body" in said


@pytest.mark.parametrize("at", ["", "/**"])
def test_nobody_ignores_the_whole_body(tmp_path: Path, at: str) -> None:
    said = "'ignore' of the whole body lets anything pass; name the places"
    ignoring = {at: {"is": "ignore", "why": "it is hard"}}
    assert said in faults(tmp_path, VALID, endpoint=changed(ENDPOINT, "/match", ignoring))
    assert said in faults(tmp_path, {**VALID, "match": ignoring})


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("/match", {"/stages": {"is": "ignore", "why": "x"}}),
        ("/kinds/valid/headers", {}),
        ("/kinds/valid/same", []),
        ("/responses/made/status", 200),
    ],
)
def test_a_stamp_covers_what_the_endpoint_says(tmp_path: Path, pointer: str, value: Any) -> None:
    endpoint = changed(ENDPOINT, "/responses", {"made": {"status": 201}})
    building = case("ok", "valid", ["seed"], expect={mode: {"response": "made", "body": {"a": 1}} for mode in MODES})
    before = load_corpus(write_corpus(tmp_path, [building], endpoint)).cases["ok"].digest
    accepting = changed(endpoint, pointer, value)
    assert load_corpus(write_corpus(tmp_path, [building], accepting)).cases["ok"].digest != before


def test_a_rise_of_nothing_has_to_be_possible(tmp_path: Path) -> None:
    misspelt = 'checks_total{mode="enforze"}'
    said = faults(tmp_path, VALID, with_expect(INVALID, off={"metrics": {misspelt: 0}}))
    where = next(line for line in said.splitlines() if line.startswith("typo.json:"))
    assert where.endswith(
        "nothing that this selects rises in any case: nobody knows that it can; add a case, or mend it"
    )
    wider = with_expect(INVALID, off={"metrics": {'checks_total{mode="enforce"}': 0}})
    assert load_corpus(write_corpus(tmp_path, [VALID, wider])).cases["typo"].case.expect["off"].metrics
    assert json.loads((tmp_path / "stages/typo.json").read_text())["id"] == "typo"
