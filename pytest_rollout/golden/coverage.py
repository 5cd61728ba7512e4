"""Which of the answers that an operation declares were seen, in which mode; and which were seen undeclared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pytest_rollout.golden.corpus import Corpus
from pytest_rollout.golden.endpoint import Endpoint
from pytest_rollout.golden.evaluate import Batches
from pytest_rollout.golden.exact import MISSING
from pytest_rollout.golden.observation import Observation
from pytest_rollout.golden.openapi import Operation
from pytest_rollout.golden.pointer import Pattern, lookup, parse_pointer, write_pointer
from pytest_rollout.golden.schemas import SchemaUnusable
from pytest_rollout.golden.wire import Reply

State = Literal["covered", "declared but no case", "observed but undeclared", "schema mismatch"]
_FIRST_ERROR = 400


@dataclass(frozen=True, slots=True)
class Row:
    """One answer of an operation. ``cases`` names by mode those that it was seen in."""

    operation: str
    status: str
    code: str
    """The error code; empty where there is none."""
    state: State
    cases: Mapping[str, tuple[str, ...]]
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Sighting:
    status: int
    code: str
    mode: str
    case: str
    mismatch: str


def coverage(corpus: Corpus, batches: Batches, document: Mapping[str, Any]) -> list[Row]:
    """Return a row for each answer that is declared or was seen. Raises NotDescribed."""
    endpoint, operation = corpus.endpoint, Operation.of(corpus.endpoint, document)
    seen = list(_sightings(endpoint, operation, batches))
    declared = list(_declared(endpoint, operation))
    named = [(_name(operation, one.status), one) for one in seen]
    rows = [
        _row(endpoint, status, code, [one for name, one in named if (name, one.code) == (status, code)], declared=True)
        for status, code in declared
    ]
    others = dict.fromkeys((name or str(one.status), one.code) for name, one in named)
    for status, code in others:
        if (status, code) not in declared:
            mine = [one for name, one in named if (name or str(one.status), one.code) == (status, code)]
            rows.append(_row(endpoint, status, code, mine, declared=False))
    return sorted(rows, key=lambda row: (row.status, row.code))


def _name(operation: Operation, status: int) -> str | None:
    found = operation.answer(status)
    return found[0] if found else None


def _declared(endpoint: Endpoint, operation: Operation) -> Iterator[tuple[str, str]]:
    for status, answer in operation.statuses().items():
        codes = operation.codes(operation.answer_schema(answer), endpoint.error_codes)
        yield from ((status, code) for code in codes or ("",))


def _sightings(endpoint: Endpoint, operation: Operation, batches: Batches) -> Iterator[_Sighting]:
    for mode, batch in batches.items():
        for one in batch.observations:
            if one.reply is not None and one.reply.whole:
                yield _sighting(endpoint, operation, mode, one, one.reply)


def _sighting(endpoint: Endpoint, operation: Operation, mode: str, one: Observation, reply: Reply) -> _Sighting:
    body = reply.json_or_missing()
    answer = operation.answer(reply.status)
    schema = operation.answer_schema(answer[1]) if answer else MISSING
    counted = bool(operation.codes(schema, endpoint.error_codes)) or answer is None
    code = error_code(endpoint, reply.status, body) if counted else ""
    return _Sighting(reply.status, code, mode, one.case, _mismatch(operation, schema, body))


def error_code(endpoint: Endpoint, status: int, body: Any) -> str:
    """Return the error code of a body, or nothing."""
    found = [lookup(body, parse_pointer(pointer)) for pointer in endpoint.error_codes]
    return next((code for code in found if isinstance(code, str)), "") if status >= _FIRST_ERROR else ""


def _mismatch(operation: Operation, schema: Any, body: Any) -> str:
    if schema is MISSING:
        return ""
    if body is MISSING:
        return "not JSON"
    try:
        wrong = operation.schemas.violations(schema, body)
    except SchemaUnusable as exc:
        return str(exc)
    return f"{write_pointer(wrong[0].path)}: {wrong[0].message}" if wrong else ""


def _row(endpoint: Endpoint, status: str, code: str, seen: Sequence[_Sighting], *, declared: bool) -> Row:
    cases = {mode: tuple(dict.fromkeys(one.case for one in seen if one.mode == mode)) for mode in endpoint.modes}
    mismatch = next((f"{one.case} in {one.mode}: {one.mismatch}" for one in seen if one.mismatch), "")
    state: State = "covered" if seen else "declared but no case"
    if not declared:
        state = "observed but undeclared"
    elif mismatch:
        state = "schema mismatch"
    return Row(f"{endpoint.request.method} {endpoint.request.path}", status, code, state, cases, mismatch)


def unused_matchers(corpus: Corpus, batches: Batches) -> list[str]:
    """Return the patterns of the endpoint's matchers that met nothing in any answer; a case's own are errors."""
    patterns = {text: Pattern.parse(text) for text in corpus.endpoint.match}
    replies = (one.reply for batch in batches.values() for one in batch.observations)
    for path in (path for reply in replies if reply for path in _paths(reply.json_or_missing(), ())):
        patterns = {text: one for text, one in patterns.items() if not one.matches(path)}
        if not patterns:
            break
    return list(patterns)


def _paths(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inside:
        yield from _paths(item, (*path, str(key)))


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a table in plain text: cases are counted for each mode."""
    modes = list(rows[0].cases) if rows else []
    head = ["operation", "status", "code", *modes, "state"]
    lines = [head, *(_cells(row, modes) for row in rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(head))]
    padded = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join(padded)


def _cells(row: Row, modes: Sequence[str]) -> list[str]:
    state = f"{row.state} ({row.note})" if row.note else row.state
    return [row.operation, row.status, row.code or "-", *(str(len(row.cases[mode])) for mode in modes), state]
