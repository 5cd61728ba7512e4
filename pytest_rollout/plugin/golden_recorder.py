"""Records the run of a golden gate's corpus in the evidence log: every case that the disk holds, or it is no pass."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_rollout.errors import CaseError, PlanError
from pytest_rollout.plugin.golden import GoldenItem, golden_key
from pytest_rollout.plugin.golden_runs import MATRIX, MODES
from pytest_rollout.plugin.items import RESULT_PROPERTY, plan_nodeid
from pytest_rollout.plugin.recorder import Recorder
from pytest_rollout.plugin.selection import ENDPOINT_FILE
from pytest_rollout.plugin.settings import Settings
from pytest_rollout.plugin.stash import gate_key, world_key

if TYPE_CHECKING:
    from pytest_rollout.golden.corpus import Corpus
    from pytest_rollout.plan.golden import GoldenCorpus


class GoldenRecorder(Recorder):
    """Runs the corpus of one golden gate, all of it.

    What has to pass is read from the disk once more, and not taken from what was collected: a file that pytest was
    kept from collecting is missed.
    """

    def __init__(self, config: pytest.Config, settings: Settings, plan: Path) -> None:
        super().__init__(config, settings, plan)
        config.stash[gate_key] = plan
        self._corpus_folder = config.rootpath
        self._expected: frozenset[str] = frozenset()
        self._told = ""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection(self) -> Generator[None, object, object]:
        """Say what has to pass, before anything is collected."""
        try:
            asked = self._asked()
            self._corpus_folder = self.config.rootpath / asked.corpus
            if golden_key in self.config.stash:
                self.config.stash[golden_key].narrowed = asked.modes
            self._expect(asked)
        except (CaseError, PlanError) as exc:
            self.faults.append(("error", str(exc)))
        self.open |= self._expected
        return (yield)

    def _asked(self) -> GoldenCorpus:
        """Return what the plan asks about. Raises PlanError."""
        gates = [gate for stage in self.config.stash[world_key].plan(self.plan).plan.stages for gate in stage.gates]
        found = next((gate.golden for gate in gates if gate.golden is not None and gate.filed == self.canary), None)
        if found is None:
            raise PlanError(f"{self.plan.name} has no golden gate {self.canary.partition(':')[2]!r}")
        return found

    def _expect(self, asked: GoldenCorpus) -> None:
        """Note everything that a corpus has to show. Raises CaseError if it is not what the plan counts."""
        from pytest_rollout.golden.corpus import load_corpora

        corpora = load_corpora(self._corpus_folder)
        cases = sum(len(corpus.cases) for corpus in corpora)
        if cases != asked.cases:
            raise CaseError(f"{asked.corpus} holds {cases} cases, and the plan counts {asked.cases}")
        for corpus in corpora:
            for mode in asked.modes:
                if mode not in corpus.endpoint.modes:
                    known = ", ".join(corpus.endpoint.modes)
                    raise CaseError(f"{corpus.endpoint.endpoint} has no mode {mode!r}; it has {known}")
        self._expected = frozenset(name for corpus in corpora for name in self._names(corpus, asked.modes))
        modes = dict.fromkeys(mode for corpus in corpora for mode in asked.modes or corpus.endpoint.modes)
        instances = " and ".join(map(str, sorted({corpus.endpoint.instance_count for corpus in corpora})))
        results = f"{len(self._expected)} results"
        self._told = f"{cases} cases in {', '.join(modes)} on {instances} instances, {results}"

    def _names(self, corpus: Corpus, modes: Sequence[str]) -> list[str]:
        """Return the items of a corpus; two modes or more have promises to keep together."""
        asked = modes or corpus.endpoint.modes
        parts = (*asked, MATRIX) if len(asked) > 1 else asked
        names = [self._nodeid(case.path, part) for case in corpus.cases.values() for part in parts]
        return [*names, self._nodeid(corpus.folder / ENDPOINT_FILE, MODES)] if len(asked) > 1 else names

    def _nodeid(self, path: Path, part: str) -> str:
        return f"{plan_nodeid(path, self.config.rootpath)}::{part}"

    def _is_mine(self, item: pytest.Item) -> bool:
        return isinstance(item, GoldenItem) and item.nodeid in self._expected

    def _proves(self, report: pytest.TestReport) -> bool:
        """Whether a report has a result: without one, somebody else ran the item."""
        return any(name == RESULT_PROPERTY for name, _ in report.user_properties)

    @property
    def _folder(self) -> Path:
        return self._corpus_folder

    @property
    def _named(self) -> str:
        return f"golden gate {self.canary.partition(':')[2]}"

    @property
    def _passed(self) -> str:
        return self._told

    def _called(self, nodeid: str) -> str:
        return nodeid.rpartition("/")[2]
