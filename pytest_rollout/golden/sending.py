"""Send the cases of one mode, and read what is around each: metrics without a gap, and state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from pytest_rollout.golden.asking import POLL, Asker, question_of
from pytest_rollout.golden.chain import covers
from pytest_rollout.golden.corpus import GoldenCase
from pytest_rollout.golden.deltas import MetricReadings, rose_by
from pytest_rollout.golden.endpoint import MetricSource
from pytest_rollout.golden.observation import Observation, StateReadings
from pytest_rollout.golden.resolve import request_object
from pytest_rollout.golden.wire import Reply, raw_request


@dataclass(frozen=True, slots=True)
class _Open:
    """An observation whose last reading of the metrics is still to come."""

    place: int
    after: Reply | None
    reached: float
    """When ``after`` was read."""


@dataclass(frozen=True, slots=True)
class _Control:
    """What nothing is to change until the next case is sent: readings by instance, and when they were taken."""

    metrics: Mapping[str, tuple[Reply | None, float]]
    state: tuple[Reply | None, ...]
    at: float


class Sender:
    """Sends cases in one mode to every instance.

    The metrics of an instance are watched from a while before the first case to a while after the last, and read
    between any two: so all cases share the waiting (see chain.py). So do those that look at the state. Both kinds
    come first.
    """

    def __init__(self, asker: Asker, mode: str) -> None:
        self.asker = asker
        self.mode = mode
        self.world = asker.world
        self.endpoint = asker.endpoint
        self.seen: list[Observation] = []
        self._open: dict[str, _Open] = {}
        self._last: Mapping[str, int] = {}
        self._control: _Control | None = None
        self._state_after: tuple[Reply | None, ...] | None = None
        """The state as the last request left it."""

    def send_all(self, cases: Iterable[GoldenCase]) -> None:
        """Send every case once to every instance."""
        for case in sorted(cases, key=lambda one: (not self._rises(one), not self._looks(one))):
            controls = self._controls(case)
            for instance in self.asker.site.instances:
                self._observe(case, instance, controls.get(instance))
        self._close()

    def begin(self) -> None:
        """Take the readings that nothing is to change until the first case; the time from here counts."""
        source, places = self.endpoint.metrics, self.asker.site.instances
        metrics = {name: (self.asker.read(name, source.path), self.world.clock()) for name in places} if source else {}
        self._control = _Control(metrics, self._state(places[0]), self.world.clock())

    def _rises(self, case: GoldenCase) -> Mapping[str, int]:
        return case.case.expect[self.mode].metrics if self.endpoint.metrics else {}

    def _looks(self, case: GoldenCase) -> bool:
        """Whether the state is looked at, before and after."""
        return case.case.expect[self.mode].side_effect is not None

    # --- before a case ----------------------------------------------------------------------------------------

    def _controls(self, case: GoldenCase) -> Mapping[str, tuple[Reply | None, float]]:
        """Return by instance the reading before which nothing is to move, and when it was taken.

        Waits if nothing was watched until now.
        """
        rises = self._rises(case)
        if self._open and not (rises and covers(rises, self._last) and covers(self._last, rises)):
            self._close()
        self._last = rises
        if (rises and not self._open) or (self._looks(case) and self._state_after is None):
            self._wait()
        if self._open:
            return {instance: (one.after, one.reached) for instance, one in self._open.items()}
        return self._control.metrics if rises and self._control else {}

    def _wait(self) -> None:
        """Have it watched for long enough that nobody changes anything."""
        if self._control is None:
            self.begin()
        watched = self.world.clock() - self._control.at if self._control else 0.0
        wanted = self.endpoint.metrics.control if self.endpoint.metrics else 0.0
        if watched < wanted:
            self.world.sleep(wanted - watched)

    # --- after a case -----------------------------------------------------------------------------------------

    def _close(self) -> None:
        """Read once more when nothing should move any more."""
        source = self.endpoint.metrics
        if not self._open or source is None:
            return
        self.world.sleep(source.hold)
        for instance in list(self._open):
            self._hold(instance, self.asker.read(instance, source.path))

    def _hold(self, instance: str, reading: Reply | None) -> None:
        """Give the open observation of an instance its last reading."""
        if (one := self._open.pop(instance, None)) is None:
            return
        seen = self.seen[one.place]
        if seen.metrics is not None:
            kept = replace(seen.metrics, held=reading, kept=self.world.clock() - one.reached)
            self.seen[one.place] = replace(seen, metrics=kept)

    def _settled(self, instance: str, source: MetricSource, rises: Mapping[str, int], before: Reply) -> Reply | None:
        """Read until the rise is there or its time is over."""
        after = None
        for after in self._polled(instance, source):
            if after is not None and all(_risen(name, rise, before, after) for name, rise in rises.items()):
                break
        return after

    def _polled(self, instance: str, source: MetricSource) -> Iterator[Reply | None]:
        until = self.world.clock() + source.settle
        yield self.asker.read(instance, source.path)
        while self.world.clock() < until:
            self.world.sleep(POLL)
            yield self.asker.read(instance, source.path)

    # --- one case ---------------------------------------------------------------------------------------------

    def _observe(self, case: GoldenCase, instance: str, control: tuple[Reply | None, float] | None) -> None:
        source, rises, looks = self.endpoint.metrics, self._rises(case), self._looks(case)
        state_control = self._state_after if self._control is None else self._control.state
        before, at = None, 0.0
        if control is not None and source is not None:
            before, at = self.asker.read(instance, source.path), self.world.clock()
            self._hold(instance, before)
        state_before = self._state(instance) if looks else ()
        seen = self._sent(case, instance)
        self._control, self._state_after = None, self._state(instance) if looks else None
        if looks:
            seen = replace(seen, state=StateReadings(state_control or (), state_before, self._state_after or ()))
        if control is not None and source is not None:
            readings = MetricReadings(control[0], before, quiet=at - control[1], explained=rises)
            if before is not None:
                after = self._settled(instance, source, rises, before)
                reached = self.world.clock()
                readings = replace(readings, after=after, took=reached - at)
                self._open[instance] = _Open(len(self.seen), after, reached)
            seen = replace(seen, metrics=readings)
        self.seen.append(seen)

    def _sent(self, case: GoldenCase, instance: str) -> Observation:
        common = self.asker.common_headers(self.mode)
        request = raw_request(self.endpoint.request, request_object(case.request), common)
        sent_at = self.world.clock()
        reply, fault = self.asker.send(instance, request)
        place = self.endpoint.told_between
        asked = None if place is None else question_of(self.endpoint.mode.confirm[place])
        told = self.asker.ask(instance, asked, self.mode)[0] if asked else None
        return Observation(case=case.id, instance=instance, sent_at=sent_at, reply=reply, fault=fault, confirmed=told)

    def _state(self, instance: str) -> tuple[Reply | None, ...]:
        return tuple(self.asker.read(instance, one.path) for one in self.endpoint.state)


def _risen(selector: str, rise: int, before: Reply, after: Reply) -> bool:
    risen = rose_by(selector, before, after)
    return risen is not None and risen >= rise
