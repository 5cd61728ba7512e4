"""One HTTP client for every source; httpx and its httpcore are imported here only."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit, urlunsplit

from pytest_rollout.errors import SourceError, SourceUnreachable
from pytest_rollout.sources.deadline import BoundedSockets

if TYPE_CHECKING:
    import httpx

LARGEST_BODY = 256 * 2**20
"""Bytes of an answer, unpacked; more is refused."""
_DATE_RESOLUTION = 1.0
_TOO_MANY_REQUESTS = 429
_SECRET = 8
"""Words of a header this long may be secret: shorter ones are not taken out of answers."""
_SERVER_ERRORS = 500
_CREDENTIALS = re.compile(r"authorization|cookie|token|secret|api-?key", re.IGNORECASE)
"""Names of headers that carry them."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, read to the end."""

    status: int
    text: str
    skew: float | None = None
    """The server's clock minus ours, in seconds, by its ``Date`` (RFC 9110, 6.6.1), None if it told no time.

    The middle of the second that the header names, minus the middle between sending and receiving the headers.
    """
    took: float = 0.0
    """Seconds between sending and receiving the headers."""
    retry_after: float = 0.0
    """Seconds for which the server asks to be left alone (RFC 9110, 10.2.3)."""

    @property
    def sure_skew(self) -> float | None:
        """The part of the skew that neither the header's resolution of 1 s nor the round trip explains."""
        if self.skew is None:
            return None
        sure = abs(self.skew) - _DATE_RESOLUTION - self.took / 2
        return math.copysign(sure, self.skew) if sure > 0 else 0.0


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """An HTTP answer as it came, read to the end."""

    status: int
    headers: tuple[tuple[str, str], ...]
    """Field lines in the order of arrival, each as often as it came."""
    body: bytes
    """Without its content coding."""
    took: float
    """Seconds between sending and receiving the headers."""


class Unchanging(SourceUnreachable):
    """Asking the same again will give the same: the address is none, or the answer is a recorded one."""


def without_credentials(url: str) -> str:
    """Return a URL that may be shown: without user, password and query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "the address given"  # where the credentials are in it, nobody knows
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


class Transport(Protocol):
    """Sends one request. Raises SourceUnreachable if nothing answers in time, SourceError for what cannot be read."""

    def __call__(self, method: str, url: str, /, *, form: Mapping[str, str] | None = None, json: Any = None) -> Answer:
        """Return the whole answer, whatever its status."""


class Http:
    """A shared client. ``deadline`` is for a whole request, from connecting to the last byte, in seconds.

    Only the system's resolver of names has times of its own. ``wall`` tells the time of day, ``largest`` is the
    largest body that is read, in bytes. Proxies of the process environment are ignored: with ``http_proxy`` set,
    loopback would go through them.
    """

    def __init__(
        self,
        deadline: float = 10.0,
        headers: Mapping[str, str] | None = None,
        *,
        wall: Callable[[], float] = time.time,
        largest: int = LARGEST_BODY,
    ) -> None:
        import httpx

        self._deadline = deadline
        self._wall = wall
        self._largest = largest
        self._secrets = _words((headers or {}).values())
        self._client = httpx.Client(trust_env=False, transport=_transport(), headers=dict(headers or {}))

    def __call__(self, method: str, url: str, /, *, form: Mapping[str, str] | None = None, json: Any = None) -> Answer:
        """Return the whole answer. Raises SourceUnreachable, and SourceError if it is larger than the largest."""
        import httpx

        place = without_credentials(url)
        until, data = time.monotonic() + self._deadline, dict(form) if form else None
        timeout = httpx.Timeout(until)  # a point in time: see sources/deadline.py
        with self._faults_of(place):
            sent = self._wall()
            with self._client.stream(method, url, data=data, json=json, timeout=timeout) as response:
                received = self._wall()
                text = self._read(response, place, until).decode("utf-8", "replace")
                return _answer(response, _without(self._secrets, text), sent, received)

    def exchange(
        self, method: str, url: str, target: str, *, headers: Sequence[tuple[str, str]], content: bytes | None
    ) -> RawAnswer:
        """Send a request as it is, and return the answer as it came. Raises as a call does.

        ``target`` is path and query, sent byte for byte to the host of ``url``. No headers are sent but those given,
        Host and Content-Length; what they hold of credentials is taken out of the answer.
        """
        import httpx

        place, until = without_credentials(url), time.monotonic() + self._deadline
        with self._faults_of(place):
            bounds = {"timeout": httpx.Timeout(until).as_dict(), "target": target.encode("ascii")}
            request = httpx.Request(method, url, headers=list(headers), content=content, extensions=bounds)
            started = time.monotonic()
            response = self._client.send(request, stream=True)
            took = time.monotonic() - started
            try:
                return _raw(response, self._read(response, place, until), took, _secrets(headers))
            finally:
                response.close()

    @contextmanager
    def _faults_of(self, place: str) -> Iterator[None]:
        import httpcore
        import httpx

        try:
            yield
        except TimeoutError:
            raise SourceUnreachable(f"{place}: no complete answer within {self._deadline:g} s") from None
        except (httpx.InvalidURL, UnicodeError):  # the second is about names that cannot be
            raise Unchanging(f"{place}: not a URL") from None
        except httpcore.UnsupportedProtocol as exc:
            raise Unchanging(f"{place}: {exc}") from exc
        except (httpx.HTTPError, httpcore.ProtocolError, OSError) as exc:
            raise SourceUnreachable(f"{place}: {str(exc) or type(exc).__name__}") from exc

    def _read(self, response: httpx.Response, place: str, until: float) -> bytes:
        body = bytearray()
        for piece in response.iter_bytes():
            body += piece
            if time.monotonic() > until:  # what was received at once may still be long in taking apart
                raise TimeoutError
            if len(body) > self._largest:
                raise SourceError(f"{place}: the answer is larger than {self._largest / 2**20:g} MiB; ask for less")
        return bytes(body)

    def close(self) -> None:
        """Close every connection."""
        self._client.close()


def _transport() -> httpx.BaseTransport:
    """Return httpx's way into httpcore, with sockets that keep a deadline: its own takes no network backend."""
    import httpcore
    import httpx

    class Body(httpx.SyncByteStream):
        def __init__(self, pieces: Any) -> None:
            self._pieces = pieces

        def __iter__(self) -> Iterator[bytes]:
            return iter(self._pieces)

        def close(self) -> None:
            self._pieces.close()

    class Bounded(httpx.BaseTransport):
        def __init__(self) -> None:
            sockets: Any = BoundedSockets()
            context = httpx.create_ssl_context(trust_env=False)
            self._pool = httpcore.ConnectionPool(context, max_connections=None, network_backend=sockets)

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            url = request.url
            answer = self._pool.handle_request(
                httpcore.Request(
                    method=request.method,
                    url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
            return httpx.Response(answer.status, headers=answer.headers, stream=Body(answer.stream))

        def close(self) -> None:
            self._pool.close()

    return Bounded()


def _raw(response: httpx.Response, body: bytes, took: float, secrets: Sequence[str]) -> RawAnswer:
    lines = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers.raw]
    for secret in secrets:
        body = body.replace(secret.encode(), b"***")
    shown = tuple((name, _without(secrets, value)) for name, value in lines)
    return RawAnswer(response.status_code, shown, body, took)


def _secrets(headers: Sequence[tuple[str, str]]) -> list[str]:
    return _words(value for name, value in headers if _CREDENTIALS.search(name))


def _words(values: Iterable[str]) -> list[str]:
    return [word for value in values for word in value.split() if len(word) >= _SECRET]


def _without(secrets: Sequence[str], text: str) -> str:
    for secret in secrets:  # an error page may show the request that it is about
        text = text.replace(secret, "***")
    return text


def _answer(response: httpx.Response, text: str, sent: float, received: float) -> Answer:
    # A cache passes on when it was told (RFC 9111, 5.1), not the time.
    told = None if "age" in response.headers else _moment(response.headers.get("date", ""))
    skew = None if told is None else told + _DATE_RESOLUTION / 2 - (sent + received) / 2
    pause = _seconds_until(response.headers.get("retry-after", ""), received)
    return Answer(response.status_code, text, skew, max(received - sent, 0.0), pause)


def _seconds_until(header: str, now: float) -> float:
    if header.isascii() and header.isdigit():
        return float(header)
    moment = _moment(header)
    return 0.0 if moment is None else max(moment - now, 0.0)


def _moment(header: str) -> float | None:
    try:
        moment = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return None
    return moment.timestamp() if moment.tzinfo else None


def retried(ask: Callable[[], Answer], *, budget: float, sleep: Callable[[float], None] = time.sleep) -> Answer:
    """Ask again after transport faults, 429 and 5xx, with growing pauses, as long as the next try begins in time.

    No try begins later than ``budget`` seconds after the first, so all of it takes at most the budget and one
    deadline of the transport. A server that asks to be left alone for longer than the budget is left alone.
    Returns the last answer, or raises the last SourceUnreachable.
    """
    until, pause = time.monotonic() + budget, 0.1
    while True:
        fault: SourceUnreachable | None = None
        wait = pause
        try:
            answer = ask()
        except Unchanging:
            raise
        except SourceUnreachable as exc:
            fault = exc
        else:
            if answer.status < _SERVER_ERRORS and answer.status != _TOO_MANY_REQUESTS:
                return answer
            wait = max(pause, answer.retry_after)
        if time.monotonic() + wait > until:
            if fault:
                raise fault
            return answer
        sleep(wait)
        pause *= 2
