"""One HTTP client for every source; httpx is imported here only."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

from pytest_rollout.errors import SourceUnreachable


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, read to the end."""

    status: int
    text: str


def without_credentials(url: str) -> str:
    """Return a URL that may be shown: without user, password and query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "the address given"  # where the credentials are in it, nobody knows
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


class Transport(Protocol):
    """Sends one request. Raises SourceUnreachable if nothing answers in time."""

    def __call__(self, method: str, url: str, /, *, form: Mapping[str, str] | None = None, json: Any = None) -> Answer:
        """Return the whole answer, whatever its status."""


class Http:
    """A shared client with an overall deadline per request, in seconds.

    Proxies of the process environment are ignored: with ``http_proxy`` set, loopback would go through them.
    """

    def __init__(self, deadline: float = 10.0, headers: Mapping[str, str] | None = None) -> None:
        import httpx

        self._deadline = deadline
        self._client = httpx.Client(trust_env=False, timeout=deadline, headers=dict(headers or {}))

    def __call__(self, method: str, url: str, /, *, form: Mapping[str, str] | None = None, json: Any = None) -> Answer:
        """Return the whole answer. Raises SourceUnreachable."""
        import httpx

        until = time.monotonic() + self._deadline
        try:
            with self._client.stream(method, url, data=dict(form) if form else None, json=json) as response:
                return Answer(response.status_code, self._read(response, until))
        except httpx.HTTPError as exc:
            raise SourceUnreachable(f"{without_credentials(url)}: {str(exc) or type(exc).__name__}") from exc
        except (httpx.InvalidURL, UnicodeError):  # the second is about names that cannot be
            raise SourceUnreachable(f"{without_credentials(url)}: not a URL") from None

    def _read(self, response: Any, until: float) -> str:
        # httpx counts its timeout anew for every piece; a dripping server would hold a run for ever.
        body = bytearray()
        for piece in response.iter_bytes():
            body += piece
            if time.monotonic() > until:
                place = without_credentials(str(response.url))
                raise SourceUnreachable(f"{place}: no complete answer within {self._deadline:g} s")
        return body.decode("utf-8", "replace")

    def close(self) -> None:
        """Close every connection."""
        self._client.close()


def retried(ask: Callable[[], Answer], *, budget: float, sleep: Callable[[float], None] = time.sleep) -> Answer:
    """Ask again after transport faults and 5xx, with growing pauses, for at most ``budget`` seconds.

    Returns the last answer, or raises the last SourceUnreachable.
    """
    until, pause = time.monotonic() + budget, 0.1
    while True:
        fault: SourceUnreachable | None = None
        answer: Answer | None = None
        try:
            answer = ask()
        except SourceUnreachable as exc:
            fault = exc
        if answer is not None and answer.status < 500:  # noqa: PLR2004 - HTTP server errors
            return answer
        if time.monotonic() + pause > until:
            if fault:
                raise fault
            return answer  # type: ignore[return-value]
        sleep(pause)
        pause *= 2
