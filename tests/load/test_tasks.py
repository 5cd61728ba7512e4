"""Tasks that do what is not usual: none of it may let an arrival look better than it was."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from pytest_rollout.errors import LoadError
from pytest_rollout.load.result import LoadResult
from tests.load.runs import make_load
from tests.load.servers import BROKEN, OK, Server, healthy, running

ODD = """
    import gevent
    from gevent import GreenletExit
    from locust import FastHttpUser, task
    from locust.exception import RescheduleTask, StopUser


    class Renaming(FastHttpUser):
        @task
        def look(self):
            with self.client.rename_request("page"):
                self.client.get("/hung/1")


    class Killed(FastHttpUser):
        @task
        def look(self):
            self.client.get("/")
            raise GreenletExit


    class Shy(FastHttpUser):
        def on_start(self):
            self.client.get("/login")
            raise RescheduleTask

        @task
        def look(self):
            self.client.get("/")


    class Gone(Shy):
        def on_start(self):
            self.client.get("/login")
            raise StopUser


    class Lazy(FastHttpUser):
        def on_start(self):
            self.client.get("/login")

        @task
        def look(self):
            pass


    class Hasty(FastHttpUser):
        @task
        def look(self):
            self.client.get("/")
            gevent.spawn(self.client.get, "/hung/2")
            gevent.sleep(0.01)


    class Hastier(FastHttpUser):
        @task
        def look(self):
            self.client.get("/")
            gevent.spawn(self.client.get, "/hung/3")


    class Trailing(FastHttpUser):
        def on_start(self):
            gevent.spawn_later(0.05, self.client.get, "/broken")

        @task
        def look(self):
            self.client.get("/")
            gevent.spawn(self.client.get, "/beside").join()


    class Telling(FastHttpUser):
        @task
        def look(self):
            with self.client.get("/talk?token=s3cret", catch_response=True) as said:
                said.failure("not at http://me:s3cret@there/?token=s3cret")
            self.client.get("/talk?token=s3cret-too")
            raise KeyError("http://there/?token=s3cret")


    class Bending(FastHttpUser):
        @task
        def look(self):
            with self.client.get("/slow", catch_response=True) as said:
                said.request_meta["response_time"] = 0.001
"""


def answer(_: Server, head: bytes) -> tuple[float | None, bytes]:
    """Hang, break or answer, as the path says."""
    wait = 0.2 if b"/slow" in head else 0.0
    return None if b"/hung" in head else wait, BROKEN if b"/broken" in head else OK


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> LoadResult:
    """Return what was seen of all of them in one run."""
    with running(answer) as server:
        folder = tmp_path_factory.mktemp("odd")
        return make_load(folder, server.url, textwrap.dedent(ODD), rate=100.0, warm_up=0.0)


def outcomes(made: LoadResult, kind: str, name: str) -> set[str]:
    """Return in which ways the requests or arrivals of a name have ended."""
    (series,) = made.series(kind, name)
    return {how for how in ("ok", "failed", "timeout", "unfinished") if getattr(series, how).n}


def test_a_request_that_was_renamed_hangs_under_its_new_name(odd: LoadResult) -> None:
    assert outcomes(odd, "request", "page") == {"unfinished"}


@pytest.mark.parametrize("user", ["Killed", "Shy", "Gone", "Lazy", "Hasty", "Hastier"])
def test_an_arrival_whose_task_was_not_done_has_failed(odd: LoadResult, user: str) -> None:
    assert outcomes(odd, "transaction", f"{user}.look") - {"unfinished"} == {"failed"}


def test_it_is_said_why_a_task_was_not_done(odd: LoadResult) -> None:
    why = {one.name: one.text for one in odd.parts[0].errors if one.method == "TASK"}
    assert why == {
        "Lazy.look without a request": "the task made no request",
        "Hasty.look without a request": "the task ended before what it has started; join it",
        "Hastier.look without a request": "the task ended before what it has started; join it",
    }


def test_what_a_user_does_beside_its_tasks_is_no_other_arrival_s(odd: LoadResult) -> None:
    """The greenlet that has started it serves another one by then."""
    assert outcomes(odd, "request", "/broken") == {"failed"}
    assert outcomes(odd, "transaction", "Trailing.look") == {"ok"}


def test_addresses_are_kept_without_what_may_be_secret(odd: LoadResult) -> None:
    assert outcomes(odd, "request", "/talk?...") == {"ok", "failed"}
    assert "not at http://there/?..." in {one.text for one in odd.parts[0].errors}
    assert "s3cret" not in odd.model_dump_json()


def test_what_a_locustfile_says_of_the_time_makes_nothing_faster(odd: LoadResult) -> None:
    assert min(odd.samples("request", "/slow").ok) >= 0.2


def test_the_last_arrival_may_stop_the_test_too(tmp_path: Path) -> None:
    stopping = """
        from locust import FastHttpUser, task
        from locust.exception import StopTest

        class Visitor(FastHttpUser):
            asked = 0

            @task
            def look(self):
                self.client.get("/")
                Visitor.asked += 1
                if Visitor.asked == 5:
                    raise StopTest("the account is locked")
    """
    with running(healthy) as server, pytest.raises(LoadError) as refused:
        make_load(tmp_path, server.url, textwrap.dedent(stopping), rate=5.0, arrivals="constant", warm_up=0.0)
    assert str(refused.value) == "the account is locked"


def test_a_locustfile_with_tasks_that_nobody_can_name_is_refused_at_once(tmp_path: Path) -> None:
    nameless = "import functools\nfrom locust import FastHttpUser\n\n"
    nameless += "class Visitor(FastHttpUser):\n    tasks = [functools.partial(print)]\n"
    with pytest.raises(LoadError) as refused:
        make_load(tmp_path, "http://127.0.0.1:9", nameless)
    assert str(refused.value) == "AttributeError: 'functools.partial' object has no attribute '__name__'"
