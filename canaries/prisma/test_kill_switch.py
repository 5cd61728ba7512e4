"""The kill switch of stage 1: turning PERSISTENCE_PRISMA_READS off really turns the new read path off.

A cohort of its own is switched, so nobody else notices. "Off" because of an error looks exactly like "off" because of
the switch, so the switch is first proven on, and an evaluation only counts if the service says how it got the value.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import httpx
import pytest

from canaries.prisma.switch import POLL_SECONDS, Switch, borrowed, until

pytestmark = pytest.mark.canary("kill-switch")

FLAG = "PERSISTENCE_PRISMA_READS"
COHORT = "kill-switch-drill"
WITHIN_SECONDS = 300.0
"""A rollback must be executed within five minutes (runbook, section 4)."""
AT_LEAST_SECONDS = 5.0
HOLD_POLLS = 3


class Seen(NamedTuple):
    """What the flag service says and which read path the application takes, for the drill's cohort."""

    flag: bool
    read_path: str


@dataclass(frozen=True)
class Drill:
    """The switch and its effect."""

    switch: Switch
    target: str

    def look(self) -> Seen:
        """Return flag and effect as they are now."""
        flag = self.switch.value()
        page = self.switch.client.get(f"{self.target}/api/agents", headers={"x-cohort": COHORT})
        assert page.status_code == httpx.codes.OK, f"a read of the drill's cohort answered {page.status_code}"
        return Seen(flag, page.headers.get("x-read-path", "unknown"))


@pytest.fixture
def drill(rollout_target: Any) -> Iterator[Drill]:
    """Return the drill; afterwards the flag is as it was, or the test fails."""
    with borrowed(rollout_target, FLAG, COHORT) as switch:
        yield Drill(switch, rollout_target.url)


def test_kill_switch_turns_the_new_reads_off(drill: Drill, rollout_target: Any) -> None:
    """On is seen, off is seen in time and stays, and the audit names exactly the drill's two changes."""
    within = max(AT_LEAST_SECONDS, rollout_target.scaled(WITHIN_SECONDS))
    switch = drill.switch
    known = {change["id"] for change in switch.changes()}

    switch.turn(to=True, reason="drill: positive control")
    on = Seen(flag=True, read_path="facade")
    until(lambda: drill.look() == on, within, lambda: f"the flag was never on: {drill.look()}")
    switch.turn(to=False, reason="drill: kill switch")
    off = Seen(flag=False, read_path="legacy")
    until(lambda: drill.look() == off, within, lambda: f"the flag did not turn off: {drill.look()}")
    for _ in range(HOLD_POLLS):
        time.sleep(POLL_SECONDS)
        assert drill.look() == off, "the flag was off and came back"

    ours = [change for change in switch.changes() if change["id"] not in known]
    assert [(one["actor"], one["after"]) for one in ours] == [(switch.actor, True), (switch.actor, False)]
