"""Whether a load run can be judged at all: a bent instrument proves nothing, either way."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_rollout.load.result import LoadResult, Part
from pytest_rollout.units import format_duration

ENOUGH = 0.99
"""Share of the window that a run must have had."""
_P99 = 0.99
LEAST_LAG, LAG_SHARE = 0.005, 0.05
"""A generator may be late by this much (seconds), or by this share of the limit that is judged, whichever is more."""


def unsound(
    result: LoadResult, limit: float | None = None, *, quantile: float = 0.99, whole: bool = True
) -> tuple[str, ...]:
    """Return why the run cannot be judged, each with what to do; nothing if it can.

    ``limit``: the least latency that it is judged by (seconds). ``quantile``: the greatest one that is asked for.
    ``whole``: whether the run should have come to its end.
    """
    return (*_lost(result, whole=whole), *_bent(result, limit, quantile))


def _lost(result: LoadResult, *, whole: bool) -> Iterator[str]:
    asked = result.asked
    wanted = max(1, asked.workers)
    if sorted(part.share for part in result.parts) != list(range(len(result.parts))):
        yield "load generators have reported the same share of the load, or none; run the load again"
    if len(result.parts) != wanted:
        yield f"{len(result.parts)} of {wanted} load generators have reported; see the logs of the run"
    if whole:
        for part in result.parts:
            yield from _faults_of_part(part, asked.duration)
        yield from _lost_load(result)
    yield from _lost_samples(result)


def _faults_of_part(part: Part, wanted: float) -> Iterator[str]:
    if part.ended != "complete":
        yield f"the load generator {part.worker} was {part.ended}: {part.why}"
    if part.duration < wanted * ENOUGH:
        yield f"the load generator {part.worker} ran for {part.duration:.3g} s of {wanted:.3g} s"


def _lost_load(result: LoadResult) -> Iterator[str]:
    asked = result.asked
    if asked.rate is not None and result.started != result.due:
        yield f"{result.started} of {result.due} arrivals were started"
    if asked.users is not None and (users := sum(part.users for part in result.parts)) < asked.users:
        yield f"{users} of {asked.users} users ran when the window began; on_start may take longer than the warm-up"


def _lost_samples(result: LoadResult) -> Iterator[str]:
    for part in result.parts:
        requests = _samples(part, "request")
        arrivals = _samples(part, "transaction")
        if requests != part.counts.requests or arrivals != part.counts.finished + part.counts.unfinished:
            yield f"samples of the load generator {part.worker} are missing"
        elif result.asked.rate is not None and arrivals != part.counts.started:
            yield f"the load generator {part.worker} has lost {part.counts.started - arrivals} arrivals"
    if _was_due(result) and not sum(_samples(part, "request") for part in result.parts):
        yield "no request was made; see what the locustfile logs"


def _was_due(result: LoadResult) -> bool:
    """Whether there was anything to do; if not, the judge says so."""
    return result.asked.rate is None or result.due > 0


def _samples(part: Part, kind: str) -> int:
    return sum(one.n for one in part.series if one.kind == kind)


def _bent(result: LoadResult, limit: float | None, quantile: float) -> Iterator[str]:
    """A generator that is late measures itself."""
    lag, most = result.lag, max(LEAST_LAG, LAG_SHARE * (limit or 0.0))
    if lag is None and _was_due(result):
        yield "a load generator does not know how late it was"
    if lag is None:
        return
    late, name = (lag.p99, "p99") if quantile <= _P99 else (lag.p999, "p99.9")
    if late > most:
        yield (
            f"the load generator was late: {format_duration(late)} at {name}, where {format_duration(most)} are "
            f"allowed, with {result.cpu:.0%} of a core in use; lower the rate, give it more workers, "
            "or run it on a machine that has nothing else to do"
        )
