"""Blessing: by a person, with a reason, and only what would pass."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_rollout.errors import BlessRefused
from pytest_rollout.golden.bless import Approval, bless, find_cases, refusals
from pytest_rollout.golden.corpus import load_corpus
from pytest_rollout.golden.exact import equal
from pytest_rollout.golden.received import forget_received, proposal, received_path, write_received
from pytest_rollout.golden.repository import Tree, read_tree
from pytest_rollout.golden.wire import RawRequest, Reply
from pytest_rollout.verdict import Reason, Verdict
from tests.golden.corpora import ENDPOINT, INVALID, MODES, VALID, Json, case
from tests.golden.runs import Run, run
from tests.golden.target import Target, reply

CLEAN = Approval(by="ann", reason="first recording", at=1_800_000_000.0, tree=Tree("c0ffee"), automatic=False)
NEW: Json = case(
    "new",
    "valid",
    ["seed"],
    expect={"off": {"status": 201}, **{mode: {"status": 201, "same_as": {"mode": "off"}} for mode in MODES[1:]}},
)


def blessed(tmp_path: Path, cases: Any = (NEW, VALID, INVALID), **asked: Any) -> Run:
    done = run(tmp_path, cases, **{"repeats": 3, **asked})
    bless(done.corpus, done.trial("new"), done.batches, CLEAN, tmp_path / "received", unrecorded)
    return done


def unrecorded(_case: str, _stamp: object) -> None:
    """Keep nothing."""


def test_a_received_body_becomes_the_golden_and_passes_from_then_on(tmp_path: Path) -> None:
    done = run(tmp_path, (NEW, VALID, INVALID), repeats=3)
    assert done.outcome("new").cells["off"].reason is Reason.GOLDEN_MISSING
    write_received(tmp_path / "received", done.trial("new"), done.batches)
    path = bless(done.corpus, done.trial("new"), done.batches, CLEAN, tmp_path / "received", unrecorded)
    data = json.loads(path.read_text())
    assert data["expect"]["off"]["body"]["stages"] == ["seed"]
    assert data["expect"]["warn"] == NEW["expect"]["warn"]
    assert {key: value for key, value in data["blessed"].items() if key != "sha256"} == {
        "by": "ann", "at": "2027-01-15T08:00:00Z", "reason": "first recording", "subject": "git:c0ffee",
        "observations": 3,
    }  # fmt: skip
    assert not received_path(tmp_path / "received", done.trial("new")).exists()
    again = replace(done, corpus=load_corpus(done.corpus.folder))
    assert {result.verdict for result in again.outcome("new").results} == {Verdict.PASSED}


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data["expect"]["off"]["body"].update(stages=["series-a"]),
        lambda data: data["expect"]["off"].update(match={"/stages": {"is": "ignore", "why": "x"}}),
        lambda data: data["request"]["json"].update(stages=["Seed"]),
        lambda data: data.update(match={"/stages": {"is": "present"}}),
        lambda data: data["blessed"].update(sha256="0" * 64),
    ],
    ids=["body", "matcher", "request", "case matcher", "stamp"],
)
def test_a_blessed_case_that_was_changed_by_hand_is_named(tmp_path: Path, change: Callable[[Any], None]) -> None:
    done = blessed(tmp_path)
    path = done.corpus.folder / "new.json"
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    cells = replace(done, corpus=load_corpus(done.corpus.folder)).outcome("new").cells
    assert all(Reason.GOLDEN_EDITED.value in cell.message for cell in cells.values())
    assert not any(cell.verdict is Verdict.PASSED for cell in cells.values())


def test_taking_the_stamp_away_does_not_help(tmp_path: Path) -> None:
    done = blessed(tmp_path)
    path = done.corpus.folder / "new.json"
    path.write_text(json.dumps({key: value for key, value in json.loads(path.read_text()).items() if key != "blessed"}))
    cells = replace(done, corpus=load_corpus(done.corpus.folder)).outcome("new").cells
    assert {cell.reason for cell in cells.values()} == {Reason.NOT_BLESSED}


def test_what_people_read_may_be_changed(tmp_path: Path) -> None:
    done = blessed(tmp_path)
    path = done.corpus.folder / "new.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "title": "better", "owner": "quant", "tags": ["a"]}))
    assert replace(done, corpus=load_corpus(done.corpus.folder)).outcome("new").cells["off"].verdict is Verdict.PASSED


def test_a_base_that_sends_something_else_undoes_the_stamp(tmp_path: Path) -> None:
    base = {**VALID, "id": "base"}
    derived = {key: value for key, value in NEW.items() if key != "request"} | {"base": "base", "patch": []}
    done = blessed(tmp_path, (derived, base, INVALID))
    (done.corpus.folder / "base.json").write_text(json.dumps({**base, "title": "other title"}))
    assert load_corpus(done.corpus.folder).cases["new"].standings["new"] == "approved"
    changed = {**base, "request": {"path": {"fund": 1}, "json": {"stages": ["series-b"]}}}
    (done.corpus.folder / "base.json").write_text(json.dumps(changed))
    assert load_corpus(done.corpus.folder).cases["new"].standings["new"] == "edited"


# --- refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("approval", "said"),
    [
        (replace(CLEAN, automatic=True), "CI is set: goldens are blessed by a person who looks at them"),
        (replace(CLEAN, reason=" "), "no reason is given: add --golden-reason"),
        (replace(CLEAN, by=""), "nobody is named as the one who approves"),
        (replace(CLEAN, tree=Tree("")), "there is no git commit that the golden could be an observation of"),
        (
            replace(CLEAN, tree=Tree("c0ffee", ("a", "b", "c", "d"))),
            "the tree has changes that are not committed (a, b, c and 1 more): commit or undo them first",
        ),
    ],
)  # fmt: skip
def test_circumstances_in_which_nothing_is_blessed(tmp_path: Path, approval: Approval, said: str) -> None:
    assert refusals(approval) == [said]
    done = run(tmp_path, (NEW, VALID, INVALID), repeats=3)
    with pytest.raises(BlessRefused) as caught:
        bless(done.corpus, done.trial("new"), done.batches, approval, tmp_path, unrecorded)
    assert str(caught.value) == f"new is not blessed: {said}"
    assert "body" not in json.loads((done.corpus.folder / "new.json").read_text())["expect"]["off"]


def test_clean_circumstances() -> None:
    assert refusals(CLEAN) == []


def refused(tmp_path: Path, cases: Any = (NEW, VALID, INVALID), name: str = "new", **asked: Any) -> str:
    done = run(tmp_path, cases, **{"repeats": 3, **asked})
    before = (done.corpus.folder / f"{name}.json").read_bytes()
    with pytest.raises(BlessRefused) as caught:
        bless(done.corpus, done.trial(name), done.batches, CLEAN, tmp_path / "received", unrecorded)
    assert (done.corpus.folder / f"{name}.json").read_bytes() == before
    return str(caught.value)


def test_too_few_observations(tmp_path: Path) -> None:
    assert refused(tmp_path, repeats=2) == (
        "new is not blessed: at least 3 observations are needed "
        "(off on http://one: 2, off on http://two: 2, warn on http://one: 2 and 3 more)"
    )


def test_a_mode_that_was_not_run_or_not_confirmed(tmp_path: Path) -> None:
    assert "at least 3 observations are needed (enforce on http://one: 0" in refused(tmp_path, modes=["off", "warn"])
    target = Target()

    def bent(instance: str, request: RawRequest, given: Reply) -> Reply:
        if request.method == "POST" and instance == "http://two":
            target.instances[instance].mode = "warn"
        return given

    target.bend = bent
    assert "mode-not-confirmed" in refused(tmp_path, target=target)


def test_observations_that_disagree_outside_matchers(tmp_path: Path) -> None:
    target, number = Target(), iter(range(10**6))

    def bent(_instance: str, request: RawRequest, given: Reply) -> Reply:
        flaky = request.method == "POST" and next(number) % 5 == 4
        return reply({**given.json(), "stages": ["seed", "?"]}, given.status) if flaky else given

    target.bend = bent
    said = refused(tmp_path, (NEW, VALID), target=target)
    assert "new is not blessed: with this golden it would still not pass: " in said


BROKEN: Json = {
    **INVALID,
    "id": "new",
    "expect": {mode: {"status": status} for mode, status in (("off", 201), ("warn", 201), ("enforce", 400))},
}


def test_an_invalid_case_that_enforce_accepts(tmp_path: Path) -> None:
    def bent(_instance: str, request: RawRequest, given: Reply) -> Reply:
        accepted = request.method == "POST" and given.status == 400
        return reply({"id": 1, "run": "0b1f4b4e-6f43-4a2e-9d7c-0f4f0f6f6f6f"}, 201) if accepted else given

    said = refused(tmp_path, (BROKEN, VALID), target=Target(bend=bent))
    assert "#status: kind: expected rejected: 4xx, got 201 [kind]" in said


def test_a_status_or_a_header_is_never_blessed_away(tmp_path: Path) -> None:
    wrong = {**BROKEN, "expect": {**BROKEN["expect"], "enforce": {"status": 422}}}
    assert "#status: status: expected 422, got 400" in refused(tmp_path, (wrong, VALID))
    bent = Target(bend=lambda _i, r, given: reply(given.json(), given.status) if r.method == "POST" else given)
    assert "#header/Deprecation: header: expected exactly one field, got none" in refused(
        tmp_path, (BROKEN, VALID), target=bent
    )


def test_all_reasons_are_told_at_once(tmp_path: Path) -> None:
    done = run(tmp_path, (NEW, VALID, INVALID))
    with pytest.raises(BlessRefused, match=r"CI is set.*; no reason.*; at least 3 observations"):
        bless(
            done.corpus,
            done.trial("new"),
            done.batches,
            replace(CLEAN, automatic=True, reason=""),
            tmp_path,
            unrecorded,
        )


def test_ids_that_do_not_exist(tmp_path: Path) -> None:
    corpora = [run(tmp_path).corpus]
    assert find_cases(corpora, ["ok", "typo", "ok"]) == ["ok", "typo"]
    with pytest.raises(BlessRefused, match=r"^no case 'tipo'; did you mean 'typo'\?$"):
        find_cases(corpora, ["ok", "tipo"])


# --- received -----------------------------------------------------------------------------------------------


def test_a_received_file_is_the_case_as_it_would_be(tmp_path: Path) -> None:
    done = run(tmp_path, (NEW, VALID, INVALID))
    path = write_received(tmp_path / "r", done.trial("new"), done.batches)
    assert path == tmp_path / "r" / "stages" / "new.received.json"
    data = json.loads(path.read_text())
    assert data["expect"]["off"]["body"]["stages"] == ["seed"]
    assert {key: data[key] for key in data if key != "expect"} == {key: NEW[key] for key in NEW if key != "expect"}
    forget_received(tmp_path / "r", [done.trial("new")])
    assert not path.exists()


def test_only_recorded_bodies_are_replaced(tmp_path: Path) -> None:
    done = run(tmp_path)
    for name in ("ok", "typo", "alias", "not-json"):
        assert equal(proposal(done.trial(name), done.batches), done.corpus.cases[name].document.data)


def test_nothing_received_is_nothing_written(tmp_path: Path) -> None:
    done = run(tmp_path, (NEW, VALID), target=Target(title="Other"))
    assert write_received(tmp_path / "r", done.trial("new"), done.batches) is None
    assert not (tmp_path / "r").exists()


def test_text_and_nothing_are_received_as_such(tmp_path: Path) -> None:
    texts = iter([b"plain", b""] * 50)

    def bent(_instance: str, request: RawRequest, given: Reply) -> Reply:
        return Reply.received(201, [("Content-Type", "text/plain")], next(texts)) if request.method == "POST" else given

    two = {**NEW, "expect": {mode: {"status": 201} for mode in MODES}}
    done = run(tmp_path, (two,), target=Target(bend=bent))
    told = proposal(done.trial("new"), done.batches)["expect"]
    assert told["off"] == {"status": 201, "text": "plain"}


def test_secrets_are_not_written(tmp_path: Path) -> None:
    done = run(tmp_path, (NEW, VALID, INVALID), {**ENDPOINT, "secrets": ["/run"]})
    assert proposal(done.trial("new"), done.batches)["expect"]["off"]["body"]["run"] == "***"


# --- git ----------------------------------------------------------------------------------------------------


def git(folder: Path, *words: str) -> str:
    names = ["-c", "user.name=a", "-c", "user.email=a@b"]
    done = subprocess.run(["git", "-C", str(folder), *names, *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_tree_is_what_git_says(tmp_path: Path) -> None:
    assert read_tree(tmp_path) == Tree("")
    git(tmp_path, "init", "-q")
    assert read_tree(tmp_path) == Tree("")
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-qm", "x")
    head = git(tmp_path, "rev-parse", "HEAD")
    assert read_tree(tmp_path) == Tree(head)
    (tmp_path / "a").write_text("2")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b").write_text("1")
    assert read_tree(tmp_path / "sub") == Tree(head, ("a", "sub/b"))


def test_a_machine_without_git_has_no_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert read_tree(tmp_path) == Tree("")
