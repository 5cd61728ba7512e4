"""The API's own description: OpenAPI 3.1, with the deprecation headers and every error's schema."""

from typing import Any

from sandbox.normalization.modes import COMPANIES, MONTE_CARLO, STRATEGIES
from sandbox.normalization.shapes import LARGEST_PAGE, LONGEST_STAGE, MESSAGES, SimulationOrder, StrategyOrder
from sandbox.normalization.stages import CANONICAL
from sandbox.normalization.validation import SHOWN

Schema = dict[str, Any]
TITLE = "Stage normalization sandbox"
_TEXT: Schema = {"type": "string"}
_WHOLE: Schema = {"type": "integer"}
_TIME: Schema = {"type": "string", "format": "date-time"}
_HEADERS = {
    "Deprecation": "RFC 9745; only in warn, for unknown stages",
    "Sunset": "RFC 8594; when unknown stages will be rejected",
    "Link": "RFC 8288, rel=deprecation",
    "X-Stage-Deprecated-Variants": "the canonical stages the unknown ones are nearest to, or unknown",
    "X-Stage-Sunset": "the sunset as RFC 3339",
    "X-Stage-Docs": "where the stages are explained",
}


def document(version: str) -> Schema:
    """Return the OpenAPI document of a release."""
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": version},
        "paths": {
            MONTE_CARLO.template: {"post": _simulate()},
            STRATEGIES.template: {"post": _add_strategy(), "get": _strategies()},
            COMPANIES.template: {"get": _companies()},
            "/api/deprecations": {"get": _operation("deprecations", {"200": _answer("Deprecations")})},
        },
        "components": {"schemas": _schemas(), "headers": {name: _header(text) for name, text in _HEADERS.items()}},
    }


def without_headers(document: Schema) -> Schema:
    """Return the document without any header."""
    paths = {
        path: {
            method: operation
            | {"responses": {code: _headless(answer) for code, answer in operation["responses"].items()}}
            for method, operation in operations.items()
        }
        for path, operations in document["paths"].items()
    }
    return document | {"paths": paths}


def _headless(answer: Schema) -> Schema:
    return {name: value for name, value in answer.items() if name != "headers"}


def _simulate() -> Schema:
    answers = {"200": _success("Simulation"), **_errors("StageDistributionError")}
    return _operation("simulate", answers) | {"requestBody": _body("SimulationOrder")}


def _add_strategy() -> Schema:
    answers = {"201": _success("Strategy"), **_errors("StageError")}
    return _operation("addStrategy", answers, _fund("query")) | {"requestBody": _body("StrategyOrder")}


def _strategies() -> Schema:
    answers = {"200": _answer("Strategies"), **_errors()}
    return _operation("strategies", answers, _fund("query"))


def _companies() -> Schema:
    stage = _text(1, LONGEST_STAGE)
    page = {"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE}
    optional = [_parameter("stage", stage), _parameter("limit", page), _parameter("cursor", _TEXT)]
    answers = {"200": _success("Companies"), **_errors("StageError")}
    return _operation("companies", answers, _fund("path"), *optional)


def _operation(name: str, answers: Schema, *parameters: Schema) -> Schema:
    return {"operationId": name, "parameters": list(parameters), "responses": answers}


def _fund(place: str) -> Schema:
    schema = {"type": "integer", "minimum": 1}
    return {"name": "fundId", "in": place, "required": True, "schema": schema}


def _parameter(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "query", "schema": schema}


def _body(name: str) -> Schema:
    return {"required": True, "content": {"application/json": {"schema": _ref(name)}}}


def _answer(*names: str) -> Schema:
    schema = _ref(names[0]) if len(names) == 1 else {"oneOf": [_ref(name) for name in names]}
    return {"description": " or ".join(names), "content": {"application/json": {"schema": schema}}}


def _success(name: str) -> Schema:
    return _answer(name) | {"headers": {header: {"$ref": f"#/components/headers/{header}"} for header in _HEADERS}}


def _errors(*rejections: str) -> Schema:
    """Return the answers to requests that are refused; ``rejections`` are those of enforce."""
    too_large = {"413": _answer("MalformedRequest")} if rejections else {}
    return {"400": _answer("MalformedRequest", *rejections), "404": _answer("NotFound"), **too_large}


def _header(text: str) -> Schema:
    return {"description": text, "schema": _TEXT}


def _schemas() -> Schema:
    orders = {model.__name__: _model(model) for model in (SimulationOrder, StrategyOrder)}
    stages = {"invalid": _list(_TEXT, most=SHOWN), "suggestions": _map(_stage()), "validStages": _list(_stage())}
    code = {"code": {"const": "INVALID_STAGE"}}
    malformed = {"code": {"enum": list(MESSAGES)}, "pointer": _TEXT}
    return {
        **{name: schema for model in orders.values() for name, schema in model.pop("$defs", {}).items()},
        **orders,
        **_successes(),
        "StageDistributionError": _error(["INVALID_STAGE_DISTRIBUTION"], stages),
        "StageError": _error(["Invalid stage allocation", "invalid_query_parameters"], code | stages),
        "MalformedRequest": _error(["malformed_request"], malformed),
        "NotFound": _error(["not_found"], {"code": {"const": "FUND_NOT_FOUND"}}),
    }


def _model(model: Any) -> Schema:
    schema: Schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    return schema


def _successes() -> Schema:
    strategy = {
        "id": _WHOLE,
        "fundId": _WHOLE,
        "name": _TEXT,
        "modelType": _TEXT,
        "checkSizeRange": _ref("CheckSizes"),
        "sectorAllocation": _map({"type": "number"}),
        "stageAllocation": _map({"type": "number"}),
        "createdAt": _TIME,
    }
    company = {
        "id": _WHOLE,
        "fundId": _WHOLE,
        "name": _TEXT,
        "stage": _TEXT,
        "sector": _TEXT,
        "invested": _WHOLE,
        "createdAt": _TIME,
    }
    optional_text = {"type": ["string", "null"]}
    page = {"fundId": _WHOLE, "stage": optional_text, "total": _WHOLE, "nextCursor": optional_text}
    return {
        "Simulation": _simulation(),
        "Strategy": _object(strategy),
        "Strategies": _object({"fundId": _WHOLE, "total": _WHOLE, "data": _list(_ref("Strategy"))}),
        "Companies": _object(page | {"data": _list(_object(company))}),
        "Deprecations": _object({"deprecations": _list({"type": "object"})}),
    }


def _simulation() -> Schema:
    percentile = _object({"percentile": _WHOLE, "value": {"type": "number"}})
    number = {"type": "number"}
    return _object(
        {
            "runId": {"type": "string", "format": "uuid"},
            "generatedAt": _TIME,
            "fundId": _WHOLE,
            "runs": _WHOLE,
            "timeHorizonYears": _WHOLE,
            "stageDistribution": _list(_object({"stage": _TEXT, "weight": number})),
            "results": _object({"mean": number, "lossProbability": number, "percentiles": _list(percentile)}),
        }
    )


def _error(words: list[str], details: Schema) -> Schema:
    fields = {"error": {"enum": words}, "message": _TEXT, "details": _object(details), "correlationId": _TEXT}
    return _object(fields)


def _object(properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _list(items: Schema, *, most: int | None = None) -> Schema:
    return {"type": "array", "items": items} | ({} if most is None else {"maxItems": most})


def _map(values: Schema) -> Schema:
    return {"type": "object", "additionalProperties": values}


def _text(shortest: int, longest: int) -> Schema:
    return {"type": "string", "minLength": shortest, "maxLength": longest}


def _stage() -> Schema:
    return {"enum": list(CANONICAL)}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}
