"""Alerts on canaries, judged by promtool over what is really pushed."""

from __future__ import annotations

import math
import re
import string
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from pytest_rollout.evidence.record import Place
from pytest_rollout.judge.slot import Slot, SlotState
from pytest_rollout.plan.schedule import Schedule
from pytest_rollout.publish.canary_metrics import canary_group
from pytest_rollout.publish.pushgateway import JOB, Group, Pushgateway, exposition
from pytest_rollout.publish.rules import canary_rules
from tests.publish.gateways import samples

SETTLEMENT = {"settlement": Schedule.model_validate({"every": "15m", "deadline": "2m", "grace": "5m"})}
PLACE = Place("prisma", "production", "https://portal")
RULES = "groups:\n" + canary_rules("prisma", "production", SETTLEMENT, 1.0)
DUE = 22  # minutes: every, deadline and grace
NOTHING: tuple[str, ...] = ()
STOPPED, NEVER_RAN, NOT_OK = "RolloutCanaryStopped", "RolloutCanaryNeverRan", "RolloutCanaryNotOk"
SEVERITY = {STOPPED: "critical", NEVER_RAN: "warning", NOT_OK: "critical"}
OK, FAILED, MISSED, SUPPRESSED = SlotState.OK, SlotState.FAILED, SlotState.MISSED, SlotState.SUPPRESSED

Pushes = Mapping[int, Group]
"""By minute since the epoch, where promtool's time begins."""


def pushed(states: Sequence[SlotState | None], took: int = 1) -> dict[int, Group]:
    """What is pushed for a slot every 15 minutes, from minute 15 on; nothing for None."""
    return {15 * number + took: slot(number, state, took) for number, state in enumerate(states, 1) if state}


def slot(number: int, state: SlotState, took: int = 1) -> Group:
    runs = () if state in (MISSED, SUPPRESSED) else ("run",)
    at = 900.0 * number
    ended = Slot(canary="settlement", at=at, every=900.0, state=state, ended_at=at + 60 * took, runs=runs)
    return canary_group(PLACE, [ended], [])


def series(pushes: Pushes, until: int) -> list[dict[str, str]]:
    """What Prometheus scrapes each minute from a gateway that keeps what was pushed for ever."""
    kept: dict[str, dict[str, float]] = {}
    values: dict[str, list[str]] = {}
    for minute in range(until + 1):
        if minute in pushes:
            kept |= families(pushes[minute])
        for name, value in (one for family in kept.values() for one in family.items()):
            values.setdefault(name, ["_"] * minute).append(repr(value))
    return [{"series": name, "values": " ".join(seen)} for name, seen in values.items()]


def families(group: Group) -> dict[str, dict[str, float]]:
    """Family to series to value: a push replaces whole families."""
    return {
        family.name: {
            named(sample.name, {"job": JOB, **group.labels, **sample.labels}): sample.value for sample in family.samples
        }
        for family in text_string_to_metric_families(exposition(group.metrics))
    }


def named(name: str, labels: Mapping[str, str]) -> str:
    """A series as promtool reads it; whatever is not plain is escaped."""
    plain = string.ascii_letters + string.digits + "-_."
    escaped = {label: "".join(c if c in plain else f"\\U{ord(c):08x}" for c in text) for label, text in labels.items()}
    pairs = ",".join(f'{label}="{text}"' for label, text in escaped.items())
    return f"{name}{{{pairs}}}"


def alert(name: str) -> dict[str, Any]:
    labels = {"alertname": name, "alertstate": "firing", "canary": "settlement", "instance": "production"}
    return {"labels": named("ALERTS", {**labels, "rollout": "prisma", "severity": SEVERITY[name]}), "value": 1}


def check(folder: Path, given: list[dict[str, str]], firing: Mapping[int, Sequence[str]], rules: str = RULES) -> None:
    """Assert by promtool which alerts fire at which minutes."""
    expected = [
        {
            "expr": 'ALERTS{alertstate="firing"}',
            "eval_time": f"{minute}m",
            "exp_samples": [alert(name) for name in names],
        }
        for minute, names in firing.items()
    ]
    promtool(folder, rules, {"interval": "1m", "input_series": given, "promql_expr_test": expected})


def promtool(folder: Path, rules: str, test: dict[str, Any]) -> None:
    (folder / "canaries.rules.yml").write_text(rules, encoding="utf-8")
    tests = {"rule_files": ["canaries.rules.yml"], "evaluation_interval": "1m", "tests": [test]}
    (folder / "test.yml").write_text(yaml.safe_dump(tests, allow_unicode=True), encoding="utf-8")
    for command in (("check", "rules", "canaries.rules.yml"), ("test", "rules", "test.yml")):
        done = subprocess.run(
            ["promtool", *command], cwd=folder, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


# --- a canary that stops ---


def test_a_canary_that_runs_is_not_told(tmp_path: Path) -> None:
    """Also if the first run takes no time and the next one all of its own."""
    runs = {**pushed([OK] * 9), **pushed([None] * 9 + [OK] * 9, took=2)}
    check(tmp_path, series(runs, 290), dict.fromkeys(range(290), NOTHING))


def test_a_canary_that_stops_is_told_for_ever(tmp_path: Path) -> None:
    last = 30 + 1
    given = series(pushed([OK, OK]), 1500)
    check(tmp_path, given, {last + DUE: [], last + DUE + 1: [STOPPED], 300: [STOPPED], 1500: [STOPPED]})


def test_a_canary_that_runs_again_is_not_told_any_more(tmp_path: Path) -> None:
    given = series(pushed([OK, OK, None, None, OK]), 90)
    check(tmp_path, given, {54: [STOPPED], 75: [STOPPED], 76: [], 90: []})


def test_missed_slots_are_no_runs(tmp_path: Path) -> None:
    """Whoever accounts for slots may live while nobody runs them."""
    given = series(pushed([OK, OK, MISSED, MISSED, MISSED]), 90)
    check(tmp_path, given, {53: [], 54: [STOPPED], 67: [STOPPED], 68: [STOPPED, NOT_OK], 90: [STOPPED, NOT_OK]})


def test_a_clock_that_runs_ahead_hides_nothing(tmp_path: Path) -> None:
    given = series({5: slot(1000, OK)}, 60)
    check(tmp_path, given, {6: [STOPPED], 60: [STOPPED]})


def test_a_maintenance_is_quiet_while_somebody_accounts_for_it(tmp_path: Path) -> None:
    silent = pushed([OK, *[SUPPRESSED] * 8, OK])
    check(tmp_path, series(silent, 160), dict.fromkeys(range(160), NOTHING))
    dead = pushed([OK, *[SUPPRESSED] * 8])
    last = 15 * 9
    check(tmp_path, series(dead, 200), {last + DUE: [], last + DUE + 1: [STOPPED], 200: [STOPPED]})


# --- a canary that was never there ---


def test_a_canary_that_never_ran_is_told(tmp_path: Path) -> None:
    check(tmp_path, [], {DUE - 1: [], DUE: [NEVER_RAN], 300: [NEVER_RAN]})


def test_a_canary_that_begins_to_run_is_not_told_any_more(tmp_path: Path) -> None:
    check(tmp_path, series(pushed([None, None, OK]), 60), {45: [NEVER_RAN], 46: [], 60: []})


def test_slots_that_nobody_runs_are_no_runs(tmp_path: Path) -> None:
    given = series(pushed([MISSED] * 4), 70)
    check(tmp_path, given, {21: [], 30: [NEVER_RAN], 37: [NEVER_RAN], 38: [NEVER_RAN, NOT_OK]})


def test_a_gateway_that_lost_everything_is_told(tmp_path: Path) -> None:
    """Then Prometheus knows nothing of it, however well it runs."""
    lost = [{**one, "values": f"{one['values']} stale"} for one in series(pushed([OK]), 20)]
    check(tmp_path, lost, {42: [], 43: [NEVER_RAN], 100: [NEVER_RAN]})


# --- a canary that is not ok ---


@pytest.mark.parametrize("state", [one for one in SlotState if one not in (OK, SUPPRESSED)])
def test_two_slots_in_a_row_are_told(tmp_path: Path, state: SlotState) -> None:
    given = series(pushed([OK, state, state, OK]), 70)
    first = 30 + 1
    also = [STOPPED] if state is MISSED else []
    check(tmp_path, given, {first + DUE - 1: also, first + DUE: [*also, NOT_OK], 60: [*also, NOT_OK], 61: [], 70: []})


def test_one_slot_is_not_told(tmp_path: Path) -> None:
    """Also if it failed at once and the next one took its time."""
    given = series({**pushed([OK, FAILED]), **pushed([None, None, OK, OK], took=2)}, 60)
    check(tmp_path, given, dict.fromkeys(range(60), NOTHING))


# --- the words, and where they are ---


@pytest.mark.parametrize(
    ("name", "states", "summary", "description"),
    [
        (
            STOPPED,
            [OK, OK],
            "settlement of prisma in production has not run for 4h 29m 0s",
            (
                "Is 'rollout watch' still running, and is the clock of its machine right? "
                "Until the canary runs again, nothing tells whether this still works, and gates on it hold."
            ),
        ),
        (
            NEVER_RAN,
            [],
            "settlement of prisma in production has never run, as far as Prometheus knows",
            "Was 'rollout watch' ever started here, and is the Pushgateway up and scraped with honor_labels?",
        ),
        (
            NOT_OK,
            [FAILED, FAILED],
            "settlement of prisma in production has not been ok for longer than one slot",
            (
                "rollout_canary_state says what the newest slot was, 'rollout evidence show' why. "
                "Stages with a gate on this canary are not GO."
            ),
        ),
    ],
)
def test_what_people_read(
    tmp_path: Path, name: str, states: Sequence[SlotState], summary: str, description: str
) -> None:
    labels = {"canary": "settlement", "instance": "production", "rollout": "prisma", "severity": SEVERITY[name]}
    expected = {"exp_labels": labels, "exp_annotations": {"summary": summary, "description": description}}
    told = {"eval_time": "300m", "alertname": name, "exp_alerts": [expected]}
    given = series(pushed(states), 300)
    promtool(tmp_path, RULES, {"interval": "1m", "input_series": given, "alert_rule_test": [told]})


def test_the_rules_see_what_a_real_gateway_exposes(gateway: str, tmp_path: Path) -> None:
    Pushgateway(gateway, tmp_path / "spool").send([slot(1, FAILED)])
    given = [
        {"series": named(sample.name, sample.labels), "values": f"{sample.value!r}x60"}
        for sample in samples(gateway)
        if sample.labels.get("job") == JOB and not math.isnan(sample.value)
    ]
    check(tmp_path, given, {20: [], 39: [STOPPED, NOT_OK]})


# --- what is rendered ---


def rendered(environment: str, time_scale: float = 1.0, **schedules: dict[str, Any]) -> list[dict[str, Any]]:
    canaries = {name: Schedule.model_validate(schedule) for name, schedule in schedules.items()}
    (group,) = yaml.safe_load(canary_rules("prisma", environment, canaries, time_scale))
    assert group["name"] == f"canaries of prisma in {environment}"
    rules: list[dict[str, Any]] = group["rules"]
    return rules


def test_every_alert_is_explained() -> None:
    told = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(RolloutCanary\w+)` \|", told, re.MULTILINE) == [STOPPED, NEVER_RAN, NOT_OK]


def test_every_canary_has_its_own_alerts() -> None:
    rules = rendered("production", a={"every": "15m"}, b={"every": "1h", "grace": "10m"})
    assert [rule["alert"] for rule in rules] == [STOPPED, NEVER_RAN, NOT_OK] * 2
    assert [rule["for"] for rule in rules] == ["0s", "1320s", "1320s", "0s", "4320s", "4320s"]
    assert ["> 1320" in rules[0]["expr"], "> 4320" in rules[3]["expr"]] == [True, True]
    assert all('canary="a"' in rule["expr"] and 'canary="b"' not in rule["expr"] for rule in rules[:3])


@pytest.mark.parametrize(
    ("time_scale", "lasting"), [(1.0, "1320s"), (2.0, "720s"), (60.0, "35s"), (1000.0, "2100ms")], ids=str
)
def test_durations_are_those_of_the_environment(time_scale: float, lasting: str) -> None:
    """A deadline is not scaled, but never longer than a slot."""
    assert rendered("production", time_scale, a={"every": "15m"})[1]["for"] == lasting


@pytest.mark.parametrize(
    "environment", ['with "quotes"', "back\\slash", "ünï 😀", "two\nlines", "\u2028", "\x85", "\x7f", "{{ $value }}"]
)
def test_any_name_of_an_environment_is_the_same_everywhere(tmp_path: Path, environment: str) -> None:
    rules = "groups:\n" + canary_rules("prisma", environment, SETTLEMENT, 1.0)
    labels = {"canary": "settlement", "instance": environment, "job": JOB, "rollout": "prisma"}
    there = {"series": named("rollout_canary_last_run_timestamp_seconds", labels), "values": "0x60"}
    fires = {
        "expr": 'count(ALERTS{alertname="RolloutCanaryStopped"})',
        "eval_time": "60m",
        "exp_samples": [{"labels": "{}", "value": 1}],
    }
    promtool(tmp_path, rules, {"interval": "1m", "input_series": [there], "promql_expr_test": [fires]})
