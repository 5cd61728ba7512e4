"""Runs that end before their time leave a HOLD behind, and nothing that still runs."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from tests.plugin.conftest import FLAGS, GATE, OTHER, Bench, until

WAITING = {"id": "speed", "promql": "last_over_time(speed[$window])", "below": 5, "over": "10m"}
"""Needs ten minutes since the flip."""
SLEEPING_CANARY = """
import os, time
import pytest
@pytest.mark.canary("sleeper")
def test_it():
    open("canary.pid", "w").write(str(os.getpid()))
    time.sleep(60)
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for_ever(bench: Bench) -> tuple[str, ...]:
    """Write a plan that waits for evidence; return the arguments of its run."""
    bench.plan(GATE, WAITING, flags=FLAGS)
    bench.world.flipped_at = "now"
    bench.world.interval = 0.2
    return ("-m", "stage1", "--rollout-wait", "20m")


def waits_for_speed(bench: Bench) -> bool:
    return re.search(r"waiting for evidence: .*\bspeed\b", bench.output()) is not None


def test_interrupt_while_waiting(bench: Bench) -> None:
    with bench.running(*wait_for_ever(bench)) as process:
        until(lambda: waits_for_speed(bench), "no line says what is waited for")
        process.send_signal(signal.SIGINT)
        status = process.wait(20)

    assert status == pytest.ExitCode.INTERRUPTED
    assert (bench.decision, bench.document()["complete"]) == ("HOLD", True)
    assert "inconclusive not-reported" in bench.checks().values()
    assert "decision: HOLD" in bench.output()


def test_kill_while_waiting(bench: Bench) -> None:
    with bench.running(*wait_for_ever(bench)) as process:
        until(lambda: "waiting for evidence" in bench.output(), "it does not wait")
        process.kill()
        process.wait(20)

    document = bench.document()
    assert (document["decision"], document["complete"]) == ("HOLD", False)
    assert document["faults"] == ["the run has not finished; if it is no longer running, it was killed: run it again"]
    assert set(bench.checks().values()) == {"inconclusive not-reported"}
    assert document["stages"][0]["environment"] == "staging"


def test_while_a_run_goes_on_an_older_go_does_not_stand(bench: Bench) -> None:
    bench.plan()
    assert bench.run("-m", "stage1").ret == 0
    assert bench.decision == "GO"

    with bench.running(*wait_for_ever(bench)):
        until(lambda: "waiting for evidence" in bench.output(), "it does not wait")

        assert bench.decision == "HOLD"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM], ids=lambda one: one.name)
def test_a_canary_never_outlives_its_run(bench: Bench, number: signal.Signals) -> None:
    bench.plan({"id": "sleeper", "canary": {"name": "sleeper"}})
    bench.test(SLEEPING_CANARY)
    pid_file = bench.path / "canary.pid"

    with bench.running("-m", "stage1") as process:
        until(lambda: pid_file.exists() and pid_file.read_text(encoding="utf-8"), f"no canary: {bench.output()}")
        pid = int(pid_file.read_text(encoding="utf-8"))
        assert alive(pid)
        process.send_signal(number)
        assert process.wait(20) != 0

    until(lambda: not alive(pid), "the canary still runs")
    assert bench.decision == "HOLD"


def test_a_sandbox_never_outlives_its_run(bench: Bench) -> None:
    arguments = wait_for_ever(bench)
    bench.sandbox()

    with bench.running(*arguments, "--rollout-env", "sandbox") as process:
        until(lambda: "waiting for evidence" in bench.output(), "it does not wait")
        pid = int((bench.path / "sandbox.pid").read_text(encoding="utf-8"))
        assert alive(pid)
        process.kill()
        process.wait(20)

    until(lambda: not alive(pid), "the sandbox still runs")
    assert (bench.decision, bench.document()["rehearsal"]) == ("HOLD", True)


def test_interrupt_while_a_worker_waits(bench: Bench) -> None:
    with bench.running(*wait_for_ever(bench), "-n1") as process:
        until(lambda: waits_for_speed(bench), "no line says what is waited for")
        process.send_signal(signal.SIGINT)
        status = process.wait(20)

    assert status == pytest.ExitCode.INTERRUPTED
    assert (bench.decision, bench.document()["complete"]) == ("HOLD", True)


@pytest.mark.parametrize("option", ["-x", "--maxfail=1"])
def test_stopping_at_the_first_failure_leaves_the_rest_undecided(bench: Bench, option: str) -> None:
    bench.plan({**GATE, "id": "a"}, {**GATE, "id": "b"}, {**OTHER, "id": "c"})
    bench.world.values |= {"latency": [], "errors": 3}

    result = bench.run("-m", "stage1", option)

    assert (result.ret, bench.decision) == (1, "HOLD")
    assert bench.checks() == {
        "a": "inconclusive no-data",
        "b": "inconclusive not-reported",
        "c": "inconclusive not-reported",
    }


@pytest.mark.parametrize(
    "hook",
    ["pytest_runtest_logfinish(nodeid, location)", "pytest_runtest_logreport(report)", "pytest_runtestloop(session)"],
)
def test_an_internal_error_still_writes_the_verdict(bench: Bench, hook: str) -> None:
    bench.plan()
    bench.pytester.makeconftest(f"def {hook}: raise OSError('boom')")

    result = bench.run("-m", "stage1")

    assert result.ret == pytest.ExitCode.INTERNAL_ERROR
    assert bench.decision == "HOLD"


def test_an_error_while_another_plugin_finishes_leaves_the_pending_verdict(bench: Bench) -> None:
    bench.plan()
    bench.pytester.makeconftest(
        "import pytest\n@pytest.hookimpl(tryfirst=True)\ndef pytest_sessionfinish(): raise OSError('boom')"
    )

    result = bench.run_apart("-m", "stage1")

    assert result.ret != 0
    assert (bench.decision, bench.document()["complete"]) == ("HOLD", False)


def test_a_hook_that_fails_on_the_verdict_does_not_change_it(bench: Bench) -> None:
    bench.plan()
    bench.pytester.makeconftest("def pytest_rollout_decided(): raise OSError('the chat is down')")

    result = bench.run_apart("-m", "stage1")

    assert (result.ret, bench.decision) == (0, "GO")
    result.stdout.fnmatch_lines(["pytest_rollout_decided failed: OSError('the chat is down')", "decision: GO*"])


def test_no_run_leaves_its_folder_behind(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = bench.path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    bench.plan()

    assert bench.run_apart("-m", "stage1", "-n1").ret == 0
    assert bench.run_apart("-m", "stage9").ret == pytest.ExitCode.USAGE_ERROR

    assert [path.name for path in temporary.iterdir() if path.name.startswith("rollout")] == []
