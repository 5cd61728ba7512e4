"""A flag service over HTTP: OFREP 0.3.0 to read flags, an admin API to change them and to see who did.

https://github.com/open-feature/protocol/blob/main/service/openapi.yaml
"""

import json
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

EVERYBODY = "*"
"""The cohort of the value that holds for whoever has none of their own."""
Value = TypeVar("Value")
Handler = Callable[[Request, bytes], Response]


class BadRequestError(ValueError):
    """The request cannot be served; ``code`` is OFREP's word for it."""

    def __init__(self, code: str, details: str) -> None:
        super().__init__(details)
        self.code = code


@dataclass(frozen=True)
class Wanted(Generic[Value]):
    """The value somebody wants a flag to have for a cohort; None removes the cohort's own."""

    cohort: str
    value: Value | None
    actor: str
    reason: str


class FlagService(ABC, Generic[Value]):
    """The HTTP side; what a flag is and where its value is kept is the subclass's.

    ``down`` is a fault: everything answers 503.
    """

    keys: Sequence[str]
    """The flags there are."""
    values: str
    """What a value can be, in words."""

    def __init__(self, token: str, *, down: bool = False) -> None:
        self._token = token
        self._down = down

    @abstractmethod
    def revision(self) -> int:
        """Return the number of changes so far."""

    @abstractmethod
    def evaluation(self, key: str, cohort: str) -> dict[str, Any]:
        """Return the answer to OFREP for a flag and a cohort."""

    @abstractmethod
    def flags(self) -> dict[str, Any]:
        """Return default and cohorts of every flag."""

    @abstractmethod
    def changes(self) -> list[dict[str, Any]]:
        """Return every change, oldest first."""

    @abstractmethod
    def read(self, value: object) -> Value:
        """Return a value of a request's body; ValueError if it is none."""

    @abstractmethod
    def write(self, key: str, wanted: Wanted[Value]) -> str:
        """Change a flag and return when it changed; ValueError if there can be no such cohort."""

    async def run(self, handler: Handler, request: Request, body: bytes) -> Response:
        """Run a handler, on the event loop."""
        return handler(request, body)

    def routes(self) -> list[Route]:
        """Return the service's routes."""
        return [
            self._route("/ofrep/v1/evaluate/flags", "POST", self._evaluate_all),
            self._route("/ofrep/v1/evaluate/flags/{key}", "POST", self._evaluate),
            self._route("/admin/flags", "GET", self._snapshot),
            self._route("/admin/flags/audit", "GET", self._audit),
            self._route("/admin/flags/{key}", "PUT", self._change),
        ]

    def _evaluate(self, request: Request, body: bytes) -> Response:
        """Evaluate one flag: 200, 400 or 404."""
        key = request.path_params["key"]
        if key not in self.keys:
            details = {"errorDetails": f"no flag is called {key!r}"}
            return JSONResponse({"key": key, "errorCode": "FLAG_NOT_FOUND", **details}, 404)
        try:
            return JSONResponse(self.evaluation(key, _cohort(body)))
        except BadRequestError as error:
            return JSONResponse({"key": key, "errorCode": error.code, "errorDetails": str(error)}, 400)

    def _evaluate_all(self, request: Request, body: bytes) -> Response:
        """Evaluate every flag: 200, 304 or 400."""
        try:
            cohort = _cohort(body)
        except BadRequestError as error:
            return JSONResponse({"errorCode": error.code, "errorDetails": str(error)}, 400)
        headers = {"ETag": f'"{self.revision()}-{cohort}"'}
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        return JSONResponse({"flags": [self.evaluation(key, cohort) for key in self.keys]}, headers=headers)

    def _snapshot(self, request: Request, _body: bytes) -> Response:
        """Return all flags with their values: 200 or 401."""
        if not self._allowed(request):
            return Response(status_code=401)
        return JSONResponse({"revision": self.revision(), "flags": self.flags()})

    def _audit(self, request: Request, _body: bytes) -> Response:
        """Return every change: 200 or 401."""
        if not self._allowed(request):
            return Response(status_code=401)
        return JSONResponse(self.changes())

    def _change(self, request: Request, body: bytes) -> Response:
        """Change a flag for a cohort, or with null remove the cohort's value: 200, 400, 401 or 404."""
        if not self._allowed(request):
            return Response(status_code=401)
        key = request.path_params["key"]
        if key not in self.keys:
            return JSONResponse({"message": f"no flag is called {key!r}"}, 404)
        try:
            at = self.write(key, self._wanted(body))
        except ValueError as error:
            return JSONResponse({"message": str(error)}, 400)
        return JSONResponse({"revision": self.revision(), "changedAt": at})

    def _wanted(self, body: bytes) -> Wanted[Value]:
        fields = _object(body, "GENERAL")
        for name in ("cohort", "actor", "reason"):
            if not isinstance(fields.get(name), str) or not fields[name].strip():
                raise BadRequestError("GENERAL", f"{name} must be a text that is not empty")
        cohort, value = fields["cohort"], fields.get("value", "missing")
        if value is None and cohort == EVERYBODY:
            raise BadRequestError("GENERAL", "the default cannot be removed")
        wanted = None if value is None else self._value(value)
        return Wanted(cohort, wanted, fields["actor"], fields["reason"])

    def _value(self, value: object) -> Value:
        try:
            return self.read(value)
        except ValueError as error:
            raise BadRequestError("GENERAL", f"value must be {self.values} or null") from error

    def _allowed(self, request: Request) -> bool:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        return bool(self._token) and secrets.compare_digest(given.encode(), self._token.encode())

    def _route(self, path: str, method: str, handler: Handler) -> Route:
        async def endpoint(request: Request) -> Response:
            if self._down:
                return Response(status_code=503)
            return await self.run(handler, request, await request.body())

        return Route(path, endpoint, methods=[method])


def _cohort(body: bytes) -> str:
    """Return the cohort of an evaluation's context; without one it is everybody."""
    context = _object(body, "PARSE_ERROR").get("context")
    if not isinstance(context, dict):
        raise BadRequestError("INVALID_CONTEXT", "context must be an object")
    if not context.get("targetingKey"):
        raise BadRequestError("TARGETING_KEY_MISSING", "context.targetingKey is missing")
    cohort = context.get("cohort", EVERYBODY)
    if not isinstance(cohort, str):
        raise BadRequestError("INVALID_CONTEXT", "context.cohort must be a text")
    return cohort


def _object(body: bytes, code: str) -> dict[str, Any]:
    try:
        fields = json.loads(body)
    except ValueError as error:
        raise BadRequestError(code, "the body is not JSON") from error
    if not isinstance(fields, dict):
        raise BadRequestError(code, "the body is not an object")
    return fields
