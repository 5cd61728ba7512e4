"""Corpora of the small target, written to a folder as a test needs them."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.golden.target import DEPRECATED, INSTANCES, NUMBERS

MODES = ("off", "warn", "enforce")
Json = dict[str, Any]
ABSENT = {"is": "absent"}

ENDPOINT: Json = {
    "schema": "golden-endpoint/1",
    "endpoint": "stages",
    "request": {"method": "POST", "path": "/api/funds/{fund}/stages"},
    "instances": ",".join(INSTANCES),
    "instance_count": len(INSTANCES),
    "identity": {"path": "/openapi.json", "match": {"/info/title": {"is": "equals", "value": "Funds"}}},
    "modes": list(MODES),
    "mode": {
        "set": {"by": "request", "method": "PUT", "path": "/mode", "json": {"mode": "{mode}"}},
        "within": "2s",
        "hold": "200ms",
        "confirm": [
            {"by": "json", "path": "/mode", "pointer": "/mode"},
            {"by": "gauge", "series": "mode", "values": NUMBERS},
        ],
    },
    "kinds": {
        "valid": {"accepted": MODES, "same": [MODES], "headers": {mode: {"Deprecation": ABSENT} for mode in MODES}},
        "alias": {"accepted": MODES, "same": [["warn", "enforce"]]},
        "invalid": {
            "accepted": ["off", "warn"],
            "rejected": ["enforce"],
            "same": [["off", "warn"]],
            "headers": {
                "off": {"Deprecation": ABSENT},
                "warn": {
                    "Deprecation": {"is": "deprecation", "at": 1751328000},
                    "Sunset": {"is": "sunset", "at": DEPRECATED["Sunset"]},
                    "Link": {"is": "link", "rel": "deprecation"},
                },
                "enforce": {"Deprecation": ABSENT},
            },
        },
        "malformed": {"rejected": MODES, "same": [MODES]},
    },
    "match": {"/id": {"is": "type", "type": "integer"}, "/run": {"is": "uuid", "version": 4}},
    "metrics": {
        "path": "/metrics",
        "control": "1s",
        "settle": "2s",
        "hold": "1s",
        "bounded": {"checks_total": {"mode": MODES, "result": ["ok", "warn", "reject"]}},
    },
    "state": [{"path": "/api/made", "pointer": "/total"}],
    "openapi": "/openapi.json",
    "error_code": "/code",
}


def case(name: str, kind: str, stages: Iterable[str], **keys: Any) -> Json:
    """Return a case about some stages; ``expect`` and other keys are given as in the file."""
    request = {"path": {"fund": 1}, "json": {"stages": list(stages)}}
    made = {"schema": "golden-case/1", "id": name, "kind": kind, "title": name, "request": request}
    return {**made, **{key: value for key, value in keys.items() if value is not None}}


def stages_are(stages: Iterable[str], **keys: Any) -> Json:
    """Expect 201 and these stages."""
    match = {"/stages": {"is": "equals", "value": list(stages)}, "/id": {"is": "number", "min": 1}}
    return {"status": 201, "partial": True, "match": match, **keys}


def refused(code: str, **keys: Any) -> Json:
    """Expect 400 and an error code."""
    match = {"/code": {"is": "equals", "value": code}}
    return {"status": 400, "partial": True, "match": match, "schema": "#/components/schemas/Error", **keys}


VALID = case("ok", "valid", ["seed"], expect={mode: stages_are(["seed"]) for mode in MODES})
VALID["expect"]["enforce"] |= {"side_effect": "some", "metrics": {'checks_total{mode="enforce",result="ok"}': 1}}
ALIAS = case(
    "alias",
    "alias",
    ["Seed"],
    expect={"off": stages_are(["Seed"]), "warn": stages_are(["seed"]), "enforce": stages_are(["seed"])},
)
INVALID = case(
    "typo",
    "invalid",
    ["sed"],
    expect={
        "off": stages_are(["sed"], metrics={"checks_total": 0}),
        "warn": stages_are(["sed"], metrics={'checks_total{result="warn"}': 1, "checks_total": 1}),
        "enforce": refused(
            "UNKNOWN_STAGE", side_effect="none", metrics={'checks_total{mode="enforce",result="reject"}': 1}
        ),
    },
)
MALFORMED: Json = {
    "schema": "golden-case/1",
    "id": "not-json",
    "kind": "malformed",
    "title": "NaN is not JSON",
    "base": "ok",
    "patch": [{"op": "remove", "path": "/json"}, {"op": "add", "path": "/text", "value": '{"stages": '}],
    "expect": {mode: refused("MALFORMED") for mode in MODES},
}
CASES = (VALID, ALIAS, INVALID, MALFORMED)


def write_corpus(root: Path, cases: Iterable[Json] = CASES, endpoint: Json = ENDPOINT) -> Path:
    """Write a corpus and return its folder."""
    folder = root / "stages"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "endpoint.json").write_text(json.dumps(endpoint, indent=2))
    for one in cases:
        (folder / f"{one['id']}.json").write_text(json.dumps(one, indent=2))
    return folder


def changed(data: Json, pointer: str, value: Any) -> Json:
    """Return a copy with one value replaced or added; ``...`` takes it away."""
    out = copy.deepcopy(data)
    *path, last = pointer.split("/")[1:]
    place: Any = out
    for token in path:
        place = place[int(token) if isinstance(place, list) else token.replace("~1", "/")]
    last = last.replace("~1", "/")
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return out


def with_expect(data: Json, **modes: Mapping[str, Any]) -> Json:
    """Return a copy with keys of some modes' expectations replaced."""
    out = copy.deepcopy(data)
    for mode, keys in modes.items():
        out["expect"][mode] = {**out["expect"][mode], **keys}
    return out
