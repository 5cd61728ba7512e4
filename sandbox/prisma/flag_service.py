"""The flag service: OFREP 0.3.0 to read flags, an admin API to change them and to see who did.

https://github.com/open-feature/protocol/blob/main/service/openapi.yaml
"""

import json
import secrets
from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.prisma.config import FLAGS
from sandbox.prisma.flags import EVERYBODY, FlagStore, UnknownFlagError


class BadRequestError(ValueError):
    """The request cannot be served; ``code`` is OFREP's word for it."""

    def __init__(self, code: str, details: str) -> None:
        super().__init__(details)
        self.code = code


class FlagService:
    """The HTTP side of a flag store.

    ``down`` and ``lost`` are faults: everything answers 503; every cohort is answered the default.
    """

    def __init__(self, store: FlagStore, *, token: str, down: bool = False, lost: bool = False) -> None:
        self._store = store
        self._token = token
        self._down = down
        self._lost = lost

    def routes(self) -> list[Route]:
        """Return the service's routes."""
        return [
            self._route("/ofrep/v1/evaluate/flags", "POST", self.evaluate_all),
            self._route("/ofrep/v1/evaluate/flags/{key}", "POST", self.evaluate),
            self._route("/admin/flags", "GET", self.snapshot),
            self._route("/admin/flags/audit", "GET", self.audit),
            self._route("/admin/flags/{key}", "PUT", self.change),
        ]

    def evaluate(self, request: Request, body: bytes) -> Response:
        """Evaluate one flag: 200, 400 or 404."""
        key = request.path_params["key"]
        try:
            return JSONResponse(self._evaluation(key, _cohort(body)))
        except BadRequestError as error:
            return JSONResponse({"key": key, "errorCode": error.code, "errorDetails": str(error)}, 400)
        except UnknownFlagError:
            details = {"errorDetails": f"no flag is called {key!r}"}
            return JSONResponse({"key": key, "errorCode": "FLAG_NOT_FOUND", **details}, 404)

    def evaluate_all(self, request: Request, body: bytes) -> Response:
        """Evaluate every flag: 200, 304 or 400."""
        try:
            cohort = _cohort(body)
        except BadRequestError as error:
            return JSONResponse({"errorCode": error.code, "errorDetails": str(error)}, 400)
        headers = {"ETag": f'"{self._store.revision}-{cohort}"'}
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        return JSONResponse({"flags": [self._evaluation(key, cohort) for key in FLAGS]}, headers=headers)

    def snapshot(self, request: Request, _body: bytes) -> Response:
        """Return all flags with their values: 200 or 401."""
        if not self._allowed(request):
            return Response(status_code=401)
        return JSONResponse({"revision": self._store.revision, "flags": self._store.snapshot()})

    def audit(self, request: Request, _body: bytes) -> Response:
        """Return every change, oldest first: 200 or 401."""
        if not self._allowed(request):
            return Response(status_code=401)
        return JSONResponse(self._store.changes())

    def change(self, request: Request, body: bytes) -> Response:
        """Change a flag for a cohort, or with null remove the cohort's value: 200, 400, 401 or 404."""
        if not self._allowed(request):
            return Response(status_code=401)
        key = request.path_params["key"]
        try:
            wanted = _wanted(body)
            at = self._store.change(key, **wanted)
        except BadRequestError as error:
            return JSONResponse({"message": str(error)}, 400)
        except UnknownFlagError:
            return JSONResponse({"message": f"no flag is called {key!r}"}, 404)
        return JSONResponse({"revision": self._store.revision, "changedAt": at})

    def _evaluation(self, key: str, cohort: str) -> dict[str, Any]:
        found = self._store.evaluate(key, EVERYBODY if self._lost else cohort)
        return {
            "key": key,
            "value": found.value,
            "variant": "on" if found.value else "off",
            "reason": found.reason,
            "metadata": {"changedAt": found.changed_at, "changedBy": found.changed_by},
        }

    def _allowed(self, request: Request) -> bool:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        return bool(self._token) and secrets.compare_digest(given.encode(), self._token.encode())

    def _route(self, path: str, method: str, handler: Callable[[Request, bytes], Response]) -> Route:
        async def endpoint(request: Request) -> Response:
            if self._down:
                return Response(status_code=503)
            return await run_in_threadpool(handler, request, await request.body())

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


def _wanted(body: bytes) -> dict[str, Any]:
    fields = _object(body, "GENERAL")
    for name in ("cohort", "actor", "reason"):
        if not isinstance(fields.get(name), str) or not fields[name].strip():
            raise BadRequestError("GENERAL", f"{name} must be a text that is not empty")
    value = fields.get("value", "missing")
    if not isinstance(value, bool | None):
        raise BadRequestError("GENERAL", "value must be true, false or null")
    if value is None and fields["cohort"] == EVERYBODY:
        raise BadRequestError("GENERAL", "the default cannot be removed")
    return {"cohort": fields["cohort"], "value": value, "actor": fields["actor"], "reason": fields["reason"]}


def _object(body: bytes, code: str) -> dict[str, Any]:
    try:
        fields = json.loads(body)
    except ValueError as error:
        raise BadRequestError(code, "the body is not JSON") from error
    if not isinstance(fields, dict):
        raise BadRequestError(code, "the body is not an object")
    return fields
