"""The financial orchestrator: a payment is made or taken back wholly, in one transaction, or not at all."""

import json
import math
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Self

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from sandbox.prisma.clock import now
from sandbox.prisma.db import Agent, KeptAnswer, Payment
from sandbox.prisma.ledger import PaymentOrder, Settlement, UnitOfWork, record, reverse
from sandbox.prisma.logs import Log
from sandbox.prisma.metrics import Metrics

_CROWD = 5
"""With settlement-overload, more payments than these within a second are too many."""


class RefusedError(ValueError):
    """The order is invalid; nothing was tried and nothing is counted. ``status`` is the HTTP status that says so."""

    status = 400


class UnknownPaymentError(RefusedError):
    """No payment has this id."""

    status = 404


class ConflictError(RefusedError):
    """What is asked for contradicts what was done before."""

    status = 409


@dataclass(frozen=True)
class Caller:
    """Who asks for a payment: actor, correlation id, trace, and the flags as they apply to the actor's cohort."""

    actor: str
    correlation_id: str
    flag_state: dict[str, bool]
    trace_id: str = ""

    @property
    def path(self) -> str:
        """The label under which the audit rows of this caller are counted."""
        return "facade" if self.flag_state["financialOrchestrator"] else "legacy"

    @property
    def headers(self) -> dict[str, str]:
        """What an answer says about its making."""
        return {"x-correlation-id": self.correlation_id, "x-write-path": self.path}


@dataclass(frozen=True)
class Result:
    """The outcome of a payment."""

    success: bool
    message: str = ""
    payment_id: int | None = None
    wallet_transaction_id: int | None = None
    reference_id: str = ""
    settlement: Settlement | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the result as the API answers it."""
        if self.settlement is None:
            return {"success": self.success, "message": self.message}
        return {
            "success": True,
            "paymentId": self.payment_id,
            "walletTransactionId": self.wallet_transaction_id,
            "referenceId": self.reference_id,
            "settlement": {
                "settledCount": self.settlement.settled_count,
                "usedBalance": self.settlement.used_balance,
                "batchesProcessed": self.settlement.batches_processed,
            },
        }

    @classmethod
    def from_kept(cls, text: str) -> Self:
        """Read the result of a payment that was kept as the JSON of its fields."""
        fields = json.loads(text)
        return cls(**fields | {"settlement": Settlement(**fields["settlement"])})


class Orchestrator:
    """Makes payments, counts them and writes the log a rollout is watched by."""

    def __init__(self, engine: Engine, metrics: Metrics, log: Log, faults: frozenset[str] = frozenset()) -> None:
        self._engine = engine
        self._metrics = metrics
        self._log = log
        self._faults = faults
        self._one_at_a_time = threading.Lock()
        self._latest: deque[float] = deque([-math.inf] * _CROWD, maxlen=_CROWD)

    def process(self, order: PaymentOrder, caller: Caller, key: str = "") -> Result:
        """Make the payment; with the key of one that was made, answer what that was answered.

        Raises RefusedError for an invalid order, ConflictError for a key that was used for another one. A failure
        is a Result without success, and leaves its key free.
        """
        self._check(order)
        if not key or self._has("idempotency-key-ignored"):
            return self._pay(order, caller)
        with self._one_at_a_time:  # a repeat that comes early waits for the answer to the first
            return self._kept(order, key) or self._pay(order, caller, key)

    def reverse(self, payment_id: int, caller: Caller) -> int:
        """Take a payment back, once, and return the id of the payment that does it; counted as no payment.

        Raises UnknownPaymentError, and ConflictError for what is a reversal itself.
        """
        with self._one_at_a_time, self._unit_of_work(caller) as work:
            payment = work.session.get(Payment, payment_id)
            if payment is None:
                raise UnknownPaymentError(f"unknown payment {payment_id}")
            if payment.reversal_of is not None:
                raise ConflictError(f"payment {payment_id} is the reversal of payment {payment.reversal_of}")
            known = work.session.scalar(select(Payment.id).where(Payment.reversal_of == payment_id))
            return known or reverse(work, payment).id

    def _check(self, order: PaymentOrder) -> None:
        if order.amount <= 0 and not (order.amount == 0 and self._has("zero-payment-accepted")):
            raise RefusedError("amount must be greater than 0")
        with Session(self._engine) as session:
            if session.get(Agent, order.agent_id) is None:
                raise RefusedError(f"unknown agent {order.agent_id}")

    def _kept(self, order: PaymentOrder, key: str) -> Result | None:
        with Session(self._engine) as session:
            known = session.get(KeptAnswer, key)
            if known and known.order != _text(order):
                raise ConflictError(f"the Idempotency-Key {key!r} was used for another payment")
            return Result.from_kept(known.answer) if known else None

    def _pay(self, order: PaymentOrder, caller: Caller, key: str = "") -> Result:
        self._say("payment.start", caller)
        result = None
        try:
            with self._unit_of_work(caller) as work:
                result = _record(work, order, key)
                self._spoil(work)
        except Exception:  # noqa: BLE001 - whatever went wrong, the books are as before and it is counted
            failed = self._failed(caller)
            return result if result and self._has("failed-payment-shown-as-success") else failed
        if not self._has("counter-not-moved"):
            self._metrics.payments.labels("success").inc()
        self._say("payment.success", caller)
        return result

    def _spoil(self, work: UnitOfWork) -> None:
        """Do to a payment just recorded what the faults want."""
        if self._has("failed-payment-shown-as-success"):
            raise RuntimeError("fault failed-payment-shown-as-success")
        if self._has("rollback-without-trace"):
            work.session.rollback()
        if self._has("settlement-overload") and self._crowded():
            raise RuntimeError("fault settlement-overload")

    def _crowded(self) -> bool:
        """Count a payment and return whether too many came within a second."""
        now, first = time.monotonic(), self._latest[0]
        self._latest.append(now)
        return now - first < 1

    @contextmanager
    def _unit_of_work(self, caller: Caller) -> Iterator[UnitOfWork]:
        self._say("withUnitOfWork.start", caller)
        with Session(self._engine) as session, session.begin():
            work = UnitOfWork(session, caller.actor, caller.correlation_id, now(), caller.path, self._faults)
            yield work
        self._metrics.audit_entries.labels(caller.path).inc(work.audited)
        self._say("withUnitOfWork.commit", caller)

    def _failed(self, caller: Caller) -> Result:
        self._log.failure("withUnitOfWork.rollback", **_context(caller, "persistence"))
        self._metrics.payments.labels("failure").inc()
        self._metrics.rollbacks.inc()
        self._say("payment.compensation.start", caller)
        return Result(success=False, message="the payment failed and was rolled back")

    def _say(self, message: str, caller: Caller) -> None:
        scope = "persistence" if message.startswith("withUnitOfWork") else "financialOrchestrator"
        self._log.info(message, **_context(caller, scope))

    def _has(self, fault: str) -> bool:
        return fault in self._faults


def _record(work: UnitOfWork, order: PaymentOrder, key: str) -> Result:
    """Record the payment and, under its key, what it is answered."""
    payment, deposit, settlement = record(work, order)
    work.session.flush()
    result = Result(
        success=True,
        payment_id=payment.id,
        wallet_transaction_id=deposit.id,
        reference_id=payment.reference,
        settlement=settlement,
    )
    if key:
        work.session.add(KeptAnswer(key=key, order=_text(order), answer=json.dumps(asdict(result))))
        work.session.flush()
    return result


def _text(order: PaymentOrder) -> str:
    return json.dumps(asdict(order))


def _context(caller: Caller, scope: str) -> dict[str, Any]:
    return {
        "correlationId": caller.correlation_id,
        "traceId": caller.trace_id,
        "actor": caller.actor,
        "scope": scope,
        "flagState": caller.flag_state,
    }
