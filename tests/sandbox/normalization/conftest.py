"""Fixtures: one instance served from this process, on a small database whose cohorts meet every mode."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from sandbox.normalization.config import Config
from sandbox.normalization.db import open_database
from sandbox.normalization.deployment import create_database
from sandbox.normalization.instance import build
from sandbox.normalization.mode_store import ModeStore
from sandbox.normalization.modes import ENDPOINTS, Mode, ModeWish
from sandbox.serving import listen

COMPANIES = 480
TOKEN = "a-token"
MODES = ("off", "warn", "enforce")
BEARER = {"Authorization": f"Bearer {TOKEN}"}

Open = Callable[..., httpx.Client]


@contextmanager
def served(config: Config) -> Iterator[httpx.Client]:
    settings = uvicorn.Config(build(config), log_level="error", timeout_graceful_shutdown=1)
    server = uvicorn.Server(settings)
    with listen() as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            with httpx.Client(base_url=url, trust_env=False, timeout=10) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join(5)


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
            return stack.enter_context(served(config))

        yield open_site


@pytest.fixture
def client(site: Open) -> httpx.Client:
    """Return a healthy instance of the test's own."""
    return site()


@pytest.fixture(scope="module")
def unchanged(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Return a healthy instance shared by the tests that count nothing and flip nothing."""
    path = shutil.copy(template, tmp_path_factory.mktemp("site") / "normalization.db")
    with served(Config(Path(path), flags_token=TOKEN)) as client:
        yield client
