"""A flag turned for a cohort of its own, so that nobody else notices, and what the flag service says about it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx

POLL_SECONDS = 0.15
EVALUATED = {"STATIC", "TARGETING_MATCH", "SPLIT", "DISABLED"}


class FlagServiceError(RuntimeError):
    """The flag service did not answer, or not what it should: nothing is known about the switch."""


@dataclass(frozen=True)
class Switch:
    """The flag of one cohort, and the service's admin API."""

    client: httpx.Client
    flags: str
    token: str | None
    flag: str
    cohort: str
    actor: str

    def turn(self, *, to: bool | None, reason: str) -> None:
        """Set the flag for the cohort; None removes the cohort's value."""
        wanted = {"cohort": self.cohort, "value": to, "actor": self.actor, "reason": reason}
        self._ask("PUT", f"/admin/flags/{self.flag}", wanted)

    def value(self) -> bool:
        """Return the flag's value for the cohort; what was not evaluated is an error."""
        context = {"targetingKey": self.cohort, "cohort": self.cohort}
        found = self._ask("POST", f"/ofrep/v1/evaluate/flags/{self.flag}", {"context": context})
        if found.get("reason") not in EVALUATED or "errorCode" in found or not isinstance(found.get("value"), bool):
            raise FlagServiceError(f"the flag was not evaluated: {found}")
        return bool(found["value"])

    def snapshot(self) -> Any:
        """Return the values of the flag, default and per cohort."""
        return self._ask("GET", "/admin/flags")["flags"][self.flag]

    def changes(self) -> list[dict[str, Any]]:
        """Return every change of the flag for the cohort, oldest first."""
        changes = self._ask("GET", "/admin/flags/audit")
        return [one for one in changes if one["flag"] == self.flag and one["cohort"] == self.cohort]

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token and path.startswith("/admin") else {}
        try:
            response = self.client.request(method, f"{self.flags}{path}", json=body, headers=headers)
        except httpx.HTTPError as error:
            raise FlagServiceError(f"{method} {path}: {error!r}") from error
        if response.status_code != 200:
            raise FlagServiceError(f"{method} {path} answered {response.status_code} {response.text[:200]}")
        return response.json()


@contextmanager
def borrowed(target: Any, flag: str, cohort: str) -> Iterator[Switch]:
    """Yield the switch of a cohort named like its canary; afterwards the flag is as it was, or AssertionError."""
    if target.flags_url is None:
        raise FlagServiceError("the environment has no flag service")
    with httpx.Client(trust_env=False, timeout=5) as client:
        actor = f"{cohort}-{uuid4().hex[:12]}"
        switch = Switch(client, target.flags_url, target.flags_token, flag, cohort, actor)
        switch.turn(to=None, reason=f"{cohort}: clear what a killed run left")
        before = switch.snapshot()
        try:
            yield switch
        finally:
            switch.turn(to=None, reason=f"{cohort}: over")
        if (after := switch.snapshot()) != before:
            raise AssertionError(f"the flag {flag} was {before} and is {after} now")


def until(holds: Callable[[], bool], seconds: float, otherwise: Callable[[], str]) -> None:
    """Poll until the condition holds; AssertionError after so many seconds."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"after {seconds:g} s {otherwise()}")
        time.sleep(POLL_SECONDS)
