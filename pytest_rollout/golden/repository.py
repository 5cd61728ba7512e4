"""What git says of the tree that a corpus is in."""

from __future__ import annotations

import getpass
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Tree:
    """The commit of a tree, and what is not committed; ``commit`` is empty where there is none."""

    commit: str
    dirty: tuple[str, ...] = ()


def read_tree(folder: Path) -> Tree:
    """Return the state of the git tree that a folder is in; without git or a commit it has none."""
    commit = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "status", "--porcelain", "--untracked-files=all")
    if commit is None or changes is None:
        return Tree("")
    return Tree(commit.strip(), tuple(line[3:] for line in changes.splitlines()))


def author(folder: Path) -> str:
    """Return the name that git would commit under, or that of the account."""
    return (_git(folder, "config", "user.name") or "").strip() or getpass.getuser()


def _git(folder: Path, *words: str) -> str | None:
    program = shutil.which("git")
    if program is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603 - words of our own
            [program, "--no-optional-locks", "-C", str(folder), *words],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
