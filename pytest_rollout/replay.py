"""Keep a look at a stage with everything it rests on, and judge it again without any source."""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from pytest_rollout.errors import ReplayError
from pytest_rollout.evidence.people import Found
from pytest_rollout.judge.attestation import Attestation, Contradiction
from pytest_rollout.judge.history import CanaryRun, FlagReading, Looks
from pytest_rollout.judge.slot import Slot, SlotState
from pytest_rollout.latency import Load
from pytest_rollout.look import Judged, Look
from pytest_rollout.plan.gates import Gate
from pytest_rollout.plan.model import FlagExpectation, Stage
from pytest_rollout.publish.verdict_file import write_atomic
from pytest_rollout.sources.http import without_credentials
from pytest_rollout.sources.prometheus import Prometheus
from pytest_rollout.sources.recording import Replayed
from pytest_rollout.stage import Decided, Scene
from pytest_rollout.target import Target
from pytest_rollout.verdict import CheckResult

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")
V = TypeVar("V")
VERSION = 3
_MALFORMED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What is raised for content of another form; a ValidationError is a ValueError."""


def bundle(scene: Scene, gates: Sequence[Gate], decided: Decided) -> dict[str, Any]:
    """Return everything that the results of a look rest on, as JSON can hold it; no token and no password."""
    stage, target, look = scene.stage, scene.target, decided.look
    return {
        "version": VERSION,
        "rollout": scene.rollout,
        "plan": scene.plan,
        "periods": dict(scene.periods),
        "stage": {
            "stage": stage.stage,
            "name": stage.name,
            "flags": {name: flag.model_dump() for name, flag in stage.flags.items()},
            "settle": stage.settle,
        },
        "gates": [gate.source for gate in gates if gate.id not in decided.earlier],
        "environment": {
            "name": target.environment,
            "time_scale": target.time_scale,
            "scrape_interval": target.scrape_interval,
            "prometheus": without_credentials(target.prometheus).rstrip("/") if target.prometheus else None,
        },
        "look": {
            "now": look.now,
            "readings": None if look.readings is None else [asdict(reading) for reading in look.readings],
            "runs": {name: _told(runs) for name, runs in look.runs.items()},
            "slots": {name: _told(slots) for name, slots in look.slots.items()},
            "attested": {name: one if isinstance(one, str) else asdict(one) for name, one in look.answers.items()},
            "loads": {name: load.to_dict() for name, load in look.loads.items()},
            "looks": look.looks if isinstance(look.looks, str) else {k: asdict(v) for k, v in look.looks.items()},
            "waits": look.waits,
        },
        "answers": scene.recording.dump() if scene.recording else [],
        "results": {name: result.to_dict() for name, result in decided.results.items() if name not in decided.earlier},
    }


def _told(found: Sequence[CanaryRun | Slot] | str) -> list[dict[str, Any]] | str:
    return found if isinstance(found, str) else [asdict(one) for one in found]


def write_bundle(path: Path, content: Mapping[str, Any]) -> str:
    """Write a bundle, compressed, in one step, and return its SHA-256. Raises OSError."""
    data = gzip.compress(json.dumps(content, sort_keys=True, allow_nan=False).encode(), mtime=0)
    write_atomic(path, data)
    return hashlib.sha256(data).hexdigest()


def read_bundle(path: Path, digest: str | None = None) -> dict[str, Any]:
    """Return what `write_bundle` wrote. Raises ReplayError, also if it is not the one with this SHA-256."""
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise ReplayError(f"{path}: not read: {exc.strerror or exc}; a run of the stage writes it") from exc
    if digest is not None and (found := hashlib.sha256(data).hexdigest()) != digest:
        raise ReplayError(f"{path}: its SHA-256 is {found[:12]}..., the verdict names {digest[:12]}...; it was changed")
    try:
        content = json.loads(gzip.decompress(data), parse_constant=_no_number)
    except (OSError, EOFError, zlib.error, ValueError, RecursionError) as exc:
        raise ReplayError(f"{path}: not an evidence bundle: {exc}") from exc
    version = content.get("version") if isinstance(content, dict) else None
    if type(version) is not int or version != VERSION:
        raise ReplayError(f"{path}: an evidence bundle of version {version!r}, and {VERSION} is known here")
    return dict(content)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def exactly(result: CheckResult) -> str:
    """Return a result as text that differs if a single bit does: for ``==``, 1 is 1.0 and True, and 0.0 is -0.0."""
    return json.dumps(result.to_dict(), sort_keys=True)


def judge_again(content: Mapping[str, Any]) -> dict[str, CheckResult]:
    """Return the results of a bundle, judged anew from what it holds. Raises ReplayError if it holds too little."""
    try:
        stage, gates = _stage(content["stage"]), [Gate.model_validate(gate) for gate in content["gates"]]
        target, look = _target(content["environment"]), _look(content["look"])
        _all_looked_at(look, gates)
        prometheus = None
        if target.prometheus:
            prometheus = Prometheus(target.prometheus, Replayed(content["answers"], target.prometheus))
        judged = Judged(
            rollout=content["rollout"],
            plan=content["plan"],
            stage=stage,
            target=target,
            prometheus=prometheus,
            periods=content["periods"],
        )
        return judged.results(look, gates)
    except _MALFORMED as exc:
        raise ReplayError(f"the evidence bundle is incomplete: {exc!r}") from exc


def recorded(content: Mapping[str, Any]) -> dict[str, CheckResult]:
    """Return the results as the run had them. Raises ReplayError."""
    try:
        return {name: CheckResult.from_dict(result) for name, result in content["results"].items()}
    except _MALFORMED as exc:
        raise ReplayError(f"the evidence bundle is incomplete: {exc!r}") from exc


def stage_of(content: Mapping[str, Any]) -> str:
    """Return ``rollout/stage`` of a bundle. Raises ReplayError."""
    try:
        return f"{content['rollout']}/{_stage(content['stage']).marker}"
    except _MALFORMED as exc:
        raise ReplayError(f"the evidence bundle is incomplete: {exc!r}") from exc


def _stage(data: Mapping[str, Any]) -> Stage:
    flags = {name: FlagExpectation.model_validate(flag) for name, flag in data["flags"].items()}
    return Stage.model_construct(
        stage=data["stage"], name=data["name"], flags=flags, settle=float(data["settle"]), gates=()
    )


def _target(data: Mapping[str, Any]) -> Target:
    return Target(
        environment=data["name"],
        url="",
        prometheus=data["prometheus"],
        pushgateway=None,
        flags_url=None,
        flags_token=None,
        time_scale=data["time_scale"],
        wait=0.0,
        scrape_interval=data["scrape_interval"],
        via="api",
        rehearsal=(),
    )


def _look(data: Mapping[str, Any]) -> Look:
    readings, looks = data["readings"], data["looks"]
    return Look(
        now=data["now"],
        readings=None if readings is None else tuple(_made(FlagReading, one) for one in readings),
        runs={name: _each(runs, _run) for name, runs in data["runs"].items()},
        slots={name: _each(slots, _slot) for name, slots in data["slots"].items()},
        answers={name: one if isinstance(one, str) else _answers(one) for name, one in data["attested"].items()},
        loads={name: Load.from_dict(one) for name, one in data["loads"].items()},
        looks=looks if isinstance(looks, str) else {name: _made(Looks, one) for name, one in looks.items()},
        waits=data["waits"],
    )


def _all_looked_at(look: Look, gates: Sequence[Gate]) -> None:
    """Raise KeyError if it is not known how often a gate was looked at: that would be taken for once."""
    for gate in gates:
        if gate.measured and not isinstance(look.looks, str):
            look.looks[gate.id]


def _each(data: Sequence[Mapping[str, Any]] | str, make: Callable[[Mapping[str, Any]], V]) -> tuple[V, ...] | str:
    return data if isinstance(data, str) else tuple(make(one) for one in data)


def _run(data: Mapping[str, Any]) -> CanaryRun:
    return _made(CanaryRun, {**data, "attachments": tuple(data["attachments"])})


def _slot(data: Mapping[str, Any]) -> Slot:
    tuples = {name: tuple(data[name]) for name in ("runs", "attachments")}
    return _made(Slot, {**data, **tuples, "state": SlotState(data["state"])})


def _answers(data: Mapping[str, Any]) -> Found:
    return Found(
        given=tuple(_made(Attestation, one) for one in data["given"]),
        contradictions=tuple(_made(Contradiction, one) for one in data["contradictions"]),
        heads=tuple(data["heads"]),
        changed_by=tuple(data["changed_by"]),
    )


def _made(kind: type[T], data: Mapping[str, Any]) -> T:
    """Return what ``asdict`` was given. What is left out is a KeyError: its default could be the better story."""
    return kind(**{name: data[name] for name in (*data, *(one.name for one in fields(kind)))})
