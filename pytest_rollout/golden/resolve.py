"""From a case's request, or its base and patch, to the request object that is sent."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from pytest_rollout.golden.case import Case, Fill, RequestObject
from pytest_rollout.golden.endpoint import Endpoint
from pytest_rollout.golden.exact import MISSING
from pytest_rollout.golden.patch import PatchError, apply_patch, put
from pytest_rollout.golden.pointer import lookup, parse_pointer
from pytest_rollout.golden.wire import RequestError, raw_request
from pytest_rollout.plan.document import Document, KeyPath
from pytest_rollout.plan.strict import did_you_mean


class Unsendable(ValueError):  # noqa: N818 - read as a state
    """A case's request cannot be made; ``where`` is the place of the fault in its file."""

    def __init__(self, where: KeyPath, message: str) -> None:
        super().__init__(message)
        self.where = where


Read = Mapping[str, tuple[Case, Document]]


def resolved_request(read: Read, name: str, bases: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the request object of a case. Raises Unsendable."""
    case, document = read[name]
    data = document.data
    request = _base(read, case, (*bases, name)) if case.base else copy.deepcopy(data["request"])
    try:
        request = apply_patch(request, data.get("patch", []))
    except PatchError as exc:
        raise Unsendable(("patch", exc.index), str(exc)) from exc
    for place, fill in case.fill.items():
        request = _filled(request, place, fill)
    return dict(request)


def _base(read: Read, case: Case, bases: tuple[str, ...]) -> dict[str, Any]:
    base = str(case.base)
    if base not in read:
        raise Unsendable(("base",), f"unknown base {base!r}; {did_you_mean(base, sorted(set(read) - {case.id}))}")
    if base in bases:
        raise Unsendable(("base",), f"bases go round in a circle: {' -> '.join((*bases, base))}")
    try:
        return resolved_request(read, base, bases)
    except Unsendable as exc:
        raise Unsendable(("base",), f"the base {base!r} cannot be made: {exc}") from exc


def _filled(request: Any, place: str, fill: Fill) -> Any:
    path = parse_pointer(place)
    try:
        if lookup(request, path) is not MISSING and path:
            request = apply_patch(request, [{"op": "remove", "path": place}])
        return put(request, path, expanded(fill))
    except ValueError as exc:
        raise Unsendable(("fill", place), str(exc)) from exc


def expanded(fill: Fill) -> Any:
    """Return what a fill stands for."""
    if fill.text is not None:
        return fill.text * fill.times
    items = fill.items or ()
    return [_counted(items[number % len(items)], fill.counter, number) for number in range(fill.times)]


def _counted(value: Any, counter: str | None, number: int) -> Any:
    if isinstance(value, dict):
        return {key: _counted(item, counter, number) for key, item in value.items()}
    if isinstance(value, list):
        return [_counted(item, counter, number) for item in value]
    return value.replace(counter, str(number)) if counter and isinstance(value, str) else value


def request_object(data: Mapping[str, Any]) -> RequestObject:
    """Return the model of a resolved request object. Raises Unsendable."""
    try:
        return RequestObject.model_validate(dict(data))
    except ValidationError as exc:
        first = exc.errors()[0]
        said = first.get("ctx", {}).get("message", first["msg"])
        at = "/".join(map(str, first["loc"]))
        raise Unsendable((), f"the patched request is not one: {at + ': ' if at else ''}{said}") from None


def check_sendable(endpoint: Endpoint, data: Mapping[str, Any], *, patched: bool) -> None:
    """Raise Unsendable if a resolved request object cannot be turned into a request of the endpoint."""
    model = request_object(data)
    try:
        raw_request(endpoint.request, model, {})
    except RequestError as exc:
        raise Unsendable(("base",) if patched else ("request", exc.key), str(exc)) from exc
