"""The alerts are quiet: none fires or is silenced, though each has something to look at and somebody to tell.

At every endpoint: the rate of errors and the latency as long as anybody is validated, the coverage of headers where
anybody is in warn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import yaml

from canaries.stage_normalization.alerts import RULES, Alert, Monitoring, alerts_of, blind, wrong_rules
from canaries.stage_normalization.endpoints import ENDPOINTS
from canaries.stage_normalization.instances import Modes, UnusableError, flagged, require, until

pytestmark = pytest.mark.canary("alerts-quiet")

WITHIN_SECONDS = 15.0
"""A rule that was loaded this moment has no health yet, and a rate needs two scrapes."""
OLDEST_SECONDS = 60.0
"""A rule that was not evaluated for longer says nothing of now."""


def test_rules_are_loaded_and_quiet(monitoring: Monitoring, rollout_target: Any) -> None:
    """Quiet is only what could have been heard."""
    written = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    alerts, modes = alerts_of(written), flagged(rollout_target.flags_url)
    require("rules", until(lambda: wrong_rules(monitoring.loaded(), written), WITHIN_SECONDS))
    if deaf := until(lambda: _deaf(monitoring, alerts, modes), WITHIN_SECONDS):
        raise UnusableError(f"{deaf[0]}; so the quiet says nothing")
    mine = {alert.name for alert in alerts}
    firing = [f"{one['alertname']} fires: {dict(one)}" for one in monitoring.firing() if one["alertname"] in mine]
    known = [
        f"Alertmanager has {one['labels']['alertname']}, {one['status']['state']}: {one['labels']}"
        for one in monitoring.known()
        if one["labels"].get("alertname") in mine
    ]
    silenced = [f"a silence of {one['createdBy']} ({one['comment']}) is in force" for one in monitoring.silences()]
    require("alerts", [*firing, *known, *silenced])


def _deaf(monitoring: Monitoring, alerts: Sequence[Alert], modes: Modes) -> list[str]:
    """Return why an alert could not fire, or nobody would hear it."""
    loaded, deaf = monitoring.loaded(), []
    for alert in alerts:
        deaf += blind(alert, monitoring.recorded(alert), looked_at(alert, modes))
        if (age := monitoring.age(loaded[alert.name])) > OLDEST_SECONDS:
            deaf.append(f"{alert.name} was evaluated {age:.0f} s ago")
    if not any(url.startswith(monitoring.alertmanager) for url in monitoring.tells()):
        deaf.append(f"Prometheus does not tell {monitoring.alertmanager} of its alerts")
    return deaf


def looked_at(alert: Alert, modes: Modes) -> list[str]:
    """Return the endpoints at which an alert has to have something to look at."""
    matter = {"warn"} if alert.sign == "<" else {"warn", "enforce"}
    return [
        one.template for one in ENDPOINTS if {mode for (name, _), mode in modes.items() if name == one.name} & matter
    ]
