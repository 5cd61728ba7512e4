"""Running a canary: pytest in a process of its own, with a deadline, and a record whatever happens."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_rollout.canary import CanaryRunner, Occasion
from pytest_rollout.errors import EvidenceError
from pytest_rollout.evidence.log import EvidenceLog
from pytest_rollout.evidence.record import Kind
from pytest_rollout.evidence.runs import add_run
from pytest_rollout.judge.history import CanaryRun
from tests.postgres import Postgres
from tests.schedule.shop import CANARY, PLACE, QUICK, runner, write_shop

TELLS = """
import json, os, pytest, time

@pytest.mark.canary("settlement")
def test_it(rollout_attempt):
    told = {name: value for name, value in os.environ.items() if name.startswith(("ROLLOUT_", "PYTEST_"))}
    with open("told", "w") as file:
        json.dump({**told, "left": rollout_attempt.remaining(), "key": rollout_attempt.key}, file)
"""
HANGS = """
import os, pathlib, pytest, time

@pytest.fixture
def tidy():
    yield
    pathlib.Path("tidied").write_text(str(time.time()))

@pytest.mark.canary("settlement")
def test_it(tidy):
    pathlib.Path("pid").write_text(str(os.getpid()))
    time.sleep(60)
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CanaryRunner]:
    """Return what runs the canaries of a shop, shielded from the run outside."""
    for name in [name for name in os.environ if name.startswith(("ROLLOUT_", "PYTEST_XDIST"))]:
        monkeypatch.delenv(name)
    log = EvidenceLog(tmp_path / "evidence.db")
    write_shop(tmp_path)
    yield runner(tmp_path, log)
    log.close()


def canary(shop: CanaryRunner, source: str) -> CanaryRunner:
    """Give the shop's canary another test."""
    write_shop(shop.folder, source)
    return shop


def gone(pid: int) -> bool:
    """Whether a process has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


def recorded(shop: CanaryRunner) -> list[CanaryRun]:
    return shop.history(CANARY)


def test_a_run_is_recorded_by_its_process(shop: CanaryRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLLOUT_CANARY_SLOT", "1.0")
    run = canary(shop, TELLS).run(CANARY, 30.0)
    assert (run.outcome, run.message, run.slot, run.attempt, run.overran) == ("ok", "passed", None, 1, False)
    assert recorded(shop) == [run]
    assert "ROLLOUT_CANARY_SLOT" not in json.loads((shop.folder / "told").read_text())
    assert "1 passed" in (shop.reports / "canaries" / "settlement.log").read_text()


def test_the_process_is_told_what_it_is_run_for(shop: CanaryRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_ADDOPTS", "--strange")
    monkeypatch.setenv("ROLLOUT_CANARY_SLOT", "1.0")
    begun = time.time()

    run = canary(shop, TELLS).run(CANARY, 20.0, Occasion(run_id="one-2", slot=1795281276.5, attempt=2))

    told = json.loads((shop.folder / "told").read_text())
    assert (run.run_id, run.slot, run.attempt) == ("one-2", 1795281276.5, 2)
    assert (told["ROLLOUT_CANARY_RUN"], told["ROLLOUT_CANARY_SLOT"]) == ("one-2", "1795281276.5")
    assert (told["ROLLOUT_CANARY_ATTEMPT"], told["ROLLOUT_CANARY_DEADLINE"]) == ("2", "18")
    assert begun <= float(told["ROLLOUT_CANARY_STARTED"]) <= run.started_at
    assert 0 < told["left"] <= 18 - (run.started_at - begun), "it counts from the start of the process"
    assert told["key"] == "settlement-1795281276.5-2"
    assert "PYTEST_ADDOPTS" not in told


def test_credentials_of_urls_are_taken_out_of_the_log(shop: CanaryRunner) -> None:
    source = "import pytest\n@pytest.mark.canary('settlement')\ndef test_it(): assert not 'http://bob:hunter2@shop/'\n"
    run = canary(shop, source).run(CANARY, 30.0)
    assert "http://shop/" in run.message
    files = [path for path in shop.reports.parent.rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc"}]
    assert [path for path in files if b"bob:hunter2" in path.read_bytes()] == []


def test_every_run_has_an_id_of_its_own() -> None:
    assert Occasion().run_id != Occasion().run_id


def test_a_process_that_meets_its_inner_deadline_tidies_up_and_tells(shop: CanaryRunner) -> None:
    begun = time.time()
    run = canary(shop, HANGS).run(CANARY, 8.0)
    assert (run.outcome, run.overran) == ("error", True)
    assert run.message == (
        "test_it: call failed: CanaryCutShort: the canary met its inner deadline of 7.2 s; "
        "the rest of its 8 s is for screenshots and tidying up"
    )
    assert 7.2 <= float((shop.folder / "tidied").read_text()) - begun < 8.0
    assert recorded(shop) == [run], "the record says so, too"


def test_a_process_that_hangs_beyond_its_deadline_is_killed_and_recorded(
    shop: CanaryRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_rollout.canary.GRACE", 0.5)
    deaf = HANGS.replace("yield", "yield\n    time.sleep(60)")
    begun = time.monotonic()
    run = canary(shop, deaf).run(CANARY, 6.0, Occasion(run_id="one", slot=900.0, attempt=3))
    assert time.monotonic() - begun < 15
    assert (run.run_id, run.slot, run.attempt, run.outcome, run.overran) == ("one", 900.0, 3, "error", True)
    log = shop.reports / "canaries" / "settlement.log"
    assert run.message == f"canary settlement met its deadline of 6 s and was killed; see {log}"
    assert gone(int((shop.folder / "pid").read_text()))
    assert recorded(shop) == [run]


@pytest.mark.parametrize(
    ("ends", "how", "overran"),
    [("os._exit(70)", "ended with exit code 70", False), ("time.sleep(60)", "met its deadline of 6 s", True)],
)
def test_a_process_that_ends_badly_after_it_said_ok_is_an_error(
    shop: CanaryRunner, monkeypatch: pytest.MonkeyPatch, ends: str, how: str, *, overran: bool
) -> None:
    monkeypatch.setattr("pytest_rollout.canary.GRACE", 0.5)
    (shop.folder / "conftest.py").write_text(f"import os, time\ndef pytest_unconfigure(): {ends}\n")
    run = shop.run(CANARY, 6.0, Occasion(run_id="one", slot=900.0))
    log = shop.reports / "canaries" / "settlement.log"
    assert (run.outcome, run.overran) == ("error", overran)
    assert run.message == f"canary settlement said that it passed, but its process {how}; see {log}"
    assert [(one.run_id, one.outcome) for one in recorded(shop)] == [("one", "ok"), ("one-end", "error")]


@pytest.mark.parametrize(
    ("dies", "code"), [("os._exit(7)", 7), ("os.kill(os.getpid(), 9)", -9)], ids=["exits", "is killed"]
)
def test_a_process_that_dies_is_recorded(shop: CanaryRunner, dies: str, code: int) -> None:
    source = f"import os, pytest\n@pytest.mark.canary('settlement')\ndef test_it(): {dies}"
    run = canary(shop, source).run(CANARY, 30.0)
    log = shop.reports / "canaries" / "settlement.log"
    assert (run.outcome, run.overran, run.retryable) == ("error", False, False)
    assert run.message == f"canary settlement ended without a result (exit code {code}); see {log}"
    assert recorded(shop) == [run]


def test_a_stopped_run_ends_at_once_and_tidies_up(shop: CanaryRunner) -> None:
    begun = time.monotonic()
    stopped = replace(canary(shop, HANGS), stopped=(shop.folder / "pid").exists)
    run = stopped.run(CANARY, 60.0)
    assert time.monotonic() - begun < 10
    assert (run.outcome, run.overran) == ("error", False)
    assert run.message == (
        "test_it: call failed: CanaryCutShort: the canary was asked to end by SIGTERM: its scheduler stops, or is gone"
    )
    assert (shop.folder / "tidied").exists()
    assert recorded(shop) == [run]


def test_a_run_that_is_stopped_before_it_can_tell_is_recorded(shop: CanaryRunner) -> None:
    run = replace(shop, stopped=lambda: True).run(CANARY, 60.0)
    assert (run.outcome, run.overran) == ("error", False)
    assert run.message == (
        f"canary settlement was stopped by its scheduler; see {shop.reports / 'canaries' / 'settlement.log'}"
    )
    assert recorded(shop) == [run]


def test_a_process_that_cannot_be_started_is_recorded(shop: CanaryRunner) -> None:
    run = replace(shop, rootdir=shop.folder / "nowhere").run(CANARY, 30.0)
    assert run.outcome == "error"
    assert run.message.startswith("canary settlement could not be started: [Errno 2] No such file or directory")
    assert recorded(shop) == [run]


def test_a_record_that_came_at_the_last_moment_counts(shop: CanaryRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """As from a killed process whose transaction its PostgreSQL went on with."""
    done = CanaryRun(run_id="one", canary=CANARY, started_at=1.0, ended_at=2.0, outcome="failed", message="no")
    add_run(shop.log, done, PLACE)
    answers = iter([None, done])
    monkeypatch.setattr("pytest_rollout.canary.find_run", lambda *_: next(answers))
    assert replace(shop, stopped=lambda: True).run(CANARY, 30.0, Occasion(run_id="one")) == done
    assert recorded(shop) == [done]


def test_a_run_that_cannot_be_recorded_is_an_error_of_the_evidence(shop: CanaryRunner) -> None:
    blocked = shop.folder / "blocked"
    blocked.write_text("in the way")
    with pytest.raises(EvidenceError):
        replace(shop, log=EvidenceLog(blocked / "evidence.db")).run(CANARY, 30.0)


def test_the_log_may_be_a_database(shop: CanaryRunner, postgres: Postgres) -> None:
    log = EvidenceLog(postgres.new_database())
    run = replace(shop, log=log).run(CANARY, 30.0, Occasion(run_id="one", slot=900.0))
    found = log.read(Kind.CANARY_RUN, PLACE, CANARY)
    log.close()
    assert [(record.key, record.data["outcome"]) for record in found] == [("run:one", "ok")]
    assert run.outcome == "ok"


def test_what_a_run_needs_is_in_its_command_and_no_more(shop: CanaryRunner) -> None:
    source = TELLS.replace("told = {", "import sys; told = {'argv': sys.orig_argv, **{").replace(
        '"PYTEST_"))}', '"PYTEST_"))}}'
    )
    canary(shop, source).run(CANARY, 30.0)
    told = json.loads((shop.folder / "told").read_text())
    assert told["argv"] == [
        *(sys.executable, "-m", "pytest", str(shop.folder), "-m", "canary"),
        *("--rollout-canary=settlement", "--rollout-env=staging"),
        *(f"--rollout-evidence={shop.log.address}", f"--rollout-reports={shop.reports}"),
        *("--rollout-push=never", "-p", "no:cacheprovider", "-n", "0", *QUICK),
    ]


def test_recordings_of_the_newest_runs_are_kept(shop: CanaryRunner) -> None:
    for number in range(25):
        folder = shop.reports / "playwright" / f"run{number}"
        folder.mkdir(parents=True)
        os.utime(folder, (1000 + number, 1000 + number))
    shop.run(CANARY, 30.0)
    kept = {path.name for path in (shop.reports / "playwright").iterdir()}
    assert kept == {f"run{number}" for number in range(5, 25)}
