"""One process of the API: put its parts together and serve them on a port of the system's choosing."""

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sandbox.normalization import answers, api, deprecation, openapi
from sandbox.normalization.call import Instance, correlation_id_of, counted, mark
from sandbox.normalization.config import Config
from sandbox.normalization.db import open_database
from sandbox.normalization.faults import behaviour_with
from sandbox.normalization.flag_service import FlagService
from sandbox.normalization.metrics import OTHER_ROUTE, Metrics
from sandbox.normalization.mode_board import ModeBoard
from sandbox.normalization.mode_store import ModeStore
from sandbox.normalization.modes import ENDPOINTS
from sandbox.normalization.portfolio import Portfolio, Reading


def build(config: Config) -> Starlette:
    """Return the application of one instance, on a database that is there."""
    instance = _instance(config)
    flags = FlagService(ModeStore(instance.engine), config.flags_token)

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
        routes=[*api.routes(instance), *flags.routes(), *_plumbing(instance)],
        exception_handlers={404: nothing_there, 405: nothing_there},
        lifespan=lifespan,
    )


def serve(config: Config) -> None:
    """Serve until SIGTERM or SIGINT; prints ``address=127.0.0.1:port`` first."""
    application = build(config)
    with listen() as listener:
        print(f"address=127.0.0.1:{listener.getsockname()[1]}", flush=True)  # noqa: T201 - the supervisor reads it
        settings = uvicorn.Config(application, log_level="warning", access_log=False, timeout_graceful_shutdown=1)
        uvicorn.Server(settings).run(sockets=[listener])


def listen() -> socket.socket:
    """Return a listening socket on loopback.

    Its protocol is named, or asyncio would leave Nagle's algorithm on and every answer would take 40 ms more.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener


def _instance(config: Config) -> Instance:
    behaviour = behaviour_with(config.faults)
    engine = open_database(config.database)
    board = ModeBoard(ModeStore(engine), behaviour.delay(config.propagation), hears=behaviour.hears(config.number))
    return Instance(
        number=config.number,
        engine=engine,
        board=board,
        metrics=Metrics(lambda endpoint, cohort: behaviour.gauge(board.rules().mode(endpoint, cohort))),
        portfolio=Portfolio(engine, Reading(behaviour.matches, behaviour.resume)),
        behaviour=behaviour,
    )


def _plumbing(instance: Instance) -> list[Route]:
    async def metrics(_request: Request) -> Response:
        return Response(instance.metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def healthz(_request: Request) -> Response:
        return PlainTextResponse("ok")

    async def modes(_request: Request) -> Response:
        rules = instance.board.rules()
        shown = {endpoint.name: rules.of(endpoint) for endpoint in ENDPOINTS}
        return JSONResponse({"instance": str(instance.number), "revision": rules.revision, "modes": shown})

    async def deprecations(_request: Request) -> Response:
        return JSONResponse(instance.behaviour.deprecations())

    async def docs(_request: Request) -> Response:
        return HTMLResponse(deprecation.page())

    async def description(_request: Request) -> Response:
        return JSONResponse(instance.behaviour.describe(openapi.document()))

    return [
        Route("/metrics", metrics),
        Route("/healthz", healthz),
        Route("/api/internal/modes", modes),
        counted(instance, "/api/deprecations", "GET", deprecations),
        counted(instance, deprecation.DOCS, "GET", docs),
        counted(instance, "/openapi.json", "GET", description),
    ]


if __name__ == "__main__":
    serve(Config.from_environment(os.environ))
