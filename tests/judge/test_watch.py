"""Every doubt about how processes were watched, in its words, and what is no reason to doubt."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_rollout.judge.demand import Demand, Restarts
from pytest_rollout.judge.lives import Watch
from pytest_rollout.judge.samples import Rise, Series, Window, rises
from pytest_rollout.judge.watch import Watched
from pytest_rollout.verdict import Reason, Verdict
from tests.judge.evidence import (
    COUNT,
    LENGTH,
    NO_LABELS,
    START,
    STEP,
    TIMES,
    WINDOW,
    A,
    Labels,
    counted,
    risen,
    steady,
    unscraped,
    watch,
    without,
)

B = {"instance": "b"}
QUIET = steady(0, {"__name__": "x"})
THE_OTHER = frozenset({("app", "b")})
ALSO = steady(0, {"__name__": "x", **B})
FINE = watch()
TWO = watch("a", "b")
LOST_SERIES = "the server counts 2 series and sent 1; some of the answer was lost, judge again"
NOT_SHOWN = "app/b was scraped and has no such series; if it need not have one, say expect_series"
NO_UP = "Prometheus has no 'up' of app/a; if it does not scrape it itself, give the environment a scrape_interval"
RESTARTED = "app/a restarted inside the window, so increments may be lost; let the window pass again"
LEFT = "app/b left inside the window, so increments may be lost; let the window pass again"
FEW = (
    "only 33.3% of the expected scrapes of app/a succeeded (95.0% needed); find out why, then let the window pass again"
)
UNCLOSED = (
    'y{instance="a",job="app"} has no sample in the last 30 s of the window; wait for the next scrape, or find out '
    "why it vanished"
)
UNTOLD = (
    "app/a has no process_start_time_seconds, so a restart would not be noticed; export it, or say restarts: ignore"
)


def watched(*series: Series, watch: Watch = FINE, demand: Demand = COUNT, window: Window = WINDOW) -> Watched:
    return Watched(series, watch, window, demand)


def doubt(found: Watched) -> tuple[Reason, str] | None:
    result = found.unwatched()
    if result is None:
        return None
    assert result.verdict is Verdict.INCONCLUSIVE
    return result.reason, result.message


def started(*values: float, first: int = 0, of: Labels = NO_LABELS) -> Series:
    """Return a process start time: one value for each scrape, the last one for all that are left."""
    rest = [values[-1]] * (len(TIMES) - first - len(values))
    return counted([*values, *rest], {"__name__": "process_start_time_seconds", **of}, first=first)


def up(*failed: int, first: int = 0, last: int = len(TIMES), of: Labels = NO_LABELS) -> Series:
    values = [float(scrape not in failed) for scrape in range(first, last)]
    return counted(values, {"__name__": "up", **of}, first=first)


# --- nothing to doubt -------------------------------------------------------------------------------------------

AT_60 = TIMES[60] - 5.0
YOUNG = replace(TWO, up=(FINE.up[0], up(first=60, of=B)), starts=(FINE.starts[0], started(AT_60, first=60, of=B)))
NO_DOUBTS = {
    "all is well": watched(QUIET),
    "two processes": watched(QUIET, ALSO, watch=TWO),
    "as many series as the server counts": watched(QUIET, watch=replace(FINE, counted=1)),
    "as many as expected": watched(QUIET, demand=replace(COUNT, expect_series=1)),
    "a metric that is known but was never born": watched(QUIET, watch=replace(TWO, exporters=THE_OTHER)),
    "a silent process that is not expected": watched(QUIET, watch=TWO, demand=replace(COUNT, expect_series=1)),
    "a gap as long as allowed": watched(unscraped(QUIET, 600, 660), watch=replace(FINE, up=(up(*range(41, 44)),))),
    "a restart before the window": watched(
        counted([7.0] + [0.0] * 121), watch=replace(FINE, starts=(started(500.0, START - 5),))
    ),
    "a process that was born in the window": watched(
        QUIET, counted([0] * 62, {"__name__": "x", **B}, first=60), watch=YOUNG
    ),
    "a restart, but nobody looks": watched(
        QUIET,
        watch=replace(FINE, starts=(started(*[500.0] * 60, AT_60),)),
        demand=replace(COUNT, restarts=Restarts.IGNORE),
    ),
    "no start time, but nobody looks": watched(
        QUIET, watch=replace(FINE, starts=()), demand=replace(COUNT, restarts=Restarts.IGNORE)
    ),
    "pushed, not scraped": watched(QUIET, watch=Watch(scraped=False), demand=replace(COUNT, restarts=Restarts.IGNORE)),
    "a process of another job": watched(QUIET, watch=replace(FINE, targets=FINE.targets | {("other", "c")})),
    "a process that ended long before the window": watched(
        QUIET, replace(ALSO, samples=((START - 90, 3.0),)), watch=FINE
    ),
}


@pytest.mark.parametrize("found", NO_DOUBTS.values(), ids=NO_DOUBTS)
def test_what_is_no_reason_to_doubt(found: Watched) -> None:
    assert doubt(found) is None


def early_gap(one: Series) -> Series:
    return unscraped(one, -76, -14)


def thin(one: Series) -> Series:
    return replace(one, samples=(*one.samples[:6], *one.samples[6::3]))


# --- every doubt ------------------------------------------------------------------------------------------------

DOUBTS: dict[str, tuple[Watched, Reason, str]] = {
    "a series was lost": (watched(QUIET, watch=replace(FINE, counted=2)), Reason.PARTIAL_DATA, LOST_SERIES),
    "a series came along": (
        watched(QUIET, watch=replace(FINE, counted=0)),
        Reason.PARTIAL_DATA,
        "the server counts 0 series and sent 1; some of the answer was lost, judge again",
    ),
    "fewer series than expected": (
        watched(QUIET, demand=replace(COUNT, expect_series=2)),
        Reason.SERIES_MISSING,
        "1 series, at least 2 are expected; find out which one vanished",
    ),
    "a process without the series": (watched(QUIET, watch=TWO), Reason.NO_DATA, NOT_SHOWN),
    "a process that only up knows": (
        watched(QUIET, watch=replace(TWO, targets=FINE.targets)),
        Reason.NO_DATA,
        NOT_SHOWN,
    ),
    "a process that only failed, and is no target any more": (
        watched(QUIET, watch=replace(TWO, up=(*FINE.up, up(*range(200), of=B)), targets=FINE.targets)),
        Reason.NO_DATA,
        NOT_SHOWN,
    ),
    "a target that nothing else knows": (
        watched(QUIET, watch=replace(FINE, targets=TWO.targets)),
        Reason.NO_DATA,
        NOT_SHOWN,
    ),
    "no up": (watched(QUIET, watch=replace(FINE, up=())), Reason.NO_DATA, NO_UP),
    "no up, and no target": (
        watched(QUIET, watch=replace(FINE, up=(), targets=frozenset())),
        Reason.NO_DATA,
        NO_UP,
    ),
    "restarted, as the start time says": (
        watched(QUIET, watch=replace(FINE, starts=(started(*[500.0] * 60, AT_60),))),
        Reason.RESTART,
        RESTARTED,
    ),
    "restarted, as the start time says, with a clock that is wrong": (
        watched(QUIET, watch=replace(FINE, starts=(started(*[500.0] * 60, 600.0),))),
        Reason.RESTART,
        RESTARTED,
    ),
    "restarted twice": (
        watched(QUIET, watch=replace(FINE, starts=(started(*[500.0] * 60, AT_60, 500.0),))),
        Reason.RESTART,
        RESTARTED,
    ),
    "restarted, as its own earlier samples say": (
        watched(QUIET, watch=replace(FINE, starts=(started(AT_60, first=60),))),
        Reason.RESTART,
        RESTARTED,
    ),
    "restarted, as only failed scrapes before say": (
        watched(
            QUIET,
            counted([0] * 62, {"__name__": "x", **B}, first=60),
            watch=replace(YOUNG, up=(FINE.up[0], up(*range(60), of=B))),
        ),
        Reason.RESTART,
        RESTARTED.replace("app/a", "app/b"),
    ),
    "restarted, as the counter says": (watched(counted([7.0] * 60 + [0.0] * 62)), Reason.RESTART, RESTARTED),
    "left": (
        watched(
            QUIET,
            counted([0] * 60, {"__name__": "x", **B}),
            watch=replace(TWO, up=(*FINE.up, up(last=60, of=B)), targets=FINE.targets),
        ),
        Reason.RESTART,
        LEFT,
    ),
    "left at an unknown time around the window's start": (
        watched(
            QUIET,
            counted([0], {"__name__": "x", **B}),
            watch=replace(FINE, up=(*FINE.up, up(last=1, of=B))),
        ),
        Reason.RESTART,
        LEFT,
    ),
    "left after the last scrape before the window": (
        watched(
            QUIET,
            counted([0] * 2, {"__name__": "x", **B}),
            watch=replace(FINE, up=(*FINE.up, up(last=2, of=B))),
        ),
        Reason.RESTART,
        LEFT,
    ),
    "no start time": (watched(QUIET, watch=replace(FINE, starts=())), Reason.RESTART_UNKNOWN, UNTOLD),
    "no start time at the window's end": (
        watched(QUIET, watch=replace(FINE, starts=(replace(FINE.starts[0], samples=FINE.starts[0].samples[:-1]),))),
        Reason.COVERAGE,
        "process_start_time_seconds of app/a has no sample at the window's end; wait for the next scrape",
    ),
    "born when nobody looked": (
        watched(
            counted([0] * 117, first=5),
            watch=replace(FINE, up=(up(first=5),), starts=(started(TIMES[5] - 5, first=5),)),
        ),
        Reason.WINDOW_NOT_ELAPSED,
        "nothing from before the window tells when app/a began, so it may have been restarted; decides in about 1 min",
    ),
    "first seen late": (
        watched(
            QUIET,
            counted([0] * 112, {"__name__": "x", **B}, first=10),
            watch=replace(
                TWO, up=(*FINE.up, up(first=10, of=B)), starts=(*FINE.starts, started(500.0, first=10, of=B))
            ),
        ),
        Reason.WINDOW_NOT_ELAPSED,
        "app/b was first seen 135 s after the window's start; decides in about 135 s",
    ),
    "a gap": (
        watched(unscraped(QUIET, 600, 675), watch=replace(FINE, up=(up(*range(42, 46)),))),
        Reason.COVERAGE,
        "no scrape of app/a for 75 s (at most 1 min is allowed); find out why, then let the window pass again",
    ),
    "a gap just before the window": (
        watched(early_gap(QUIET), watch=replace(FINE, up=(early_gap(FINE.up[0]),))),
        Reason.COVERAGE,
        "no scrape of app/a for 90 s (at most 1 min is allowed); find out why, then let the window pass again",
    ),
    "too few scrapes": (
        watched(thin(QUIET), watch=replace(FINE, up=(thin(FINE.up[0]),))),
        Reason.COVERAGE,
        FEW,
    ),
    "a series that is not closed": (
        watched(QUIET, replace(steady(0, {"__name__": "y"}), samples=steady(0).samples[:-2])),
        Reason.COVERAGE,
        UNCLOSED,
    ),
    "nobody": (
        watched(watch=Watch()),
        Reason.COVERAGE,
        "nothing was scraped; find out why",
    ),
}


@pytest.mark.parametrize(("found", "reason", "message"), DOUBTS.values(), ids=DOUBTS)
def test_every_doubt_says_what_is_wrong(found: Watched, reason: Reason, message: str) -> None:
    assert doubt(found) == (reason, message)


def test_every_doubt_that_waiting_cures_says_when() -> None:
    ready = {
        name: result.ready_in
        for name, (found, _, _) in DOUBTS.items()
        if (result := found.unwatched()) and result.may_still_arrive
    }
    assert ready == {
        "no start time at the window's end": STEP,
        "born when nobody looked": 60.0,
        "first seen late": 135.0,
        "a gap": 675.0,
        "a gap just before the window": 0.0,
        "too few scrapes": LENGTH,
        "a series that is not closed": STEP,
        "nobody": STEP,
    }


def test_windows_that_grow_wait_for_the_next_stretch() -> None:
    found, *_ = DOUBTS["a gap"]
    result = replace(found, window=replace(WINDOW, epoch=1)).unwatched()
    assert result is not None
    assert result.ready_in == LENGTH


def test_a_doubt_tells_how_each_process_was_watched() -> None:
    result = DOUBTS["first seen late"][0].unwatched()
    assert result is not None
    assert result.window == WINDOW.bounds
    assert result.derivation == {
        "coverage": {
            "app/a": {"share": 1.0, "longest_gap": 15.0, "scrapes": 127},
            "app/b": {"share": 112 / 120, "longest_gap": 135.0, "scrapes": 112},
        }
    }


@pytest.mark.parametrize(
    ("instance", "name"), [(("app", "a"), "app/a"), (("app", ""), "app"), (("", ""), "the series"), (("", "a"), "/a")]
)
def test_a_process_has_a_name(instance: tuple[str, str], name: str) -> None:
    one = replace(QUIET, labels={"job": instance[0], "instance": instance[1]})
    (life,) = watched(one, watch=Watch(scraped=False)).lives
    assert life.name == name


# --- what a plan says about restarts ----------------------------------------------------------------------------

ENDINGS = ("restarted, as the start time says", "restarted, as the counter says", "left")


@pytest.mark.parametrize("restarts", [Restarts.CHARGE, Restarts.IGNORE])
@pytest.mark.parametrize("name", ENDINGS)
def test_a_plan_can_accept_that_processes_end(name: str, restarts: Restarts) -> None:
    found, *_ = DOUBTS[name]
    assert doubt(replace(found, demand=replace(COUNT, restarts=restarts))) is None


def test_whoever_charges_for_restarts_has_to_know_them() -> None:
    found, reason, message = DOUBTS["no start time"]
    assert doubt(replace(found, demand=replace(COUNT, restarts=Restarts.CHARGE))) == (reason, message)


@pytest.mark.parametrize("restarts", list(Restarts))
def test_a_target_that_was_lost_but_is_still_tried_has_not_left(restarts: Restarts) -> None:
    down = (*FINE.up, up(*range(60, 200), of=B))
    silent = unscraped(ALSO, 885, LENGTH + 1)
    found = watched(
        QUIET, silent, watch=replace(TWO, up=down, targets=FINE.targets), demand=replace(COUNT, restarts=restarts)
    )
    assert doubt(found) == (
        Reason.COVERAGE,
        "no scrape of app/b for 15.2 min (at most 1 min is allowed); find out why, then let the window pass again",
    )


def test_a_restart_after_the_window_is_no_matter_of_the_window() -> None:
    end = Window(START, TIMES[-3], LENGTH - 2 * STEP)
    late = replace(FINE, starts=(started(*[500.0] * 121, TIMES[-1] - 5),))
    assert doubt(watched(QUIET, watch=late, window=end)) is None
    # If the scrape that closed the window is lost, the next one tells of another process.
    lost = replace(QUIET, samples=(*QUIET.samples[:-3], QUIET.samples[-1]))
    assert doubt(watched(lost, watch=late, window=end)) == (Reason.RESTART, RESTARTED)


# --- what surely happened ---------------------------------------------------------------------------------------


def sure(found: Watched) -> list[bool]:
    return [found.surely(rise) for rise in rises(found.series, found.window)]


SURE = {
    "a rise inside": (watched(risen(3)), [True]),
    "a rise over the start": (watched(unscraped(risen(3, at=2), -16, 15)), [False]),
    "a rise over the end": (
        watched(risen(3, at=121), window=Window(START, START + LENGTH - 1, LENGTH)),
        [False],
    ),
    "born where it had been scraped without": (watched(QUIET, counted([3] * 62, {"code": "500"}, first=60)), [True]),
    "born after a gap": (
        watched(
            counted([3] * 62, first=60),
            watch=replace(FINE, up=(up(*range(54, 60)),)),
        ),
        [False],
    ),
    "born with the first scrape of the window": (watched(QUIET, counted([3] * 120, {"code": "500"}, first=2)), [True]),
    "born before any scrape of the window": (
        watched(counted([3] * 120, first=2), watch=replace(FINE, up=(up(first=2),))),
        [False],
    ),
    "born with its process": (watched(QUIET, counted([3] * 62, B, first=60), watch=YOUNG), [True]),
    "born after the end": (
        watched(QUIET, counted([3], {"code": "500"}, first=121), window=Window(START, START + LENGTH - 1, LENGTH)),
        [False],
    ),
}


@pytest.mark.parametrize(("found", "wanted"), SURE.values(), ids=SURE)
def test_what_surely_happened_in_the_window(found: Watched, wanted: list[bool]) -> None:
    assert sure(found) == wanted


def test_of_a_process_that_nobody_watched_nothing_is_sure() -> None:
    assert not watched(QUIET).surely(Rise(float("-inf"), START + 60, 1, {"job": "other"}))


def test_samples_of_a_process_that_another_one_replaced_before_the_window_are_not_its_own() -> None:
    one = counted([7.0] + [9.0] * 121)
    found = watched(one, watch=replace(FINE, starts=(started(500.0, START - 5),)))
    assert found.series[0].samples == one.samples[6:]
    assert [rise.by for rise in rises(found.series, WINDOW)] == []
    assert found.own([one]) == found.series


def test_of_some_processes_only_their_own_is_known() -> None:
    known = replace(watch("a", "b", counted_as=2), exporters=frozenset({A, ("app", "b")}))
    only = known.only({A})
    assert only == replace(watch("a"), exporters=frozenset({A}))
    assert replace(known, scraped=False).only({A}).scraped is False


def test_each_job_is_expected_as_often_as_it_is_scraped() -> None:
    every_third = [place for place in range(len(TIMES)) if place % 3]
    slow = replace(FINE, up=(without(FINE.up[0], every_third),), starts=(without(FINE.starts[0], every_third),))
    few = FEW.replace("33.3", "35.8")
    found = watched(without(QUIET, every_third), watch=slow)
    assert doubt(found) == (Reason.COVERAGE, few)
    patient = replace(COUNT, intervals={"app": 3 * STEP, "other": STEP})
    assert doubt(replace(found, demand=patient)) is None
    assert doubt(replace(found, demand=replace(patient, intervals={"other": 3 * STEP}))) == (Reason.COVERAGE, few)
