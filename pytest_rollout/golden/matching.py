"""Whether a value satisfies a matcher: pure, and in exact numbers."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_DOWN, ROUND_UP, Context, Decimal
from typing import Any

from pytest_rollout.golden import matchers
from pytest_rollout.golden.exact import MISSING, equal, kind_of
from pytest_rollout.golden.finding import shown
from pytest_rollout.golden.pointer import Path, lookup, parse_pointer
from pytest_rollout.golden.schemas import Schemas, SchemaUnusable, is_integer
from pytest_rollout.units import format_duration

_DIGITS = 200
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True)
class Scene:
    """What matchers may look at beside their own value."""

    request: Any = MISSING
    body: Any = MISSING
    sent_at: float = 0.0
    """Unix seconds."""
    schemas: Schemas = field(default_factory=Schemas)


@dataclass(frozen=True, slots=True)
class Difference:
    """What is wrong with a value; ``path`` is relative to it."""

    kind: str
    expected: str
    actual: Any
    path: Path = ()


def differences(matcher: matchers.Matcher, golden: Any, actual: Any, scene: Scene) -> Iterator[Difference]:
    """Yield how a value fails a matcher; nothing if it satisfies it."""
    if isinstance(matcher, matchers.Absent):
        if actual is not MISSING:
            yield Difference("extra", "nothing", actual)
    elif isinstance(matcher, matchers.Ignore):
        return
    elif actual is MISSING:
        yield Difference("missing", matcher.kind, actual)
    else:
        yield from _CHECKS[type(matcher)](matcher, golden, actual, scene)


Check = Callable[[Any, Any, Any, Scene], Iterator[Difference]]


def _equals(matcher: matchers.Equals, _golden: Any, actual: Any, _scene: Scene) -> Iterator[Difference]:
    if not equal(matcher.value, actual):
        yield Difference("value", shown(matcher.value), actual)


def _near(matcher: matchers.Near, golden: Any, actual: Any, _scene: Scene) -> Iterator[Difference]:
    wanted = golden if matcher.value is None else matcher.value
    if kind_of(wanted) != "number":
        yield Difference("rule", "a number to be near to, in the golden or as value", wanted)
    elif kind_of(actual) != "number":
        yield Difference("type", "number", actual)
    elif not is_near(Decimal(actual), Decimal(wanted), matcher.absolute, matcher.relative):
        tolerance = matcher.absolute if matcher.absolute is not None else f"{matcher.relative} of it"
        yield Difference("value", f"{wanted} within {tolerance}", actual)


def is_near(actual: Decimal, wanted: Decimal, absolute: Decimal | None, relative: Decimal | None) -> bool:
    """Whether two numbers are no farther apart than allowed; what has to be rounded is rounded against it."""
    up, down = Context(prec=_DIGITS, rounding=ROUND_UP), Context(prec=_DIGITS, rounding=ROUND_DOWN)
    apart = up.abs(up.subtract(actual, wanted))
    allowed = absolute if relative is None else down.multiply(relative, down.abs(wanted))
    return allowed is not None and apart <= allowed


def _in_range(matcher: matchers.InRange, _golden: Any, actual: Any, _scene: Scene) -> Iterator[Difference]:
    if kind_of(actual) != "number":
        yield Difference("type", "number", actual)
    elif matcher.least is not None and actual < matcher.least:
        yield Difference("value", f"at least {matcher.least}", actual)
    elif matcher.most is not None and actual > matcher.most:
        yield Difference("value", f"at most {matcher.most}", actual)


def _of_type(matcher: matchers.OfType, _golden: Any, actual: Any, _scene: Scene) -> Iterator[Difference]:
    fits = is_integer(actual) if matcher.type == "integer" else kind_of(actual) == matcher.type
    if not fits:
        yield Difference("type", matcher.type, actual)


def _regex(matcher: matchers.Matches, _golden: Any, actual: Any, _scene: Scene) -> Iterator[Difference]:
    if not isinstance(actual, str):
        yield Difference("type", "string", actual)
    elif not re.fullmatch(matcher.pattern, actual):
        yield Difference("value", f"like {matcher.pattern}", actual)


def _uuid(matcher: matchers.Uuid, _golden: Any, actual: Any, _scene: Scene) -> Iterator[Difference]:
    wanted = "a UUID" if matcher.version is None else f"a UUID of version {matcher.version}"
    if not isinstance(actual, str):
        yield Difference("type", "string", actual)
    elif not _UUID.fullmatch(actual) or matcher.version not in (None, uuid.UUID(actual).version):
        yield Difference("value", wanted, actual)


def _moment(matcher: matchers.Moment, _golden: Any, actual: Any, scene: Scene) -> Iterator[Difference]:
    moment = parse_moment(actual)
    if moment is None:
        yield Difference("value", "a date and time with offset (RFC 3339)", actual)
    elif matcher.within is not None and abs(moment - scene.sent_at) > matcher.within:
        yield Difference("value", f"within {format_duration(matcher.within)} of the sending", actual)


def parse_moment(text: Any) -> float | None:
    """Return unix seconds of an RFC 3339 date and time, or None if it is none."""
    if not isinstance(text, str) or not _RFC3339.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text.upper()).timestamp()
    except (ValueError, OverflowError):
        return None


def _one_of(matcher: matchers.OneOf, _golden: Any, actual: Any, _scene: Scene) -> Iterator[Difference]:
    if not any(equal(value, actual) for value in matcher.values):
        yield Difference("value", f"one of {shown(list(matcher.values))}", actual)


def _length(matcher: matchers.Length, _golden: Any, actual: Any, _scene: Scene) -> Iterator[Difference]:
    if not isinstance(actual, str | list | dict):
        yield Difference("type", "string, array or object", actual)
    elif len(actual) < matcher.least:
        yield Difference("length", f"at least {matcher.least}", len(actual))
    elif matcher.most is not None and len(actual) > matcher.most:
        yield Difference("length", f"at most {matcher.most}", len(actual))


def _each(matcher: matchers.Each, _golden: Any, actual: Any, scene: Scene) -> Iterator[Difference]:
    if not isinstance(actual, list | dict):
        yield Difference("type", "array or object", actual)
        return
    if len(actual) < matcher.least:
        yield Difference("length", f"at least {matcher.least}", len(actual))
    for key, item in actual.items() if isinstance(actual, dict) else enumerate(actual):
        for found in differences(matcher.of, MISSING, item, scene):
            yield Difference(found.kind, found.expected, found.actual, (str(key), *found.path))


def _same_as(matcher: matchers.SameAs, _golden: Any, actual: Any, scene: Scene) -> Iterator[Difference]:
    other = lookup(scene.body if matcher.place == "body" else scene.request, parse_pointer(matcher.pointer))
    if not equal(other, actual):
        yield Difference("value", f"what the {matcher.place} has at {matcher.pointer!r}", actual)


def _present(_matcher: matchers.Present, _golden: Any, _actual: Any, _scene: Scene) -> Iterator[Difference]:
    return iter(())


def _schema(matcher: matchers.OfSchema, _golden: Any, actual: Any, scene: Scene) -> Iterator[Difference]:
    return schema_differences(matcher.definition, actual, scene)


def schema_differences(schema: Any, actual: Any, scene: Scene) -> Iterator[Difference]:
    """Yield where a value breaks a schema; a schema that cannot be used is a difference of the kind ``rule``."""
    try:
        for found in scene.schemas.violations(schema, actual):
            yield Difference("schema", found.keyword, found.message, found.path)
    except SchemaUnusable as exc:
        yield Difference("rule", "a schema that can be used", str(exc))


_CHECKS: Mapping[type, Check] = {
    matchers.Equals: _equals,
    matchers.Near: _near,
    matchers.InRange: _in_range,
    matchers.OfType: _of_type,
    matchers.Matches: _regex,
    matchers.Uuid: _uuid,
    matchers.Moment: _moment,
    matchers.OneOf: _one_of,
    matchers.Length: _length,
    matchers.Each: _each,
    matchers.SameAs: _same_as,
    matchers.Present: _present,
    matchers.OfSchema: _schema,
}
