"""Locust as a process: how it starts and ends, and what is left of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_rollout.errors import LoadError
from pytest_rollout.load.engine import LOCUST, run
from pytest_rollout.load.order import LoadOrder
from pytest_rollout.load.result import LoadResult
from pytest_rollout.load.soundness import unsound
from tests.load.runs import (
    PIDS,
    VISITOR,
    Seen,
    await_pids,
    await_true,
    locustfile,
    make_load,
    side_by_side,
    site,
    visit,
)
from tests.load.servers import healthy, hung, running
from tests.test_process import alive

NESTED = """
    from locust import FastHttpUser, TaskSet, task

    class Inner(TaskSet):
        @task
        def look(self):
            self.client.get("/")

    class Visitor(FastHttpUser):
        tasks = [Inner]
"""
LOUD = """
    from locust import FastHttpUser, events, task

    @events.test_stop.add_listener
    def stop(**_):
        raise ValueError("no, thank you")

    class Visitor(FastHttpUser):
        @task
        def look(self):
            self.client.get("/")
"""
TAGGED = """
    from locust import FastHttpUser, tag, task

    class Visitor(FastHttpUser):
        @tag("a")
        @task
        def a(self):
            self.client.get("/a")

        @tag("b")
        @task
        def b(self):
            self.client.get("/b")
"""
CONF = "run-time = 1s\nprocesses = 2\nusers = 7\nexclude-tags = b\nhost = http://x\n"


def with_a_locust_conf(folder: Path) -> Seen:
    """Make a load where Locust finds settings, in a file and in its environment."""
    (folder / "locust.conf").write_text(CONF)
    with running(healthy) as server:
        order = LoadOrder(locustfile(folder, textwrap.dedent(TAGGED)), server.url, 1.5, rate=40.0, warm_up=0.0)
        place = site(folder, LOCUST_TAGS="a", LOCUST_RUN_TIME="1s", LOCUST_HEADLESS="what")
        return Seen(run(order, place), server, place.folder)


def kill_it(folder: Path) -> Seen:
    """Make a load of which the generator is killed."""
    with running(healthy) as server:
        order = LoadOrder(locustfile(folder, PIDS), server.url, 20.0, rate=10.0)
        threading.Thread(target=kill_the_first, args=(folder / "pids",), daemon=True).start()
        return Seen(run(order, site(folder, PIDS=str(folder / "pids"))), server, folder)


SHORT: dict[str, Any] = {"duration": 0.3, "warm_up": 0.0, "drain": 0.1}
VISITS = {
    "nested": visit(healthy, NESTED),
    "loud": visit(healthy, LOUD, **SHORT),
    "nowhere": visit(healthy, "import nowhere\n"),
    "usual": visit(healthy, **SHORT),
    "conf": with_a_locust_conf,
    "killed": kill_it,
}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Seen]:
    return side_by_side(tmp_path_factory.mktemp("engine"), VISITS)


def test_task_sets_are_refused_with_a_way_out(seen: Callable[[str], Seen]) -> None:
    with pytest.raises(LoadError) as refused:
        seen("nested")
    assert str(refused.value) == (
        "Visitor has a TaskSet; open arrivals need tasks that are methods: write @task on methods of the user, "
        "or run it as a closed model, with users: instead of rate:"
    )


def test_a_listener_that_raises_is_an_error_with_its_words(seen: Callable[[str], Seen]) -> None:
    with pytest.raises(LoadError) as refused:
        seen("loud")
    said = str(refused.value)
    assert said.startswith("Locust ended with exit code 2; its last words:\n    ")
    assert "ValueError: no, thank you" in said
    assert "|" not in said, "Locust's tables tell nothing of it"


def test_a_locustfile_that_cannot_be_loaded_is_an_error_with_its_words(seen: Callable[[str], Seen]) -> None:
    with pytest.raises(LoadError, match=r"(?s)^Locust ended with exit code 1; its last words:.*nowhere"):
        seen("nowhere")


def test_a_killed_generator_leaves_no_result(seen: Callable[[str], Seen]) -> None:
    with pytest.raises(LoadError, match=r"^Locust ended with exit code -9"):
        seen("killed")


def test_a_locust_conf_and_locust_s_variables_change_nothing(seen: Callable[[str], Seen]) -> None:
    """Not how long, nor how many processes, nor which tasks."""
    made = seen("conf").made
    assert unsound(made, limit=1000.0) == ()
    assert {one.name for one in made.series("request")} == {"/a", "/b"}
    assert len(made.samples().ok) == made.due


def test_one_run_s_result_is_not_another_s(seen: Callable[[str], Seen]) -> None:
    folder = seen("usual").folder
    written = json.loads((folder / "result.json").read_text())
    assert written["asked"]["run"] == seen("usual").made.asked.run != ""
    assert not (folder / "order.json").exists()


def test_only_who_made_a_load_can_read_what_it_left(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o755)
    old = tmp_path / "run" / "order.json"
    old.write_text("of a run that was killed")
    old.chmod(0o644)
    modes = []

    def look(_: LoadResult) -> bool:
        modes.append(old.stat().st_mode & 0o777 if old.exists() else 0)
        return True

    with running(healthy) as server, pytest.MonkeyPatch.context() as patched:
        patched.setattr("pytest_rollout.load.engine.LOOK_EVERY", 0.2)
        make_load(tmp_path, server.url, look=look, warm_up=0.0)
    assert set(modes) <= {0, 0o600}
    assert modes
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700
    assert not old.exists()


def test_no_secret_of_an_address_stays_in_a_log(tmp_path: Path) -> None:
    telling = textwrap.dedent(VISITOR) + "\nprint('at http://me:s3cret@there/?token=s3cret')\n"
    with running(healthy) as server:
        make_load(tmp_path, server.url, telling, warm_up=0.0)
    log = (tmp_path / "run" / "locust.log").read_text()
    assert "at http://there/?..." in log
    assert "s3cret" not in log


def test_a_locust_that_is_not_there_is_an_error_that_says_what_to_set(tmp_path: Path) -> None:
    order = LoadOrder(locustfile(tmp_path), "http://127.0.0.1:9", 1.0, rate=1.0)
    with pytest.raises(LoadError) as refused:
        run(order, site(tmp_path, **{LOCUST: "/nowhere/locust"}))
    assert str(refused.value) == (
        "/nowhere/locust cannot be started: No such file or directory; set ROLLOUT_LOCUST to a locust command"
    )


def test_a_look_can_stop_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_rollout.load.engine.LOOK_EVERY", 0.3)
    seen: list[LoadResult] = []

    def look(so_far: LoadResult) -> bool:
        seen.append(so_far)
        return len(so_far.samples().censored) > 10

    with running(hung) as server:
        made = make_load(tmp_path, server.url, look=look, duration=30.0)
    assert seen[0].parts[0].ended == "running"
    assert len(made.samples().censored) > 10
    assert made.duration < 10
    assert unsound(made, whole=False, limit=1000.0) == ()
    assert (
        unsound(made, limit=1000.0)[0] == f"the load generator {made.parts[0].worker} was stopped: Locust was stopped"
    )


@pytest.mark.parametrize("workers", [0, 2])
def test_nothing_is_left_when_the_one_who_asked_is_killed(tmp_path: Path, workers: int) -> None:
    ask = f"""
        import os, sys
        from pathlib import Path
        from pytest_rollout.load.engine import Site, run
        from pytest_rollout.load.order import LoadOrder

        order = LoadOrder(sys.argv[1], sys.argv[2], 60.0, rate=10.0, workers={workers})
        run(order, Site(Path("run"), Path("."), dict(os.environ)))
    """
    with running(hung) as server:
        env = {**site(tmp_path).env, "PIDS": str(tmp_path / "pids"), "PYTHONPATH": os.pathsep.join(sys.path)}
        code = textwrap.dedent(ask)
        argv = [sys.executable, "-c", code, locustfile(tmp_path, PIDS), server.url]
        asking = subprocess.Popen(argv, cwd=tmp_path, env=env)
        try:
            pids = await_pids(tmp_path / "pids", max(1, workers and workers + 1))
            await_true(lambda: bool(server.requests))
        finally:
            asking.send_signal(signal.SIGKILL)
            asking.wait()
        await_true(lambda: not any(map(alive, pids)))


def test_gevent_is_in_no_pytest_process() -> None:
    assert "gevent" not in sys.modules
    assert "locust" not in sys.modules


def kill_the_first(path: Path) -> None:
    """Kill the first process that loads the locustfile."""
    os.kill(await_pids(path, 1)[0], signal.SIGKILL)
