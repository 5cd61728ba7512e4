"""Which declared answers were seen, and which were seen undeclared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_rollout.golden.coverage import coverage, table
from tests.golden.corpora import CASES, ENDPOINT, changed
from tests.golden.runs import run
from tests.golden.target import OPENAPI, Target, reply

RESPONSES = "/paths/~1api~1funds~1{fund}~1stages/post/responses"


def rows(tmp_path: Path, target: Target | None = None, document: Any = OPENAPI) -> list[tuple[Any, ...]]:
    done = run(tmp_path, CASES, changed(ENDPOINT, "/error_code", ["/details/code", "/code"]), target)
    found = coverage(done.corpus, done.batches, document)
    return [(row.status, row.code, row.state, *map(len, row.cases.values())) for row in found]


def test_declared_answers_are_counted_by_mode(tmp_path: Path) -> None:
    assert rows(tmp_path) == [
        ("201", "", "covered", 3, 3, 2),
        ("400", "MALFORMED", "covered", 1, 1, 1),
        ("400", "UNKNOWN_STAGE", "covered", 0, 0, 1),
        ("404", "", "declared but no case", 0, 0, 0),
    ]


def test_what_was_seen_undeclared_is_named(tmp_path: Path) -> None:
    target = Target(bend=lambda _i, r, g: reply({"error": "x"}, 418) if r.method == "POST" and g.status == 400 else g)
    assert ("418", "", "observed but undeclared", 1, 1, 2) in rows(tmp_path, target)
    odd = Target(bend=lambda _i, r, g: reply({"error": "x", "code": "NEW"}, 400) if r.method == "POST" else g)
    assert ("400", "NEW", "observed but undeclared", 4, 4, 4) in rows(tmp_path, odd)


def test_a_body_that_breaks_its_schema_is_named(tmp_path: Path) -> None:
    target = Target(bend=lambda _i, r, g: reply({"code": "MALFORMED"}, 400) if r.method == "POST" else g)
    assert ("400", "MALFORMED", "schema mismatch", 4, 4, 4) in rows(tmp_path, target)


def test_ranges_and_defaults_are_declared_answers(tmp_path: Path) -> None:
    document = changed(OPENAPI, RESPONSES, {"201": {"description": "made"}, "4XX": {"description": "wrong"}})
    assert rows(tmp_path, document=document) == [("201", "", "covered", 3, 3, 2), ("4XX", "", "covered", 1, 1, 2)]


@pytest.mark.parametrize("keyword", ["anyOf", "oneOf", "allOf"])
def test_codes_are_found_in_parts_of_schemas(tmp_path: Path, keyword: str) -> None:
    parts = [{"properties": {"code": {"const": "MALFORMED"}}}, {"properties": {"code": {"enum": ["UNKNOWN_STAGE"]}}}]
    schema = {keyword: parts}
    content = {"content": {"application/json": {"schema": schema}}}
    document = changed(OPENAPI, RESPONSES, {"201": {}, "400": content})
    assert [row[:2] for row in rows(tmp_path, document=document)] == [
        ("201", ""), ("400", "MALFORMED"), ("400", "UNKNOWN_STAGE"),
    ]  # fmt: skip


def test_a_choice_may_have_its_code_elsewhere(tmp_path: Path) -> None:
    deep = {"properties": {"details": {"properties": {"code": {"enum": ["MALFORMED"]}}}}}
    flat = {"properties": {"code": {"const": "UNKNOWN_STAGE"}}}
    content = {"content": {"application/json": {"schema": {"anyOf": [deep, {"oneOf": [flat]}]}}}}
    document = changed(OPENAPI, RESPONSES, {"201": {}, "400": content})
    assert [row[:3] for row in rows(tmp_path, document=document)] == [
        ("201", "", "covered"),
        ("400", "MALFORMED", "covered"),
        ("400", "UNKNOWN_STAGE", "covered"),
    ]


def test_the_table_is_for_people(tmp_path: Path) -> None:
    done = run(tmp_path)
    head, first, *_, last = table(coverage(done.corpus, done.batches, OPENAPI)).splitlines()
    assert head.split() == ["operation", "status", "code", "off", "warn", "enforce", "state"]
    assert first.split() == ["POST", "/api/funds/{fund}/stages", "201", "-", "3", "3", "2", "covered"]
    assert last.endswith("404     -              0    0     0        declared but no case")
    assert table([]) == "operation  status  code  state"
