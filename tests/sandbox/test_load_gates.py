"""The load gates of the plan, by real loads on the application: passed when it is healthy, breached by each fault.

Here the portal may take two seconds, so that a busy machine is not a fault; the plan's own limit is in tests/rehearsal.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_rollout.latency import LoadTerms, judge_latency
from pytest_rollout.load_runner import LoadRunner
from pytest_rollout.plan.gates import Gate
from pytest_rollout.plan.latency import Latency, LatencyLimit
from pytest_rollout.plan.loader import load_plan
from pytest_rollout.verdict import CheckResult, Verdict
from sandbox.faults import FAULTS, PORTAL_LOAD, SETTLEMENT_LOAD
from sandbox.prisma.config import Config, FlagSetting
from tests.sandbox.conftest import served

ROOT = Path(__file__).parents[2]
PLAN = load_plan(ROOT / "canaries" / "prisma" / "prisma.rollout.yaml").plan
FLAGS = (FlagSetting("FINANCIAL_ORCHESTRATOR", "*", value=True), FlagSetting("PORTAL_PRISMA", "agents", value=True))
SCALE = 60.0
PATIENT = LatencyLimit.model_validate({"below": "2s"})
SHORTER = "portal-slow"
"""A fault within that patience."""


def gate(check: str) -> Gate:
    """Return a gate of the plan by its name in the list of faults."""
    return next(one for stage in PLAN.stages for one in stage.gates if f"{stage.marker}/{one.id}" == check)


def asked(check: str) -> Latency:
    """Return what a gate asks for, with patience."""
    latency = gate(check).latency
    assert latency is not None
    return latency.model_copy(update={"p95": latency.p95 and PATIENT})


@contextmanager
def running(folder: Path, *faults: str) -> Iterator[LoadRunner]:
    """Serve the application, and return what makes loads on it."""
    (folder / "site").mkdir()
    with served(Config(folder / "site", faults=frozenset(faults), flags=FLAGS, flags_token="a-token")) as client:
        yield LoadRunner(rootdir=ROOT, host=str(client.base_url), variables=dict(os.environ), folder=folder / "load")


def judged(folder: Path, check: str, *faults: str, confidence: float | None = 0.95) -> CheckResult:
    """Make a gate's load and judge it."""
    terms = LoadTerms(asked=asked(check), confidence=confidence, scale=SCALE)
    with running(folder, *faults) as runner:
        return judge_latency(terms, runner.make(gate(check).id, terms))


@pytest.mark.parametrize("check", [SETTLEMENT_LOAD, PORTAL_LOAD])
def test_a_healthy_application_passes(tmp_path: Path, check: str) -> None:
    # What is observed is compared: to be sure of it, the portal's load would have to last half a minute.
    result = judged(tmp_path, check, confidence=None)
    assert result.verdict is Verdict.PASSED, result.message


FAULTY = [(check, one.name) for one in FAULTS for check in one.turns_red if check in {SETTLEMENT_LOAD, PORTAL_LOAD}]


@pytest.mark.parametrize(("check", "fault"), [one for one in FAULTY if one[1] != SHORTER])
def test_a_fault_breaches_the_gate(tmp_path: Path, check: str, fault: str) -> None:
    result = judged(tmp_path, check, fault)
    assert result.verdict is Verdict.BREACHED, result.message


def test_a_slow_portal_never_keeps_to_the_limit_of_the_plan(tmp_path: Path) -> None:
    terms = LoadTerms(asked=asked(PORTAL_LOAD), confidence=None, scale=SCALE)
    plan = gate(PORTAL_LOAD).latency
    limit = plan and plan.p95 and plan.p95.below
    assert limit
    with running(tmp_path, SHORTER) as runner:
        (run,) = runner.make("portal-load", terms).runs
    samples = run.samples("transaction")
    assert min(samples.ok + samples.failed) > limit
