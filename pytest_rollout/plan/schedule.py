"""How often a canary runs by itself, and when it does not."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from pytest_rollout.plan.strict import Duration, Strict, wrong


def _moment(text: object) -> float:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError(f"{text!r} is not a moment with a UTC offset; write 2025-09-26T14:30:00+00:00")
    return moment.timestamp()


Moment = Annotated[float, BeforeValidator(_moment)]


class Maintenance(Strict):
    """A stretch of time in which slots are suppressed: they prove nothing, and nobody is woken up."""

    since: Moment
    until: Moment
    reason: str = Field(min_length=1)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.until <= self.since:
            raise wrong("until", "maintenance must end after it begins")
        return self


class Schedule(Strict):
    """A canary that runs once in every period."""

    every: Duration
    deadline: Duration = 120.0
    """How long one run may take; not scaled, but never longer than a slot."""
    retries: int = Field(default=0, ge=0, le=3, strict=True)
    """Further attempts after a fault of the transport, before any side effect."""
    catch_up: Literal["skip", "latest"] = "skip"
    """``latest``: after a pause the newest missed slot is run late. Never for what has side effects.

    A late pass shows that all is well again; it is no pass of its slot, whose time is over.
    """
    grace: Duration = 300.0
    """How much later than due a run may be before the dead-man alert fires."""
    maintenance: tuple[Maintenance, ...] = ()

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.every <= 0:
            raise wrong("every", "a period must be longer than nothing")
        if not 0 < self.deadline < self.every:
            raise wrong("deadline", "a run must end before the next slot: give a deadline shorter than 'every'")
        return self

    def suppressed(self, at: float) -> Maintenance | None:
        """Return the maintenance that a slot's time lies in, if any."""
        return next((one for one in self.maintenance if one.since <= at < one.until), None)
