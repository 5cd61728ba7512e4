"""The HTTP client: bounded in time, whatever the other side does."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest

from pytest_rollout.errors import SourceError, SourceUnreachable
from pytest_rollout.sources.deadline import BoundedSockets
from pytest_rollout.sources.http import LARGEST_BODY, Answer, Http, Unchanging, retried, without_credentials
from tests.sources.fakes import PAUSE, Asked, Reply, fake_server

DEADLINE = 0.3


@pytest.fixture(scope="module")
def http() -> Iterator[Http]:
    client = Http(5.0, headers={"Authorization": "Bearer secret"})
    yield client
    client.close()


@pytest.fixture(scope="module")
def hurried() -> Iterator[Http]:
    client = Http(DEADLINE)
    yield client
    client.close()


def echo(asked: Asked) -> Reply:
    return Reply({"method": asked.method, "path": asked.path, "body": asked.body})


@pytest.mark.parametrize("status", [200, 204, 302, 404, 503])
def test_every_status_is_an_answer(http: Http, status: int) -> None:
    with fake_server(Reply(b"" if status == 204 else b"text\n", status)) as server:
        answer = http("GET", server.url)
    assert (answer.status, answer.text) == (status, "" if status == 204 else "text\n")


def test_forms_and_json_are_sent_as_such(http: Http) -> None:
    with fake_server(echo) as server:
        http("POST", f"{server.url}/a", form={"query": "x{}"})
        http("POST", f"{server.url}/b", json={"x": 1})
    assert [(one.path, one.body) for one in server.asked] == [("/a", "query=x%7B%7D"), ("/b", '{"x":1}')]


RAW = "/a+b/../%7e?stage=series-c+&x='%'"


def test_a_raw_request_is_sent_byte_for_byte(http: Http) -> None:
    with listening() as (place, listener):
        asked: list[bytes] = []
        thread = served(lambda listener: asked.append(_answer_raw(listener)), listener)
        answer = http.exchange("POST", place, RAW, headers=[("X-A", "1"), ("X-A", "2")], content=b"\xff")
        thread.join()
    (request,) = asked
    assert request.startswith(f"POST {RAW} HTTP/1.1\r\n".encode())
    assert request.endswith(b"\r\n\r\n\xff")
    names = [line.partition(b":")[0].lower() for line in request.split(b"\r\n\r\n")[0].split(b"\r\n")[1:]]
    assert sorted(names) == [b"content-length", b"host", b"x-a", b"x-a"]
    assert answer.headers == (("Link", "<a>"), ("link", "<b>"), ("Content-Encoding", "gzip"), ("Content-Length", "23"))
    assert (answer.status, answer.body) == (404, b"abc")


def _answer_raw(listener: socket.socket) -> bytes:
    connection, _ = listener.accept()
    with connection:
        asked = b""
        while not asked.endswith(b"\xff"):
            asked += connection.recv(1000)
        body = gzip.compress(b"abc", mtime=0)
        head = f"Link: <a>\r\nlink: <b>\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(b"HTTP/1.1 404 Not Found\r\n" + head.encode() + body)
    return asked


def test_credentials_of_a_raw_request_are_not_in_its_answer(http: Http) -> None:
    reply = Reply(b"you sent Bearer s3cret-token", headers={"X-Echo": "s3cret-token"})
    with fake_server(reply) as server:
        sent = [("Authorization", "Bearer s3cret-token"), ("Accept", "application/json")]
        answer = http.exchange("GET", server.url, "/", headers=sent, content=None)
    assert answer.body == b"you sent Bearer ***"
    assert ("X-Echo", "***") in answer.headers


def test_a_raw_request_keeps_the_deadline(hurried: Http) -> None:
    with (
        fake_server(Reply(b"slowly dripping", drips=True)) as server,
        pytest.raises(SourceUnreachable, match=r"0\.3 s"),
    ):
        hurried.exchange("GET", server.url, "/", headers=[], content=None)


def test_a_raw_request_to_nobody_is_a_fault_of_the_source(http: Http) -> None:
    with pytest.raises(SourceUnreachable, match="refused"):
        http.exchange("GET", "http://127.0.0.1:9", "/", headers=[], content=None)


@pytest.mark.parametrize("status", [200, 404])
def test_what_came_in_two_pieces_is_one_answer(http: Http, status: int) -> None:
    with fake_server(Reply(b"pieces", status, drips=True, at_once=5)) as server:
        assert http("GET", server.url).text == "pieces"


def test_bytes_that_are_no_text_are_shown_as_such(http: Http) -> None:
    with fake_server(Reply(b"\xff\xfe")) as server:
        assert http("GET", server.url).text == "\ufffd\ufffd"


def test_a_connection_may_be_encrypted() -> None:
    # Without certificates: anonymous key exchange, which nobody but a test agrees to.
    with listening() as (place, listener):
        thread = served(_repeat_encrypted, listener)
        until = time.monotonic() + 5
        plain = BoundedSockets().connect_tcp("127.0.0.1", urlsplit(place).port or 0, until)
        stream = plain.start_tls(anonymous(ssl.PROTOCOL_TLS_CLIENT), "any.example", until)
        stream.write(b"abc", until)
        assert stream.read(100, until) == b"abc"
        thread.join()
        assert stream.read(100, until) == b""
        stream.close()


def anonymous(side: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(side)
    context.check_hostname = False
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AECDH-AES256-SHA:@SECLEVEL=0")
    context.verify_mode = ssl.CERT_NONE
    return context


def _repeat_encrypted(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with anonymous(ssl.PROTOCOL_TLS_SERVER).wrap_socket(connection, server_side=True) as encrypted:
        encrypted.send(encrypted.recv(100))


def test_who_cannot_prove_its_name_is_not_asked(http: Http) -> None:
    with listening() as (plain, listener):
        thread = served(_greet_encrypted, listener)
        said, _ = refused_after(http, plain.replace("http", "https"))
        thread.join()
    assert "[SSL: SSLV3_ALERT_HANDSHAKE_FAILURE]" in said


def _greet_encrypted(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with anonymous(ssl.PROTOCOL_TLS_SERVER).wrap_socket(connection, server_side=True):
        pass


def test_a_connection_is_used_again(http: Http) -> None:
    with fake_server(Reply(b"text", keeps=True)) as server:
        assert [http("GET", server.url).text for _ in range(3)] == ["text"] * 3
    assert server.connections == 1


def test_a_connection_that_was_closed_meanwhile_is_opened_anew(http: Http) -> None:
    with fake_server(Reply(b"text", headers={"Connection": None})) as server:
        http("GET", server.url)
        time.sleep(0.1)
        assert http("GET", server.url).text == "text"
    assert server.connections == 2


def test_an_answer_counts_although_not_all_of_the_question_was_read() -> None:
    client = Http(5.0)
    with listening() as (place, listener):
        thread = served(_answer_and_hang_up, listener)
        assert client("POST", place, json="x" * 10_000_000).status == 413
        thread.join()
    client.close()


def _answer_and_hang_up(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:  # what was not read resets the connection
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")


# --- the deadline --------------------------------------------------------------------------------------------

STATUS_LINE = b"HTTP/1.1 200 OK\r\n"
SLOW = {
    "never answers": Reply(hangs=True),
    "drips the status line": Reply(STATUS_LINE, raw=True, drips=True),
    "drips a header": Reply(STATUS_LINE + b"X: " + b"x" * 100, raw=True, drips=True, at_once=len(STATUS_LINE)),
    "drips headers": Reply(STATUS_LINE + b"X: x\r\n" * 100, raw=True, drips=True, at_once=len(STATUS_LINE)),
    "drips the body": Reply(b"x" * 100, drips=True, at_once=10),
    "drips the end of the body": Reply(b"x", missing=1, drips=True, at_once=0, keeps=True),
    "drips interim answers": Reply(b"HTTP/1.1 102 Processing\r\n\r\n" * 9, raw=True, drips=True, at_once=81),
}


@contextmanager
def listening(backlog: int = 5) -> Iterator[tuple[str, socket.socket]]:
    """Listen, and accept nobody."""
    with socket.create_server(("127.0.0.1", 0), backlog=backlog) as listener:
        listener.settimeout(5)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", listener


def served(serve: Callable[..., None], listener: socket.socket, *more: Any) -> threading.Thread:
    """Return what serves one client of a listener, as long as it stays."""

    def serving() -> None:
        with suppress(OSError):
            serve(listener, *more)

    thread = threading.Thread(target=serving, daemon=True)
    thread.start()
    return thread


def refused_after(http: Http, url: str, **more: Any) -> tuple[str, float]:
    begun = time.monotonic()
    with pytest.raises(SourceUnreachable) as refused:
        http("POST", url, **more)
    return str(refused.value), time.monotonic() - begun


@pytest.mark.parametrize("reply", SLOW.values(), ids=SLOW)
def test_a_request_ends_at_its_deadline(hurried: Http, reply: Reply) -> None:
    with fake_server(reply) as server:
        said, seconds = refused_after(hurried, f"{server.url}/x?token=secret")
    assert said == f"{server.url}/x: no complete answer within 0.3 s"
    assert DEADLINE <= seconds < DEADLINE + 0.3


def test_an_answer_without_end_ends_at_the_deadline(hurried: Http) -> None:
    headers = STATUS_LINE + b"Transfer-Encoding: chunked\r\n\r\n"
    with listening() as (place, listener):
        thread = served(_send_for_ever, listener, headers, b"1\r\nx\r\n")
        said, seconds = refused_after(hurried, place)
        thread.join()
    assert said == f"{place}: no complete answer within 0.3 s"
    assert seconds < DEADLINE + 0.3


def _send_for_ever(listener: socket.socket, head: bytes, piece: bytes) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(1000)
        connection.sendall(head)
        until = time.monotonic() + 5
        while time.monotonic() < until:
            connection.sendall(piece)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_who_accepts_and_says_nothing_is_given_up(hurried: Http, scheme: str) -> None:
    with listening() as (plain, _):
        place = plain.replace("http", scheme)
        said, seconds = refused_after(hurried, place)
    assert said == f"{place}: no complete answer within 0.3 s"
    assert seconds < DEADLINE + 0.3


def test_a_handshake_that_drips_is_given_up(hurried: Http) -> None:
    hello = b"\x16\x03\x03\x40\x00\x02" + b"\x00" * 100
    with listening() as (plain, listener):
        thread = served(_drip, listener, hello)
        place = plain.replace("http", "https")
        said, seconds = refused_after(hurried, place)
        thread.join()
    assert said == f"{place}: no complete answer within 0.3 s"
    assert seconds < DEADLINE + 0.3


def _drip(listener: socket.socket, data: bytes) -> None:
    connection, _ = listener.accept()
    with connection:
        for place in range(len(data)):
            connection.send(data[place : place + 1])
            time.sleep(PAUSE)


def test_who_reads_a_question_by_the_drop_is_given_up(hurried: Http) -> None:
    with listening() as (place, listener):
        thread = served(_sip, listener)
        said, seconds = refused_after(hurried, place, json="x" * 20_000_000)
        thread.join()
    assert said == f"{place}: no complete answer within 0.3 s"
    assert seconds < DEADLINE + 0.3


def _sip(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        until = time.monotonic() + 1
        while time.monotonic() < until and connection.recv(500_000):
            time.sleep(PAUSE / 2)


@pytest.fixture
def full() -> Iterator[int]:
    """Return a port of a queue that takes no more connections: the next one is neither made nor refused."""
    with listening(backlog=0) as (_, listener), ExitStack() as waiting:
        for _ in range(4):
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def test_a_connection_that_is_not_made_is_given_up(hurried: Http, full: int) -> None:
    said, seconds = refused_after(hurried, f"http://127.0.0.1:{full}")
    assert said == f"http://127.0.0.1:{full}: no complete answer within 0.3 s"
    assert seconds < DEADLINE + 0.3


def addresses(monkeypatch: pytest.MonkeyPatch, *ports: int) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in ports]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)


def test_all_addresses_of_a_name_share_one_deadline(hurried: Http, full: int, monkeypatch: pytest.MonkeyPatch) -> None:
    addresses(monkeypatch, full, full, full)
    said, seconds = refused_after(hurried, "http://many.example")
    assert said == "http://many.example: no complete answer within 0.3 s"
    assert seconds < DEADLINE + 0.3


def test_the_second_address_is_tried_in_time(hurried: Http, full: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_server(Reply(b"second")) as server:
        addresses(monkeypatch, 1, full, int(server.url.rpartition(":")[2]))
        assert hurried("GET", "http://many.example").text == "second"


def test_a_name_without_addresses_is_unreachable(hurried: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    addresses(monkeypatch)
    assert refused_after(hurried, "http://none.example")[0] == "http://none.example: no address of none.example"


def test_a_deadline_is_for_one_request(hurried: Http) -> None:
    with fake_server(Reply(b"xx", drips=True, at_once=1, keeps=True)) as server:
        begun = time.monotonic()
        assert [hurried("GET", server.url).text for _ in range(4)] == ["xx"] * 4
    assert time.monotonic() - begun > DEADLINE


def test_no_thread_is_left_behind(hurried: Http) -> None:
    with fake_server(SLOW["drips headers"]) as server:
        before = threading.active_count()
        refused_after(hurried, server.url)
        assert threading.active_count() <= before + 1  # the one that answers in the fake


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(b"x", missing=1), "peer closed connection without sending complete message body "),
        (Reply(STATUS_LINE, raw=True), "Server disconnected without sending a response."),
        (Reply(b"SSH-2.0-OpenSSH\r\n\r\n", raw=True), "illegal status line"),
        (Reply(b"no", headers={"Content-Encoding": "gzip"}), "Error -3 while decompressing data"),
    ],
    ids=["breaks off", "breaks off before", "another protocol", "not packed"],
)
def test_what_breaks_off_is_no_answer(hurried: Http, reply: Reply, said: str) -> None:
    with fake_server(reply) as server:
        assert refused_after(hurried, server.url)[0].startswith(f"{server.url}: {said}")


# --- the size ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("packed", [False, True])
def test_an_answer_larger_than_memory_is_refused(*, packed: bool) -> None:
    client = Http(5.0, largest=2**20)
    body = b"x" * (2**20 + 1)
    reply = Reply(gzip.compress(body), headers={"Content-Encoding": "gzip"}) if packed else Reply(body)
    with fake_server(reply) as server, pytest.raises(SourceError) as refused:
        client("GET", server.url)
    assert type(refused.value) is SourceError, "asking again would not help"
    assert str(refused.value) == f"{server.url}: the answer is larger than 1 MiB; ask for less"
    client.close()


@pytest.mark.parametrize("packed", [False, True])
def test_the_largest_answer_is_an_answer(*, packed: bool) -> None:
    client = Http(5.0, largest=2**20)
    body = b"x" * 2**20
    reply = Reply(gzip.compress(body), headers={"Content-Encoding": "gzip"}) if packed else Reply(body)
    with fake_server(reply) as server:
        assert client("GET", server.url).text == body.decode()
    client.close()


def test_the_largest_answer_is_256_mebibytes() -> None:
    assert LARGEST_BODY == 268_435_456


# --- its clock -----------------------------------------------------------------------------------------------

NOON = 1767268800.0
DATE = "Thu, 01 Jan 2026 12:00:00 GMT"


def told(headers: dict[str, str | None], *clock: float) -> Answer:
    """Return an answer with these headers, sent and received at these times of day."""
    ticks = iter(clock)
    client = Http(5.0, wall=lambda: next(ticks))
    try:
        with fake_server(Reply(b"", 429, headers)) as server:
            return client("GET", server.url)
    finally:
        client.close()


def test_the_clock_of_a_server_is_compared_with_the_middle_of_the_request() -> None:
    assert told({"Date": DATE}, NOON, NOON + 1) == Answer(429, "", skew=0.0, took=1.0)
    assert told({"Date": DATE}, NOON + 30, NOON + 32) == Answer(429, "", skew=-30.5, took=2.0)
    assert told({"Date": DATE}, NOON - 3600, NOON - 3600) == Answer(429, "", skew=3600.5, took=0.0)


@pytest.mark.parametrize(
    "headers",
    [
        {"Date": None},
        {"Date": ""},
        {"Date": "now"},
        {"Date": "1767268800"},
        {"Date": "Thu, 01 Jan 2026 12:00:00"},
        {"Date": "Thu, 99 Jan 2026 12:00:00 GMT"},
        {"Date": "Thu, 01 Jan 2026 12:00:00 +9999999999"},
        {"Date": "Thu, 01 Jan 2026 12:00:2200000000 GMT"},
        {"Date": DATE, "Age": "5"},
    ],
    ids=repr,
)
def test_without_a_usable_date_the_skew_is_unknown(headers: dict[str, str | None]) -> None:
    answer = told(headers, NOON, NOON)
    assert (answer.skew, answer.sure_skew) == (None, None)


@pytest.mark.parametrize(
    ("skew", "took", "sure"),
    [
        (0.0, 0.0, 0.0),
        (1.0, 0.0, 0.0),
        (-1.0, 0.0, 0.0),
        (1.5, 0.0, 0.5),
        (-1.5, 0.0, -0.5),
        (4.0, 6.0, 0.0),
        (-4.0, 6.0, 0.0),
        (4.0, 2.0, 2.0),
        (-30.0, 2.0, -28.0),
        (None, 2.0, None),
    ],
)
def test_only_what_nothing_else_explains_is_skew_for_certain(
    skew: float | None, took: float, sure: float | None
) -> None:
    assert repr(Answer(200, "", skew, took).sure_skew) == repr(sure)


def test_the_wall_clock_is_that_of_the_machine(http: Http) -> None:
    with fake_server(Reply(b"")) as server:
        answer = http("GET", server.url)
    assert answer.sure_skew == 0.0
    assert 0 <= answer.took < 5


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 0.0),
        ("", 0.0),
        ("7", 7.0),
        ("-7", 0.0),
        ("\u0667", 0.0),
        ("soon", 0.0),
        ("Thu, 01 Jan 2026 12:00:09 GMT", 9.0),
        ("Thu, 01 Jan 2026 11:59:00 GMT", 0.0),
        ("9" * 400, float("inf")),
    ],
    ids=repr,
)
def test_a_server_says_when_to_ask_again(header: str | None, seconds: float) -> None:
    sent = header.encode().decode("latin-1") if header else header
    assert told({"Retry-After": sent}, NOON, NOON).retry_after == seconds


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
    assert isinstance(refused.value, Unchanging) == ("refused" not in said)


def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    client = Http(5.0)
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


Given = int | str | Exception | tuple[int, float]


class Asking:
    """A clock and a source: what it gives in turn, the last for ever, and when it was asked.

    It gives statuses, alone or with the seconds it wants to be left alone, and faults.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *given: Given, takes: float = 0.0) -> None:
        self.now, self.given, self.takes, self.asked_at = 0.0, list(given), takes, list[float]()
        clock = SimpleNamespace(monotonic=lambda: self.now)
        monkeypatch.setattr("pytest_rollout.sources.http.time", clock)

    def __call__(self) -> Answer:
        self.asked_at.append(round(self.now, 6))
        self.now += self.takes
        given = self.given.pop(0) if len(self.given) > 1 else self.given[0]
        if isinstance(given, str):
            raise SourceUnreachable(given)
        if isinstance(given, Exception):
            raise given
        status, alone = given if isinstance(given, tuple) else (given, 0.0)
        return Answer(status, "", retry_after=alone)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize("status", [200, 302, 400, 404, 422, 428, 430, 499])
def test_what_the_source_meant_is_not_asked_again(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    asking = Asking(monkeypatch, status)
    assert retried(asking, budget=2, sleep=asking.sleep).status == status
    assert asking.asked_at == [0.0]


@pytest.mark.parametrize("fault", [429, 500, 503, "refused"])
def test_faults_are_asked_again_with_growing_pauses(monkeypatch: pytest.MonkeyPatch, fault: int | str) -> None:
    asking = Asking(monkeypatch, fault, fault, fault, 200)
    assert retried(asking, budget=2, sleep=asking.sleep).status == 200
    assert asking.asked_at == [0.0, 0.1, 0.3, 0.7]


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_is_left_alone_for_as_long_as_it_asks(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    asking = Asking(monkeypatch, (status, 1.5), (status, 0.05), 200)
    assert retried(asking, budget=2, sleep=asking.sleep).status == 200
    assert asking.asked_at == [0.0, 1.5, 1.7]


def test_a_server_that_asks_for_more_than_the_budget_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asking = Asking(monkeypatch, (429, 2.5), 200)
    assert retried(asking, budget=2, sleep=asking.sleep).status == 429
    assert (asking.asked_at, asking.now) == ([0.0], 0.0)


@pytest.mark.parametrize("fault", [Unchanging("the same"), SourceError("too large")], ids=["same", "large"])
def test_what_asking_again_does_not_change_is_told_at_once(monkeypatch: pytest.MonkeyPatch, fault: Exception) -> None:
    asking = Asking(monkeypatch, fault, 200)
    with pytest.raises(SourceError) as refused:
        retried(asking, budget=2, sleep=asking.sleep)
    assert refused.value is fault
    assert asking.asked_at == [0.0]


def test_at_the_end_of_the_budget_the_last_fault_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    asking = Asking(monkeypatch, "first", 500, "last")
    with pytest.raises(SourceUnreachable, match=r"^last$"):
        retried(asking, budget=1, sleep=asking.sleep)
    assert asking.asked_at == [0.0, 0.1, 0.3, 0.7]


def test_at_the_end_of_the_budget_the_last_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    asking = Asking(monkeypatch, "first", 500, 503)
    assert retried(asking, budget=1, sleep=asking.sleep).status == 503


@pytest.mark.parametrize("takes", [0.0, 0.3, 1.9, 5.0])
def test_all_tries_together_take_the_budget_and_one_deadline(monkeypatch: pytest.MonkeyPatch, takes: float) -> None:
    asking = Asking(monkeypatch, "slow", takes=takes)
    with pytest.raises(SourceUnreachable):
        retried(asking, budget=2, sleep=asking.sleep)
    assert asking.asked_at[-1] <= 2
    assert asking.now <= 2 + takes


def test_a_source_that_takes_the_whole_budget_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asking = Asking(monkeypatch, "slow", takes=5.0)
    with pytest.raises(SourceUnreachable):
        retried(asking, budget=2, sleep=asking.sleep)
    assert asking.asked_at == [0.0]
