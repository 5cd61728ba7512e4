"""Kept evidence: every verdict is made again from it, bit for bit, without any source."""

from __future__ import annotations

import copy
import gzip
import hashlib
import json
import math
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest

from pytest_rollout.canary import CanaryRunner
from pytest_rollout.errors import EvidenceError, ReplayError, SourceUnreachable
from pytest_rollout.judge.history import CanaryRun, FlagReading, Looks
from pytest_rollout.look import FLAG_STATE
from pytest_rollout.plan.gates import Gate
from pytest_rollout.plan.model import Stage
from pytest_rollout.replay import bundle, exactly, judge_again, read_bundle, recorded, stage_of, write_bundle
from pytest_rollout.sources.flags import FlagReader
from pytest_rollout.sources.http import Answer, Http, Transport
from pytest_rollout.sources.prometheus import Prometheus
from pytest_rollout.sources.recording import Recording
from pytest_rollout.stage import Clock, Decided, Scene, decide
from pytest_rollout.verdict import CheckResult, Reason, Verdict
from sandbox.components import Component, Job, ScrapeConfig, start_prometheus
from tests.sources.fakes import Asked, FakeServer, Reply, fake_server
from tests.sources.past import (
    BAD,
    COUNTER,
    GOOD,
    LENGTH,
    QUANTILE,
    RATIO,
    ROLLBACKS,
    SCRAPES,
    STEP,
    TARGET,
    Life,
    Past,
    Told,
    buckets,
    on,
    once,
    ramp,
)

EARLIER = -SCRAPES * STEP
"""Seconds from a past to the one just before it."""
FLAGS = {"READS": {"value": True, "cohort": "admin"}}
PLAN = "the plan's digest"
Results = Mapping[str, CheckResult]


@pytest.fixture(scope="module")
def http() -> Iterator[Http]:
    client = Http()
    yield client
    client.close()


@pytest.fixture
def past(prometheus: Component, era: float, http: Http) -> Past:
    return Past(prometheus.url, http, era)


@pytest.fixture(autouse=True)
def _short_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_rollout.sources.prometheus._RETRY_BUDGET", 0.0)


@dataclass
class Around:
    """What is around Prometheus: flags, canaries and the log of looks; all of it is made up."""

    flip: float | None = None
    """None: the stage has no flags."""
    value: bool = True
    fault: str = ""
    runs: list[CanaryRun] = field(default_factory=list)
    looks: Mapping[str, Looks] | str = field(default_factory=dict)
    settle: str = "0s"

    def read(self, flag: str, cohort: str) -> FlagReading:
        if self.fault:
            return FlagReading(flag=flag, cohort=cohort, value=None, reason="ERROR", changed_at=None, fault=self.fault)
        return FlagReading(flag=flag, cohort=cohort, value=self.value, reason="STATIC", changed_at=self.flip)

    def history(self, _canary: str) -> list[CanaryRun]:
        return self.runs[:-1]

    def run(self, _canary: str, _deadline: float) -> CanaryRun:
        return self.runs[-1]

    def looked(self, gates: Sequence[str], _flip: float | None, at: float) -> Mapping[str, Looks]:
        if isinstance(self.looks, str):
            raise EvidenceError(self.looks)
        return {name: self.looks.get(name, Looks(1, at)) for name in gates}

    def scene(self, url: str | None, http: Transport, now: float, *, interval: float | None = None) -> Scene:
        flags = {} if self.flip is None and not self.fault else FLAGS
        stage = {
            "stage": 1,
            "name": "n",
            "flags": flags,
            "settle": self.settle,
            "gates": [{"id": "g", "unproven": "x"}],
        }
        recording = Recording(http, url) if url else None
        moments = [now]
        return Scene(
            rollout="shop",
            plan=PLAN,
            stage=Stage.model_validate(stage),
            target=replace(TARGET, prometheus=url, scrape_interval=interval),
            prometheus=Prometheus(url, recording) if url and recording else None,
            flags=cast("FlagReader", self),
            canaries=cast("CanaryRunner", self),
            looks=self.looked,
            recording=recording,
            clock=Clock(lambda: moments[-1], lambda seconds: moments.append(moments[-1] + seconds)),
        )


def decided(scene: Scene, *gates: Mapping[str, Any], wait: float = 0.0) -> tuple[Decided, dict[str, Any]]:
    """Return what comes of gates, and what is kept of it: as a file of it would be read."""
    models = [Gate.model_validate(gate) for gate in gates]
    found = decide(scene, models, wait=wait)
    return found, json.loads(json.dumps(bundle(scene, models, found), sort_keys=True, allow_nan=False))


@contextmanager
def offline() -> Iterator[None]:
    """Let nobody connect to anything, and make this the first second of 1970, in Kathmandu."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a replay asks nobody")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        patch.setattr(Http, "__call__", refuse)
        patch.setattr(time, "time", lambda: 1.0)
        patch.setattr(time, "sleep", refuse)
        patch.setenv("TZ", "Asia/Kathmandu")
        time.tzset()
        try:
            yield
        finally:
            patch.undo()
            time.tzset()


def again(content: Mapping[str, Any]) -> dict[str, CheckResult]:
    with offline():
        return judge_again(content)


def texts(results: Results) -> dict[str, str]:
    return {name: exactly(result) for name, result in results.items()}


def replayed(scene: Scene, *gates: Mapping[str, Any], wait: float = 0.0) -> dict[str, str]:
    """Return verdict and reason of every check, which are made again offline, bit for bit."""
    found, content = decided(scene, *gates, wait=wait)
    assert texts(again(content)) == texts(found.results) == texts(recorded(content))
    return words(found.results)


def words(results: Results) -> dict[str, str]:
    return {name: f"{result.verdict.value} {result.reason.value}" for name, result in results.items()}


def scene_of(past: Past, around: Around | None = None, http: Transport | None = None) -> Scene:
    return (around or Around()).scene(past.url, http or past.bent, past.now)


# --- every kind of gate, over a real Prometheus ---------------------------------------------------------------


def ratio_of(cohort: str) -> dict[str, Any]:
    labels = f'job="shop",cohort="{cohort}"'
    return {"ratio": {"bad": f'req{{{labels},code="500"}}', "total": f"req{{{labels}}}"}}


def pair(bad: float, **labels: str) -> list[Told]:
    return [({**GOOD, **labels}, ramp(1000 - bad)), ({**BAD, **labels}, ramp(bad))]


def noise(level: float, seed: int) -> list[float | None]:
    random = Random(seed)  # noqa: S311 - no secret
    return [level + random.random() for _ in range(SCRAPES)]


BURN = {**RATIO["ratio"], "objective": "99%", "pairs": [{"long": "30m", "short": "5m", "factor": 5}]}  # type: ignore[dict-item]
SLOW = {"0.05": 90.0, "0.1": 99.0, "0.2": 99.0, "+Inf": 100.0}
NEW, OLD = ({"__name__": "queue", "job": "shop", "cohort": cohort} for cohort in ("new", "old"))
P95 = {cohort: {"quantile": {"q": 0.95, "of": "lat", "where": f'cohort="{cohort}"'}} for cohort in ("new", "old")}
SIDES: dict[str, tuple[dict[str, Any], list[Told]]] = {
    "ratio": ({"now": ratio_of("new"), "control": ratio_of("old")}, [*pair(10, cohort="new"), *pair(10, cohort="old")]),
    "quantile": (
        {"now": P95["new"], "control": P95["old"]},
        [*buckets(SLOW, cohort="new"), *buckets(SLOW, cohort="old")],
    ),
    "values": (
        {"now": {"values": 'queue{cohort="new"}'}, "control": {"values": 'queue{cohort="old"}'}},
        [(NEW, noise(10, 1)), (OLD, noise(10, 2))],
    ),
}
KINDS: dict[str, tuple[Mapping[str, Any], Sequence[Told], str]] = {
    "ratio": (RATIO, pair(1), "passed within-limit"),
    "ratio, breached": (RATIO, pair(50), "breached limit-breached"),
    "ratio, too few": (RATIO, [(GOOD, ramp(1))], "inconclusive too-few-samples"),
    "ratio, one of another metric": (
        {**RATIO, "ratio": {"bad": "errors_total", "total": 'req{job="shop"}', "absent_is": 0}},
        pair(1),
        "passed within-limit",
    ),
    "ratio, good ones": (
        {"ratio": {"good": "good_total", "total": 'req{job="shop"}'}, "at_least": "90%", "over": "30m"},
        [(GOOD, ramp(50)), ({**GOOD, "__name__": "good_total"}, ramp(49))],
        "passed within-limit",
    ),
    "ratio, point": ({**RATIO, "confidence": "point"}, pair(1), "passed within-limit"),
    "ratio, nothing there": (RATIO, [(ROLLBACKS, ramp(0))], "inconclusive no-data"),
    "ratio, restarted": (RATIO, pair(1), "inconclusive restart-in-window"),
    "quantile": (QUANTILE, buckets(SLOW), "passed within-limit"),
    "quantile, slow": (QUANTILE, buckets({"0.1": 10.0, "0.25": 50.0, "+Inf": 50.0}), "breached limit-breached"),
    "counter": (COUNTER, [(ROLLBACKS, ramp(0, base=7))], "passed within-limit"),
    "counter, risen": (COUNTER, [(ROLLBACKS, once(1))], "breached limit-breached"),
    "counter, unwatched": (COUNTER, [(ROLLBACKS, ramp(0))], "inconclusive coverage"),
    "promql": ({"promql": "max(queue)", "below": 12}, [(NEW, noise(10, 1))], "passed within-limit"),
    "promql, a window": (
        {"promql": "sum(increase(req[$window]))", "above": 10, "over": "10m"},
        pair(1),
        "passed within-limit",
    ),
    "promql, no number": (
        {"promql": "max(queue) * NaN", "below": 1},
        [(NEW, noise(1, 1))],
        "inconclusive not-a-number",
    ),
    "burn": ({"burn": BURN}, pair(1), "passed within-limit"),
    "burn, fast": ({"burn": BURN}, pair(200), "breached limit-breached"),
    "streak": (
        {**RATIO, "over": "5m", "streak": {"every": "5m", "consecutive": 3}},
        pair(1),
        "passed within-limit",
    ),
    "by": (
        {**RATIO, "by": ["instance"], "expect_series": 2},
        [*pair(1, instance="a"), *pair(50, instance="b")],
        "breached limit-breached",
    ),
    "by, any": (
        {**RATIO, "by": ["instance"], "expect_series": 2, "quantifier": {"at_least": 1}},
        [*pair(1, instance="a"), *pair(50, instance="b")],
        "passed within-limit",
    ),
    "several values": (
        {"promql": "max by (cohort) (queue)", "below": 12, "quantifier": "all", "expect_series": 2},
        [(NEW, noise(10, 1)), (OLD, noise(10, 2))],
        "passed within-limit",
    ),
    **{
        f"baseline of {kind}": ({"baseline": sides, "at_most": "100%", "over": "30m"}, told, "passed within-limit")
        for kind, (sides, told) in SIDES.items()
    },
}


@pytest.mark.parametrize(("gate", "told", "said"), KINDS.values(), ids=KINDS)
def test_every_kind_is_judged_again(
    past: Past, gate: Mapping[str, Any], told: Sequence[Told], said: str, request: pytest.FixtureRequest
) -> None:
    lives = {"restarted": Life().restarted(60), "unwatched": Life().without(40, 60)}
    past.write(*told, lives={"": lives.get(request.node.callspec.id.rpartition(" ")[2], Life())})
    assert replayed(scene_of(past), {"id": "g", **gate}) == {"g": said}


def test_all_kinds_at_once_are_judged_again(past: Past) -> None:
    past.write(*pair(1), (ROLLBACKS, ramp(0)), (NEW, noise(10, 1)))
    gates = [{"id": f"g{place}", **gate} for place, (gate, _, _) in enumerate(KINDS.values())]
    found = replayed(scene_of(past, Around(flip=past.start - 60)), *gates)
    assert len(found) == len(KINDS) + 1
    assert len(set(found.values())) >= 4


@pytest.mark.parametrize(("bad", "said"), [(10, "passed within-limit"), (30, "breached limit-breached")])
def test_what_was_before_the_flip_is_kept_too(past: Past, bad: float, said: str) -> None:
    past.write(*pair(10, cohort="new"), lives={"": Life(began={0: -9000.0 - EARLIER})}, later=EARLIER)
    bases = [990 * SCRAPES, 10 * SCRAPES]
    past.write(
        *(
            (labels, [(one or 0) + base for one in values])
            for (labels, values), base in zip(pair(bad, cohort="new"), bases, strict=True)
        )
    )
    gate = {"id": "g", "baseline": {"now": ratio_of("new"), "before": "flip"}, "at_most": "50%", "over": "30m"}
    assert replayed(scene_of(past, Around(flip=past.start)), gate) == {FLAG_STATE: "passed within-limit", "g": said}


def test_a_window_of_a_day_is_kept_by_its_ends(past: Past) -> None:
    past.write((ROLLBACKS, ramp(0)))
    assert replayed(scene_of(past), {"id": "g", **COUNTER, "over": "1d"})["g"].startswith("inconclusive ")


@pytest.mark.parametrize(
    ("around", "said"),
    [
        (Around(flip=1000.0), "passed within-limit"),
        (Around(flip=1000.0, value=False), "breached flag-mismatch"),
        (Around(flip=1000.0, fault="HTTP 401"), "error flag-not-evaluated"),
        (Around(fault="HTTP 401"), "error flag-not-evaluated"),
    ],
    ids=["on", "off", "fault", "only a fault"],
)
def test_flags_are_judged_again(past: Past, around: Around, said: str) -> None:
    assert replayed(scene_of(past, around), {"id": "u", "unproven": "tickets"}) == {
        FLAG_STATE: said,
        "u": "inconclusive unproven",
    }


def test_a_flag_service_that_is_not_named_is_judged_again(past: Past) -> None:
    scene = replace(scene_of(past, Around(flip=1.0)), flags=None)
    assert replayed(scene, {"id": "u", "unproven": "tickets"})[FLAG_STATE] == "error environment"


def ran(*outcomes: str, every: float = 10.0) -> list[CanaryRun]:
    return [
        CanaryRun(
            run_id=str(place),
            canary="smoke",
            started_at=1000.1 + every * place,
            ended_at=1001.7 + every * place,
            outcome=outcome,
            message=f"{outcome} → ✓",
            attachments=(f"reports/{place}.png",),
            plan=PLAN,
            flags={"READS@admin": True},
        )
        for place, outcome in enumerate(outcomes)
    ]


@pytest.mark.parametrize(
    ("outcomes", "said"),
    [
        (("ok", "ok"), "passed within-limit"),
        (("ok",), "inconclusive too-few-passes"),
        (("ok", "failed"), "breached canary-failed"),
        (("failed", "error"), "error canary-error"),
    ],
)
def test_canaries_are_judged_again(past: Past, outcomes: Sequence[str], said: str) -> None:
    gate = {"id": "smoke", "canary": {"name": "smoke", "passes": 2, "across": "10s"}}
    scene = scene_of(past, Around(flip=999.0, runs=ran(*outcomes)))
    found, content = decided(scene, gate)
    assert texts(again(content)) == texts(found.results)
    assert words(found.results)["smoke"] == said
    assert found.results["smoke"].attachments == (f"reports/{len(outcomes) - 1}.png",)


def test_canaries_that_cannot_run_are_judged_again(past: Past) -> None:
    scene = replace(scene_of(past), canaries=None)
    assert replayed(scene, {"id": "smoke", "canary": {"name": "smoke"}}) == {"smoke": "error canary-error"}


@pytest.mark.parametrize(
    ("looks", "wait", "said"),
    [({}, 60.0, "sequence"), ({"g": Looks(3, 0.0)}, 0.0, "sequence"), ({}, 0.0, "Clopper-Pearson")],
    ids=["waits", "looked at before", "the only look"],
)
def test_how_often_it_was_looked_at_is_kept(past: Past, looks: dict[str, Looks], wait: float, said: str) -> None:
    past.write(*pair(1))
    scene = scene_of(past, Around(flip=past.start - 10, looks=looks))
    found, content = decided(scene, {"id": "g", **RATIO, "looks": "once"}, wait=wait)
    assert texts(again(content)) == texts(found.results)
    assert ("Clopper-Pearson" in found.results["g"].derivation["rule"]) is (said == "Clopper-Pearson")


def test_a_log_of_looks_that_cannot_be_read_is_kept(past: Past) -> None:
    past.write(*pair(1))
    found, content = decided(scene_of(past, Around(looks="the log is locked")), {"id": "g", **RATIO})
    assert texts(again(content)) == texts(found.results)
    assert found.results["g"].message == "nobody knows whether this was looked at before: the log is locked"


def test_settle_and_time_scale_are_kept(past: Past) -> None:
    past.write(*pair(1))
    scene = scene_of(past, Around(flip=past.start + 600, settle="20m"))
    scene = replace(scene, target=replace(scene.target, time_scale=2.0))
    found, content = decided(scene, {"id": "g", **RATIO})
    assert texts(again(content)) == texts(found.results)
    assert found.results["g"].window == (past.start + 1200, past.start + LENGTH)


def test_only_the_last_look_is_kept(past: Past) -> None:
    past.write(*pair(1))
    scene = scene_of(past, Around(flip=past.start + 60))
    times = iter([past.now, past.now, past.now, past.now + STEP, past.now + STEP, *[past.now + 3000] * 9])
    scene = replace(scene, clock=Clock(lambda: next(times), lambda _: None))
    found, content = decided(scene, {"id": "g", **RATIO}, wait=600)
    assert texts(again(content)) == texts(found.results)
    asked = {one["form"]["time"] for one in content["answers"] if one["form"]}
    assert asked == {f"{found.look.now:.3f}"}
    assert found.look.now > past.now


# --- every fault of the source --------------------------------------------------------------------------------


class Bending:
    """A transport that bends one answer."""

    def __init__(self, http: Transport, bend: Callable[[Answer], Answer] | None, only: str) -> None:
        self._http, self._bend, self._only = http, bend, only

    def __call__(self, method: str, url: str, /, *, form: Mapping[str, str] | None = None, json: Any = None) -> Answer:
        answer = self._http(method, url, form=form, json=json)
        if self._only not in url:
            return answer
        if self._bend is None:
            raise SourceUnreachable(f"{url}: somebody pulled the plug")
        return self._bend(answer)


def _warned(answer: Answer) -> Answer:
    return replace(answer, text=json.dumps({**json.loads(answer.text), "warnings": ["a shard is away"]}))


FAULTS: dict[str, tuple[Callable[[Answer], Answer] | None, str]] = {
    "unreachable": (None, "error source-unreachable"),
    "503": (lambda one: replace(one, status=503, text="busy"), "error source-unreachable"),
    "429": (lambda one: replace(one, status=429, text="{}", retry_after=9.0), "error source-unreachable"),
    "422": (lambda one: replace(one, status=422, text='{"error":"too many samples"}'), "error query-refused"),
    "404": (lambda one: replace(one, status=404, text="<html>"), "error query-refused"),
    "warnings": (_warned, "inconclusive partial-data"),
    "cut": (lambda one: replace(one, text=one.text[: len(one.text) // 2]), "error bad-answer"),
    "empty": (lambda one: replace(one, text=""), "error bad-answer"),
    "a page": (lambda one: replace(one, text="<html>sign in</html>"), "error bad-answer"),
    "no data": (lambda one: replace(one, text='{"status":"success","data":null}'), "error bad-answer"),
    "another type": (lambda one: replace(one, text=one.text.replace("matrix", "streams")), "error bad-answer"),
    "a lone surrogate": (lambda one: replace(one, text='{"status": "\\ud800"}'), "error bad-answer"),
    "clock ahead": (lambda one: replace(one, skew=600.25), "inconclusive clock-skew"),
    "clock behind": (lambda one: replace(one, skew=-9.0, took=0.5), "inconclusive clock-skew"),
}


@pytest.mark.parametrize(("bend", "said"), FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("only", ["/api/v1/query", "/api/v1/targets"])
def test_every_fault_of_an_answer_is_judged_again(
    past: Past, bend: Callable[[Answer], Answer] | None, said: str, only: str
) -> None:
    past.write(*pair(1))
    scene = scene_of(past, http=Bending(past.bent, bend, only))
    if only.endswith("targets"):  # of another form, and a warning there is a refusal to answer
        said = {"inconclusive partial-data": "error bad-answer"}.get(said, said)
        said = "passed within-limit" if bend is FAULTS["another type"][0] else said
    assert replayed(scene, {"id": "g", **RATIO}, {"id": "h", **RATIO}) == {"g": said, "h": said}


@pytest.mark.parametrize("bend", [FAULTS["503"][0], FAULTS["unreachable"][0]], ids=["503", "unreachable"])
def test_a_replay_does_not_wait_for_better_answers(
    past: Past, bend: Callable[[Answer], Answer] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, content = decided(scene_of(past, http=Bending(past.bent, bend, "/api/v1/")), {"id": "g", **RATIO})
    monkeypatch.setattr("pytest_rollout.sources.prometheus._RETRY_BUDGET", 2.0)
    begun = time.monotonic()
    assert texts(again(content)) == texts(found.results)
    assert time.monotonic() - begun < 1


def test_a_server_without_a_clock_is_judged_again(past: Past) -> None:
    past.write(*pair(1))
    silent = Bending(past.bent, lambda one: replace(one, skew=None), "/api/v1/")
    assert replayed(scene_of(past, http=silent), {"id": "g", **RATIO}) == {"g": "inconclusive clock-skew"}


def test_nobody_at_the_address_is_judged_again(http: Http) -> None:
    scene = Around().scene("http://127.0.0.1:1/prom/", http, 1000.0)
    assert replayed(scene, {"id": "g", **RATIO}) == {"g": "error source-unreachable"}


def test_an_address_that_is_none_is_judged_again(http: Http) -> None:
    scene = Around().scene("http://127.0.0.1:port", http, 1000.0)
    assert replayed(scene, {"id": "g", **RATIO}) == {"g": "error source-unreachable"}


def test_no_prometheus_is_judged_again(http: Http) -> None:
    assert replayed(Around().scene(None, http, 1000.0), {"id": "g", **RATIO}) == {"g": "error environment"}


REPLIES = {
    "cut": (Reply(b'{"status"', missing=10), "error source-unreachable"),
    "no HTTP": (Reply(b"what?\r\n\r\n", raw=True), "error source-unreachable"),
    "a redirect": (Reply(b"", status=302, headers={"Location": "/login"}), "error bad-answer"),
    "too large": (Reply(b"x" * 4096), "error bad-answer"),
}


@pytest.mark.parametrize(("reply", "said"), REPLIES.values(), ids=REPLIES)
def test_every_fault_of_a_connection_is_judged_again(reply: Reply, said: str) -> None:
    client = Http(deadline=2.0, largest=1024)
    with fake_server(reply) as server:
        found, content = decided(Around().scene(server.url, client, 1000.0), {"id": "g", **RATIO})
    client.close()
    assert words(found.results) == {"g": said}
    assert texts(again(content)) == texts(found.results)


@pytest.mark.parametrize("only", ["targets", "query"])
def test_a_fault_that_one_gate_met_is_not_forgotten_when_the_next_is_answered(past: Past, only: str) -> None:
    past.write(*pair(1))
    faults = iter([503])

    def once_only(answer: Answer) -> Answer:
        return replace(answer, status=next(faults, answer.status))

    found = replayed(
        scene_of(past, http=Bending(past.bent, once_only, f"/api/v1/{only}")),
        {"id": "g", **RATIO},
        {"id": "h", **RATIO},
    )
    assert found["g"] == "error source-unreachable"


def test_a_stopped_server_and_another_process_make_the_same(tmp_path: Path, http: Http) -> None:
    with start_prometheus(tmp_path / "server") as server:
        past = Past(server.url, http, 1_700_000_000.0)
        past.write(*pair(1), (ROLLBACKS, once(1)))
        found, content = decided(scene_of(past), {"id": "g", **RATIO}, {"id": "r", **COUNTER})
    assert server.process.poll() is not None
    file = tmp_path / "kept.json.gz"
    write_bundle(file, content)
    done = subprocess.run(
        [sys.executable, "-c", "from pytest_rollout.cli import main; main()", "replay", str(file)],
        env={**os.environ, "TZ": "Pacific/Apia", "LC_ALL": "C", "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.splitlines() == [
        "same  shop/stage1/g: passed (within-limit)",
        "same  shop/stage1/r: breached (limit-breached)",
        "every verdict came out the same",
    ]
    assert (done.stderr, done.returncode) == ("", 0)
    assert texts(again(read_bundle(file))) == texts(found.results)


# --- what is missing or changed -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [name for name, (_, _, said) in KINDS.items() if said.startswith("passed")])
def test_without_any_one_answer_nothing_passes(past: Past, kind: str) -> None:
    gate, told, _ = KINDS[kind]
    past.write(*told)
    _, content = decided(scene_of(past), {"id": "g", **gate})
    assert len(content["answers"]) >= 3
    for place, answer in enumerate(content["answers"]):
        rest = [*content["answers"][:place], *content["answers"][place + 1 :]]
        (result,) = again({**content, "answers": rest}).values()
        assert result.reason is Reason.SOURCE_UNREACHABLE
        query = "".join(f" {name}={value}" for name, value in answer["form"].items())
        assert result.message == (
            f"Prometheus cannot be asked: {past.url}: {answer['method']} {answer['path']}{query} is not in the "
            "recording; the system is not judged, mend the source and judge again"
        )


@pytest.fixture
def content(past: Past) -> dict[str, Any]:
    """Return what is kept of a stage in which everything passes."""
    past.write(*pair(1), (ROLLBACKS, ramp(0)))
    around = Around(flip=past.start - 60, runs=[replace(one, started_at=past.start) for one in ran("ok")])
    gates: list[Mapping[str, Any]] = [
        {"id": "g", **RATIO},
        {"id": "r", **COUNTER},
        {"id": "smoke", "canary": {"name": "smoke"}},
    ]
    found, kept = decided(scene_of(past, around), *gates)
    assert set(words(found.results).values()) == {"passed within-limit"}
    assert stage_of(kept) == "shop/stage1"
    return kept


def places(data: Any, so_far: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to every value inside."""
    inside = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in inside:
        yield (*so_far, key)
        yield from places(value, (*so_far, key))


WITHOUT = object()
NEEDLESS = {("stage", "name"), ("version",)}
"""Said for people; no verdict rests on it."""


def bent(content: dict[str, Any], place: tuple[Any, ...], instead: Any) -> dict[str, Any]:
    out = copy.deepcopy(content)
    inside: Any = out
    for key in place[:-1]:
        inside = inside[key]
    if instead is WITHOUT:
        del inside[place[-1]]
    else:
        inside[place[-1]] = instead
    return out


def outcome(content: dict[str, Any]) -> dict[str, str] | str:
    """Return what comes of a bundle, or why nothing does."""
    try:
        return texts(again(content))
    except ReplayError as exc:
        return str(exc)


def test_nothing_can_be_left_out_of_a_bundle(content: dict[str, Any]) -> None:
    before = texts(recorded(content))
    for place in places({key: value for key, value in content.items() if key != "results"}):
        if place in NEEDLESS or place[0] == "answers":
            continue
        less = bent(content, place, WITHOUT)
        assert outcome(less) != before, place


@pytest.mark.parametrize("instead", [None, True, -1, 0, 1e308, "x", [], ["x"], {}, {"a": None}], ids=repr)
def test_whatever_a_bundle_holds_nothing_crashes(content: dict[str, Any], instead: Any) -> None:
    for place in [(), *places(content)]:
        if place[:1] == ("answers",) and place[1:2] != (0,):
            continue  # one of them stands for all
        strange = bent(content, place, instead) if place else {"version": 1, "content": instead}
        for read in (judge_again, recorded, stage_of):
            with suppress(ReplayError):
                read(strange)


def test_a_changed_sample_changes_what_comes_out(content: dict[str, Any]) -> None:
    before = texts(recorded(content))
    for place, answer in enumerate(content["answers"]):
        if not (values := list(re.finditer(r'"(\d+)"\]', answer["text"]))):
            continue
        middle = values[len(values) // 4]
        text = answer["text"][: middle.start(1)] + "1000000" + answer["text"][middle.end(1) :]
        assert texts(again(bent(content, ("answers", place, "text"), text))) != before, answer["form"]


# --- the file -------------------------------------------------------------------------------------------------

NOT_READ = "{}: not read: No such file or directory; a run of the stage writes it"
SMALL = {"version": 1, "rollout": "shop"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "evidence" / "shop-stage1.json.gz"


def refusal(file: Path, digest: str | None = None) -> str:
    with pytest.raises(ReplayError) as raised:
        read_bundle(file, digest)
    return str(raised.value)


def packed(text: str | bytes) -> bytes:
    return gzip.compress(text if isinstance(text, bytes) else text.encode(), mtime=0)


def test_a_file_is_read_as_it_was_written(file: Path, content: dict[str, Any]) -> None:
    digest = write_bundle(file, content)
    assert digest == hashlib.sha256(file.read_bytes()).hexdigest()
    assert read_bundle(file, digest) == read_bundle(file) == content
    assert [one.name for one in file.parent.iterdir()] == [file.name]
    with offline():  # at another time
        assert write_bundle(file, dict(reversed(content.items()))) == digest


def test_every_changed_byte_is_noticed(file: Path) -> None:
    digest = write_bundle(file, SMALL)
    data = file.read_bytes()
    silent = []
    for place in range(len(data)):
        changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        file.write_bytes(changed)
        found = hashlib.sha256(changed).hexdigest()
        assert refusal(file, digest) == (
            f"{file}: its SHA-256 is {found[:12]}..., the verdict names {digest[:12]}...; it was changed"
        )
        with suppress(ReplayError):
            assert read_bundle(file) == SMALL
            silent.append(place)
    assert set(silent) <= {3, 4, 5, 6, 7, 8, 9}  # flags, time, kind of machine: RFC 1952, 2.3.1


def test_every_cut_is_noticed(file: Path) -> None:
    write_bundle(file, SMALL)
    data = file.read_bytes()
    for length in range(len(data)):
        file.write_bytes(data[:length])
        assert refusal(file).startswith(f"{file}: not an evidence bundle: ")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not an evidence bundle: Expecting value: line 1 column 1 (char 0)"),
        (b"PK\x03\x04", "not an evidence bundle: Not a gzipped file (b'PK')"),
        (packed("hello"), "not an evidence bundle: Expecting value: line 1 column 1 (char 0)"),
        (packed('{"version": 1'), "not an evidence bundle: Expecting ',' delimiter: line 1 column 14 (char 13)"),
        (packed('{"version": 1, "now": NaN}'), "not an evidence bundle: NaN is not a number"),
        (packed(b"\xff\xfe{}"), "not an evidence bundle: "),
        (packed("[" * 100_000), "not an evidence bundle: maximum recursion depth exceeded"),
        (packed("[]"), "an evidence bundle of version None, and 3 is known here"),
        (packed("{}"), "an evidence bundle of version None, and 3 is known here"),
        (packed('{"version": 1}'), "an evidence bundle of version 1, and 3 is known here"),
        (packed('{"version": "1"}'), "an evidence bundle of version '1', and 3 is known here"),
        (packed('{"version": true}'), "an evidence bundle of version True, and 3 is known here"),
    ],
)
def test_what_is_no_bundle(file: Path, data: bytes, said: str) -> None:
    file.parent.mkdir()
    file.write_bytes(data)
    assert refusal(file).startswith(f"{file}: {said}")


def test_a_file_that_is_not_there(file: Path) -> None:
    assert refusal(file) == NOT_READ.format(file)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert refusal(tmp_path) == f"{tmp_path}: not read: Is a directory; a run of the stage writes it"


@pytest.mark.parametrize("fails", ["write", "fsync", "replace"])
def test_a_file_is_whole_or_not_there(
    file: Path, content: dict[str, Any], fails: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_bundle(file, SMALL)
    before = file.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    if fails == "write":  # the draft is opened, and has no room
        monkeypatch.setattr(os, "fdopen", _no_room)
    elif fails == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    else:
        monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left on device"):
        write_bundle(file, content)
    assert file.read_bytes() == before
    assert [one.name for one in file.parent.iterdir()] == [file.name]


def _no_room(descriptor: int, mode: str) -> Any:
    os.close(descriptor)
    return Path("/dev/full").open(mode)


def test_numbers_are_told_apart_to_the_bit() -> None:
    one = CheckResult(verdict=Verdict.PASSED, reason=Reason.WITHIN_LIMIT, message="m", value=1.0)
    assert exactly(one) == exactly(replace(one))
    for value in (1, True, math.nextafter(1.0, 2.0), None):
        assert exactly(replace(one, value=value)) != exactly(one)
    assert exactly(replace(one, value=0.0)) != exactly(replace(one, value=-0.0))
    assert exactly(replace(one, derivation={"a": 1, "b": (2,)})) == exactly(replace(one, derivation={"b": [2], "a": 1}))


# --- secrets --------------------------------------------------------------------------------------------------

SECRET = "hunter2-hunter2"


class Guarded(ScrapeConfig):
    """Targets that are asked with passwords and tokens, and do not answer."""

    def as_yaml(self) -> str:
        config = json.loads(super().as_yaml())
        for job in config["scrape_configs"]:
            job["params"] = {"token": [SECRET]}
            job["basic_auth"] = {"username": "reader", "password": SECRET}
            job["static_configs"][0]["labels"] = {"__meta_token": SECRET}
        return json.dumps(config)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Component]:
    config = Guarded((Job("shop", "127.0.0.1:9"),), interval=1.0)
    with start_prometheus(tmp_path_factory.mktemp("guarded"), scrape=config) as server:
        yield server


@pytest.fixture(scope="module", autouse=True)
def _early(guarded: Component) -> None:
    """Start it before the first test, so that the last one need not wait."""


def test_nothing_secret_is_kept_of_what_is_scraped(guarded: Component, http: Http, tmp_path: Path) -> None:
    asked = f"{guarded.url}/api/v1/targets?state=active"
    for _ in range(100):
        old_enough = Prometheus(guarded.url, http).query("up", time.time() - 3).series  # windows end before now
        if old_enough and "connection refused" in (told := http("GET", asked).text):
            break
        time.sleep(0.1)
    assert told.count(SECRET) >= 3, "in the URL, in the last error and in the labels of discovery"
    address = guarded.url.replace("http://", f"http://reader:{SECRET}@")
    scene = Around(flip=1.0).scene(address, http, time.time())
    scene = replace(scene, target=replace(scene.target, flags_token=SECRET, flags_url=f"http://u:{SECRET}@flags"))
    gates = ({"id": "g", **RATIO}, {"id": "v", "promql": "min(up)", "at_least": 1})
    found, content = decided(scene, *gates)
    file = tmp_path / "kept.json.gz"
    write_bundle(file, content)
    assert SECRET.encode() not in gzip.decompress(file.read_bytes())
    assert words(found.results)["v"] == "breached limit-breached"
    assert texts(again(read_bundle(file))) == texts(found.results)
    (targets,) = [one for one in content["answers"] if one["path"] == "/api/v1/targets?state=active"]
    assert json.loads(targets["text"])["data"]["activeTargets"] == [
        {"labels": {"instance": "127.0.0.1:9", "job": "shop"}, "scrapeInterval": "1s", "health": "down"}
    ]


SCRAPED = {
    "discoveredLabels": {"__param_token": SECRET},
    "labels": {"job": "shop", "instance": "a", "zone": SECRET},
    "scrapePool": "shop",
    "scrapeUrl": f"http://a/metrics?token={SECRET}",
    "globalUrl": f"http://a/metrics?token={SECRET}",
    "lastError": f'Get "http://a/metrics?token={SECRET}": connection refused',
    "health": "down",
    "scrapeInterval": "15s",
}
STRANGE: dict[str, str] = {
    "well": json.dumps({"status": "success", "data": {"activeTargets": [SCRAPED], "droppedTargets": [SCRAPED]}}),
    "warned": json.dumps({"status": "success", "data": {"activeTargets": [SCRAPED]}, "warnings": ["one is away"]}),
    "cut": json.dumps({"status": "success", "data": {"activeTargets": [SCRAPED]}})[:-40],
    "no labels": json.dumps({"status": "success", "data": {"activeTargets": [{**SCRAPED, "labels": None}]}}),
    "no interval": json.dumps({"status": "success", "data": {"activeTargets": [{**SCRAPED, "scrapeInterval": None}]}}),
    "no list": json.dumps({"status": "success", "data": {"activeTargets": SCRAPED}}),
    "no targets": json.dumps({"status": "success", "data": [SCRAPED]}),
    "no data": json.dumps({"status": "success", "targets": [SCRAPED]}),
}


@pytest.mark.parametrize("text", STRANGE.values(), ids=STRANGE)
def test_nothing_secret_is_kept_whatever_targets_look_like(text: str) -> None:
    def answer(asked: Asked) -> Reply:
        if asked.path.startswith("/api/v1/targets?"):
            return Reply(text.encode())
        return Reply({"status": "success", "data": [] if "metadata" in asked.path else _nothing(asked)})

    client = Http()
    with fake_server(answer) as server:
        found, content = decided(_at(server, client), {"id": "g", **RATIO})
    client.close()
    assert SECRET not in json.dumps(content)
    assert texts(again(content)) == texts(found.results)
    assert words(found.results)["g"] in ("inconclusive no-data", "error bad-answer")


def _nothing(asked: Asked) -> dict[str, Any]:
    ranged = asked.body.startswith("query=req") or "%5B" in asked.body
    return {"resultType": "matrix" if ranged and "count" not in asked.body else "vector", "result": []}


def _at(server: FakeServer, client: Http) -> Scene:
    address = server.url.replace("http://", f"http://reader:{SECRET}@")
    return Around().scene(f"{address}/?token={SECRET}"[: len(address)], client, time.time())


# --- size -----------------------------------------------------------------------------------------------------


def test_a_stage_of_half_an_hour_stays_small(past: Past, tmp_path: Path) -> None:
    random = Random(7)  # noqa: S311 - no secret
    bounds = [f"{2.0**power / 1000:g}" for power in range(11)] + ["+Inf"]

    def counter(rate: float) -> list[float | None]:
        total, out = 0, []
        for _ in range(SCRAPES):
            total += int(random.expovariate(1 / rate))
            out.append(float(total))
        return cast("list[float | None]", out)

    told: list[Told] = []
    for pod in ("shop-7d9f-a", "shop-7d9f-b", "shop-7d9f-c"):
        rows = [counter(40) for _ in bounds]
        sums = [
            [math.fsum(row[place] or 0 for row in rows[: top + 1]) for place in range(SCRAPES)] for top in range(12)
        ]
        told += [
            ({"__name__": "lat_bucket", "job": "shop", "instance": pod, "le": bound}, one)
            for bound, one in zip(bounds, sums, strict=True)
        ]
        told += [(on(GOOD, pod), counter(400)), (on(BAD, pod), counter(1)), (on(ROLLBACKS, pod), ramp(0))]
    past.write(*told, lives=dict.fromkeys(("shop-7d9f-a", "shop-7d9f-b", "shop-7d9f-c"), Life()))
    gates: list[Mapping[str, Any]] = [
        {"id": "ratio", **RATIO},
        {"id": "p95", **QUANTILE},
        {"id": "rollbacks", **COUNTER},
    ]
    found, content = decided(scene_of(past, Around(flip=past.start - 60)), *gates)
    assert found.results["p95"].samples > 10_000  # type: ignore[operator]
    assert texts(again(content)) == texts(found.results)
    file = tmp_path / "kept.json.gz"
    write_bundle(file, content)
    print(f"{file.stat().st_size / 1024:.1f} KiB")  # noqa: T201
    assert file.stat().st_size < 200 * 1024
