"""What one golden case may say: a request, or a base and a patch, and what is expected in every mode."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import ConfigDict, Field, StrictInt, StrictStr, model_validator

from pytest_rollout.golden.header_checks import FieldName, HeaderChecks
from pytest_rollout.golden.matchers import Matching, Schema, proves
from pytest_rollout.golden.strict import Entry, Name, Pointer, Size, Status, Text
from pytest_rollout.plan.strict import wrong

CASE_SCHEMA = "golden-case/1"
LARGEST_FILL = 1_000_000
"""Entries, or repetitions of a text."""


class RequestObject(Entry):
    """A request, in parts that a patch can reach. At most one of ``json``, ``text`` and ``base64``."""

    path: dict[StrictStr, StrictStr | StrictInt] = Field(default_factory=dict)
    """Values of the endpoint's path template; they are percent-encoded."""
    query: dict[StrictStr, Any] = Field(default_factory=dict)
    """Texts, numbers or lists of them by name; they are percent-encoded: a plus becomes ``%2B``."""
    query_raw: StrictStr | None = None
    """Instead of ``query``: sent byte for byte."""
    headers: dict[FieldName, StrictStr | None] = Field(default_factory=dict)
    """Beside those of the endpoint; null leaves one of them away."""
    json_body: Any = Field(default=None, alias="json")
    text: StrictStr | None = None
    """Sent as UTF-8: for what is not JSON, or not the JSON that a writer would make."""
    base64: StrictStr | None = None
    """For bytes that are no text."""
    content_type: StrictStr | None = None
    """By default application/json for ``json`` and ``text``; null for none."""

    @model_validator(mode="after")
    def _one_of_each(self) -> RequestObject:
        bodies = [name for name in ("json_body", "text", "base64") if self.has(name)]
        if len(bodies) > 1:
            raise wrong(bodies[1].removesuffix("_body"), "a request has at most one of json, text and base64")
        if self.query and self.query_raw is not None:
            raise wrong("query_raw", "a request has either query or query_raw")
        return self


class Add(Entry):
    """Put a value where none is, or before an entry of a list (RFC 6902, 4.1)."""

    op: Literal["add"]
    path: Pointer
    value: Any


class Remove(Entry):
    """Take a value away (RFC 6902, 4.2)."""

    op: Literal["remove"]
    path: Pointer


class Replace(Entry):
    """Put a value in the place of another (RFC 6902, 4.3)."""

    op: Literal["replace"]
    path: Pointer
    value: Any


class Move(Entry):
    """Take a value away and add it elsewhere (RFC 6902, 4.4)."""

    op: Literal["move"]
    source: Pointer = Field(alias="from")
    path: Pointer


class Copy(Entry):
    """Add a value that stands elsewhere (RFC 6902, 4.5)."""

    op: Literal["copy"]
    source: Pointer = Field(alias="from")
    path: Pointer


class Test(Entry):
    """Refuse the patch if the base has drifted (RFC 6902, 4.6)."""

    __test__ = False
    op: Literal["test"]
    path: Pointer
    value: Any


Operation: TypeAlias = Annotated[Add | Remove | Replace | Move | Copy | Test, Field(discriminator="op")]


class Fill(Entry):
    """Something long, made of something short: a list of entries in turn, or a text many times."""

    times: Annotated[StrictInt, Field(ge=1, le=LARGEST_FILL)]
    items: tuple[Any, ...] | None = Field(default=None, min_length=1)
    text: Text | None = None
    counter: Text | None = None
    """A text that is replaced by 0, 1, 2, ... in every text of an entry."""

    @model_validator(mode="after")
    def _one_kind(self) -> Fill:
        if (self.items is None) is (self.text is None):
            raise wrong("times", "exactly one of items and text is repeated")
        if self.counter is not None and self.items is None:
            raise wrong("counter", "only items are counted")
        return self


class Fault(Entry):
    """What is wrong with the request, for people and the coverage report."""

    pointer: Pointer
    rule: Text


class GoldenOf(Entry):
    """The golden body of another mode or case."""

    mode: Name | None = None
    case: Name | None = None

    @model_validator(mode="after")
    def _names_something(self) -> GoldenOf:
        if self.mode is None and self.case is None:
            raise wrong("mode", "same_as names a mode, a case, or both")
        return self


PINS = ("body", "text", "empty", "same_as", "partial")
"""The ways to pin a body; without any, the golden is missing."""


def _status_or_response(schema: dict[str, Any]) -> None:
    schema["required"] = [name for name in schema["required"] if name != "status"]
    schema["anyOf"] = [{"required": ["status"]}, {"required": ["response"]}]


class Expectation(Entry):
    """What the answer in one mode has to be."""

    model_config = ConfigDict(json_schema_extra=_status_or_response)
    response: Name | None = None
    """A response of the endpoint's, upon which the other keys build."""
    status: Status
    body: Any = None
    text: StrictStr | None = None
    empty: Literal[True] | None = None
    same_as: GoldenOf | None = None
    partial: Literal[True] | None = None
    """There is no golden: ``match`` and ``schema`` say all."""
    match: Matching = Field(default_factory=dict)
    definition: Schema | None = Field(default=None, alias="schema")
    headers: HeaderChecks = Field(default_factory=dict)
    metrics: dict[Text, Size] = Field(default_factory=dict)
    """By how much the sum of the selected series rises for one request."""
    side_effect: Literal["none", "some"] | None = None

    @property
    def pinned_by(self) -> str | None:
        """How the body is pinned; None if the golden is missing."""
        return next((name for name in PINS if self.has(name)), None)

    @model_validator(mode="after")
    def _pinned_once(self) -> Expectation:
        pins = [name for name in PINS if self.has(name)]
        if len(pins) > 1:
            raise wrong(pins[1], f"a body is pinned in one way; this one has {' and '.join(pins)}")
        positive = self.definition not in (None, True, {}) or any(proves(at, one) for at, one in self.match.items())
        if self.partial and not positive:
            raise wrong("partial", "without a golden, something has to prove the body: a matcher other than absent")
        return self


SHARED = ("status", "empty", "partial", "match", "schema", "headers", "side_effect")
"""The keys of an expectation that an endpoint's named response may have."""


class Stamp(Entry):
    """Who approved the goldens of a case, why, and for what content."""

    by: Text
    at: Text
    reason: Text
    subject: Text
    """What was observed, such as ``git:<sha>``."""
    observations: Annotated[StrictInt, Field(ge=1)]
    sha256: Annotated[StrictStr, Field(pattern=r"^[0-9a-f]{64}$")]


class Case(Entry):
    """One file of a corpus."""

    editor_schema: StrictStr | None = Field(default=None, alias="$schema")
    version: Literal["golden-case/1"] = Field(alias="schema")
    id: Name
    kind: Name
    title: Text
    why: StrictStr = ""
    owner: StrictStr = ""
    tags: tuple[Name, ...] = ()
    request: RequestObject | None = None
    base: Name | None = None
    patch: tuple[Operation, ...] = ()
    fill: dict[Pointer, Fill] = Field(default_factory=dict)
    breaks: Fault | None = None
    match: Matching = Field(default_factory=dict)
    expect: dict[Name, Expectation]
    blessed: Stamp | None = None

    @model_validator(mode="after")
    def _one_request(self) -> Case:
        if (self.request is None) is (self.base is None):
            raise wrong("id", "a case has either a request or a base")
        if self.patch and self.base is None:
            raise wrong("patch", "only a base can be patched; write the request as it is")
        return self


JUDGED = ("request", "base", "patch", "fill", "kind", "match", "expect")
"""The keys of a case that decide its outcome: a stamp covers them, and what the base sends."""
