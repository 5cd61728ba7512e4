"""Payments: the books are exact, a failure leaves no trace, and what is refused counts nothing."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

AGENT = 1
REFUSED: tuple[dict[str, Any], ...] = (
    {"amount": 0},
    {"amount": -5},
    {"amount": 1.5},
    {"amount": "7"},
    {"amount": True},
    {"agentId": 999},
    {"method": "CASH"},
)


@pytest.fixture
def books(client: httpx.Client, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """The database of the application: the example's agent has a wallet of 50 and invoices of 100 and 250."""
    client.get("/healthz").raise_for_status()
    with closing(sqlite3.connect(tmp_path / "prisma.db", isolation_level=None, timeout=5)) as connection:
        connection.execute("UPDATE invoices SET status = 'CANCELLED' WHERE agentId = ?", [AGENT])
        connection.execute("UPDATE wallets SET balance = 50 WHERE agentId = ?", [AGENT])
        first = connection.execute("SELECT min(id), max(id) FROM invoices WHERE agentId = ?", [AGENT]).fetchone()
        for invoice, amount, due in zip(first, (100, 250), ("2025-01-01", "2025-02-01"), strict=True):
            connection.execute(
                "UPDATE invoices SET status = 'UNPAID', amount = ?, settledAmount = 0, dueDate = ? WHERE id = ?",
                [amount, due, invoice],
            )
        yield connection


def pay(client: httpx.Client, **order: Any) -> Any:
    return client.post("/api/payments", json={"agentId": AGENT, "amount": 120, "reference": "REF-1"} | order)


def counters(client: httpx.Client) -> dict[str, float]:
    text = client.get("/api/internal/metrics").text
    lines = [line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("financial_orchestrator_")]
    return {name: float(value) for name, value in lines}


def dump(books: sqlite3.Connection) -> list[str]:
    return list(books.iterdump())


def test_example_settles_by_due_date(client: httpx.Client, books: sqlite3.Connection) -> None:
    result = pay(client)
    assert result.status_code == 201
    assert result.json()["success"] is True
    assert result.json()["referenceId"] == "REF-1"
    assert result.json()["settlement"] == {"settledCount": 2, "usedBalance": 170, "batchesProcessed": 1}
    rows = books.execute(
        "SELECT status, settledAmount FROM invoices WHERE agentId = ? AND status != 'CANCELLED' ORDER BY dueDate",
        [AGENT],
    ).fetchall()
    assert rows == [("PAID", 100), ("PARTIAL", 70)]
    assert books.execute("SELECT balance FROM wallets WHERE agentId = ?", [AGENT]).fetchone() == (0,)


@pytest.mark.usefixtures("books")
def test_one_payment_leaves_six_audit_rows_with_one_correlation_id(client: httpx.Client) -> None:
    correlation_id = pay(client).headers["x-correlation-id"]
    rows = client.get("/api/audit", params={"correlationId": correlation_id}).json()
    assert sorted(row["action"] for row in rows) == [
        "INVOICE_STATUS_UPDATED",
        "INVOICE_STATUS_UPDATED",
        "PAYMENT_RECORDED",
        "WALLET_TX_RECORDED",
        "WALLET_TX_RECORDED",
        "WALLET_TX_RECORDED",
    ]
    assert {row["correlationId"] for row in rows} == {correlation_id}


def test_settlement_goes_on_in_batches_of_ten(client: httpx.Client, books: sqlite3.Connection) -> None:
    books.execute("UPDATE invoices SET agentId = ?, status = 'UNPAID', amount = 10, settledAmount = 0", [AGENT])
    books.execute("UPDATE wallets SET balance = 0")
    result = pay(client, amount=255).json()
    assert result["settlement"] == {"settledCount": 26, "usedBalance": 255, "batchesProcessed": 3}


def test_failure_rolls_everything_back(client: httpx.Client, books: sqlite3.Connection, tmp_path: Path) -> None:
    books.execute("CREATE TRIGGER broken BEFORE UPDATE ON invoices BEGIN SELECT RAISE(ABORT, 'the disk is full'); END")
    before, counted = dump(books), counters(client)
    result = pay(client)
    assert result.status_code == 500
    assert result.json() == {"success": False, "message": "the payment failed and was rolled back"}
    assert dump(books) == before
    assert {name: value - counted[name] for name, value in counters(client).items() if value != counted[name]} == {
        'financial_orchestrator_payments_total{status="failure"}': 1,
        "financial_orchestrator_rollbacks_total": 1,
    }
    log = [json.loads(line) for line in (tmp_path / "app.jsonl").read_text().splitlines()]
    assert [line["message"] for line in log] == [
        "payment.start",
        "withUnitOfWork.start",
        "withUnitOfWork.rollback",
        "payment.compensation.start",
    ]
    assert log[2]["level"] == "ERROR"
    assert log[2]["flagState"]["persistencePrismaReads"] is True
    assert len({line["correlationId"] for line in log}) == 1


def test_refused_payment_changes_and_counts_nothing(client: httpx.Client, books: sqlite3.Connection) -> None:
    before, counted = dump(books), counters(client)
    for order in REFUSED:
        result = pay(client, **order)
        assert (result.status_code, result.json()["success"]) == (400, False), order
    assert (dump(books), counters(client)) == (before, counted)


def test_both_outcomes_are_counted_from_zero(client: httpx.Client) -> None:
    assert counters(client) == {
        'financial_orchestrator_payments_total{status="success"}': 0,
        'financial_orchestrator_payments_total{status="failure"}': 0,
        "financial_orchestrator_rollbacks_total": 0,
    }


def test_money_is_neither_made_nor_lost(client: httpx.Client, tmp_path: Path) -> None:
    for turn in range(8):
        assert pay(client, agentId=turn % 3 + 1, amount=400_000 + turn).status_code == 201
    with closing(sqlite3.connect(tmp_path / "prisma.db")) as books:
        paid, wallets, settled, moved = (
            books.execute(query).fetchone()[0]
            for query in (
                "SELECT SUM(amount) FROM payments",
                "SELECT SUM(balance) FROM wallets",
                "SELECT SUM(settledAmount) FROM invoices",
                "SELECT SUM(amount) FROM wallet_transactions",
            )
        )
    assert paid == wallets + settled
    assert moved == wallets


def test_wallet_version_grows_with_every_payment(client: httpx.Client, books: sqlite3.Connection) -> None:
    def version() -> int:
        return int(books.execute("SELECT version FROM wallets WHERE agentId = ?", [AGENT]).fetchone()[0])

    before = version()
    pay(client)
    assert version() > before
