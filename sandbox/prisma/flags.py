"""The flag store: values per cohort with a default, an audit of every change, and a revision."""

import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from sandbox.prisma.clock import now, rfc3339
from sandbox.prisma.config import FLAGS, FlagSetting
from sandbox.prisma.db import FlagChange, FlagRule

EVERYBODY = "*"
_STARTER = "sandbox"


class UnknownFlagError(LookupError):
    """No flag has this key."""


@dataclass(frozen=True)
class Evaluation:
    """A flag's value for a cohort, why, and since when that value applies (RFC 3339)."""

    key: str
    value: bool
    reason: str
    changed_at: str
    changed_by: str


@dataclass(frozen=True)
class _Rule:
    value: bool | None
    changed_at: str
    changed_by: str


class FlagStore:
    """Flags in the database, mirrored in memory: the application asks on every request.

    ``stuck`` is the fault of a kill switch that the application does not obey.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        initial: Sequence[FlagSetting] = (),
        created_at: datetime | None = None,
        stuck: bool = False,
    ) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._stuck = stuck
        self._ever_on: set[tuple[str, str]] = set()
        self._rules: dict[str, dict[str, _Rule]] = defaultdict(dict)
        self._revision = 0
        at = rfc3339(created_at or now())
        for flag in FLAGS:
            self._write(flag, EVERYBODY, _Rule(value=False, changed_at=at, changed_by=_STARTER), "created")
        for setting in initial:
            rule = _Rule(value=setting.value, changed_at=at, changed_by=_STARTER)
            self._write(setting.flag, setting.cohort, rule, "set at start")

    @property
    def revision(self) -> int:
        """The number of changes so far."""
        return self._revision

    def evaluate(self, key: str, cohort: str) -> Evaluation:
        """Return the flag's value for the cohort; raises UnknownFlagError."""
        rules = self._known(key)
        default, rule = rules[EVERYBODY], rules.get(cohort)
        if rule is None or cohort == EVERYBODY:
            return Evaluation(key, bool(default.value), "STATIC", default.changed_at, default.changed_by)
        if rule.value is not None:
            return Evaluation(key, rule.value, "TARGETING_MATCH", rule.changed_at, rule.changed_by)
        # The cohort has had the default since its own rule was removed, or since the default changed later.
        last = max(default, rule, key=lambda one: one.changed_at)
        return Evaluation(key, bool(default.value), "STATIC", last.changed_at, last.changed_by)

    def serving(self, key: str, cohort: str) -> bool:
        """Return the value the application itself acts on."""
        value = self.evaluate(key, cohort).value
        return value or (self._stuck and (key, cohort) in self._ever_on)

    def change(self, key: str, cohort: str, value: bool | None, *, actor: str, reason: str) -> str:
        """Set, or with None remove, the value of a cohort and return when it changed.

        Setting what is already set is no change. Raises UnknownFlagError.
        """
        with self._lock:
            rule = self._known(key).get(cohort)
            if rule is not None and rule.value == value:
                return rule.changed_at
            at = rfc3339(now())
            if rule is not None or value is not None:
                self._write(key, cohort, _Rule(value=value, changed_at=at, changed_by=actor), reason)
            return at

    def changes(self) -> list[dict[str, Any]]:
        """Return every change, oldest first."""
        columns = FlagChange.__table__.columns
        with Session(self._engine) as session:
            rows = session.execute(select(*columns).order_by(FlagChange.id)).mappings()
            return [dict(row) for row in rows]

    def snapshot(self) -> dict[str, dict[str, Any]]:
        """Return default and cohort values of every flag; two snapshots are equal if all values are."""
        return {
            flag: {
                "default": bool(rules[EVERYBODY].value),
                "cohorts": {
                    cohort: rule.value
                    for cohort, rule in sorted(rules.items())
                    if cohort != EVERYBODY and rule.value is not None
                },
            }
            for flag, rules in self._rules.items()
        }

    def _known(self, key: str) -> dict[str, _Rule]:
        if key not in FLAGS:
            raise UnknownFlagError(key)
        return self._rules[key]

    def _write(self, key: str, cohort: str, rule: _Rule, reason: str) -> None:
        before = self._rules[key].get(cohort)
        change = FlagChange(
            flag=key,
            cohort=cohort,
            before=before.value if before else None,
            after=rule.value,
            actor=rule.changed_by,
            reason=reason,
            at=rule.changed_at,
        )
        row = FlagRule(
            flag=key,
            cohort=cohort,
            value=rule.value,
            changed_at=rule.changed_at,
            changed_by=rule.changed_by,
        )
        with Session(self._engine) as session, session.begin():
            session.add(change)
            session.merge(row)
            session.flush()
            self._revision = change.id
        self._rules[key][cohort] = rule
        if rule.value:
            self._ever_on.add((key, cohort))
