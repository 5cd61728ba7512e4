"""The rollout's alert rules: as they are written, as Prometheus has loaded them, and as the receiver hears of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from canaries.stage_normalization.instances import UnusableError

RULES = Path(__file__).parents[2] / "deploy" / "stage_normalization" / "alerts.rules.yml"
"""What has to be loaded."""
TOKEN_LABEL = "dry_run"  # noqa: S105 - the label's name
"""The label that tells the alerts of one dry run from all others."""
BACKUP = ".before-dry-run"
_COMPARED = re.compile(r"(?P<series>\S+)\s*(?P<sign>[<>])\s*(?P<limit>[0-9.]+)")
_ALWAYS = {">": "-1", "<": "2"}
"""A limit that every ratio and duration meets: shares are at most 1, durations at least 0."""


@dataclass(frozen=True)
class Alert:
    """An alert rule: the recorded series, how it is compared with which limit, and the labels that route it."""

    name: str
    series: str
    sign: str
    limit: float
    labels: Mapping[str, str]


def alerts_of(rules: Any) -> tuple[Alert, ...]:
    """Return the alerts of a rule file's document. Raises UnusableError if one cannot be lowered, or there are none."""
    found = tuple(_alert(rule) for group in rules["groups"] for rule in group["rules"] if "alert" in rule)
    if not found:
        raise UnusableError("there are no alerts")
    return found


def _alert(rule: Mapping[str, Any]) -> Alert:
    compared = _COMPARED.fullmatch(str(rule["expr"]).strip())
    if compared is None:
        raise UnusableError(f"the alert {rule['alert']} does not compare one recorded series with a number")
    return Alert(rule["alert"], compared["series"], compared["sign"], float(compared["limit"]), rule["labels"])


def lowered(rules: Any, token: str) -> str:
    """Return the rule file with limits that everything meets at once, and a label that tells whose alerts these are."""
    groups = [{**group, "rules": [_lowered(rule, token) for rule in group["rules"]]} for group in rules["groups"]]
    return yaml.safe_dump({**rules, "groups": groups}, sort_keys=False)


def _lowered(rule: Mapping[str, Any], token: str) -> Mapping[str, Any]:
    if "alert" not in rule:
        return rule
    alert = _alert(rule)
    expr = f"{alert.series} {alert.sign} {_ALWAYS[alert.sign]}"
    return {**rule, "expr": expr, "for": "0s", "labels": {**alert.labels, TOKEN_LABEL: token}}


@dataclass(frozen=True)
class Monitoring:
    """Prometheus, Alertmanager and the receiver. Addresses without a slash at the end."""

    http: httpx.Client
    prometheus: str
    alertmanager: str
    receiver: str
    rules: Path
    """The file that Prometheus loads."""

    def loaded(self) -> dict[str, Mapping[str, Any]]:
        """Return the loaded rules of the rollout's file by name. Raises UnusableError."""
        groups = self._get(f"{self.prometheus}/api/v1/rules")["data"]["groups"]
        mine = [group for group in groups if Path(group["file"]).name == self.rules.name]
        return {rule["name"]: {**rule, "group": group["name"]} for group in mine for rule in group["rules"]}

    def firing(self) -> list[Mapping[str, Any]]:
        """Return the labels of the alerts that fire at Prometheus now."""
        alerts = self._get(f"{self.prometheus}/api/v1/alerts")["data"]["alerts"]
        return [one["labels"] for one in alerts if one["state"] == "firing"]

    def tells(self) -> list[str]:
        """Return the Alertmanagers that Prometheus tells of its alerts."""
        active = self._get(f"{self.prometheus}/api/v1/alertmanagers")["data"]["activeAlertmanagers"]
        return [one["url"] for one in active]

    def blind(self, alerts: Sequence[Alert]) -> list[str]:
        """Return the alerts that have nothing to look at: their recorded series has no value at all."""
        asked = {one.name: self._get(f"{self.prometheus}/api/v1/query?query={one.series}") for one in alerts}
        return [name for name, answer in asked.items() if not answer["data"]["result"]]

    def known(self) -> list[Mapping[str, Any]]:
        """Return the alerts that Alertmanager has, with their state."""
        return list(self._get(f"{self.alertmanager}/api/v2/alerts"))

    def silences(self) -> list[Mapping[str, Any]]:
        """Return the silences that are in force, or will be."""
        silences = self._get(f"{self.alertmanager}/api/v2/silences")
        return [one for one in silences if one["status"]["state"] != "expired"]

    def notified(self, token: str, status: str) -> list[Mapping[str, str]]:
        """Return the labels of the alerts of one dry run that the receiver was told of, as firing or as resolved."""
        bodies = [one["body"] for one in self._get(f"{self.receiver}/notifications")]
        alerts = [alert for body in bodies for alert in body["alerts"]]
        return [one["labels"] for one in alerts if one["status"] == status and one["labels"].get(TOKEN_LABEL) == token]

    def reload(self) -> None:
        """Have Prometheus read its rules again. Raises UnusableError if it refuses."""
        answer = self.http.post(f"{self.prometheus}/-/reload")
        if answer.status_code != 200:
            raise UnusableError(f"Prometheus does not reload its rules: {answer.status_code} {answer.text[:200]}")

    def _get(self, url: str) -> Any:
        answer = self.http.get(url)
        if answer.status_code != 200:
            raise UnusableError(f"GET {url} answered {answer.status_code}")
        return answer.json()


@contextmanager
def dry_run(monitoring: Monitoring, token: str) -> Iterator[None]:
    """Lower the limits; afterwards the file is as it was, byte for byte, and Prometheus has read it again.

    The original is kept beside the file meanwhile: after a killed run, ``put_back`` finds it there.
    """
    original = monitoring.rules.read_bytes()
    backup = monitoring.rules.with_name(monitoring.rules.name + BACKUP)
    backup.write_bytes(original)
    try:
        monitoring.rules.write_text(lowered(yaml.safe_load(original), token), encoding="utf-8")
        monitoring.reload()
        yield
    finally:
        put_back(monitoring)


def put_back(monitoring: Monitoring) -> bool:
    """Put back the rules that a dry run has lowered; return whether there were any."""
    backup = monitoring.rules.with_name(monitoring.rules.name + BACKUP)
    if not backup.exists():
        return False
    monitoring.rules.write_bytes(backup.read_bytes())
    backup.unlink()
    monitoring.reload()
    return True


def wrong_rules(loaded: Mapping[str, Mapping[str, Any]], written: Any) -> list[str]:
    """Return how the rules that Prometheus has loaded differ from those that are written, or are not healthy."""
    wanted = {rule.get("alert") or rule["record"]: rule for group in written["groups"] for rule in group["rules"]}
    wrong = [f"{name} is not loaded" for name in wanted if name not in loaded]
    wrong += [f"{name} is loaded, and nobody has written it" for name in loaded if name not in wanted]
    for name, rule in wanted.items():
        if name in loaded:
            wrong += _wrong_rule(name, loaded[name], rule)
    return wrong


def _wrong_rule(name: str, loaded: Mapping[str, Any], rule: Mapping[str, Any]) -> list[str]:
    wrong = []
    if _bare(loaded["query"]) != _bare(rule["expr"]):
        wrong.append(f"{name} asks {loaded['query']!r}")
    if "alert" in rule and loaded["labels"] != rule["labels"]:
        wrong.append(f"{name} has the labels {loaded['labels']}, not {rule['labels']}")
    if "alert" in rule and loaded["duration"] != _seconds(rule["for"]):
        wrong.append(f"{name} waits {loaded['duration']} s, not {rule['for']}")
    if loaded["health"] != "ok":
        wrong.append(f"{name} is not healthy: {loaded['health']}, {loaded.get('lastError', '')}")
    return wrong


def _bare(expression: str) -> str:
    return re.sub(r"\s+", "", expression)


def _seconds(duration: str) -> float:
    return float(duration[:-1]) * {"s": 1, "m": 60, "h": 3600}[duration[-1]]


def unheard(heard: Sequence[Mapping[str, str]], alerts: Sequence[Alert], endpoints: Sequence[str]) -> list[str]:
    """Return which alert of which endpoint the receiver was not told of, with every label that routes it."""
    return [
        f"the receiver heard nothing of {alert.name} at {endpoint} with {dict(alert.labels)}"
        for alert in alerts
        for endpoint in endpoints
        if not any(
            labels.items() >= {"alertname": alert.name, "endpoint": endpoint, **alert.labels}.items()
            for labels in heard
        )
    ]
