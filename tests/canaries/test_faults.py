"""Each fault of the sandbox's money makes every canary fail that it names, in the browser as through the API.

The canary is a pytest process as a schedule starts it; what counts is what it recorded.
"""

from __future__ import annotations

import pytest

from canaries.prisma import test_audit_parity as parity
from canaries.prisma.switch import Switch
from pytest_rollout.plan.loader import load_plan
from sandbox.faults import SMOKE, Fault, turning_red
from tests.canaries.conftest import CANARIES, Start, begin

LATER = "invoice 61: expected PARTIAL with 125 of 250 settled, found "
LOST = "the payment was answered as a success and is not recorded: "
SAID = {
    "payment-not-settled": f"{LATER}UNPAID with 0 of 250 settled",
    "double-settlement": f"{LATER}PAID with 250 of 250 settled",
    "wallet-off-by-one": f"{LATER}PARTIAL with 124 of 250 settled",
    "audit-row-missing": "expected INVOICE_STATUS_UPDATED Invoice 61 UNPAID to PARTIAL, 125 settled, not found",
    "correlation-id-wrong": "expected INVOICE_STATUS_UPDATED Invoice 62 OVERDUE to PAID, 100 settled, not found",
    "failed-payment-shown-as-success": LOST,
    "counter-not-moved": 'payments_total{status="success"}, while 1 payments were recorded: expected +1, found +0',
    "rollback-without-trace": LOST,
    "portal-total-stale": "cards of /portal/25: expected billed 750, paid 225, balance 525, invoices 3, "
    "found billed 750, paid 0, balance 525, invoices 3",
    "zero-payment-accepted": "payments recorded: expected one of 225, found 41: EXTERNAL of 0 with reference",
    "idempotency-key-ignored": "payments recorded: expected one of 225, found 41: EXTERNAL of 225 with reference",
    "reversal-forgets-invoices": "invoice 61: expected UNPAID with 0 of 250 settled, found PARTIAL with 125 of 250",
}
"""What the settlement canary says first."""
SAID_BY_THE_PAGE = {"failed-payment-shown-as-success", "rollback-without-trace"}
"""Faults of the answer; every other is seen by the same reads, however the payment was made."""
PLAN = CANARIES / "prisma.rollout.yaml"
STAGE = "stage2"


def noticed_by(canary: str) -> list[Fault]:
    """Return the faults that a gate with this canary turns red."""
    (stage,) = (stage for stage in load_plan(PLAN).plan.stages if stage.marker == STAGE)
    checks = {f"{STAGE}/{gate.id}" for gate in stage.gates if gate.canary and gate.canary.name == canary}
    return [fault for fault in turning_red(STAGE) if checks & fault.red_in(STAGE)]


SETTLEMENT, PARITY = noticed_by("settlement"), noticed_by("audit-parity")
IN_BROWSER = [fault for fault in SETTLEMENT if fault.name in SAID_BY_THE_PAGE]


def name_of(value: object) -> str:
    return value.name if isinstance(value, Fault) else str(value)


@pytest.mark.parametrize("fault", SETTLEMENT, ids=name_of)
def test_settlement_fails(system: Start, fault: Fault) -> None:
    broken = system(fault.name)
    run = broken.run("settlement")
    assert run.outcome == "failed", broken.said()
    assert SAID[fault.name] in run.message


@pytest.mark.parametrize("fault", IN_BROWSER, ids=name_of)
def test_settlement_fails_in_the_browser(system: Start, fault: Fault) -> None:
    broken = system(fault.name)
    run = broken.run("settlement", "sandbox-browser")
    assert run.outcome == "failed", broken.said()
    assert SAID[fault.name] in run.message


@pytest.mark.parametrize("fault", [one for one in turning_red("stage1") if one.turns_red == (SMOKE,)], ids=name_of)
def test_the_dashboard_smoke_fails(system: Start, fault: Fault) -> None:
    broken = system(fault.name)
    assert broken.run("dashboard-smoke").outcome == "failed", broken.said()


def test_audit_parity_fails(system: Start) -> None:
    broken = system("audit-diverges")
    run = broken.run("audit-parity")
    assert run.outcome == "failed", broken.said()
    said = "payload: expected {'agentId': 26, 'amount': 225}, found {'agent_id': 26, 'amount': 225}"
    assert run.message.endswith(f"facade compared with legacy: row 1 (PAYMENT_RECORDED), {said}")


@pytest.mark.parametrize("fault", PARITY, ids=name_of)
def test_audit_parity_has_something_to_say(system: Start, fault: Fault) -> None:
    broken = system(fault.name)
    errand = begin(broken, canary="audit-parity")
    switch = Switch(broken.client, broken.url, "a-token", parity.FLAG, parity.COHORT, "tester")
    with pytest.raises(AssertionError, match=r"^(legacy|facade|facade compared with legacy): "):
        parity.test_legacy_and_facade_write_the_same_audit_rows(errand, switch)


def test_refusal_shown_as_success_is_seen_in_the_browser(system: Start) -> None:
    run = system("payment-failure-shown-as-success").run("settlement", "sandbox-browser")
    said = "after the payment: payment of 0: expected a refusal, found a toast (default): Payment recorded"
    assert (run.outcome, run.message.endswith(said)) == ("failed", True), run.message


@pytest.mark.parametrize("canary", ["settlement", "audit-parity"])
def test_without_counters_nothing_is_known(system: Start, canary: str) -> None:
    blind = system("metrics-down")
    before = blind.books()
    run = blind.run(canary)
    assert run.outcome == "error"
    assert run.message.endswith("GET /api/internal/metrics answered 503, so nothing can be counted")
    assert (blind.books(), run.retryable) == (before, False)
