"""Agents who look at their portal pages.

With Locust's web page: ``locust -f locustfiles/portal.py --host http://127.0.0.1:8000``.
As a gate: ``{latency: {locustfile: portal, rate: 50/s, for: 2m, p95: {below: 200ms}, errors: {below: 1%}}}``.
"""

from __future__ import annotations

import random
from typing import Any, ClassVar

from locust import FastHttpUser, between, task

PAGE = "/portal/{agentId}"
CARD, CARDS = "text-2xl font-bold", 4


class PortalVisitor(FastHttpUser):
    """Opens the portal of any agent, and looks whether it is that agent's."""

    wait_time = between(1, 3)
    network_timeout = connection_timeout = 10.0
    agents: ClassVar[list[dict[str, Any]]] = []
    """Known to all users, once one has asked."""

    def on_start(self) -> None:
        """Find out which agents there are."""
        if not self.agents:
            with self.rest("GET", "/api/agents") as response:
                type(self).agents[:] = response.js or []

    @task
    def portal(self) -> None:
        """Open a portal."""
        agent = random.choice(self.agents)  # noqa: S311 - traffic
        with self.client.get(f"/portal/{agent['id']}", name=PAGE, catch_response=True) as response:
            shown = response.text or ""
            if not response.ok:
                return  # Locust knows
            if agent["code"] not in shown:
                response.failure(f"the portal does not show the agent's code ({PAGE})")
            elif shown.count(CARD) < CARDS:
                response.failure(f"the portal has fewer than {CARDS} cards")
