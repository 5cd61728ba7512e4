"""``rollout load``: a load without a plan, made by a real Locust on loopback."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pytest_rollout.cli import main
from pytest_rollout.load.engine import LOCUST, free_port
from pytest_rollout.verdict import CheckResult, Reason, Verdict
from tests.load.runs import PIDS, VISITOR, await_pids, await_true, command
from tests.load.servers import failing, healthy, hung, running, taking
from tests.test_process import alive

ROOT = Path(__file__).parents[1]
GO, NO_GO, USAGE, HOLD = 0, 1, 2, 3
SHORT = ("--rate", "60/s", "--for", "1s", "--arrivals", "constant", "--warm-up", "200ms", "--drain", "1s")
"""60 requests: one more than p95 needs."""
GENEROUS = ("--p95", "10s", "--failures", "0")
"""In so long a busy machine answers, and a late generator does not matter."""
LONG = ("--rate", "20/s", "--for", "60s", "--warm-up", "0s", "--drain", "30s", *GENEROUS)


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a project with one locustfile, shielded from the run outside."""
    for name in [name for name in os.environ if name.startswith("ROLLOUT_") and name != LOCUST]:
        monkeypatch.delenv(name)
    command()
    monkeypatch.chdir(tmp_path)
    write(VISITOR)
    return tmp_path


def write(text: str) -> None:
    path = Path("locustfiles", "visit.py")
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")


def rollout(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["load", *arguments])


def kept() -> CheckResult:
    return CheckResult.from_dict(json.loads(Path("reports/load/visit.json").read_text(encoding="utf-8")))


@contextmanager
def started(*arguments: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """Run the command as a process of its own, its output in files; it is killed in the end."""
    code = "from pytest_rollout.cli import main; main()"
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **variables}
    with open("stdout", "w") as out, open("stderr", "w") as err:  # noqa: PTH123 - in this folder
        process = subprocess.Popen(
            [sys.executable, "-c", code, "load", *arguments],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - one call, no lock
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


# --- verdicts ---


@pytest.mark.parametrize("file", ["visit", "locustfiles/visit.py"])
def test_limits_that_hold(file: str) -> None:
    with running(healthy) as server:
        done = rollout(file, "--target", server.url, *SHORT, *GENEROUS)

    assert done.exit_code == GO, done.output
    lines = done.stdout.splitlines()
    assert lines[0] == "visit: PASSED (within-limit)"
    assert lines[-1] == "decision: GO"
    assert "  all: 60 were due, 60 have a good answer" in lines
    assert [line.split()[0] for line in lines if " surely between " in line][1:] == [
        "p50",
        "p90",
        "p95",
        "p99",
        "p99.9",
    ]
    traces = [line.rpartition("trace ")[2].encode() for line in lines if ", trace " in line]
    assert len(traces) == 10
    assert all(trace in b"".join(server.requests) for trace in traces)
    assert done.stderr.splitlines()[0] == "visit: load for 1.2 s"


def test_what_is_kept(project: Path) -> None:
    with running(healthy) as server:
        done = rollout("visit", "--target", server.url, *SHORT, *GENEROUS, "--reports", "out")

    folder = project / "out" / "load"
    assert f"see {folder}/visit.json and {folder}/visit" in done.stdout.splitlines()
    found = CheckResult.from_dict(json.loads((folder / "visit.json").read_text(encoding="utf-8")))
    assert (found.verdict, found.samples, found.attachments) == (
        Verdict.PASSED,
        60,
        (str(folder / "visit" / "latency.svg"),),
    )
    assert found.derivation["percentiles"]["all"]["p95"]["high_bound"] < 10
    assert (folder / "visit" / "latency.svg").read_text(encoding="utf-8").startswith("<svg")
    assert json.loads((folder / "visit" / "1" / "result.json").read_text())["asked"]["rate"] == 60


def test_slow_answers_break_a_limit() -> None:
    with running(taking(3.0)) as server:
        done = rollout("visit", "--target", server.url, *SHORT[:-1], "5s", "--p95", "2s")

    assert (done.exit_code, kept().verdict) == (NO_GO, Verdict.BREACHED)
    assert done.stdout.startswith("visit: BREACHED (limit-breached)\n  p95: ")
    assert done.stdout.endswith("\ndecision: NO-GO\n")


def test_failed_requests_are_named() -> None:
    with running(failing) as server:
        done = rollout("visit", "--target", server.url, *SHORT, "--failures", "0")

    assert (done.exit_code, kept().reason) == (NO_GO, Reason.LIMIT_BREACHED)
    named = [line for line in done.stdout.splitlines() if line.startswith("    GET /: failed after ")]
    assert len(named) == 10
    assert all(line.rpartition(", trace ")[2].encode() in b"".join(server.requests) for line in named)


@pytest.mark.parametrize(
    "limits",
    [
        ("--p95", "10s"),
        ("--p50", "10s", "--confidence", "point"),
        ("--errors", "90%"),
        ("--failures", "0"),
        (),
    ],
    ids=" ".join,
)
def test_a_server_that_never_answers_passes_no_limit(limits: tuple[str, ...]) -> None:
    with running(hung) as server:
        done = rollout("visit", "--target", server.url, *SHORT, *limits)

    assert len(server.requests) >= 60
    assert done.exit_code == (NO_GO if "--errors" in limits or "--failures" in limits else HOLD)
    assert f"visit: {kept().verdict.value.upper()} (" in done.stdout


def test_without_a_limit_nothing_passes() -> None:
    with running(healthy) as server:
        done = rollout("visit", "--target", server.url, *SHORT)

    assert done.exit_code == HOLD
    assert kept().verdict is not Verdict.PASSED
    assert done.stdout.endswith("\ndecision: HOLD\n")


def test_users_can_break_a_limit_only_and_this_is_said() -> None:
    closed = [*SHORT[2:4], *SHORT[6:]]
    with running(healthy) as server:
        done = rollout("visit", "--target", server.url, "--users", "2", *closed, *GENEROUS)

    assert done.exit_code == HOLD
    assert done.stderr.splitlines()[0] == (
        "warning: users wait for their answers, so they ask least while it is slow: 'visit' can breach, and never "
        "pass; give it a rate"
    )


def test_two_sides_are_asked_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    with running(healthy) as server:
        monkeypatch.setenv("NEW", f"{server.url}/new")
        done = rollout("visit", "--control", f"{server.url}/old", "--candidate", "${NEW}", *SHORT, "--failures", "0")

    assert done.exit_code == GO, done.output
    assert {"old", "new"} == {request.split()[1].decode().strip("/") for request in server.requests}
    lines = done.stdout.splitlines()
    assert "  control: 30 were due, 30 have a good answer" in lines
    assert "  candidate: 30 were due, 30 have a good answer" in lines


# --- nothing is proven ---


def test_a_locust_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LOCUST, "/nowhere/locust")
    done = rollout("visit", "--target", "http://127.0.0.1:1", *SHORT, *GENEROUS)

    assert done.exit_code == HOLD
    assert done.stdout.splitlines()[:2] == [
        "visit: ERROR (bent-generator)",
        "  /nowhere/locust cannot be started: No such file or directory; set ROLLOUT_LOCUST to a locust command",
    ]
    assert kept().verdict is Verdict.ERROR


def test_a_pass_that_cannot_be_kept_is_none() -> None:
    write(f"import pathlib\npathlib.Path('reports/load/visit.json').mkdir()\n{VISITOR}")
    with running(healthy) as server:
        done = rollout("visit", "--target", server.url, *SHORT, *GENEROUS)

    assert done.exit_code == HOLD
    assert done.stdout.startswith("visit: PASSED (within-limit)\n")
    assert done.stderr.splitlines()[-1].endswith(
        "visit.json: not written: Is a directory; make the folder writable or choose another"
    )


# --- nothing is left running ---


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_it_leaves_nothing_running(project: Path, number: signal.Signals, workers: int) -> None:
    write(PIDS)
    Path("reports/load").mkdir(parents=True)
    Path("reports/load/visit.json").write_text("a pass of yesterday")
    many = ("--workers", str(workers))
    with running(healthy) as server:
        with started("visit", "--target", server.url, *LONG, *many, PIDS=str(project / "pids")) as process:
            pids = await_pids(project / "pids", workers + 1)
            await_true(lambda: bool(server.requests))
            process.send_signal(number)
            status = process.wait(20)
        await_true(lambda: not any(map(alive, pids)))

    if number is signal.SIGKILL:
        assert not Path("reports/load/visit.json").exists(), "a load that was never finished has no result"
    else:
        assert status == HOLD, Path("stderr").read_text()
        assert kept().verdict is Verdict.ERROR


def test_workers_join_by_the_command_that_is_told(project: Path) -> None:
    bind = f"127.0.0.1:{free_port()}"
    with running(healthy) as server:
        options = ("visit", "--target", server.url, *SHORT, *GENEROUS, "--workers", "1", "--bind", bind)
        with started(*options) as process:
            await_true(lambda: "--master-port" in Path("stderr").read_text())
            first, line, *_ = Path("stderr").read_text().splitlines()
            assert first == "1 workers have to join from elsewhere within a minute, each by:"
            joining = line.strip().replace("locust ", f"{shlex.join(command())} ", 1)
            path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
            paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
            worker = subprocess.run(
                ["bash", "-c", joining], cwd=project, env={**os.environ, "PATH": path, "PYTHONPATH": paths},
                capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip
            assert (worker.returncode, process.wait(30)) == (0, GO), worker.stderr
    assert kept().verdict is Verdict.PASSED
