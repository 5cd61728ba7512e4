"""The traffic as a fixed cycle of requests: valid, alias and unknown, a tenth of it of the canary cohort."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from sandbox.normalization.config import FUNDS
from sandbox.normalization.modes import CANARY

CYCLE_SECONDS = 2.0
QUIET_FUND = FUNDS
"""The fund that gets no traffic: what changes there was changed by a test."""
SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "valid": ("seed", "series-a", "series-c+", "pre-seed", "series-b", "series-c"),
    "alias": ("Series A", "series_b", "preseed", "seriesc+"),
    "unknown": ("serie-a", "angel", "series z"),
}
MIX: Mapping[str | None, Mapping[str, int]] = {
    None: {"valid": 114, "alias": 18, "unknown": 48},
    CANARY: {"valid": 6, "alias": 2, "unknown": 12},
}
"""Requests a cycle by cohort and kind: 100 a second, 30 of them unknown until a client is told that this is an error.

That much unknown is to prove within minutes what real traffic proves in days.
"""
_ENDPOINTS = ("companies", "monte_carlo", "companies", "strategies")
_ENDPOINTS_OF_UNKNOWN = ("companies", "monte_carlo", "strategies")


@dataclass(frozen=True)
class Shot:
    """One request to send, ``at`` seconds into the cycle; ``kind`` is valid, alias or unknown."""

    at: float
    cohort: str | None
    kind: str
    endpoint: str

    def request(self, turn: int, *, mended: bool = False) -> tuple[str, str, bytes | None]:
        """Return method, path and body of the turn-th request; a mended one has a valid stage instead."""
        spellings = SPELLINGS["valid" if mended and self.kind == "unknown" else self.kind]
        stage, fund = spellings[turn % len(spellings)], turn % (QUIET_FUND - 1) + 1
        if self.endpoint == "companies":
            return "GET", f"/api/funds/{fund}/companies?stage={quote(stage)}&limit=5", None
        if self.endpoint == "strategies":
            return "POST", f"/api/portfolio/strategies?fundId={fund}", _strategy(stage, turn)
        return "POST", "/api/monte-carlo/simulate", _simulation(stage, fund)


def cycle() -> list[Shot]:
    """Return one cycle: every kind of either cohort evenly spread over it and over the endpoints."""
    places = sorted(
        ((number + 0.5) / per_cycle, cohort or "", kind, number)
        for cohort, kinds in MIX.items()
        for kind, per_cycle in kinds.items()
        for number in range(per_cycle)
    )
    pace = CYCLE_SECONDS / len(places)
    return [
        Shot(index * pace, cohort or None, kind, _endpoint(kind, number))
        for index, (_, cohort, kind, number) in enumerate(places)
    ]


def _endpoint(kind: str, number: int) -> str:
    endpoints = _ENDPOINTS_OF_UNKNOWN if kind == "unknown" else _ENDPOINTS
    return endpoints[number % len(endpoints)]


def _simulation(stage: str, fund: int) -> bytes:
    distribution = [{"stage": stage, "weight": 0.4}, {"stage": "seed", "weight": 0.6}]
    return json.dumps({"fundId": fund, "runs": 50, "timeHorizonYears": 10, "stageDistribution": distribution}).encode()


def _strategy(stage: str, turn: int) -> bytes:
    return json.dumps(
        {
            "name": f"Traffic {turn}",
            "modelType": "balanced",
            "checkSizeRange": {"min": 100_000, "max": 900_000},
            "sectorAllocation": {"fintech": 1},
            "stageAllocation": {stage: 1},
        }
    ).encode()
