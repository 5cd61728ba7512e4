"""Environment variables that a plan names as ``${NAME}``."""

from __future__ import annotations

import re
from collections.abc import Mapping

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Unset(LookupError):  # noqa: N818 - read as a state
    """A variable that is named is not set, or empty; ``name`` is its name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the environment variable {name} is not set")
        self.name = name


def references(text: str) -> list[str]:
    """Return the names of the variables in a text."""
    return list(_REFERENCE.findall(text))


def filled(text: str, variables: Mapping[str, str]) -> str:
    """Return a text with its variables filled in. Raises Unset."""
    for name in references(text):
        if not variables.get(name):
            raise Unset(name)
    return _REFERENCE.sub(lambda found: variables[found[1]], text)
