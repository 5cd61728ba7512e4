"""The system's books over HTTP: the JSON API, the portal's cards, the counters, and the way to take a payment back."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any, TypeVar

import httpx

from canaries.prisma.pages import number
from canaries.prisma.settlement import Account, Id, Row, Sums, Tally, UnusableError

METRICS = "/api/internal/metrics"
TALLIES = 60
"""How often the counters are read at most until they and the books stand still."""
REVERSALS = 3
"""How often a reversal is sent at most if the way to the system fails: it is idempotent."""
UNKNOWN = 0
"""No payment has this id."""
_CARD = {"text-2xl", "font-bold"}

T = TypeVar("T")


@dataclass(frozen=True)
class Books:
    """The books, read with one client; a fault of the transport is raised as httpx raises it."""

    client: httpx.Client

    def rows(self, name: str) -> list[Row]:
        """Return the array at /api/{name}; the answer must be 200."""
        rows: list[Row] = self._get(f"/api/{name}").json()
        return rows

    def agent(self, code: str) -> Row:
        """Return the agent with this code. Raises UnusableError."""
        found = next((row for row in self.rows("agents") if row["code"] == code), None)
        if found is None:
            raise UnusableError(
                f"there is no agent {code}: seed the canary dataset, an agent with this code and two open invoices "
                "that nobody else pays for"
            )
        return found

    def account(self, agent: Id) -> Account:
        """Return an agent's books. Raises UnusableError."""
        return Account.of(agent, self.rows("invoices"), self.rows("payments"))

    def cards(self, agent: Id) -> Sums:
        """Return the figures on the portal's four cards."""
        return Sums(*card_numbers(self._get(f"/portal/{agent}").text))

    def summary(self, agent: Id) -> tuple[int, int, int]:
        """Return what the API says that the agent was billed, paid and owes."""
        row = next((row for row in self.rows("agent-summaries") if row["agentId"] == agent), None)
        assert row is not None, f"GET /api/agent-summaries has no row for agent {agent}"
        return int(row["totalBilled"]), int(row["totalPaid"]), int(row["outstandingAmount"])

    def audit(self, correlation_id: str) -> list[Row]:
        """Return the audit rows of a correlation id. Raises UnusableError if there is no such address."""
        response = self.client.get("/api/audit", params={"correlationId": correlation_id})
        if response.status_code == httpx.codes.NOT_FOUND:
            raise UnusableError("there is no GET /api/audit?correlationId=..., which this canary reads the audit from")
        rows: list[Row] = _answered(response).json()
        return rows

    def require_reversals(self) -> None:
        """Raise UnusableError if no payment can be taken back here: ask it for a payment that cannot exist."""
        response = self.client.post(f"/api/payments/{UNKNOWN}/reversal")
        if said(response).get("success") is not False:
            raise UnusableError(
                "this canary cannot be used here: there is no POST /api/payments/{id}/reversal to take its payment "
                f"back with (for a payment that is not there it answered {_shown(response)})"
            )

    def reverse(self, payment: Id, correlation_id: str) -> Id:
        """Take a payment back and return the id of its reversal; AssertionError if it is refused."""
        response = self._insist(f"/api/payments/{payment}/reversal", {"x-correlation-id": correlation_id})
        body = said(response)
        taken = response.is_success and body.get("success") is True and body.get("reversalOf") == payment
        assert taken, f"payment {payment} was not taken back: POST .../reversal answered {_shown(response)}"
        reversal: Id = body["paymentId"]
        return reversal

    def tally(self) -> Tally:
        """Return counters and recorded payments of one moment, though other payments go on. Raises UnusableError.

        The counters belong to a number of payments if that was the same before and after. A payment is counted a
        moment after it was recorded, so their difference has to be seen twice.
        """
        uncounted, before = None, self._recorded()
        for _ in range(TALLIES):
            tally = Tally(**self._counters(), recorded=self._recorded())
            if tally.recorded == before:
                if tally.recorded - tally.success == uncounted:
                    return tally
                uncounted = tally.recorded - tally.success
            before = tally.recorded
        raise UnusableError(f"payments came in too fast to tell what the counters count: {TALLIES} reads, no two alike")

    def _recorded(self) -> int:
        """Return the number of payments; a reversal is none."""
        return sum(row.get("reversalOf") is None for row in self.rows("payments"))

    def _counters(self) -> dict[str, Any]:
        response = self.client.get(METRICS)
        if response.status_code != httpx.codes.OK:
            raise UnusableError(f"GET {METRICS} answered {response.status_code}, so nothing can be counted")
        return counters(response.text)

    def _insist(self, path: str, headers: dict[str, str]) -> httpx.Response:
        for _ in range(REVERSALS - 1):
            try:
                return self.client.post(path, headers=headers)
            except httpx.TransportError:
                continue
        return self.client.post(path, headers=headers)

    def _get(self, path: str) -> httpx.Response:
        return _answered(self.client.get(path))


def counters(exposition: str) -> dict[str, Any]:
    """Return the counters of a tally from the Prometheus text format. Raises UnusableError.

    A labelled child may be absent until it is first used, a whole metric may not.
    """
    from prometheus_client.parser import text_string_to_metric_families

    payments, rollbacks = "financial_orchestrator_payments", "financial_orchestrator_rollbacks"
    families = {one.name: one.samples for one in text_string_to_metric_families(exposition)}
    for name in (payments, rollbacks):
        if name not in families:
            raise UnusableError(f"{METRICS} has no {name}_total, so nothing can be counted")
    by_status = {one.labels.get("status"): one.value for one in families[payments]}
    started = families.get("process_start_time_seconds")
    return {
        "success": int(by_status.get("success", 0)),
        "failure": int(by_status.get("failure", 0)),
        "rollbacks": int(sum(one.value for one in families[rollbacks])),
        "started": started[0].value if started else None,
    }


def card_numbers(html: str) -> list[int]:
    """Return the figures of a page's four cards."""
    reader = _Cards()
    reader.feed(html)
    assert len(reader.texts) == 4, f"expected 4 cards, found {len(reader.texts)}"
    return [number(text) for text in reader.texts]


def until_equal(read: Callable[[], T], expected: T, seconds: float) -> T:
    """Read until it is as expected, for so many seconds at most, and return what was read last."""
    deadline = time.monotonic() + seconds
    while (found := read()) != expected and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def said(response: httpx.Response) -> Row:
    """Return the JSON object of an answer; empty if it is none."""
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


class _Cards(HTMLParser):
    """Collects the texts of the elements that are cards' figures."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._open = ""
        self._depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if not self._depth and set((dict(attrs).get("class") or "").split()) >= _CARD:
            self.texts.append("")
            self._open = tag
        self._depth += tag == self._open

    def handle_endtag(self, tag: str) -> None:
        self._depth -= tag == self._open
        self._open = self._open if self._depth else ""

    def handle_data(self, data: str) -> None:
        if self._depth:
            self.texts[-1] += data


def _answered(response: httpx.Response) -> httpx.Response:
    status = response.status_code
    assert status == httpx.codes.OK, f"GET {response.request.url.path} answered {status}"
    return response


def _shown(response: httpx.Response) -> str:
    return f"{response.status_code} {response.text[:200]}".strip()
