"""Golden cases as pytest items: ``mc-typo.json::enforce``, ``mc-typo.json::matrix``, ``endpoint.json::modes``.

All cases of an endpoint are sent together, mode by mode, when the first of its items runs: a mode is set for
everybody, so items cannot set it one by one. Under xdist the first worker does it for all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_rollout.errors import GateBreached, GateError, GateInconclusive
from pytest_rollout.plugin.golden_runs import MATRIX, MODES, Goldens
from pytest_rollout.plugin.items import RESULT_PROPERTY
from pytest_rollout.plugin.selection import walk

if TYPE_CHECKING:
    from pytest_rollout.golden.corpus import Corpus
    from pytest_rollout.verdict import CheckResult

golden_key = pytest.StashKey[Goldens]()
ENDPOINT_FILE = "endpoint.json"
RAISED = {"breached": GateBreached, "inconclusive": GateInconclusive, "error": GateError}
"""By verdict; pytest and Allure tell failures from broken instruments by these."""


def add_golden_options(group: pytest.OptionGroup) -> None:
    """Register the options of golden cases."""
    group.addoption("--golden-bless", metavar="ID[,ID]", help="Approve what these cases receive as their new golden")
    group.addoption("--golden-reason", metavar="TEXT", default="", help="Why it is approved")
    group.addoption("--golden-learn", action="store_true", help="Propose matchers for what is not the same every time")
    group.addoption(
        "--golden-propose",
        metavar="ID=KIND",
        action="append",
        default=[],
        help="Write cases of a kind, each with a single fault put into a valid case by the OpenAPI schema",
    )


def golden_markers(places: Iterable[Path]) -> Iterator[str]:
    """Yield a marker line for golden items and for each of their modes, by a look at the files alone."""
    yield "golden: a golden case in one mode"
    yield "golden_matrix: what the modes of golden cases promise together"
    modes = dict.fromkeys(mode for place in places for file in walk(place, (ENDPOINT_FILE,)) for mode in _modes(file))
    yield from (f"{mode}: golden cases in the mode {mode!r}" for mode in modes)


def _modes(file: Path) -> list[str]:
    try:
        own = json.loads(file.read_text(encoding="utf-8"))
        shared = json.loads((file.parent / own["shared"]).read_text(encoding="utf-8")) if "shared" in own else {}
        return [str(mode) for mode in own.get("modes", shared.get("modes", []))]
    except (OSError, ValueError, TypeError, AttributeError):
        return []  # collection says what is wrong with it


class CaseFile(pytest.File):
    """One case: an item for each mode, and one for all of them together."""

    def collect(self) -> Iterator[pytest.Item]:
        """Yield the items; a wrong file fails with ``file:line:column``."""
        corpus = _corpus(self)
        case = corpus.cases[self.path.stem]
        for mode in corpus.endpoint.modes:
            line = case.document.line(("expect", mode))
            yield GoldenItem.from_parent(self, name=mode, key=f"{case.id}/{mode}", line=line, marks=("golden", mode))
        marks = ("golden", "golden_matrix")
        yield GoldenItem.from_parent(self, name=MATRIX, key=f"{case.id}/{MATRIX}", line=1, marks=marks)


class EndpointFile(pytest.File):
    """An endpoint: one item that asks whether its modes were different ones."""

    def collect(self) -> Iterator[pytest.Item]:
        """Yield the item; a wrong file fails with ``file:line:column``."""
        _corpus(self)
        yield GoldenItem.from_parent(self, name=MODES, key=MODES, line=1, marks=("golden", "golden_matrix"))


def _corpus(node: pytest.File) -> Corpus:
    from pytest_rollout.golden.document import CaseError

    try:
        return node.config.stash[golden_key].corpus(node.path.parent)
    except CaseError as exc:
        raise node.CollectError(str(exc)) from exc


class GoldenItem(pytest.Item):
    """One result of a run of the whole corpus."""

    def __init__(self, *, key: str, line: int, marks: tuple[str, ...], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.key = key
        self._line = line
        for mark in marks:
            self.add_marker(mark)

    def runtest(self) -> None:
        """Raise GateBreached, GateInconclusive or GateError unless the result passed."""
        chosen = [item for item in self.session.items if isinstance(item, GoldenItem) and item.folder == self.folder]
        self._conclude(self.config.stash[golden_key].results(self.folder, [item.key for item in chosen])[self.key])

    def _conclude(self, result: CheckResult) -> None:
        data = result.to_dict()
        self.user_properties += [
            ("rollout.verdict", data["verdict"]),
            ("rollout.reason", data["reason"]),
            (RESULT_PROPERTY, json.dumps(data, allow_nan=False)),
        ]
        self.ihook.pytest_rollout_gate_evaluated(item=self, result=data)
        if raised := RAISED.get(data["verdict"]):
            raise raised(f"{self.key}: {data['verdict'].upper()} ({data['reason']})\n{result.message}")

    @property
    def folder(self) -> Path:
        """The corpus that the item belongs to."""
        return self.path.parent

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show what differs, not a traceback through the plugin."""
        return (
            str(excinfo.value)
            if isinstance(excinfo.value, tuple(RAISED.values()))
            else super().repr_failure(excinfo, style=style)
        )

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        """Return file and line of what is expected."""
        return self.path, self._line - 1, f"{self.path.stem}/{self.name}"


class GoldenPlugin:
    """Collects golden cases and tells what became of them; registered for a run whose arguments hold a corpus."""

    def __init__(self, goldens: Goldens) -> None:
        self.goldens = goldens

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        """Collect the JSON files of folders with an ``endpoint.json``."""
        if file_path.suffix != ".json" or not (file_path.parent / ENDPOINT_FILE).is_file():
            return None
        kind = EndpointFile if file_path.name == ENDPOINT_FILE else CaseFile
        return kind.from_parent(parent, path=file_path)

    def pytest_collection_finish(self) -> None:
        """Refuse to bless what is not there, before anything is sent."""
        self.goldens.check_ids()

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what was received, blessed, refused and proposed."""
        notes = self.goldens.notes() if not hasattr(terminalreporter.config, "workerinput") else []
        if notes:
            terminalreporter.section("golden payloads")
            for note in notes:
                terminalreporter.line(note)

    def pytest_unconfigure(self) -> None:
        """Remove what was only for this run."""
        self.goldens.close()


class GoldenDistribution:
    """Tells the workers of xdist where the results of the run are; registered only with xdist, on the controller."""

    def __init__(self, goldens: Goldens) -> None:
        self.goldens = goldens

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Give a worker the run's folder."""
        node.workerinput["golden_folder"] = str(self.goldens.run_folder)


def register_golden(config: pytest.Config, variables: Callable[[], Mapping[str, str]], reports: Path) -> None:
    """Register what golden cases need, in a run whose arguments hold some. Raises pytest.UsageError."""
    goldens = config.stash[golden_key] = Goldens(config, variables, reports)
    manager = config.pluginmanager
    manager.register(GoldenPlugin(goldens), "rollout-golden")
    if manager.hasplugin("xdist") and not hasattr(config, "workerinput"):
        manager.register(GoldenDistribution(goldens), "rollout-golden-xdist")
