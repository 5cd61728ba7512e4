"""What one payment does to the books, inside a transaction that somebody else owns."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from sandbox.prisma.clock import rfc3339
from sandbox.prisma.db import OPEN_STATUSES, AuditEntry, Invoice, Payment, Wallet, WalletTransaction

BATCH = 10
"""Open invoices settled per batch."""


@dataclass(frozen=True)
class PaymentOrder:
    """A payment to be made; ``amount`` in whole units of the currency, greater than 0."""

    agent_id: int
    amount: int
    method: str = "EXTERNAL"
    reference: str = ""
    note: str | None = None
    recorded_at: str | None = None


@dataclass(frozen=True)
class Settlement:
    """How the money was used: invoices that received some, the sum, and the batches it took."""

    settled_count: int
    used_balance: int
    batches_processed: int


@dataclass
class UnitOfWork:
    """A session with the actor and the correlation id that every audit row written in it carries."""

    session: Session
    actor: str
    correlation_id: str
    at: datetime
    audited: int = field(default=0, init=False)

    @property
    def stamp(self) -> str:
        """The time of the unit of work."""
        return rfc3339(self.at)

    def audit(self, entity: str, entity_id: object, action: str, payload: dict[str, Any]) -> None:
        """Add one audit row."""
        self.audited += 1
        self.session.add(
            AuditEntry(
                entity_type=entity,
                entity_id=str(entity_id),
                action=action,
                actor_user_id=self.actor,
                correlation_id=self.correlation_id,
                payload=json.dumps(payload),
                created_at=self.stamp,
            )
        )


def record(work: UnitOfWork, order: PaymentOrder) -> tuple[Payment, WalletTransaction, Settlement]:
    """Record the payment, deposit it in the agent's wallet and settle the agent's open invoices."""
    payment = _record_payment(work, order)
    wallet = work.session.get_one(Wallet, order.agent_id)
    deposit = _move(work, wallet, payment, order.amount)
    settled, batches = [], 0
    for batch in _open_invoices(work.session, wallet):
        batches += 1
        settled += [(invoice, _settle(work, wallet, payment, invoice)) for invoice in batch]
    payment.invoice_id = settled[0][0].id if settled else None
    return payment, deposit, Settlement(len(settled), sum(used for _, used in settled), batches)


def _record_payment(work: UnitOfWork, order: PaymentOrder) -> Payment:
    # The first statement writes, so the transaction holds the database's write lock from here on.
    payment = Payment(
        agent_id=order.agent_id,
        amount=order.amount,
        method=order.method,
        reference=order.reference,
        note=order.note,
        recorded_at=order.recorded_at or work.stamp,
        created_at=work.stamp,
    )
    work.session.add(payment)
    work.session.flush()
    work.audit("Payment", payment.id, "PAYMENT_RECORDED", {"agentId": order.agent_id, "amount": order.amount})
    return payment


def _move(
    work: UnitOfWork, wallet: Wallet, payment: Payment, amount: int, invoice: Invoice | None = None
) -> WalletTransaction:
    """Move money into (positive) or out of the wallet, linked to its payment and invoice."""
    wallet.balance += amount
    movement = WalletTransaction(
        agent_id=wallet.agent_id,
        payment_id=payment.id,
        invoice_id=invoice.id if invoice else None,
        kind="SETTLEMENT" if invoice else "DEPOSIT",
        amount=amount,
        created_at=work.stamp,
    )
    work.session.add(movement)
    work.session.flush()
    work.audit("WalletTransaction", movement.id, "WALLET_TX_RECORDED", {"amount": amount})
    return movement


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
    before = invoice.status
    invoice.settled += used
    invoice.status = "PAID" if invoice.settled == invoice.amount else "PARTIAL"
    invoice.updated_at = work.stamp
    _move(work, wallet, payment, -used, invoice)
    change = {"from": before, "to": invoice.status, "settledAmount": invoice.settled}
    work.audit("Invoice", invoice.id, "INVOICE_STATUS_UPDATED", change)
    return used
