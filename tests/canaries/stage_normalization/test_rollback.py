"""What the rehearsal of the rollback looks at after each action; the whole of it runs on the real sandbox."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from canaries.stage_normalization import test_rollback_rehearsal as rollback
from canaries.stage_normalization.instances import Instance, Modes, UnusableError
from canaries.stage_normalization.rehearsal import Preview
from canaries.stage_normalization.test_rollback_rehearsal import EVERYWHERE, Rehearsal, not_previous, rehearsed
from pytest_rollout.plan.loader import load_plan
from pytest_rollout.plan.rollback import Action
from sandbox.normalization.config import Config
from sandbox.normalization.instance import build
from sandbox.normalization.releases import Release
from tests.canaries.stage_normalization.conftest import NAME, migration_in_process
from tests.sandbox.hosting import asked

OpenRelease = Callable[..., Instance]
WARN: Modes = dict.fromkeys(EVERYWHERE, "warn")


@pytest.fixture
def release(database: Path) -> Iterator[OpenRelease]:
    """Return what opens an instance of a release, with faults."""
    with ExitStack() as stack:

        def open_release(which: Release, *faults: str) -> Instance:
            config = Config(database, faults=frozenset(faults), release=which)
            return Instance(stack.enter_context(asked(build(config))))

        yield open_release


@pytest.fixture
def rehearsal(release: OpenRelease, database: Path, tmp_path: Path) -> Rehearsal:
    """Return a rehearsal in warn, on one instance."""
    preview = Preview((release(Release.CURRENT),), migration_in_process(database), tmp_path)
    preview.migrate.snapshot(preview.snapshot)
    ground: Any = None  # the playbook is not carried out here
    return Rehearsal(preview, ground, "1.0.0", preview.books(), NAME)


def test_previous_release_is_without_the_validator(release: OpenRelease) -> None:
    assert not_previous(release(Release.PREVIOUS), "1.0.0", NAME) == []


def test_release_that_does_not_roll_back_is_seen(release: OpenRelease) -> None:
    found = not_previous(release(Release.PREVIOUS, "release-does-not-roll-back"), "1.0.0", NAME)
    assert "http://sandbox still has the metric stage_validation_validations" in found
    said = "http://sandbox still validates at monte_carlo for *: 'serie-a' is warned as 'serie-a', nearest 'series-a'"
    assert said in found


def test_release_that_is_still_the_new_one_is_seen(release: OpenRelease) -> None:
    assert not_previous(release(Release.CURRENT), "1.0.0", NAME)[0] == "http://sandbox is still release 1.0.0"


def test_flags_that_were_set_have_to_be_seen(rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    action = Action(id="warn", set={"STAGE_VALIDATION_MODE": "warn"})
    assert rehearsal.wrong_after(action, WARN) == []
    monkeypatch.setattr(rollback, "await_modes", lambda *_: [])
    off: Modes = {**WARN, ("companies", "*"): "off"}
    assert rehearsal.wrong_after(action, off) == [
        f"http://sandbox {how} warn at companies for everybody, expected off" for how in ("says", "shows", "acts as")
    ]


def test_data_that_is_not_back_is_seen(rehearsal: Rehearsal) -> None:
    data = Action(id="data", run="true")
    rehearsal.preview.migrate.apply(rehearsal.preview.migrate.plan()["digest"], 5000)
    assert rehearsal.wrong_after(data, WARN) == ["the data is not the snapshot's"]


def test_data_that_is_back_is_seen(rehearsal: Rehearsal) -> None:
    assert rehearsal.wrong_after(Action(id="data", run="true"), WARN) == []


def test_action_that_nobody_can_confirm_is_no_pass(rehearsal: Rehearsal) -> None:
    with pytest.raises(UnusableError, match="nobody knows how to see that purge is done; say it in "):
        rehearsal.wrong_after(Action(id="purge", run="true"), WARN)


def test_release_command_that_fails_says_why() -> None:
    with pytest.raises(UnusableError, match=r"^rolling the preview to current ended with 4: no room$"):
        rollback.release("sh -c 'echo no room >&2; exit 4' --", "current")


def test_playbook_of_the_plan_is_rehearsed_whole() -> None:
    actions = load_plan(rollback.PLAN).plan.rollback
    assert [one.id for one in rehearsed(actions)] == list(rollback.REHEARSED)


@pytest.mark.parametrize(
    "left", [(), ("note",), ("warn", "note"), tuple(one for one in rollback.REHEARSED if one != "data")]
)
def test_playbook_that_lacks_an_action_is_no_pass(left: tuple[str, ...]) -> None:
    actions = [one for one in load_plan(rollback.PLAN).plan.rollback if one.id in left]
    with pytest.raises(UnusableError, match=r"^the playbook does .*; rehearsed is warn, off-monte-carlo, off-strat"):
        rehearsed(actions)


def test_playbook_in_another_order_is_no_pass() -> None:
    actions = load_plan(rollback.PLAN).plan.rollback
    with pytest.raises(UnusableError, match=r"^the playbook does data, previous-tag, "):
        rehearsed(list(reversed(actions)))


def test_flags_are_put_back_though_the_release_is_not(rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    class Flags:
        def snapshot(self) -> str:
            return "before"

        def restore(self, before: str, **_: object) -> None:
            done.append(f"restored {before}")

    monkeypatch.setattr(rollback, "roll_out", lambda *_: done.append("rolled out"))
    monkeypatch.setattr(rollback, "Ground", SimpleNamespace(of=lambda *_, **__: None))
    names = ("STAGE_API_FLAGS_TOKEN", "STAGE_PREVIEW_URL", "STAGE_PREVIEW_MIGRATE")
    variables = {**dict.fromkeys(names, "x"), "STAGE_PREVIEW_RELEASE": "false"}
    whole: Any = rollback.rehearsal
    running = whole.__wrapped__(rehearsal.preview, Flags(), variables, NAME)
    next(running)
    with pytest.raises(UnusableError, match="rolling the preview to current ended with 1"):
        next(running)
    assert done == ["rolled out", "restored before"]


def test_instances_of_several_releases_are_refused(release: OpenRelease) -> None:
    mixed = Preview((release(Release.CURRENT), release(Release.PREVIOUS)), migration_in_process(Path()), Path())
    with pytest.raises(UnusableError, match=r"^the preview's instances are of several releases: 0\.9\.0, 1\.0\.0$"):
        rollback.one_version(mixed)
