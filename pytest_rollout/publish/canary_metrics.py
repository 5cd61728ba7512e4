"""What became of a canary's slots, as metrics: they tell when a canary stops, which no green light does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from pytest_rollout.evidence.record import Place
from pytest_rollout.judge.history import CanaryRun
from pytest_rollout.judge.slot import Slot, SlotState
from pytest_rollout.publish.pushgateway import Group, Metric

RECENT = 86400.0
"""How many seconds `rollout_canary_slots` looks back; scaled as every duration of a plan."""


def canary_group(place: Place, slots: Sequence[Slot], runs: Sequence[CanaryRun]) -> Group:
    """Return the metrics of one canary, to be sent after each of its slots, also one that was not run.

    ``slots`` are those of the last `RECENT` seconds, at least one; ``runs`` has the attempts of the newest of them.
    docs/metrics.md says what each metric means.
    """
    labels = {"instance": place.environment, "rollout": place.rollout, "canary": slots[0].canary}
    return Group(labels, tuple(_metrics(slots, runs)))


def _metrics(slots: Sequence[Slot], runs: Sequence[CanaryRun]) -> Iterator[Metric]:
    newest = max(slots, key=lambda slot: slot.at)
    seen = Counter(slot.state for slot in slots)
    yield (
        "rollout_canary_state",
        "1 for the state of the newest slot, else 0.",
        ("state",),
        [((state.value,), float(state is newest.state)) for state in SlotState],
    )
    yield (
        "rollout_canary_slots",
        "Slots of the last 24 hours by state.",
        ("state",),
        [((state.value,), float(seen[state])) for state in SlotState],
    )
    yield "rollout_canary_slot_timestamp_seconds", "Time of the newest slot.", (), [((), newest.at)]
    yield "rollout_canary_duration_seconds", "How long the newest slot's run took.", (), [((), _took(newest, runs))]
    ends = [slot.ended_at for slot in slots if slot.runs]
    successes = [slot.ended_at for slot in slots if slot.state is SlotState.OK]
    # Left out if there was none lately, so that POST keeps the older time.
    if ends:
        yield "rollout_canary_last_run_timestamp_seconds", "When the last run ended.", (), [((), max(ends))]
    if successes:
        yield (
            "rollout_canary_last_success_timestamp_seconds",
            "When the last slot that is ok ended.",
            (),
            [((), max(successes))],
        )


def _took(slot: Slot, runs: Sequence[CanaryRun]) -> float | None:
    """Return the seconds from the begin of the slot's first attempt to the end of its last; None if it was not run."""
    own = [run for run in runs if run.run_id in slot.runs]
    return max(run.ended_at for run in own) - min(run.started_at for run in own) if own else None
