"""The validator's modes, the endpoints that have one, and the rules that say which mode a request meets."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

EVERYBODY = "*"
"""The cohort of a rule for all requests that no other rule covers."""
CANARY = "canary"
"""The cohort of the 10 % slice."""
FLAG = "STAGE_VALIDATION_MODE"
"""The flag of all endpoints together; each has one of its own besides."""


class Mode(StrEnum):
    """How an endpoint treats a stage it does not know."""

    OFF = "off"
    WARN = "warn"
    ENFORCE = "enforce"

    @property
    def level(self) -> int:
        """The gauge's value: 0 off, 1 warn, 2 enforce."""
        return list(Mode).index(self)


@dataclass(frozen=True)
class Endpoint:
    """A validated endpoint: its route template, where its stages are, and the code and ``error`` of its refusals."""

    name: str
    template: str
    input_type: str
    error_code: str
    error: str

    @property
    def flag(self) -> str:
        """The key of the endpoint's own mode flag."""
        return f"{FLAG}_{self.name.upper()}"


MONTE_CARLO = Endpoint(
    "monte_carlo", "/api/monte-carlo/simulate", "array", "INVALID_STAGE_DISTRIBUTION", "INVALID_STAGE_DISTRIBUTION"
)
STRATEGIES = Endpoint("strategies", "/api/portfolio/strategies", "object", "INVALID_STAGE", "Invalid stage allocation")
COMPANIES = Endpoint("companies", "/api/funds/{fundId}/companies", "query", "INVALID_STAGE", "invalid_query_parameters")
ENDPOINTS = (MONTE_CARLO, STRATEGIES, COMPANIES)


@dataclass(frozen=True)
class ModeWish:
    """The mode somebody wants for a cohort; None removes the cohort's own."""

    cohort: str
    mode: Mode | None
    actor: str
    reason: str


@dataclass(frozen=True)
class Change:
    """One change of a mode; its id is the revision, ``at`` in unix seconds, ``after`` None for a removed rule."""

    id: int
    endpoint: str
    cohort: str
    before: Mode | None
    after: Mode | None
    actor: str
    reason: str
    at: float


class Rules:
    """The mode of every endpoint, per cohort, as some changes have left it."""

    def __init__(self, changes: Iterable[Change] = ()) -> None:
        self._modes: dict[str, dict[str, Mode]] = {endpoint.name: {} for endpoint in ENDPOINTS}
        self.revision = 0
        for change in changes:
            self.apply(change)

    def apply(self, change: Change) -> None:
        """Take in one change."""
        if change.after is None:
            self._modes[change.endpoint].pop(change.cohort, None)
        else:
            self._modes[change.endpoint][change.cohort] = change.after
        self.revision = change.id

    def mode(self, endpoint: Endpoint, cohort: str = EVERYBODY) -> Mode:
        """Return the mode a cohort's request meets."""
        modes = self._modes[endpoint.name]
        return modes.get(cohort) or modes.get(EVERYBODY, Mode.OFF)

    def of(self, endpoint: Endpoint) -> Mapping[str, Mode]:
        """Return the endpoint's rules, cohort to mode."""
        return dict(sorted(self._modes[endpoint.name].items()))
