"""What is wrong with a case or an endpoint beyond its form: words that do not exist, promises that cannot be kept."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pytest_rollout.golden.case import SHARED, Case, Expectation
from pytest_rollout.golden.endpoint import ACCEPTED, REJECTED, ByGauge, ByHeader, ByJson, ByProbe, Endpoint
from pytest_rollout.golden.exact import MISSING, equal
from pytest_rollout.golden.matchers import ROOTS, Each, Ignore, Matcher, Matching, Near, OfSchema, SameAs, Unordered
from pytest_rollout.golden.pointer import Pattern, lookup, parse_pointer
from pytest_rollout.golden.schemas import SchemaUnusable, check_schema
from pytest_rollout.plan.document import KeyPath
from pytest_rollout.plan.promql import parse_selector
from pytest_rollout.plan.strict import did_you_mean

Faults = Iterator[tuple[KeyPath, str]]


def lint_endpoint(endpoint: Endpoint, folder: str) -> Faults:
    """Yield what is wrong with an endpoint."""
    if endpoint.endpoint != folder:
        yield ("endpoint",), f"the endpoint {endpoint.endpoint!r} is not the folder's name, {folder!r}"
    yield from _matching(endpoint.match, ("match",), golden=True)
    for name, selector in (endpoint.metrics.series if endpoint.metrics else {}).items():
        yield from _selector(selector, ("metrics", "series", name))
    for name, response in endpoint.responses.items():
        yield from _response(response, ("responses", name))
    yield from _matching(endpoint.identity.match, ("identity", "match"), golden=False)
    for place, confirmation in enumerate(endpoint.mode.confirm):
        if isinstance(confirmation, ByProbe):
            continue
        yield from _apart(endpoint, confirmation, ("mode", "confirm", place))
        if isinstance(confirmation, ByGauge):
            yield from _selector(confirmation.series, ("mode", "confirm", place, "series"))


def _apart(endpoint: Endpoint, confirmation: ByGauge | ByJson | ByHeader, where: KeyPath) -> Faults:
    for one, other in itertools.combinations(endpoint.modes, 2):
        if equal(confirmation.values.get(one, one), confirmation.values.get(other, other)):
            said = f"the confirmation by {confirmation.by} tells {one} and {other} by the same value"
            yield (*where, "values"), said


def _response(response: Mapping[str, Any], where: KeyPath) -> Faults:
    """Yield faults of a named response: it is a part of an expectation, and never a golden."""
    for key in response:
        if key not in SHARED:
            yield (*where, key), f"unknown key {key!r}; {did_you_mean(key, sorted(SHARED))}"


def lint_case(case: Case, endpoint: Endpoint) -> Faults:
    """Yield what is wrong with a case by itself."""
    if case.kind not in endpoint.kinds:
        yield ("kind",), f"unknown kind {case.kind!r}; {did_you_mean(case.kind, sorted(endpoint.kinds))}"
    for mode in case.expect:
        if mode not in endpoint.modes:
            yield ("expect", mode), f"unknown mode {mode!r}; {did_you_mean(mode, list(endpoint.modes))}"
    for mode in endpoint.modes:
        if mode not in case.expect:
            yield ("expect",), f"nothing is expected in the mode {mode!r}"
    yield from _matching(case.match, ("match",), golden=True)
    for mode, expected in case.expect.items():
        yield from _expectation(expected, ("expect", mode), endpoint)
        yield from _status(case, mode, expected.status, endpoint)


def _status(case: Case, mode: str, status: int, endpoint: Endpoint) -> Faults:
    """Yield a fault if a case expects of a mode what its kind rules out."""
    if case.kind not in endpoint.kinds or mode not in endpoint.modes:
        return
    accepted = mode in endpoint.kinds[case.kind].accepted
    if status not in (ACCEPTED if accepted else REJECTED):
        how = "accepted in {!r}, with 2xx or 3xx" if accepted else "rejected in {!r}, with 4xx"
        yield ("expect", mode, "status"), f"the kind {case.kind!r} is {how.format(mode)}"


def _expectation(expected: Expectation, where: KeyPath, endpoint: Endpoint) -> Faults:
    yield from _matching(expected.match, (*where, "match"), golden=not expected.partial)
    if expected.definition is not None:
        yield from _schema(expected.definition, (*where, "schema"), endpoint)
    if expected.metrics and endpoint.metrics is None:
        yield (*where, "metrics"), "the endpoint does not say where its metrics are"
    for selector in expected.metrics:
        yield from _selector(selector, (*where, "metrics", selector))
    if expected.side_effect and not endpoint.state:
        yield (*where, "side_effect"), "the endpoint has no 'state' reads that could show a side effect"


def lint_together(cases: Mapping[str, Case]) -> Iterator[tuple[str, KeyPath, str]]:
    """Yield (case, place, fault) for what the cases of an endpoint promise only together."""
    claims = [
        (name, mode, expected.side_effect) for name, case in cases.items() for mode, expected in case.expect.items()
    ]
    if any(effect == "some" for _, _, effect in claims):
        return
    for name, mode, effect in claims:
        if effect == "none":
            said = "no case of this endpoint has a side effect of 'some': nobody knows that its state reads see any"
            yield name, ("expect", mode, "side_effect"), said


def lint_zeros(cases: Mapping[str, Case]) -> Iterator[tuple[str, KeyPath, str]]:
    """Yield (case, place, fault) for each rise of 0 whose selector never selects anything that rises."""
    every = [(name, mode, expected.metrics) for name, case in cases.items() for mode, expected in case.expect.items()]
    risen = {selector for _, _, metrics in every for selector, rise in metrics.items() if rise}
    for name, mode, metrics in every:
        for selector, rise in metrics.items():
            if not rise and not any(_narrows(one, selector) for one in risen):
                said = "nothing that this selects rises in any case: nobody knows that it can; add a case, or mend it"
                yield name, ("expect", mode, "metrics", selector), said


def _narrows(selector: str, other: str) -> bool:
    try:
        return parse_selector(selector).narrows(parse_selector(other))
    except ValueError:  # it is named as a fault of its own
        return True


def lint_request(case: Case, request: Mapping[str, Any]) -> Faults:
    """Yield which places in the request a case names in vain."""
    if case.breaks is not None:
        path = parse_pointer(case.breaks.pointer)
        if lookup(request, path) is MISSING and lookup(request, path[:-1]) is MISSING:
            yield ("breaks", "pointer"), f"the request has nothing at {case.breaks.pointer!r}, and no parent of it"
    every = [(("match",), case.match), *((("expect", mode, "match"), one.match) for mode, one in case.expect.items())]
    for where, matching in every:
        for at, matcher in matching.items():
            if not isinstance(matcher, SameAs) or matcher.place != "request":
                continue
            if lookup(request, parse_pointer(matcher.pointer)) is MISSING:
                yield (*where, at, "pointer"), f"the request has nothing at {matcher.pointer!r}"


def _matching(matching: Matching, where: KeyPath, *, golden: bool) -> Faults:
    for at, matcher in matching.items():
        yield from _matcher(matcher, (*where, at), golden=golden)
        if at in ROOTS and isinstance(matcher, Ignore):
            yield (*where, at), "'ignore' of the whole body lets anything pass; name the places"
        if isinstance(matcher, Unordered) and matcher.key is None and (below := _below(at, matching)):
            yield (*where, at), f"{below!r} reaches into the entries: give the key that pairs them"


def _below(at: str, matching: Iterable[str]) -> str | None:
    own = Pattern.parse(at)
    return next((text for text in matching if len(text) > len(at) and _extends(Pattern.parse(text), own)), None)


def _extends(pattern: Pattern, outer: Pattern) -> bool:
    return pattern.tokens[: len(outer.tokens)] == outer.tokens


def _matcher(matcher: Matcher, where: KeyPath, *, golden: bool) -> Faults:
    if isinstance(matcher, Each):
        yield from _matcher(matcher.of, (*where, "of"), golden=False)
    if isinstance(matcher, OfSchema):
        yield from _schema(matcher.definition, (*where, "schema"))
    if not golden and isinstance(matcher, Unordered):
        yield where, "'unordered' compares with a golden, and there is none here"
    if not golden and isinstance(matcher, Near) and matcher.value is None:
        yield where, "'near' needs a value where there is no golden"


def _schema(schema: Any, where: KeyPath, endpoint: Endpoint | None = None) -> Faults:
    if isinstance(schema, str):
        if not schema.startswith("#/"):
            yield where, f"{schema!r} is not a reference into the OpenAPI document, such as '#/components/schemas/X'"
        elif endpoint is not None and endpoint.openapi is None:
            yield where, "the endpoint does not say where its OpenAPI document is"
        return
    try:
        check_schema(schema)
    except SchemaUnusable as exc:
        yield where, str(exc)


def _selector(text: str, where: KeyPath) -> Faults:
    try:
        parse_selector(text)
    except ValueError as exc:
        yield where, f"{text!r} selects no series: {exc}"
