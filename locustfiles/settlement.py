"""Payments that settle invoices, each of them taken back, so that the books end as they began.

With Locust's web page: ``locust -f locustfiles/settlement.py --host http://127.0.0.1:8000``.
"Settlement, 10 per second for 1 minute, no failed transaction": ``{locustfile: settlement, rate: 10/s, for: 1m, errors:
{at_most: 0}}``. Needs the payments API, and a synthetic agent: ``SETTLEMENT_AGENT`` names its code; else the last one
whose code begins with SYN-.
"""

from __future__ import annotations

import os
from typing import Any, ClassVar
from uuid import uuid4

from locust import FastHttpUser, between, task
from locust.exception import StopTest

PREFIX = "SYN-"
TAG = "synthetic load"
"""How the reference of each payment begins."""
REVERSAL = "/api/payments/{id}/reversal"
AMOUNT = 1
CREATED = 201


class Payer(FastHttpUser):
    """Pays for a synthetic agent and takes the payment back."""

    wait_time = between(1, 2)
    network_timeout = connection_timeout = 10.0
    agent: ClassVar[list[int]] = []
    """The agent's id, known to all users, once one has asked."""

    def on_start(self) -> None:
        """Find the agent, and take back what a load that was killed has left."""
        if self.agent:
            return
        with self.rest("GET", "/api/agents") as response:
            rows: list[dict[str, Any]] = response.js or []
        wanted = os.environ.get("SETTLEMENT_AGENT")
        found = {row["code"]: row["id"] for row in rows if row["code"].startswith(PREFIX)}
        code = wanted or max(found, default=f"{PREFIX}...")
        if code not in found:
            raise StopTest(f"there is no synthetic agent {code}: seed the canary dataset")
        left = self._left(found[code])
        if self.agent:
            return  # another user was quicker, and may have paid since
        self.agent[:] = [found[code]]
        for payment in left:
            self._take_back(payment, {"x-correlation-id": f"synthetic-load-left-{payment}"})

    @task
    def settle(self) -> None:
        """Pay, and take it back."""
        key = f"{TAG} {uuid4()}"
        headers = {"Idempotency-Key": key, "x-correlation-id": key.replace(" ", "-")}
        order = {"agentId": self.agent[0], "amount": AMOUNT, "method": "EXTERNAL", "reference": key}
        payment = self._post("/api/payments", headers, order, settles=True)
        if payment is not None:
            self._take_back(payment, headers)

    def _left(self, agent: int) -> list[int]:
        """Return the payments of loads that stand."""
        with self.rest("GET", f"/api/payments?agentId={agent}", name="/api/payments") as response:
            rows: list[dict[str, Any]] = response.js or []
        reversed_ids = {row.get("reversalOf") for row in rows}
        mine = (row for row in rows if (row["reference"] or "").startswith(TAG) and row["amount"] > 0)
        return [row["id"] for row in mine if row["id"] not in reversed_ids]

    def _take_back(self, payment: int, headers: dict[str, str]) -> None:
        """Take a payment back; asking again changes nothing."""
        self._post(REVERSAL.format(id=payment), headers, None, name=REVERSAL)

    def _post(
        self, path: str, headers: dict[str, str], body: Any, *, settles: bool = False, name: str | None = None
    ) -> int | None:
        """Return the id of the payment that was made, or None if it was not."""
        with self.rest("POST", path, headers=headers, json=body, name=name or path) as response:
            answer = response.js if isinstance(response.js, dict) else {}
            made = response.status_code == CREATED and answer.get("success") is True and answer.get("paymentId")
            if not made:
                response.failure(f"{response.status_code}, not a payment: {answer.get('message', '')}")
            elif settles and (answer.get("settlement") or {}).get("usedBalance", 0) < AMOUNT:
                response.failure("the payment settled no invoice; has the agent open ones?")
            return made or None
        return None
