"""What cases share by a name: responses and series of their endpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_rollout.errors import CaseError
from pytest_rollout.golden.corpus import load_corpus
from tests.golden.corpora import ENDPOINT, MODES, Json, case, changed, write_corpus

MADE = {
    "status": 201,
    "partial": True,
    "match": {"/id": {"is": "number", "min": 1}, "/run": {"is": "present"}},
    "headers": {"A": {"is": "absent"}},
}
SHARING = changed(
    changed(ENDPOINT, "/responses", {"made": MADE}), "/metrics/series", {"seen": 'checks_total{mode="warn"}'}
)


def loaded(tmp_path: Path, off: Json, endpoint: Json = SHARING) -> Any:
    expect = {mode: {"response": "made"} for mode in MODES} | {"off": off}
    return load_corpus(write_corpus(tmp_path, [case("x", "valid", ["seed"], expect=expect)], endpoint)).cases["x"]


def test_a_response_is_written_out(tmp_path: Path) -> None:
    expected = loaded(tmp_path, {"response": "made"}).case.expect["off"]
    assert (expected.status, expected.pinned_by, sorted(expected.match)) == (201, "partial", ["/id", "/run"])


def test_own_keys_build_upon_a_response(tmp_path: Path) -> None:
    own = {
        "response": "made",
        "status": 202,
        "match": {"/id": {"is": "type", "type": "integer"}, "/x": {"is": "present"}},
    }
    expected = loaded(tmp_path, {**own, "headers": {"B": {"is": "present"}}, "metrics": {"seen": 1}}).case.expect["off"]
    assert expected.status == 202
    assert {at: one.kind for at, one in expected.match.items()} == {
        "/id": "type",
        "/run": "present",
        "/x": "present",
    }
    assert sorted(expected.headers) == ["A", "B"]
    assert expected.metrics == {'checks_total{mode="warn"}': 1}


def test_an_own_golden_takes_the_place_of_none(tmp_path: Path) -> None:
    one = loaded(tmp_path, {"response": "made", "body": {"id": 1}})
    assert one.goldens["off"].form == "json"


@pytest.mark.parametrize(
    ("off", "endpoint", "said"),
    [
        ({"response": "mad"}, SHARING, "unknown response 'mad'; did you mean 'made'?"),
        ({"response": 7}, SHARING, "unknown response 7; known here: made"),
        ({"response": "made"}, ENDPOINT, "unknown response 'made'; the endpoint has none"),
        ({"match": {}}, SHARING, "'status' is missing"),
        ({"response": "made", "match": {"/a": {"is": "x"}}}, SHARING, "unknown word 'x'; known here: equals, near"),
    ],
)
def test_a_name_has_to_exist(tmp_path: Path, off: Json, endpoint: Json, said: str) -> None:
    with pytest.raises(CaseError) as caught:
        loaded(tmp_path, off, endpoint)
    assert said in str(caught.value)
    assert str(caught.value).startswith("x.json:")


@pytest.mark.parametrize(
    ("pointer", "value", "said"),
    [
        ("/responses/made/body", 1, "unknown key 'body'; known here: empty, headers, match, partial"),
        ("/responses/made/stats", 1, "unknown key 'stats'; did you mean 'status'?"),
        ("/metrics/series/seen", "a{", "'a{' selects no series: "),
        ("/kinds/valid/headers", {"**": {}}, "Input should be '*'"),
    ],
)
def test_a_wrong_name_in_the_endpoint_is_placed_there(tmp_path: Path, pointer: str, value: Any, said: str) -> None:
    with pytest.raises(CaseError) as caught:
        loaded(tmp_path, {"response": "made"}, changed(SHARING, pointer, value))
    assert said in str(caught.value)
    assert str(caught.value).startswith("endpoint.json:")


def test_headers_of_every_mode_yield_to_those_of_one(tmp_path: Path) -> None:
    headers = {"*": {"A": {"is": "absent"}, "B": {"is": "absent"}}, "warn": {"A": {"is": "present"}}}
    endpoint = load_corpus(write_corpus(tmp_path, [], changed(ENDPOINT, "/kinds/valid/headers", headers))).endpoint
    told = {mode: {name: one.kind for name, one in endpoint.kinds["valid"].headers_in(mode).items()} for mode in MODES}
    assert told == {
        "off": {"A": "absent", "B": "absent"},
        "warn": {"A": "present", "B": "absent"},
        "enforce": {"A": "absent", "B": "absent"},
    }
