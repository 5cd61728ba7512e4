"""Slots of a canary: one for each period, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class SlotState(StrEnum):
    """How a slot ended; each slot ends in exactly one of these."""

    OK = "ok"
    FAILED = "failed"
    """The system did not do what it should."""
    ERROR = "error"
    """The instrument broke, or its scheduler was killed: nothing is known."""
    FLAKY = "flaky"
    """It passed, but only after a fault of the transport before any side effect."""
    MISSED = "missed"
    """Nobody ran it in its time."""
    OVERRAN = "overran"
    """It met its deadline."""
    SKIPPED_OVERLAP = "skipped-overlap"
    """Its time came while the canary was still running."""
    SUPPRESSED = "suppressed"
    """Its time lies in a maintenance window of the plan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One slot of one canary, as it ended. Times in unix seconds."""

    canary: str
    at: float
    """The slot's time: a multiple of ``every``, whenever it really began."""
    every: float
    """Seconds from one slot to the next, as they were here (scaled)."""
    state: SlotState
    ended_at: float
    message: str = ""
    plan: str = ""
    """Digest of the plan it was run under."""
    flags: Mapping[str, bool | None] = field(default_factory=dict)
    """``FLAG@cohort`` as read around the run; None if it could not be evaluated."""
    runs: tuple[str, ...] = ()
    """Ids of its attempts, oldest first."""
    attachments: tuple[str, ...] = ()
