"""Who takes part in a run: one process alone, or a master and its workers."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
from locust import User, task
from locust.runners import MasterRunner, WorkerRunner

from pytest_rollout.load.injected.attendant import Attendant
from pytest_rollout.load.injected.open_arrivals import UnusableLocustfileError
from pytest_rollout.load.order import REFUSAL, RESULT, SCHEMA, SO_FAR, VARIABLE, LoadOrder

_MARGIN = 10.0
"""Seconds after which a run that should be over is ended, by the kernel if need be."""
_POLL = 0.05
_LOOKING = 0.002
"""Share of the time that may go into saying what was seen so far, which takes longer the more it is."""
_ORDER, _PART, _SO_FAR, _REFUSAL = "rollout_order", "rollout_part", "rollout_so_far", "rollout_refusal"


class Idle(User):
    """Stands for the users whom Locust would have started: arrivals are served by others."""

    @task
    def wait_for_the_end(self) -> None:
        """Do nothing."""
        gevent.sleep(86400)


class Desk:
    """Where parts come in, and the result goes out, once."""

    def __init__(self, environment: Any, order: LoadOrder, folder: Path) -> None:
        self._runner = environment.runner
        self._order = order
        self._folder = folder
        self._written = False
        self.parts: list[dict[str, Any]] = []
        self._so_far: dict[int, dict[str, Any]] = {}

    def close(self) -> None:
        """Write the result and end Locust."""
        self.write()
        self._runner.quit()

    def write(self) -> None:
        """Write the result, if it was not written."""
        if self._written:
            return
        self._written = True
        self._put(RESULT, self.parts or list(self._so_far.values()))

    def look(self, part: dict[str, Any]) -> None:
        """Write what was seen so far, once every process has said it."""
        self._so_far[part["share"]] = part
        if len(self._so_far) == self._order.processes and not self._written:
            self._put(SO_FAR, list(self._so_far.values()))

    def _put(self, name: str, parts: list[dict[str, Any]]) -> None:
        document = {
            "schema_version": SCHEMA,
            "asked": self._order.shown(),
            "locustfile_sha256": _sha256(self._order.locustfile),
            "argv": sys.argv,
            "parts": parts,
        }
        gevent.get_hub().threadpool.apply(lambda: _write_whole(self._folder / name, json.dumps(document)))

    def refuse(self, why: str) -> None:
        """Say why there is no result, and end Locust."""
        self._written = True
        _write_whole(self._folder / REFUSAL, why)
        self._runner.quit()


def attend(environment: Any) -> None:
    """Take part in the run that Locust is about to start."""
    classes: list[type[User]] = list(environment.user_classes)
    environment.shape_class = None  # the order says how many there are
    environment.user_classes = [*classes, Idle]
    if isinstance(environment.runner, WorkerRunner):
        _work(environment, classes)
        return
    path = Path(os.environ[VARIABLE])
    order = LoadOrder.from_json(path.read_text())
    path.unlink()  # it may hold headers that are nobody's business
    environment.host = order.host  # not on the command line, which everybody can read
    environment.user_classes = classes if order.rate is None else [Idle]
    gevent.spawn(_end_with_parent, os.getppid())
    desk = Desk(environment, order, path.parent)
    (_lead if isinstance(environment.runner, MasterRunner) else _alone)(environment, order, desk, classes)


def _alone(environment: Any, order: LoadOrder, desk: Desk, classes: list[type[User]]) -> None:
    """Be the only process."""
    attendants: list[Attendant] = []

    def start(**_: object) -> None:
        _end_in_time(order)
        try:
            attendants.append(Attendant(environment, order, 0, classes))
        except Exception as error:  # noqa: BLE001 - Locust would go on without us
            gevent.spawn(desk.refuse, _why(error))
        else:
            gevent.spawn(perform)
            _look_now_and_then(order, attendants[0], desk.look)

    def perform() -> None:
        try:
            desk.parts.append(attendants[0].run())
        except Exception as error:  # noqa: BLE001 - as above
            desk.refuse(_why(error))
        else:
            desk.close()

    def quitting(**_: object) -> None:
        if attendants and not desk.parts:
            desk.parts.append(attendants[0].cut_short("Locust was stopped"))
        desk.write()

    environment.events.test_start.add_listener(start)
    environment.events.quitting.add_listener(quitting)


def _work(environment: Any, classes: list[type[User]]) -> None:
    """Be a worker: do what the master's order says, and send it what was seen."""
    runner = environment.runner
    orders: list[LoadOrder] = []
    attendants: list[Attendant] = []

    def begin(msg: Any, **_: object) -> None:
        order, share = LoadOrder.from_json(msg.data["order"]), msg.data["share"]
        orders.append(order)
        _end_in_time(order)
        try:
            _expect_locustfile(environment.parsed_options.locustfile, msg.data["sha256"])
            attendants.append(Attendant(environment, order, share, classes))
        except Exception as error:  # noqa: BLE001 - Locust would go on without us
            runner.send_message(_REFUSAL, _why(error))

    def perform() -> None:
        try:
            runner.send_message(_PART, attendants[0].run())
        except Exception as error:  # noqa: BLE001 - Locust would go on without us
            runner.send_message(_REFUSAL, _why(error))

    def start(**_: object) -> None:
        if attendants:
            gevent.spawn(perform)
            _look_now_and_then(orders[0], attendants[0], lambda part: runner.send_message(_SO_FAR, part))

    runner.register_message(_ORDER, begin)
    environment.events.test_start.add_listener(start)


def _lead(environment: Any, order: LoadOrder, desk: Desk, _classes: list[type[User]]) -> None:
    """Be the master: give every worker its share, and wait until all have reported."""
    runner = environment.runner

    def start(**_: object) -> None:
        _end_in_time(order)
        known = _sha256(order.locustfile)
        for share, client in enumerate(sorted(runner.clients)[: order.workers]):
            runner.send_message(_ORDER, {"order": order.to_json(), "share": share, "sha256": known}, client)
        gevent.spawn(wait)

    def wait() -> None:
        with gevent.Timeout(order.limit + _MARGIN / 2, exception=False):
            while len(desk.parts) + len(runner.clients.missing) < order.workers:
                gevent.sleep(_POLL)
        desk.close()

    runner.register_message(_PART, lambda msg, **_: desk.parts.append(msg.data))
    runner.register_message(_SO_FAR, lambda msg, **_: desk.look(msg.data))
    runner.register_message(_REFUSAL, lambda msg, **_: gevent.spawn(desk.refuse, msg.data))
    environment.events.test_start.add_listener(start)
    environment.events.quitting.add_listener(lambda **_: desk.write())


def _why(error: Exception) -> str:
    return str(error) if isinstance(error, UnusableLocustfileError) else f"{type(error).__name__}: {error}"


def _expect_locustfile(loaded: str, sha256: str) -> None:
    """Raise UnusableLocustfileError if a worker has loaded another one (the first of a list) than the master."""
    if _sha256(loaded.split(",", maxsplit=1)[0]) != sha256:
        raise UnusableLocustfileError(
            f"the worker {platform.node()} has another locustfile than the master; copy the master's there"
        )


def _sha256(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _look_now_and_then(order: LoadOrder, attendant: Attendant, tell: Callable[[dict[str, Any]], None]) -> None:
    def look() -> None:
        took = 0.0
        while True:
            gevent.sleep(max(order.look_every, took / _LOOKING))
            began = time.monotonic()
            tell(attendant.so_far())
            took = time.monotonic() - began

    if order.look_every:
        gevent.spawn(look)


def _end_in_time(order: LoadOrder) -> None:
    """Be ended by the kernel if this process does not end by itself, whatever it is busy with."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, order.limit + _MARGIN)


def _end_with_parent(parent: int) -> None:
    """End when the process that wanted the load has gone."""
    while os.getppid() == parent:
        gevent.sleep(0.5)
    os._exit(1)


def _write_whole(path: Path, text: str) -> None:
    """Write a file so that nobody sees a part of it."""
    partial = path.with_suffix(".part")
    partial.write_text(text)
    partial.replace(path)
