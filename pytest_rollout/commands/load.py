"""``rollout load``: make a load and judge it, without a plan."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_rollout.commands.load_options import Options, Wanted, target_of, wanted
from pytest_rollout.commands.measured import as_measured, percentiles, percentiles_told
from pytest_rollout.commands.where import stopping_by_signals
from pytest_rollout.errors import PlanError, PublishError, RolloutError
from pytest_rollout.latency import Load, judge_latency
from pytest_rollout.load.report import lines
from pytest_rollout.load_runner import LoadRunner
from pytest_rollout.plan.latency import Latency
from pytest_rollout.process import StopRequest
from pytest_rollout.publish.explain import explain
from pytest_rollout.publish.verdict_file import write_verdict
from pytest_rollout.verdict import CheckResult, Decision, Verdict, decide

Say = Callable[[str], None]
_WRONG = 2
_STATUS = {Decision.GO: 0, Decision.NO_GO: 1, Decision.HOLD: 3}
_MOST_NAMED = 10
"""Requests that are named here; the file has more."""

_RECORDER = "python -c 'from pytest_rollout.load.engine import RECORDER; print(RECORDER)'"
"""Says where the recorder is, in whichever interpreter a worker has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A load, as it was typed."""

    locustfile: str
    target: str | None
    options: Options
    reports: Path
    folder: Path
    """The project: locustfiles are looked for and import from here."""
    variables: Mapping[str, str]
    """The process environment."""


def load(asked: Asked, say: Say, aside: Say) -> int:
    """Make a load and judge it. The verdict is said, how far it has come is told aside.

    Returns the exit status: 0 every limit is proven to hold, 1 one is broken, 2 nothing was done, 3 neither is proven,
    or there is no limit.
    """
    stop = StopRequest()
    try:
        wish = wanted(asked.locustfile, asked.options, aside)
        runner = _runner(asked, stop)
        runner.locustfile(asked.locustfile)  # or it raises before anything is begun
        document = _cleared(runner.folder / f"{wish.name}.json", asked.reports)
    except RolloutError as exc:
        aside(f"rollout: {exc}")
        return _WRONG
    with stopping_by_signals(stop):
        result, load = _made(asked, wish, runner, aside)
    say("\n".join([explain(wish.name, result), *_found(result, load)]))
    decision = decide([result.verdict if _kept(document, result, say, aside) else _unrecorded(result.verdict)])
    say(f"decision: {decision}")
    return _STATUS[decision]


def _kept(document: Path, result: CheckResult, say: Say, aside: Say) -> bool:
    try:
        write_verdict(document, result.to_dict())
    except PublishError as exc:
        aside(f"rollout: {exc}")
        return False
    say(f"see {document} and {document.with_suffix('')}")
    return True


def _unrecorded(verdict: Verdict) -> Verdict:
    """Return what is left of a verdict whose evidence cannot be kept: a breach, but no pass."""
    return verdict if verdict is Verdict.BREACHED else Verdict.INCONCLUSIVE


def _runner(asked: Asked, stop: StopRequest) -> LoadRunner:
    return LoadRunner(
        rootdir=asked.folder,
        host=target_of(asked.target, asked.options, asked.variables),
        variables=asked.variables,
        folder=asked.folder / asked.reports / "load",
        stopped=stop,
    )


def _cleared(document: Path, reports: Path) -> Path:
    """Return where the result goes, without the one of an earlier load: whoever reads it must not take that for this.

    Raises PlanError.
    """
    try:
        document.parent.mkdir(parents=True, exist_ok=True)
        document.unlink(missing_ok=True)
    except OSError as exc:
        raise PlanError(f"--reports: {reports} cannot be written: {exc.strerror}; choose another folder") from exc
    return document


def _made(asked: Asked, wish: Wanted, runner: LoadRunner, aside: Say) -> tuple[CheckResult, Load]:
    terms = wish.terms
    for line in _invitation(asked.locustfile, terms.asked):
        aside(line)
    load = runner.make(wish.name, terms, aside)
    result = judge_latency(terms, load)
    if not wish.judged:
        result = as_measured(result, load, terms.demand)
    if load.runs and result.verdict is not Verdict.ERROR:
        told = percentiles(load.runs, terms.demand)
        result = replace(result, derivation={**result.derivation, "percentiles": told})
    return result, load


def _invitation(locustfile: str, asked: Latency) -> Iterator[str]:
    """Yield how workers on other machines join."""
    if asked.bind is None:
        return
    host, _, port = asked.bind.rpartition(":")
    yield f"{asked.workers} workers have to join from elsewhere within a minute, each by:"
    file = locustfile if locustfile.endswith(".py") else f"locustfiles/{locustfile}.py"
    yield f'    locust -f {shlex.quote(file)},"$({_RECORDER})" --worker --master-host {host} --master-port {port}'


def _found(result: CheckResult, load: Load) -> Iterator[str]:
    yield from percentiles_told(result.derivation.get("percentiles", {}))
    named = lines(load.runs) if load.runs else []
    if named:
        yield "  failed and slowest requests:"
    yield from (f"    {line}" for line in named[:_MOST_NAMED])
