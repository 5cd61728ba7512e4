"""Requests and answers as they travel: built from a case, sealed when they arrive, sent by somebody else."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol
from urllib.parse import quote

from pytest_rollout.golden.case import RequestObject
from pytest_rollout.golden.endpoint import Route
from pytest_rollout.golden.exact import MISSING, read_exact, write_exact
from pytest_rollout.sources.http import Http

_HOLE = re.compile(r"\{([^{}]+)\}")
_RAW_QUERY = re.compile(r"[!-~]*")
_HEADER = re.compile(r"[\t -~]*")
_JSON_TYPE = re.compile(r"application/(?:[\w.+-]+\+)?json\s*(?:;.*)?", re.IGNORECASE)
Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class RawRequest:
    """A request without its host; ``target`` is path and query, to be sent byte for byte."""

    method: str
    target: str
    headers: Headers = ()
    content: bytes | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. ``seal`` is made of all of it on arrival, so that a loss on the way to the judge is noticed."""

    status: int
    headers: Headers
    """Field lines in the order of arrival."""
    body: bytes
    seal: str
    took: float = 0.0
    """Seconds."""

    @classmethod
    def received(cls, status: int, headers: Iterable[tuple[str, str]], body: bytes, took: float = 0.0) -> Reply:
        """Seal what has just arrived."""
        lines = tuple(headers)
        return cls(status, lines, body, _seal(status, lines, body), took)

    @property
    def whole(self) -> bool:
        """Whether nothing was lost since it arrived."""
        return self.seal == _seal(self.status, self.headers, self.body)

    def fields(self, name: str) -> list[str]:
        """Return the values of all field lines of a name."""
        return [value.strip() for key, value in self.headers if key.lower() == name.lower()]

    @property
    def is_json(self) -> bool:
        """Whether the answer says that it is JSON, once."""
        types = self.fields("content-type")
        return len(types) == 1 and bool(_JSON_TYPE.fullmatch(types[0]))

    def json(self) -> Any:
        """Return the body as exact JSON. Raises ValueError for what is not strict JSON."""
        return read_exact(self.body.decode("utf-8"))

    def json_or_missing(self) -> Any:
        """Return the body as exact JSON, or MISSING."""
        try:
            return self.json()
        except ValueError:
            return MISSING


def _seal(status: int, headers: Headers, body: bytes) -> str:
    lines = "".join(f"{len(part)}:{part}" for line in headers for part in line)
    return hashlib.sha256(f"{status} {len(headers)} {lines} ".encode() + body).hexdigest()


class Wire(Protocol):
    """Sends one request to a base URL. Raises SourceError."""

    def __call__(self, instance: str, request: RawRequest, /) -> Reply:
        """Return the whole answer, whatever its status; redirects are not followed."""


def wire_over(http: Http) -> Wire:
    """Return a wire over the client of every source."""

    def send(instance: str, request: RawRequest) -> Reply:
        answer = http.exchange(
            request.method,
            instance + request.target,
            request.target,
            headers=request.headers,
            content=request.content,
        )
        return Reply.received(answer.status, answer.headers, answer.body, answer.took)

    return send


class RequestError(ValueError):
    """A request cannot be sent; ``key`` is the key of the request object that is at fault."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


def raw_request(route: Route, request: RequestObject, common: Mapping[str, str]) -> RawRequest:
    """Return a request as it is sent; ``common`` are the headers of the endpoint. Raises RequestError."""
    content, content_type = _content(request)
    if request.has("content_type"):
        content_type = request.content_type
    typed = {"Content-Type": content_type} if content_type else {}
    headers = merged_headers({**common, **typed}, request.headers)
    target = _path(route.path, request) + _query(request)
    return RawRequest(route.method, target, headers, content)


def merged_headers(common: Mapping[str, str], own: Mapping[str, str | None]) -> Headers:
    """Return headers of which the own ones replace those in common; None takes one away. Raises RequestError."""
    replaced = {name.lower() for name in own}
    kept = [(name, value) for name, value in common.items() if name.lower() not in replaced]
    lines = (*kept, *((name, value) for name, value in own.items() if value is not None))
    for name, value in lines:
        if not _HEADER.fullmatch(value):
            raise RequestError("headers", f"the value of {name} has characters that a header cannot carry")
    return lines


def _content(request: RequestObject) -> tuple[bytes | None, str | None]:
    if request.has("json_body"):
        return write_exact(request.json_body).encode(), "application/json"
    if request.text is not None:
        try:
            return request.text.encode(), "application/json"
        except UnicodeEncodeError as exc:
            raise RequestError("text", "half a character cannot be sent as UTF-8; use base64") from exc
    if request.base64 is not None:
        try:
            return base64.b64decode(request.base64, validate=True), "application/octet-stream"
        except (binascii.Error, ValueError) as exc:
            raise RequestError("base64", f"not base64: {exc}") from exc
    return None, None


def _path(template: str, request: RequestObject) -> str:
    holes = _HOLE.findall(template)
    if unknown := sorted(set(request.path) - set(holes)):
        raise RequestError("path", f"the endpoint's path has no {{{unknown[0]}}}; it is {template}")
    if missing := [name for name in holes if name not in request.path]:
        raise RequestError("path", f"the endpoint's path needs a value for {{{missing[0]}}}")
    return _HOLE.sub(lambda found: _encoded("path", request.path[found[1]]), template)


def _query(request: RequestObject) -> str:
    if request.query_raw is not None:
        if not _RAW_QUERY.fullmatch(request.query_raw):
            raise RequestError("query_raw", "a raw query is printable ASCII without spaces; encode the rest")
        return f"?{request.query_raw}"
    pairs = [
        f"{_encoded('query', name)}={_encoded('query', item)}"
        for name, value in request.query.items()
        for item in (value if isinstance(value, list | tuple) else [value])
    ]
    return "?" + "&".join(pairs) if pairs else ""


def _encoded(key: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise RequestError(key, f"{write_exact(value)[:80]} is neither a text nor a number")
    try:
        return quote(value if isinstance(value, str) else write_exact(value), safe="")
    except UnicodeEncodeError as exc:
        raise RequestError(key, "half a character cannot be percent-encoded; use query_raw") from exc
