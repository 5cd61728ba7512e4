"""Faults of golden files in words, each with its place."""

from __future__ import annotations

from typing import Any, Protocol

from pydantic import ValidationError

from pytest_rollout.golden.exact import MISSING
from pytest_rollout.golden.pointer import child
from pytest_rollout.plan.document import KeyPath
from pytest_rollout.plan.strict import did_you_mean

_WORDS = {
    "model_type": "an object is needed here",
    "dict_type": "an object is needed here",
    "tuple_type": "a list is needed here",
    "string_type": "a text is needed here",
    "int_type": "a whole number is needed here",
    "bool_type": "true or false is needed here",
    "too_short": "at least one entry is needed here",
    "string_too_short": "an empty text says nothing",
}


class Placed(Protocol):
    """Data that knows where it was written."""

    @property
    def data(self) -> Any:
        """What was read."""

    def error(self, where: KeyPath, message: str, *, at_key: bool = False) -> str:
        """Return ``file:line:column: message``."""


def explained(document: Placed, exc: ValidationError) -> list[str]:
    """Return every fault that pydantic found as ``file:line:column: message``."""
    return list(dict.fromkeys(_explain(document, error) for error in exc.errors()))


def _explain(document: Placed, error: Any) -> str:
    where, context = _in_file(document.data, error["loc"]), error.get("ctx", {})
    if error["type"] == "at_key":
        return document.error((*where, *context["path"]), context["message"], at_key=True)
    if error["type"] == "missing":
        return document.error(where, f"{error['loc'][-1]!r} is missing")
    if error["type"] == "union_tag_not_found":
        return document.error(where, f"{_tag_key(context)!r} is missing")
    if error["type"] == "union_tag_invalid":
        known = [word.strip("' ") for word in context["expected_tags"].split(",")]
        said = f"unknown word {context['tag']!r}; {did_you_mean(context['tag'], known)}"
        return document.error((*where, _tag_key(context)), said)
    if error["type"] == "string_pattern_mismatch":
        return document.error(where, f"{error['input']!r} is not of the form {context['pattern']}")
    message = context["error"] if "error" in context else _WORDS.get(error["type"], error["msg"])
    return document.error(where, str(message))


def _tag_key(context: Any) -> str:
    """Return the file's name of the key that tells the members of a union apart: pydantic names all that it has."""
    return str(context["discriminator"]).rpartition("|")[2].strip(" '")


def _in_file(data: Any, loc: KeyPath) -> KeyPath:
    """Return where pydantic's location is in the file: the tags of unions are not keys there."""
    where: list[str | int] = []
    for part in loc:
        found = child(data, str(part))
        if found is not MISSING:
            data = found
            where.append(part)
    return tuple(where)
