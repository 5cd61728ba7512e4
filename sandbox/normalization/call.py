"""One request on its way through an instance: mode, validation, answer, counts."""

import asyncio
import re
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any
from uuid import uuid4

from sqlalchemy import Engine
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.normalization import answers, deprecation
from sandbox.normalization.answers import Body, FundNotFoundError, Refusal, RejectedError
from sandbox.normalization.behaviour import Behaviour
from sandbox.normalization.metrics import RESULTS, Metrics, cohort_label
from sandbox.normalization.mode_board import ModeBoard
from sandbox.normalization.modes import Endpoint, Mode
from sandbox.normalization.portfolio import Portfolio
from sandbox.normalization.shapes import MalformedError
from sandbox.normalization.validation import Findings

LARGEST_BODY = 1 << 20
_CORRELATION_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True)
class Instance:
    """What every request of one process needs."""

    number: int
    engine: Engine
    board: ModeBoard
    metrics: Metrics
    portfolio: Portfolio
    behaviour: Behaviour

    def mode(self, endpoint: Endpoint, cohort: str) -> Mode:
        """Return the mode a cohort meets here and now."""
        return self.board.rules().mode(endpoint, cohort)


@dataclass(frozen=True)
class Checked:
    """The stages a request is served with, and what the validator found, if it was asked."""

    stages: tuple[str, ...]
    findings: Findings | None = None


@dataclass(frozen=True)
class Call:
    """One request to a validated endpoint, with its whole body."""

    instance: Instance
    endpoint: Endpoint
    request: Request
    body: bytes
    correlation_id: str

    @cached_property
    def mode(self) -> Mode:
        """The mode of this request; it does not change on the way."""
        behaviour = self.instance.behaviour
        cohort = behaviour.cohort(self.request.headers.get("x-cohort"))
        return behaviour.mode(self.endpoint, self.instance.mode(self.endpoint, cohort))

    def require_one(self, pointer: str, shares: Iterable[Decimal]) -> None:
        """Raise MalformedError if the shares do not sum to 1."""
        if not self.instance.behaviour.adds_up(self.mode, shares):
            raise MalformedError("SUM_NOT_ONE", pointer)

    def check(self, sent: Sequence[str]) -> Checked:
        """Validate the stages as the mode wants it; raises RejectedError."""
        if self.mode is Mode.OFF:
            return Checked(tuple(sent))
        behaviour = self.instance.behaviour
        started = behaviour.clock()
        findings = behaviour.examine(sent, behaviour.recognise, behaviour.nearest)
        self._count(findings, len(sent), behaviour.clock() - started)
        if findings.unknown and self.mode is Mode.ENFORCE:
            raise RejectedError(findings)
        return Checked(behaviour.names(self.endpoint, sent, findings), findings)

    def _count(self, findings: Findings, entries: int, seconds: float) -> None:
        behaviour, metrics, kind = self.instance.behaviour, self.instance.metrics, self.endpoint.input_type
        endpoint = behaviour.endpoint_label(self.endpoint, self.request.url.path)
        metrics.seconds.labels(endpoint, self.mode, kind, behaviour.cardinality(entries)).observe(seconds)
        result = RESULTS[self.mode][bool(findings.unknown)]
        metrics.validations.labels(endpoint, self.mode, kind, result).inc(behaviour.counts(result))
        if result == "reject":
            metrics.errors.labels(endpoint, self.mode, self.endpoint.error_code).inc(behaviour.counts("error"))

    def answer(self, status: int, body: Body, checked: Checked) -> Response:
        """Return a success, with deprecation headers if the validator found unknown stages."""
        response = JSONResponse(body, status)
        if checked.findings and checked.findings.unknown:
            for name, value in self._warning(checked.findings):
                response.headers.append(name, value)
        return response

    def _warning(self, findings: Findings) -> deprecation.Headers:
        behaviour = self.instance.behaviour
        suggested = dict(findings.suggestions)
        usual = deprecation.headers(suggested.values(), unknown=len(suggested) < len(findings.unknown))
        headers = behaviour.headers(self.endpoint, usual, findings)
        if headers:
            place = self.instance.behaviour.endpoint_label(self.endpoint, self.request.url.path)
            labels = (place, self.mode, self.endpoint.input_type)
            self.instance.metrics.headers.labels(*labels).inc(behaviour.counts("header"))
        return headers


Handler = Callable[[Call], Response]


def route(instance: Instance, endpoint: Endpoint, method: str, handler: Handler) -> Route:
    """Return the route of a validated endpoint.

    Handlers run on the event loop, one at a time: in threads they would wait for each other in the middle of
    a validation, and its duration would be theirs.
    """

    async def serve(request: Request) -> Response:
        correlation_id = correlation_id_of(request)
        try:
            call = Call(instance, endpoint, request, await read(request), correlation_id)
            return _answered(handler, call)
        except MalformedError as error:
            return JSONResponse(*_parts(answers.malformed(error, correlation_id)))

    return counted(instance, endpoint.template, method, serve)


def _answered(handler: Handler, call: Call) -> Response:
    """Run the handler; whatever it raises becomes an answer."""
    try:
        return handler(call)
    except RejectedError as error:
        refusal = answers.unknown_stages(call.endpoint, error.findings, call.correlation_id)
    except MalformedError as error:
        refusal = answers.malformed(error, call.correlation_id)
    except FundNotFoundError:
        refusal = answers.not_found(call.correlation_id)
    except Exception:  # noqa: BLE001 - the last place to turn a failure into an answer
        traceback.print_exc()
        refusal = answers.internal(call.correlation_id)
    request = call.body.decode(errors="replace") or call.request.url.query
    return JSONResponse(*_parts(call.instance.behaviour.refuse(call.endpoint, refusal, request)))


def counted(instance: Instance, template: str, method: str, serve: Callable[[Request], Any]) -> Route:
    """Return a route whose answers are counted, timed, and marked with correlation id and instance."""

    async def endpoint(request: Request) -> Response:
        started = time.perf_counter()
        response: Response = await serve(request)
        if lag := instance.behaviour.lag(cohort_label(request.headers.get("x-cohort"))):
            await asyncio.sleep(lag)
        mark(instance, template, request, response, time.perf_counter() - started)
        return response

    return Route(template, endpoint, methods=[method])


def mark(instance: Instance, template: str, request: Request, response: Response, seconds: float) -> None:
    """Count and time an answer, and say in its headers whose it is."""
    cohort = cohort_label(request.headers.get("x-cohort"))
    instance.metrics.requests.labels(template, str(response.status_code), cohort).inc()
    instance.metrics.request_seconds.labels(template, cohort).observe(seconds)
    response.headers["x-correlation-id"] = correlation_id_of(request)
    response.headers["x-instance"] = str(instance.number)


def correlation_id_of(request: Request) -> str:
    """Return the request's own correlation id if it is harmless, else a new one; the same at every call."""
    given = request.headers.get("x-correlation-id", "")
    if not hasattr(request.state, "correlation_id"):
        request.state.correlation_id = given if _CORRELATION_ID.fullmatch(given) else str(uuid4())
    correlation_id: str = request.state.correlation_id
    return correlation_id


async def read(request: Request) -> bytes:
    """Return the body; raises MalformedError above 1 MiB."""
    parts, size = [], 0
    async for part in request.stream():
        parts.append(part)
        size += len(part)
        if size > LARGEST_BODY:
            raise MalformedError("TOO_LARGE")
    return b"".join(parts)


def _parts(refusal: Refusal) -> tuple[Body, int]:
    return refusal.body, refusal.status
