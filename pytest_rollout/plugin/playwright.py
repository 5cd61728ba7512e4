"""Overrides of pytest-playwright's fixtures. Registered only if pytest-playwright is there."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_rollout.plugin.browser import HOW_TO_INSTALL, find_browser


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Launch the browser that was found, unless a conftest says otherwise."""
    browser = find_browser()
    if browser.name == "none":
        raise FileNotFoundError(HOW_TO_INSTALL)
    return {**({"executable_path": browser.path} if browser.path else {}), **browser_type_launch_args}


@pytest.fixture(scope="session", autouse=True)
def delete_output_dir() -> None:
    """Keep what is there.

    pytest-playwright would delete ``--output`` in every worker, screenshots of others
    included (microsoft/playwright-pytest#108).
    """
