"""The result document: nothing can be taken from it without a trace, and it says itself whether it can be judged."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pytest_rollout.errors import LoadError
from pytest_rollout.load.answers import answers
from pytest_rollout.load.injected.book import Arrival, Book, Flight, Lags, Outcome
from pytest_rollout.load.order import Arm, LoadOrder
from pytest_rollout.load.result import LoadResult, read
from pytest_rollout.load.soundness import unsound
from tests.load.runs import document, result

ORDER = LoadOrder("scenario.py", "http://127.0.0.1:1", 10.0, rate=10.0, arrivals="constant", run="r1", workers=2)


def mixed(number: int) -> tuple[Outcome, float]:
    """One in ten fails, one times out, one is never answered."""
    outcomes: dict[int, Outcome] = {1: "failed", 2: "timeout", 3: "unfinished"}
    return outcomes.get(number % 10, "ok"), 0.01 * (number % 10 + 1)


def changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """Return a sound document with a change."""
    made = document(ORDER, mixed)
    change(made)
    return made


def test_samples_come_back_as_they_were_rounded_up_to_a_microsecond() -> None:
    made = result(ORDER, outcome=mixed)
    assert unsound(made) == ()
    assert len(made.samples().ok) == 70
    assert len(made.samples().failed) == 10
    assert len(made.samples().censored) == 20
    assert made.samples().failed == pytest.approx([0.02] * 10, abs=2e-6)
    assert min(made.samples().failed) >= 0.02
    assert made.due == made.started == 100
    assert made.offered_rate == 10
    assert made.achieved_rate == 8


def test_answers_of_runs_that_follow_one_another_are_those_of_one() -> None:
    made = result(ORDER, outcome=mixed)
    both = answers([made, made], "transaction")
    assert (both.due, both.planned, len(both.ok), len(both.failed), len(both.censored)) == (200, 200, 140, 40, 20)
    assert min(at for at, _ in both.ok) == 0
    assert 19 < max(at for at, _ in both.ok) < 20
    assert answers([made], "request").planned is None


def test_arrivals_that_were_never_served_count_for_every_name() -> None:
    """Behind a server that hangs they wait for their turn, and nobody knows what they would have asked."""
    book = Book(10.0)
    for at in range(10):
        flight = Flight("GET", "/a", at, at, at, open=True)
        unserved = Flight("TASK", "Visitor.look without a request", at, at, at, open=True)
        book.landed(flight, "ok", at + 0.1)
        book.landed(unserved, "unfinished", 12.0)
        book.landed(unserved, "failed", at + 0.1)
    made = document(ORDER)
    made["parts"][0]["series"] = book.document()["series"]
    sides = answers([LoadResult.model_validate(made)], "request", "/a")
    assert (len(sides.ok), len(sides.failed), len(sides.censored)) == (10, 0, 10)
    assert sides.due == 20


def test_answers_of_an_arm_are_its_own() -> None:
    paired = LoadOrder("s.py", "http://h", 10.0, rate=10.0, arms=(Arm("control"), Arm("candidate")), run="r1")
    made = result(paired)
    for arm in paired.arms:
        side = answers([made], "transaction", arm=arm.name)
        assert side.due == side.planned == len(side.ok) > 30


def deletions(made: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the place of everything that can be taken out of a document."""
    places = made.items() if isinstance(made, dict) else enumerate(made) if isinstance(made, list) else ()
    for key, inner in places:
        yield (*path, key)
        yield from deletions(inner, (*path, key))


def test_whatever_is_taken_out_it_shows() -> None:
    """Except for what only helps to find a cause."""
    whole = document(ORDER, mixed)
    hints = {"errors", "exceptions", "slowest", "failures", "versions", "argv"}
    for place in deletions(whole):
        if hints & set(place):
            continue
        less = copy.deepcopy(whole)
        inner: Any = less
        for step in place[:-1]:
            inner = inner[step]
        del inner[place[-1]]
        try:
            assert unsound(LoadResult.model_validate(less)), place
        except ValidationError:
            continue


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda made: made["parts"].pop(), "1 of 2 load generators have reported; see the logs of the run"),
        (
            lambda made: made["parts"].__setitem__(1, made["parts"][0]),
            "load generators have reported the same share of the load, or none; run the load again",
        ),
        (
            lambda made: made["parts"][0].update(ended="stopped", why="Locust was stopped"),
            "the load generator host/0 was stopped: Locust was stopped",
        ),
        (lambda made: made["parts"][0].update(duration=9.8), "the load generator host/0 ran for 9.8 s of 10 s"),
        (lambda made: made["parts"][0]["counts"].update(started=49), "99 of 100 arrivals were started"),
        (
            lambda made: made["parts"][0]["counts"].update(requests=51),
            "samples of the load generator host/0 are missing",
        ),
        (lambda made: made["parts"][0]["series"].pop(), "samples of the load generator host/0 are missing"),
        (lambda made: made["parts"][0].update(lag=None), "a load generator does not know how late it was"),
        (
            lambda made: made["parts"][0]["lag"].update(p99=0.0061),
            (
                "the load generator was late: 6.1 ms at p99, where 5 ms are allowed, with 10% of a core in use; lower "
                "the rate, give it more workers, or run it on a machine that has nothing else to do"
            ),
        ),
    ],
    ids=itertools.count(),
)
def test_a_run_that_proves_nothing_says_why(change: Callable[[dict[str, Any]], object], fault: str) -> None:
    assert fault in unsound(LoadResult.model_validate(changed(change)))


def test_a_greater_limit_forgives_a_greater_lag() -> None:
    late = result(ORDER, lag=0.009)
    assert unsound(late, 0.1)
    assert not unsound(late, 0.2)


def test_a_greater_quantile_is_spoilt_by_a_rarer_lag() -> None:
    made = document(ORDER)
    made["parts"][0]["lag"]["p999"] = 0.02
    assert not unsound(LoadResult.model_validate(made))
    assert unsound(LoadResult.model_validate(made), quantile=0.999)[0].startswith(
        "the load generator was late: 20 ms at p99.9, where 5 ms are allowed"
    )


def test_closed_users_who_never_ran_are_missed() -> None:
    closed = LoadOrder("s.py", "http://h", 10.0, users=5, run="r1")
    assert unsound(result(closed)) == (
        "0 of 5 users ran when the window began; on_start may take longer than the warm-up",
        "no request was made; see what the locustfile logs",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "the load run left no result (result.json: No such file or directory)"),
        ('{"schema_version": 1', "the result of the load run is not whole: document: Invalid JSON: "),
        ("{}", "the result of the load run is not whole: schema_version: Field required"),
    ],
)
def test_a_result_that_is_not_there_or_not_whole_is_an_error(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "result.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(LoadError) as refused:
        read(path, "r1")
    assert str(refused.value).startswith(message)


def test_another_run_s_result_is_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text(json.dumps(document(ORDER)))
    assert read(path, "r1").asked.run == "r1"
    with pytest.raises(LoadError, match=r"^the result is another run's; give every load run a folder of its own$"):
        read(path, "r2")


def test_only_what_was_due_in_the_window_counts() -> None:
    book = Book(10.0)
    for belongs, is_open, ended in ((-1.0, True, 3.0), (-1.0, False, 3.0), (-2.0, False, -1.0), (10.0, False, 11.0)):
        book.landed(Flight("GET", "/", belongs, belongs, belongs, open=is_open), "ok", ended)
    assert book.document()["counts"]["requests"] == 1, "a closed user's that reached into the window"
    book.done(Arrival("A.b", -0.1), "ok", -0.1, 3.0)
    assert book.document()["counts"]["finished"] == 0


def test_what_begins_while_a_run_that_was_stopped_is_told_does_not_count() -> None:
    """Packing its samples takes a moment, in which arrivals go on: nobody would tell what became of them."""
    book = Book(10.0)
    book.start(Arrival("A.b", -0.1))
    book.start(Arrival("A.b", 0.0))
    book.closed = True
    book.start(Arrival("A.b", 0.1))
    assert book.document()["counts"]["started"] == 1


def test_the_slowest_and_the_failed_are_kept_with_their_trace_ids() -> None:
    made = result(LoadOrder("s.py", "http://h", 100.0, rate=10.0, run="r1", arrivals="constant"), outcome=mixed)
    (part,) = made.parts
    assert len(part.slowest) == len(part.failures) == 20
    assert [one.latency for one in part.slowest] == pytest.approx([0.1] * 20)
    assert part.failures[0].trace_id == f"{1:032x}"


def test_errors_of_endless_kinds_take_no_endless_space() -> None:
    book = Book(1.0)
    for number in range(200):
        book.landed(Flight("GET", "/", 0.0, 0.0, 0.0, open=True), "failed", 0.1, f"error {number}")
        book.raised(ValueError(number))
    made = book.document()
    assert len(made["errors"]) == len(made["exceptions"]) == 51
    assert made["errors"][0] == {"method": "", "name": "", "text": "others", "count": 150}


def test_a_spread_is_by_nearest_rank_and_rounded_up() -> None:
    lags = Lags()
    assert lags.spread() is None
    for number in range(1, 201):
        lags.add(number - 0.000_004)
    assert lags.spread() == {"n": 200, "p50": 100.0, "p99": 198.0, "p999": 200.0, "max": 200.0}
