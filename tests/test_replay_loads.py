"""Kept loads: judged again bit for bit, and no pass of one that is gone, shorter, older or damaged."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest

from pytest_rollout.errors import ReplayError
from pytest_rollout.judge.history import Looks
from pytest_rollout.latency import Load, LoadTerms
from pytest_rollout.load.injected.book import Outcome
from pytest_rollout.load_runner import LoadRunner, Tell
from pytest_rollout.replay import read_bundle, recorded, write_bundle
from pytest_rollout.sources.http import Http
from pytest_rollout.verdict import CheckResult
from tests.load.runs import result
from tests.load.test_judged import lose_sample
from tests.test_replay import WITHOUT, Around, again, bent, decided, places, texts, words

FLIP, NOW = 1000.0, 2000.0
Fate = Callable[[int], tuple[Outcome, float]]
LATENCY: dict[str, Any] = {"locustfile": "portal", "rate": "20/s", "for": "5s", "arrivals": "constant"}
P90 = {**LATENCY, "p90": {"below": "200ms"}, "errors": {"at_most": 0}}
P99 = {**LATENCY, "p99": {"below": "200ms"}, "extend": "60s"}
SIDES = {"control": {"headers": {"x": "old"}}, "candidate": {"headers": {"x": "${TOKEN}"}}}
SECRET = "hunter2-hunter2"


def good(_number: int) -> tuple[Outcome, float]:
    return "ok", 0.04


def slow(_number: int) -> tuple[Outcome, float]:
    return "ok", 0.5


def some_fail(number: int) -> tuple[Outcome, float]:
    return ("failed", 0.001) if number % 50 == 7 else ("ok", 0.04)


@dataclass(frozen=True)
class Maker:
    """Makes up loads: the fate of the load, then those of its extensions."""

    fates: tuple[Fate, ...] = (good,)
    lag: float = 0.001
    fault: str = ""
    spoiled: tuple[str, ...] = ()
    begun: float = NOW

    def make(self, _name: str, terms: LoadTerms, _tell: Tell) -> Load:
        order = terms.order("portal.py", f"http://user:{SECRET}@target", {"TOKEN": SECRET})
        runs = tuple(
            result(replace(order, seed=seed, duration=30.0) if seed else order, outcome=fate, lag=self.lag)
            for seed, fate in enumerate(self.fates)
        )
        return Load(begun=self.begun, runs=runs, fault=self.fault, spoiled=self.spoiled, attachments=("load.svg",))


def kept(
    asked: Mapping[str, Any], maker: Maker | None = None, *, looks: int = 1, scale: float = 1.0, **gate: Any
) -> tuple[dict[str, CheckResult], dict[str, Any]]:
    """Return the results of a stage with a load, and what is kept of it."""
    around = Around(flip=FLIP, looks={"load": Looks(looks, FLIP)})
    scene = around.scene(None, Http(), NOW)
    scene = replace(
        scene,
        loads=cast("LoadRunner", maker or Maker()),
        target=replace(scene.target, time_scale=scale),
    )
    found, content = decided(scene, {"id": "load", "latency": asked, **gate})
    return found.results, content


def outcome(content: Mapping[str, Any]) -> str:
    """Return what comes of the load, or why nothing can."""
    try:
        return words(again(content))["load"]
    except ReplayError as exc:
        return str(exc)


CASES: dict[str, tuple[dict[str, Any], str]] = {
    "passes": ({"asked": P90}, "passed within-limit"),
    "breaches": ({"asked": P90, "maker": Maker((slow,))}, "breached limit-breached"),
    "late": ({"asked": P90, "maker": Maker(lag=0.05)}, "error bent-generator"),
    "no load": ({"asked": P90, "maker": Maker((), fault="no Locust")}, "error bent-generator"),
    "broken off": ({"asked": P90, "maker": Maker(fault="gone", spoiled=("late",))}, "error bent-generator"),
    "the second attempt": ({"asked": P90, "maker": Maker(spoiled=("late",))}, "passed within-limit"),
    "extended": ({"asked": P99, "maker": Maker((good, good))}, "passed within-limit"),
    "extended, and bad": ({"asked": P99, "maker": Maker((some_fail, good))}, "inconclusive unproven"),
    "too short": ({"asked": P99}, "inconclusive unproven"),
    "a pair": ({"asked": {**P90, **SIDES}}, "passed within-limit"),
    "point": ({"asked": P99, "confidence": "point"}, "passed within-limit"),
    "the ninth turn": ({"asked": {**P90, "for": "4s"}, "looks": 9}, "inconclusive unproven"),
    "scaled": ({"asked": {**P90, "for": "50s"}, "scale": 10.0}, "passed within-limit"),
    "before the flip": ({"asked": P90, "maker": Maker(begun=FLIP - 1)}, "inconclusive window-not-elapsed"),
}
NO_PASS = {name: case for name, (case, said) in CASES.items() if not said.startswith("passed")}


@pytest.mark.parametrize(("case", "said"), CASES.values(), ids=CASES)
def test_a_load_is_judged_again_bit_by_bit(case: dict[str, Any], said: str) -> None:
    results, content = kept(**case)
    assert texts(again(content)) == texts(results) == texts(recorded(content))
    assert words(results)["load"] == said


def test_a_load_is_read_from_a_file_as_it_was_written(tmp_path: Path) -> None:
    results, content = kept(P99, Maker((good, good)))
    file = tmp_path / "kept.json.gz"
    assert texts(again(read_bundle(file, write_bundle(file, content)))) == texts(results)


def test_nothing_secret_of_a_load_is_kept() -> None:
    _, content = kept({**P90, **SIDES})
    assert SECRET not in json.dumps(content)
    assert "${TOKEN}" in json.dumps(content)


# --- what is gone, shorter, older or damaged --------------------------------------------------------------------


def with_load(content: dict[str, Any], load: Any) -> dict[str, Any]:
    return bent(content, ("look", "loads", "load"), load)


def test_without_its_load_a_gate_waits_for_one() -> None:
    _, content = kept(P90)
    assert outcome(bent(content, ("look", "loads"), {})) == "inconclusive window-not-elapsed"
    assert outcome(bent(content, ("look", "loads"), WITHOUT)) == "the evidence bundle is incomplete: KeyError('loads')"


def test_a_load_without_its_runs_is_an_error() -> None:
    _, content = kept(P90)
    assert outcome(bent(content, ("look", "loads", "load", "runs"), [])) == "error bent-generator"


@pytest.mark.parametrize("other", [{"for": "4s"}, {"rate": "19/s"}, {"arrivals": "poisson"}, {"workers": 1}, SIDES])
def test_the_load_of_another_gate_does_not_count(other: dict[str, Any]) -> None:
    _, content = kept(P90)
    _, elsewhere = kept({**P90, **other})
    assert outcome(elsewhere) == "passed within-limit"
    assert outcome(with_load(content, elsewhere["look"]["loads"]["load"])) == "error bent-generator"


def test_a_load_that_is_older_than_the_flip_does_not_count() -> None:
    _, content = kept(P90)
    older = bent(content, ("look", "loads", "load", "begun"), FLIP - 1)
    assert outcome(older) == "inconclusive window-not-elapsed"
    assert outcome(bent(content, ("look", "loads", "load", "begun"), WITHOUT)).startswith("the evidence bundle")


def test_how_often_a_load_was_made_cannot_be_left_out() -> None:
    _, content = kept({**P90, "for": "4s"}, looks=9)
    assert outcome(bent(content, ("look", "looks", "load"), WITHOUT)) == (
        "the evidence bundle is incomplete: KeyError('load')"
    )
    assert outcome(bent(content, ("look", "looks", "load", "count"), WITHOUT)) == (
        "the evidence bundle is incomplete: KeyError('count')"
    )


@pytest.mark.parametrize("taken", [0, 1])
def test_a_load_needs_all_of_its_runs(taken: int) -> None:
    _, content = kept(P99, Maker((good, good)))
    less = bent(content, ("look", "loads", "load", "runs", taken), WITHOUT)
    assert outcome(less) == ("error evidence-unusable", "inconclusive unproven")[taken]


@pytest.mark.parametrize("depth", range(4))
@pytest.mark.parametrize(
    ("asked", "maker", "ended"),
    [
        (P90, Maker(), "ok"),
        (P90, Maker((some_fail,)), "failed"),
        (P99, Maker((good, good)), "ok"),
        ({**P90, **SIDES}, Maker(), "ok"),
    ],
    ids=["one run", "failures", "extended", "a pair"],
)
def test_a_lost_sample_is_noticed(asked: dict[str, Any], maker: Maker, ended: str, depth: int) -> None:
    _, content = kept(asked, maker)
    run = content["look"]["loads"]["load"]["runs"][0]
    mine = [one for one in run["parts"][0]["series"] if one[ended]["n"]]
    assert mine
    less = bent(content, ("look", "loads", "load", "runs", 0), lose_sample(only(run, mine), ended, depth))
    assert outcome(less).startswith(("error", "the evidence bundle is incomplete"))


def only(run: dict[str, Any], series: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a run whose first process tells of these series alone."""
    first, *others = run["parts"]
    return {**run, "parts": [{**first, "series": series}, *others]}


def goes(content: Mapping[str, Any]) -> bool:
    """Whether the load and the flags pass; a check that is gone is missed by the ledger."""
    try:
        return list(words(again(content)).values()) == ["passed within-limit"] * 2
    except ReplayError:
        return False


def losses(content: dict[str, Any]) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Yield every bundle from which one thing that a verdict could rest on was taken."""
    for place in places({key: value for key, value in content.items() if key not in ("results", "answers")}):
        if not {"slowest", "failures"} & set(place[:-2]):
            yield place, bent(content, place, WITHOUT)


@pytest.mark.parametrize("case", NO_PASS.values(), ids=NO_PASS)
def test_nothing_that_is_left_out_makes_a_pass(case: dict[str, Any]) -> None:
    _, content = kept(**case)
    for place, less in losses(content):
        if place[:3] != ("gates", 0, "latency"):  # what the plan asks for is no evidence
            assert not goes(less), place


def test_of_a_bundle_with_a_load_nothing_can_be_missed_that_the_pass_rests_on() -> None:
    _, content = kept(P90)
    assert goes(content)
    passes = {place for place, less in losses(content) if goes(less)}
    load = {place[5:] for place in passes if place[:3] == ("look", "loads", "load")}
    assert {next(step for step in reversed(place) if isinstance(step, str)) for place in load if place} <= {
        *("argv", "locust", "slowest"),  # told to people alone
        *("failed", "timeout", "unfinished"),  # columns of no samples, which their counts say too
    }


@pytest.mark.parametrize("version", [1, 2, 4])
def test_a_bundle_of_another_version_is_refused(tmp_path: Path, version: int) -> None:
    _, content = kept(P90)
    file = tmp_path / "kept.json.gz"
    write_bundle(file, {**content, "version": version})
    with pytest.raises(ReplayError) as refused:
        read_bundle(file)
    assert str(refused.value) == f"{file}: an evidence bundle of version {version}, and 3 is known here"
