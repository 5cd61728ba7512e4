"""What one payment does to the books, and how it is taken back, inside a transaction that somebody else owns."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from sandbox.prisma.clock import rfc3339
from sandbox.prisma.db import OPEN_STATUSES, UNPAID_STATUSES, AuditEntry, Invoice, Payment, Wallet, WalletTransaction

BATCH = 10
"""Open invoices settled per batch."""


@dataclass(frozen=True)
class PaymentOrder:
    """A payment to be made; ``amount`` in whole units of the currency, greater than 0 unless it is a reversal."""

    agent_id: int
    amount: int
    method: str = "EXTERNAL"
    reference: str = ""
    note: str | None = None
    recorded_at: str | None = None
    reversal_of: int | None = None


@dataclass(frozen=True)
class Settlement:
    """How the money was used: invoices that received some, the sum, and the batches it took."""

    settled_count: int
    used_balance: int
    batches_processed: int


@dataclass
class UnitOfWork:
    """A session with the actor and the correlation id that every audit row written in it carries.

    ``path`` is ``facade`` with the financial orchestrator on, else ``legacy``.
    """

    session: Session
    actor: str
    correlation_id: str
    at: datetime
    path: str = "legacy"
    faults: frozenset[str] = frozenset()
    audited: int = field(default=0, init=False)

    @property
    def stamp(self) -> str:
        """The time of the unit of work."""
        return rfc3339(self.at)

    def audit(self, entity: str, entity_id: object, action: str, payload: dict[str, Any]) -> None:
        """Add one audit row."""
        astray = self.has("correlation-id-wrong") and entity == "Invoice"
        self.audited += 1
        self.session.add(
            AuditEntry(
                entity_type=entity,
                entity_id=str(entity_id),
                action=action,
                actor_user_id=self.actor,
                correlation_id=str(uuid4()) if astray else self.correlation_id,
                payload=json.dumps(payload),
                created_at=self.stamp,
            )
        )

    def has(self, fault: str) -> bool:
        """Return whether the fault is switched on."""
        return fault in self.faults


def record(work: UnitOfWork, order: PaymentOrder) -> tuple[Payment, WalletTransaction, Settlement]:
    """Record the payment, deposit it in the agent's wallet and settle the agent's open invoices."""
    payment = _record_payment(work, order)
    wallet = work.session.get_one(Wallet, order.agent_id)
    deposit = _move(work, payment, order.amount)
    settled, batches = [], 0
    for batch in () if work.has("payment-not-settled") else _open_invoices(work.session, wallet):
        batches += 1
        settled += [(invoice, _settle(work, wallet, payment, invoice)) for invoice in batch]
    for invoice, used in settled if work.has("double-settlement") else ():
        _book(work, payment, invoice, used)
    payment.invoice_id = settled[0][0].id if settled else None
    return payment, deposit, Settlement(len(settled), sum(used for _, used in settled), batches)


def reverse(work: UnitOfWork, payment: Payment) -> Payment:
    """Take a payment back by an ADJUSTMENT of the opposite amount, and return that.

    Everything moves the other way in the opposite order, so wallet and invoices are as they were.
    """
    order = PaymentOrder(
        agent_id=payment.agent_id,
        amount=-payment.amount,
        method="ADJUSTMENT",
        reference=payment.reference,
        note=f"reversal of payment {payment.id}",
        reversal_of=payment.id,
    )
    reversal = _record_payment(work, order)
    for movement in _movements(work, payment):
        if movement.invoice_id is None:
            _move(work, reversal, -movement.amount)
        elif not work.has("reversal-forgets-invoices"):
            _reopen(work, reversal, movement)
    return reversal


def _record_payment(work: UnitOfWork, order: PaymentOrder) -> Payment:
    # The first statement writes, so the transaction holds the database's write lock from here on.
    payment = Payment(
        agent_id=order.agent_id,
        amount=order.amount,
        method=order.method,
        reference=order.reference,
        note=order.note,
        reversal_of=order.reversal_of,
        recorded_at=order.recorded_at or work.stamp,
        created_at=work.stamp,
    )
    work.session.add(payment)
    work.session.flush()
    agent = "agent_id" if work.has("audit-diverges") and work.path == "facade" else "agentId"
    work.audit("Payment", payment.id, "PAYMENT_RECORDED", {agent: order.agent_id, "amount": order.amount})
    return payment


def _move(work: UnitOfWork, payment: Payment, amount: int, invoice: Invoice | None = None) -> WalletTransaction:
    """Move money into (positive) or out of the agent's wallet, linked to its payment and invoice."""
    wallet = work.session.get_one(Wallet, payment.agent_id)
    short = work.has("wallet-off-by-one") and invoice is None and amount > 0
    wallet.balance += amount - short
    movement = WalletTransaction(
        agent_id=wallet.agent_id,
        payment_id=payment.id,
        invoice_id=invoice.id if invoice else None,
        kind="SETTLEMENT" if invoice else "DEPOSIT",
        amount=amount,
        status_before=invoice.status if invoice else None,
        created_at=work.stamp,
    )
    work.session.add(movement)
    work.session.flush()
    work.audit("WalletTransaction", movement.id, "WALLET_TX_RECORDED", {"amount": amount, "balance": wallet.balance})
    return movement


def _movements(work: UnitOfWork, payment: Payment) -> Sequence[WalletTransaction]:
    """Return what the payment moved, the latest first."""
    mine = select(WalletTransaction).where(WalletTransaction.payment_id == payment.id)
    return work.session.scalars(mine.order_by(WalletTransaction.id.desc())).all()


def _open_invoices(session: Session, wallet: Wallet) -> Iterator[list[Invoice]]:
    """Yield batches of the agent's open invoices by due date, as long as the wallet holds money."""
    query = (
        select(Invoice)
        .where(Invoice.agent_id == wallet.agent_id, Invoice.status.in_(OPEN_STATUSES))
        .order_by(Invoice.due_date, Invoice.id)
        .limit(BATCH)
    )
    while wallet.balance > 0 and (found := session.scalars(query).all()):
        yield _affordable(list(found), wallet.balance)


def _affordable(invoices: list[Invoice], balance: int) -> list[Invoice]:
    """Return the invoices, in order, that the balance reaches at least in part."""
    reached = []
    for invoice in invoices:
        if balance <= 0:
            break
        reached.append(invoice)
        balance -= invoice.amount - invoice.settled
    return reached


def _settle(work: UnitOfWork, wallet: Wallet, payment: Payment, invoice: Invoice) -> int:
    """Pay the invoice from the wallet as far as the balance goes and return the amount used."""
    used = min(wallet.balance, invoice.amount - invoice.settled)
    _book(work, payment, invoice, used)
    return used


def _reopen(work: UnitOfWork, reversal: Payment, movement: WalletTransaction) -> None:
    """Take a settlement back; the invoice keeps what other payments paid."""
    invoice = work.session.get_one(Invoice, movement.invoice_id)
    _book(work, reversal, invoice, movement.amount, _unpaid_status(work.session, invoice))


def _unpaid_status(session: Session, invoice: Invoice) -> str | None:
    """Return what the invoice last was without any money: not what it was before a payment that was not the first."""
    found = select(WalletTransaction.status_before).where(
        WalletTransaction.invoice_id == invoice.id, WalletTransaction.status_before.in_(UNPAID_STATUSES)
    )
    return session.scalar(found.order_by(WalletTransaction.id.desc()).limit(1))


def _book(work: UnitOfWork, payment: Payment, invoice: Invoice, used: int, unpaid: str | None = None) -> None:
    """Move money from the wallet to the invoice, or back if negative; ``unpaid`` is the status without any."""
    before = invoice.status
    _move(work, payment, -used, invoice)
    invoice.settled += used
    paid = "PAID" if invoice.settled >= invoice.amount else "PARTIAL"
    invoice.status = unpaid if unpaid and not invoice.settled else paid
    invoice.updated_at = work.stamp
    if invoice.status == "PARTIAL" and work.has("audit-row-missing"):
        return
    change = {"from": before, "to": invoice.status, "settledAmount": invoice.settled}
    work.audit("Invoice", invoice.id, "INVOICE_STATUS_UPDATED", change)
