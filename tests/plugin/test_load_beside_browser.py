"""Browser, load, browser in one run of xdist's workers: no pytest process ever has gevent, so nothing hangs."""

from __future__ import annotations

import os
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from pytest_rollout.load.engine import LOCUST
from tests.load.runs import VISITOR, command
from tests.load.servers import healthy, running
from tests.plugin.conftest import Bench

OWN_LOCUST = os.environ.get(LOCUST)
ROOT = Path(__file__).parents[2]
WATCHED = ("gevent", "locust")
WITNESS = """
import os, pathlib, sys

def pytest_unconfigure(config):
    canary = config.getoption("rollout_canary") and "canary"
    who = canary or os.environ.get("PYTEST_XDIST_WORKER", "controller")
    found = [name for name in {watched!r} if name in sys.modules]
    pathlib.Path("{folder}", who).write_text(" ".join(found))
"""
"""Writes down what each pytest process has imported by its end: controller, workers, and that of a canary."""
TESTS = """
import os, pathlib, pytest
pytestmark = pytest.mark.stage1

def smoke(page):
    page.goto("{url}")
    assert page.inner_text("body") == "ok"
    note("smoke")

def note(what):
    with pathlib.Path("{folder}", f"{{__name__}}-{{os.getpid()}}").open("a") as file:
        print(what, file=file)

def test_1_smoke(page):
    smoke(page)

def test_2_load(rollout_gate, browser_name):  # the fixture keeps pytest from running both smokes first
    rollout_gate.latency(
        "visit", rate="60/s", over="1s", warm_up="200ms", drain="5s", arrivals="constant",
        p95={{"below": "10s"}}, errors={{"at_most": 0}},
    )
    note("load")

def test_3_smoke(page):
    smoke(page)
"""
CANARY = """
import pytest

@pytest.mark.canary("smoke")
def test_smoke(page):
    page.goto("{url}")
    assert page.inner_text("body") == "ok"
"""
THEIRS = """
import pytest

def pytest_addoption(parser):
    parser.addoption("--host", default="mine")

@pytest.fixture
def session(pytestconfig):
    return pytestconfig.getoption("--host")

"""


@pytest.fixture(autouse=True)
def project(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Give the user a locustfile, this Locust, and this checkout."""
    if OWN_LOCUST:
        monkeypatch.setenv(LOCUST, OWN_LOCUST)
    command()
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    bench.pytester.mkdir("locustfiles").joinpath("visit.py").write_text(VISITOR, encoding="utf-8")
    return bench


def watched(bench: Bench, conftest: str = "") -> tuple[pytest.RunResult, dict[str, list[str]]]:
    """Run browser, load, browser in each of two workers; return also what each pytest process has imported."""
    seen, order = bench.pytester.mkdir("seen"), bench.pytester.mkdir("order")
    bench.pytester.makeconftest(conftest + WITNESS.format(folder=seen, watched=WATCHED))
    timeout = ("--timeout=120", "--timeout-method=thread") if find_spec("pytest_timeout") else ()
    with running(healthy) as server:
        bench.plan({"id": "smoke", "canary": {"name": "smoke", "passes": 1}}, target=server.url)
        bench.test(CANARY.format(url=server.url), "test_canary")
        for lane in ("test_a", "test_b"):
            bench.test(TESTS.format(url=server.url, folder=order), lane)
        argv = ["-p", "no:cacheprovider", "--rollout-env", "staging", "--rollout-push", "never", "-m", "stage1"]
        argv += ["-n", "2", "--dist", "loadfile", *timeout]
        result = bench.pytester.runpytest_subprocess(*argv, timeout=200)
    assert [path.read_text().split() for path in order.iterdir()] == [["smoke", "load", "smoke"]] * 2
    return result, {path.name: path.read_text().split() for path in seen.iterdir()}


def test_no_pytest_process_has_gevent(bench: Bench) -> None:
    result, seen = watched(bench)

    assert (result.ret, bench.decision) == (0, "GO"), result.stdout.str()
    result.assert_outcomes(passed=7)
    assert seen == {"controller": [], "gw0": [], "gw1": [], "canary": []}


def test_a_process_that_has_gevent_is_noticed(bench: Bench) -> None:
    _, seen = watched(bench, "import os\nif os.environ.get('PYTEST_XDIST_WORKER') == 'gw1':\n    import gevent\n")
    assert seen["gw1"] == ["gevent"]


def test_without_locusts_plugin_its_options_and_fixtures_belong_to_whoever_wants_them(bench: Bench) -> None:
    settings = '[tool.pytest]\nrollout_plans = ["."]\naddopts = ["-p", "no:locust"]\n'
    bench.pytester.makepyprojecttoml(settings)  # where the processes of canaries find it too
    bench.test("import pytest\n@pytest.mark.stage1\ndef test_it(session): assert session == 'mine'", "test_theirs")
    result, seen = watched(bench, THEIRS)

    assert (result.ret, bench.decision) == (0, "GO"), result.stdout.str()
    result.assert_outcomes(passed=8)
    assert seen == {"controller": [], "gw0": [], "gw1": [], "canary": []}


def test_our_plugin_has_no_name_of_locusts(bench: Bench) -> None:
    listed = bench.pytester.runpytest_subprocess("-p", "no:locust", "--fixtures", timeout=60).stdout.str()
    names = {line.split()[0] for line in listed.splitlines() if " -- " in line}
    assert {"rollout_gate", "rollout_latency"} <= names
    assert not names & {"session", "fastsession"}
    options = bench.pytester.runpytest_subprocess("-p", "no:locust", "--help", timeout=60).stdout.str()
    assert "--rollout-env" in options
    assert not re.search(r"--host\b|^ *-H\b", options, re.MULTILINE)
