"""The dry run of the alerts: with limits that all meet, each reaches the receiver with its labels, and resolves.

The file that Prometheus loads is changed for some seconds and put back byte for byte, also if the test fails; a killed
run's file is put back by the next run.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from uuid import uuid4

import pytest
import yaml

from canaries.stage_normalization.alerts import (
    RULES,
    TOKEN_LABEL,
    Alert,
    Monitoring,
    alerts_of,
    dry_run,
    put_back,
    unheard,
    wrong_rules,
)
from canaries.stage_normalization.endpoints import ENDPOINTS
from canaries.stage_normalization.instances import require, until

pytestmark = pytest.mark.canary("alert-dry-run")

WITHIN_SECONDS = 30.0
"""How long an alert may take to the receiver, and to be resolved there: real time, evaluation and grouping."""
TEMPLATES = [endpoint.template for endpoint in ENDPOINTS]
Labels = Mapping[str, str]


def test_lowered_alerts_reach_the_receiver_and_resolve(monitoring: Monitoring) -> None:
    """Every alert fires for every endpoint, is delivered with the labels that route it, and resolves afterwards."""
    written = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    if put_back(monitoring, written):
        warnings.warn("a dry run that was killed had left its limits; they were put back", stacklevel=1)
    require("before", until(lambda: wrong_rules(monitoring.loaded(), written), WITHIN_SECONDS))
    before, token, alerts = monitoring.rules.read_bytes(), uuid4().hex, alerts_of(written)
    told: list[Labels] = []
    with dry_run(monitoring, written, token):
        heard = until(lambda: _unheard(monitoring, token, alerts, told), WITHIN_SECONDS)
    assert monitoring.rules.read_bytes() == before, f"{monitoring.rules} was not put back"
    require("dry run", heard)
    require("restored", until(lambda: wrong_rules(monitoring.loaded(), written), WITHIN_SECONDS))
    require("resolved", until(lambda: _unresolved(monitoring, token, told), WITHIN_SECONDS))


def _unheard(monitoring: Monitoring, token: str, alerts: Sequence[Alert], told: list[Labels]) -> list[str]:
    """Return what the receiver has not heard, and keep what it has: it may forget."""
    told += [one for one in monitoring.notified(token, "firing") if one not in told]
    return unheard(told, alerts, TEMPLATES)


def _unresolved(monitoring: Monitoring, token: str, told: Sequence[Labels]) -> list[str]:
    """Return the alerts of this dry run that still fire, or that the receiver was not told the end of."""
    firing = [one for one in monitoring.firing() if one.get(TOKEN_LABEL) == token]
    over = monitoring.notified(token, "resolved")
    return [f"{one['alertname']} still fires" for one in firing] + [
        f"the receiver did not hear that {one['alertname']} at {one['endpoint']} is over"
        for one in told
        if one not in over
    ]
