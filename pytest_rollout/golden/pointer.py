"""JSON Pointer (RFC 6901), and patterns of pointers with wildcards."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from pytest_rollout.golden.exact import MISSING

Path: TypeAlias = tuple[str, ...]
"""Reference tokens, unescaped; the place in an array is a token too."""
_INDEX = re.compile(r"0|[1-9]\d*", re.ASCII)
_ONE, _MANY = "*", "**"


def parse_pointer(text: str) -> Path:
    """Return the tokens of a pointer. Raises ValueError."""
    return tuple(_unescaped(token, text, {"~0": "~", "~1": "/"}) for token in _tokens(text))


def _tokens(text: str) -> list[str]:
    if text and not text.startswith("/"):
        raise ValueError(f"{text!r} is not a JSON Pointer: it is empty or starts with '/'")
    return text.split("/")[1:]


def _unescaped(token: str, text: str, escapes: dict[str, str]) -> str:
    def plain(found: re.Match[str]) -> str:
        if found[0] not in escapes:
            raise ValueError(f"{text!r} is not a JSON Pointer: '~' is written {', '.join(escapes)}")
        return escapes[found[0]]

    return re.sub(r"~.?", plain, token, flags=re.DOTALL)


def write_pointer(path: Iterable[str]) -> str:
    """Return the pointer of some tokens."""
    return "".join("/" + token.replace("~", "~0").replace("/", "~1") for token in path)


def write_pattern(path: Iterable[str]) -> str:
    """Return the pattern that matches a path alone: as the pointer, but for stars that would be wildcards."""
    return "".join(
        write_pointer((token,)).replace("*", "~2") if token in (_ONE, _MANY) else write_pointer((token,))
        for token in path
    )


def index_of(token: str) -> int | None:
    """Return the place in an array that a token names, or None: no sign, no leading zero (RFC 6901, 4)."""
    return int(token) if _INDEX.fullmatch(token) and len(token) < 10 else None  # noqa: PLR2004 - no list is that long


def child(value: Any, token: str) -> Any:
    """Return the entry of an object or array, or MISSING."""
    if isinstance(value, dict):
        return value.get(token, MISSING)
    if isinstance(value, list) and (place := index_of(token)) is not None and place < len(value):
        return value[place]
    return MISSING


def lookup(value: Any, path: Iterable[str]) -> Any:
    """Return what stands at a path, or MISSING."""
    for token in path:
        value = child(value, token)
    return value


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pointer in which ``*`` stands for one token and ``**`` for any number of them.

    ``~2`` is a literal star. A pattern is more specific the more tokens it names, then the more of them
    are literal, then the earlier these stand.
    """

    text: str
    tokens: tuple[str | None, ...]
    """None for ``*``, the empty tuple is the whole document; ``**`` is kept as its own marker."""
    many: frozenset[int]
    """The places of ``**`` in ``tokens``."""

    @classmethod
    @lru_cache(maxsize=1024)
    def parse(cls, text: str) -> Pattern:
        """Read a pattern. Raises ValueError."""
        raw = _tokens(text)
        escapes = {"~0": "~", "~1": "/", "~2": "*"}
        tokens = [None if token in (_ONE, _MANY) else _unescaped(token, text, escapes) for token in raw]
        return cls(text, tuple(tokens), frozenset(place for place, token in enumerate(raw) if token == _MANY))

    @property
    def rank(self) -> tuple[int, int, tuple[bool, ...]]:
        """What decides which of several patterns wins: the larger one."""
        literal = tuple(token is not None for token in self.tokens)
        return len(self.tokens) - len(self.many), sum(literal), literal

    @property
    def literal(self) -> bool:
        """Whether it names exactly one place."""
        return None not in self.tokens

    def matches(self, path: Sequence[str]) -> bool:
        """Whether a path is one of those meant."""
        reached = self._open({0})
        for token in path:
            reached = self._open({state for place in reached for state in self._step(place, token)})
        return len(self.tokens) in reached

    def within(self, path: Sequence[str]) -> bool:
        """Whether it can match something below a path."""
        reached = self._open({0})
        for token in path:
            reached = self._open({state for place in reached for state in self._step(place, token)})
        return any(place < len(self.tokens) for place in reached)

    def _open(self, places: set[int]) -> set[int]:
        for place in sorted(self.many):
            if place in places:
                places.add(place + 1)
        return places

    def _step(self, place: int, token: str) -> Iterable[int]:
        if place >= len(self.tokens):
            return ()
        if place in self.many:
            return (place,)
        return (place + 1,) if self.tokens[place] in (None, token) else ()
