"""Making a load without Locust: what is ordered, when it is extended, stopped, thrown away or given up."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from pytest_rollout.errors import LoadError
from pytest_rollout.latency import Load, LoadTerms, judge_latency
from pytest_rollout.load.engine import LOOPBACK, Look, Site
from pytest_rollout.load.injected.book import Outcome
from pytest_rollout.load.order import LoadOrder
from pytest_rollout.load.result import LoadResult
from pytest_rollout.load_runner import ATTEMPTS, LoadRunner
from pytest_rollout.plan.latency import Latency
from pytest_rollout.verdict import CheckResult, Verdict
from tests.load.runs import result
from tests.load.test_judged import so_far

BEGUN = 1000.0
ASKED: dict[str, Any] = {"locustfile": "portal", "rate": "20/s", "for": "5s", "arrivals": "constant"}
P90 = {**ASKED, "p90": {"below": "200ms"}}
P99 = {**ASKED, "p99": {"below": "200ms"}, "extend": "60s"}
"""A hundred good requests are too few for it, and half a minute more is enough."""
Fate = Callable[[int], tuple[Outcome, float]]
LATE = 0.05


def good(_number: int) -> tuple[Outcome, float]:
    return "ok", 0.04


def slow(_number: int) -> tuple[Outcome, float]:
    return "ok", 0.5


@dataclass(frozen=True)
class Run:
    """What a run of the engine that is no engine comes to."""

    fate: Fate = good
    lag: float = 0.001
    fault: Exception | None = None


@dataclass
class FakeEngine:
    """Stands in for ``engine.run``: no Locust, no requests, only documents as Locust leaves them."""

    plan: list[Run]
    """The last one stands for all further runs."""
    orders: list[LoadOrder] = field(default_factory=list)
    sites: list[Site] = field(default_factory=list)
    inside: bool = False
    entered: int = 0
    now: float = BEGUN
    stopped_early: int = 0

    def run(self, order: LoadOrder, site: Site, look: Look | None = None) -> LoadResult:
        assert self.inside, "another load may be made at the same time"
        assert len(self.orders) < 200, "it never ends"
        turn = self.plan[min(len(self.orders), len(self.plan) - 1)]
        self.orders.append(order)
        self.sites.append(site)
        self.now += order.limit
        if turn.fault:
            raise turn.fault
        made = result(replace(order, run=f"run {len(self.orders)}"), outcome=turn.fate, lag=turn.lag)
        if look and look(so_far(made)):
            self.stopped_early += 1
            return so_far(made, "stopped")
        return made

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        self.entered += 1
        self.inside = True
        yield
        self.inside = False


@dataclass
class Bench:
    """A project with a locustfile, and a runner in it."""

    root: Path
    patch: pytest.MonkeyPatch
    told: list[str] = field(default_factory=list)

    def runner(self, *plan: Run, **more: Any) -> tuple[LoadRunner, FakeEngine]:
        engine = FakeEngine(list(plan) or [Run()])
        self.patch.setattr("pytest_rollout.load.engine.run", engine.run)
        usual: dict[str, Any] = {"variables": {"ROLLOUT_LOCUST": "locust"}, "folder": self.root / "reports"}
        return LoadRunner(
            rootdir=self.root, host="http://target", alone=engine.alone, clock=lambda: engine.now, **usual | more
        ), engine

    def make(self, asked: dict[str, Any], *plan: Run, **more: Any) -> tuple[Load, CheckResult, FakeEngine]:
        runner, engine = self.runner(*plan, **more)
        wanted = terms(asked)
        load = runner.make("p", wanted, self.told.append)
        assert (engine.entered, engine.inside) == (1, False)
        return load, judge_latency(wanted, load), engine


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    (tmp_path / "locustfiles").mkdir()
    for name in ("portal", "dashboard", "_common"):
        (tmp_path / "locustfiles" / f"{name}.py").touch()
    return Bench(tmp_path, monkeypatch)


def terms(asked: dict[str, Any], **more: Any) -> LoadTerms:
    return LoadTerms(asked=Latency.model_validate(asked), **more)


# --- one run ----------------------------------------------------------------------------------------------------


def test_a_load_is_made_as_it_is_ordered(bench: Bench) -> None:
    load, found, engine = bench.make(P90)
    assert engine.orders == [terms(P90).order(str(bench.root / "locustfiles/portal.py"), "http://target", {})]
    assert [site.folder for site in engine.sites] == [bench.root / "reports" / "p" / "1"]
    assert engine.sites[0].cwd == bench.root
    assert (load.begun, len(load.runs), load.fault, load.spoiled) == (BEGUN, 1, "", ())
    assert found.verdict is Verdict.PASSED
    assert bench.told == ["p: load for 10 s", "p: 5 s of 5 s, 100 arrivals, 20 answers a second"]


def test_a_breach_is_seen_on_the_way_and_ends_the_load(bench: Bench) -> None:
    load, found, engine = bench.make(P90, Run(slow))
    assert (len(load.runs), engine.stopped_early, load.spoiled) == (1, 1, ())
    assert found.verdict is Verdict.BREACHED
    assert found.message.endswith("; nothing that the rest of the run may bring can mend it")


def test_what_was_left_of_another_run_is_gone_before_the_load(bench: Bench) -> None:
    old = bench.root / "reports" / "p" / "7" / "result.json"
    old.parent.mkdir(parents=True)
    old.touch()
    bench.make(P90)
    assert not old.exists()


# --- extensions -------------------------------------------------------------------------------------------------


def test_a_load_is_extended_until_it_decides(bench: Bench) -> None:
    load, found, engine = bench.make(P99)
    assert [order.seed for order in engine.orders] == [0, 1]
    assert engine.orders[1] == replace(engine.orders[0], seed=1, duration=engine.orders[1].duration)
    assert 5.0 <= engine.orders[1].duration <= 60.0
    assert [site.folder.name for site in engine.sites] == ["1", "2"]
    assert (len(load.runs), load.begun, found.verdict) == (2, BEGUN, Verdict.PASSED)


def test_an_extension_that_breaches_with_what_was_before_it_ends_the_load(bench: Bench) -> None:
    load, found, engine = bench.make(P99, Run(), Run(slow))
    assert (len(load.runs), engine.stopped_early, found.verdict) == (2, 1, Verdict.BREACHED)


@pytest.mark.parametrize("asked", [{**P99, "extend": "0s"}, {**P99, "extend": "4s"}])
def test_what_no_extension_decides_is_not_begun(bench: Bench, asked: dict[str, Any]) -> None:
    load, found, engine = bench.make(asked)
    assert (len(load.runs), len(engine.orders)) == (1, 1)
    assert (found.verdict, found.may_still_arrive) == (Verdict.INCONCLUSIVE, False)


SHORT = {**P99, "rate": "200/s", "for": "1800ms", "extend": "7s"}
"""Its extensions are of less than the usual five seconds, once five are spent."""


@pytest.mark.parametrize("asked", [{**P99, "extend": "100s"}, SHORT, {**SHORT, "extend": "2s"}], ids=repr)
def test_extensions_never_cost_more_than_they_may(bench: Bench, asked: dict[str, Any]) -> None:
    def three_of_a_thousand(seed: int) -> Fate:
        random = Random(seed)  # noqa: S311 - traffic
        return lambda _: ("ok", 0.5) if random.random() < 0.003 else ("ok", 0.04)

    lengths, most = set(), terms(asked).demand.budget
    for seed in (0, 1, 17, 25, 43):
        _, found, engine = bench.make(asked, Run(three_of_a_thousand(seed)))
        added = [order.duration for order in engine.orders[1:]]
        assert sum(added) <= most
        assert all(one >= min(5.0, most - sum(added[:turn])) for turn, one in enumerate(added)), added
        assert [order.seed for order in engine.orders] == list(range(len(engine.orders)))
        assert not found.may_still_arrive
        lengths.add(len(added))
    assert max(lengths) >= (1 if most < 5.0 else 2), "nothing that could cost too much"


def test_a_scaled_time_scales_what_an_extension_may_cost(bench: Bench) -> None:
    runner, engine = bench.runner(Run())
    scaled = terms({**P99, "for": "50s", "extend": "300s"}, scale=10.0)
    load = runner.make("p", scaled)
    assert judge_latency(scaled, load).verdict is Verdict.PASSED
    assert sum(order.duration for order in engine.orders[1:]) <= scaled.demand.budget < 300.0


# --- loads that prove nothing -----------------------------------------------------------------------------------

BENT = (
    "the load generator was late: 50 ms at p99, where 10 ms are allowed, with 10% of a core in use; lower the "
    "rate, give it more workers, or run it on a machine that has nothing else to do"
)


def test_a_load_whose_generator_was_late_is_made_again(bench: Bench) -> None:
    load, found, engine = bench.make(P90, Run(lag=LATE), Run())
    assert (len(engine.orders), len(load.runs)) == (2, 1)
    assert load.spoiled == (BENT,)
    assert load.begun == BEGUN + engine.orders[0].limit, "the load that counts began after the one that does not"
    assert (found.verdict, found.derivation["thrown_away"]) == (Verdict.PASSED, [BENT])
    assert f"p: {BENT}; once more" in bench.told


def test_a_generator_that_is_always_late_is_given_up(bench: Bench) -> None:
    load, found, engine = bench.make(P90, Run(lag=LATE))
    assert len(engine.orders) == ATTEMPTS == 3
    assert load.spoiled == (BENT, BENT)
    assert (found.verdict, found.message) == (Verdict.ERROR, BENT)


def some_fail(number: int) -> tuple[Outcome, float]:
    return ("failed", 0.01) if number == 50 else good(number)


@pytest.mark.parametrize("bad", [Run(slow, LATE), Run(some_fail, LATE)])
def test_a_late_load_that_looks_bad_is_not_thrown_away_for_a_better_one(bench: Bench, bad: Run) -> None:
    load, found, engine = bench.make({**P90, "errors": {"at_most": 0}}, bad, Run())
    assert (len(engine.orders), load.spoiled) == (1, ())
    assert (found.verdict, found.message) == (Verdict.ERROR, BENT)


def test_a_breach_is_not_made_again(bench: Bench) -> None:
    load, found, engine = bench.make(P90, Run(lag=LATE), Run(slow), Run())
    assert (len(engine.orders), len(load.spoiled), found.verdict) == (2, 1, Verdict.BREACHED)


def test_what_is_not_decided_is_not_made_again(bench: Bench) -> None:
    _, found, engine = bench.make({**P99, "extend": "0s"}, Run())
    assert (len(engine.orders), found.verdict) == (1, Verdict.INCONCLUSIVE)


def test_an_extension_that_is_bent_spoils_the_whole_load(bench: Bench) -> None:
    load, found, engine = bench.make(P99, Run(), Run(lag=LATE), Run(), Run())
    assert [order.seed for order in engine.orders] == [0, 1, 0, 1]
    assert (len(load.runs), len(load.spoiled), found.verdict) == (2, 1, Verdict.PASSED)
    assert {run.asked.run for run in load.runs} == {"run 3", "run 4"}


def test_a_load_that_breaks_off_is_no_shorter_load(bench: Bench) -> None:
    gone = Run(fault=LoadError("Locust ended with exit code 137"))
    load, found, engine = bench.make(P99, Run(), gone, Run(), gone, Run(), gone)
    assert len(engine.orders) == 2 * ATTEMPTS
    assert (len(load.runs), load.fault) == (1, "Locust ended with exit code 137")
    assert (found.verdict, found.message) == (Verdict.ERROR, "Locust ended with exit code 137")


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (LoadError("Locust had to be stopped"), "Locust had to be stopped"),
        (OSError(28, "No space left on device"), "[Errno 28] No space left on device"),
    ],
)
def test_a_load_that_never_began_is_an_error_at_once(bench: Bench, fault: Exception, said: str) -> None:
    load, found, engine = bench.make(P90, Run(fault=fault))
    assert (len(engine.orders), load.runs, load.fault, load.attachments) == (1, (), said, ())
    assert (found.verdict, found.message) == (Verdict.ERROR, said)


def test_who_is_asked_to_stop_makes_no_further_load(bench: Bench) -> None:
    load, found, engine = bench.make(P90, Run(lag=LATE), Run(), stopped=lambda: True)
    assert (len(engine.orders), load.spoiled, found.verdict) == (1, (), Verdict.ERROR)
    assert engine.sites[0].stopped()


# --- where it runs ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gone", "locustfiles/gone.py", "_common/"])
def test_a_locustfile_that_is_not_there_is_named_with_those_that_are(bench: Bench, name: str) -> None:
    load, found, engine = bench.make({**P90, "locustfile": name})
    path = bench.root / (name if name.endswith(".py") else f"locustfiles/{name}.py")
    assert load.fault == f"there is no locustfile {path}; those of locustfiles/: dashboard, portal"
    assert (engine.orders, found.verdict, found.message) == ([], Verdict.ERROR, load.fault)


def test_a_project_without_locustfiles(bench: Bench) -> None:
    for one in (bench.root / "locustfiles").iterdir():
        one.unlink()
    load, _, _ = bench.make(P90)
    assert load.fault == f"there is no locustfile {bench.root}/locustfiles/portal.py; those of locustfiles/: none"


def test_a_locustfile_may_be_a_path_of_the_project(bench: Bench) -> None:
    (bench.root / "mine.py").touch()
    _, _, engine = bench.make({**P90, "locustfile": "mine.py"})
    assert engine.orders[0].locustfile == str(bench.root / "mine.py")


def test_without_locust_nothing_is_begun(bench: Bench) -> None:
    bench.patch.setattr(importlib.util, "find_spec", lambda _: None)
    load, _, engine = bench.make(P90, variables={})
    assert (engine.orders, load.fault) == (
        [],
        "Locust is not installed; install pytest-rollout[locust], or set ROLLOUT_LOCUST to a locust command",
    )
    assert len(bench.make(P90)[2].orders) == 1, "another command is another Locust"


def test_a_variable_that_is_not_set_is_an_error(bench: Bench) -> None:
    sides = {"control": {}, "candidate": {"headers": {"Authorization": "${TOKEN}"}}}
    load, _, engine = bench.make({**P90, **sides})
    assert (engine.orders, load.fault) == (
        [],
        "the load needs the environment variable TOKEN, which is not set; export it",
    )
    _, _, engine = bench.make({**P90, **sides}, variables={"ROLLOUT_LOCUST": "locust", "TOKEN": "t"})
    assert engine.orders[0].arms[1].headers == {"Authorization": "t"}


def test_variables_that_would_change_the_load_are_left_out(bench: Bench) -> None:
    others = ("LOCUST_USERS", "LOCUST_HOST", "locust_run_time", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "no_proxy")
    tested = ("PYTEST_ADDOPTS", "PYTEST_CURRENT_TEST", "COV_CORE_SOURCE", "COVERAGE_PROCESS_START")
    kept = {"PATH": "/bin", "HOME": "/root", "ROLLOUT_LOCUST": "locust", "MY_LOCUST_": "x", "PROXY": "x", "AGENT": "a"}
    runner, _ = bench.runner(variables=kept | dict.fromkeys((*others, *tested), "x"))
    assert runner.site(bench.root, terms(P90)).env == kept


def test_a_master_waits_here_for_workers_of_its_own(bench: Bench) -> None:
    site = bench.runner()[0].site(bench.root, terms({**P90, "workers": 2}))
    assert (site.bind, site.port, site.own_workers) == (LOOPBACK, None, True)


def test_a_master_that_binds_an_address_waits_for_workers_from_elsewhere(bench: Bench) -> None:
    site = bench.runner()[0].site(bench.root, terms({**P90, "workers": 2, "bind": "load.internal:5557"}))
    assert (site.bind, site.port, site.own_workers, site.patience) == ("load.internal", 5557, False, 60.0)


# --- the picture ------------------------------------------------------------------------------------------------


def test_a_load_has_a_picture(bench: Bench) -> None:
    load, _, _ = bench.make(P90)
    (path,) = load.attachments
    assert path == str(bench.root / "reports" / "p" / "latency.svg")
    assert Path(path).read_text().startswith("<svg")


def test_a_picture_is_of_this_load_or_of_none(bench: Bench) -> None:
    bench.make(P90)
    load, _, _ = bench.make(P90, Run(fault=LoadError("gone")))
    assert load.attachments == ()
    assert not (bench.root / "reports" / "p" / "latency.svg").exists()


def test_a_load_without_arrivals_has_no_picture(bench: Bench) -> None:
    load, found, _ = bench.make({**P90, "rate": "1/h", "arrivals": "poisson"})
    assert (load.attachments, found.verdict) == ((), Verdict.INCONCLUSIVE)


@pytest.mark.parametrize("fails", ["fsync", "replace"])
def test_a_picture_is_whole_or_not_there(bench: Bench, fails: str) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    bench.patch.setattr(os if fails == "fsync" else Path, fails, full)
    load, found, _ = bench.make(P90)
    assert (load.attachments, found.verdict) == ((), Verdict.PASSED)
    assert list((bench.root / "reports" / "p").iterdir()) == []


def test_what_was_made_can_be_kept(bench: Bench) -> None:
    load, found, _ = bench.make(P99, Run(), Run(lag=LATE), Run(), Run())
    again = Load.from_dict(json.loads(json.dumps(load.to_dict(), allow_nan=False)))
    assert judge_latency(terms(P99), again) == found
