"""Slots of a canary: one for each period, and what became of it."""

from __future__ import annotations

import math
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
    """The slot's time: a multiple of ``every``."""
    every: float
    """Seconds from one slot to the next, as they were here (scaled)."""
    state: SlotState
    ended_at: float
    began_at: float | None = None
    """When its run really began; None if that is not known."""
    message: str = ""
    plan: str = ""
    """Digest of the plan it was run under."""
    flags: Mapping[str, bool | str | None] = field(default_factory=dict)
    """``FLAG@cohort`` as read around the run; None if it could not be evaluated."""
    runs: tuple[str, ...] = ()
    """Ids of its attempts, oldest first."""
    attachments: tuple[str, ...] = ()


def slot_number(at: float, every: float) -> int:
    """Return the number of the slot at a time: slot k is at ``k * every``."""
    return round(at / every)


def newest_number(now: float, every: float) -> int:
    """Return the number of the newest slot whose time has come."""
    number = slot_number(now, every)
    return number if number * every <= now else number - 1


def slots_in_a_row(passes: int, across: float, every: float) -> int:
    """Return how many adjacent slots have so many passes, the first and the last at least ``across`` seconds apart."""
    return max(passes, math.ceil(across / every - 1e-9) + 1)
