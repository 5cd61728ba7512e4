"""Which body a mode is compared with, and whether somebody approved it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pytest_rollout.golden.case import JUDGED, Case
from pytest_rollout.golden.endpoint import Endpoint
from pytest_rollout.golden.exact import MISSING, digest
from pytest_rollout.plan.document import KeyPath

Standing = Literal["approved", "unapproved", "edited"]


@dataclass(frozen=True, slots=True)
class Golden:
    """What the body of one mode is compared with."""

    form: Literal["json", "text", "empty", "partial", "missing"]
    value: Any = MISSING
    source: str = ""
    """The case that holds it."""


class Unresolved(ValueError):  # noqa: N818 - read as a state
    """A ``same_as`` leads nowhere; ``where`` is its place in the case."""

    def __init__(self, where: KeyPath, message: str) -> None:
        super().__init__(message)
        self.where = where


def golden_of(cases: Mapping[str, Case], case: str, mode: str) -> Golden:
    """Return the golden of a case in a mode, wherever ``same_as`` leads. Raises Unresolved."""
    seen: list[tuple[str, str]] = []
    where: KeyPath = ("expect", mode, "same_as")
    while (case, mode) not in seen:
        seen.append((case, mode))
        expected = cases[case].expect[mode]
        if expected.same_as is None:
            found = _own_golden(cases[case], mode)
            if len(seen) > 1 and found.form == "partial":
                raise Unresolved(
                    where, f"{case!r} has no golden body in {mode!r}, only matchers: there is none to share"
                )
            return found
        case, mode = expected.same_as.case or case, expected.same_as.mode or mode
        if case not in cases:
            raise Unresolved((*where, "case"), f"unknown case {case!r}")
        if mode not in cases[case].expect:
            raise Unresolved((*where, "mode"), f"{case!r} expects nothing in {mode!r}")
    raise Unresolved(where, f"same_as goes round in a circle: {' -> '.join('/'.join(step) for step in seen)}")


def _own_golden(case: Case, mode: str) -> Golden:
    expected = case.expect[mode]
    forms: Mapping[str | None, tuple[Any, Any]] = {
        "body": ("json", expected.body),
        "text": ("text", expected.text),
        "empty": ("empty", MISSING),
        "partial": ("partial", MISSING),
        None: ("missing", MISSING),
    }
    form, value = forms[expected.pinned_by]
    return Golden(form, value, case.id)


def case_digest(data: Mapping[str, Any], base_request: Mapping[str, Any] | None, endpoint: Endpoint) -> str:
    """Return the SHA-256 of all that decides the outcome of a case.

    Its judged keys, what its base sends, and what its endpoint says of all cases, of its kind, and by the responses
    that it builds upon.
    """
    judged = {key: data[key] for key in JUDGED if key in data}
    kind = endpoint.kinds.get(str(data.get("kind")))
    named = sorted({str(one["response"]) for one in data.get("expect", {}).values() if "response" in one})
    shared = {
        "match": {at: one.model_dump_json(by_alias=True) for at, one in endpoint.match.items()},
        "kind": kind.model_dump_json(by_alias=True) if kind else None,
        "responses": {name: endpoint.responses.get(name) for name in named},
    }
    base = {} if base_request is None else {"base": dict(base_request)}
    return digest({**judged, **base, "endpoint": shared})


def standing(case: Case, content: str) -> Standing:
    """Return whether a case's stamp covers its content."""
    if case.blessed is None:
        return "unapproved"
    return "approved" if case.blessed.sha256 == content else "edited"
