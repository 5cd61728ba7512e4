"""Find a Chromium: the one asked for, Playwright's own, or the system's."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

BROWSER_VARIABLE = "ROLLOUT_BROWSER"
# The headless shell starts three times faster than the full browser and needs half the memory.
_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
_APPLICATIONS = ("Chromium.app/Contents/MacOS/Chromium", "Google Chrome.app/Contents/MacOS/Google Chrome")
HOW_TO_INSTALL = "no Chromium was found; run: make setup, or set ROLLOUT_BROWSER to the path of one"


@dataclass(frozen=True, slots=True)
class Browser:
    """A browser; ``path`` is None if Playwright finds its own."""

    name: str
    path: str | None
    version: str

    def __str__(self) -> str:
        """Return name and version for a header."""
        return f"{self.name} {self.version}".strip()


@functools.cache
def find_browser() -> Browser:
    """Return the browser to use; its name is ``none`` if there is none."""
    if asked := os.environ.get(BROWSER_VARIABLE):
        path = shutil.which(asked)
        return _described(path) if path else Browser("none", None, f"({BROWSER_VARIABLE}={asked} is not a program)")
    if own := _of_playwright():
        return Browser("playwright-chromium", None, own)
    places = [shutil.which(name) for name in _NAMES]
    places += [str(place) for name in _APPLICATIONS if (place := Path("/Applications", name)).exists()]
    found = next((place for place in places if place), None)
    return _described(found) if found else Browser("none", None, "(run: make setup)")


def _of_playwright() -> str | None:
    home = Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "ms-playwright"
    root = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or home)
    found = sorted(root.glob("chromium*/INSTALLATION_COMPLETE"))
    return found[-1].parent.name if found else None


def _described(path: str) -> Browser:
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=False)  # noqa: S603
        words = done.stdout.split()
    except (OSError, subprocess.TimeoutExpired):
        words = []
    version = next((word for word in words if word[:1].isdigit()), "")
    return Browser(Path(path).name, path, version)
