"""Evidence logs in a SQLite file and in a real PostgreSQL: the same tests run on both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_rollout.evidence.log import EvidenceLog
from tests.evidence.logs import Address, Open
from tests.postgres import Postgres


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Address:
    """Return where a log may be, of each sort."""
    if request.param == "sqlite":
        return tmp_path / ".rollout" / "evidence.db"
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_schema()


@pytest.fixture
def open_log() -> Iterator[Open]:
    """Return a function that opens a log, which is closed at the end."""
    opened: list[EvidenceLog] = []

    def new(address: Address, patience: float = 10.0) -> EvidenceLog:
        opened.append(EvidenceLog(address, patience))
        return opened[-1]

    yield new
    for log in opened:
        log.close()


@pytest.fixture
def log(address: Address, open_log: Open) -> EvidenceLog:
    """Return an empty log, of each sort."""
    return open_log(address)


@pytest.fixture
def file_log(tmp_path: Path, open_log: Open) -> EvidenceLog:
    """Return an empty log in a SQLite file."""
    return open_log(tmp_path / ".rollout" / "evidence.db")
