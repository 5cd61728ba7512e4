"""How a target is asked: in which order, how long, and never before it is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_rollout.errors import SourceError
from pytest_rollout.golden.wire import RawRequest, Reply
from pytest_rollout.verdict import Reason, Verdict
from tests.golden.corpora import ENDPOINT, INVALID, MODES, VALID, Json, changed
from tests.golden.runs import Run, run
from tests.golden.target import INSTANCES, Target, reply

CASES = (VALID, INVALID)


def posts(target: Target) -> int:
    return sum(request.method == "POST" for _, request in target.asked)


def reasons(done: Run) -> set[Reason]:
    return {result.reason for result in done.results().values() if result.verdict is not Verdict.PASSED}


def messages(done: Run, name: str) -> str:
    return done.results()[name].message


def test_every_case_goes_to_every_instance_in_every_mode(tmp_path: Path) -> None:
    target = Target()
    done = run(tmp_path, CASES, target=target, repeats=2)
    seen = [(mode, one.case, one.instance) for mode, batch in done.batches.items() for one in batch.observations]
    assert sorted(seen) == sorted((m, c, i) for m in MODES for c in ("ok", "typo") for i in INSTANCES for _ in range(2))
    assert not reasons(done)


def test_the_mode_of_before_is_set_again(tmp_path: Path) -> None:
    target = Target()
    for instance in target.instances.values():
        instance.mode = "warn"
    run(tmp_path, CASES, target=target)
    assert {instance.mode for instance in target.instances.values()} == {"warn"}


def test_a_mode_that_cannot_be_set_again_is_told(tmp_path: Path) -> None:
    target = Target()

    def bent(_instance: str, request: RawRequest, given: Reply) -> Reply:
        if request.method == "PUT" and b"off" in (request.content or b"") and posts(target) > 8:
            return reply({}, 403)
        return given

    target.bend = bent
    with pytest.raises(SourceError, match=r"^stages: the mode off was not restored: it could not be set: HTTP 403$"):
        run(tmp_path, CASES, target=target)


def test_an_own_way_back_that_is_refused_is_told(tmp_path: Path) -> None:
    back = {"method": "PUT", "path": "/mode", "json": {"mode": "back"}}
    target = Target()
    target.bend = lambda _i, request, given: reply({}, 500) if b"back" in (request.content or b"") else given
    with pytest.raises(SourceError, match=r"^stages: the mode off was not restored: it could not be set: HTTP 500$"):
        run(tmp_path, CASES, changed(ENDPOINT, "/mode/set/restore", back), target)


def test_a_mode_of_before_that_is_not_reported_again_is_told(tmp_path: Path) -> None:
    target = Target()

    def bent(_instance: str, request: RawRequest, given: Reply) -> Reply:
        if request.content == b'{"mode":"off"}' and posts(target) > 8:
            target.instances["http://two"].mode = "enforce"
        return given

    target.bend = bent
    with pytest.raises(SourceError, match=r"the mode off was not restored: not reported by all instances within 2 s"):
        run(tmp_path, CASES, target=target)


def test_an_own_way_back_needs_no_mode_of_before(tmp_path: Path) -> None:
    back = {"method": "PUT", "path": "/mode", "json": {"mode": "off"}}
    target = Target()
    target.instances["http://one"].mode = "warn"
    run(tmp_path, CASES, changed(ENDPOINT, "/mode/set/restore", back), target)
    assert {instance.mode for instance in target.instances.values()} == {"off"}
    assert [request.content for _, request in target.asked if request.method == "PUT"][-1] == b'{"mode":"off"}'


def test_nothing_is_set_or_sent_where_the_mode_of_before_is_not_known(tmp_path: Path) -> None:
    target = Target()
    target.instances["http://one"].mode = "warn"
    done = run(tmp_path, CASES, target=target)
    assert {request.method for _, request in target.asked} == {"GET"}
    assert reasons(done) == {Reason.MODE_NOT_CONFIRMED, Reason.NOT_RUN}
    assert "the instances do not tell which mode they are in, so it could not be restored" in messages(done, "ok/off")


def test_a_foreign_server_gets_no_request_and_no_pass(tmp_path: Path) -> None:
    target = Target(title="Somebody else's API")
    done = run(tmp_path, CASES, target=target)
    assert {request.method for _, request in target.asked} == {"GET"}
    assert reasons(done) == {Reason.TARGET_NOT_PROVEN, Reason.NOT_RUN}
    assert 'expected "Funds", got "Somebody else\'s API" [equals at /info/title]' in messages(done, "ok/off")


def anything(_instance: str, _request: RawRequest, _given: Reply) -> Reply:
    return reply({"status": "ok", "mode": "off", "stages": ["seed"], "id": 1}, 201)


def empty(*_: Any) -> Reply:
    return reply({})


def html(*_: Any) -> Reply:
    return Reply.received(200, [], b"<html>")


@pytest.mark.parametrize("bend", [anything, empty, html])
def test_whatever_a_foreign_server_says_nothing_passes(tmp_path: Path, bend: Any) -> None:
    done = run(tmp_path, CASES, target=Target(bend=bend))
    assert not any(result.verdict is Verdict.PASSED for result in done.results().values())


def test_a_target_that_is_another_one_afterwards_proves_nothing(tmp_path: Path) -> None:
    target = Target()

    def bent(_instance: str, _request: RawRequest, given: Reply) -> Reply:
        target.title = "Funds" if posts(target) < 4 else "Taken over"
        return given

    target.bend = bent
    done = run(tmp_path, CASES, target=target, modes=["off"])
    assert done.outcome("ok").cells["off"].reason is Reason.TARGET_NOT_PROVEN
    assert "the proof that this is the target, after the cases" in messages(done, "ok/off")


def test_an_instance_that_keeps_its_mode_makes_all_of_it_doubtful(tmp_path: Path) -> None:
    done = run(tmp_path, CASES, target=Target(deaf={"http://two"}))
    results = done.results()
    assert results["ok/off"].verdict is Verdict.PASSED
    assert {results[f"{name}/{mode}"].reason for name in ("ok", "typo") for mode in ("warn", "enforce")} == {
        Reason.MODE_NOT_CONFIRMED
    }
    assert "not reported by all instances within 2 s (http://two, mode 0)" in results["ok/warn"].message
    assert {results["ok/matrix"].reason, results["modes"].reason} == {Reason.NOT_RUN}


def test_a_mode_that_changes_meanwhile_makes_all_of_it_doubtful(tmp_path: Path) -> None:
    target = Target()

    def bent(instance: str, request: RawRequest, given: Reply) -> Reply:
        if request.method == "POST" and instance == "http://two":
            target.instances[instance].mode = "off"
        return given

    target.bend = bent
    done = run(tmp_path, CASES, target=target, modes=["warn"])
    assert "expected warn, after the cases, got off [confirmation by json]" in messages(done, "ok/warn")


def test_a_report_that_flaps_is_waited_for_and_not_believed(tmp_path: Path) -> None:
    target, asked = Target(), iter(range(10**6))

    def bent(_instance: str, request: RawRequest, given: Reply) -> Reply:
        return reply({"mode": "off"}) if request.target == "/mode" and next(asked) % 3 == 0 else given

    target.bend = bent
    done = run(tmp_path, CASES, target=target, modes=["warn"])
    assert posts(target) == 0
    assert done.outcome("ok").cells["warn"].reason in (Reason.MODE_NOT_CONFIRMED, Reason.NOT_RUN)


def test_a_refused_change_of_mode_is_told(tmp_path: Path) -> None:
    target = Target()
    target.bend = lambda _instance, request, given: reply({}, 403) if request.method == "PUT" else given
    with pytest.raises(SourceError, match="was not restored"):
        run(tmp_path, CASES, target=target)
    back = changed(ENDPOINT, "/mode/set/restore", {"path": "/mode"})
    done = run(tmp_path, CASES, back, target)
    assert "got it could not be set: HTTP 403 [mode]" in messages(done, "ok/warn")


def test_a_lost_instance_is_named(tmp_path: Path) -> None:
    done = run(tmp_path, CASES, target=Target(lost={"http://two"}))
    assert "off on http://two: #identity: target-not-proven" in messages(done, "ok/off")
    assert "connection refused" in messages(done, "ok/off")


def test_a_mode_by_header_is_sent_with_every_request_but_no_other(tmp_path: Path) -> None:
    target = Target()
    header = changed(ENDPOINT, "/mode/set", {"by": "header", "name": "X-Mode"})
    assert not reasons(run(tmp_path, CASES, header, target))
    sent = {dict(request.headers).get("X-Mode") for _, request in target.asked if request.method == "POST"}
    assert sent == set(MODES)
    assert not any(request.method == "PUT" for _, request in target.asked)


def test_a_mode_that_nobody_sets_is_tested_as_it_is(tmp_path: Path) -> None:
    target = Target()
    for instance in target.instances.values():
        instance.mode = "warn"
    done = run(tmp_path, CASES, changed(ENDPOINT, "/mode/set", {"by": "nobody"}), target)
    results = done.results()
    assert results["typo/warn"].verdict is Verdict.PASSED
    assert done.matrix().not_run == ("ok/off", "ok/enforce", "typo/off", "typo/enforce")


PROBE: Json = {
    "by": "probe",
    "probe": {"method": "POST", "path": "/api/funds/1/stages", "json": {"stages": ["unheard-of"]}},
    "answers": {
        "off": {"status": 201, "headers": {"Deprecation": {"is": "absent"}}},
        "warn": {"status": 201, "headers": {"Deprecation": {"is": "deprecation"}}},
        "enforce": {"status": 400, "match": {"/code": {"is": "equals", "value": "UNKNOWN_STAGE"}}},
    },
}


def test_a_mode_is_confirmed_by_what_it_does(tmp_path: Path) -> None:
    probing = changed(ENDPOINT, "/mode/confirm", [PROBE])
    assert not reasons(run(tmp_path, CASES, probing))
    vague = changed(probing, "/mode/confirm/0/answers/warn/headers", {})
    done = run(tmp_path, CASES, changed(vague, "/mode/set/restore", {"path": "/mode"}))
    assert "not reported by all instances" in messages(done, "ok/off")
    assert done.outcome("ok").cells["warn"].verdict is Verdict.PASSED


def test_two_witnesses_have_to_agree(tmp_path: Path) -> None:
    target = Target()

    def bent(_instance: str, request: RawRequest, given: Reply) -> Reply:
        if request.target != "/metrics":
            return given
        return Reply.received(200, [], given.body.replace(b"mode 1.0", b"mode 0.0"))

    target.bend = bent
    done = run(tmp_path, CASES, target=target)
    assert "(http://one, mode 1)" in messages(done, "ok/warn")


def test_a_header_of_an_answer_confirms(tmp_path: Path) -> None:
    target, status = Target(), 200

    def bent(instance: str, request: RawRequest, given: Reply) -> Reply:
        mode = {"X-Mode": target.instances[instance].mode}
        return reply({}, status, mode) if request.target == "/health" else given

    target.bend = bent
    by_header = [{"by": "header", "path": "/health", "name": "x-mode"}]
    confirming = changed(ENDPOINT, "/mode/confirm", by_header)
    assert not reasons(run(tmp_path, CASES, confirming, target))
    status = 503
    assert Reason.MODE_NOT_CONFIRMED in reasons(run(tmp_path, CASES, confirming, target))


def test_readings_are_as_far_apart_as_they_should_be(tmp_path: Path) -> None:
    done = run(tmp_path, CASES)
    readings = [one.metrics for batch in done.batches.values() for one in batch.observations if one.metrics]
    assert len(readings) == 4 * 2
    assert all(one.quiet >= 1.0 and one.kept >= 1.0 for one in readings)


def test_a_late_counter_is_waited_for(tmp_path: Path) -> None:
    target = Target()
    old: dict[str, tuple[float, Reply]] = {}

    def bent(instance: str, request: RawRequest, given: Reply) -> Reply:
        if request.target != "/metrics":
            return given
        at, kept = old.get(instance, (-9.0, given))
        if target.now - at >= 0.7 or kept is given:
            old[instance] = target.now, given
            return given
        return kept

    target.bend = bent
    slow = changed(ENDPOINT, "/mode/confirm", [ENDPOINT["mode"]["confirm"][0]])
    assert not reasons(run(tmp_path, CASES, slow, target))
