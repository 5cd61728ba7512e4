"""Canaries with payments as a schedule runs them: runs that pass, are killed, are asked to end, or reach nobody."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from zipfile import ZipFile

import httpx
import pytest

from pytest_rollout.canary import SLOT_VARIABLE
from pytest_rollout.process import dying_with_parent
from pytest_rollout.sandbox import STATE_VARIABLE
from tests.canaries.conftest import CANARIES, ROOT, Start, System

REVERSALS = "SELECT reversalOf, id FROM payments WHERE reversalOf"
STANDING = """SELECT id FROM payments WHERE agentId > 24 AND amount > 0
              AND id NOT IN (SELECT reversalOf FROM payments WHERE reversalOf)"""


@contextmanager
def process(*argv: str, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a Python program; it is killed in the end."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ROLLOUT_", "PYTEST_"))}
    running = subprocess.Popen(
        [sys.executable, *argv],
        cwd=ROOT,
        env={**kept, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=dying_with_parent(),  # noqa: PLW1509 - one prctl call, no lock is taken
    )
    try:
        yield running
    finally:
        running.kill()
        running.wait()


def until(holds: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def paid(system: System) -> bool:
    """Return whether a synthetic payment stands."""
    return bool(system.ask(STANDING))


def created(system: System) -> dict[str, Any]:
    """Return what the last run said that it made."""
    report = ET.parse(system.folder / "junit.xml")  # noqa: S314 - written by ourselves
    (found,) = report.findall(".//property[@name='rollout.created']")
    said: dict[str, Any] = json.loads(found.attrib["value"])
    return said


def sent_by_browser(system: System, header: str) -> list[str]:
    """Return the header of every request of the last run's browser, if it had one."""
    recordings = [ZipFile(path).read("har.har") for path in system.folder.rglob("network.har.zip")]
    entries = [entry for text in recordings for entry in json.loads(text)["log"]["entries"]]
    headers = [{one["name"].lower(): one["value"] for one in entry["request"]["headers"]} for entry in entries]
    return [one[header] for one in headers]


@pytest.mark.parametrize(
    ("canary", "environment", "payments"),
    [("settlement", "sandbox", 1), ("settlement", "sandbox-browser", 1), ("audit-parity", "sandbox", 2)],
)
def test_healthy_system_passes_and_is_left_as_it_was(
    system: Start, canary: str, environment: str, payments: int
) -> None:
    healthy = system()
    before = healthy.books()
    run = healthy.run(canary, environment)
    assert run.outcome == "ok", healthy.said()
    assert healthy.books() == before
    made = created(healthy)
    reversals = dict(healthy.ask(REVERSALS))
    assert (made["payments"], made["reversals"]) == (
        list(reversals),
        {str(payment): reversal for payment, reversal in reversals.items()},
    )
    assert len(reversals) == payments
    log = [json.loads(line) for line in (healthy.folder / "app.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {line["traceId"] for line in log if line["message"] == "payment.start"} == {made["trace_id"]}
    assert {header.split("-")[1] for header in sent_by_browser(healthy, "traceparent")} <= {made["trace_id"]}


def test_other_payments_may_go_on(system: Start) -> None:
    busy = system()
    before = busy.books()
    address = busy.url.removeprefix("http://")
    with process("-m", "sandbox.traffic", address, "--seconds", "60"):
        until(lambda: busy.ask("SELECT COUNT(*) FROM payments WHERE reference LIKE 'TRAFFIC%'") != [(0,)])
        run = busy.run("settlement")
    assert run.outcome == "ok", busy.said()
    assert busy.books() == before


def test_run_after_one_that_was_killed_takes_its_payment_back(system: Start) -> None:
    healthy = system()
    before = healthy.books()
    argv = ["-m", "pytest", str(CANARIES), "-m", "canary", "--rollout-canary=settlement", "--rollout-push=never"]
    argv += [f"--rollout-evidence={healthy.folder / 'killed.db'}", f"--rollout-reports={healthy.folder / 'killed'}"]
    with process(*argv, *healthy.arguments(), **{STATE_VARIABLE: str(healthy.state)}) as running:
        until(lambda: paid(healthy))
        running.send_signal(signal.SIGKILL)
        running.wait(10)
    assert healthy.books() != before

    run = healthy.run("settlement")

    assert run.outcome == "ok", healthy.said()
    assert healthy.books() == before
    assert "UserWarning: an earlier run left payment 41 (EXTERNAL of 225" in healthy.said()


def test_run_that_is_asked_to_end_takes_its_payment_back(system: Start) -> None:
    healthy = system()
    before = healthy.books()
    run = replace(healthy, stopped=lambda: paid(healthy)).run("settlement")
    assert run.outcome == "error"
    assert "asked to end by SIGTERM" in run.message
    assert (healthy.books(), run.retryable) == (before, False)


@pytest.mark.parametrize("canary", ["settlement", "audit-parity"])
def test_run_that_reaches_nobody_may_be_tried_again(system: Start, canary: str) -> None:
    healthy = system()
    nobody = replace(healthy, client=httpx.Client(base_url="http://127.0.0.1:9"))
    run = nobody.run(canary)
    assert run.outcome == "error"
    assert "ConnectError" in run.message
    assert run.retryable


def test_slot_is_run_once(system: Start) -> None:
    healthy = system()
    assert SLOT_VARIABLE not in os.environ
    assert healthy.run("settlement", slot=1_700_000_100.0).outcome == "ok"
    again = healthy.run("settlement", slot=1_700_000_100.0)
    assert again.outcome == "error"
    said = "the audit knows synthetic-settlement-1700000100-1 already: another scheduler has run this slot"
    assert again.message.endswith(said)
