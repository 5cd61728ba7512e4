"""A payment is taken back wholly, once, and counted as nothing; a repeated request is the same payment."""

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

AGENT = 25
KEY = {"Idempotency-Key": "slot-1"}
BOOKS = (
    "SELECT id, status, settledAmount FROM invoices ORDER BY id",
    "SELECT agentId, balance FROM wallets ORDER BY agentId",
    "SELECT SUM(amount) FROM payments",
)


@pytest.fixture
def books(client: httpx.Client, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """The database of the application."""
    client.get("/healthz").raise_for_status()
    with closing(sqlite3.connect(tmp_path / "prisma.db", isolation_level=None, timeout=5)) as connection:
        yield connection


def pay(client: httpx.Client, amount: int = 225, headers: dict[str, str] | None = None, **order: Any) -> httpx.Response:
    return client.post("/api/payments", json={"agentId": AGENT, "amount": amount, **order}, headers=headers)


def reverse(client: httpx.Client, payment: int, name: str = "back") -> httpx.Response:
    return client.post(f"/api/payments/{payment}/reversal", headers={"x-correlation-id": name})


def state(books: sqlite3.Connection) -> list[Any]:
    return [books.execute(query).fetchall() for query in BOOKS]


def counted(client: httpx.Client) -> list[str]:
    lines = client.get("/api/internal/metrics").text.splitlines()
    return [line for line in lines if line.startswith("financial_orchestrator_")]


def test_reversal_puts_everything_back(client: httpx.Client, books: sqlite3.Connection) -> None:
    before = state(books)
    payment = pay(client, reference="REF-1").json()["paymentId"]
    counters = counted(client)
    assert state(books) != before

    answer = reverse(client, payment)

    assert (answer.status_code, answer.headers["x-correlation-id"]) == (201, "back")
    reversal = answer.json()["paymentId"]
    assert answer.json() == {"success": True, "paymentId": reversal, "reversalOf": payment}
    assert (state(books), counted(client)) == (before, counters)
    (row,) = (row for row in client.get("/api/payments").json() if row["id"] == reversal)
    shown = {name: row[name] for name in ("amount", "method", "reference", "note", "reversalOf")}
    note = f"reversal of payment {payment}"
    assert shown == {
        "amount": -225,
        "method": "ADJUSTMENT",
        "reference": "REF-1",
        "note": note,
        "reversalOf": payment,
    }


def test_reversal_is_audited_under_its_own_correlation_id(client: httpx.Client) -> None:
    payment = pay(client, headers={"x-correlation-id": "there"}).json()["paymentId"]
    reverse(client, payment)
    there, back = (client.get("/api/audit", params={"correlationId": name}).json() for name in ("there", "back"))
    assert sorted(row["action"] for row in back) == sorted(row["action"] for row in there)
    moves = [row["payload"] for row in back if row["action"] == "WALLET_TX_RECORDED"]
    assert moves == [
        {"amount": 125, "balance": 125},
        {"amount": 100, "balance": 225},
        {"amount": -225, "balance": 0},
    ]
    changes = [row["payload"] for row in back if row["action"] == "INVOICE_STATUS_UPDATED"]
    assert changes == [
        {"from": "PARTIAL", "to": "UNPAID", "settledAmount": 0},
        {"from": "PAID", "to": "OVERDUE", "settledAmount": 0},
    ]


def test_reversal_is_made_once(client: httpx.Client, books: sqlite3.Connection) -> None:
    before = state(books)
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            payment = pay(client).json()["paymentId"]
            answers = list(pool.map(lambda _, payment=payment: reverse(client, payment), range(8)))
            assert len({answer.text for answer in answers}) == 1
    assert state(books) == before


def test_invoice_keeps_what_other_payments_paid(client: httpx.Client, books: sqlite3.Connection) -> None:
    first = pay(client, 60).json()["paymentId"]
    pay(client, 30)
    reverse(client, first)
    kept = books.execute("SELECT status, settledAmount FROM invoices WHERE id = 62").fetchone()
    assert kept == ("PARTIAL", 30)


def test_invoice_is_as_it_was_whoever_of_its_payers_goes_first(client: httpx.Client, books: sqlite3.Connection) -> None:
    before = state(books)
    payments = [pay(client, 10).json()["paymentId"] for _ in range(3)]
    for payment in payments:  # the first to pay is the first to take it back
        reverse(client, payment)
    assert state(books) == before


@pytest.mark.parametrize("payment", [0, 99_999])
def test_unknown_payment_is_not_found(client: httpx.Client, payment: int) -> None:
    answer = reverse(client, payment)
    assert (answer.status_code, answer.json()) == (404, {"success": False, "message": f"unknown payment {payment}"})


def test_reversal_of_a_reversal_is_refused(client: httpx.Client) -> None:
    payment = pay(client).json()["paymentId"]
    reversal = reverse(client, payment).json()["paymentId"]
    answer = reverse(client, reversal)
    assert answer.status_code == 409
    assert answer.json()["message"] == f"payment {reversal} is the reversal of payment {payment}"


def test_repeated_request_is_the_same_payment(client: httpx.Client) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: pay(client, headers=KEY), range(8)))
    assert {(answer.status_code, answer.text) for answer in answers} == {(201, answers[0].text)}
    assert len(client.get("/api/payments", params={"agentId": AGENT}).json()) == 1
    assert 'financial_orchestrator_payments_total{status="success"} 1.0' in counted(client)


def test_repeated_form_is_the_same_payment(client: httpx.Client) -> None:
    for _ in range(2):
        page = client.post("/payments", data={"agentId": str(AGENT), "amount": "225"}, headers=KEY)
        assert 'data-variant="default"' in page.text
        assert page.headers["x-write-path"] == "legacy"
    assert len(client.get("/api/payments", params={"agentId": AGENT}).json()) == 1


def test_key_of_another_payment_is_refused(client: httpx.Client) -> None:
    pay(client, headers=KEY)
    answer = pay(client, 226, headers=KEY)
    assert answer.status_code == 409
    assert answer.json()["message"] == "the Idempotency-Key 'slot-1' was used for another payment"


def test_key_of_a_payment_that_failed_is_free(client: httpx.Client, books: sqlite3.Connection) -> None:
    books.execute("CREATE TRIGGER broken BEFORE UPDATE ON invoices BEGIN SELECT RAISE(ABORT, 'the disk is full'); END")
    assert pay(client, headers=KEY).status_code == 500
    books.execute("DROP TRIGGER broken")
    assert pay(client, headers=KEY).status_code == 201


def test_log_lines_of_a_payment_carry_its_trace(client: httpx.Client, tmp_path: Path) -> None:
    pay(client, headers={"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"})
    assert '"traceId": "' + "ab" * 16 in (tmp_path / "app.jsonl").read_text()
