"""Whether a request changed what the endpoint's state reads show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from pytest_rollout.golden.endpoint import StateRead
from pytest_rollout.golden.exact import MISSING, equal
from pytest_rollout.golden.finding import Finding, doubt, shown
from pytest_rollout.golden.observation import StateReadings
from pytest_rollout.golden.pointer import lookup, parse_pointer
from pytest_rollout.golden.wire import Reply
from pytest_rollout.verdict import Reason

_GOOD = range(200, 300)


def state_findings(
    effect: Literal["none", "some"], reads: Sequence[StateRead], readings: StateReadings | None
) -> Iterator[Finding]:
    """Yield what speaks against the side effect that a case expects."""
    changed = False
    for place, read in enumerate(reads):
        values = [_value(read, side, place) for side in _sides(readings)]
        pointer = f"#state{read.path}"
        if any(value is MISSING for value in values):
            wanted = "JSON from the state read, three times"
            yield doubt(pointer, Reason.NO_DATA, wanted, "no answer, a part of one, or nothing at the pointer", "state")
            return
        control, before, after = values
        if not equal(control, before):
            yield doubt(
                pointer, Reason.NOT_EXCLUSIVE, "a state that nobody else changes", "it changed by itself", "control"
            )
        elif not equal(before, after):
            changed = True
            if effect == "none":
                yield Finding(
                    pointer=pointer, kind="side-effect", expected=shown(before), actual=shown(after), rule="none"
                )
    if effect == "some" and not changed:
        yield Finding(pointer="#state", kind="side-effect", expected="a change", actual="the same state", rule="some")


def _sides(readings: StateReadings | None) -> tuple[tuple[Reply | None, ...], ...]:
    return (readings.control, readings.before, readings.after) if readings else ((), (), ())


def _value(read: StateRead, side: Sequence[Reply | None], place: int) -> Any:
    reply = side[place] if place < len(side) else None
    if reply is None or not reply.whole or reply.status not in _GOOD:
        return MISSING
    return lookup(reply.json_or_missing(), parse_pointer(read.pointer))
