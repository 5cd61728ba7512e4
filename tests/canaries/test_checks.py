"""What the canaries' own tests compare, where no fault of the sandbox shows it alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from canaries.prisma import test_audit_parity as parity, test_settlement as settlement
from canaries.prisma.payers import Answer, ApiPayer, Order
from tests.canaries.conftest import Start, System, begin

ROW: Mapping[str, Any] = {
    "id": 1,
    "action": "PAYMENT_RECORDED",
    "entityType": "Payment",
    "entityId": "41",
    "actorUserId": "admin",
    "correlationId": "there",
    "payload": {"amount": 225},
    "createdAt": "2025-07-01",
}
INVOICE = {**ROW, "action": "INVOICE_STATUS_UPDATED", "entityType": "Invoice"}


@dataclass(frozen=True)
class Twisting(ApiPayer):
    """Pays, and twists the answer to the third order: the repeated one."""

    twist: Callable[[Answer], Answer] = lambda answer: answer
    asked: list[Order] = field(default_factory=list)

    def pay(self, order: Order) -> Answer:
        """Ask for the payment."""
        self.asked.append(order)
        answer = super().pay(order)
        return self.twist(answer) if len(self.asked) == 3 else answer


def said_by(system: System, twist: Callable[[Answer], Answer] = lambda answer: answer) -> str:
    """Return what the settlement canary's test says, and that everything was taken back."""
    before = system.books()
    errand = begin(system, payer=Twisting(system.client, twist))
    try:
        settlement.test_payment_settles_two_invoices_and_is_taken_back(errand)
    except AssertionError as failure:
        said = str(failure)
    else:
        said = "passed"
        assert errand.settlement is not None, "its reversal has to be compared, too"
    assert errand.take_back() == []
    assert system.books() == before
    return said


def test_healthy(system: Start) -> None:
    assert said_by(system()) == "passed"


def test_same_request_has_to_be_answered_the_same(system: Start) -> None:
    said = said_by(system(), lambda answer: replace(answer, shown="409 conflict"))
    assert said.startswith("after the payment: the same request again: expected 201 {'success': True, 'paymentId': 41")
    assert said.endswith("found 409 conflict")


def test_payment_that_is_not_counted_is_found_before_its_reversal_is(system: Start) -> None:
    said = said_by(system("counter-not-moved"))
    assert said == (
        'after the payment: financial_orchestrator_payments_total{status="success"}, while 1 payments were recorded: '
        "expected +1, found +0"
    )


def test_requests_of_one_run(system: Start) -> None:
    healthy = system()
    payer = Twisting(healthy.client)
    errand = begin(healthy, payer=payer)
    settlement.test_payment_settles_two_invoices_and_is_taken_back(errand)
    assert errand.take_back() == []
    probe, order, again = payer.asked
    assert (probe.amount, probe.key, probe.correlation_id) == (
        0,
        "settlement-first-1-probe",
        "synthetic-settlement-first-1-probe",
    )
    assert order is again
    assert order.headers == {
        "Idempotency-Key": "settlement-first-1",
        "x-correlation-id": "synthetic-settlement-first-1",
    }
    assert order.reference == "synthetic settlement-first-1"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"id": 7, "entityId": "43", "correlationId": "back", "createdAt": "2025-07-02"}, []),
        ({"payload": {"amount": 224}}, ["payload: expected {'amount': 225}, found {'amount': 224}"]),
        ({"actorUserId": "staff"}, ["actorUserId: expected admin, found staff"]),
        ({"extra": 1}, ["extra: expected None, found 1"]),
    ],
    ids=["own", "payload", "actor", "more"],
)
def test_rows_agree_but_for_what_no_two_share(changes: dict[str, Any], said: list[str]) -> None:
    differences = [f"row 1 (PAYMENT_RECORDED), {one}" for one in said]
    assert parity.differences([ROW], [{**ROW, **changes}]) == differences


def test_invoices_of_the_rows_agree_too() -> None:
    said = ["row 1 (INVOICE_STATUS_UPDATED), entityId: expected 41, found 43"]
    assert parity.differences([INVOICE], [{**INVOICE, "entityId": "43"}]) == said


@pytest.mark.parametrize(("legacy", "facade"), [([ROW], [ROW, ROW]), ([ROW, ROW], [ROW])], ids=["more", "fewer"])
def test_numbers_of_rows_agree(legacy: list[Any], facade: list[Any]) -> None:
    assert parity.differences(legacy, legacy) == []
    said = parity.differences(legacy, facade)
    assert any("action: expected" in one and "no row" in one for one in said)
