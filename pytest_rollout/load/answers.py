"""From result documents to what the judge takes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

from pytest_rollout.judge.load_run import Answers
from pytest_rollout.load.result import Columns, LoadResult, Series

_MICROSECONDS = 1e6
NO_REQUEST = "TASK"
"""The method of what stands for an arrival that has made no request."""


def answers(
    results: Sequence[LoadResult], kind: str = "request", name: str | None = None, arm: str | None = None
) -> Answers:
    """Return the answers of runs that follow one another, as those of one.

    ``kind`` is request or transaction, ``name`` one of them alone, ``arm`` a side of a paired run. What the client
    has given up has failed. Arrivals that were never served may have become any request, so each name counts them.
    """
    scheduled = kind == "transaction" and name is None and all(result.asked.rate for result in results)
    parts: list[tuple[float, Series]] = []
    offset = 0.0
    for result in results:
        parts += [(offset, one) for one in result.series(kind, name, arm)]
        if kind == "request" and name is not None:
            parts += [(offset, _unserved(one)) for one in result.series(kind, None, arm) if one.method == NO_REQUEST]
        offset += result.asked.duration
    return Answers(
        ok=_timed((offset, one.ok) for offset, one in parts),
        failed=_timed((offset, columns) for offset, one in parts for columns in (one.failed, one.timeout)),
        censored=_timed((offset, one.unfinished) for offset, one in parts),
        due=sum(one.n for _, one in parts),
        planned=sum(result.asked.order.due(arm) for result in results) if scheduled else None,
    )


def _unserved(series: Series) -> Series:
    return Series(**series.model_dump(include={"kind", "method", "name", "arm", "unfinished"}), n=series.unfinished.n)


def _timed(columns: Iterable[tuple[float, Columns]]) -> tuple[tuple[float, float], ...]:
    return tuple(
        chain.from_iterable(
            (
                (offset + at / _MICROSECONDS, latency / _MICROSECONDS)
                for at, latency in zip(one.at, one.latency, strict=True)
            )
            for offset, one in columns
        )
    )
