"""There and back: whatever becomes of a payment, its money does not stay, and what differs afterwards is said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
import pytest

from canaries.prisma.books import Books
from canaries.prisma.errand import Errand, require
from canaries.prisma.payers import Answer, ApiPayer, Order
from canaries.prisma.settlement import Id, Settlement, Sums, UnusableError
from sandbox.prisma import api
from tests.canaries.conftest import AGENT, Start, begin

CLEAN = "billed 750, paid 0, balance 750, invoices 3"
UNCOUNTED = """INSERT INTO payments (agentId, amount, method, reference, recordedAt, createdAt)
               VALUES (1, 5, 'EXTERNAL', '', '', '')"""
PAYMENTS = "financial_orchestrator_payments_total"


@dataclass(frozen=True)
class Meddling(Books):
    """Books that something happens to right after a payment was taken back."""

    then: Callable[[], object] = lambda: None

    def reverse(self, payment: Id, correlation_id: str) -> Id:
        """Take the payment back, and let it happen."""
        reversal = super().reverse(payment, correlation_id)
        self.then()
        return reversal


@dataclass(frozen=True)
class Forgetful(ApiPayer):
    """Sees a portal that goes on showing some sums."""

    shown: list[Sums] = field(default_factory=list)

    def cards(self, agent: Id) -> Sums:
        """Return the sums that are shown once there are any."""
        return self.shown[-1] if self.shown else super().cards(agent)


class Deaf(ApiPayer):
    """Pays, and never hears the answer."""

    def pay(self, order: Order) -> Answer:
        """Make the payment and lose the answer."""
        super().pay(order)
        raise httpx.ReadError("connection lost")


def settled(errand: Errand) -> Settlement:
    """Make the payment that settles two invoices and return what it had to do."""
    settlement = Settlement.of_two(errand.before)
    assert errand.pay(errand.order(settlement.amount)).accepted
    return settlement


def test_run_without_a_payment_takes_nothing_back(system: Start) -> None:
    healthy = system()
    assert begin(healthy).take_back() == []
    assert healthy.ask("SELECT COUNT(*) FROM payments WHERE agentId > 24") == [(0,)]


def test_payment_and_reversal_are_told(system: Start) -> None:
    healthy = system()
    before = healthy.books()
    errand = begin(healthy)
    errand.settlement = settled(errand)
    assert healthy.books() != before
    assert errand.take_back() == []
    assert healthy.books() == before
    assert errand.created == {
        "agent": "SYN-001",
        "idempotency_key": "settlement-first-1",
        "correlation_id": "synthetic-settlement-first-1",
        "trace_id": errand.attempt.trace_id,
        "payments": [41],
        "reversals": {"41": 42},
    }


def test_payment_whose_answer_is_lost_is_taken_back(system: Start) -> None:
    healthy = system()
    before = healthy.books()
    errand = begin(healthy, payer=Deaf(healthy.client))
    with pytest.raises(httpx.ReadError):
        settled(errand)
    assert errand.attempt.side_effect
    assert errand.take_back() == []
    assert healthy.books() == before


def test_several_payments_are_taken_back(system: Start) -> None:
    healthy = system()
    before = healthy.books()
    errand = begin(healthy)
    for number in range(3):
        errand.pay(errand.order(90, str(number)))
    assert errand.take_back() == []
    assert healthy.books() == before


def test_what_an_earlier_run_left_is_taken_back_and_told(system: Start) -> None:
    healthy = system()
    before = healthy.books()
    settled(begin(healthy, "killed"))
    left = "payment 41 (EXTERNAL of 225 with reference 'synthetic settlement-killed-1')"

    with pytest.warns(UserWarning, match="an earlier run left") as warned:
        errand = begin(healthy, "next")

    assert [str(one.message) for one in warned] == [f"an earlier run left {left}; it was taken back"]
    assert (errand.created["left_by_an_earlier_run"], errand.attempt.side_effect) == ([left], True)
    assert healthy.books() == before


def test_canaries_have_agents_of_their_own(system: Start) -> None:
    healthy = system()
    before = healthy.books()
    one, other = begin(healthy), begin(healthy, canary="audit-parity")
    settled(one), settled(other)
    assert (one.take_back(), other.take_back()) == ([], [])
    assert healthy.books() == before


def test_slot_that_was_run_by_somebody_else(system: Start) -> None:
    healthy = system()
    errand = begin(healthy)
    settled(errand)
    errand.take_back()
    with pytest.raises(UnusableError) as caught:
        begin(healthy)
    name = "synthetic-settlement-first-1"
    assert str(caught.value) == f"the audit knows {name} already: another scheduler has run this slot"


def test_portal_that_is_wrong_beforehand_is_a_failure(system: Start) -> None:
    stale = system("portal-total-stale")
    stale.client.get(f"/portal/{AGENT}")
    stale.client.post("/api/payments", json={"agentId": AGENT, "amount": 5, "reference": "REF-9"})
    with pytest.raises(AssertionError) as caught:
        begin(stale)
    assert str(caught.value) == (
        "before the payment: cards of /portal/25: expected billed 750, paid 5, balance 745, invoices 3, "
        "found billed 750, paid 0, balance 745, invoices 3"
    )


def test_second_payment_that_comes_late_is_found(system: Start) -> None:
    healthy = system()
    before = healthy.books()
    errand = begin(healthy)
    errand.settlement = settled(errand)
    errand.look()
    healthy.client.post("/api/payments", json={"agentId": AGENT, "amount": 225, "reference": "synthetic again"})
    assert errand.take_back()[0] == "payments to take back: expected 1, found 2"
    assert healthy.books() == before


def test_payment_that_is_undone_late_is_found(system: Start) -> None:
    healthy = system()
    errand = begin(healthy)
    errand.settlement = settled(errand)
    for table, column in (("wallet_transactions", "paymentId"), ("payments", "id")):
        healthy.change(f"DELETE FROM {table} WHERE {column} = 41")  # noqa: S608 - constants of this test
    said = errand.take_back()
    assert said[:2] == [
        "payments to take back: expected 1, found 0",
        "invoice 61: expected UNPAID with 0 of 250 settled, found PARTIAL with 125 of 250 settled",
    ]


def test_reversal_that_fails_is_told_and_made_up_for_by_the_next_run(system: Start) -> None:
    broken = system()
    before = broken.books()
    errand = begin(broken)
    settled(errand)
    broken.change(
        "CREATE TRIGGER broken BEFORE INSERT ON payments WHEN NEW.reversalOf IS NOT NULL "
        "BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
    )
    with pytest.raises(AssertionError, match=r"^payment 41 was not taken back: POST \S+ answered 500$"):
        errand.take_back()
    broken.change("DROP TRIGGER broken")
    with pytest.warns(UserWarning, match="an earlier run left payment 41"):
        begin(broken, "next")
    assert broken.books() == before


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (
            "UPDATE payments SET amount = -224 WHERE id = 42",
            [
                "wallet: expected 0, found 1",
                f"sums of the books: expected {CLEAN}, found billed 750, paid 1, balance 750, invoices 3",
            ],
        ),
        (
            UNCOUNTED,
            [f'{PAYMENTS}{{status="success"}}, while 1 payments were recorded: expected +1, found +0'],
        ),
        (
            "UPDATE payments SET reversalOf = NULL, reference = 'REF-1' WHERE id = 42",
            ["payment 41 of 225 was not taken back"],
        ),
    ],
    ids=["amount", "counters", "unlinked"],
)
def test_what_is_not_as_before_is_told(system: Start, statement: str, said: list[str]) -> None:
    broken = system()
    errand = begin(broken)
    settled(errand)
    errand.wrong_counters()
    errand.books = Meddling(broken.client, lambda: broken.change(statement))
    assert errand.take_back()[: len(said)] == said


def test_portal_that_goes_on_showing_the_payment_is_found(system: Start) -> None:
    broken = system()
    payer = Forgetful(broken.client)
    errand = begin(broken, payer=payer)
    settled(errand)
    payer.shown.append(errand.look().sums)
    (said,) = errand.take_back()
    assert said == f"cards of /portal/25: expected {CLEAN}, found billed 750, paid 225, balance 525, invoices 3"


@pytest.mark.parametrize("checked", [True, False], ids=["after-a-right-payment", "after-a-wrong-one"])
def test_wallet_that_differs_only_in_the_audit_is_found(system: Start, checked: bool) -> None:
    broken = system()
    errand = begin(broken)
    settlement = settled(errand)
    errand.settlement = settlement if checked else None
    broken.change(f"UPDATE wallets SET balance = balance - 1 WHERE agentId = {AGENT}")  # noqa: S608
    name = "under synthetic-settlement-first-1-reversal-41"
    said = errand.take_back()
    if checked:
        assert f"audit {name}: found WALLET_TX_RECORDED of -225 to a balance of -1, not expected" in said
    else:
        assert said == [f"wallet's balance in the audit {name}: expected 0, found -1"]


def test_counters_are_compared_with_the_last_time(system: Start) -> None:
    broken = system()
    errand = begin(broken)
    broken.change("CREATE TRIGGER broken BEFORE UPDATE ON wallets BEGIN SELECT RAISE(ABORT, 'the disk is full'); END")
    broken.client.post("/api/payments", json={"agentId": 1, "amount": 5})
    said = "while 0 payments were recorded: expected +0, found +1"
    assert errand.wrong_counters() == [
        f'{PAYMENTS}{{status="failure"}}, {said}',
        f"financial_orchestrator_rollbacks_total, {said}",
    ]
    assert errand.wrong_counters() == []


def test_deployment_without_reversals_is_told_before_anything_is_paid(
    system: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "ROUTES", tuple(route for route in api.ROUTES if route[2] is not api.reverse))
    bare = system()
    with pytest.raises(UnusableError, match=r"^this canary cannot be used here: there is no POST /api/payments"):
        begin(bare)
    assert bare.ask("SELECT COUNT(*) FROM payments WHERE agentId > 24") == [(0,)]


def test_missing_agent_is_told(system: Start) -> None:
    bare = system()
    bare.change("UPDATE agents SET code = 'AG-025' WHERE code = 'SYN-001'")
    with pytest.raises(UnusableError, match=r"^there is no agent SYN-001: seed the canary dataset"):
        begin(bare)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["a"], "then: a"),
        (["a", "b", "c"], "then: a (and 2 more)\n- b\n- c"),
    ],
)
def test_what_is_wrong_first_is_in_the_first_line(wrong: list[str], said: str) -> None:
    require("then", [])
    with pytest.raises(AssertionError) as caught:
        require("then", wrong)
    assert str(caught.value) == said
