"""The book of one process: every request and task of the window, from the intended start, however it ended."""

from __future__ import annotations

import base64
import heapq
import sys
import zlib
from array import array
from bisect import bisect_left
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate
from typing import Any, Literal, TypeAlias

from pytest_rollout.load.order import without_secrets

Outcome: TypeAlias = Literal["ok", "failed", "timeout", "unfinished"]
Kind: TypeAlias = Literal["request", "transaction"]
Key: TypeAlias = tuple[Kind, str, str, str]
"""Kind, method, name, arm."""

_known = lru_cache(1000)(without_secrets)
EXEMPLARS = 20
"""So many of the slowest, and so many of the failed, are kept with their trace ids."""
MOST_ERRORS = 50
"""So many different errors are told apart."""
_LONGEST_TEXT = 200
_LAG_STEPS = 100_000
"""So many are a second."""


@dataclass(slots=True, eq=False)
class Arrival:
    """One task that has begun, or has to: by open arrivals at its intended time, by a closed user when it is free."""

    name: str
    intended: float
    """Seconds since the start of the window."""
    arm: str = ""
    open: bool = True
    """Whether its first request is late by as much as the arrival is."""
    failed: bool = False
    requests: int = 0
    before: int = 0
    """How many of the requests its user made before the task."""
    flying: int = 0
    """How many requests are under way for it, also those of others whom the task has started."""
    flight: Flight | None = None
    """The request under way of its own."""
    started: list[Any] = field(default_factory=list)
    """The greenlets that its task has started."""
    parent: Arrival | None = None
    """Whose greenlet has started the one that this is for."""

    def took_off(self) -> None:
        """Count a request that begins, here and for those who want it."""
        self.flying += 1
        if self.parent is not None:
            self.parent.took_off()

    def landed(self, *, failed: bool) -> None:
        """Count a request that is over, here and for those who wanted it."""
        self.flying -= 1
        self.requests += 1
        self.failed |= failed
        if self.parent is not None:
            self.parent.landed(failed=failed)


@dataclass(slots=True, eq=False)
class Flight:
    """One request: when it should have begun, when it did (seconds since the start of the window)."""

    method: str
    name: str
    intended: float
    sent: float
    belongs: float
    """When its arrival was due; for a closed user's, when it was sent."""
    open: bool
    trace_id: str = ""
    arm: str = ""
    returned: float | None = None
    """When the client had its answer; None: not yet, or it says so itself."""


@dataclass(slots=True)
class Columns:
    """Samples of one outcome: microseconds, rounded up, so that nothing gets faster by rounding."""

    at: array[int] = field(default_factory=lambda: array("q"))
    latency: array[int] = field(default_factory=lambda: array("Q"))
    service: array[int] = field(default_factory=lambda: array("Q"))

    def add(self, at: float, latency: float, service: float) -> None:
        """Add a sample (seconds)."""
        self.at.append(int(at * 1e6))
        self.latency.append(int(max(latency, 0.0) * 1e6) + 1)
        self.service.append(int(max(service, 0.0) * 1e6) + 1)

    def packed(self) -> dict[str, Any]:
        """Return the columns as JSON can hold them."""
        return {
            "n": len(self.at),
            "at": _pack(self.at),
            "latency": _pack(self.latency),
            "service": _pack(self.service),
        }


class Book:
    """What one process has seen of its window [0, duration) (seconds)."""

    def __init__(self, duration: float) -> None:
        self.duration = duration
        self.closed = False
        self.series: dict[Key, dict[Outcome, Columns]] = {}
        self.counted: Counter[Key] = Counter()
        """How many samples each series has, counted beside it."""
        self.errors: Counter[tuple[str, str, str]] = Counter()
        self.exceptions: Counter[str] = Counter()
        self.slowest: list[tuple[float, int, dict[str, Any]]] = []
        self.failures: list[dict[str, Any]] = []
        self.started = self.finished = self.unfinished = self.requests = 0

    def measures(self, flight: Flight, ended: float) -> bool:
        """Whether a request counts: that of an arrival with it, another one by the time it was under way.

        A closed user's counts if it was sent before the window's end and not over before its start: else a service
        that hangs from the warm-up on would show nothing to count.
        """
        if self.closed or flight.belongs >= self.duration:
            return False
        return flight.belongs >= 0 or (not flight.open and ended >= 0)

    def landed(self, flight: Flight, outcome: Outcome, ended: float, text: str = "") -> None:
        """Enter a request that is over, or was given up at ``ended``."""
        if not self.measures(flight, ended):
            return
        self.requests += 1
        latency = ended - flight.intended
        flight.name, text = _known(flight.name), text and without_secrets(text)[:_LONGEST_TEXT]
        key: Key = ("request", flight.method, flight.name, flight.arm)
        self._add(key, outcome, flight.intended, latency, ended - flight.sent)
        if outcome != "ok":
            self._tell(self.errors, (flight.method, flight.name, text), ("", "", "others"))
        self._keep(flight, outcome, latency, text)

    def done(self, arrival: Arrival, outcome: Outcome, begun: float, ended: float) -> None:
        """Enter a task that is over, or was given up at ``ended``; ``begun`` is when it really began."""
        if self.closed or not 0 <= arrival.intended < self.duration:
            return
        self.finished += outcome != "unfinished"
        self.unfinished += outcome == "unfinished"
        key: Key = ("transaction", "TASK", arrival.name, arrival.arm)
        self._add(key, outcome, arrival.intended, ended - arrival.intended, ended - begun)

    def start(self, arrival: Arrival) -> None:
        """Count an arrival that begins; what begins while a book that was cut short is packed is nobody's any more."""
        self.started += arrival.intended >= 0 and not self.closed

    def raised(self, error: BaseException) -> None:
        """Note an exception of a task or a listener, of any time: also of the warm-up."""
        self._tell(self.exceptions, without_secrets(f"{type(error).__name__}: {error}")[:_LONGEST_TEXT], "others")

    def document(self) -> dict[str, Any]:
        """Return everything as JSON can hold it."""
        return {
            "counts": {
                "started": self.started,
                "finished": self.finished,
                "unfinished": self.unfinished,
                "requests": self.requests,
            },
            "series": [
                dict(zip(("kind", "method", "name", "arm"), key, strict=True))
                | {"n": self.counted[key]}
                | {outcome: columns.packed() for outcome, columns in outcomes.items()}
                for key, outcomes in self.series.items()
            ],
            "errors": [
                {"method": method, "name": name, "text": text, "count": count}
                for (method, name, text), count in self.errors.most_common()
            ],
            "exceptions": [{"text": text, "count": count} for text, count in self.exceptions.most_common()],
            "slowest": [exemplar for _, _, exemplar in sorted(self.slowest, reverse=True)],
            "failures": self.failures,
        }

    def _add(self, key: Key, outcome: Outcome, at: float, latency: float, service: float) -> None:
        outcomes = self.series.get(key)
        if outcomes is None:
            outcomes = self.series[key] = defaultdict(Columns)
        outcomes[outcome].add(at, latency, service)
        self.counted[key] += 1

    def _keep(self, flight: Flight, outcome: Outcome, latency: float, text: str) -> None:
        failed = outcome != "ok" and len(self.failures) < EXEMPLARS
        if not failed and len(self.slowest) == EXEMPLARS and latency <= self.slowest[0][0]:
            return
        exemplar = {"method": flight.method, "name": flight.name, "arm": flight.arm, "outcome": outcome} | {
            "at": flight.intended,
            "latency": latency,
            "trace_id": flight.trace_id,
            "text": text,
        }
        if failed:
            self.failures.append(exemplar)
        entry = (latency, id(exemplar), exemplar)
        if len(self.slowest) < EXEMPLARS:
            heapq.heappush(self.slowest, entry)
        else:
            heapq.heappushpop(self.slowest, entry)

    @staticmethod
    def _tell(counter: Counter[Any], key: Any, others: Any) -> None:
        counter[key if key in counter or len(counter) < MOST_ERRORS else others] += 1


class Lags:
    """How late a generator was, in steps of 10 µs, rounded up: as little to sort after an hour as after a minute."""

    def __init__(self) -> None:
        self._steps: Counter[int] = Counter()

    def add(self, late: float) -> None:
        """Add one (seconds)."""
        self._steps[-int(late * -_LAG_STEPS // 1)] += 1

    def spread(self) -> dict[str, float] | None:
        """Return n, p50, p99, p999 and max by nearest rank (seconds), or None if there are none."""
        n = self._steps.total()
        ordered = sorted(self._steps)
        below = list(accumulate(self._steps[step] for step in ordered))
        if not n:
            return None
        ranks = {"p50": 500, "p99": 990, "p999": 999, "max": 1000}
        return {"n": n} | {
            name: ordered[bisect_left(below, -(-n * mille // 1000))] / _LAG_STEPS for name, mille in ranks.items()
        }


def _pack(column: array[int]) -> str:
    if sys.byteorder == "big":
        column = array(column.typecode, column)
        column.byteswap()
    return base64.b64encode(zlib.compress(column.tobytes(), 1)).decode()
