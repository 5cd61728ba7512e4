"""Two arms of one load run: what is worse, what is not, and that noise which hits both cancels out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest

from pytest_rollout.judge import order
from pytest_rollout.judge.baseline import Effect
from pytest_rollout.judge.load_run import Answers, Model
from pytest_rollout.judge.paired import WorseBy, judge_worse
from pytest_rollout.verdict import CheckResult, Reason, Verdict
from tests.judge.load_runs import WHOLE, answers, lognormal

P95 = WorseBy(0.95, Effect(relative=0.1, absolute=0.0))
BY_TIME = WorseBy(0.95, Effect(relative=0.0, absolute=0.01))


def seeded(seed: int = 12) -> Random:
    return Random(seed)  # noqa: S311 - not a secret


def side(seconds: Sequence[float]) -> Answers:
    return answers(seconds, rate=25.0)


def noisy(random: Random, many: int, factor: float = 1.0, sigma: float = 0.15) -> tuple[Answers, Answers]:
    """Both arms on a machine whose speed drifts and jumps; the candidate is slower by ``factor``."""
    drift = [math.exp(math.sin(number * 40 / many) + random.gauss(0.0, 0.8)) for number in range(many)]
    control, candidate = (
        side([one * by * slow for one, slow in zip(lognormal(random, many, sigma=sigma), drift, strict=True)])
        for by in (1.0, factor)
    )
    return control, candidate


def judged(control: Answers, candidate: Answers, limit: WorseBy = P95) -> CheckResult:
    return judge_worse(limit, control, candidate, WHOLE)


def test_a_candidate_like_the_control_passes() -> None:
    random = seeded(0)
    result = judged(side(lognormal(random, 3000)), side(lognormal(random, 3000)))
    assert (result.verdict, result.reason) == (Verdict.PASSED, Reason.WITHIN_LIMIT)
    assert result.message == (
        "108 ms, the control's is 109 ms, surely between 102 ms and 115 ms; at most 10 % worse is allowed; 3,000 pairs"
    )
    assert result.value == pytest.approx(0.0, abs=0.05)
    assert (result.limit, result.unit, result.samples) == (0.1, "share", 3000)
    assert result.derivation["rule"] == (
        "pairs of which one is slower (McNemar), Clopper-Pearson, one-sided, single look"
    )


def test_a_slower_candidate_breaches() -> None:
    random = seeded()
    result = judged(side(lognormal(random, 3000)), side(lognormal(random, 3000, median=0.05)))
    assert (result.verdict, result.reason) == (Verdict.BREACHED, Reason.LIMIT_BREACHED)


def test_a_difference_can_be_limited_in_seconds() -> None:
    random = seeded()
    control = side(lognormal(random, 3000))
    near, far = (side([one + more for one in lognormal(random, 3000)]) for more in (0.0, 0.05))
    result = judged(control, near, BY_TIME)
    assert result.verdict is Verdict.PASSED
    assert "; at most 10 ms worse is allowed; " in result.message
    assert (result.limit, result.unit) == (0.01, "seconds")
    assert judged(control, far, BY_TIME).verdict is Verdict.BREACHED
    both = judged(control, near, WorseBy(0.95, Effect(0.1, 0.005)))
    assert "; at most 10 % worse is allowed, or 5 ms; " in both.message


def test_arms_that_are_always_alike_pass_without_a_pair_that_differs() -> None:
    steady = side([0.04] * 300)
    assert judged(steady, steady).verdict is Verdict.PASSED
    assert judged(steady, side([0.0439] * 300)).verdict is Verdict.PASSED
    assert judged(steady, side([0.0441] * 300)).verdict is Verdict.BREACHED


def test_rare_slow_requests_do_not_make_a_percentile_worse() -> None:
    """All of the control is equal, so none is above its p95; 3 % of the candidate are, and its p95 is the same."""
    steady, rarely = [0.04] * 3000, [1.0 if number % 100 < 3 else 0.04 for number in range(3000)]
    assert judged(side(steady), side(rarely)).verdict is Verdict.PASSED
    often = [1.0 if number % 100 < 7 else 0.04 for number in range(3000)]
    assert judged(side(steady), side(often)).verdict is Verdict.BREACHED


def test_noise_that_hits_both_arms_cancels_out() -> None:
    """Each arm's own bounds are too far apart to tell, those of the difference are not."""
    control, candidate = noisy(seeded(0), 2000)
    theirs, mine = (order.between(0.95, part.early, part.early, WHOLE.certainty) for part in (control, candidate))
    assert mine.high > P95.effect.worst(theirs.low)
    assert judged(control, candidate).verdict is Verdict.PASSED


def test_noise_does_not_hide_a_slower_candidate() -> None:
    control, candidate = noisy(seeded(1), 2000, factor=1.3)
    theirs, mine = (order.between(0.95, part.early, part.early, WHOLE.certainty) for part in (control, candidate))
    assert mine.low < P95.effect.worst(theirs.high)
    assert judged(control, candidate).verdict is Verdict.BREACHED


def test_too_few_pairs_say_how_many_more_are_needed() -> None:
    random = seeded(2)
    control, candidate = (side(lognormal(random, 500)) for _ in range(2))
    result = judge_worse(P95, control, candidate, replace(WHOLE, seconds=20.0))
    assert (result.verdict, result.reason) == (Verdict.INCONCLUSIVE, Reason.UNPROVEN)
    assert result.message.endswith("500 pairs; needs about 1,500 more pairs, 1 min at this rate")
    extendable = judge_worse(P95, control, candidate, replace(WHOLE, seconds=20.0, budget=600.0))
    assert extendable.reason is Reason.TOO_FEW_SAMPLES
    assert extendable.ready_in is not None


def test_a_candidate_as_bad_as_allowed_is_not_waited_for() -> None:
    random = seeded()
    control, candidate = (side(lognormal(random, 3000, median=median)) for median in (0.04, 0.044))
    result = judged(control, candidate)
    assert (result.verdict, result.reason) == (Verdict.INCONCLUSIVE, Reason.UNPROVEN)


def test_a_candidate_that_hangs_breaches() -> None:
    random = seeded()
    hung = answers(censored=[5.0] * 500, rate=25.0)
    result = judged(side(lognormal(random, 500)), hung)
    assert result.verdict is Verdict.BREACHED
    assert result.message.startswith("at least 5 s, the control's is ")


def test_a_control_that_hangs_excuses_nothing() -> None:
    random = seeded()
    hung = answers(censored=[5.0] * 500, rate=25.0)
    assert judged(hung, side(lognormal(random, 500))).verdict is Verdict.INCONCLUSIVE


def test_quick_errors_do_not_make_the_candidate_fast() -> None:
    random = seeded()
    seconds = lognormal(random, 3000)
    quick = answers(seconds[:2700], failed=[0.001] * 300, rate=25.0)
    assert judged(side(seconds), quick).verdict is Verdict.INCONCLUSIVE


def test_quick_errors_of_the_control_excuse_nothing() -> None:
    random = seeded()
    seconds = lognormal(random, 3000)
    broken = answers(seconds[:2700], failed=[0.001] * 300, rate=25.0)
    assert judged(broken, side(seconds)).verdict is Verdict.INCONCLUSIVE


def test_a_lost_request_of_either_arm_is_seen() -> None:
    control, candidate = noisy(seeded(), 500)
    said = "the result document tells of 499 requests, but counts 500; evidence was lost, run the load again"
    lost = judged(control, replace(candidate, ok=candidate.ok[1:]))
    assert (lost.verdict, lost.reason, lost.message) == (Verdict.ERROR, Reason.EVIDENCE, said)
    lost = judged(replace(control, ok=control.ok[1:]), candidate)
    assert (lost.verdict, lost.message) == (Verdict.ERROR, f"the control: {said}")


def test_arms_that_are_no_pairs_are_an_error() -> None:
    control, candidate = side([0.04] * 500), side([0.04] * 499)
    result = judged(control, candidate)
    assert (result.verdict, result.reason) == (Verdict.ERROR, Reason.EVIDENCE)
    assert result.message == (
        "500 requests of the control, 499 of the candidate; they come in pairs, so evidence was lost; run the load "
        "again"
    )


def test_a_bent_generator_and_a_closed_model_never_pass() -> None:
    control, candidate = noisy(seeded(), 2000)
    bent = judge_worse(P95, control, candidate, replace(WHOLE, faults=("bent generator",)))
    assert bent.verdict is Verdict.ERROR
    closed = judge_worse(P95, control, candidate, replace(WHOLE, model=Model.CLOSED))
    assert (closed.verdict, closed.reason) == (Verdict.INCONCLUSIVE, Reason.UNPROVEN)


def test_nothing_is_said_before_the_end() -> None:
    steady, slow = side([0.04] * 300), side([5.0] * 300)
    result = judge_worse(P95, steady, slow, replace(WHOLE, whole=False))
    assert (result.verdict, result.reason) == (Verdict.INCONCLUSIVE, Reason.WINDOW_NOT_ELAPSED)


# --- how often it is wrong ---------------------------------------------------------------------------------------


RUNS = 150


@pytest.mark.parametrize("q", [0.5, 0.9])
def test_a_candidate_as_bad_as_allowed_passes_and_breaches_seldom(q: float) -> None:
    random, limit = seeded(6), WorseBy(q, Effect(0.1, 0.0))
    found = [judged(*noisy(random, 300, factor=1.1), limit).verdict for _ in range(RUNS)]
    allowed = RUNS * 0.05 + 3 * math.sqrt(RUNS * 0.05 * 0.95)
    assert found.count(Verdict.PASSED) <= allowed
    assert found.count(Verdict.BREACHED) <= allowed


def test_candidates_clearly_on_one_side_are_told_apart() -> None:
    random, limit = seeded(7), WorseBy(0.9, Effect(0.1, 0.0))
    good = [judged(*noisy(random, 1000, factor=0.9), limit).verdict for _ in range(20)]
    bad = [judged(*noisy(random, 1000, factor=1.35), limit).verdict for _ in range(20)]
    assert good.count(Verdict.PASSED) >= 18
    assert bad.count(Verdict.BREACHED) >= 18


@pytest.mark.parametrize(
    "effect", [Effect(math.nan, 0.0), Effect(math.inf, 0.0), Effect(0.0, math.nan), Effect(-0.1, 0.0)]
)
def test_an_allowance_that_is_no_number_is_refused(effect: Effect) -> None:
    """Whatever the candidate takes is less than infinitely worse."""
    with pytest.raises(ValueError, match=r" may be worse; both have to be finite and not negative$"):
        WorseBy(0.95, effect)


def test_a_quantile_of_a_comparison_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^a quantile of 95; it has to be between 0 and 1, such as 0.95$"):
        WorseBy(95, Effect(0.1, 0.0))


def test_two_arms_that_hang_are_no_pass_and_no_breach() -> None:
    hung = answers(censored=[5.0] * 2000, rate=25.0)
    result = judge_worse(P95, hung, hung, WHOLE)
    assert (result.verdict, result.reason) == (Verdict.INCONCLUSIVE, Reason.UNPROVEN)


@pytest.mark.parametrize("broken", ["failed", "censored"])
def test_a_control_that_fails_lets_nobody_pass(broken: str) -> None:
    """One in ten of the control fails, however fast or slow: then nobody knows its p95."""
    random = seeded()
    good, candidate = noisy(random, 2000)
    assert judge_worse(P95, good, candidate, WHOLE).verdict is Verdict.PASSED
    for seconds in (0.001, 30.0):
        ok, rest = [one for _, one in good.ok[200:]], [seconds] * 200
        control = answers(ok, failed=rest, rate=25.0) if broken == "failed" else answers(ok, censored=rest, rate=25.0)
        assert judge_worse(P95, control, candidate, WHOLE).verdict is Verdict.INCONCLUSIVE
