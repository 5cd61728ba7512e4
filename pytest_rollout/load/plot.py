"""The curve of all percentiles of a load run as an SVG picture, with the limits drawn.

Percentiles are spread as HdrHistogram's plots spread them: from p90 to p99 it is as far as from p99 to p99.9, because
that is where limits are. Latencies are on a logarithmic scale. Requests without a good answer count as slower than all
others; where they are, the curve is dashed: it is that high at least.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from pytest_rollout.judge.order import slower
from pytest_rollout.units import format_duration

_WIDTH, _HEIGHT = 760, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 24, 52, 46
_INK, _FAINT, _LIMIT = "#1f2933", "#d5dbe1", "#c62828"
_COLOURS = ("#1565c0", "#78909c", "#6a1b9a")
_MOST_POINTS = 400
_TICKS = (0.0, 0.5, 0.9, 0.95, 0.99, 0.999, 0.9999, 0.99999)
_STEPS = (1, 2, 5)


@dataclass(frozen=True, slots=True)
class Curve:
    """The latencies of one arm: sorted seconds, as few and as many as they may be (infinity where unknown)."""

    name: str
    early: Sequence[float]
    late: Sequence[float]


@dataclass(frozen=True, slots=True)
class Mark:
    """A limit of a quantile, and what the quantile surely lies between. Seconds."""

    q: float
    limit: float
    low: float | None = None
    high: float | None = None

    @property
    def words(self) -> str:
        """Return ``p95 below 200 ms``."""
        return f"{percentile(self.q)} below {format_duration(self.limit)}"


def percentile(q: float) -> str:
    """Return ``p95``, ``p99.9``."""
    return f"p{q * 100:.10g}"


def draw(title: str, curves: Sequence[Curve], marks: Sequence[Mark] = ()) -> str:
    """Return the picture. Raises ValueError if no curve has a point."""
    most = max((len(curve.early) for curve in curves), default=0)
    if not most:
        raise ValueError("there are no latencies to plot")
    frame = _Frame.around(curves, marks, most)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}"',
        f'role="img" font-family="system-ui, sans-serif" font-size="12" fill="{_INK}">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="22" font-size="14" font-weight="600">{escape(title)}</text>',
        *_legend(curves),
        *_grid(frame),
        *(line for mark in marks for line in _limit(frame, mark)),
        *(line for curve, colour in zip(curves, _colours(), strict=False) for line in _curve(frame, curve, colour)),
        *(line for mark in marks for line in _found(frame, mark)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where percentiles and latencies lie in the picture."""

    deepest: float
    """The logarithm of the greatest number of samples."""
    bottom: float
    top: float
    """Logarithms of the least and the greatest latency."""

    @classmethod
    def around(cls, curves: Sequence[Curve], marks: Sequence[Mark], most: int) -> _Frame:
        there = [one for curve in curves for one in curve.early if one > 0] + [mark.limit for mark in marks]
        bottom, top = (math.log10(one) for one in (min(there, default=0.001), max(there, default=1.0)))
        room = max(0.05 * (top - bottom), 0.1, 0.35 - (top - bottom) / 2)
        deepest = max(math.log10(most), *(-math.log10(slower(mark.q)) for mark in marks if mark.q < 1), 1.0)
        return cls(deepest * 1.02, bottom - room, top + room)

    def across(self, share: float) -> float:
        """Return where the percentile lies that this share of the samples is above."""
        depth = min(-math.log10(share), self.deepest) if share > 0 else self.deepest
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * depth / self.deepest

    def up(self, seconds: float) -> float:
        """Return where a latency lies."""
        high = min(max(math.log10(seconds), self.bottom), self.top) if seconds > 0 else self.bottom
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * (high - self.bottom) / (self.top - self.bottom)


def _colours() -> Iterator[str]:
    while True:
        yield from _COLOURS


def _legend(curves: Sequence[Curve]) -> Iterator[str]:
    place = _LEFT
    for curve, colour in zip(curves, _colours(), strict=False):
        said = f"{curve.name}, n = {len(curve.early):,}"
        yield f'<rect x="{place}" y="33" width="14" height="4" fill="{colour}"/>'
        yield f'<text x="{place + 20}" y="39">{escape(said)}</text>'
        place += 44 + 7 * len(said)


def _grid(frame: _Frame) -> Iterator[str]:
    low, high = _HEIGHT - _BOTTOM, _TOP
    for q in _TICKS:
        if -math.log10(slower(q)) <= frame.deepest:
            x = frame.across(slower(q))
            yield _line((x, low), (x, high), _FAINT)
            yield f'<text x="{x:.1f}" y="{low + 18}" text-anchor="middle">{percentile(q)}</text>'
    for seconds in _rounds(frame):
        y = frame.up(seconds)
        yield _line((_LEFT, y), (_WIDTH - _RIGHT, y), _FAINT)
        yield f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{format_duration(seconds)}</text>'
    yield f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 8}" text-anchor="end">percentile of all requests</text>'


def _rounds(frame: _Frame) -> Iterator[float]:
    """Yield the round latencies in the picture: fewer of each decade where there are many decades."""
    steps = _STEPS if frame.top - frame.bottom < 4 else _STEPS[:1]  # noqa: PLR2004 - decades
    for decade in range(math.floor(frame.bottom), math.ceil(frame.top) + 1):
        for step in steps:
            seconds = step * 10.0**decade
            if frame.bottom <= math.log10(seconds) <= frame.top:
                yield seconds


def _curve(frame: _Frame, curve: Curve, colour: str) -> Iterator[str]:
    known, total = sum(map(math.isfinite, curve.late)), len(curve.early)
    chosen, slowest = _chosen(total, known), curve.late[known - 1] if known else 0.0
    # The value at a rank is the percentile of all shares from the rank before it up to its own.
    solid = [(rank + 1, curve.late[rank]) for rank in chosen if rank < known]
    dashed = [(rank + 1, max(curve.early[rank], slowest)) for rank in chosen if rank >= known]
    if solid:
        yield _path(frame, [(0, solid[0][1]), *solid], total, f'stroke="{colour}" stroke-width="2"')
    if dashed:
        style = f'stroke="{colour}" stroke-width="2" stroke-dasharray="3 4"'
        yield _path(frame, [(known, dashed[0][1]), *dashed], total, style)


def _chosen(total: int, known: int) -> list[int]:
    """Return the ranks (from 0) that are drawn: as close in the picture as is worth it, and the last of each kind."""
    depth = math.log(total) if total > 1 else 1.0
    ranks = {total - math.ceil(total * math.exp(-depth * step / _MOST_POINTS)) for step in range(_MOST_POINTS)}
    return sorted(ranks | {total - 1, max(known - 1, 0)})


def _path(frame: _Frame, points: Iterable[tuple[int, float]], total: int, style: str) -> str:
    places = (f"{frame.across((total - rank) / total):.1f},{frame.up(seconds):.1f}" for rank, seconds in points)
    return f'<polyline points="{" ".join(places)}" fill="none" {style}/>'


def _limit(frame: _Frame, mark: Mark) -> Iterator[str]:
    x, y, right = frame.across(slower(mark.q)), frame.up(mark.limit), _WIDTH - _RIGHT
    size = f'width="{right - x:.1f}" height="{y - _TOP:.1f}"'
    yield f'<rect x="{x:.1f}" y="{_TOP}" {size} fill="{_LIMIT}" opacity="0.06"/>'
    yield _line((_LEFT, y), (right, y), _LIMIT, "6 4")
    yield _line((x, _HEIGHT - _BOTTOM), (x, _TOP), _LIMIT, "1 3")
    yield f'<text x="{_LEFT + 6}" y="{y - 6:.1f}" fill="{_LIMIT}" font-weight="600">{escape(mark.words)}</text>'


def _found(frame: _Frame, mark: Mark) -> Iterator[str]:
    if mark.low is None:
        return
    x, low = frame.across(slower(mark.q)), frame.up(mark.low)
    high = frame.up(mark.high) if mark.high is not None else float(_TOP)
    for y in (low, high):
        yield _line((x - 5, y), (x + 5, y), _INK, width=2)
    yield _line((x, low), (x, high), _INK, width=2)


def _line(start: tuple[float, float], end: tuple[float, float], colour: str, dashes: str = "", width: int = 1) -> str:
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return (
        f'<line x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}" stroke="{colour}" '
        f'stroke-width="{width}"{dashed}/>'
    )
