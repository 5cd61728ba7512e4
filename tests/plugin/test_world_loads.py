"""What makes the loads of a stage: its place, its target, and that no two loads are made at once."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from pytest_rollout.load_runner import LoadRunner
from pytest_rollout.plugin.settings import Settings
from pytest_rollout.plugin.world import World

PLAN = """\
rollout: shop
environments: {staging: {target: "http://shop.test:8080/"}}
stages:
  - stage: 1
    name: Reads
    gates: [{id: a, unproven: x}]
  - stage: 2
    name: Writes
    gates: [{id: a, unproven: x}]
"""


@pytest.fixture
def runners(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[LoadRunner, ...]:
    monkeypatch.setenv("TOKEN", "t-1")
    plan = tmp_path / "plans" / "shop.rollout.yaml"
    plan.parent.mkdir()
    plan.write_text(PLAN)
    settings = Settings(
        plans=(),
        environment="staging",
        wait=None,
        faults=(),
        push=False,
        reports=tmp_path / "reports",
        evidence=tmp_path / "evidence.db",
        spool=tmp_path / "spool",
        flipped_at=None,
        canary=None,
    )
    world = World(settings, tmp_path, run_folder=tmp_path)
    return tuple(world.loads(plan, stage) for stage in world.plan(plan).plan.stages)


def test_every_stage_has_a_folder_of_its_own(runners: tuple[LoadRunner, ...], tmp_path: Path) -> None:
    assert [runner.folder for runner in runners] == [
        tmp_path / "reports/load/shop-stage1",
        tmp_path / "reports/load/shop-stage2",
    ]


def test_loads_go_to_the_target_with_its_variables(runners: tuple[LoadRunner, ...], tmp_path: Path) -> None:
    assert {(runner.host, runner.rootdir) for runner in runners} == {("http://shop.test:8080/", tmp_path)}
    assert {runner.variables["TOKEN"] for runner in runners} == {"t-1"}


def test_no_two_loads_of_a_run_are_made_at_once(runners: tuple[LoadRunner, ...], tmp_path: Path) -> None:
    for runner in runners:
        with (tmp_path / "load.lock").open("w") as mine:
            with runner.alone(), pytest.raises(BlockingIOError):
                fcntl.flock(mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.flock(mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
