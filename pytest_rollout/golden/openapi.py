"""The little that is needed of an OpenAPI document (3.0 and 3.1): one operation, what it takes and what it answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_rollout.golden.endpoint import Endpoint
from pytest_rollout.golden.exact import MISSING
from pytest_rollout.golden.pointer import lookup, parse_pointer
from pytest_rollout.golden.schemas import Schemas, SchemaUnusable, modern
from pytest_rollout.plan.strict import did_you_mean

_JSON = "application/json"


class NotDescribed(ValueError):  # noqa: N818 - read as a state
    """The OpenAPI document does not have what is needed of it."""


@dataclass(frozen=True)
class Operation:
    """One operation of a target."""

    schemas: Schemas
    data: Mapping[str, Any]
    parameters: tuple[Mapping[str, Any], ...]

    @classmethod
    def of(cls, endpoint: Endpoint, document: Mapping[str, Any]) -> Operation:
        """Return the operation of an endpoint. Raises NotDescribed."""
        route, paths = endpoint.request, document.get("paths", {})
        item = paths.get(route.path) if isinstance(paths, dict) else None
        if not isinstance(item, dict):
            raise NotDescribed(
                f"the OpenAPI document has no path {route.path!r}; {did_you_mean(route.path, list(paths))}"
            )
        data = item.get(route.method.lower())
        if not isinstance(data, dict):
            raise NotDescribed(f"the OpenAPI document has no {route.method} of {route.path!r}")
        schemas = Schemas(document)
        given = [*item.get("parameters", []), *data.get("parameters", [])]
        return cls(schemas, data, tuple(schemas.definition(one) for one in given))

    def body_schema(self) -> Any:
        """Return the schema of the request's JSON body, or MISSING."""
        body = self.data.get("requestBody", MISSING)
        return MISSING if body is MISSING else lookup(self.schemas.definition(body), ("content", _JSON, "schema"))

    def query_schema(self) -> dict[str, Any]:
        """Return the query parameters as the schema of an object."""
        query = [one for one in self.parameters if one.get("in") == "query"]
        return {
            "type": "object",
            "properties": {one["name"]: one.get("schema", {}) for one in query},
            "required": [one["name"] for one in query if one.get("required")],
        }

    def statuses(self) -> dict[str, Mapping[str, Any]]:
        """Return the declared answers by status, such as ``404``, ``4XX`` or ``default``."""
        responses = self.data.get("responses", {})
        return {str(status): self.schemas.definition(answer) for status, answer in responses.items()}

    def answer(self, status: int) -> tuple[str, Mapping[str, Any]] | None:
        """Return the declared answer that a status falls under, with its name; the most specific one."""
        declared = self.statuses()
        names = (str(status), f"{status // 100}XX", "default")
        return next(((name, declared[name]) for name in names if name in declared), None)

    def answer_schema(self, answer: Mapping[str, Any]) -> Any:
        """Return the schema of a declared answer's JSON body, or MISSING."""
        return lookup(answer, ("content", _JSON, "schema"))

    def codes(self, schema: Any, pointers: tuple[str, ...]) -> tuple[str, ...]:
        """Return the error codes that a schema enumerates, for each of its choices at the first place that does.

        One choice (``oneOf``, ``anyOf``) may have its code elsewhere than another.
        """
        found = (code for choice in self._choices(schema) for code in self._codes_of(choice, pointers))
        return tuple(dict.fromkeys(found))

    def _codes_of(self, choice: Any, pointers: tuple[str, ...]) -> tuple[str, ...]:
        for pointer in pointers:
            found = tuple(code for part in self._at(choice, pointer) for code in _enumerated(part))
            if found:
                return found
        return ()

    def _choices(self, schema: Any, depth: int = 0) -> Iterator[Any]:
        definition = next(iter(self.alternatives(schema)), {})
        choices = [*definition.get("oneOf", ()), *definition.get("anyOf", ())]
        if not choices or depth > _DEEPEST:
            yield schema
        for choice in choices if depth <= _DEEPEST else ():
            yield from self._choices(choice, depth + 1)

    def _at(self, schema: Any, pointer: str) -> Iterator[Any]:
        parts = [schema]
        for token in parse_pointer(pointer):
            parts = [
                part["properties"][token]
                for outer in parts
                for part in self.alternatives(outer)
                if isinstance(part.get("properties"), dict) and token in part["properties"]
            ]
        yield from (part for outer in parts for part in self.alternatives(outer))

    def alternatives(self, schema: Any, depth: int = 0) -> Iterator[Mapping[str, Any]]:
        """Yield the schemas that a schema is put together of, in words of 2020-12; each may say something."""
        try:
            definition = self.schemas.definition(schema)
        except SchemaUnusable:
            return
        if not isinstance(definition, dict) or depth > _DEEPEST:
            return
        definition = modern(definition) if self.schemas.is_old else definition
        yield definition
        for keyword in ("allOf", "anyOf", "oneOf"):
            for part in definition.get(keyword, ()):
                yield from self.alternatives(part, depth + 1)


_DEEPEST = 20


def _enumerated(schema: Mapping[str, Any]) -> Iterator[str]:
    values = [schema["const"]] if "const" in schema else schema.get("enum", [])
    yield from (value for value in values if isinstance(value, str))
