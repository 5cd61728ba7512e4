"""The JSON API: plain arrays, and payments."""

import json
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, Response

from sandbox.prisma import reads
from sandbox.prisma.db import AuditEntry
from sandbox.prisma.ledger import PaymentOrder
from sandbox.prisma.orchestrator import RefusedError
from sandbox.prisma.seed import METHODS
from sandbox.prisma.site import Call, Handler

AUDIT_LIMIT = 1000
"""Audit rows shown at most, the newest."""


def agents(call: Call) -> Response:
    """GET /api/agents."""
    return JSONResponse(reads.only(reads.AGENT, call.reads.agents()))


def invoices(call: Call) -> Response:
    """GET /api/invoices."""
    return JSONResponse(reads.only(reads.INVOICE, call.reads.invoices()))


def payments(call: Call) -> Response:
    """GET /api/payments, all or those of ?agentId=."""
    text = call.request.query_params.get("agentId")
    if text is not None and not text.isdecimal():
        return JSONResponse({"message": "agentId must be a number"}, 400)
    found = call.reads.payments(None if text is None else int(text))
    return JSONResponse(reads.only(reads.PAYMENT, found))


def partners(call: Call) -> Response:
    """GET /api/sales-partners."""
    return JSONResponse(reads.only(reads.PARTNER, call.reads.partners()))


def summaries(call: Call) -> Response:
    """GET /api/agent-summaries."""
    return JSONResponse(reads.only(reads.SUMMARY, call.reads.summaries()))


def pay(call: Call) -> Response:
    """POST /api/payments: 201 if made, 400 if refused, 500 if it failed and was rolled back.

    With the header Idempotency-Key the same request again is the same payment; 409 if it is another request.
    """
    try:
        result = call.site.orchestrator.process(_order(call.body), call.caller, call.idempotency_key)
    except RefusedError as refusal:
        return _refused(call, refusal)
    return JSONResponse(result.as_json(), 201 if result.success else 500, call.caller.headers)


def reverse(call: Call) -> Response:
    """POST /api/payments/{id}/reversal: 201 if taken back, now or before, 404 if unknown, 409 if a reversal itself."""
    payment_id = call.request.path_params["id"]
    try:
        reversal_id = call.site.orchestrator.reverse(payment_id, call.caller)
    except RefusedError as refusal:
        return _refused(call, refusal)
    answer = {"success": True, "paymentId": reversal_id, "reversalOf": payment_id}
    return JSONResponse(answer, 201, call.caller.headers)


def _refused(call: Call, refusal: RefusedError) -> Response:
    return JSONResponse({"success": False, "message": str(refusal)}, refusal.status, call.caller.headers)


def _order(body: bytes) -> PaymentOrder:
    """Read the order; money is a whole number, so 1.5, "1" and true are refused."""
    try:
        fields = json.loads(body)
    except ValueError as error:
        raise RefusedError("the body is not JSON") from error
    if not isinstance(fields, dict):
        raise RefusedError("the body is not an object")
    method = fields.get("method", METHODS[0])
    if method not in METHODS:
        raise RefusedError(f"method must be one of {', '.join(METHODS)}")
    return PaymentOrder(
        agent_id=_whole(fields, "agentId"),
        amount=_whole(fields, "amount"),
        method=method,
        reference=str(fields.get("reference") or ""),
        note=fields.get("note") and str(fields["note"]),
    )


def _whole(fields: dict[str, Any], name: str) -> int:
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise RefusedError(f"{name} must be a whole number")
    return value


def audit(call: Call) -> Response:
    """GET /api/audit: the newest rows in the order they were written, all or those of ?correlationId=."""
    query = select(*AuditEntry.__table__.columns).order_by(AuditEntry.id.desc()).limit(AUDIT_LIMIT)
    if wanted := call.request.query_params.get("correlationId"):
        query = query.where(AuditEntry.correlation_id == wanted)
    with Session(call.site.engine) as session:
        rows = [dict(row) for row in session.execute(query).mappings()]
    return JSONResponse([row | {"payload": json.loads(row["payload"])} for row in reversed(rows)])


ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("/api/agents", "GET", agents),
    ("/api/invoices", "GET", invoices),
    ("/api/payments", "GET", payments),
    ("/api/payments", "POST", pay),
    ("/api/payments/{id:int}/reversal", "POST", reverse),
    ("/api/sales-partners", "GET", partners),
    ("/api/agent-summaries", "GET", summaries),
    ("/api/audit", "GET", audit),
)
