"""The result document of a load run: everything that is needed to judge it again."""

from __future__ import annotations

import base64
import binascii
import sys
import zlib
from array import array
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, ValidationError

from pytest_rollout.errors import LoadError
from pytest_rollout.load.order import Arm, Arrivals, LoadOrder

_MICROSECONDS = 1e6


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _unpack(packed: object) -> object:
    """Return the microseconds of a packed column. Raises ValueError."""
    if not isinstance(packed, str):
        return packed
    try:
        column = array("q", zlib.decompress(base64.b64decode(packed, validate=True)))
    except (binascii.Error, zlib.error, ValueError) as error:
        raise ValueError("not a packed column") from error
    if sys.byteorder == "big":
        column.byteswap()
    return tuple(column)


def _pack(column: tuple[int, ...]) -> str:
    values = array("q", column)
    if sys.byteorder == "big":
        values.byteswap()
    return base64.b64encode(zlib.compress(values.tobytes())).decode()


Column = Annotated[tuple[int, ...], BeforeValidator(_unpack), PlainSerializer(_pack, when_used="json")]


class Columns(_Model):
    """Samples of one outcome, in the order in which they ended: microseconds."""

    n: int
    at: Column
    """The intended start, since the start of the window."""
    latency: Column
    """From the intended start."""
    service: Column
    """From the real start."""

    def model_post_init(self, _context: object) -> None:
        """Refuse columns that have lost samples."""
        if {len(self.at), len(self.latency), len(self.service)} != {self.n}:
            raise ValueError(f"columns of {self.n} samples have other lengths")


_NONE = Columns(n=0, at=(), latency=(), service=())


class Series(_Model):
    """All samples of one request or one task, by how they ended."""

    kind: Literal["request", "transaction"]
    """A transaction is one arrival: a task with all its requests, failed if any of them is or if it raises."""
    method: str
    name: str
    arm: str
    n: int
    """How many samples it has, counted apart from them."""
    ok: Columns = _NONE
    failed: Columns = _NONE
    """Answered with an error, fast or slow."""
    timeout: Columns = _NONE
    """Given up by the client after ``latency``."""
    unfinished: Columns = _NONE
    """Under way when the drain ended, ``latency`` old."""

    def model_post_init(self, _context: object) -> None:
        """Refuse a series that has lost samples."""
        if self.ok.n + self.failed.n + self.timeout.n + self.unfinished.n != self.n:
            raise ValueError(f"a series of {self.n} samples has another number")


class Spread(_Model):
    """A few order statistics (seconds), by nearest rank."""

    n: int
    p50: float
    p99: float
    p999: float
    max: float


class Counts(_Model):
    """Arrivals of the window, and the requests that they have made. All 0 but the requests in the closed model."""

    started: int
    finished: int
    unfinished: int
    requests: int


class ErrorClass(_Model):
    """Requests that failed in the same way."""

    method: str
    name: str
    text: str
    count: int


class Raised(_Model):
    """Exceptions of tasks or listeners."""

    text: str
    count: int


class Exemplar(_Model):
    """One request to look at: seconds, and the trace id that it sent along."""

    method: str
    name: str
    arm: str
    outcome: Literal["ok", "failed", "timeout", "unfinished"]
    at: float
    latency: float
    trace_id: str
    text: str


class Part(_Model):
    """What one process has made and seen."""

    worker: str
    share: int
    """Which share of the schedule it had."""
    ended: Literal["complete", "stopped", "running"]
    why: str
    users: int
    """Closed model: users that ran when the window began."""
    started: float
    """Unix seconds of the start of the window."""
    duration: float
    """How long the window really was."""
    drained: float
    """How long it waited for answers afterwards."""
    cpu: float
    """Share of one core that it used in the window."""
    lag: Spread | None
    """How late arrivals began; in the closed model: how late a heartbeat was."""
    counts: Counts
    series: tuple[Series, ...]
    errors: tuple[ErrorClass, ...]
    exceptions: tuple[Raised, ...]
    slowest: tuple[Exemplar, ...]
    failures: tuple[Exemplar, ...]
    versions: dict[str, str]


class Samples(NamedTuple):
    """Seconds from the intended start, in no order; what is censored is known to be at least so much."""

    ok: tuple[float, ...]
    failed: tuple[float, ...]
    censored: tuple[float, ...]


class _Side(_Model):
    name: str
    host: str | None
    headers: dict[str, str]


class Asked(_Model):
    """The order, without what may be secret."""

    locustfile: str
    host: str
    duration: float
    rate: float | None
    users: int | None
    arrivals: Arrivals
    warm_up: float
    drain: float
    arms: tuple[_Side, ...]
    seed: int
    most_in_flight: int
    workers: int
    look_every: float
    run: str

    @property
    def order(self) -> LoadOrder:
        """The order as it was given, but for what is secret."""
        fields = self.model_dump()
        return LoadOrder(**fields | {"arms": tuple(Arm(**arm) for arm in fields["arms"])})


class LoadResult(_Model):
    """A load run: what was asked, and what each process has seen."""

    schema_version: Literal[1]
    asked: Asked
    locustfile_sha256: str
    argv: tuple[str, ...]
    parts: tuple[Part, ...]

    @property
    def tail_is_lower_bound(self) -> bool:
        """Closed users wait for their answers, so the slowest moments are asked about too seldom."""
        return self.asked.rate is None

    @property
    def due(self) -> int:
        """How many arrivals the schedule has in the window; in the closed model as many as there were."""
        return self.started if self.asked.rate is None else self.asked.order.due()

    @property
    def started(self) -> int:
        """How many arrivals of the window have begun, or wait for their turn to."""
        return sum(part.counts.started for part in self.parts)

    @property
    def duration(self) -> float:
        """The shortest window of any process (seconds)."""
        return min((part.duration for part in self.parts), default=0.0)

    @property
    def offered_rate(self) -> float:
        """Arrivals per second that the schedule asked for."""
        return self.due / self.asked.duration

    @property
    def achieved_rate(self) -> float:
        """Requests per second that were answered, well or not."""
        ended = sum(one.ok.n + one.failed.n for one in self.series("request"))
        return ended / self.duration if self.duration else 0.0

    @property
    def lag(self) -> Spread | None:
        """The worst lag of any process, for each order statistic; None if a process has none."""
        known = [part.lag for part in self.parts if part.lag is not None]
        if not known or len(known) != len(self.parts):
            return None
        worst = {name: max(getattr(lag, name) for lag in known) for name in ("p50", "p99", "p999", "max")}
        return Spread(n=sum(lag.n for lag in known), **worst)

    @property
    def cpu(self) -> float:
        """The greatest share of a core that any process used."""
        return max((part.cpu for part in self.parts), default=0.0)

    def series(self, kind: str = "request", name: str | None = None, arm: str | None = None) -> Iterator[Series]:
        """Yield the series of a kind, of all processes."""
        for part in self.parts:
            for one in part.series:
                if one.kind == kind and name in (None, one.name) and arm in (None, one.arm):
                    yield one

    def samples(self, kind: str = "request", name: str | None = None, arm: str | None = None) -> Samples:
        """Return latencies from the intended start."""
        return _samples(list(self.series(kind, name, arm)), lambda columns: columns.latency)

    def service(self, kind: str = "request", name: str | None = None, arm: str | None = None) -> Samples:
        """Return the same from the real start: what a client that waits for its turn would have seen."""
        return _samples(list(self.series(kind, name, arm)), lambda columns: columns.service)


def read(path: Path, run: str) -> LoadResult:
    """Read the result of a run. Raises LoadError if it is not there, not whole, or another run's."""
    try:
        result = LoadResult.model_validate_json(path.read_bytes())
    except OSError as error:
        raise LoadError(f"the load run left no result ({path.name}: {error.strerror})") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(step) for step in first["loc"]) or "document"
        raise LoadError(f"the result of the load run is not whole: {place}: {first['msg']}") from error
    if result.asked.run != run:
        raise LoadError("the result is another run's; give every load run a folder of its own")
    return result


def _samples(found: Sequence[Series], column: Callable[[Columns], Column]) -> Samples:
    def seconds(*outcomes: Columns) -> tuple[float, ...]:
        return tuple(value / _MICROSECONDS for one in outcomes for value in column(one))

    return Samples(
        seconds(*(one.ok for one in found)),
        seconds(*(one.failed for one in found)),
        seconds(*(columns for one in found for columns in (one.timeout, one.unfinished))),
    )
