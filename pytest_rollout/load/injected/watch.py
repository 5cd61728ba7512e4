"""Watch every request of Locust's clients: when it should have begun, when it did, and how it ended."""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Callable, Mapping
from typing import Any

from gevent import Greenlet, GreenletExit, getcurrent
from geventhttpclient.connectionpool import ConnectionPool
from locust.clients import HttpSession
from locust.contrib.fasthttp import FastHttpSession, FastHttpUser

from pytest_rollout.load.injected.book import Arrival, Book, Flight, Outcome

MARKER = "x-rollout-synthetic"
"""The header by which a server can tell load from people."""
_UNREPORTED = "never reported: catch_response=True needs a with block"
_TREE = "rollout_arrival"
_TRACE_BITS, _SPAN_BITS = 128, 64


class Clock:
    """Seconds since the start of the window; negative in the warm-up."""

    def __init__(self, warm_up: float) -> None:
        self.zero = time.monotonic() + warm_up
        self.unix = time.time() + warm_up

    def __call__(self) -> float:
        """Return the time."""
        return time.monotonic() - self.zero


class Watch:
    """Follows requests by the greenlet that makes them."""

    def __init__(self, book: Book, clock: Clock) -> None:
        self.book = book
        self.clock = clock
        self.up: dict[int, Flight] = {}
        """Requests under way."""
        self.headers: dict[str, dict[str, str]] = {}
        """What each arm sends along."""

    def attach(self, events: Any) -> None:
        """Follow the clients that Locust has, and whatever else reports requests."""
        for session in (FastHttpSession, HttpSession):
            session.request = self._watched(session.request)
        _repeat_no_request()
        Greenlet.add_spawn_callback(_started)
        events.request.add_listener(self._reported)

    def follow(self, arrival: Arrival) -> None:
        """Count what the running greenlet requests as an arrival's, and what those request that it starts meanwhile."""
        greenlet = getcurrent()
        greenlet.rollout_arrival = arrival
        greenlet.spawn_tree_locals = {_TREE: arrival}  # each that it starts keeps this very one

    def settle(self, arrival: Arrival, now: float) -> None:
        """End an arrival whose task is over: every request has ended, and at least one was made."""
        if arrival.flight is not None:
            self._land(arrival, arrival.flight, "failed", now, _UNREPORTED)
        if arrival.flying or not all(one.dead for one in arrival.started):
            self._find_fault(arrival, now, "the task ended before what it has started; join it")
        elif arrival.requests == arrival.before:
            self._find_fault(arrival, now, "the task made no request")

    def never_sent(self, book: Book, arrival: Arrival, now: float) -> None:
        """Enter an arrival that is given up before it has made a request."""
        book.landed(_none_of(arrival, now), "unfinished", now, "no request was made until now")

    def give_up(self, book: Book, now: float) -> None:
        """Enter what is still under way, at its age."""
        for flight in self.up.values():
            book.landed(flight, "unfinished", now, "still under way")

    def _watched(self, request: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(request)
        def call(session: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
            arrival = current()
            name = kwargs.get("name") or getattr(session, "request_name", None) or url
            flight = self._take_off(arrival, method, name)
            kwargs["headers"] = self._headers(flight, kwargs.get("headers"))
            try:
                answer = request(session, method, url, *args, **kwargs)
            except GreenletExit:
                raise
            except BaseException as error:
                if arrival.flight is flight:  # nobody has reported it
                    self._land(arrival, flight, outcome_of(error), self.clock(), repr(error))
                raise
            flight.returned = self.clock()
            return answer

        return call

    def _take_off(self, arrival: Arrival, method: str, name: str) -> Flight:
        now = self.clock()
        if arrival.flight is not None:
            self._land(arrival, arrival.flight, "failed", now, _UNREPORTED)
        flight = arrival.flight = _flight_of(arrival, method, name, now)
        flight.trace_id = f"{random.getrandbits(_TRACE_BITS):032x}"
        arrival.took_off()
        self.up[id(flight)] = flight
        return flight

    def _headers(self, flight: Flight, own: Mapping[str, str] | None) -> dict[str, str]:
        """Return what a request sends along, its own headers last."""
        span = f"{random.getrandbits(_SPAN_BITS):016x}"
        headers = {"traceparent": f"00-{flight.trace_id}-{span}-01", MARKER: "load"}
        headers.update(self.headers.get(flight.arm, ()))
        headers.update(own or ())
        return headers

    def _reported(
        self, request_type: str, name: str, response_time: float | None, exception: object = None, **_: object
    ) -> None:
        now, arrival = self.clock(), current()
        flight = arrival.flight
        if flight is None:  # a client of the locustfile's own
            flight = _flight_of(arrival, request_type, name, now - (response_time or 0.0) / 1000)
            arrival.took_off()
        flight.method, flight.name = request_type, name
        ended = now if flight.returned is None else flight.returned  # what it says itself may be anything
        outcome = "ok" if exception is None else outcome_of(exception)
        self._land(arrival, flight, outcome, ended, "" if exception is None else str(exception))

    def _find_fault(self, arrival: Arrival, now: float, text: str) -> None:
        """Let an arrival fail for another reason than its requests."""
        arrival.took_off()
        self._land(arrival, _none_of(arrival, now), "failed", now, text)

    def _land(self, arrival: Arrival, flight: Flight, outcome: Outcome, ended: float, text: str) -> None:
        self.up.pop(id(flight), None)
        arrival.flight = None
        arrival.landed(failed=outcome != "ok")
        self.book.landed(flight, outcome, ended, text)


def _repeat_no_request() -> None:
    """Let Locust's quick client report a connection that was closed, instead of asking again until it is answered."""
    pool: Any = ConnectionPool
    begin = pool.__init__

    @functools.wraps(begin)
    def begin_without(self: ConnectionPool, *args: Any, **kwargs: Any) -> None:
        begin(self, *args, **kwargs)
        self.size = -1  # as often and once more are requests repeated; the pool itself has taken its measure

    pool.__init__ = begin_without
    FastHttpUser.max_retries = 0  # older ones have 1


def current() -> Arrival:
    """Return the arrival that the running greenlet serves; a closed user has one for all its life."""
    greenlet = getcurrent()
    arrival: Arrival | None = getattr(greenlet, "rollout_arrival", None)
    if arrival is None:
        arrival = greenlet.rollout_arrival = _arrival_for(greenlet)
    return arrival


def _started(greenlet: Greenlet) -> None:
    """Note that a task has started a greenlet."""
    arrival: Arrival | None = getattr(getcurrent(), "rollout_arrival", None)
    while arrival is not None:
        if arrival.open:
            arrival.started.append(greenlet)
        arrival = arrival.parent


def _arrival_for(greenlet: Any) -> Arrival:
    """Return an arrival for a greenlet that has none: what a task has started serves the task's."""
    above: Arrival | None = (getattr(greenlet, "spawn_tree_locals", None) or {}).get(_TREE)
    if above is None:
        return Arrival("", 0.0, open=False)
    return Arrival(above.name, above.intended, above.arm, requests=above.requests, parent=above)


def outcome_of(error: object) -> Outcome:
    """Return how a request ended that raised an error."""
    wrapped = getattr(error, "original", None)  # geventhttpclient's way
    kinds = (*type(error).__mro__, *type(wrapped).__mro__)
    return "timeout" if any("Timeout" in kind.__name__ for kind in kinds) else "failed"


def _flight_of(arrival: Arrival, method: str, name: str, sent: float) -> Flight:
    """Return a request; the first one of an open arrival is late by as much as the arrival is."""
    intended = arrival.intended if arrival.open and not arrival.requests else sent
    return Flight(
        method, name, intended, sent, arrival.intended if arrival.open else sent, arrival.open, arm=arrival.arm
    )


def _none_of(arrival: Arrival, now: float) -> Flight:
    return _flight_of(arrival, "TASK", f"{arrival.name} without a request", now)
