"""What one run knows of golden cases: the corpora, their results, and what is asked for beside judging."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_rollout.errors import BlessRefused, CaseError, EnvironmentUnready, EvidenceError, PlanError

if TYPE_CHECKING:
    from pytest_rollout.golden.bless import Approval
    from pytest_rollout.golden.corpus import Corpus
    from pytest_rollout.golden.session import Report, Wishes
    from pytest_rollout.plugin.settings import Settings
    from pytest_rollout.verdict import CheckResult

LARGEST_ANSWER = 8 * 2**20
"""Bytes: all answers of a run are kept until its end."""
GOLDEN_ROLLOUT = "golden"
"""The rollout that blessings are filed under: they are of a project, and of no single one."""
MATRIX, MODES = "matrix", "modes"
"""Names of the results of all modes together: of a case, and of an endpoint."""


class Goldens:
    """Corpora and their results, for one run. ``variables`` fill the ``${NAME}`` of endpoints."""

    def __init__(
        self,
        config: pytest.Config,
        settings: Settings,
        variables: Callable[[], Mapping[str, str]],
        folders: frozenset[Path],
    ) -> None:
        self._config = config
        self._settings = settings
        self.folders = folders
        """Those of this run's arguments."""
        self.narrowed: tuple[str, ...] = ()
        """The modes that all items together are about, if not all."""
        self._variables = variables
        self._reports = settings.reports / "golden"
        told: dict[str, str] = getattr(config, "workerinput", {})
        self._owns_folder = "golden_folder" not in told
        self.run_folder = Path(told.get("golden_folder") or tempfile.mkdtemp(prefix="golden-"))
        self._corpora: dict[Path, Corpus] = {}
        self._results: dict[Path, dict[str, CheckResult]] = {}
        self.bless = tuple(filter(None, (config.getoption("golden_bless") or "").split(",")))
        self._approval = self._approve() if self.bless else None

    def close(self) -> None:
        """Remove the run's folder if it is ours."""
        if self._owns_folder:
            shutil.rmtree(self.run_folder, ignore_errors=True)

    def corpus(self, folder: Path) -> Corpus:
        """Return the corpus of a folder. Raises CaseError."""
        from pytest_rollout.golden.corpus import load_corpus, shared_ids

        if folder not in self._corpora:
            self._corpora[folder] = load_corpus(folder)
            if faults := shared_ids(self._corpora.values()):
                raise CaseError("\n".join(faults))
        return self._corpora[folder]

    def results(self, folder: Path, keys: Collection[str]) -> dict[str, CheckResult]:
        """Return the results of a corpus by key; it is run once, also when xdist spreads the items."""
        if folder not in self._results:
            self._results[folder] = self._shared(folder, keys)
        return self._results[folder]

    def notes(self) -> list[str]:
        """Return what people should know of the runs so far."""
        kept = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(self.run_folder.glob("*.json"))]
        return [note for data in kept for note in data["notes"]]

    def check_ids(self) -> None:
        """Raise pytest.UsageError if a case to be blessed was not collected."""
        from pytest_rollout.golden.bless import find_cases

        try:
            find_cases(list(self._corpora.values()), self.bless)
        except BlessRefused as exc:
            raise pytest.UsageError(f"--golden-bless: {exc}") from exc

    def _approve(self) -> Approval:
        """Return who approves; asked before the first blessing, which makes the tree dirty. Raises UsageError."""
        from pytest_rollout.golden.bless import Approval, refusals
        from pytest_rollout.golden.repository import author, read_tree

        root = self._config.rootpath
        reason, automatic = self._config.getoption("golden_reason"), bool(os.environ.get("CI"))
        approval = Approval(by=author(root), reason=reason, at=time.time(), tree=read_tree(root), automatic=automatic)
        against = refusals(approval)
        if hasattr(self._config, "workerinput") or self._config.getoption("dist", "no") != "no":
            against.append("goldens are blessed in one process; leave -n away, or give -n0")
        if against:
            raise pytest.UsageError(f"--golden-bless: {'; '.join(against)}")
        return approval

    def _shared(self, folder: Path, keys: Collection[str]) -> dict[str, CheckResult]:
        from pytest_rollout.verdict import CheckResult

        mark = hashlib.sha256(str(folder).encode()).hexdigest()[:16]  # two folders may have one name
        kept = self.run_folder / f"{folder.name}-{mark}.json"
        with kept.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not kept.exists():
                report = self._run(folder, keys)
                results = {name: result.to_dict() for name, result in report.results.items()}
                draft = kept.with_suffix(".tmp")
                draft.write_text(json.dumps({"results": results, "notes": self._told(folder, report)}))
                draft.replace(kept)
            data = json.loads(kept.read_text(encoding="utf-8"))
        return {name: CheckResult.from_dict(result) for name, result in data["results"].items()}

    def _run(self, folder: Path, keys: Collection[str]) -> Report:
        from pytest_rollout.golden.asking import World
        from pytest_rollout.golden.session import run_corpus, unready
        from pytest_rollout.golden.wire import wire_over
        from pytest_rollout.sources.http import Http
        from pytest_rollout.verdict import Reason

        corpus = self.corpus(folder)
        cases = list(corpus.cases) if MODES in keys else [key.partition("/")[0] for key in keys]
        try:
            variables = self._variables()
        except (EnvironmentUnready, PlanError) as exc:
            return unready(corpus, Reason.ENVIRONMENT, str(exc))
        http = Http(corpus.endpoint.timeout, largest=LARGEST_ANSWER)
        try:
            return run_corpus(corpus.only(cases), World(wire_over(http)), variables, self._wishes(corpus, keys))
        finally:
            http.close()

    def _wishes(self, corpus: Corpus, keys: Collection[str]) -> Wishes:
        from pytest_rollout.golden.session import Wishes

        asked = {key.rpartition("/")[2] for key in keys}
        together = () if asked.isdisjoint((MODES, MATRIX)) else self.narrowed or corpus.endpoint.modes
        return Wishes(
            modes=tuple(mode for mode in corpus.endpoint.modes if mode in asked or mode in together),
            received=self._reports,
            bless=self.bless,
            approval=self._approval,
            record=self._record,
            learn=self._config.getoption("golden_learn"),
            propose=dict(pair.partition("=")[::2] for pair in self._config.getoption("golden_propose")),
        )

    def _record(self, case: str, stamp: Mapping[str, Any]) -> None:
        """Append a blessing to the evidence log. Raises BlessRefused if it does not take it."""
        from pytest_rollout.evidence.log import EvidenceLog
        from pytest_rollout.evidence.record import Entry, Kind, Place

        place = Place(GOLDEN_ROLLOUT, self._settings.environment, str(self._config.rootpath.name))
        at = self._approval.at if self._approval else time.time()
        try:
            log = EvidenceLog(self._settings.evidence)
            log.append([Entry(kind=Kind.BLESS, place=place, subject=f"golden/{case}", at=at, data=dict(stamp))])
            log.close()
        except EvidenceError as exc:
            raise BlessRefused(f"{case} is not blessed, for the evidence log does not take it: {exc}") from exc

    def _told(self, folder: Path, report: Report) -> list[str]:
        """Return the notes of a run, and where its coverage is written."""
        from pytest_rollout.golden.coverage import table

        if not report.coverage:
            return list(report.notes)
        path = self._reports / f"{folder.name}.coverage.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(table(report.coverage) + "\n", encoding="utf-8")
        states = Counter(row.state for row in report.coverage)
        counts = ", ".join(f"{number} {state}" for state, number in states.items())
        return [*report.notes, f"{folder.name}: {counts} ({path})"]
