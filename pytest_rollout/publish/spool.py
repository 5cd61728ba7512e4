"""What could not be pushed, on disk until it can be."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_rollout.publish.verdict_file import write_atomic

SPOOL_LIMIT = 100
"""Payloads that may wait in one folder; the newest stay."""


@dataclass(frozen=True, slots=True)
class Payload:
    """The metrics of one stage, ready to be sent."""

    group: str
    """URL path below the gateway's address."""
    body: str
    """Prometheus text format."""
    file: Path | None
    """Where it waits; None when the spool could not be written."""

    def discard(self) -> None:
        """Forget it: it was accepted, or never will be."""
        if self.file:
            self.file.unlink(missing_ok=True)


class Spool:
    """The payloads that wait for one gateway: a file each, named so that sorting gives their order.

    Several gateways may share a folder; each sees its own payloads only. What is worth telling people is
    appended to the `notes` of the caller.
    """

    def __init__(self, folder: Path, gateway: str) -> None:
        self.folder = folder
        self._gateway = _digest(gateway)

    def put(self, group: str, body: str, notes: list[str]) -> Payload:
        """Keep a payload, readable by its owner only; a folder that cannot be written costs a note."""
        file = self.folder / f"{time.time_ns():020d}-{self._gateway}-{_digest(group)}.json"
        try:
            write_atomic(file, json.dumps({"group": group, "body": body}), 0o600)
        except OSError as error:
            notes.append(f"spool {self.folder}: {error.strerror}")
            return Payload(group, body, None)
        for old in sorted(self.folder.glob("*.json"))[:-SPOOL_LIMIT]:
            with contextlib.suppress(OSError):
                old.unlink()
                notes.append(f"{old.name} dropped: more than {SPOOL_LIMIT} wait")
        return Payload(group, body, file)

    def files(self) -> list[Path]:
        """Return the files that wait for this gateway, oldest first."""
        return sorted(self.folder.glob(f"*-{self._gateway}-*.json"))

    def waiting(self, fresh: Sequence[Payload], notes: list[str]) -> Iterator[Payload]:
        """Yield what waits besides `fresh`, oldest first; a damaged file is set aside as `.bad`."""
        own = {payload.file for payload in fresh}
        for file in [file for file in self.files() if file not in own]:
            try:
                payload = _read(file)
            except OSError as error:
                notes.append(f"{file.name} cannot be read: {error.strerror}")
            except (ValueError, KeyError, TypeError):
                file.rename(file.with_suffix(".bad"))
                notes.append(f"{file.name} is damaged, set aside as .bad")
            else:
                yield payload

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Let one process at a time send, or an old payload could overtake a new one."""
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(OSError):  # without a folder there is no order to keep
                lock = stack.enter_context((self.folder / ".lock").open("w"))
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _read(file: Path) -> Payload:
    content = json.loads(file.read_text(encoding="utf-8"))
    group, body = content["group"], content["body"]
    if not (isinstance(group, str) and group.startswith("/metrics/job/") and isinstance(body, str)):
        raise TypeError(file)
    return Payload(group, body, file)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
