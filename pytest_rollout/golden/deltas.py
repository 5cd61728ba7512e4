"""Whether one request, and nothing else, moved the counters by what a case says."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pytest_rollout.golden.endpoint import MetricSource
from pytest_rollout.golden.exposition import Exposition, Labels, name_of, total
from pytest_rollout.golden.finding import Finding, doubt
from pytest_rollout.golden.wire import Reply
from pytest_rollout.verdict import Reason

_STARTED = "process_start_time_seconds"


@dataclass(frozen=True, slots=True)
class MetricReadings:
    """Metrics around one request; None for a reading that was not taken or did not succeed."""

    control: Reply | None = None
    """Some time before ``before``: between the two nothing may move."""
    before: Reply | None = None
    after: Reply | None = None
    """When the rise was seen, or the time for it was over."""
    held: Reply | None = None
    """Some time after ``after``: between the two nothing may move either."""
    quiet: float = 0.0
    """Seconds between ``control`` and ``before``."""
    kept: float = 0.0
    """Seconds between ``after`` and ``held``."""
    took: float = 0.0
    """Seconds between ``before`` and ``after``."""
    explained: Mapping[str, int] = field(default_factory=dict)
    """By selector: the rise that the case says, which explains what moved while others were watched."""


@dataclass(frozen=True, slots=True)
class _Readings:
    control: Exposition
    before: Exposition
    after: Exposition
    held: Exposition

    def each(self) -> tuple[Exposition, ...]:
        return self.control, self.before, self.after, self.held


def metric_findings(
    expected: Mapping[str, int], source: MetricSource, readings: MetricReadings | None
) -> Iterator[Finding]:
    """Yield what is wrong with the rise of each selector, and what is not known about it."""
    if readings is None:
        yield _not_read("metrics", "nothing was read")
        return
    unread, read = _parsed(readings)
    if read is None:
        yield from unread
        return
    if readings.quiet < source.control or readings.kept < source.hold:
        yield _not_read(
            "metrics",
            "watched too briefly, or what moved is not explained by other cases",
        )
    if _starts(read) > 1:
        yield doubt("#metric", Reason.RESTART, "one process all the time", "another start time", "restart")
    for selector, rise in expected.items():
        yield from _rise(selector, rise, read)
    for family, labels in source.bounded.items():
        yield from _bounded(family, labels, read)


def rises_exactly(selector: str, rise: int, readings: MetricReadings) -> bool:
    """Whether nothing but a rise happened to a selector's sum around a request."""
    _, read = _parsed(readings)
    return read is not None and not any(True for _ in _rise(selector, rise, read))


def rose_by(selector: str, before: Reply, after: Reply) -> float | None:
    """Return by how much a selector's sum rose between two readings, or None if that cannot be told."""
    try:
        return total(Exposition.read(after.body).selected(selector)) - total(
            Exposition.read(before.body).selected(selector)
        )
    except ValueError:
        return None


def _parsed(readings: MetricReadings) -> tuple[list[Finding], _Readings | None]:
    faults, read = [], {}
    for name in ("control", "before", "after", "held"):
        reply: Reply | None = getattr(readings, name)
        if reply is None or not reply.whole or reply.status != 200:  # noqa: PLR2004 - OK
            said = "nothing" if reply is None else "an incomplete answer" if not reply.whole else f"HTTP {reply.status}"
            faults.append(_not_read(f"metrics ({name})", said))
            continue
        try:
            read[name] = Exposition.read(reply.body)
        except ValueError as exc:
            faults.append(_not_read(f"metrics ({name})", str(exc)))
    return faults, None if faults else _Readings(**read)


def _not_read(what: str, said: str) -> Finding:
    return doubt("#metric", Reason.NO_DATA, f"a reading of the {what}", said, "metrics")


def _starts(read: _Readings) -> int:
    """Return how many start times the readings tell; a reading without any where another has one counts as its own."""
    return len({tuple(sorted(one.selected(_STARTED).items())) for one in read.each()})


def _rise(selector: str, rise: int, read: _Readings) -> Iterator[Finding]:
    pointer = f"#metric/{selector}"
    if not all(one.knows(selector) for one in read.each()):
        yield doubt(pointer, Reason.SERIES_MISSING, "a metric that exists", "no such metric; check the name", "metrics")
        return
    chosen = [one.selected(selector) for one in read.each()]
    if any(not math.isfinite(value) for one in chosen for value in one.values()):
        yield doubt(pointer, Reason.NOT_A_NUMBER, "numbers", "a sample that is none", "metrics")
    elif fell := _fell(chosen):
        yield doubt(pointer, Reason.RESTART, "counters that never fall", f"{fell} fell or vanished", "metrics")
    elif chosen[0] != chosen[1]:
        said = f"{total(chosen[1]) - total(chosen[0]):+g} without a request of ours"
        yield doubt(pointer, Reason.NOT_EXCLUSIVE, "a counter that nobody else moves", said, "control")
    elif chosen[2] != chosen[3] and total(chosen[3]) - total(chosen[1]) == rise:
        said = f"{total(chosen[3]) - total(chosen[2]):+g} of the rise came while it should stand still"
        yield doubt(pointer, Reason.NOT_EXCLUSIVE, "a counter that stands still after the rise", said, "hold")
    elif (risen := total(chosen[3]) - total(chosen[1])) != rise:
        late = f" ({total(chosen[3]) - total(chosen[2]):+g} of it late)" if chosen[3] != chosen[2] else ""
        yield Finding(
            pointer=pointer, kind="metric", expected=f"{rise:+d}", actual=f"{risen:+g}{late}", rule="exact rise"
        )


def _fell(chosen: list[dict[Labels, float]]) -> str | None:
    """Return a series that is smaller than in the reading before, or gone."""
    for earlier, later in itertools.pairwise(chosen):
        for labels, value in earlier.items():
            if later.get(labels, -math.inf) < value:
                return name_of(labels)
    return None


def _bounded(family: str, labels: Mapping[str, tuple[str, ...]], read: _Readings) -> Iterator[Finding]:
    """Yield labels that a family must not have, and values that nobody foresaw."""
    pointer = f"#metric/{family}"
    if not all(family in one.families for one in read.each()):
        yield doubt(pointer, Reason.SERIES_MISSING, "a metric that exists", "no such metric; check the name", "labels")
    names = {family, *(f"{family}_{part}" for part in ("bucket", "count", "sum", "created"))}
    for series in dict.fromkeys(series for one in read.each() for series in one.series):
        known = dict(series)
        if known.pop("__name__") not in names:
            continue
        known.pop("le", None)
        for label in sorted({*known, *labels}):
            if label not in labels or known.get(label) not in labels[label]:
                allowed = ", ".join(labels.get(label, ())) or "no such label"
                actual = f"{label}={known.get(label)!r}"
                yield Finding(pointer=pointer, kind="label", expected=allowed, actual=actual, rule="bounded labels")
