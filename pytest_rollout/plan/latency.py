"""What a latency gate asks for: a load, and limits of what it finds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from pytest_rollout.judge import order
from pytest_rollout.judge.load_run import Model, Run
from pytest_rollout.plan.strict import Duration, Rate, Share, Strict, wrong

QUANTILES = ("p50", "p90", "p95", "p99", "p99.9")
_ADDRESS = re.compile(r"[^\s:/]+:([1-9]\d{0,4})")
_LAST_PORT = 65_535


class LatencyLimit(Strict):
    """Of one percentile: ``below`` a duration, or in a paired run ``at_most`` so much worse than the control's."""

    below: Duration | None = None
    at_most: Share | None = None
    """Of the control's percentile."""
    absolute: Duration = 0.0
    """With ``at_most``: a difference this small never counts."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.below is None) == (self.at_most is None):
            raise wrong("below" if self.below is not None else "at_most", "give exactly one of 'below' and 'at_most'")
        if self.below is not None and (self.below <= 0 or self.absolute):
            key = "absolute" if self.absolute else "below"
            raise wrong(key, "'absolute' goes with 'at_most'" if self.absolute else "nothing is faster than no time")
        if self.at_most == 0 and not self.absolute:
            raise wrong("at_most", "equal to the control is never proven; allow some per cent, or give 'absolute'")
        return self


class ErrorLimit(Strict):
    """Of failed requests: a share that is inferred from the run, or a count of the run itself."""

    below: Share | None = None
    at_most: Annotated[int, Field(ge=0, le=10**9, strict=True)] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.below is None) == (self.at_most is None):
            said = "give exactly one of 'below', a share, and 'at_most', a count"
            raise wrong("below" if self.below is not None else "at_most", said)
        if self.below is not None and not 0 < self.below < 1:
            raise wrong(
                "below", "a share must lie between 0% and 100%, both excluded; write at_most: 0 for none at all"
            )
        return self


class Side(Strict):
    """One side of a paired run: where its requests go, and what they carry. ``${NAME}`` is filled in."""

    url: str | None = None
    """Without it the environment's target."""
    headers: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _something(self) -> Self:
        for name, value in self.headers.items():
            if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name) or re.search(r"[\r\n\0]", value):
                raise wrong("headers", f"{name!r} is no header that can be sent")
        return self


def _workers(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ValueError(f"{value!r} is no number of workers; write 0 for a single process, or how many")


class Latency(Strict):
    """A load on the target by a locustfile, and what has to hold of its answers."""

    locustfile: str
    """``portal`` is ``locustfiles/portal.py`` of the project; or a path from the root of the project."""
    rate: Rate | None = None
    """Arrivals per second, on a schedule (open arrivals)."""
    users: int | None = Field(default=None, ge=1, strict=True)
    """Instead of a rate: so many users who wait for their answers (closed model). Such a run can breach, never pass."""
    duration: Duration = Field(alias="for")
    arrivals: Literal["poisson", "constant"] = "poisson"
    warm_up: Duration = 5.0
    """The same load before the window; not judged."""
    drain: Duration = 10.0
    """How long answers are waited for after the window, at most; not scaled."""
    extend: Duration = 0.0
    """By how much the load may be made longer, in all, while it does not decide."""
    workers: Annotated[int, BeforeValidator(_workers)] = 0
    """Processes of Locust beside a master; 0: a single process."""
    bind: str | None = None
    """``10.0.0.5:5557``: where the master waits for workers from elsewhere. Without it they are started here."""
    of: Literal["transaction", "request"] | None = None
    """Whole arrivals, or each request; arrivals if there is a rate."""
    name: str | None = None
    """One kind of them alone, by the name that Locust gives it."""
    control: Side | None = None
    candidate: Side | None = None
    """With ``control``: both are asked in turn, and the candidate is judged."""
    p50: LatencyLimit | None = None
    p90: LatencyLimit | None = None
    p95: LatencyLimit | None = None
    p99: LatencyLimit | None = None
    p999: LatencyLimit | None = Field(default=None, alias="p99.9")
    errors: ErrorLimit | None = None

    _FIELDS: ClassVar[Mapping[str, str]] = {name: name.replace(".", "") for name in QUANTILES}

    @property
    def paired(self) -> bool:
        """Whether a candidate is compared with a control."""
        return self.control is not None

    def quantiles(self) -> Iterator[tuple[str, float, LatencyLimit]]:
        """Yield each percentile that has a limit: its name, the share it stands for, and the limit."""
        for name, key in self._FIELDS.items():
            if (limit := getattr(self, key)) is not None:
                yield name, round(float(name[1:]) / 100, 6), limit

    def inferred(self) -> Iterator[tuple[str, float]]:
        """Yield each limit that is inferred from a sample, as a quantile; few failures are many good ones."""
        for name, q, _ in self.quantiles():
            yield name, q
        if self.errors is not None and self.errors.below is not None:
            yield "errors", round(1 - self.errors.below, 12)

    def fewest(self, q: float, confidence: float | None) -> int:
        """Return how many requests a limit of a quantile needs to pass at its planned end, of both arms together."""
        arms = 2 if self.paired else 1
        if confidence is None:
            return arms
        run = Run(model=Model.OPEN, whole=True, seconds=0.0, patience=0.0, confidence=confidence, budget=self.extend)
        return arms * order.fewest(q, run.certainty)

    @model_validator(mode="after")
    def _a_load(self) -> Self:
        if (self.rate is None) == (self.users is None):
            raise wrong("users" if self.rate else "locustfile", "give exactly one of 'rate' and 'users'")
        if not self.locustfile.strip():
            raise wrong("locustfile", "name a locustfile, such as portal for locustfiles/portal.py")
        if self.duration <= 0:
            raise wrong("for", "a load needs some time, such as for: 2m")
        if self.drain <= 0:
            raise wrong("drain", "answers need some time, such as drain: 10s")
        return self._sound_crowd()

    def _sound_crowd(self) -> Self:
        found = _ADDRESS.fullmatch(self.bind or "")
        if self.bind is not None and not (self.workers and found and int(found[1]) <= _LAST_PORT):
            raise wrong("bind", "'bind' is an address and a port, such as 10.0.0.5:5557, and goes with 'workers'")
        if self.users is not None and self.users < self.workers:
            raise wrong("users", "every worker needs a user")
        if (self.control is None) != (self.candidate is None):
            raise wrong("candidate" if self.candidate else "control", "'control' and 'candidate' go together")
        if self.paired and self.rate is None:
            raise wrong("users", "a paired run needs a rate")
        if self.paired and self.control == self.candidate:
            raise wrong("candidate", "the candidate is the control; give it another url or other headers")
        return self._sound_limits()

    def _sound_limits(self) -> Self:
        limits = list(self.quantiles())
        if not limits and self.errors is None:
            raise wrong("locustfile", "a latency gate needs a limit, such as p95: {below: 200ms}")
        for name, _, limit in limits:
            if limit.at_most is not None and not self.paired:
                raise wrong(name, "'at_most' compares with a control; give 'control' and 'candidate', or write 'below'")
        if self.of == "request" and self.paired:
            raise wrong("of", "in a paired run arrivals are compared, of: transaction; name a task to look at it alone")
        if self.of == "transaction" and self.rate is None:
            raise wrong("of", "users make requests, not arrivals; write of: request, or give a rate")
        return self
