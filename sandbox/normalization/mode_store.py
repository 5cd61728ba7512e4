"""Modes in the database, for all instances: an append-only list of changes."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, Engine, bindparam, insert, select

from sandbox.normalization.db import ModeChange, reading, writing
from sandbox.normalization.modes import EVERYBODY, Change, Endpoint, Mode, ModeWish, Rules

# Made once: every request asks for the modes.
_LATER = select(*ModeChange.__table__.columns).where(ModeChange.id > bindparam("after")).order_by(ModeChange.id)


class ModeStore:
    """The changes of the modes; every instance reads them, any instance writes them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def changes(self, after: int = 0) -> list[Change]:
        """Return the changes later than a revision, oldest first."""
        with reading(self._engine) as connection:
            return _read(connection, after)

    def rules(self) -> Rules:
        """Return the modes as they were last asked for."""
        return Rules(self.changes())

    def change(self, endpoints: Sequence[Endpoint], wish: ModeWish, *, at: float) -> Rules:
        """Set, or with None remove, a cohort's mode at these endpoints, in one transaction, and return the rules.

        Setting what is set already is no change. A change for everybody removes the rules of single cohorts:
        whoever turns the validator back means all of the traffic.
        """
        with writing(self._engine) as connection:
            rules = Rules(_read(connection))
            for endpoint in endpoints:
                for whom, before, after in _wanted(rules.of(endpoint), wish):
                    values = {"endpoint": endpoint.name, "cohort": whom, "before": before, "after": after}
                    whose = {"actor": wish.actor, "reason": wish.reason, "at": at}
                    connection.execute(insert(ModeChange).values(**values, **whose))
            return Rules(_read(connection))


def _wanted(rules: Mapping[str, Mode], wish: ModeWish) -> list[tuple[str, Mode | None, Mode | None]]:
    """Return cohort, mode before and mode after of every rule that has to change."""
    wanted = {wish.cohort: wish.mode}
    if wish.cohort == EVERYBODY:
        wanted |= dict.fromkeys(rules.keys() - {EVERYBODY})
    return [(whom, rules.get(whom), after) for whom, after in wanted.items() if rules.get(whom) != after]


def _read(connection: Connection, after: int = 0) -> list[Change]:
    rows = connection.execute(_LATER, {"after": after})
    return [
        Change(
            id=row.id,
            endpoint=row.endpoint,
            cohort=row.cohort,
            before=Mode(row.before) if row.before else None,
            after=Mode(row.after) if row.after else None,
            actor=row.actor,
            reason=row.reason,
            at=row.at,
        )
        for row in rows
    ]
