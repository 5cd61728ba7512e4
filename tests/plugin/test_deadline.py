"""The inner deadline of a canary, against servers that accept and never answer."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from pytest_rollout.evidence.log import EvidenceLog
from pytest_rollout.evidence.record import Kind
from pytest_rollout.plugin.browser import find_browser
from tests.plugin.conftest import Bench

HEAD = """
import os, pathlib, time, httpx, pytest
pytestmark = pytest.mark.canary("smoke")
URL = {url!r}
@pytest.fixture
def tidy():
    yield
    pathlib.Path("tidied").touch()
def hang():
    httpx.get(URL, timeout=None)
"""
HANGING = """
@pytest.fixture
def shown(page):
    page.set_content("<h1>Payments</h1>")
def test_it(page, shown):
    {body}
"""
BESIDE = """
import asyncio, greenlet
@pytest.fixture
def beside():
    loop, test = asyncio.new_event_loop(), greenlet.getcurrent()
    dispatcher = greenlet.greenlet(loop.run_forever)
    def call(coroutine):
        assert not dispatcher.dead
        task = loop.create_task(coroutine)
        task.add_done_callback(lambda _: test.switch())
        while not task.done():
            dispatcher.switch()
        return task.result()
    yield call
    assert call(asyncio.sleep(0, "picture")) == "picture"
    pathlib.Path("tidied").touch()
    loop.call_soon(loop.stop)
    dispatcher.switch()
    loop.close()
def test_it(beside): beside(asyncio.sleep(60))
"""
"""An event loop in a greenlet beside the test, as older Playwrights have it: an exception in there would end it."""
MET = "the canary met its inner deadline of {inner} s; the rest of its {outer} s is for screenshots and tidying up"
ASKED = "the canary was asked to end by SIGTERM: its scheduler stops, or is gone"


@pytest.fixture
def mute() -> Iterator[str]:
    """Return the URL of a server that accepts and never answers."""
    kept: list[socket.socket] = []

    def accept() -> None:
        try:
            while True:
                kept.append(server.accept()[0])
        except OSError:
            return

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=accept)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
    for one in kept:
        one.close()


@pytest.fixture
def hung(bench: Bench, mute: str, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Return a bench whose canary has 10 seconds, 9 of them for its tests; all but one of these have gone."""
    bench.plan()
    bench.test(HEAD.format(url=mute))
    monkeypatch.setenv("ROLLOUT_CANARY_DEADLINE", "9")
    monkeypatch.setenv("ROLLOUT_CANARY_STARTED", repr(time.time() - 8))
    monkeypatch.setattr("pytest_rollout.plugin.deadline.GRACE", 60.0)  # it is this process that would be ended
    return bench


def canary(bench: Bench, source: str) -> None:
    """Give the canary its test."""
    path = bench.path / "test_shop.py"
    path.write_text(f"{path.read_text()}\n{source}\n")


def outcome(bench: Bench) -> tuple[str, str, bool]:
    """Run the canary, and return what was recorded."""
    bench.run("--rollout-canary", "smoke")
    return recorded(bench)


def recorded(bench: Bench) -> tuple[str, str, bool]:
    """Return outcome and message of the only run, and whether it overran."""
    with closing(EvidenceLog(bench.path / ".rollout" / "evidence.db")) as log:
        (run,) = [record.data for record in log.records() if record.kind is Kind.CANARY_RUN]
    return run["outcome"], run["message"], run["overran"]


def cut(phase: str = "call", name: str = "test_it") -> tuple[str, str, bool]:
    """Return what is recorded of a run that was cut short."""
    return "error", f"{name}: {phase} failed: CanaryCutShort: {MET.format(inner=9, outer=10)}", True


@pytest.mark.parametrize(
    "body",
    [
        "hang()",
        "time.sleep(60)",
        "\n    while True: pass",
        "\n    while True:\n        try: hang()\n        except Exception: pass",
        "\n    try: hang()\n    except BaseException: pass",
        "\n    try: hang()\n    except BaseException: assert False, 'too slow'",
        "\n    try: hang()\n    except BaseException: hang()",
        "\n    with subtests.test('one'): hang()",
        "\n    import asyncio\n    asyncio.run(asyncio.sleep(60))",
    ],
    ids=["httpx", "sleep", "busy", "retries", "caught", "renamed", "hangs again", "subtest", "asyncio"],
)
def test_a_hung_test_is_cut_short_and_tidied_up(hung: Bench, body: str) -> None:
    canary(hung, f"def test_it(tidy, subtests): {body}")
    assert outcome(hung) == cut()
    assert (hung.path / "tidied").exists()


def test_a_hung_fixture_is_cut_short(hung: Bench) -> None:
    canary(hung, "@pytest.fixture\ndef slow(tidy): hang()\ndef test_it(slow): pass")
    assert outcome(hung) == cut("setup")
    assert (hung.path / "tidied").exists()


def test_a_teardown_is_not_cut_short(hung: Bench) -> None:
    canary(hung, "@pytest.fixture\ndef slow(tidy):\n    yield\n    time.sleep(1.5)\ndef test_it(slow): pass")
    assert outcome(hung) == ("ok", "passed", False)
    assert (hung.path / "tidied").exists()


def test_after_the_deadline_no_test_begins(hung: Bench) -> None:
    canary(hung, "@pytest.fixture\ndef slow():\n    yield\n    time.sleep(1.5)\n")
    canary(hung, "def test_it(slow): pass\ndef test_other(): pathlib.Path('begun').touch()")
    assert outcome(hung) == cut("setup", "test_other")
    assert not (hung.path / "begun").exists()


def test_a_failure_before_the_deadline_is_a_failure(hung: Bench) -> None:
    canary(hung, "def test_bad(): assert 1 == 2\ndef test_it(): hang()")
    assert outcome(hung) == ("failed", "test_bad: assert 1 == 2", True)


def test_a_test_in_time_is_not_disturbed(hung: Bench) -> None:
    canary(hung, "import signal\ndef test_it(): assert signal.getitimer(signal.ITIMER_REAL)[0] < 1\n")
    canary(hung, "@pytest.fixture\ndef after():\n    yield\n    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0\n")
    canary(hung, "def test_that(after): pass\n")
    assert outcome(hung) == ("ok", "passed", False)


def test_without_a_deadline_nothing_is_cut_short(hung: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROLLOUT_CANARY_DEADLINE")
    canary(hung, "import signal\ndef test_it(): assert signal.getitimer(signal.ITIMER_REAL)[0] == 0\n")
    canary(hung, "def test_term(): assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL\n")
    assert outcome(hung) == ("ok", "passed", False)


# --- asked to end ---


def test_a_test_that_is_asked_to_end_is_cut_short_and_tidied_up(hung: Bench) -> None:
    canary(hung, "def test_it(tidy): os.kill(os.getpid(), 15); time.sleep(60)")
    assert outcome(hung) == ("error", f"test_it: call failed: CanaryCutShort: {ASKED}", False)
    assert (hung.path / "tidied").exists()


def test_a_teardown_that_is_asked_to_end_goes_on_and_nothing_follows(hung: Bench) -> None:
    canary(hung, "@pytest.fixture\ndef slow(tidy):\n    yield\n    os.kill(os.getpid(), 15)\n    time.sleep(0.1)")
    canary(hung, "def test_a(slow): pass\ndef test_b(): pathlib.Path('begun').touch()")
    assert outcome(hung) == ("error", f"test_b: setup failed: CanaryCutShort: {ASKED}", False)
    assert (hung.path / "tidied").exists()
    assert not (hung.path / "begun").exists()


def test_sigterm_after_the_deadline_is_the_deadline(hung: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLLOUT_CANARY_STARTED", repr(time.time() - 60))
    canary(hung, "def test_it(): pass")
    assert outcome(hung) == cut("setup")


def test_a_canary_that_nobody_kills_ends_by_itself(hung: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """It hangs where nothing is cut short, and its scheduler is gone."""
    monkeypatch.setenv("ROLLOUT_CANARY_DEADLINE", "0.9")
    canary(hung, "time.sleep(60)")
    with hung.running("--rollout-canary", "smoke") as process:
        assert process.wait(30) == 1
    assert "Timeout (0:00:03" in hung.output()
    assert 'test_shop.py", line' in hung.output(), "it says where it hung"


# --- in a browser ---


def test_an_event_loop_beside_the_test_goes_on(hung: Bench) -> None:
    canary(hung, BESIDE)
    assert outcome(hung) == cut()
    assert (hung.path / "tidied").exists()


@pytest.mark.skipif(find_browser().name == "none", reason="no browser")
@pytest.mark.parametrize(
    "body",
    [
        "page.goto(URL, timeout=0)",
        "page.route('**/*', lambda route: hang()); page.goto('http://127.0.0.1:9/', timeout=0)",
    ],
    ids=["it waits for the page", "the page waits for it"],
)
def test_a_hung_page_is_cut_short_and_its_picture_taken(
    hung: Bench, body: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLOUT_CANARY_DEADLINE", "36")  # leaves 4 seconds for the picture
    monkeypatch.setenv("ROLLOUT_CANARY_STARTED", repr(time.time() - 26))  # a browser may take seconds to start
    canary(hung, HANGING.format(body=body))

    hung.pytester.runpytest_subprocess(
        *("--rollout-env", "staging", "--rollout-canary", "smoke", "-p", "no:cacheprovider"),
        *("--output=pictures", "--screenshot=on", "--tracing=retain-on-failure"),
        timeout=60,
    )

    assert recorded(hung) == (
        "error",
        f"test_it[chromium]: call failed: CanaryCutShort: {MET.format(inner=36, outer=40)}",
        True,
    )
    (folder,) = (hung.path / "pictures").iterdir()
    assert {path.name for path in folder.iterdir()} == {"test-failed-1.png", "trace.zip"}
