"""Targets with faults, what was observed of them, and ways to lose a part of it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from random import Random
from typing import Any

from pytest_rollout.golden.deltas import MetricReadings
from pytest_rollout.golden.observation import Batch, Observation, Witness
from pytest_rollout.golden.wire import RawRequest, Reply
from tests.golden.corpora import INVALID, VALID
from tests.golden.runs import Run, run
from tests.golden.target import Target, reply

Batches = dict[str, Batch]
Loss = Callable[[Batches, Random], tuple[str, Batches]]


def _bent(change: Callable[[Target, str, RawRequest, Reply], Reply]) -> Target:
    target = Target()
    target.bend = lambda instance, request, given: change(target, instance, request, given)
    return target


def _posts(change: Callable[[Target, str, Reply], Reply]) -> Target:
    def bent(target: Target, instance: str, request: RawRequest, given: Reply) -> Reply:
        return change(target, instance, given) if request.method == "POST" else given

    return _bent(bent)


def _without_sunset(_target: Target, instance: str, given: Reply) -> Reply:
    kept = [line for line in given.headers if line[0] != "Sunset" or instance == "http://one"]
    return Reply.received(given.status, kept, given.body)


def _warns_always(_target: Target, _instance: str, given: Reply) -> Reply:
    return Reply.received(given.status, [*given.headers, ("Deprecation", "@1751328000")], given.body)


def _other_body(target: Target, instance: str, given: Reply) -> Reply:
    odd = target.instances[instance].mode == "warn"
    return reply({**given.json(), "extra": 1}, given.status, dict(given.headers[1:])) if odd else given


def _counts_twice(target: Target, instance: str, given: Reply) -> Reply:
    me = target.instances[instance]
    me.counted[me.mode, "reject" if given.status == 400 else "warn"] += 1
    return given


def _never_counts(target: Target, instance: str, given: Reply) -> Reply:
    target.instances[instance].counted.clear()
    return given


def _writes_always(target: Target, _instance: str, given: Reply) -> Reply:
    target.made.append(0)
    return given


def _restarts(target: Target, instance: str, given: Reply) -> Reply:
    target.instances[instance].started += 1
    return given


def _accepts(_target: Target, _instance: str, given: Reply) -> Reply:
    body = {"id": 1, "run": "0b1f4b4e-6f43-4a2e-9d7c-0f4f0f6f6f6f", "stages": ["sed"]}
    return reply(body, 201) if given.status == 400 else given


def _labels(_target: Target, _instance: str, request: RawRequest, given: Reply) -> Reply:
    odd = given.body + b'checks_total{mode="sed",result="ok"} 1\n'
    return Reply.received(200, given.headers, odd) if request.target == "/metrics" else given


def _traffic(target: Target, instance: str, request: RawRequest, given: Reply) -> Reply:
    target.instances[instance].counted["enforce", "reject"] += request.target == "/metrics"
    return given


def _one_keeps_its_mode() -> Target:
    target = Target(deaf={"http://two"})
    target.instances["http://two"].mode = "off"
    return target


TARGETS: Mapping[str, Callable[[], Target]] = {
    "healthy": Target,
    "no sunset on one instance": lambda: _posts(_without_sunset),
    "warns in every mode": lambda: _posts(_warns_always),
    "another body in warn": lambda: _posts(_other_body),
    "counts twice": lambda: _posts(_counts_twice),
    "never counts": lambda: _posts(_never_counts),
    "writes always": lambda: _posts(_writes_always),
    "restarts": lambda: _posts(_restarts),
    "enforce accepts": lambda: _posts(_accepts),
    "labels explode": lambda: _bent(_labels),
    "somebody else's traffic": lambda: _bent(_traffic),
    "an instance keeps its mode": _one_keeps_its_mode,
    "a foreign server": lambda: Target(title="Other"),
    "an instance is gone": lambda: Target(lost={"http://two"}),
}


def worlds() -> dict[str, Run]:
    """Return what is observed of each target, twice each."""
    with tempfile.TemporaryDirectory() as folder:
        return {name: run(Path(folder), (VALID, INVALID), target=make(), repeats=2) for name, make in TARGETS.items()}


# --- losses -------------------------------------------------------------------------------------------------


def _some_batch(batches: Batches, random: Random) -> tuple[str, Batch]:
    return random.choice(sorted(batches.items()))


def lose_a_mode(batches: Batches, random: Random) -> tuple[str, Batches]:
    mode = random.choice(sorted(batches))
    return mode, {name: batch for name, batch in batches.items() if name != mode}


def lose_an_observation(batches: Batches, random: Random) -> tuple[str, Batches]:
    mode, batch = _some_batch(batches, random)
    if not batch.observations:
        return "nothing", batches
    gone = random.choice(batch.observations)
    kept = tuple(one for one in batch.observations if one is not gone)
    return f"{mode}: {gone.case} on {gone.instance}", {**batches, mode: replace(batch, observations=kept)}


def lose_an_instance(batches: Batches, random: Random) -> tuple[str, Batches]:
    mode, batch = _some_batch(batches, random)
    gone = random.choice(["http://one", "http://two"])
    seen = tuple(one for one in batch.observations if one.instance != gone)
    told = tuple(one for one in batch.witnesses if one.instance != gone)
    return f"{mode}: {gone}", {**batches, mode: replace(batch, observations=seen, witnesses=told)}


def lose_a_witness(batches: Batches, random: Random) -> tuple[str, Batches]:
    mode, batch = _some_batch(batches, random)
    if not batch.witnesses:
        return "nothing", batches
    gone = random.choice(batch.witnesses)
    kept: list[Witness] = [one for one in batch.witnesses if one is not gone]
    if random.random() < 0.5:
        kept.append(replace(gone, reply=None))
    return f"{mode}: {gone.question} of {gone.instance}", {**batches, mode: replace(batch, witnesses=tuple(kept))}


def lose_the_openapi(batches: Batches, random: Random) -> tuple[str, Batches]:
    mode, batch = _some_batch(batches, random)
    return mode, {**batches, mode: replace(batch, openapi=None)}


def _changed(batches: Batches, random: Random, change: Callable[[Observation], Observation]) -> tuple[str, Batches]:
    mode, batch = _some_batch(batches, random)
    if not batch.observations:
        return "nothing", batches
    place = random.randrange(len(batch.observations))
    seen = list(batch.observations)
    seen[place] = change(seen[place])
    return f"{mode}: {seen[place].case}", {**batches, mode: replace(batch, observations=tuple(seen))}


def lose_the_answer(batches: Batches, random: Random) -> tuple[str, Batches]:
    return _changed(batches, random, lambda one: replace(one, reply=None))


def lose_a_header(batches: Batches, random: Random) -> tuple[str, Batches]:
    """Lose one field line on the way to the judge."""

    def without(one: Observation) -> Observation:
        if one.reply is None or not one.reply.headers:
            return one
        gone = random.randrange(len(one.reply.headers))
        kept = tuple(line for place, line in enumerate(one.reply.headers) if place != gone)
        return replace(one, reply=replace(one.reply, headers=kept))

    return _changed(batches, random, without)


def lose_a_part_of_a_body(batches: Batches, random: Random) -> tuple[str, Batches]:
    def without(one: Observation) -> Observation:
        if one.reply is None:
            return one
        at = random.randrange(len(one.reply.body) + 1)
        return replace(one, reply=replace(one.reply, body=one.reply.body[:at]))

    return _changed(batches, random, without)


def lose_a_member_of_a_body(batches: Batches, random: Random) -> tuple[str, Batches]:
    """Have the target leave out one member of a JSON body, but for one that nobody wants (extra)."""

    def without(one: Observation) -> Observation:
        data: Any = one.reply.json_or_missing() if one.reply else None
        if one.reply is None or not isinstance(data, dict):
            return one
        gone = random.choice([name for name in data if name != "extra"])
        kept = {name: value for name, value in data.items() if name != gone}
        return replace(one, reply=reply(kept, one.reply.status, dict(one.reply.headers[1:])))

    return _changed(batches, random, without)


def lose_the_metrics(batches: Batches, random: Random) -> tuple[str, Batches]:
    return _changed(batches, random, lambda one: replace(one, metrics=None))


def lose_a_reading(batches: Batches, random: Random) -> tuple[str, Batches]:
    name = random.choice(["control", "before", "after", "held"])
    return _changed(
        batches, random, lambda one: replace(one, metrics=_with(one.metrics, name, None) if one.metrics else None)
    )


def lose_a_sample(batches: Batches, random: Random) -> tuple[str, Batches]:
    """Have one reading of the metrics leave out one line, as if the target had not said it."""

    def without(one: Observation) -> Observation:
        return replace(one, metrics=_less(one.metrics, random)) if one.metrics else one

    return _changed(batches, random, without)


def _less(readings: MetricReadings, random: Random) -> MetricReadings:
    name = random.choice([field.name for field in fields(readings)][:4])
    given: Reply | None = getattr(readings, name)
    if given is None:
        return readings
    lines = given.body.decode().splitlines()
    lines.pop(random.randrange(len(lines)))
    return _with(readings, name, Reply.received(200, given.headers, "\n".join([*lines, ""]).encode()))


def _with(readings: MetricReadings, name: str, given: Reply | None) -> MetricReadings:
    changes: dict[str, Any] = {name: given}
    return replace(readings, **changes)


def lose_a_state(batches: Batches, random: Random) -> tuple[str, Batches]:
    name = random.choice(["control", "before", "after"])

    def without(one: Observation) -> Observation:
        if one.state is None or random.random() < 0.2:
            return replace(one, state=None)
        return replace(one, state=replace(one.state, **{name: (None,)}))

    return _changed(batches, random, without)


LOSSES: Mapping[str, Loss] = {
    name.replace("_", " "): function for name, function in sorted(globals().items()) if name.startswith("lose_")
}
