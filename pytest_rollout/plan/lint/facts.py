"""What a linter is given, and what it says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from pytest_rollout.plan.document import KeyPath
from pytest_rollout.plan.gates import Gate
from pytest_rollout.plan.kinds import Compared

Severity = Literal["error", "warning", "info"]
Role = Literal["selector", "counter", "buckets", "expression"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or worth knowing."""

    severity: Severity
    code: str
    """One stable word, such as ``unknown-metric``."""
    place: KeyPath
    """Where in the plan."""
    message: str
    """What, and why it matters."""
    hint: str
    """What to do."""


class Live(Protocol):
    """What a server knows now. None means that it does not know."""

    @property
    def metric_names(self) -> frozenset[str]:
        """Every metric that is stored."""

    @property
    def retention(self) -> float | None:
        """For how many seconds samples are kept."""

    @property
    def scrape_intervals(self) -> Mapping[str, float]:
        """Seconds between two scrapes, by job."""

    def metric_type(self, name: str) -> str | None:
        """Return ``counter``, ``gauge``, ``histogram``..."""

    def bucket_bounds(self, selector: str) -> tuple[float, ...] | None:
        """Return the finite upper bounds of a histogram's buckets, ascending."""

    def series_count(self, selector: str) -> int | None:
        """Return how many series match."""

    def rate(self, selector: str) -> float | None:
        """Return how many events a second the matching counters count."""

    def check(self, expression: str) -> str | None:
        """Return what the server refuses an expression with, None if it takes it."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often something is scraped, and how the plan's durations are scaled there."""

    interval: float
    scale: float
    said: str
    """Who says so, such as ``environment 'production'``."""
    certain: bool = True
    job: str | None = None
    """Only of this job; None for all."""


@dataclass(frozen=True, slots=True)
class Expression:
    """Something that a gate asks Prometheus."""

    path: KeyPath
    """Below the gate, such as ``("ratio", "bad")``."""
    text: str
    role: Role
    window: float | None
    """Seconds that ``$window``, or the shortest window of counts, is long in the plan; None if there is none."""
    furthest: float = 0.0
    """Seconds before now at which the oldest window begins."""


@dataclass(frozen=True, slots=True)
class Case:
    """One expression under inspection."""

    gate: Gate
    expression: Expression
    place: KeyPath
    """Of the gate."""
    live: Live | None
    paces: tuple[Pace, ...]
    scale: float = 1.0
    """What the plan's durations are divided by."""

    @property
    def text(self) -> str:
        """The expression itself."""
        return self.expression.text

    @property
    def window(self) -> float:
        """Seconds of ``$window`` there; any if there is none, which is then not used."""
        return (self.expression.window or 60.0) / self.scale

    def finding(self, severity: Severity, code: str, message: str, hint: str) -> Finding:
        """Return a finding that points at the expression."""
        return Finding(severity, code, self.place + self.expression.path, message, hint)


def expressions_of(gate: Gate) -> Iterator[Expression]:
    """Yield everything that a gate asks Prometheus. A new kind of gate is added here."""
    streak = gate.streak.every * (gate.streak.periods - 1) if gate.streak else 0.0
    window, furthest = gate.over, (gate.over or 0.0) + streak
    if gate.promql is not None:
        yield Expression(("promql",), gate.promql, "expression", window, furthest)
    for path, part, total in ratios_of(gate):
        if gate.burn is not None:
            window = min(pair.short for pair in gate.burn.pairs)
            furthest = max(pair.long for pair in gate.burn.pairs)
        yield Expression(path, part, "counter", window, furthest + _before(gate))
        yield Expression((*path[:-1], "total"), total, "counter", window, furthest + _before(gate))
    if gate.quantile is not None:
        yield Expression(("quantile", "of"), gate.quantile.selector, "buckets", window, furthest)
    if gate.counter is not None:
        yield Expression(("counter", "of"), gate.counter.of, "counter", window, furthest)
    for path, side in compared_sides(gate):
        past = furthest + _before(gate)
        if side.quantile is not None:
            yield Expression((*path, "quantile", "of"), side.quantile.selector, "buckets", window, past)
        if side.values is not None:
            yield Expression((*path, "values"), side.values, "expression", window, past)


def ratios_of(gate: Gate) -> Iterator[tuple[KeyPath, str, str]]:
    """Yield (path of ``bad`` or ``good`` below the gate, its selector, that of ``total``) of every ratio it counts."""
    if gate.burn is not None:
        yield ("burn", "bad"), gate.burn.bad, gate.burn.total
    compared = (((*path, "ratio"), side.ratio) for path, side in compared_sides(gate))
    for path, ratio in ((("ratio",), gate.ratio), *compared):
        if ratio is not None:
            yield (*path, "bad" if ratio.good is None else "good"), ratio.part, ratio.total


def compared_sides(gate: Gate) -> Iterator[tuple[KeyPath, Compared]]:
    """Yield (path below the gate, side) of a comparison."""
    if gate.baseline is not None:
        yield ("baseline", "now"), gate.baseline.now
        if gate.baseline.control is not None:
            yield ("baseline", "control"), gate.baseline.control


def _before(gate: Gate) -> float:
    before = gate.baseline.before if gate.baseline else None
    return before if isinstance(before, float) else 0.0
