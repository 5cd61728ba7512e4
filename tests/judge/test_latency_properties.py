"""Of a load run, too: less evidence never makes a pass, and neither does a worse answer.

How many requests there must be is the document's own count (``due``, ``planned``). What is taken away from that and
from the samples alike is another run, not a loss.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest
from hypothesis import event, given, settings, strategies as st

from pytest_rollout.judge.baseline import Effect
from pytest_rollout.judge.latency import ErrorsAtMost, ErrorsBelow, Limit, QuantileBelow, judge_limit
from pytest_rollout.judge.load_run import Answers, Model, Moments, Run
from pytest_rollout.judge.paired import WorseBy, judge_worse
from pytest_rollout.verdict import CheckResult, Verdict
from tests.judge.load_runs import RATE, WHOLE, lognormal

SEEDS = st.integers(0, 10**6)
WORSE = WorseBy(0.9, Effect(0.2, 0.0))


def random_of(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - not a secret


def some_answers(random: Random, many: int) -> Answers:
    """A run that is good, bad, or in between, with failures and silence here and there."""
    failing, silent = (random.choice([0.0, 0.0, 0.002, 0.01]) for _ in range(2))
    parts: dict[str, list[tuple[float, float]]] = {"ok": [], "failed": [], "censored": []}
    for number, seconds in enumerate(lognormal(random, many, median=random.choice([0.04, 0.07, 0.08, 0.15]))):
        fate = random.random()
        part = "failed" if fate < failing else "censored" if fate < failing + silent else "ok"
        parts[part].append((number / RATE, seconds * 100 if part == "censored" else seconds))
    ok, failed, censored = (tuple(part) for part in parts.values())
    return Answers(ok=ok, failed=failed, censored=censored, due=many, planned=many)


def some_limit(random: Random) -> Limit:
    limits: list[Limit] = [QuantileBelow(0.95, 0.2), QuantileBelow(0.99, 0.4), ErrorsBelow(0.01), ErrorsAtMost(1)]
    return random.choice(limits)


def some_run(random: Random, many: int) -> Run:
    budget = random.choice([0.0, 60.0, 600.0])
    added = random.choice([0.0, budget])
    return replace(WHOLE, seconds=many / RATE, budget=budget, added=added)


def only(answers: Answers, keep: Callable[[str, float], bool]) -> Answers:
    """Return the samples that are to be kept, by their part and their time."""

    def kept(part: str, there: Moments) -> Moments:
        return tuple(one for one in there if keep(part, one[0]))

    return replace(
        answers,
        ok=kept("ok", answers.ok),
        failed=kept("failed", answers.failed),
        censored=kept("censored", answers.censored),
    )


def less(random: Random, answers: Answers, run: Run) -> tuple[Answers, Run]:
    """Take something away."""
    lossy, share = random.choice(["ok", "failed", "censored"]), random.choice([0.01, 0.5, 1.0])
    return only(answers, lambda part, _: part != lossy or random.random() > share), run


def stopped(random: Random, answers: Answers, run: Run) -> tuple[Answers, Run]:
    """End the run at some moment; the schedule remains what it was."""
    end = random.uniform(0, run.seconds)
    left = only(answers, lambda _, at: at <= end)
    return replace(left, due=len(left.ok + left.unknown)), replace(run, whole=random.random() < 0.5)


def bent(_random: Random, answers: Answers, run: Run) -> tuple[Answers, Run]:
    return answers, replace(run, faults=("bent generator",))


def worse(random: Random, answers: Answers, run: Run) -> tuple[Answers, Run]:
    """Let some good answers be slower, fail, or never come; let failures be silence."""
    ok, failed, censored = [], list(answers.failed), list(answers.censored)
    share = random.choice([0.001, 0.02, 0.3])
    for at, seconds in answers.ok:
        fate = random.random()
        if fate < share / 3:
            failed.append((at, random.choice([0.0, seconds, 9.0])))
        elif fate < share * 2 / 3:
            censored.append((at, random.choice([0.0, seconds, 9.0])))
        else:
            ok.append((at, seconds * 5 if fate < share else seconds))
    return replace(answers, ok=tuple(ok), failed=tuple(failed), censored=tuple(censored)), run


Change = Callable[[Random, Answers, Run], tuple[Answers, Run]]
CHANGES: list[Change] = [less, stopped, bent, worse]


def never_a_pass(before: CheckResult, after: CheckResult) -> None:
    event(f"{before.verdict} -> {after.verdict}")
    if before.verdict is not Verdict.PASSED:
        assert after.verdict is not Verdict.PASSED, (before.message, after.message)


@pytest.mark.parametrize("change", CHANGES)
@settings(max_examples=100)
@given(SEEDS)
def test_lost_or_worse_evidence_never_makes_a_pass(change: Change, seed: int) -> None:
    random = random_of(seed)
    many = random.choice([40, 80, 300, 800])
    answers, run, limit = some_answers(random, many), some_run(random, many), some_limit(random)
    before = judge_limit(limit, answers, run)
    for _ in range(3):
        never_a_pass(before, judge_limit(limit, *change(random, answers, run)))


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("arm", ["control", "candidate"])
@settings(max_examples=40)
@given(SEEDS)
def test_nor_does_it_in_a_paired_run(change: Change, arm: str, seed: int) -> None:
    random = random_of(seed)
    many = random.choice([60, 200, 400])
    arms, run = {one: some_answers(random, many) for one in ("control", "candidate")}, some_run(random, many)
    before = judge_worse(WORSE, **arms, run=run)
    for _ in range(2):
        if arm == "control" and change is worse:
            changed, with_run = unknown(random, arms[arm]), run
        else:
            changed, with_run = change(random, arms[arm], run)
        never_a_pass(before, judge_worse(WORSE, **{**arms, arm: changed}, run=with_run))


def unknown(random: Random, answers: Answers) -> Answers:
    """Let some answers of the control turn out to be failures. (If it were slower, the candidate could be, too.)"""
    ok = tuple(one for one in answers.ok if random.random() > random.choice([0.01, 0.2]))
    kept = frozenset(ok)
    return replace(answers, ok=ok, failed=answers.failed + tuple(one for one in answers.ok if one not in kept))


@settings(max_examples=100)
@given(SEEDS)
def test_a_closed_model_never_passes(seed: int) -> None:
    random = random_of(seed)
    answers = replace(some_answers(random, 400), planned=None)
    run = replace(some_run(random, 400), model=Model.CLOSED)
    assert judge_limit(some_limit(random), answers, run).verdict is not Verdict.PASSED


def test_the_runs_are_of_all_kinds() -> None:
    """The properties are only as good as the runs."""
    found = []
    for seed in range(150):
        random = random_of(seed)
        answers, run, limit = some_answers(random, 800), some_run(random, 800), some_limit(random)
        found.append(judge_limit(limit, answers, run).verdict)
    assert min(found.count(one) for one in (Verdict.PASSED, Verdict.BREACHED, Verdict.INCONCLUSIVE)) > 15
