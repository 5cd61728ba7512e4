"""One run of a corpus against the small target, as tests need it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_rollout.golden.bodies import Trial
from pytest_rollout.golden.corpus import Corpus, load_corpus
from pytest_rollout.golden.endpoint import Site
from pytest_rollout.golden.evaluate import Batches, Outcome, judge_case
from pytest_rollout.golden.matrix import Matrix, judge_matrix
from pytest_rollout.golden.observe import Observer, Rounds
from pytest_rollout.verdict import CheckResult
from tests.golden.corpora import CASES, ENDPOINT, Json, write_corpus
from tests.golden.target import Target


@dataclass(frozen=True)
class Run:
    """A corpus, and what was observed with it."""

    corpus: Corpus
    site: Site
    batches: Batches

    def trial(self, name: str) -> Trial:
        return Trial(self.corpus.endpoint, self.corpus.cases[name], self.site.instances)

    def outcome(self, name: str) -> Outcome:
        return judge_case(self.trial(name), self.batches)

    def matrix(self) -> Matrix:
        return judge_matrix(self.corpus, self.batches, self.site.instances)

    def results(self) -> dict[str, CheckResult]:
        return dict(self.matrix().named())


def run(
    root: Path,
    cases: Iterable[Json] = CASES,
    endpoint: Json = ENDPOINT,
    target: Target | None = None,
    **asked: Any,
) -> Run:
    """Write a corpus, observe it, and return both; ``modes`` and ``repeats`` are those of the observer."""
    corpus = load_corpus(write_corpus(root, cases, endpoint))
    site = Site(corpus.endpoint, {})
    observer = Observer(site, (target or Target()).world())
    rounds = Rounds(asked.get("repeats", 1))
    return Run(corpus, site, observer.observe(corpus, asked.get("modes", corpus.endpoint.modes), rounds))
