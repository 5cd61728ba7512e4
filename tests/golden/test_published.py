"""The published JSON Schemas of golden files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from pytest_rollout.golden.published import FILES, publish_schemas, published
from tests.golden.corpora import CASES, VALID, Json, changed, write_corpus

ROOT = Path(__file__).parents[2]


def validator(name: str) -> Any:
    return Draft202012Validator(json.loads(published(name)))


@pytest.mark.parametrize("name", FILES)
def test_the_published_schema_is_current(name: str) -> None:
    path = ROOT / "golden_payloads" / name
    said = "run: python -c 'from pathlib import Path; from pytest_rollout.golden.published import publish_schemas; "
    assert path.read_text(encoding="utf-8") == published(name), said + 'publish_schemas(Path("golden_payloads"))\''


@pytest.mark.parametrize("name", FILES)
def test_the_published_schema_is_one(name: str) -> None:
    Draft202012Validator.check_schema(json.loads(published(name)))


def test_cases_and_endpoints_that_load_are_valid(tmp_path: Path) -> None:
    folder = write_corpus(tmp_path)
    for one in CASES:
        case = json.loads((folder / f"{one['id']}.json").read_text())
        assert list(validator("case.schema.json").iter_errors(case)) == []
    endpoint = json.loads((folder / "endpoint.json").read_text())
    assert list(validator("endpoint.schema.json").iter_errors(endpoint)) == []


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("/titel", "x"),
        ("/title", ...),
        ("/expect/off/status", "200"),
        ("/match", {"/a": {"is": "regexp"}}),
        ("/match", {"/a": {"is": "rfc3339", "within": 5}}),
        ("/request/body", 1),
        ("/expect/off/headers", {"A": {"is": "sunset", "futur": True}}),
    ],
)
def test_what_does_not_load_is_not_valid(pointer: str, value: Any) -> None:
    bent: Json = json.loads(json.dumps(changed(VALID, pointer, value)))
    assert list(validator("case.schema.json").iter_errors(bent))


def test_publishing_writes_only_what_is_not_current(tmp_path: Path) -> None:
    assert [path.name for path in publish_schemas(tmp_path)] == list(FILES)
    assert publish_schemas(tmp_path) == []
    (tmp_path / "case.schema.json").write_text("{}")
    assert [path.name for path in publish_schemas(tmp_path)] == ["case.schema.json"]
