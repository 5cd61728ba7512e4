"""The alert canaries against a real Prometheus with the rollout's rules; Alertmanager and receiver are told."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import yaml

from canaries.stage_normalization import test_alert_dry_run as dry, test_alerts_quiet as quiet
from canaries.stage_normalization.alerts import (
    BACKUP,
    RULES,
    TOKEN_LABEL,
    Monitoring,
    alerts_of,
    dry_run,
    lowered,
    put_back,
    replace_file,
    unheard,
    wrong_rules,
)
from canaries.stage_normalization.instances import UnusableError, until
from canaries.stage_normalization.test_rollback_rehearsal import EVERYWHERE
from sandbox.components import Component, ScrapeConfig, configure_prometheus, start_prometheus

WRITTEN = yaml.safe_load(RULES.read_text())
ALERTS = alerts_of(WRITTEN)
LOADED: Mapping[str, Any] = {
    rule.get("alert") or rule["record"]: {
        "name": rule.get("alert") or rule["record"],
        "query": rule["expr"],
        "labels": rule.get("labels", {}),
        "duration": {"5m": 300, "15m": 900}.get(rule.get("for", ""), 0),
        "health": "ok",
    }
    for group in WRITTEN["groups"]
    for rule in group["rules"]
}
LATENCY = "StageValidationLatency"


@dataclass
class World:
    """What Alertmanager and receiver answer; Prometheus is a real one, or answers ``alerts``."""

    bodies: list[Any] = field(default_factory=list)
    known: list[Any] = field(default_factory=list)
    silences: list[Any] = field(default_factory=list)
    alerts: list[Any] | None = None
    told: list[str] = field(default_factory=lambda: ["http://alertmanager/api/v2/alerts"])
    recorded: dict[str, str] = field(default_factory=lambda: dict.fromkeys(dry.TEMPLATES, "0"))
    headers: dict[str, str] = field(default_factory=lambda: dict.fromkeys(dry.TEMPLATES, "NaN"))

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer as the three do; pass on to Prometheus what is for it."""
        told = {"/notifications": self.bodies, "/api/v2/alerts": self.known, "/api/v2/silences": self.silences}
        if request.url.path == "/api/v1/alertmanagers":
            return httpx.Response(200, json={"data": {"activeAlertmanagers": [{"url": url} for url in self.told]}})
        if request.url.path == "/api/v1/query" and "endpoint:" in request.url.params["query"]:
            values = self.headers if "header" in request.url.params["query"] else self.recorded
            result = [{"metric": {"endpoint": at}, "value": [0, value]} for at, value in values.items()]
            return httpx.Response(200, json={"data": {"result": result}})
        if request.url.path in told:
            return httpx.Response(200, json=told[request.url.path])
        if request.url.path == "/api/v1/alerts" and self.alerts is not None:
            return httpx.Response(200, json={"data": {"alerts": self.alerts}})
        with httpx.Client(trust_env=False) as real:
            return real.send(real.build_request(request.method, request.url, content=request.content))


@pytest.fixture(scope="module")
def prometheus_with_rules(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Component, Path]]:
    """Return a Prometheus that evaluates a copy of the rules every second."""
    folder = tmp_path_factory.mktemp("rules")
    rules = Path(shutil.copy(RULES, folder / "alerts.rules.yml"))
    with start_prometheus(folder) as prometheus:
        configure_prometheus(prometheus, ScrapeConfig(rule_files=(rules,)))
        yield prometheus, rules


@pytest.fixture
def world() -> World:
    """Return what the tests turn."""
    return World()


@pytest.fixture
def monitoring(prometheus_with_rules: tuple[Component, Path], world: World) -> Iterator[Monitoring]:
    """Return the monitoring as the canaries see it; the rules are as they are written afterwards."""
    prometheus, rules = prometheus_with_rules
    with httpx.Client(transport=httpx.MockTransport(world.answer)) as http:
        mine = Monitoring(http, prometheus.url, "http://alertmanager", "http://receiver", rules)
        assert until(lambda: wrong_rules(mine.loaded(), WRITTEN), 10) == []
        yield mine
        rules.with_name(rules.name + BACKUP).unlink(missing_ok=True)
        rules.write_bytes(RULES.read_bytes())
        mine.reload()


def hear(world: World, token: str, *statuses: str, **labels: str) -> None:
    """Let the receiver be told of every alert at every endpoint."""
    heard = [
        {"alertname": one.name, "endpoint": at, **one.labels, TOKEN_LABEL: token, **labels}
        for one in ALERTS
        for at in dry.TEMPLATES
    ]
    world.bodies += [
        {"at": 0, "body": {"alerts": [{"status": status, "labels": one} for one in heard]}} for status in statuses
    ]


@pytest.fixture(autouse=True)
def modes(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], str]:
    """Return the modes of the flags, everybody in warn; nothing is waited for."""
    wanted: dict[tuple[str, str], str] = dict.fromkeys(EVERYWHERE, "warn")
    monkeypatch.setattr(quiet, "flagged", lambda _url: wanted)
    monkeypatch.setattr(quiet, "WITHIN_SECONDS", 0.3)
    return wanted


def look(monitoring: Monitoring) -> None:
    target: Any = SimpleNamespace(flags_url="http://flags")
    quiet.test_rules_are_loaded_and_quiet(monitoring, target)


def test_quiet_is_quiet(monitoring: Monitoring) -> None:
    look(monitoring)


FIRING = {"alertname": LATENCY, "severity": "critical"}
KNOWN = {"labels": FIRING, "status": {"state": "suppressed"}}
SILENCE = {"createdBy": "somebody", "comment": "be still", "status": {"state": "active"}}


@pytest.mark.parametrize(
    ("noise", "said"),
    [
        ({"alerts": [{"labels": FIRING, "state": "firing"}]}, "alerts: StageValidationLatency fires: {'alertname'"),
        ({"known": [KNOWN]}, "alerts: Alertmanager has StageValidationLatency, suppressed"),
        ({"silences": [SILENCE]}, "alerts: a silence of somebody (be still) is in force"),
    ],
    ids=["fires", "suppressed", "silenced"],
)
def test_noise_is_no_pass(monitoring: Monitoring, world: World, noise: Mapping[str, Any], said: str) -> None:
    vars(world).update(noise)
    with pytest.raises(AssertionError) as caught:
        look(monitoring)
    assert str(caught.value).startswith(said)


def test_quiet_that_nobody_would_hear_proves_nothing(monitoring: Monitoring, world: World) -> None:
    world.told = ["http://other/api/v2/alerts"]
    with pytest.raises(UnusableError, match="Prometheus does not tell http://alertmanager of its alerts"):
        look(monitoring)


@pytest.mark.parametrize("value", [None, "NaN", "+Inf"])
def test_alert_without_anything_to_look_at_proves_nothing(
    monitoring: Monitoring, world: World, value: str | None
) -> None:
    world.recorded = {at: value or "0" for at in dry.TEMPLATES if value or at != dry.TEMPLATES[1]}
    with pytest.raises(
        UnusableError, match=r"^StageValidationErrorRate has nothing to look at for /api/.*; so the quiet"
    ):
        look(monitoring)


def test_headers_have_something_to_look_at_where_anybody_is_in_warn(
    monitoring: Monitoring, world: World, modes: dict[tuple[str, str], str]
) -> None:
    world.headers = {}
    modes.update(dict.fromkeys(EVERYWHERE, "enforce"))
    look(monitoring)
    modes["strategies", "*"] = "warn"
    said = r"^StageDeprecationHeaderCoverage has nothing to look at for /api/portfolio/strategies; so the quiet"
    with pytest.raises(UnusableError, match=said):
        look(monitoring)


def test_rule_that_is_not_evaluated_any_more_says_nothing_of_now(
    monitoring: Monitoring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quiet, "OLDEST_SECONDS", -1.0)
    with pytest.raises(
        UnusableError, match=r"^StageValidationErrorRate was evaluated \d s ago; so the quiet says nothing$"
    ):
        look(monitoring)


def test_pending_alerts_and_old_silences_are_quiet(monitoring: Monitoring, world: World) -> None:
    world.alerts = [{"labels": FIRING, "state": "pending"}]
    world.silences = [{**SILENCE, "status": {"state": "expired"}}]
    look(monitoring)


def test_rules_that_nobody_loads_are_no_pass(monitoring: Monitoring, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quiet, "WITHIN_SECONDS", 0.0)
    other = replace(monitoring, rules=Path("/elsewhere/other.rules.yml"))
    with pytest.raises(AssertionError, match=r"^rules: endpoint:stage_validation_errors:ratio_rate5m is not loaded"):
        look(other)


def test_dry_run_lowers_and_puts_back(monitoring: Monitoring) -> None:
    with dry_run(monitoring, WRITTEN, "a-token"):
        until(lambda: [] if TOKEN_LABEL in monitoring.loaded()[LATENCY]["labels"] else ["not yet"], 10)
        rule = monitoring.loaded()[LATENCY]
        assert rule["query"].endswith("> -1")
        assert (rule["duration"], rule["labels"][TOKEN_LABEL]) == (0, "a-token")
    assert monitoring.rules.read_bytes() == RULES.read_bytes()
    assert until(lambda: wrong_rules(monitoring.loaded(), WRITTEN), 10) == []


def test_dry_run_that_is_broken_off_puts_back(monitoring: Monitoring) -> None:
    with pytest.raises(KeyboardInterrupt), dry_run(monitoring, WRITTEN, "a-token"):
        raise KeyboardInterrupt
    assert monitoring.rules.read_bytes() == RULES.read_bytes()
    assert until(lambda: wrong_rules(monitoring.loaded(), WRITTEN), 10) == []


def test_dry_run_that_was_killed_is_put_back_by_the_next(
    monitoring: Monitoring, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monitoring.rules.with_name(monitoring.rules.name + BACKUP).write_bytes(RULES.read_bytes())
    monitoring.rules.write_text(lowered(WRITTEN, "killed"))
    monitoring.reload()
    monkeypatch.setattr(dry, "uuid4", Token)
    world.alerts = []
    hear(world, Token.hex, "firing", "resolved")
    with pytest.warns(UserWarning, match="a dry run that was killed had left its limits; they were put back"):
        dry.test_lowered_alerts_reach_the_receiver_and_resolve(monitoring)
    assert not put_back(monitoring, WRITTEN)


@pytest.mark.parametrize("kept", [b"", b"groups: [", RULES.read_bytes()[:100], lowered(WRITTEN, "t").encode()])
def test_backup_that_is_not_the_rules_destroys_nothing(monitoring: Monitoring, kept: bytes) -> None:
    monitoring.backup.write_bytes(kept)
    with pytest.raises(UnusableError, match=r"before-dry-run does not hold the rules of "):
        put_back(monitoring, WRITTEN)
    assert (monitoring.rules.read_bytes(), monitoring.backup.read_bytes()) == (RULES.read_bytes(), kept)


def test_rules_that_nobody_has_written_are_not_lowered(monitoring: Monitoring) -> None:
    monitoring.rules.write_text("groups: []")
    with pytest.raises(UnusableError, match=r"does not hold the rules of "), dry_run(monitoring, WRITTEN, "t"):
        pass
    assert (monitoring.rules.read_text(), monitoring.backup.exists()) == ("groups: []", False)


def test_file_is_replaced_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rules.yml"
    path.write_bytes(b"old")
    monkeypatch.setattr(Path, "replace", lambda *_: pytest.fail("killed before the end"))
    with pytest.raises(pytest.fail.Exception):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old"


def test_receiver_that_forgets_is_no_pass(
    monitoring: Monitoring, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dry, "uuid4", Token)
    monkeypatch.setattr(dry, "until", until_it_is_about_the_receiver)
    world.alerts = []
    hear(world, Token.hex, "firing")
    reload = Monitoring.reload

    def reload_and_forget(mine: Monitoring) -> None:
        if TOKEN_LABEL not in mine.rules.read_text():
            world.bodies.clear()
        reload(mine)

    monkeypatch.setattr(Monitoring, "reload", reload_and_forget)
    with pytest.raises(
        AssertionError, match=r"^resolved: the receiver did not hear that StageValidationErrorRate at /api/"
    ):
        dry.test_lowered_alerts_reach_the_receiver_and_resolve(monitoring)


def until_it_is_about_the_receiver(wrong: Callable[[], list[str]], within: float) -> list[str]:
    """Wait for Prometheus, but not for a receiver that will not hear any more."""
    found = wrong()
    return found if found and "receiver" in found[0] else until(wrong, within)


class Token:
    """A token that tests know."""

    hex = "known"


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ((), "dry run: the receiver heard nothing of StageValidationErrorRate at /api/monte-carlo/simulate with"),
        (("firing",), "resolved: the receiver did not hear that StageValidationErrorRate at /api/monte-carlo/simulate"),
    ],
    ids=["nothing", "no-end"],
)
def test_what_the_receiver_does_not_hear_is_no_pass(
    monitoring: Monitoring, world: World, monkeypatch: pytest.MonkeyPatch, told: tuple[str, ...], said: str
) -> None:
    monkeypatch.setattr(dry, "uuid4", Token)
    monkeypatch.setattr(dry, "until", until_it_is_about_the_receiver)
    world.alerts = []
    hear(world, Token.hex, *told)
    with pytest.raises(AssertionError) as caught:
        dry.test_lowered_alerts_reach_the_receiver_and_resolve(monitoring)
    assert str(caught.value).startswith(said)
    assert monitoring.rules.read_bytes() == RULES.read_bytes()


def test_alert_that_goes_on_firing_is_no_pass(monitoring: Monitoring, world: World) -> None:
    world.alerts = [{"labels": {**FIRING, TOKEN_LABEL: "mine"}, "state": "firing"}]
    assert dry._unresolved(monitoring, "mine", []) == ["StageValidationLatency still fires"]
    assert dry._unresolved(monitoring, "other", []) == []


def test_lowered_rules_change_limits_and_labels_only() -> None:
    again = yaml.safe_load(lowered(WRITTEN, "t"))
    assert [one.sign + str(one.limit) for one in ALERTS] == [">0.01", ">0.005", "<0.99"]
    rules = [rule for group in again["groups"] for rule in group["rules"] if "alert" in rule]
    assert [rule["expr"].split()[-2:] for rule in rules] == [[">", "-1"], [">", "-1"], ["<", "2"]]
    assert again["groups"][0] == WRITTEN["groups"][0]


@pytest.mark.parametrize("expr", ["absent(up)", "a > 1 and b > 2", "a == 3"])
def test_alert_that_cannot_be_lowered_is_refused(expr: str) -> None:
    rules = {"groups": [{"rules": [{"alert": "X", "expr": expr, "labels": {}}]}]}
    with pytest.raises(UnusableError, match="the alert X does not compare one recorded series with a number"):
        alerts_of(rules)
    with pytest.raises(UnusableError, match="there are no alerts"):
        alerts_of({"groups": [{"rules": []}]})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda one: {**one, LATENCY: {**one[LATENCY], "query": "vector(0) > 1"}}, f"{LATENCY} asks 'vector(0) > 1'"),
        (
            lambda one: {**one, LATENCY: {**one[LATENCY], "labels": {}}},
            f"{LATENCY} has the labels {{}}, not {{'severity'",
        ),
        (lambda one: {**one, LATENCY: {**one[LATENCY], "duration": 0}}, f"{LATENCY} waits 0 s, not 5m"),
        (
            lambda one: {**one, LATENCY: {**one[LATENCY], "health": "err", "lastError": "boom"}},
            f"{LATENCY} is not healthy: err, boom",
        ),
        (lambda one: {**one, "Other": {}}, "Other is loaded, and nobody has written it"),
        (lambda one: {name: rule for name, rule in one.items() if name != LATENCY}, f"{LATENCY} is not loaded"),
    ],
    ids=["query", "labels", "for", "health", "more", "fewer"],
)
def test_loaded_rules_have_to_be_the_written_ones(change: Callable[[Any], Any], said: str) -> None:
    assert wrong_rules(LOADED, WRITTEN) == []
    (found,) = wrong_rules(change(LOADED), WRITTEN)
    assert found.startswith(said)


def test_alert_with_another_label_was_not_heard() -> None:
    heard = [{"alertname": LATENCY, "endpoint": "/x", "severity": "warning", "rollout": "stage-normalization"}]
    alert = next(one for one in ALERTS if one.name == LATENCY)
    said = "the receiver heard nothing of StageValidationLatency at /x with {'severity': 'critical', 'rollout'"
    assert unheard(heard, [alert], ["/x"])[0].startswith(said)
    assert unheard([{**heard[0], "severity": "critical"}], [alert], ["/x"]) == []


def test_monitoring_that_does_not_answer_is_unusable() -> None:
    answers = httpx.MockTransport(lambda _request: httpx.Response(503, text="busy"))
    with httpx.Client(transport=answers) as http:
        dead = Monitoring(http, "http://p", "http://a", "http://r", RULES)
        for ask in (dead.loaded, dead.firing, dead.known, dead.silences, dead.reload):
            with pytest.raises(UnusableError, match="503"):
                ask()
