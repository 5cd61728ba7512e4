"""What a gate may say: exactly one kind, its own keys, a limit in its own unit."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_rollout.errors import PlanError
from pytest_rollout.plan.gates import Gate
from pytest_rollout.plan.loader import load_plan

PLAN = """\
rollout: shop
environments: {sandbox: {sandbox: true}}
stages:
  - stage: 1
    name: Reads
    gates:
      - {id: a, %s}
"""
KINDS = "canary, counter, promql, quantile, ratio, unproven"
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
SURE = "confidence must lie between 50% and 100%, both excluded"
RATIO = "ratio: {bad: x, total: y}"
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
        "7:27: unknown key 'on'; known here: of",
    ),
    "unknown key of a canary": (
        "canary: {name: c, pases: 2}",
        "7:35: unknown key 'pases'; did you mean 'passes'?",
    ),
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
    "unproven below": ("unproven: x, below: 5", "7:30: a unproven gate has no limit"),
    "ratio below nothing": (f"{RATIO}, below: 0%, over: 5m", f"7:44: {BETWEEN}"),
    "ratio at most everything": (f"{RATIO}, at_most: 100%, over: 5m", f"7:44: {BETWEEN}"),
    "more than everything": (f"{RATIO}, below: 101%, over: 5m", "7:44: '101%' is more than 100%"),
    "a coin's confidence": (f"{RATIO}, below: 1%, over: 5m, confidence: 50%", f"7:65: {SURE}"),
    "certainty": (f"{RATIO}, below: 1%, over: 5m, confidence: 100%", f"7:65: {SURE}"),
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
    "value with coverage": ("promql: x, below: 5, coverage: 9%", "7:38: a promql gate does not take 'coverage'"),
    "over without $window": ("promql: x, below: 5, over: 5m", f"7:17: {TOGETHER}"),
    "$window without over": ("promql: 'rate(x[$window])', below: 5", f"7:17: {TOGETHER}"),
    # queries
    "a comparison": ("promql: 'x > 1', at_most: 0", f"7:17: {NO_COMPARING % '>'}"),
    "a comparison in brackets": ("promql: '((x) == bool 1)', at_most: 0", f"7:17: {NO_COMPARING % '=='}"),
    "a range": ("promql: 'x[5m]', at_most: 0", f"7:17: {NOT_A_VALUE}"),
    "a subquery": ("promql: 'x[5m:1m]', at_most: 0", f"7:17: {NOT_A_VALUE}"),
    "a constant": ("promql: '1', at_most: 1", f"7:17: {NOT_A_VALUE}"),
    "an open bracket": ("promql: 'rate(x[5m]', at_most: 1", "7:17: unclosed left parenthesis"),
    "a query that is no text": ("promql: [x], at_most: 1", "7:25: Input should be a valid string"),
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
        (f"{QUANTILE}, at_most: 120ms, over: 5m", ("quantile", "at_most", 0.12, "seconds")),
        (f"{COUNTER}, at_most: 0, over: 5m", ("counter", "at_most", 0.0, "count")),
        ("promql: x, above: -1.5", ("promql", "above", -1.5, "")),
        ("promql: 'rate(x[$window])', at_least: 1, over: 5m", ("promql", "at_least", 1.0, "")),
        ("canary: {name: c, passes: 2, across: 5m}", ("canary", None, None, "passes")),
        ("unproven: later", ("unproven", None, None, "")),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else value[:24],
)
def test_a_gate_has_its_limit_in_base_units(tmp_path: Path, keys: str, expected: tuple[object, ...]) -> None:
    gate = load(tmp_path, keys)
    assert (gate.kind, gate.comparator, gate.limit, gate.unit) == expected


def test_what_a_gate_does_not_say_is_strict(tmp_path: Path) -> None:
    gate = load(tmp_path, f"{RATIO}, below: 0.5%, over: 30m")
    assert (gate.over, gate.coverage, gate.confidence, gate.max_gap) == (1800.0, 0.95, 0.95, None)


def test_a_quantile_reads_every_bucket_of_the_chosen_series(tmp_path: Path) -> None:
    gate = load(tmp_path, "quantile: {q: 0.9, of: lat_seconds, where: 'a=\"b\"'}, below: 1s, over: 5m")
    assert gate.quantile is not None
    assert gate.quantile.selector == 'lat_seconds_bucket{a="b"}'
