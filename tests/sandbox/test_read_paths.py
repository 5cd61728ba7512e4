"""The two read paths: chosen by cohort, different in code, equal in what they answer."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.prisma.db import open_database
from sandbox.prisma.facade import Distance, Facade
from sandbox.prisma.legacy import Legacy
from sandbox.prisma.metrics import Metrics
from sandbox.prisma.reads import Reads
from sandbox.prisma.seed import seed


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> tuple[Reads, Reads]:
    directory: Path = tmp_path_factory.mktemp("database")
    engine = open_database(directory)
    seed(engine)
    return Legacy(directory), Facade(engine, Metrics(), Distance(), "admin")


@pytest.mark.parametrize(
    ("question", "arguments"),
    [
        ("agents", {}),
        ("agent", {"agent_id": 3}),
        ("agent", {"agent_id": 999}),
        ("invoices", {}),
        ("payments", {}),
        ("payments", {"agent_id": 5}),
        ("payments", {"search": "seed-0007"}),
        ("payments", {"search": "farah"}),
        ("payments", {"search": "%"}),
        ("partners", {}),
        ("summaries", {}),
        ("dashboard", {}),
        ("portal", {"agent_id": 8}),
        ("portal", {"agent_id": 999}),
    ],
)
def test_both_paths_answer_the_same(paths: tuple[Reads, Reads], question: str, arguments: dict[str, Any]) -> None:
    legacy, facade = (getattr(path, question)(**arguments) for path in paths)
    assert legacy == facade


def test_seed_has_every_invoice_status(paths: tuple[Reads, Reads]) -> None:
    statuses = {row["status"] for row in paths[0].invoices()}
    assert statuses == {"DRAFT", "UNPAID", "PARTIAL", "PAID", "OVERDUE", "CANCELLED"}


@pytest.mark.parametrize(
    ("url", "cohort", "path"),
    [
        ("/", None, "facade"),
        ("/api/invoices", None, "facade"),
        ("/api/invoices", "staff", "legacy"),
        ("/portal/1", None, "legacy"),
    ],
)
def test_cohort_decides_the_path(unchanged: httpx.Client, url: str, cohort: str | None, path: str) -> None:
    response = unchanged.get(url, headers={"x-cohort": cohort} if cohort else {})
    assert (response.status_code, response.headers["x-read-path"]) == (200, path)


def test_a_request_through_the_facade_is_one_timed_read(client: httpx.Client) -> None:
    def reads() -> float:
        text = client.get("/api/internal/metrics").text
        line = 'prisma_query_duration_seconds_count{cohort="admin"}'
        return next(float(row.split()[-1]) for row in text.splitlines() if row.startswith(line))

    for url in ("/", "/agents", "/payments", "/agents/1", "/api/payments?agentId=2"):
        before = reads()
        client.get(url)
        assert reads() == before + 1, url


def test_distance_is_a_fixed_cycle_of_20_to_50_ms() -> None:
    near, far = Distance(), Distance(3)
    cycle = [near.seconds() for _ in range(31)]
    assert sorted(cycle) == pytest.approx([ms / 1000 for ms in range(20, 51)])
    slow = [far.seconds() for _ in range(31)]
    assert 0.3 < sum(seconds > 0.12 for seconds in slow) / len(slow) < 0.4


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (
            "agents",
            "id code name partnerId commissionRate status email phone telegramChatId avatarUrl createdAt updatedAt",
        ),
        (
            "invoices",
            """id agentId invoiceNumber amount currency issueDate dueDate status source batchId metadata
            createdAt updatedAt""",
        ),
        ("payments", "id agentId invoiceId amount method reference note reversalOf recordedAt createdAt"),
        (
            "agent-summaries",
            """agentId totalBilled totalPaid outstandingAmount draftCount unpaidCount overdueCount paidCount
            lastCalculatedAt""",
        ),
        ("sales-partners", "id name commissionRate createdAt"),
        ("audit", "id entityType entityId action actorUserId correlationId payload createdAt"),
    ],
)
def test_api_is_a_plain_array_with_these_fields(unchanged: httpx.Client, path: str, fields: str) -> None:
    rows = unchanged.get(f"/api/{path}").json()
    assert set(rows[0]) == set(fields.split())
