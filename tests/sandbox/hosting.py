"""Applications in this process: behind a port, or asked without a network between."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import uvicorn
from starlette.applications import Starlette

from sandbox.serving import listen


@contextmanager
def served(application: Starlette) -> Iterator[httpx.Client]:
    """Serve the application on a port."""
    settings = uvicorn.Config(application, log_level="error", timeout_graceful_shutdown=1)
    server = uvicorn.Server(settings)
    with listen() as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            with httpx.Client(base_url=url, trust_env=False, timeout=10) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join(5)


@contextmanager
def asked(application: Starlette) -> Iterator[httpx.Client]:
    """Call the application: quicker by far, and all that is missing is a server's own doing."""
    with (
        asyncio.Runner() as runner,
        httpx.Client(base_url="http://sandbox", transport=_InProcess(application, runner)) as client,
    ):
        lifespan = application.router.lifespan_context(application)
        runner.run(lifespan.__aenter__())
        yield client
        runner.run(lifespan.__aexit__(None, None, None))


class _InProcess(httpx.BaseTransport):
    def __init__(self, application: Starlette, runner: asyncio.Runner) -> None:
        self._transport = httpx.ASGITransport(application, raise_app_exceptions=False)
        self._runner = runner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._runner.get_loop().run_until_complete(self._answer(request))

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        response = await self._transport.handle_async_request(request)
        return httpx.Response(response.status_code, headers=response.headers, content=await response.aread())
