"""Whether what was observed counts at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from pytest_rollout.golden.endpoint import ByGauge
from pytest_rollout.golden.observation import Batch, Observation, Witness
from pytest_rollout.golden.witnesses import batch_doubts, observation_doubts
from pytest_rollout.verdict import Reason
from tests.golden.corpora import VALID
from tests.golden.runs import Run, run
from tests.golden.target import INSTANCES, reply


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run(tmp_path_factory.mktemp("run"), [VALID])


def said(done: Run, batch: Batch | None) -> list[str]:
    return [one.line for one in batch_doubts(done.corpus.endpoint, batch, INSTANCES)]


def test_a_mode_with_all_its_witnesses_counts(done: Run) -> None:
    assert [said(done, batch) for batch in done.batches.values()] == [[], [], []]


def test_a_mode_that_was_not_run_does_not_count(done: Run) -> None:
    assert said(done, None) == ["#mode: not-run: expected the cases are sent, got they were not [mode]"]
    fault = Batch(mode="off", fault="it could not be set: HTTP 403")
    assert said(done, fault) == [
        "#mode: mode-not-confirmed: expected the mode off, got it could not be set: HTTP 403 [mode]"
    ]


def bent(done: Run, question: str, change: Callable[[Witness], list[Witness]]) -> list[str]:
    batch = done.batches["warn"]
    one = next(one for one in batch.witnesses if (one.instance, one.question) == ("http://two", question))
    others = [each for each in batch.witnesses if each is not one]
    return said(done, replace(batch, witnesses=(*others, *change(one))))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda _: [], "nobody asked"),
        (lambda one: [one, one], "nobody asked"),
        (lambda one: [replace(one, reply=None, fault="connection refused")], "connection refused"),
        (lambda one: [replace(one, reply=replace(one.reply, status=201))], "an answer of which a part was lost"),
        (lambda one: [replace(one, instance="http://three")], "nobody asked"),
    ],
    ids=["lost", "twice", "unanswered", "bent", "of another"],
)
@pytest.mark.parametrize("question", ["identity", "mode 0", "mode 1"])
def test_each_witness_is_needed(
    done: Run, question: str, change: Callable[[Witness], list[Witness]], words: str
) -> None:
    (line,) = bent(done, question, change)
    assert line.startswith("warn on http://two: ")
    assert f"got {words} [" in line


def test_a_witness_has_to_tell_one_mode_alone(done: Run) -> None:
    confirmation = done.corpus.endpoint.mode.confirm[1]
    assert isinstance(confirmation, ByGauge)
    vague = confirmation.model_copy(update={"values": {**confirmation.values, "off": confirmation.values["warn"]}})
    mode = done.corpus.endpoint.mode.model_copy(update={"confirm": (done.corpus.endpoint.mode.confirm[0], vague)})
    endpoint = done.corpus.endpoint.model_copy(update={"mode": mode})
    found = batch_doubts(endpoint, done.batches["warn"], INSTANCES)
    assert {one.actual for one in found} == {"off or warn"}
    assert {one.reason for one in found} == {Reason.MODE_NOT_CONFIRMED}


def test_a_stranger_is_told_before_its_mode(done: Run) -> None:
    batch = done.batches["warn"]
    other = tuple(replace(one, reply=reply({"info": {"title": "Other"}, "mode": "off"})) for one in batch.witnesses)
    found = batch_doubts(done.corpus.endpoint, replace(batch, witnesses=other), INSTANCES)
    assert {one.reason for one in found} == {Reason.TARGET_NOT_PROVEN}


def seen(done: Run, change: Callable[[Observation], list[Observation]], repeats: int = 1) -> list[str]:
    first, *others = done.batches["warn"].of("ok")
    return [one.line for one in observation_doubts([*change(first), *others], INSTANCES, repeats)]


def test_every_observation_is_needed_and_has_to_be_whole(done: Run) -> None:
    assert seen(done, lambda one: [one]) == []
    assert seen(done, lambda _: []) == ["http://one: (body): not-run: expected an answer, got 0 requests sent [case]"]
    assert seen(done, lambda one: [one], repeats=2) == [
        f"{name}: (body): not-run: expected 2 answers, got 1 requests sent [case]" for name in INSTANCES
    ]
    assert seen(done, lambda one: [replace(one, reply=None, fault="timed out")]) == [
        "http://one: (body): no-data: expected an answer, got timed out [case]"
    ]
    assert seen(done, lambda one: [replace(one, reply=replace(one.reply, headers=()) if one.reply else None)]) == [
        "http://one: (body): partial-data: expected a whole answer, got an answer of which a part was lost [case]"
    ]
