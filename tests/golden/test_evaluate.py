"""A target with faults, one at a time: which result does not pass, and what it says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_rollout.golden.wire import RawRequest, Reply
from pytest_rollout.verdict import CheckResult, Reason, Verdict
from tests.golden.corpora import ENDPOINT, INVALID, MODES, VALID, Json, case, changed, stages_are, with_expect
from tests.golden.runs import run
from tests.golden.target import DEPRECATED, Target, reply


def test_a_healthy_target_passes_in_every_cell(tmp_path: Path) -> None:
    results = run(tmp_path).results()
    assert {result.verdict for result in results.values()} == {Verdict.PASSED}
    assert len(results) == 4 * (3 + 1) + 1
    assert results["typo/warn"].message == "typo answers as expected in warn"
    assert results["typo/matrix"].message == "typo keeps its promises in off, warn, enforce"
    assert results["modes"].message == "off, warn, enforce answer differently"


def failing(results: dict[str, CheckResult]) -> dict[str, str]:
    """Return the first line of each result that does not pass, without the instance."""
    found = {name: result for name, result in results.items() if result.verdict is not Verdict.PASSED}
    return {name: f"{one.verdict}: {one.message.splitlines()[0]}" for name, one in found.items()}


Bend = Callable[[str, RawRequest, Reply], Reply]


def answers(mode: str | None, bend: Callable[[Any, Reply], Reply], target: Target) -> Bend:
    """Bend the answers to POST, in one mode or all."""

    def bent(instance: str, request: RawRequest, given: Reply) -> Reply:
        if request.method != "POST" or mode not in (None, target.instances[instance].mode):
            return given
        return bend(given.json(), given)

    return bent


def body(change: Callable[[Any], Any]) -> Callable[[Any, Reply], Reply]:
    return lambda data, given: reply(change(data), given.status, dict(given.headers[1:]))


def lines(change: Callable[[list[tuple[str, str]]], list[tuple[str, str]]]) -> Callable[[Any, Reply], Reply]:
    return lambda _, given: Reply.received(given.status, change(list(given.headers)), given.body)


def status(number: int) -> Callable[[Any, Reply], Reply]:
    return lambda _, given: Reply.received(number, given.headers, given.body)


@pytest.mark.parametrize(
    ("mode", "bend", "cell", "words"),
    [
        ("enforce", body(lambda data: {**data, "stages": data.get("stages", []) * 2}), "ok/enforce",
         '/stages: value: expected ["seed"], got ["seed","seed"] [equals at /stages]'),
        ("warn", body(lambda data: {**data, "extra": 1}), "typo/matrix", "/extra: relation/extra: expected nothing"),
        ("enforce", body(lambda data: {**data, "code": "OTHER"}), "typo/enforce",
         '/code: value: expected "UNKNOWN_STAGE", got "OTHER" [equals at /code]'),
        ("enforce", body(lambda data: {**data, "code": "OTHER"}), "typo/enforce", "/code: schema: expected enum"),
        ("off", body(lambda data: {**data, "run": "none"}), "ok/off", "/run: value: expected a UUID of version 4"),
        ("off", body(lambda data: {k: v for k, v in data.items() if k != "id"}), "ok/off", "/id: missing:"),
        ("warn", lines(lambda all_: [line for line in all_ if line[0] != "Sunset"]), "typo/warn",
         "#header/Sunset: header: expected exactly one field, got none [sunset of Sunset]"),
        ("warn", lines(lambda all_: [*all_, ("deprecation", "true")]), "ok/warn",
         "#header/Deprecation: header: expected no such field, got 1 fields: true"),
        ("warn", lines(lambda all_: [*all_, ("Deprecation", DEPRECATED["Deprecation"])]), "typo/warn",
         "#header/Deprecation: header: expected exactly one field, got 2 fields"),
        ("enforce", status(201), "typo/enforce", "#status: kind: expected rejected: 4xx, got 201 [kind]"),
        ("enforce", status(500), "typo/enforce", "#status: kind: expected rejected: 4xx, got 500 [kind]"),
        ("enforce", status(422), "typo/enforce", "#status: status: expected 400, got 422"),
        ("warn", status(200), "typo/matrix", "#status: relation/relation: expected 201, got 200 [warn is as off]"),
        (None, lines(lambda _: [("Content-Type", "text/html")]), "ok/off",
         "(body): body: expected strict JSON, and a content-type that says so, got content-type text/html"),
        ("off", lambda _, given: Reply.received(given.status, given.headers, b'{"id": 1, "id": 2}'), "ok/off",
         "(body): body: expected strict JSON, and a content-type that says so, got the key 'id' is given twice"),
    ],
)  # fmt: skip
def test_a_fault_breaches_and_is_named(
    tmp_path: Path, mode: str | None, bend: Callable[[Any, Reply], Reply], cell: str, words: str
) -> None:
    target = Target()
    target.bend = answers(mode, bend, target)
    result = run(tmp_path, target=target).results()[cell]
    assert (result.verdict, result.reason) == (Verdict.BREACHED, Reason.GOLDEN_MISMATCH)
    assert words in result.message


def test_one_bent_instance_is_enough(tmp_path: Path) -> None:
    target = Target()

    def bent(instance: str, request: RawRequest, given: Reply) -> Reply:
        right = request.method != "POST" or instance == "http://one"
        return given if right else reply({**given.json(), "stages": []}, given.status)

    target.bend = bent
    result = run(tmp_path, target=target).outcome("ok").cells["off"]
    assert result.message == 'off on http://two: /stages: value: expected ["seed"], got [] [equals at /stages]'


def test_enforce_that_has_a_side_effect(tmp_path: Path) -> None:
    target = Target()

    def bent(_instance: str, request: RawRequest, given: Reply) -> Reply:
        if request.method == "POST" and given.status == 400:
            target.made.append(0)
        return given

    target.bend = bent
    result = run(tmp_path, target=target).outcome("typo").cells["enforce"]
    assert re.search(r"#state/api/made: side-effect: expected (\d+), got (?!\1)\d+ \[none\]", result.message)
    assert result.verdict is Verdict.BREACHED


def test_a_state_read_that_sees_nothing_does_not_prove_anything(tmp_path: Path) -> None:
    target = Target()
    target.bend = lambda _instance, request, given: reply({"total": 7}) if request.target == "/api/made" else given
    results = run(tmp_path, target=target).results()
    assert results["ok/enforce"].message.startswith("enforce on http://one: #state: side-effect: expected a change")


@pytest.mark.parametrize(
    ("state", "reason"),
    [(reply({}), Reason.NO_DATA), (reply({"total": 1}, 503), Reason.NO_DATA), (None, Reason.NOT_EXCLUSIVE)],
)
def test_a_state_that_cannot_be_read_or_is_not_ours_leaves_it_open(
    tmp_path: Path, state: Reply | None, reason: Reason
) -> None:
    target = Target()

    def bent(_instance: str, request: RawRequest, given: Reply) -> Reply:
        target.made.append(1)
        return (state or given) if request.target == "/api/made" else given

    target.bend = bent
    result = run(tmp_path, target=target).outcome("typo").cells["enforce"]
    assert (result.verdict, result.reason) == (Verdict.INCONCLUSIVE, reason)


def test_somebody_elses_traffic_leaves_it_open(tmp_path: Path) -> None:
    target = Target()

    def bent(instance: str, request: RawRequest, given: Reply) -> Reply:
        if request.target == "/metrics":
            target.instances[instance].counted["warn", "warn"] += 1
        return given

    target.bend = bent
    result = run(tmp_path, target=target).outcome("typo").cells["warn"]
    assert (result.verdict, result.reason) == (Verdict.INCONCLUSIVE, Reason.NOT_EXCLUSIVE)


# --- goldens ------------------------------------------------------------------------------------------------


def recorded(body: Any, **keys: Any) -> Json:
    """Return a valid case whose body is pinned as a whole."""
    expect = {
        "off": {"status": 201, "body": body},
        **{mode: {"status": 201, "same_as": {"mode": "off"}} for mode in MODES[1:]},
    }
    return case("recorded", "valid", ["seed"], expect=expect, **keys)


def test_a_body_that_nobody_blessed_proves_nothing(tmp_path: Path) -> None:
    cells = run(tmp_path, [recorded({"id": 0, "run": "x", "stages": ["seed"]})]).outcome("recorded").cells
    assert {cell.reason for cell in cells.values()} == {Reason.NOT_BLESSED}
    assert cells["warn"].message == (
        "warn: #golden: not-blessed: expected a golden body that somebody blessed, got recorded never was [stamp]"
    )


def test_a_missing_golden_is_no_pass_and_is_not_written(tmp_path: Path) -> None:
    bare = with_expect(VALID, off={"status": 201})
    bare["expect"]["off"] = {"status": 201}
    result = run(tmp_path, [bare]).outcome("ok").cells["off"]
    assert (result.verdict, result.reason) == (Verdict.INCONCLUSIVE, Reason.GOLDEN_MISSING)
    assert 'got {"id":' in result.message
    assert json.loads((tmp_path / "stages" / "ok.json").read_text()) == bare


def test_a_stamp_that_does_not_cover_the_content_names_the_case(tmp_path: Path) -> None:
    stamp = {"by": "a", "at": "b", "reason": "c", "subject": "d", "observations": 3, "sha256": "0" * 64}
    for one in (recorded({"id": 0, "run": "x", "stages": ["seed"]}, blessed=stamp), {**VALID, "blessed": stamp}):
        result = run(tmp_path, [one]).outcome(one["id"]).cells["off"]
        assert (result.verdict, result.reason) == (Verdict.INCONCLUSIVE, Reason.GOLDEN_EDITED)
        assert f"{one['id']} was changed by hand after it was blessed" in result.message


@pytest.mark.parametrize(
    ("pin", "words"), [({"empty": True}, 'expected "", got "{'), ({"text": "x"}, 'expected "x", got')]
)
def test_bodies_that_are_no_json_are_compared_as_text(tmp_path: Path, pin: Json, words: str) -> None:
    one = case("plain", "valid", ["seed"], expect={mode: {"status": 201, **pin} for mode in MODES})
    result = run(tmp_path, [one]).outcome("plain").cells["off"]
    assert f"(body): text: {words}" in result.message


# --- stale matchers -----------------------------------------------------------------------------------------


def test_a_matcher_of_a_mode_that_met_nothing_is_an_error(tmp_path: Path) -> None:
    bent = with_expect(
        VALID, off=stages_are(["seed"], match={**stages_are(["seed"])["match"], "/gone/*": {"is": "present"}})
    )
    result = run(tmp_path, [bent]).outcome("ok").cells["off"]
    assert (result.verdict, result.reason) == (Verdict.ERROR, Reason.STALE_MATCHER)
    assert result.message == (
        "off: /gone/*: stale: expected something that the matcher is about, "
        "got nothing: take the matcher away, or mend its pointer [present at /gone/*]"
    )


def test_a_matcher_of_a_case_is_stale_only_if_no_mode_uses_it(tmp_path: Path) -> None:
    used = {**INVALID, "match": {"/error": {"is": "type", "type": "string"}}}
    assert run(tmp_path, [VALID, used]).outcome("typo").matrix.verdict is Verdict.PASSED
    stale = {**INVALID, "match": {"/gone": {"is": "present"}}}
    result = run(tmp_path, [VALID, stale]).outcome("typo").matrix
    assert (result.verdict, result.reason) == (Verdict.ERROR, Reason.STALE_MATCHER)


def test_a_matcher_of_the_endpoint_may_be_unused(tmp_path: Path) -> None:
    wide = changed(ENDPOINT, "/match/~1gone", {"is": "present"})
    assert run(tmp_path, endpoint=wide).outcome("typo").matrix.verdict is Verdict.PASSED


# --- together -----------------------------------------------------------------------------------------------


def test_modes_that_were_not_run_are_named(tmp_path: Path) -> None:
    done = run(tmp_path, modes=["off", "enforce"])
    matrix = done.matrix()
    assert matrix.not_run == ("alias/warn", "not-json/warn", "ok/warn", "typo/warn")
    result = done.outcome("typo").matrix
    assert (result.verdict, result.reason) == (Verdict.INCONCLUSIVE, Reason.NOT_RUN)
    assert "not run, or not to be counted: warn" in result.message
    assert done.outcome("typo").cells["off"].verdict is Verdict.PASSED


def test_the_ten_worst_are_told_and_all_are_counted(tmp_path: Path) -> None:
    target = Target()
    target.bend = answers("off", body(lambda data: {**data, **{f"x{n}": n for n in range(30)}}), target)
    result = run(tmp_path, target=target).outcome("ok").matrix
    assert len(result.message.splitlines()) == 11
    assert result.message.splitlines()[-1] == "+110 more"
    assert (len(result.derivation["findings"]), result.derivation["more"]) == (10, 110)
