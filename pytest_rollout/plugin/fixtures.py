"""Fixtures for canaries and for Python tests with gates."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest

from pytest_rollout.plugin.stash import attempt_key, plans_key, world_key
from pytest_rollout.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_rollout.plan.gates import Gate
    from pytest_rollout.plan.model import Stage
    from pytest_rollout.plugin.attempt import Attempt
    from pytest_rollout.target import Target, Variables
    from pytest_rollout.verdict import CheckResult


_LONGEST = 80
"""Characters of a test's name in the name of a file, which has 255 at most."""


@pytest.fixture(scope="session")
def rollout_target(pytestconfig: pytest.Config) -> Target:
    """The environment of this run: ``url``, ``flags_url``, ``scaled(seconds)`` and so on."""
    from pytest_rollout.errors import EnvironmentUnready

    plans = pytestconfig.stash[plans_key]
    targets = {target.url: target for target in (pytestconfig.stash[world_key].target(plan) for plan in plans)}
    if len(targets) != 1:
        raise EnvironmentUnready(f"these tests see {len(targets)} targets; run the folder of one plan at a time")
    return next(iter(targets.values()))


@pytest.fixture(scope="session")
def rollout_variables(rollout_target: Target) -> Variables:
    """The environment variables of this run, a dict: those of the process, and over them what a sandbox brings.

    ``rollout_variables["NAME"]`` raises EnvironmentUnready if it is not set.
    """
    return rollout_target.variables


@pytest.fixture
def rollout_attempt(request: pytest.FixtureRequest) -> Attempt:
    """The attempt that this test of a canary is a part of: ``slot``, ``key``, ``traceparent``, ``remaining()``."""
    from pytest_rollout.plugin.attempt import attempt_of

    if (known := request.config.stash.get(attempt_key, None)) is not None:
        return known
    mark = request.node.get_closest_marker("canary")
    return attempt_of(str(mark.args[0]) if mark and mark.args else request.node.name)


class Gates:
    """Gates of a plan as assertions of a Python test. Keys and units are those of the plan.

    Every method returns the result if the gate passed, and raises GateBreached, GateInconclusive or GateError.
    """

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._item: pytest.Item = request.node
        self._judged = 0

    def ratio(self, *, total: str, bad: str | None = None, good: str | None = None, **limits: Any) -> CheckResult:
        """Assert a share of requests: ``ratio(bad=..., total=..., below="0.5%", over="30m")``.

        Or ``ratio(good=..., total=..., at_least="99%", over="30m")``.
        """
        sides = {"bad": bad, "good": good, "total": total}
        return self._judge(ratio={name: side for name, side in sides.items() if side is not None}, **limits)

    def quantile(self, q: float, of: str, *, where: str = "", **limits: Any) -> CheckResult:
        """Assert a quantile: ``quantile(0.95, "request_duration_seconds", below="120ms", over="30m")``."""
        return self._judge(quantile={"q": q, "of": of, "where": where}, **limits)

    def counter(self, of: str, **limits: Any) -> CheckResult:
        """Assert that a counter does not rise: ``counter("rollbacks_total", at_most=0, over="2h")``."""
        return self._judge(counter={"of": of}, **limits)

    def promql(self, query: str, **limits: Any) -> CheckResult:
        """Assert a bare value: ``promql("sum(up)", at_least=2)``."""
        return self._judge(promql=query, **limits)

    def canary(self, name: str, **history: Any) -> CheckResult:
        """Assert the history of a canary, running it if it is due: ``canary("smoke", passes=2, across="30m")``."""
        return self._judge(canary={"name": name, **history})

    def latency(self, locustfile: str, *, over: str, confidence: str = "95%", **asked: Any) -> CheckResult:
        """Assert how long answers to a load take: ``latency("portal", rate="50/s", over="2m", p95={"below": "1s"})``.

        ``over`` is the plan's ``for``, and ``p999`` its ``p99.9``, which no argument can be called.
        """
        keys = {"p99.9" if key == "p999" else key: value for key, value in asked.items()}
        return self._judge(latency={"locustfile": locustfile, "for": over, **keys}, confidence=confidence)

    def _judge(self, **keys: Any) -> CheckResult:
        from pytest_rollout.look import FLAG_STATE
        from pytest_rollout.plugin.items import conclude
        from pytest_rollout.plugin.progress import progress_line

        config = self._item.config
        path = self._plan()
        world = config.stash[world_key]
        self._judged += 1
        gate = _gate(self._item, self._judged, keys)
        scene = world.scene(path, self._stage(path))
        results = world.judged(path, scene, [gate], progress_line(config), name=gate.id)
        result, flags = results[gate.id], results.get(FLAG_STATE)
        if flags is not None and flags.verdict is not Verdict.PASSED and result.verdict is Verdict.PASSED:
            result = result.because(flags)  # without them nobody knows where the window begins
        conclude(self._item, result)
        return result

    def _plan(self) -> Path:
        from pytest_rollout.errors import GateError
        from pytest_rollout.plugin.members import nearest_plan

        config = self._item.config
        plan = nearest_plan(self._item.path, config.stash[plans_key])
        if plan is None:
            raise GateError(
                "rollout_gate needs a plan: put a *.rollout.yaml in the folder of the test or above it, "
                "and give that folder to pytest"
            )
        return plan

    def _stage(self, path: Path) -> Stage:
        """Return the stage whose flip this test's windows begin at; without a marker, one without flags."""
        from pytest_rollout.errors import GateError
        from pytest_rollout.plan.model import Stage
        from pytest_rollout.plugin.members import stage_markers

        markers = stage_markers(self._item)
        plan = self._item.config.stash[world_key].plan(path).plan
        mine = [stage for stage in plan.stages if stage.marker in markers]
        if len(mine) > 1:
            names = " and ".join(stage.marker for stage in mine)
            raise GateError(f"{self._item.name} carries {names}, which have flips of their own; write a test for each")
        if mine:
            return mine[0]
        return Stage.model_construct(stage=0, name="no stage", flags={}, settle=0.0, gates=())


def _gate(item: pytest.Item, number: int, keys: dict[str, Any]) -> Gate:
    """Return a gate whose id no other gate of the run has: its evidence is filed under it."""
    from pydantic import ValidationError

    from pytest_rollout.errors import GateError
    from pytest_rollout.plan.gates import Gate
    from pytest_rollout.plan.lint import lint_gate

    name = re.sub(r"[^a-z0-9._-]+", "-", item.name.lower()).strip("-._")
    mark = hashlib.sha256(f"{item.nodeid}#{number}".encode()).hexdigest()[:8]
    try:
        gate = Gate.model_validate({"id": f"{name[:_LONGEST]}-{mark}", **keys})
    except ValidationError as exc:
        raise GateError(f"{item.name}: {'; '.join(map(_fault, exc.errors()))}") from None
    if wrong := [found.message for found in lint_gate(gate, ()) if found.severity == "error"]:
        raise GateError(f"{item.name}: {'; '.join(wrong)}")
    return gate


def _fault(error: Mapping[str, Any]) -> str:
    context = error.get("ctx", {})
    return str(context.get("message") or context.get("error") or error["msg"])


@pytest.fixture
def rollout_gate(request: pytest.FixtureRequest) -> Gates:
    """Gate assertions for a Python test, judged like the gates of the plan."""
    return Gates(request)


@pytest.fixture
def rollout_latency(rollout_gate: Gates) -> Callable[..., CheckResult]:
    """Assert the latency of answers to a load, as ``rollout_gate.latency`` does."""
    return rollout_gate.latency
