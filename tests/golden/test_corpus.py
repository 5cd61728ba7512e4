"""Reading a corpus: every fault has its place and a way out."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pytest_rollout.errors import CaseError, EnvironmentUnready
from pytest_rollout.golden.corpus import find_corpora, load_corpora, load_corpus
from pytest_rollout.golden.endpoint import Site
from tests.golden.corpora import (
    CASES,
    ENDPOINT,
    INVALID,
    MALFORMED,
    MODES,
    VALID,
    Json,
    case,
    changed,
    refused,
    stages_are,
    write_corpus,
)

STATES = changed(ENDPOINT, "/state", ...)


def errors(tmp_path: Path, *cases: Json, endpoint: Json = ENDPOINT) -> list[str]:
    with pytest.raises(CaseError) as caught:
        load_corpus(write_corpus(tmp_path, cases or CASES, endpoint))
    return str(caught.value).splitlines()


def test_a_corpus_is_read(tmp_path: Path) -> None:
    corpus = load_corpus(write_corpus(tmp_path))
    assert list(corpus.cases) == ["alias", "not-json", "ok", "typo"]
    assert corpus.cases["not-json"].request == {"path": {"fund": 1}, "text": '{"stages": '}
    assert list(corpus.only(["ok", "none"]).cases) == ["ok"]


def derived(name: str, base: str, *patch: Json, **keys: Any) -> Json:
    made = {"schema": "golden-case/1", "id": name, "kind": "valid", "title": "t", "base": base, "patch": list(patch)}
    return {**made, "expect": VALID["expect"], **keys}


def test_a_patch_and_a_fill_of_a_base_of_a_base(tmp_path: Path) -> None:
    one = derived("one", "ok", {"op": "add", "path": "/json/weights", "value": [0.1]})
    fill = {"/json/stages": {"times": 3, "items": [{"s": "a{n}", "x": [1, "{n}"]}, "b"], "counter": "{n}"}}
    two = derived("two", "one", {"op": "replace", "path": "/path/fund", "value": 2}, fill=fill)
    three = derived("three", "two", fill={"/json/note": {"times": 4, "text": "ab"}})
    request = load_corpus(write_corpus(tmp_path, (VALID, one, two, three))).cases["three"].request
    assert request == {
        "path": {"fund": 2},
        "json": {
            "stages": [{"s": "a0", "x": [1, "0"]}, "b", {"s": "a2", "x": [1, "2"]}],
            "weights": [Decimal("0.1")],
            "note": "abababab",
        },
    }


def test_a_shared_file_fills_in_what_an_endpoint_does_not_say(tmp_path: Path) -> None:
    own = {key: ENDPOINT[key] for key in ("schema", "endpoint", "request")} | {"shared": "../common.json"}
    folder = write_corpus(tmp_path, CASES, own)
    (tmp_path / "common.json").write_text(json.dumps(ENDPOINT))
    assert load_corpus(folder).endpoint.modes == MODES
    (tmp_path / "common.json").write_text(json.dumps({**ENDPOINT, "modes": ["off", "off"]}))
    with pytest.raises(CaseError, match=r"^common.json:1:\d+: a mode is named twice$"):
        load_corpus(folder)


@pytest.mark.parametrize(
    ("pointer", "value", "said"),
    [
        ("/titel", "x", "unknown key 'titel'; did you mean 'title'?"),
        ("/title", ..., "1:1: 'title' is missing"),
        ("/schema", "golden-case/2", "2:13: Input should be 'golden-case/1'"),
        ("/id", "other", "3:9: the id 'other' is not the file's name, 'ok'"),
        ("/id", "A b", "'A b' is not of the form ^[a-z0-9][a-z0-9._-]*$"),
        ("/kind", "valued", "4:11: unknown kind 'valued'; did you mean 'valid'?"),
        ("/base", "ok", "3:3: a case has either a request or a base"),
        ("/request", ..., "a case has either a request or a base"),
        ("/patch", [{"op": "remove", "path": "/a"}], "only a base can be patched; write the request as it is"),
        ("/request/body", 1, "unknown key 'body'; known here: base64, content_type, headers"),
        ("/request/text", "x", "a request has at most one of json, text and base64"),
        ("/request/path", {}, "7:13: the endpoint's path needs a value for {fund}"),
        ("/request/path/fund", True, "a text is needed here"),
        ("/fill", {"/json/x/y": {"times": 1, "text": "a"}}, "'/json/x/y' has no parent"),
        ("/fill", {"/json/x": {"times": 1}}, "exactly one of items and text is repeated"),
        ("/fill", {"/json/x": {"times": 1, "text": "a", "counter": "a"}}, "only items are counted"),
        ("/fill", {"/json/x": {"times": 0, "text": "a"}}, "Input should be greater than or equal to 1"),
        ("/fill", {"json": {"times": 1, "text": "a"}}, "'json' is not a JSON Pointer: it is empty or starts with '/'"),
        ("/breaks", {"pointer": "/json/none/x", "rule": "r"}, "the request has nothing at '/json/none/x', and"),
        ("/expect/of", VALID["expect"]["off"], "unknown mode 'of'; did you mean 'off'?"),
        ("/expect/warn", ..., "nothing is expected in the mode 'warn'"),
        ("/expect/off/status", 600, "Input should be less than or equal to 599"),
        ("/expect/off/status", "200", "a whole number is needed here"),
        ("/expect/off/status", 400, "the kind 'valid' is accepted in 'off', with 2xx or 3xx"),
        ("/expect/off/body", 1, "a body is pinned in one way; this one has body and partial"),
        ("/expect/off/match", {}, "without a golden, something has to prove the body: a matcher other than absent"),
        ("/expect/off/match", {"/a": {"is": "absent"}}, "without a golden, something has to prove the body"),
        ("/expect/off/match", {"a": {"is": "present"}}, "'a' is not a JSON Pointer: it is empty or starts with '/'"),
        ("/match", {"/a~": {"is": "present"}}, "'/a~' is not a JSON Pointer: '~' is written ~0, ~1, ~2"),
        ("/match", {"/a": {"is": "regexp"}}, "unknown word 'regexp'; did you mean 'regex'?"),
        ("/match", {"/a": {"pattern": "a"}}, "'is' is missing"),
        ("/match", {"/a": {"is": "regex"}}, "'pattern' is missing"),
        ("/match", {"/a": {"is": "regex", "pattern": "("}}, "'(' is not a regular expression: missing ), unterminated"),
        ("/match", {"/a": {"is": "uuid", "versio": 4}}, "unknown key 'versio'; did you mean 'version'?"),
        ("/match", {"/a": {"is": "near"}}, "'near' needs exactly one of abs and rel"),
        ("/match", {"/a": {"is": "near", "abs": "1"}}, "'1' is not a number"),
        ("/match", {"/a": {"is": "near", "abs": -1}}, "Input should be greater than or equal to 0"),
        ("/match", {"/a": {"is": "rfc3339", "within": 5}}, "5 is not a duration; write a number with a unit"),
        ("/match", {"/a": {"is": "ignore"}}, "'why' is missing"),
        ("/match", {"/a": {"is": "each", "of": {"is": "near", "abs": 1}}}, "'near' needs a value where there is"),
        ("/match", {"/a": {"is": "each", "of": {"is": "presnt"}}}, "unknown word 'presnt'; did you mean 'present'?"),
        ("/match", {"/a": {"is": "schema", "schema": {"type": "int"}}}, "not a JSON Schema: "),
        ("/match", {"/a": {"is": "schema", "schema": "Error"}}, "'Error' is not a reference into"),
        ("/match", {"/a": {"is": "unordered"}, "/a/*/b": {"is": "present"}}, "'/a/*/b' reaches into the entries: give"),
        ("/match", {"/a": {"is": "same-as", "pointer": "/json/x", "in": "request"}}, "has nothing at '/json/x'"),
        ("/expect/off/match", {"/x": {"is": "unordered"}}, "'unordered' compares with a golden, and"),
        ("/expect/off/headers", {"A B": {"is": "absent"}}, "'A B' is not of the form "),
        ("/expect/off/headers", {"A": {"is": "sunst"}}, "unknown word 'sunst'; did you mean 'sunset'?"),
        ("/expect/off/metrics", {"a{": 1}, "'a{' selects no series: "),
        ("/expect/off/metrics", {"a": -1}, "Input should be greater than or equal to 0"),
        ("/expect/off/metrics", {"a": 1.5}, "a whole number is needed here"),
        ("/expect/off/same_as", {"mode": "warn"}, "a body is pinned in one way; this one has same_as and partial"),
        ("/blessed", {"by": "me"}, "'sha256' is missing"),
    ],
)  # fmt: skip
def test_a_fault_of_a_case_is_named_with_its_place(tmp_path: Path, pointer: str, value: Any, said: str) -> None:
    folder = write_corpus(tmp_path, [VALID])
    (folder / "ok.json").write_text(json.dumps(changed(VALID, pointer, value), indent=2))
    with pytest.raises(CaseError) as caught:
        load_corpus(folder)
    assert said in str(caught.value)
    assert all(line.startswith("ok.json:") for line in str(caught.value).splitlines())


def test_a_base_has_to_exist_and_to_come_to_an_end(tmp_path: Path) -> None:
    circle = [derived("a", "b"), derived("b", "a")]
    assert errors(tmp_path, *circle) == [
        "a.json:6:11: the base 'b' cannot be made: bases go round in a circle: a -> b -> a",
        "b.json:6:11: the base 'a' cannot be made: bases go round in a circle: b -> a -> b",
    ]


@pytest.mark.parametrize(
    ("bent", "said"),
    [
        (derived("z", "okk"), "z.json:6:11: unknown base 'okk'; did you mean 'ok'?"),
        (
            derived("z", "ok", {"op": "test", "path": "/json/stages/0", "value": "series-a"}),
            'z.json:8:5: the test fails: \'/json/stages/0\' is "seed", not "series-a"',
        ),
        (derived("z", "ok", {"op": "add", "path": "/json/x"}), "z.json:8:5: 'value' is missing"),
        (derived("z", "ok", {"op": "remove", "path": "/json/x"}), "z.json:8:5: there is nothing at '/json/x'"),
        (
            derived("z", "ok", {"op": "del", "path": "/json"}),
            "z.json:9:13: unknown word 'del'; known here: add, remove, replace, move, copy, test",
        ),
        (derived("z", "ok", {"op": "remove", "pth": "/"}), "z.json:10:7: unknown key 'pth'; did you mean 'path'?"),
        (
            derived("z", "ok", {"op": "add", "path": "/text", "value": "x"}),
            "z.json:1:1: the patched request is not one: a request has at most one of json, text and base64",
        ),
        (
            derived("z", "ok", {"op": "remove", "path": "/path"}),
            "z.json:6:11: the endpoint's path needs a value for {fund}",
        ),
    ],
)
def test_a_patch_that_does_not_fit_is_an_error(tmp_path: Path, bent: Json, said: str) -> None:
    assert said in errors(tmp_path, VALID, bent)


def shared(mode: str | None = None, name: str | None = None) -> Json:
    return {"status": 201, "same_as": {k: v for k, v in {"mode": mode, "case": name}.items() if v}}


def golden(body: Any) -> Json:
    return {"status": 201, "body": body}


def test_a_golden_is_shared_across_modes_and_cases(tmp_path: Path) -> None:
    one = case("one", "valid", ["seed"], expect={"off": golden([1]), "warn": shared("off"), "enforce": shared("warn")})
    two = case("two", "valid", ["seed"], expect={mode: shared(name="one") for mode in MODES})
    three = case("three", "valid", ["seed"], expect={mode: shared("off", "two") for mode in MODES})
    cases = load_corpus(write_corpus(tmp_path, [one, two, three])).cases
    found = [cases[name].goldens[mode] for name in ("one", "two", "three") for mode in MODES]
    assert {(one.form, str(one.value), one.source) for one in found} == {("json", "[1]", "one")}


@pytest.mark.parametrize(
    ("expect", "said"),
    [
        ({"off": shared("warn"), "warn": shared("off")}, "same_as goes round in a circle: one/off -> one/warn"),
        ({"off": shared(name="none")}, "unknown case 'none'"),
        ({"off": shared("wrn")}, "'one' expects nothing in 'wrn'"),
        ({"off": shared(name="ok")}, "'ok' has no golden body in 'off', only matchers: there is none to share"),
        ({"off": {"status": 201, "same_as": {}}}, "same_as names a mode, a case, or both"),
    ],
)
def test_a_shared_golden_has_to_be_one(tmp_path: Path, expect: Json, said: str) -> None:
    rest = {mode: golden(1) for mode in MODES}
    found = errors(tmp_path, VALID, case("one", "valid", ["seed"], expect={**rest, **expect}))
    assert found[0].startswith("one.json:")
    assert found[0].endswith(said)


def test_no_side_effect_is_only_believed_of_reads_that_see_some(tmp_path: Path) -> None:
    said = "no case of this endpoint has a side effect of 'some': nobody knows that its state reads see any"
    assert errors(tmp_path, INVALID) == [f"typo.json:66:22: {said}"]
    bare = changed(ENDPOINT, "/state", ...)
    said = "the endpoint has no 'state' reads that could show a side effect"
    assert said in errors(tmp_path, VALID, INVALID, endpoint=bare)[0]


def test_ids_are_unique_across_endpoints(tmp_path: Path) -> None:
    write_corpus(tmp_path, [VALID])
    other = tmp_path / "other"
    other.mkdir()
    (other / "endpoint.json").write_text(json.dumps({**ENDPOINT, "endpoint": "other"}))
    (other / "ok.json").write_text(json.dumps(VALID))
    assert [path.name for path in find_corpora(tmp_path)] == ["other", "stages"]
    with pytest.raises(CaseError, match=r"^ok.json:3:9: the id 'ok' is that of another case: .*/other/ok.json$"):
        load_corpora(tmp_path)


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    bent = [changed(VALID, "/kind", "x"), changed(INVALID, "/kind", "y"), changed(MALFORMED, "/base", "")]
    assert len(errors(tmp_path, *bent)) == 3


@pytest.mark.parametrize(
    ("pointer", "value", "said"),
    [
        ("/endpoint", "stage", "the endpoint 'stage' is not the folder's name, 'stages'"),
        ("/instance", "x", "unknown key 'instance'; did you mean 'instances'?"),
        ("/modes", [], "at least one entry is needed here"),
        ("/modes", ["off"], "valid: unknown mode 'warn'; known here: off"),
        ("/kinds/valid/accepted", ["off", "warn"], "valid: each mode is in one of accepted and rejected"),
        ("/kinds/valid/rejected", ["off"], "valid: each mode is in one of accepted and rejected"),
        ("/kinds/valid/same", [["off"]], "at least one entry is needed here"),
        ("/mode/confirm", [], "at least one entry is needed here"),
        ("/mode/confirm/1/values", {"off": 0}, "the confirmation by gauge has to tell off, warn, enforce apart"),
        ("/mode/confirm/1/series", "mode{", "'mode{' selects no series: "),
        ("/mode/set/by", "magic", "unknown word 'magic'; known here: request, header, nobody"),
        ("/identity/match", {"/a": {"is": "present"}}, "an identity needs a place with 'equals', 'regex' or 'enum'"),
        ("/identity/match", {"/*": {"is": "equals", "value": 1}}, "an identity needs a place with 'equals', 'regex'"),
        ("/identity", ..., "'identity' is missing"),
        ("/metrics/control", "1", "'1' is not a duration"),
        ("/secrets", ["a"], "'a' is not a JSON Pointer"),
        ("/error_code", "code", "'code' is not a JSON Pointer"),
    ],
)
def test_a_fault_of_an_endpoint_is_named_with_its_place(tmp_path: Path, pointer: str, value: Any, said: str) -> None:
    found = errors(tmp_path, *CASES, endpoint=changed(ENDPOINT, pointer, value))
    assert any(line.startswith("endpoint.json:") and said in line for line in found), found


def test_a_case_that_is_taken_away_is_missed(tmp_path: Path) -> None:
    whole = changed(ENDPOINT, "/cases", len(CASES))
    folder = write_corpus(tmp_path, endpoint=whole)
    assert len(load_corpus(folder).cases) == len(CASES)
    (folder / "alias.json").unlink()
    with pytest.raises(CaseError, match=r"^endpoint\.json:\d+:\d+: the folder holds 3 cases; count them here$"):
        load_corpus(folder)


def test_two_modes_that_are_confirmed_by_one_value_are_an_error(tmp_path: Path) -> None:
    bent = changed(ENDPOINT, "/mode/confirm/1/values", {"off": 0, "warn": 0, "enforce": 2})
    assert "the confirmation by gauge tells off and warn by the same value" in errors(tmp_path, endpoint=bent)[0]


@pytest.mark.parametrize(
    ("places", "said"),
    [
        ("http://one", "'instances' names 1 of 2 instances; every one has to be asked"),
        ("http://one,http://one/", "'instances' names an address twice"),
        ("http://one,http://two,http://three", "'instances' names 3 of 2 instances; every one has to be asked"),
        ("http://one,http://u:s3cret@two", "an address of 'instances' holds credentials, which would be shown; "),
        ("http://one,two", "'instances' has to name addresses such as http://host:80"),
        (" , ", "'instances' has to name addresses such as http://host:80"),
    ],
)
def test_every_instance_is_named_once(tmp_path: Path, places: str, said: str) -> None:
    endpoint = load_corpus(write_corpus(tmp_path, endpoint=changed(ENDPOINT, "/instances", "${PLACES}"))).endpoint
    with pytest.raises(EnvironmentUnready) as caught:
        Site(endpoint, {"PLACES": places})
    assert str(caught.value).startswith(f"stages: {said}")
    assert "s3cret" not in str(caught.value)


def test_a_site_needs_its_variables(tmp_path: Path) -> None:
    bent = changed(ENDPOINT, "/instances", "${API_ONE}, ${API_TWO}/")
    bent["headers"] = {"Authorization": "Bearer ${TOKEN}"}
    endpoint = load_corpus(write_corpus(tmp_path, CASES, bent)).endpoint
    site = Site(endpoint, {"API_ONE": "http://a", "API_TWO": "http://b", "TOKEN": "t"})
    assert site.instances == ("http://a", "http://b")
    assert site.headers(endpoint.headers) == {"Authorization": "Bearer t"}
    assert site.place("http://a", "/x?y=1") == ("http://a", "/x?y=1")
    assert site.place("http://a", "${API_TWO}/x?y=1") == ("http://b", "/x?y=1")
    with pytest.raises(EnvironmentUnready, match=r"^stages: the environment variable API_TWO is not set; export it$"):
        Site(endpoint, {"API_ONE": "http://a"})
    for wrong in (",", "localhost:80"):
        with pytest.raises(EnvironmentUnready, match=r"'instances' has to name addresses such as http://host:80$"):
            Site(endpoint, {"API_ONE": wrong, "API_TWO": " "})


def test_expectations_fit_the_kind(tmp_path: Path) -> None:
    bent = changed(INVALID, "/expect/enforce", stages_are(["sed"]))
    found = errors(tmp_path, VALID, bent)
    assert found[0].endswith("the kind 'invalid' is rejected in 'enforce', with 4xx")
    bent = changed(VALID, "/expect/warn", refused("X"))
    assert errors(tmp_path, bent)[0].endswith("the kind 'valid' is accepted in 'warn', with 2xx or 3xx")
