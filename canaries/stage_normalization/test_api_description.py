"""What clients can read: OpenAPI has the headers and both error schemas, /api/deprecations lists the deprecation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from canaries.stage_normalization.endpoints import DEPRECATION, ENDPOINTS, STAGES, Endpoint
from canaries.stage_normalization.instances import Instance, require

pytestmark = pytest.mark.canary("api-description")

SCHEMAS = {"monte_carlo": "StageDistributionError", "strategies": "StageError", "companies": "StageError"}
"""The schema of each endpoint's refusal."""


def test_deprecation_is_described(serving: tuple[Instance, ...]) -> None:
    """Every instance describes the headers and the refusals of every endpoint, and lists the deprecation."""
    require("OpenAPI", [f"{one.url}: {line}" for one in serving for line in undescribed(one.get("/openapi.json"))])
    require("listing", [f"{one.url}: {line}" for one in serving for line in unlisted(one.get("/api/deprecations"))])


def undescribed(document: Mapping[str, Any]) -> list[str]:
    """Return what an OpenAPI document does not say."""
    schemas = document.get("components", {}).get("schemas", {})
    wrong = [f"there is no schema {name}" for name in sorted(set(SCHEMAS.values())) if name not in schemas]
    return wrong + [line for endpoint in ENDPOINTS for line in _undescribed(document, endpoint)]


def _undescribed(document: Mapping[str, Any], endpoint: Endpoint) -> list[str]:
    method = "get" if endpoint.input_type == "query" else "post"
    operation = document.get("paths", {}).get(endpoint.template, {}).get(method)
    if operation is None:
        return [f"{method.upper()} {endpoint.template} is not described"]
    answers = operation.get("responses", {})
    good: Mapping[str, Any] = next((answers[code] for code in ("200", "201") if code in answers), {})
    named = {name.lower() for name in good.get("headers", {})}
    missing = [f"{endpoint.template} does not describe the header {name}" for name in DEPRECATION if name not in named]
    if f"#/components/schemas/{SCHEMAS[endpoint.name]}" not in str(answers.get("400", {})):
        missing.append(f"{endpoint.template} does not answer 400 with {SCHEMAS[endpoint.name]}")
    return missing


def unlisted(listing: Mapping[str, Any]) -> list[str]:
    """Return what /api/deprecations does not list."""
    listed = listing.get("deprecations", [])
    named = {template for one in listed for template in one.get("endpoints", [])}
    wrong = [f"no deprecation names {endpoint.template}" for endpoint in ENDPOINTS if endpoint.template not in named]
    if not any(one.get("validStages") == list(STAGES) for one in listed):
        wrong.append(f"no deprecation lists the valid stages {', '.join(STAGES)}")
    return wrong
