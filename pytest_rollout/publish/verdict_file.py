"""The verdict document on disk: complete or not there, never half."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from pytest_rollout.errors import PublishError


def write_verdict(path: Path, document: Mapping[str, Any]) -> None:
    """Write the document as JSON, atomically; missing folders are made.

    Raises PublishError when it cannot be written, or holds what JSON has no word for (NaN, infinities).
    """
    try:
        text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise PublishError(f"{path}: not written: {error}; put plain numbers, texts or null there") from error
    try:
        # Half a surrogate pair, as a server may send it, is no text; escaped it is still JSON.
        write_atomic(path, text.encode(errors="backslashreplace"))
    except OSError as error:
        raise PublishError(
            f"{path}: not written: {error.strerror}; make the folder writable or choose another"
        ) from error


def read_verdict(path: Path) -> dict[str, Any]:
    """Return the document that `write_verdict` wrote; raises PublishError when there is none to trust."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_constant)
    except OSError as error:
        raise PublishError(f"{path}: not read: {error.strerror}; run the stage to make it") from error
    except ValueError as error:
        raise PublishError(f"{path}: not a verdict document: {error}; run the stage again") from error
    if not isinstance(document, dict):
        raise PublishError(f"{path}: not a verdict document: not a JSON object; run the stage again")
    return document


def write_atomic(path: Path, content: str | bytes, mode: int = 0o666) -> None:
    """Put content, text as UTF-8, at `path` in one step: a reader sees the old file or the new one, also after a crash.

    `mode` is the file's permission before the umask. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, since a rename is atomic only within one file system.
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")
