"""Every fault that is about money has its effect, and only its effect."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from tests.sandbox.conftest import Open

AGENT = 25
PAID, PARTLY, UNTOUCHED = 62, 61, 63
"""The agent's invoices by due date: of 100, 250 and 400."""
SETTLED = {PAID: ("PAID", 100), PARTLY: ("PARTIAL", 125), UNTOUCHED: ("UNPAID", 0)}
OPEN = {PAID: ("OVERDUE", 0), PARTLY: ("UNPAID", 0), UNTOUCHED: ("UNPAID", 0)}
NAME = "a-correlation-id"


def pay(client: httpx.Client, amount: int = 225, key: str = "") -> Any:
    order = {"agentId": AGENT, "amount": amount}
    return client.post("/api/payments", json=order, headers={"x-correlation-id": NAME, "idempotency-key": key})


def invoices(client: httpx.Client) -> dict[int, tuple[str, int]]:
    rows = [row for row in client.get("/api/invoices").json() if row["agentId"] == AGENT]
    return {row["id"]: (row["status"], row["metadata"]["settledAmount"]) for row in rows}


def payments(client: httpx.Client) -> list[int]:
    return [row["amount"] for row in client.get("/api/payments", params={"agentId": AGENT}).json()]


def audited(client: httpx.Client, **wanted: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = client.get("/api/audit", params=wanted).json()
    return [row for row in rows if row["actorUserId"] == "admin"]


def balances(client: httpx.Client) -> list[int]:
    return [row["payload"]["balance"] for row in audited(client) if row["action"] == "WALLET_TX_RECORDED"]


def counters(client: httpx.Client) -> tuple[float, ...]:
    """Return the payments that succeeded and failed, and the rollbacks."""
    lines = dict(line.rsplit(" ", 1) for line in client.get("/api/internal/metrics").text.splitlines())
    payments = (f'financial_orchestrator_payments_total{{status="{status}"}}' for status in ("success", "failure"))
    return tuple(float(lines[name]) for name in (*payments, "financial_orchestrator_rollbacks_total"))


def test_without_a_fault(client: httpx.Client) -> None:
    assert pay(client).status_code == 201
    assert (payments(client), invoices(client), balances(client)) == ([225], SETTLED, [225, 125, 0])
    assert len(audited(client, correlationId=NAME)) == len(audited(client)) == 6
    assert counters(client) == (1, 0, 0)


def test_payment_not_settled(site: "Open") -> None:
    client = site("payment-not-settled")
    assert pay(client).json()["settlement"] == {"settledCount": 0, "usedBalance": 0, "batchesProcessed": 0}
    assert (payments(client), invoices(client), balances(client)) == ([225], OPEN, [225])
    assert counters(client) == (1, 0, 0)


def test_double_settlement(site: "Open") -> None:
    client = site("double-settlement")
    assert pay(client).json()["settlement"] == {"settledCount": 2, "usedBalance": 225, "batchesProcessed": 1}
    assert invoices(client) == SETTLED | {PAID: ("PAID", 200), PARTLY: ("PAID", 250)}
    assert (payments(client), balances(client)) == ([225], [225, 125, 0, -100, -225])
    client.post("/api/payments/41/reversal")
    assert (invoices(client), balances(client)[-1]) == (OPEN, 0)


def test_wallet_off_by_one(site: "Open") -> None:
    client = site("wallet-off-by-one")
    assert pay(client).status_code == 201
    assert invoices(client) == SETTLED | {PARTLY: ("PARTIAL", 124)}
    assert (payments(client), balances(client)) == ([225], [224, 124, 0])


def test_audit_row_missing(site: "Open") -> None:
    client = site("audit-row-missing")
    assert pay(client).status_code == 201
    assert invoices(client) == SETTLED
    changes = [row["entityId"] for row in audited(client) if row["action"] == "INVOICE_STATUS_UPDATED"]
    assert (changes, len(audited(client))) == ([str(PAID)], 5)


def test_correlation_id_wrong(site: "Open") -> None:
    client = site("correlation-id-wrong")
    assert pay(client).headers["x-correlation-id"] == NAME
    assert invoices(client) == SETTLED
    strays = [row for row in audited(client) if row["correlationId"] != NAME]
    assert [row["entityType"] for row in strays] == ["Invoice", "Invoice"]
    assert len(audited(client, correlationId=NAME)) == 4


def test_failed_payment_shown_as_success(site: "Open", tmp_path: Path) -> None:
    client = site("failed-payment-shown-as-success")
    answer = pay(client)
    assert (answer.status_code, answer.json()["success"], answer.json()["paymentId"]) == (201, True, 41)
    page = client.post("/payments", data={"agentId": str(AGENT), "amount": "225"}).text
    assert '<li role="status" data-variant="default">' in page
    assert (payments(client), invoices(client), audited(client)) == ([], OPEN, [])
    assert counters(client) == (0, 2, 2)
    assert (tmp_path / "app.jsonl").read_text().count("withUnitOfWork.rollback") == 2


def test_counter_not_moved(site: "Open") -> None:
    client = site("counter-not-moved")
    assert pay(client).status_code == 201
    assert (payments(client), invoices(client)) == ([225], SETTLED)
    assert counters(client) == (0, 0, 0)


def test_rollback_without_trace(site: "Open", tmp_path: Path) -> None:
    client = site("rollback-without-trace")
    assert pay(client).status_code == 201
    assert (payments(client), invoices(client), audited(client)) == ([], OPEN, [])
    assert counters(client) == (1, 0, 0)
    assert "rollback" not in (tmp_path / "app.jsonl").read_text()


def test_portal_total_stale(site: "Open") -> None:
    client = site("portal-total-stale")
    first = client.get(f"/portal/{AGENT}").text
    pay(client)
    assert 'font-bold">225<' not in client.get(f"/portal/{AGENT}").text
    assert 'font-bold">525<' in client.get(f"/portal/{AGENT}").text, "only what was paid is stale"
    assert 'font-bold">750<' in first
    summary = next(row for row in client.get("/api/agent-summaries").json() if row["agentId"] == AGENT)
    assert summary["totalPaid"] == 225


def test_zero_payment_accepted(site: "Open") -> None:
    client = site("zero-payment-accepted")
    assert [pay(client, amount).status_code for amount in (0, -1)] == [201, 400]
    assert (payments(client), invoices(client)) == ([0], OPEN)


def test_idempotency_key_ignored(site: "Open") -> None:
    client = site("idempotency-key-ignored")
    answers = [pay(client, key="once").json()["paymentId"] for _ in range(2)]
    assert (answers, payments(client)) == ([41, 42], [225, 225])


def test_reversal_forgets_invoices(site: "Open") -> None:
    client = site("reversal-forgets-invoices")
    pay(client)
    assert client.post("/api/payments/41/reversal").json() == {"success": True, "paymentId": 42, "reversalOf": 41}
    assert (payments(client), invoices(client), balances(client)[-1]) == ([225, -225], SETTLED, -225)


@pytest.mark.parametrize(("value", "name"), [(True, "agent_id"), (False, "agentId")])
def test_audit_diverges(site: "Open", value: bool, name: str) -> None:
    client = site("audit-diverges")
    change = {"cohort": "admin", "value": value, "actor": "tester", "reason": "test"}
    bearer = {"Authorization": "Bearer a-token"}
    client.put("/admin/flags/FINANCIAL_ORCHESTRATOR", json=change, headers=bearer).raise_for_status()
    assert pay(client).headers["x-write-path"] == ("facade" if value else "legacy")
    assert audited(client)[0]["payload"] == {name: AGENT, "amount": 225}
    assert invoices(client) == SETTLED


def test_settlement_overload(site: "Open", monkeypatch: pytest.MonkeyPatch) -> None:
    client = site("settlement-overload")
    monkeypatch.setattr("sandbox.prisma.orchestrator.time", clock := Clock())
    assert [pay(client, 1).status_code for _ in range(7)] == [201] * 5 + [500] * 2
    assert (payments(client), balances(client)[-1], counters(client)) == ([1] * 5, 0, (5, 2, 2))
    clock.now += 1
    assert [pay(client, 1).status_code for _ in range(6)] == [201] * 5 + [500]


class Clock:
    """Time that passes when it is told to."""

    now = 0.0

    def monotonic(self) -> float:
        """Return the time."""
        return self.now
