"""Fixtures of the stage-normalization canaries: the serving and the preview instances, their flags and migrations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from canaries.stage_normalization.alerts import Monitoring
from canaries.stage_normalization.instances import Instance, UnusableError, fleet, require_all
from canaries.stage_normalization.migration import Migration
from canaries.stage_normalization.rehearsal import Preview, borrowed
from pytest_rollout.flags.writer import FlagWriter
from pytest_rollout.sources.http import Http


@pytest.fixture
def serving(rollout_variables: Any, rollout_target: Any) -> Iterator[tuple[Instance, ...]]:
    """Return the instances that users meet, all of them."""
    with fleet(rollout_variables["STAGE_SERVING_INSTANCES"]) as instances:
        require_all(rollout_target.url, instances)
        yield instances


@pytest.fixture
def preview(rollout_variables: Any) -> Iterator[tuple[Instance, ...]]:
    """Return the instances that nobody uses, all of them: there modes may be flipped and data rewritten."""
    with fleet(rollout_variables["STAGE_API_INSTANCES"]) as instances:
        require_all(rollout_variables["STAGE_PREVIEW_URL"], instances)
        yield instances


@pytest.fixture
def preview_flags(rollout_variables: Any) -> Iterator[FlagWriter]:
    """Return the flags of the preview."""
    http = Http(headers={"Authorization": f"Bearer {rollout_variables['STAGE_API_FLAGS_TOKEN']}"})
    try:
        yield FlagWriter(rollout_variables["STAGE_PREVIEW_URL"], http)
    finally:
        http.close()


@pytest.fixture
def migrate(rollout_variables: Any) -> Migration:
    """Return the migration on the serving database."""
    return Migration.of(rollout_variables["STAGE_MIGRATE"])


@pytest.fixture
def preview_migrate(rollout_variables: Any) -> Migration:
    """Return the migration on the preview's database."""
    return Migration.of(rollout_variables["STAGE_PREVIEW_MIGRATE"])


@pytest.fixture
def name(rollout_attempt: Any) -> str:
    """Return the name that everything has which this attempt stores; from now on it is not repeated."""
    rollout_attempt.begin_side_effect()
    return f"synthetic {rollout_attempt.key}"


@pytest.fixture
def borrowed_preview(
    preview: tuple[Instance, ...], preview_migrate: Migration, tmp_path: Path, rollout_attempt: Any
) -> Iterator[Preview]:
    """Return the preview for a rehearsal; afterwards its data is as it was, or the test fails."""
    rollout_attempt.begin_side_effect()
    with borrowed(preview, preview_migrate, tmp_path) as mine:
        yield mine


@pytest.fixture
def monitoring(rollout_target: Any, rollout_variables: Any) -> Iterator[Monitoring]:
    """Return Prometheus, Alertmanager, the receiver of alerts, and the file of rules."""
    if rollout_target.prometheus is None:
        raise UnusableError("the environment has no prometheus, so nobody knows its alerts")
    with httpx.Client(trust_env=False, timeout=5) as http:
        yield Monitoring(
            http,
            rollout_target.prometheus.rstrip("/"),
            rollout_variables["STAGE_ALERTMANAGER"].rstrip("/"),
            rollout_variables["STAGE_ALERT_RECEIVER"].rstrip("/"),
            Path(rollout_variables["STAGE_RULES_FILE"]),
        )
