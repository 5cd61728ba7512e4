"""Single faults put into a valid request by its schema: each breaks exactly one rule, and surely breaks it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pytest_rollout.golden.exact import MISSING, kind_of
from pytest_rollout.golden.openapi import Operation
from pytest_rollout.golden.pointer import Path, write_pointer
from pytest_rollout.golden.schemas import is_integer

LONGEST = 80
"""Characters or entries that are written out; what is longer is made by a fill."""
_WRONG: Mapping[str, Any] = {
    "string": 7,
    "number": "seven",
    "integer": "seven",
    "boolean": "true",
    "array": {},
    "object": [],
    "null": 7,
}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault: an RFC 6902 patch and a fill of the value at ``path``, and the schema's keyword that it breaks."""

    keyword: str
    path: Path
    patch: tuple[Mapping[str, Any], ...] = ()
    fill: Mapping[str, Any] | None = None


def faults(operation: Operation, schema: Any, value: Any, path: Path) -> Iterator[Mutant]:
    """Yield faults for a value and all below it; ``path`` is where it stands in the request object."""
    for part in operation.alternatives(schema):
        if operation.schemas.violations(dict(part), value):
            continue  # one of several alternatives, and not the one that is meant
        yield from _own(part, value, path)
        yield from _below(operation, part, value, path)


def _below(operation: Operation, schema: Mapping[str, Any], value: Any, path: Path) -> Iterator[Mutant]:
    if isinstance(value, dict):
        for name, inner in schema.get("properties", {}).items():
            if name in value:
                yield from faults(operation, inner, value[name], (*path, name))
    elif isinstance(value, list) and value and isinstance(schema.get("items"), dict):
        yield from faults(operation, schema["items"], value[0], (*path, "0"))


def _own(schema: Mapping[str, Any], value: Any, path: Path) -> Iterator[Mutant]:
    if "type" in schema:
        yield from _types(schema["type"], path)
    if "enum" in schema or "const" in schema:
        yield _replaced("enum" if "enum" in schema else "const", path, "not-one-of-these")
    special = _OWN.get(kind_of(value))
    yield from special(schema, value, path) if special else ()


def _types(types: Any, path: Path) -> Iterator[Mutant]:
    allowed = [types] if isinstance(types, str) else list(types)
    wrong = next((value for kind, value in _WRONG.items() if kind in allowed and _kind(value) not in allowed), MISSING)
    if wrong is not MISSING:
        yield _replaced("type", path, wrong)
    yield _replaced("null", path, None)


def _kind(value: Any) -> str:
    return "integer" if is_integer(value) else kind_of(value)


def _object(schema: Mapping[str, Any], value: dict[str, Any], path: Path) -> Iterator[Mutant]:
    for name in schema.get("required", ()):
        if name in value:
            at = (*path, name)
            yield Mutant("required", at, ({"op": "remove", "path": write_pointer(at)},))
    if schema.get("additionalProperties") is False:
        at = (*path, "unexpected")
        yield Mutant("additionalProperties", at, ({"op": "add", "path": write_pointer(at), "value": 1},))


def _array(schema: Mapping[str, Any], value: list[Any], path: Path) -> Iterator[Mutant]:
    least, most = schema.get("minItems", 0), schema.get("maxItems")
    if least > 0:
        yield _replaced("minItems", path, value[: least - 1])
    if most is not None and value:
        yield _repeated("maxItems", path, most + 1, {"items": [value[0]]}, [value[0]] * (most + 1))
    if schema.get("uniqueItems") and value:
        yield _replaced("uniqueItems", path, [value[0], *value])


def _string(schema: Mapping[str, Any], value: str, path: Path) -> Iterator[Mutant]:
    least, most = schema.get("minLength", 0), schema.get("maxLength")
    if least > 0:
        yield _replaced("minLength", path, value[: least - 1])
    if most is not None:
        letter = value[:1] or "a"
        yield _repeated("maxLength", path, most + 1, {"text": letter}, letter * (most + 1))
    if "pattern" in schema:
        yield _replaced("pattern", path, "\u0000")


def _number(schema: Mapping[str, Any], _value: Any, path: Path) -> Iterator[Mutant]:
    for keyword, step in (("minimum", -1), ("maximum", 1)):
        if keyword in schema:
            yield _replaced(keyword, path, schema[keyword] + step)
    for keyword in ("exclusiveMinimum", "exclusiveMaximum"):
        if keyword in schema:
            yield _replaced(keyword, path, schema[keyword])
    if "multipleOf" in schema:
        yield _replaced("multipleOf", path, Decimal(schema["multipleOf"]) / 2)


def _replaced(keyword: str, path: Path, value: Any) -> Mutant:
    return Mutant(keyword, path, ({"op": "replace", "path": write_pointer(path), "value": value},))


def _repeated(keyword: str, path: Path, times: int, short: Mapping[str, Any], long: Any) -> Mutant:
    if times <= LONGEST:
        return _replaced(keyword, path, long)
    return Mutant(keyword, path, fill={write_pointer(path): {"times": times, **short}})


_OWN: Mapping[str, Callable[[Mapping[str, Any], Any, Path], Iterator[Mutant]]] = {
    "object": _object,
    "array": _array,
    "string": _string,
    "number": _number,
}
