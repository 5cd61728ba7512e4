"""The tables, on SQLite. Columns are named as in the JSON API, as Prisma does it."""

from pathlib import Path
from typing import Any

from sqlalchemy import Engine, ForeignKey, create_engine, event
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

DATABASE = "prisma.db"
UNPAID_STATUSES = ("UNPAID", "OVERDUE")
OPEN_STATUSES = (*UNPAID_STATUSES, "PARTIAL")
NOT_BILLED = ("DRAFT", "CANCELLED")


class Base(DeclarativeBase):
    """The tables' registry."""


class Partner(Base):
    """A sales partner."""

    __tablename__ = "partners"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    commission_rate: Mapped[int] = mapped_column("commissionRate")
    created_at: Mapped[str] = mapped_column("createdAt")


class Agent(Base):
    """An agent, the customer of the invoices; commission rate in percent."""

    __tablename__ = "agents"
    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str]
    name: Mapped[str]
    partner_id: Mapped[int] = mapped_column("partnerId", ForeignKey("partners.id"))
    commission_rate: Mapped[int] = mapped_column("commissionRate")
    status: Mapped[str]
    email: Mapped[str]
    phone: Mapped[str]
    telegram_chat_id: Mapped[str | None] = mapped_column("telegramChatId")
    avatar_url: Mapped[str | None] = mapped_column("avatarUrl")
    created_at: Mapped[str] = mapped_column("createdAt")
    updated_at: Mapped[str] = mapped_column("updatedAt")


class Invoice(Base):
    """An invoice; amounts are whole units of its currency, ``settled`` is the part already paid."""

    __tablename__ = "invoices"
    id: Mapped[int] = mapped_column(primary_key=True)
    agent_id: Mapped[int] = mapped_column("agentId", ForeignKey("agents.id"), index=True)
    invoice_number: Mapped[str] = mapped_column("invoiceNumber")
    amount: Mapped[int]
    currency: Mapped[str]
    issue_date: Mapped[str] = mapped_column("issueDate")
    due_date: Mapped[str] = mapped_column("dueDate")
    status: Mapped[str]
    source: Mapped[str]
    batch_id: Mapped[str | None] = mapped_column("batchId")
    settled: Mapped[int] = mapped_column("settledAmount", default=0)
    created_at: Mapped[str] = mapped_column("createdAt")
    updated_at: Mapped[str] = mapped_column("updatedAt")


class Payment(Base):
    """A payment of an agent; ``invoice_id`` is the first invoice it settled.

    A reversal has a negative amount, and in ``reversal_of`` the payment that it takes back.
    """

    __tablename__ = "payments"
    id: Mapped[int] = mapped_column(primary_key=True)
    agent_id: Mapped[int] = mapped_column("agentId", ForeignKey("agents.id"), index=True)
    invoice_id: Mapped[int | None] = mapped_column("invoiceId", ForeignKey("invoices.id"))
    amount: Mapped[int]
    method: Mapped[str]
    reference: Mapped[str]
    note: Mapped[str | None]
    reversal_of: Mapped[int | None] = mapped_column("reversalOf", ForeignKey("payments.id"), unique=True)
    recorded_at: Mapped[str] = mapped_column("recordedAt")
    created_at: Mapped[str] = mapped_column("createdAt")


class Wallet(Base):
    """An agent's balance. A write with a stale ``version`` raises sqlalchemy.orm.exc.StaleDataError."""

    __tablename__ = "wallets"
    agent_id: Mapped[int] = mapped_column("agentId", ForeignKey("agents.id"), primary_key=True)
    balance: Mapped[int]
    version: Mapped[int] = mapped_column()
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - how SQLAlchemy declares it


class WalletTransaction(Base):
    """A movement of a wallet: a deposit (positive) or the settlement of an invoice (negative).

    A reversal moves the other way. ``status_before`` is the invoice's, for the day the settlement is taken back.
    """

    __tablename__ = "wallet_transactions"
    id: Mapped[int] = mapped_column(primary_key=True)
    agent_id: Mapped[int] = mapped_column("agentId", ForeignKey("agents.id"))
    payment_id: Mapped[int | None] = mapped_column("paymentId", ForeignKey("payments.id"), index=True)
    invoice_id: Mapped[int | None] = mapped_column("invoiceId", ForeignKey("invoices.id"), index=True)
    kind: Mapped[str]
    amount: Mapped[int]
    status_before: Mapped[str | None] = mapped_column("statusBefore")
    created_at: Mapped[str] = mapped_column("createdAt")


class KeptAnswer(Base):
    """What a payment with an Idempotency-Key was answered; ``order`` and ``answer`` are JSON."""

    __tablename__ = "kept_answers"
    key: Mapped[str] = mapped_column(primary_key=True)
    order: Mapped[str]
    answer: Mapped[str]


class AuditEntry(Base):
    """Who changed what; rows of one payment share a correlation id. ``payload`` is JSON."""

    __tablename__ = "audit"
    id: Mapped[int] = mapped_column(primary_key=True)
    entity_type: Mapped[str] = mapped_column("entityType")
    entity_id: Mapped[str] = mapped_column("entityId")
    action: Mapped[str]
    actor_user_id: Mapped[str] = mapped_column("actorUserId")
    correlation_id: Mapped[str] = mapped_column("correlationId", index=True)
    payload: Mapped[str]
    created_at: Mapped[str] = mapped_column("createdAt")


class Setting(Base):
    """A setting; a sensitive value is stored encrypted, with the prefix ``v1:``."""

    __tablename__ = "settings"
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]
    sensitive: Mapped[bool]


class FlagRule(Base):
    """The value of a flag for a cohort; cohort ``*`` is the default, a null value a removed rule."""

    __tablename__ = "flag_rules"
    flag: Mapped[str] = mapped_column(primary_key=True)
    cohort: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[bool | None]
    changed_at: Mapped[str] = mapped_column("changedAt")
    changed_by: Mapped[str] = mapped_column("changedBy")


class FlagChange(Base):
    """One change of a flag; its id is the flag service's revision."""

    __tablename__ = "flag_changes"
    id: Mapped[int] = mapped_column(primary_key=True)
    flag: Mapped[str]
    cohort: Mapped[str]
    before: Mapped[bool | None]
    after: Mapped[bool | None]
    actor: Mapped[str]
    reason: Mapped[str]
    at: Mapped[str]


def open_database(directory: Path) -> Engine:
    """Open the database of the directory, with its tables; a writer waits up to 10 s for another."""
    engine = create_engine(
        f"sqlite:///{directory / DATABASE}",
        pool_size=40,  # one for each worker thread of the application: none is opened for a single read
        connect_args={"timeout": 10, "isolation_level": "IMMEDIATE"},
    )
    event.listen(engine, "connect", _prepare)
    Base.metadata.create_all(engine)
    return engine


def _prepare(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA journal_mode = WAL")  # readers do not wait for the writer
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")
