"""What the pages and the API read; both read paths answer these questions, with equal rows."""

from typing import Any, Protocol

Row = dict[str, Any]
"""A row with the JSON API's names, and more columns than the API shows."""

AGENT = [
    "id",
    "code",
    "name",
    "partnerId",
    "commissionRate",
    "status",
    "email",
    "phone",
    "telegramChatId",
    "avatarUrl",
    "createdAt",
    "updatedAt",
]
INVOICE = [
    "id",
    "agentId",
    "invoiceNumber",
    "amount",
    "currency",
    "issueDate",
    "dueDate",
    "status",
    "source",
    "batchId",
    "metadata",
    "createdAt",
    "updatedAt",
]
PAYMENT = [
    "id",
    "agentId",
    "invoiceId",
    "amount",
    "method",
    "reference",
    "note",
    "reversalOf",
    "recordedAt",
    "createdAt",
]
PARTNER = ["id", "name", "commissionRate", "createdAt"]
SUMMARY = [
    "agentId",
    "totalBilled",
    "totalPaid",
    "outstandingAmount",
    "draftCount",
    "unpaidCount",
    "overdueCount",
    "paidCount",
    "lastCalculatedAt",
]
AUDIT = ["id", "entityType", "entityId", "action", "actorUserId", "correlationId", "payload", "createdAt"]
LATEST = 5
"""Invoices and payments shown in the portal."""
CHART_MONTHS = 6


class Reads(Protocol):
    """A read path. Lists are ordered by id unless said otherwise; sums are whole units of the currency."""

    name: str

    def agents(self) -> list[Row]:
        """Return all agents."""

    def agent(self, agent_id: int) -> Row | None:
        """Return one agent."""

    def invoices(self) -> list[Row]:
        """Return all invoices, with ``agentName``."""

    def payments(self, agent_id: int | None = None, search: str = "") -> list[Row]:
        """Return payments, with ``agentName``: an agent's, or those with the text in reference or agent name."""

    def partners(self) -> list[Row]:
        """Return all sales partners."""

    def summaries(self) -> list[Row]:
        """Return billed, paid and outstanding sums and counts per agent, with ``code``, ``name``, ``status``."""

    def dashboard(self) -> Row:
        """Return the sums ``billed paid outstanding agents`` and ``months``: the last six (month, billed)."""

    def portal(self, agent_id: int) -> Row | None:
        """Return ``agent``, its ``billed paid balance``, ``count`` of invoices, latest ``invoices``, ``payments``."""


def only(names: list[str], rows: list[Row]) -> list[Row]:
    """Return the rows with just these columns."""
    return [{name: row[name] for name in names} for row in rows]


def with_metadata(row: Row) -> Row:
    """Return an invoice row with ``metadata`` as the API shows it."""
    return row | {"metadata": {"settledAmount": row["settledAmount"]}}
