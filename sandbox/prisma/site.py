"""The parts of the running application, and what happens to every request: cohort, read path, count, time."""

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from urllib.parse import parse_qs
from uuid import uuid4

from sqlalchemy import Engine
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.templating import Jinja2Templates

from sandbox.prisma.config import FLAGS, Config
from sandbox.prisma.facade import Distance, Facade
from sandbox.prisma.flags import FlagStore
from sandbox.prisma.legacy import Legacy
from sandbox.prisma.logs import Log
from sandbox.prisma.metrics import PORTAL_ROUTE, Metrics
from sandbox.prisma.orchestrator import Caller, Orchestrator
from sandbox.prisma.reads import Reads
from sandbox.prisma.vault import Settings

PORTAL = "/portal/{agentId}"
"""The portal's route, as a template."""
MARKER, SYNTHETIC = "x-rollout-synthetic", "synthetic"
"""The header of requests that a load makes, and the cohort that they are counted under."""
_FAULTY_SHARE = 100
"""With errors-1pct, one of so many requests of the admin cohort fails."""
_LATE_SECONDS = {"portal-slow": 0.25, "portal-hung": 60.0}
"""How much longer a portal page takes with these faults."""


@dataclass(frozen=True)
class Site:
    """Everything a request needs."""

    config: Config
    engine: Engine
    metrics: Metrics
    log: Log
    flags: FlagStore
    orchestrator: Orchestrator
    settings: Settings
    legacy: Legacy
    distance: Distance
    templates: Jinja2Templates
    errors: "OneInAHundred"
    portal_errors: "OneInTen"
    first_paid: dict[int, int] = field(default_factory=dict)
    """The fault portal-total-stale: what each agent had paid when the portal first showed it."""

    def has(self, fault: str) -> bool:
        """Return whether the fault is switched on."""
        return fault in self.config.faults

    def reads(self, route: str, cohort: str, counted_as: str | None = None) -> Reads:
        """Return the read path the flags choose for the cohort; its reads may be counted as another's."""
        flag = "PORTAL_PRISMA" if route == PORTAL else "PERSISTENCE_PRISMA_READS"
        if self.flags.serving(flag, cohort):
            return Facade(self.engine, self.metrics, self.distance, counted_as or cohort)
        return self.legacy

    def late(self, route: str) -> float:
        """Return how much longer an answer takes than it has to (seconds)."""
        return sum(_LATE_SECONDS[fault] for fault in _LATE_SECONDS if route == PORTAL and self.has(fault))

    def flag_state(self, cohort: str) -> dict[str, bool]:
        """Return the flags as log lines name them."""
        return {name: self.flags.serving(flag, cohort) for flag, name in FLAGS.items()}


class OneInAHundred:
    """The fault errors-1pct: every hundredth admin request owes one failure; a payments filter pays it."""

    def __init__(self, *, active: bool) -> None:
        self._active = active
        self._lock = threading.Lock()
        self._seen = 0
        self._owed = 0

    def strikes(self, cohort: str, *, filtered: bool) -> bool:
        """Count the request and return whether it has to fail."""
        if not self._active or cohort != "admin":
            return False
        with self._lock:
            self._seen += 1
            self._owed += self._seen % _FAULTY_SHARE == 0
            strikes = filtered and self._owed > 0
            self._owed -= strikes
            return strikes


class OneInTen:
    """The fault portal-errors-10pct: every tenth portal page fails."""

    def __init__(self, *, active: bool) -> None:
        self._active = active
        self._turn = count(1)

    def strikes(self) -> bool:
        """Count the page and return whether it has to fail."""
        return self._active and next(self._turn) % 10 == 0


@dataclass(frozen=True)
class Call:
    """One request with its whole body, on its way through a worker thread."""

    site: Site
    route: str
    request: Request
    body: bytes

    @cached_property
    def cohort(self) -> str:
        """The header x-cohort, else agents in the portal and admin everywhere else."""
        usual = "agents" if self.route == PORTAL else "admin"
        return self.request.headers.get("x-cohort", usual)

    @property
    def counted_as(self) -> str:
        """The cohort in metrics: a load is served like its cohort, and is no part of that one's figures."""
        return SYNTHETIC if MARKER in self.request.headers else self.cohort

    @cached_property
    def reads(self) -> Reads:
        """The read path of this request."""
        return self.site.reads(self.route, self.cohort, self.counted_as)

    @cached_property
    def caller(self) -> Caller:
        """Who asks, with the correlation id of the header x-correlation-id or a new one."""
        headers = self.request.headers
        correlation_id = headers.get("x-correlation-id") or str(uuid4())
        trace_id = headers.get("traceparent", "--").split("-")[1]
        return Caller(self.cohort, correlation_id, self.site.flag_state(self.cohort), trace_id)

    @property
    def idempotency_key(self) -> str:
        """The header Idempotency-Key; empty without one."""
        return self.request.headers.get("idempotency-key", "")

    @property
    def form(self) -> dict[str, str]:
        """The fields of an HTML form, trimmed; the first value of each."""
        fields = parse_qs(self.body.decode(errors="replace"), keep_blank_values=True)
        return {name: values[0].strip() for name, values in fields.items()}

    def has(self, fault: str) -> bool:
        """Return whether the fault is switched on."""
        return self.site.has(fault)


Handler = Callable[[Call], Response]


def route(site: Site, path: str, method: str, handler: Handler) -> Route:
    """Return a route that runs the handler in a worker thread and counts and times its answers."""
    template = path.replace(":int}", "}")
    site.metrics.requests.labels(template, "200", "admin")

    async def endpoint(request: Request) -> Response:
        call = Call(site, template, request, await request.body())
        started = time.perf_counter()
        if late := site.late(template):
            await asyncio.sleep(late)
        response = await run_in_threadpool(_answer, handler, call)
        seconds = time.perf_counter() - started
        site.metrics.answered(template, response.status_code, call.counted_as, seconds)
        if template == PORTAL and call.counted_as != SYNTHETIC:
            site.metrics.portal_seconds.labels(PORTAL_ROUTE).observe(seconds)
        return response

    return Route(path, endpoint, methods=[method])


def _answer(handler: Handler, call: Call) -> Response:
    """Run the handler; an exception is logged and becomes a 500 with an empty body."""
    try:
        filtered = call.route == "/api/payments" and "agentId" in call.request.query_params
        if call.site.errors.strikes(call.cohort, filtered=filtered):
            return Response(status_code=500)
        response = handler(call)
    except Exception:  # noqa: BLE001 - the last place to turn a failure into an answer
        call.site.log.failure("request failed", scope=call.route, actor=call.cohort)
        return Response(status_code=500)
    response.headers["x-read-path"] = call.reads.name
    return response
