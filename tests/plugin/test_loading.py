"""How the plugin is loaded, what comes with it, and that it lives without its neighbours."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.plugin.conftest import DEADLINE, GATE, OTHER, Bench

LISTED = "import json, sys; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
OPTIONAL = {"httpx", "yaml", "pydantic", "sqlalchemy", "prometheus_client", "promql_parser", "allure", "playwright"}


def modules_of(*arguments: str, cwd: str | os.PathLike[str] | None = None) -> set[str]:
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=DEADLINE, check=True, cwd=cwd
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def added(whole: set[str], base: set[str]) -> set[str]:
    """Return what is not of the standard library among the modules that came on top."""
    return {name for name in whole - base if name not in sys.stdlib_module_names}


def test_importing_the_plugin_imports_only_pytest() -> None:
    base = modules_of("-c", f"import pytest\n{LISTED}")

    assert added(modules_of("-c", f"import pytest_rollout.plugin\n{LISTED}"), base) == {"pytest_rollout"}


def test_a_run_without_plans_imports_nothing_of_what_judging_needs(bench: Bench) -> None:
    bench.test("def test_it(): pass")
    bench.pytester.makeconftest(
        "import json, sys\ndef pytest_unconfigure():\n"
        "    print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    alone = ("--disable-plugin-autoload", "-s", "test_shop.py")

    with_plugin = modules_of("-m", "pytest", "-p", "pytest_rollout.plugin", *alone, cwd=bench.path)
    without = modules_of("-m", "pytest", *alone, cwd=bench.path)

    assert added(with_plugin, without) == {"pytest_rollout"}
    assert with_plugin.isdisjoint(OPTIONAL)


@pytest.mark.parametrize("way", ["entry point", "-p module", "-p name", "PYTEST_PLUGINS"])
def test_every_way_of_loading_decides(bench: Bench, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    bench.plan(GATE, OTHER)
    bench.world.values["errors"] = 3
    if way != "entry point":
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    if way == "PYTEST_PLUGINS":
        monkeypatch.setenv("PYTEST_PLUGINS", "pytest_rollout.plugin")
    loading = {"-p module": ("-p", "pytest_rollout.plugin"), "-p name": ("-p", "rollout")}.get(way, ())

    result = bench.run_apart(*loading, "-m", "stage1")

    assert (result.ret, bench.decision) == (1, "NO-GO")
    assert bench.checks() == {"latency": "passed within-limit", "errors": "breached limit-breached"}
    assert result.stdout.str().count("rollout: shop") == 1


def test_switched_off_it_is_not_there(bench: Bench) -> None:
    bench.plan()
    bench.test("def test_it(): pass")

    result = bench.pytester.runpytest_subprocess("-p", "no:rollout", "-p", "no:playwright", timeout=DEADLINE)

    assert result.ret == 0
    result.stdout.fnmatch_lines(["*1 passed*"])
    assert "rollout:" not in result.stdout.str()
    assert not bench.verdict_path.exists()


def test_without_a_terminal_the_decision_goes_to_standard_error(bench: Bench) -> None:
    bench.plan(GATE, OTHER)
    bench.world.values["errors"] = []

    result = bench.run_apart("-m", "stage1", "-p", "no:terminal")

    assert (result.ret, bench.decision) == (1, "HOLD")
    assert f"rollout: HOLD, see {bench.verdict_path}" in result.stderr.lines


@pytest.mark.parametrize(
    "arguments",
    [
        ("-p", "no:xdist"),
        ("-p", "no:capture"),
        ("-p", "no:rerunfailures"),
        ("-p", "no:subtests"),
        ("-p", "no:logging", "-p", "no:junitxml", "-p", "no:skipping", "-p", "no:warnings"),
        ("-s",),
    ],
    ids=" ".join,
)
def test_it_lives_without_its_neighbours(bench: Bench, arguments: tuple[str, ...]) -> None:
    bench.plan()

    result = bench.run("-m", "stage1", *arguments)

    assert (result.ret, bench.decision) == (0, "GO")


def test_the_output_folder_of_playwright_is_left_alone(bench: Bench) -> None:
    """pytest-playwright deletes ``--output`` at the start of a run, whatever is in it (playwright-pytest#108)."""
    bench.plan()
    bench.test("def test_it(): pass")
    (bench.path / "reports").mkdir()
    kept = bench.path / "reports" / "signed.html"
    kept.write_text("signed", encoding="utf-8")

    result = bench.pytester.runpytest_subprocess(
        "--rollout-env=staging", "--rollout-push=never", "--output=reports", timeout=DEADLINE
    )

    assert (result.ret, bench.decision) == (0, "GO")
    assert kept.read_text(encoding="utf-8") == "signed"
