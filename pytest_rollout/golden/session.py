"""One run of a corpus: observe, judge, write what was received, and do what people ask for beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_rollout.errors import BlessRefused, EnvironmentUnready, SourceError
from pytest_rollout.golden import bless as blessing, learn as learning
from pytest_rollout.golden.asking import World
from pytest_rollout.golden.bodies import Trial
from pytest_rollout.golden.corpus import Corpus
from pytest_rollout.golden.coverage import Row, coverage, unused_matchers
from pytest_rollout.golden.endpoint import Site
from pytest_rollout.golden.evaluate import Batches
from pytest_rollout.golden.matrix import Matrix, judge_corpora, judge_matrix
from pytest_rollout.golden.observe import ONCE, Observer, Rounds
from pytest_rollout.golden.openapi import NotDescribed
from pytest_rollout.golden.propose import propose, write_proposals
from pytest_rollout.golden.received import forget_received, write_received
from pytest_rollout.golden.wire import Reply, RequestError
from pytest_rollout.verdict import CheckResult, Reason, Verdict, broken, inconclusive

Results = Mapping[str, CheckResult]
"""By name: ``case/mode``, ``case/matrix``, ``modes``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """Which modes to run, where received files go, and what is asked for beside.

    ``propose`` maps a base to the kind of the cases that are to be written.
    """

    modes: tuple[str, ...]
    received: Path
    bless: tuple[str, ...] = ()
    approval: blessing.Approval | None = None
    record: blessing.Record | None = None
    """Blessings that nobody records are refused."""
    learn: bool = False
    propose: Mapping[str, str] = field(default_factory=dict)

    @property
    def rounds(self) -> Rounds:
        """How often every case has to be sent for it."""
        number = learning.LEAST if self.learn else blessing.LEAST if self.bless else 1
        return ONCE if number == 1 else Rounds(number, learning.SPAN / (number - 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What became of one run of a corpus."""

    results: Results
    verdict: CheckResult
    """Of the whole corpus."""
    blessed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """For people, in the order of what happened: received files, blessings and refusals, proposals."""
    coverage: tuple[Row, ...] = ()


def run_corpus(corpus: Corpus, world: World, variables: Mapping[str, str], wishes: Wishes) -> Report:
    """Run a corpus; what keeps it from running is in the results."""
    try:
        site = Site(corpus.endpoint, variables)
        batches = Observer(site, world).observe(corpus, wishes.modes, wishes.rounds)
    except (EnvironmentUnready, RequestError) as exc:  # the second is about a variable in a header
        return unready(corpus, Reason.ENVIRONMENT, str(exc))
    except SourceError as exc:
        return unready(corpus, Reason.SOURCE_UNREACHABLE, str(exc))
    return _Session(corpus, site.instances, batches, wishes).report()


def unready(corpus: Corpus, reason: Reason, said: str) -> Report:
    """Return the report of a corpus that could not be run."""
    names = [f"{case}/{part}" for case in corpus.cases for part in (*corpus.endpoint.modes, "matrix")]
    why = broken(reason, said)
    return Report(results=dict.fromkeys((*names, "modes"), why), verdict=why)


class _Session:
    def __init__(self, corpus: Corpus, instances: Sequence[str], batches: Batches, wishes: Wishes) -> None:
        self.corpus = corpus
        self.instances = instances
        self.batches = batches
        self.wishes = wishes
        self.notes: list[str] = []

    def report(self) -> Report:
        matrix = judge_matrix(self.corpus, self.batches, self.instances, self.wishes.modes)
        results = dict(matrix.named())
        self._write_received(matrix)
        blessed = self._bless(results)
        self._learn()
        self._propose()
        self._tell_unused()
        verdict = judge_corpora([matrix], blessed)
        return Report(
            results=results, verdict=verdict, blessed=blessed, notes=tuple(self.notes), coverage=self._coverage()
        )

    def _trial(self, name: str) -> Trial:
        return Trial(self.corpus.endpoint, self.corpus.cases[name], self.instances)

    def _write_received(self, matrix: Matrix) -> None:
        forget_received(self.wishes.received, map(self._trial, self.corpus.cases))
        for name, outcome in matrix.cases.items():
            if any(result.verdict is not Verdict.PASSED for result in outcome.results):
                path = write_received(self.wishes.received, self._trial(name), self.batches)
                self.notes += [f"{name}: received {path}"] if path else []

    def _bless(self, results: dict[str, CheckResult]) -> tuple[str, ...]:
        """Bless what is asked for; neither what was blessed nor what was refused passes in this run."""
        done = []
        approval, record = self.wishes.approval, self.wishes.record
        for name in self.wishes.bless:
            if name not in self.corpus.cases or approval is None or record is None:
                continue
            try:
                path = blessing.bless(
                    self.corpus, self._trial(name), self.batches, approval, self.wishes.received, record
                )
            except BlessRefused as exc:
                self.notes.append(str(exc))
                results[f"{name}/matrix"] = inconclusive(Reason.NOT_BLESSED, str(exc))
                continue
            done.append(name)
            self.notes.append(f"{name}: blessed {path}")
            said = f"{name} was blessed in this run; have it reviewed, and run again without blessing"
            now = inconclusive(Reason.BLESSED_NOW, said)
            results |= {f"{name}/{part}": now for part in (*self.corpus.endpoint.modes, "matrix")}
        return tuple(done)

    def _learn(self) -> None:
        for name in self.corpus.cases if self.wishes.learn else ():
            for mode, batch in self.batches.items():
                for said in _learned(self._trial(name), mode, batch.of(name)):
                    self.notes.append(said)

    def _propose(self) -> None:
        for base, kind in self.wishes.propose.items():
            if base not in self.corpus.every:
                continue
            try:
                cases = propose(self.corpus, base, self._openapi(), kind)
            except NotDescribed as exc:
                self.notes.append(f"{base}: nothing is proposed: {exc}")
                continue
            written = write_proposals(self.corpus.folder, cases)
            self.notes += [f"{base}: proposed {path}" for path in written]

    def _tell_unused(self) -> None:
        if set(self.corpus.cases) == set(self.corpus.every) and set(self.batches) == set(self.corpus.endpoint.modes):
            for pattern in unused_matchers(self.corpus, self.batches):
                self.notes.append(f"{self.corpus.endpoint.endpoint}: the endpoint's matcher at {pattern!r} met nothing")

    def _openapi(self) -> dict[str, Any]:
        replies = [batch.openapi for batch in self.batches.values() if isinstance(batch.openapi, Reply)]
        data = replies[0].json_or_missing() if replies else None
        return data if isinstance(data, dict) else {}

    def _coverage(self) -> tuple[Row, ...]:
        try:
            return tuple(coverage(self.corpus, self.batches, self._openapi()))
        except NotDescribed:
            return ()


def _learned(trial: Trial, mode: str, seen: Sequence[Any]) -> list[str]:
    try:
        found = learning.learn(trial, mode, seen)
    except learning.TooFewToLearn as exc:
        return [str(exc)]
    return [f"{trial.case.id} in {mode}: {one.line}" for one in found]
