"""The mode flags over HTTP: OFREP 0.3.0 to read them, an admin API to change them and to see who did.

The same shape as the prisma sandbox's flag service; the values are texts.
https://github.com/open-feature/protocol/blob/main/service/openapi.yaml
"""

import json
import re
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.normalization.mode_store import ModeStore
from sandbox.normalization.modes import ENDPOINTS, EVERYBODY, FLAG, Change, Endpoint, Mode, ModeWish

FLAGS: dict[str, tuple[Endpoint, ...]] = {FLAG: ENDPOINTS, **{endpoint.flag: (endpoint,) for endpoint in ENDPOINTS}}
"""The flags and the endpoints whose mode each one is."""
MIXED = "mixed"
"""The value of the flag of all endpoints while they differ."""
_COHORT = re.compile(r"[a-z0-9-]{1,32}")


class BadRequestError(ValueError):
    """The request cannot be served; ``code`` is OFREP's word for it."""

    def __init__(self, code: str, details: str) -> None:
        super().__init__(details)
        self.code = code


class FlagService:
    """The HTTP side of a mode store."""

    def __init__(self, store: ModeStore, token: str, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._token = token
        self._clock = clock

    def routes(self) -> list[Route]:
        """Return the service's routes."""
        return [
            _route("/ofrep/v1/evaluate/flags", "POST", self.evaluate_all),
            _route("/ofrep/v1/evaluate/flags/{key}", "POST", self.evaluate),
            _route("/admin/flags", "GET", self.snapshot),
            _route("/admin/flags/audit", "GET", self.audit),
            _route("/admin/flags/{key}", "PUT", self.change),
        ]

    def evaluate(self, request: Request, body: bytes) -> Response:
        """Evaluate one flag: 200, 400 or 404."""
        key = request.path_params["key"]
        if key not in FLAGS:
            details = {"errorDetails": f"no flag is called {key!r}"}
            return JSONResponse({"key": key, "errorCode": "FLAG_NOT_FOUND", **details}, 404)
        try:
            return JSONResponse(self._evaluation(key, _cohort(body)))
        except BadRequestError as error:
            return JSONResponse({"key": key, "errorCode": error.code, "errorDetails": str(error)}, 400)

    def evaluate_all(self, request: Request, body: bytes) -> Response:
        """Evaluate every flag: 200, 304 or 400."""
        try:
            cohort = _cohort(body)
        except BadRequestError as error:
            return JSONResponse({"errorCode": error.code, "errorDetails": str(error)}, 400)
        headers = {"ETag": f'"{self._store.rules().revision}-{cohort}"'}
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        return JSONResponse({"flags": [self._evaluation(key, cohort) for key in FLAGS]}, headers=headers)

    def snapshot(self, request: Request, _body: bytes) -> Response:
        """Return the endpoints' flags with their values: 200 or 401."""
        if not self._allowed(request):
            return Response(status_code=401)
        rules = self._store.rules()
        flags = {}
        for endpoint in ENDPOINTS:
            modes = dict(rules.of(endpoint))
            flags[endpoint.flag] = {"default": modes.pop(EVERYBODY, Mode.OFF), "cohorts": modes}
        return JSONResponse({"revision": rules.revision, "flags": flags})

    def audit(self, request: Request, _body: bytes) -> Response:
        """Return every change, oldest first: 200 or 401."""
        if not self._allowed(request):
            return Response(status_code=401)
        return JSONResponse([_as_json(change) for change in self._store.changes()])

    def change(self, request: Request, body: bytes) -> Response:
        """Change a mode for a cohort, or with null remove the cohort's: 200, 400, 401 or 404."""
        if not self._allowed(request):
            return Response(status_code=401)
        key = request.path_params["key"]
        if key not in FLAGS:
            return JSONResponse({"message": f"no flag is called {key!r}"}, 404)
        try:
            wish = _wish(body)
        except BadRequestError as error:
            return JSONResponse({"message": str(error)}, 400)
        rules = self._store.change(FLAGS[key], wish, at=self._clock())
        changed = [change for change in self._store.changes() if change.endpoint in {one.name for one in FLAGS[key]}]
        return JSONResponse({"revision": rules.revision, "changedAt": _rfc3339(changed[-1].at)})

    def _evaluation(self, key: str, cohort: str) -> dict[str, Any]:
        rules, changes = self._store.rules(), self._store.changes()
        modes = {rules.mode(endpoint, cohort) for endpoint in FLAGS[key]}
        last = _last(changes, FLAGS[key], cohort)
        targeted = any(cohort in rules.of(endpoint) for endpoint in FLAGS[key]) and cohort != EVERYBODY
        value = modes.pop() if len(modes) == 1 else MIXED
        return {
            "key": key,
            "value": value,
            "variant": value,
            "reason": "TARGETING_MATCH" if targeted else "STATIC",
            "metadata": {"changedAt": _rfc3339(last.at), "changedBy": last.actor},
        }

    def _allowed(self, request: Request) -> bool:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        return bool(self._token) and secrets.compare_digest(given.encode(), self._token.encode())


def _last(changes: list[Change], endpoints: tuple[Endpoint, ...], cohort: str) -> Change:
    """Return the last change that the cohort's mode may come from; every endpoint's mode was set at the start."""
    names = {endpoint.name for endpoint in endpoints}
    return [one for one in changes if one.endpoint in names and one.cohort in (cohort, EVERYBODY)][-1]


def _as_json(change: Change) -> dict[str, Any]:
    flag = next(endpoint.flag for endpoint in ENDPOINTS if endpoint.name == change.endpoint)
    return {
        "id": change.id,
        "flag": flag,
        "cohort": change.cohort,
        "before": change.before,
        "after": change.after,
        "actor": change.actor,
        "reason": change.reason,
        "at": _rfc3339(change.at),
    }


def _route(path: str, method: str, handler: Callable[[Request, bytes], Response]) -> Route:
    async def endpoint(request: Request) -> Response:
        return handler(request, await request.body())

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


def _wish(body: bytes) -> ModeWish:
    fields = _object(body, "GENERAL")
    for name in ("cohort", "actor", "reason"):
        if not isinstance(fields.get(name), str) or not fields[name].strip():
            raise BadRequestError("GENERAL", f"{name} must be a text that is not empty")
    cohort, value = fields["cohort"], fields.get("value", "missing")
    if cohort != EVERYBODY and not _COHORT.fullmatch(cohort):
        raise BadRequestError("GENERAL", "cohort must be * or 1 to 32 of a-z, 0-9 and -")
    if value is not None and value not in list(Mode):
        raise BadRequestError("GENERAL", "value must be off, warn, enforce or null")
    if value is None and cohort == EVERYBODY:
        raise BadRequestError("GENERAL", "the default cannot be removed")
    mode = None if value is None else Mode(value)
    return ModeWish(cohort, mode, fields["actor"], fields["reason"])


def _object(body: bytes, code: str) -> dict[str, Any]:
    try:
        fields = json.loads(body)
    except ValueError as error:
        raise BadRequestError(code, "the body is not JSON") from error
    if not isinstance(fields, dict):
        raise BadRequestError(code, "the body is not an object")
    return fields


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
