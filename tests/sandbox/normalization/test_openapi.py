"""The OpenAPI document says what the API does."""

from typing import Any

import httpx
import pytest

from tests.sandbox.normalization.asking import DEPRECATION, add, companies, distribution, simulate, strategy
from tests.sandbox.normalization.conftest import MODES


@pytest.fixture(scope="module")
def document(unchanged: httpx.Client) -> Any:
    return unchanged.get("/openapi.json").json()


def test_it_is_ours(document: Any) -> None:
    assert (document["openapi"], document["info"]["title"]) == ("3.1.0", "Stage normalization sandbox")


def test_every_reference_leads_somewhere(document: Any) -> None:
    found = list(references(document))
    assert found
    for reference in found:
        place = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]


def references(node: Any) -> Any:
    if isinstance(node, dict):
        yield from [node["$ref"]] if "$ref" in node else []
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


@pytest.mark.parametrize(
    ("path", "method", "success"),
    [
        ("/api/monte-carlo/simulate", "post", "200"),
        ("/api/portfolio/strategies", "post", "201"),
        ("/api/funds/{fundId}/companies", "get", "200"),
    ],
)
def test_validated_endpoints_describe_headers_and_both_refusals(
    document: Any, path: str, method: str, success: str
) -> None:
    answers = document["paths"][path][method]["responses"]
    assert {name.lower() for name in answers[success]["headers"]} == set(DEPRECATION)
    refusals = {
        entry["$ref"].rpartition("/")[2] for entry in answers["400"]["content"]["application/json"]["schema"]["oneOf"]
    }
    rejection = "StageDistributionError" if "monte" in path else "StageError"
    assert refusals == {"MalformedRequest", rejection}


def fits(document: Any, schema: Any, value: Any) -> bool:
    """Check the keywords this document uses, no more."""
    if "$ref" in schema:
        return fits(document, document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], value)
    if "oneOf" in schema:
        return sum(fits(document, one, value) for one in schema["oneOf"]) == 1
    if "enum" in schema or "const" in schema:
        return value in schema.get("enum", [schema.get("const")])
    if schema["type"] == "object":
        known = schema.get("properties", {})
        others = schema.get("additionalProperties", True)
        return set(schema.get("required", [])) <= set(value) and all(
            fits(document, known.get(name, others), entry)
            for name, entry in value.items()
            if name in known or others is not True
        )
    if schema["type"] == "array":
        return len(value) <= schema.get("maxItems", len(value)) and all(
            fits(document, schema["items"], one) for one in value
        )
    types = {"string": str, "integer": int, "number": int | float, "null": type(None)}
    wanted = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return any(isinstance(value, types[name]) for name in wanted)


def test_answers_fit_their_schemas(document: Any, unchanged: httpx.Client) -> None:
    for mode in MODES:
        for path, method, answer in (
            ("/api/monte-carlo/simulate", "post", simulate(unchanged, mode, distribution("seed", "typo"))),
            ("/api/monte-carlo/simulate", "post", simulate(unchanged, mode, {})),
            ("/api/portfolio/strategies", "post", add(unchanged, mode, strategy(seee=1))),
            ("/api/portfolio/strategies", "get", unchanged.get("/api/portfolio/strategies?fundId=1")),
            ("/api/funds/{fundId}/companies", "get", companies(unchanged, mode, "stage=serie-a&limit=3")),
            ("/api/funds/{fundId}/companies", "get", companies(unchanged, mode, "limit=3")),
            ("/api/funds/{fundId}/companies", "get", companies(unchanged, mode, "", fund=99)),
            ("/api/deprecations", "get", unchanged.get("/api/deprecations")),
        ):
            described = document["paths"][path][method]["responses"][str(answer.status_code)]
            schema = described["content"]["application/json"]["schema"]
            assert fits(document, schema, answer.json()), (mode, path, answer.text)


def test_requests_fit_their_schemas(document: Any) -> None:
    schemas = document["components"]["schemas"]
    order = schemas["SimulationOrder"]
    assert order["additionalProperties"] is False
    assert set(order["required"]) == {"fundId", "runs", "timeHorizonYears", "stageDistribution"}
    assert (order["properties"]["runs"]["minimum"], order["properties"]["runs"]["maximum"]) == (1, 10_000)
    assert schemas["Entry"]["properties"]["weight"] == {"type": "number", "minimum": 0, "maximum": 1, "title": "Weight"}
