"""Tells the evidence log which stages a run entered and left, and the reports where the log ended."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_rollout.errors import EnvironmentUnready, EvidenceError, PublishError
from pytest_rollout.publish.verdict_file import read_verdict

if TYPE_CHECKING:
    from pytest_rollout.evidence.record import Entry
    from pytest_rollout.evidence.results import StageLog
    from pytest_rollout.plan.model import Stage
    from pytest_rollout.plugin.world import World

Stages = Iterable[tuple[Path, "Stage"]]


def told_before(verdict: Path) -> dict[str, Any]:
    """Return what a verdict file says of the evidence log; nothing if there is no file to trust."""
    try:
        told = read_verdict(verdict).get("evidence")
    except PublishError:
        return {}
    return told if isinstance(told, dict) else {}


class Witness:
    """Keeps the head of the log where the log cannot take it back: in the verdict file."""

    def __init__(self, world: World, verdict: Path) -> None:
        self.world = world
        self.verdict = verdict
        self.log = str(world.settings.evidence)
        self.head = ""
        """Of the log when it was whole the last time, as ``count:hash``; empty if it never was."""
        self.others: dict[str, str] = {}
        """Heads of other logs, by address: a run with one must not make the next forget."""
        self.faults: list[str] = []

    def waivers(self, path: Path, stage: Stage) -> list[dict[str, Any]]:
        """Return the waivers in force, also of checks that were not judged. Nothing passes by them."""
        from pytest_rollout.evidence.people import waivers

        with self._noting_faults():
            found = waivers(self.world.evidence(), self.world.place(path), stage.marker, time.time())
            return [asdict(waiver) for waiver in found.values()]
        return []

    def told(self) -> dict[str, Any]:
        """Return what the verdict document says of the log."""
        return {"log": self.log, "head": self.head, "others": self.others}

    def remember(self) -> None:
        """Read the head that an earlier verdict file names, before that file is overwritten."""
        told = told_before(self.verdict)
        heads = {**told.get("others", {}), told.get("log"): told.get("head")}
        self.head = str(heads.pop(self.log, None) or "")
        self.others = {log: head for log, head in heads.items() if log and head}

    def enter(self, stages: Stages) -> None:
        """Record that the run is about these stages, in a log that still has what it had."""
        with self._noting_faults():
            self._refuse_shortened()
            self._append(
                self._log_of(path, stage).entered(time.time(), self.world.plan(path).digest) for path, stage in stages
            )

    def leave(self, stages: Stages, document: Mapping[str, Any]) -> None:
        """Record what was decided."""
        if self.faults:
            return
        entries = {(entry["rollout"], entry["stage"]): entry for entry in document["stages"]}
        with self._noting_faults():
            self._append(self._left(path, stage, entries) for path, stage in stages)

    def _left(self, path: Path, stage: Stage, entries: Mapping[tuple[str, str], Mapping[str, Any]]) -> Entry:
        entry = entries[self.world.plan(path).plan.rollout, stage.marker]
        verdicts = {check["id"]: check["verdict"] for check in entry["checks"]}
        return self._log_of(path, stage).left(time.time(), entry["decision"], verdicts)

    def _append(self, entries: Iterable[Entry]) -> None:
        """Append for all stages or for none."""
        if found := list(entries):
            self.head = str(self.world.evidence().append(found))

    def _refuse_shortened(self) -> None:
        from pytest_rollout.evidence.record import Head

        if self.head and not self.world.evidence().had(Head.parse(self.head)):
            raise EvidenceError(
                f"the evidence log {self.log} does not have what it had: {self.verdict} names "
                f"the head {self.head}; restore the log, or remove that file if it is about another log"
            )

    def _log_of(self, path: Path, stage: Stage) -> StageLog:
        from pytest_rollout.evidence.results import StageLog

        return StageLog(self.world.evidence(), self.world.place(path), stage.marker)

    @contextmanager
    def _noting_faults(self) -> Iterator[None]:
        try:
            yield
        except (EvidenceError, ValueError) as exc:
            self.faults.append(str(exc))
        except EnvironmentUnready:
            pass  # every check says so
