"""Leases: one holder at a time, and whoever took over later has the higher token."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

import sqlalchemy as sa

from pytest_rollout.errors import FencedOut
from pytest_rollout.evidence.tables import LEASES


class Fence(NamedTuple):
    """Proof of a lease: it holds until somebody else has a higher token."""

    name: str
    token: int


class Shared(Protocol):
    """What leases need of an evidence log."""

    def transaction(self) -> AbstractContextManager[sa.Connection]:
        """Write."""
        ...

    def now(self) -> float:
        """Return the time that all holders share."""
        ...


class Leases:
    """The leases in an evidence log. Every method raises EvidenceError."""

    def __init__(self, log: Shared) -> None:
        self._log = log

    def acquire(self, name: str, holder: str, seconds: float) -> Fence | None:
        """Take a lease that is free, expired or the holder's own; None if somebody else holds it."""
        now = self._log.now()
        with self._log.transaction() as connection:
            _insert_if_new(connection, name)
            free = sa.or_(LEASES.c.expires_at <= now, LEASES.c.holder == holder)
            taken = {"holder": holder, "token": LEASES.c.token + 1, "expires_at": now + seconds}
            take = LEASES.update().where(LEASES.c.name == name, free).values(taken).returning(LEASES.c.token)
            token = connection.execute(take).scalar()  # in one statement: who waited for another sees what that one did
            return None if token is None else Fence(name, token)

    def renew(self, fence: Fence, seconds: float) -> None:
        """Keep a lease for so many seconds from now. Raises FencedOut if somebody else took it over."""
        now = self._log.now()
        with self._log.transaction() as connection:
            check_fence(connection, fence)
            connection.execute(LEASES.update().where(LEASES.c.name == fence.name), {"expires_at": now + seconds})

    def release(self, fence: Fence) -> None:
        """Give a lease back, so that nobody has to wait; one that was lost is not touched."""
        mine = sa.and_(LEASES.c.name == fence.name, LEASES.c.token == fence.token)
        with self._log.transaction() as connection:
            connection.execute(LEASES.update().where(mine), {"expires_at": 0.0})


def check_fence(connection: sa.Connection, fence: Fence) -> None:
    """Raise FencedOut unless the token is the newest; nobody can take over until the transaction ends."""
    row = connection.execute(_lease(fence.name).with_for_update()).one_or_none()
    if row is None or row.token != fence.token:
        newest = f"{row.holder} has token {row.token}" if row else "it is gone"
        raise FencedOut(f"the lease {fence.name} with token {fence.token} is lost: {newest}; nothing was written")


def _lease(name: str) -> sa.Select[str, str, int, float]:
    return sa.select(LEASES.c.name, LEASES.c.holder, LEASES.c.token, LEASES.c.expires_at).where(LEASES.c.name == name)


def _insert_if_new(connection: sa.Connection, name: str) -> None:
    statement = "INSERT INTO leases (name, holder, token, expires_at) VALUES (:name, '', 0, 0) ON CONFLICT DO NOTHING"
    connection.execute(sa.text(statement), {"name": name})
