"""The faults that prisma can be started with, and the checks each one has to turn red; what a fault is."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

SMOKE = "stage1/dashboard-smoke"
LATENCY = "stage1/read-latency"
ERRORS = "stage1/api-5xx"
FLAG_STATE = "stage1/flag-state"
KILL_SWITCH = "stage1/kill-switch"
SETTLEMENT = ("stage2/settlement-streak", "stage2/settlement-hours")
ROLLBACKS = "stage2/rollbacks"
AUDIT_PARITY = "stage2/audit-parity"
SETTLEMENT_LOAD = "stage2/settlement-load"
PORTAL_LATENCY = "stage3/portal-latency"
PORTAL_ERRORS = "stage3/portal-errors"
PORTAL_LOAD = "stage3/portal-load"


class UnknownFaultError(ValueError):
    """No fault has this name; the message suggests one and lists them all."""


@dataclass(frozen=True)
class Fault:
    """One way to break a system.

    ``turns_red`` names every check of its stage, as ``stage/check``, that must no longer pass.
    """

    system: ClassVar[str] = "prisma"
    name: str
    does: str
    turns_red: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the fault as ``faults --json`` prints it."""
        turns_red = list(self.turns_red)
        return {"name": self.name, "system": self.system, "does": self.does, "turns_red": turns_red}

    def red_in(self, stage: str) -> frozenset[str]:
        """Return the checks of one stage (``stage1``) that the fault turns red."""
        return frozenset(check for check in self.turns_red if check.startswith(f"{stage}/"))


FAULTS: tuple[Fault, ...] = (
    Fault("dashboard-500", "the dashboard page / answers 500", (SMOKE, ERRORS)),
    Fault("menu-link-missing", "the side menu lacks its link to /reports", (SMOKE,)),
    Fault("slow-reads", "reads through the facade take three times as long", (LATENCY,)),
    Fault("errors-1pct", "1 % of the admin cohort's requests answer 500, none of them in the smoke", (ERRORS,)),
    Fault("payment-failure-shown-as-success", "a refused payment is reported as a success", (SMOKE,)),
    Fault("metrics-down", "/api/internal/metrics answers 503", (LATENCY, ERRORS)),
    Fault("prometheus-down", "Prometheus is stopped right after the start", (LATENCY, ERRORS)),
    # A pass counts only with the flags as they have to be, so no canary passes while nobody knows them.
    Fault("flags-down", "the flag service answers 503", (FLAG_STATE, KILL_SWITCH, SMOKE)),
    Fault("counter-renamed", "http_requests_total is exposed as http_request_count_total", (ERRORS,)),
    Fault(
        "kill-switch-stuck",
        "a flag turned off stays on inside the application, though the flag service says off",
        (KILL_SWITCH,),
    ),
    Fault("row-count-wrong", "the facade's /invoices page drops its last row", (SMOKE,)),
    Fault(
        "flag-lost",
        "the flag service answers the default for every cohort; the application still serves the facade",
        (FLAG_STATE, KILL_SWITCH, SMOKE),
    ),
    Fault(
        "payment-not-settled",
        "a payment is accepted and stays in the wallet; no invoice is settled",
        (*SETTLEMENT, SETTLEMENT_LOAD),
    ),
    Fault("double-settlement", "every settlement of an invoice is booked twice", SETTLEMENT),
    Fault(
        "wallet-off-by-one",
        "a deposit raises the wallet by one unit less than was paid",
        (*SETTLEMENT, SETTLEMENT_LOAD, AUDIT_PARITY),
    ),
    Fault("audit-row-missing", "an invoice that is settled in part leaves no audit row", SETTLEMENT),
    Fault("correlation-id-wrong", "audit rows of invoices carry a correlation id of their own", SETTLEMENT),
    Fault(
        "failed-payment-shown-as-success",
        "every payment fails and is rolled back, but page and API say that it was made",
        (*SETTLEMENT, SETTLEMENT_LOAD, AUDIT_PARITY, ROLLBACKS),
    ),
    Fault("counter-not-moved", "payments that were made are not counted", (*SETTLEMENT, AUDIT_PARITY)),
    Fault(
        "rollback-without-trace",
        "every payment is answered and counted as made, and then undone; that is neither counted nor logged",
        (*SETTLEMENT, SETTLEMENT_LOAD, AUDIT_PARITY),
    ),
    Fault("portal-total-stale", "the portal goes on showing as paid what it showed first", SETTLEMENT),
    Fault("zero-payment-accepted", "a payment of 0 is accepted", (*SETTLEMENT, AUDIT_PARITY)),
    Fault("idempotency-key-ignored", "a repeated request with the same Idempotency-Key pays again", SETTLEMENT),
    Fault(
        "reversal-forgets-invoices",
        "a payment that is taken back leaves its invoices settled",
        (*SETTLEMENT, SETTLEMENT_LOAD, AUDIT_PARITY),
    ),
    Fault("audit-diverges", "the facade names the agent differently in the audit row of a payment", (AUDIT_PARITY,)),
    # Canaries pay once in a while: only a load can tell.
    Fault(
        "settlement-overload",
        "the sixth payment within a second fails and is rolled back, and so does every further one",
        (SETTLEMENT_LOAD, ROLLBACKS),
    ),
    Fault("portal-slow", "a portal page takes a quarter of a second longer", (PORTAL_LATENCY, PORTAL_LOAD)),
    Fault("portal-errors-10pct", "every tenth portal page answers 500", (PORTAL_ERRORS, PORTAL_LOAD)),
    Fault(
        "portal-hung",
        "the portal takes requests and answers none of them within a minute",
        (PORTAL_LATENCY, PORTAL_ERRORS, PORTAL_LOAD),
    ),
)


def turning_red(stage: str) -> tuple[Fault, ...]:
    """Return the faults that a check of the stage (``stage1``) has to notice."""
    return tuple(fault for fault in FAULTS if fault.red_in(stage))


def check_names(names: Iterable[str], faults: Sequence[Fault] = FAULTS) -> frozenset[str]:
    """Return the names as a set, or raise UnknownFaultError for the first one that none of the faults has."""
    known = [fault.name for fault in faults]
    chosen = frozenset(names)
    for name in sorted(chosen.difference(known)):
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise UnknownFaultError(f"unknown fault {name!r}{hint}\nfaults: {', '.join(known)}")
    return chosen
