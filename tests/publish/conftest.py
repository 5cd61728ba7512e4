"""A real Pushgateway for tests of what is pushed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.components import start_pushgateway


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[str]:
    """Address of a Pushgateway of its own, empty."""
    with start_pushgateway(tmp_path / "gateway") as component:
        yield component.url
