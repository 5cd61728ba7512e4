"""``python -m sandbox up`` as its callers meet it: a real stack, and nothing left of it afterwards."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from sandbox.components import request, status
from sandbox.faults import FAULTS
from tests.sandbox.processes import children, eventually, gone

ROOT = Path(__file__).parents[2]
UP = [sys.executable, "-m", "sandbox", "up"]
COMPONENTS = 5
COUNTERS = (
    "http_requests_total",
    "prisma_query_duration_seconds_bucket",
    "prisma_query_duration_seconds_sum",
    "financial_orchestrator_payments_total",
)

Start = Callable[..., tuple[subprocess.Popen[bytes], dict[str, Any]]]


def ask(state: dict[str, Any], expression: str) -> Any:
    answer = request(f"{state['prometheus']}/api/v1/query?query={quote(expression)}")
    return json.loads(answer)["data"]["result"]


def query(state: dict[str, Any], expression: str) -> list[float]:
    return [float(row["value"][1]) for row in ask(state, expression)]


def evaluate(state: dict[str, Any]) -> dict[str, Any]:
    address = f"{state['flags']}/ofrep/v1/evaluate/flags/PERSISTENCE_PRISMA_READS"
    body = b'{"context": {"targetingKey": "x", "cohort": "admin"}}'
    answer: dict[str, Any] = json.loads(request(address, method="POST", body=body))
    return answer


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Return what starts a sandbox and waits until it has written its state."""
    started: list[subprocess.Popen[bytes]] = []

    def run(*arguments: str) -> tuple[subprocess.Popen[bytes], dict[str, Any]]:
        state = tmp_path / "state.json"
        command = [*UP, "--state", str(state), "--directory", str(tmp_path / "run"), *arguments]
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        started.append(process)
        eventually(state.exists)
        return process, json.loads(state.read_text())

    yield run
    for process in started:
        process.terminate()
        process.communicate(timeout=15)


def test_up_answers_everywhere_and_sigterm_stops_all_of_it(start: Start, tmp_path: Path) -> None:
    process, state = start("--flag", "PERSISTENCE_PRISMA_READS=admin:true")
    pids = children(process.pid)
    assert len(pids) == COMPONENTS
    assert stat.S_IMODE((tmp_path / "state.json").stat().st_mode) == 0o600
    assert {"id", "pid", "faults", "directory", "versions", "flags_token"} <= set(state)
    assert [status(state[name] + "/-/ready") for name in ("prometheus", "pushgateway", "alertmanager")] == [200] * 3
    assert status(state["target"] + "/healthz") == 200
    assert evaluate(state)["value"] is True
    command_line = Path(f"/proc/{pids[0]}/cmdline").read_text()
    assert state["flags_token"] not in command_line

    eventually(lambda: query(state, 'sum(rate(http_requests_total{cohort="admin"}[5s])) > 50'))
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert all(gone(pid) for pid in pids)
    assert not (tmp_path / "state.json").exists()


def test_signal_in_the_middle_of_waiting_is_no_deadlock() -> None:
    script = """
import random, signal
from sandbox.supervision import StopRequest
stop = StopRequest()
signal.signal(signal.SIGALRM, lambda *_: stop.ask())
rest = random.Random(1)
for _ in range(2000):
    signal.setitimer(signal.ITIMER_REAL, rest.uniform(1e-6, 6e-5))
    while not stop.wait(1e-5):
        pass
    stop.asked = False
"""
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, timeout=60, check=True).returncode == 0


def test_end_of_the_leash_stops_all_of_it(start: Start) -> None:
    process, _ = start("--leash")
    pids = children(process.pid)
    assert process.stdin
    process.stdin.close()
    process.stdin = None
    assert process.wait(10) == 0
    assert all(gone(pid) for pid in pids)


def test_killed_parent_takes_everything_down(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    command = [*UP, "--leash", "--state", str(state), "--directory", str(tmp_path / "run")]
    script = f"import subprocess, time; subprocess.Popen({command!r}, stdin=subprocess.PIPE); time.sleep(60)"
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT)
    try:
        eventually(state.exists)
        supervisor = json.loads(state.read_text())["pid"]
        pids = [supervisor, *children(supervisor)]
    finally:
        parent.kill()
        parent.wait()
    eventually(lambda: all(gone(pid) for pid in pids))


@pytest.mark.skipif(sys.platform != "linux", reason="needs the parent-death signal of Linux")
def test_killed_supervisor_leaves_no_orphan(start: Start) -> None:
    process, _ = start()
    pids = children(process.pid)
    process.kill()
    eventually(lambda: all(gone(pid) for pid in pids))


def test_dead_component_ends_the_sandbox_with_its_last_words(start: Start, tmp_path: Path) -> None:
    process, _ = start()
    pids = children(process.pid)
    pushgateway = next(pid for pid in pids if b"pushgateway" in Path(f"/proc/{pid}/cmdline").read_bytes())
    last = (tmp_path / "run" / "pushgateway.log").read_text().splitlines()[-1]
    os.kill(pushgateway, signal.SIGKILL)
    assert process.wait(10) == 1
    assert process.stderr
    said = process.stderr.read().decode()
    assert said.startswith("pushgateway ended with exit code -9\n")
    assert last in said
    assert all(gone(pid) for pid in pids)


def test_history_joins_the_present_without_reset_or_gap(start: Start) -> None:
    _, state = start("--flag", "PERSISTENCE_PRISMA_READS=admin:true", "--history", "3m")
    eventually(lambda: query(state, 'scrape_duration_seconds{job="prisma"}'))
    time.sleep(2)
    (up,) = ask(state, 'up{job="prisma"}[5m]')
    times = [when for when, _ in up["values"]]
    assert max(later - earlier for earlier, later in pairwise(times)) < 3
    assert times[-1] - times[0] > 180
    for counter in COUNTERS:
        assert set(query(state, f'resets({counter}{{job="prisma"}}[5m])')) == {0}, counter
    (rate,) = query(state, 'sum(rate(http_requests_total{cohort="admin"}[3m]))')
    assert 110 < rate < 130
    assert set(query(state, 'changes(process_start_time_seconds{job="prisma"}[5m])')) == {0}
    changed = datetime.fromisoformat(evaluate(state)["metadata"]["changedAt"]).timestamp()
    assert 0 <= changed - times[0] < 2


def test_prometheus_down_keeps_its_address(start: Start) -> None:
    process, state = start("--fault", "prometheus-down")
    assert status(state["prometheus"] + "/-/ready") == 0
    assert status(state["target"] + "/healthz") == 200
    assert state["faults"] == ["prometheus-down"]
    assert process.poll() is None


def run(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sandbox", *arguments],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_unknown_fault() -> None:
    done = run("up", "--fault", "slow-red")
    known = ", ".join(fault.name for fault in FAULTS)
    assert done.returncode == 2
    assert done.stderr == f"unknown fault 'slow-red'; did you mean 'slow-reads'?\nfaults: {known}\n"


def test_missing_binary(tmp_path: Path) -> None:
    done = run("up", env={"PATH": str(tmp_path)})
    assert done.returncode == 2
    assert done.stderr == "cannot find prometheus on PATH; run: make setup\n"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--flag", "NO_SUCH=admin:true"], "unknown flag 'NO_SUCH'"),
        (["--flag", "PORTAL_PRISMA=true"], "'PORTAL_PRISMA=true' is not NAME=COHORT:true or NAME=COHORT:false"),
        (["--history", "45"], "'45' is not a duration such as 90s, 45m or 2h"),
    ],
)
def test_wrong_usage(arguments: list[str], complaint: str) -> None:
    done = run("up", *arguments)
    assert done.returncode == 2
    assert complaint in done.stderr


def test_faults_are_listed_as_json() -> None:
    listed = json.loads(run("faults", "--system", "prisma", "--json").stdout)
    assert [fault["name"] for fault in listed] == [fault.name for fault in FAULTS]
    assert set(listed[0]) == {"name", "system", "does", "turns_red"}
    assert listed[0]["turns_red"] == ["stage1/dashboard-smoke", "stage1/api-5xx"]
