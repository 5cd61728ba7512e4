"""What a case may expect of one header: the models, without their evaluation."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, StrictBool, StrictInt, StrictStr

from pytest_rollout.golden.strict import Entry, Regex, Text


class HeaderAbsent(Entry):
    """No field of this name."""

    kind: Literal["absent"] = Field(alias="is")


class HeaderPresent(Entry):
    """Exactly one field of this name."""

    kind: Literal["present"] = Field(alias="is")


class HeaderEquals(Entry):
    """Exactly this value."""

    kind: Literal["equals"] = Field(alias="is")
    value: StrictStr


class HeaderMatches(Entry):
    """A value that a regular expression describes as a whole."""

    kind: Literal["regex"] = Field(alias="is")
    pattern: Regex


class HeaderOneOf(Entry):
    """One of some values: bounded, as labels of metrics are."""

    kind: Literal["enum"] = Field(alias="is")
    values: tuple[StrictStr, ...] = Field(min_length=1)


class HeaderList(Entry):
    """A list with commas whose items are all known; ``all``: and every known one is there."""

    kind: Literal["list"] = Field(alias="is")
    values: tuple[StrictStr, ...] = Field(min_length=1)
    complete: StrictBool = Field(default=False, alias="all")


class Deprecation(Entry):
    """A ``Deprecation`` field (RFC 9745): one structured-field Date, ``@1688169599``."""

    kind: Literal["deprecation"] = Field(alias="is")
    at: StrictInt | None = None
    """Unix seconds."""


class Sunset(Entry):
    """A ``Sunset`` field (RFC 8594): an HTTP-date, not before ``Deprecation``.

    With ``future``, not in the past while the resource still answers 2xx.
    """

    kind: Literal["sunset"] = Field(alias="is")
    at: Text | None = None
    future: StrictBool = True


class Link(Entry):
    """A link (RFC 8288) of a relation type, among others."""

    kind: Literal["link"] = Field(alias="is")
    rel: Text
    href: Text | None = None
    type: Text | None = None


HeaderCheck: TypeAlias = Annotated[
    HeaderAbsent
    | HeaderPresent
    | HeaderEquals
    | HeaderMatches
    | HeaderOneOf
    | HeaderList
    | Deprecation
    | Sunset
    | Link,
    Field(discriminator="kind"),
]
FieldName = Annotated[StrictStr, Field(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")]
HeaderChecks: TypeAlias = dict[FieldName, HeaderCheck]
