"""The money of a synthetic payment: what it has to do to an agent's books, and how the books differ from that.

Nothing here asks anybody: rows of the API come in, sentences about what differs come out. Amounts are whole units of
the currency.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

OPEN = ("UNPAID", "OVERDUE", "PARTIAL")
NOT_BILLED = ("DRAFT", "CANCELLED")
BATCH = 10
"""Invoices that the orchestrator settles in one batch."""
METHOD = "EXTERNAL"
TAG = "synthetic"
"""How the reference of a synthetic payment begins, where the way to pay has one."""

Id = int | str
Row = Mapping[str, Any]


class UnusableError(RuntimeError):
    """The canary cannot be used as things are, so nothing is known about the system."""


@dataclass(frozen=True, slots=True)
class Invoice:
    """An invoice; ``settled`` is the part already paid."""

    id: Id
    amount: int
    settled: int
    status: str
    due: str

    @classmethod
    def of(cls, row: Row) -> Self:
        """Read a row of the API. Raises UnusableError."""
        settled = (row["metadata"] or {}).get("settledAmount")
        if settled is None:
            raise UnusableError(f"invoice {row['id']} does not say how much of it is settled (metadata.settledAmount)")
        return cls(row["id"], int(row["amount"]), int(settled), row["status"], row["dueDate"])

    @property
    def rest(self) -> int:
        """What is still to be paid."""
        return self.amount - self.settled

    def paid(self, used: int) -> Self:
        """Return the invoice after so much was settled."""
        return replace(self, settled=self.settled + used, status="PAID" if used == self.rest else "PARTIAL")

    def __str__(self) -> str:
        """Return the state in words."""
        return f"{self.status} with {self.settled} of {self.amount} settled"


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment; a reversal has a negative amount and names the payment that it takes back."""

    id: Id
    amount: int
    method: str
    reference: str
    reversal_of: Id | None

    @classmethod
    def of(cls, row: Row) -> Self:
        """Read a row of the API."""
        return cls(row["id"], int(row["amount"]), row["method"], row["reference"] or "", row.get("reversalOf"))

    @property
    def synthetic(self) -> bool:
        """Whether a canary made it: tagged, or without any reference, as the payment form leaves it."""
        return self.reversal_of is None and (not self.reference or self.reference.startswith(TAG))

    def __str__(self) -> str:
        """Return the payment in words."""
        return f"{self.method} of {self.amount} with reference {self.reference!r}"


class Sums(NamedTuple):
    """The figures of the portal's cards."""

    billed: int
    paid: int
    balance: int
    invoices: int

    def __str__(self) -> str:
        """Return the figures by name."""
        return ", ".join(f"{name} {value}" for name, value in self._asdict().items())


@dataclass(frozen=True, slots=True)
class Account:
    """The books of one agent at one moment, as the API shows them."""

    agent: Id
    invoices: tuple[Invoice, ...]
    payments: tuple[Payment, ...]

    @classmethod
    def of(cls, agent: Id, invoices: Iterable[Row], payments: Iterable[Row]) -> Self:
        """Read the agent's rows out of everybody's. Raises UnusableError."""
        return cls(
            agent,
            tuple(Invoice.of(row) for row in invoices if row["agentId"] == agent),
            tuple(Payment.of(row) for row in payments if row["agentId"] == agent),
        )

    @property
    def wallet(self) -> int:
        """What was paid and not yet settled: money is neither made nor lost."""
        return sum(one.amount for one in self.payments) - sum(one.settled for one in self.invoices)

    @property
    def sums(self) -> Sums:
        """What the portal has to show."""
        billed = [one for one in self.invoices if one.status not in NOT_BILLED]
        return Sums(
            billed=sum(one.amount for one in billed),
            paid=sum(one.amount for one in self.payments),
            balance=sum(one.rest for one in billed),
            invoices=len(self.invoices),
        )

    @property
    def standing(self) -> tuple[Payment, ...]:
        """Synthetic payments that nobody has taken back."""
        reversed_ids = {one.reversal_of for one in self.payments}
        return tuple(one for one in self.payments if one.synthetic and one.amount and one.id not in reversed_ids)

    def since(self, before: Account) -> tuple[Payment, ...]:
        """Return the payments that were not there before."""
        known = {one.id for one in before.payments}
        return tuple(one for one in self.payments if one.id not in known)


@dataclass(frozen=True, slots=True)
class Settlement:
    """A payment into an account, and each invoice that it settles, in order, before and after."""

    before: Account
    amount: int
    shares: tuple[tuple[Invoice, Invoice], ...]

    @classmethod
    def of(cls, before: Account, amount: int) -> Self:
        """Settle open invoices by due date until the wallet is empty (``targets``, domain)."""
        shares, left = [], before.wallet + amount
        for invoice in _open(before):
            if left <= 0:
                break
            used = min(left, invoice.rest)
            shares.append((invoice, invoice.paid(used)))
            left -= used
        return cls(before, amount, tuple(shares))

    @classmethod
    def of_two(cls, before: Account) -> Self:
        """Return the payment that settles one invoice wholly and half of the next. Raises UnusableError."""
        rests = [one.rest for one in _open(before)]
        if len(rests) < 2 or rests[1] < 2 or (amount := rests[0] + rests[1] // 2 - before.wallet) <= 0:
            raise UnusableError(
                f"agent {before.agent} needs two open invoices that the wallet cannot pay, the second of 2 or more; "
                f"found open invoices of {rests} and a wallet of {before.wallet}"
            )
        return cls.of(before, amount)

    @property
    def wallet(self) -> int:
        """What the wallet holds afterwards."""
        return self.before.wallet + self.amount - self.used

    @property
    def used(self) -> int:
        """What the invoices receive."""
        return sum(after.settled - before.settled for before, after in self.shares)

    def wrong_payment(self, found: Account, reference: str | None) -> list[str]:
        """Return how what was recorded differs; None if the way to pay has no reference."""
        new = found.since(self.before)
        if len(new) != 1:
            shown = "; ".join(f"{one.id}: {one}" for one in new) or "none"
            return [f"payments recorded: expected one of {self.amount}, found {shown}"]
        (one,) = new
        tag = one.reference if reference is None else reference
        return unequal(f"payment {one.id}", replace(one, amount=self.amount, method=METHOD, reference=tag), one)

    def wrong_invoices(self, found: Account) -> list[str]:
        """Return how the invoices differ."""
        after = {before.id: after for before, after in self.shares}
        return wrong_invoices([after.get(one.id, one) for one in self.before.invoices], found)

    def wrong_answer(self, answer: Row, reference: str, payment: Id, rows: Sequence[Row]) -> list[str]:
        """Return how the answer of the API differs; the deposit that it names has to be in the audit rows."""
        expected = {
            "success": True,
            "paymentId": payment,
            "walletTransactionId": self._deposit(rows),
            "referenceId": reference,
            "settlement": {
                "settledCount": len(self.shares),
                "usedBalance": self.used,
                "batchesProcessed": -(-len(self.shares) // BATCH),
            },
        }
        return [line for key, value in expected.items() for line in unequal(f"answer, {key}", value, answer.get(key))]

    def _deposit(self, rows: Sequence[Row]) -> Id | None:
        """Return the id of the wallet's movement that brought the money; audit rows have ids as texts."""
        moves = (row for row in rows if row["action"] == "WALLET_TX_RECORDED")
        found = next((row["entityId"] for row in moves if row["payload"].get("amount") == self.amount), None)
        return int(found) if found and str(found).isdecimal() else found

    def wrong_audit(self, payment: Id, correlation_id: str, rows: Sequence[Row]) -> list[str]:
        """Return how the audit rows of the payment differ."""
        wallet = self.before.wallet + self.amount
        expected = [_recorded(payment, self.amount), _moved(self.amount, wallet)]
        for before, after in self.shares:
            used = after.settled - before.settled
            wallet -= used
            expected += [_moved(-used, wallet), _updated(before, after)]
        return _wrong_rows(correlation_id, expected, rows)

    def wrong_reversal_audit(self, reversal: Id, correlation_id: str, rows: Sequence[Row]) -> list[str]:
        """Return how the audit rows of the reversal differ: everything the other way, in the opposite order."""
        wallet = self.wallet
        expected = [_recorded(reversal, -self.amount)]
        for before, after in reversed(self.shares):
            used = after.settled - before.settled
            wallet += used
            expected += [_moved(used, wallet), _updated(after, before)]
        expected.append(_moved(-self.amount, wallet - self.amount))
        return _wrong_rows(correlation_id, expected, rows)


class Tally(NamedTuple):
    """What the application has counted, what it has recorded, and since when it runs (unix seconds)."""

    success: int
    failure: int
    rollbacks: int
    recorded: int
    started: float | None

    def wrong(self, before: Tally) -> list[str]:
        """Return how the counters moved otherwise than the books since another tally. Raises UnusableError."""
        if self.started != before.started:
            raise UnusableError("the application restarted meanwhile, and its counters with it; run the canary again")
        payments, rollbacks = "financial_orchestrator_payments_total", "financial_orchestrator_rollbacks_total"
        made = self.recorded - before.recorded
        rises = (
            (f'{payments}{{status="success"}}', made, self.success - before.success),
            (f'{payments}{{status="failure"}}', 0, self.failure - before.failure),
            (rollbacks, 0, self.rollbacks - before.rollbacks),
        )
        return [
            line
            for name, expected, found in rises
            for line in unequal(f"{name}, while {made} payments were recorded", f"+{expected}", f"+{found}")
        ]


def unequal(what: str, expected: object, found: object) -> list[str]:
    """Return a sentence if the two differ."""
    return [] if expected == found else [f"{what}: expected {expected}, found {found}"]


def wrong_invoices(expected: Iterable[Invoice], found: Account) -> list[str]:
    """Return how the invoices of an account differ."""
    there: dict[Id, object] = {one.id: one for one in found.invoices}
    return [line for one in expected for line in unequal(f"invoice {one.id}", one, there.get(one.id, "none"))]


def last_balance(rows: Sequence[Row]) -> object:
    """Return the wallet's balance after the last movement in audit rows."""
    balances = [row["payload"].get("balance") for row in rows if row["action"] == "WALLET_TX_RECORDED"]
    return balances[-1] if balances else "no movement"


def _open(account: Account) -> list[Invoice]:
    return sorted((one for one in account.invoices if one.status in OPEN), key=lambda one: one.due)


def _wrong_rows(correlation_id: str, expected: Sequence[str], rows: Sequence[Row]) -> list[str]:
    """Return what the audit lacks and what it has too much, under a correlation id."""
    what = f"audit under {correlation_id}"
    found = Counter(_told(row) for row in rows if row["correlationId"] == correlation_id)
    wanted = Counter(expected)
    return [
        *(f"{what}: expected {line}, not found" for line in (wanted - found).elements()),
        *(f"{what}: found {line}, not expected" for line in (found - wanted).elements()),
    ]


def _recorded(payment: Id, amount: int) -> str:
    return f"PAYMENT_RECORDED Payment {payment} of {amount}"


def _moved(amount: int, balance: int) -> str:
    return f"WALLET_TX_RECORDED of {amount} to a balance of {balance}"


def _updated(before: Invoice, after: Invoice) -> str:
    return f"INVOICE_STATUS_UPDATED Invoice {before.id} {before.status} to {after.status}, {after.settled} settled"


def _told(row: Row) -> str:
    """Return an audit row as the sentence that the expected ones are written in."""
    payload, entity = row["payload"], f"{row['entityType']} {row['entityId']}"
    if row["action"] == "PAYMENT_RECORDED":
        return f"PAYMENT_RECORDED {entity} of {payload.get('amount')}"
    if row["action"] == "WALLET_TX_RECORDED":
        return f"WALLET_TX_RECORDED of {payload.get('amount')} to a balance of {payload.get('balance')}"
    if row["action"] == "INVOICE_STATUS_UPDATED":
        change = f"{payload.get('from')} to {payload.get('to')}, {payload.get('settledAmount')} settled"
        return f"INVOICE_STATUS_UPDATED {entity} {change}"
    return f"{row['action']} {entity}"
