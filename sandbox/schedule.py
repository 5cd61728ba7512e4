"""The traffic of the sandbox as a fixed cycle of requests, sent by the generator and assumed by the history."""

import json
from dataclasses import dataclass

from sandbox.prisma.seed import AGENTS

CYCLE_SECONDS = 2.0


@dataclass(frozen=True)
class Kind:
    """A kind of request; ``{agent}`` in the path is replaced by an agent's id, ``pays`` makes it a payment."""

    path: str
    route: str
    cohort: str
    per_cycle: int
    pays: bool = False


KINDS = (
    Kind("/api/payments?agentId={agent}", "/api/payments", "admin", 180),
    Kind("/api/agents", "/api/agents", "admin", 18),
    Kind("/api/agent-summaries", "/api/agent-summaries", "admin", 14),
    Kind("/api/invoices", "/api/invoices", "admin", 14),
    Kind("/api/payments", "/api/payments", "admin", 3),
    Kind("/", "/", "admin", 7),
    Kind("/agents", "/agents", "admin", 2),
    Kind("/payments", "/payments", "admin", 1),
    Kind("/api/payments", "/api/payments", "admin", 1, pays=True),
    Kind("/api/agents", "/api/agents", "staff", 10),
    Kind("/portal/{agent}", "/portal/{agentId}", "agents", 10),
)
"""About 120 requests a second of the admin cohort, 5 of staff, 5 in the portal; a payment every two seconds."""


@dataclass(frozen=True)
class Shot:
    """One request to send; ``at`` seconds into the cycle."""

    at: float
    kind: Kind

    def path(self, turn: int) -> str:
        """Return the path for the turn-th request; turns walk through the agents."""
        return self.kind.path.format(agent=_agent(turn))

    def body(self, turn: int) -> bytes | None:
        """Return the JSON body of a payment: a small one, so that invoices stay open for hours."""
        if not self.kind.pays:
            return None
        order = {"agentId": _agent(turn), "amount": 1000 + turn % 7 * 500, "reference": f"TRAFFIC-{turn}"}
        return json.dumps(order).encode()


def cycle() -> list[Shot]:
    """Return one cycle, every kind evenly spread and all shots evenly paced."""
    places = sorted(
        ((turn + 0.5) / kind.per_cycle, number, kind)
        for number, kind in enumerate(KINDS)
        for turn in range(kind.per_cycle)
    )
    pace = CYCLE_SECONDS / len(places)
    return [Shot(index * pace, kind) for index, (_, _, kind) in enumerate(places)]


def _agent(turn: int) -> int:
    return turn * 7 % AGENTS + 1
