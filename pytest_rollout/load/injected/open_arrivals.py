"""Open arrivals: tasks begin when the schedule says so, whether or not earlier ones have ended."""

from __future__ import annotations

import random
from collections import defaultdict, deque
from collections.abc import Callable
from itertools import accumulate
from typing import Any, NamedTuple

import gevent
from gevent import GreenletExit
from locust import TaskSet, User
from locust.exception import InterruptTaskSet, RescheduleTask, StopTest, StopUser

from pytest_rollout.load.injected.book import Arrival, Book
from pytest_rollout.load.injected.watch import Watch
from pytest_rollout.load.order import Arm, LoadOrder

_POLL = 0.01
_FAREWELL = 3.0
_OVER = (RescheduleTask, InterruptTaskSet, StopUser)
"""What ends a task without anything being wrong."""


class UnusableLocustfileError(ValueError):
    """The locustfile cannot be run with open arrivals."""


class _Due(NamedTuple):
    """An arrival, and what it does: a task of a user class."""

    arrival: Arrival
    arm: Arm
    user_class: type[User]
    task: Callable[[User], Any]


class OpenArrivals:
    """The schedule, and the users that serve it: as many as are needed at once, used again afterwards."""

    def __init__(self, environment: Any, order: LoadOrder, share: int, watch: Watch, classes: list[type[User]]) -> None:
        self._environment = environment
        self._order = order
        self._share = share
        self._watch = watch
        _refuse_what_cannot_be(classes)
        self._tasks = [(f"{one.__name__}.{task.__name__}", one, task) for one in classes for task in one.tasks]
        self._weights = list(accumulate(one.weight / len(one.tasks) for one in classes for _ in one.tasks))
        self._chance = random.Random(f"{order.seed}/{share}")  # noqa: S311 - traffic
        self._idle: dict[tuple[str, str], list[User]] = defaultdict(list)
        self._hosted: dict[tuple[str, str], type[User]] = {}
        self._serving: dict[int, tuple[_Due, float]] = {}
        self._waiting: deque[_Due] = deque()
        self.lags: list[float] = []
        self.users = 0
        self._stop = ""
        """Why the locustfile wants the test to be stopped."""
        watch.headers = {arm.name: dict(arm.headers) for arm in order.arms}

    def run(self) -> None:
        """Start every arrival at its time, to the end of the window. Raises UnusableLocustfileError."""
        for at, number in self._order.schedule(self._share):
            self._sleep_until(at)
            if self._stop:
                raise UnusableLocustfileError(self._stop)
            if at >= 0:
                self.lags.append(self._watch.clock() - at)
                self._watch.book.started += 1
            self._arrive(self._due(at, number))
        self._sleep_until(self._order.duration)

    def drain(self) -> None:
        """Wait for what is under way, as long as the order says."""
        clock = self._watch.clock
        until = clock() + self._order.drain
        while (self._serving or self._waiting) and clock() < until:
            gevent.sleep(_POLL)

    def give_up(self, book: Book) -> None:
        """Enter what is under way at its age."""
        now = self._watch.clock()
        for due, begun in self._serving.values():
            if due.arrival.flight is None and not due.arrival.requests:
                self._watch.never_sent(book, due.arrival, now)
            book.done(due.arrival, "unfinished", begun, now)
        for due in self._waiting:
            self._watch.never_sent(book, due.arrival, now)
            book.done(due.arrival, "unfinished", now, now)
        self._watch.give_up(book, now)

    def leave(self) -> None:
        """Let the users tidy up, for a while; nothing that they do now counts."""
        users = [user for idle in self._idle.values() for user in idle if type(user).on_stop is not User.on_stop]
        gevent.joinall([gevent.spawn(user.on_stop) for user in users], timeout=_FAREWELL)

    def _sleep_until(self, at: float) -> None:
        wait = at - self._watch.clock()
        if wait <= 0:
            gevent.sleep(0)  # those under way have their turn even when the schedule is late
        while wait > 0:  # again: timers start from a clock that may be stale
            gevent.sleep(wait)
            wait = at - self._watch.clock()

    def _due(self, at: float, number: int) -> _Due:
        name, user_class, task = self._chance.choices(self._tasks, cum_weights=self._weights)[0]
        arm = self._order.arm(number)
        return _Due(Arrival(name, at, arm.name), arm, user_class, task)

    def _arrive(self, due: _Due) -> None:
        if len(self._serving) < self._order.most_in_flight:
            self._begin(due)
        else:
            self._waiting.append(due)

    def _begin(self, due: _Due) -> None:
        self._serving[id(due)] = (due, self._watch.clock())
        gevent.spawn(self._serve, due)

    def _serve(self, due: _Due) -> None:
        gevent.getcurrent().rollout_arrival = due.arrival
        idle = self._idle[due.arm.name, due.user_class.__name__]
        try:
            user = idle.pop() if idle else self._new_user(due)
            due.task(user)
            idle.append(user)
        except GreenletExit:
            raise
        except _OVER as error:
            if not isinstance(error, StopUser):
                idle.append(user)
        except StopTest as error:
            self._stop = str(error)
        except BaseException as error:  # noqa: BLE001 - whatever a task raises, it has failed
            due.arrival.failed = True
            self._watch.book.raised(error)
        finally:
            self._end(due)

    def _new_user(self, due: _Due) -> User:
        """Return a user of the class that talks to the arm's host, after its on_start."""
        key = (due.arm.name, due.user_class.__name__)
        if key not in self._hosted:
            host = due.arm.host or self._order.host
            self._hosted[key] = type(due.user_class.__name__, (due.user_class,), {"host": host})
        user = self._hosted[key](self._environment)
        user.on_start()
        return user

    def _end(self, due: _Due) -> None:
        now = self._watch.clock()
        _, begun = self._serving.pop(id(due), (due, now))
        self._watch.settle(due.arrival, now)
        self._watch.book.done(due.arrival, "failed" if due.arrival.failed else "ok", begun, now)
        if self._waiting:
            self._begin(self._waiting.popleft())


def _refuse_what_cannot_be(classes: list[type[User]]) -> None:
    if not any(one.weight for one in classes):
        raise UnusableLocustfileError("the locustfile has no user class")
    for one in classes:
        if not one.tasks:
            raise UnusableLocustfileError(f"{one.__name__} has no task")
        if any(isinstance(task, type) and issubclass(task, TaskSet) for task in one.tasks):
            raise UnusableLocustfileError(
                f"{one.__name__} has a TaskSet; open arrivals need tasks that are methods: "
                "write @task on methods of the user, or run it as a closed model, with users: instead of rate:"
            )
