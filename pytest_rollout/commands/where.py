"""Where the commands that run canaries find what they work with."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from pytest_rollout.errors import PlanError
from pytest_rollout.plugin.selection import SUFFIX, walk
from pytest_rollout.plugin.settings import Settings
from pytest_rollout.plugin.world import World
from pytest_rollout.process import StopRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Plans, environment and folders of one command."""

    plans: Path
    """A plan, or a folder with plans."""
    environment: str
    evidence: str
    """A file, or the URL of a database."""
    reports: Path
    root: Path
    """Where pytest is started."""

    def paths(self) -> list[Path]:
        """Return the plans. Raises PlanError if there is none."""
        if not (found := list(walk(self.root / self.plans))):
            raise PlanError(f"no *{SUFFIX} at or below {self.plans}; name a file or a folder")
        return found

    def world(self) -> World:
        """Return the world of these plans, in which nothing has been entered yet. Close it."""
        evidence = self.evidence if "://" in self.evidence else self.root / Path(self.evidence).expanduser()
        settings = Settings(
            plans=(self.root / self.plans,),
            environment=self.environment,
            wait=None,
            faults=(),
            push=True,
            reports=self.root / self.reports,
            evidence=evidence,
            spool=(evidence.parent if isinstance(evidence, Path) else self.root / ".rollout") / "spool",
            flipped_at=None,
            canary=None,
        )
        world = World(settings, self.root)
        world.records_browser = find_spec("pytest_playwright") is not None
        world.canary_arguments = ("-n", "0") if find_spec("xdist") is not None else ()
        return world


@contextmanager
def stopping_by_signals(stop: StopRequest) -> Iterator[None]:
    """Make Ctrl-C and SIGTERM ask for a stop, instead of ending the process in the middle of something."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, lambda *_: stop.ask()) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
