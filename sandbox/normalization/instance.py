"""One process of the API: put its parts together and serve them on a port of the system's choosing."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sandbox.normalization import answers, api, deprecation, openapi
from sandbox.normalization.behaviour import Behaviour
from sandbox.normalization.call import Instance, correlation_id_of, counted, mark
from sandbox.normalization.config import Config
from sandbox.normalization.db import open_database
from sandbox.normalization.faults import behaviour_with
from sandbox.normalization.flag_service import ModeFlags
from sandbox.normalization.metrics import OTHER_ROUTE, Metrics
from sandbox.normalization.mode_board import ModeBoard
from sandbox.normalization.mode_store import ModeStore
from sandbox.normalization.modes import ENDPOINTS
from sandbox.normalization.portfolio import Portfolio, Reading
from sandbox.normalization.previous import behaviour_of, validates
from sandbox.normalization.releases import Release
from sandbox.serving import serve


def build(config: Config) -> Starlette:
    """Return the application of one instance, on a database that is there."""
    current = behaviour_with(config.faults)
    has_validator = validates(config.release, current)
    instance = _instance(config, behaviour_of(config.release, current), has_validator=has_validator)
    flags = ModeFlags(ModeStore(instance.engine), config.flags_token, down=not current.flags_known)
    plumbing = [*_plumbing(instance, config.release), *(_validator_plumbing(instance) if has_validator else ())]

    @asynccontextmanager
    async def lifespan(_application: Starlette) -> AsyncIterator[None]:
        yield
        instance.engine.dispose()

    async def nothing_there(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        response = JSONResponse(answers.unrouted(status, correlation_id_of(request)).body, status)
        mark(instance, OTHER_ROUTE, request, response, 0.0)
        return response

    return Starlette(
        routes=[*api.routes(instance), *flags.routes(), *plumbing],
        exception_handlers={404: nothing_there, 405: nothing_there},
        lifespan=lifespan,
    )


def _instance(config: Config, behaviour: Behaviour, *, has_validator: bool) -> Instance:
    engine = open_database(config.database)
    board = ModeBoard(ModeStore(engine), behaviour.delay(config.propagation), hears=behaviour.hears(config.number))
    metrics = Metrics(
        lambda endpoint, cohort: behaviour.gauge(board.rules().mode(endpoint, cohort)), validates=has_validator
    )
    for name in behaviour.hidden:
        metrics.hide(name)
    return Instance(
        number=config.number,
        engine=engine,
        board=board,
        metrics=metrics,
        portfolio=Portfolio(engine, Reading(behaviour.matches, behaviour.resume)),
        behaviour=behaviour,
    )


def _plumbing(instance: Instance, release: Release) -> list[Route]:
    async def metrics(_request: Request) -> Response:
        if not instance.behaviour.observable:
            return Response(status_code=503)
        return Response(instance.metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def healthz(_request: Request) -> Response:
        return PlainTextResponse("ok")

    async def description(_request: Request) -> Response:
        return JSONResponse(instance.behaviour.describe(openapi.document(release.version)))

    return [
        Route("/metrics", metrics),
        Route("/healthz", healthz),
        counted(instance, "/openapi.json", "GET", description),
    ]


def _validator_plumbing(instance: Instance) -> list[Route]:
    async def modes(_request: Request) -> Response:
        rules = instance.board.rules()
        shown = {endpoint.name: rules.of(endpoint) for endpoint in ENDPOINTS}
        return JSONResponse({"instance": str(instance.number), "revision": rules.revision, "modes": shown})

    async def deprecations(_request: Request) -> Response:
        return JSONResponse(instance.behaviour.deprecations())

    async def docs(_request: Request) -> Response:
        return HTMLResponse(deprecation.page())

    return [
        Route("/api/internal/modes", modes),
        counted(instance, "/api/deprecations", "GET", deprecations),
        counted(instance, deprecation.DOCS, "GET", docs),
    ]


if __name__ == "__main__":
    started_with = Config.from_environment(os.environ)
    serve(build(started_with), started_with.port)
