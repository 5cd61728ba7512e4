"""The rehearsal of the rollback: the plan's own playbook, carried out in its order on the preview, each step confirmed.

It starts from where the rollout ends, enforce everywhere and the data migrated, and goes back to the data and the
release from before. Afterwards the release, the flags and the data of the preview are as they were, or the test fails.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from canaries.stage_normalization import commands
from canaries.stage_normalization.books import Books
from canaries.stage_normalization.endpoints import COHORT_FLAG, ENDPOINTS, MODES, UNKNOWN, Finding
from canaries.stage_normalization.instances import (
    COHORTS,
    Instance,
    Modes,
    UnusableError,
    await_modes,
    require,
    wrong_modes,
)
from canaries.stage_normalization.rehearsal import Preview
from pytest_rollout.flags.writer import FlagWriter
from pytest_rollout.plan.loader import load_plan
from pytest_rollout.plan.rollback import Action
from pytest_rollout.playbook import Ground, carry_out
from pytest_rollout.sources.http import Http

pytestmark = pytest.mark.canary("rollback-rehearsal")

PLAN = Path(__file__).with_name("stage-normalization.rollout.yaml")
ACTOR = "canary rollback-rehearsal"
REASON = "rehearse the rollback on the preview"
BATCH_ROWS = 5000
RELEASE_SECONDS = 60.0
EVERYWHERE = tuple((endpoint.name, cohort) for endpoint in ENDPOINTS for cohort in COHORTS)
REHEARSED = ("warn", "off-monte-carlo", "off-strategies", "off-companies", "previous-tag", "data")
"""What the document's playbook does, in its order; the note is a person's part."""
_FAMILIES = "stage_validation_"


@dataclass(frozen=True)
class Rehearsal:
    """The preview in the state that the rollout ends in."""

    preview: Preview
    ground: Ground
    version: str
    """Of the release under rollout."""
    shown: Books
    """What the preview answered before the migration."""
    name: str

    def wrong_modes(self, modes: Modes) -> list[str]:
        """Return where an instance of the preview does not say, show or act as these modes want."""
        late = await_modes(self.preview.instances, modes)
        return late or [line for one in self.preview.instances for line in wrong_modes(one, modes, modes, self.name)]

    def wrong_after(self, action: Action, modes: Modes) -> list[str]:
        """Return what an action should have brought about on every instance, and has not. Raises UnusableError."""
        if action.set:
            return self.wrong_modes(modes)
        if action.id == "previous-tag":
            return [line for one in self.preview.instances for line in not_previous(one, self.version, self.name)]
        if action.id == "data":
            same = self.preview.data("rolled-back") == self.preview.kept
            return [*([] if same else ["the data is not the snapshot's"]), *self.preview.unlike(self.shown)]
        raise UnusableError(f"nobody knows how to see that {action.id} is done; say it in {__file__}")


@pytest.fixture
def rehearsal(
    borrowed_preview: Preview, preview_flags: FlagWriter, rollout_variables: Any, name: str
) -> Iterator[Rehearsal]:
    """Return the preview after the whole rollout; afterwards its release and flags are as they were."""
    http = Http(headers={"Authorization": f"Bearer {rollout_variables['STAGE_API_FLAGS_TOKEN']}"})
    ground = Ground.of(
        load_plan(PLAN).plan,
        http=http,
        flags_url=rollout_variables["STAGE_PREVIEW_URL"],
        variables={**rollout_variables, **of_the_preview(rollout_variables, borrowed_preview)},
        folder=Path(__file__).parent,
    )
    before, version = preview_flags.snapshot(), one_version(borrowed_preview)
    mine = Rehearsal(borrowed_preview, ground, version, borrowed_preview.books(), name)
    with ExitStack() as back:  # each is tried, whatever becomes of the others
        back.callback(http.close)
        back.callback(preview_flags.restore, before, actor=ACTOR, reason="over")
        back.callback(release, rollout_variables["STAGE_PREVIEW_RELEASE"], "current")
        roll_out(borrowed_preview, preview_flags)
        yield mine
    assert one_version(borrowed_preview) == version, "the preview's release was not put back"


def test_playbook_goes_all_the_way_back(rehearsal: Rehearsal) -> None:
    """Every action is confirmed, and every instance says, shows and does what it should have brought about."""
    modes: Modes = dict.fromkeys(EVERYWHERE, "enforce")
    require("start", rehearsal.wrong_modes(modes))
    for action in rehearsed(load_plan(PLAN).plan.rollback):
        outcome = carry_out(action, rehearsal.ground, by=ACTOR, reason=REASON)
        assert outcome.confirmed, f"{action.id}: {outcome.message}"
        modes = turned(modes, action.set or {})
        require(action.id, rehearsal.wrong_after(action, modes))


def rehearsed(playbook: Sequence[Action]) -> list[Action]:
    """Return the actions that no person has to do. Raises UnusableError unless they are those of the document."""
    actions = [action for action in playbook if action.ask is None]
    if (ids := [action.id for action in actions]) != list(REHEARSED):
        raise UnusableError(f"the playbook does {', '.join(ids) or 'nothing'}; rehearsed is {', '.join(REHEARSED)}")
    return actions


def of_the_preview(variables: Mapping[str, str], preview: Preview) -> dict[str, str]:
    """Return the playbook's variables as they are for the preview: it names the real deployment."""
    return {
        "STAGE_RELEASE": variables["STAGE_PREVIEW_RELEASE"],
        "STAGE_MIGRATE": variables["STAGE_PREVIEW_MIGRATE"],
        "STAGE_SNAPSHOT": str(preview.snapshot),
    }


def turned(modes: Modes, flags: Mapping[str, object]) -> Modes:
    """Return the modes after flags were set for everybody, the flag of all endpoints among them."""
    names = {one.flag: {one.name} for one in ENDPOINTS} | {COHORT_FLAG: {one.name for one in ENDPOINTS}}
    wanted = {name: value for flag, value in flags.items() for name in names[flag] if value in MODES}
    return {(name, cohort): wanted.get(name, mode) for (name, cohort), mode in modes.items()}


def roll_out(preview: Preview, flags: FlagWriter) -> None:
    """Bring the preview where the rollout ends: enforce everywhere, and the data migrated."""
    for endpoint in ENDPOINTS:
        flags.set(endpoint.flag, "enforce", actor=ACTOR, reason=REASON)
    preview.migrate.apply(preview.migrate.plan()["digest"], BATCH_ROWS)
    if preview.data("rolled-out") == preview.kept:
        raise UnusableError("the migration has changed nothing, so nothing shows that it is taken back")


def not_previous(instance: Instance, version: str, name: str) -> list[str]:
    """Return how an instance is not the release before the validator."""
    families = [family for family in instance.exposition() if family.startswith(_FAMILIES)]
    acts = [(one, cohort, instance.finding(one, UNKNOWN, cohort, name)) for one in ENDPOINTS for cohort in COHORTS]
    return [
        *([f"{instance.url} is still release {version}"] if version_of(instance) == version else []),
        *(f"{instance.url} still has the metric {family}" for family in families),
        *(
            f"{instance.url} still validates at {endpoint.name} for {cohort}: {UNKNOWN.text!r} is {found}"
            for endpoint, cohort, found in acts
            if found != Finding("served", UNKNOWN.text)
        ),
    ]


def one_version(preview: Preview) -> str:
    """Return the release that every instance of the preview is. Raises UnusableError if they differ."""
    versions = {version_of(one) for one in preview.instances}
    if len(versions) != 1:
        raise UnusableError(f"the preview's instances are of several releases: {', '.join(sorted(versions))}")
    return versions.pop()


def version_of(instance: Instance) -> str:
    """Return what an instance's OpenAPI document says that it is."""
    return str(instance.get("/openapi.json")["info"]["version"])


def release(command: str, which: str) -> None:
    """Roll the preview to a release. Raises UnusableError if that fails."""
    code, said = commands.run(command, [which], RELEASE_SECONDS)
    if code:
        raise UnusableError(f"rolling the preview to {which} ended with {code}: {said.strip()[-400:]}")
