"""Each fault of the sandbox's money makes every canary fail that it names, in the browser as through the API.

The canary is a pytest process as a schedule starts it; what counts is what it recorded.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_rollout.plan.loader import load_plan
from sandbox.faults import Fault, turning_red
from tests.canaries.conftest import CANARIES, System

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
BY_API_ALONE = {"reversal-forgets-invoices"}
"""Nobody takes a payment back in a browser."""
PLAN = CANARIES / "prisma.rollout.yaml"
FAULTS = turning_red("stage2")


def canaries_of(fault: Fault) -> set[str]:
    """Return the canaries behind the checks that a fault turns red."""
    gates = {f"stage{stage.stage}/{gate.id}": gate for stage in load_plan(PLAN).plan.stages for gate in stage.gates}
    named = (gates[check].canary for check in fault.turns_red)
    return {canary.name for canary in named if canary is not None}


TRIED = [(fault, canary) for fault in FAULTS for canary in sorted(canaries_of(fault))]
IN_BROWSER = [fault for fault, canary in TRIED if canary == "settlement" and fault.name not in BY_API_ALONE]


def name_of(value: object) -> str:
    return value.name if isinstance(value, Fault) else str(value)


@pytest.mark.parametrize(("fault", "canary"), TRIED, ids=name_of)
def test_canary_fails(system: Callable[..., System], fault: Fault, canary: str) -> None:
    broken = system(fault.name)
    run = broken.run(canary)
    assert run.outcome == "failed", broken.said()
    assert canary != "settlement" or SAID[fault.name] in run.message


@pytest.mark.parametrize("fault", IN_BROWSER, ids=name_of)
def test_settlement_fails_in_the_browser(system: Callable[..., System], fault: Fault) -> None:
    broken = system(fault.name)
    run = broken.run("settlement", "sandbox-browser")
    assert run.outcome == "failed", broken.said()
    assert SAID[fault.name] in run.message


def test_refusal_shown_as_success_is_seen_in_the_browser(system: Callable[..., System]) -> None:
    run = system("payment-failure-shown-as-success").run("settlement", "sandbox-browser")
    said = "after the payment: payment of 0: expected a refusal, found a toast (default): Payment recorded"
    assert (run.outcome, run.message.endswith(said)) == ("failed", True), run.message


@pytest.mark.parametrize("canary", ["settlement", "audit-parity"])
def test_without_counters_nothing_is_known(system: Callable[..., System], canary: str) -> None:
    blind = system("metrics-down")
    before = blind.books()
    run = blind.run(canary)
    assert run.outcome == "error"
    assert run.message.endswith("GET /api/internal/metrics answered 503, so nothing can be counted")
    assert (blind.books(), run.retryable) == (before, False)
