"""Locust as a process: how it starts and ends, and what is left of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from pytest_rollout.errors import LoadError
from pytest_rollout.load.engine import LOCUST, run
from pytest_rollout.load.order import LoadOrder
from pytest_rollout.load.result import LoadResult
from pytest_rollout.load.soundness import unsound
from tests.load.runs import PIDS, await_pids, await_true, locustfile, make_load, site
from tests.load.servers import healthy, hung, running
from tests.test_process import alive


def test_task_sets_are_refused_with_a_way_out(tmp_path: Path) -> None:
    nested = """
        from locust import FastHttpUser, TaskSet, task

        class Inner(TaskSet):
            @task
            def look(self):
                self.client.get("/")

        class Visitor(FastHttpUser):
            tasks = [Inner]
    """
    with pytest.raises(LoadError) as refused:
        make_load(tmp_path, "http://127.0.0.1:9", textwrap.dedent(nested))
    assert str(refused.value) == (
        "Visitor has a TaskSet; open arrivals need tasks that are methods: write @task on methods of the user, "
        "or run it as a closed model, with users: instead of rate:"
    )


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


def test_a_listener_that_raises_is_an_error_with_its_words(tmp_path: Path) -> None:
    with running(healthy) as server, pytest.raises(LoadError) as refused:
        make_load(tmp_path, server.url, textwrap.dedent(LOUD), duration=0.3, warm_up=0.0, drain=0.1)
    said = str(refused.value)
    assert said.startswith("Locust ended with exit code 2; its last words:\n    ")
    assert "ValueError: no, thank you" in said
    assert "|" not in said, "Locust's tables tell nothing of it"


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


def test_a_locust_conf_and_locust_s_variables_change_nothing(tmp_path: Path) -> None:
    """Not how long, nor how many processes, nor which tasks."""
    (tmp_path / "locust.conf").write_text(
        "run-time = 1s\nprocesses = 2\nusers = 7\nexclude-tags = b\nhost = http://x\n"
    )
    with running(healthy) as server:
        order = LoadOrder(locustfile(tmp_path, textwrap.dedent(TAGGED)), server.url, 1.5, rate=40.0, warm_up=0.0)
        made = run(order, site(tmp_path, LOCUST_TAGS="a", LOCUST_RUN_TIME="1s", LOCUST_HEADLESS="what"))
    assert unsound(made, limit=1000.0) == ()
    assert {one.name for one in made.series("request")} == {"/a", "/b"}
    assert len(made.samples().ok) == made.due


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


def test_a_locustfile_that_cannot_be_loaded_is_an_error_with_its_words(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=r"(?s)^Locust ended with exit code 1; its last words:.*nowhere"):
        make_load(tmp_path, "http://127.0.0.1:9", "import nowhere\n")


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


def test_a_killed_generator_leaves_no_result(tmp_path: Path) -> None:
    with running(healthy) as server:
        order = LoadOrder(locustfile(tmp_path, PIDS), server.url, 20.0, rate=10.0)
        threading.Thread(target=kill_the_first, args=(tmp_path / "pids",), daemon=True).start()
        with pytest.raises(LoadError, match=r"^Locust ended with exit code -9"):
            run(order, site(tmp_path, PIDS=str(tmp_path / "pids")))


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


def test_one_run_s_result_is_not_another_s(tmp_path: Path) -> None:
    with running(healthy) as server:
        made = make_load(tmp_path, server.url, duration=0.3, warm_up=0.0, drain=0.1)
    written = json.loads((tmp_path / "run" / "result.json").read_text())
    assert written["asked"]["run"] == made.asked.run != ""
    assert not (tmp_path / "run" / "order.json").exists()


def test_gevent_is_in_no_pytest_process() -> None:
    assert "gevent" not in sys.modules
    assert "locust" not in sys.modules


def kill_the_first(path: Path) -> None:
    """Kill the first process that loads the locustfile."""
    os.kill(await_pids(path, 1)[0], signal.SIGKILL)
