"""What ``rollout load`` refuses, before there is any load."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pytest_rollout.cli import main
from pytest_rollout.load.engine import LOCUST
from tests.load.runs import VISITOR
from tests.load.servers import healthy, running

USAGE = 2
SOUND = ("--rate", "60/s", "--for", "1s", "--failures", "0")


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a project with one locustfile, shielded from the run outside."""
    for name in [name for name in os.environ if name.startswith("ROLLOUT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv(LOCUST, "/nowhere/locust")
    monkeypatch.chdir(tmp_path)
    Path("locustfiles").mkdir()
    Path("locustfiles", "visit.py").write_text(VISITOR, encoding="utf-8")
    return tmp_path


def rollout(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["load", *arguments])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            "--rate 60 --for 1m --p95 1s",
            "--rate: '60' is not a rate; write how many in which time, such as 50/s or 600/min",
        ),
        (
            "--rate 60/s --for 60 --p95 1 --extend x",
            (
                "--for: '60' is not a duration; write a number with a unit, such as 120ms, 30s, 15m, 2h, 7d\n"
                "--extend: 'x' is not a duration; write a number with a unit, such as 120ms, 30s, 15m, 2h, 7d\n"
                "--p95: '1' is not a duration; write a number with a unit, such as 120ms, 30s, 15m, 2h, 7d"
            ),
        ),
        ("--for 1m --p95 1s", "--rate: say how many arrivals there are, such as --rate 50/s; or give --users"),
        ("--rate 1/s --users 2 --for 1m --p95 1s", "--users: give exactly one of --rate and --users"),
        ("--rate 60/s --for 0s --p95 1s", "--for: a load needs some time, such as --for 2m"),
        ("--rate 60/s --for 1m --errors 1", "--errors: '1' is not a share; write per cent, such as 0.5% or 99%"),
        (
            "--rate 60/s --for 1m --errors 1% --failures 0",
            "--errors: give exactly one of --errors, a share, and --failures, a count",
        ),
        (
            "--rate 60/s --for 1m --errors 0%",
            "--errors: a share must lie between 0% and 100%, both excluded; write --failures 0 for none at all",
        ),
        (
            "--rate 60/s --for 1m --p95-worse 10%",
            "--p95: --p95-worse compares with a control; give --control and --candidate, or write --p95",
        ),
        ("--rate 60/s --for 1m --p99.9 1s --p99.9-worse 9%", "--p99.9: give exactly one of --p99.9 and --p99.9-worse"),
        (
            "--rate 60/s --for 1m --p95 1s --absolute 5ms",
            "--absolute: a difference between two sides; give --p95-worse or the like, too",
        ),
        ("--rate 60/s --for 1m --p95 1s --control http://c", "--control: --control and --candidate go together"),
        (
            "--rate 60/s --for 1m --p95 1s --bind 10.0.0.5:5557",
            "--bind: --bind is an address and a port, such as 10.0.0.5:5557, and goes with --workers",
        ),
        (
            "--rate 60/s --for 1m --p95 1s --workers -1",
            "--workers: -1 is no number of workers; write 0 for a single process, or how many",
        ),
        ("--rate 60/s --for 1m --p95 1s --arrivals steady", "--arrivals: Input should be 'poisson' or 'constant'"),
        ("--rate 60/s --for 1m --p95 1s --of page", "--of: Input should be 'transaction' or 'request'"),
        (
            "--users 2 --for 1m --p95 1s --of transaction",
            "--of: users make requests, not arrivals; write --of request, or give a rate",
        ),
        (
            "--rate 60/s --for 1m --p95 1s --confidence 40%",
            "--confidence: confidence must lie between 50% and 100%, both excluded, or be 'point'",
        ),
        (
            "--rate 10/s --for 2s --p95 1s",
            (
                "--p95: p95 needs 59 requests at least, all of them good; 10 a second for 2 s are about 20; make it "
                "6 s or longer, or raise the rate"
            ),
        ),
        (
            "--rate 60/s --for 1m --control http://c --candidate ${NOWHERE}",
            "--candidate: the environment variable NOWHERE is not set; export it",
        ),
    ],
)
def test_what_cannot_be_asked_for(arguments: str, said: str) -> None:
    with running(healthy) as server:
        done = rollout("visit", "--target", server.url, *arguments.split())

    assert (done.exit_code, done.stderr, done.stdout) == (USAGE, f"rollout: {said}\n", "")
    assert server.requests == []
    assert not Path("reports").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["visit"], "--target: say where the load goes, such as --target http://127.0.0.1:8000"),
        (
            ["visit", "--target", "me:secret@shop"],
            "--target: write an address with its scheme, such as http://127.0.0.1:8000",
        ),
        (
            ["visti", "--target", "http://127.0.0.1:1"],
            "there is no locustfile {project}/locustfiles/visti.py; those of locustfiles/: visit",
        ),
        (
            ["visit", "--target", "http://127.0.0.1:1", "--reports", "locustfiles/visit.py"],
            "--reports: locustfiles/visit.py cannot be written: Not a directory; choose another folder",
        ),
    ],
)
def test_where_no_load_can_be_made(project: Path, arguments: list[str], said: str) -> None:
    done = rollout(*arguments, *SOUND)
    assert (done.exit_code, done.stderr) == (USAGE, f"rollout: {said.format(project=project)}\n")


def test_without_locust(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(LOCUST, raising=False)
    monkeypatch.setattr("pytest_rollout.load_runner.importlib.util.find_spec", lambda _: None)
    done = rollout("visit", "--target", "http://127.0.0.1:1", *SOUND)
    said = "Locust is not installed; install pytest-rollout[locust], or set ROLLOUT_LOCUST to a locust command"
    assert (done.exit_code, done.stderr) == (USAGE, f"rollout: {said}\n")
