"""What a canary's test knows of the attempt that it is a part of: slot, number, keys, deadline."""

from __future__ import annotations

import os
import secrets
import time
import uuid
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One attempt of one canary, for the slot it was started for, if any."""

    canary: str
    run_id: str
    slot: float | None = None
    """Unix seconds."""
    number: int = 1
    ends_at: float | None = None
    """Monotonic clock: when the inner deadline is met."""
    traceparent: str = field(default_factory=lambda: f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01")
    """W3C Trace Context: a trace of its own, sampled."""
    side_effect: bool = field(default=False, init=False)
    """Whether something may have changed in the system by now."""

    @property
    def key(self) -> str:
        """The idempotency key: the same for no two attempts of any slot."""
        occasion = self.run_id if self.slot is None else f"{self.slot:.3f}".rstrip("0").rstrip(".")
        return f"{self.canary}-{occasion}-{self.number}"

    @property
    def trace_id(self) -> str:
        """The trace that the attempt's requests belong to."""
        return self.traceparent.split("-")[1]

    def remaining(self) -> float | None:
        """Return the seconds until the inner deadline; None if there is none."""
        return None if self.ends_at is None else max(self.ends_at - time.monotonic(), 0.0)

    def begin_side_effect(self) -> None:
        """Say that the next request may change something: from now on this attempt is not repeated."""
        self.side_effect = True


def attempt_of(canary: str) -> Attempt:
    """Return the attempt that this process was started for, or one of its own if a person started it."""
    from pytest_rollout.canary import ATTEMPT_VARIABLE, RUN_VARIABLE, SLOT_VARIABLE
    from pytest_rollout.plugin.deadline import inner_end

    told = os.environ
    return Attempt(
        canary=canary,
        run_id=told.get(RUN_VARIABLE) or uuid.uuid4().hex,
        slot=float(told[SLOT_VARIABLE]) if told.get(SLOT_VARIABLE) else None,
        number=int(told.get(ATTEMPT_VARIABLE) or 1),
        ends_at=inner_end(told),
    )
