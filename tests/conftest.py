"""What several folders of tests share."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Iterator

import pytest

from sandbox.components import Component, start_prometheus
from tests.postgres import Postgres, running_postgres

pytest_plugins = ["pytester"]

_ERA_SECONDS = 20_000.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the rehearsals: they take the longest, so the other files are done beside them."""
    items.sort(key=lambda item: item.path.parent.name != "rehearsal")


def pytest_collection_finish() -> None:
    """Spare the garbage collector what all tests are made of: walking it took a tenth of their time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Component]:
    """Return a real Prometheus that scrapes nothing: tests write samples into it, at times of their own."""
    with start_prometheus(tmp_path_factory.mktemp("prometheus")) as component:
        yield component


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Return a real PostgreSQL: ask it for a database of your own."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def eras() -> Iterator[float]:
    """Return starts of stretches of time, ever later: Prometheus takes samples in the order of time only."""
    return itertools.count(1_700_000_000.0, _ERA_SECONDS)


@pytest.fixture
def era(eras: Iterator[float]) -> float:
    """Return the start of a stretch of time that belongs to one test alone (unix seconds)."""
    return next(eras)
