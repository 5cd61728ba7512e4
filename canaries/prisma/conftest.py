"""Fixtures of the prisma canaries: the target's address, a recorded browser and its troubles, synthetic payments."""

import json
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, Response, WebError

from canaries.prisma.books import Books
from canaries.prisma.errand import Errand, require
from canaries.prisma.pages import Api
from canaries.prisma.payers import ApiPayer, BrowserPayer, Payer


class Troubles:
    """Everything a reader's browser complains about, once per address, but for what a test allows."""

    def __init__(self) -> None:
        self._seen: dict[str, str] = {}
        self._allowed: set[tuple[int, str]] = set()
        self._excused: set[str] = set()

    def allow(self, status: int, path: str) -> None:
        """Accept this status for addresses that end with the path."""
        self._allowed.add((status, path))

    def watch(self, context: BrowserContext) -> None:
        """Listen to the context; call it before its first page."""
        context.on("console", self._console)
        context.on("weberror", self._error)
        context.on("requestfailed", self._failed)
        context.on("response", self._response)

    def verify(self) -> None:
        """Raise AssertionError if there was any trouble."""
        left = [what for url, what in self._seen.items() if url not in self._excused]
        assert not left, "the browser met trouble:\n" + "\n".join(left)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._seen.setdefault(message.location["url"], f"console: {message.text}")

    def _error(self, error: WebError) -> None:
        self._seen[f"error {len(self._seen)}"] = f"uncaught: {error.error}"

    def _failed(self, request: Request) -> None:
        self._seen[request.url] = f"{request.method} {request.url}: {request.failure}"

    def _response(self, response: Response) -> None:
        if any(response.status == status and response.url.endswith(path) for status, path in self._allowed):
            self._excused.add(response.url)
        elif response.status >= 400:
            self._seen[response.url] = f"{response.request.method} {response.url} answered {response.status}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Function) -> Generator[None, object, object]:
    """Fail the test itself, not its teardown, if its browser met trouble."""
    result = yield
    if isinstance(troubles := getattr(item, "funcargs", {}).get("troubles"), Troubles):
        troubles.verify()
    return result


@pytest.fixture(scope="session")
def base_url(rollout_target: Any) -> str:
    """Return the address of the system under rollout."""
    return str(rollout_target.url)


@pytest.fixture
def troubles() -> Troubles:
    """Return the troubles of the test's browser; the test fails if there are any in the end."""
    return Troubles()


@pytest.fixture
def context(new_context: Callable[..., BrowserContext], output_path: str, troubles: Troubles) -> BrowserContext:
    """Return a context that records its network traffic into the test's output folder."""
    context = new_context(record_har_path=Path(output_path) / "network.har.zip")
    troubles.watch(context)
    return context


@pytest.fixture
def api(page: Page) -> Api:
    """Return the JSON API of the system under rollout."""
    return Api(page)


@pytest.fixture
def books(rollout_target: Any, rollout_attempt: Any) -> Iterator[Books]:
    """Return the books of the system under rollout; every request belongs to the attempt's trace."""
    headers = {"traceparent": rollout_attempt.traceparent}
    with httpx.Client(base_url=rollout_target.url, headers=headers, trust_env=False, timeout=5) as client:
        yield Books(client)


@pytest.fixture
def payer(request: pytest.FixtureRequest, rollout_target: Any, books: Books) -> Payer:
    """Return the way to pay that the environment says; no browser is started for ``via: api``."""
    if rollout_target.via == "browser":
        traceparent = books.client.headers["traceparent"]
        return BrowserPayer(request.getfixturevalue("page"), {"traceparent": traceparent})
    return ApiPayer(books.client)


@pytest.fixture
def errand(books: Books, payer: Payer, rollout_attempt: Any, record_property: Callable[..., None]) -> Iterator[Errand]:
    """Return a run with synthetic payments; afterwards they are taken back, or the test fails."""
    errand = Errand.begin(books, payer, rollout_attempt)
    try:
        yield errand
        require("after taking the payment back", errand.take_back())
    finally:
        record_property("rollout.created", json.dumps(errand.created))
