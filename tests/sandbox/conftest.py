"""Fixtures for the sandbox's tests: the application served from this process, and a Prometheus of its own."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import httpx
import pytest

from sandbox.components import Component, start_prometheus
from sandbox.prisma.app import build
from sandbox.prisma.config import Config, FlagSetting
from tests.sandbox import hosting

READS_ON = FlagSetting("PERSISTENCE_PRISMA_READS", "admin", value=True)

Open = Callable[..., httpx.Client]


def served(config: Config) -> AbstractContextManager[httpx.Client]:
    """Serve the application on a port."""
    return hosting.served(build(config))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Open]:
    """Return what opens the application with these faults, flags and locale."""
    with ExitStack() as stack:

        def open_site(
            *faults: str,
            flags: tuple[FlagSetting, ...] = (READS_ON,),
            locale: str = "en",
            managed_secret: bool = True,
        ) -> httpx.Client:
            config = Config(
                directory=tmp_path,
                locale=locale,
                faults=frozenset(faults),
                flags=flags,
                flags_token="a-token",
                settings_secret="a-secret" if managed_secret else None,
            )
            return stack.enter_context(served(config))

        yield open_site


@pytest.fixture
def client(site: Open) -> httpx.Client:
    """Return the healthy application with the new reads on for the admin cohort."""
    return site()


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Return the same, shared by the tests that change nothing."""
    config = Config(tmp_path_factory.mktemp("site"), flags=(READS_ON,), flags_token="a-token")
    with served(config) as client:
        yield client


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Component]:
    """Return a Prometheus that scrapes nothing."""
    with start_prometheus(tmp_path_factory.mktemp("prometheus")) as component:
        yield component
