"""The traffic as a fixed cycle of requests: valid, alias and a little unknown, a tenth of it of the canary cohort."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from sandbox.normalization.modes import CANARY
from sandbox.normalization.seed import FUNDS

CYCLE_SECONDS = 2.0
QUIET_FUND = FUNDS
"""The fund that gets no traffic: what changes there was changed by a test."""
CANARY_EVERY = 10
"""Every tenth request is the canary cohort's."""
SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "valid": ("seed", "series-a", "series-c+", "pre-seed", "series-b", "series-c"),
    "alias": ("Series A", "series_b", "preseed", "seriesc+"),
    "unknown": ("serie-a", "angel", "series z"),
}
PER_CYCLE = {"valid": 150, "alias": 20, "unknown": 30}
"""Requests a cycle: 100 a second, 15 % of them unknown until a client is told that this is an error."""


@dataclass(frozen=True)
class Shot:
    """One request to send, ``at`` seconds into the cycle; ``kind`` is valid, alias or unknown."""

    at: float
    kind: str
    endpoint: str

    def request(self, turn: int, *, mended: bool = False) -> tuple[str, str, bytes | None]:
        """Return method, path and body of the turn-th request; a mended one has a valid stage instead."""
        spellings = SPELLINGS["valid" if mended else self.kind]
        stage, fund = spellings[turn % len(spellings)], turn % (QUIET_FUND - 1) + 1
        if self.endpoint == "companies":
            return "GET", f"/api/funds/{fund}/companies?stage={quote(stage)}&limit=5", None
        if self.endpoint == "strategies":
            return "POST", f"/api/portfolio/strategies?fundId={fund}", _strategy(stage, turn)
        return "POST", "/api/monte-carlo/simulate", _simulation(stage, fund)


def cycle() -> list[Shot]:
    """Return one cycle: every kind evenly spread over it and over the endpoints."""
    places = sorted(
        ((number + 0.5) / per_cycle, kind, number)
        for kind, per_cycle in PER_CYCLE.items()
        for number in range(per_cycle)
    )
    pace = CYCLE_SECONDS / len(places)
    endpoints = ("companies", "monte_carlo", "companies", "strategies")
    return [
        Shot(index * pace, kind, endpoints[number % len(endpoints)]) for index, (_, kind, number) in enumerate(places)
    ]


def cohort(turn: int) -> str | None:
    """Return the cohort of the turn-th request."""
    lap, place = divmod(turn, sum(PER_CYCLE.values()))
    return CANARY if (lap + place) % CANARY_EVERY == 0 else None  # another tenth in every cycle


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
