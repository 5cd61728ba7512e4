"""Fixtures: one instance in this process, on a small database whose cohorts meet every mode."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.normalization.config import Config
from sandbox.normalization.db import open_database
from sandbox.normalization.deployment import create_database
from sandbox.normalization.instance import build
from sandbox.normalization.mode_store import ModeStore
from sandbox.normalization.modes import ENDPOINTS, Mode, ModeWish
from tests.sandbox import hosting

COMPANIES = 480
TOKEN = "a-token"
MODES = ("off", "warn", "enforce")
BEARER = {"Authorization": f"Bearer {TOKEN}"}

Open = Callable[..., httpx.Client]


def served(config: Config) -> AbstractContextManager[httpx.Client]:
    """Serve the application on a port."""
    return hosting.served(build(config))


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database to copy: everybody is in off, the cohorts off, warn and enforce are in the mode they name."""
    path = create_database(tmp_path_factory.mktemp("template"), dict.fromkeys(ENDPOINTS, Mode.OFF), COMPANIES)
    engine = open_database(path)
    for mode in Mode:
        ModeStore(engine).change(ENDPOINTS, ModeWish(mode, mode, "test", "test"), at=time.time())
    engine.dispose()
    return path


@pytest.fixture
def database(template: Path, tmp_path: Path) -> Path:
    """Return a database of the test's own."""
    return Path(shutil.copy(template, tmp_path / "normalization.db"))


@pytest.fixture
def site(database: Path) -> Iterator[Open]:
    """Return what opens an instance on the test's database with these faults."""
    with ExitStack() as stack:

        def open_site(*faults: str, **fields: Any) -> httpx.Client:
            config = Config(database, faults=frozenset(faults), flags_token=TOKEN, **fields)
            return stack.enter_context(hosting.asked(build(config)))

        yield open_site


@pytest.fixture
def client(site: Open) -> httpx.Client:
    """Return a healthy instance of the test's own."""
    return site()


@pytest.fixture(scope="module")
def unchanged(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Return a healthy instance shared by the tests that count nothing and flip nothing."""
    path = shutil.copy(template, tmp_path_factory.mktemp("site") / "normalization.db")
    with hosting.asked(build(Config(Path(path), flags_token=TOKEN))) as client:
        yield client
