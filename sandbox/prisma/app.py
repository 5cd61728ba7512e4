"""Wiring: put the parts together and serve them on a port of the system's choosing."""

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.templating import Jinja2Templates

from sandbox.prisma import api, pages, texts
from sandbox.prisma.config import Config
from sandbox.prisma.db import DATABASE, open_database
from sandbox.prisma.facade import Distance
from sandbox.prisma.flag_service import PrismaFlags
from sandbox.prisma.flags import FlagStore
from sandbox.prisma.legacy import Legacy
from sandbox.prisma.logs import FILE, Log
from sandbox.prisma.metrics import Metrics
from sandbox.prisma.orchestrator import Orchestrator
from sandbox.prisma.past import assume
from sandbox.prisma.seed import seed
from sandbox.prisma.site import OneInAHundred, OneInTen, Site, route
from sandbox.prisma.vault import Settings, Vault
from sandbox.serving import serve

_DEVELOPMENT_SECRET = "development-only"  # noqa: S105 - its use is counted and warned about
_SLOW = 3


def build(config: Config) -> Starlette:
    """Return the application with a fresh database in the configured directory."""
    site = _site(config)
    if config.since is not None:
        assume(site, time.time() - config.since)
    down, lost = site.has("flags-down"), site.has("flag-lost")
    flag_service = PrismaFlags(site.flags, config.flags_token, down=down, lost=lost)
    routes = [route(site, *entry) for entry in (*pages.ROUTES, *api.ROUTES)]

    @asynccontextmanager
    async def lifespan(_application: Starlette) -> AsyncIterator[None]:
        yield
        site.engine.dispose()
        site.log.close()

    return Starlette(routes=[*routes, *flag_service.routes(), *_plumbing(site)], lifespan=lifespan)


def _site(config: Config) -> Site:
    engine = _fresh_database(config.directory)
    renamed = "counter-renamed" in config.faults
    metrics = Metrics(requests_name="http_request_count" if renamed else "http_requests", started_at=config.since)
    log = Log(config.directory, rollout_stage=config.rollout_stage)
    templates = Jinja2Templates(Path(__file__).parent / "templates")
    templates.env.filters["number"] = texts.number
    templates.env.auto_reload = False
    return Site(
        config=config,
        engine=engine,
        metrics=metrics,
        log=log,
        flags=FlagStore(
            engine,
            initial=config.flags,
            created_at=None if config.since is None else datetime.fromtimestamp(config.since, UTC),
            stuck="kill-switch-stuck" in config.faults,
        ),
        orchestrator=Orchestrator(engine, metrics, log, config.faults),
        settings=Settings(engine, metrics, _vault(config, metrics, log)),
        legacy=Legacy(config.directory),
        distance=Distance(_SLOW if "slow-reads" in config.faults else 1),
        templates=templates,
        errors=OneInAHundred(active="errors-1pct" in config.faults),
        portal_errors=OneInTen(active="portal-errors-10pct" in config.faults),
    )


def _fresh_database(directory: Path) -> Engine:
    for name in (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", FILE):
        (directory / name).unlink(missing_ok=True)
    engine = open_database(directory)
    seed(engine)
    return engine


def _vault(config: Config, metrics: Metrics, log: Log) -> Vault:
    if config.settings_secret is None:
        log.warning("using a development-only secret for settings", scope="settings")
        metrics.secret_fallback.inc()
    return Vault(config.settings_secret or _DEVELOPMENT_SECRET)


def _plumbing(site: Site) -> list[Route]:
    async def metrics(_request: Request) -> Response:
        if site.has("metrics-down"):
            return Response(status_code=503)
        return Response(site.metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def healthz(_request: Request) -> Response:
        return PlainTextResponse("ok")

    return [Route("/api/internal/metrics", metrics), Route("/healthz", healthz)]


if __name__ == "__main__":
    serve(build(Config.from_environment(os.environ)))
