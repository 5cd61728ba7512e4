"""Leases: one holder at a time, and one who lost a lease without noticing writes nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass

import pytest
import sqlalchemy as sa

from pytest_rollout.errors import EvidenceError, FencedOut
from pytest_rollout.evidence.leases import Fence, Leases
from pytest_rollout.evidence.log import EvidenceLog
from tests.evidence.logs import Open, broken, entry, execute, read


@dataclass
class Clocked:
    """A log with a clock of its own."""

    log: EvidenceLog
    time: float = 1000.0

    def now(self) -> float:
        return self.time

    def transaction(self) -> AbstractContextManager[sa.Connection]:
        return self.log.transaction()


@pytest.fixture
def clocked(log: EvidenceLog) -> Clocked:
    return Clocked(log)


def test_a_lease_has_one_holder(log: EvidenceLog) -> None:
    leases = Leases(log)
    assert leases.acquire("watch", "one", 60.0) == Fence("watch", 1)
    assert leases.acquire("watch", "two", 60.0) is None
    assert leases.acquire("other", "two", 60.0) == Fence("other", 1)


def test_what_is_given_back_is_free(log: EvidenceLog) -> None:
    leases = Leases(log)
    fence = leases.acquire("watch", "one", 60.0)
    assert fence
    leases.release(fence)
    assert leases.acquire("watch", "two", 60.0) == Fence("watch", 2)


def test_an_expired_lease_is_taken_over(clocked: Clocked) -> None:
    leases = Leases(clocked)
    leases.acquire("watch", "one", 60.0)
    clocked.time += 59.9
    assert leases.acquire("watch", "two", 60.0) is None
    clocked.time += 0.1
    assert leases.acquire("watch", "two", 60.0) == Fence("watch", 2)


def test_a_renewed_lease_lasts_longer(clocked: Clocked) -> None:
    leases = Leases(clocked)
    fence = leases.acquire("watch", "one", 60.0)
    assert fence
    clocked.time += 100.0  # expired, and nobody wanted it
    leases.renew(fence, 60.0)
    clocked.time += 59.0
    assert leases.acquire("watch", "two", 60.0) is None


def test_who_starts_again_gets_a_new_token(log: EvidenceLog) -> None:
    leases = Leases(log)
    before = leases.acquire("watch", "one", 60.0)
    assert before
    assert leases.acquire("watch", "one", 60.0) == Fence("watch", 2)
    with pytest.raises(FencedOut):
        leases.renew(before, 60.0)


def test_who_lost_a_lease_neither_renews_it_nor_gives_it_back(clocked: Clocked) -> None:
    leases = Leases(clocked)
    lost = leases.acquire("watch", "one", 0.0)
    assert lost
    leases.acquire("watch", "two", 60.0)
    with pytest.raises(FencedOut) as refused:
        leases.renew(lost, 60.0)
    assert str(refused.value) == "the lease watch with token 1 is lost: two has token 2; nothing was written"
    leases.release(lost)
    assert leases.acquire("watch", "three", 60.0) is None


def test_who_lost_a_lease_appends_nothing(log: EvidenceLog) -> None:
    leases = Leases(log)
    lost = leases.acquire("watch", "one", 0.0)
    assert lost
    log.append([entry(at=1.0)], fence=lost)  # expired, but nobody else took it
    newest = leases.acquire("watch", "two", 60.0)
    with pytest.raises(FencedOut) as refused:
        log.append([entry(at=2.0)], fence=lost)
    assert str(refused.value) == "the lease watch with token 1 is lost: two has token 2; nothing was written"
    log.append([entry(at=3.0)], fence=newest)
    assert read(log) == [1.0, 3.0]


def test_a_lease_that_is_gone_is_lost(log: EvidenceLog) -> None:
    fence = Leases(log).acquire("watch", "one", 60.0)
    execute(log.address, "DELETE FROM leases")
    with pytest.raises(FencedOut) as refused:
        log.append([entry()], fence=fence)
    assert str(refused.value) == "the lease watch with token 1 is lost: it is gone; nothing was written"


def test_nobody_takes_over_while_the_holder_appends(log: EvidenceLog, open_log: Open) -> None:
    """The token is checked in the transaction that appends, and holds until its end."""
    impatient = Leases(open_log(log.address, 0.2))
    fence = Leases(log).acquire("watch", "one", 0.0)
    with log.appending(fence) as appending:
        with pytest.raises(EvidenceError, match="is locked"):
            impatient.acquire("watch", "two", 60.0)
        appending.append([entry()])
    assert impatient.acquire("watch", "two", 60.0) == Fence("watch", 2)
    assert read(log) == [1.0]


def test_of_several_at_once_one_gets_it(log: EvidenceLog, open_log: Open) -> None:
    log.head()

    def acquire(holder: str) -> Fence | None:
        return Leases(open_log(log.address)).acquire("watch", holder, 60.0)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(acquire, "abcd"))
    assert sorted(fence is not None for fence in found) == [False, False, False, True]


def test_no_token_is_given_twice(log: EvidenceLog, open_log: Open) -> None:
    log.head()

    def take_over(holder: str) -> list[Fence | None]:
        leases = Leases(open_log(log.address))
        return [leases.acquire("watch", holder, 0.0) for _ in range(25)]

    with ThreadPoolExecutor(4) as pool:
        found = [fence.token for taken in pool.map(take_over, "abcd") for fence in taken if fence]
    assert len(found) > 25  # who waited may come too early for what was taken meanwhile
    assert sorted(found) == list(range(1, len(found) + 1))


def test_leases_are_no_evidence(log: EvidenceLog) -> None:
    Leases(log).acquire("watch", "one", 60.0)
    assert log.head().count == 0
    assert broken(log) is None
