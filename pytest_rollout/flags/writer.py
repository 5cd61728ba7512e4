"""Change flags by the admin API of a flag service; OFREP only reads them.

``PUT {url}/admin/flags/FLAG`` with ``{"cohort", "value", "actor", "reason"}``, where the value null takes a cohort's
own rule away, and ``GET {url}/admin/flags``. That the service says 200 proves nothing: read the flag back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import quote

from pytest_rollout.errors import QueryRefused, SourceError, SourceUnreachable
from pytest_rollout.sources.answers import read_json
from pytest_rollout.sources.http import Answer, Transport, retried, without_credentials

EVERYBODY = "*"
"""The cohort of the value that holds for whoever has none of their own."""
_RETRY_BUDGET = 2.0
_OK, _REDIRECTS, _REFUSALS, _FAULTS, _TOO_MANY = 200, 300, 400, 500, 429


@dataclass(frozen=True, slots=True)
class Rules:
    """What a flag is: for everybody, and for each cohort that has a value of its own."""

    default: bool | str
    cohorts: Mapping[str, bool | str]


Snapshot: TypeAlias = Mapping[str, Rules]
"""By flag. Two are equal if all values are."""


class FlagWriter:
    """Changes flags. Each request takes at most 2 s and one deadline of the transport.

    Every method raises SourceUnreachable if nobody answered, so that nobody knows what happened; QueryRefused if
    nothing was changed; SourceError for an answer that makes no sense.
    """

    def __init__(self, url: str, http: Transport) -> None:
        """Name the flag service; ``http`` sends what it wants to see of its callers, such as a bearer token."""
        self._url = url.rstrip("/")
        self._http = http

    def set(self, flag: str, value: bool | str, cohort: str = EVERYBODY, *, actor: str, reason: str) -> None:
        """Ask for a flag to be something for a cohort."""
        self._put(flag, {"cohort": cohort, "value": value, "actor": actor, "reason": reason})

    def remove(self, flag: str, cohort: str, *, actor: str, reason: str) -> None:
        """Ask for a cohort to have what everybody has."""
        self._put(flag, {"cohort": cohort, "value": None, "actor": actor, "reason": reason})

    def snapshot(self) -> Snapshot:
        """Return what every flag is."""
        body = read_json(self._ask("GET", "/admin/flags").text)
        flags = body.get("flags") if isinstance(body, dict) else None
        if not isinstance(flags, dict):
            raise SourceError(f"{without_credentials(self._url)}: the answer lists no flags")
        return {flag: self._rules(flag, told) for flag, told in flags.items()}

    def restore(self, before: Snapshot, *, actor: str, reason: str) -> None:
        """Make the flags of a snapshot what they were, and read them back; SourceError says which are not."""
        faults = {}
        now = self.snapshot()
        for flag, rules in before.items():
            try:
                self._restore(flag, rules, now.get(flag), actor, reason)
            except SourceError as exc:
                faults[flag] = str(exc)
        after = self.snapshot()
        other = [flag for flag, rules in before.items() if after.get(flag) != rules]
        if other:
            said = "; ".join(f"{flag} was {before[flag]}, is {after.get(flag)}, {faults.get(flag)}" for flag in other)
            raise SourceError(f"flags are not as they were: {said}")

    def _restore(self, flag: str, rules: Rules, now: Rules | None, actor: str, reason: str) -> None:
        if now == rules:
            return
        # In this order: a service may take cohorts' own rules away when everybody's value changes.
        self.set(flag, rules.default, actor=actor, reason=reason)
        for cohort in now.cohorts.keys() - rules.cohorts.keys() if now else ():
            self.remove(flag, cohort, actor=actor, reason=reason)
        for cohort, value in rules.cohorts.items():
            self.set(flag, value, cohort, actor=actor, reason=reason)

    def _put(self, flag: str, wish: Mapping[str, Any]) -> None:
        self._ask("PUT", f"/admin/flags/{quote(flag, safe='')}", wish)

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        # Asked again after faults, too: the same wish twice is the same as once.
        answer = retried(lambda: self._http(method, f"{self._url}{path}", json=body), budget=_RETRY_BUDGET)
        if _OK <= answer.status < _REDIRECTS:
            return answer
        said = f"HTTP {answer.status} from {without_credentials(self._url)}: {answer.text.strip()[:120]}".rstrip(": ")
        if answer.status >= _FAULTS or answer.status == _TOO_MANY:
            raise SourceUnreachable(said)
        if answer.status >= _REFUSALS:
            raise QueryRefused(said)
        raise SourceError(said)

    def _rules(self, flag: str, told: Any) -> Rules:
        try:
            rules = Rules(told["default"], dict(told["cohorts"]))
        except (LookupError, TypeError, ValueError):
            rules = Rules("", {})
        if not all(isinstance(value, bool) or (isinstance(value, str) and value) for value in _values(rules)):
            raise SourceError(f"{without_credentials(self._url)}: it does not say what {flag} is: {told!r}")
        return rules


def _values(rules: Rules) -> list[object]:
    return [rules.default, *rules.cohorts.values()]
