"""The releases a deployment can run, and how it is told which: by a file in its directory."""

import os
from enum import StrEnum
from pathlib import Path

_FILE = "release"


class Release(StrEnum):
    """The release under rollout, or the tag before it, which has no validator."""

    CURRENT = "current"
    PREVIOUS = "previous"

    @property
    def version(self) -> str:
        """The version in the OpenAPI document."""
        return "1.0.0" if self is Release.CURRENT else "0.9.0"


def wanted_in(directory: Path) -> Release:
    """Return the release that a deployment in this directory has to run."""
    try:
        return Release((directory / _FILE).read_text())
    except FileNotFoundError:
        return Release.CURRENT


def want(directory: Path, release: Release) -> None:
    """Say in one step which release a deployment in this directory has to run."""
    draft = directory / f".{_FILE}.{os.getpid()}"
    draft.write_text(release)
    draft.replace(directory / _FILE)
