"""The feature flags over HTTP."""

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from sandbox.flag_service import FlagService, Handler, Wanted
from sandbox.prisma.config import FLAGS
from sandbox.prisma.flags import EVERYBODY, FlagStore


class PrismaFlags(FlagService[bool]):
    """The HTTP side of a flag store; ``lost`` is a fault: every cohort is answered the default."""

    keys = tuple(FLAGS)
    values = "true, false"

    def __init__(self, store: FlagStore, token: str, *, down: bool = False, lost: bool = False) -> None:
        super().__init__(token, down=down)
        self._store = store
        self._lost = lost

    async def run(self, handler: Handler, request: Request, body: bytes) -> Response:
        """Run a handler in a thread: it may have to wait for the database."""
        return await run_in_threadpool(handler, request, body)

    def revision(self) -> int:
        """Return the number of changes so far."""
        return self._store.revision

    def evaluation(self, key: str, cohort: str) -> dict[str, Any]:
        """Return the answer to OFREP for a flag and a cohort."""
        found = self._store.evaluate(key, EVERYBODY if self._lost else cohort)
        return {
            "key": key,
            "value": found.value,
            "variant": "on" if found.value else "off",
            "reason": found.reason,
            "metadata": {"changedAt": found.changed_at, "changedBy": found.changed_by},
        }

    def flags(self) -> dict[str, Any]:
        """Return default and cohorts of every flag."""
        return self._store.snapshot()

    def changes(self) -> list[dict[str, Any]]:
        """Return every change, oldest first."""
        return self._store.changes()

    def read(self, value: object) -> bool:
        """Return a value of a request's body; ValueError if it is none."""
        if not isinstance(value, bool):
            raise ValueError(value)
        return value

    def write(self, key: str, wanted: Wanted[bool]) -> str:
        """Change a flag and return when it changed."""
        return self._store.change(key, wanted.cohort, wanted.value, actor=wanted.actor, reason=wanted.reason)
