"""Judge a whole corpus: every case in every mode, and whether the modes were different ones."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_rollout.golden.bodies import Trial, unlike
from pytest_rollout.golden.corpus import Corpus
from pytest_rollout.golden.evaluate import Batches, Doubts, Outcome, doubts_of, judge_case
from pytest_rollout.golden.finding import Finding, doubt, judged
from pytest_rollout.golden.matchers import Equals, SameAs
from pytest_rollout.golden.pointer import Pattern
from pytest_rollout.verdict import CheckResult, Reason, Verdict, inconclusive

_WORST = (Verdict.BREACHED, Verdict.ERROR, Verdict.INCONCLUSIVE, Verdict.PASSED)
_NAMED = 10


@dataclass(frozen=True, slots=True)
class Matrix:
    """What became of each case of a corpus, and of the modes as such."""

    endpoint: str
    cases: Mapping[str, Outcome]
    modes: CheckResult

    @property
    def not_run(self) -> tuple[str, ...]:
        """The cells that were not run, as ``case/mode``."""
        cells = [(f"{case}/{mode}", cell) for case, one in self.cases.items() for mode, cell in one.cells.items()]
        return tuple(name for name, cell in cells if cell.reason is Reason.NOT_RUN)

    def named(self) -> Iterator[tuple[str, CheckResult]]:
        """Yield every result with its name: ``case/mode``, ``case/matrix``, ``modes``."""
        for case, outcome in self.cases.items():
            yield from ((f"{case}/{mode}", cell) for mode, cell in outcome.cells.items())
            yield f"{case}/matrix", outcome.matrix
        yield "modes", self.modes


def judge_matrix(
    corpus: Corpus, batches: Batches, instances: Sequence[str], modes: Sequence[str] | None = None
) -> Matrix:
    """Judge every case of a corpus by what was observed in each mode; ``modes`` were asked for, if not all."""
    modes = corpus.endpoint.modes if modes is None else modes
    trials = [Trial(corpus.endpoint, case, instances) for case in corpus.cases.values()]
    doubts = doubts_of(corpus.endpoint, batches, instances)
    outcomes = {trial.case.id: judge_case(trial, batches, doubts, modes) for trial in trials}
    asked = {mode: doubts[mode] for mode in modes}
    said = f"{', '.join(modes)} answer differently"
    return Matrix(corpus.endpoint.endpoint, outcomes, judged(_alike(trials, batches, asked, outcomes), said))


def _alike(trials: Sequence[Trial], batches: Batches, doubts: Doubts, outcomes: Mapping[str, Outcome]) -> list[Finding]:
    """Return a doubt for each pair of modes that no case tells apart: perhaps one of them was tested twice.

    Only a case that passes in both modes tells them apart, by something that it pins in both: what differs by a fault,
    or by chance, proves nothing.
    """
    doubtful = [mode for mode, against in doubts.items() if against]
    if doubtful or not trials:
        why = f" ({doubts[doubtful[0]][0].line})" if doubtful else ""
        said = f"not run, or not to be counted: {', '.join(doubtful)}{why}" if doubtful else "no case"
        return [doubt("#mode", Reason.NOT_RUN, "all modes", said, "matrix")]
    return [
        doubt("#mode", Reason.MODES_ALIKE, f"a case that {one} and {other} answer differently", "none does", "matrix")
        for one, other in itertools.combinations(doubts, 2)
        if not any(
            _passed(outcomes[trial.case.id], one, other) and _differ(trial, batches, one, other) for trial in trials
        )
    ]


def _passed(outcome: Outcome, *modes: str) -> bool:
    return all(outcome.cells[mode].verdict is Verdict.PASSED for mode in modes)


def _differ(trial: Trial, batches: Batches, one: str, other: str) -> bool:
    """Whether a case was answered differently in two modes, on every instance."""
    return all(_told_apart(trial, batches, (one, other), instance) for instance in trial.instances)


def _told_apart(trial: Trial, batches: Batches, modes: tuple[str, str], instance: str) -> bool:
    seen = [next((one for one in batches[mode].of(trial.case.id) if one.instance == instance), None) for mode in modes]
    first, second = seen
    if first is None or second is None or first.reply is None or second.reply is None:
        return False
    if any(all(_pins(trial, mode, found.pointer) for mode in modes) for found in unlike(trial, first, second)):
        return True
    checked = [set(_header_checks(trial, mode)) for mode in modes]
    replies = (first.reply, second.reply)
    return any(len({bool(reply.fields(name)) for reply in replies}) > 1 for name in checked[0] & checked[1])


def _pins(trial: Trial, mode: str, pointer: str) -> bool:
    """Whether a case allows but one value at a place in a mode."""
    if pointer.startswith("#"):
        return True
    matcher = trial.rules(mode).above(tuple(map(str, Pattern.parse(pointer).tokens)))
    if matcher is None:
        return trial.case.goldens[mode].form == "json"
    return isinstance(matcher, Equals) or (isinstance(matcher, SameAs) and matcher.place == "request")


def _header_checks(trial: Trial, mode: str) -> Mapping[str, object]:
    kind = trial.endpoint.kinds[trial.case.case.kind]
    return {**kind.headers_in(mode), **trial.case.case.expect[mode].headers}


def judge_corpora(matrices: Sequence[Matrix], blessed: Sequence[str] = ()) -> CheckResult:
    """Return one verdict of all: passed only if every case of every corpus passed in every mode.

    A run that blessed goldens has approved its own evidence, so it never passes.
    """
    results = [(f"{one.endpoint}/{name}", result) for one in matrices for name, result in one.named()]
    if not any(one.cases for one in matrices):
        return inconclusive(Reason.NO_DATA, "no golden case was run")
    if blessed:
        said = f"this run blessed {', '.join(blessed)}; have it reviewed and run again without blessing"
        return inconclusive(Reason.BLESSED_NOW, said)
    return _worst(results, sum(len(one.cases) for one in matrices))


def _worst(results: Sequence[tuple[str, CheckResult]], cases: int) -> CheckResult:
    counts = {verdict.value: sum(result.verdict is verdict for _, result in results) for verdict in Verdict}
    derivation = {"rule": "every case in every mode", "cases": cases, "results": counts}
    open_ones = [(name, result) for name, result in results if result.verdict is not Verdict.PASSED]
    if not open_ones:
        said = f"{cases} cases, {len(results)} results: all as expected"
        return CheckResult(
            verdict=Verdict.PASSED, reason=Reason.WITHIN_LIMIT, message=said, samples=cases, derivation=derivation
        )
    open_ones.sort(key=lambda pair: _WORST.index(pair[1].verdict))
    told = [f"{name}: {result.message.splitlines()[0]}" for name, result in open_ones[:_NAMED]]
    more = [f"+{len(open_ones) - _NAMED} more"] if len(open_ones) > _NAMED else []
    worst = open_ones[0][1]
    message = "\n".join([f"{len(open_ones)} of {len(results)} results do not pass", *told, *more])
    return CheckResult(
        verdict=worst.verdict, reason=worst.reason, message=message, samples=cases, derivation=derivation
    )
