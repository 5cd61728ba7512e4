"""What tests over a real Prometheus share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_rollout.sources.http import Http
from sandbox.components import Component
from tests.sources.past import Past


@pytest.fixture(scope="module")
def http() -> Iterator[Http]:
    """Return one client for all tests of a file."""
    client = Http()
    yield client
    client.close()


@pytest.fixture
def past(prometheus: Component, era: float, http: Http) -> Past:
    """Return half an hour that belongs to one test alone."""
    return Past(prometheus.url, http, era)
