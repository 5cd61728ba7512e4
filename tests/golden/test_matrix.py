"""One verdict of a whole corpus."""

from __future__ import annotations

from pathlib import Path

from pytest_rollout.golden.matrix import judge_corpora
from pytest_rollout.golden.wire import RawRequest, Reply
from pytest_rollout.verdict import Reason, Verdict
from tests.golden.corpora import ALIAS, INVALID, MALFORMED, VALID
from tests.golden.runs import run
from tests.golden.target import Target, reply


def test_a_corpus_passes_if_all_of_it_does(tmp_path: Path) -> None:
    result = judge_corpora([run(tmp_path).matrix()])
    assert (result.verdict, result.samples) == (Verdict.PASSED, 4)
    assert result.message == "4 cases, 17 results: all as expected"
    assert result.derivation["results"] == {"passed": 17, "breached": 0, "inconclusive": 0, "error": 0}


def test_the_worst_result_is_that_of_the_corpus(tmp_path: Path) -> None:
    target = Target(deaf={"http://two"})
    target.instances["http://two"].mode = "warn"
    result = judge_corpora([run(tmp_path, target=target).matrix()])
    assert (result.verdict, result.reason) == (Verdict.INCONCLUSIVE, Reason.MODE_NOT_CONFIRMED)
    assert result.message.splitlines()[0] == "17 of 17 results do not pass"
    assert result.message.splitlines()[-1] == "+7 more"


def test_no_case_at_all_is_no_pass(tmp_path: Path) -> None:
    assert judge_corpora([]).reason is Reason.NO_DATA
    assert judge_corpora([run(tmp_path, []).matrix()]).reason is Reason.NO_DATA


def test_a_run_that_blessed_never_passes(tmp_path: Path) -> None:
    result = judge_corpora([run(tmp_path).matrix()], blessed=["ok", "typo"])
    assert (result.verdict, result.reason) == (Verdict.INCONCLUSIVE, Reason.BLESSED_NOW)
    assert result.message == "this run blessed ok, typo; have it reviewed and run again without blessing"


def test_modes_that_no_case_tells_apart_may_be_one(tmp_path: Path) -> None:
    modes = run(tmp_path, [VALID, MALFORMED]).matrix().modes
    assert (modes.verdict, modes.reason) == (Verdict.INCONCLUSIVE, Reason.MODES_ALIKE)
    assert modes.message.splitlines() == [
        f"#mode: modes-alike: expected a case that {one} and {other} answer differently, got none does [matrix]"
        for one, other in (("off", "warn"), ("off", "enforce"), ("warn", "enforce"))
    ]
    only = run(tmp_path / "alias", [VALID, ALIAS]).matrix().modes
    assert [line.split("answer")[0] for line in only.message.splitlines()] == [
        "#mode: modes-alike: expected a case that warn and enforce "
    ]
    assert run(tmp_path / "typo", [VALID, INVALID]).matrix().modes.verdict is Verdict.PASSED


def test_only_a_case_that_passes_tells_modes_apart(tmp_path: Path) -> None:
    target = Target()

    def bent(instance: str, request: RawRequest, given: Reply) -> Reply:
        if request.method == "POST" and target.instances[instance].mode == "warn":
            return reply({"error": "broken"}, 500)
        return given

    target.bend = bent
    modes = run(tmp_path, [VALID, INVALID], target=target).matrix().modes
    assert [line.split("that ")[1].split(" answer")[0] for line in modes.message.splitlines()] == [
        "off and warn",
        "warn and enforce",
    ]


def test_modes_that_differ_in_a_header_alone_are_told_apart(tmp_path: Path) -> None:
    # off and warn give the same body for a typo: only the headers are not the same.
    assert run(tmp_path, [VALID, INVALID]).outcome("typo").matrix.verdict is Verdict.PASSED
    assert run(tmp_path, [VALID, INVALID]).matrix().modes.verdict is Verdict.PASSED
