"""The companies of all funds as the API answers them: what a migration must not change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from canaries.stage_normalization.endpoints import STAGES, Ask
from canaries.stage_normalization.instances import Instance, UnusableError

FUNDS = range(1, 9)
FILTERS = (None, *STAGES, "Series A", "series_b")
"""Canonical stages, and spellings of them that were stored before the migration."""
_PAGE = 100
_MOST_PAGES = 200

Books = Mapping[tuple[int, str | None], tuple[tuple[Any, ...], ...]]
"""By fund and filter: id, name and stage of every company, in order."""


def books(instance: Instance) -> Books:
    """Return every company that every filter finds. Raises UnusableError if the API does not answer."""
    found = {(fund, stage): tuple(_companies(instance, fund, stage)) for fund in FUNDS for stage in FILTERS}
    if not any(found.values()):
        raise UnusableError(f"{instance.url} has no companies, so nothing can be compared")
    return found


def unlike(before: Books, after: Books) -> list[str]:
    """Return which answers are other than before."""
    return [
        f"fund {fund} with the filter {stage!r}: {len(companies)} companies before, {len(after[fund, stage])} after, "
        f"the first difference {_first(companies, after[fund, stage])}"
        for (fund, stage), companies in before.items()
        if companies != after[fund, stage]
    ]


def _first(before: tuple[Any, ...], after: tuple[Any, ...]) -> str:
    return str(min(set(before) ^ set(after), default="in their order", key=str))


def _companies(instance: Instance, fund: int, stage: str | None) -> Iterator[tuple[Any, ...]]:
    query = {"limit": str(_PAGE)} | ({} if stage is None else {"stage": stage})
    for _ in range(_MOST_PAGES):
        answer = instance.send(Ask("GET", f"/api/funds/{fund}/companies", query))
        if answer.status != 200:
            raise UnusableError(f"{instance.url}: companies of fund {fund}, filter {stage!r}: {answer}")
        yield from ((one["id"], one["name"], one["stage"]) for one in answer.body["data"])
        cursor = answer.body["nextCursor"]
        if cursor is None:
            return
        query["cursor"] = cursor
    raise UnusableError(f"{instance.url}: the companies of fund {fund} do not end after {_MOST_PAGES} pages")
