"""What was observed of a target in one mode: answers, and what proves that they count. Values only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from pytest_rollout.golden.deltas import MetricReadings
from pytest_rollout.golden.wire import Reply

When = Literal["before", "after"]


@dataclass(frozen=True, slots=True)
class Witness:
    """An answer of one instance to what proves its identity or its mode, before or after the cases."""

    instance: str
    question: str
    """``identity``, or ``mode 0``, ``mode 1``, ... for the confirmations in their order."""
    when: When
    reply: Reply | None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class StateReadings:
    """The endpoint's state reads around one request, in the order of the endpoint; None where a read failed."""

    control: tuple[Reply | None, ...]
    """Some time before ``before``: between the two nothing may change."""
    before: tuple[Reply | None, ...]
    after: tuple[Reply | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One request of a case to one instance, and all that was read around it."""

    case: str
    instance: str
    sent_at: float
    """Unix seconds."""
    reply: Reply | None
    fault: str = ""
    """Why there is no answer."""
    confirmed: Reply | None = None
    """What the instance said of its mode right afterwards."""
    metrics: MetricReadings | None = None
    state: StateReadings | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Everything observed in one mode, between two proofs that the instances were in it."""

    mode: str
    observations: tuple[Observation, ...] = ()
    witnesses: tuple[Witness, ...] = ()
    repeats: int = 1
    """How often each case was to be sent to each instance."""
    openapi: Reply | None = None
    fault: str = ""
    """Why the cases were not sent."""

    def of(self, case: str) -> tuple[Observation, ...]:
        """Return the observations of a case."""
        return tuple(one for one in self.observations if one.case == case)

    def only(self, cases: Iterable[str]) -> Batch:
        """Return the batch with the observations of some cases."""
        wanted = set(cases)
        return replace(self, observations=tuple(one for one in self.observations if one.case in wanted))
