"""--rollout-canary: one canary, all of it, its outcome in the evidence log."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_rollout.evidence.log import EvidenceLog
from pytest_rollout.evidence.record import Kind, Record
from pytest_rollout.plan.loader import load_plan
from tests.plugin.conftest import FLAGS, Bench
from tests.plugin.saboteurs import CONFTESTS

HEAD = """
import pytest
pytestmark = pytest.mark.canary("smoke")
@pytest.fixture
def broken(): raise OSError("no route")
@pytest.fixture
def untidy():
    yield
    raise OSError("cannot tidy up")
@pytest.fixture
def late():
    yield
    assert False, "left something behind"
@pytest.fixture
def leaving():
    yield
    pytest.exit("enough", returncode=0)
def test_fine(): pass
"""


def records(bench: Bench) -> list[Record]:
    log = EvidenceLog(bench.path / ".rollout" / "evidence.db", create=False)
    return [record for record in log.records() if record.kind is Kind.CANARY_RUN]


def runs(bench: Bench) -> list[dict[str, Any]]:
    return [dict(record.data) for record in records(bench)]


@pytest.mark.parametrize(
    ("source", "outcome", "message"),
    [
        ("def test_it(): pass", "ok", "passed"),
        ("def test_it(): assert 1 == 2", "failed", "test_it: assert 1 == 2"),
        ("def test_it(): raise OSError('no route')", "error", "test_it: call failed: OSError: no route"),
        ("def test_it(broken): pass", "error", "test_it: setup failed: OSError: no route"),
        ("def test_it(untidy): pass", "error", "test_it: teardown failed: OSError: cannot tidy up"),
        ("def test_it(late): pass", "failed", "test_it: AssertionError: left something behind*"),
        ("def test_it(): pytest.skip('later')", "error", "test_it: skipped: later; a skipped check proves nothing"),
        ("@pytest.mark.xfail\ndef test_it(): assert 0", "error", "test_it: marked xfail, so neither outcome proves*"),
        ("@pytest.mark.xfail\ndef test_it(): pass", "error", "test_it: marked xfail, so neither outcome proves*"),
        ("def test_it(): raise OSError('x')\ndef test_z(): assert 0", "failed", "test_z: assert 0"),
        (
            "def test_it(subtests):\n    with subtests.test('one'): assert 1 == 2",
            "failed",
            "test_it: assert 1 == 2",
        ),
        (
            "def test_it(subtests):\n    with subtests.test('one'): pytest.skip('later')",
            "error",
            "test_it: skipped: later; a skipped check proves nothing",
        ),
        ("def test_it(): pytest.exit('enough', returncode=0)", "error", "the run was stopped before its end"),
        ("def test_it(leaving): pass", "error", "the run was stopped before its end"),
        ("def test_it(rollout_gate): rollout_gate.promql('errors', above=0)", "failed", "test_it: the value 0 is not*"),
        ("import surely_not_there", "error", "*"),
    ],
)
def test_outcomes(bench: Bench, source: str, outcome: str, message: str) -> None:
    bench.plan()
    bench.test(HEAD + source)

    result = bench.run("-m", "canary", "--rollout-canary", "smoke")

    (record,) = records(bench)
    run = record.data
    assert (record.subject, record.place.rollout, record.place.environment) == ("smoke", "shop", "staging")
    assert run["outcome"] == outcome
    pytest.LineMatcher([run["message"]]).fnmatch_lines([message])
    assert (result.ret == 0) is (outcome == "ok")
    assert not bench.verdict_path.exists()
    assert 0 < run["ended_at"] - run["started_at"] < 60


def test_only_the_canary_asked_for_is_run(bench: Bench) -> None:
    bench.plan()
    bench.test(HEAD)
    bench.test("import pytest\n@pytest.mark.canary('other')\ndef test_other(): assert False", "test_other")
    bench.test("def test_plain(): assert False", "test_plain")

    result = bench.run("--rollout-canary", "smoke")

    assert result.ret == 0
    result.assert_outcomes(passed=1, deselected=3)
    assert [run["outcome"] for run in runs(bench)] == ["ok"]


@pytest.mark.parametrize(
    "arguments",
    [
        (".", "-k", "test_fine"),
        (".", "--deselect", "test_shop.py::test_it"),
        ("test_shop.py::test_fine", "shop.rollout.yaml"),
        ("test_shop.py", "shop.rollout.yaml"),
        (".", "-m", "canary and not slow"),
    ],
    ids=" ".join,
)
def test_a_part_of_a_canary_proves_nothing(bench: Bench, arguments: tuple[str, ...]) -> None:
    bench.plan()
    bench.test(HEAD + "@pytest.mark.slow\ndef test_it(): pass")
    bench.pytester.makeconftest("def pytest_configure(config): config.addinivalue_line('markers', 'slow: it is')")

    result = bench.run("--rollout-canary", "smoke", *arguments)

    (run,) = runs(bench)
    assert result.ret == 1
    assert run["outcome"] == "error"
    assert run["message"] == "only a part of canary smoke was selected, so the run proves nothing"


@pytest.mark.parametrize("name", ["makes every report a pass", "drops everything", "drops items without a word"])
def test_no_conftest_makes_a_failed_canary_ok(bench: Bench, name: str) -> None:
    bench.plan()
    bench.test(HEAD + "def test_it(): assert False")
    bench.pytester.makeconftest(CONFTESTS[name])

    result = bench.run("-m", "canary", "--rollout-canary", "smoke")

    (run,) = runs(bench)
    assert result.ret != 0
    assert run["outcome"] != "ok"


def test_a_canary_that_is_not_there_is_an_error(bench: Bench) -> None:
    bench.plan()
    bench.test(HEAD)

    result = bench.run("-m", "canary", "--rollout-canary", "smok")

    (record,) = records(bench)
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert (record.subject, record.data["outcome"]) == ("smok", "error")
    assert record.data["message"] == "pytest ended with exit status 5"


def test_a_run_that_cannot_be_recorded_does_not_succeed(bench: Bench) -> None:
    bench.plan()
    bench.test(HEAD)
    (bench.path / ".rollout").write_text("in the way", encoding="utf-8")

    result = bench.run("-m", "canary", "--rollout-canary", "smoke")

    assert result.ret == 1
    result.stdout.fnmatch_lines(["canary smoke: the evidence log * cannot be used (*--rollout-evidence"])


@pytest.mark.parametrize(
    ("plans", "arguments", "said"),
    [
        ((), (), "--rollout-canary needs the folder of exactly one plan as argument; found none"),
        (("shop", "till"), (), "*; found shop.rollout.yaml, till.rollout.yaml"),
        (("shop",), ("-n1",), "--rollout-canary runs in one process; leave -n away, or give -n0"),
    ],
    ids=["no plan", "two plans", "xdist"],
)
def test_wrong_use(bench: Bench, plans: tuple[str, ...], arguments: tuple[str, ...], said: str) -> None:
    for rollout in plans:
        bench.plan(rollout=rollout)
    bench.test(HEAD)

    result = bench.run("--rollout-canary", "smoke", *arguments)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{said}"])
    assert not (bench.path / ".rollout").exists()


def test_pictures_are_recorded_with_the_run(bench: Bench) -> None:
    bench.plan()
    bench.test(HEAD + "def test_it(record_property): record_property('playwright_screenshot', 'shots/one.png')")

    assert bench.run("-m", "canary", "--rollout-canary", "smoke").ret == 0
    assert runs(bench)[0]["attachments"] == [str(bench.path / "shots" / "one.png")]


@pytest.mark.parametrize(
    ("source", "said", "decision"),
    [
        ("def test_it(): pass", "passed within-limit", "GO"),
        ("def test_it(): assert False", "breached canary-failed", "NO-GO"),
        ("def test_it(): raise OSError('x')", "error canary-error", "HOLD"),
        ("import os, signal\ndef test_it(): os.kill(os.getpid(), signal.SIGKILL)", "error canary-error", "HOLD"),
    ],
    ids=["passes", "fails", "errors", "dies"],
)
def test_a_gate_runs_its_canary(bench: Bench, source: str, said: str, decision: str) -> None:
    bench.plan({"id": "smoke", "canary": {"name": "smoke"}})
    bench.test(HEAD + source)

    result = bench.run("-m", "stage1")

    assert bench.checks() == {"smoke": said}
    assert (result.ret, bench.decision) == (int(decision != "GO"), decision)
    assert (bench.path / "reports" / "canaries" / "smoke.log").is_file()


def test_a_run_belongs_to_a_version_of_the_plan_and_a_state_of_its_flags(bench: Bench) -> None:
    path = bench.plan(flags={"READS": {"value": True, "cohort": "admin"}})
    bench.test(HEAD)

    bench.run("-m", "canary", "--rollout-canary", "smoke")

    (run,) = runs(bench)
    assert run["plan"] == load_plan(path).digest
    assert run["flags"] == {"READS@admin": True}
    assert (run["slot"], run["attempt"], run["retryable"], run["overran"]) == (None, 1, False, False)


TURN = "    httpx.post(rollout_target.url + '/ofrep/v1/evaluate/flags/READS?turned')"


def test_a_flag_that_turns_in_the_middle_makes_it_an_error(bench: Bench) -> None:
    bench.plan(flags=FLAGS)
    bench.test(HEAD + "import httpx\ndef test_it(rollout_target):\n" + TURN)

    result = bench.run("-m", "canary", "--rollout-canary", "smoke")

    (run,) = runs(bench)
    assert result.ret == 1
    assert (run["outcome"], run["flags"]) == ("error", {"READS@*": None})
    assert run["message"] == "READS turned from True to False for '*' during the run, so the run proves nothing"


def test_flags_that_cannot_be_read_are_unknown(bench: Bench) -> None:
    bench.plan(flags=FLAGS)
    bench.test(HEAD)
    bench.world.statuses["flags"] = 400

    bench.run("-m", "canary", "--rollout-canary", "smoke")

    (run,) = runs(bench)
    assert (run["outcome"], run["flags"]) == ("ok", {"READS@*": None})


def test_credentials_of_a_url_are_not_kept(bench: Bench) -> None:
    bench.plan()
    bench.test(HEAD + "def test_it(): assert not 'GET http://bob:hunter2@shop/ answered 500'")

    bench.run("-m", "canary", "--rollout-canary", "smoke")

    (run,) = runs(bench)
    assert "GET http://shop/ answered 500" in run["message"]
    assert b"hunter2" not in (bench.path / ".rollout" / "evidence.db").read_bytes()


def test_a_canary_is_tried_once(bench: Bench) -> None:
    bench.plan()
    bench.test(HEAD + "seen = []\ndef test_it():\n    seen.append(1)\n    assert len(seen) > 1")

    assert bench.run("-m", "canary", "--rollout-canary", "smoke", "--reruns=1").ret == 1

    (run,) = runs(bench)
    assert (run["outcome"], run["retryable"]) == ("error", False)
    assert "was run again, which a canary never is" in run["message"]


REFUSED = "    raise ConnectionRefusedError('nobody')\n"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def test_it():\n" + REFUSED, True),
        ("def test_it(rollout_attempt):\n    rollout_attempt.begin_side_effect()\n" + REFUSED, False),
        ("def test_it():\n" + REFUSED + "def test_z(): assert 0", False),
        ("def test_it():\n" + REFUSED + "def test_z(): pytest.exit('enough')", False),
        ("def test_it(): raise OSError('x')", False),
        ("def test_it(): assert 0", False),
        ("def test_it(): pass", False),
    ],
    ids=["transport", "after a side effect", "and a failure", "and an end", "another error", "failure", "pass"],
)
def test_only_a_fault_of_the_transport_before_any_side_effect_can_be_retried(
    bench: Bench, source: str, expected: bool
) -> None:
    bench.plan()
    bench.test(HEAD + source)

    bench.run("-m", "canary", "--rollout-canary", "smoke")

    (run,) = runs(bench)
    assert run["retryable"] is expected


def test_a_scheduled_run_says_which_slot_and_attempt_it_was(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RUN": "abc-2", "SLOT": "1790000100.0", "ATTEMPT": "2"}.items():
        monkeypatch.setenv(f"ROLLOUT_CANARY_{name}", value)
    bench.plan()
    bench.test(HEAD + "def test_it(rollout_attempt): assert rollout_attempt.key == 'smoke-1790000100-2'")

    assert bench.run("-m", "canary", "--rollout-canary", "smoke").ret == 0

    (run,) = runs(bench)
    assert (run["run_id"], run["slot"], run["attempt"]) == ("abc-2", 1790000100.0, 2)


def test_the_attempt_is_the_same_for_every_test_of_a_run(bench: Bench) -> None:
    bench.plan()
    bench.test(
        HEAD
        + "seen = []\ndef test_a(rollout_attempt): seen.append(rollout_attempt)\n"
        + "def test_b(rollout_attempt): assert seen == [rollout_attempt]"
    )
    assert bench.run("-m", "canary", "--rollout-canary", "smoke").ret == 0


def test_without_a_recorder_an_attempt_is_named_after_the_canary(bench: Bench) -> None:
    bench.plan()
    bench.test(HEAD + "def test_a(rollout_attempt): assert rollout_attempt.key.startswith('smoke-')")
    assert bench.run("-m", "canary").ret == 0
