"""The tables of the evidence log."""

from __future__ import annotations

import sqlalchemy as sa

TABLES = sa.MetaData()
PLACE = ("rollout", "environment", "target")


def _stream() -> list[sa.Column[str]]:
    """Return columns for what makes a stream; no two tables can share them."""
    return [sa.Column(name, sa.Text, nullable=False) for name in ("kind", *PLACE, "subject")]


VERSION = sa.Table("schema_version", TABLES, sa.Column("version", sa.Integer, nullable=False))
"""One row."""

HEAD = sa.Table(
    "head",
    TABLES,
    sa.Column("count", sa.BigInteger, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
)
"""One row: how many records there are, and the hash of the last one. Whoever appends holds it."""

STREAMS = sa.Table(
    "streams",
    TABLES,
    sa.Column("id", sa.Integer, primary_key=True),
    *_stream(),
    sa.Column("count", sa.BigInteger, nullable=False),
    sa.Column("peak", sa.Double, nullable=False),
    sa.UniqueConstraint("kind", *PLACE, "subject"),
)
"""One row for each kind, place and subject: how many records it has, and their latest time."""

RECORDS = sa.Table(
    "records",
    TABLES,
    sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
    sa.Column("prev", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
    *_stream(),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("key", sa.Text, unique=True),
    sa.Column("data", sa.Text, nullable=False),
    sa.Column("nth", sa.BigInteger, nullable=False),
    sa.Column("peak", sa.Double, nullable=False),
    sa.Column("stream", sa.Integer, nullable=False),
    sa.Index("records_of_stream", "stream", "peak", "nth", unique=True),
)
"""The columns of ``Stored`` in their order, and the row in ``streams``. Rows are added, never changed."""

LEASES = sa.Table(
    "leases",
    TABLES,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("token", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.Double, nullable=False),
)
"""No evidence: who may act now. Rows change."""
