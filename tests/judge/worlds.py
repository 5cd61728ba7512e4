"""Random worlds for the properties of the judge: processes that live, fail, restart, come and leave.

A world is made from one seed: what Prometheus scraped of it, in a window of 24 scrapes with some before and after, and
a limit that it just does not meet, or meets easily but for a doubt.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from random import Random
from typing import TypeAlias

from pytest_rollout.judge.baseline import Effect, judge_quantiles, judge_ratios
from pytest_rollout.judge.demand import Demand, Restarts
from pytest_rollout.judge.lives import Watch
from pytest_rollout.judge.quantile import Measured, judge_quantile, measure
from pytest_rollout.judge.samples import Instance, Series, Window
from pytest_rollout.judge.share import RatioEvidence, Reading, judge_ratio, read_ratio
from pytest_rollout.judge.value import judge_counter
from pytest_rollout.verdict import CheckResult
from tests.judge.evidence import START, STEP

SCRAPES = 24
"""In the window."""
FIRST, LAST = -SCRAPES - 4, SCRAPES + 2
"""Scrapes are numbered from the one at the window's start. Before the window lies another, for baselines."""
PLACES = range(FIRST, LAST + 1)
END = START + SCRAPES * STEP
BOUNDS = ("0.1", "0.25", "+Inf")
BAD = {"code": "500"}
GOOD = {"code": "200"}

_KEPT = 2048
"""Worlds that are kept, with their verdicts: properties are asked of the same ones."""

Group: TypeAlias = tuple[Series, ...]
Change: TypeAlias = Callable[[Series], Series | None]
"""What becomes of a series; None takes it away."""


@dataclass(frozen=True, kw_only=True)
class World:
    """All the evidence there is, who judges it, and what he demands."""

    kind: str
    series: Group
    """Of the gate's metrics; ``__name__`` tells which."""
    up: Group
    starts: Group
    targets: frozenset[Instance]
    exporters: frozenset[Instance]
    counts: Mapping[str, int]
    """By metric: how many series the server counts."""
    window: Window
    demand: Demand
    limit: float = 0.5

    @cached_property
    def _verdict(self) -> CheckResult:
        return _JUDGES[self.kind](self, self.limit)

    def judged(self) -> CheckResult:
        """Have it judged by its limit."""
        return self._verdict

    def within(self, limit: float) -> World:
        """Return it with another limit."""
        return replace(self, limit=limit)

    def changed(self, change: Change) -> World:
        """Return it with each series of its metrics, of ``up`` and of process starts changed."""
        return replace(
            self, series=_kept(self.series, change), up=_kept(self.up, change), starts=_kept(self.starts, change)
        )

    def all_series(self) -> Group:
        """Return the series of its metrics, of ``up`` and of process starts."""
        return (*self.series, *self.up, *self.starts)

    def of(self, name: str) -> Group:
        """Return the series of one metric."""
        return tuple(one for one in self.series if one.labels["__name__"] == name)

    def watch(self, name: str) -> Watch:
        """Return how the processes behind a metric were watched."""
        return Watch(
            up=self.up,
            starts=self.starts,
            targets=self.targets,
            exporters=self.exporters,
            counted=self.counts[name],
        )


def _kept(group: Group, change: Change) -> Group:
    return tuple(one for one in map(change, group) if one is not None)


# --- who judges -----------------------------------------------------------------------------------------------


def _parts(world: World, name: str) -> RatioEvidence:
    total = world.of(name)
    bad = tuple(one for one in total if one.labels["code"] == "500")
    return RatioEvidence(bad=bad, total=total, watch=world.watch(name), bad_labels=frozenset({"code"}))


def _ratio(world: World, limit: float) -> CheckResult:
    return judge_ratio(_parts(world, "requests"), world.window, replace(world.demand, limit=limit))


def _failures(world: World, limit: float) -> CheckResult:
    """Judge bad events of a metric of their own, whose absence the plan takes for zero."""
    evidence = RatioEvidence(
        bad=world.of("failures"),
        total=world.of("requests"),
        watch=world.watch("requests"),
        bad_watch=world.watch("failures"),
        absent_is_zero=True,
    )
    return judge_ratio(evidence, world.window, replace(world.demand, limit=limit))


def _halves(world: World) -> RatioEvidence:
    return RatioEvidence(
        bad=(),
        good=world.of("headers"),
        total=world.of("warned"),
        watch=world.watch("warned"),
        bad_watch=world.watch("headers"),
    )


def _good(world: World, limit: float) -> CheckResult:
    """Judge what another metric does not count as good."""
    return judge_ratio(_halves(world), world.window, replace(world.demand, limit=limit))


def _behind(world: World, limit: float) -> CheckResult:
    """Judge what another metric does not count as good against the window before."""
    return _against(world, limit, (_halves(world), world.window), (_halves(world), earlier(world.window)))


def _quantile(world: World, limit: float) -> CheckResult:
    """Judge the quantile that leaves ``limit`` of the requests slower than 100 ms, or a hair less."""
    demand = replace(world.demand, limit=0.1, unit="seconds")
    return judge_quantile(quantile_of(limit), world.of("seconds"), world.watch("seconds"), world.window, demand)


def quantile_of(limit: float) -> float:
    """Return q so that 1 - q is not above a limit."""
    q = 1 - limit
    while 1 - q > limit:
        q = math.nextafter(q, 1)
    return q


def _counter(world: World, limit: float) -> CheckResult:
    demand = replace(world.demand, limit=limit, unit="count", comparator="at_most")
    return judge_counter(world.of("failures"), world.watch("failures"), world.window, demand)


def _compared(world: World, limit: float) -> CheckResult:
    """Judge requests against those of the window before."""
    mine, theirs = _parts(world, "requests"), _parts(world, "requests")
    return _against(world, limit, (mine, world.window), (theirs, earlier(world.window)))


def _controlled(world: World, limit: float) -> CheckResult:
    """Judge requests against those of a control in the same window."""
    mine, theirs = _parts(world, "requests"), _parts(world, "control")
    return _against(world, limit, (mine, world.window), (theirs, world.window))


def _against(
    world: World, limit: float, now: tuple[RatioEvidence, Window], base: tuple[RatioEvidence, Window]
) -> CheckResult:
    sides = [read_ratio(*side, world.demand) for side in (now, base)]
    for side in sides:
        if isinstance(side, CheckResult):
            return side
    mine, theirs = (side for side in sides if isinstance(side, Reading))
    return judge_ratios(mine, theirs, Effect(limit, limit / 100), replace(world.demand, limit=limit))


def _slower(world: World, limit: float) -> CheckResult:
    """Judge a quantile against the one of the window before."""
    buckets, watch = world.of("seconds"), world.watch("seconds")
    sides = [measure(buckets, watch, window, world.demand) for window in (world.window, earlier(world.window))]
    for side in sides:
        if isinstance(side, CheckResult):
            return side
    mine, theirs = (side for side in sides if isinstance(side, Measured))
    return judge_quantiles(0.95, mine, theirs, Effect(limit, 0.0), replace(world.demand, limit=limit))


def earlier(window: Window) -> Window:
    """Return the window before."""
    return replace(window, start=window.start - window.wanted, end=window.start)


_JUDGES: Mapping[str, Callable[[World, float], CheckResult]] = {
    "ratio": _ratio,
    "failures": _failures,
    "good": _good,
    "quantile": _quantile,
    "counter": _counter,
    "before": _compared,
    "control": _controlled,
    "slower": _slower,
    "behind": _behind,
}
KINDS = tuple(_JUDGES)
SHARES = frozenset({"ratio", "failures", "good", "quantile"})
"""Kinds whose limit is a share."""
_METRICS: Mapping[str, tuple[str, ...]] = {
    "ratio": ("requests",),
    "failures": ("requests", "failures"),
    "good": ("warned", "headers"),
    "quantile": ("seconds",),
    "counter": ("failures",),
    "before": ("requests",),
    "control": ("requests", "control"),
    "slower": ("seconds",),
    "behind": ("warned", "headers"),
}


# --- who is judged --------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Process:
    """One process (or several in a row at the same place), and when it was scraped."""

    instance: str
    job: str = "app"
    offset: float = 0.0
    """Seconds after the others."""
    first: int = FIRST
    last: int = LAST
    restart: int | None = None
    """The first scrape of the next process at its place."""
    failed: frozenset[int] = frozenset()
    silent: bool = False
    """Whether it has no series of the metric."""
    base: int = 0
    """What its counters had counted before the first scrape."""

    @property
    def labels(self) -> dict[str, str]:
        """Labels of its series."""
        return {"job": self.job, "instance": self.instance}

    @property
    def place(self) -> Instance:
        """Where it is scraped."""
        return (self.job, self.instance)

    def at(self, place: int) -> float:
        """Return when a scrape took place."""
        return START + place * STEP + self.offset

    def attempts(self) -> Sequence[int]:
        """Return every scrape that was tried."""
        return range(self.first, self.last + 1)

    def good(self) -> list[int]:
        """Return the scrapes that succeeded."""
        return [place for place in self.attempts() if place not in self.failed]

    def up(self) -> Series:
        """Return its ``up``."""
        samples = ((self.at(place), float(place not in self.failed)) for place in self.attempts())
        return Series({**self.labels, "__name__": "up"}, tuple(samples))

    def started(self, place: int) -> float:
        """Return when the process that a scrape saw had started."""
        if self.restart is not None and place >= self.restart:
            return self.at(self.restart) - STEP / 3
        return self.at(self.first) - STEP / 4 if self.first > FIRST else 500.0

    def starts(self) -> Series:
        """Return its process start time."""
        labels = {**self.labels, "__name__": "process_start_time_seconds"}
        return Series(labels, tuple((self.at(place), self.started(place)) for place in self.good()))

    def counted(self, steps: Mapping[int, int], labels: Mapping[str, str], *, lazy: bool = False) -> Series | None:
        """Return a counter that rises by steps; a ``lazy`` one has no sample before it first counts."""
        value, samples = self.base, []
        for place in self.attempts():
            value = steps[place] if place == self.restart else value + steps[place]
            if place not in self.failed and (value or not lazy):
                samples.append((self.at(place), float(value)))
        return Series({**self.labels, **labels}, tuple(samples)) if samples else None


def _process(random: Random, name: str, job: str = "app") -> Process:
    one = Process(instance=name, job=job, offset=random.choice([0.0, 0.0, 4.0]), base=random.choice([0, 0, 5, 900]))
    fate = random.choice(["lives", "lives", "lives", "born", "left", "down", "restarts", "restarts", "blinks"])
    if fate == "born":
        return replace(one, first=random.randrange(-3, LAST), base=0)
    if fate == "left":
        return replace(one, last=random.randrange(-3, LAST))
    if fate == "down":
        return replace(one, failed=frozenset(range(random.randrange(-6, 4), LAST + 1)))
    if fate == "restarts":
        return replace(one, restart=random.choice([0, random.randrange(-3, 6), random.randrange(-5, LAST + 1)]))
    if fate == "blinks":
        return replace(one, failed=frozenset(random.sample(PLACES, random.randrange(1, 6))))
    return one


@dataclass(frozen=True)
class _Making:
    """What the processes of a world have in common."""

    random: Random
    chance: float
    """Of a bad event in a scrape, up to twice."""
    lazy: bool
    """Whether series of bad events are born with the first one."""

    def bad(self) -> int:
        return (self.random.random() < self.chance) + (self.random.random() < self.chance)

    def series(self, process: Process, metric: str) -> Iterator[Series | None]:
        """Yield the series of one metric of a process."""
        named = {"__name__": metric}
        bad = {place: self.bad() for place in PLACES}
        good = {place: self.random.randrange(1, 30) for place in PLACES}
        if metric == "warned":
            yield from self._answered(process, good, bad, {"endpoint": "/a"})
            yield from self._answered(process, bad, {}, {"endpoint": "/b"}) if self.lazy else ()
        elif metric == "headers":  # is there with what it is a part of
            return
        elif metric == "failures":
            yield process.counted(bad, named, lazy=self.lazy)
        elif metric == "seconds":
            bad = {place: self.bad() + self.bad() + self.bad() for place in PLACES}
            slow = {place: int(self.random.random() < self.chance / 8) for place in PLACES}
            for le, steps in zip(BOUNDS, ((good,), (good, bad), (good, bad, slow)), strict=True):
                added = {place: sum(step[place] for step in steps) for place in PLACES}
                yield replace_base(process, le).counted(added, {**named, "le": le})
        else:
            yield process.counted(good, {**named, **GOOD})
            yield replace(process, base=process.base // 9).counted(bad, {**named, **BAD}, lazy=self.lazy)

    def _answered(
        self, process: Process, good: Mapping[int, int], bad: Mapping[int, int], labels: Mapping[str, str]
    ) -> Iterator[Series | None]:
        """Yield what was answered, and what of it was good."""
        both = {place: many + bad.get(place, 0) for place, many in good.items()}
        yield process.counted(both, {**labels, "__name__": "warned", "result": "warn"})
        older = replace(process, base=process.base - process.base // 9)
        yield older.counted(good, {**labels, "__name__": "headers"}, lazy=self.lazy)


def replace_base(process: Process, le: str) -> Process:
    """Return a process whose wider buckets had counted more before."""
    return replace(process, base=process.base + process.base // 9 * BOUNDS.index(le))


@lru_cache(_KEPT)
def build(seed: int, *kinds: str) -> World:
    """Return the world of a seed, of some kinds or of any, with a limit that is hard to meet or easy."""
    random = Random(seed)  # noqa: S311 - not a secret
    kind = random.choice(kinds or KINDS)
    processes = [_process(random, str(name)) for name in range(random.choice([1, 1, 2, 3]))]
    made = _Making(random, random.choice([0.0, 0.05, 0.4]), random.random() < 0.5)
    if random.random() < 0.15:
        processes.append(replace(_process(random, "silent"), silent=True))
    series: list[Series] = []
    for metric in _METRICS[kind]:
        whole = [one for process in processes if not process.silent for one in made.series(process, metric) if one]
        series += whole
    world = World(
        kind=kind,
        series=tuple(series),
        up=tuple(one.up() for one in processes),
        starts=tuple(one.starts() for one in processes if one.good()),
        targets=frozenset(one.place for one in processes if one.last == LAST),
        exporters=frozenset(one.place for one in processes) if random.random() < 0.8 else frozenset(),
        counts={name: sum(one.labels["__name__"] == name for one in series) for name in _METRICS[kind]},
        window=_window(random),
        demand=_demand(random, processes),
    )
    return world.within(_limit(world, random))


def _window(random: Random) -> Window:
    wanted = SCRAPES * STEP
    short = random.choice([0.0, 0.0, 0.0, 5.0, 40.0])
    epoch = random.choice([0, 0, 1, 2])
    return Window(START + short, END, wanted, epoch)


def _demand(random: Random, processes: Iterable[Process]) -> Demand:
    gives_up = all(one.restart is None and one.first == FIRST and one.last == LAST for one in processes)
    return Demand(
        limit=0.5,
        unit="share",
        comparator="below",
        coverage=random.choice([0.4, 0.4, 0.9]),
        max_gap=random.choice([4, 8]) * STEP,
        interval=STEP,
        confidence=random.choice([0.95, 0.95, None]),
        restarts=random.choice(list(Restarts)) if gives_up else Restarts.HOLD,
        expect_series=random.choice([None, None, None, 1, 2]),
    )


def _limit(world: World, random: Random) -> float:
    """Return a limit that is just not met, or one that only a doubt keeps from being met."""
    hard = random.random() < 0.6
    if world.kind == "counter":
        return max(float(world.judged().value or 0) - 1, 0.0) if hard else 10_000.0
    if world.kind in SHARES:
        return min(float(world.judged().derivation.get("high", 0.5)), 0.999) if hard else 0.9
    return _just_not_met(world) if hard else 40.0


def _just_not_met(world: World) -> float:
    low, high = 0.0, 40.0
    if world.within(high).judged().verdict != "passed":
        return high
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (low, middle) if world.within(middle).judged().verdict == "passed" else (middle, high)
    return low


# --- what can be lost -----------------------------------------------------------------------------------------


Loss: TypeAlias = tuple[str, World]
"""What was lost of a world, in words, and what is left."""


def without(one: Series, lost: Callable[[float], bool]) -> Series:
    """Return a series without the samples of some times."""
    return replace(one, samples=tuple(pair for pair in one.samples if not lost(pair[0])))


def cycle(at: float) -> int:
    """Return in which round of scrapes a time lies."""
    return math.floor((at - START) / STEP)


def _rounds(random: Random) -> frozenset[int]:
    """Return rounds of scrapes: some of them, or all before or after one."""
    shape = random.choice(["some", "few", "before", "after", "run"])
    place = random.choice([random.choice(PLACES), random.randrange(-3, 5), random.randrange(SCRAPES - 4, LAST + 1)])
    if shape == "before":
        return frozenset(range(FIRST - 1, place))
    if shape == "after":
        return frozenset(range(place, LAST + 2))
    if shape == "run":
        return frozenset(range(place, place + random.randrange(1, 9)))
    return frozenset(random.sample(PLACES, random.randrange(1, 12) if shape == "some" else random.randrange(1, 3)))


def lose_sample(world: World, random: Random) -> Loss:
    """Lose one sample of anything."""
    chosen = random.choice(world.all_series())
    times = [at for at, _ in chosen.samples]
    near = [at for at in times if abs(at - START) < 4 * STEP or at > END - 4 * STEP]
    at = random.choice(random.choice([near or times, times]) or [0.0])
    left = world.changed(lambda one: without(one, lambda time: time == at) if one is chosen else one)
    return (f"the sample at {at:.0f} of {chosen.labels}", left)


def lose_samples(world: World, random: Random) -> Loss:
    """Lose some samples of one series."""
    chosen, rounds = random.choice(world.all_series()), _rounds(random)
    left = world.changed(lambda one: without(one, lambda at: cycle(at) in rounds) if one is chosen else one)
    return (f"rounds {sorted(rounds)} of {chosen.labels}", left)


def lose_rounds(world: World, random: Random) -> Loss:
    """Lose whole rounds of scrapes, of everything."""
    rounds = _rounds(random)
    left = world.changed(lambda one: without(one, lambda at: cycle(at) in rounds))
    return (f"rounds {sorted(rounds)} of everything", left)


def fail_rounds(world: World, random: Random) -> Loss:
    """Let scrapes of one process fail: ``up`` says so, and the rest is lost."""
    chosen, rounds = random.choice(world.up), _rounds(random)

    def change(one: Series) -> Series:
        if one.instance != chosen.instance:
            return one
        if one.labels["__name__"] == "up":
            return replace(one, samples=tuple((at, value * (cycle(at) not in rounds)) for at, value in one.samples))
        return without(one, lambda at: cycle(at) in rounds)

    return (f"rounds {sorted(rounds)} of {chosen.instance} failed", world.changed(change))


def lose_series(world: World, random: Random) -> Loss:
    """Lose one series of anything, or all its samples."""
    chosen = random.choice(world.all_series())
    emptied = replace(chosen, samples=()) if random.random() < 0.3 else None
    return (f"{chosen.labels}, {emptied}", world.changed(lambda one: emptied if one is chosen else one))


def lose_kind(world: World, random: Random) -> Loss:
    """Lose all series of one name."""
    name = random.choice(sorted({one.labels["__name__"] for one in world.all_series()}))
    return (f"every {name}", world.changed(lambda one: None if one.labels["__name__"] == name else one))


def lose_target(world: World, random: Random) -> Loss:
    """Lose one target, or all."""
    if not world.targets or random.random() < 0.2:
        return ("every target", replace(world, targets=frozenset()))
    lost = random.choice(sorted(world.targets))
    return (f"target {lost}", replace(world, targets=world.targets - {lost}))


def lose_exporter(world: World, random: Random) -> Loss:
    """Lose what metadata says of one process, or of all."""
    if not world.exporters or random.random() < 0.2:
        return ("every exporter", replace(world, exporters=frozenset()))
    lost = random.choice(sorted(world.exporters))
    return (f"exporter {lost}", replace(world, exporters=world.exporters - {lost}))


def miscount(world: World, random: Random) -> Loss:
    """Have the server count more or fewer series than there are."""
    name = random.choice(sorted(world.counts))
    counts = {**world.counts, name: max(world.counts[name] + random.choice([-2, -1, 1, 2]), 0)}
    return (f"{counts} counted", replace(world, counts=counts))


LOSSES = {
    one.__name__: one
    for one in (
        lose_sample,
        lose_samples,
        lose_rounds,
        fail_rounds,
        lose_series,
        lose_kind,
        lose_target,
        lose_exporter,
        miscount,
    )
}
