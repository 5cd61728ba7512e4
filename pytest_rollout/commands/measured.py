"""What a load has measured, with bounds, whether or not there is a limit."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from pytest_rollout.judge import order
from pytest_rollout.judge.load_run import Answers, Model, Run
from pytest_rollout.latency import Load
from pytest_rollout.load.judged import Demand, Runs, chosen
from pytest_rollout.load.soundness import unsound
from pytest_rollout.plan.latency import QUANTILES
from pytest_rollout.units import format_duration
from pytest_rollout.verdict import CheckResult, Reason, Verdict

NOTHING_JUDGED = "no limit was given, so nothing was judged; give one, such as --p95 200ms"
_CLOSED = "; users wait for their answers, so the slowest percentiles are lower bounds"


def as_measured(result: CheckResult, load: Load, demand: Demand) -> CheckResult:
    """Return the result of a load that has no limits: never a pass, and an error if it measured the generator."""
    if result.verdict is Verdict.ERROR or result.reason is Reason.NO_DATA:
        return result
    typical = order.nearest_rank(chosen(load.runs, demand).early, 0.5)
    faults = dict.fromkeys(fault for run in load.runs for fault in unsound(run, typical))
    closed = _CLOSED if load.runs[0].tail_is_lower_bound else ""
    return replace(
        result,
        verdict=Verdict.ERROR if faults else Verdict.INCONCLUSIVE,
        reason=Reason.BENT_GENERATOR if faults else Reason.UNPROVEN,
        message="; ".join(faults) or NOTHING_JUDGED + closed,
        value=None,
        limit=None,
        unit="",
        derivation={"load": result.derivation["load"]},
    )


def percentiles(runs: Runs, demand: Demand) -> dict[str, Any]:
    """Return percentiles of each arm with bounds (seconds), builtins only; None stands for "nobody knows"."""
    arms: dict[str, str | None] = {arm.name: arm.name for arm in runs[0].asked.arms}
    arms = arms or {"all": None}
    return {shown: _of(chosen(runs, demand, arm), runs, demand) for shown, arm in arms.items()}


def _of(answers: Answers, runs: Runs, demand: Demand) -> dict[str, Any]:
    early, late = answers.early, answers.late
    found: dict[str, Any] = {"due": answers.due, "ok": len(answers.ok)}
    for name in QUANTILES if early else ():
        q = round(float(name[1:]) / 100, 6)
        least, most = order.nearest_rank(early, q), order.nearest_rank(late, q)
        found[name] = {"at_least": least, "exact": most == least}
        if demand.confidence is not None:
            low, high = order.between(q, early, late, _run(runs, demand).certainty)
            found[name] |= {"low_bound": low, "high_bound": high if math.isfinite(high) else None}
    return found


def _run(runs: Runs, demand: Demand) -> Run:
    return Run(
        model=Model.OPEN,
        whole=True,
        seconds=0.0,
        patience=0.0,
        confidence=demand.confidence,
        budget=demand.budget,
        added=sum(run.asked.duration for run in runs[1:]),
    )


def percentiles_told(arms: Mapping[str, Any]) -> Iterator[str]:
    """Yield percentiles in words."""
    for name, arm in arms.items():
        yield f"  {name}: {arm['due']:,} were due, {arm['ok']:,} have a good answer"
        for quantile in QUANTILES:
            if quantile in arm:
                yield f"    {quantile:<6} {_told(arm[quantile])}"


def _told(one: Mapping[str, Any]) -> str:
    value = f"{'' if one['exact'] else 'at least '}{format_duration(one['at_least'])}"
    if "low_bound" not in one:
        return value
    top = "anything" if one["high_bound"] is None else format_duration(one["high_bound"])
    return f"{value}, surely between {format_duration(one['low_bound'])} and {top}"
