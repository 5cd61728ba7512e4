"""What a load run is asked to do. Only the standard library: Locust's interpreter reads it too."""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, Self, TypeAlias
from urllib.parse import urlsplit, urlunsplit

Arrivals: TypeAlias = Literal["constant", "poisson"]

VARIABLE = "ROLLOUT_LOAD"
"""The environment variable that names the file with the order."""
RESULT, SO_FAR, REFUSAL = "result.json", "so_far.json", "refusal.txt"
"""What the run leaves beside the order: the result document; the same of the time until now; why there is none."""
SCHEMA = 1
_CREDENTIALS = re.compile(r"//[^/\s?#@]*@")
_QUERY = re.compile(r"(?<=\S)\?[^\s'\")>]+")


@dataclass(frozen=True, slots=True)
class Arm:
    """One side of a paired run: who it is, where it goes, and what it sends along."""

    name: str
    host: str | None = None
    """None: the host of the order."""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LoadOrder:
    """One load run. Times are seconds, rates are per second.

    With ``rate`` the arrivals are open: tasks begin when the schedule says so, whether or not earlier ones have ended.
    With ``users`` the model is closed: Locust's own users, each of whom waits for its answers.
    """

    locustfile: str
    host: str
    duration: float
    rate: float | None = None
    users: int | None = None
    arrivals: Arrivals = "poisson"
    warm_up: float = 2.0
    """Before the measured window, with the same load; not in the result."""
    drain: float = 5.0
    """After the window: how long to wait for answers. What has not come by then counts at its age."""
    arms: tuple[Arm, ...] = ()
    """Two: control and candidate, interleaved in random order within each pair of arrivals."""
    seed: int = 0
    """Which arrivals: 0, and 1, 2, ... for runs that extend it, so that none of them is taken for the whole."""
    most_in_flight: int = 2000
    """Arrivals beyond these wait, and their waiting counts."""
    workers: int = 0
    """0: one process. Else Locust's master and so many workers."""
    look_every: float = 0.0
    """How often to write what was seen so far; 0: never."""
    run: str = ""
    """Which run it is, so that no other run's result is taken for it."""

    def __post_init__(self) -> None:
        if (self.rate is None) == (self.users is None):
            raise ValueError("a load run has either a rate (open arrivals) or users (closed model)")
        if not 0 < self.duration < math.inf or (self.rate is not None and not 0 < self.rate < math.inf):
            raise ValueError("a load run needs a duration and a rate above 0")
        if not (0 <= self.warm_up < math.inf and 0 <= self.drain < math.inf):
            raise ValueError("warm-up and drain of a load run have to be finite, and cannot be negative")
        if min(self.workers, self.most_in_flight - 1) < 0 or (self.users is not None and self.users < self.processes):
            raise ValueError("a load run needs room for one arrival, and a user for every worker")
        if self.arms and (len(self.arms) != 2 or self.rate is None):  # noqa: PLR2004 - a pair
            raise ValueError("a paired run has two arms and open arrivals")

    @property
    def processes(self) -> int:
        """How many processes make load."""
        return max(1, self.workers)

    @property
    def limit(self) -> float:
        """When the run has to be over at the latest, from its start."""
        return self.warm_up + self.duration + self.drain

    def schedule(self, share: int | None = None) -> list[tuple[float, int]]:
        """Return when each arrival is due, from -warm_up to the end of the window, and its number.

        The window's first one has the number 0, those of the warm-up are negative. In a paired run the window has
        whole pairs. ``share`` is the number of the process that asks; together they have every arrival once.
        """
        window = list(self._moments(self.duration, 0.0))
        if self.arms and len(window) % 2:
            window.pop()
        before = [-at for at in self._moments(self.warm_up, 1.0)]
        every = [(at, -number) for number, at in enumerate(before, start=1)][::-1]
        every += [(at, number) for number, at in enumerate(window)]
        return [(at, number) for at, number in every if share in (None, number % self.processes)]

    def _moments(self, until: float, first: float) -> Iterator[float]:
        """Yield moments from 0 on; ``first``: at how many gaps constant ones begin."""
        if self.rate is None:
            return
        rng = random.Random(f"{self.seed}/{first}")  # noqa: S311 - traffic, and it has to be the same again
        at, count = 0.0, first
        while True:
            at = at + rng.expovariate(self.rate) if self.arrivals == "poisson" else count / self.rate
            if at >= until:
                return
            yield at
            count += 1

    def due(self, arm: str | None = None) -> int:
        """Return how many arrivals the schedule has in the window, of one arm or of all, for all processes."""
        return sum(number >= 0 and arm in (None, self.arm(number).name) for _, number in self.schedule())

    def arm(self, number: int) -> Arm:
        """Return whose turn an arrival is: of each two that follow one another one is of either arm."""
        if not self.arms:
            return Arm("")
        first = random.Random(self.seed * 1_000_003 + number // 2).getrandbits(1)  # noqa: S311 - as above
        return self.arms[(number % 2) ^ first]

    def to_json(self) -> str:
        """Return the order as the recorder reads it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what ``to_json`` wrote."""
        fields = json.loads(text)
        return cls(**fields | {"arms": tuple(Arm(**arm) for arm in fields["arms"])})

    def shown(self) -> dict[str, Any]:
        """Return the order without what may be secret: the headers of the arms, and credentials in addresses."""
        arms = tuple(Arm(arm.name, arm.host and _without_credentials(arm.host)) for arm in self.arms)
        return asdict(replace(self, host=_without_credentials(self.host), arms=arms))


def without_secrets(text: str) -> str:
    """Return a text without what is secret in the addresses that it names: credentials, and what is asked for."""
    return _QUERY.sub("?...", _CREDENTIALS.sub("//", text))


def _without_credentials(address: str) -> str:
    parts = urlsplit(address)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
