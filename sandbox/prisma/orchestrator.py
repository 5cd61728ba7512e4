"""The financial orchestrator: a payment is made wholly, in one transaction, or not at all."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from sandbox.prisma.clock import now
from sandbox.prisma.db import Agent
from sandbox.prisma.ledger import PaymentOrder, Settlement, UnitOfWork, record
from sandbox.prisma.logs import Log
from sandbox.prisma.metrics import Metrics


class RefusedError(ValueError):
    """The order is invalid; nothing was tried and nothing is counted."""


@dataclass(frozen=True)
class Caller:
    """Who asks for a payment: actor, correlation id, and the flags as they apply to the actor's cohort."""

    actor: str
    correlation_id: str
    flag_state: dict[str, bool]

    @property
    def path(self) -> str:
        """The label under which the audit rows of this caller are counted."""
        return "facade" if self.flag_state["financialOrchestrator"] else "legacy"


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


class Orchestrator:
    """Makes payments, counts them and writes the log a rollout is watched by."""

    def __init__(self, engine: Engine, metrics: Metrics, log: Log) -> None:
        self._engine = engine
        self._metrics = metrics
        self._log = log

    def process(self, order: PaymentOrder, caller: Caller) -> Result:
        """Make the payment. Raises RefusedError for an invalid order; a failure is a Result without success."""
        self._check(order)
        self._say("payment.start", caller)
        try:
            result = self._in_one_transaction(order, caller)
        except Exception:  # noqa: BLE001 - whatever went wrong, the books are as before and it is counted
            return self._failed(caller)
        self._metrics.payments.labels("success").inc()
        self._say("payment.success", caller)
        return result

    def _check(self, order: PaymentOrder) -> None:
        if order.amount <= 0:
            raise RefusedError("amount must be greater than 0")
        with Session(self._engine) as session:
            if session.get(Agent, order.agent_id) is None:
                raise RefusedError(f"unknown agent {order.agent_id}")

    def _in_one_transaction(self, order: PaymentOrder, caller: Caller) -> Result:
        self._say("withUnitOfWork.start", caller)
        with Session(self._engine) as session, session.begin():
            work = UnitOfWork(session, caller.actor, caller.correlation_id, now())
            payment, deposit, settlement = record(work, order)
            session.flush()
            result = Result(
                success=True,
                payment_id=payment.id,
                wallet_transaction_id=deposit.id,
                reference_id=payment.reference,
                settlement=settlement,
            )
        self._metrics.audit_entries.labels(caller.path).inc(work.audited)
        self._say("withUnitOfWork.commit", caller)
        return result

    def _failed(self, caller: Caller) -> Result:
        self._log.failure("withUnitOfWork.rollback", **_context(caller, "persistence"))
        self._metrics.payments.labels("failure").inc()
        self._metrics.rollbacks.inc()
        self._say("payment.compensation.start", caller)
        return Result(success=False, message="the payment failed and was rolled back")

    def _say(self, message: str, caller: Caller) -> None:
        scope = "persistence" if message.startswith("withUnitOfWork") else "financialOrchestrator"
        self._log.info(message, **_context(caller, scope))


def _context(caller: Caller, scope: str) -> dict[str, Any]:
    return {
        "correlationId": caller.correlation_id,
        "actor": caller.actor,
        "scope": scope,
        "flagState": caller.flag_state,
    }
