"""Make the load of a latency gate: start Locust, look at it on the way, extend it, draw what it found."""

from __future__ import annotations

import contextlib
import importlib.util
import re
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

from pytest_rollout.errors import LoadError
from pytest_rollout.latency import Load, LoadTerms, is_bent, judge_latency
from pytest_rollout.load import engine
from pytest_rollout.load.engine import LOCUST, Site
from pytest_rollout.load.judged import is_bad, judge_each, judge_load
from pytest_rollout.load.order import LoadOrder
from pytest_rollout.load.report import picture
from pytest_rollout.load.result import LoadResult
from pytest_rollout.publish.verdict_file import write_atomic
from pytest_rollout.units import format_duration
from pytest_rollout.verdict import CheckResult, Reason, Verdict

ATTEMPTS = 3
"""A load whose generator was late says nothing, and is made again, so often in all."""
PICTURE = "latency.svg"
"""In a load's folder: its percentiles, and the limits."""
LOCUSTFILES = "locustfiles"
"""Where in a project they are."""
Tell = Callable[[str], None]
"""Gets a line about how far a load has come."""
_CHANGES_LOCUST = re.compile(r"LOCUST_.*|(https?|all|no)_proxy|PYTEST_.*|COV_CORE_.*|COVERAGE_.*", re.IGNORECASE)
_SHORTEST_EXTENSION = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRunner:
    """Everything that is needed to make loads on one target."""

    rootdir: Path
    """The root of the project: locustfiles import from here."""
    host: str
    variables: Mapping[str, str]
    """Environment variables for locustfiles; those that would change Locust or its way to the target are left out."""
    folder: Path
    """Each load has a folder of its own in it."""
    alone: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext
    """Entered while a load is made: two at once would measure one another."""
    stopped: Callable[[], bool] = lambda: False
    clock: Callable[[], float] = time.time

    def make(self, name: str, terms: LoadTerms, tell: Tell = lambda _: None) -> Load:
        """Make the load of a gate, with every extension that it needs and may have; its faults are in it."""
        shutil.rmtree(self.folder / name, ignore_errors=True)
        spoiled: list[str] = []
        with self.alone():
            while True:
                making = _Making(self, name, terms.after(spoiled), tell)
                load = replace(making.load(), spoiled=tuple(spoiled))
                result = judge_latency(terms, load)
                if not _again(load, result, making.terms) or len(spoiled) + 1 == ATTEMPTS or self.stopped():
                    return self._drawn(name, making.terms, load)
                spoiled.append(result.message)
                tell(f"{name}: {result.message}; once more")

    def site(self, folder: Path, terms: LoadTerms) -> Site:
        """Return where a run happens."""
        env = {key: value for key, value in self.variables.items() if not _CHANGES_LOCUST.fullmatch(key)}
        site = Site(folder=folder, cwd=self.rootdir, env=env, stopped=self.stopped)
        if terms.asked.bind is None:
            return site
        address, _, port = terms.asked.bind.rpartition(":")
        return replace(site, bind=address, port=int(port), own_workers=False, patience=60.0)

    def locustfile(self, name: str) -> Path:
        """Return the path of a locustfile. Raises LoadError."""
        if not self.variables.get(LOCUST) and importlib.util.find_spec("locust") is None:
            raise LoadError(
                f"Locust is not installed; install pytest-rollout[locust], or set {LOCUST} to a locust command"
            )
        path = self.rootdir / (name if name.endswith(".py") else f"{LOCUSTFILES}/{name}.py")
        if not path.is_file():
            known = ", ".join(sorted(one.stem for one in (self.rootdir / LOCUSTFILES).glob("[!_]*.py"))) or "none"
            raise LoadError(f"there is no locustfile {path}; those of {LOCUSTFILES}/: {known}")
        return path

    def _drawn(self, name: str, terms: LoadTerms, load: Load) -> Load:
        """Return a load with a picture of its percentiles, if there is anything to draw."""
        path = self.folder / name / PICTURE
        if not load.runs:
            return load
        with contextlib.suppress(ValueError, OSError):  # without requests, or on a full disk
            drawn = picture(load.runs, terms.demand, judge_each(load.runs, terms.demand), name)
            write_atomic(path, drawn.encode())
            return replace(load, attachments=(str(path),))
        return load


@dataclass(frozen=True, slots=True)
class _Making:
    """A load in the making."""

    runner: LoadRunner
    name: str
    terms: LoadTerms
    tell: Tell

    @property
    def folder(self) -> Path:
        return self.runner.folder / self.name

    def load(self) -> Load:
        """Return the load with its extensions, or as far as it came."""
        begun, runs, demand = self.runner.clock(), list[LoadResult](), self.terms.demand
        try:
            path = self.runner.locustfile(self.terms.asked.locustfile)
            order = self.terms.order(str(path), self.runner.host, self.runner.variables)
            while True:
                runs.append(self._run(replace(order, seed=len(runs)), runs))
                result = judge_load(runs, demand)
                if result.reason is not Reason.TOO_FEW_SAMPLES or not result.ready_in:
                    return Load(begun=begun, runs=tuple(runs))
                left = demand.budget - sum(run.asked.duration for run in runs[1:])
                order = replace(order, duration=min(max(ceil(result.ready_in), _SHORTEST_EXTENSION), left))
        except (LoadError, OSError) as exc:
            return Load(begun=begun, runs=tuple(runs), fault=str(exc))

    def _run(self, order: LoadOrder, before: Sequence[LoadResult]) -> LoadResult:
        before, demand = tuple(before), self.terms.demand

        def look(so_far: LoadResult) -> bool:
            self.tell(f"{self.name}: {_progress(so_far)}")
            return judge_load([*before, so_far], demand).verdict is Verdict.BREACHED

        self.tell(f"{self.name}: load for {format_duration(order.warm_up + order.duration)}")
        return engine.run(order, self.runner.site(self.folder / str(order.seed + 1), self.terms), look)


def _again(load: Load, result: CheckResult, terms: LoadTerms) -> bool:
    """Whether a load may be made once more: it says nothing, and it did not look bad either.

    A slow system can make a generator late, so to throw away what looks bad would choose the good moments.
    """
    return bool(load.runs) and is_bent(result) and not is_bad(load.runs, terms.demand)


def _progress(so_far: LoadResult) -> str:
    asked = so_far.asked
    if not so_far.duration:
        return "warming up"
    gone, planned = format_duration(round(so_far.duration)), format_duration(asked.duration)
    return f"{gone} of {planned}, {so_far.started:,} arrivals, {so_far.achieved_rate:.3g} answers a second"
