"""What a latency gate may say, and what is refused, at which place and in which words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_rollout.errors import PlanError
from pytest_rollout.plan.gates import Gate
from pytest_rollout.plan.latency import Latency
from pytest_rollout.plan.loader import load_plan

PLAN = """\
rollout: shop
environments: {sandbox: {sandbox: true}}
stages:
  - stage: 1
    name: Reads
    gates:
      - id: a
        latency:
          %s
"""
# Line 9 is the locustfile, 10 the rate or the users, 11 the time; what a test adds begins at 12.
RATE = "locustfile: portal\nrate: 10/s\nfor: 2m"
USERS = "locustfile: portal\nusers: 2\nfor: 2m"
P95 = "p95: {below: 200ms}"
GOOD = f"{RATE}\n{P95}"
SIDES = "control: {headers: {X-Cohort: old}}\ncandidate: {headers: {X-Cohort: new}}"

KNOWN = (
    "arrivals, bind, candidate, control, drain, errors, extend, for, locustfile, name, of, p50, p90, p95, p99, p99.9, "
    "rate, users, warm_up, workers"
)
NO_DURATION = "is not a duration; write a number with a unit, such as 120ms, 30s, 15m, 2h, 7d"
NO_SHARE = "is not a share; write per cent, such as 0.5% or 99%"
NO_RATE = "is not a rate; write how many in which time, such as 50/s or 600/min"
NO_WORKERS = "is no number of workers; write 0 for a single process, or how many"
NO_MAPPING = "a mapping of keys to values is needed here"
ONE_OF_TWO = "give exactly one of 'below' and 'at_most'"
ONE_ERROR = "give exactly one of 'below', a share, and 'at_most', a count"
BETWEEN = "a share must lie between 0% and 100%, both excluded; write at_most: 0 for none at all"
BIND = "'bind' is an address and a port, such as 10.0.0.5:5557, and goes with 'workers'"
PAIR = "'control' and 'candidate' go together"
THE_SAME = "the candidate is the control; give it another url or other headers"
COMPARES = "'at_most' compares with a control; give 'control' and 'candidate', or write 'below'"
EQUAL = "equal to the control is never proven; allow some per cent, or give 'absolute'"
ONE_LOAD = "give exactly one of 'rate' and 'users'"
NO_INTEGER = "Input should be a valid integer"
NO_TEXT = "Input should be a valid string"

FAULTS = {
    # the load
    "no locustfile": (f"rate: 10/s\nfor: 2m\n{P95}", "9:11: 'locustfile' is missing"),
    "an empty locustfile": (
        f"locustfile: ' '\nrate: 10/s\nfor: 2m\n{P95}",
        "9:11: name a locustfile, such as portal for locustfiles/portal.py",
    ),
    "a number of a locustfile": (f"locustfile: 5\nrate: 10/s\nfor: 2m\n{P95}", f"9:23: {NO_TEXT}"),
    "neither rate nor users": (f"locustfile: portal\nfor: 2m\n{P95}", f"9:11: {ONE_LOAD}"),
    "rate and users": (f"{GOOD}\nusers: 5", f"13:11: {ONE_LOAD}"),
    "a rate without a unit": (f"locustfile: portal\nrate: 10\nfor: 2m\n{P95}", f"10:17: 10 {NO_RATE}"),
    "a rate per m": (f"locustfile: portal\nrate: 10/m\nfor: 2m\n{P95}", f"10:17: '10/m' {NO_RATE}"),
    "a rate of nothing": (f"locustfile: portal\nrate: 0/s\nfor: 2m\n{P95}", f"10:17: '0/s' {NO_RATE}"),
    "no users": (
        f"locustfile: portal\nusers: 0\nfor: 2m\n{P95}",
        "10:18: Input should be greater than or equal to 1",
    ),
    "half a user": (f"locustfile: portal\nusers: 1.5\nfor: 2m\n{P95}", f"10:18: {NO_INTEGER}"),
    "users: yes": (f"locustfile: portal\nusers: yes\nfor: 2m\n{P95}", f"10:18: {NO_INTEGER}"),
    "no time": (f"locustfile: portal\nrate: 10/s\n{P95}", "9:11: 'for' is missing"),
    "a time of nothing": (
        f"locustfile: portal\nrate: 10/s\nfor: 0s\n{P95}",
        "11:11: a load needs some time, such as for: 2m",
    ),
    "a time without a unit": (f"locustfile: portal\nrate: 10/s\nfor: 120\n{P95}", f"11:16: 120 {NO_DURATION}"),
    "a warm-up without a unit": (f"{GOOD}\nwarm_up: 5", f"13:20: 5 {NO_DURATION}"),
    "no drain": (f"{GOOD}\ndrain: 0s", "13:11: answers need some time, such as drain: 10s"),
    "an extension: yes": (f"{GOOD}\nextend: yes", f"13:19: True {NO_DURATION}"),
    "other arrivals": (f"{GOOD}\narrivals: uniform", "13:21: Input should be 'poisson' or 'constant'"),
    # keys
    "the name of a field": (
        f"locustfile: portal\nrate: 10/s\nduration: 2m\n{P95}",
        "11:11: unknown key 'duration'; did you mean 'drain'?",
    ),
    "p99.9 without its point": (f"{RATE}\np999: {{below: 2s}}", "12:11: unknown key 'p999'; did you mean 'p99.9'?"),
    "a percentile that is not known": (
        f"{RATE}\np75: {{below: 2s}}",
        "12:11: unknown key 'p75'; did you mean 'p95'?",
    ),
    "error": (f"{RATE}\nerror: {{below: 1%}}", "12:11: unknown key 'error'; did you mean 'errors'?"),
    "a word like no other": (
        f"{GOOD}\nxyzzy: 1",
        f"13:11: unknown key 'xyzzy'; known here: {KNOWN}",
    ),
    "a key given twice": (f"{GOOD}\n{P95}", "13:11: the key 'p95' is given twice"),
    "a name that is a number": (f"{GOOD}\nname: 5", f"13:17: {NO_TEXT}"),
    # processes
    "fewer workers than none": (f"{GOOD}\nworkers: -1", f"13:20: -1 {NO_WORKERS}"),
    "workers: yes": (f"{GOOD}\nworkers: yes", f"13:20: True {NO_WORKERS}"),
    "workers in a word": (f"{GOOD}\nworkers: two", f"13:20: 'two' {NO_WORKERS}"),
    "more workers than users": (f"{USERS}\n{P95}\nworkers: 3", "10:11: every worker needs a user"),
    "an address without workers": (f"{GOOD}\nbind: '10.0.0.5:5557'", f"13:11: {BIND}"),
    "an address without a port": (f"{GOOD}\nworkers: 2\nbind: 10.0.0.5", f"14:11: {BIND}"),
    "a port without an address": (f"{GOOD}\nworkers: 2\nbind: ':5557'", f"14:11: {BIND}"),
    "a url as address": (f"{GOOD}\nworkers: 2\nbind: 'http://10.0.0.5:5557'", f"14:11: {BIND}"),
    "port 0": (f"{GOOD}\nworkers: 2\nbind: '10.0.0.5:0'", f"14:11: {BIND}"),
    "a port beyond the last": (f"{GOOD}\nworkers: 2\nbind: '10.0.0.5:65536'", f"14:11: {BIND}"),
    # what is judged
    "of something else": (f"{GOOD}\nof: requests", "13:15: Input should be 'transaction' or 'request'"),
    "arrivals of users": (
        f"{USERS}\n{P95}\nof: transaction",
        "13:11: users make requests, not arrivals; write of: request, or give a rate",
    ),
    "requests of two sides": (
        f"{GOOD}\n{SIDES}\nof: request",
        "15:11: in a paired run arrivals are compared, of: transaction; name a task to look at it alone",
    ),
    # two sides
    "a control alone": (f"{GOOD}\ncontrol: {{url: 'http://x'}}", f"13:11: {PAIR}"),
    "a candidate alone": (f"{GOOD}\ncandidate: {{url: 'http://x'}}", f"13:11: {PAIR}"),
    "requests of a pair": (
        f"{GOOD}\n{SIDES}\nof: request",
        "15:11: in a paired run arrivals are compared, of: transaction; name a task to look at it alone",
    ),
    "a pair of users": (f"{USERS}\n{P95}\n{SIDES}", "10:11: a paired run needs a rate"),
    "a candidate that is the control": (
        f"{GOOD}\ncontrol: {{url: 'http://x'}}\ncandidate: {{url: 'http://x'}}",
        f"14:11: {THE_SAME}",
    ),
    "two sides of nothing": (f"{GOOD}\ncontrol: {{}}\ncandidate: {{}}", f"14:11: {THE_SAME}"),
    "a header with a space": (
        f"{GOOD}\ncontrol: {{headers: {{'x y': a}}}}\ncandidate: {{}}",
        "13:21: 'x y' is no header that can be sent",
    ),
    "a header without a name": (
        f"{GOOD}\ncontrol: {{}}\ncandidate: {{headers: {{'': a}}}}",
        "14:23: '' is no header that can be sent",
    ),
    **{
        f"a header with {character}": (
            f'{GOOD}\ncontrol: {{headers: {{x: "a{character}b"}}}}\ncandidate: {{}}',
            "13:21: 'x' is no header that can be sent",
        )
        for character in (r"\r", r"\n", r"\0")
    },
    "a header that is a number": (f"{GOOD}\ncontrol: {{headers: {{x: 1}}}}\ncandidate: {{}}", f"13:34: {NO_TEXT}"),
    "an unknown key of a side": (
        f"{GOOD}\ncontrol: {{header: {{x: a}}}}\ncandidate: {{}}",
        "13:21: unknown key 'header'; did you mean 'headers'?",
    ),
    "a side in a word": (f"{GOOD}\ncontrol: x\ncandidate: {{}}", f"13:20: {NO_MAPPING}"),
    # limits
    "no limit": (RATE, "9:11: a latency gate needs a limit, such as p95: {below: 200ms}"),
    "a limit of nothing": (f"{RATE}\np95: {{}}", f"12:11: {ONE_OF_TWO}"),
    "a limit in a word": (f"{RATE}\np95: 200ms", f"12:16: {NO_MAPPING}"),
    "two limits": (f"{RATE}\np95: {{below: 200ms, at_most: 5%}}", f"12:17: {ONE_OF_TWO}"),
    "below no time": (f"{RATE}\np95: {{below: 0s}}", "12:17: nothing is faster than no time"),
    "below a number": (f"{RATE}\np95: {{below: 200}}", f"12:24: 200 {NO_DURATION}"),
    "below a share": (f"{RATE}\np95: {{below: 5%}}", f"12:24: '5%' {NO_DURATION}"),
    "below, and absolute": (
        f"{RATE}\np95: {{below: 200ms, absolute: 5ms}}",
        "12:31: 'absolute' goes with 'at_most'",
    ),
    "only absolute": (f"{RATE}\np95: {{absolute: 5ms}}", f"12:11: {ONE_OF_TWO}"),
    "an unknown key of a limit": (
        f"{RATE}\np95: {{bellow: 200ms}}",
        "12:17: unknown key 'bellow'; did you mean 'below'?",
    ),
    "worse than no control": (f"{RATE}\np95: {{at_most: 10%}}", f"12:11: {COMPARES}"),
    "worse than no control at p99.9": (f"{RATE}\np99.9: {{at_most: 10%}}", f"12:11: {COMPARES}"),
    "not worse at all": (f"{RATE}\n{SIDES}\np99: {{at_most: 0%}}", f"14:17: {EQUAL}"),
    "worse by a time": (f"{RATE}\n{SIDES}\np95: {{at_most: 10ms}}", f"14:26: '10ms' {NO_SHARE}"),
    # errors
    "errors of nothing": (f"{RATE}\nerrors: {{}}", f"12:11: {ONE_ERROR}"),
    "errors in a word": (f"{RATE}\nerrors: 1%", f"12:19: {NO_MAPPING}"),
    "errors twice": (f"{RATE}\nerrors: {{below: 1%, at_most: 0}}", f"12:20: {ONE_ERROR}"),
    "errors below none": (f"{RATE}\nerrors: {{below: 0%}}", f"12:20: {BETWEEN}"),
    "errors below all": (f"{RATE}\nerrors: {{below: 100%}}", f"12:20: {BETWEEN}"),
    "errors below a fraction": (f"{RATE}\nerrors: {{below: 0.01}}", f"12:27: 0.01 {NO_SHARE}"),
    "fewer errors than none": (
        f"{RATE}\nerrors: {{at_most: -1}}",
        "12:29: Input should be greater than or equal to 0",
    ),
    "at most a share of errors": (f"{RATE}\nerrors: {{at_most: 1%}}", f"12:29: {NO_INTEGER}"),
    "at most yes": (f"{RATE}\nerrors: {{at_most: yes}}", f"12:29: {NO_INTEGER}"),
    "an unknown key of errors": (
        f"{RATE}\nerrors: {{atmost: 1}}",
        "12:20: unknown key 'atmost'; did you mean 'at_most'?",
    ),
    "errors that are absolute": (
        f"{RATE}\nerrors: {{at_most: 0, absolute: 5ms}}",
        "12:32: unknown key 'absolute'; known here: at_most, below",
    ),
}


def load(folder: Path, keys: str, beside: str = "") -> Gate:
    path = folder / "shop.rollout.yaml"
    inside = keys.replace("\n", "\n" + " " * 10)
    path.write_text(PLAN % inside + f"        {beside}\n" * bool(beside), encoding="utf-8")
    return load_plan(path).plan.stages[0].gates[0]


def asked(folder: Path, keys: str) -> Latency:
    latency = load(folder, keys).latency
    assert latency is not None
    return latency


def refusal(folder: Path, keys: str, beside: str = "") -> str:
    with pytest.raises(PlanError) as refused:
        load(folder, keys, beside)
    return str(refused.value)


@pytest.mark.parametrize(("keys", "message"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_named_with_its_place(tmp_path: Path, keys: str, message: str) -> None:
    assert refusal(tmp_path, keys) == f"shop.rollout.yaml:{message}"


@pytest.mark.parametrize(
    ("beside", "message"),
    [
        *(
            (f"{key}: {value}", f"a latency gate does not take {key!r}")
            for key, value in {
                "over": "5m",
                "by": "[x]",
                "looks": "once",
                "max_gap": "5s",
                "coverage": "50%",
                "restarts": "ignore",
                "expect_series": "2",
                "quantifier": "all",
                "warnings": "allow",
                "streak": "{every: 5m, consecutive: 2}",
            }.items()
        ),
        *(
            (f"{key}: {value}", "a latency gate has no limit")
            for key, value in {"below": "200ms", "at_most": "0", "above": "1", "at_least": "99%"}.items()
        ),
    ],
)
def test_keys_of_other_gates_are_refused(tmp_path: Path, beside: str, message: str) -> None:
    assert refusal(tmp_path, GOOD, beside) == f"shop.rollout.yaml:13:9: {message}"


def test_a_gate_is_of_one_kind(tmp_path: Path) -> None:
    said = "shop.rollout.yaml:13:9: gate 'a' has latency and unproven; give exactly one kind"
    assert refusal(tmp_path, GOOD, "unproven: x") == said


# --- what is read -----------------------------------------------------------------------------------------------


def test_a_load_is_read_in_seconds(tmp_path: Path) -> None:
    found = asked(
        tmp_path,
        "locustfile: portal\nrate: 1200/min\nfor: 4m\nwarm_up: 0s\ndrain: 30s\nextend: 1m30s\narrivals: constant\n"
        "workers: 2\nbind: 'load.internal:65535'\nof: request\nname: /page\nerrors: {at_most: 3}\n" + P95,
    )
    assert (found.rate, found.users, found.duration) == (20.0, None, 240.0)
    assert (found.warm_up, found.drain, found.extend) == (0.0, 30.0, 90.0)
    assert (found.workers, found.bind, found.of, found.name) == (2, "load.internal:65535", "request", "/page")
    assert found.errors is not None
    assert (found.errors.at_most, found.errors.below) == (3, None)


def test_every_worker_may_have_one_user(tmp_path: Path) -> None:
    found = asked(tmp_path, f"{USERS}\n{P95}\nworkers: 2\nof: request")
    assert (found.users, found.workers, found.rate) == (2, 2, None)


def test_what_is_not_said_is_the_usual(tmp_path: Path) -> None:
    found = asked(tmp_path, GOOD)
    assert (found.warm_up, found.drain, found.extend, found.arrivals) == (5.0, 10.0, 0.0, "poisson")
    assert (found.workers, found.bind, found.of, found.name, found.paired) == (0, None, None, None, False)


def test_every_percentile_is_a_share(tmp_path: Path) -> None:
    names = ("p99.9", "p50", "p99", "p90", "p95")
    found = asked(tmp_path, RATE.replace("2m", "1d") + "".join(f"\n{name}: {{below: 2s}}" for name in names))
    shares = {name: q for name, q, limit in found.quantiles() if limit.below == 2.0}
    assert list(shares) == ["p50", "p90", "p95", "p99", "p99.9"]
    assert shares == pytest.approx({"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}, rel=1e-12)


def test_few_failures_are_many_good_ones(tmp_path: Path) -> None:
    assert list(asked(tmp_path, f"{RATE}\nerrors: {{below: 1%}}").inferred()) == [("errors", 0.99)]


def test_a_count_of_failures_is_not_inferred(tmp_path: Path) -> None:
    assert list(asked(tmp_path, f"{RATE}\nerrors: {{at_most: 0}}").inferred()) == []


def test_a_pair_has_two_sides(tmp_path: Path) -> None:
    found = asked(tmp_path, f"{RATE}\n{SIDES}\np95: {{at_most: 0%, absolute: 5ms}}")
    assert found.paired
    assert found.control is not None
    assert found.candidate is not None
    assert (found.control.url, found.control.headers) == (None, {"X-Cohort": "old"})
    assert (found.candidate.url, found.candidate.headers) == (None, {"X-Cohort": "new"})
    assert found.p95 is not None
    assert (found.p95.at_most, found.p95.absolute) == (0.0, 0.005)


@pytest.mark.parametrize(("beside", "confidence"), [("", 0.95), ("confidence: 99%", 0.99), ("confidence: point", None)])
def test_how_surely_a_limit_has_to_hold(tmp_path: Path, beside: str, confidence: float | None) -> None:
    assert load(tmp_path, GOOD, beside).confidence == confidence


@pytest.mark.parametrize("said", ["50%", "100%", "5%"])
def test_what_is_no_confidence(tmp_path: Path, said: str) -> None:
    message = "confidence must lie between 50% and 100%, both excluded, or be 'point'"
    assert refusal(tmp_path, GOOD, f"confidence: {said}") == f"shop.rollout.yaml:13:21: {message}"


def test_a_latency_gate_is_measured_and_has_no_limit_of_its_own(tmp_path: Path) -> None:
    gate = load(tmp_path, GOOD)
    assert (gate.kind, gate.measured, gate.filed, gate.limit, gate.comparator) == ("latency", True, "", None, None)


def test_what_the_plan_says_makes_the_same_gate_again(tmp_path: Path) -> None:
    gate = load(tmp_path, f"{RATE}\n{SIDES}\np99: {{below: 1s}}\nerrors: {{below: 1%}}", "confidence: point")
    assert Gate.model_validate(json.loads(json.dumps(gate.source))) == gate


def test_what_cannot_be_passed_is_refused_with_the_plan(tmp_path: Path) -> None:
    assert refusal(tmp_path, f"locustfile: portal\nrate: 10/s\nfor: 5s\n{P95}") == (
        "shop.rollout.yaml:12:16: p95 needs 59 requests at least, all of them good; 10 a second for 5 s are about 50; "
        "make it 6 s or longer, or raise the rate [cannot-pass]"
    )
