"""What the cases of one folder have in common: where they are sent, and how a mode is set, read and told apart."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import Field, StrictStr, model_validator

from pytest_rollout.errors import EnvironmentUnready
from pytest_rollout.golden.header_checks import FieldName, HeaderChecks
from pytest_rollout.golden.matchers import Equals, Matches, Matching, OneOf
from pytest_rollout.golden.strict import Entry, Name, Number, PatternText, Pointer, Span, Status, Text
from pytest_rollout.plan.strict import did_you_mean, wrong

ENDPOINT_SCHEMA = "golden-endpoint/1"
ACCEPTED, REJECTED = range(200, 400), range(400, 500)
"""Statuses of a request that was taken, and of one that was refused; 5xx is neither."""
_REFERENCE = re.compile(r"\$\{([A-Z][A-Z0-9_]*)\}")
Path: TypeAlias = Annotated[StrictStr, Field(pattern=r"^/|^\$\{|^https?://")]
"""A path on every instance, or a whole address if there is one for all of them."""
Method = Annotated[StrictStr, Field(pattern=r"^[A-Z]+$")]
Headers: TypeAlias = dict[FieldName, StrictStr]


class Route(Entry):
    """Method and path template of the operation under test."""

    method: Method
    path: Annotated[StrictStr, Field(pattern=r"^/")]


class Answer(Entry):
    """What an answer to a probe must look like."""

    status: Status
    match: Matching = Field(default_factory=dict)
    headers: HeaderChecks = Field(default_factory=dict)


class Question(Entry):
    """A request that is always the same."""

    method: Method = "GET"
    path: Path
    json_body: Any = Field(default=None, alias="json")
    headers: Headers = Field(default_factory=dict)


class Identity(Question):
    """The positive proof that an address is the target: without it nothing counts."""

    status: Status = 200
    match: Matching

    @model_validator(mode="after")
    def _proves(self) -> Identity:
        proofs = [one for at, one in self.match.items() if "*" not in at and isinstance(one, Equals | Matches | OneOf)]
        if not proofs:
            raise wrong("match", "an identity needs a place with 'equals', 'regex' or 'enum' that only the target has")
        return self


class ByGauge(Entry):
    """A series of the instance's metrics whose value tells the mode."""

    by: Literal["gauge"]
    path: Path = "/metrics"
    series: Text
    values: dict[Name, Number]


class ByJson(Entry):
    """A place in a JSON document that tells the mode; by default in the mode's own word."""

    by: Literal["json"]
    path: Path
    pointer: Pointer
    headers: Headers = Field(default_factory=dict)
    values: dict[Name, Any] = Field(default_factory=dict)


class ByHeader(Entry):
    """A header of an answer that tells the mode; by default in the mode's own word."""

    by: Literal["header"]
    path: Path
    name: FieldName
    headers: Headers = Field(default_factory=dict)
    values: dict[Name, StrictStr] = Field(default_factory=dict)


class ByProbe(Entry):
    """A request whose answer is different in every mode."""

    by: Literal["probe"]
    probe: Question
    answers: dict[Name, Answer]


Confirmation: TypeAlias = Annotated[ByGauge | ByJson | ByHeader | ByProbe, Field(discriminator="by")]


class SetByRequest(Question):
    """Send a request in which every ``{mode}`` is the mode wanted; it has to be answered 2xx."""

    by: Literal["request"]
    to: Literal["first", "each"] = "first"
    restore: Question | None = None
    """Sent at the end; without it, the mode found at the beginning is set again."""


class SetByHeader(Entry):
    """Send a header with every request."""

    by: Literal["header"]
    name: FieldName
    values: dict[Name, StrictStr] = Field(default_factory=dict)


class SetByNobody(Entry):
    """Not set from here: the mode that is found is tested, and the others are not run."""

    by: Literal["nobody"]


class ModeSwitch(Entry):
    """How the target's mode is set and confirmed: by every confirmation, on every instance, before and after."""

    set: Annotated[SetByRequest | SetByHeader | SetByNobody, Field(discriminator="by")]
    within: Span = 10.0
    hold: Span = 0.5
    """For how long it has to be reported without a break."""
    confirm: tuple[Confirmation, ...] = Field(min_length=1)


class Kind(Entry):
    """What the cases of a kind promise without any golden."""

    accepted: tuple[Name, ...] = ()
    """Modes that answer 2xx or 3xx."""
    rejected: tuple[Name, ...] = ()
    """Modes that answer 4xx."""
    same: tuple[Annotated[tuple[Name, ...], Field(min_length=2)], ...] = ()
    """Groups of modes whose status and body are equal outside matchers."""
    headers: dict[Name | Literal["*"], HeaderChecks] = Field(default_factory=dict)
    """By mode; ``*`` for every mode, where the mode itself says nothing of a header."""

    def headers_in(self, mode: str) -> HeaderChecks:
        """Return what is expected of the headers in a mode."""
        return {**self.headers.get("*", {}), **self.headers.get(mode, {})}


class MetricSource(Entry):
    """Where the target's metrics are, and how long a rise may take."""

    path: Path
    control: Span = 1.0
    """For how long nothing may move before a request."""
    settle: Span = 10.0
    hold: Span = 1.0
    """For how long nothing may come after the rise."""
    series: dict[Name, Text] = Field(default_factory=dict)
    """Selectors by a name that cases may use instead."""
    bounded: dict[Text, dict[Text, tuple[StrictStr, ...]]] = Field(default_factory=dict)
    """All labels of a family (but ``le``), and the values that they may have."""


class StateRead(Entry):
    """A read that shows side effects."""

    path: Path
    pointer: Pointer = ""


class Endpoint(Entry):
    """One ``endpoint.json``, filled up with what it shares."""

    editor_schema: StrictStr | None = Field(default=None, alias="$schema")
    version: Literal["golden-endpoint/1"] = Field(alias="schema")
    shared: StrictStr | None = None
    endpoint: Name
    cases: Annotated[int, Field(ge=1, strict=True)] | None = None
    """So many case files are in the folder: one which is taken away is missed."""
    request: Route
    instances: StrictStr | tuple[StrictStr, ...]
    instance_count: Annotated[int, Field(ge=1, strict=True)]
    """So many instances there are: one which is left out is missed."""
    headers: Headers = Field(default_factory=dict)
    timeout: Span = 10.0
    identity: Identity
    modes: tuple[Name, ...] = Field(min_length=1)
    mode: ModeSwitch
    kinds: dict[Name, Kind] = Field(min_length=1)
    match: Matching = Field(default_factory=dict)
    responses: dict[Name, dict[str, Any]] = Field(default_factory=dict)
    """Expectations of one shape by name, for cases to build upon."""
    metrics: MetricSource | None = None
    state: tuple[StateRead, ...] = ()
    openapi: Path | None = None
    error_code: tuple[Pointer, ...] | Pointer = ()
    """Where an error's code is, the first that is there."""
    secrets: tuple[PatternText, ...] = ()
    """Places in bodies that are never shown."""

    @model_validator(mode="after")
    def _modes_are_known(self) -> Endpoint:
        if len(set(self.modes)) < len(self.modes):
            raise wrong("modes", "a mode is named twice")
        for name, kind in self.kinds.items():
            self._check_kind(name, kind)
        for confirmation in self.mode.confirm:
            told = confirmation.answers if isinstance(confirmation, ByProbe) else confirmation.values
            if (told or not isinstance(confirmation, ByJson | ByHeader)) and set(told) != set(self.modes):
                raise wrong("mode", f"the confirmation by {confirmation.by} has to tell {', '.join(self.modes)} apart")
        return self

    def _check_kind(self, name: str, kind: Kind) -> None:
        grouped = (mode for group in kind.same for mode in group)
        for mode in (*kind.accepted, *kind.rejected, *(set(kind.headers) - {"*"}), *grouped):
            if mode not in self.modes:
                raise wrong("kinds", f"{name}: unknown mode {mode!r}; {did_you_mean(mode, list(self.modes))}")
        if sorted((*kind.accepted, *kind.rejected)) != sorted(self.modes):
            raise wrong("kinds", f"{name}: each mode is in one of accepted and rejected")

    @property
    def told_between(self) -> int | None:
        """The place of the confirmation that is asked after each case, too: the first that is only a read."""
        reads = (place for place, one in enumerate(self.mode.confirm) if not isinstance(one, ByProbe))
        return next(reads, None)

    @property
    def error_codes(self) -> tuple[str, ...]:
        """The pointers to an error's code."""
        return (self.error_code,) if isinstance(self.error_code, str) else self.error_code


class Site:
    """Where an endpoint is reached, with every ``${NAME}`` filled in; the values are secret and never shown."""

    def __init__(self, endpoint: Endpoint, variables: Mapping[str, str]) -> None:
        """Raise EnvironmentUnready if a variable is not set or no instance is named."""
        self.endpoint = endpoint
        self._variables = variables
        given = [endpoint.instances] if isinstance(endpoint.instances, str) else endpoint.instances
        places = [place.strip().rstrip("/") for text in given for place in self.filled(text).split(",")]
        self.instances = tuple(place for place in places if place)
        if fault := self._fault():
            raise EnvironmentUnready(f"{endpoint.endpoint}: {fault}")

    def _fault(self) -> str:
        """Return what is wrong with the addresses, without showing any; nothing if they can be used."""
        places, wanted = self.instances, self.endpoint.instance_count
        if not places or not all(place.startswith(("http://", "https://")) for place in places):
            return "'instances' has to name addresses such as http://host:80"
        if any("@" in urlsplit(place).netloc for place in places):
            return "an address of 'instances' holds credentials, which would be shown; give them by 'headers'"
        if len(set(places)) < len(places):
            return "'instances' names an address twice"
        if len(places) != wanted:
            return f"'instances' names {len(places)} of {wanted} instances; every one has to be asked"
        return ""

    def filled(self, text: str) -> str:
        """Return a text with its variables filled in. Raises EnvironmentUnready."""
        for name in _REFERENCE.findall(text):
            if not self._variables.get(name):
                raise EnvironmentUnready(
                    f"{self.endpoint.endpoint}: the environment variable {name} is not set; export it"
                )
        return _REFERENCE.sub(lambda found: self._variables[found[1]], text)

    def headers(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return headers with their variables filled in. Raises EnvironmentUnready."""
        return {name: self.filled(value) for name, value in given.items()}

    def place(self, instance: str, path: str) -> tuple[str, str]:
        """Return base URL and target of a path on an instance, or of one place for all. Raises EnvironmentUnready."""
        filled = self.filled(path)
        if filled.startswith("/"):
            return instance, filled
        parts = urlsplit(filled)
        return f"{parts.scheme}://{parts.netloc}", (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
