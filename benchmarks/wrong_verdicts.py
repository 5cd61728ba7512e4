"""How often each rule says GO to a bad release and NO-GO to a good one, on the same simulated requests.

The share of failing requests has to be below 0.5 %, and its true value is known, so every wrong word can be counted.
Ends with exit code 1 if one of our own rules is wrong more often than it promises.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from pathlib import Path

from benchmarks.peers import Argo, flagger, kayenta, point
from benchmarks.report import table, write
from benchmarks.simulation import Hour, simulate
from pytest_rollout.judge.certainty import Certainty
from pytest_rollout.verdict import Decision

LIMIT = 0.005
HEALTHY = 0.1
"""Rate of the baseline that Kayenta compares with, in limits."""
PROMISE = 0.025
CONFIDENCE = 0.95
FLAGGER_THRESHOLD = 5
MINUTES = 60
KAYENTA = "Kayenta"
OURS = ("ours", "ours, at once")
"""These have to keep the promise. The first waits until half of the hour has passed, as a gate does with its window."""
BURST = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """What is simulated. Rates are in limits."""

    rates: Sequence[float] = (0.1, 0.25, 0.5, 0.9, 1.0, 1.1, 1.5, 2.0, 4.0)
    requests: Sequence[int] = (20, 100, 1_000, 10_000, 100_000)
    runs: int = 1_000
    kayenta_runs: int = 250
    looks: int = 240
    seed: int = 20


QUICK = Grid(requests=(20, 1_000, 10_000), runs=200, kayenta_runs=40, looks=60)


@dataclass(frozen=True)
class Ours:
    """The rule of pytest-rollout; what a count comes to is found once, because its bounds rise with the count."""

    certainty: Certainty
    _near: dict[str, float] = field(default_factory=dict)

    def judge(self, bad: int, total: int, burst: int) -> Decision:
        """Judge one look, as the product does."""
        if self.certainty.highest(bad, total, burst) < LIMIT:
            return Decision.GO
        return Decision.NO_GO if self.certainty.interval(bad, total).low > LIMIT else Decision.HOLD

    def look(self, hour: Hour, look: int) -> Decision:
        """Judge an hour as far as it has come; the same as ``judge``, but fast."""
        bad, total = hour.bad[look], hour.total(look)
        if bad < self._enough_for_go(total):
            return Decision.GO if hour.burst(look) < self._too_large(total - bad) else Decision.HOLD
        return Decision.NO_GO if bad >= self._enough_for_no_go(total) else Decision.HOLD

    def watch(self, hour: Hour, window: int = 1) -> Decision:
        """Judge at every look until one decides.

        Before the window, in looks, has passed there is no GO, and for a NO-GO the largest burst is one failure.
        """
        for look in range(1, hour.looks + 1):
            decision = self.look(hour, look)
            if look >= window and decision is not Decision.HOLD:
                return decision
            apart = hour.bad[look] - max(hour.burst(look) - 1, 0)
            if decision is Decision.NO_GO and apart >= self._enough_for_no_go(hour.total(look)):
                return decision
        return Decision.HOLD

    @cached_property
    def _enough_for_go(self) -> Callable[[int], int]:
        return cache(lambda n: self._first("go", n, lambda bad: self.certainty.interval(bad, n).high >= LIMIT))

    @cached_property
    def _too_large(self) -> Callable[[int], int]:
        return cache(lambda n: self._first("burst", n, lambda burst: self.certainty.highest(0, n, burst) >= LIMIT))

    @cached_property
    def _enough_for_no_go(self) -> Callable[[int], int]:
        return cache(lambda n: self._first("no-go", n, lambda bad: self.certainty.interval(bad, n).low > LIMIT))

    def _first(self, kind: str, total: int, reached: Callable[[int], bool]) -> int:
        """Return the first count for which it holds; sought around the share that was found last."""
        guess = min(int(self._near.get(kind, LIMIT) * total), total)
        step, low, high = 1, guess, guess
        while low > 0 and reached(low - 1):
            low, high, step = max(low - step, 0), low - 1, step * 2
        while high < total and not reached(high):
            low, high, step = high + 1, min(high + step, total), step * 2
        found = low + bisect_left(range(low, high), True, key=reached)
        found += found == total and not reached(total)
        self._near[kind] = found / max(total, 1)
        return found


Rule = Callable[[Hour], Decision]


def single_look_rules(seed: int) -> Mapping[str, Rule]:
    """Return by name the rules that see the whole hour once. The seed is that of Kayenta's baselines."""
    ours, rng = Ours(Certainty(CONFIDENCE)), random.Random(seed)  # noqa: S311 - not for secrets

    def kayenta_rule(hour: Hour) -> Decision:
        baseline = simulate(rng, HEALTHY * LIMIT, hour.requests, hour.looks)
        return kayenta(list(baseline.shares(MINUTES)), list(hour.shares(MINUTES)))

    return {
        "ours": lambda hour: ours.look(hour, hour.looks),
        "point": lambda hour: point(hour.share(0, hour.looks), LIMIT),
        **{name: partial(_argo, argo, looks=1) for name, argo in argos(failure_limit=0).items()},
        "Flagger": lambda hour: flagger(hour.shares(1), LIMIT, threshold=1, iterations=1),
        KAYENTA: kayenta_rule,
    }


def repeated_look_rules(looks: int) -> Mapping[str, Rule]:
    """Return by name the rules that look after every slot."""
    iterations = looks - FLAGGER_THRESHOLD + 1  # so that the hour decides, whatever fails
    ours = Ours(Certainty(CONFIDENCE, epoch=1))
    return {
        "ours": partial(ours.watch, window=looks // 2),
        "ours, at once": ours.watch,
        "fixed interval": Ours(Certainty(CONFIDENCE)).watch,
        "point": _first_point,
        **{name: partial(_argo, argo, looks=looks) for name, argo in argos(failure_limit=3).items()},
        "Flagger": lambda hour: flagger(hour.shares(looks), LIMIT, threshold=FLAGGER_THRESHOLD, iterations=iterations),
    }


def _argo(argo: Argo, hour: Hour, *, looks: int) -> Decision:
    return argo.run(hour.shares(looks))


def argos(failure_limit: int) -> Mapping[str, Argo]:
    """Return the three forms of Argo's conditions."""
    return {
        "Argo success": Argo(success_below=LIMIT, failure_limit=failure_limit),
        "Argo failure": Argo(failure_from=LIMIT, failure_limit=failure_limit),
        "Argo both": Argo(success_below=LIMIT, failure_from=2 * LIMIT, failure_limit=failure_limit),
    }


def _first_point(hour: Hour) -> Decision:
    decisions = (point(hour.share(0, look), LIMIT) for look in range(1, hour.looks + 1))
    return next((decision for decision in decisions if decision is not Decision.HOLD), Decision.HOLD)


@dataclass(frozen=True, slots=True)
class Cell:
    """How often a rule said what, at one true rate and number of requests."""

    rule: str
    rate: float
    requests: int
    said: Counter[Decision]

    @property
    def wrong(self) -> float:
        """How often it was wrong: GO at the limit or above, NO-GO below."""
        return self.said[Decision.GO if self.rate >= 1 else Decision.NO_GO] / self.said.total()

    @property
    def undecided(self) -> float:
        """How often it did not decide."""
        return self.said[Decision.HOLD] / self.said.total()

    @property
    def counts(self) -> bool:
        """Whether it was asked this: worse than its baseline, but below the limit, is rightly NO-GO for Kayenta."""
        return self.rule != KAYENTA or not HEALTHY < self.rate < 1

    @property
    def shown(self) -> str:
        """Wrong and undecided in per cent; wrong in parentheses if it does not count."""
        wrong = f"{self.wrong * 100:.1f}"
        return f"{wrong if self.counts else f'({wrong})'} / {self.undecided * 100:.0f}"


def measure(grid: Grid, rules: Mapping[str, Rule], burst: int = 1) -> list[Cell]:
    """Return how every rule fares in every cell; all of them see the same hours, whatever the other rules are."""
    cells = []
    for requests in grid.requests:
        for rate in grid.rates:
            rng = random.Random(f"{grid.seed} {requests} {rate} {burst}")  # noqa: S311 - not for secrets
            said: dict[str, Counter[Decision]] = {name: Counter() for name in rules}
            for run in range(grid.runs):
                hour = simulate(rng, rate * LIMIT, requests, grid.looks, burst)
                for name, rule in rules.items():
                    if name != KAYENTA or run < grid.kayenta_runs:
                        said[name][rule(hour)] += 1
            cells += [Cell(name, rate, requests, counts) for name, counts in said.items()]
    return cells


def worst(cells: Sequence[Cell]) -> str:
    """Return a table of the worst cell of each rule."""
    rows = []
    for name in dict.fromkeys(cell.rule for cell in cells):
        own = [cell for cell in cells if cell.rule == name and cell.counts]
        go = max((cell.wrong for cell in own if cell.rate >= 1), default=0.0)
        no_go = max((cell.wrong for cell in own if cell.rate < 1), default=0.0)
        decided = [1 - cell.undecided for cell in own]
        rows.append([name, f"{go:.1%}", f"{no_go:.1%}", f"{sum(decided) / len(decided):.0%}"])
    return table(("rule", "wrong GO, worst cell", "wrong NO-GO, worst cell", "decided, all cells"), rows)


def full(cells: Sequence[Cell]) -> str:
    """Return the table of all cells."""
    names = list(dict.fromkeys(cell.rule for cell in cells))
    places = dict.fromkeys((cell.requests, cell.rate) for cell in cells)
    found = {(cell.requests, cell.rate, cell.rule): cell.shown for cell in cells}
    rows = [
        [f"{requests:,}", f"{rate:g}x", "GO" if rate >= 1 else "NO-GO"]
        + [found[requests, rate, name] for name in names]
        for requests, rate in places
    ]
    return table(("requests", "true rate", "wrong is", *names), rows)


def missing() -> str:
    """Return a table of how many more requests a GO needs when none has failed yet."""
    rows = []
    for total in (20, 100, 1_000):
        needed = [Certainty(CONFIDENCE, epoch).further_needed(0, total, 0, LIMIT) for epoch in (0, 1)]
        proven = [Certainty(CONFIDENCE, epoch).highest(0, total, 0) < LIMIT for epoch in (0, 1)]
        shown = ["none, GO" if done else f"{more:,}" for more, done in zip(needed, proven, strict=True)]
        rows.append([f"{total:,}", *shown])
    return table(("requests so far, none failed", "single look", "repeated looks"), rows)


def broken_promises(cells: Sequence[Cell]) -> list[str]:
    """Return a line for each cell in which our rule is wrong more often than promised, beyond chance."""
    out = []
    for cell in cells:
        runs = cell.said.total()
        allowed = PROMISE + 3 * math.sqrt(PROMISE * (1 - PROMISE) / runs)
        if cell.rule in OURS and cell.wrong > allowed:
            what = "GO" if cell.rate >= 1 else "NO-GO"
            out.append(
                f"{cell.rule}: wrong {what} in {cell.wrong:.2%} of {runs} runs at {cell.rate:g}x the limit and "
                f"{cell.requests} requests; {PROMISE:.1%} is promised, {allowed:.2%} is within chance"
            )
    return out


def report(grid: Grid) -> tuple[str, list[Cell]]:
    """Return the tables, and the cells in which our rules have to keep their promise."""
    once, often = single_look_rules(grid.seed), repeated_look_rules(grid.looks)
    single, repeated = measure(grid, once), measure(grid, often)
    every = f"a look every {3600 // grid.looks} s"
    measured = {
        "One look at the end of the hour": single,
        every.capitalize(): repeated,
        f"Failures in runs of {BURST}, one look": measure(grid, once, BURST),
        f"Failures in runs of {BURST}, {every}": measure(grid, often, BURST),
    }
    text = [
        f"{grid.runs:,} simulated hours per cell ({grid.kayenta_runs:,} for Kayenta), seed {grid.seed}.",
        *(f"**{title}**\n\n{worst(cells)}" for title, cells in measured.items()),
        f"**Requests that a GO still needs**\n\n{missing()}",
        "Every cell: how often wrong / undecided, in per cent.",
        *(f"**{title}: every cell**\n\n{full(cells)}" for title, cells in measured.items()),
    ]
    return "\n\n".join(text), [*single, *repeated]


def main() -> None:
    """Simulate, print, check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smaller grid, in seconds")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the tables into this Markdown file")
    options = parser.parse_args()
    grid = QUICK if options.quick else Grid()
    text, cells = report(grid)
    print(text)
    if options.write:
        write(options.write, "wrong-verdicts", text)
    if broken := broken_promises(cells):
        sys.exit("\n".join(broken))


if __name__ == "__main__":
    main()
