"""What requests look like: read exactly, or refused with a code and a pointer that name nothing the client invented."""

import json
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema, model_validator
from pydantic.alias_generators import to_camel

LONGEST_STAGE = 100
MOST_ENTRIES = 1000
PAGE, LARGEST_PAGE = 20, 100
_LARGEST_ID = 999_999_999  # within what the database can hold
MESSAGES = {
    "NOT_JSON": "the body is not JSON",
    "MISSING": "a required value is missing",
    "WRONG_TYPE": "a value has the wrong type",
    "OUT_OF_RANGE": "a value is outside of what is allowed",
    "UNKNOWN_FIELD": "a field or parameter is not known here",
    "SUM_NOT_ONE": "the shares do not sum to 1",
    "BAD_CURSOR": "the cursor is not one of this filter",
    "REPEATED": "a parameter is given more than once",
    "TOO_LARGE": "the body is too large",
}
"""Every code of a malformed request, and its message."""
_OPEN_ENDED = frozenset({"stageAllocation", "sectorAllocation"})
_RANGE = re.compile(r"literal_error|value_error|too_|greater_than|less_than|_mismatch|finite_number")


class MalformedError(ValueError):
    """The request is not one this API takes; ``pointer`` names the place as far as it is known to the API."""

    def __init__(self, code: str, pointer: str = "") -> None:
        super().__init__(MESSAGES[code])
        self.code = code
        self.pointer = pointer


def _as_decimal(value: object) -> object:
    return Decimal(value) if type(value) is int else value


StageText = Annotated[str, Field(min_length=1, max_length=LONGEST_STAGE, pattern=r"\S")]
Share = Annotated[
    Decimal,
    BeforeValidator(_as_decimal),
    Field(ge=0, le=1),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1}),
]
Id = Annotated[int, Field(ge=1, le=_LARGEST_ID)]
Amount = Annotated[int, Field(ge=0, le=10**12)]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, alias_generator=to_camel)


class Entry(_Shape):
    """One stage of a distribution."""

    stage: StageText
    weight: Share


class SimulationOrder(_Shape):
    """The body of POST /api/monte-carlo/simulate."""

    fund_id: Id
    runs: int = Field(ge=1, le=10_000)
    time_horizon_years: int = Field(ge=1, le=30)
    stage_distribution: list[Entry] = Field(min_length=1, max_length=MOST_ENTRIES)


class CheckSizes(_Shape):
    """Least and largest check, in whole units."""

    min: Amount
    max: Amount

    @model_validator(mode="after")
    def _in_order(self) -> "CheckSizes":
        if self.min > self.max:
            raise ValueError("min is above max")
        return self


class StrategyOrder(_Shape):
    """The body of POST /api/portfolio/strategies."""

    name: str = Field(min_length=1, max_length=120)
    model_type: Literal["conservative", "balanced", "aggressive"]
    check_size_range: CheckSizes
    sector_allocation: dict[Annotated[str, Field(min_length=1, max_length=60)], Share] = Field(
        min_length=1, max_length=50
    )
    stage_allocation: dict[StageText, Share] = Field(min_length=1, max_length=MOST_ENTRIES)


class FundQuery(_Shape):
    """The query of the strategies."""

    fund_id: Id


class CompaniesQuery(FundQuery):
    """Path and query of GET /api/funds/{fundId}/companies."""

    stage: StageText | None = None
    limit: int = Field(default=PAGE, ge=1, le=LARGEST_PAGE)
    cursor: str | None = Field(default=None, min_length=1, max_length=400)


Shape = TypeVar("Shape", bound=_Shape)


def read_body(shape: type[Shape], body: bytes) -> Shape:
    """Read a JSON body, its numbers in decimal. Raises MalformedError; also for NaN and for a key that comes twice."""
    try:
        fields = json.loads(
            body.decode(), parse_float=Decimal, parse_constant=_refuse, object_pairs_hook=_without_duplicates
        )
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise MalformedError("NOT_JSON") from error
    return _read(shape, fields)


def read_query(shape: type[Shape], parameters: Sequence[tuple[str, str]]) -> Shape:
    """Read query parameters; raises MalformedError."""
    names = [name for name, _ in parameters]
    for field in shape.model_fields.values():
        if names.count(field.alias or "") > 1:
            raise MalformedError("REPEATED", f"/{field.alias}")
    return _read(shape, {name: _number(text) if name in ("fundId", "limit") else text for name, text in parameters})


def _read(shape: type[Shape], fields: object) -> Shape:
    try:
        return shape.model_validate(fields)
    except ValidationError as error:
        raise _malformed(error) from error


def _malformed(error: ValidationError) -> MalformedError:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    if first["type"] == "missing":
        return MalformedError("MISSING", _pointer(first["loc"]))
    if first["type"] == "extra_forbidden":
        return MalformedError("UNKNOWN_FIELD", _pointer(first["loc"][:-1]))
    return MalformedError("OUT_OF_RANGE" if _RANGE.search(first["type"]) else "WRONG_TYPE", _pointer(first["loc"]))


def _pointer(place: Iterable[int | str]) -> str:
    pointer = ""
    for step in place:
        pointer += f"/{step}"
        if step in _OPEN_ENDED:
            break
    return pointer


def _number(text: str) -> int | str:
    return int(text) if re.fullmatch(r"[0-9]{1,12}", text) else text


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("a key comes twice")
    return fields
