"""The data behind the endpoints: funds, companies by stage and page, strategies."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, cast

from sqlalchemy import Connection, Engine, Table, bindparam, func, select
from sqlalchemy.orm import Session

from sandbox.normalization.allocations import as_text, from_text, recognised
from sandbox.normalization.answers import FundNotFoundError
from sandbox.normalization.db import Company, Fund, Strategy
from sandbox.normalization.shapes import CompaniesQuery, MalformedError, StrategyOrder
from sandbox.normalization.stages import known_as, recognise

NEWEST = 20
"""Strategies a listing shows."""
_COMPANY = [column for column in cast("Table", Company.__table__).columns if column.name != "updatedAt"]
_FUND = select(Fund.id).where(Fund.id == bindparam("fund"))


@dataclass(frozen=True)
class Reading:
    """How companies are found and pages follow each other."""

    matches: Callable[[str, str], bool]
    resume: Callable[[int, int], int]


class Portfolio:
    """Reads and writes the data of the funds."""

    def __init__(self, engine: Engine, reading: Reading) -> None:
        self._engine = engine
        self._reading = reading

    def require_fund(self, fund: int) -> None:
        """Raise FundNotFoundError if there is no such fund."""
        with self._engine.connect() as connection:
            if connection.scalar(_FUND, {"fund": fund}) is None:
                raise FundNotFoundError

    def companies(self, query: CompaniesQuery, after: int) -> dict[str, Any]:
        """Return a page of a fund's companies, by id, those with greater ids than ``after``."""
        with self._engine.connect() as connection:
            wanted = [Company.fund_id == query.fund_id]
            if query.stage is not None:
                wanted.append(Company.stage.in_(self._spellings(connection, query.fund_id, query.stage)))
            total = connection.scalar(select(func.count()).select_from(Company).where(*wanted))
            page = select(*_COMPANY).where(*wanted, Company.id > after).order_by(Company.id).limit(query.limit + 1)
            rows = connection.execute(page).mappings().all()
        shown = rows[: query.limit]
        more = len(rows) > query.limit
        cursor = _cursor(query.stage, self._reading.resume(shown[-1]["id"], rows[-1]["id"])) if more else None
        data = [{**row, "stage": recognise(row["stage"]) or row["stage"]} for row in shown]
        return {"total": total, "data": data, "nextCursor": cursor}

    def _spellings(self, connection: Connection, fund: int, stage: str) -> list[str]:
        """Return the stored spellings the filter finds; the index answers this without reading the rows."""
        stored = connection.scalars(select(Company.stage).where(Company.fund_id == fund).distinct())
        return [spelling for spelling in stored if self._reading.matches(stage, spelling)]

    def add_strategy(self, fund: int, order: StrategyOrder, stages: Mapping[str, Decimal]) -> dict[str, Any]:
        """Store a strategy with these stages and return it."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        row = Strategy(
            fund_id=fund,
            name=order.name,
            model_type=order.model_type,
            check_min=order.check_size_range.min,
            check_max=order.check_size_range.max,
            sector_allocation=as_text(order.sector_allocation),
            stage_allocation=as_text(stages),
            created_at=at,
            updated_at=at,
        )
        with Session(self._engine, expire_on_commit=False) as session, session.begin():
            session.add(row)
        return _strategy(row, stages)

    def strategies(self, fund: int) -> dict[str, Any]:
        """Return the number of a fund's strategies and the newest of them, their stages recognised."""
        of_fund = Strategy.fund_id == fund
        with Session(self._engine) as session:
            count = session.scalar(select(func.count()).select_from(Strategy).where(of_fund))
            newest = select(Strategy).where(of_fund).order_by(Strategy.id.desc()).limit(NEWEST)
            rows = [_strategy(row, recognised(from_text(row.stage_allocation))) for row in session.scalars(newest)]
        return {"fundId": fund, "total": count, "data": rows}


def _strategy(row: Strategy, stages: Mapping[str, Decimal]) -> dict[str, Any]:
    return {
        "id": row.id,
        "fundId": row.fund_id,
        "name": row.name,
        "modelType": row.model_type,
        "checkSizeRange": {"min": row.check_min, "max": row.check_max},
        "sectorAllocation": {name: float(share) for name, share in from_text(row.sector_allocation).items()},
        "stageAllocation": {name: float(share) for name, share in stages.items()},
        "createdAt": row.created_at,
    }


def _cursor(stage: str | None, after: int) -> str:
    place = json.dumps([stage and known_as(stage), after])
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def start_of_page(query: CompaniesQuery) -> int:
    """Return the id a page starts after; raises MalformedError for a cursor of another filter."""
    if query.cursor is None:
        return 0
    try:
        place = json.loads(base64.urlsafe_b64decode(query.cursor.encode() + b"=="))
    except ValueError as error:
        raise MalformedError("BAD_CURSOR", "/cursor") from error
    match place:
        case [asked, int(after)] if asked == (query.stage and known_as(query.stage)) and 0 <= after < 2**63:
            return after
    raise MalformedError("BAD_CURSOR", "/cursor")
