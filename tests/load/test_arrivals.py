"""What becomes of arrivals: every one ends, well or not, and every request belongs to one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pytest_rollout.load.answers import answers
from pytest_rollout.load.order import Arm
from pytest_rollout.load.soundness import unsound
from tests.load.runs import VISITOR, Seen, side_by_side, visit
from tests.load.servers import dropping, failing, healthy, hung

PACED = """
    from locust import FastHttpUser, constant_pacing, task

    class Visitor(FastHttpUser):
        wait_time = constant_pacing(0.5)

        @task
        def look(self):
            self.client.get("/")
"""
IMPATIENT = """
    from locust import FastHttpUser, task

    class Visitor(FastHttpUser):
        network_timeout = 0.3

        @task
        def look(self):
            self.client.get("/")
"""
BROKEN = """
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
DEAF = """
    from locust import FastHttpUser, events, task

    @events.test_start.add_listener
    def deafen(environment, **_):
        environment.events.request._handlers.clear()

    class Swallowing(FastHttpUser):
        @task
        def look(self):
            try:
                with self.client.get("/", catch_response=True) as response:
                    response.raise_for_status()
            except Exception:
                pass
"""
PARALLEL = """
    import gevent
    from locust import FastHttpUser, task

    class Visitor(FastHttpUser):
        @task
        def look(self):
            gevent.joinall([gevent.spawn(self.client.get, path) for path in ("/a", "/b")])
"""
BUSY = """
    import time
    from locust import FastHttpUser, task

    class Visitor(FastHttpUser):
        @task
        def look(self):
            self.client.get("/")
            time.sleep(0)
            until = time.monotonic() + 0.06
            while time.monotonic() < until:
                pass
"""
ARMS = (
    Arm("control", headers={"x-cohort": "old", "authorization": "s3cret"}),
    Arm("candidate", headers={"x-cohort": "new"}),
)
PAIRED: dict[str, Any] = {"arms": ARMS, "arrivals": "constant", "warm_up": 0.0}
TIDY = VISITOR + "\n    def on_stop(self):\n        self.client.get('/bye')\n"
VISITS = {
    "paced": visit(healthy, PACED, users=20, warm_up=1.0),
    "failing": visit(failing, rate=20.0),
    "impatient": visit(hung, IMPATIENT, rate=20.0),
    "broken": visit(healthy, BROKEN, rate=30.0),
    "deaf": visit(failing, DEAF, rate=20.0),
    "parallel": visit(failing, PARALLEL, rate=20.0),
    "crowded": visit(hung, rate=20.0, arrivals="constant", most_in_flight=5, warm_up=0.0),
    "FastHttpUser": visit(healthy, TIDY, **PAIRED),
    "HttpUser": visit(healthy, TIDY.replace("FastHttpUser", "HttpUser"), **PAIRED),
    "dropping": visit(dropping, rate=40.0),
    "busy": visit(healthy, BUSY, rate=20.0),
}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Seen]:
    return side_by_side(tmp_path_factory.mktemp("arrivals"), VISITS)


def test_closed_users_do_not_march_in_step(seen: Callable[[str], Seen]) -> None:
    made, arrivals = seen("paced").made, seen("paced").server.arrivals
    phases = {int((moment - arrivals[0]) % 0.5 / 0.05) for moment in arrivals}
    assert len(phases) >= 5, "Locust starts them together and keeps them so"
    assert 20 <= len(made.samples().ok) <= 50


def test_errors_are_apart_however_fast_they_are(seen: Callable[[str], Seen]) -> None:
    made = seen("failing").made
    assert made.samples().ok == ()
    assert len(made.samples().failed) == len(made.samples("transaction").failed) == made.due
    assert [(one.method, one.name, one.count) for one in made.parts[0].errors] == [("GET", "/", made.due)]
    assert made.parts[0].failures[0].trace_id.encode() in b"".join(seen("failing").server.requests)


def test_a_request_is_sent_once(seen: Callable[[str], Seen]) -> None:
    """FastHttpUser's client sends it up to twelve times if the server hangs up, and tells nobody."""
    made, server = seen("dropping").made, seen("dropping").server
    assert len(server.requests) == len(made.asked.order.schedule())
    assert abs(len(made.samples("transaction").failed) - made.due / 2) <= 1


def test_what_the_client_gives_up_counts_at_least_as_long_as_it_waited(seen: Callable[[str], Seen]) -> None:
    made = seen("impatient").made
    (series,) = made.series()
    assert series.timeout.n == made.due
    assert min(made.samples().censored) >= 0.3


def test_a_task_that_asks_nothing_or_breaks_has_failed(seen: Callable[[str], Seen]) -> None:
    made = seen("broken").made
    assert made.samples("transaction").ok == ()
    assert len(made.samples("transaction").failed) == made.due
    assert {one.text for one in made.parts[0].errors} == {
        "the task made no request",
        "never reported: catch_response=True needs a with block",
    }
    assert [one.text for one in made.parts[0].exceptions] == ["KeyError: 'no such thing'"]


def test_a_task_that_hides_its_errors_has_failed_all_the_same(seen: Callable[[str], Seen]) -> None:
    """It clears Locust's listeners, and catches whatever is raised."""
    made = seen("deaf").made
    assert len(made.samples("transaction").failed) == len(made.samples().failed) == made.due > 0


def test_what_a_task_starts_belongs_to_it(seen: Callable[[str], Seen]) -> None:
    made = seen("parallel").made
    assert {one.name: one.failed.n for one in made.series()} == {"/a": made.due, "/b": made.due}
    assert len(made.samples("transaction").failed) == made.due


def test_arrivals_that_find_no_place_wait_and_their_waiting_counts(seen: Callable[[str], Seen]) -> None:
    made = seen("crowded").made
    assert len(seen("crowded").server.requests) == 5
    assert len(made.samples().censored) == made.due == 20
    assert min(made.samples().censored) >= 0.5
    assert {one.text for one in made.parts[0].errors} == {"still under way", "no request was made until now"}
    assert len(answers([made], "request", "/").censored) == 20, "any of them may have been one of these"


def test_a_generator_that_is_busy_with_itself_is_called_bent(seen: Callable[[str], Seen]) -> None:
    (fault,) = unsound(seen("busy").made, 0.2)
    assert fault.startswith("the load generator was late: ")
    assert "where 10 ms are allowed" in fault


@pytest.mark.parametrize("client", ["FastHttpUser", "HttpUser"])
def test_two_arms_are_interleaved_and_keep_their_headers_to_themselves(
    seen: Callable[[str], Seen], client: str
) -> None:
    made, server, folder = seen(client).made, seen(client).server, seen(client).folder
    sides = [answers([made], "transaction", arm=arm.name) for arm in ARMS]
    assert [(side.due, side.planned) for side in sides] == [(25, 25), (25, 25)]
    heads = b"".join(head for head in server.requests if b"/bye" not in head).lower()
    assert heads.count(b"x-cohort: old") == heads.count(b"x-cohort: new") == 25
    assert heads.count(b"x-rollout-synthetic: load") == 50
    assert {one.name for one in made.series()} == {"/"}, "what users do to tidy up does not count"
    assert [head for head in server.requests if b"/bye" in head]
    assert not [file for file in folder.iterdir() if "s3cret" in file.read_text()]
