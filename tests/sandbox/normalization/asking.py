"""Requests to the three endpoints, alike in all tests."""

from typing import Any

import httpx

VOLATILE = {"runId", "generatedAt", "id", "createdAt", "correlationId"}
DEPRECATION = ("deprecation", "sunset", "link", "x-stage-deprecated-variants", "x-stage-sunset", "x-stage-docs")


def distribution(*stages: str, weights: tuple[str | float, ...] = ()) -> dict[str, Any]:
    """Return a simulation with these stages, equally weighted unless weights are given."""
    shares = weights or (1 / len(stages),) * len(stages)
    entries = [{"stage": stage, "weight": share} for stage, share in zip(stages, shares, strict=True)]
    return {"fundId": 1, "runs": 20, "timeHorizonYears": 10, "stageDistribution": entries}


def strategy(**stages: float) -> dict[str, Any]:
    """Return a strategy with these stages."""
    return {
        "name": "Core",
        "modelType": "balanced",
        "checkSizeRange": {"min": 1, "max": 2},
        "sectorAllocation": {"fintech": 1},
        "stageAllocation": stages,
    }


def simulate(client: httpx.Client, mode: str, body: Any) -> httpx.Response:
    """Ask for a simulation as a member of the cohort that is in this mode."""
    return client.post("/api/monte-carlo/simulate", json=body, headers={"x-cohort": mode})


def add(client: httpx.Client, mode: str, body: Any) -> httpx.Response:
    """Add a strategy to the first fund."""
    return client.post("/api/portfolio/strategies?fundId=1", json=body, headers={"x-cohort": mode})


def companies(client: httpx.Client, mode: str, query: str, fund: object = 1) -> httpx.Response:
    """Ask for companies with a query as it goes over the wire."""
    return client.get(f"/api/funds/{fund}/companies?{query}", headers={"x-cohort": mode})


def stable(response: httpx.Response) -> Any:
    """Return the body without what differs from one answer to the next."""
    body = response.json()
    return {name: value for name, value in body.items() if name not in VOLATILE} if isinstance(body, dict) else body


def deprecation(response: httpx.Response) -> dict[str, list[str]]:
    """Return the deprecation headers, every line of each."""
    return {name: response.headers.get_list(name) for name in DEPRECATION if name in response.headers}


def samples(client: httpx.Client) -> dict[str, float]:
    """Return every sample of the instance but for durations."""
    lines = [line for line in client.get("/metrics").text.splitlines() if line and not line.startswith("#")]
    values = {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}
    return {name: value for name, value in values.items() if "seconds_sum" not in name and "seconds_bucket" not in name}


def rise(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """Return what has risen, by how much, without the requests themselves."""
    changed = {name: value - before.get(name, 0) for name, value in after.items() if value != before.get(name, 0)}
    return {name: value for name, value in changed.items() if not name.startswith(("http_", "process_"))}
