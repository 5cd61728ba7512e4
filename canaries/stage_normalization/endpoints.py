"""The three validated endpoints: how to send a stage to each, and what an answer says about the stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Mode = Literal["off", "warn", "enforce"]
MODES: tuple[Mode, ...] = ("off", "warn", "enforce")
"""In the order of the gauge's values 0, 1, 2."""
STAGES = ("pre-seed", "seed", "series-a", "series-b", "series-c", "series-c+")
DEPRECATION = ("deprecation", "sunset", "link", "x-stage-deprecated-variants", "x-stage-sunset", "x-stage-docs")
"""Headers that an answer to an unknown stage has in warn, all of them."""
NOTHING_NEAR = "unknown"
"""What X-Stage-Deprecated-Variants names when no stage is near."""
FUND = 8
"""The fund that synthetic strategies are stored for."""
COHORT_FLAG = "STAGE_VALIDATION_MODE"
"""The flag of all three endpoints together."""
_REJECTED = 400


@dataclass(frozen=True)
class Ask:
    """One request: its query is sent percent-encoded."""

    method: str
    path: str
    query: Mapping[str, str]
    json: Any = None


@dataclass(frozen=True)
class Answer:
    """What came back; ``headers`` with names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: Any

    def __str__(self) -> str:
        """Name the status and the beginning of the body."""
        return f"{self.status} {str(self.body)[:200]}"


@dataclass(frozen=True)
class Endpoint:
    """A validated endpoint; ``template`` is its label in metrics, ``error`` and ``code`` those of its refusals."""

    name: str
    template: str
    input_type: str
    error: str
    code: str
    """The label ``error_code`` of its metrics."""

    @property
    def flag(self) -> str:
        """The flag of its mode."""
        return f"{COHORT_FLAG}_{self.name.upper()}"

    def ask(self, stage: str, *, fund: int = FUND, name: str = "synthetic") -> Ask:
        """Return a request that is right but, perhaps, for its one stage."""
        if self.input_type == "query":
            return Ask("GET", f"/api/funds/{fund}/companies", {"stage": stage, "limit": "1"})
        if self.input_type == "object":
            return Ask("POST", self.template, {"fundId": str(fund)}, strategy({stage: 1}, name))
        return Ask("POST", self.template, {}, simulation([(stage, 1)], fund))

    def shown(self, body: Any) -> str:
        """Return the stage that a good answer shows for the one that was asked."""
        if self.input_type == "query":
            return str(body["stage"])
        if self.input_type == "object":
            return ",".join(body["stageAllocation"])
        return ",".join(str(entry["stage"]) for entry in body["stageDistribution"])


MONTE_CARLO = Endpoint(
    "monte_carlo", "/api/monte-carlo/simulate", "array", "INVALID_STAGE_DISTRIBUTION", "INVALID_STAGE_DISTRIBUTION"
)
STRATEGIES = Endpoint("strategies", "/api/portfolio/strategies", "object", "Invalid stage allocation", "INVALID_STAGE")
COMPANIES = Endpoint("companies", "/api/funds/{fundId}/companies", "query", "invalid_query_parameters", "INVALID_STAGE")
ENDPOINTS = (MONTE_CARLO, STRATEGIES, COMPANIES)


def simulation(entries: list[tuple[str, float]], fund: int = FUND) -> dict[str, Any]:
    """Return the body of a small simulation."""
    distribution = [{"stage": stage, "weight": weight} for stage, weight in entries]
    return {"fundId": fund, "runs": 10, "timeHorizonYears": 5, "stageDistribution": distribution}


def strategy(shares: Mapping[str, float], name: str = "synthetic") -> dict[str, Any]:
    """Return the body of a strategy."""
    return {
        "name": name,
        "modelType": "balanced",
        "checkSizeRange": {"min": 100_000, "max": 900_000},
        "sectorAllocation": {"synthetic": 1},
        "stageAllocation": dict(shares),
    }


@dataclass(frozen=True)
class Finding:
    """What an endpoint says about a stage.

    ``treated``: ``served``, ``warned`` or ``rejected``. ``stage``: as it is shown, None where it is rejected. ``near``:
    the stage it takes the unknown text for, ``unknown`` for none, None if it says nothing of the kind.
    """

    treated: str
    stage: str | None = None
    near: str | None = None

    def __str__(self) -> str:
        """Say it in a few words."""
        shown = f" as {self.stage!r}" if self.stage is not None else ""
        return f"{self.treated}{shown}" + (f", nearest {self.near!r}" if self.near is not None else "")


class UnclearError(AssertionError):
    """An answer is none of those that the API promises."""


def finding(endpoint: Endpoint, asked: str, answer: Answer) -> Finding:
    """Return what an answer says about the stage that was asked. Raises UnclearError."""
    present = [name for name in DEPRECATION if name in answer.headers]
    if answer.status == _REJECTED and not present:
        return Finding("rejected", None, _suggestion(endpoint, asked, answer))
    if answer.status not in (200, 201):
        raise UnclearError(f"{endpoint.name}: {asked!r} was answered {answer}")
    if not present:
        return Finding("served", endpoint.shown(answer.body))
    if missing := [name for name in DEPRECATION if name not in present]:
        raise UnclearError(f"{endpoint.name}: the answer to {asked!r} lacks the headers {', '.join(missing)}")
    return Finding("warned", endpoint.shown(answer.body), answer.headers["x-stage-deprecated-variants"])


def _suggestion(endpoint: Endpoint, asked: str, answer: Answer) -> str:
    """Return what a refusal suggests; its error, code, text and list of stages have to be those of its endpoint."""
    body = answer.body if isinstance(answer.body, dict) else {}
    details = body.get("details", {})
    said = (body.get("error"), details.get("code", endpoint.code), details.get("invalid"), details.get("validStages"))
    if said != (endpoint.error, endpoint.code, [asked], list(STAGES)):
        raise UnclearError(f"{endpoint.name}: the refusal of {asked!r} is not as promised: {answer}")
    return str(details.get("suggestions", {}).get(asked, NOTHING_NEAR))


@dataclass(frozen=True)
class Spelling:
    """A text, and what it has to be taken for: a stage, or (``unknown``) something near a stage or near none."""

    text: str
    stage: str | None
    near: str = NOTHING_NEAR

    def expected(self, mode: Mode) -> Finding:
        """Return what every endpoint has to say about it in a mode."""
        if mode == "off":
            return Finding("served", self.text)
        if self.stage is not None:
            return Finding("served", self.stage)
        return Finding("rejected", None, self.near) if mode == "enforce" else Finding("warned", self.text, self.near)


UNKNOWN = Spelling("serie-a", None, "series-a")
"""The text that tells the three modes apart."""
SPELLINGS = (
    *(Spelling(stage, stage) for stage in STAGES),
    Spelling("Series A", "series-a"),
    Spelling("series_b", "series-b"),
    Spelling("PreSeed", "pre-seed"),
    Spelling("series c+", "series-c+"),
    UNKNOWN,
    Spelling("sed", None, "seed"),
    Spelling("growth-equity-late", None),
    Spelling("constructor", None),
)


def mode_of(treated: str) -> Mode:
    """Return the mode that treats an unknown stage so."""
    return {"served": "off", "warned": "warn", "rejected": "enforce"}[treated]  # type: ignore[return-value]
