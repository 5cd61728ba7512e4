"""Latency gates: from what the plan asks to a load, and from what was found to a verdict. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self, TypeAlias

from pytest_rollout.errors import LoadError
from pytest_rollout.judge.baseline import Effect
from pytest_rollout.judge.latency import ErrorsAtMost, ErrorsBelow, Limit, QuantileBelow
from pytest_rollout.judge.paired import WorseBy
from pytest_rollout.load.judged import CANDIDATE, CONTROL, Demand, judge_load
from pytest_rollout.load.order import Arm, LoadOrder
from pytest_rollout.load.report import told
from pytest_rollout.load.result import LoadResult
from pytest_rollout.plan.latency import ErrorLimit, Latency, LatencyLimit, Side
from pytest_rollout.plan.variables import Unset, filled
from pytest_rollout.verdict import CheckResult, Reason, Verdict, broken

LEAST = 5.0
"""Seconds: time scales make no load shorter than this, nor than twice what its limits need."""

_LEAST_DOUBT = 1e-13
"""What may go wrong is not halved below this: a confidence of 1 proves nothing, and cannot be computed with."""

Variables: TypeAlias = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What was made for a gate."""

    begun: float
    """Unix seconds, before the first request."""
    runs: tuple[LoadResult, ...] = ()
    """The load and its extensions, one after the other."""
    fault: str = ""
    """Why there is no load, or not all of it."""
    spoiled: tuple[str, ...] = ()
    """Of each load before this one: why it was thrown away. Only a generator's own faults are reasons."""
    attachments: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return builtins only, as JSON takes them."""
        runs = [run.model_dump(mode="json") for run in self.runs]
        return {**{name: getattr(self, name) for name in _FIELDS}, "runs": runs}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Undo ``to_dict``. Raises KeyError, TypeError or ValueError on anything else."""
        known = {name: data[name] for name in _FIELDS}
        tuples = {name: tuple(known[name]) for name in ("spoiled", "attachments")}
        return cls(**known | tuples, runs=tuple(LoadResult.model_validate(run) for run in data["runs"]))


_FIELDS = tuple(one.name for one in fields(Load) if one.name != "runs")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadTerms:
    """What a gate asks for in an environment."""

    asked: Latency
    confidence: float | None = 0.95
    """One-sided; None compares what was observed."""
    scale: float = 1.0
    """The environment's time scale."""
    turn: int = 1
    """The how many-th load for this gate since the flip this is."""

    def after(self, spoiled: Sequence[str]) -> Self:
        """Return the terms of a load that is made in the place of others: each was a turn of its own."""
        return replace(self, turn=self.turn + len(spoiled))

    @property
    def shortened(self) -> float:
        """The share of its time that the load has here: limits that are inferred need their number of requests."""
        asked = self.asked
        needed = max((asked.fewest(q, self.confidence) for _, q in asked.inferred()), default=1)
        least = max(LEAST, 2 * needed / asked.rate if asked.rate else 0.0)
        return min(max(1 / self.scale, least / asked.duration), 1.0)

    @property
    def demand(self) -> Demand:
        """What the judge is asked.

        Whoever repeats a load until it passes buys chances: each further one since a flip has half of what the one
        before it had to go wrong, so that all of them together add no more than one alone.
        """
        asked, doubt = self.asked, None if self.confidence is None else 1 - self.confidence
        limits = {name: _limit(limit, q) for name, q, limit in asked.quantiles()}
        if asked.errors is not None:
            limits["errors"] = _error_limit(asked.errors)
        return Demand(
            limits=limits,
            name=asked.name,
            kind=asked.of,
            confidence=None if doubt is None else 1 - max(doubt * 0.5 ** (self.turn - 1), min(doubt, _LEAST_DOUBT)),
            budget=asked.extend * self.shortened,
        )

    def order(self, locustfile: str, host: str, variables: Variables) -> LoadOrder:
        """Return the load to make. Raises LoadError if a variable is not set."""
        asked, share = self.asked, self.shortened
        arms = (
            (_arm(CONTROL, asked.control, variables), _arm(CANDIDATE, asked.candidate, variables))
            if asked.control and asked.candidate
            else ()
        )
        return LoadOrder(
            locustfile=locustfile,
            host=host.rstrip("/"),  # Locust puts the path right behind it
            duration=asked.duration * share,
            rate=asked.rate,
            users=asked.users,
            arrivals=asked.arrivals,
            warm_up=max(asked.warm_up * share, min(asked.warm_up, 1.0)),
            drain=asked.drain,
            arms=arms,
            workers=asked.workers,
        )

    def misfit(self, runs: tuple[LoadResult, ...]) -> str:
        """Return in what a load is not the one that is asked for; empty if it is."""
        asked, first = self.asked, runs[0].asked
        wanted = (asked.rate, asked.users, asked.workers, asked.arrivals, asked.drain, asked.paired)
        made = (first.rate, first.users, first.workers, first.arrivals, first.drain, bool(first.arms))
        short = first.duration < asked.duration * self.shortened
        return "the load that was made is not the one that the gate asks for; run it again" * (wanted != made or short)


def judge_latency(terms: LoadTerms, load: Load) -> CheckResult:
    """Judge what was made for a gate. It is final: waiting brings no more requests."""
    if not load.runs:
        return _noted(broken(Reason.BENT_GENERATOR, load.fault or "no load was made; run it again"), load)
    if said := load.fault or terms.misfit(load.runs):
        return _noted(broken(Reason.BENT_GENERATOR, said), load)
    demand = terms.after(load.spoiled).demand
    result = judge_load(load.runs, demand)
    if result.may_still_arrive:
        result = replace(result, reason=Reason.UNPROVEN, ready_in=None)
    return _noted(replace(result, derivation={**result.derivation, "load": told(load.runs, demand)}), load)


def _noted(result: CheckResult, load: Load) -> CheckResult:
    spoiled = {"thrown_away": list(load.spoiled)} if load.spoiled else {}
    return replace(result, derivation={**result.derivation, **spoiled}, attachments=load.attachments)


def is_bent(result: CheckResult) -> bool:
    """Whether a load says nothing of the system, because of the generator alone: then it may be made again."""
    return result.verdict is Verdict.ERROR and result.reason is Reason.BENT_GENERATOR


def _limit(limit: LatencyLimit, q: float) -> Limit | WorseBy:
    if limit.below is not None:
        return QuantileBelow(q, limit.below)
    return WorseBy(q, Effect(limit.at_most or 0.0, limit.absolute))


def _error_limit(limit: ErrorLimit) -> Limit:
    return ErrorsBelow(limit.below) if limit.below is not None else ErrorsAtMost(limit.at_most or 0)


def _arm(name: str, side: Side, variables: Variables) -> Arm:
    headers = {key: _filled(value, variables) for key, value in side.headers.items()}
    return Arm(name, None if side.url is None else _filled(side.url, variables).rstrip("/"), headers)


def _filled(text: str, variables: Variables) -> str:
    try:
        return filled(text, variables)
    except Unset as exc:
        raise LoadError(f"the load needs the environment variable {exc.name}, which is not set; export it") from None
