"""The bodies of answers that are not a success."""

from dataclasses import dataclass
from typing import Any

from sandbox.normalization.modes import Endpoint
from sandbox.normalization.shapes import MalformedError
from sandbox.normalization.stages import CANONICAL
from sandbox.normalization.validation import Findings

Body = dict[str, Any]
_COMPLAINTS = {
    "array": "stageDistribution holds unknown stages",
    "object": "stageAllocation holds unknown stages",
    "query": "stage is unknown",
}


class RejectedError(Exception):
    """The validator refuses the request for the stages it does not know."""

    def __init__(self, findings: Findings) -> None:
        super().__init__("unknown stages")
        self.findings = findings


class FundNotFoundError(LookupError):
    """No fund has this id."""


@dataclass(frozen=True)
class Refusal:
    """Status and body of a refusal."""

    status: int
    body: Body


def unknown_stages(endpoint: Endpoint, findings: Findings, correlation_id: str) -> Refusal:
    """Return what enforce answers to unknown stages; the Monte Carlo body has its code in ``error``."""
    code = {} if endpoint.error == endpoint.error_code else {"code": endpoint.error_code}
    details = {
        **code,
        "invalid": list(findings.unknown),
        "suggestions": dict(findings.suggestions),
        "validStages": list(CANONICAL),
    }
    return Refusal(400, _body(endpoint.error, _COMPLAINTS[endpoint.input_type], details, correlation_id))


def malformed(error: MalformedError, correlation_id: str) -> Refusal:
    """Return the answer to a malformed request, the same in every mode."""
    details = {"code": error.code, "pointer": error.pointer}
    status = 413 if error.code == "TOO_LARGE" else 400
    return Refusal(status, _body("malformed_request", str(error), details, correlation_id))


def not_found(correlation_id: str) -> Refusal:
    """Return the answer to a request for a fund that does not exist."""
    return Refusal(404, _body("not_found", "there is no such fund", {"code": "FUND_NOT_FOUND"}, correlation_id))


def unrouted(status: int, correlation_id: str) -> Refusal:
    """Return the answer to a path or a method that does not exist."""
    return Refusal(status, _body("not_found", "there is nothing at this path for this method", {}, correlation_id))


def internal(correlation_id: str) -> Refusal:
    """Return the answer to a request that failed here."""
    return Refusal(500, _body("internal_error", "the request failed", {"code": "INTERNAL"}, correlation_id))


def _body(error: str, message: str, details: Body, correlation_id: str) -> Body:
    return {"error": error, "message": message, "details": details, "correlationId": correlation_id}
