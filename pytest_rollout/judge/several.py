"""One verdict out of several: of series side by side, of periods in a row, of pairs of windows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pytest_rollout.judge.sequence import spent
from pytest_rollout.units import format_duration
from pytest_rollout.verdict import CheckResult, Reason, Verdict, inconclusive

_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Quantifier:
    """How many of several have to pass, out of at least how many."""

    wanted: int | None
    """None: every one that there is."""
    expected: int

    @property
    def words(self) -> str:
        """The quantifier in words."""
        return "all" if self.wanted is None else f"at least {self.wanted}"


def judge_several(results: Mapping[str, CheckResult], quantifier: Quantifier) -> CheckResult:
    """Judge several series by a quantifier; the message names those that stand in the way."""
    expected = max(quantifier.expected, quantifier.wanted or 0)
    if len(results) < expected:
        return inconclusive(
            Reason.SERIES_MISSING,
            f"{len(results)} of at least {expected} expected are there "
            f"({', '.join(sorted(results)[:_MOST_NAMED]) or 'none'}); find out which one vanished",
            derivation=_each(results, quantifier),
        )
    wanted = len(results) if quantifier.wanted is None else quantifier.wanted
    by_verdict = {verdict: [name for name in results if results[name].verdict is verdict] for verdict in Verdict}
    passed, breached = by_verdict[Verdict.PASSED], by_verdict[Verdict.BREACHED]
    if len(passed) >= wanted:
        return _spoken(results, quantifier, passed, f"{len(passed)} of {len(results)} pass, {quantifier.words} must")
    if len(results) - len(breached) < wanted:
        said = f"{len(breached)} of {len(results)} breach, {quantifier.words} must pass"
        return _spoken(results, quantifier, breached, said)
    open_ones = [name for name in results if results[name].verdict in (Verdict.INCONCLUSIVE, Verdict.ERROR)]
    # What waiting cannot cure is told first, for it has to be mended.
    open_ones.sort(key=lambda name: results[name].may_still_arrive)
    said = f"{len(passed)} of {len(results)} pass, {quantifier.words} must; undecided"
    return _spoken(results, quantifier, open_ones, said)


def _spoken(results: Mapping[str, CheckResult], quantifier: Quantifier, names: Sequence[str], said: str) -> CheckResult:
    speaker = results[names[0]]
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    named = "; ".join(f"{name}: {results[name].message}" for name in names[:_MOST_NAMED])
    waits = [results[name].ready_in for name in names if results[name].ready_in is not None]
    return replace(
        speaker,
        message=f"{said}: {named}{more}",
        ready_in=max((wait for wait in waits if wait is not None), default=None),
        derivation=_each(results, quantifier),
    )


def _each(results: Mapping[str, CheckResult], quantifier: Quantifier) -> dict[str, Any]:
    told = {name: result.to_dict() for name, result in results.items()}
    return {"rule": f"quantifier: {quantifier.words}", "expected": quantifier.expected, "each": told}


@dataclass(frozen=True, slots=True)
class Row:
    """How many of the latest periods have to pass, and whether they must be the latest without a break."""

    wanted: int
    periods: int
    every: float
    """Seconds."""
    shared: int = 1
    """How many periods in a row may have requests in common, because each looks further back than to the last."""


def period_tail(tail: float, row: Row, number: int) -> float:
    """Return how often one period's verdict may be wrong, so that a streak that ends with it is so ``tail`` at most.

    ``number`` counts the periods since the flip from 1. Each is a new chance for a streak of false passes, so each
    end has its own part of the whole (see sequence.py); and a false streak needs as many false passes as there are
    periods without a request in common, which are taken to be independent.
    """
    ways = math.comb(row.periods, row.wanted)
    return min(tail, math.pow(spent(tail, number) / ways, 1 / math.ceil(row.wanted / row.shared)))


def judge_row(results: Sequence[CheckResult], row: Row) -> CheckResult:
    """Judge a streak from one result for each period, oldest first.

    A period without a verdict holds the streak: it neither feeds nor breaks it, and what it hides may still come to
    light. So a streak cannot pass over it, or a lost breach would be as good as a pass.
    """
    latest = results[-row.periods :]
    passed = sum(result.verdict is Verdict.PASSED for result in latest)
    breached = [result for result in latest if result.verdict is Verdict.BREACHED]
    said = f"{passed} of the latest {len(latest)} periods of {format_duration(row.every)} pass, {row.wanted} must"
    derivation = {"rule": f"{row.wanted} of {row.periods} periods", "periods": [one.to_dict() for one in latest]}
    newest = replace(latest[-1], derivation=derivation)
    if passed >= row.wanted and len(latest) >= row.periods:
        return replace(newest, verdict=Verdict.PASSED, reason=Reason.WITHIN_LIMIT, message=said, ready_in=None)
    decided = [result for result in latest if result.verdict in (Verdict.PASSED, Verdict.BREACHED)]
    # In a row, an old breach only means to begin again; otherwise it counts until it leaves.
    if breached and (decided[-1].verdict is Verdict.BREACHED if row.wanted == row.periods else _lost(breached, row)):
        return replace(
            newest,
            verdict=Verdict.BREACHED,
            reason=Reason.LIMIT_BREACHED,
            message=f"{said}; last breach: {breached[-1].message}",
            ready_in=None,
        )
    held = [result for result in latest if result.verdict in (Verdict.INCONCLUSIVE, Verdict.ERROR)]
    why = f"; held by: {held[-1].message}" if held else "; the streak is still short"
    final = next((result for result in reversed(held) if not result.may_still_arrive), None)
    if final is not None:
        return replace(newest.because(final), message=f"{said}; held by: {final.message}")
    missing = (row.wanted - _run(latest)) * row.every
    return replace(
        newest,
        verdict=Verdict.INCONCLUSIVE,
        reason=Reason.TOO_FEW_PASSES,
        message=said + why,
        ready_in=max(missing, row.every),
    )


def _lost(breached: Sequence[CheckResult], row: Row) -> bool:
    return len(breached) > row.periods - row.wanted


def _run(results: Sequence[CheckResult]) -> int:
    """Return how many passes stand at the end."""
    for place, result in enumerate(reversed(results)):
        if result.verdict is not Verdict.PASSED:
            return place
    return len(results)


@dataclass(frozen=True, slots=True)
class BurnWindow:
    """One pair of windows: how fast the budget burns in each."""

    name: str
    long: CheckResult
    short: CheckResult


def judge_burn(pairs: Sequence[BurnWindow]) -> CheckResult:
    """Judge pairs of windows. A pair burns when both do; it is quiet when either is proven to be."""
    told = {
        "rule": "multi-window burn rate: a pair counts when both windows burn",
        "pairs": {pair.name: {"long": pair.long.to_dict(), "short": pair.short.to_dict()} for pair in pairs},
    }
    for pair in pairs:
        if pair.long.verdict is pair.short.verdict is Verdict.BREACHED:
            said = f"the budget burns, {pair.name}: {pair.long.message}; {pair.short.message}"
            return replace(pair.long, message=said, derivation=told)
    for pair in pairs:
        if Verdict.PASSED not in (pair.long.verdict, pair.short.verdict):
            open_one = pair.short if pair.short.verdict is not Verdict.BREACHED else pair.long
            return replace(open_one, message=f"{pair.name} is undecided: {open_one.message}", derivation=told)
    said = "no pair of windows burns: " + "; ".join(f"{pair.name}: {_quiet(pair).message}" for pair in pairs)
    return replace(_quiet(pairs[0]), message=said, derivation=told)


def _quiet(pair: BurnWindow) -> CheckResult:
    return pair.long if pair.long.verdict is Verdict.PASSED else pair.short
