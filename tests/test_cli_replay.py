"""``rollout replay``, as people meet it: what it says, and its exit status."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pytest_rollout.cli import main
from pytest_rollout.look import FLAG_STATE
from pytest_rollout.plugin.ledger import Check, Ledger, StageInfo
from pytest_rollout.publish.verdict_file import write_verdict
from pytest_rollout.replay import recorded, write_bundle
from pytest_rollout.sources.http import Http
from pytest_rollout.verdict import CheckResult, Reason, Verdict
from tests.test_replay import Around, decided, ran

FLAG = f"same  shop/stage1/{FLAG_STATE}: passed (within-limit)"
SMOKE = "same  shop/stage1/smoke: passed (within-limit)"
WELL = [FLAG, SMOKE, "every verdict came out the same"]
BADLY = "some verdicts came out differently"
FILE = "evidence/shop-stage1.json.gz"
SMOKES = {"id": "smoke", "canary": {"name": "smoke"}}


def kept(*outcomes: str) -> dict[str, Any]:
    """Return what is kept of a stage with a canary, and no Prometheus."""
    scene = Around(flip=999.0, runs=ran(*outcomes)).scene(None, Http(), 2000.0)
    return decided(scene, SMOKES)[1]


class Reports:
    """A folder of reports, as a run leaves it."""

    def __init__(self, folder: Path, *outcomes: str) -> None:
        self.folder = folder
        self.path = folder / "verdict.json"
        self.content = kept(*outcomes)
        self.digest = write_bundle(folder / FILE, self.content)
        self.document = self.drawn_up()
        write_verdict(self.path, self.document)

    def drawn_up(self, file: str = FILE) -> dict[str, Any]:
        ledger = Ledger()
        ledger.describe(StageInfo(rollout="shop", stage="stage1"))
        for name, result in recorded(self.content).items():
            data = result.to_dict()
            data["derivation"] |= {"evidence": {"file": file, "sha256": self.digest}}
            check = Check(rollout="shop", stage="stage1", id=name, kind="gate", nodeid=f"::{name}")
            ledger.expect(check)
            ledger.record(check.key, CheckResult.from_dict(data))
        return ledger.document(version="0", finished_at=3000.0, interrupted=False)

    def said(self, path: Path | None = None) -> tuple[list[str], int]:
        done = CliRunner().invoke(main, ["replay", str(path or self.path)])
        return done.output.splitlines(), done.exit_code

    def edited(self, edit: Callable[[dict[str, Any]], object]) -> tuple[list[str], int]:
        document = copy.deepcopy(self.document)
        edit(document)
        write_verdict(self.path, document)
        return self.said()

    def rewritten(self, content: dict[str, Any]) -> tuple[list[str], int]:
        """Forge a bundle, and the SHA-256 in the verdict file."""
        self.digest = write_bundle(self.folder / FILE, content)
        write_verdict(self.path, self.drawn_up())
        return self.said()


@pytest.fixture
def reports(tmp_path: Path) -> Reports:
    return Reports(tmp_path / "reports", "ok")


@pytest.fixture
def failed(tmp_path: Path) -> Reports:
    return Reports(tmp_path / "reports", "failed")


def check(document: dict[str, Any], name: str = "smoke") -> dict[str, Any]:
    return next(one for one in document["stages"][0]["checks"] if one["id"] == name)


def test_a_verdict_file_and_its_bundle(reports: Reports, monkeypatch: pytest.MonkeyPatch) -> None:
    assert reports.said() == (WELL, 0)
    assert reports.said(reports.folder / FILE) == (WELL, 0)
    monkeypatch.chdir(reports.folder.parent)
    assert CliRunner().invoke(main, ["replay"]).output.splitlines() == WELL


def test_a_breach_that_comes_out_again_is_the_same(failed: Reports) -> None:
    lines, code = failed.said()
    assert (lines[1:], code) == (["same  shop/stage1/smoke: breached (canary-failed)", WELL[-1]], 0)


# --- the bundle was changed -----------------------------------------------------------------------------------


def test_another_digest(reports: Reports) -> None:
    found = write_bundle(reports.folder / FILE, kept("ok", "ok"))
    said = f"its SHA-256 is {found[:12]}..., the verdict names {reports.digest[:12]}...; it was changed"
    assert reports.said() == ([f"rollout: {reports.folder / FILE}: {said}"], 2)


def test_no_bundle(reports: Reports) -> None:
    (reports.folder / FILE).unlink()
    said = "not read: No such file or directory; a run of the stage writes it"
    assert reports.said() == ([f"rollout: {reports.folder / FILE}: {said}"], 2)
    assert reports.said(reports.folder / FILE) == ([f"rollout: {reports.folder / FILE}: {said}"], 2)


def test_a_forged_verdict_in_the_bundle(failed: Reports) -> None:
    result = {**failed.content["results"]["smoke"], "verdict": "passed", "reason": "within-limit"}
    failed.content["results"]["smoke"] = result
    message = "failed → ✓"
    differs = f"DIFFERS  shop/stage1/smoke: it was passed: {message}; now breached: {message}"
    assert failed.rewritten(failed.content) == ([FLAG, differs, BADLY], 1)


def test_a_forged_number_in_the_bundle(reports: Reports) -> None:
    reports.content["results"]["smoke"]["value"] = 1  # it was 1.0
    differs = "DIFFERS  shop/stage1/smoke: passed, but the numbers behind it differ"
    assert reports.rewritten(reports.content) == ([FLAG, differs, BADLY], 1)


def test_a_check_too_few_and_one_too_many(reports: Reports) -> None:
    results = reports.content["results"]
    results["other"] = results.pop("smoke")
    lines = [
        FLAG,
        "DIFFERS  shop/stage1/other: it is not judged again",
        "DIFFERS  shop/stage1/smoke: it was not judged in the run",
        BADLY,
    ]
    assert reports.rewritten(reports.content) == (lines, 1)


def test_a_bundle_that_holds_too_little(reports: Reports) -> None:
    del reports.content["look"]
    assert reports.rewritten(reports.content) == (["rollout: the evidence bundle is incomplete: KeyError('look')"], 2)


# --- the verdict file was changed -----------------------------------------------------------------------------


def turned(document: dict[str, Any]) -> None:
    check(document).update(verdict="passed", reason="within-limit")


def stripped(document: dict[str, Any]) -> None:
    turned(document)
    del check(document)["derivation"]["evidence"]


def removed(document: dict[str, Any]) -> None:
    document["stages"][0]["checks"] = [check(document, FLAG_STATE)]


def moved(document: dict[str, Any]) -> None:
    document["stages"][0]["stage"] = "stage2"


SAYS = "DIFFERS  shop/stage1/smoke: the verdict file says otherwise than the evidence that it names"
STAGE = "DIFFERS  shop/stage1: the verdict file says"
EDITS: dict[str, tuple[Callable[[dict[str, Any]], object], list[str]]] = {
    "a verdict": (turned, [f"{SAYS}: passed: failed → ✓", f"{STAGE} NO-GO, its checks make GO"]),
    "a verdict and its evidence": (
        stripped,
        [
            "DIFFERS  shop/stage1/smoke: it passed, says the verdict file, and names no evidence",
            f"{STAGE} NO-GO, its checks make GO",
        ],
    ),
    "a check": (
        removed,
        [
            "DIFFERS  shop/stage1/smoke: it was judged, and the verdict file does not tell of it",
            f"{STAGE} NO-GO, its checks make GO",
        ],
    ),
    "a message": (lambda one: check(one).update(message="fine"), [f"{SAYS}: breached: fine"]),
    "a number": (lambda one: check(one).update(samples=1.0), [f"{SAYS}: breached: failed → ✓"]),
    "a derivation": (lambda one: check(one)["derivation"].update(rule="x"), [f"{SAYS}: breached: failed → ✓"]),
    "the decision of a stage": (
        lambda one: one["stages"][0].update(decision="GO"),
        [
            f"{STAGE} GO, its checks make NO-GO",
            "DIFFERS  the whole run: the verdict file says NO-GO, its stages make GO",
        ],
    ),
    "a hold": (
        lambda one: one["stages"][0].update(decision="HOLD"),
        [
            f"{STAGE} HOLD, its checks make NO-GO",
            "DIFFERS  the whole run: the verdict file says NO-GO, its stages make HOLD",
        ],
    ),
    "the decision": (
        lambda one: one.update(decision="GO"),
        ["DIFFERS  the whole run: the verdict file says GO, its stages make NO-GO"],
    ),
    "a softer decision": (
        lambda one: one.update(decision="HOLD"),
        ["DIFFERS  the whole run: the verdict file says HOLD, its stages make NO-GO"],
    ),
    "the stage": (
        moved,
        [
            f"DIFFERS  shop/stage2/{FLAG_STATE}: the verdict file names the evidence of shop/stage1",
            "DIFFERS  shop/stage2/smoke: the verdict file names the evidence of shop/stage1",
        ],
    ),
}


@pytest.mark.parametrize(("edit", "said"), EDITS.values(), ids=EDITS)
def test_an_edited_verdict_file(failed: Reports, edit: Callable[[dict[str, Any]], object], said: list[str]) -> None:
    again = ["same  shop/stage1/smoke: breached (canary-failed)"]
    assert failed.edited(edit) == ([FLAG, *again, *said, BADLY], 1)


def test_a_check_that_is_moved_to_better_evidence(failed: Reports) -> None:
    better = kept("ok")
    other = "evidence/older.json.gz"
    digest = write_bundle(failed.folder / other, better)

    def move(document: dict[str, Any]) -> None:
        result = recorded(better)["smoke"].to_dict()
        result["derivation"] |= {"evidence": {"file": other, "sha256": digest}}
        check(document).update(result)
        document["decision"] = document["stages"][0]["decision"] = "GO"

    lines, code = failed.edited(move)
    assert "DIFFERS  shop/stage1/smoke: it was judged, and the verdict file does not tell of it" in lines
    assert (lines[-1], code) == (BADLY, 1)


@pytest.mark.parametrize("doubt", ["faults", "pending"])
def test_a_doubtful_run_may_hold_what_its_checks_pass(reports: Reports, doubt: str) -> None:
    def hold(document: dict[str, Any]) -> None:
        document["decision"] = "HOLD"
        if doubt == "faults":
            document["stages"][0]["decision"] = "HOLD"
        else:
            document["complete"] = False

    assert reports.edited(hold) == (WELL, 0)


def test_a_check_that_was_run_again(reports: Reports) -> None:
    def rerun(document: dict[str, Any]) -> None:
        check(document)["message"] += " (run 2 times)"

    assert reports.edited(rerun) == (WELL, 0)


def test_a_pass_that_a_teardown_took_away(reports: Reports) -> None:
    def revoke(document: dict[str, Any]) -> None:
        taken = CheckResult(verdict=Verdict.ERROR, reason=Reason.TEST_ERROR, message="teardown failed")
        check(document).update(taken.to_dict())
        document["decision"] = document["stages"][0]["decision"] = "HOLD"

    assert reports.edited(revoke) == (WELL, 0)


def test_a_python_test_names_the_evidence_of_its_gate(reports: Reports) -> None:
    def as_test(document: dict[str, Any]) -> None:
        removed_flag = [one for one in document["stages"][0]["checks"] if one["id"] == "smoke"]
        removed_flag[0].update(id="test_shop.py::test_smoke", kind="test")
        plain = CheckResult(verdict=Verdict.PASSED, reason=Reason.WITHIN_LIMIT, message="the test passed").to_dict()
        document["stages"][0]["checks"] = [*removed_flag, {"id": "test_plain", "kind": "test", "nodeid": "", **plain}]

    assert reports.edited(as_test) == (WELL, 0)

    def forged(document: dict[str, Any]) -> None:
        as_test(document)
        document["stages"][0]["checks"][0]["message"] = "fine"

    lines, code = reports.edited(forged)
    assert lines[2] == (
        "DIFFERS  shop/stage1/test_shop.py::test_smoke: the verdict file says otherwise than the evidence that it "
        "names: passed: fine"
    )
    assert code == 1


# --- what is no verdict file ----------------------------------------------------------------------------------


def test_no_evidence_at_all(reports: Reports) -> None:
    def strip(document: dict[str, Any]) -> None:
        for one in document["stages"][0]["checks"]:
            del one["derivation"]["evidence"]

    said = f"rollout: {reports.path} names no evidence; only gates of a plan keep some"
    assert reports.edited(strip) == ([said], 2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not a verdict document: Expecting value: line 1 column 1 (char 0); run the stage again"),
        ("[]", "not a verdict document: not a JSON object; run the stage again"),
        ("{}", "not a verdict document: KeyError('stages')"),
        ('{"stages": 5}', "not a verdict document: TypeError(\"'int' object is not iterable\")"),
        ('{"stages": [{"checks": [{}]}]}', "not a verdict document: KeyError('derivation')"),
        ('{"stages": [{"checks": ["x"]}]}', 'not a verdict document: TypeError("string indices must be integers'),
        ('{"stages": [{"checks": [{"derivation": 5}]}]}', "not a verdict document: AttributeError("),
    ],
)
def test_what_is_no_verdict_file(reports: Reports, text: str, said: str) -> None:
    reports.path.write_text(text)
    (line,), code = reports.said()
    assert (line[: len(f"rollout: {reports.path}: {said}")], code) == (f"rollout: {reports.path}: {said}", 2)


def test_strange_words_in_a_verdict_file(reports: Reports) -> None:
    (line,), code = reports.edited(lambda one: one.update(decision="YES"))
    assert (line, code) == (
        f"rollout: {reports.path}: not a verdict document: ValueError(\"'YES' is not a valid Decision\")",
        2,
    )


def test_no_file(reports: Reports) -> None:
    nowhere = reports.folder / "nowhere.json"
    said = f"rollout: {nowhere}: not read: No such file or directory; run the stage to make it"
    assert reports.said(nowhere) == ([said], 2)


def test_the_verdict_file_holds_what_json_can(reports: Reports) -> None:
    assert json.loads(reports.path.read_text()) == reports.document
