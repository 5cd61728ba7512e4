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

from pytest_rollout.errors import CaseError
from pytest_rollout.plugin.golden_runs import MATRIX, MODES, Goldens
from pytest_rollout.plugin.items import RAISED, conclude
from pytest_rollout.plugin.selection import ENDPOINT_FILE
from pytest_rollout.plugin.stash import world_key

if TYPE_CHECKING:
    from pytest_rollout.golden.corpus import Corpus
    from pytest_rollout.plugin.settings import Settings

golden_key = pytest.StashKey[Goldens]()
_SCHEMA = '"golden-endpoint/'
_SANDBOX = "sandbox"
"""The environment that may take its variables from a sandbox which is up."""


def golden_markers(folders: Iterable[Path]) -> Iterator[str]:
    """Yield a marker line for golden items and for each of their modes, by a look at the files alone."""
    yield "golden: a golden case in one mode"
    yield "golden_matrix: what the modes of golden cases promise together"
    modes = dict.fromkeys(mode for folder in folders for mode in _modes(folder / ENDPOINT_FILE))
    yield from (f"{mode}: golden cases in the mode {mode!r}" for mode in modes)


def _modes(file: Path) -> list[str]:
    try:
        own = json.loads(file.read_text(encoding="utf-8"))
        shared = json.loads((file.parent / own["shared"]).read_text(encoding="utf-8")) if "shared" in own else {}
        return [str(mode) for mode in own.get("modes", shared.get("modes", []))]
    except (OSError, ValueError, TypeError, AttributeError):
        return []  # collection says what is wrong with it


def golden_variables(config: pytest.Config, settings: Settings) -> Mapping[str, str]:
    """Return what fills the ``${NAME}`` of endpoints. Raises EnvironmentUnready, PlanError.

    For a gate of a plan: what its environment has. Else the process environment, and in the environment ``sandbox``
    what a sandbox says that is up.
    """
    from pytest_rollout.plugin.stash import gate_key
    from pytest_rollout.sandbox import STATE_VARIABLE, read_state

    if (plan := config.stash.get(gate_key, None)) is not None:
        return config.stash[world_key].variables(plan)
    known = os.environ.get(STATE_VARIABLE)
    if not known or settings.environment != _SANDBOX:
        return os.environ
    return {**os.environ, **read_state(Path(known)).variables}


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
    if golden_key not in node.config.stash or node.path.parent not in node.config.stash[golden_key].folders:
        raise node.CollectError(
            f"{node.path.parent.name}: these golden cases were not found before collection; "
            "add their folder to the ini key rollout_goldens, or give it as an argument"
        )
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
        result = self.config.stash[golden_key].results(self.folder, [item.key for item in chosen])[self.key]
        conclude(self, result, f"{self.key}: {result.verdict.value.upper()} ({result.reason.value})\n{result.message}")

    @property
    def folder(self) -> Path:
        """The corpus that the item belongs to."""
        return self.path.parent

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show what differs, not a traceback through the plugin."""
        if isinstance(excinfo.value, tuple(RAISED.values())):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style=style)

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        """Return file and line of what is expected."""
        return self.path, self._line - 1, f"{self.path.stem}/{self.name}"


def collect_golden(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect the JSON files of a folder of golden cases, and refuse one that this run did not look for."""
    goldens = parent.config.stash.get(golden_key, None)
    if goldens is not None and file_path.parent in goldens.folders:
        kind = EndpointFile if file_path.name == ENDPOINT_FILE else CaseFile
        return kind.from_parent(parent, path=file_path)
    if file_path.name == ENDPOINT_FILE and _SCHEMA in file_path.read_text(encoding="utf-8", errors="replace"):
        return EndpointFile.from_parent(parent, path=file_path)
    return None


class GoldenPlugin:
    """Tells what became of golden cases; registered for a run whose arguments hold some."""

    def __init__(self, goldens: Goldens) -> None:
        self.goldens = goldens

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


def register_golden(config: pytest.Config, settings: Settings, folders: Iterable[Path]) -> None:
    """Register what golden cases need, in a run whose arguments hold some. Raises pytest.UsageError."""
    folders = frozenset(folders)
    for line in golden_markers(sorted(folders)):
        config.addinivalue_line("markers", line)
    variables: Callable[[], Mapping[str, str]] = lambda: golden_variables(config, settings)  # noqa: E731
    goldens = config.stash[golden_key] = Goldens(config, settings, variables, folders)
    manager = config.pluginmanager
    manager.register(GoldenPlugin(goldens), "rollout-golden")
    if manager.hasplugin("xdist") and not hasattr(config, "workerinput"):
        manager.register(GoldenDistribution(goldens), "rollout-golden-xdist")
