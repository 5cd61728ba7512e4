"""Tells the evidence log which stages a run entered and left, and the reports where the log ended."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_rollout.errors import EnvironmentUnready, EvidenceError, PublishError
from pytest_rollout.publish.verdict_file import read_verdict

if TYPE_CHECKING:
    from pytest_rollout.evidence.results import StageLog
    from pytest_rollout.plan.model import Stage
    from pytest_rollout.plugin.world import World

Stages = Iterable[tuple[Path, "Stage"]]


class Witness:
    """Keeps the head of the log where the log cannot take it back: in the verdict file."""

    def __init__(self, world: World, verdict: Path) -> None:
        self.world = world
        self.verdict = verdict
        self.head = ""
        """Of the log when it was whole the last time, as ``count:hash``; empty if it never was."""
        self.faults: list[str] = []

    def told(self) -> dict[str, str]:
        """Return what the verdict document says of the log."""
        return {"log": str(self.world.settings.evidence), "head": self.head}

    def remember(self) -> None:
        """Read the head that an earlier verdict file names, before that file is overwritten."""
        self.head = self._claimed()

    def enter(self, stages: Stages) -> None:
        """Record that the run is about these stages, in a log that still has what it had."""
        with self._noting_faults():
            self._refuse_shortened()
            for path, stage in stages:
                self.head = str(self._log_of(path, stage).enter(time.time(), self.world.plan(path).digest))

    def leave(self, stages: Stages, document: Mapping[str, Any]) -> None:
        """Record what was decided."""
        if self.faults:
            return
        entries = {(entry["rollout"], entry["stage"]): entry for entry in document["stages"]}
        with self._noting_faults():
            for path, stage in stages:
                entry = entries[self.world.plan(path).plan.rollout, stage.marker]
                verdicts = {check["id"]: check["verdict"] for check in entry["checks"]}
                self.head = str(self._log_of(path, stage).leave(time.time(), entry["decision"], verdicts))

    def _claimed(self) -> str:
        """Return the head that an earlier verdict file names, if it is about this log."""
        try:
            told = read_verdict(self.verdict).get("evidence") or {}
        except PublishError:
            return ""
        return str(told["head"]) if told.get("log") == str(self.world.settings.evidence) and told.get("head") else ""

    def _refuse_shortened(self) -> None:
        from pytest_rollout.evidence.record import Head

        if self.head and not self.world.evidence().had(Head.parse(self.head)):
            raise EvidenceError(
                f"the evidence log {self.world.settings.evidence} does not have what it had: {self.verdict} names "
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
