"""What all models of a plan share: units, and errors that point at a key."""

from __future__ import annotations

import difflib
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from pytest_rollout import units

Duration = Annotated[float, BeforeValidator(units.parse_duration)]
Rate = Annotated[float, BeforeValidator(units.parse_rate)]
Share = Annotated[float, BeforeValidator(units.parse_share)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=100)]


def _flag_value(value: object) -> object:
    if isinstance(value, bool) or (isinstance(value, str) and value.strip()):
        return value
    raise ValueError(f"{value!r} is no value of a flag; write true, false, or a text in quotes")


FlagValue = Annotated[bool | str, BeforeValidator(_flag_value)]
"""A boolean or a text that is not empty; ``True`` is not ``"true"``."""


def wrong(key: str | tuple[str | int, ...], message: str) -> PydanticCustomError:
    """Return an error that points at one key of the mapping under validation, or at a key further down by its path."""
    path = (key,) if isinstance(key, str) else key
    return PydanticCustomError("at_key", "{message}", {"path": path, "message": message})


def did_you_mean(word: str, known: list[str]) -> str:
    """Return ``; did you mean 'x'?`` or the list of what is known."""
    near = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"


class Strict(BaseModel):
    """Frozen, and no key is ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: Any) -> Any:
        known = sorted(field.alias or name for name, field in cls.model_fields.items())
        for key in data if isinstance(data, dict) else ():
            if key not in known:
                raise wrong(key, f"unknown key {key!r}; {did_you_mean(key, known)}")
        return data
