"""Runs that xdist spreads over workers."""

from __future__ import annotations

import json

from tests.plugin.conftest import FLAGS, GATE, OTHER, Bench

STAGE_TESTS = (
    "import pytest\npytestmark = pytest.mark.stage1\n"
    "@pytest.mark.parametrize('number', range(4))\ndef test_it(number): pass\n"
)


def test_a_stage_is_judged_once_and_pushed_once(bench: Bench) -> None:
    bench.plan(GATE, OTHER, flags=FLAGS)
    bench.test(STAGE_TESTS)
    bench.pytester.makeconftest(
        "import os\ndef pytest_rollout_decided():\n"
        "    with open('decided', 'a') as file: file.write(os.environ.get('PYTEST_XDIST_WORKER', 'controller'))"
    )

    result = bench.run_apart("-m", "stage1", "-n3", "--rollout-push", "always")

    assert (result.ret, bench.decision) == (0, "GO")
    tests = [f"test_shop.py::test_it[{number}]" for number in range(4)]
    assert list(bench.checks()) == ["flag-state", "latency", "errors", *tests]
    assert bench.world.push_paths() == ["/metrics/job/pytest_rollout/instance/staging/rollout/shop/stage/stage1"]
    assert (bench.world.queries("latency"), bench.world.queries("errors")) == (1, 1)
    assert (bench.path / "decided").read_text(encoding="utf-8") == "controller"
    assert result.stdout.str().count("shop stage1 in staging: GO") == 1
    assert result.stdout.str().count("rollout: shop, environment staging") == 1


def test_one_process_counts_as_none(bench: Bench) -> None:
    bench.plan()
    bench.test(STAGE_TESTS)

    assert bench.run_apart("-m", "stage1", "-n0").ret == 0
    assert bench.decision == "GO"


def test_a_property_that_xdist_cannot_send_is_no_go(bench: Bench) -> None:
    """xdist itself ends with 0 then, as if there had been nothing to test."""
    bench.plan()
    bench.test(
        "import decimal, pytest\n@pytest.mark.stage1\n"
        "def test_it(record_property):\n    record_property('price', decimal.Decimal(1))\n    assert False"
    )

    result = bench.run_apart("-m", "stage1", "-n1")

    assert "INTERNALERROR" in result.stdout.str() + result.stderr.str()
    assert result.ret != 0
    assert bench.decision == "HOLD"


KILLED = """
import os, signal
from pathlib import Path
def pytest_rollout_gate_evaluated(item):
    if item.name == "{gate}":
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_worker_killed_inside_a_gate_holds(bench: Bench) -> None:
    bench.plan(GATE, OTHER)
    bench.test(STAGE_TESTS)
    bench.pytester.makeconftest(KILLED.format(gate="errors"))

    result = bench.run_apart("-m", "stage1", "-n2")

    assert (result.ret, bench.decision) == (1, "HOLD")
    checks = bench.checks()
    assert checks.pop("errors") == "error crashed"
    assert set(checks.values()) == {"passed within-limit"}


def test_without_any_worker_left_it_holds(bench: Bench) -> None:
    bench.plan(GATE)
    bench.test(STAGE_TESTS)
    bench.pytester.makeconftest(KILLED.format(gate="latency"))

    result = bench.run_apart("-m", "stage1", "-n1", "--max-worker-restart=0")

    assert result.ret != 0
    assert bench.decision == "HOLD"
    assert bench.checks()["latency"] == "error crashed"
    assert bench.document()["faults"][0] == "no worker finished and said which tests belong to the stage"


def test_a_broken_plan_holds_and_says_where(bench: Bench) -> None:
    bench.plan()
    (bench.path / "till.rollout.yaml").write_text("rollout: till\nstages:\n  - stage: 1\n", encoding="utf-8")

    result = bench.run_apart("-m", "stage1", "-n2")

    assert result.ret != 0
    assert bench.decision == "HOLD"
    result.stdout.fnmatch_lines(["till.rollout.yaml:1:1: 'environments' is missing"])
    assert "till.rollout.yaml could not be collected" in bench.document()["faults"]


def test_what_is_left_out_holds(bench: Bench) -> None:
    """-k for a test, --deselect for a gate, --ignore for a file, a conftest without a word: each must be seen."""
    bench.plan(GATE, OTHER)
    bench.pytester.makeconftest(
        "def pytest_collection_modifyitems(items): items[:] = [item for item in items if '[2]' not in item.name]"
    )
    bench.test(STAGE_TESTS)
    bench.test(STAGE_TESTS, "test_till")

    result = bench.run_apart(
        *("-m", "stage1", "-n2", "-k", "not 3", "--ignore", "test_till.py"),
        *("--deselect", "shop.rollout.yaml::stage1::errors"),
    )

    assert (result.ret, bench.decision) == (1, "HOLD")
    checks = bench.checks()
    assert checks.pop("errors") == "inconclusive not-reported"
    assert checks.pop("test_shop.py::test_it[3]") == "inconclusive not-reported"
    assert checks.pop("test_shop.py::test_it[2]") == "inconclusive not-reported"
    assert set(checks.values()) == {"passed within-limit"}
    assert bench.document()["faults"] == [
        "test_till.py speaks of stage1 and was not collected as a whole; run the folder of the plan"
    ]


def test_the_first_failure_stops_and_holds_the_rest(bench: Bench) -> None:
    bench.plan()
    bench.test("import pytest\npytestmark = pytest.mark.stage1\ndef test_it(): raise OSError('no route')")

    result = bench.run_apart("-m", "stage1", "-n1", "-x")

    assert result.ret != 0
    assert bench.decision == "HOLD"


def test_a_gate_in_a_python_test_is_reported_from_the_worker(bench: Bench) -> None:
    bench.plan()
    bench.world.values["speed"] = 9
    bench.test(
        "import pytest\n@pytest.mark.stage1\ndef test_it(rollout_gate): rollout_gate.promql('speed', below=5)\n"
        "@pytest.mark.stage1\ndef test_sub(subtests):\n    with subtests.test(): pytest.skip('not this')"
    )

    result = bench.run_apart("-m", "stage1", "-n1", "--junitxml=junit.xml")

    assert (result.ret, bench.decision) == (1, "NO-GO")
    assert bench.checks() == {
        "latency": "passed within-limit",
        "test_shop.py::test_it": "breached limit-breached",
        "test_shop.py::test_sub": "inconclusive skipped",
    }
    properties = (bench.path / "junit.xml").read_text(encoding="utf-8")
    assert '<property name="rollout.check" value="shop/stage1/latency" />' in properties
    assert '<property name="rollout.verdict" value="breached" />' in properties


def test_every_property_is_of_a_kind_that_xdist_can_send(bench: Bench) -> None:
    bench.plan(GATE, OTHER, flags=FLAGS)
    bench.world.values["errors"] = 3
    bench.test("import pytest\n@pytest.mark.stage1\ndef test_it(absent): pass")
    bench.pytester.makeconftest(
        """
        import json
        def pytest_runtest_logreport(report):
            for name, value in report.user_properties:
                assert type(name) is str and type(value) is str, (name, value)
                open("seen", "a").write(json.dumps(name) + "\\n")
        """
    )

    assert bench.run("-m", "stage1").ret == 1

    seen = {json.loads(line) for line in (bench.path / "seen").read_text(encoding="utf-8").splitlines()}
    named = ("check", "verdict", "reason", "result", "evidence", "fault")
    assert seen == {f"rollout.{name}" for name in named}
