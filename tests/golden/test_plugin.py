"""Golden cases in pytest: items, modes, blessing, and runs that must not pass."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_rollout.evidence.log import EvidenceLog
from pytest_rollout.evidence.record import Kind
from pytest_rollout.golden import learn
from tests.golden.corpora import ENDPOINT, INVALID, MODES, VALID, Json, case, changed, write_corpus
from tests.golden.served import served
from tests.golden.target import Target, reply

ROOT = Path(__file__).parents[2]
QUICK = {**ENDPOINT["metrics"], "control": "20ms", "settle": "500ms", "hold": "20ms"}
SERVED = {**ENDPOINT, "instances": "${STAGES}", "metrics": QUICK, "mode": {**ENDPOINT["mode"], "hold": "20ms"}}
PLAIN = ("-p", "no:playwright", "-p", "no:cacheprovider", "--strict-markers")
NEW: Json = case(
    "new",
    "valid",
    ["seed"],
    expect={"off": {"status": 201}, **{mode: {"status": 201, "same_as": {"mode": "off"}} for mode in MODES[1:]}},
)


@pytest.fixture
def target() -> Target:
    return Target()


@pytest.fixture
def bench(pytester: pytest.Pytester, target: Target, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.Pytester]:
    """Return a folder with a corpus whose target is up."""
    monkeypatch.setattr(learn, "SPAN", 0.02)
    for name in [name for name in os.environ if name.startswith(("PYTEST_XDIST", "ROLLOUT_"))] + ["CI"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    write_corpus(pytester.path / "golden", (VALID, INVALID), SERVED)
    with served(target) as places:
        monkeypatch.setenv("STAGES", places)
        yield pytester


def outcomes(result: pytest.RunResult) -> dict[str, int]:
    return {name: number for name, number in result.parseoutcomes().items() if name in ("passed", "failed", "errors")}


def test_a_healthy_target_passes(bench: pytest.Pytester) -> None:
    result = bench.runpytest_inprocess(*PLAIN, "-v", "golden")
    assert outcomes(result) == {"passed": 2 * 4 + 1}
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "golden/stages/endpoint.json::modes PASSED*",
            "golden/stages/ok.json::off PASSED*",
            "golden/stages/ok.json::matrix PASSED*",
            "stages: 2 covered, 2 declared but no case (*reports/golden/stages.coverage.txt)",
        ]
    )
    assert "declared but no case" in (bench.path / "reports/golden/stages.coverage.txt").read_text()


def test_a_mode_is_chosen_by_its_marker(bench: pytest.Pytester, target: Target) -> None:
    result = bench.runpytest_inprocess(*PLAIN, "-m", "enforce", "golden")
    assert outcomes(result) == {"passed": 2}
    set_modes = {request.content for _, request in target.asked if request.method == "PUT"}
    assert set_modes == {b'{"mode":"enforce"}', b'{"mode":"off"}'}


def test_one_case_is_sent_alone(bench: pytest.Pytester, target: Target) -> None:
    result = bench.runpytest_inprocess(*PLAIN, "golden/stages/typo.json::warn")
    assert outcomes(result) == {"passed": 1}
    assert {request.content for _, request in target.asked if request.method == "POST"} == {b'{"stages":["sed"]}'}


def test_nothing_passes_against_a_foreign_server(bench: pytest.Pytester, target: Target) -> None:
    target.title = "Other"
    result = bench.runpytest_inprocess(*PLAIN, "-m", "enforce", "golden")
    assert outcomes(result) == {"failed": 2}
    assert {request.method for _, request in target.asked} == {"GET"}
    result.stdout.fnmatch_lines(["*target-not-proven*"])


def test_an_echo_of_anything_passes_nothing(bench: pytest.Pytester, target: Target) -> None:
    target.bend = lambda *_: reply({"status": "ok", "mode": "enforce"})
    assert outcomes(bench.runpytest_inprocess(*PLAIN, "golden")) == {"failed": 2 * 4 + 1}


def test_an_address_that_is_not_set_is_an_error(bench: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STAGES")
    result = bench.runpytest_inprocess(*PLAIN, "golden")
    assert outcomes(result) == {"failed": 9}
    result.stdout.fnmatch_lines(["*stages: the environment variable STAGES is not set; export it*"])


def sandbox_state(folder: Path, **variables: str) -> str:
    """Write the state file of a sandbox."""
    names = ("target", "prometheus", "pushgateway", "flags", "flags_token")
    words = {**dict.fromkeys(names, "x"), "system": "normalization", "faults": [], "variables": variables}
    (folder / "state.json").write_text(json.dumps(words))
    return str(folder / "state.json")


def test_a_sandbox_that_is_up_says_where_it_is(bench: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLLOUT_SANDBOX", sandbox_state(bench.path, STAGES=os.environ["STAGES"]))
    monkeypatch.setenv("STAGES", "http://127.0.0.1:9")
    assert outcomes(bench.runpytest_inprocess(*PLAIN, "-m", "warn", "golden")) == {"passed": 2}
    elsewhere = bench.runpytest_inprocess(*PLAIN, "-m", "warn", "--rollout-env", "staging", "golden")
    assert outcomes(elsewhere) == {"failed": 2}


def test_a_sandbox_that_is_gone_is_an_error(bench: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLLOUT_SANDBOX", str(bench.path / "gone.json"))
    result = bench.runpytest_inprocess(*PLAIN, "golden")
    assert outcomes(result) == {"failed": 9}
    result.stdout.fnmatch_lines(["*no sandbox is described by *gone.json*"])


def test_a_difference_is_shown_and_received(bench: pytest.Pytester, target: Target) -> None:
    target.bend = lambda _i, r, g: reply({**g.json(), "stages": []}, g.status) if r.method == "POST" else g
    result = bench.runpytest_inprocess(*PLAIN, "golden/stages/ok.json")
    assert ': /stages: value: expected ["seed"], got [] [equals at /stages]' in result.stdout.str()
    result.stdout.fnmatch_lines(["ok: received *reports/golden/stages/ok.received.json"])
    assert result.ret == 1


def test_a_wrong_file_is_named_with_its_place(bench: pytest.Pytester) -> None:
    (bench.path / "golden/stages/ok.json").write_text(json.dumps({**VALID, "kind": "x"}, indent=1))
    result = bench.runpytest_inprocess(*PLAIN, "golden")
    assert result.ret == 2
    result.stdout.fnmatch_lines(["*ok.json:4:10: unknown kind 'x'; known here: alias, invalid, malformed, valid*"])


def test_two_cases_of_one_id_are_an_error(bench: pytest.Pytester) -> None:
    other = bench.path / "golden/other"
    other.mkdir()
    (other / "endpoint.json").write_text(json.dumps({**SERVED, "endpoint": "other"}))
    (other / "ok.json").write_text(json.dumps(VALID, indent=2))
    result = bench.runpytest_inprocess(*PLAIN, "golden")
    assert result.ret == 2
    result.stdout.fnmatch_lines(["*ok.json:3:9: the id 'ok' is that of another case: *"])


def test_two_folders_of_one_name_are_two_corpora(bench: pytest.Pytester) -> None:
    """Each has an item of the same name; neither may take over what the other showed."""
    alike = {**changed(VALID, "/id", "other"), "expect": dict.fromkeys(MODES, VALID["expect"]["off"])}
    write_corpus(bench.path / "golden" / "again", [alike], SERVED)
    result = bench.runpytest_inprocess(*PLAIN, "golden", "-k", "modes")
    assert outcomes(result) == {"passed": 1, "failed": 1}
    result.stdout.fnmatch_lines(["*modes: INCONCLUSIVE (modes-alike)*"])
    assert result.ret == 1


def test_collecting_asks_nobody(bench: pytest.Pytester, target: Target) -> None:
    result = bench.runpytest_inprocess(*PLAIN, "--collect-only", "-q", "golden")
    assert result.ret == 0
    assert target.asked == []


def test_workers_share_one_run(bench: pytest.Pytester, target: Target) -> None:
    result = bench.runpytest_subprocess(*PLAIN, "-n", "2", "golden")
    assert outcomes(result) == {"passed": 9}
    posts = [(instance, request.content) for instance, request in target.asked if request.method == "POST"]
    assert len(posts) == 2 * 3 * 2
    assert sum("stages: 2 covered" in line for line in result.outlines) == 1


def test_other_json_files_are_left_alone(bench: pytest.Pytester) -> None:
    (bench.path / "data.json").write_text("{")
    assert outcomes(bench.runpytest_inprocess(*PLAIN, "-o", "rollout_goldens=golden")) == {"passed": 9}


def test_a_run_from_the_root_collects_only_the_places_that_the_project_names(bench: pytest.Pytester) -> None:
    result = bench.runpytest_inprocess(*PLAIN)
    assert result.ret == 2
    said = "these golden cases were not found before collection; add their folder to the ini key rollout_goldens"
    result.stdout.fnmatch_lines([f"stages: {said}, or give it as an argument"])


def test_an_endpoint_file_of_somebody_else_is_left_alone(bench: pytest.Pytester) -> None:
    other = bench.mkdir("mocks")
    (other / "endpoint.json").write_text('{"url": "/x"}')
    (other / "data.json").write_text("{")
    assert outcomes(bench.runpytest_inprocess(*PLAIN, "-o", "rollout_goldens=golden")) == {"passed": 9}


@pytest.mark.parametrize("words", [("-m", "enforce and not golden"), ("-k", "nothing")])
def test_a_run_that_selects_nothing_does_not_succeed(bench: pytest.Pytester, words: tuple[str, ...]) -> None:
    assert bench.runpytest_inprocess(*PLAIN, *words, "golden").ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_an_unknown_mode_does_not_succeed(bench: pytest.Pytester) -> None:
    assert bench.runpytest_inprocess(*PLAIN, "-m", "enfroce", "golden").ret == pytest.ExitCode.USAGE_ERROR


# --- blessing -----------------------------------------------------------------------------------------------


@pytest.fixture
def committed(bench: pytest.Pytester) -> pytest.Pytester:
    """Return a bench in git, with a case whose golden is missing."""
    write_corpus(bench.path / "golden", (VALID, INVALID, NEW), SERVED)
    (bench.path / ".gitignore").write_text("reports\n.rollout\n__pycache__\n.pytest_cache\nstd*\nrunpytest*\n")
    commit(bench.path)
    return bench


def commit(folder: Path) -> None:
    names = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "."], [*names, "commit", "-qm", "x"]):
        subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True)


BLESS = ("--golden-bless", "new", "--golden-reason", "looked at it", "golden")


def test_a_blessed_case_passes_in_the_next_run_only(committed: pytest.Pytester) -> None:
    assert outcomes(committed.runpytest_inprocess(*PLAIN, "golden")) == {"passed": 10, "failed": 3}
    result = committed.runpytest_inprocess(*PLAIN, *BLESS)
    assert outcomes(result) == {"passed": 9, "failed": 4}
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*new was blessed in this run; have it reviewed, and run again without blessing*"])
    result.stdout.fnmatch_lines(["new: blessed *golden/stages/new.json"])
    assert json.loads((committed.path / "golden/stages/new.json").read_text())["blessed"]["reason"] == "looked at it"
    assert outcomes(committed.runpytest_inprocess(*PLAIN, "golden")) == {"passed": 13}


def test_a_blessing_is_recorded(committed: pytest.Pytester) -> None:
    committed.runpytest_inprocess(*PLAIN, *BLESS)
    (record,) = EvidenceLog(committed.path / ".rollout/evidence.db", create=False).records()
    stamp = json.loads((committed.path / "golden/stages/new.json").read_text())["blessed"]
    assert (record.kind, record.subject, record.data) == (Kind.BLESS, "golden/new", stamp)


def test_a_blessing_that_cannot_be_recorded_is_none(committed: pytest.Pytester) -> None:
    result = committed.runpytest_inprocess(*PLAIN, "--rollout-evidence", "golden", *BLESS)
    result.stdout.fnmatch_lines(["new is not blessed, for the evidence log does not take it: *"])
    assert "blessed" not in json.loads((committed.path / "golden/stages/new.json").read_text())


def test_a_refused_blessing_fails_and_says_why(committed: pytest.Pytester, target: Target) -> None:
    target.bend = lambda _i, r, g: reply({**g.json(), "run": "x"}, g.status) if r.method == "POST" else g
    result = committed.runpytest_inprocess(*PLAIN, *BLESS)
    result.stdout.fnmatch_lines(["new is not blessed: with this golden it would still not pass: *a UUID of version 4*"])
    assert "blessed" not in json.loads((committed.path / "golden/stages/new.json").read_text())


@pytest.mark.parametrize(
    ("words", "environment", "said"),
    [
        (BLESS, {"CI": "true"}, "*--golden-bless: CI is set: *"),
        (("--golden-bless", "new", "golden"), {}, "*--golden-bless: no reason is given: add --golden-reason*"),
        ((*BLESS, "-n", "2"), {}, "*--golden-bless: goldens are blessed in one process; leave -n away, or give -n0*"),
        (("--golden-bless", "nwe", *BLESS[2:]), {}, "*--golden-bless: no case 'nwe'; did you mean 'new'[?]*"),
    ],
)
def test_blessings_that_are_refused_before_anything_is_sent(
    committed: pytest.Pytester, target: Target, words: tuple[str, ...], environment: dict[str, str], said: str
) -> None:
    committed._monkeypatch.setenv("CI", environment.get("CI", ""))
    result = committed.runpytest_inprocess(*PLAIN, *words)
    assert result.ret == 4
    assert target.asked == []
    (result.stderr if result.errlines else result.stdout).fnmatch_lines([said])


def test_a_dirty_tree_is_refused(committed: pytest.Pytester) -> None:
    (committed.path / "notes.txt").write_text("x")
    result = committed.runpytest_inprocess(*PLAIN, *BLESS)
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*the tree has changes that are not committed (notes.txt): commit or undo*"])


# --- learning and proposing ---------------------------------------------------------------------------------


def test_matchers_are_learned_and_not_applied(bench: pytest.Pytester) -> None:
    before = write_corpus(bench.path / "golden", (VALID, INVALID), changed(SERVED, "/match", {})) / "ok.json"
    text = before.read_text()
    result = bench.runpytest_inprocess(*PLAIN, "--golden-learn", "golden/stages/ok.json::off")
    result.stdout.fnmatch_lines(['ok in off: "/run": {"is":"uuid"}  (seen: *)'])
    assert before.read_text() == text


def test_single_faults_are_written_as_cases(bench: pytest.Pytester) -> None:
    result = bench.runpytest_inprocess(*PLAIN, "--golden-propose", "ok=malformed", "golden/stages/ok.json::off")
    result.stdout.fnmatch_lines(["ok: proposed *golden/stages/ok-stages-required.json"])
    again: Any = bench.runpytest_inprocess(*PLAIN, "golden")
    assert outcomes(again)["failed"] >= 10 * 3
