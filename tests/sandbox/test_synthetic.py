"""A load is served like people, and is no part of their figures; what it pays is paid."""

from __future__ import annotations

import httpx
import pytest

from sandbox.prisma.config import FlagSetting
from tests.sandbox.conftest import Open

LOAD = {"x-rollout-synthetic": "load"}
PORTAL_ON = FlagSetting("PORTAL_PRISMA", "agents", value=True)


@pytest.fixture
def client(site: Open) -> httpx.Client:
    """Return the application with the portal on the new read path."""
    return site(flags=(PORTAL_ON,))


def counted(client: httpx.Client, name: str) -> dict[str, float]:
    """Return the series of a metric that are not 0, by their labels."""
    lines = client.get("/api/internal/metrics").text.splitlines()
    found = (line.removeprefix(name).rsplit(" ", 1) for line in lines if line.startswith(f"{name}{{"))
    return {labels: float(value) for labels, value in found if float(value)}


def test_load_reads_as_its_cohort_does_and_is_counted_apart(client: httpx.Client) -> None:
    assert client.get("/portal/1").headers["x-read-path"] == "facade"
    people = counted(client, "portal_response_duration_seconds_count")
    assert client.get("/portal/1", headers=LOAD).headers["x-read-path"] == "facade"
    assert counted(client, "portal_response_duration_seconds_count") == people
    assert counted(client, "prisma_query_duration_seconds_count") == {'{cohort="agents"}': 1, '{cohort="synthetic"}': 1}
    route = 'route="/portal/{agentId}"'
    assert counted(client, "http_requests_total") == {
        f'{{code="200",cohort="agents",{route}}}': 1,
        f'{{code="200",cohort="synthetic",{route}}}': 1,
    }


def test_payments_of_a_load_are_payments(client: httpx.Client) -> None:
    client.post("/api/payments", json={"agentId": 27, "amount": 1}, headers=LOAD).raise_for_status()
    assert counted(client, "financial_orchestrator_payments_total") == {'{status="success"}': 1}
