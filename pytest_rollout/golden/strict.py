"""What all models of golden files share: strict keys by their JSON names, and values that are never converted."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    WithJsonSchema,
    model_validator,
)

from pytest_rollout import units
from pytest_rollout.golden.exact import kind_of
from pytest_rollout.golden.pointer import Pattern, parse_pointer
from pytest_rollout.plan.strict import did_you_mean, wrong


class Entry(BaseModel):
    """Frozen, and no key is ignored; aliases are the names in the file."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: Any) -> Any:
        known = sorted(field.alias or name for name, field in cls.model_fields.items())
        for key in data if isinstance(data, dict) else ():
            if key not in known:
                raise wrong(key, f"unknown key {key!r}; {did_you_mean(key, known)}")
        return data

    def has(self, name: str) -> bool:
        """Whether the file gives a key, be it as null."""
        return name in self.model_fields_set


def _number(value: object) -> Decimal:
    if kind_of(value) != "number":
        raise ValueError(f"{value!r} is not a number")
    return Decimal(value)  # type: ignore[arg-type]  # kind_of told


def _pointer(value: object) -> object:
    if isinstance(value, str):
        parse_pointer(value)
    return value


def _pattern(value: object) -> object:
    if isinstance(value, str):
        Pattern.parse(value)
    return value


def _regex(value: object) -> object:
    if isinstance(value, str):
        try:
            re.compile(value)
        except re.error as exc:
            raise ValueError(f"{value!r} is not a regular expression: {exc}") from exc
    return value


Number = Annotated[Decimal, BeforeValidator(_number), WithJsonSchema({"type": "number"})]
"""Exact."""
Span = Annotated[
    float,
    BeforeValidator(units.parse_duration),
    WithJsonSchema({"type": "string", "pattern": r"^(\d+(\.\d+)?(ms|s|m|h|d) ?)+$"}),
]
"""Seconds, written with a unit."""
Text = Annotated[StrictStr, Field(min_length=1)]
Pointer = Annotated[StrictStr, BeforeValidator(_pointer)]
PatternText = Annotated[StrictStr, BeforeValidator(_pattern)]
Regex = Annotated[StrictStr, BeforeValidator(_regex)]
Size = Annotated[StrictInt, Field(ge=0)]
Status = Annotated[StrictInt, Field(ge=100, le=599)]
Name = Annotated[StrictStr, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=100)]
