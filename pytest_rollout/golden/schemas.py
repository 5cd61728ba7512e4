"""JSON Schema (2020-12) on exact numbers; jsonschema is imported here only."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any

from pytest_rollout.golden.exact import MISSING, kind_of, write_exact
from pytest_rollout.golden.pointer import Path, lookup, parse_pointer

_DECIMAL = re.compile(r"Decimal\('([^']*)'\)")
_BOUNDS = {"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"}


class SchemaUnusable(ValueError):  # noqa: N818 - read as a state
    """A schema is not one, or what it refers to does not exist."""


@dataclass(frozen=True, slots=True)
class Violation:
    """Where a value breaks a schema, and which keyword says so."""

    path: Path
    keyword: str
    message: str


@dataclass(frozen=True)
class Schemas:
    """An OpenAPI document (3.0 or 3.1), or none, in which references are looked up."""

    document: Mapping[str, Any] = field(default_factory=dict)
    _validators: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """By schema: checking one takes longer than using it."""

    @property
    def is_old(self) -> bool:
        """Whether the document is of OpenAPI 3.0, whose schemas have words of their own."""
        return str(self.document.get("openapi", "")).startswith("3.0")

    def definition(self, schema: Any) -> Any:
        """Return a schema with references resolved at its top. Raises SchemaUnusable."""
        seen: set[str] = set()
        while isinstance(schema, str) or (isinstance(schema, dict) and isinstance(schema.get("$ref"), str)):
            reference = schema if isinstance(schema, str) else schema["$ref"]
            if reference in seen or not reference.startswith("#/"):
                raise SchemaUnusable(f"{reference!r} leads nowhere")
            seen.add(reference)
            schema = lookup(self.document, parse_pointer(reference[1:]))
            if schema is MISSING:
                raise SchemaUnusable(f"the OpenAPI document of the target has no {reference!r}")
        return schema

    def violations(self, schema: Any, value: Any) -> tuple[Violation, ...]:
        """Return where a value breaks a schema. Raises SchemaUnusable."""
        from referencing.exceptions import Unresolvable

        try:
            errors = list(self._validator(schema).iter_errors(value))
        except Unresolvable as exc:
            raise SchemaUnusable(f"{exc.ref!r} leads nowhere") from exc
        except RecursionError:
            raise SchemaUnusable("the schema refers to itself without end") from None
        return tuple(
            Violation(tuple(map(str, error.absolute_path)), str(error.validator), _plain(error.message)[:300])
            for error in sorted(errors, key=lambda error: list(map(str, error.absolute_path)))
        )

    def _validator(self, schema: Any) -> Any:
        name = write_exact(schema)
        if name not in self._validators:
            whole = self._whole(schema)
            check_schema(whole)
            self._validators[name] = _exact_validator()(whole)
        return self._validators[name]

    def _whole(self, schema: Any) -> Any:
        """Return a schema that carries what its references need."""
        definition = self.definition(schema)
        if not isinstance(definition, dict):
            return definition
        components = {"components": self.document["components"]} if "components" in self.document else {}
        if self.is_old:
            return {**modern(components), **modern(definition)}
        return {**components, **definition}


def _plain(message: str) -> str:
    return _DECIMAL.sub(r"\1", message)


def modern(schema: Any) -> Any:
    """Return a schema of OpenAPI 3.0 in the words of 2020-12: ``nullable`` and boolean exclusive bounds."""
    if isinstance(schema, list):
        return [modern(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    out = {key: modern(value) for key, value in schema.items()}
    for exclusive, bound in _BOUNDS.items():
        if isinstance(out.get(exclusive), bool) and out.pop(exclusive) and bound in out:
            out[exclusive] = out.pop(bound)
    if out.pop("nullable", False) is True:
        return {"anyOf": [out, {"type": "null"}]}
    return out


def check_schema(schema: Any) -> None:
    """Raise SchemaUnusable if something is not a JSON Schema by its form."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    try:
        Draft202012Validator.check_schema(_with_floats(schema))
    except SchemaError as exc:
        raise SchemaUnusable(f"not a JSON Schema: {exc.message[:300]}") from exc


def _with_floats(schema: Any) -> Any:
    """Return a schema whose decimals the meta-schema takes for numbers; only its form is checked with it."""
    if isinstance(schema, dict):
        return {key: _with_floats(value) for key, value in schema.items()}
    if isinstance(schema, list):
        return list(map(_with_floats, schema))
    return float(schema) if isinstance(schema, Decimal) else schema


@lru_cache(maxsize=1)
def _exact_validator() -> Any:
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    widened: Any = extend  # it has no annotations
    types = Draft202012Validator.TYPE_CHECKER.redefine_many(
        {
            "number": lambda _checker, value: kind_of(value) == "number",
            "integer": lambda _checker, value: is_integer(value),
        }
    )
    return widened(Draft202012Validator, type_checker=types)


def is_integer(value: Any) -> bool:
    """Whether a value is a whole number: 1.0 is one (JSON Schema core, 4.2.2)."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return False
    return isinstance(value, int) or value == value.to_integral_value()
