"""What may stand for a golden value that is not the same every time: the models, without their evaluation."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, StrictBool, StrictInt, StrictStr, model_validator

from pytest_rollout.golden.strict import Entry, Number, PatternText, Pointer, Regex, Size, Span, Text
from pytest_rollout.plan.strict import wrong

Type = Literal["string", "number", "integer", "boolean", "null", "array", "object"]
Schema = StrictStr | StrictBool | dict[str, Any]
"""A JSON Schema, or a reference into the target's OpenAPI document such as ``#/components/schemas/StageError``."""


class Equals(Entry):
    """JSON equality: 1 is 1.0, true is not 1, null is not absent."""

    kind: Literal["equals"] = Field(alias="is")
    value: Any


class Near(Entry):
    """A number no farther than a tolerance from a value, the golden's by default. Inclusive, in decimal."""

    kind: Literal["near"] = Field(alias="is")
    value: Number | None = None
    absolute: Number | None = Field(default=None, alias="abs", ge=0)
    relative: Number | None = Field(default=None, alias="rel", ge=0)
    """A share of the value."""

    @model_validator(mode="after")
    def _has_a_tolerance(self) -> Near:
        if (self.absolute is None) is (self.relative is None):
            raise wrong("is", "'near' needs exactly one of abs and rel")
        return self


class InRange(Entry):
    """A number between two bounds, inclusive."""

    kind: Literal["number"] = Field(alias="is")
    least: Number | None = Field(default=None, alias="min")
    most: Number | None = Field(default=None, alias="max")


class OfType(Entry):
    """A value of a JSON type; 1.0 is an integer."""

    kind: Literal["type"] = Field(alias="is")
    type: Type


class Matches(Entry):
    """A text that a regular expression describes from its beginning to its end."""

    kind: Literal["regex"] = Field(alias="is")
    pattern: Regex


class Uuid(Entry):
    """A UUID in its usual form (RFC 9562)."""

    kind: Literal["uuid"] = Field(alias="is")
    version: Annotated[StrictInt, Field(ge=1, le=8)] | None = None


class Moment(Entry):
    """A date and time with an offset (RFC 3339); ``within`` seconds of the sending, before or after."""

    kind: Literal["rfc3339"] = Field(alias="is")
    within: Span | None = None


class OneOf(Entry):
    """One of some values."""

    kind: Literal["enum"] = Field(alias="is")
    values: tuple[Any, ...] = Field(min_length=1)


class Length(Entry):
    """The length of a text (in characters), an array or an object."""

    kind: Literal["length"] = Field(alias="is")
    least: Size = Field(default=0, alias="min")
    most: Size | None = Field(default=None, alias="max")


class Unordered(Entry):
    """An array without regard to order. ``key`` is a pointer inside each entry that says which belong together."""

    kind: Literal["unordered"] = Field(alias="is")
    key: Pointer | None = None


class SameAs(Entry):
    """Equal to another place of the same answer, or of the request object."""

    kind: Literal["same-as"] = Field(alias="is")
    pointer: Pointer
    place: Literal["body", "request"] = Field(default="body", alias="in")


class Absent(Entry):
    """Not there at all."""

    kind: Literal["absent"] = Field(alias="is")


class Present(Entry):
    """There, whatever it is."""

    kind: Literal["present"] = Field(alias="is")


class OfSchema(Entry):
    """Valid by a JSON Schema."""

    kind: Literal["schema"] = Field(alias="is")
    definition: Schema = Field(alias="schema")


class Ignore(Entry):
    """Anything, or nothing; ``why`` is for the reviewer."""

    kind: Literal["ignore"] = Field(alias="is")
    why: Text


_OfOne: TypeAlias = (
    Equals
    | Near
    | InRange
    | OfType
    | Matches
    | Uuid
    | Moment
    | OneOf
    | Length
    | SameAs
    | Absent
    | Present
    | OfSchema
    | Ignore
)
OfEntry: TypeAlias = Annotated[_OfOne, Field(discriminator="kind")]
"""What ``each`` may say of an entry; for entries of entries there are wildcards."""


class Each(Entry):
    """Every entry of an array or object, and at least ``min`` of them."""

    kind: Literal["each"] = Field(alias="is")
    of: OfEntry
    least: Size = Field(default=1, alias="min")


Matcher: TypeAlias = Annotated[_OfOne | Each | Unordered, Field(discriminator="kind")]

Matching: TypeAlias = dict[PatternText, Matcher]
"""Matchers by pattern."""
NEGATIVE = (Absent, Ignore)
"""Matchers that an empty answer satisfies: alone they prove nothing."""


ROOTS = ("", "/**")
"""Patterns for the whole body."""


def proves(at: str, matcher: Matcher) -> bool:
    """Whether a matcher at a pattern rules out anything but that nothing is there."""
    if isinstance(matcher, Each):
        return proves("/*", matcher.of)
    if at in ROOTS and not isinstance(matcher, Equals | OfSchema):
        return False
    return not isinstance(matcher, Absent | Ignore | Present) and not _takes_anything(at, matcher)


def _takes_anything(at: str, matcher: Matcher) -> bool:
    match matcher:
        case OfSchema():
            return matcher.definition in (True, {})
        case Length():
            return not matcher.least and matcher.most is None
        case SameAs():
            return matcher.place == "body" and matcher.pointer == at
        case Matches():
            return all(re.fullmatch(matcher.pattern, text, re.DOTALL) for text in _ANYTHING)
    return False


_ANYTHING = ("", "~", "0", "a b\u00e9", "Zz-9_/.:{}[]")
"""What no two sensible patterns describe together."""


def is_positive(matcher: Matcher) -> bool:
    """Whether only something that is there can satisfy a matcher."""
    return not isinstance(matcher, NEGATIVE)
