"""A load run and what a plan asks of it, put before the judge: while it runs, at its end, and ever again."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from pytest_rollout.judge.latency import Limit, QuantileBelow, judge_limit, together
from pytest_rollout.judge.load_run import Answers, Model, Run
from pytest_rollout.judge.order import nearest_rank
from pytest_rollout.judge.paired import WorseBy, judge_worse
from pytest_rollout.load.answers import answers
from pytest_rollout.load.result import LoadResult
from pytest_rollout.load.soundness import unsound
from pytest_rollout.verdict import CheckResult, Reason, Verdict, broken

CONTROL, CANDIDATE = "control", "candidate"
_HALF = 0.5
"""Below this a verdict would be wrong more often than right."""
_UNTIMED = 20.0
"""Where only errors count, a generator may be a second late: that changes no answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a latency gate asks of a load run."""

    limits: Mapping[str, Limit | WorseBy]
    """By the names that they have in the plan. In a paired run all are about the candidate."""
    name: str | None = None
    """One request (or task) alone; None: all of them."""
    kind: str | None = None
    """``transaction`` (an arrival with all its requests) or ``request``; None: arrivals, if the model is open."""
    confidence: float | None = 0.95
    """One-sided."""
    budget: float = 0.0
    """Seconds that the load may be extended by in all."""

    def __post_init__(self) -> None:
        if not self.limits:
            raise ValueError("a latency gate without a limit; write one, such as p95: {below: 200ms}")
        if self.confidence is not None and not _HALF <= self.confidence < 1:
            raise ValueError(f"a confidence of {self.confidence}; it has to be at least 0.5, and below 1")
        if not 0 <= self.budget < math.inf:
            raise ValueError(f"an extension of {self.budget} s; it has to be finite, and cannot be negative")


Runs: TypeAlias = Sequence[LoadResult]
"""A run and its extensions, one after the other; at least one."""


def judge_load(runs: Runs, demand: Demand) -> CheckResult:
    """Judge a load run by all limits of a gate. It may still run, or have been stopped: then it can only breach."""
    if said := "; ".join(_not_one(runs)):
        return broken(Reason.EVIDENCE, said)
    found = _one_voice(judge_each(runs, demand))
    stopped = [part for result in runs for part in result.parts if part.ended == "stopped"]
    if not stopped or found.verdict is Verdict.BREACHED:
        return found
    said = f"the load generator {stopped[0].worker} was stopped before its time: {stopped[0].why}"
    return broken(Reason.BENT_GENERATOR, said, window=found.window, samples=found.samples)


def is_bad(runs: Runs, demand: Demand) -> bool:
    """Whether a load would breach if its generator were believed: such a one is not thrown away for a better one."""
    run = replace(_run(runs, demand), faults=())
    return any(_judge(limit, runs, demand, run).verdict is Verdict.BREACHED for limit in demand.limits.values())


def _one_voice(results: Mapping[str, CheckResult]) -> CheckResult:
    """Return one verdict of all limits; what is wrong with the load itself is said once."""
    first = next(iter(results.values()))
    bent = first.reason is Reason.BENT_GENERATOR and all(one.message == first.message for one in results.values())
    return first if bent else together(results)


def judge_each(runs: Runs, demand: Demand) -> dict[str, CheckResult]:
    """Judge a load run by each limit of a gate alone."""
    run = _run(runs, demand)
    return {name: _judge(limit, runs, demand, run) for name, limit in demand.limits.items()}


def chosen(runs: Runs, demand: Demand, arm: str | None = None) -> Answers:
    """Return the answers that a gate is about, of one arm or of all."""
    return answers(runs, kind(runs, demand), demand.name, arm)


def kind(runs: Runs, demand: Demand) -> str:
    """Return whether arrivals or requests are judged: ``transaction`` or ``request``."""
    return demand.kind or ("request" if runs[0].tail_is_lower_bound else "transaction")


def _not_one(runs: Runs) -> Iterator[str]:
    """Yield why runs are not a load and its extensions, all of them: those that are missing may be the bad ones."""
    if not runs:
        yield "there is no load run; make one"
    if [result.asked.seed for result in runs] != list(range(len(runs))):
        yield "a load run is missing among those that extend one another; judge all of them, or run the load again"
    if any(_terms(result) != _terms(runs[0]) for result in runs):
        yield "the load runs were made by other locustfiles or orders; run the load again"


def _terms(result: LoadResult) -> dict[str, object]:
    """Return what a run and its extensions have in common."""
    asked = result.asked.model_dump(exclude={"duration", "seed", "run", "look_every"})
    return asked | {"sha256": result.locustfile_sha256}


def whole(runs: Runs) -> bool:
    """Whether every process has run to its end."""
    return all(part.ended == "complete" for result in runs for part in result.parts)


def _judge(limit: Limit | WorseBy, runs: Runs, demand: Demand, run: Run) -> CheckResult:
    candidate = chosen(runs, demand, CANDIDATE if runs[0].asked.arms else None)
    if isinstance(limit, WorseBy):
        return judge_worse(limit, chosen(runs, demand, CONTROL), candidate, run)
    return judge_limit(limit, candidate, run)


def _run(runs: Runs, demand: Demand) -> Run:
    complete, first = whole(runs), runs[0]
    measured = [limit for limit in demand.limits.values() if isinstance(limit, QuantileBelow | WorseBy)]
    least = min((seconds for limit in measured if (seconds := _yardstick(limit, runs, demand))), default=_UNTIMED)
    most = max((limit.q for limit in measured), default=0.0)
    faults = (fault for one in runs for fault in unsound(one, least, quantile=most, whole=whole([one])))
    return Run(
        model=Model.CLOSED if first.tail_is_lower_bound else Model.OPEN,
        whole=complete,
        seconds=sum(result.asked.duration for result in runs),
        # Who is in flight while it runs may still be answered; at the end it was waited for.
        patience=min(result.asked.drain for result in runs) if complete else math.inf,
        faults=tuple(dict.fromkeys(faults)),
        confidence=demand.confidence,
        budget=demand.budget,
        added=sum(result.asked.duration for result in runs[1:]),
        window=_window(runs),
    )


def _yardstick(limit: QuantileBelow | WorseBy, runs: Runs, demand: Demand) -> float | None:
    """Return the latency that a generator's lag has to be small beside."""
    if isinstance(limit, QuantileBelow):
        return limit.limit
    control = chosen(runs, demand, CONTROL).early
    return nearest_rank(control, limit.q) if control else None


def _window(runs: Runs) -> tuple[float, float] | None:
    parts = [part for result in runs for part in result.parts]
    if not parts:
        return None
    return min(part.started for part in parts), max(part.started + part.duration for part in parts)
