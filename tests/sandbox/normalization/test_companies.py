"""Companies: filters, historic spellings, pages."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from sandbox.normalization.db import open_database, writing
from sandbox.normalization.seed import HISTORIC
from sandbox.normalization.stages import CANONICAL
from tests.sandbox.normalization.asking import companies
from tests.sandbox.normalization.conftest import COMPANIES, MODES

FUNDS = 8


def pages(client: httpx.Client, mode: str, query: str, limit: int) -> Iterator[dict[str, object]]:
    """Follow the cursors; at most one page per company."""
    cursor = ""
    for _ in range(COMPANIES):
        page = companies(client, mode, f"{query}&limit={limit}{cursor}").json()
        yield page
        if page["nextCursor"] is None:
            return
        cursor = f"&cursor={page['nextCursor']}"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("limit", [1, 7, 100])
def test_pages_hold_every_company_once_in_order(unchanged: httpx.Client, mode: str, limit: int) -> None:
    for query in ("", "stage=seed"):
        found = list(pages(unchanged, mode, query, limit))
        ids = [row["id"] for page in found for row in page["data"]]  # type: ignore[attr-defined]
        assert ids == sorted(set(ids))
        assert {page["total"] for page in found} == {len(ids)}


def test_stages_divide_the_companies(unchanged: httpx.Client) -> None:
    everything = companies(unchanged, "off", "limit=100").json()
    assert everything["total"] == COMPANIES / FUNDS
    by_stage = [
        companies(unchanged, "off", f"stage={stage}".replace("+", "%2B")).json()["total"] for stage in CANONICAL
    ]
    unknown = [row for row in everything["data"] if row["stage"] not in CANONICAL]
    assert sum(by_stage) + len(unknown) == everything["total"]
    assert all(by_stage)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("stage", ["series-a", "series-c+"])
def test_every_spelling_finds_the_same_companies(unchanged: httpx.Client, mode: str, stage: str) -> None:
    answers = []
    for spelling in (stage, *HISTORIC[stage]):
        page = companies(unchanged, mode, str(httpx.QueryParams({"stage": spelling}))).json()
        assert {row["stage"] for row in page["data"]} == {stage}
        answers.append((page["data"], page["total"], page["nextCursor"]))
    assert all(answer == answers[0] for answer in answers)


def test_unknown_stage_finds_what_is_stored_under_the_same_text(unchanged: httpx.Client) -> None:
    assert companies(unchanged, "off", "stage=nothing-like-it").json()["data"] == []
    odd = next(row for fund in range(1, FUNDS + 1) for row in _unknown(unchanged, fund))
    found = companies(unchanged, "warn", f"stage={odd['stage'].upper()}", fund=odd["fundId"]).json()["data"]
    assert odd in found


def _unknown(client: httpx.Client, fund: int) -> list[dict[str, str]]:
    rows = companies(client, "off", "limit=100", fund=fund).json()["data"]
    return [row for row in rows if row["stage"] not in CANONICAL]


def test_plus_has_to_be_encoded(unchanged: httpx.Client) -> None:
    encoded, plain, other = (
        companies(unchanged, "warn", f"stage={text}").json() for text in ("series-c%2B", "series-c+", "series-c")
    )
    assert (encoded["stage"], plain["stage"]) == ("series-c+", "series-c")
    assert plain == other
    assert companies(unchanged, "off", "stage=series-c+").json()["stage"] == "series-c "


def test_cursor_is_bound_to_its_filter(unchanged: httpx.Client) -> None:
    cursor = companies(unchanged, "off", "stage=seed&limit=1").json()["nextCursor"]
    assert companies(unchanged, "off", f"stage=SEED&limit=1&cursor={cursor}").status_code == 200
    answer = companies(unchanged, "off", f"stage=series-a&limit=1&cursor={cursor}")
    assert (answer.status_code, answer.json()["details"]["code"]) == (400, "BAD_CURSOR")


def test_without_a_stage_nothing_is_said_about_stages(unchanged: httpx.Client) -> None:
    answers = [companies(unchanged, mode, "").json() for mode in MODES]
    assert answers[0]["stage"] is None
    assert all(answer == answers[0] for answer in answers)


def test_renamed_rows_are_answered_as_before(client: httpx.Client, database: Path) -> None:
    asked = [f"stage={text}" for text in ("series-a", "Series%20A", "series_a", "foo")]
    before = [companies(client, mode, query).json() for mode in ("off", "warn") for query in asked]
    with writing(open_database(database)) as connection:
        connection.exec_driver_sql(
            "UPDATE companies SET stage = 'series-a' WHERE stage IN ('Series A', 'series_a', 'seriesA')"
        )
    assert [companies(client, mode, query).json() for mode in ("off", "warn") for query in asked] == before
