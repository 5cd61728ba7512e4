"""Clients of the stage validator: the three endpoints, with stages that are right, spelt otherwise, and unknown.

With Locust's web page: ``locust -f locustfiles/stage_validation.py --host http://127.0.0.1:8000``.
It fits every mode: unknown stages may be served or refused, but only as the API says.
``VALIDATION_FUND`` is the fund (default 1), ``VALIDATION_COHORT`` is sent as x-cohort.
"""

from __future__ import annotations

import os
import random
from typing import Any

from locust import FastHttpUser, between, task

STAGES = ("pre-seed", "seed", "series-a", "series-b", "series-c", "series-c+")
SPELLINGS = {
    "valid": STAGES,
    "alias": ("Series A", "series_b", "preseed", "seriesc+"),
    "unknown": ("serie-a", "angel", "series z"),
}
SHARES = {"valid": 75, "alias": 10, "unknown": 15}
REFUSALS = {"INVALID_STAGE_DISTRIBUTION", "INVALID_STAGE"}
SERVED, REFUSED = (200, 201), 400
FUND = int(os.environ.get("VALIDATION_FUND", "1"))
COHORT = os.environ.get("VALIDATION_COHORT")


class Client(FastHttpUser):
    """Sends a stage to an endpoint and looks at what is said about it."""

    wait_time = between(0.5, 1.5)
    network_timeout = connection_timeout = 10.0
    default_headers = {"x-cohort": COHORT} if COHORT else None

    @task(4)
    def companies(self) -> None:
        """Filter companies by stage."""
        kind, stage = _any_stage()
        path = f"/api/funds/{FUND}/companies"
        self._ask(kind, "GET", path, params={"stage": stage, "limit": "5"}, name="/api/funds/{fundId}/companies")

    @task(3)
    def simulate(self) -> None:
        """Simulate a distribution of stages."""
        kind, stage = _any_stage()
        distribution = [{"stage": stage, "weight": 1}]
        body = {"fundId": FUND, "runs": 10, "timeHorizonYears": 5, "stageDistribution": distribution}
        self._ask(kind, "POST", "/api/monte-carlo/simulate", json=body)

    @task(1)
    def add_strategy(self) -> None:
        """Store a strategy."""
        kind, stage = _any_stage()
        body = {
            "name": "synthetic load",
            "modelType": "balanced",
            "checkSizeRange": {"min": 100_000, "max": 900_000},
            "sectorAllocation": {"synthetic": 1},
            "stageAllocation": {stage: 1},
        }
        path = "/api/portfolio/strategies"
        self._ask(kind, "POST", path, params={"fundId": str(FUND)}, json=body, name=path)

    def _ask(self, kind: str, method: str, path: str, **asked: Any) -> None:
        with self.rest(method, path, **asked) as response:
            if response.status_code in SERVED:
                return
            if kind == "unknown" and response.status_code == REFUSED and REFUSALS & _codes(response.js):
                response.success()
            else:
                response.failure(f"{response.status_code} for a stage that is {kind}")


def _any_stage() -> tuple[str, str]:
    """Return a kind of spelling, and a stage spelt so."""
    kind = random.choices(list(SHARES), list(SHARES.values()))[0]  # noqa: S311 - traffic
    return kind, random.choice(SPELLINGS[kind])  # noqa: S311 - traffic


def _codes(body: Any) -> set[Any]:
    """Return what a refusal calls itself."""
    details = body.get("details") if isinstance(body, dict) else None
    return {body.get("error"), details.get("code") if isinstance(details, dict) else None} if body else set()
