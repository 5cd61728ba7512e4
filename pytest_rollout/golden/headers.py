"""Headers of an answer: parsed by their standards, and compared with what a case expects of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from pytest_rollout.golden import header_checks as checks
from pytest_rollout.golden.finding import Finding
from pytest_rollout.golden.wire import Reply

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_SF_DATE = re.compile(r"@(-?\d{1,15})(?:;[ ]*[a-z*][a-z0-9_.*-]*(?:=[^,;]*)?)*", re.ASCII)
_IMF = re.compile(rf"({'|'.join(_DAYS)}), (\d\d) ({'|'.join(_MONTHS)}) (\d{{4}}) (\d\d):(\d\d):(\d\d) (\S+)", re.ASCII)
_PARAMETER = rf'\s*;\s*({_WORD})\s*(?:=\s*("(?:[^"\\]|\\.)*"|{_WORD}))?'
_LINK = re.compile(rf"\s*<([^<>]*)>((?:{_PARAMETER})*)\s*")


class BadHeader(ValueError):  # noqa: N818 - read as a state
    """A value is not of the form that its standard demands."""


@dataclass(frozen=True, slots=True)
class WebLink:
    """One link of a ``Link`` field (RFC 8288, 3)."""

    href: str
    parameters: Mapping[str, str]

    @property
    def relations(self) -> frozenset[str]:
        """Its relation types, in lower case."""
        return frozenset(self.parameters.get("rel", "").lower().split())


def parse_deprecation(value: str) -> int:
    """Return unix seconds of a ``Deprecation`` field: a structured-field Date (RFC 9745, 2; RFC 9651, 3.3.7).

    Raises BadHeader, which names the forms of older drafts.
    """
    if found := _SF_DATE.fullmatch(value):
        return int(found[1])
    if value.lower() in ("true", "?1"):
        raise BadHeader(f"the legacy form {value!r} of a draft; RFC 9745 wants a date such as @1688169599")
    if _IMF.fullmatch(value):
        raise BadHeader(f"the legacy form {value!r} (an HTTP-date) of a draft; RFC 9745 wants @1688169599")
    raise BadHeader(f"{value!r}, which is not a structured-field date such as @1688169599")


def parse_http_date(value: str) -> int:
    """Return unix seconds of an IMF-fixdate (RFC 9110, 5.6.7): literal GMT, the right weekday. Raises BadHeader."""
    found = _IMF.fullmatch(value)
    if not found:
        raise BadHeader(f"{value!r}, which is not an HTTP-date such as 'Sun, 30 Jun 2024 23:59:59 GMT'")
    day, date, month, year, hour, minute, second, zone = found.groups()
    if zone != "GMT":
        raise BadHeader(f"{value!r}, which ends in {zone} and not in GMT")
    try:
        numbers = (int(year), _MONTHS.index(month) + 1, int(date), int(hour), int(minute), int(second))
        moment = datetime(*numbers, tzinfo=UTC)
    except ValueError as exc:
        raise BadHeader(f"{value!r}, which is no date: {exc}") from exc
    if _DAYS[moment.weekday()] != day:
        raise BadHeader(f"{value!r}, but that day is a {_DAYS[moment.weekday()]}")
    return int(moment.timestamp())


def parse_links(value: str) -> list[WebLink]:
    """Return the links of a ``Link`` field (RFC 8288, 3). Raises BadHeader."""
    links, at = [], 0
    while at < len(value):
        found = _LINK.match(value, at)
        if not found or (found.end() < len(value) and value[found.end()] != ","):
            raise BadHeader(f"{value!r}, which is not a list of links such as '<https://..>; rel=\"deprecation\"'")
        links.append(WebLink(found[1], _parameters(found[2])))
        at = found.end() + 1
    return links


def _parameters(text: str) -> dict[str, str]:
    out: dict[str, str] = {}
    for found in re.finditer(_PARAMETER, text):
        raw = found[2] or ""
        plain = re.sub(r"\\(.)", r"\1", raw[1:-1]) if raw.startswith('"') else raw
        out.setdefault(found[1].lower(), plain)  # of several, the first counts (RFC 8288, 3.3)
    return out


def header_findings(expected: checks.HeaderChecks, reply: Reply, now: float) -> Iterator[Finding]:
    """Yield what is wrong with the headers of an answer; ``now`` in unix seconds."""
    for name, check in expected.items():
        for wanted, actual in _wrong(name, check, reply, now):
            yield Finding(
                pointer=f"#header/{name}", kind="header", expected=wanted, actual=actual, rule=f"{check.kind} of {name}"
            )


def _wrong(name: str, check: checks.HeaderCheck, reply: Reply, now: float) -> Iterator[tuple[str, str]]:
    fields = reply.fields(name)
    if isinstance(check, checks.HeaderAbsent):
        if fields:
            yield "no such field", _several(fields)
    elif isinstance(check, checks.Link):
        yield from _link(check, fields)
    elif isinstance(check, checks.HeaderList) and fields:
        yield from _list(check, fields)
    elif len(fields) != 1:
        yield "exactly one field", _several(fields)
    else:
        try:
            yield from _CHECKS[type(check)](check, fields[0], reply, now)
        except BadHeader as exc:
            yield f"a {name} field by its standard", str(exc)


def _several(fields: list[str]) -> str:
    return f"{len(fields)} fields: {' | '.join(fields)[:200]}" if fields else "none"


Wrong = Iterator[tuple[str, str]]


def _equals(check: checks.HeaderEquals, value: str, _reply: Reply, _now: float) -> Wrong:
    if value != check.value:
        yield repr(check.value), repr(value)


def _matches(check: checks.HeaderMatches, value: str, _reply: Reply, _now: float) -> Wrong:
    if not re.fullmatch(check.pattern, value):
        yield f"like {check.pattern}", repr(value)


def _one_of(check: checks.HeaderOneOf, value: str, _reply: Reply, _now: float) -> Wrong:
    if value not in check.values:
        yield f"one of {', '.join(check.values)}", repr(value)


def _list(check: checks.HeaderList, fields: list[str]) -> Wrong:
    items = [item.strip() for field in fields for item in field.split(",")]
    if unknown := [item for item in items if item not in check.values]:
        yield f"only {', '.join(check.values)}", repr(unknown[0])
    if check.complete and (missing := [item for item in check.values if item not in items]):
        yield f"all of {', '.join(check.values)}", f"no {missing[0]!r}"


def _deprecation(check: checks.Deprecation, value: str, _reply: Reply, _now: float) -> Wrong:
    moment = parse_deprecation(value)
    if check.at is not None and moment != check.at:
        yield f"@{check.at}", value


def _sunset(check: checks.Sunset, value: str, reply: Reply, now: float) -> Wrong:
    moment = parse_http_date(value)
    if check.at is not None and value != check.at:
        yield check.at, value
    answers = HTTPStatus.OK <= reply.status < HTTPStatus.MULTIPLE_CHOICES
    if check.future and answers and moment < now:
        yield "a date to come, for the resource still answers", f"past sunset: {value}"
    for other in reply.fields("Deprecation"):
        found = _SF_DATE.fullmatch(other)
        if found and moment < int(found[1]):
            yield f"not before Deprecation ({other})", value


def _link(check: checks.Link, fields: list[str]) -> Wrong:
    wanted = f"a link with rel={check.rel!r}"
    try:
        links = [link for field in fields for link in parse_links(field) if check.rel.lower() in link.relations]
    except BadHeader as exc:
        yield wanted, str(exc)
        return
    if not links:
        yield wanted, _several(fields)
    for said, value, actual in (
        ("href", check.href, [link.href for link in links]),
        ("type", check.type, [link.parameters.get("type", "") for link in links]),
    ):
        if links and value is not None and value not in actual:
            yield f"{wanted} and {said} {value!r}", " | ".join(actual)


def _present(_check: checks.HeaderPresent, _value: str, _reply: Reply, _now: float) -> Wrong:
    return iter(())


_CHECKS: Mapping[type, Callable[[Any, str, Reply, float], Wrong]] = {
    checks.HeaderPresent: _present,
    checks.HeaderEquals: _equals,
    checks.HeaderMatches: _matches,
    checks.HeaderOneOf: _one_of,
    checks.Deprecation: _deprecation,
    checks.Sunset: _sunset,
}
