"""Puts the parts of the plugin together for one run."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_rollout import __version__
from pytest_rollout.plugin.selection import find_goldens, find_plans, marker_lines, unknown_stages
from pytest_rollout.plugin.settings import Settings, only_looks
from pytest_rollout.plugin.stash import plans_key, world_key

if TYPE_CHECKING:
    from pytest_rollout.plugin.controller import Controller
    from pytest_rollout.plugin.recorder import Recorder
    from pytest_rollout.plugin.world import World


def set_up(config: pytest.Config, markers: Iterable[str]) -> None:
    """Register markers and the plugin objects that this process needs. Raises pytest.UsageError."""
    try:
        _set_up(config, markers)
    except pytest.UsageError as exc:
        _withdraw_verdict(config, exc)
        raise


def _withdraw_verdict(config: pytest.Config, why: Exception) -> None:
    """Let no older verdict stand for a run that could not start."""
    from pytest_rollout.plugin.ledger import Ledger, pending_document
    from pytest_rollout.plugin.witness import told_before
    from pytest_rollout.publish.verdict_file import write_verdict

    folder = config.getoption("rollout_reports") or config.getini("rollout_reports")
    path = config.rootpath / folder / "verdict.json"
    if path.exists() and not hasattr(config, "workerinput"):
        empty = Ledger().document(version=__version__, finished_at=time.time(), interrupted=True)
        document = pending_document(empty, f"the run did not start: {why}")
        write_verdict(path, {**document, "evidence": told_before(path)})


def _set_up(config: pytest.Config, markers: Iterable[str]) -> None:
    for line in markers:
        config.addinivalue_line("markers", line)
    settings = Settings.of(config)
    config.stash[plans_key] = plans = find_plans(config, settings.plans)
    _register_markers(config, plans)
    _check_stages(config, plans)
    _register_fixtures(config)
    if goldens := find_goldens(config, settings.goldens):
        from pytest_rollout.plugin.golden import register_golden

        register_golden(config, settings, goldens)
    if settings.canary is not None and not only_looks(config):
        _register_recorder(config, settings, plans)
    if plans:
        config.stash[world_key] = _world(config, settings)
        _register_allure(config)
        _register_item_hooks(config)
        _register_parts(config, settings, plans)


def _register_markers(config: pytest.Config, plans: Iterable[Path]) -> None:
    """Register the stage markers of some plans, each once."""
    known = _known_markers(config)
    for name, line in marker_lines(plans).items():
        if name not in known:
            config.addinivalue_line("markers", line)


def _known_markers(config: pytest.Config) -> set[str]:
    return {line.partition(":")[0].partition("(")[0].strip() for line in config.getini("markers")}


def _check_stages(config: pytest.Config, plans: list[Path]) -> None:
    # pytest itself would say so only after collection, and under xdist only as an internal error.
    known = _known_markers(config)
    unknown = unknown_stages(config.getoption("markexpr") or "", known)
    if plans and unknown:
        stages = ", ".join(sorted(name for name in known if name.startswith("stage")))
        raise pytest.UsageError(f"no plan has {unknown[0]}; the plans here have {stages}")


def _world(config: pytest.Config, settings: Settings) -> World:
    from pytest_rollout.plugin.world import World

    told: dict[str, Any] = getattr(config, "workerinput", {})
    folder = told.get("rollout_run_folder")
    world = World(settings, config.rootpath, run_folder=Path(folder) if folder else None)
    world.sandboxes.learn(told.get("rollout_sandboxes", {}))
    world.records_browser = config.pluginmanager.hasplugin("playwright")
    world.canary_arguments = [
        *(("-c", str(config.inipath)) if config.inipath else ()),
        *(("-n", "0") if config.pluginmanager.hasplugin("xdist") else ()),
    ]
    return world


def _register_fixtures(config: pytest.Config) -> None:
    from pytest_rollout.plugin import fixtures

    manager = config.pluginmanager
    manager.register(fixtures, "rollout-fixtures")
    if manager.hasplugin("playwright"):
        # A module of its own, registered late: overrides in the entry-point module lose when it is loaded by -p.
        from pytest_rollout.plugin import playwright

        manager.register(playwright, "rollout-playwright")


def _register_recorder(config: pytest.Config, settings: Settings, plans: list[Path]) -> None:
    from pytest_rollout.plugin.deadline import Deadline
    from pytest_rollout.plugin.recorder import DEADLINE_PLUGIN

    if len(plans) != 1:
        names = ", ".join(plan.name for plan in plans) or "none"
        raise pytest.UsageError(f"--rollout-canary needs the folder of exactly one plan as argument; found {names}")
    if config.getoption("dist", "no") != "no":
        raise pytest.UsageError("--rollout-canary runs in one process; leave -n away, or give -n0")
    if (deadline := Deadline.of(os.environ)) is not None:
        config.pluginmanager.register(deadline, DEADLINE_PLUGIN)
    config.pluginmanager.register(_recorder(config, settings, plans[0]), "rollout-recorder")


def _recorder(config: pytest.Config, settings: Settings, plan: Path) -> Recorder:
    from pytest_rollout.plugin.golden_recorder import GoldenRecorder
    from pytest_rollout.plugin.recorder import Recorder

    golden = (settings.canary or "").startswith("golden:")
    return (GoldenRecorder if golden else Recorder)(config, settings, plan)


def _register_parts(config: pytest.Config, settings: Settings, plans: list[Path]) -> None:
    from pytest_rollout.plugin.controller import Controller
    from pytest_rollout.plugin.distribution import Distribution, Worker

    manager = config.pluginmanager
    world = config.stash[world_key]
    if hasattr(config, "workerinput"):
        manager.register(Worker(config, plans), "rollout-worker")
        return
    _check_faults(config, settings, plans)
    controller: Controller = Controller(config, settings, world, plans)
    manager.register(controller, "rollout-controller")
    if manager.hasplugin("xdist"):
        manager.register(Distribution(controller), "rollout-xdist")


def _register_item_hooks(config: pytest.Config) -> None:
    from pytest_rollout.plugin.outcome import ItemHooks

    config.pluginmanager.register(ItemHooks(), "rollout-items")


def _register_allure(config: pytest.Config) -> None:
    if config.getoption("allure_report_dir", None):
        from pytest_rollout.plugin.allure import AllureReport

        config.pluginmanager.register(AllureReport(), "rollout-allure")


def _check_faults(config: pytest.Config, settings: Settings, plans: list[Path]) -> None:
    if not settings.faults:
        return
    from pytest_rollout.errors import RolloutError
    from pytest_rollout.sandbox import check_faults

    world = config.stash[world_key]
    try:
        systems = {world.system(plan) for plan in plans if world.needs_sandbox(plan)}
        if not systems:
            raise pytest.UsageError(
                f"--rollout-fault works only where the run starts a sandbox, not in {settings.environment!r}"
            )
        check_faults(config.rootpath, settings.faults, systems.pop() if len(systems) == 1 else None)
    except RolloutError as exc:
        raise pytest.UsageError(str(exc)) from exc


def header(config: pytest.Config) -> str | None:
    """Return the header line, or None if no plan is here."""
    plans = config.stash.get(plans_key, [])
    if not plans:
        return None
    settings = config.stash[world_key].settings
    parts = [
        ", ".join(plan.name.removesuffix(".rollout.yaml") for plan in plans),
        f"environment {settings.environment}",
    ]
    if settings.faults:
        parts.append(f"faults {', '.join(settings.faults)}")
    if config.pluginmanager.hasplugin("playwright"):
        from pytest_rollout.plugin.browser import find_browser

        parts.append(f"browser {find_browser()}")
    parts.append(f"push {'always' if settings.push else 'never'}")
    return f"rollout: {', '.join(parts)}"
