"""The money of a synthetic payment, on made-up books: what has to come of it, and each way to differ from that."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from canaries.prisma.settlement import Account, Invoice, Payment, Settlement, Sums, Tally, UnusableError, last_balance

NAME = "synthetic-slot-1"
INVOICES = (
    Invoice("late", 250, 0, "UNPAID", "2025-08-15"),
    Invoice("early", 100, 0, "OVERDUE", "2025-06-20"),
    Invoice("last", 400, 0, "UNPAID", "2025-09-30"),
    Invoice("done", 30, 30, "PAID", "2025-01-01"),
    Invoice("draft", 5, 0, "DRAFT", "2025-01-01"),
)
BEFORE = Account("agent", INVOICES, (Payment("old", 80, "EXTERNAL", "REF-1", None),))
"""A wallet of 50, as in the example of the domain."""
PAYMENT = Payment("new", 120, "EXTERNAL", "synthetic slot-1", None)
AFTER = Account(
    "agent",
    (
        replace(INVOICES[0], settled=70, status="PARTIAL"),
        replace(INVOICES[1], settled=100, status="PAID"),
        *INVOICES[2:],
    ),
    (*BEFORE.payments, PAYMENT),
)
EXAMPLE = Settlement.of(BEFORE, 120)
TWIN = replace(PAYMENT, id="twin", amount=7)
PAYMENTS, MADE = "financial_orchestrator_payments_total", "payments were recorded: expected"
TALLY = Tally(success=10, failure=2, rollbacks=2, recorded=40, started=5.0)


def row(action: str, entity: str, **payload: Any) -> dict[str, Any]:
    kind, _, number = entity.partition(" ")
    return {"action": action, "entityType": kind, "entityId": number, "correlationId": NAME, "payload": payload}


ROWS = [
    row("PAYMENT_RECORDED", "Payment new", agentId="agent", amount=120),
    row("WALLET_TX_RECORDED", "WalletTransaction 1", amount=120, balance=170),
    row("WALLET_TX_RECORDED", "WalletTransaction 2", amount=-100, balance=70),
    row("INVOICE_STATUS_UPDATED", "Invoice early", **{"from": "OVERDUE", "to": "PAID", "settledAmount": 100}),
    row("WALLET_TX_RECORDED", "WalletTransaction 3", amount=-70, balance=0),
    row("INVOICE_STATUS_UPDATED", "Invoice late", **{"from": "UNPAID", "to": "PARTIAL", "settledAmount": 70}),
]
BACK = [
    row("PAYMENT_RECORDED", "Payment back", agentId="agent", amount=-120),
    row("WALLET_TX_RECORDED", "WalletTransaction 4", amount=70, balance=70),
    row("INVOICE_STATUS_UPDATED", "Invoice late", **{"from": "PARTIAL", "to": "UNPAID", "settledAmount": 0}),
    row("WALLET_TX_RECORDED", "WalletTransaction 5", amount=100, balance=170),
    row("INVOICE_STATUS_UPDATED", "Invoice early", **{"from": "PAID", "to": "OVERDUE", "settledAmount": 0}),
    row("WALLET_TX_RECORDED", "WalletTransaction 6", amount=-120, balance=50),
]
ANSWER = {
    "success": True,
    "paymentId": "new",
    "walletTransactionId": 1,
    "referenceId": "synthetic slot-1",
    "settlement": {"settledCount": 2, "usedBalance": 170, "batchesProcessed": 1},
}


def changed(rows: list[dict[str, Any]], number: int, **changes: Any) -> list[dict[str, Any]]:
    """Return the rows with one of them changed: keys of the row, or of its payload."""
    one = rows[number]
    payload = one["payload"] | {name: value for name, value in changes.items() if name not in one}
    own = {name: value for name, value in changes.items() if name in one}
    return [*rows[:number], one | {"payload": payload} | own, *rows[number + 1 :]]


def paid(*payments: Payment) -> Account:
    return replace(AFTER, payments=(*BEFORE.payments, *payments))


def test_example_of_the_domain() -> None:
    assert BEFORE.wallet == 50
    assert [after for _, after in EXAMPLE.shares] == [AFTER.invoices[1], AFTER.invoices[0]]
    assert (EXAMPLE.used, EXAMPLE.wallet) == (170, 0)
    assert AFTER.sums == Sums(billed=780, paid=200, balance=580, invoices=5)


def test_nothing_is_wrong_with_the_example() -> None:
    assert EXAMPLE.wrong_payment(AFTER, "synthetic slot-1") == []
    assert EXAMPLE.wrong_invoices(AFTER) == []
    assert EXAMPLE.wrong_audit("new", NAME, ROWS) == []
    assert EXAMPLE.wrong_answer(ANSWER, "synthetic slot-1", "new", ROWS) == []
    assert EXAMPLE.wrong_reversal_audit("back", NAME, BACK) == []
    assert last_balance(BACK) == 50


@pytest.mark.parametrize("change", [{"amount": 121}, {"method": "ADJUSTMENT"}, {"reference": ""}], ids=str)
def test_wrong_payment(change: dict[str, Any]) -> None:
    wrong = replace(PAYMENT, **change)
    (said,) = EXAMPLE.wrong_payment(paid(wrong), "synthetic slot-1")
    assert said == f"payment new: expected {PAYMENT}, found {wrong}"


def test_payment_in_words() -> None:
    assert str(PAYMENT) == "EXTERNAL of 120 with reference 'synthetic slot-1'"


@pytest.mark.parametrize(
    ("payments", "said"),
    [((), "none"), ((PAYMENT, TWIN), f"new: {PAYMENT}; twin: {TWIN}")],
    ids=["none", "two"],
)
def test_other_than_one_payment(payments: tuple[Payment, ...], said: str) -> None:
    assert EXAMPLE.wrong_payment(paid(*payments), None) == [f"payments recorded: expected one of 120, found {said}"]


@pytest.mark.parametrize(
    ("number", "change", "said"),
    [
        (0, {"settled": 71}, "late: expected PARTIAL with 70 of 250 settled, found PARTIAL with 71 of 250 settled"),
        (
            1,
            {"status": "PARTIAL"},
            "early: expected PAID with 100 of 100 settled, found PARTIAL with 100 of 100 settled",
        ),
        (2, {"settled": 1}, "last: expected UNPAID with 0 of 400 settled, found UNPAID with 1 of 400 settled"),
        (3, {"amount": 31}, "done: expected PAID with 30 of 30 settled, found PAID with 30 of 31 settled"),
        (4, {"id": "other"}, "draft: expected DRAFT with 0 of 5 settled, found none"),
    ],
)
def test_wrong_invoices(number: int, change: dict[str, Any], said: str) -> None:
    invoices = list(AFTER.invoices)
    invoices[number] = replace(invoices[number], **change)
    assert EXAMPLE.wrong_invoices(replace(AFTER, invoices=tuple(invoices))) == [f"invoice {said}"]


@pytest.mark.parametrize(
    ("rows", "missing", "extra"),
    [
        (ROWS[1:], "PAYMENT_RECORDED Payment new of 120", None),
        (ROWS[:2] + ROWS[3:], "WALLET_TX_RECORDED of -100 to a balance of 70", None),
        (ROWS[:5], "INVOICE_STATUS_UPDATED Invoice late UNPAID to PARTIAL, 70 settled", None),
        (changed(ROWS, 0, correlationId="another"), "PAYMENT_RECORDED Payment new of 120", None),
        ([*ROWS, ROWS[4]], None, "WALLET_TX_RECORDED of -70 to a balance of 0"),
        ([*ROWS, row("SETTING_UPDATED", "Setting 1")], None, "SETTING_UPDATED Setting 1"),
        (changed(ROWS, 0, amount=119), "PAYMENT_RECORDED Payment new of 120", "PAYMENT_RECORDED Payment new of 119"),
        (
            changed(ROWS, 0, entityId="old"),
            "PAYMENT_RECORDED Payment new of 120",
            "PAYMENT_RECORDED Payment old of 120",
        ),
        (
            changed(ROWS, 1, amount=119),
            "WALLET_TX_RECORDED of 120 to a balance of 170",
            "WALLET_TX_RECORDED of 119 to a balance of 170",
        ),
        (
            changed(ROWS, 1, balance=169),
            "WALLET_TX_RECORDED of 120 to a balance of 170",
            "WALLET_TX_RECORDED of 120 to a balance of 169",
        ),
        (
            changed(ROWS, 3, settledAmount=99),
            "INVOICE_STATUS_UPDATED Invoice early OVERDUE to PAID, 100 settled",
            "INVOICE_STATUS_UPDATED Invoice early OVERDUE to PAID, 99 settled",
        ),
        (
            changed(ROWS, 5, to="PAID"),
            "INVOICE_STATUS_UPDATED Invoice late UNPAID to PARTIAL, 70 settled",
            "INVOICE_STATUS_UPDATED Invoice late UNPAID to PAID, 70 settled",
        ),
    ],
)
def test_wrong_audit(rows: list[dict[str, Any]], missing: str | None, extra: str | None) -> None:
    assert EXAMPLE.wrong_audit("new", NAME, rows) == [
        *([f"audit under {NAME}: expected {missing}, not found"] if missing else []),
        *([f"audit under {NAME}: found {extra}, not expected"] if extra else []),
    ]


@pytest.mark.parametrize("lost", range(len(BACK)))
def test_wrong_audit_of_the_reversal(lost: int) -> None:
    (said,) = EXAMPLE.wrong_reversal_audit("back", NAME, BACK[:lost] + BACK[lost + 1 :])
    assert said.endswith(", not found")
    assert len(EXAMPLE.wrong_reversal_audit("back", NAME, changed(BACK, lost, correlationId="another"))) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"success": False}, "answer, success: expected True, found False"),
        ({"paymentId": "old"}, "answer, paymentId: expected new, found old"),
        ({"walletTransactionId": 2}, "answer, walletTransactionId: expected 1, found 2"),
        ({"referenceId": ""}, "answer, referenceId: expected synthetic slot-1, found "),
        (
            {"settlement": None},
            "answer, settlement: expected {'settledCount': 2, 'usedBalance': 170, 'batchesProcessed': 1}, found None",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_wrong_answer(change: dict[str, Any], said: str) -> None:
    assert EXAMPLE.wrong_answer(ANSWER | change, "synthetic slot-1", "new", ROWS) == [said]


@pytest.mark.parametrize("rise", [0, 3])
def test_counters_that_move_with_the_payments(rise: int) -> None:
    assert TALLY._replace(success=10 + rise, recorded=40 + rise).wrong(TALLY) == []


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (TALLY._replace(success=12, recorded=43), f'{PAYMENTS}{{status="success"}}, while 3 {MADE} +3, found +2'),
        (TALLY._replace(success=11), f'{PAYMENTS}{{status="success"}}, while 0 {MADE} +0, found +1'),
        (TALLY._replace(failure=3), f'{PAYMENTS}{{status="failure"}}, while 0 {MADE} +0, found +1'),
        (TALLY._replace(rollbacks=3), f"financial_orchestrator_rollbacks_total, while 0 {MADE} +0, found +1"),
    ],
    ids=["not-counted", "counted", "failure", "rollback"],
)
def test_wrong_counters(after: Tally, said: str) -> None:
    assert after.wrong(TALLY) == [said]


def test_counters_of_a_restarted_application_say_nothing() -> None:
    with pytest.raises(UnusableError) as caught:
        TALLY._replace(started=6.0).wrong(TALLY)
    assert str(caught.value) == "the application restarted meanwhile, and its counters with it; run the canary again"


@pytest.mark.parametrize("wallet", [0, 50, -20])
def test_two_invoices_are_settled_whatever_the_wallet_holds(wallet: int) -> None:
    before = Account("agent", INVOICES[:3], (Payment("old", wallet, "EXTERNAL", "REF-1", None),))
    plan = Settlement.of_two(before)
    states = [(after.id, after.status, after.settled) for _, after in plan.shares]
    assert states == [("early", "PAID", 100), ("late", "PARTIAL", 125)]
    assert (plan.amount, plan.wallet) == (225 - wallet, 0)


@pytest.mark.parametrize(
    ("invoices", "wallet", "rests"),
    [
        (INVOICES[:1], 0, [250]),
        ((), 0, []),
        ((INVOICES[1], replace(INVOICES[0], amount=1)), 0, [100, 1]),
        (INVOICES[:2], 225, [100, 250]),
    ],
    ids=["one", "none", "second-too-small", "wallet-pays"],
)
def test_books_that_no_payment_fits(invoices: tuple[Invoice, ...], wallet: int, rests: list[int]) -> None:
    before = Account("agent", invoices, (Payment("old", wallet, "EXTERNAL", "REF-1", None),))
    with pytest.raises(UnusableError) as caught:
        Settlement.of_two(before)
    assert str(caught.value) == (
        "agent agent needs two open invoices that the wallet cannot pay, the second of 2 or more; "
        f"found open invoices of {rests} and a wallet of {wallet}"
    )


def test_only_synthetic_payments_that_stand_are_taken_back() -> None:
    payments = (
        Payment(1, 120, "EXTERNAL", "synthetic a", None),
        Payment(2, -120, "ADJUSTMENT", "synthetic a", 1),
        Payment(3, 120, "EXTERNAL", "synthetic b", None),
        Payment(4, 120, "EXTERNAL", "", None),
        Payment(5, 120, "EXTERNAL", "REF-9", None),
        Payment(6, 0, "EXTERNAL", "synthetic c", None),
    )
    assert [one.id for one in Account("agent", (), payments).standing] == [3, 4]


def test_rows_of_the_api() -> None:
    common: dict[str, Any] = {"agentId": "agent", "status": "UNPAID", "dueDate": "2025-01-01"}
    invoices = [common | {"id": 1, "amount": 9, "metadata": {"settledAmount": 4}}, {"agentId": "another"}]
    payment: dict[str, Any] = {"id": 2, "agentId": "agent", "amount": 5, "method": "EXTERNAL", "reference": None}
    account = Account.of("agent", invoices, [payment, {"agentId": "another"}])
    assert account.invoices == (Invoice(1, 9, 4, "UNPAID", "2025-01-01"),)
    assert account.payments == (Payment(2, 5, "EXTERNAL", "", None),)


@pytest.mark.parametrize("metadata", [None, {}])
def test_invoice_that_hides_what_is_settled(metadata: dict[str, Any] | None) -> None:
    invoice = {"id": 1, "agentId": "a", "amount": 9, "status": "UNPAID", "dueDate": "", "metadata": metadata}
    with pytest.raises(UnusableError) as caught:
        Account.of("a", [invoice], [])
    assert str(caught.value) == "invoice 1 does not say how much of it is settled (metadata.settledAmount)"
