"""A small database of a test's own making, and what the migration leaves in it."""

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, insert, select
from sqlalchemy.orm import Session

from sandbox.normalization.db import Base, Company, Fund, StageAudit, StageQuarantine, Strategy, open_database, reading
from sandbox.normalization.migrate import main
from sandbox.normalization.migration.snapshot import take

AT = "2020-01-01T00:00:00.000Z"


def company(key: int, stage: str) -> dict[str, Any]:
    return {
        "id": key,
        "fund_id": 1,
        "name": f"Company {key}",
        "stage": stage,
        "sector": "health",
        "invested": 5,
        "created_at": AT,
        "updated_at": AT,
    }


def strategy(key: int, **shares: str) -> dict[str, Any]:
    return {
        "id": key,
        "fund_id": 1,
        "name": f"Strategy {key}",
        "model_type": "balanced",
        "check_min": 1,
        "check_max": 2,
        "sector_allocation": '{"x": "1"}',
        "stage_allocation": json.dumps(shares),
        "created_at": AT,
        "updated_at": AT,
    }


def make(path: Path, companies: list[str], strategies: list[dict[str, str]]) -> Engine:
    """Make a database with these stages, keys counting from 1."""
    engine = open_database(path)
    with Session(engine) as session, session.begin():
        session.execute(insert(Fund), [{"id": 1, "name": "Fund", "created_at": AT}])
        if companies:
            session.execute(insert(Company), [company(key, stage) for key, stage in enumerate(companies, 1)])
        if strategies:
            session.execute(insert(Strategy), [strategy(key, **shares) for key, shares in enumerate(strategies, 1)])
    return engine


def run(database: Path, *arguments: object) -> tuple[int, list[dict[str, Any]], str]:
    """Run the migration's command line and return its exit code, its answers and its complaint."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(["--database", str(database), *map(str, arguments)])
    return code, [json.loads(line) for line in out.getvalue().splitlines()], err.getvalue()


def plan(database: Path, *arguments: object) -> dict[str, Any]:
    code, (answer,), _ = run(database, "--plan", *arguments)
    assert code == 0
    return answer


def rows(engine: Engine, table: type[Base], *columns: str) -> list[tuple[Any, ...]]:
    """Return the rows of a table, in the order of their keys."""
    wanted = [getattr(table, name) for name in columns] or list(table.__table__.columns)
    with reading(engine) as connection:
        return [tuple(row) for row in connection.execute(select(*wanted).order_by(table.__table__.c.id))]


def stages(engine: Engine) -> list[str]:
    return [stage for (stage,) in rows(engine, Company, "stage")]


def allocations(engine: Engine) -> list[dict[str, str]]:
    return [json.loads(text) for (text,) in rows(engine, Strategy, "stage_allocation")]


def audit(engine: Engine) -> list[tuple[Any, ...]]:
    return rows(engine, StageAudit, "table_name", "row_id", "before", "after")


def quarantine(engine: Engine) -> list[tuple[Any, ...]]:
    return rows(engine, StageQuarantine, "table_name", "row_id", "value")


def data_digest(engine: Engine, folder: Path) -> str:
    """Return the digest of all rows of the tables that hold stages."""
    path = folder / "digest.snapshot"
    path.unlink(missing_ok=True)
    digest: str = take(engine, path)["sha256"]
    return digest
