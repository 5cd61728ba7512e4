"""The pytest plugin: hooks that wire. Only the standard library and pytest are imported with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_rollout.plugin import settings as _settings
from pytest_rollout.plugin.stash import settings_key as _settings_key, world_key as _world_key

if TYPE_CHECKING:
    from collections.abc import Generator

_MARKERS = (
    "rollout_gate: a gate of a plan",
    "canary(name, every=None): a synthetic transaction test",
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
    """Collect plans."""
    if not file_path.name.endswith(".rollout.yaml"):
        return None
    from pytest_rollout.plugin.items import PlanFile
    from pytest_rollout.plugin.wiring import register_markers

    register_markers(parent.config, [file_path])
    return PlanFile.from_parent(parent, path=file_path)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep one item per gate: overlapping arguments may name a plan twice."""
    from pytest_rollout.plugin.items import GateItem

    gates = {item.nodeid: item for item in reversed(items) if isinstance(item, GateItem)}
    items[:] = [item for item in items if gates.get(item.nodeid, item) is item]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[Any]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note on a failed phase's report whether the system or the instrument failed."""
    report = yield
    if call.excinfo is not None and report.failed:
        from pytest_rollout.plugin.outcome import FAULT_PROPERTY, classify

        report.user_properties.append((FAULT_PROPERTY, classify(call.excinfo.value)))
    return report


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say in one line what is judged, where, and with which browser."""
    from pytest_rollout.plugin.wiring import header

    return header(config) if _settings_key in config.stash else None
