"""The settlement canary of stage 2: a synthetic payment through the orchestrator settles invoices, and is taken back.

It pays for an agent of the canary dataset, as the environment says (``via: api`` or ``via: browser``), follows the
money through payment, wallet, invoices, audit, portal and counters, and takes it back: nothing of it stays.

What a deployment must have, or the canary ends with an error that says so, before it has changed anything:

- the agent SYN-001, for which nobody else pays, with two open invoices or more, and books that add up;
- ``POST /api/payments/{id}/reversal``, which takes a payment back: an ADJUSTMENT of the opposite amount that names in
  ``reversalOf`` what it reverses, movements and invoices back as they were, audit rows, not counted as a payment, and
  idempotent. Where there is none this canary cannot be used: its money would stay;
- ``GET /api/audit?correlationId=``, and a way to pay that obeys ``x-correlation-id`` and ``Idempotency-Key``;
- one instance, or one view of its counters, behind ``/api/internal/metrics``.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from canaries.prisma.errand import Errand, require
from canaries.prisma.payers import Answer, Order
from canaries.prisma.settlement import Account, Settlement, unequal

pytestmark = pytest.mark.canary("settlement")


def test_payment_settles_two_invoices_and_is_taken_back(errand: Errand) -> None:
    """One payment, asked for twice, is made once and settles two invoices; a payment of 0 is refused."""
    settlement = Settlement.of_two(errand.before)
    probe, order = errand.order(0, "probe"), errand.order(settlement.amount)
    refused = errand.pay(probe)
    answer, again = errand.pay(order), errand.pay(order)

    found = errand.look()
    wrong = [
        *wrong_outcome(answer, found, errand.before),
        *settlement.wrong_payment(found, order.reference if errand.payer.has_reference else None),
        *settlement.wrong_invoices(found),
        *wrong_details(errand, settlement, order, answer, found),
        *unequal("the same request again", answer.shown, again.shown),
        *wrong_refusal(refused, errand.books.audit(probe.correlation_id)),
        *errand.wrong_sums(found),
        *errand.wrong_counters(),
    ]
    require("after the payment", wrong)
    errand.settlement = settlement


def wrong_outcome(answer: Answer, found: Account, before: Account) -> list[str]:
    """Return what is wrong with the answer to the payment, given what was recorded."""
    if not answer.accepted:
        return [f"payment: expected a success, found {answer.shown}"]
    return [] if found.since(before) else [f"the payment was answered as a success and is not recorded: {answer.shown}"]


def wrong_details(errand: Errand, settlement: Settlement, order: Order, answer: Answer, found: Account) -> list[str]:
    """Return what is wrong with the audit of the payment, and with what the API answered."""
    made = next((one for one in found.since(errand.before) if one.amount), None)
    if made is None:
        return []  # that is wrong enough
    rows = errand.books.audit(order.correlation_id)
    wrong = settlement.wrong_audit(made.id, order.correlation_id, rows)
    return (
        wrong if answer.body is None else wrong + settlement.wrong_answer(answer.body, order.reference, made.id, rows)
    )


def wrong_refusal(answer: Answer, rows: Sequence[object]) -> list[str]:
    """Return what is wrong with the answer to a payment of 0."""
    refused = [] if answer.refused else [f"payment of 0: expected a refusal, found {answer.shown}"]
    return [*refused, *unequal("audit rows of the payment of 0", 0, len(rows))]
