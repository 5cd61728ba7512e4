"""Hooks that other plugins and conftest files may implement."""

from __future__ import annotations

from typing import Any

import pytest


def pytest_rollout_gate_evaluated(item: pytest.Item, result: dict[str, Any]) -> None:
    """Called in the process that judged a gate, before the item passes or fails.

    ``result`` holds verdict, reason, message, value, limit, unit, samples, window and derivation.
    """


def pytest_rollout_decided(config: pytest.Config, document: dict[str, Any]) -> None:
    """Called once per run, on the controller, with the verdict document after it was written."""
