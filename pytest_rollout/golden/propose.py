"""Write single-fault cases from an OpenAPI schema as ordinary case files, for people to look at and keep."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from pytest_rollout.golden.case import CASE_SCHEMA, Fill
from pytest_rollout.golden.corpus import Corpus, GoldenCase
from pytest_rollout.golden.exact import MISSING, digest
from pytest_rollout.golden.mutants import Mutant, faults
from pytest_rollout.golden.openapi import NotDescribed, Operation
from pytest_rollout.golden.patch import apply_patch
from pytest_rollout.golden.pointer import write_pointer
from pytest_rollout.golden.received import write_case
from pytest_rollout.golden.resolve import Unsendable, check_sendable, expanded
from pytest_rollout.golden.schemas import SchemaUnusable
from pytest_rollout.plan.strict import did_you_mean

_REFUSALS = ("422", "400")
_LONGEST = 100


def propose(corpus: Corpus, base: str, document: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    """Return a case for each single fault that the schema allows to put into a valid case, unlike any case there is.

    Each one is proven to break the schema, and the base not to. Raises NotDescribed if the document does not
    describe the operation, or describes it so that the base is not valid.
    """
    if base not in corpus.every:
        raise NotDescribed(f"no case {base!r}; {did_you_mean(base, sorted(corpus.every))}")
    if kind not in corpus.endpoint.kinds:
        raise NotDescribed(f"no kind {kind!r}; {did_you_mean(kind, sorted(corpus.endpoint.kinds))}")
    origin, operation = corpus.every[base], Operation.of(corpus.endpoint, document)
    seen = {digest(dict(case.request)) for case in corpus.every.values()}
    names = set(corpus.every)
    out = []
    for mutant, request in _mutants(corpus, operation, origin):
        if digest(request) in seen:
            continue
        seen.add(digest(request))
        name = _name(base, mutant, names)
        names.add(name)
        out.append(_case(origin, name, mutant, kind, _expected(corpus, kind, operation)))
    return out


def write_proposals(folder: Path, cases: Sequence[Mapping[str, Any]]) -> list[Path]:
    """Write cases that are not there yet, and return their files; nothing is ever written over."""
    paths = [(folder / f"{case['id']}.json", case) for case in cases]
    return [write_case(path, case) for path, case in paths if not path.exists()]


def _mutants(corpus: Corpus, operation: Operation, origin: GoldenCase) -> Iterator[tuple[Mutant, dict[str, Any]]]:
    """Yield faults that are proven to be one, each with the whole request object."""
    parts = (("json", operation.body_schema()), ("query", operation.query_schema()))
    for part, schema in parts:
        if schema is MISSING or part not in origin.request:
            continue
        value = _typed(origin.request[part], schema) if part == "query" else origin.request[part]
        if wrong := _violations(operation, schema, value):
            raise NotDescribed(f"{origin.id} itself breaks the schema: {wrong[0]}")
        for mutant in faults(operation, schema, value, (part,)):
            request = _mutated(origin, mutant)
            changed = request.get(part, MISSING)
            if not _sendable(corpus, request):
                continue
            told = _typed(changed, schema) if part == "query" else changed
            if told is not MISSING and _violations(operation, schema, told):
                yield mutant, request


def _sendable(corpus: Corpus, request: Mapping[str, Any]) -> bool:
    try:
        check_sendable(corpus.endpoint, request, patched=True)
    except Unsendable:
        return False
    return True


def _mutated(origin: GoldenCase, mutant: Mutant) -> dict[str, Any]:
    request = apply_patch(dict(origin.request), mutant.patch)
    for place, fill in (mutant.fill or {}).items():
        request = apply_patch(request, [{"op": "replace", "path": place, "value": expanded(Fill.model_validate(fill))}])
    return dict(request)


def _violations(operation: Operation, schema: Any, value: Any) -> list[str]:
    try:
        return [f"{write_pointer(one.path)}: {one.message}" for one in operation.schemas.violations(schema, value)]
    except SchemaUnusable as exc:
        raise NotDescribed(str(exc)) from exc


def _typed(query: Any, schema: Mapping[str, Any]) -> Any:
    """Return query parameters as the values that their texts stand for: all that is sent is text."""
    if not isinstance(query, dict):
        return query
    types = {name: one.get("type") for name, one in schema.get("properties", {}).items() if isinstance(one, dict)}
    return {
        name: _number(value) if types.get(name) in ("integer", "number") else value for name, value in query.items()
    }


def _number(value: Any) -> Any:
    return Decimal(value) if isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value, re.ASCII) else value


def _name(base: str, mutant: Mutant, taken: set[str]) -> str:
    words = re.sub(r"[^a-z0-9]+", "-", "-".join((*mutant.path[1:], mutant.keyword)).lower()).strip("-")
    name = f"{base}-{words}"[:_LONGEST].strip("-")
    number = 1
    while name in taken:
        number += 1
        name = f"{f'{base}-{words}'[: _LONGEST - 4].strip('-')}-{number}"
    return name


def _case(origin: GoldenCase, name: str, mutant: Mutant, kind: str, expect: Mapping[str, Any]) -> dict[str, Any]:
    place = write_pointer(mutant.path)
    case: dict[str, Any] = {"schema": CASE_SCHEMA, "id": name, "kind": kind, "title": f"{mutant.keyword} at {place}"}
    case |= {"why": f"one fault put into {origin.id} by the OpenAPI schema", "tags": ["mutant"], "base": origin.id}
    case |= {"patch": list(mutant.patch)} if mutant.patch else {}
    case |= {"fill": dict(mutant.fill)} if mutant.fill else {}
    return {**case, "breaks": {"pointer": place, "rule": mutant.keyword}, "expect": dict(expect)}


def _expected(corpus: Corpus, kind: str, operation: Operation) -> dict[str, Any]:
    """Return the status that each mode should answer with; the bodies are for people to look at and bless."""
    declared = operation.statuses()
    refused = next((status for status in _REFUSALS if status in declared), _REFUSALS[-1])
    accepted = next((status for status in declared if status.isdigit() and status.startswith("2")), "200")
    rejected = corpus.endpoint.kinds[kind].rejected
    return {mode: {"status": int(refused if mode in rejected else accepted)} for mode in corpus.endpoint.modes}
