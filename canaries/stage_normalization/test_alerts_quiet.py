"""The alerts are quiet: none fires or is silenced, though each has something to look at and somebody to tell."""

from __future__ import annotations

import pytest
import yaml

from canaries.stage_normalization.alerts import RULES, Monitoring, alerts_of, wrong_rules
from canaries.stage_normalization.instances import UnusableError, require, until

pytestmark = pytest.mark.canary("alerts-quiet")

WITHIN_SECONDS = 5.0
"""A rule that was loaded this moment has no health yet."""


def test_rules_are_loaded_and_quiet(monitoring: Monitoring) -> None:
    """Quiet is only what could have been heard."""
    written = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    alerts = alerts_of(written)
    mine = {alert.name for alert in alerts}
    require("rules", until(lambda: wrong_rules(monitoring.loaded(), written), WITHIN_SECONDS))
    # Headers have no coverage where nobody is in warn any more.
    if blind := monitoring.blind([alert for alert in alerts if alert.labels["severity"] == "critical"]):
        raise UnusableError(f"{', '.join(blind)} have nothing to look at, so their quiet says nothing")
    if not any(url.startswith(monitoring.alertmanager) for url in monitoring.tells()):
        raise UnusableError(f"Prometheus does not tell {monitoring.alertmanager} of its alerts; nobody would hear them")
    firing = [f"{one['alertname']} fires: {dict(one)}" for one in monitoring.firing() if one["alertname"] in mine]
    known = [
        f"Alertmanager has {one['labels']['alertname']}, {one['status']['state']}: {one['labels']}"
        for one in monitoring.known()
        if one["labels"].get("alertname") in mine
    ]
    silenced = [f"a silence of {one['createdBy']} ({one['comment']}) is in force" for one in monitoring.silences()]
    require("alerts", [*firing, *known, *silenced])
