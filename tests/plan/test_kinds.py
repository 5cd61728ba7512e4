"""What each kind of gate asks about: which words it takes, what they mean, and what it takes for granted."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_rollout.errors import PlanError
from pytest_rollout.plan.gates import Gate
from pytest_rollout.plan.kinds import BurnPair
from pytest_rollout.plan.loader import load_plan

PLAN = """\
rollout: shop
environments: {sandbox: {sandbox: true}}
stages:
  - stage: 1
    name: Reads
    gates:
      - id: a
        %s: {%s}
        %s
"""
NO_SHARE = "is not a share; write per cent, such as 0.5% or 99%"
NO_DURATION = "is not a duration; write a number with a unit, such as 120ms, 30s, 15m, 2h, 7d"
NOT_BARE = (
    'must be a bare selector such as http_requests_total{code="500"}: '
    "no function, range or offset; the gate reads the counts itself"
)
LIMITED = "{at_most: 10%, over: 5m}"
RATIO = "ratio: {bad: x, total: y}"
QUANTILE = "quantile: {q: 0.9, of: x}"
ONE_SIDE = "compare with exactly one of 'control' and 'before'"
ONE_KIND = "compare exactly one of ratio, quantile, values"
NEVER = "equal to the baseline is never proven; allow some per cent, or give 'absolute'"
BETWEEN = "an objective must lie between 0% and 100%, both excluded"
ORDERED = "the short window must be shorter than the long one"
BURN = "bad: x, total: y, objective: 99%"
PAIR = "long: 5m, short: 1m"
ZERO = "no series can only mean zero; write absent_is: 0, or leave it out"
TWO_FORMS = "a streak needs either 'consecutive', or 'at_least' and 'of'"
COUNTER = "at_most: 0\n        over: 5m\n        "


def load(folder: Path, kind: str, keys: str, rest: str) -> Gate:
    path = folder / "shop.rollout.yaml"
    path.write_text(PLAN % (kind, keys, rest), encoding="utf-8")
    return load_plan(path).plan.stages[0].gates[0]


def refused(folder: Path, kind: str, keys: str, rest: str) -> str:
    with pytest.raises(PlanError) as caught:
        load(folder, kind, keys, rest)
    return str(caught.value).replace("shop.rollout.yaml:", "")


# --- a baseline ----------------------------------------------------------------------------------------------

BASELINES = {
    # In the baseline itself, line 8; it begins at column 19, its first value at 25.
    "nothing to compare with": (f"now: {{{RATIO}}}", f"8:20: {ONE_SIDE}"),
    "two to compare with": (f"now: {{{RATIO}}}, control: {{{RATIO}}}, before: 1d", f"8:20: {ONE_SIDE}"),
    "nothing compared": ("before: 1d", "8:19: 'now' is missing"),
    "an empty side": ("now: {}, before: 1d", f"8:20: {ONE_KIND}"),
    "two kinds at a side": (f"now: {{{RATIO}, values: z}}, before: 1d", f"8:53: {ONE_KIND}"),
    "three kinds at a side": (f"now: {{values: z, {QUANTILE}, {RATIO}}}, before: 1d", f"8:37: {ONE_KIND}"),
    "an unknown side": (f"now: {{{RATIO}}}, befor: 1d", "8:54: unknown key 'befor'; did you mean 'before'?"),
    "an unknown kind of side": ("now: {rato: 1}, before: 1d", "8:26: unknown key 'rato'; did you mean 'ratio'?"),
    "a side of another kind": (
        f"now: {{{RATIO}}}, control: {{values: z}}",
        "8:54: 'now' is a ratio, so 'control' must be one too",
    ),
    "a side of another quantile": (
        "now: {quantile: {q: 0.9, of: x}}, control: {quantile: {q: 0.5, of: x}}",
        "8:54: both sides must ask for the same quantile",
    ),
    "a side that compares": (
        "now: {values: 'z > 1'}, before: 1d",
        "8:34: the query compares with >; write the bare value and put the limit in the gate",
    ),
    "an absolute difference of values": (
        "now: {values: z}, before: 1d, absolute: 1%",
        "8:50: a comparison of values is relative; leave out 'absolute'",
    ),
    "a share as a time": (f"now: {{{RATIO}}}, before: 1d, absolute: 5ms", f"8:66: '5ms' {NO_SHARE}"),
    "a time as a share": (f"now: {{{QUANTILE}}}, before: 1d, absolute: 1%", f"8:66: '1%' {NO_DURATION}"),
    "a ratio's direction": (
        f"now: {{{RATIO}}}, before: 1d, direction: increase",
        "8:66: a ratio only becomes worse by rising; leave out 'direction'",
    ),
    "a quantile's direction": (
        f"now: {{{QUANTILE}}}, before: 1d, direction: either",
        "8:66: a quantile only becomes worse by rising; leave out 'direction'",
    ),
    "an unknown direction": (
        "now: {values: z}, before: 1d, direction: up",
        "8:61: Input should be 'increase', 'decrease' or 'either'",
    ),
    # In what its gate says, line 9.
    "equal": (f"now: {{{RATIO}}}, before: 1d | {{at_most: 0%, over: 5m}}", f"9:9: {NEVER}"),
    "equal, absolutely": (f"now: {{{RATIO}}}, before: 1d, absolute: 0% | {{at_most: 0%, over: 5m}}", f"9:9: {NEVER}"),
    "equal values": ("now: {values: z}, before: 1d | {at_most: 0%, over: 5m}", f"9:9: {NEVER}"),
    "no limit": (f"now: {{{RATIO}}}, before: 1d | {{over: 5m}}", "8:9: a baseline gate needs exactly one of at_most"),
    "another limit": (
        f"now: {{{RATIO}}}, before: 1d | {{below: 10%, over: 5m}}",
        "9:9: a baseline gate takes at_most, not 'below'",
    ),
    "a limit without a unit": (f"now: {{{RATIO}}}, before: 1d | {{at_most: 0.1, over: 5m}}", f"9:9: 0.1 {NO_SHARE}"),
    "no window": (
        f"now: {{{RATIO}}}, before: 1d | {{at_most: 10%}}",
        "8:9: a baseline gate needs 'over', such as over: 30m",
    ),
    "groups": (
        f"now: {{{RATIO}}}, before: 1d | {{by: [a], at_most: 10%, over: 5m}}",
        "9:9: a baseline gate does not take 'by'",
    ),
    "a quantifier": (
        f"now: {{{RATIO}}}, before: 1d | {{quantifier: all, at_most: 10%, over: 5m}}",
        "9:9: a baseline gate does not take 'quantifier'",
    ),
    "a streak": (
        f"now: {{{RATIO}}}, before: 1d | {{streak: {{every: 5m, consecutive: 2}}, at_most: 10%, over: 5m}}",
        "9:9: a baseline gate does not take 'streak'",
    ),
}


def lines(braces: str) -> str:
    """Return ``{a: 1, b: 2}`` as keys of the gate."""
    inner, out, depth = braces.strip()[1:-1], "", 0
    for letter in inner:
        depth += (letter in "[{") - (letter in "]}")
        out += "\n       " if letter == "," and not depth else letter
    return out


@pytest.mark.parametrize(("said", "message"), BASELINES.values(), ids=BASELINES)
def test_a_fault_of_a_baseline_is_named_with_its_place(tmp_path: Path, said: str, message: str) -> None:
    keys, _, rest = said.partition(" | ")
    assert refused(tmp_path, "baseline", keys, lines(rest or LIMITED)) == message


def test_a_baseline_begins_somewhere(tmp_path: Path) -> None:
    said = refused(tmp_path, "baseline", f"now: {{{RATIO}}}, before: yesterday", lines(LIMITED))
    assert said == f"8:62: 'yesterday' {NO_DURATION}"
    said = refused(tmp_path, "baseline", f"now: {{{RATIO}}}, before: 0s", lines(LIMITED))
    assert said == "8:54: a baseline must lie earlier; write before: 24h, or before: flip"


@pytest.mark.parametrize(
    ("keys", "kind", "before", "absolute"),
    [
        (f"now: {{{RATIO}}}, before: 1d", "ratio", 86400.0, 0.0),
        (f"now: {{{RATIO}}}, before: flip, absolute: 0.1%", "ratio", "flip", 0.001),
        (f"now: {{{QUANTILE}}}, before: 90m, absolute: 5ms", "quantile", 5400.0, 0.005),
        (f"now: {{{QUANTILE}}}, control: {{quantile: {{q: 0.9, of: y}}}}", "quantile", None, 0.0),
        ("now: {values: 'rate(z[5m])'}, control: {values: z}, direction: either", "values", None, 0.0),
    ],
    ids=lambda value: value if isinstance(value, str) and ":" in value else "",
)
def test_a_baseline_has_what_it_says(tmp_path: Path, keys: str, kind: str, before: object, absolute: float) -> None:
    gate = load(tmp_path, "baseline", keys, lines(LIMITED))
    assert (gate.kind, gate.comparator, gate.limit, gate.unit) == ("baseline", "at_most", 0.1, "share")
    assert gate.baseline is not None
    assert (gate.baseline.now.kind, gate.baseline.before, gate.baseline.least_effect) == (kind, before, absolute)
    assert (gate.baseline.control is None) == (before is not None)


def test_an_absolute_difference_is_enough_of_a_limit(tmp_path: Path) -> None:
    rest = lines("{at_most: 0%, over: 5m}")
    gate = load(tmp_path, "baseline", f"now: {{{RATIO}}}, before: 1d, absolute: 0.1%", rest)
    assert gate.limit == 0


def test_values_become_worse_by_rising_unless_it_says_otherwise(tmp_path: Path) -> None:
    plain = load(tmp_path, "baseline", "now: {values: z}, before: 1d", lines(LIMITED)).baseline
    other = load(tmp_path, "baseline", "now: {values: z}, before: 1d, direction: decrease", lines(LIMITED)).baseline
    assert [one and one.direction for one in (plain, other)] == ["increase", "decrease"]


# --- burning an error budget ---------------------------------------------------------------------------------

BURNS = {
    "no objective": ("bad: x, total: y", "8:15: 'objective' is missing"),
    "a full objective": ("bad: x, total: y, objective: 100%", f"8:34: {BETWEEN}"),
    "no objective at all": ("bad: x, total: y, objective: 0%", f"8:34: {BETWEEN}"),
    "an objective without a unit": ("bad: x, total: y, objective: 0.999", f"8:45: 0.999 {NO_SHARE}"),
    "a budget too large for the pairs of the workbook": (
        "bad: x, total: y, objective: 90%",
        "8:9: 14.4 times a budget of 10.000% can never be burnt",
    ),
    "a factor too large": (
        f"{BURN}, pairs: [{{{PAIR}, factor: 1}}, {{{PAIR}, factor: 100}}]",
        "8:50: 100 times a budget of 1.000% can never be burnt",
    ),
    "a factor that takes everything": (
        f"bad: x, total: y, objective: 50%, pairs: [{{{PAIR}, factor: 2}}]",
        "8:50: 2 times a budget of 50.000% can never be burnt",
    ),
    "no pairs": (f"{BURN}, pairs: []", "8:57: at least one entry is needed here"),
    "a pair for a list": (f"{BURN}, pairs: {{{PAIR}, factor: 1}}", "8:57: a list is needed here"),
    "windows of one length": (f"{BURN}, pairs: [{{long: 5m, short: 5m, factor: 1}}]", f"8:69: {ORDERED}"),
    "windows in the wrong order": (f"{BURN}, pairs: [{{long: 5m, short: 6m, factor: 1}}]", f"8:69: {ORDERED}"),
    "a window of nothing": (f"{BURN}, pairs: [{{long: 5m, short: 0s, factor: 1}}]", f"8:69: {ORDERED}"),
    "no factor": (f"{BURN}, pairs: [{{{PAIR}}}]", "8:58: 'factor' is missing"),
    "a factor of nothing": (f"{BURN}, pairs: [{{{PAIR}, factor: 0}}]", "8:88: Input should be greater than 0"),
    "a window without a unit": (
        f"{BURN}, pairs: [{{long: 5, short: 1m, factor: 1}}]",
        f"8:65: 5 {NO_DURATION}",
    ),
    "an unknown window": (
        f"{BURN}, pairs: [{{long: 5m, shrt: 1m, factor: 1}}]",
        "8:69: unknown key 'shrt'; did you mean 'short'?",
    ),
    "a rate": ("bad: 'rate(x[5m])', total: y, objective: 99%", f"8:21: 'rate(x[5m])' {NOT_BARE}"),
    "absent is one": (f"{BURN}, absent_is: 1", f"8:61: 1: {ZERO}"),
    "a limit": (f"{BURN} | {{below: 1%}}", "9:9: a burn gate has no limit"),
    "a window": (f"{BURN} | {{over: 5m}}", "9:9: a burn gate does not take 'over'"),
    "groups": (f"{BURN} | {{by: [a]}}", "9:9: a burn gate does not take 'by'"),
    "a streak": (
        f"{BURN} | {{streak: {{every: 5m, consecutive: 2}}}}",
        "9:9: a burn gate does not take 'streak'",
    ),
}


@pytest.mark.parametrize(("said", "message"), BURNS.values(), ids=BURNS)
def test_a_fault_of_a_burn_is_named_with_its_place(tmp_path: Path, said: str, message: str) -> None:
    keys, _, rest = said.partition(" | ")
    assert refused(tmp_path, "burn", keys, lines(rest) if rest else "") == message


def test_a_budget_burns_in_the_windows_of_the_workbook_unless_it_says_otherwise(tmp_path: Path) -> None:
    gate = load(tmp_path, "burn", "bad: x, total: y, objective: 99.9%", "")
    assert (gate.kind, gate.comparator, gate.limit, gate.unit) == ("burn", None, None, "share")
    assert gate.burn is not None
    told = [(pair.long, pair.short, pair.factor) for pair in gate.burn.pairs]
    assert told == [(3600.0, 300.0, 14.4), (21600.0, 1800.0, 6.0)]
    own = load(tmp_path, "burn", f"{BURN}, absent_is: 0, pairs: [{{{PAIR}, factor: 99.9}}]", "coverage: 90%").burn
    assert own is not None
    assert own.pairs == (BurnPair(long="5m", short="1m", factor=99.9),)  # type: ignore[arg-type]
    assert (own.objective, own.ratio.bad, own.ratio.total, own.ratio.absent_is) == (0.99, "x", "y", 0)
    assert gate.burn.ratio.absent_is is None


# --- a streak ------------------------------------------------------------------------------------------------

STREAKS = {
    "no form": ("every: 5m", f"11:18: {TWO_FORMS}"),
    "half a form": ("every: 5m, at_least: 2", f"11:18: {TWO_FORMS}"),
    "the other half": ("every: 5m, of: 3", f"11:18: {TWO_FORMS}"),
    "a form and a half": ("every: 5m, consecutive: 2, of: 3", f"11:18: {TWO_FORMS}"),
    "a form and the other half": ("every: 5m, consecutive: 2, at_least: 2", f"11:18: {TWO_FORMS}"),
    "both forms": ("every: 5m, consecutive: 2, at_least: 2, of: 3", f"11:18: {TWO_FORMS}"),
    "no period": ("consecutive: 2", "11:17: 'every' is missing"),
    "a period of nothing": ("every: 0s, consecutive: 2", "11:18: a period must be longer than nothing"),
    "a period without a unit": ("every: 5, consecutive: 2", f"11:25: 5 {NO_DURATION}"),
    "once in a row": ("every: 5m, consecutive: 1", "11:42: Input should be greater than or equal to 2"),
    "at least never": ("every: 5m, at_least: 0, of: 3", "11:39: Input should be greater than or equal to 1"),
    "out of one": ("every: 5m, at_least: 1, of: 1", "11:46: Input should be greater than or equal to 2"),
    "more than all": ("every: 5m, at_least: 4, of: 3", "11:29: more periods cannot pass than are looked at"),
    "unknown key": (
        "every: 5m, in_a_row: 2",
        "11:29: unknown key 'in_a_row'; known here: at_least, consecutive, every, of",
    ),
}


@pytest.mark.parametrize(("keys", "message"), STREAKS.values(), ids=STREAKS)
def test_a_fault_of_a_streak_is_named_with_its_place(tmp_path: Path, keys: str, message: str) -> None:
    assert refused(tmp_path, "counter", "of: x", f"{COUNTER}streak: {{{keys}}}") == message


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("every: 5m, consecutive: 2", (300.0, 2, 2)),
        ("every: 1h, at_least: 1, of: 2", (3600.0, 1, 2)),
        ("every: 30s, at_least: 3, of: 3", (30.0, 3, 3)),
    ],
)
def test_a_streak_wants_some_of_so_many_periods(tmp_path: Path, keys: str, expected: tuple[object, ...]) -> None:
    streak = load(tmp_path, "counter", "of: x", f"{COUNTER}streak: {{{keys}}}").streak
    assert streak is not None
    assert (streak.every, streak.wanted, streak.periods) == expected


# --- what is absent ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "keys", "limit"),
    [("ratio", "bad: x, total: y", "below: 1%"), ("counter", "of: x", "at_most: 0")],
)
@pytest.mark.parametrize("value", ["1", "'none'", "''", "false"])
def test_absence_is_zero_or_nothing_is_said(tmp_path: Path, kind: str, keys: str, limit: str, value: str) -> None:
    rest = f"{limit}\n        over: 5m"
    column = len(f"        {kind}: {{{keys}, absent_is: ") + 1
    assert (
        refused(tmp_path, kind, f"{keys}, absent_is: {value}", rest)
        == f"8:{column}: {value.title() if value == 'false' else value}: {ZERO}"
    )
    known = getattr(load(tmp_path, kind, f"{keys}, absent_is: 0", rest), kind)
    silent = getattr(load(tmp_path, kind, keys, rest), kind)
    assert (known.absent_is, silent.absent_is) == (0, None)
