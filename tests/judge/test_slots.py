"""Slots of a canary: what a row and a window of them prove, and what stands in the way.

A line of slots is drawn with a letter for each quarter of an hour from noon on; a dot has no record.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

import pytest

from pytest_rollout.judge.history import Conditions, Passes
from pytest_rollout.judge.slot import Slot, SlotState
from pytest_rollout.judge.slots import Census, Terms, judge_slots
from pytest_rollout.verdict import CheckResult, Reason, Verdict

NOON = 1_795_262_400.0
"""2026-11-21T12:00:00Z."""
EVERY = 900.0
HERE = Conditions("p1", {"PAY@*": True})
TERMS = Terms(EVERY, HERE)
FIVE, SPREAD = Passes(5, 0.0), Passes(2, 1800.0)
TWO_HOURS, MOST = Census(1.0, 7200.0), Census(0.75, 7200.0)
PASSED, BREACHED, INCONCLUSIVE, ERROR = Verdict
STATES = {
    "o": SlotState.OK,
    "f": SlotState.FAILED,
    "e": SlotState.ERROR,
    "y": SlotState.FLAKY,
    "m": SlotState.MISSED,
    "v": SlotState.OVERRAN,
    "s": SlotState.SKIPPED_OVERLAP,
    "u": SlotState.SUPPRESSED,
}
SAID = {"f": "HTTP 500", "e": "no browser", "v": "deadline of 2 min", "u": "disks", "s": "slot 11:45 ran"}


def slot(letter: str, at: float) -> Slot:
    """Return a slot; ``p``, ``q`` and ``x`` are of another plan, ``d`` and ``?`` have another flag."""
    state = STATES.get({"p": "o", "q": "y", "x": "f", "d": "o", "?": "o"}.get(letter, letter), SlotState.OK)
    return Slot(
        canary="pay",
        at=at,
        every=EVERY,
        state=state,
        ended_at=at + 20,
        began_at=at,
        message=SAID.get(letter, ""),
        plan="p2" if letter in "pqx" else "p1",
        flags={"PAY@*": {"d": False, "?": None}.get(letter, True)},
        attachments=(f"{at - NOON:g}.png",),
    )


def drawn(line: str) -> list[Slot]:
    return [slot(letter, NOON + EVERY * place) for place, letter in enumerate(line) if letter != "."]


def judged(
    line: str, wanted: Passes | Census = FIVE, *, flaky: int = 0, since: float = NOON - 1, late: float = 60.0
) -> CheckResult:
    """Return the result a minute after the time of the last slot of a line."""
    now = NOON + EVERY * (len(line) - 1) + late
    forth, back = drawn(line), drawn(line)[::-1]
    terms = replace(TERMS, flaky=flaky)
    result = judge_slots(forth, wanted, terms, since, now)
    assert judge_slots(back, wanted, terms, since, now) == result
    return result


def at(time: str) -> str:
    return f"slot 2026-11-21T{time}:00Z"


NEXT = "next slot in 14 min"
RUNNING = "is `rollout watch` running?"
MIN = 60.0

Expected: TypeAlias = tuple[Verdict, Reason, str, float | None]
"""Verdict, reason, message, and seconds until it can be decided."""


def passed(message: str) -> Expected:
    return PASSED, Reason.WITHIN_LIMIT, message, None


def failed(message: str) -> Expected:
    return BREACHED, Reason.CANARY_FAILED, message, None


def broken(message: str) -> Expected:
    return ERROR, Reason.CANARY_ERROR, message, None


def few(message: str, minutes: float) -> Expected:
    return INCONCLUSIVE, Reason.TOO_FEW_PASSES, message, minutes * MIN


def missed(message: str, minutes: float) -> Expected:
    return INCONCLUSIVE, Reason.SLOT_MISSED, message, minutes * MIN


ROWS: dict[str, tuple[str, int, Expected]] = {
    "five": ("ooooo", 0, passed("passed 5 of 5 slots in a row")),
    "seven": ("ooooooo", 0, passed("passed 7 of 5 slots in a row")),
    "failed before": ("foooooo", 0, passed("passed 6 of 5 slots in a row")),
    "nothing before": (".ooooo", 0, passed("passed 5 of 5 slots in a row")),
    "four": ("oooo", 0, few(f"passed 4 of 5 slots in a row; {NEXT}", 14)),
    "one": ("o", 0, few(f"passed 1 of 5 slots in a row; {NEXT}", 59)),
    "the slot of now is open": ("ooooo.", 0, few(f"passed 5 of 5 slots in a row; {at('13:15')} is still open", 0.0)),
    "the first slot is open": (".", 0, few(f"passed 0 of 5 slots in a row; {at('12:00')} is still open", 59)),
    "failed last": ("oooof", 0, failed(f"{at('13:00')} failed: HTTP 500")),
    "failed, and the slot of now is open": ("oooof.", 0, failed(f"{at('13:00')} failed: HTTP 500")),
    "failed, and nobody ran it again": ("oof..m", 0, failed(f"{at('12:30')} failed: HTTP 500")),
    "failed, then maintenance": ("ofu", 0, failed(f"{at('12:15')} failed: HTTP 500")),
    "failed, then passed": (
        "oofoo",
        0,
        few(f"passed 2 of 5 slots in a row; {at('12:30')} failed: HTTP 500; {NEXT}", 44),
    ),
    "failed under another plan": (
        "oooox",
        0,
        few(f"passed 0 of 5 slots in a row; {at('13:00')} was run under another plan version; {NEXT}", 74),
    ),
    "in error last": ("ooooe", 0, broken(f"{at('13:00')} ended in error: no browser")),
    "overran last": ("oooov", 0, broken(f"{at('13:00')} overran: deadline of 2 min")),
    "in error, then nobody ran it": (
        "oooe..",
        0,
        missed(f"passed 0 of 5 slots in a row; {at('13:00')} was missed; {at('13:15')} is still open; {RUNNING}", 59),
    ),
    "in error before": (
        "eoooo",
        0,
        few(f"passed 4 of 5 slots in a row; {at('12:00')} ended in error: no browser; {NEXT}", 14),
    ),
    "missed last": (
        "ooooom",
        0,
        missed(f"passed 0 of 5 slots in a row; {at('13:15')} was missed; {NEXT}; {RUNNING}", 74),
    ),
    "not recorded, and over": (
        "ooooo..",
        0,
        missed(f"passed 0 of 5 slots in a row; {at('13:15')} was missed; {at('13:30')} is still open; {RUNNING}", 59),
    ),
    "not recorded in between": ("oo.oo", 0, few(f"passed 2 of 5 slots in a row; {at('12:30')} was missed; {NEXT}", 44)),
    "skipped": ("ooos", 0, few(f"passed 0 of 5 slots in a row; {at('12:45')} was skipped: slot 11:45 ran; {NEXT}", 74)),
    "in maintenance": (
        "ooouo",
        0,
        few(f"passed 1 of 5 slots in a row; {at('12:45')} was suppressed: disks; {NEXT}", 59),
    ),
    "under another plan": (
        "oopoo",
        0,
        few(f"passed 2 of 5 slots in a row; {at('12:30')} was run under another plan version; {NEXT}", 44),
    ),
    "while the flag was off": (
        "ood",
        0,
        few(f"passed 0 of 5 slots in a row; {at('12:30')} was run while PAY@* was False; {NEXT}", 74),
    ),
    "while nobody knew the flag": (
        "oo?o",
        0,
        few(f"passed 1 of 5 slots in a row; {at('12:30')} was run while PAY@* was unknown; {NEXT}", 59),
    ),
    "flaky": ("oooyo", 0, few(f"passed 1 of 5 slots in a row; {at('12:45')} was flaky (allowed: 0); {NEXT}", 59)),
    "one may be flaky": ("oooyo", 1, passed("passed 5 of 5 slots in a row")),
    "one may be flaky, two are": (
        "oyoyo",
        1,
        few(f"passed 3 of 5 slots in a row; {at('12:15')} was flaky (allowed: 1); {NEXT}", 29),
    ),
    "flaky under another plan": (
        "oqqo",
        0,
        few(f"passed 1 of 5 slots in a row; {at('12:30')} was run under another plan version; {NEXT}", 59),
    ),
    "flaky long ago": ("yoyoooo", 1, passed("passed 6 of 5 slots in a row")),
}


@pytest.mark.parametrize(("line", "flaky", "expected"), ROWS.values(), ids=ROWS)
def test_slots_pass_in_a_row(line: str, flaky: int, expected: Expected) -> None:
    result = judged(line, flaky=flaky)
    assert (result.verdict, result.reason, result.message, result.ready_in) == expected


def test_passes_are_so_far_apart() -> None:
    few = judged("oo", SPREAD)
    assert few.message == f"passed 2 of 3 slots in a row, 15 min apart of 30 min; {NEXT}"
    assert (few.verdict, few.ready_in) == (INCONCLUSIVE, 14 * MIN)
    enough = judged("ooo", SPREAD)
    assert (enough.verdict, enough.message) == (PASSED, "passed 3 of 3 slots in a row, 30 min apart")
    assert judged("oooo", SPREAD).message == "passed 4 of 3 slots in a row, 45 min apart"
    assert judged("u", SPREAD).message.startswith("passed 0 of 3 slots in a row, 0 ms apart of 30 min; slot")


@pytest.mark.parametrize(
    ("first", "last", "verdict", "apart"),
    [
        (0, 0, PASSED, "30 min apart"),
        (14, 0, INCONCLUSIVE, "16 min apart of 30 min"),
        (14, 13, INCONCLUSIVE, "29 min apart of 30 min"),
        (5 / 60, 0, PASSED, "29.9 min apart"),
        (6 / 60, 0, INCONCLUSIVE, "29.9 min apart of 30 min"),
        (None, 0, INCONCLUSIVE, "29.7 min apart of 30 min"),
        (0, None, PASSED, "30 min apart"),
    ],
)
def test_passes_really_began_so_far_apart(
    first: float | None, last: float | None, verdict: Verdict, apart: str
) -> None:
    """However close to the next slot a run began: what counts is when it did."""
    slots = drawn("ooo")
    for place, late in ((0, first), (2, last)):
        at = slots[place].at
        slots[place] = replace(slots[place], began_at=None if late is None else at + late * MIN)
    result = judge_slots(slots, SPREAD, TERMS, NOON - 1, NOON + 2 * EVERY + 60)
    assert (result.verdict, result.message.partition(";")[0]) == (verdict, f"passed 3 of 3 slots in a row, {apart}")
    assert result.ready_in == (14 * MIN if verdict is INCONCLUSIVE else None)


@pytest.mark.parametrize("late", "oy")
def test_a_pass_after_its_time_is_no_pass_of_its_slot(late: str) -> None:
    slots = [*drawn("oo.oo"), replace(slot(late, NOON + 2 * EVERY), ended_at=NOON + 3 * EVERY + 0.1)]
    terms, now = replace(TERMS, flaky=1), NOON + 4 * EVERY + 60
    why = f"{at('12:30')} was run late, when its time was over"
    result = judge_slots(slots, FIVE, terms, NOON - 1, now)
    assert result.message == f"passed 2 of 5 slots in a row; {why}; {NEXT}"
    window = judge_slots(slots, Census(0.5, 2700.0), terms, NOON - 1, now)
    assert (window.verdict, window.reason) == (INCONCLUSIVE, Reason.TOO_FEW_PASSES)
    in_time = [*slots[:-1], replace(slots[-1], ended_at=NOON + 3 * EVERY)]
    assert judge_slots(in_time, FIVE, terms, NOON - 1, now).verdict is PASSED


def test_a_failure_after_its_time_is_a_failure() -> None:
    late = replace(slot("f", NOON + 2 * EVERY), ended_at=NOON + 4 * EVERY)
    assert judge_slots([*drawn("oo"), late], FIVE, TERMS, NOON - 1, NOON + 3 * EVERY).verdict is BREACHED


def test_slots_before_the_flip_do_not_count() -> None:
    flip = NOON + 2 * EVERY
    assert judged("ooooo", since=flip).message == f"passed 2 of 5 slots in a row; {NEXT}"
    assert judged("ooooo", since=flip - 1).message == f"passed 3 of 5 slots in a row; {NEXT}"
    assert judged("oofoo", Passes(2, 0.0), since=flip).verdict is PASSED


def test_the_first_slot_after_the_flip_is_waited_for() -> None:
    result = judged("ooooo", since=NOON + 4.5 * EVERY, late=0.75 * EVERY)
    assert (result.message, result.samples) == ("passed 0 of 5 slots in a row; next slot in 3.75 min", 0)
    assert result.ready_in == 0.25 * EVERY + 4 * EVERY
    settling = judged("ooooo", since=NOON + 6.5 * EVERY)
    assert settling.ready_in == 11 * EVERY - 4 * EVERY - 60
    assert settling.message == "passed 0 of 5 slots in a row; next slot in 44 min"


@pytest.mark.parametrize(
    ("letter", "number", "verdict"), [("o", 5, PASSED), ("f", 5, BREACHED), ("e", 5, ERROR), ("o", 6, INCONCLUSIVE)]
)
def test_a_slot_dated_ahead_was_run_by_a_clock_that_is_ahead(letter: str, number: int, verdict: Verdict) -> None:
    """A database's clock, or this machine's before it was set back: what is recorded counts, and nothing between."""
    slots = [*drawn("ooooo"), slot(letter, NOON + number * EVERY)]
    for wanted in (FIVE, Census(1.0, 4 * EVERY)):
        result = judge_slots(slots, wanted, TERMS, NOON - EVERY, NOON + 4 * EVERY + 60)
        assert result.verdict is verdict or (verdict is ERROR and result.verdict is INCONCLUSIVE)


def test_slots_of_another_period_are_not_slots() -> None:
    now = NOON + 4 * EVERY + 60
    scaled = [replace(one, every=15.0) for one in drawn("ooooo")]
    beside = [replace(one, at=one.at + 1) for one in drawn("ooooo")]
    for others in (scaled, beside):
        assert judge_slots(others, FIVE, TERMS, NOON - 1, now).reason is Reason.SLOT_MISSED
        assert judge_slots([*others, *drawn("ooooo")], FIVE, TERMS, NOON - 1, now).verdict is PASSED


@pytest.mark.parametrize("worse", "feyv")
def test_of_two_records_of_one_slot_the_worse_counts(worse: str) -> None:
    now = NOON + 4 * EVERY + 60
    twice = [*drawn("ooooo"), slot(worse, NOON + 4 * EVERY)]
    for order in (twice, twice[::-1]):
        result = judge_slots(order, FIVE, TERMS, 0.0, now)
        assert result.message == judged(f"oooo{worse}").message


@pytest.mark.parametrize("every", [900 / 7, 0.1, 1 / 3])
def test_a_period_that_is_no_round_number_has_slots_too(every: float) -> None:
    first = round(NOON / every)
    times = [(first + place) * every for place in range(5)]
    slots = [replace(slot("o", at), every=every, ended_at=at + every / 2) for at in times]
    now = slots[-1].at + every / 2
    result = judge_slots(slots, Passes(2, 4 * every), Terms(every, HERE), slots[0].at - every / 2, now)
    assert (result.verdict, result.value, result.limit) == (PASSED, 5.0, 5.0)
    assert judge_slots(slots, Census(1.0, 4.8 * every), Terms(every, HERE), now - 5 * every, now).verdict is PASSED


def test_a_row_shows_its_slots_and_what_the_newest_left() -> None:
    result = judged("fo.yo", since=NOON - EVERY, flaky=0)
    assert (result.value, result.limit, result.unit, result.samples) == (1.0, 5.0, "passes", 4)
    assert (result.window, result.attachments) == ((NOON - EVERY, NOON + 4 * EVERY + 60), ("3600.png",))
    assert result.derivation == {
        "rule": "slots in a row",
        "every": EVERY,
        "flaky": 0,
        "plan": "p1",
        "flags": {"PAY@*": True},
        "slots": [
            {"at": NOON, "state": "failed", "message": "HTTP 500", "why_not": "failed: HTTP 500"},
            {"at": NOON + EVERY, "state": "ok", "message": "", "why_not": ""},
            {"at": NOON + 2 * EVERY, "state": "missing", "message": "", "why_not": "was missed"},
            {"at": NOON + 3 * EVERY, "state": "flaky", "message": "", "why_not": "was flaky (allowed: 0)"},
            {"at": NOON + 4 * EVERY, "state": "ok", "message": "", "why_not": ""},
        ],
    }


def test_of_a_long_history_the_latest_hundred_slots_are_shown() -> None:
    shown = judged("o" * 150, since=0.0).derivation["slots"]
    assert (len(shown), shown[0]["at"], shown[-1]["at"]) == (100, NOON + 50 * EVERY, NOON + 149 * EVERY)


def test_nothing_at_all_is_missed() -> None:
    result = judge_slots([], FIVE, TERMS, 0.0, NOON + 60)
    assert (result.verdict, result.reason, result.samples) == (INCONCLUSIVE, Reason.SLOT_MISSED, 0)
    assert (result.value, result.attachments) == (0.0, ())


# --- all slots of a window -----------------------------------------------------------------------------------

GONE = "the window is free of it in"
NEEDED = "8 slots in 2 h, 8 are needed"

WINDOWS: dict[str, tuple[str, Census, int, Expected]] = {
    "quiet": ("oooooooo", TWO_HOURS, 0, passed(f"passed 8 of {NEEDED}")),
    "failed before the window": ("foooooooo", TWO_HOURS, 0, passed(f"passed 8 of {NEEDED}")),
    "failed in it": ("ooofoooo", TWO_HOURS, 0, failed(f"passed 7 of {NEEDED}; {at('12:45')} failed: HTTP 500")),
    "missing in it, and failed": (
        ".o.fo.oo",
        TWO_HOURS,
        0,
        failed(f"passed 4 of {NEEDED}; {at('12:45')} failed: HTTP 500"),
    ),
    "missing in it": (
        "o.o.oooo",
        TWO_HOURS,
        0,
        missed(f"passed 6 of {NEEDED}; {at('12:45')} was missed; {GONE} 59 min", 59),
    ),
    "missing at its end": (
        "oooooo..",
        TWO_HOURS,
        0,
        missed(f"passed 6 of {NEEDED}; {at('13:30')} was missed; {GONE} 104 min; {RUNNING}", 104),
    ),
    "open at its end": ("ooooooo.", TWO_HOURS, 0, few(f"passed 7 of {NEEDED}; {at('13:45')} is still open", 0.0)),
    "failed under another plan": (
        "oooxoooo",
        TWO_HOURS,
        0,
        few(f"passed 7 of {NEEDED}; {at('12:45')} was run under another plan version; {GONE} 59 min", 59),
    ),
    "in error last": (
        "oooooooe",
        TWO_HOURS,
        0,
        few(f"passed 7 of {NEEDED}; {at('13:45')} ended in error: no browser; {GONE} 119 min", 119),
    ),
    "as many failed as may": ("offooooo", MOST, 0, passed("passed 6 of 8 slots in 2 h, 6 are needed")),
    "one more failed than may": (
        "offoooof",
        MOST,
        0,
        failed(f"passed 5 of 8 slots in 2 h, 6 are needed; {at('13:45')} failed: HTTP 500"),
    ),
    "enough, but one is not known": (
        "oouooooo",
        MOST,
        0,
        few(f"passed 7 of 8 slots in 2 h, 6 are needed; {at('12:30')} was suppressed: disks; {GONE} 44 min", 44),
    ),
    "enough, but the last is open": (
        "ooooooo.",
        MOST,
        0,
        few(f"passed 7 of 8 slots in 2 h, 6 are needed; {at('13:45')} is still open", 0.0),
    ),
    "flaky": (
        "ooyooooo",
        TWO_HOURS,
        0,
        few(f"passed 7 of {NEEDED}; {at('12:30')} was flaky (allowed: 0); {GONE} 44 min", 44),
    ),
    "one may be flaky": ("ooyooooo", TWO_HOURS, 1, passed(f"passed 8 of {NEEDED}")),
    "flaky ones use up what may fail": (
        "ofyyoooo",
        MOST,
        0,
        few(f"passed 5 of 8 slots in 2 h, 6 are needed; {at('12:15')} failed: HTTP 500; {GONE} 29 min", 29),
    ),
}


@pytest.mark.parametrize(("line", "wanted", "flaky", "expected"), WINDOWS.values(), ids=WINDOWS)
def test_all_slots_of_a_window_are_known(line: str, wanted: Census, flaky: int, expected: Expected) -> None:
    since = NOON + EVERY * (len(line) - 9) if len(line) > 8 else NOON - EVERY + 60
    result = judged(line, wanted, flaky=flaky, since=since)
    assert (result.verdict, result.reason, result.message, result.ready_in) == expected


def test_the_window_has_to_lie_after_the_flip() -> None:
    flip = NOON - EVERY + 61
    result = judged("oooooooo", TWO_HOURS, since=flip)
    assert (result.verdict, result.reason, result.ready_in) == (INCONCLUSIVE, Reason.WINDOW_NOT_ELAPSED, 1.0)
    assert result.message == (f"passed 8 of {NEEDED}; observed for 120 min of 2 h since the flip; decides in about 1 s")
    fresh = judged("oooo", TWO_HOURS, since=NOON - 60)
    assert (fresh.value, fresh.samples, fresh.ready_in) == (1.0, 4, 73 * MIN)
    assert fresh.message == (
        f"passed 4 of {NEEDED}; observed for 47 min of 2 h since the flip; decides in about 73 min"
    )


def test_before_the_window_has_elapsed_only_what_is_certain_is_told() -> None:
    certain = judged("of", TWO_HOURS, since=NOON - 60)
    assert (certain.verdict, certain.reason) == (BREACHED, Reason.CANARY_FAILED)
    assert certain.message == f"passed 1 of {NEEDED}; {at('12:15')} failed: HTTP 500"
    assert judged("off", MOST, since=NOON - 60).reason is Reason.WINDOW_NOT_ELAPSED
    assert judged("offf", MOST, since=NOON - 60).verdict is BREACHED
    missing = judged("o.o", TWO_HOURS, since=NOON - 60)
    assert (missing.reason, missing.ready_in) == (Reason.SLOT_MISSED, (120 - 30 - 1 + 15) * MIN)
    waiting = judged(".o", TWO_HOURS, since=NOON - 10 * MIN)
    assert (waiting.reason, waiting.ready_in) == (Reason.SLOT_MISSED, (120 - 15 - 1) * MIN)


def test_nothing_since_the_flip_is_waited_for() -> None:
    result = judged("o", TWO_HOURS, since=NOON + 30)
    assert (result.reason, result.value, result.samples) == (Reason.WINDOW_NOT_ELAPSED, None, 0)
    settling = judged("o", TWO_HOURS, since=NOON + 90)
    assert settling.ready_in == 7200 + 30
    assert "observed for 0 ms of 2 h since the flip" in settling.message


@pytest.mark.parametrize(
    ("share", "size", "allowed"),
    [(0.995, 200, 1), (0.995, 199, 0), (0.995, 672, 3), (0.999, 1000, 1), (0.999, 999, 0), (0.9, 10, 1), (1.0, 672, 0)],
)
def test_a_share_is_counted_exactly(share: float, size: int, allowed: int) -> None:
    wanted = Census(share, size * EVERY)
    enough = judged("f" * allowed + "o" * (size - allowed), wanted, since=0.0)
    assert (enough.verdict, enough.value) == (PASSED, (size - allowed) / size)
    assert judged("f" * (allowed + 1) + "o" * (size - allowed - 1), wanted, since=0.0).verdict is BREACHED


def test_a_window_shows_its_slots_and_its_share() -> None:
    result = judged("foyooooooo", MOST, since=0.0)
    assert (result.value, result.limit, result.unit, result.samples) == (7 / 8, 0.75, "share", 8)
    now = NOON + 9 * EVERY + 60
    assert (result.window, result.attachments) == ((now - 7200, now), ("8100.png",))
    assert result.derivation["rule"] == "all slots of a window"
    assert [one["state"] for one in result.derivation["slots"]][-8:] == ["flaky", *["ok"] * 7]


@pytest.mark.parametrize("wanted", [FIVE, TWO_HOURS])
def test_what_is_missed_or_too_few_can_be_waited_for(wanted: Passes | Census) -> None:
    for line in ("oo.", "oom", "oo"):
        result = judged(line, wanted)
        assert result.may_still_arrive
        assert (result.ready_in or 0) > 0
