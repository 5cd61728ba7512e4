"""The faults the sandbox can be started with, and the checks each one has to turn red."""

import difflib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

SMOKE = "stage1/dashboard-smoke"
LATENCY = "stage1/read-latency"
ERRORS = "stage1/api-5xx"
FLAG_STATE = "stage1/flag-state"
KILL_SWITCH = "stage1/kill-switch"


class UnknownFaultError(ValueError):
    """No fault has this name; the message suggests one and lists them all."""


@dataclass(frozen=True)
class Fault:
    """One way to break the sandbox.

    ``turns_red`` names every check, as ``stage/check``, that must no longer pass.
    """

    name: str
    does: str
    turns_red: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the fault as ``faults --json`` prints it."""
        return asdict(self) | {"turns_red": list(self.turns_red)}


FAULTS: tuple[Fault, ...] = (
    Fault("dashboard-500", "the dashboard page / answers 500", (SMOKE, ERRORS)),
    Fault("menu-link-missing", "the side menu lacks its link to /reports", (SMOKE,)),
    Fault("slow-reads", "reads through the facade take three times as long", (LATENCY,)),
    Fault("errors-1pct", "1 % of the admin cohort's requests answer 500, none of them in the smoke", (ERRORS,)),
    Fault("payment-failure-shown-as-success", "a refused payment is reported as a success", (SMOKE,)),
    Fault("metrics-down", "/api/internal/metrics answers 503", (LATENCY, ERRORS)),
    Fault("prometheus-down", "Prometheus is stopped right after the start", (LATENCY, ERRORS)),
    Fault("flags-down", "the flag service answers 503", (FLAG_STATE, KILL_SWITCH)),
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
        (FLAG_STATE, KILL_SWITCH),
    ),
)


def check_names(names: Iterable[str]) -> frozenset[str]:
    """Return the names as a set, or raise UnknownFaultError for the first one that no fault has."""
    known = [fault.name for fault in FAULTS]
    chosen = frozenset(names)
    for name in sorted(chosen.difference(known)):
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise UnknownFaultError(f"unknown fault {name!r}{hint}\nfaults: {', '.join(known)}")
    return chosen
