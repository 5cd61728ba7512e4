"""The audit spot-check of stage 2: legacy settlement and financial orchestrator write the same audit rows.

The same synthetic payment is made twice for a cohort of its own, with FINANCIAL_ORCHESTRATOR off and on, and taken back
each time. The rows must agree in everything but ids, times and correlation id.

Needs what the settlement canary needs, with an agent of its own (SYN-002), a flag service, and the header
``x-write-path: legacy|facade`` on answers to payments: without it nobody knows which of the two wrote the rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

import pytest

from canaries.prisma.errand import Errand, require
from canaries.prisma.settlement import Row, Settlement, UnusableError, unequal
from canaries.prisma.switch import Switch, borrowed, until

pytestmark = pytest.mark.canary("audit-parity")

FLAG = "FINANCIAL_ORCHESTRATOR"
COHORT = "audit-parity"
WITHIN_SECONDS = 5.0
"""How long a flip may take to reach the application."""
OWN = {"id", "correlationId", "createdAt"}
"""What no two rows share."""
MADE = {"Payment", "WalletTransaction"}
"""Entities that every payment makes anew, so that their ids differ, too."""


@pytest.fixture
def switch(rollout_target: Any) -> Iterator[Switch]:
    """Return the cohort's switch; afterwards the flag is as it was, or the test fails."""
    with borrowed(rollout_target, FLAG, COHORT) as switch:
        yield switch


def test_legacy_and_facade_write_the_same_audit_rows(errand: Errand, switch: Switch) -> None:
    """Every audit row of the payment is the same, whoever wrote it."""
    legacy, facade = (audited(errand, switch, path) for path in ("legacy", "facade"))
    require("facade compared with legacy", differences(legacy, facade))


def audited(errand: Errand, switch: Switch, path: str) -> list[Row]:
    """Make the payment on one path, take it back, and return its audit rows."""
    switch.turn(to=path == "facade", reason=f"{COHORT}: payment by {path}")
    until(lambda: path_taken(errand, path) == path, WITHIN_SECONDS, lambda: f"payments do not go by {path}")
    settlement = Settlement.of_two(errand.before)
    order = errand.order(settlement.amount, path, cohort=COHORT)
    answer = errand.pay(order)
    rows = errand.books.audit(order.correlation_id)
    wrong = settlement.wrong_payment(errand.look(), None)
    require(path, [*wrong, *([] if rows else ["audit: expected rows, found none"]), *errand.take_back()])
    if answer.path != path:
        raise UnusableError(f"the payment went by {answer.path} though the flag says {path}")
    return rows


def path_taken(errand: Errand, path: str) -> str:
    """Return which path the application takes for the cohort: a payment of 0 is refused, and tells.

    Raises UnusableError.
    """
    answer = errand.pay(errand.order(0, "probe", path, cohort=COHORT))
    if answer.path is None:
        raise UnusableError("answers to payments have no header x-write-path, so the paths cannot be told apart")
    return answer.path


def differences(legacy: list[Row], facade: list[Row]) -> list[str]:
    """Return in which fields the rows differ, in the order that they were written."""
    pairs = zip_longest(map(comparable, legacy), map(comparable, facade), fillvalue={"action": "no row"})
    return [
        line
        for number, (old, new) in enumerate(pairs, start=1)
        for field in sorted(old.keys() | new.keys())
        for line in unequal(f"row {number} ({old['action']}), {field}", old.get(field), new.get(field))
    ]


def comparable(row: Row) -> Mapping[str, Any]:
    """Return what the row of another payment has to share."""
    own = OWN | {"entityId"} if row["entityType"] in MADE else OWN
    return {field: value for field, value in row.items() if field not in own}
