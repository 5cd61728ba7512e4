"""Open arrivals: tasks begin when the schedule says so, whether or not earlier ones have ended."""

from __future__ import annotations

import random
from bisect import bisect
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

import gevent
from gevent import GreenletExit
from gevent.hub import Waiter
from locust import TaskSet, User
from locust.exception import InterruptTaskSet, RescheduleTask, StopTest, StopUser

from pytest_rollout.load.injected.book import Arrival, Book, Lags
from pytest_rollout.load.injected.watch import Watch
from pytest_rollout.load.order import Arm, LoadOrder

_POLL = 0.01
_FAREWELL = 3.0
_AT_ONCE = 8
"""So many late arrivals begin before answers are looked for again, which costs as much for one as for many."""


class UnusableLocustfileError(ValueError):
    """The locustfile cannot be run with open arrivals."""


class _Idle(NamedTuple):
    """A user without work, whose greenlet waits for its turn."""

    user: User
    turn: Waiter


@dataclass(slots=True, eq=False)
class _Errand:
    """What an arrival of an arm can do: a task of a user class."""

    name: str
    user_class: type[User]
    task: Callable[[User], Any]
    idle: list[_Idle]
    """Who can do it: users of the class who talk to the arm's host."""


@dataclass(slots=True, eq=False)
class _Due:
    """An arrival, and what it does."""

    arrival: Arrival
    errand: _Errand
    queued: bool = False
    """Whether it had to wait until fewer were in flight."""
    begun: float | None = None
    """When its turn came; None: not yet."""


class OpenArrivals:
    """The schedule, and the users that serve it: as many as are needed at once, used again afterwards."""

    def __init__(
        self,
        environment: Any,
        order: LoadOrder,
        schedule: Sequence[tuple[float, int]],
        watch: Watch,
        classes: list[type[User]],
    ) -> None:
        self._environment = environment
        self._order = order
        self._schedule = schedule
        self._watch = watch
        _refuse_what_cannot_be(classes)
        self._errands = {arm.name: self._errands_of(arm, classes) for arm in order.arms or (Arm(""),)}
        self._weights = list(accumulate(one.weight / len(one.tasks) for one in classes for _ in one.tasks))
        self._chance = random.Random(f"{order.seed}/{schedule[:1]}")  # noqa: S311 - traffic
        self._serving: set[_Due] = set()
        self._waiting: deque[_Due] = deque()
        loop = gevent.get_hub().loop
        self._callback, self._soonest = loop.run_callback, loop.MAXPRI
        self.lags = Lags()
        self.users = 0
        self._behind = 0
        """How many arrivals in a row were late."""
        self._stop = ""
        """Why the locustfile wants the test to be stopped."""
        watch.headers = {arm.name: dict(arm.headers) for arm in order.arms}

    def run(self) -> None:
        """Start every arrival at its time, to the end of the window. Raises UnusableLocustfileError."""
        for at, number in self._schedule:
            self._sleep_until(at)
            self._heed_stop()
            due = self._due(at, number)
            self._watch.book.start(due.arrival)
            self._arrive(due)
        self._sleep_until(self._order.duration)

    def drain(self) -> None:
        """Wait for what is under way, as long as the order says. Raises UnusableLocustfileError."""
        while (self._serving or self._waiting) and not self._over():
            gevent.sleep(_POLL)
        self._heed_stop()

    def give_up(self, book: Book) -> None:
        """Enter what is under way at its age."""
        now = self._watch.clock()
        for due in (*self._serving, *self._waiting):
            if due.arrival.flight is None and not due.arrival.requests:
                self._watch.never_sent(book, due.arrival, now)
            book.done(due.arrival, "unfinished", now if due.begun is None else due.begun, now)
        self._watch.give_up(book, now)

    def leave(self) -> None:
        """Let the users tidy up, for a while; nothing that they do now counts."""
        idle = {id(one): one.user for errands in self._errands.values() for errand in errands for one in errand.idle}
        users = [user for user in idle.values() if type(user).on_stop is not User.on_stop]
        gevent.joinall([gevent.spawn(user.on_stop) for user in users], timeout=_FAREWELL)

    def _errands_of(self, arm: Arm, classes: list[type[User]]) -> list[_Errand]:
        """Return what an arm's arrivals can do: the tasks of classes that know the arm's host."""
        errands = []
        for one in classes:
            hosted = type(one.__name__, (one,), {"host": arm.host or self._order.host})
            idle: list[_Idle] = []
            errands += [_Errand(f"{one.__name__}.{task.__name__}", hosted, task, idle) for task in one.tasks]
        return errands

    def _heed_stop(self) -> None:
        if self._stop:
            raise UnusableLocustfileError(self._stop)

    def _over(self) -> bool:
        return self._watch.clock() >= self._order.duration + self._order.drain

    def _sleep_until(self, at: float) -> None:
        wait = at - self._watch.clock()
        self._behind = self._behind + 1 if wait <= 0 else 0
        if self._behind and not self._over():  # those under way have their turn
            gevent.sleep(0) if self._behind % _AT_ONCE else gevent.idle(self._soonest)
        while wait > 0:  # again: timers start from a clock that may be stale
            gevent.sleep(wait)
            wait = at - self._watch.clock()

    def _due(self, at: float, number: int) -> _Due:
        arm = self._order.arm(number).name if self._order.arms else ""
        errand = self._errands[arm][bisect(self._weights, self._chance.random() * self._weights[-1])]
        return _Due(Arrival(errand.name, at, arm), errand)

    def _arrive(self, due: _Due) -> None:
        if len(self._serving) < self._order.most_in_flight and not self._over():
            self._begin(due)
        else:
            due.queued = True
            self._late(due, self._watch.clock())
            self._waiting.append(due)

    def _late(self, due: _Due, now: float) -> None:
        """Note how late an arrival is, if that is the fault of the generator alone."""
        if due.arrival.intended >= 0:
            self.lags.add(now - due.arrival.intended)

    def _begin(self, due: _Due) -> None:
        self._serving.add(due)
        if idle := due.errand.idle:
            self._callback(idle.pop().turn.switch, due)
        else:
            gevent.spawn(self._serve, due)

    def _serve(self, due: _Due) -> None:
        """Serve an arrival as a new user, then others: a greenlet for each one would cost as much as its request."""
        user: User | None = None
        while True:
            turn = Waiter()
            try:
                user = self._perform(due, user)
                if user is not None:
                    due.errand.idle.append(_Idle(user, turn))
            finally:
                self._end(due)
            if user is None:
                return
            due = turn.get()

    def _perform(self, due: _Due, user: User | None) -> User | None:
        """Do the task; return the user if it can go on."""
        due.begun = self._watch.clock()
        if not due.queued:
            self._late(due, due.begun)
        self._watch.follow(due.arrival)
        if user is None and (user := self._attempt(due, self._new_user)) is None:
            due.arrival.failed = True  # whatever the reason is, nobody has done the task
            return None
        due.arrival.before = due.arrival.requests
        due.arrival.started.clear()  # what its user does beside the tasks
        return self._attempt(due, self._do, user)

    def _attempt(self, due: _Due, do: Callable[..., User], *args: User) -> User | None:
        """Do a part of the work; return the user if it can go on."""
        try:
            return do(due, *args)
        except GreenletExit:
            due.arrival.failed = True
            raise
        except StopUser:
            return None
        except StopTest as error:
            self._stop = str(error) or "the locustfile stopped the test"
        except BaseException as error:  # noqa: BLE001 - whatever a task raises, it has failed
            self._watch.book.raised(error)
        due.arrival.failed = True
        return args[0] if args else None

    def _new_user(self, due: _Due) -> User:
        """Return a user of the class, after its on_start."""
        user = due.errand.user_class(self._environment)
        user.on_start()
        return user

    def _do(self, due: _Due, user: User) -> User:
        with suppress(RescheduleTask, InterruptTaskSet):  # nothing is wrong
            due.errand.task(user)
        return user

    def _end(self, due: _Due) -> None:
        now = self._watch.clock()
        self._serving.discard(due)
        self._watch.settle(due.arrival, now)
        begun = now if due.begun is None else due.begun
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
