"""The mode flags over HTTP; their values are texts."""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sandbox.flag_service import EVERYBODY, BadRequestError, FlagService, Wanted
from sandbox.normalization.mode_store import ModeStore
from sandbox.normalization.modes import ENDPOINTS, FLAG, Change, Endpoint, Mode, ModeWish

FLAGS: dict[str, tuple[Endpoint, ...]] = {FLAG: ENDPOINTS, **{endpoint.flag: (endpoint,) for endpoint in ENDPOINTS}}
"""The flags and the endpoints whose mode each one is."""
MIXED = "mixed"
"""The value of the flag of all endpoints while they differ."""
_COHORT = re.compile(r"[a-z0-9-]{1,32}")


class ModeFlags(FlagService[Mode]):
    """The HTTP side of a mode store."""

    keys = tuple(FLAGS)
    values = "off, warn, enforce"

    def __init__(
        self, store: ModeStore, token: str, clock: Callable[[], float] = time.time, *, down: bool = False
    ) -> None:
        super().__init__(token, down=down)
        self._store = store
        self._clock = clock

    def revision(self) -> int:
        """Return the number of changes so far."""
        return self._store.rules().revision

    def evaluation(self, key: str, cohort: str) -> dict[str, Any]:
        """Return the answer to OFREP for a flag and a cohort."""
        rules, changes = self._store.rules(), self._store.changes()
        modes = {rules.mode(endpoint, cohort) for endpoint in FLAGS[key]}
        last = _last(changes, FLAGS[key], cohort)
        targeted = any(cohort in rules.of(endpoint) for endpoint in FLAGS[key]) and cohort != EVERYBODY
        value = modes.pop() if len(modes) == 1 else MIXED
        return {
            "key": key,
            "value": value,
            "variant": value,
            "reason": "TARGETING_MATCH" if targeted else "STATIC",
            "metadata": {"changedAt": _rfc3339(last.at), "changedBy": last.actor},
        }

    def flags(self) -> dict[str, Any]:
        """Return default and cohorts of the endpoints' flags."""
        rules = self._store.rules()
        flags = {}
        for endpoint in ENDPOINTS:
            modes = dict(rules.of(endpoint))
            flags[endpoint.flag] = {"default": modes.pop(EVERYBODY, Mode.OFF), "cohorts": modes}
        return flags

    def changes(self) -> list[dict[str, Any]]:
        """Return every change, oldest first."""
        return [_as_json(change) for change in self._store.changes()]

    def read(self, value: object) -> Mode:
        """Return a value of a request's body; ValueError if it is none."""
        return Mode(str(value))

    def write(self, key: str, wanted: Wanted[Mode]) -> str:
        """Change the modes of the flag's endpoints and return when they changed."""
        if wanted.cohort != EVERYBODY and not _COHORT.fullmatch(wanted.cohort):
            raise BadRequestError("GENERAL", "cohort must be * or 1 to 32 of a-z, 0-9 and -")
        wish = ModeWish(wanted.cohort, wanted.value, wanted.actor, wanted.reason)
        self._store.change(FLAGS[key], wish, at=self._clock())
        names = {endpoint.name for endpoint in FLAGS[key]}
        return _rfc3339([change for change in self._store.changes() if change.endpoint in names][-1].at)


def _last(changes: list[Change], endpoints: tuple[Endpoint, ...], cohort: str) -> Change:
    """Return the last change that the cohort's mode may come from; every endpoint's mode was set at the start."""
    names = {endpoint.name for endpoint in endpoints}
    return [one for one in changes if one.endpoint in names and one.cohort in (cohort, EVERYBODY)][-1]


def _as_json(change: Change) -> dict[str, Any]:
    flag = next(endpoint.flag for endpoint in ENDPOINTS if endpoint.name == change.endpoint)
    return {
        "id": change.id,
        "flag": flag,
        "cohort": change.cohort,
        "before": change.before,
        "after": change.after,
        "actor": change.actor,
        "reason": change.reason,
        "at": _rfc3339(change.at),
    }


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
