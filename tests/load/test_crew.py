"""Load from several processes: each has its share of one schedule, and the one who is lost is missed."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from pytest_rollout.errors import LoadError
from pytest_rollout.judge.latency import ErrorsAtMost
from pytest_rollout.load.engine import RECORDER, free_port, run
from pytest_rollout.load.judged import Demand, judge_load
from pytest_rollout.load.order import LoadOrder
from pytest_rollout.load.soundness import unsound
from pytest_rollout.verdict import Reason, Verdict
from tests.load.runs import (
    PIDS,
    VISITOR,
    Seen,
    Visit,
    await_pids,
    await_true,
    command,
    locustfile,
    side_by_side,
    site,
    visit,
)
from tests.load.servers import Server, healthy, running

ANY_LAG = 1000.0


def lose_a_worker(folder: Path) -> Seen:
    """Make a load of which a worker is killed."""
    order = LoadOrder(locustfile(folder, PIDS), "", 1.5, rate=20.0, workers=2, warm_up=0.0, drain=0.2)
    with running(healthy) as server:
        threading.Thread(target=kill_a_worker, args=(folder / "pids", server), daemon=True).start()
        made = run(replace(order, host=server.url), site(folder, PIDS=str(folder / "pids")))
    return Seen(made, server, folder / "run")


def join_from_elsewhere(folder: Path, theirs: str = VISITOR) -> Seen:
    """Make a load with a worker that somebody else has started."""
    place = replace(site(folder), port=free_port(), own_workers=False)
    (folder / "theirs").mkdir()
    text = locustfile(folder)
    worker = [
        *command(),
        "-f",
        f"{locustfile(folder / 'theirs', theirs)},{RECORDER}",
        "--worker",
        "--master-host",
        "127.0.0.1",
    ]
    with running(healthy) as server:
        joining = subprocess.Popen(
            [*worker, "--master-port", str(place.port)], cwd=folder, env=dict(place.env), stderr=subprocess.DEVNULL
        )
        try:
            made = run(LoadOrder(text, server.url, 0.5, rate=20.0, workers=1, warm_up=0.0, drain=0.2), place)
            assert joining.wait(10) == 0
        finally:
            joining.kill()
            joining.wait()
    return Seen(made, server, place.folder)


VISITS: dict[str, Visit] = {
    "lost": lose_a_worker,
    "joined": join_from_elsewhere,
    "stale": partial(join_from_elsewhere, theirs=VISITOR + "        # as it was last week\n"),
    "open": visit(healthy, workers=2, rate=40.0, arrivals="constant", warm_up=0.0),
    "closed": visit(healthy, workers=2, users=4, duration=0.5, warm_up=2.5),
}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Seen]:
    return side_by_side(tmp_path_factory.mktemp("crew"), VISITS)


def test_workers_share_the_schedule_and_nothing_is_lost_or_counted_twice(seen: Callable[[str], Seen]) -> None:
    made, server = seen("open").made, seen("open").server
    assert unsound(made, ANY_LAG) == ()
    assert len(made.parts) == 2
    moments = sorted(at for one in made.series() for at in one.ok.at)
    assert moments == [int(number / 40 * 1e6) for number in range(40)]
    assert len(server.requests) == 40


def test_closed_users_are_spread_over_workers(seen: Callable[[str], Seen]) -> None:
    made = seen("closed").made
    assert [part.users for part in made.parts] == [2, 2]
    assert unsound(made, ANY_LAG) == ()


def test_a_killed_worker_is_missed(seen: Callable[[str], Seen]) -> None:
    made = seen("lost").made
    assert "1 of 2 load generators have reported; see the logs of the run" in unsound(made, ANY_LAG)
    found = judge_load([made], Demand(limits={"errors": ErrorsAtMost(0)}))
    assert (found.verdict, found.reason) == (Verdict.ERROR, Reason.BENT_GENERATOR)


def test_workers_may_join_from_elsewhere_and_get_the_order_from_the_master(seen: Callable[[str], Seen]) -> None:
    made = seen("joined").made
    assert unsound(made, ANY_LAG) == ()
    assert len(made.samples().ok) == made.due > 0


def test_a_worker_with_another_locustfile_is_refused(seen: Callable[[str], Seen]) -> None:
    with pytest.raises(LoadError) as refused:
        seen("stale")
    here = platform.node()
    assert str(refused.value) == f"the worker {here} has another locustfile than the master; copy the master's there"


def kill_a_worker(path: Path, server: Server) -> None:
    """Kill a worker that is at work."""
    pids = await_pids(path, 3)
    await_true(lambda: bool(server.requests))
    for pid in pids:
        shown = subprocess.run(
            ["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=True
        )
        if "--worker" in shown.stdout:
            os.kill(pid, signal.SIGKILL)
            return
