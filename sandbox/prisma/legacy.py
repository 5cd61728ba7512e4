"""The old read path: SQL by hand on a connection of its own."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from sandbox.prisma.db import DATABASE
from sandbox.prisma.reads import CHART_MONTHS, LATEST, Row, with_metadata

_INVOICES = "SELECT i.*, a.name AS agentName FROM invoices i JOIN agents a ON a.id = i.agentId"
_PAYMENTS = "SELECT p.*, a.name AS agentName FROM payments p JOIN agents a ON a.id = p.agentId"
_BILLED = "i.status NOT IN ('DRAFT', 'CANCELLED')"
_SUMMARIES = f"""
SELECT a.id AS agentId, a.code, a.name, a.status,
       COALESCE(SUM(CASE WHEN {_BILLED} THEN i.amount END), 0) AS totalBilled,
       (SELECT COALESCE(SUM(p.amount), 0) FROM payments p WHERE p.agentId = a.id) AS totalPaid,
       COALESCE(SUM(CASE WHEN {_BILLED} THEN i.amount - i.settledAmount END), 0) AS outstandingAmount,
       COALESCE(SUM(i.status = 'DRAFT'), 0) AS draftCount,
       COALESCE(SUM(i.status IN ('UNPAID', 'PARTIAL')), 0) AS unpaidCount,
       COALESCE(SUM(i.status = 'OVERDUE'), 0) AS overdueCount,
       COALESCE(SUM(i.status = 'PAID'), 0) AS paidCount,
       COALESCE(MAX(i.updatedAt), a.updatedAt) AS lastCalculatedAt
FROM agents a LEFT JOIN invoices i ON i.agentId = a.id
GROUP BY a.id ORDER BY a.id
"""  # noqa: S608 - constants of this module
_MONTHS = f"""
SELECT substr(i.issueDate, 1, 7) AS month, SUM(i.amount) AS billed FROM invoices i
WHERE {_BILLED} GROUP BY month ORDER BY month DESC LIMIT {CHART_MONTHS}
"""  # noqa: S608


class Legacy:
    """Reads with sqlite3 alone."""

    name = "legacy"

    def __init__(self, directory: Path) -> None:
        self._path = directory / DATABASE

    def agents(self) -> list[Row]:
        """Return all agents."""
        return self._select("SELECT * FROM agents ORDER BY id")

    def agent(self, agent_id: int) -> Row | None:
        """Return one agent."""
        return next(iter(self._select("SELECT * FROM agents WHERE id = ?", [agent_id])), None)

    def invoices(self) -> list[Row]:
        """Return all invoices."""
        return [with_metadata(row) for row in self._select(f"{_INVOICES} ORDER BY i.id")]

    def payments(self, agent_id: int | None = None, search: str = "") -> list[Row]:
        """Return the payments of an agent, or those the search finds."""
        if agent_id is not None:
            return self._select(f"{_PAYMENTS} WHERE p.agentId = ? ORDER BY p.id", [agent_id])
        found = "WHERE instr(lower(p.reference || ' ' || a.name), lower(?)) > 0" if search else ""
        return self._select(f"{_PAYMENTS} {found} ORDER BY p.id", [search] if search else [])

    def partners(self) -> list[Row]:
        """Return all sales partners."""
        return self._select("SELECT * FROM partners ORDER BY id")

    def summaries(self) -> list[Row]:
        """Return the sums per agent."""
        return self._select(_SUMMARIES)

    def dashboard(self) -> Row:
        """Return the sums over all agents and the last months."""
        summaries = self.summaries()
        months = self._select(_MONTHS)
        return {
            "billed": sum(row["totalBilled"] for row in summaries),
            "paid": sum(row["totalPaid"] for row in summaries),
            "outstanding": sum(row["outstandingAmount"] for row in summaries),
            "agents": len(summaries),
            "months": [(row["month"], row["billed"]) for row in reversed(months)],
        }

    def portal(self, agent_id: int) -> Row | None:
        """Return what the portal shows of an agent."""
        agent = self.agent(agent_id)
        if agent is None:
            return None
        summary = next(row for row in self.summaries() if row["agentId"] == agent_id)
        invoices = self._select(f"{_INVOICES} WHERE i.agentId = ? ORDER BY i.id DESC", [agent_id])
        payments = self._select(f"{_PAYMENTS} WHERE p.agentId = ? ORDER BY p.id DESC LIMIT {LATEST}", [agent_id])
        return {
            "agent": agent,
            "billed": summary["totalBilled"],
            "paid": summary["totalPaid"],
            "balance": summary["outstandingAmount"],
            "count": len(invoices),
            "invoices": [with_metadata(row) for row in invoices[:LATEST]],
            "payments": payments,
        }

    def _select(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        with closing(sqlite3.connect(self._path, timeout=10)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(sql, parameters)]
