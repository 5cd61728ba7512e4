"""The columns that hold stages, and what becomes of one stored text."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, cast

from sqlalchemy import Connection, Table, func, select

from sandbox.normalization.allocations import as_text, from_text
from sandbox.normalization.db import Company, Strategy
from sandbox.normalization.migration.steps import Steps


class Stored(NamedTuple):
    """A row's key and the text in its stage column."""

    id: int
    text: str


@dataclass(frozen=True)
class Renamed:
    """The text with every stage renamed that is recognised; ``renames`` as (old, new), and the unknown stages."""

    text: str
    renames: tuple[tuple[str, str], ...] = ()
    unknown: tuple[str, ...] = ()


def one_stage(text: str, steps: Steps) -> Renamed:
    """Rename a text that is a stage."""
    stage = steps.rename(text)
    if stage is None:
        return Renamed(text, unknown=(text,))
    return Renamed(stage, ((text, stage),) if stage != text else ())


def allocation(text: str, steps: Steps) -> Renamed:
    """Rename the stages of a stored allocation; shares that fall on one stage are added."""
    shares = from_text(text)
    found = {name: steps.rename(name) for name in shares}
    renames = tuple((name, stage) for name, stage in found.items() if stage and stage != name)
    unknown = tuple(name for name, stage in found.items() if stage is None)
    # A text without anything to rename stays as it is, byte for byte.
    renamed = steps.merge((found[name] or name, share) for name, share in shares.items())
    return Renamed(as_text(renamed) if renames else text, renames, unknown)


@dataclass(frozen=True)
class StageColumn:
    """A column that holds stages."""

    table: Table
    name: str
    rename: Callable[[str, Steps], Renamed]

    def read(self, connection: Connection, *, after: int, upto: int, most: int) -> list[Stored]:
        """Return rows in the order of their keys, from above ``after`` up to and with ``upto``."""
        key = self.table.c.id
        wanted = select(key, self.table.c[self.name]).where(key > after, key <= upto).order_by(key).limit(most)
        return [Stored(*row) for row in connection.execute(wanted)]

    def highest(self, connection: Connection) -> int:
        """Return the highest key, 0 without rows."""
        return connection.scalar(select(func.max(self.table.c.id))) or 0


COLUMNS = (
    StageColumn(cast("Table", Company.__table__), "stage", one_stage),
    StageColumn(cast("Table", Strategy.__table__), "stageAllocation", allocation),
)
