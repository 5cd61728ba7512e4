"""JSON Patch (RFC 6902), on values that are never changed in place.

Own code, because the operations need JSON's equality (for Python, ``true`` is 1) and errors that name the operation.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pytest_rollout.golden.exact import MISSING, equal, write_exact
from pytest_rollout.golden.pointer import Path, index_of, lookup, parse_pointer, write_pointer


class PatchError(ValueError):
    """An operation cannot be carried out; ``index`` is its place in the patch, from 0."""

    def __init__(self, index: int, message: str) -> None:
        super().__init__(message)
        self.index = index


def apply_patch(document: Any, operations: Sequence[Mapping[str, Any]]) -> Any:
    """Return the patched value. Raises PatchError; nothing is applied by halves (RFC 6902, 5)."""
    value = copy.deepcopy(document)
    for index, operation in enumerate(operations):
        try:
            value = _OPERATIONS[operation["op"]](value, operation)
        except ValueError as exc:
            raise PatchError(index, str(exc)) from exc
    return value


def _add(value: Any, operation: Mapping[str, Any]) -> Any:
    return put(value, parse_pointer(operation["path"]), copy.deepcopy(operation["value"]))


def _remove(value: Any, operation: Mapping[str, Any]) -> Any:
    return _without(value, parse_pointer(operation["path"]))


def _replace(value: Any, operation: Mapping[str, Any]) -> Any:
    path = parse_pointer(operation["path"])
    _needed(value, path)
    if not path:
        return copy.deepcopy(operation["value"])
    parent = lookup(value, path[:-1])
    parent[_key(parent, path[-1])] = copy.deepcopy(operation["value"])
    return value


def _move(value: Any, operation: Mapping[str, Any]) -> Any:
    source, target = parse_pointer(operation["from"]), parse_pointer(operation["path"])
    if target[: len(source)] == source and target != source:
        raise ValueError(f"{operation['from']!r} cannot be moved into itself")
    moved = _needed(value, source)
    return value if source == target else put(_without(value, source), target, moved)


def _copy(value: Any, operation: Mapping[str, Any]) -> Any:
    source = _needed(value, parse_pointer(operation["from"]))
    return put(value, parse_pointer(operation["path"]), copy.deepcopy(source))


def _test(value: Any, operation: Mapping[str, Any]) -> Any:
    found = _needed(value, parse_pointer(operation["path"]))
    if not equal(found, operation["value"]):
        wanted = write_exact(operation["value"])
        raise ValueError(f"the test fails: {operation['path']!r} is {write_exact(found)[:80]}, not {wanted[:80]}")
    return value


_OPERATIONS: Mapping[str, Callable[[Any, Mapping[str, Any]], Any]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _copy,
    "test": _test,
}


def put(value: Any, path: Path, what: Any) -> Any:
    """Return a value with something added at a path, as ``add`` does. Raises ValueError if there is no such place."""
    if not path:
        return what
    parent, token = lookup(value, path[:-1]), path[-1]
    if isinstance(parent, dict):
        parent[token] = what
    elif isinstance(parent, list):
        place = len(parent) if token == "-" else index_of(token)  # noqa: S105 - RFC 6901, 4: behind the last
        if place is None or place > len(parent):
            raise ValueError(f"{write_pointer(path)!r} is not a place in a list of {len(parent)}")
        parent.insert(place, what)
    else:
        raise ValueError(f"{write_pointer(path)!r} has no parent")
    return value


def _without(value: Any, path: Path) -> Any:
    _needed(value, path)
    if not path:
        raise ValueError("the whole document cannot be removed")
    parent = lookup(value, path[:-1])
    del parent[_key(parent, path[-1])]
    return value


def _needed(value: Any, path: Path) -> Any:
    found = lookup(value, path)
    if found is MISSING:
        raise ValueError(f"there is nothing at {write_pointer(path)!r}")
    return found


def _key(parent: Any, token: str) -> Any:
    return token if isinstance(parent, dict) else index_of(token)
