"""The pages, rendered on the server."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from sandbox.prisma.ledger import PaymentOrder
from sandbox.prisma.orchestrator import RefusedError
from sandbox.prisma.reads import Row
from sandbox.prisma.seed import METHODS
from sandbox.prisma.site import Call, Handler
from sandbox.prisma.texts import DIRECTION, texts

MENU = (
    ("/", "dashboard"),
    ("/agents", "agents"),
    ("/invoices", "invoices"),
    ("/payments", "payments"),
    ("/partners", "partners"),
    ("/reports", "reports"),
    ("/settings", "settings"),
)


@dataclass(frozen=True)
class Toast:
    """The result of a form, as the page shows it; ``title`` is the key of a text."""

    title: str
    description: str
    success: bool


@dataclass(frozen=True)
class Column:
    """A table column: the key of its header's text, the row's key, and how a cell is shown."""

    text: str
    key: str
    kind: str = "text"
    href: str = ""


AGENT_COLUMNS = (
    Column("code", "code"),
    Column("name", "name", href="/agents/{agentId}"),
    Column("status", "status"),
    Column("billed", "totalBilled", "number"),
    Column("paid", "totalPaid", "number"),
    Column("outstanding", "outstandingAmount", "number"),
    Column("overdue", "overdueCount", "number"),
    Column("calculated", "lastCalculatedAt", "date"),
)
INVOICE_COLUMNS = (
    Column("number", "invoiceNumber"),
    Column("agent", "agentName", href="/agents/{agentId}"),
    Column("amount", "amount", "number"),
    Column("issued", "issueDate", "date"),
    Column("due", "dueDate", "date"),
    Column("status", "status"),
    Column("source", "source"),
)
PAYMENT_COLUMNS = (
    Column("agent", "agentName", href="/agents/{agentId}"),
    Column("amount", "amount", "number"),
    Column("method", "method"),
    Column("reference", "reference"),
    Column("date", "recordedAt", "date"),
)
PARTNER_COLUMNS = (Column("name", "name"), Column("commission", "commissionRate", "number"))
REPORT_COLUMNS = (
    Column("status", "status"),
    Column("count", "count", "number"),
    Column("amount", "amount", "number"),
)


def dashboard(call: Call) -> Response:
    """GET /."""
    if call.has("dashboard-500"):
        raise RuntimeError("fault dashboard-500")
    totals = call.reads.dashboard()
    highest = max((billed for _, billed in totals["months"]), default=1)
    bars = [(month, billed, round(100 * billed / highest)) for month, billed in totals["months"]]
    return _page(call, "dashboard.html", "dashboard", totals=totals, bars=bars)


def agents(call: Call) -> Response:
    """GET /agents."""
    return _table(call, "agents", AGENT_COLUMNS, call.reads.summaries(), dialog="agent")


def agent(call: Call) -> Response:
    """GET /agents/{id}: 404 for an unknown agent."""
    found = call.reads.agent(call.request.path_params["id"])
    return _page(call, "agent.html", "agents", agent=found) if found else Response(status_code=404)


def invoices(call: Call) -> Response:
    """GET /invoices."""
    rows = call.reads.invoices()
    if call.has("row-count-wrong") and call.reads.name == "facade":
        rows = rows[:-1]
    return _table(call, "invoices", INVOICE_COLUMNS, rows)


def payments(call: Call) -> Response:
    """GET /payments, all or those that ?q= finds."""
    return _payments(call, call.request.query_params.get("q", "").strip(), None)


def pay(call: Call) -> Response:
    """POST /payments: make the payment of the form and show its result as a toast."""
    toast = _pay(call)
    if call.has("payment-failure-shown-as-success") and not toast.success:
        toast = Toast("payment_made", "", success=True)
    page = _payments(call, "", toast)
    page.headers.update(call.caller.headers)
    return page


def _pay(call: Call) -> Toast:
    try:
        result = call.site.orchestrator.process(_order(call.form), call.caller, call.idempotency_key)
    except RefusedError as refusal:
        return Toast("payment_refused", str(refusal), success=False)
    if not result.success:
        return Toast("payment_refused", result.message, success=False)
    return Toast("payment_made", result.reference_id, success=True)


def _order(form: dict[str, str]) -> PaymentOrder:
    """Read the form; ``int`` takes the digits of any script."""
    try:
        agent_id, amount = int(form.get("agentId", "")), int(form.get("amount", ""))
    except ValueError as error:
        raise RefusedError("agent and amount must be whole numbers") from error
    method = form.get("paymentMethod", METHODS[0])
    if method not in METHODS:
        raise RefusedError(f"method must be one of {', '.join(METHODS)}")
    return PaymentOrder(agent_id, amount, method, form.get("reference", ""), recorded_at=form.get("date") or None)


def _payments(call: Call, search: str, toast: Toast | None) -> Response:
    rows = call.reads.payments(search=search)
    # The choices of the form are read aside, untimed: a request has one timed read.
    more = {"dialog": "payment", "search": search, "toast": toast, "methods": METHODS}
    return _table(call, "payments", PAYMENT_COLUMNS, rows, agents=call.site.legacy.agents(), **more)


def partners(call: Call) -> Response:
    """GET /partners."""
    return _table(call, "partners", PARTNER_COLUMNS, call.reads.partners())


def reports(call: Call) -> Response:
    """GET /reports: invoices by status."""
    sums: dict[str, Row] = {}
    for row in call.reads.invoices():
        line = sums.setdefault(row["status"], {"status": row["status"], "count": 0, "amount": 0})
        line["count"] += 1
        line["amount"] += row["amount"]
    return _table(call, "reports", REPORT_COLUMNS, [sums[status] for status in sorted(sums)])


def settings(call: Call) -> Response:
    """GET /settings."""
    return _page(call, "settings.html", "settings", settings=call.site.settings.shown(), toast=None)


def save_settings(call: Call) -> Response:
    """POST /settings."""
    saved = call.site.settings.update(call.form, actor=call.cohort) == "success"
    toast = Toast("saved" if saved else "unchanged", "", success=True)
    return _page(call, "settings.html", "settings", settings=call.site.settings.shown(), toast=toast)


def portal(call: Call) -> Response:
    """GET /portal/{agentId}: 404 for an unknown agent."""
    if call.site.portal_errors.strikes():
        raise RuntimeError("fault portal-errors-10pct")
    found = call.reads.portal(call.request.path_params["agentId"])
    if found is None:
        return Response(status_code=404)
    if call.has("portal-total-stale"):
        found["paid"] = call.site.first_paid.setdefault(found["agent"]["id"], found["paid"])
    columns = [[column for column in of if column.key != "agentName"] for of in (INVOICE_COLUMNS, PAYMENT_COLUMNS)]
    return _page(call, "portal.html", "portal", portal=found, columns=columns)


def _table(call: Call, title: str, columns: Iterable[Column], rows: list[Row], **more: Any) -> Response:
    return _page(call, "table.html", title, columns=columns, rows=rows, **more)


def _page(call: Call, template: str, title: str, **context: Any) -> Response:
    locale = call.site.config.locale
    lacking = "/reports" if call.has("menu-link-missing") else None
    common = {
        "t": texts(locale),
        "locale": locale,
        "direction": DIRECTION[locale],
        "menu": [entry for entry in MENU if entry[0] != lacking],
        "title": title,
    }
    return call.site.templates.TemplateResponse(call.request, template, common | context)


ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("/", "GET", dashboard),
    ("/agents", "GET", agents),
    ("/agents/{id:int}", "GET", agent),
    ("/invoices", "GET", invoices),
    ("/payments", "GET", payments),
    ("/payments", "POST", pay),
    ("/partners", "GET", partners),
    ("/reports", "GET", reports),
    ("/settings", "GET", settings),
    ("/settings", "POST", save_settings),
    ("/portal/{agentId:int}", "GET", portal),
)
