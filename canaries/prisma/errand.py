"""A synthetic payment's way there and back: one agent's books before it, and the same books after it.

The agent belongs to one canary alone, and to one run of it at a time. What a run makes is taken back in the end,
whatever happened; what a killed run left is taken back by the next one.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from canaries.prisma.books import Books, until_equal
from canaries.prisma.payers import Answer, Order, Payer
from canaries.prisma.settlement import (
    TAG,
    Account,
    Id,
    Settlement,
    Tally,
    UnusableError,
    last_balance,
    unequal,
    wrong_invoices,
)

AGENTS = {"settlement": "SYN-001", "audit-parity": "SYN-002"}
"""Codes in the canary dataset: an agent for each canary, so that they may run at the same moment."""
PATIENCE_SECONDS = 2.0
"""How long a cache may go on showing older sums."""


@dataclass
class Errand:
    """One run of a canary."""

    books: Books
    payer: Payer
    attempt: Any
    """The fixture ``rollout_attempt``."""
    before: Account
    """The books that everything is compared with."""
    tally: Tally
    """Counters and payments as they were last read."""
    created: dict[str, Any]
    """What the run made, and under which names: for reports."""
    settlement: Settlement | None = None
    """What the payment did, if it did all that it had to; its reversal has to undo it."""

    @classmethod
    def begin(cls, books: Books, payer: Payer, attempt: Any) -> Self:
        """Find the agent, take back what an earlier run left, and read the books; nothing is changed otherwise.

        Raises UnusableError, and AssertionError if the portal does not show what the books say.
        """
        books.require_reversals()
        agent = books.agent(AGENTS[attempt.canary])
        created = {"agent": agent["code"], "idempotency_key": attempt.key, "trace_id": attempt.trace_id}
        errand = cls(books, payer, attempt, books.account(agent["id"]), books.tally(), created)
        created |= {"correlation_id": errand.name(), "payments": [], "reversals": {}}
        if books.audit(errand.name()):
            raise UnusableError(f"the audit knows {errand.name()} already: another scheduler has run this slot")
        left = [f"payment {one.id} ({one})" for one in errand.before.standing]
        if left:
            errand._clear()
            errand.before = errand.look()
            created["left_by_an_earlier_run"] = left
            warnings.warn(f"an earlier run left {' and '.join(left)}; it was taken back", stacklevel=2)
        require("before the payment", errand.wrong_sums(errand.before))
        return errand

    def name(self, *parts: object) -> str:
        """Return a correlation id of this run."""
        return "-".join([TAG, self.attempt.key, *map(str, parts)])

    def order(self, amount: int, *parts: str, cohort: str | None = None) -> Order:
        """Return an order; ``parts`` tell several of one run from each other."""
        key = "-".join([self.attempt.key, *parts])
        return Order(self.before.agent, amount, f"{TAG} {key}", key, self.name(*parts), cohort)

    def pay(self, order: Order) -> Answer:
        """Ask for a payment, once; from now on this attempt is not repeated."""
        self.attempt.begin_side_effect()
        return self.payer.pay(order)

    def look(self) -> Account:
        """Return the books as they are now."""
        account = self.books.account(self.before.agent)
        made = self.created["payments"]
        made += [one.id for one in account.since(self.before) if one.reversal_of is None and one.id not in made]
        return account

    def wrong_sums(self, account: Account) -> list[str]:
        """Return how portal and API differ from the sums over the books, after some patience with caches."""
        left = self.attempt.remaining()
        patience = PATIENCE_SECONDS if left is None else min(left, PATIENCE_SECONDS)
        agent, sums = account.agent, account.sums
        cards = until_equal(lambda: self.payer.cards(agent), sums, patience)
        summary = until_equal(lambda: self.books.summary(agent), sums[:3], patience)
        return [
            *unequal(f"cards of /portal/{agent}", sums, cards),
            *unequal("billed, paid and outstanding in /api/agent-summaries", sums[:3], summary),
        ]

    def wrong_counters(self) -> list[str]:
        """Return how the counters moved otherwise than the books since they were last read. Raises UnusableError."""
        before, self.tally = self.tally, self.books.tally()
        return self.tally.wrong(before)

    def take_back(self) -> list[str]:
        """Take back whatever the run made, and return how books, portal, counters and audit differ from what they were.

        Afterwards the books are the ones to compare with.
        """
        if not self.attempt.side_effect:
            return []
        before, reversals = self.before, self._clear()
        self.before = after = self.look()
        return [
            *(unequal("payments to take back", 1, len(reversals)) if self.settlement else ()),
            *(f"payment {one.id} of {one.amount} was not taken back" for one in after.standing),
            *wrong_invoices(before.invoices, after),
            *unequal("wallet", before.wallet, after.wallet),
            *unequal("sums of the books", before.sums, after.sums),
            *self.wrong_sums(after),
            *self.wrong_counters(),
            *self._wrong_audit(reversals),
        ]

    def _clear(self) -> dict[Id, Id]:
        """Take back every synthetic payment that stands, the latest first; return each with its reversal."""
        standing = self.look().standing
        self.attempt.begin_side_effect()
        reversals = {one.id: self.books.reverse(one.id, self._reversal(one.id)) for one in reversed(standing)}
        self.created["reversals"] |= {str(payment): reversal for payment, reversal in reversals.items()}
        return reversals

    def _wrong_audit(self, reversals: dict[Id, Id]) -> list[str]:
        if not reversals:
            return []
        payment, reversal = list(reversals.items())[-1]
        name = self._reversal(payment)
        rows = self.books.audit(name)
        if self.settlement is not None:
            return self.settlement.wrong_reversal_audit(reversal, name, rows)
        return unequal(f"wallet's balance in the audit under {name}", self.before.wallet, last_balance(rows))

    def _reversal(self, payment: Id) -> str:
        return self.name("reversal", payment)


def require(when: str, wrong: Sequence[str]) -> None:
    """Raise AssertionError if anything is wrong; what is wrong first is in its first line, which stays on record."""
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise AssertionError(f"{when}: {wrong[0]}{more}" + "".join(f"\n- {line}" for line in wrong[1:]))
