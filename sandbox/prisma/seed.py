"""The data every run starts with: the same agents, invoices and payments, made by the ledger's own rules."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from sandbox.prisma.clock import rfc3339
from sandbox.prisma.db import Agent, Invoice, Partner, Setting, Wallet
from sandbox.prisma.ledger import PaymentOrder, UnitOfWork, record

AGENTS, INVOICES, PAYMENTS, PARTNERS = 24, 60, 40, 4
"""The people's. The synthetic agents and their invoices come after them."""
SYNTHETIC_AGENTS = 3
"""The settlement canary's, the audit-parity canary's, and the last one for loads: none meets another in its books."""
METHODS = ("EXTERNAL", "INTERNAL_SETTLEMENT", "ADJUSTMENT")
_START = datetime(2025, 1, 5, tzinfo=UTC)
_TODAY = datetime(2025, 7, 1, tzinfo=UTC)
_FIRST = ("Ada", "Babak", "Clara", "Dara", "Emil", "Farah")
_LAST = ("Arvand", "Bergmann", "Carlsen", "Delavar")
_MONTHS = 6
_SYNTHETIC_INVOICES = ((250, "UNPAID", "2025-08-15"), (100, "OVERDUE", "2025-06-20"), (400, "UNPAID", "2025-09-30"))
"""Amount, status, due date. The domain's example, in another order than by due date, and one that stays untouched."""
_LOAD_INVOICES = ((1_000_000, "OVERDUE", "2025-06-20"),)
"""Open for as many payments of one unit at once as any load may leave standing."""
_INITIAL = ("DRAFT", "OVERDUE", "UNPAID", "UNPAID", "CANCELLED", "OVERDUE", "UNPAID", "OVERDUE", "UNPAID", "UNPAID")


def seed(engine: Engine) -> None:
    """Fill the empty database, in one transaction."""
    with Session(engine) as session, session.begin():
        session.add_all([_partner(number) for number in range(1, PARTNERS + 1)])
        session.flush()
        session.add_all([_agent(number) for number in range(1, AGENTS + 1)])
        session.add_all([_synthetic_agent(number) for number in range(1, SYNTHETIC_AGENTS + 1)])
        session.flush()
        session.add_all([Wallet(agent_id=number, balance=0) for number in range(1, AGENTS + SYNTHETIC_AGENTS + 1)])
        session.add_all([_invoice(number) for number in range(1, INVOICES + 1)])
        session.add_all([one for number in range(1, SYNTHETIC_AGENTS + 1) for one in _synthetic_invoices(number)])
        session.add_all(_settings())
        session.flush()
        for number in range(1, PAYMENTS + 1):
            at = _TODAY - timedelta(hours=6 * (PAYMENTS - number))
            record(UnitOfWork(session, "seed", f"seed-{number:04}", at), _payment(number))


def _partner(number: int) -> Partner:
    return Partner(id=number, name=f"Partner {number:02}", commission_rate=2 + number, created_at=rfc3339(_START))


def _agent(number: int) -> Agent:
    name = f"{_FIRST[number % len(_FIRST)]} {_LAST[(number - 1) // len(_FIRST)]}"
    return Agent(
        id=number,
        code=f"AG-{number:03}",
        name=name,
        partner_id=(number - 1) % PARTNERS + 1,
        commission_rate=5 + number % 4,
        status="SUSPENDED" if number % 11 == 0 else "ACTIVE",
        email=f"agent{number:02}@example.test",
        phone=f"+1555010{number:04}",
        telegram_chat_id=str(700000 + number) if number % 3 == 0 else None,
        avatar_url=None,
        created_at=rfc3339(_START),
        updated_at=rfc3339(_START),
    )


def _synthetic_agent(number: int) -> Agent:
    """Return an agent that is there for one canary alone, or for loads: nobody else pays for it."""
    return Agent(
        id=AGENTS + number,
        code=f"SYN-{number:03}",
        name=f"Synthetic {number}",
        partner_id=1,
        commission_rate=5,
        status="ACTIVE",
        email=f"synthetic{number}@example.test",
        phone=f"+1555019{number:04}",
        created_at=rfc3339(_START),
        updated_at=rfc3339(_START),
    )


def _synthetic_invoices(agent: int) -> list[Invoice]:
    issued = rfc3339(datetime(2025, 6, 1, tzinfo=UTC))
    invoices = _LOAD_INVOICES if agent == SYNTHETIC_AGENTS else _SYNTHETIC_INVOICES
    return [
        Invoice(
            agent_id=AGENTS + agent,
            invoice_number=f"INV-SYN-{agent}-{number:04}",
            amount=amount,
            currency="IRR",
            issue_date=issued,
            due_date=f"{due}T00:00:00.000Z",
            status=status,
            source="MANUAL",
            created_at=issued,
            updated_at=issued,
        )
        for number, (amount, status, due) in enumerate(invoices, start=1)
    ]


def _invoice(number: int) -> Invoice:
    issued = _START.replace(month=(number - 1) % _MONTHS + 1) + timedelta(days=number % 20)
    status = _INITIAL[number % len(_INITIAL)]
    return Invoice(
        agent_id=(number - 1) % AGENTS + 1,
        invoice_number=f"INV-2025-{number:04}",
        amount=1_000_000 + (number * 37 % 23) * 250_000,
        currency="IRR",
        issue_date=rfc3339(issued),
        due_date=rfc3339(issued + timedelta(days=14 if status == "OVERDUE" else 240)),
        status=status,
        source="IMPORT" if number % 2 else "MANUAL",
        batch_id=f"batch-{(number - 1) % _MONTHS + 1:02}" if number % 2 else None,
        settled=0,
        created_at=rfc3339(issued),
        updated_at=rfc3339(issued),
    )


def _payment(number: int) -> PaymentOrder:
    return PaymentOrder(
        agent_id=number * 7 % AGENTS + 1,
        amount=600_000 + (number * 53 % 17) * 150_000,
        method=METHODS[number % len(METHODS)],
        reference=f"SEED-{number:04}",
    )


def _settings() -> list[Setting]:
    return [
        Setting(key="companyName", value="Prisma Sandbox", sensitive=False),
        Setting(key="supportEmail", value="support@example.test", sensitive=False),
        Setting(key="telegramBotToken", value="", sensitive=True),
    ]
