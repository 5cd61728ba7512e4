"""``python -m sandbox.normalization.app`` as its callers meet it: two processes behind one port."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.normalization.app import main
from tests.sandbox.normalization.asking import companies, samples
from tests.sandbox.processes import children, eventually, gone

ROOT = Path(__file__).parents[3]
APP = [sys.executable, "-m", "sandbox.normalization.app"]
INSTANCES = 2

State = dict[str, Any]


@contextmanager
def started(folder: Path, *arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen[bytes], State]]:
    """Start the system and wait until it has written its state."""
    state = folder / "state.json"
    command = [*APP, "--state", str(state), "--directory", str(folder / "run"), "--companies", "80", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, env={**os.environ, **environment}) as process:
        try:
            eventually(state.exists)
            yield process, json.loads(state.read_text())
        finally:
            process.terminate()
            process.communicate(timeout=15)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[State]:
    """Return the state of a system in warn, with a fault in its migration only; nothing of it is left at the end."""
    folder = tmp_path_factory.mktemp("system")
    arguments = ("--propagation", "0.4", "--fault", "migration-drops-plus")
    with started(folder, *arguments, STAGE_VALIDATION_MODE="warn") as (process, state):
        pids = children(process.pid)
        assert len(pids) == INSTANCES
        yield state
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert all(gone(pid) for pid in pids)
        assert not (folder / "state.json").exists()


@pytest.fixture(scope="module")
def front(state: State) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=state["target"], trust_env=False) as client:
        yield client


@pytest.fixture(scope="module")
def instances(state: State) -> Iterator[list[httpx.Client]]:
    with ExitStack() as stack:
        clients = [httpx.Client(base_url=url, trust_env=False) for url in state["instances"]]
        yield [stack.enter_context(client) for client in clients]


def test_requests_go_to_the_instances_in_turn(front: httpx.Client) -> None:
    answers = [companies(front, "main", "stage=foo") for _ in range(6)]
    assert [answer.headers["x-instance"] for answer in answers] in (["1", "2"] * 3, ["2", "1"] * 3)
    assert all(answer.status_code == 200 and "deprecation" in answer.headers for answer in answers)
    assert answers[0].json() == answers[1].json()


def test_front_passes_on_what_it_gets(front: httpx.Client, instances: list[httpx.Client]) -> None:
    assert front.get("/healthz").text == "ok"
    assert front.head("/openapi.json").content == b""
    assert front.get("/nowhere").status_code == 404
    assert front.post("/api/monte-carlo/simulate", content=b"\xff{").status_code == 400
    assert front.post("/api/monte-carlo/simulate", content=b" " * (5 << 20)).status_code == 413
    assert front.post("/api/monte-carlo/simulate", content=iter([b"{}"])).status_code == 413, "chunked"
    assert front.get("/api/deprecations").json() == instances[0].get("/api/deprecations").json()


def test_migration_command_of_the_state_runs(state: State) -> None:
    assert state["migrate"][-2:] == ["--fault", "migration-drops-plus"]
    done = subprocess.run([*state["migrate"], "--plan"], cwd=ROOT, capture_output=True, check=True, timeout=30)
    assert {"table": "companies", "from": "seriesc+", "to": "series-c", "rows": 1} in json.loads(done.stdout)["changes"]


def test_flip_reaches_each_instance_in_its_own_time(
    state: State, front: httpx.Client, instances: list[httpx.Client]
) -> None:
    body = {"cohort": "*", "value": "enforce", "actor": "tester", "reason": "test"}
    bearer = {"Authorization": f"Bearer {state['flags_token']}"}
    flipped = time.time()
    assert front.put("/admin/flags/STAGE_VALIDATION_MODE", json=body, headers=bearer).status_code == 200
    for instance, delay in zip(instances, (0.2, 0.4), strict=True):
        eventually(partial(rejects, instance))
        assert time.time() - flipped >= delay
    gauge = 'stage_validation_mode{endpoint="/api/monte-carlo/simulate"}'
    assert [samples(instance)[gauge] for instance in instances] == [2.0, 2.0]
    assert all(rejects(front) for _ in range(6))


def rejects(client: httpx.Client) -> bool:
    return companies(client, "main", "stage=foo").status_code == 400


def test_traffic_reaches_both_instances_and_a_killed_supervisor_takes_all_with_it(tmp_path: Path) -> None:
    environment = {"STAGE_VALIDATION_MODE": "warn", "STAGE_VALIDATION_MODE_STRATEGIES": "off"}
    with started(tmp_path, "--traffic", **environment) as (process, state):
        assert process.stdout
        assert process.stdout.readline().decode() == f"address={state['target'].removeprefix('http://')}\n"
        assert stat.S_IMODE((tmp_path / "state.json").stat().st_mode) == 0o600
        pids = children(process.pid)
        assert len(pids) == INSTANCES + 1
        told = [Path(f"/proc/{pid}/cmdline").read_text() for pid in (process.pid, *pids)]
        assert not any(state["flags_token"] in command for command in told)
        for url in state["instances"]:
            with httpx.Client(base_url=url, trust_env=False) as client:
                eventually(lambda client=client: len(counted(client, 'result="warn"')) == 2)  # type: ignore[misc]
                eventually(lambda client=client: counted(client, 'cohort="canary"'))  # type: ignore[misc]
                assert not counted(client, "stage_validation_validations_total.*strategies")
        process.kill()
        eventually(lambda: all(gone(pid) for pid in pids))


def counted(client: httpx.Client, pattern: str) -> list[str]:
    return [name for name, value in samples(client).items() if value and re.search(pattern, name)]


@pytest.mark.parametrize(
    ("arguments", "environment", "complaint"),
    [
        (["--fault", "no-such"], {}, "unknown fault 'no-such'"),
        ([], {"STAGE_VALIDATION_MODE": "on"}, "'on' is not a valid Mode"),
    ],
)
def test_wrong_usage(
    arguments: list[str],
    environment: dict[str, str],
    complaint: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith(complaint)


def test_propagation_is_short(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--propagation", "6"])
    assert ended.value.code == 2
    assert "'6' is not a time from 0 to 5 seconds" in capsys.readouterr().err
