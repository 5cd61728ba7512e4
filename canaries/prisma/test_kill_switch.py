"""The kill switch of stage 1: turning PERSISTENCE_PRISMA_READS off really turns the new read path off.

A cohort of its own is switched, so nobody else notices. "Off" because of an error looks exactly like "off" because of
the switch, so the switch is first proven on, and an evaluation only counts if the service says how it got the value.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import uuid4

import httpx
import pytest

pytestmark = pytest.mark.canary("kill-switch")

FLAG = "PERSISTENCE_PRISMA_READS"
COHORT = "kill-switch-drill"
WITHIN_SECONDS = 300.0
"""A rollback must be executed within five minutes (runbook, section 4)."""
AT_LEAST_SECONDS = 5.0
POLL_SECONDS = 0.15
HOLD_POLLS = 3
EVALUATED = {"STATIC", "TARGETING_MATCH", "SPLIT", "DISABLED"}


class FlagServiceError(RuntimeError):
    """The flag service did not answer, or not what it should: nothing is known about the switch."""


class Seen(NamedTuple):
    """What the flag service says and which read path the application takes, for the drill's cohort."""

    flag: bool
    read_path: str


@dataclass(frozen=True)
class Switch:
    """The flag of the drill's cohort, its admin API, and its effect."""

    client: httpx.Client
    target: str
    flags: str
    token: str | None
    actor: str

    def turn(self, *, to: bool | None, reason: str) -> None:
        """Set the flag for the cohort; None removes the cohort's value."""
        wanted = {"cohort": COHORT, "value": to, "actor": self.actor, "reason": reason}
        self._ask("PUT", f"/admin/flags/{FLAG}", wanted)

    def look(self) -> Seen:
        """Return flag and effect as they are now."""
        context = {"targetingKey": COHORT, "cohort": COHORT}
        found = self._ask("POST", f"/ofrep/v1/evaluate/flags/{FLAG}", {"context": context})
        if found.get("reason") not in EVALUATED or "errorCode" in found or not isinstance(found.get("value"), bool):
            raise FlagServiceError(f"the flag was not evaluated: {found}")
        page = self.client.get(f"{self.target}/api/agents", headers={"x-cohort": COHORT})
        assert page.status_code == 200, f"a read of the drill's cohort answered {page.status_code}"
        return Seen(found["value"], page.headers.get("x-read-path", "unknown"))

    def snapshot(self) -> Any:
        """Return the values of the flag, default and per cohort."""
        return self._ask("GET", "/admin/flags")["flags"][FLAG]

    def changes(self) -> list[dict[str, Any]]:
        """Return every change of the flag for the cohort, oldest first."""
        changes = self._ask("GET", "/admin/flags/audit")
        return [one for one in changes if one["flag"] == FLAG and one["cohort"] == COHORT]

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token and path.startswith("/admin") else {}
        try:
            response = self.client.request(method, f"{self.flags}{path}", json=body, headers=headers)
        except httpx.HTTPError as error:
            raise FlagServiceError(f"{method} {path}: {error!r}") from error
        if response.status_code != 200:
            raise FlagServiceError(f"{method} {path} answered {response.status_code} {response.text[:200]}")
        return response.json()


@pytest.fixture
def switch(rollout_target: Any) -> Iterator[Switch]:
    """Return the switch; afterwards the flag is as it was, or the test fails."""
    if rollout_target.flags_url is None:
        raise FlagServiceError("the environment has no flag service")
    with httpx.Client(trust_env=False, timeout=5) as client:
        actor = f"kill-switch-drill-{uuid4().hex[:12]}"
        switch = Switch(client, rollout_target.url, rollout_target.flags_url, rollout_target.flags_token, actor)
        switch.turn(to=None, reason="drill: clear what a killed drill left")
        before = switch.snapshot()
        try:
            yield switch
        finally:
            switch.turn(to=None, reason="drill over")
        assert switch.snapshot() == before, "the flag is not as it was before the drill"


def test_kill_switch_turns_the_new_reads_off(switch: Switch, rollout_target: Any) -> None:
    """On is seen, off is seen in time and stays, and the audit names exactly the drill's two changes."""
    within = max(AT_LEAST_SECONDS, rollout_target.scaled(WITHIN_SECONDS))
    known = {change["id"] for change in switch.changes()}

    switch.turn(to=True, reason="drill: positive control")
    until(lambda: switch.look() == Seen(flag=True, read_path="facade"), within, switch, "was never on")
    switch.turn(to=False, reason="drill: kill switch")
    off = Seen(flag=False, read_path="legacy")
    until(lambda: switch.look() == off, within, switch, "did not turn off")
    for _ in range(HOLD_POLLS):
        time.sleep(POLL_SECONDS)
        assert switch.look() == off, "the flag was off and came back"

    ours = [change for change in switch.changes() if change["id"] not in known]
    assert [(one["actor"], one["after"]) for one in ours] == [(switch.actor, True), (switch.actor, False)]


def until(holds: Callable[[], bool], seconds: float, switch: Switch, otherwise: str) -> None:
    """Poll until the condition holds; AssertionError after so many seconds."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"after {seconds:g} s the flag {otherwise}: {switch.look()}")
        time.sleep(POLL_SECONDS)
