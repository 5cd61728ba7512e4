"""Locust as an instrument: what other tools call a pass is measured here as it is, in a second or two on loopback."""

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
from pytest_rollout.load.answers import answers
from pytest_rollout.load.engine import LOCUST, run
from pytest_rollout.load.order import Arm, LoadOrder
from pytest_rollout.load.result import LoadResult
from pytest_rollout.load.soundness import unsound
from tests.load.runs import PIDS, VISITOR, await_pids, await_true, locustfile, make_load, rank, site
from tests.load.servers import failing, freezing, healthy, hung, lognormal, running, stalling, taking
from tests.test_process import alive


def test_a_server_that_never_answers_is_seen_in_every_request(tmp_path: Path) -> None:
    with running(hung) as server:
        made = make_load(tmp_path, server.url, rate=20.0, arrivals="constant")
    assert made.samples().ok == made.samples().failed == ()
    assert len(made.samples().censored) == made.due == 20
    assert rank(made.samples(), 0.5) >= 0.5 + made.asked.drain
    assert made.achieved_rate == 0
    assert answers([made], "transaction").due == answers([made], "transaction").planned == 20


def test_a_stall_is_seen_by_all_who_arrive_in_it(tmp_path: Path) -> None:
    with running(stalling(every=1.0, stall=0.4)) as server:
        made = make_load(tmp_path, server.url, duration=2.0, rate=100.0, arrivals="constant")
    assert made.due == len(made.samples().ok) == 200
    slow = [latency for latency in made.samples().ok if latency > 0.02]
    assert len(slow) > 0.36 * 200, "two stalls of 0.4 s in 2 s"
    assert rank(made.samples(), 0.99) > 0.36
    assert rank(made.samples(), 0.99) < 0.5 or unsound(made, 1.0)


def test_closed_users_hardly_see_a_stall_and_the_result_says_so(tmp_path: Path) -> None:
    with running(stalling(every=1.0, stall=0.4)) as server:
        made = make_load(tmp_path, server.url, duration=2.0, users=2)
    assert made.tail_is_lower_bound
    assert rank(made.samples(), 0.95) < 0.2
    assert max(made.samples().ok) > 0.3
    assert not [line for line in unsound(made, 1000.0) if "late" not in line]


def test_closed_users_do_not_march_in_step(tmp_path: Path) -> None:
    paced = """
        from locust import FastHttpUser, constant_pacing, task

        class Visitor(FastHttpUser):
            wait_time = constant_pacing(0.5)

            @task
            def look(self):
                self.client.get("/")
    """
    with running(healthy) as server:
        made = make_load(tmp_path, server.url, textwrap.dedent(paced), users=20, warm_up=1.0)
    phases = {int((moment - server.arrivals[0]) % 0.5 / 0.05) for moment in server.arrivals}
    assert len(phases) >= 5, "Locust starts them together and keeps them so"
    assert 30 <= len(made.samples().ok) <= 50


def test_a_window_that_ends_in_a_stall_does_not_forget_it(tmp_path: Path) -> None:
    with running(freezing(after=0.6, until=1.4)) as server:
        made = make_load(tmp_path, server.url, warm_up=0.0, drain=2.0, rate=50.0, arrivals="constant")
    assert made.due == len(made.samples().ok) == 50
    assert rank(made.samples(), 0.95) > 0.7
    assert sum(latency > 0.3 for latency in made.samples().ok) > 0.3 * 50


def test_percentiles_are_those_of_the_server(tmp_path: Path) -> None:
    with running(lognormal(0.04, 0.6)) as server:
        made = make_load(tmp_path, server.url, rate=150.0, duration=2.0)
    truth = sorted(server.residences)
    for q in (0.5, 0.95):
        error = rank(made.samples(), q) - truth[int(len(truth) * q)]
        assert abs(error) < 0.01 or unsound(made), f"{error} at {q}"


def test_nothing_is_rounded_below_a_limit(tmp_path: Path) -> None:
    with running(taking(0.2049)) as server:
        made = make_load(tmp_path, server.url, rate=20.0)
    assert min(made.samples().ok) >= 0.2049, "Locust prints 200"


def test_errors_are_apart_however_fast_they_are(tmp_path: Path) -> None:
    with running(failing) as server:
        made = make_load(tmp_path, server.url, rate=20.0)
    assert made.samples().ok == ()
    assert len(made.samples().failed) == len(made.samples("transaction").failed) == made.due
    assert [(one.method, one.name, one.count) for one in made.parts[0].errors] == [("GET", "/", made.due)]
    assert made.parts[0].failures[0].trace_id.encode() in b"".join(server.requests)


def test_what_the_client_gives_up_counts_at_least_as_long_as_it_waited(tmp_path: Path) -> None:
    impatient = """
        from locust import FastHttpUser, task

        class Visitor(FastHttpUser):
            network_timeout = 0.3

            @task
            def look(self):
                self.client.get("/")
    """
    with running(hung) as server:
        made = make_load(tmp_path, server.url, textwrap.dedent(impatient), rate=20.0)
    (series,) = made.series()
    assert series.timeout.n == made.due
    assert min(made.samples().censored) >= 0.3


def test_a_task_that_asks_nothing_or_breaks_has_failed(tmp_path: Path) -> None:
    broken = """
        from locust import FastHttpUser, task

        class Lazy(FastHttpUser):
            @task
            def nothing(self):
                pass

        class Clumsy(FastHttpUser):
            @task
            def trip(self):
                self.client.get("/")
                raise KeyError("no such thing")

        class Silent(FastHttpUser):
            @task
            def keep(self):
                self.client.get("/", catch_response=True)
    """
    with running(healthy) as server:
        made = make_load(tmp_path, server.url, textwrap.dedent(broken), rate=30.0)
    assert made.samples("transaction").ok == ()
    assert len(made.samples("transaction").failed) == made.due
    assert {one.text for one in made.parts[0].errors} == {
        "the task made no request",
        "never reported: catch_response=True needs a with block",
    }
    assert [one.text for one in made.parts[0].exceptions] == ["KeyError: 'no such thing'"]


def test_what_a_task_starts_belongs_to_it(tmp_path: Path) -> None:
    parallel = """
        import gevent
        from locust import FastHttpUser, task

        class Visitor(FastHttpUser):
            @task
            def look(self):
                gevent.joinall([gevent.spawn(self.client.get, path) for path in ("/a", "/b")])
    """
    with running(failing) as server:
        made = make_load(tmp_path, server.url, textwrap.dedent(parallel), rate=20.0)
    assert {one.name: one.failed.n for one in made.series()} == {"/a": made.due, "/b": made.due}
    assert len(made.samples("transaction").failed) == made.due


def test_arrivals_that_find_no_place_wait_and_their_waiting_counts(tmp_path: Path) -> None:
    with running(hung) as server:
        made = make_load(tmp_path, server.url, rate=20.0, arrivals="constant", most_in_flight=5, warm_up=0.0)
    assert len(server.requests) == 5
    assert len(made.samples().censored) == made.due == 20
    assert min(made.samples().censored) >= 0.5
    assert {one.text for one in made.parts[0].errors} == {"still under way", "no request was made until now"}


def test_a_locustfile_that_is_slow_to_load_gets_its_whole_window(tmp_path: Path) -> None:
    slow = "import time\nwhile time.process_time() < 1.5:\n    pass\n"
    with running(healthy) as server:
        made = make_load(tmp_path, server.url, (slow + locustfile_text()), rate=20.0)
    assert made.duration >= 1.0
    assert len(made.samples().ok) == made.due > 0


def test_a_generator_that_is_busy_with_itself_is_called_bent(tmp_path: Path) -> None:
    busy = """
        import time
        from locust import FastHttpUser, task

        class Visitor(FastHttpUser):
            @task
            def look(self):
                self.client.get("/")
                time.sleep(0)
                until = time.process_time() + 0.08
                while time.process_time() < until:
                    pass
    """
    with running(healthy) as server:
        made = make_load(tmp_path, server.url, textwrap.dedent(busy), rate=40.0)
    (fault,) = unsound(made, 0.2)
    assert fault.startswith("the load generator was late: ")
    assert "where 10 ms are allowed" in fault


@pytest.mark.parametrize("client", ["FastHttpUser", "HttpUser"])
def test_two_arms_are_interleaved_and_keep_their_headers_to_themselves(tmp_path: Path, client: str) -> None:
    arms = (
        Arm("control", headers={"x-cohort": "old", "authorization": "s3cret"}),
        Arm("candidate", headers={"x-cohort": "new"}),
    )
    text = VISITOR.replace("FastHttpUser", client) + "\n    def on_stop(self):\n        self.client.get('/bye')\n"
    with running(healthy) as server:
        made = make_load(tmp_path, server.url, text, arms=arms, arrivals="constant", warm_up=0.0)
    sides = [answers([made], "transaction", arm=arm.name) for arm in arms]
    assert [(side.due, side.planned) for side in sides] == [(25, 25), (25, 25)]
    heads = b"".join(head for head in server.requests if b"/bye" not in head).lower()
    assert heads.count(b"x-cohort: old") == heads.count(b"x-cohort: new") == 25
    assert heads.count(b"x-rollout-synthetic: load") == 50
    assert {one.name for one in made.series()} == {"/"}, "what users do to tidy up does not count"
    assert [head for head in server.requests if b"/bye" in head]
    assert not [file for file in (tmp_path / "run").iterdir() if "s3cret" in file.read_text()]


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


def locustfile_text() -> str:
    """Return a usual locustfile."""
    return PIDS.replace('with open(os.environ["PIDS"], "a") as file:\n    file.write(f"{os.getpid()}\\n")\n', "")


def kill_the_first(path: Path) -> None:
    """Kill the first process that loads the locustfile."""
    os.kill(await_pids(path, 1)[0], signal.SIGKILL)
