"""Pushes to a real Pushgateway; the fakes stand for the gateways that cannot be had on demand."""

import base64
import fcntl
import json
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pytest_rollout.errors import PublishError
from pytest_rollout.publish import spool as spool_module
from pytest_rollout.publish.pushgateway import Group, Pushgateway, PushOutcome, exposition, stage_group
from tests.publish.gateways import stored

NOWHERE = "http://127.0.0.1:1"  # a port that nothing listens on
PATIENT = 30.0
"""Seconds: where a test is not about time, a busy machine may take its own."""


def check(**changes: Any) -> dict[str, Any]:
    known = {"id": "api-5xx", "kind": "ratio", "verdict": "passed", "reason": "within-limit"}
    return {**known, "value": 0.001, "limit": 0.005, "unit": "share", "samples": 4000, **changes}


def stage(**changes: Any) -> dict[str, Any]:
    known = {"rollout": "prisma", "stage": 1, "environment": "sandbox", "decision": "GO", "rehearsal": True}
    return {**known, "started_at": 1000.0, "finished_at": 1030.5, "checks": [check()], **changes}


HOLD = stage(decision="HOLD", finished_at=2000.0, checks=[check(verdict="inconclusive", value=None, samples=None)])


def exported(entry: dict[str, Any]) -> str:
    return exposition(stage_group(entry).metrics)


# --- what is exported ---------------------------------------------------------------------------------------


def test_a_go_exports_exactly_this() -> None:
    lines = [line for line in exported(stage()).splitlines() if not line.startswith("#")]

    assert lines == [
        'rollout_stage_decision{decision="GO"} 1.0',
        'rollout_stage_decision{decision="NO-GO"} 0.0',
        'rollout_stage_decision{decision="HOLD"} 0.0',
        'rollout_check_verdict{check="api-5xx",kind="ratio",verdict="passed"} 1.0',
        'rollout_check_verdict{check="api-5xx",kind="ratio",verdict="breached"} 0.0',
        'rollout_check_verdict{check="api-5xx",kind="ratio",verdict="inconclusive"} 0.0',
        'rollout_check_verdict{check="api-5xx",kind="ratio",verdict="error"} 0.0',
        'rollout_check_value{check="api-5xx",unit="share"} 0.001',
        'rollout_check_limit{check="api-5xx",unit="share"} 0.005',
        'rollout_check_samples{check="api-5xx"} 4000.0',
        "rollout_last_run_timestamp_seconds 1030.5",
        "rollout_last_run_duration_seconds 30.5",
        "rollout_rehearsal 1.0",
        "rollout_last_success_timestamp_seconds 1030.5",
    ]
    assert set(re.findall(r"# TYPE \S+ (\w+)", exported(stage()))) == {"gauge"}


@pytest.mark.parametrize("decision", ["HOLD", "NO-GO"])
def test_only_a_go_is_a_success(decision: str) -> None:
    text = exported(stage(decision=decision, rehearsal=False))

    assert "rollout_last_success_timestamp_seconds" not in text
    assert f'rollout_stage_decision{{decision="{decision}"}} 1.0' in text
    assert 'rollout_stage_decision{decision="GO"} 0.0' in text
    assert "rollout_rehearsal 0.0" in text


def test_what_is_not_known_is_left_out() -> None:
    text = exported(stage(checks=[check(), check(id="x", value=None), check(id="y", value=float("nan"))]))

    assert re.findall(r'rollout_check_value\{check="([^"]*)"', text) == ["api-5xx"]
    assert re.findall(r'rollout_check_limit\{check="([^"]*)"', text) == ["api-5xx", "x", "y"]


def test_an_entry_without_a_field_is_a_defect_of_the_caller() -> None:
    with pytest.raises(KeyError, match="checks"):
        stage_group({key: value for key, value in stage().items() if key != "checks"})


def test_prometheus_client_is_imported_only_when_something_is_pushed() -> None:
    code = "import sys, pytest_rollout.publish.pushgateway; print('prometheus_client' in sys.modules)"

    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False\n"


# --- a real gateway -----------------------------------------------------------------------------------------


def test_every_stage_has_its_own_group(gateway: str, tmp_path: Path) -> None:
    outcome = Pushgateway(gateway, tmp_path / "spool", timeout=PATIENT).push(
        [stage(), stage(stage=2, decision="NO-GO")]
    )

    assert outcome == PushOutcome("pushed", f"2 pushed to {gateway}", 2, 0)
    assert stored(gateway, "rollout_last_success_timestamp_seconds") == {
        ("sandbox", "pytest_rollout", "prisma", "1"): 1030.5
    }
    decisions = stored(gateway, "rollout_stage_decision")
    assert decisions["GO", "sandbox", "pytest_rollout", "prisma", "1"] == 1
    assert decisions["NO-GO", "sandbox", "pytest_rollout", "prisma", "2"] == 1
    assert sum(decisions.values()) == 2


def test_the_last_go_outlives_a_hold_and_nothing_else_does(gateway: str, tmp_path: Path) -> None:
    pushgateway = Pushgateway(gateway, tmp_path / "spool", timeout=PATIENT)
    pushgateway.push([stage()])
    pushgateway.push([HOLD])

    group = ("sandbox", "pytest_rollout", "prisma", "1")
    assert stored(gateway, "rollout_last_success_timestamp_seconds") == {group: 1030.5}
    assert stored(gateway, "rollout_last_run_timestamp_seconds") == {group: 2000.0}
    assert [at for at, value in stored(gateway, "rollout_stage_decision").items() if value] == [("HOLD", *group)]
    assert not [value for value in stored(gateway, "rollout_check_value").values() if value == value]  # noqa: PLR0124 - NaN
    assert "api-5xx" not in str(stored(gateway, "rollout_check_samples"))


@pytest.mark.parametrize("name", ["..", ".", "", "portal/[agentId]", "ünï code", "a+b=100%"])
def test_any_environment_name_arrives_as_it_is(gateway: str, tmp_path: Path, name: str) -> None:
    assert Pushgateway(gateway, tmp_path / "spool", timeout=PATIENT).push([stage(environment=name)]).state == "pushed"

    assert {at[0] for at in stored(gateway, "rollout_rehearsal")} == {name}


def test_proxies_are_not_used(gateway: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", NOWHERE)
    monkeypatch.setenv("no_proxy", "")

    assert Pushgateway(gateway, tmp_path / "spool", timeout=PATIENT).push([stage()]).state == "pushed"


def test_the_reason_of_a_refusal_is_told_and_the_next_push_drops_it(gateway: str, tmp_path: Path) -> None:
    clash = urllib.request.Request(
        f"{gateway}/metrics/job/other", b"# TYPE rollout_rehearsal counter\nrollout_rehearsal 1\n"
    )
    urllib.request.urlopen(clash, timeout=5).close()
    pushgateway = Pushgateway(gateway, tmp_path / "spool", timeout=PATIENT)

    first = pushgateway.push([stage()])
    urllib.request.urlopen(urllib.request.Request(clash.full_url, method="DELETE"), timeout=5).close()
    second = pushgateway.push([stage()])

    assert (first.state, first.pushed, first.spooled) == ("spooled", 0, 1)
    assert "; HTTP 400: pushed metrics are invalid or inconsistent with existing metrics: " in first.message
    assert re.search(" is not a (GAUGE|COUNTER); 1 kept in ", first.message)
    assert (second.state, second.pushed, second.spooled) == ("pushed", 2, 0)


def test_what_waited_for_a_gateway_keeps_its_last_go(gateway: str, tmp_path: Path) -> None:
    """The GO was decided while the gateway was away; a HOLD arrives first after it came back."""
    spool = tmp_path / "spool"
    with fake(answers=[503]) as away:
        Pushgateway(away.url, spool, timeout=PATIENT).push([stage()])
    (waiting,) = spool.glob("*.json")
    name = waiting.name.split("-")
    name[1] = spool_module._digest(gateway)
    waiting.rename(spool / "-".join(name))

    outcome = Pushgateway(gateway, spool, timeout=PATIENT).push([HOLD])

    assert (outcome.state, outcome.pushed) == ("pushed", 2)
    group = ("sandbox", "pytest_rollout", "prisma", "1")
    assert stored(gateway, "rollout_last_success_timestamp_seconds") == {group: 1030.5}
    assert stored(gateway, "rollout_last_run_timestamp_seconds") == {group: 2000.0}


# --- fake gateways ------------------------------------------------------------------------------------------


class FakeGateway(ThreadingHTTPServer):
    """Answers as told, one answer after the other, the last for ever; records what came."""

    answers: list[int]
    reply: bytes = b""
    headers: dict[str, str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def ends(self) -> list[str]:
        """The end time of each run pushed, in the order it came."""
        return [re.findall(r"_run_timestamp_seconds ([\d.]+)", body)[0] for body in self.bodies]

    def __init__(self, answers: Sequence[int], reply: bytes, headers: dict[str, str]) -> None:
        super().__init__(("127.0.0.1", 0), _FakeHandler)
        self.answers, self.reply, self.headers = list(answers), reply, headers
        self.bodies: list[str] = []
        self.paths: list[str] = []
        self.authorization: str | None = None


class _FakeHandler(BaseHTTPRequestHandler):
    server: FakeGateway

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.server.paths.append(self.path)
        self.server.authorization = self.headers["Authorization"]
        answers = self.server.answers
        self.send_response(answers.pop(0) if len(answers) > 1 else answers[0])
        for name, value in {"Content-Length": str(len(self.server.reply)), **self.server.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.server.reply)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def fake(answers: Sequence[int], reply: bytes = b"", **headers: str) -> Iterator[FakeGateway]:
    with FakeGateway(answers, reply, headers) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@contextmanager
def fake_dripper(text: bytes) -> Iterator[str]:
    """A gateway that sends one byte of `text` each 50 ms, then hangs."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def drip() -> None:
        with suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                for byte in text:
                    if over.wait(0.05):
                        return
                    connection.send(bytes([byte]))
                over.wait(30)

    threading.Thread(target=drip, daemon=True).start()
    with listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        over.set()


@pytest.mark.parametrize(
    ("status", "reply", "headers", "why"),
    [
        (500, b"disk\nfull \x1b[31m", {}, "HTTP 500: disk full [31m"),
        (503, b"", {}, "HTTP 503: Service Unavailable"),
        (500, b"x" * 1000 + b"y" * 900, {}, "HTTP 500: " + "x" * 150 + " … " + "y" * 150),
        (307, b"", {"Location": "/login"}, "HTTP 307: moved to /login; use that address"),
        (200, b"<html>Welcome</html>", {}, "HTTP 200 with a page: this is no Pushgateway"),
        (404, b"404 page not found", {}, "HTTP 404: 404 page not found"),
    ],
    ids=["500", "no-reason", "long", "redirect", "page", "404"],
)
def test_a_gateway_that_does_not_accept_costs_a_message(
    tmp_path: Path, status: int, reply: bytes, headers: dict[str, str], why: str
) -> None:
    spool = tmp_path / "spool"
    with fake([status], reply, **headers) as server:
        outcome = Pushgateway(server.url, spool).push([stage(), stage(stage=2)])
        message = f"not pushed to {server.url}; {why}; 2 kept in {spool} for the next push"

    assert outcome == PushOutcome("spooled", message, 0, 2)
    assert len(server.bodies) == 1, "a gateway that is ill is not asked again in the same push"


def test_no_gateway_costs_a_message_and_a_private_file(tmp_path: Path) -> None:
    spool = tmp_path / "spool"

    outcome = Pushgateway(NOWHERE, spool).push([stage()])

    why = "ConnectionRefusedError: [Errno 111] Connection refused"
    if sys.platform == "linux":
        assert outcome.message == f"not pushed to {NOWHERE}; {why}; 1 kept in {spool} for the next push"
    (file,) = spool.glob("*.json")
    assert file.stat().st_mode & 0o777 == 0o600
    assert sorted(json.loads(file.read_text())) == ["body", "group"]


def test_what_waits_is_sent_first_and_in_order(tmp_path: Path) -> None:
    with fake([500, 500, 500, 200]) as server:
        pushgateway = Pushgateway(server.url, tmp_path)
        for end in (2001.0, 2002.0, 2003.0):
            pushgateway.push([stage(finished_at=end)])
        outcome = pushgateway.push([stage(finished_at=2004.0)])

    assert server.ends[:3] == ["2001.0"] * 3, "nothing overtakes the oldest"
    assert server.ends[3:] == ["2001.0", "2002.0", "2003.0", "2004.0"]
    assert outcome == PushOutcome("pushed", f"4 pushed to {server.url}", 4, 0)
    assert not list(tmp_path.glob("*.json"))


def test_stages_and_canaries_wait_in_one_line(tmp_path: Path) -> None:
    canary = Group({"instance": "sandbox", "rollout": "prisma", "canary": "settlement"}, ())
    with fake([500, 200]) as server:
        pushgateway = Pushgateway(server.url, tmp_path)
        pushgateway.push([stage()])
        outcome = pushgateway.send([canary])

    assert outcome == PushOutcome("pushed", f"2 pushed to {server.url}", 2, 0)
    common = "/metrics/job/pytest_rollout/instance/sandbox/rollout/prisma"
    assert server.paths[1:] == [f"{common}/stage/1", f"{common}/canary/settlement"]


def test_a_waiting_payload_that_is_refused_is_dropped_and_the_rest_sent(tmp_path: Path) -> None:
    with fake([500, 400, 200], b"") as server:
        pushgateway = Pushgateway(server.url, tmp_path)
        pushgateway.push([stage(finished_at=2001.0)])
        outcome = pushgateway.push([stage(finished_at=2002.0)])

    dropped = "a waiting payload was refused and dropped: HTTP 400: Bad Request"
    assert outcome == PushOutcome("pushed", f"1 pushed to {server.url}; {dropped}", 1, 0)
    assert server.ends == ["2001.0", "2001.0", "2002.0"]


def test_one_refused_stage_does_not_hold_up_the_others(tmp_path: Path) -> None:
    with fake([400, 200]) as server:
        outcome = Pushgateway(server.url, tmp_path).push([stage(), stage(stage=2)])

    kept = f"1 kept in {tmp_path} for the next push"
    message = f"1 pushed to {server.url}; HTTP 400: Bad Request; {kept}"
    assert outcome == PushOutcome("spooled", message, 1, 1)


@pytest.mark.parametrize(
    "text",
    [b"", b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 500, b"HTTP/1.1 500 Oh\r\n\r\n" + b"y" * 500],
    ids=["hangs", "drips-headers", "drips-body"],
)
def test_a_slow_gateway_costs_the_timeout_and_no_more(tmp_path: Path, text: bytes) -> None:
    with fake_dripper(text) as url:
        begin = time.monotonic()
        outcome = Pushgateway(url, tmp_path, timeout=0.3).push([stage()])
        took = time.monotonic() - begin
        ended = _pushing_ended()

    message = f"not pushed to {url}; no answer within 0.3 s; 1 kept in {tmp_path} for the next push"
    assert outcome == PushOutcome("spooled", message, 0, 1)
    assert 0.3 <= took < 2
    assert ended, "the thread that hung goes on hanging"


def test_a_gateway_that_takes_no_connection_costs_the_timeout_and_no_more(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, ExitStack() as waiting:
        for _ in range(2):
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(full.getsockname())
        address = f"http://127.0.0.1:{full.getsockname()[1]}"
        outcome = Pushgateway(address, tmp_path, timeout=0.3).push([stage()])
        assert _pushing_ended()

    assert f"not pushed to {address}; no answer within 0.3 s; " in outcome.message


def _pushing_ended() -> bool:
    threads = [thread for thread in threading.enumerate() if thread.name == "rollout-push"]
    for thread in threads:
        thread.join(5)
    return not any(thread.is_alive() for thread in threads)


def test_only_one_process_sends_at_a_time(tmp_path: Path) -> None:
    with fake([200]) as server:
        with (tmp_path / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            held = Pushgateway(server.url, tmp_path, timeout=0.2).push([stage(finished_at=2001.0)])
        assert _pushing_ended()
        assert server.bodies == [], "what was given up is not sent behind the caller's back"
        free = Pushgateway(server.url, tmp_path).push([stage(finished_at=2002.0)])

    assert (held.state, free.state) == ("spooled", "pushed")
    assert server.ends == ["2001.0", "2002.0"]


def test_what_another_process_has_sent_meanwhile_is_not_sent_again(tmp_path: Path) -> None:
    with fake([200]) as server, (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        def send_and_let_go() -> None:
            for file in tmp_path.glob("*.json"):
                file.unlink()
            fcntl.flock(lock, fcntl.LOCK_UN)

        threading.Timer(0.1, send_and_let_go).start()
        outcome = Pushgateway(server.url, tmp_path).push([stage()])

    assert outcome == PushOutcome("pushed", f"0 pushed to {server.url}", 0, 0)
    assert server.bodies == []


def test_the_newest_stay_when_too_many_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "SPOOL_LIMIT", 3)
    with fake([500] * 5 + [200]) as server:
        pushgateway = Pushgateway(server.url, tmp_path)
        outcomes = [pushgateway.push([stage(finished_at=2000.0 + n)]) for n in range(5)]
        pushgateway.push([stage(finished_at=3000.0)])

    assert [outcome.spooled for outcome in outcomes] == [1, 2, 3, 3, 3]
    assert " dropped: more than 3 wait" in outcomes[-1].message
    assert server.ends[5:] == ["2003.0", "2004.0", "3000.0"]


def test_the_bound_is_a_hundred() -> None:
    assert spool_module.SPOOL_LIMIT == 100


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"group": "/metrics/job/x"}', '{"group": "/", "body": "x"}'])
def test_a_damaged_file_is_set_aside(tmp_path: Path, damage: str) -> None:
    with fake([500, 200]) as server:
        pushgateway = Pushgateway(server.url, tmp_path)
        pushgateway.push([stage(finished_at=2001.0)])
        (file,) = tmp_path.glob("*.json")
        file.write_text(damage)
        outcome = pushgateway.push([stage(finished_at=2002.0)])

    note = f"{file.name} is damaged, set aside as .bad"
    assert outcome == PushOutcome("pushed", f"1 pushed to {server.url}; {note}", 1, 0)
    assert file.with_suffix(".bad").read_text() == damage
    assert server.ends[1:] == ["2002.0"]


def test_payloads_wait_for_their_own_gateway(tmp_path: Path) -> None:
    with fake([500]) as staging, fake([200]) as production:
        Pushgateway(staging.url, tmp_path).push([stage(environment="staging")])
        outcome = Pushgateway(production.url, tmp_path).push([stage(environment="production")])

    assert outcome == PushOutcome("pushed", f"1 pushed to {production.url}", 1, 0)
    assert len(production.bodies) == 1


def test_a_spool_that_cannot_be_written_does_not_stop_the_push(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.write_text("a file")
    with fake([200, 500]) as server:
        pushgateway = Pushgateway(server.url, spool)
        sent, lost = pushgateway.push([stage()]), pushgateway.push([stage()])

    assert sent == PushOutcome("pushed", f"1 pushed to {server.url}; spool {spool}: File exists", 1, 0)
    assert lost.state == "failed"
    assert lost.message.endswith("; HTTP 500: Internal Server Error; not kept either")


# --- secrets and addresses ----------------------------------------------------------------------------------


def test_credentials_are_sent_and_never_shown(tmp_path: Path) -> None:
    with fake([500]) as server:
        with_user = server.url.replace("//", "//ops:s3cr%40t@")
        basic = Pushgateway(with_user, tmp_path)
        message = basic.push([stage()]).message
        assert server.authorization == "Basic " + base64.b64encode(b"ops:s3cr@t").decode()
        bearer = Pushgateway(server.url, tmp_path, token="t0k3n\n")
        message += bearer.push([stage()]).message
        assert server.authorization == "Bearer t0k3n"

    shown = message + repr(basic) + repr(bearer) + "".join(file.read_text() for file in tmp_path.glob("*.json"))
    assert "s3cr" not in shown
    assert "t0k3n" not in shown


def test_a_token_that_no_header_can_carry_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(PublishError) as caught:
        Pushgateway(NOWHERE, tmp_path, token="t0k3n\nX-Evil: 1")

    assert str(caught.value) == ("the Pushgateway token holds characters that no HTTP header can carry; look at it")


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("ftp://gateway", "ftp://gateway"),
        ("http://", "http://"),
        ("", "http://"),
        ("http://gateway:port", "http://gateway:port"),
        ("http://ops:s3cret@gateway:99999", "http://gateway:99999"),
    ],
)
def test_what_is_no_address_is_said_at_once(tmp_path: Path, address: str, shown: str) -> None:
    with pytest.raises(PublishError) as caught:
        Pushgateway(address, tmp_path)

    assert str(caught.value) == f"{shown!r} is no address of a Pushgateway; write http://host:port"


def test_the_scheme_may_be_left_out_and_a_path_kept(tmp_path: Path) -> None:
    assert Pushgateway("gateway:9091", tmp_path).url == "http://gateway:9091"
    with fake([200]) as server:
        Pushgateway(f"{server.url}/ops/", tmp_path).push([stage()])

    assert server.paths == ["/ops/metrics/job/pytest_rollout/instance/sandbox/rollout/prisma/stage/1"]
