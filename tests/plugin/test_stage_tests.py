"""Python tests with a stage marker are checks of that stage: unless each of them passes, there is no GO."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import Bench

HEAD = "import pytest\npytestmark = pytest.mark.stage1\n"
EVERY_WAY = (
    HEAD
    + """
@pytest.fixture
def broken():
    raise OSError("no route")

@pytest.fixture
def doubting():
    assert False, "the precondition does not hold"

@pytest.fixture
def untidy():
    yield
    raise OSError("cannot tidy up")

@pytest.fixture
def late():
    yield
    assert False, "left something behind"

def test_passes(): pass
def test_fails(): assert 1 == 2
def test_calls_fail(): pytest.fail("no")
def test_raises(): raise OSError("no route")
def test_setup_error(broken): pass
def test_setup_assertion(doubting): pass
def test_teardown_error(untidy): pass
def test_teardown_assertion(late): pass
def test_fails_and_teardown_error(untidy): assert False
def test_skips(): pytest.skip("not today")
@pytest.mark.skip(reason="not today")
def test_skip_mark(): pass
@pytest.mark.skipif(True, reason="not here")
def test_skipif(): pass
@pytest.mark.xfail
def test_xfails(): assert False
@pytest.mark.xfail(strict=False)
def test_xpasses(): pass
@pytest.mark.xfail(strict=True)
def test_xpasses_strictly(): pass
def test_calls_xfail(): pytest.xfail("known")
def test_group():
    raise ExceptionGroup("several", [AssertionError("bad"), OSError("no route")])
def test_imports(): pytest.importorskip("surely_not_there")
"""
)
EXPECTED = {
    "test_passes": "passed within-limit",
    "test_fails": "breached test-failed",
    "test_calls_fail": "breached test-failed",
    "test_raises": "error test-error",
    "test_setup_error": "error test-error",
    "test_setup_assertion": "breached test-failed",
    "test_teardown_error": "error test-error",
    "test_teardown_assertion": "breached test-failed",
    "test_fails_and_teardown_error": "breached test-failed",
    "test_skips": "inconclusive skipped",
    "test_skip_mark": "inconclusive skipped",
    "test_skipif": "inconclusive skipped",
    "test_xfails": "inconclusive xfailed",
    "test_xpasses": "inconclusive xfailed",
    "test_xpasses_strictly": "error test-error",
    "test_calls_xfail": "inconclusive xfailed",
    "test_group": "error test-error",
    "test_imports": "inconclusive skipped",
}


@pytest.mark.parametrize("arguments", [(), ("-n1",)], ids=["in-process", "xdist"])
def test_every_way_a_stage_test_can_end_has_its_verdict(bench: Bench, arguments: tuple[str, ...]) -> None:
    bench.plan()
    bench.test(EVERY_WAY)

    result = bench.run_apart("-m", "stage1", *arguments) if arguments else bench.run("-m", "stage1")

    found = {name.rpartition("::")[2]: said for name, said in bench.checks().items()}
    assert found == {"latency": "passed within-limit", **EXPECTED}
    assert (bench.decision, result.ret) == ("NO-GO", 1)


@pytest.mark.parametrize(
    ("source", "decision", "status"),
    [
        pytest.param("def test_it(): pass", "GO", 0, id="passes"),
        pytest.param("def test_it(): assert False", "NO-GO", 1, id="fails"),
        pytest.param("def test_it(absent): pass", "HOLD", 1, id="errors"),
        pytest.param("def test_it(): pytest.skip()", "HOLD", 1, id="skips"),
        pytest.param("@pytest.mark.xfail\ndef test_it(): assert False", "HOLD", 1, id="xfails"),
    ],
)
def test_decision_of_a_stage_with_one_test(bench: Bench, source: str, decision: str, status: int) -> None:
    bench.plan()
    bench.test(HEAD + source)

    result = bench.run("-m", "stage1")

    assert (bench.decision, result.ret) == (decision, status)
    assert list(bench.checks()) == ["latency", "test_shop.py::test_it"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("-k", "not test_other"),
        ("--deselect", "test_shop.py::test_other"),
        ("-m", "stage1 and not slow"),
        ("test_shop.py::test_it", "shop.rollout.yaml"),
        ("shop.rollout.yaml",),
        ("shop.rollout.yaml::stage1",),
        ("--ignore", "test_shop.py"),
    ],
    ids=["-k", "--deselect", "-m", "node id", "plan only", "stage only", "--ignore"],
)
def test_deselected_stage_test_holds(bench: Bench, arguments: tuple[str, ...]) -> None:
    bench.plan()
    bench.test(HEAD + "def test_it(): pass\n@pytest.mark.slow\ndef test_other(): pass")
    bench.pytester.makeconftest("def pytest_configure(config): config.addinivalue_line('markers', 'slow: it is')")

    result = bench.run("-m", "stage1", *arguments)

    assert (bench.decision, result.ret) == ("HOLD", 1)
