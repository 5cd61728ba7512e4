"""The HTTP client: bounded in time, whatever the other side does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from pytest_rollout.errors import SourceUnreachable
from pytest_rollout.sources.http import Answer, Http, retried, without_credentials
from tests.sources.fakes import Asked, Reply, fake_server

DEADLINE = 0.3


@pytest.fixture(scope="module")
def http() -> Iterator[Http]:
    client = Http(DEADLINE, headers={"Authorization": "Bearer secret"})
    yield client
    client.close()


def echo(asked: Asked) -> Reply:
    return Reply({"method": asked.method, "path": asked.path, "body": asked.body})


@pytest.mark.parametrize("status", [200, 204, 302, 404, 503])
def test_every_status_is_an_answer(http: Http, status: int) -> None:
    with fake_server(Reply(b"" if status == 204 else b"text\n", status)) as server:
        assert http("GET", server.url) == Answer(status, "" if status == 204 else "text\n")


def test_forms_and_json_are_sent_as_such(http: Http) -> None:
    with fake_server(echo) as server:
        http("POST", f"{server.url}/a", form={"query": "x{}"})
        http("POST", f"{server.url}/b", json={"x": 1})
    assert [(one.path, one.body) for one in server.asked] == [("/a", "query=x%7B%7D"), ("/b", '{"x":1}')]


def test_bytes_that_are_no_text_are_shown_as_such(http: Http) -> None:
    with fake_server(Reply(b"\xff\xfe")) as server:
        assert http("GET", server.url).text == "\ufffd\ufffd"


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(hangs=True), "timed out"),
        (Reply(b"x" * 1000, drips=True), "no complete answer within 0.3 s"),
        (Reply(b"x", missing=1), "peer closed connection without sending complete message body "),
    ],
    ids=["hangs", "drips", "breaks off"],
)
def test_a_request_ends_at_its_deadline(http: Http, reply: Reply, said: str) -> None:
    begun = time.monotonic()
    with fake_server(reply) as server, pytest.raises(SourceUnreachable) as refused:
        http("GET", f"{server.url}/x")
    assert str(refused.value).startswith(f"{server.url}/x: {said}")
    assert time.monotonic() - begun < 3 * DEADLINE


ADDRESSES = {
    "": ": Request URL is missing an 'http://' or 'https://' protocol.",
    "127.0.0.1:1": "127.0.0.1:1: Request URL is missing an 'http://' or 'https://' protocol.",
    "ftp://127.0.0.1": "ftp://127.0.0.1: Request URL has an unsupported protocol 'ftp://'.",
    "http://me:secret@127.0.0.1:1/x?token=secret": "http://127.0.0.1:1/x: [Errno 111] Connection refused",
    "http://me:secret\x00@[": "the address given: not a URL",
    "http://me:secret@a..b": "http://a..b: not a URL",
    "http://\x00": "http://\x00: not a URL",
}


@pytest.mark.parametrize(("url", "said"), ADDRESSES.items(), ids=repr)
def test_an_address_that_nobody_can_have_is_unreachable(http: Http, url: str, said: str) -> None:
    with pytest.raises(SourceUnreachable) as refused:
        http("GET", url)
    assert str(refused.value) == said


def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    client = Http(DEADLINE)
    with fake_server(Reply(b"direct")) as server:
        assert client("GET", server.url).text == "direct"
    client.close()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://prom:9090/path", "http://prom:9090/path"),
        ("https://me:secret@prom/path?token=secret#secret", "https://prom/path"),
        ("http://a@b@prom", "http://prom"),
        ("http://me:secret@[", "the address given"),
    ],
)
def test_credentials_are_not_shown(url: str, shown: str) -> None:
    assert without_credentials(url) == shown


# --- asking again --------------------------------------------------------------------------------------------


class Asking:
    """A clock and a source: what it gives in turn, the last for ever, and when it was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *given: int | str, takes: float = 0.0) -> None:
        self.now, self.given, self.takes, self.asked_at = 0.0, list(given), takes, list[float]()
        clock = SimpleNamespace(monotonic=lambda: self.now)
        monkeypatch.setattr("pytest_rollout.sources.http.time", clock)

    def __call__(self) -> Answer:
        self.asked_at.append(round(self.now, 6))
        self.now += self.takes
        given = self.given.pop(0) if len(self.given) > 1 else self.given[0]
        if isinstance(given, str):
            raise SourceUnreachable(given)
        return Answer(given, "")

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize("status", [200, 302, 400, 404, 422, 429, 499])
def test_what_the_source_meant_is_not_asked_again(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    asking = Asking(monkeypatch, status)
    assert retried(asking, budget=2, sleep=asking.sleep).status == status
    assert asking.asked_at == [0.0]


@pytest.mark.parametrize("fault", [500, 503, "refused"])
def test_faults_are_asked_again_with_growing_pauses(monkeypatch: pytest.MonkeyPatch, fault: int | str) -> None:
    asking = Asking(monkeypatch, fault, fault, fault, 200)
    assert retried(asking, budget=2, sleep=asking.sleep).status == 200
    assert asking.asked_at == [0.0, 0.1, 0.3, 0.7]


def test_at_the_end_of_the_budget_the_last_fault_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    asking = Asking(monkeypatch, "first", 500, "last")
    with pytest.raises(SourceUnreachable, match=r"^last$"):
        retried(asking, budget=1, sleep=asking.sleep)
    assert asking.asked_at == [0.0, 0.1, 0.3, 0.7]


def test_at_the_end_of_the_budget_the_last_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    asking = Asking(monkeypatch, "first", 500, 503)
    assert retried(asking, budget=1, sleep=asking.sleep).status == 503


def test_a_source_that_takes_the_whole_budget_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asking = Asking(monkeypatch, "slow", takes=5.0)
    with pytest.raises(SourceUnreachable):
        retried(asking, budget=2, sleep=asking.sleep)
    assert asking.asked_at == [0.0]
