"""``rollout_gate.latency``: a load as an assertion of a Python test, made by a real Locust on loopback."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime

import pytest

from pytest_rollout.load.engine import LOCUST
from tests.load.runs import VISITOR, command
from tests.load.servers import Behaviour, healthy, hung, running, taking
from tests.plugin.conftest import FLAGS, Bench

OWN_LOCUST = os.environ.get(LOCUST)
CALL = (
    'rollout_gate.latency("visit", rate="60/s", over="1s", warm_up="200ms", drain="1s", arrivals="constant", '
    'p95={"below": "%s"}, errors={"at_most": 0})'
)
GENEROUS = CALL % "10s"
"""Of 60 requests none may be slow or fail; in so long a busy machine answers, and a late generator does not matter."""
TEST = "import pytest\n@pytest.mark.stage1\ndef test_it(rollout_gate):\n    print({call})\n"
ID = "test_shop.py::test_it"


@pytest.fixture(autouse=True)
def project(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Give the user a locustfile, and the Locust that this run has."""
    if OWN_LOCUST:
        monkeypatch.setenv(LOCUST, OWN_LOCUST)
    command()
    (bench.path / "locustfiles").mkdir()
    (bench.path / "locustfiles" / "visit.py").write_text(VISITOR, encoding="utf-8")
    return bench


def judged(bench: Bench, behaviour: Behaviour, call: str, *arguments: str) -> tuple[pytest.RunResult, int]:
    """Judge stage 1 against a server; return also how many requests that had."""
    with running(behaviour) as server:
        bench.plan(target=server.url, flags=FLAGS)
        bench.test(TEST.format(call=call))
        return bench.run("-m", "stage1", *arguments), len(server.requests)


def test_answers_in_time_pass_and_everything_is_kept(bench: Bench) -> None:
    result, requests = judged(bench, healthy, GENEROUS)

    assert (result.ret, bench.decision, bench.checks()[ID]) == (0, "GO", "passed within-limit")
    assert 60 <= requests <= 60 + 12
    (check,) = [check for check in bench.document()["stages"][0]["checks"] if check["id"] == ID]
    assert (check["kind"], check["samples"]) == ("test", 60)
    assert check["derivation"]["load"]["arms"]["all"]["ok"] == 60
    (picture,) = check["attachments"]
    (kept,) = (bench.path / "reports" / "load" / "shop-stage1").glob("test_it-*/1/result.json")
    assert picture == str(kept.parents[1] / "latency.svg")
    assert (bench.path / "reports" / check["derivation"]["evidence"]["file"]).is_file()


def test_slow_answers_are_a_breach(bench: Bench) -> None:
    result, _ = judged(bench, taking(3.0), (CALL % "2s").replace('drain="1s"', 'drain="5s"'))

    assert (result.ret, bench.decision, bench.checks()[ID]) == (1, "NO-GO", "breached limit-breached")
    result.stdout.fnmatch_lines(
        [
            "E*GateBreached: test_it: BREACHED (limit-breached)",
            "E*p95: *3* s, surely between 3* s and *; the limit is 2 s; 60 of 60 requests took as long or have *",
        ]
    )


def test_a_server_that_never_answers_does_not_pass(bench: Bench) -> None:
    result, requests = judged(bench, hung, GENEROUS.replace('errors={"at_most": 0}', 'errors={"below": "10%"}'))

    assert requests >= 60
    assert (result.ret, bench.decision, bench.checks()[ID]) == (1, "NO-GO", "breached limit-breached")


def test_without_locust_it_holds_and_says_what_to_do(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LOCUST, "/nowhere/locust")
    result, requests = judged(bench, healthy, GENEROUS)

    assert (result.ret, bench.decision, requests) == (1, "HOLD", 0)
    assert bench.checks()[ID] == "error bent-generator"
    said = "E*/nowhere/locust cannot be started: No such file or directory; set ROLLOUT_LOCUST to a locust command"
    result.stdout.fnmatch_lines(["E*GateError: test_it: ERROR (bent-generator)", said])


@pytest.mark.parametrize("marked", [True, False])
def test_a_load_is_made_after_the_flip_of_the_tests_own_stage(bench: Bench, marked: bool) -> None:
    # A flip that is still to come: a load now would not count. Without a stage there is no flip.
    bench.world.flipped_at = datetime.fromtimestamp(time.time() + 3600, UTC).isoformat()
    with running(healthy) as server:
        bench.plan(target=server.url, flags=FLAGS)
        source = TEST.format(call=GENEROUS)
        bench.test(source if marked else source.replace("@pytest.mark.stage1", ""))
        result = bench.run("-k", "test_it")

    assert bool(server.requests) is not marked
    result.stdout.fnmatch_lines(["*1 failed*" if marked else "*1 passed*"])
    said = "E*no load was made since the last flip and its settle time; wait, or run this again"
    result.stdout.fnmatch_lines([said] if marked else [])


def test_no_load_is_made_while_a_flag_is_wrong(bench: Bench) -> None:
    bench.world.flags["READS"] = False
    result, requests = judged(bench, healthy, GENEROUS)

    assert (result.ret, bench.decision, requests) == (1, "NO-GO", 0)
    result.stdout.fnmatch_lines(["E*no load is made while the flags of the stage are not as they have to be*"])


def test_the_short_name_is_the_same_method(bench: Bench) -> None:
    with running(healthy) as server:
        bench.plan(target=server.url)
        source = TEST.format(call=GENEROUS).replace("rollout_gate.latency", "rollout_gate")
        bench.test(source.replace("rollout_gate", "rollout_latency"))
        result = bench.run("-m", "stage1")

    assert (result.ret, bench.checks()[ID]) == (0, "passed within-limit")


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ('rate="60/s", over="1s"', "a latency gate needs a limit, such as p95: {below: 200ms}"),
        ('rate=60, over="1s", p95={"below": "1s"}', "60 is not a rate; write how many in which time, such as 50/s or*"),
        ('over="1s", p95={"below": "1s"}', "give exactly one of 'rate' and 'users'"),
        ('rate="60/s", over="1m", p95="1s"', "Input should be a valid dictionary or instance of LatencyLimit"),
        ('rate="60/s", over="1m", p59={"below": "1s"}', "unknown key 'p59'; did you mean 'p99'?"),
        ('rate="60/s", over="1m", p95={"below": "1s"}, confidence="5%"', "confidence must lie between 50% and 100%*"),
        (
            'rate="10/s", over="1s", p95={"below": "1s"}',
            "p95 needs 59 requests at least, all of them good; 10 a second for 1 s are about 10",
        ),
        (
            'rate="10/s", over="1m", p999={"below": "1s"}',
            "p99.9 needs 2,995 requests at least, all of them good; 10 a second for 1 min are about 600",
        ),
    ],
)
def test_units_and_keys_are_those_of_the_plan(bench: Bench, call: str, said: str) -> None:
    with running(healthy) as server:
        bench.plan(target=server.url)
        bench.test(TEST.format(call=f'rollout_gate.latency("visit", {call})'))
        result = bench.run("-m", "stage1")

    assert (result.ret, server.requests) == (1, [])
    result.stdout.fnmatch_lines([f"E*GateError: test_it: {said}"])
