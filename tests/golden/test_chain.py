"""Cases that share the waiting: each is proven to be alone all the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_rollout.golden.chain import covers, lengthened
from pytest_rollout.golden.deltas import MetricReadings
from pytest_rollout.golden.observation import Observation
from pytest_rollout.golden.wire import RawRequest, Reply
from pytest_rollout.verdict import Reason, Verdict
from tests.golden.corpora import ENDPOINT, INVALID, case, changed, stages_are, with_expect
from tests.golden.runs import run
from tests.golden.target import Target

SEEN = 'seen_total{kind="a"}'
ANY = "seen_total"


def reading(value: float, other: float = 0.0) -> Reply:
    text = f'# TYPE seen_total counter\nseen_total{{kind="a"}} {value}\nseen_total{{kind="b"}} {other}\n'
    return Reply.received(200, [], text.encode())


def link(  # noqa: PLR0913 - a reading each, and the seconds between them
    control: float,
    before: float,
    after: float,
    held: float,
    *,
    explained: dict[str, int] | None = None,
    quiet: float = 0.1,
    kept: float = 0.1,
    took: float = 0.2,
) -> Observation:
    """Return an observation with four readings of a counter."""
    readings = [reading(value) for value in (control, before, after, held)]
    first, second, third, last = readings
    metrics = MetricReadings(
        first, second, third, last, quiet=quiet, kept=kept, took=took, explained=explained or {ANY: 1}
    )
    return Observation(case="x", instance="one", sent_at=0.0, reply=None, metrics=metrics)


def chain() -> list[Observation]:
    """Return three cases, of which the first and the last waited a whole second."""
    return [link(0, 0, 1, 1, quiet=1.0), link(1, 1, 2, 2), link(2, 2, 3, 3, kept=1.0)]


def watched(seen: list[Observation], place: int) -> tuple[float, float]:
    found = lengthened(seen[place], seen, 1.0, 1.0)
    assert found is not None
    return round(found.quiet, 6), round(found.kept, 6)


def test_the_time_before_and_after_is_that_of_the_whole_chain() -> None:
    assert [watched(chain(), place) for place in range(3)] == [(1.0, 1.6), (1.3, 1.3), (1.6, 1.0)]


def test_no_more_is_counted_than_is_needed() -> None:
    seen = [link(n, n, n + 1, n + 1, took=0.5) for n in range(20)]
    assert watched(seen, 10) == (1.3, 1.3)


@pytest.mark.parametrize(
    ("name", "bent"),
    [
        ("another counts while the next one runs", link(1, 1, 3, 3)),
        ("the next one does not count", link(1, 1, 1, 1)),
        ("something came between two readings", link(1, 2, 3, 3)),
        ("something came late", link(1, 1, 2, 3)),
        ("the next one is about other counters", link(1, 1, 2, 2, explained={'seen_total{kind="b"}': 0})),
        ("the next one says nothing", link(1, 1, 2, 2, explained={"others_total": 0})),
    ],
)
def test_what_is_not_explained_ends_the_chain(name: str, bent: Observation) -> None:
    first, _, last = chain()
    assert watched([first, bent, last], 0)[1] < 1.0, name
    assert watched([first, bent, last], 2)[0] < 1.0, name


@pytest.mark.parametrize("gone", ["control", "before", "after", "held"])
def test_a_reading_that_is_missing_ends_the_chain(gone: str) -> None:
    first, middle, last = chain()
    assert middle.metrics is not None
    bent = replace(middle, metrics=replace(middle.metrics, **{gone: None}))  # type: ignore[arg-type]
    assert watched([first, bent, last], 0)[1] < 1.0
    assert watched([first, bent, last], 2)[0] < 1.0


def test_a_case_that_is_missing_ends_the_chain() -> None:
    first, _, last = chain()
    assert watched([first, last], 0)[1] < 1.0
    assert watched([first, last], 1)[0] < 1.0


def test_another_instance_proves_nothing() -> None:
    first, middle, last = chain()
    assert watched([first, replace(middle, instance="two"), last], 0)[1] < 1.0


def test_selectors_cover_what_is_narrower() -> None:
    assert covers([ANY], [SEEN, ANY])
    assert not covers([SEEN], [ANY])
    assert not covers([], [ANY])
    assert covers([ANY], [])


# --- with a target ------------------------------------------------------------------------------------------

MANY = tuple(
    case(f"c{n}", "valid", ["seed"], expect={mode: stages_are(["seed"]) for mode in ("off", "warn", "enforce")})
    for n in range(5)
)
COUNTING = [
    with_expect(one, warn={"metrics": {"checks_total": 1}}, enforce={"metrics": {"checks_total": 1}}) for one in MANY
]

TYPO = with_expect(changed(INVALID, "/expect/enforce/side_effect", ...), enforce={"metrics": {"checks_total": 1}})
ASKING = changed(ENDPOINT, "/mode/confirm", ENDPOINT["mode"]["confirm"][:1])
"""Metrics are read for their counters only."""


def verdicts(done: Any, mode: str) -> dict[str, Reason]:
    results = {name: result for name, result in done.results().items() if name.endswith(f"/{mode}")}
    return {name: one.reason for name, one in results.items() if one.verdict is not Verdict.PASSED}


def test_all_cases_of_a_mode_wait_once(tmp_path: Path) -> None:
    one, all_of_them = Target(), Target()
    run(tmp_path / "one", [*COUNTING[:1], TYPO], target=one, modes=["enforce"])
    done = run(tmp_path / "all", [*COUNTING, TYPO], target=all_of_them, modes=["enforce"])
    assert verdicts(done, "enforce") == {}
    assert all_of_them.now == one.now


def test_a_second_count_that_comes_late_turns_a_case_red(tmp_path: Path) -> None:
    """It comes with the next request, whoever sends that."""
    target, late = Target(), {"http://one": 0, "http://two": 0}

    def bent(instance: str, request: RawRequest, given: Reply) -> Reply:
        if request.method == "POST":
            target.instances[instance].counted["enforce", "ok"] += late[instance]
            late[instance] = int(b"seed" in (request.content or b""))
        return given

    target.bend = bent
    done = run(tmp_path, [*COUNTING, TYPO], target=target, modes=["enforce"])
    assert len(verdicts(done, "enforce")) == len(COUNTING) + 1


def asked_of_one(target: Target) -> list[str]:
    """Return what instance one was asked, but for its identity and mode."""
    return [request.target for instance, request in target.asked if instance == "http://one"]


def test_a_foreign_count_at_any_moment_turns_something_red(tmp_path: Path) -> None:
    clean = Target()
    run(tmp_path, [*COUNTING, TYPO], ASKING, clean, modes=["enforce"])
    readings = asked_of_one(clean).count("/metrics")
    assert readings == 1 + 2 * (len(COUNTING) + 1) + 1, "once before all, twice for each, once after all"
    for moment in range(1, readings + 1):
        target = Target()
        target.bend = foreign(target, moment)
        done = run(tmp_path, [*COUNTING, TYPO], ASKING, target, modes=["enforce"])
        assert bool(verdicts(done, "enforce")) == (moment < readings), moment


def foreign(target: Target, moment: int) -> Any:
    """Return what counts once for somebody else, after a reading of instance one."""
    read = {"number": 0}

    def bent(instance: str, request: RawRequest, given: Reply) -> Reply:
        if instance == "http://one" and request.target == "/metrics":
            read["number"] += 1
            if read["number"] == moment:
                target.instances[instance].counted["enforce", "ok"] += 1
        return given

    return bent


def test_cases_about_other_counters_wait_for_themselves(tmp_path: Path) -> None:
    narrow = with_expect(COUNTING[0], enforce={"metrics": {'checks_total{result="ok"}': 1}})
    other = with_expect(TYPO, enforce={"metrics": {'checks_total{result="reject"}': 1}})
    target = Target()
    done = run(tmp_path, [narrow, other], target=target, modes=["enforce"])
    assert verdicts(done, "enforce") == {}
    readings = [one.metrics for one in done.batches["enforce"].observations if one.metrics]
    assert all(one.quiet >= 1.0 and one.kept >= 1.0 for one in readings)
