"""The pytest plugin: hooks that wire. Only the standard library and pytest are imported with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_rollout.plugin import settings as _settings
from pytest_rollout.plugin.stash import world_key as _world_key

_MARKERS = (
    "rollout_gate: a gate of a plan",
    "canary(name): a synthetic transaction test",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register options and ini keys."""
    _settings.add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Register the hooks that this plugin calls."""
    from pytest_rollout.plugin import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


def pytest_configure(config: pytest.Config) -> None:
    """Register stage markers from the plans, before anything is collected, and the parts that do the work."""
    from pytest_rollout.plugin.wiring import set_up

    set_up(config, _MARKERS)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop everything that was started."""
    world = config.stash.get(_world_key, None)
    if world is not None:
        world.close()


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect plans and golden cases."""
    if file_path.suffix == ".json" and (file_path.parent / "endpoint.json").is_file():
        from pytest_rollout.plugin.golden import collect_golden

        return collect_golden(file_path, parent)
    if not file_path.name.endswith(".rollout.yaml"):
        return None
    from pytest_rollout.plugin.items import PlanFile

    return PlanFile.from_parent(parent, path=file_path)


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say in one line what is judged, where, and with which browser."""
    from pytest_rollout.plugin.wiring import header

    return header(config)
