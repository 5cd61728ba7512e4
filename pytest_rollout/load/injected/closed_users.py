"""The closed model: Locust's own users, their phases spread, who wait for their answers."""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Callable
from typing import Any

import gevent
from locust import User

from pytest_rollout.load.injected.book import Book, Lags
from pytest_rollout.load.injected.watch import Watch
from pytest_rollout.load.order import LoadOrder

_POLL = 0.01
_BEAT = 0.02


class ClosedUsers:
    """Watches users whom Locust starts and paces."""

    def __init__(self, environment: Any, order: LoadOrder, watch: Watch) -> None:
        self._environment = environment
        self._order = order
        self._watch = watch
        self.users = 0
        self.lags = Lags()

    def run(self) -> None:
        """Let the users work to the end of the window, and feel the pulse of the process."""
        clock = self._watch.clock
        _sleep_until(clock, 0.0)
        self.users = self._environment.runner.user_count
        while (due := clock() + _BEAT) < self._order.duration:
            gevent.sleep(_BEAT)
            self.lags.add(max(0.0, clock() - due))
        _sleep_until(clock, self._order.duration)

    def drain(self) -> None:
        """Wait for the requests of the window, as long as the order says."""
        clock = self._watch.clock
        until = clock() + self._order.drain
        while clock() < until and any(one.belongs < self._order.duration for one in self._watch.up.values()):
            gevent.sleep(_POLL)

    def leave(self) -> None:
        """Do nothing: Locust lets its users leave."""

    def give_up(self, book: Book) -> None:
        """Enter what is under way at its age."""
        self._watch.give_up(book, self._watch.clock())


def spread_phases(user_class: type[User], chance: random.Random) -> None:
    """Let every user of a class begin somewhere within its first wait, and count its pace from there.

    Locust starts users together, and constant pacing keeps them together for ever: they queue behind one another.
    """
    on_start: Callable[[User], Any] = user_class.on_start

    @functools.wraps(on_start)
    def begin(self: User) -> None:
        on_start(self)
        gevent.sleep(chance.random() * max(0.0, float(self.wait_time() or 0)))
        self._cp_last_run = time.perf_counter()  # constant_pacing counts from the creation of the user otherwise
        self._cp_last_wait_time = 0

    user_class.on_start = begin


def _sleep_until(clock: Callable[[], float], at: float) -> None:
    while (wait := at - clock()) > 0:
        gevent.sleep(wait)
