"""Plans, targets, sources and results of one process; all of it made when first asked for."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pytest_rollout.errors import EnvironmentUnready
from pytest_rollout.plugin.sandboxes import Sandboxes
from pytest_rollout.plugin.settings import Settings
from pytest_rollout.verdict import CheckResult, Reason, broken

if TYPE_CHECKING:
    from pytest_rollout.archive import Archive
    from pytest_rollout.canary import CanaryRunner
    from pytest_rollout.evidence.log import EvidenceLog
    from pytest_rollout.evidence.people import Found
    from pytest_rollout.evidence.record import Place
    from pytest_rollout.judge.history import FlagReading
    from pytest_rollout.judge.slot import Slot
    from pytest_rollout.load_runner import LoadRunner
    from pytest_rollout.plan.gates import Gate
    from pytest_rollout.plan.loader import LoadedPlan
    from pytest_rollout.plan.model import Environment, Stage
    from pytest_rollout.schedule.keeper import Keeper
    from pytest_rollout.sources.flags import FlagReader
    from pytest_rollout.sources.http import Http
    from pytest_rollout.stage import Progress, Scene
    from pytest_rollout.target import Target, Variables

T = TypeVar("T")
Results = Mapping[str, CheckResult]


class World:
    """What this process knows of the world outside. Close it."""

    def __init__(self, settings: Settings, root: Path, *, run_folder: Path | None = None) -> None:
        self.settings = settings
        self.root = root
        self._owns_folder = run_folder is None
        self.run_folder = run_folder or Path(tempfile.mkdtemp(prefix="rollout-"))
        self.sandboxes = Sandboxes(self.run_folder, settings.faults)
        self.canary_arguments: Sequence[str] = ()
        """What the pytest processes of canaries are given beside what they need."""
        self.records_browser = False
        self.say: Callable[[str], None] = lambda _: None
        """Told in a line what went wrong beside the evidence, such as a push."""
        self._kept: dict[tuple[object, ...], object] = {}
        self._http: list[Http] = []

    def close(self) -> None:
        """Stop what this process started and remove the run's folder if it is ours."""
        for http in self._http:
            http.close()
        self.sandboxes.close()
        if self._owns_folder:
            shutil.rmtree(self.run_folder, ignore_errors=True)

    def plan(self, path: Path) -> LoadedPlan:
        """Return a plan. Raises PlanError."""
        from pytest_rollout.plan.loader import load_plan

        return self._once(("plan", path), lambda: load_plan(path))

    def needs_sandbox(self, path: Path) -> bool:
        """Whether judging a plan here needs a sandbox that is not up yet. Raises PlanError, EnvironmentUnready."""
        return self.sandboxes.needed(path, self._environment(path))

    def start_sandbox(self, path: Path, stage: Stage | None = None) -> None:
        """Attach to the sandbox that the environment names, or start one with the flags of a stage set.

        Raises EnvironmentUnready; the reason is kept, so that it is not tried again.
        """
        self.sandboxes.bring_up(path, self._environment(path), stage)

    def system(self, path: Path) -> str | None:
        """Return the system whose sandbox a plan is judged in, None if it is in none. Raises as `needs_sandbox`."""
        return self._environment(path).system

    def _environment(self, path: Path) -> Environment:
        return self.plan(path).environment(self.settings.environment, os.environ)

    def target(self, path: Path) -> Target:
        """Return the environment of a plan, entered. Raises PlanError, EnvironmentUnready."""
        return self._once(("target", path), lambda: self._enter(path))

    def _enter(self, path: Path) -> Target:
        from pytest_rollout.target import enter

        if self.needs_sandbox(path):
            self.start_sandbox(path)
        state = self.sandboxes.state(path)
        return enter(self.plan(path), self.settings.environment, sandbox=state, variables=os.environ)

    def variables(self, path: Path) -> Variables:
        """Return the environment variables for a plan: of the process, and over them those of its sandbox.

        Raises PlanError, EnvironmentUnready.
        """
        return self.target(path).variables

    def evidence(self) -> EvidenceLog:
        """Return the evidence log."""
        from pytest_rollout.evidence.log import EvidenceLog

        return self._once(("evidence",), lambda: EvidenceLog(self.settings.evidence))

    def place(self, path: Path) -> Place:
        """Return what evidence is filed under. Raises PlanError, EnvironmentUnready."""
        from pytest_rollout.evidence.record import Place
        from pytest_rollout.sources.http import without_credentials

        target = self.target(path)
        return Place(self.plan(path).plan.rollout, target.environment, without_credentials(target.url))

    def flags(self, path: Path) -> FlagReader | None:
        """Return what reads flags, if the environment names a service. Raises PlanError, EnvironmentUnready."""
        return self._once(("flags", path), lambda: self._flag_reader(self.target(path)))

    def _flag_reader(self, target: Target) -> FlagReader | None:
        from pytest_rollout.sources.flags import FlagReader

        token = {"Authorization": f"Bearer {target.flags_token}"} if target.flags_token else {}
        return FlagReader(target.flags_url, self._client(token)) if target.flags_url else None

    def flag_state(self, path: Path) -> tuple[FlagReading, ...]:
        """Return every flag of a plan as it is now. Raises PlanError, EnvironmentUnready."""
        from pytest_rollout.flag_state import read_flag_state

        return read_flag_state(self.plan(path).plan, self.flags(path))

    def runner(self, path: Path) -> CanaryRunner:
        """Return what runs the canaries of a plan. Raises PlanError, EnvironmentUnready."""
        from pytest_rollout.canary import CanaryRunner

        return CanaryRunner(
            log=self.evidence(),
            place=self.place(path),
            folder=path.parent,
            plan=path,
            rootdir=self.root,
            reports=self.settings.reports,
            arguments=self.canary_arguments,
            browser=self.records_browser,
            sandbox_state=self.sandboxes.state_file(path),
        )

    def loads(self, path: Path, stage: Stage) -> LoadRunner:
        """Return what makes the loads of a stage. Raises PlanError, EnvironmentUnready."""
        from pytest_rollout.load_runner import LoadRunner

        target = self.target(path)
        return LoadRunner(
            rootdir=self.root,
            host=target.url,
            variables=target.variables,
            folder=self.settings.reports / "load" / f"{self.plan(path).plan.rollout}-{stage.marker}",
            alone=lambda: _locked(self.run_folder / "load.lock"),
        )

    def keeper(self, path: Path) -> Keeper:
        """Return what keeps the slots of a plan's canaries. Raises PlanError, EnvironmentUnready."""
        from pytest_rollout.schedule.keeper import Keeper

        target, place = self.target(path), self.place(path)

        def on_slots(slots: Sequence[Slot]) -> None:
            if self.settings.push and target.pushgateway:
                self._tell_heartbeat(target.pushgateway, target.time_scale, place, slots[-1])

        schedules = self.plan(path).plan.canaries
        return Keeper(runner=self.runner(path), schedules=schedules, scale=target.time_scale, on_slots=on_slots)

    def _tell_heartbeat(self, gateway: str, scale: float, place: Place, slot: Slot) -> None:
        from pytest_rollout.heartbeat import Heartbeat

        spool = self.settings.spool
        told = Heartbeat(log=self.evidence(), place=place, gateway=gateway, spool=spool, scale=scale).tell(slot)
        if told:
            self.say(told)

    def scene(self, path: Path, stage: Stage) -> Scene:
        """Return a stage with the sources of its evidence. Raises PlanError, EnvironmentUnready."""
        from pytest_rollout.evidence.runs import look
        from pytest_rollout.sources.prometheus import Prometheus
        from pytest_rollout.sources.recording import Recording
        from pytest_rollout.stage import Scene

        target = self.target(path)
        recording = Recording(self._client({}), target.prometheus) if target.prometheus else None
        loaded = self.plan(path)
        return Scene(
            rollout=loaded.plan.rollout,
            plan=loaded.digest,
            stage=stage,
            target=target,
            prometheus=Prometheus(target.prometheus, recording) if target.prometheus and recording else None,
            flags=self.flags(path),
            canaries=self.runner(path),
            loads=self.loads(path, stage),
            slots=self.keeper(path),
            periods={name: schedule.every for name, schedule in loaded.plan.canaries.items()},
            answers=functools.partial(self._answers, path, stage),
            flipped_at=self.settings.flipped_at,
            looks=functools.partial(look, self.evidence(), self.place(path), stage.marker),
            recording=recording,
        )

    def _answers(self, path: Path, stage: Stage, gate: str, now: float) -> Found:
        from pytest_rollout.evidence.people import Asked, answers

        asked = Asked(
            place=self.place(path),
            stage=stage.marker,
            gate=gate,
            flags=stage.wanted,
            canaries={one.filed for one in stage.gates if one.filed},
        )
        return answers(self.evidence(), asked, now)

    def stage_results(self, path: Path, stage: Stage, gates: Sequence[Gate], progress: Progress) -> Results:
        """Return the results of a stage's gates. Judged once per run, also when xdist spreads the items.

        The first process to come here judges for all; should it die, the next one does.
        """
        key = f"{self.plan(path).plan.rollout}-{stage.marker}"
        judge = functools.partial(self._judged, path, stage, gates, progress)
        return self._once(("stage", path, stage.stage), lambda: self._shared(key, judge))

    def _shared(self, key: str, judge: Callable[[], Results]) -> Results:
        kept = self.run_folder / f"{key}.json"
        with _locked(self.run_folder / f"{key}.lock"):
            if kept.exists():
                data = json.loads(kept.read_text(encoding="utf-8"))
                return {name: CheckResult.from_dict(result) for name, result in data.items()}
            results = judge()
            draft = kept.with_suffix(".tmp")
            draft.write_text(json.dumps({name: result.to_dict() for name, result in results.items()}), encoding="utf-8")
            draft.replace(kept)
            return results

    def _judged(self, path: Path, stage: Stage, gates: Sequence[Gate], progress: Progress) -> Results:
        try:
            return self.judged(path, self.scene(path, stage), gates, progress)
        except EnvironmentUnready as exc:
            from pytest_rollout.look import FLAG_STATE

            return {name: broken(Reason.ENVIRONMENT, str(exc)) for name in (FLAG_STATE, *(gate.id for gate in gates))}

    def judged(self, path: Path, scene: Scene, gates: Sequence[Gate], progress: Progress, *, name: str = "") -> Results:
        """Judge gates in a scene, waiting as long as the settings or the environment say, and keep the evidence.

        ``name`` tells the gates of a Python test from those of the plan.
        """
        from pytest_rollout.stage import decide

        wait = scene.target.wait if self.settings.wait is None else self.settings.wait
        decided = decide(scene, gates, wait=wait, exhaustive=bool(self.settings.faults), progress=progress)
        stage = scene.stage.marker
        return self.archive(path).keep(f"{stage}-{name}" if name else stage, scene, gates, decided)

    def archive(self, path: Path) -> Archive:
        """Return where decisions about a plan are kept. Raises PlanError, EnvironmentUnready."""
        from pytest_rollout.archive import Archive

        return Archive(self.settings.reports, self.evidence(), self.place(path))

    def _client(self, headers: Mapping[str, str]) -> Http:
        from pytest_rollout.sources.http import Http

        client = Http(headers=headers)
        self._http.append(client)
        return client

    def _once(self, key: tuple[object, ...], make: Callable[[], T]) -> T:
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]  # type: ignore[return-value]


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
