"""One process that makes load, from its first arrival to what it has seen."""

from __future__ import annotations

import contextlib
import copy
import gc
import os
import platform
import random
import time
from typing import Any

import gevent
import locust
from locust import User

from pytest_rollout.load.injected.book import Book
from pytest_rollout.load.injected.closed_users import ClosedUsers, spread_phases
from pytest_rollout.load.injected.open_arrivals import OpenArrivals
from pytest_rollout.load.injected.watch import Clock, Watch
from pytest_rollout.load.order import LoadOrder

_GARBAGE = 20_000
"""Objects that may come up before Python looks for garbage; a request leaves none that it has to look for."""

_PRECEDENCE = 10
"""Who measures goes before others, where root says so: it needs little, and would measure its own waiting."""


class Attendant:
    """Makes its share of the load."""

    def __init__(self, environment: Any, order: LoadOrder, share: int, classes: list[type[User]]) -> None:
        self._order = order
        self._share = share
        self._book = Book(order.duration)
        with contextlib.suppress(OSError):  # where it is not allowed
            os.nice(-_PRECEDENCE)
        schedule = order.schedule(share)
        gc.set_threshold(_GARBAGE)
        gc.collect()
        gc.freeze()  # looking through all that Locust has loaded would make arrivals late, again and again
        self._clock = Clock(order.warm_up)  # after what takes a while
        watch = Watch(self._book, self._clock)
        watch.attach(environment.events)
        environment.events.user_error.add_listener(lambda exception, **_: self._book.raised(exception))
        self._load: OpenArrivals | ClosedUsers
        if order.rate is not None:
            self._load = OpenArrivals(environment, order, schedule, watch, classes)
        else:
            self._load = ClosedUsers(environment, order, watch)
            chance = random.Random(f"{order.seed}/{share}")  # noqa: S311 - traffic
            for one in classes:
                spread_phases(one, chance)
        self._metered = (self._clock(), time.process_time())

    def run(self) -> dict[str, Any]:
        """Make the load and return what was seen. Raises UnusableLocustfileError."""
        gevent.spawn(self._meter)
        self._load.run()
        duration = self._clock()
        self._load.drain()
        part = self._part(self._book, "complete", "", duration)
        self._load.leave()
        return part

    def cut_short(self, why: str) -> dict[str, Any]:
        """Return what was seen of a run that has not come to its end."""
        return self._part(self._book, "stopped", why, self._so_long())

    def so_far(self) -> dict[str, Any]:
        """Return what was seen until now, and let the load go on."""
        return self._part(copy.deepcopy(self._book), "running", "", self._so_long())

    def _so_long(self) -> float:
        return max(0.0, min(self._clock(), self._order.duration))

    def _meter(self) -> None:
        """Note the processor time at the beginning of the window."""
        while (wait := -self._clock()) > 0:
            gevent.sleep(wait)
        self._metered = (self._clock(), time.process_time())

    def _part(self, book: Book, ended: str, why: str, duration: float) -> dict[str, Any]:
        now, spent = self._clock(), time.process_time()
        since, used = self._metered
        self._load.give_up(book)
        book.closed = True
        seen: dict[str, Any] = gevent.get_hub().threadpool.apply(book.document)  # packing would make the arrivals late
        return seen | {
            "worker": f"{platform.node()}/{os.getpid()}",
            "share": self._share,
            "ended": ended,
            "why": why,
            "users": self._load.users,
            "started": self._clock.unix,
            "duration": duration,
            "drained": max(0.0, now - duration),
            "cpu": (spent - used) / max(1e-6, now - since),
            "lag": self._load.lags.spread(),
            "versions": {
                "python": platform.python_version(),
                "locust": locust.__version__,
                "gevent": gevent.__version__,
            },
        }
