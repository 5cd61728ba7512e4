"""Removing any part of the evidence never turns a non-GO into a GO, whoever removes it and how."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import FLAGS, GATE, OTHER, Bench
from tests.plugin.saboteurs import CONFTESTS

STAGE_TEST = "import pytest\npytestmark = pytest.mark.stage1\ndef test_it(): pass\n"
SKIP_ALL = """
import pytest
def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(pytest.mark.{mark})
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ("-k", "latency"),
        ("--deselect", "shop.rollout.yaml::stage1::errors"),
        ("-m", "stage1 and not rollout_gate"),
        ("shop.rollout.yaml::stage1::latency",),
        ("shop.rollout.yaml::stage1::latency", "shop.rollout.yaml::stage1::flag-state"),
        ("--ignore", "shop.rollout.yaml"),
        ("--ignore-glob", "*.yaml"),
        ("--maxfail=1", "-k", "latency"),
    ],
    ids=" ".join,
)
def test_a_deselected_gate_holds(bench: Bench, arguments: tuple[str, ...]) -> None:
    bench.plan(GATE, OTHER, flags=FLAGS)
    bench.test(STAGE_TEST)
    # What would have been a NO-GO, had it been looked at.
    bench.world.values["errors"] = 3

    result = bench.run("-m", "stage1", *arguments)

    assert result.ret != 0
    assert bench.decision == "HOLD"
    assert "passed" not in bench.checks()["errors"]


def test_deselection_says_so(bench: Bench) -> None:
    bench.plan(GATE, OTHER)

    bench.run("-m", "stage1", "-k", "latency")

    assert bench.checks() == {"latency": "passed within-limit", "errors": "inconclusive deselected"}


@pytest.mark.parametrize(
    ("mark", "reason"),
    [
        ("skip(reason='not now')", "skipped"),
        ("skipif(True, reason='not now')", "skipped"),
        ("xfail", "xfailed"),
        ("xfail(run=False)", "xfailed"),
        ("xfail(strict=False, reason='known')", "xfailed"),
    ],
)
def test_marks_that_make_pytest_green_hold(bench: Bench, mark: str, reason: str) -> None:
    bench.plan(GATE, OTHER)
    bench.world.values["errors"] = 3
    bench.pytester.makeconftest(SKIP_ALL.format(mark=mark))

    result = bench.run("-m", "stage1")

    assert (result.ret, bench.decision) == (1, "HOLD")
    assert bench.checks() == dict.fromkeys(("latency", "errors"), f"inconclusive {reason}")
    assert "INTERNALERROR" not in result.stdout.str()


def test_a_skip_mark_on_one_gate_names_its_reason(bench: Bench) -> None:
    bench.plan(GATE, OTHER)
    bench.pytester.makeconftest(SKIP_ALL.format(mark="skip(reason='later')").replace("in items:", "in items[:1]:"))

    result = bench.run("-m", "stage1", "-rs")

    assert bench.checks() == {"latency": "inconclusive skipped", "errors": "passed within-limit"}
    assert bench.document()["stages"][0]["checks"][0]["message"] == "skipped: later; a skipped check proves nothing"
    assert result.ret == 1


@pytest.mark.parametrize("source", CONFTESTS.values(), ids=CONFTESTS.keys())
def test_no_conftest_makes_a_breached_gate_a_go(bench: Bench, source: str) -> None:
    bench.plan(GATE, OTHER)
    bench.world.values["errors"] = 3
    bench.pytester.makeconftest(source)

    result = bench.run("-m", "stage1")

    assert result.ret != 0
    assert bench.decision in {"HOLD", "NO-GO"}


@pytest.mark.parametrize(("kind", "decision"), [("test", "NO-GO"), ("setup", "HOLD"), ("teardown", "NO-GO")])
def test_no_conftest_makes_a_failed_stage_test_a_go(bench: Bench, kind: str, decision: str) -> None:
    bench.plan()
    bodies = {"setup": "assert False\n    yield", "teardown": "yield\n    assert False", "test": "yield"}
    bench.test(
        f"import pytest\n@pytest.fixture\ndef part():\n    {bodies[kind]}\n"
        f"@pytest.mark.stage1\ndef test_it(part): assert {kind != 'test'}"
    )
    bench.pytester.makeconftest(CONFTESTS["makes every report a pass"])

    result = bench.run("-m", "stage1")

    assert (result.ret, bench.decision) == (1, decision)


def test_a_stage_marker_that_a_conftest_adds_counts(bench: Bench) -> None:
    bench.plan()
    bench.test("def test_it(): assert False\ndef test_other(): pass\ndef test_skipped(): pass")
    bench.pytester.makeconftest(
        """
        import pytest
        def pytest_collection_modifyitems(items):
            for item in items:
                item.add_marker("stage1")
                if item.name == "test_skipped": item.add_marker(pytest.mark.skip)
        """
    )

    result = bench.run("-m", "stage1", "-k", "not test_other")

    assert (result.ret, bench.decision) == (1, "NO-GO")
    assert bench.checks() == {
        "latency": "passed within-limit",
        "test_shop.py::test_it": "breached test-failed",
        "test_shop.py::test_other": "inconclusive deselected",
        "test_shop.py::test_skipped": "inconclusive skipped",
    }


def test_a_stage_marker_that_a_conftest_adds_counts_in_workers(bench: Bench) -> None:
    bench.plan()
    bench.test("def test_it(): pass\ndef test_other(): pass")
    bench.pytester.makeconftest(
        "def pytest_collection_modifyitems(items):\n    for item in items: item.add_marker('stage1')"
    )

    result = bench.run_apart("-m", "stage1", "-k", "not test_other", "-n1")

    assert (result.ret, bench.decision) == (1, "HOLD")
    assert bench.checks() == {
        "latency": "passed within-limit",
        "test_shop.py::test_it": "passed within-limit",
        "test_shop.py::test_other": "inconclusive not-reported",
    }


@pytest.mark.parametrize("first", ["test_a", "test_z"])
def test_a_module_that_cannot_be_collected_holds(bench: Bench, first: str) -> None:
    bench.plan()
    bench.test("import surely_not_there", first)
    bench.test(STAGE_TEST, "test_m")

    result = bench.run("-m", "stage1", "--continue-on-collection-errors")

    assert (result.ret, bench.decision) == (1, "HOLD")
    assert f"{first}.py could not be collected" in bench.document()["faults"]


def test_a_module_that_skips_itself_holds(bench: Bench) -> None:
    bench.plan()
    bench.test("import pytest\npytest.skip('not here', allow_module_level=True)\n" + STAGE_TEST)

    result = bench.run("-m", "stage1")

    assert (result.ret, bench.decision) == (1, "HOLD")
    result.stdout.fnmatch_lines(
        ["not complete: test_shop.py speaks of stage1 and was not collected as a whole; run the folder of the plan"]
    )


SUBTESTS = """
import pytest
@pytest.mark.stage1
def test_it(subtests):
    for number in range(3):
        with subtests.test(number=number):
            if number == 1: {body}
"""


@pytest.mark.parametrize("plugins", [(), ("-p", "no:terminal")], ids=["terminal", "no terminal"])
@pytest.mark.parametrize(
    ("body", "decision", "said"),
    [
        ("pass", "GO", "passed within-limit"),
        ("assert False", "NO-GO", "breached test-failed"),
        ("raise OSError('no route')", "HOLD", "error test-error"),
        ("pytest.skip('not this')", "HOLD", "inconclusive skipped"),
        ("pytest.xfail('known')", "HOLD", "inconclusive xfailed"),
    ],
)
def test_subtests_count_once_and_none_may_be_lost(
    bench: Bench, plugins: tuple[str, ...], body: str, decision: str, said: str
) -> None:
    bench.plan()
    bench.test(SUBTESTS.format(body=body))

    result = bench.run("-m", "stage1", *plugins)

    assert bench.checks() == {"latency": "passed within-limit", "test_shop.py::test_it": said}
    assert (result.ret, bench.decision) == (int(decision != "GO"), decision)


RERUN_ONCE = """
import pytest
tries = []
@pytest.mark.stage1
def test_it():
    tries.append(1)
    {body}
"""


@pytest.mark.parametrize(
    ("body", "decision"),
    [("assert len(tries) > 1", "GO"), ("assert False", "NO-GO"), ("assert len(tries) > 2", "NO-GO")],
)
def test_the_last_rerun_of_a_stage_test_decides(bench: Bench, body: str, decision: str) -> None:
    bench.plan()
    bench.test(RERUN_ONCE.format(body=body))

    result = bench.run("-m", "stage1", "--reruns", "1")

    assert (result.ret, bench.decision) == (int(decision != "GO"), decision)


def test_a_rerun_does_not_change_the_verdict_of_a_gate(bench: Bench) -> None:
    bench.plan()
    bench.world.values["latency"] = 9
    bench.pytester.makeconftest(
        f"""
        import urllib.request
        def pytest_rollout_gate_evaluated(item, result):
            # From here on the gate would pass.
            urllib.request.urlopen("{bench.world.url}/heal")
        """
    )
    answer = bench.world.answer

    def healing(path: str, body: str) -> tuple[int, object]:
        if path == "/heal":
            bench.world.values["latency"] = 1
            return 200, {}
        return answer(path, body)

    bench.world.answer = healing  # type: ignore[method-assign]

    result = bench.run("-m", "stage1", "--reruns", "2")

    result.stdout.fnmatch_lines(["*1 failed, 2 rerun in*"])
    assert (result.ret, bench.decision) == (1, "NO-GO")
    assert bench.world.values["latency"] == 1
    assert bench.world.queries("latency") == 1


@pytest.mark.parametrize("option", ["--setup-only", "--setup-plan", "--lf", "--sw"])
def test_options_that_run_less_never_make_a_go(bench: Bench, option: str) -> None:
    bench.plan(GATE, OTHER)
    bench.test(STAGE_TEST)
    bench.world.values["errors"] = 3
    assert bench.run("-p", "cacheprovider", "-m", "stage1").ret == 1

    result = bench.run("-p", "cacheprovider", "-m", "stage1", option)

    assert (result.ret == 0, bench.decision == "GO") == (False, False)


@pytest.mark.parametrize("status", [0, 1, None])
def test_leaving_in_the_last_teardown_holds(bench: Bench, status: int | None) -> None:
    bench.plan()
    bench.test(
        "import pytest\n@pytest.fixture\ndef leaving():\n    yield\n"
        f"    pytest.exit('enough', returncode={status})\n@pytest.mark.stage1\ndef test_z(leaving): pass"
    )

    result = bench.run("-m", "stage1")

    assert set(bench.checks().values()) == {"passed within-limit"}
    assert (result.ret != 0, bench.decision) == (True, "HOLD")
    assert bench.document()["faults"] == ["the run was stopped before its end"]
