"""Deciding a stage over time: a clock that only moves when somebody sleeps, and sources that are made up."""

from __future__ import annotations

import json as encoder
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from pytest_rollout.canary import CanaryRunner
from pytest_rollout.errors import EvidenceError, SourceUnreachable
from pytest_rollout.judge.history import CanaryRun, Looks
from pytest_rollout.look import FLAG_STATE
from pytest_rollout.plan.gates import Gate
from pytest_rollout.plan.model import Stage
from pytest_rollout.sources.flags import FlagReader
from pytest_rollout.sources.http import Answer
from pytest_rollout.sources.prometheus import Prometheus
from pytest_rollout.sources.recording import Recording
from pytest_rollout.stage import Clock, Scene, Waiting, decide
from pytest_rollout.target import Target
from pytest_rollout.verdict import CheckResult, Reason, Verdict

START = 1_000_000.0
PLAN = "the plan's digest"
COUNTER = {"id": "rollbacks", "counter": {"of": "rollbacks_total"}, "at_most": 0, "over": "10s"}
VALUE = {"id": "targets", "promql": "min(up)", "at_least": 1}
CANARY = {"id": "smoke", "canary": {"name": "smoke", "passes": 2, "across": "10s"}}
RATIO = {
    "id": "errors",
    "ratio": {"bad": 'requests_total{code="500"}', "total": "requests_total"},
    "below": "1%",
    "over": "10s",
}
ONCE = {**RATIO, "looks": "once"}
"""405 good requests, those surely in the window, are enough for the only look (0.025 ** (1 / 405) > 0.99), not else."""
FLAGS = {"READS": {"value": True, "cohort": "admin"}}
PROCESS = {"job": "app", "instance": "a:1"}
RANGE = re.compile(r"(.+)\[(\d+)ms\]")
COUNT = re.compile(r"count\(last_over_time\((.+)\)\)")
HEALTH = '{__name__=~"up|process_start_time_seconds",job="app"}'


@dataclass
class World:
    """Made-up sources: Prometheus scrapes one process every second since it began, ``up_since``.

    It counts what ``rollbacks`` says, and ``rate`` good requests a second. Bare values are ``value``.
    """

    now: float = START
    up_since: float = START - 1000
    flipped_at: float | None = START - 1000
    changed_by: str | None = None
    flag: bool = True
    rollbacks: Callable[[float], float] = lambda _: 0.0
    rate: float = 45.0
    value: float = 1.0
    skew: float | None = 0.0
    prometheus_is_down: bool = False
    flags_are_down: bool = False
    log_is_broken: bool = False
    looks_are_broken: bool = False
    looked: list[tuple[str, float | None, float]] = field(default_factory=list)
    """(gate, flip, time) of each look that was recorded."""
    outcomes: dict[int, str] = field(default_factory=dict)
    """Outcome of the n-th canary run, from 0, if it is not ``ok``."""
    runs: list[CanaryRun] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    targets_asked: int = 0
    waits: list[Waiting] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        assert seconds > 0, "a wait that does not wait never ends"
        self.now += seconds

    def __call__(self, _method: str, url: str, /, *, form: Mapping[str, str] | None = None, json: Any = None) -> Answer:  # noqa: ARG002
        """Answer like Prometheus or like an OFREP service."""
        if self.prometheus_is_down if "/api/v1" in url else self.flags_are_down:
            raise SourceUnreachable(f"{url}: nobody there")
        if "/ofrep/" in url:
            return self._said({"key": "READS", "value": self.flag, "reason": "STATIC", "metadata": self._metadata()})
        if url.endswith("/targets?state=active"):
            self.targets_asked += 1
            target = {"labels": PROCESS, "scrapeInterval": "1s", "health": "up", "lastError": ""}
            return self._said({"status": "success", "data": {"activeTargets": [target]}})
        assert form is not None
        self.asked.append(form["query"])
        return self._said({"status": "success", "data": self._found(form["query"], float(form["time"]))})

    def _said(self, body: Any) -> Answer:
        return Answer(200, encoder.dumps(body), self.skew)

    def _metadata(self) -> dict[str, str]:
        if self.flipped_at is None:
            return {}
        by = {"changedBy": self.changed_by} if self.changed_by else {}
        return {"changedAt": datetime.fromtimestamp(self.flipped_at, UTC).isoformat(), **by}

    def _found(self, query: str, at: float) -> dict[str, Any]:
        if ranged := RANGE.fullmatch(query):
            return {"resultType": "matrix", "result": self._series(ranged[1], at - float(ranged[2]) / 1000, at)}
        value, labels = self.value, {}
        if counted := COUNT.fullmatch(query):
            value = len(self._found(counted[1], at)["result"])
        elif query == "up":
            labels = {"__name__": query, **PROCESS}
        return {"resultType": "vector", "result": [{"metric": labels, "value": [at, str(value)]}]}

    def _series(self, selector: str, start: float, end: float) -> list[dict[str, Any]]:
        times = range(math.ceil(max(start, self.up_since)), math.floor(end) + 1)
        kinds: dict[str, Callable[[float], float]] = {
            "up": lambda _: 1,
            "process_start_time_seconds": lambda _: self.up_since,
            "rollbacks_total": self.rollbacks,
            "requests_total": lambda t: self.rate * (t - self.up_since),
        }
        names = ["up", "process_start_time_seconds"] if selector == HEALTH else [selector]
        return [
            {
                "metric": {"__name__": name, **PROCESS, **({"code": "200"} if name == "requests_total" else {})},
                "values": [[float(t), str(float(kinds[name](t)))] for t in times],
            }
            for name in names
            if times
        ]

    # The evidence log

    def looks(self, gates: Sequence[str], flip: float | None, at: float) -> Mapping[str, Looks]:
        assert gates, "there is nothing to look at"
        if self.looks_are_broken:
            raise EvidenceError("the evidence log is broken")
        self.looked += [(gate, flip, at) for gate in gates]
        times = {gate: [at for one, since, at in self.looked if (one, since) == (gate, flip)] for gate in gates}
        return {gate: Looks(len(known), min(known)) for gate, known in times.items()}

    # The canary runner

    def history(self, canary: str) -> list[CanaryRun]:
        if self.log_is_broken:
            raise EvidenceError("the evidence log is broken")
        return [run for run in self.runs if run.canary == canary]

    def run(self, canary: str, deadline: float) -> CanaryRun:
        assert deadline == 120
        outcome = self.outcomes.get(len(self.runs), "ok")
        run = CanaryRun(
            run_id=str(len(self.runs)),
            canary=canary,
            started_at=self.now,
            ended_at=self.now,
            outcome=outcome,
            message=outcome,
            plan=PLAN,
            flags={"READS@admin": True},
        )
        self.runs.append(run)
        return run

    def scene(self, *, flags: Any = None, settle: str = "0s", flipped_at: float | None = None) -> Scene:
        stage = {
            "stage": 1,
            "name": "n",
            "flags": FLAGS if flags is None else flags,
            "settle": settle,
            "gates": [VALUE],
        }
        return Scene(
            rollout="shop",
            plan=PLAN,
            stage=Stage.model_validate(stage),
            target=Target(
                environment="staging",
                url="http://target",
                prometheus="http://prometheus",
                pushgateway=None,
                flags_url="http://flags",
                flags_token=None,
                time_scale=1,
                wait=0,
                scrape_interval=None,
                via="api",
                rehearsal=(),
            ),
            prometheus=Prometheus("http://prometheus", self),
            flags=FlagReader("http://flags", self),
            canaries=cast("CanaryRunner", self),
            flipped_at=flipped_at,
            looks=self.looks,
            clock=Clock(lambda: self.now, self.sleep),
        )

    def decide(self, *gates: dict[str, Any], wait: float = 0, exhaustive: bool = False, **scene: Any) -> Results:
        models = [Gate.model_validate(gate) for gate in gates]
        given = self.scene(**scene)
        return decide(given, models, wait=wait, exhaustive=exhaustive, progress=self.waits.append).results


Results = dict[str, CheckResult]


@pytest.fixture(autouse=True)
def _short_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    for source in ("prometheus", "flags"):
        monkeypatch.setattr(f"pytest_rollout.sources.{source}._RETRY_BUDGET", 0.0)


def words(results: Results) -> dict[str, str]:
    return {name: f"{result.verdict.value} {result.reason.value}" for name, result in results.items()}


def test_a_pass_that_cannot_count_is_not_made_again_and_again() -> None:
    world = World(flags_are_down=True)
    assert words(world.decide(CANARY, wait=60))["smoke"] == "inconclusive too-few-passes"
    assert len(world.runs) == 1


def test_everything_well_is_decided_at_once() -> None:
    world = World()
    results = world.decide(COUNTER, VALUE)
    assert set(words(results).values()) == {"passed within-limit"}
    assert set(results) == {FLAG_STATE, "rollbacks", "targets"}
    assert world.now == START


def test_all_gates_see_one_instant_one_and_a_half_scrapes_ago() -> None:
    results = World().decide(COUNTER, {**COUNTER, "id": "again", "over": "30s"})
    assert {result.window[1] for result in results.values() if result.window} == {START - 1.5}


def test_the_same_question_is_asked_once() -> None:
    world = World()
    world.decide(COUNTER, {**COUNTER, "id": "again"})
    assert len(world.asked) == len(set(world.asked)) == 3  # the counter, how many series it has, and how it was watched


def test_a_window_begins_no_earlier_than_flip_and_settle() -> None:
    world = World(flipped_at=START - 8, rollbacks=lambda t: float(t > START - 20))
    results = world.decide(COUNTER, settle="2s")
    assert results["rollbacks"].window == (START - 6, START - 1.5)
    assert words(results)["rollbacks"] == "inconclusive window-not-elapsed"
    assert results["rollbacks"].ready_in == pytest.approx(5.5)


def test_a_wait_ends_as_soon_as_everything_is_decided() -> None:
    world = World(flipped_at=START)
    assert set(words(world.decide(COUNTER, wait=60)).values()) == {"passed within-limit"}
    assert 10 <= world.now - START <= 13
    assert {name for waiting in world.waits for name in waiting.checks} == {"rollbacks"}
    assert all(waiting.budget == 60 for waiting in world.waits)


def test_a_wait_that_cannot_be_long_enough_is_not_begun() -> None:
    world = World(flipped_at=START)
    assert words(world.decide(COUNTER, wait=5))["rollbacks"] == "inconclusive window-not-elapsed"
    assert world.now == START


def test_what_cannot_arrive_is_not_waited_for() -> None:
    world = World(value=float("nan"))
    assert words(world.decide(VALUE, wait=60))["targets"] == "inconclusive not-a-number"
    assert world.now == START


def test_a_breach_ends_the_wait_for_the_others() -> None:
    world = World(flipped_at=START, value=0)
    results = words(world.decide(COUNTER, VALUE, wait=60))
    assert results["targets"] == "breached limit-breached"
    assert results["rollbacks"] == "inconclusive window-not-elapsed"
    assert world.now == START + 1  # when the first scrape since the flip is there


def test_an_exhaustive_wait_follows_every_check_to_its_end() -> None:
    world = World(flipped_at=START, value=0)
    results = words(world.decide(COUNTER, VALUE, wait=60, exhaustive=True))
    assert results == {
        FLAG_STATE: "passed within-limit",
        "targets": "breached limit-breached",
        "rollbacks": "passed within-limit",
    }


def test_what_passed_early_and_fails_later_has_failed() -> None:
    world = World(flipped_at=START, rollbacks=lambda t: float(t >= START + 5))
    results = world.decide(VALUE, COUNTER, CANARY, wait=60)
    assert words(results)["rollbacks"] == "breached limit-breached"
    assert world.now < START + 10


def test_a_canary_runs_once_at_first_and_again_when_it_is_due() -> None:
    world = World()
    assert words(world.decide(CANARY, wait=60))["smoke"] == "passed within-limit"
    assert [run.started_at - START for run in world.runs] == [0, pytest.approx(10, abs=1.1)]
    assert world.runs[1].started_at - world.runs[0].started_at >= 10


def test_without_a_wait_a_canary_runs_once_and_says_when_next() -> None:
    world = World()
    results = world.decide(CANARY)
    assert (words(results)["smoke"], len(world.runs)) == ("inconclusive too-few-passes", 1)
    assert results["smoke"].message == (
        "passed 1 times in a row, 2 passes at least 10 s apart are needed; next run in 10 s"
    )


def test_passes_of_an_earlier_run_count_and_those_before_the_flip_do_not() -> None:
    world = World(flipped_at=START - 20)
    for started in (-30.0, -15.0):
        world.now = START + started
        world.run("smoke", 120)
    world.now = START
    results = world.decide(CANARY)
    assert words(results)["smoke"] == "passed within-limit"
    assert results["smoke"].value == 2


@pytest.mark.parametrize(("outcome", "said"), [("failed", "breached canary-failed"), ("error", "error canary-error")])
def test_a_canary_that_does_not_pass_is_not_run_again(outcome: str, said: str) -> None:
    world = World(outcomes={0: outcome})
    assert words(world.decide(CANARY, wait=60))["smoke"] == said
    assert len(world.runs) == 1


def test_a_failure_between_passes_starts_the_count_anew() -> None:
    world = World(outcomes={1: "failed"})
    assert words(world.decide(CANARY, wait=60))["smoke"] == "breached canary-failed"
    world.now += 20
    assert words(world.decide(CANARY))["smoke"] == "inconclusive too-few-passes"


def test_a_log_that_cannot_be_read_is_an_error() -> None:
    assert words(World(log_is_broken=True).decide(CANARY))["smoke"] == "error canary-error"


def test_a_dead_prometheus_is_an_error_of_every_gate_that_needs_it_and_of_no_other() -> None:
    results = words(World(prometheus_is_down=True).decide(COUNTER, VALUE, {"id": "smoke", "canary": {"name": "smoke"}}))
    assert results == {
        FLAG_STATE: "passed within-limit",
        "rollbacks": "error source-unreachable",
        "targets": "error source-unreachable",
        "smoke": "passed within-limit",
    }


def test_a_dead_flag_service_is_an_error_of_the_flags() -> None:
    results = words(World(flags_are_down=True).decide(COUNTER))
    assert results[FLAG_STATE] == "error flag-not-evaluated"


def test_a_flag_with_the_wrong_value_is_a_breach() -> None:
    assert words(World(flag=False).decide(VALUE))[FLAG_STATE] == "breached flag-mismatch"


def test_a_flip_nobody_knows_the_time_of_keeps_the_stage_from_passing() -> None:
    results = World(flipped_at=None).decide(VALUE)
    assert words(results)[FLAG_STATE] == "inconclusive flip-unknown"


def test_a_time_of_the_flip_is_believed_only_where_the_service_is_silent() -> None:
    told = World(flipped_at=None).decide(COUNTER, flipped_at=START - 6)
    assert (words(told)[FLAG_STATE], told["rollbacks"].window) == ("passed within-limit", (START - 6, START - 1.5))
    overruled = World(flipped_at=START - 4).decide(COUNTER, flipped_at=START - 1000)
    assert overruled["rollbacks"].window == (START - 4, START - 1.5)


def test_a_flip_during_the_wait_starts_the_window_anew() -> None:
    world = World(flipped_at=START)
    sleep = world.sleep

    def flip_at_five(seconds: float) -> None:
        sleep(seconds)
        if world.now > START + 5:
            world.flipped_at = START + 5

    scene = world.scene()
    gates = [Gate.model_validate(COUNTER)]
    moving = replace(scene, clock=Clock(scene.clock.now, flip_at_five))
    assert decide(moving, gates, wait=60).results["rollbacks"].verdict is Verdict.PASSED
    assert world.now >= START + 15


class Restless(World):
    """A world in which the flag is flipped while the second canary runs."""

    def run(self, canary: str, deadline: float) -> CanaryRun:
        run = super().run(canary, deadline)
        if len(self.runs) == 2:
            self.now += 5
            self.flipped_at = self.now
        return run


def test_a_flip_during_a_canary_leaves_no_pass_of_before() -> None:
    world = Restless()
    first = world.decide(CANARY, wait=12)
    assert words(first) == {FLAG_STATE: "passed within-limit", "smoke": "inconclusive too-few-passes"}
    assert first["smoke"].samples == 0
    assert words(world.decide(CANARY, wait=60))["smoke"] == "passed within-limit"
    assert [run.started_at >= (world.flipped_at or 0) for run in world.runs] == [False, False, True, True]


@pytest.mark.parametrize("outcome", ["failed", "error"])
def test_a_canary_that_failed_before_a_flip_is_run_again_after_it(outcome: str) -> None:
    world = World(flipped_at=START, outcomes={0: outcome})
    sleep = world.sleep

    def flip_at_five(seconds: float) -> None:
        sleep(seconds)
        if world.now > START + 5:
            world.flipped_at = START + 5

    moving = replace(world.scene(), clock=Clock(lambda: world.now, flip_at_five))
    results = decide(
        moving, [Gate.model_validate(gate) for gate in (CANARY, COUNTER)], wait=60, exhaustive=True
    ).results
    assert words(results) == {
        FLAG_STATE: "passed within-limit",
        "smoke": "passed within-limit",
        "rollbacks": "passed within-limit",
    }


def test_an_unproven_criterion_never_passes() -> None:
    result = World().decide({"id": "tickets", "unproven": "no spike in tickets"}, wait=60)["tickets"]
    assert (result.verdict, result.reason) == (Verdict.INCONCLUSIVE, Reason.UNPROVEN)
    assert result.message == (
        "not proven yet: no spike in tickets; replace this entry of the plan with a gate that proves it"
    )


@pytest.mark.parametrize("missing", ["prometheus", "flags"])
def test_an_environment_without_a_source_is_an_error(missing: str) -> None:
    scene = World().scene()
    bare = replace(scene, prometheus=None) if missing == "prometheus" else replace(scene, flags=None)
    results = decide(bare, [Gate.model_validate(VALUE)]).results
    broken = results["targets" if missing == "prometheus" else FLAG_STATE]
    assert (broken.verdict, broken.reason) == (Verdict.ERROR, Reason.ENVIRONMENT)


# --- how often a stage was looked at -------------------------------------------------------------------------

SLIDING = (START - 11.5, START - 1.5)
GROWING = (START - 20, START - 1.5)
"""The last stretch of at least 10 s since the flip, 1000 s ago, if there is one every 10 s."""


def test_the_only_look_that_the_plan_promises_may_be_surer_than_one_of_many() -> None:
    world = World()
    once = world.decide(ONCE, COUNTER)
    assert words(once)["errors"] == "passed within-limit"
    assert (once["errors"].window, once["rollbacks"].window) == (SLIDING, SLIDING)


def test_a_later_run_finds_that_the_promise_was_not_kept() -> None:
    world = World()
    world.decide(ONCE, COUNTER)
    again = world.decide(ONCE, COUNTER)
    assert words(again)["errors"] == "inconclusive too-few-samples"
    assert again["errors"].window == GROWING
    assert again["rollbacks"].window == SLIDING  # what is counted out is as sure at every look


def test_a_run_that_waits_breaks_the_promise_from_the_first_look_on() -> None:
    world = World()
    results = world.decide(ONCE, wait=0.5)
    assert (words(results)["errors"], world.now) == ("inconclusive too-few-samples", START)
    assert results["errors"].window == GROWING


@pytest.mark.parametrize("forgets", [False, True])
def test_without_a_promise_a_log_that_is_gone_makes_nothing_surer(*, forgets: bool) -> None:
    world = World()
    for _ in range(2):
        results = world.decide(RATIO)
        assert (words(results)["errors"], results["errors"].window) == ("inconclusive too-few-samples", GROWING)
        if forgets:
            world.looked.clear()


def test_a_run_that_waits_gets_more_evidence_until_it_is_enough() -> None:
    world = World(flipped_at=START)
    results = world.decide(RATIO, wait=60)
    assert words(results)["errors"] == "passed within-limit"
    assert results["errors"].window == (START, world.now - 1.5)
    assert START + 13 < world.now < START + 20


def test_looks_are_recorded_once_for_each_gate_of_a_run_and_only_for_what_is_measured() -> None:
    world = World(flipped_at=START)
    world.decide(COUNTER, VALUE, CANARY, {"id": "tickets", "unproven": "no spike"}, wait=60, exhaustive=True)
    assert world.waits
    assert world.looked == [("rollbacks", START, START), ("targets", START, START)]


def test_what_nobody_measures_is_not_looked_at() -> None:
    world = World(looks_are_broken=True)
    assert words(world.decide(CANARY, {"id": "tickets", "unproven": "no spike"})) == {
        FLAG_STATE: "passed within-limit",
        "smoke": "inconclusive too-few-passes",
        "tickets": "inconclusive unproven",
    }


def test_another_gate_was_not_looked_at() -> None:
    world = World()
    world.decide(COUNTER)
    assert words(world.decide(ONCE))["errors"] == "passed within-limit"


def test_another_flip_begins_anew() -> None:
    world = World()
    world.decide(ONCE)
    assert words(world.decide(ONCE))["errors"] == "inconclusive too-few-samples"
    world.flipped_at = START - 100
    anew = world.decide(ONCE)
    assert (words(anew)["errors"], anew["errors"].window) == ("passed within-limit", SLIDING)
    assert [flip for _, flip, _ in world.looked] == [START - 1000, START - 1000, START - 100]


def test_a_flip_during_the_wait_is_recorded_as_a_look_of_its_own() -> None:
    world = World(flipped_at=START)
    sleep = world.sleep

    def flip_at_five(seconds: float) -> None:
        sleep(seconds)
        if world.now > START + 5:
            world.flipped_at = START + 5

    scene = replace(world.scene(), clock=Clock(lambda: world.now, flip_at_five))
    decide(scene, [Gate.model_validate(COUNTER)], wait=60)
    assert [(gate, flip) for gate, flip, _ in world.looked] == [("rollbacks", START), ("rollbacks", START + 5)]
    assert world.looked[0][2] == START
    assert START + 5 < world.looked[1][2] < START + 7


def test_without_a_flip_the_first_look_begins_what_grows() -> None:
    world = World()
    first = world.decide(ONCE, flags={})
    assert (words(first)["errors"], first["errors"].window) == ("passed within-limit", SLIDING)
    world.now += 1
    later = world.decide(ONCE, flags={})
    assert (words(later)["errors"], later["errors"].window) == (
        "inconclusive too-few-samples",
        (SLIDING[0], SLIDING[1] + 1),
    )
    assert [flip for _, flip, _ in world.looked] == [None, None]


@pytest.mark.parametrize("wait", [0.0, 60.0])
def test_a_log_that_cannot_tell_of_looks_is_an_error_of_what_is_measured_and_of_nothing_else(wait: float) -> None:
    world = World(looks_are_broken=True, value=0)
    results = world.decide(COUNTER, VALUE, {"id": "smoke", "canary": {"name": "smoke"}}, wait=wait)
    assert words(results) == {
        FLAG_STATE: "passed within-limit",
        "rollbacks": "error evidence-unusable",
        "targets": "error evidence-unusable",
        "smoke": "passed within-limit",
    }
    said = "nobody knows whether this was looked at before: the evidence log is broken"
    assert results["rollbacks"].message == said
    assert (world.now, world.asked) == (START, [])


# --- one look ------------------------------------------------------------------------------------------------


def test_a_recording_holds_the_answers_of_the_last_look_only() -> None:
    world = World(flipped_at=START)
    recording = Recording(world, "http://prometheus")
    scene = replace(world.scene(), prometheus=Prometheus("http://prometheus", recording), recording=recording)
    decided = decide(scene, [Gate.model_validate(COUNTER)], wait=60)
    assert decided.look.now == world.now > START
    asked = {one["form"]["time"] for one in recording.dump() if one["form"]}
    assert asked == {f"{world.now:.3f}"}
    assert "rollbacks" in decided.results


def test_every_look_asks_anew() -> None:
    world = World(flipped_at=START)
    world.decide(COUNTER, {**COUNTER, "id": "again"}, wait=60)
    assert world.targets_asked == len(world.waits) + 1 > 2


@pytest.mark.parametrize(
    ("skew", "said"),
    [
        (None, "Prometheus does not tell its time, so its clock may differ from ours; mend the proxy"),
        (
            -3.0,
            "the clock of Prometheus is 2 s behind ours, so windows are not where they seem; synchronise both",
        ),
    ],
)
def test_a_clock_that_differs_decides_nothing(skew: float | None, said: str) -> None:
    results = World(skew=skew).decide(COUNTER, VALUE)
    assert (words(results)["rollbacks"], words(results)["targets"]) == ("inconclusive clock-skew",) * 2
    assert results["rollbacks"].message == said
