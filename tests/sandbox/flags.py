"""Requests to a flag service, alike for both systems."""

import re
from typing import Any

import httpx

BEARER = {"Authorization": "Bearer a-token"}
RFC3339_MS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def evaluate(client: httpx.Client, flag: str, cohort: str | None = None) -> dict[str, Any]:
    """Return OFREP's answer."""
    context = {"targetingKey": "someone"} | ({"cohort": cohort} if cohort else {})
    response = client.post(f"/ofrep/v1/evaluate/flags/{flag}", json={"context": context})
    assert response.status_code == 200
    answer: dict[str, Any] = response.json()
    return answer


def put(client: httpx.Client, flag: str, value: object, cohort: str) -> dict[str, Any]:
    """Change a flag."""
    body = {"cohort": cohort, "value": value, "actor": "tester", "reason": "test"}
    response = client.put(f"/admin/flags/{flag}", json=body, headers=BEARER)
    assert response.status_code == 200
    answer: dict[str, Any] = response.json()
    return answer
