"""The data every run starts with: always the same, with the spellings of ten years."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, insert
from sqlalchemy.orm import DeclarativeBase, Session

from sandbox.normalization.allocations import as_text
from sandbox.normalization.config import COMPANIES, FUNDS
from sandbox.normalization.db import Company, Fund, Strategy, open_database
from sandbox.normalization.stages import CANONICAL

COMPANIES_PER_STRATEGY = 10
HISTORIC = {
    "pre-seed": ("Pre-Seed", "preseed", "pre_seed"),
    "seed": ("Seed", "SEED", " seed"),
    "series-a": ("Series A", "series_a", "seriesA"),
    "series-b": ("Series B", "SERIES  B", "series_b"),
    "series-c": ("Series C", "series_c", "Series-C"),
    "series-c+": ("Series C+", "seriesc+", "series_c+"),
}
"""Spellings that are recognised."""
UNKNOWN = ("Angel", "seriesc", "Growth", "serie b")
"""Spellings that are not; ``seriesc`` may be one of two."""
_START = datetime(2015, 3, 2, tzinfo=UTC)
_SECTORS = ("fintech", "health", "climate", "logistics", "education")
_FIRST = ("Aster", "Birch", "Cedar", "Dune", "Ember", "Fjord", "Grove", "Harbor")
_LAST = ("Analytics", "Bio", "Cloud", "Dynamics", "Energy", "Foods", "Grid")
_CHUNK = 5000


def seed(path: Path, companies: int = COMPANIES) -> None:
    """Make the database with so many companies, and a strategy for every ten of them."""
    engine = open_database(path)
    chance = random.Random("stage-normalization")
    _insert(engine, Fund, ({"id": number, "name": f"Fund {number}", "created_at": _at(0)} for number in _funds()))
    _insert(engine, Company, (_company(number, chance) for number in range(1, companies + 1)))
    strategies = range(1, companies // COMPANIES_PER_STRATEGY + 1)
    _insert(engine, Strategy, (_strategy(number, chance) for number in strategies))
    engine.dispose()


def _funds() -> range:
    return range(1, FUNDS + 1)


def _insert(engine: Engine, table: type[DeclarativeBase], rows: Iterator[dict[str, Any]]) -> None:
    with Session(engine) as session, session.begin():
        while chunk := list(islice(rows, _CHUNK)):
            session.execute(insert(table), chunk)


def _company(number: int, chance: random.Random) -> dict[str, Any]:
    return {
        "id": number,
        "fund_id": (number - 1) % FUNDS + 1,
        "name": f"{chance.choice(_FIRST)} {chance.choice(_LAST)} {number}",
        "stage": _spelling(chance),
        "sector": chance.choice(_SECTORS),
        "invested": chance.randrange(5, 500) * 10_000,
        "created_at": _at(number),
        "updated_at": _at(number),
    }


def _spelling(chance: random.Random) -> str:
    """Return a spelling: 70 % canonical, 28 % historic, 2 % unknown."""
    kind, stage = chance.random(), chance.choice(CANONICAL)
    if kind < 0.7:  # noqa: PLR2004 - the shares of the docstring
        return stage
    return chance.choice(HISTORIC[stage]) if kind < 0.98 else chance.choice(UNKNOWN)  # noqa: PLR2004


def _strategy(number: int, chance: random.Random) -> dict[str, Any]:
    low = chance.randrange(1, 20) * 100_000
    return {
        "id": number,
        "fund_id": (number - 1) % FUNDS + 1,
        "name": f"Strategy {number}",
        "model_type": chance.choice(("conservative", "balanced", "aggressive")),
        "check_min": low,
        "check_max": low * 4,
        "sector_allocation": as_text({"fintech": Decimal("0.5"), "health": Decimal("0.5")}),
        "stage_allocation": as_text(_allocation(chance)),
        "created_at": _at(number),
        "updated_at": _at(number),
    }


def _allocation(chance: random.Random) -> dict[str, Decimal]:
    """Return 1 to 3 spellings, now and then two of one stage; thirds are stored with six places."""
    spellings = list(dict.fromkeys(_spelling(chance) for _ in range(3)))
    share = (Decimal(1) / len(spellings)).quantize(Decimal("0.000001")).normalize()
    return dict.fromkeys(spellings, share)


def _at(number: int) -> str:
    moment = _START + timedelta(hours=number)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
