"""One run of a corpus, and what keeps it from running."""

from __future__ import annotations

from pathlib import Path

from pytest_rollout.golden.bless import Approval
from pytest_rollout.golden.corpus import load_corpus
from pytest_rollout.golden.repository import Tree
from pytest_rollout.golden.session import Report, Wishes, run_corpus
from pytest_rollout.golden.wire import RawRequest, Reply
from pytest_rollout.verdict import Reason, Verdict
from tests.golden.corpora import CASES, ENDPOINT, MODES, Json, case, changed, write_corpus
from tests.golden.target import Target, reply

CLEAN = Approval(by="ann", reason="looked", at=0.0, tree=Tree("c0ffee"), automatic=False)
SHARED = {"status": 201, "same_as": {"mode": "off"}}
NEW: Json = case("new", "valid", ["seed"], expect={"off": {"status": 201}, "warn": SHARED, "enforce": SHARED})


def session(
    root: Path, target: Target, endpoint: Json = ENDPOINT, variables: dict[str, str] | None = None, **wishes: object
) -> Report:
    corpus = load_corpus(write_corpus(root, (*CASES, NEW) if "bless" in wishes else CASES, endpoint))
    asked = Wishes(modes=MODES, received=root / "received", record=lambda *_: None, **wishes)  # type: ignore[arg-type]
    return run_corpus(corpus, target.world(), variables or {}, asked)


def test_a_run_that_passes_leaves_nothing_behind(tmp_path: Path) -> None:
    report = session(tmp_path, Target())
    assert report.verdict.verdict is Verdict.PASSED
    assert (report.notes, report.blessed, len(report.coverage)) == ((), (), 4)
    assert not (tmp_path / "received").exists()


def test_a_matcher_of_the_endpoint_that_meets_nothing_is_told(tmp_path: Path) -> None:
    more = {**ENDPOINT["match"], "/stages/*/x": {"is": "ignore", "why": "no longer there"}}
    report = session(tmp_path, Target(), changed(ENDPOINT, "/match", more))
    assert report.notes == ("stages: the endpoint's matcher at '/stages/*/x' met nothing",)
    assert report.verdict.verdict is Verdict.PASSED


def test_an_older_received_file_does_not_stand_for_this_run(tmp_path: Path) -> None:
    bent = Target(bend=lambda _i, r, g: reply({}, g.status) if r.method == "POST" else g)
    session(tmp_path, bent)
    assert len(list((tmp_path / "received/stages").iterdir())) == 4
    session(tmp_path, Target())
    assert list((tmp_path / "received/stages").iterdir()) == []


def test_what_is_not_set_is_in_every_result(tmp_path: Path) -> None:
    report = session(tmp_path, Target(), changed(ENDPOINT, "/instances", "${PLACES}"))
    assert {(one.verdict, one.reason) for one in report.results.values()} == {(Verdict.ERROR, Reason.ENVIRONMENT)}
    assert len(report.results) == 4 * 4 + 1
    assert report.verdict.message == "stages: the environment variable PLACES is not set; export it"


def test_a_variable_that_no_header_can_carry_is_in_every_result(tmp_path: Path) -> None:
    bent = changed(ENDPOINT, "/headers", {"Authorization": "Bearer ${TOKEN}"})
    report = session(tmp_path, Target(), bent, {"TOKEN": "s3cret\nX: y"})
    assert report.verdict.reason is Reason.ENVIRONMENT
    assert report.verdict.message == "the value of Authorization has characters that a header cannot carry"


def test_a_target_that_is_left_in_another_mode_is_in_every_result(tmp_path: Path) -> None:
    target = Target()

    def bent(_instance: str, request: RawRequest, given: Reply) -> Reply:
        posted = sum(one.method == "POST" for _, one in target.asked)
        return reply({}, 403) if request.content == b'{"mode":"off"}' and posted > 8 else given

    target.bend = bent
    report = session(tmp_path, target)
    assert (report.verdict.verdict, report.verdict.reason) == (Verdict.ERROR, Reason.SOURCE_UNREACHABLE)
    assert report.verdict.message == "stages: the mode off was not restored: it could not be set: HTTP 403"


def test_what_was_blessed_passes_nowhere_in_this_run(tmp_path: Path) -> None:
    report = session(tmp_path, Target(), bless=("new", "elsewhere"), approval=CLEAN)
    assert report.blessed == ("new",)
    assert {report.results[f"new/{part}"].reason for part in (*MODES, "matrix")} == {Reason.BLESSED_NOW}
    assert report.verdict.reason is Reason.BLESSED_NOW
    assert report.notes[-1] == f"new: blessed {tmp_path / 'stages/new.json'}"


def test_a_refused_blessing_is_a_result(tmp_path: Path) -> None:
    bent = Target(bend=lambda _i, r, g: reply({**g.json(), "run": "x"}, g.status) if r.method == "POST" else g)
    report = session(tmp_path, bent, bless=("new",), approval=CLEAN)
    assert report.results["new/matrix"].reason is Reason.NOT_BLESSED
    assert report.results["new/matrix"].message.startswith(
        "new is not blessed: with this golden it would still not pass"
    )
    assert report.verdict.verdict is Verdict.BREACHED


def test_learning_takes_its_time_and_proposing_needs_a_description(tmp_path: Path) -> None:
    target = Target()
    began = target.now
    report = session(tmp_path, target, changed(ENDPOINT, "/match", {}), learn=True, propose={"ok": "malformed"})
    assert target.now - began > 6
    assert any(note.startswith('ok in off: "/run": {"is":"uuid"}') for note in report.notes)
    assert any(note.startswith("ok: proposed ") for note in report.notes)
    silent = changed(ENDPOINT, "/openapi", "/mode")
    dumb = session(tmp_path / "dumb", Target(), silent, propose={"ok": "malformed", "no": "x"})
    assert any(note.startswith("ok: nothing is proposed: the OpenAPI document has no path") for note in dumb.notes)
    assert dumb.coverage == ()
