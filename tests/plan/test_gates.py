"""What a gate may say: exactly one kind, its own keys, a limit in its own unit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_rollout.errors import PlanError
from pytest_rollout.plan.gates import Gate
from pytest_rollout.plan.loader import load_plan
from pytest_rollout.plan.several import AtLeast

PLAN = """\
rollout: shop
environments: {sandbox: {sandbox: true}}
stages:
  - stage: 1
    name: Reads
    gates:
      - {id: a, %s}
"""
KINDS = "attestation, baseline, burn, canary, counter, golden, latency, promql, quantile, ratio, unproven"
NO_SHARE = "is not a share; write per cent, such as 0.5% or 99%"
NO_DURATION = "is not a duration; write a number with a unit, such as 120ms, 30s, 15m, 2h, 7d"
NO_COUNT = "is not a count; write a whole number, such as 0"
NO_NUMBER = "is not a number; this gate compares a bare value, write it without a unit"
NOT_BARE = (
    'must be a bare selector such as http_requests_total{code="500"}: '
    "no function, range or offset; the gate reads the counts itself"
)
NOT_A_VALUE = "the query must give an instant vector or a scalar that can change"
NO_COMPARING = "the query compares with %s; write the bare value and put the limit in the gate"
TOGETHER = "'over' and '$window' in the query go together: over: 30m, rate(x[$window])"
BETWEEN = "a share must lie between 0% and 100%, both excluded"
SURE = "confidence must lie between 50% and 100%, both excluded, or be 'point'"
EXPECT = "say expect_series too: a series that vanished must not make the others enough"
NO_LIST = "a list is needed here"
RATIO = "ratio: {bad: x, total: y}"
ONE_PART = "a ratio has exactly one of 'bad' and 'good' beside 'total'"
QUANTILE = "quantile: {q: 0.95, of: x}"
COUNTER = "counter: {of: x}"
HUGE = "1" + "0" * 400

FAULTS = {
    # kinds
    "no kind": ("over: 5m", f"7:10: gate 'a' has no kind; give one of {KINDS}"),
    "two kinds": (
        f"{COUNTER}, promql: y, at_most: 1",
        "7:35: gate 'a' has counter and promql; give exactly one kind",
    ),
    "three kinds": (
        f"unproven: x, {COUNTER}, promql: y",
        "7:48: gate 'a' has counter and promql and unproven; give exactly one kind",
    ),
    "unknown key": ("promqll: x, below: 5", "7:17: unknown key 'promqll'; did you mean 'promql'?"),
    "unknown key of a ratio": (
        "ratio: {bad: x, totl: y}, below: 1%, over: 5m",
        "7:33: unknown key 'totl'; did you mean 'total'?",
    ),
    "unknown key of a quantile": (
        "quantile: {q: 0.95, off: x}, below: 5ms, over: 5m",
        "7:37: unknown key 'off'; did you mean 'of'?",
    ),
    "unknown key of a counter": (
        "counter: {on: x}, at_most: 0, over: 5m",
        "7:27: unknown key 'on'; known here: absent_is, of",
    ),
    "unknown key of a canary": (
        "canary: {name: c, pases: 2}",
        "7:35: unknown key 'pases'; did you mean 'passes'?",
    ),
    "a ratio of nothing": ("ratio: {total: x}, below: 1%, over: 5m", f"7:25: {ONE_PART}"),
    "a ratio of both": ("ratio: {good: x, bad: y, total: z}, at_least: 99%, over: 5m", f"7:25: {ONE_PART}"),
    "no good ones as zero": (
        "ratio: {good: x, total: y, absent_is: 0}, at_least: 99%, over: 5m",
        "7:44: 'absent_is' goes with 'bad'; no good ones at all are never well",
    ),
    "good ones below": (
        "ratio: {good: x, total: y}, below: 1%, over: 5m",
        "7:45: a ratio gate with 'good' takes at_least, not 'below'",
    ),
    "good ones without a limit": (
        "ratio: {good: x, total: y}, over: 5m",
        "7:17: a ratio gate with 'good' needs exactly one of at_least",
    ),
    "bad ones at least": (
        f"{RATIO}, at_least: 99%, over: 5m",
        "7:44: a ratio gate takes below or at_most, not 'at_least'",
    ),
    "all are good": ("ratio: {good: x, total: y}, at_least: 100%, over: 5m", f"7:45: {BETWEEN}"),
    "missing key of a ratio": ("ratio: {bad: x}, below: 1%, over: 5m", "7:24: 'total' is missing"),
    "a ratio of a word": ("ratio: x, below: 1%, over: 5m", "7:24: a mapping of keys to values is needed here"),
    # units
    "ratio below a fraction": (f"{RATIO}, below: 0.5, over: 5m", f"7:44: 0.5 {NO_SHARE}"),
    "ratio below a time": (f"{RATIO}, below: 5ms, over: 5m", f"7:44: '5ms' {NO_SHARE}"),
    "quantile below a share": (f"{QUANTILE}, below: 5%, over: 5m", f"7:45: '5%' {NO_DURATION}"),
    "quantile below a number": (f"{QUANTILE}, below: 120, over: 5m", f"7:45: 120 {NO_DURATION}"),
    "counter with a share": (f"{COUNTER}, at_most: 5%, over: 5m", f"7:35: '5%' {NO_COUNT}"),
    "counter with half an event": (f"{COUNTER}, at_most: 0.5, over: 5m", f"7:35: 0.5 {NO_COUNT}"),
    "counter with yes": (f"{COUNTER}, at_most: yes, over: 5m", f"7:35: True {NO_COUNT}"),
    "counter with a list": (f"{COUNTER}, at_most: [1], over: 5m", f"7:35: [1] {NO_COUNT}"),
    "counter without end": (f"{COUNTER}, at_most: {HUGE}, over: 5m", "7:35: int too large to convert to float"),
    "value with a share": ("promql: x, below: 5%", f"7:28: '5%' {NO_NUMBER}"),
    "value with a time": ("promql: x, below: 5s", f"7:28: '5s' {NO_NUMBER}"),
    "value with yes": ("promql: x, below: yes", f"7:28: True {NO_NUMBER}"),
    "value of nan": ("promql: x, below: .nan", f"7:28: nan {NO_NUMBER}"),
    "over without a unit": (f"{RATIO}, below: 1%, over: 30", f"7:61: 30 {NO_DURATION}"),
    "coverage without a unit": (f"{COUNTER}, at_most: 0, over: 5m, coverage: 0.9", f"7:67: 0.9 {NO_SHARE}"),
    "gap without a unit": (f"{COUNTER}, at_most: 0, over: 5m, max_gap: 15", f"7:66: 15 {NO_DURATION}"),
    "across without a unit": ("canary: {name: c, passes: 2, across: 30}", f"7:54: 30 {NO_DURATION}"),
    "deadline without a unit": ("canary: {name: c, deadline: 5}", f"7:45: 5 {NO_DURATION}"),
    # limits
    "ratio without a limit": (f"{RATIO}, over: 5m", "7:17: a ratio gate needs exactly one of below, at_most"),
    "counter without a limit": (f"{COUNTER}, over: 5m", "7:17: a counter gate needs exactly one of at_most"),
    "two limits": (
        "promql: x, below: 1, above: 2",
        "7:17: a promql gate needs exactly one of below, at_most, above, at_least",
    ),
    "ratio above": (f"{RATIO}, above: 1%, over: 5m", "7:44: a ratio gate takes below or at_most, not 'above'"),
    "counter below": (f"{COUNTER}, below: 1, over: 5m", "7:35: a counter gate takes at_most, not 'below'"),
    "canary below": ("canary: {name: c}, below: 5", "7:36: a canary gate has no limit"),
    "unproven below": ("unproven: x, below: 5", "7:30: an unproven gate has no limit"),
    "ratio below nothing": (f"{RATIO}, below: 0%, over: 5m", f"7:44: {BETWEEN}"),
    "ratio at most everything": (f"{RATIO}, at_most: 100%, over: 5m", f"7:44: {BETWEEN}"),
    "more than everything": (f"{RATIO}, below: 101%, over: 5m", "7:44: '101%' is more than 100%"),
    "a coin's confidence": (f"{RATIO}, below: 1%, over: 5m, confidence: 50%", f"7:77: {SURE}"),
    "certainty": (f"{RATIO}, below: 1%, over: 5m, confidence: 100%", f"7:77: {SURE}"),
    "a confidence that is no share": (f"{RATIO}, below: 1%, over: 5m, confidence: piont", f"7:77: 'piont' {NO_SHARE}"),
    "less than a coin's confidence": (f"{RATIO}, below: 1%, over: 5m, confidence: 49%", f"7:77: {SURE}"),
    # how evidence is watched
    "other restarts": (
        f"{RATIO}, below: 1%, over: 5m, restarts: allow",
        "7:75: Input should be 'hold', 'charge' or 'ignore'",
    ),
    "other warnings": (f"{RATIO}, below: 1%, over: 5m, warnings: ignore", "7:75: Input should be 'hold' or 'allow'"),
    "too much coverage": (f"{RATIO}, below: 1%, over: 5m, coverage: 101%", "7:75: '101%' is more than 100%"),
    "no series expected": (
        f"{RATIO}, below: 1%, over: 5m, expect_series: 0",
        "7:80: Input should be greater than or equal to 1",
    ),
    "half a series expected": (
        f"{RATIO}, below: 1%, over: 5m, expect_series: 2.5",
        "7:80: Input should be a valid integer",
    ),
    "yes for a number of series": (
        f"{RATIO}, below: 1%, over: 5m, expect_series: yes",
        "7:80: Input should be a valid integer",
    ),
    "restarts of a value": ("promql: x, below: 5, restarts: charge", "7:38: a promql gate does not take 'restarts'"),
    "a rank test without confidence": (
        "baseline: {now: {values: x}, before: flip}, at_most: 5%, over: 5m, confidence: point",
        "7:84: a comparison of values is a test; without any confidence it says nothing",
    ),
    # looks
    "another number of looks": (
        f"{RATIO}, below: 1%, over: 5m, looks: twice",
        "7:72: Input should be 'once' or 'again'",
    ),
    "looks at a count": (f"{COUNTER}, at_most: 0, over: 5m, looks: once", "7:57: a counter gate does not take 'looks'"),
    "looks at a value": ("promql: x, below: 5, looks: once", "7:38: a promql gate does not take 'looks'"),
    # groups
    "groups of nobody knows how many": (f"{COUNTER}, at_most: 0, over: 5m, by: [a]", f"7:57: {EXPECT}"),
    "a label for a list": (f"{COUNTER}, at_most: 0, over: 5m, by: a, expect_series: 2", f"7:61: {NO_LIST}"),
    "a number for a label": (
        f"{COUNTER}, at_most: 0, over: 5m, by: [1], expect_series: 2",
        "7:62: Input should be a valid string",
    ),
    "some of nobody knows how many": (f"{COUNTER}, at_most: 0, over: 5m, by: [a], quantifier: any", f"7:66: {EXPECT}"),
    "some values of nobody knows how many": ("promql: x, below: 5, quantifier: all", f"7:38: {EXPECT}"),
    "a quantifier without groups": (
        f"{COUNTER}, at_most: 0, over: 5m, quantifier: all, expect_series: 2",
        "7:57: a quantifier needs 'by': the labels that tell the groups apart",
    ),
    "groups of values": (
        "promql: x, below: 5, by: [a], expect_series: 2",
        "7:38: a promql gate has the series that its query gives; aggregate there",
    ),
    "more groups than expected": (
        f"{COUNTER}, at_most: 0, over: 5m, by: [a], expect_series: 2, quantifier: {{at_least: 3}}",
        "7:84: more series cannot pass than are expected",
    ),
    # windows
    "ratio without over": (f"{RATIO}, below: 1%", "7:17: a ratio gate needs 'over', such as over: 30m"),
    "quantile without over": (f"{QUANTILE}, below: 1ms", "7:17: a quantile gate needs 'over', such as over: 30m"),
    "counter over nothing": (
        f"{COUNTER}, at_most: 0, over: 0s",
        "7:17: a counter gate needs 'over', such as over: 30m",
    ),
    "canary over": ("canary: {name: c}, over: 5m", "7:36: a canary gate does not take 'over'"),
    "counter with confidence": (
        f"{COUNTER}, at_most: 0, over: 5m, confidence: 99%",
        "7:57: a counter gate does not take 'confidence'",
    ),
    "value with confidence": ("promql: x, below: 5, confidence: 99%", "7:38: a promql gate does not take 'confidence'"),
    "canary with a tolerance": ("canary: {name: c}, warnings: allow", "7:36: a canary gate does not take 'warnings'"),
    "unproven with a tolerance": ("unproven: x, restarts: hold", "7:30: an unproven gate does not take 'restarts'"),
    "over without $window": ("promql: x, below: 5, over: 5m", f"7:17: {TOGETHER}"),
    "$window without over": ("promql: 'rate(x[$window])', below: 5", f"7:17: {TOGETHER}"),
    # queries
    "a comparison": ("promql: 'x > 1', at_most: 0", f"7:25: {NO_COMPARING % '>'}"),
    "a comparison in brackets": ("promql: '((x) == bool 1)', at_most: 0", f"7:25: {NO_COMPARING % '=='}"),
    "a range": ("promql: 'x[5m]', at_most: 0", f"7:25: {NOT_A_VALUE}"),
    "a subquery": ("promql: 'x[5m:1m]', at_most: 0", f"7:25: {NOT_A_VALUE}"),
    "a constant": ("promql: '1', at_most: 1", f"7:25: {NOT_A_VALUE}"),
    "an open bracket": ("promql: 'rate(x[5m]', at_most: 1", "7:25: unclosed left parenthesis"),
    "a query that is no text": ("promql: [x], at_most: 1", "7:25: an expression is text"),
    "a function for a counter": (
        "counter: {of: 'rate(x[5m])'}, at_most: 0, over: 5m",
        f"7:31: 'rate(x[5m])' {NOT_BARE}",
    ),
    "an offset": ("ratio: {bad: x, total: y offset 5m}, below: 1%, over: 5m", f"7:40: 'y offset 5m' {NOT_BARE}"),
    "a selector without a metric": (
        "counter: {of: '{a=\"b\"}'}, at_most: 0, over: 5m",
        "7:31: '{a=\"b\"}' must name one metric",
    ),
    "a selector that is no text": ("counter: {of: 5}, at_most: 0, over: 5m", "7:31: a selector is text"),
    "half a selector": (
        "ratio: {bad: 'x{', total: y}, below: 1%, over: 5m",
        "7:30: unexpected end of input inside braces",
    ),
    "the buckets of a histogram": (
        "quantile: {q: 0.95, of: x_bucket}, below: 1ms, over: 5m",
        "7:37: name the histogram itself: 'x'",
    ),
    "the count of a histogram": (
        "quantile: {q: 0.95, of: a_b_count}, below: 1ms, over: 5m",
        "7:37: name the histogram itself: 'a_b'",
    ),
    "a selector for a histogram": (
        "quantile: {q: 0.95, of: 'x{a=\"1\"}'}, below: 1ms, over: 5m",
        "7:41: 'x{a=\"1\"}' is not the name of a metric; matchers go into 'where'",
    ),
    "le in where": (
        "quantile: {q: 0.95, of: x, where: 'le=\"1\"'}, below: 1ms, over: 5m",
        "7:44: leave out 'le'; the gate reads every bucket",
    ),
    "no matchers in where": (
        "quantile: {q: 0.95, of: x, where: 'a=b'}, below: 1ms, over: 5m",
        "7:44: not a list of matchers: unexpected identifier 'b' in label matching, expected string",
    ),
    "95 per cent as 95": (
        "quantile: {q: 95, of: x}, below: 1ms, over: 5m",
        "7:31: Input should be less than 1",
    ),
    # canaries and what is not proven
    "one pass across a time": (
        "canary: {name: c, across: 5m}",
        "7:35: one pass cannot be spread; write passes: 2 or more",
    ),
    "no passes": ("canary: {name: c, passes: 0}", "7:43: Input should be greater than or equal to 1"),
    "a canary with a space": (
        "canary: {name: C D}",
        "7:32: 'C D' is not a name: use a-z, 0-9, '.', '_' and '-'",
    ),
    "limit of a question": ("attestation: {question: x}, below: 5", "7:45: an attestation gate has no limit"),
    "window of a question": (
        "attestation: {question: x}, over: 5m",
        "7:45: an attestation gate does not take 'over'",
    ),
    "nothing is not proven": ("unproven: ' '", "7:17: say what is not proven yet"),
}


def load(folder: Path, keys: str) -> Gate:
    path = folder / "shop.rollout.yaml"
    path.write_text(PLAN % keys, encoding="utf-8")
    return load_plan(path).plan.stages[0].gates[0]


@pytest.mark.parametrize(("keys", "message"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_named_with_its_place(tmp_path: Path, keys: str, message: str) -> None:
    with pytest.raises(PlanError) as refused:
        load(tmp_path, keys)
    assert str(refused.value) == f"shop.rollout.yaml:{message}"


@pytest.mark.parametrize("gate_id", ["A", "a b", "a::b", "a[1]", "-a", "ü", ""])
def test_an_id_is_a_plain_word(tmp_path: Path, gate_id: str) -> None:
    path = tmp_path / "shop.rollout.yaml"
    path.write_text((PLAN % "unproven: x").replace("id: a", f"id: {gate_id!r}"), encoding="utf-8")
    with pytest.raises(PlanError) as refused:
        load_plan(path)
    said = f"shop.rollout.yaml:7:14: {gate_id!r} is not a name: use a-z, 0-9, '.', '_' and '-'"
    assert str(refused.value) == said


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (f"{RATIO}, below: 0.5%, over: 5m", ("ratio", "below", 0.005, "share")),
        ("ratio: {good: x, total: y}, at_least: 99%, over: 5m", ("ratio", "at_least", 0.01, "share")),
        (f"{QUANTILE}, at_most: 120ms, over: 5m", ("quantile", "at_most", 0.12, "seconds")),
        (f"{COUNTER}, at_most: 0, over: 5m", ("counter", "at_most", 0.0, "count")),
        ("promql: x, above: -1.5", ("promql", "above", -1.5, "")),
        ("promql: 'rate(x[$window])', at_least: 1, over: 5m", ("promql", "at_least", 1.0, "")),
        ("canary: {name: c, passes: 2, across: 5m}", ("canary", None, None, "passes")),
        ("attestation: {question: Quiet}", ("attestation", None, None, "")),
        ("unproven: later", ("unproven", None, None, "")),
        (f"baseline: {{now: {{{RATIO}}}, before: 1d}}, at_most: 10%, over: 5m", ("baseline", "at_most", 0.1, "share")),
        ("burn: {bad: x, total: y, objective: 99%}", ("burn", None, None, "share")),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else value[:24],
)
def test_a_gate_has_its_limit_in_base_units(tmp_path: Path, keys: str, expected: tuple[object, ...]) -> None:
    gate = load(tmp_path, keys)
    assert (gate.kind, gate.comparator, gate.limit, gate.unit) == expected


@pytest.mark.parametrize(
    ("keys", "measured"),
    [
        (f"{COUNTER}, at_most: 0, over: 5m", True),
        ("promql: x, above: -1.5", True),
        ("canary: {name: c}", False),
        ("attestation: {question: Quiet}", False),
        ("unproven: later", False),
    ],
)
def test_only_samples_are_measured(tmp_path: Path, keys: str, *, measured: bool) -> None:
    assert load(tmp_path, keys).measured is measured


def test_what_a_gate_does_not_say_is_strict(tmp_path: Path) -> None:
    gate = load(tmp_path, f"{RATIO}, below: 0.5%, over: 30m")
    assert (gate.over, gate.coverage, gate.confidence, gate.max_gap) == (1800.0, 0.95, 0.95, None)
    assert (gate.restarts, gate.warnings, gate.expect_series) == ("hold", "hold", None)
    assert (gate.by, gate.quantifier, gate.streak, gate.looks) == ((), None, None, "again")


@pytest.mark.parametrize(
    "keys",
    [
        f"{RATIO}, below: 1%, over: 5m",
        f"{QUANTILE}, below: 1ms, over: 5m",
        f"baseline: {{now: {{{RATIO}}}, before: 1d}}, at_most: 10%, over: 5m",
        "burn: {bad: x, total: y, objective: 99%}",
    ],
)
@pytest.mark.parametrize("said", ["once", "again"])
def test_what_has_bounds_may_promise_one_look(tmp_path: Path, keys: str, said: str) -> None:
    assert load(tmp_path, f"{keys}, looks: {said}").looks == said


@pytest.mark.parametrize("said", ["charge", "ignore"])
def test_a_restart_may_be_charged_or_ignored(tmp_path: Path, said: str) -> None:
    assert load(tmp_path, f"{COUNTER}, at_most: 0, over: 5m, restarts: {said}").restarts == said


WATCHED = "coverage: 90%, max_gap: 1m, expect_series: 2, warnings: allow"


@pytest.mark.parametrize(
    "keys",
    [
        f"{RATIO}, below: 1%, over: 5m",
        f"{QUANTILE}, below: 1ms, over: 5m",
        f"{COUNTER}, at_most: 0, over: 5m",
        "promql: x, below: 5, quantifier: all",
        f"baseline: {{now: {{{RATIO}}}, before: 1d}}, at_most: 10%, over: 5m",
        "burn: {bad: x, total: y, objective: 99%}",
    ],
)
def test_what_is_measured_may_be_watched_as_the_plan_says(tmp_path: Path, keys: str) -> None:
    gate = load(tmp_path, f"{keys}, {WATCHED}")
    assert (gate.coverage, gate.max_gap) == (0.9, 60.0)
    assert (gate.expect_series, gate.warnings) == (2, "allow")


@pytest.mark.parametrize("keys", [f"{RATIO}, below: 1%, over: 5m", f"{QUANTILE}, below: 1ms, over: 5m"])
@pytest.mark.parametrize(("said", "confidence"), [("point", None), ("99.9%", 0.999), ("50.1%", 0.501)])
def test_a_point_has_no_confidence(tmp_path: Path, keys: str, said: str, confidence: float | None) -> None:
    assert load(tmp_path, f"{keys}, confidence: {said}").confidence == pytest.approx(confidence)


@pytest.mark.parametrize(("said", "wanted"), [("all", "all"), ("any", "any"), ("{at_least: 2}", AtLeast(at_least=2))])
def test_some_of_the_groups_or_series_have_to_pass(tmp_path: Path, said: str, wanted: object) -> None:
    some = f"expect_series: 2, quantifier: {said}"
    groups = load(tmp_path, f"{RATIO}, below: 1%, over: 5m, by: [zone, pod], {some}")
    assert (groups.by, groups.quantifier, groups.expect_series) == (("zone", "pod"), wanted, 2)
    values = load(tmp_path, f"promql: x, below: 5, {some}")
    assert (values.by, values.quantifier) == ((), wanted)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("most", "7:96: 'most' is not a quantifier; write all, any, or {at_least: 2}"),
        ("[all]", "7:96: ['all'] is not a quantifier; write all, any, or {at_least: 2}"),
        ("{}", "7:96: 'at_least' is missing"),
        ("{at_least: 0}", "7:96: Input should be greater than or equal to 1"),
        ("{atleast: 1}", "7:84: unknown key 'atleast'; did you mean 'at_least'?"),
    ],
)
def test_another_quantifier_is_refused(tmp_path: Path, said: str, message: str) -> None:
    with pytest.raises(PlanError) as refused:
        load(tmp_path, f"{COUNTER}, at_most: 0, over: 5m, by: [a], expect_series: 2, quantifier: {said}")
    assert str(refused.value).splitlines()[-1] == f"shop.rollout.yaml:{message}"


@pytest.mark.parametrize(
    "keys",
    [
        f"{RATIO}, below: 0.5%, over: 30m, confidence: point, by: [a], expect_series: 2, quantifier: {{at_least: 2}}",
        "burn: {bad: x, total: y, objective: 99%, pairs: [{long: 5m, short: 1m, factor: 2}]}",
        f"baseline: {{now: {{{QUANTILE}}}, before: flip}}, at_most: 10%, over: 5m, max_gap: 1m",
        f"{COUNTER}, at_most: 0, over: 5m, streak: {{every: 5m, at_least: 2, of: 3}}",
    ],
)
def test_what_the_plan_says_makes_the_same_gate_again(tmp_path: Path, keys: str) -> None:
    gate = load(tmp_path, keys)
    again = Gate.model_validate(json.loads(json.dumps(gate.source)))
    assert again == gate
    assert again.limit == gate.limit


def test_a_quantile_reads_every_bucket_of_the_chosen_series(tmp_path: Path) -> None:
    gate = load(tmp_path, "quantile: {q: 0.9, of: lat_seconds, where: 'a=\"b\"'}, below: 1s, over: 5m")
    assert gate.quantile is not None
    assert gate.quantile.selector == 'lat_seconds_bucket{a="b"}'
