"""Single faults from an OpenAPI document, as ordinary cases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_rollout.golden.corpus import Corpus, load_corpus
from pytest_rollout.golden.exact import read_exact
from pytest_rollout.golden.openapi import NotDescribed, Operation
from pytest_rollout.golden.propose import propose, write_proposals
from tests.golden.corpora import MODES, VALID, Json, changed, write_corpus
from tests.golden.target import OPENAPI

PATH = "/api/funds/{fund}/stages"


def document(schema: Any, version: str = "3.1.0", parameters: Any = (), **components: Any) -> Any:
    content = {"content": {"application/json": {"schema": schema}}}
    post = {"requestBody": content, "parameters": list(parameters), "responses": {"201": {}, "400": {}}}
    text = {"openapi": version, "paths": {PATH: {"post": post}}, "components": {"schemas": components}}
    return read_exact(json.dumps(text))


def corpus(tmp_path: Path, body: Any = None, **request: Any) -> Corpus:
    sent = {"path": {"fund": 1}, "json": {"stages": ["seed"]} if body is None else body, **request}
    return load_corpus(write_corpus(tmp_path, [{**VALID, "request": sent}]))


def told(cases: list[Json]) -> dict[str, Any]:
    """Return what each case does to its base, by keyword and place."""
    out: dict[str, Any] = {}
    for one in cases:
        where = f"{one['breaks']['rule']} {one['breaks']['pointer']}"
        assert where not in out
        out[where] = one["fill"] if "fill" in one else one["patch"][0].get("value", "removed")
    return out


def test_each_fault_of_the_document_is_a_case(tmp_path: Path) -> None:
    cases = propose(corpus(tmp_path), "ok", OPENAPI, "malformed")
    assert told(cases) == {
        "type /json": [],
        "null /json": None,
        "required /json/stages": "removed",
        "additionalProperties /json/unexpected": 1,
        "type /json/stages": {},
        "null /json/stages": None,
        "minItems /json/stages": [],
        "type /json/stages/0": 7,
        "null /json/stages/0": None,
        "maxLength /json/stages/0": "s" * 21,
    }
    assert cases[2] == {
        "schema": "golden-case/1",
        "id": "ok-stages-required",
        "kind": "malformed",
        "title": "required at /json/stages",
        "why": "one fault put into ok by the OpenAPI schema",
        "tags": ["mutant"],
        "base": "ok",
        "patch": [{"op": "remove", "path": "/json/stages"}],
        "breaks": {"pointer": "/json/stages", "rule": "required"},
        "expect": {mode: {"status": 400} for mode in MODES},
    }


def test_proposed_cases_load_and_wait_for_a_blessing(tmp_path: Path) -> None:
    found = corpus(tmp_path)
    cases = propose(found, "ok", OPENAPI, "malformed")
    written = write_proposals(found.folder, cases)
    assert [path.name for path in written] == [f"{one['id']}.json" for one in cases]
    loaded = load_corpus(found.folder)
    assert len(loaded.cases) == 1 + len(cases)
    assert {golden.form for golden in loaded.cases["ok-stages-required"].goldens.values()} == {"missing"}


def test_nothing_is_proposed_twice_or_written_over(tmp_path: Path) -> None:
    found = corpus(tmp_path)
    cases = propose(found, "ok", OPENAPI, "malformed")
    mine = found.folder / "ok-stages-required.json"
    mine.write_text("mine")
    assert mine not in write_proposals(found.folder, cases)
    assert mine.read_text() == "mine"
    mine.unlink()
    write_proposals(found.folder, cases)
    assert propose(load_corpus(found.folder), "ok", OPENAPI, "malformed") == []


RICH = {
    "type": "object",
    "properties": {
        "e": {"enum": ["a", "b"]},
        "c": {"const": 1},
        "n": {"type": "number", "minimum": 0, "maximum": 1.5, "multipleOf": 0.5},
        "i": {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 10},
        "s": {"type": "string", "minLength": 2, "maxLength": 500, "pattern": "^[a-z]+$"},
        "l": {"type": "array", "maxItems": 100, "uniqueItems": True, "items": {"type": "boolean"}},
        "z": {"type": ["string", "null"]},
        "r": {"$ref": "#/components/schemas/R"},
        "any": {"anyOf": [{"type": "string", "maxLength": 3}, {"type": "integer"}]},
        "free": {},
    },
}
BODY = {"e": "a", "c": 1, "n": 1, "i": 5, "s": "abc", "l": [True], "z": None, "r": {"x": 1}, "any": "abc", "free": 1}


def test_every_keyword_has_its_fault(tmp_path: Path) -> None:
    reference = {"type": "object", "required": ["x"]}
    cases = propose(corpus(tmp_path, BODY), "ok", document(RICH, R=reference), "malformed")
    found = told(cases)
    assert {key: value for key, value in found.items() if not key.startswith(("type ", "null "))} == {
        "enum /json/e": "not-one-of-these",
        "const /json/c": "not-one-of-these",
        "minimum /json/n": -1,
        "maximum /json/n": read_exact("2.5"),
        "multipleOf /json/n": read_exact("0.25"),
        "exclusiveMinimum /json/i": 0,
        "exclusiveMaximum /json/i": 10,
        "minLength /json/s": "a",
        "maxLength /json/s": {"/json/s": {"times": 501, "text": "a"}},
        "pattern /json/s": "\u0000",
        "maxItems /json/l": {"/json/l": {"times": 101, "items": [True]}},
        "uniqueItems /json/l": [True, True],
        "required /json/r/x": "removed",
        "maxLength /json/any": "aaaa",
    }
    assert found["type /json/z"] == 7
    assert "null /json/z" not in found
    assert "type /json/any" not in found  # an integer is no fault there


def test_words_of_openapi_3_0_are_understood(tmp_path: Path) -> None:
    schema = {
        "type": "object",
        "properties": {
            "a": {"type": "string", "nullable": True},
            "b": {"type": "integer", "minimum": 1, "exclusiveMinimum": True},
        },
    }
    found = told(propose(corpus(tmp_path, {"a": "x", "b": 2}), "ok", document(schema, "3.0.3"), "malformed"))
    assert "null /json/a" not in found
    assert found["type /json/a"] == 7
    assert found["exclusiveMinimum /json/b"] == 1


def test_query_parameters_have_faults_too(tmp_path: Path) -> None:
    parameters = [
        {"in": "query", "name": "limit", "required": True, "schema": {"type": "integer", "minimum": 1, "maximum": 100}},
        {"in": "query", "name": "sort", "schema": {"enum": ["up", "down"]}},
        {"in": "header", "name": "x", "schema": {"type": "integer"}},
    ]
    found = corpus(tmp_path, {}, query={"limit": "20", "sort": "up"})
    cases = told(propose(found, "ok", document({}, parameters=parameters), "malformed"))
    assert cases == {
        "required /query/limit": "removed",
        "type /query/limit": "seven",
        "minimum /query/limit": 0,
        "maximum /query/limit": 101,
        "enum /query/sort": "not-one-of-these",
    }


@pytest.mark.parametrize(
    ("bent", "said"),
    [
        ({"paths": {}}, "the OpenAPI document has no path '/api/funds/{fund}/stages'; known here: "),
        ({"paths": {PATH: {"get": {}}}}, "the OpenAPI document has no POST of '/api/funds/{fund}/stages'"),
        (document({"type": "array"}), "ok itself breaks the schema: : {'stages': ['seed']} is not of type 'array'"),
        (
            document({"$ref": "#/components/schemas/X"}),
            "the OpenAPI document of the target has no '#/components/schemas/X'",
        ),
    ],
)  # fmt: skip
def test_a_document_that_does_not_describe_the_operation(tmp_path: Path, bent: Any, said: str) -> None:
    with pytest.raises(NotDescribed) as caught:
        propose(corpus(tmp_path), "ok", bent, "malformed")
    assert str(caught.value) == said


def test_base_and_kind_have_to_exist(tmp_path: Path) -> None:
    with pytest.raises(NotDescribed, match=r"^no case 'okk'; did you mean 'ok'\?$"):
        propose(corpus(tmp_path), "okk", OPENAPI, "malformed")
    with pytest.raises(NotDescribed, match=r"^no kind 'x'; known here: alias, invalid, malformed, valid$"):
        propose(corpus(tmp_path), "ok", OPENAPI, "x")


def test_a_kind_that_some_modes_accept_expects_their_status(tmp_path: Path) -> None:
    (one, *_) = propose(corpus(tmp_path), "ok", OPENAPI, "invalid")
    assert {mode: told["status"] for mode, told in one["expect"].items()} == {"off": 201, "warn": 201, "enforce": 400}


def test_long_names_stay_names(tmp_path: Path) -> None:
    deep = {"x" * 90: {"y": 1}}
    schema = {"type": "object", "properties": {"x" * 90: {"type": "object", "properties": {"y": {"type": "integer"}}}}}
    cases = propose(corpus(tmp_path, deep), "ok", document(schema), "malformed")
    names = [one["id"] for one in cases]
    assert len(set(names)) == len(names)
    assert all(len(name) <= 100 for name in names)


def test_an_operation_knows_its_answers(tmp_path: Path) -> None:
    operation = Operation.of(corpus(tmp_path).endpoint, OPENAPI)
    assert [(operation.answer(status) or ("-",))[0] for status in (201, 400, 503)] == ["201", "400", "-"]
    ranged = changed(OPENAPI, f"/paths/{PATH.replace('/', '~1')}/post/responses", {"4XX": {}, "default": {}})
    operation = Operation.of(corpus(tmp_path).endpoint, ranged)
    assert [(operation.answer(status) or ("-",))[0] for status in (201, 400, 503)] == ["default", "4XX", "default"]
