"""The application's log: one JSON object per line in app.jsonl, as it would be shipped to a log store."""

import json
import logging
import sys
from pathlib import Path
from typing import Any

from sandbox.prisma.clock import now, rfc3339

FILE = "app.jsonl"
_FIELDS = "fields"


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": rfc3339(now()),
            "level": record.levelname,
            "message": record.getMessage(),
            **getattr(record, _FIELDS, {}),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class Log:
    """Writes structured lines; never give it a secret."""

    def __init__(self, directory: Path, *, rollout_stage: str) -> None:
        self._stage = rollout_stage
        self._logger = logging.Logger("prisma", logging.INFO)  # noqa: LOG001 - not in the global tree: one per application
        handler = logging.FileHandler(directory / FILE, encoding="utf-8")
        handler.setFormatter(_Lines())
        self._logger.addHandler(handler)

    def close(self) -> None:
        """Close the file."""
        for handler in self._logger.handlers:
            handler.close()

    def info(self, message: str, **fields: Any) -> None:
        """Write an INFO line with these fields."""
        self._logger.info(message, extra=self._extra(fields))

    def warning(self, message: str, **fields: Any) -> None:
        """Write a WARNING line with these fields."""
        self._logger.warning(message, extra=self._extra(fields))

    def failure(self, message: str, **fields: Any) -> None:
        """Write an ERROR line with these fields and the exception being handled, if any."""
        self._logger.error(message, exc_info=sys.exc_info(), extra=self._extra(fields))

    def _extra(self, fields: dict[str, Any]) -> dict[str, Any]:
        return {_FIELDS: {"rolloutStage": self._stage, **fields}}
