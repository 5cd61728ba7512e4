"""The rollout's alert rules: as they are written, as Prometheus has loaded them, and as the receiver hears of them."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
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

    @property
    def backup(self) -> Path:
        """Where a dry run keeps it."""
        return self.rules.with_name(self.rules.name + BACKUP)

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

    def recorded(self, alert: Alert) -> dict[str, float]:
        """Return what an alert looks at now: the value of its recorded series by endpoint."""
        result = self._get(f"{self.prometheus}/api/v1/query?query={alert.series}")["data"]["result"]
        return {one["metric"].get("endpoint", ""): float(one["value"][1]) for one in result}

    def age(self, rule: Mapping[str, Any]) -> float:
        """Return how many seconds ago a loaded rule was evaluated, by the clock of Prometheus."""
        _at, now = self._get(f"{self.prometheus}/api/v1/query?query=time()")["data"]["result"]
        return float(now) - datetime.fromisoformat(_microseconds(rule["lastEvaluation"])).timestamp()

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
def dry_run(monitoring: Monitoring, written: Any, token: str) -> Iterator[None]:
    """Lower the limits; afterwards the file is as it was, byte for byte, and Prometheus has read it again.

    The original is kept beside the file meanwhile: after a killed run, ``put_back`` finds it there. Raises
    UnusableError if the file is not the written rules.
    """
    original = monitoring.rules.read_bytes()
    _require_written(original, written, monitoring.rules)
    replace_file(monitoring.backup, original)
    try:
        replace_file(monitoring.rules, lowered(written, token).encode())
        monitoring.reload()
        yield
    finally:
        replace_file(monitoring.rules, original)
        monitoring.reload()
        monitoring.backup.unlink(missing_ok=True)


def put_back(monitoring: Monitoring, written: Any) -> bool:
    """Put back the rules that a killed dry run has lowered; return whether there were any.

    Raises UnusableError, and leaves everything as it is, if what was kept is not the written rules.
    """
    if not monitoring.backup.exists():
        return False
    original = monitoring.backup.read_bytes()
    _require_written(original, written, monitoring.backup)
    replace_file(monitoring.rules, original)
    monitoring.reload()
    monitoring.backup.unlink()
    return True


def replace_file(path: Path, content: bytes) -> None:
    """Give a file other content in one step: whoever reads or is killed meanwhile leaves the one or the other."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_bytes(content)
    draft.replace(path)


def _require_written(content: bytes, written: Any, path: Path) -> None:
    try:
        same = yaml.safe_load(content) == written
    except yaml.YAMLError:
        same = False
    if not same:
        raise UnusableError(f"{path} does not hold the rules of {RULES}; put them there, and take other files away")


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


def blind(alert: Alert, recorded: Mapping[str, float], endpoints: Iterable[str]) -> list[str]:
    """Return the endpoints at which an alert has nothing to look at, so that it could not fire.

    A share that is 0 / 0 is something to look at for an alert that is about the missing: nothing is missing. For one
    that is about too much it is not.
    """
    return [
        f"{alert.name} has nothing to look at for {endpoint}"
        for endpoint in endpoints
        if endpoint not in recorded or (alert.sign == ">" and not math.isfinite(recorded[endpoint]))
    ]


def _microseconds(moment: str) -> str:
    """Return an RFC 3339 moment with no more digits than Python reads."""
    return re.sub(r"(\.\d{6})\d+", r"\1", moment)


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
