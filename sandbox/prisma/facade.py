"""The new read path: SQLAlchemy repositories behind one facade, every read timed."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from typing import Any

from sqlalchemy import Connection, Engine, Executable, Select, case, func, select

from sandbox.prisma.db import NOT_BILLED, Agent, Invoice, Partner, Payment
from sandbox.prisma.metrics import Metrics
from sandbox.prisma.reads import CHART_MONTHS, LATEST, Row, with_metadata

_INVOICES = select(*Invoice.__table__.columns, Agent.name.label("agentName")).join(Agent, Agent.id == Invoice.agent_id)
_PAYMENTS = select(*Payment.__table__.columns, Agent.name.label("agentName")).join(Agent, Agent.id == Payment.agent_id)
_BILLED = Invoice.status.not_in(NOT_BILLED)


def _summaries() -> Select[Any]:
    paid = select(func.coalesce(func.sum(Payment.amount), 0)).where(Payment.agent_id == Agent.id)

    def total(amount: Any) -> Any:
        return func.coalesce(func.sum(case((_BILLED, amount))), 0)

    def number(*statuses: str) -> Any:
        return func.count(case((Invoice.status.in_(statuses), Invoice.id)))

    return (
        select(
            Agent.id.label("agentId"),
            Agent.code,
            Agent.name,
            Agent.status,
            total(Invoice.amount).label("totalBilled"),
            paid.scalar_subquery().label("totalPaid"),
            total(Invoice.amount - Invoice.settled).label("outstandingAmount"),
            number("DRAFT").label("draftCount"),
            number("UNPAID", "PARTIAL").label("unpaidCount"),
            number("OVERDUE").label("overdueCount"),
            number("PAID").label("paidCount"),
            func.coalesce(func.max(Invoice.updated_at), Agent.updated_at).label("lastCalculatedAt"),
        )
        .outerjoin(Invoice, Invoice.agent_id == Agent.id)
        .group_by(Agent.id)
        .order_by(Agent.id)
    )


_SUMMARIES = _summaries()


class Distance:
    """The time the database is away, as if it were remote: 20 to 50 ms, times ``factor``, in a fixed cycle."""

    _STEPS = 31

    def __init__(self, factor: int = 1) -> None:
        self._factor = factor
        self._turn = count()

    def seconds(self) -> float:
        """Return the next read's distance."""
        return self._factor * (20 + next(self._turn) * 11 % self._STEPS) / 1000


class Facade:
    """Reads with SQLAlchemy for one cohort; each question is one timed read."""

    name = "facade"

    def __init__(self, engine: Engine, metrics: Metrics, distance: Distance, cohort: str) -> None:
        self._engine = engine
        self._distance = distance
        self._timer = metrics.query_seconds.labels(cohort)

    def agents(self) -> list[Row]:
        """Return all agents."""
        with self._read() as connection:
            return _rows(connection, select(*Agent.__table__.columns).order_by(Agent.id))

    def agent(self, agent_id: int) -> Row | None:
        """Return one agent."""
        with self._read() as connection:
            return _agent(connection, agent_id)

    def invoices(self) -> list[Row]:
        """Return all invoices."""
        with self._read() as connection:
            return [with_metadata(row) for row in _rows(connection, _INVOICES.order_by(Invoice.id))]

    def payments(self, agent_id: int | None = None, search: str = "") -> list[Row]:
        """Return the payments of an agent, or those the search finds."""
        query = _PAYMENTS.order_by(Payment.id)
        if agent_id is not None:
            query = query.where(Payment.agent_id == agent_id)
        elif search:
            query = query.where((Payment.reference + " " + Agent.name).icontains(search, autoescape=True))
        with self._read() as connection:
            return _rows(connection, query)

    def partners(self) -> list[Row]:
        """Return all sales partners."""
        with self._read() as connection:
            return _rows(connection, select(*Partner.__table__.columns).order_by(Partner.id))

    def summaries(self) -> list[Row]:
        """Return the sums per agent."""
        with self._read() as connection:
            return _rows(connection, _SUMMARIES)

    def dashboard(self) -> Row:
        """Return the sums over all agents and the last months."""
        month = func.substr(Invoice.issue_date, 1, 7)
        months = select(month, func.sum(Invoice.amount)).where(_BILLED).group_by(month)
        each = _SUMMARIES.subquery().columns
        totals = select(
            func.sum(each.totalBilled).label("billed"),
            func.sum(each.totalPaid).label("paid"),
            func.sum(each.outstandingAmount).label("outstanding"),
            func.count().label("agents"),
        )
        with self._read() as connection:
            last = connection.execute(months.order_by(month.desc()).limit(CHART_MONTHS)).all()
            return _rows(connection, totals)[0] | {"months": [(name, billed) for name, billed in reversed(last)]}

    def portal(self, agent_id: int) -> Row | None:
        """Return what the portal shows of an agent."""
        with self._read() as connection:
            agent = _agent(connection, agent_id)
            return agent and _portal(connection, agent)

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with self._timer.time(), self._engine.connect() as connection:
            time.sleep(self._distance.seconds())
            yield connection


def _agent(connection: Connection, agent_id: int) -> Row | None:
    found = _rows(connection, select(*Agent.__table__.columns).where(Agent.id == agent_id))
    return found[0] if found else None


def _portal(connection: Connection, agent: Row) -> Row:
    summary = _rows(connection, _SUMMARIES.where(Agent.id == agent["id"]))[0]
    number = select(func.count()).select_from(Invoice).where(Invoice.agent_id == agent["id"])
    invoices = _INVOICES.where(Invoice.agent_id == agent["id"]).order_by(Invoice.id.desc()).limit(LATEST)
    payments = _PAYMENTS.where(Payment.agent_id == agent["id"]).order_by(Payment.id.desc()).limit(LATEST)
    return {
        "agent": agent,
        "billed": summary["totalBilled"],
        "paid": summary["totalPaid"],
        "balance": summary["outstandingAmount"],
        "count": connection.scalar(number),
        "invoices": [with_metadata(row) for row in _rows(connection, invoices)],
        "payments": _rows(connection, payments),
    }


def _rows(connection: Connection, query: Executable) -> list[Row]:
    return [_plain(row) for row in connection.execute(query).mappings()]


def _plain(row: Mapping[Any, Any]) -> Row:
    return dict(row)
