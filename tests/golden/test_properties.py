"""The one property above all: less evidence never makes a pass.

Whatever is lost of what was observed: a mode, an observation, an instance, an answer or a part of it, a witness, a
reading or a sample of the metrics, a read of the state. The limits, and these are all:

- A header or a member that must be *absent*, and that the target itself leaves out one time of several, was not there
  that time: its loss on the way is noticed (an answer is sealed on arrival), its absence at the source is not.
- Of metrics, a series that is left out of *every* reading by the target is another world.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

import pytest
from hypothesis import event, given, settings, strategies as st

from pytest_rollout.golden.matrix import judge_corpora, judge_matrix
from pytest_rollout.verdict import CheckResult, Verdict
from tests.golden.runs import Run
from tests.golden.worlds import LOSSES, TARGETS, Loss, worlds

Told = Mapping[str, Mapping[str, CheckResult]]
RANDOM = st.integers(0, 10**6).map(Random)


@pytest.fixture(scope="module")
def seen() -> dict[str, Run]:
    """Return what was observed of each target."""
    return worlds()


@pytest.fixture(scope="module")
def known(seen: dict[str, Run]) -> tuple[dict[str, Run], Told]:
    """Return what was observed, and every result before anything is lost."""
    return seen, {name: results(run) for name, run in seen.items()}


def results(run: Run) -> dict[str, CheckResult]:
    matrix = judge_matrix(run.corpus, run.batches, run.site.instances)
    return {**dict(matrix.named()), "all": judge_corpora([matrix])}


def test_only_the_healthy_target_passes(known: tuple[dict[str, Run], Told]) -> None:
    passed = {name for name, told in known[1].items() if told["all"].verdict is Verdict.PASSED}
    assert passed == {"healthy"}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@settings(max_examples=40, derandomize=True, deadline=None)
@given(name=st.sampled_from(sorted(TARGETS)), random=RANDOM, times=st.integers(1, 3))
def test_lost_evidence_never_makes_a_pass(
    known: tuple[dict[str, Run], Told], loss: Loss, name: str, random: Random, times: int
) -> None:
    seen, before = known
    batches = dict(seen[name].batches)
    what = []
    for _ in range(times):
        said, batches = loss(batches, random)
        what.append(said)
        if not batches:
            break
    after = results(Run(seen[name].corpus, seen[name].site, batches))
    for key, result in before[name].items():
        event(f"{result.verdict} -> {after[key].verdict}")
        if result.verdict is not Verdict.PASSED:
            assert after[key].verdict is not Verdict.PASSED, (name, what, key, result.message)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_a_healthy_run_that_lost_something_is_no_pass(seen: dict[str, Run], loss: Loss) -> None:
    """Nothing of what is needed can go unnoticed; what no case asks for may."""
    run, random = seen["healthy"], Random(7)  # noqa: S311 - no secrets
    verdicts = set()
    for _ in range(12):
        said, batches = loss(dict(run.batches), random)
        verdicts.add(results(Run(run.corpus, run.site, batches))["all"].verdict)
        assert said
    assert verdicts - {Verdict.PASSED}
