"""From a folder of files to cases that can be sent: bases resolved, patches applied, every fault named and placed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pytest_rollout.errors import CaseError
from pytest_rollout.golden.case import Case
from pytest_rollout.golden.document import read_json_document
from pytest_rollout.golden.endpoint import Endpoint
from pytest_rollout.golden.explain import explained
from pytest_rollout.golden.goldens import Golden, Standing, Unresolved, case_digest, golden_of, standing
from pytest_rollout.golden.lint import lint_case, lint_endpoint, lint_request, lint_together, lint_zeros
from pytest_rollout.golden.resolve import Read, Unsendable, check_sendable, resolved_request
from pytest_rollout.golden.shorthand import UnknownName, written_out
from pytest_rollout.plan.document import Document, KeyPath

ENDPOINT_FILE = "endpoint.json"


@dataclass(frozen=True)
class GoldenCase:
    """A case that can be sent and judged."""

    case: Case
    document: Document
    request: Mapping[str, Any]
    """The request object, with base, patch and fill applied."""
    goldens: Mapping[str, Golden]
    """By mode."""
    digest: str
    """Of all that decides the outcome; what a stamp has to say."""
    standings: Mapping[str, Standing]
    """Of the case itself, and of each case whose golden it shares."""

    @property
    def id(self) -> str:
        """The case's id."""
        return self.case.id

    @property
    def path(self) -> Path:
        """The case's file."""
        return self.document.path


@dataclass(frozen=True)
class Corpus:
    """The cases of one endpoint."""

    endpoint: Endpoint
    folder: Path
    cases: Mapping[str, GoldenCase] = field(default_factory=dict)
    """Those that are to be run, by id."""
    every: Mapping[str, GoldenCase] = field(default_factory=dict)
    """Those that there are: cases refer to each other."""

    def read(self) -> dict[str, tuple[Case, Document]]:
        """Return all files of the corpus, by id, in a mapping that may be changed."""
        return {name: (case.case, case.document) for name, case in self.every.items()}

    def only(self, ids: Iterable[str]) -> Corpus:
        """Return the corpus with some of its cases to be run."""
        wanted = set(ids)
        return replace(self, cases={name: case for name, case in self.cases.items() if name in wanted})


def find_corpora(root: Path) -> list[Path]:
    """Return the folders at or below a path that hold an ``endpoint.json``, in order of name."""
    return sorted(Path(folder) for folder, _, files in os.walk(root) if ENDPOINT_FILE in files)


def load_corpora(root: Path) -> list[Corpus]:
    """Read every corpus at or below a path. Raises CaseError naming every fault; ids are unique across all of them."""
    corpora, faults = [], []
    for folder in find_corpora(root):
        try:
            corpora.append(load_corpus(folder))
        except CaseError as exc:
            faults.append(str(exc))
    faults += shared_ids(corpora)
    if faults:
        raise CaseError("\n".join(faults))
    return corpora


def shared_ids(corpora: Iterable[Corpus]) -> list[str]:
    """Return a fault for each case whose id is that of another case: they are blessed by it."""
    seen: dict[str, GoldenCase] = {}
    faults = []
    for case in (case for corpus in corpora for case in corpus.every.values()):
        if case.id in seen:
            said = f"the id {case.id!r} is that of another case: {seen[case.id].path}"
            faults.append(case.document.error(("id",), said))
        seen[case.id] = case
    return faults


def load_corpus(folder: Path) -> Corpus:
    """Read one folder. Raises CaseError naming every fault as ``file:line:column: message``."""
    endpoint = load_endpoint(folder)
    read: dict[str, tuple[Case, Document]] = {}
    faults: list[str] = []
    for path in case_files(folder):
        try:
            case, document = read_case(path, endpoint)
            read[case.id] = case, document
            faults += [document.error(where, said) for where, said in lint_case(case, endpoint)]
        except CaseError as exc:
            faults.append(str(exc))
    if not faults:
        cases, faults = _resolved(endpoint, read)
    if faults:
        raise CaseError("\n".join(faults))
    return Corpus(endpoint, folder, cases, cases)


def case_files(folder: Path) -> list[Path]:
    """Return the files of a folder that are cases, in order of name."""
    return sorted(path for path in folder.glob("*.json") if path.name != ENDPOINT_FILE)


def read_case(path: Path, endpoint: Endpoint) -> tuple[Case, Document]:
    """Read one case by itself, without its base. Raises CaseError."""
    document = _read_object(path)
    try:
        case = case_of(document.data, endpoint)
    except ValidationError as exc:
        raise CaseError("\n".join(explained(document, exc))) from None
    except UnknownName as exc:
        raise CaseError(document.error(exc.where, str(exc))) from None
    if case.id != path.stem:
        raise CaseError(document.error(("id",), f"the id {case.id!r} is not the file's name, {path.stem!r}"))
    return case, document


def case_of(data: Mapping[str, Any], endpoint: Endpoint) -> Case:
    """Return the model of a case's data. Raises ValidationError and UnknownName."""
    return Case.model_validate(written_out(data, endpoint))


def load_endpoint(folder: Path) -> Endpoint:
    """Read ``endpoint.json``; a key of its own replaces that of the shared file. Raises CaseError."""
    document = _Joined.read(folder / ENDPOINT_FILE)
    try:
        endpoint = Endpoint.model_validate(document.data)
    except ValidationError as exc:
        raise CaseError("\n".join(explained(document, exc))) from None
    faults = [document.error(where, said) for where, said in lint_endpoint(endpoint, folder.name)]
    number = len(case_files(folder))
    if endpoint.cases is not None and number != endpoint.cases:
        faults.append(document.error(("cases",), f"the folder holds {number} cases; count them here"))
    if faults:
        raise CaseError("\n".join(faults))
    return endpoint


@dataclass(frozen=True)
class _Joined:
    """A file and the one that it shares with others; each error names the file that it is about."""

    own: Document
    shared: Document

    @classmethod
    def read(cls, path: Path) -> _Joined:
        own = _read_object(path)
        shared = own.data.get("shared")
        return cls(own, _read_object(path.parent / shared) if isinstance(shared, str) else own)

    @property
    def data(self) -> dict[str, Any]:
        return {**self.shared.data, **self.own.data}

    def error(self, where: KeyPath, message: str, *, at_key: bool = False) -> str:
        from_shared = bool(where) and where[0] not in self.own.data and where[0] in self.shared.data
        return (self.shared if from_shared else self.own).error(where, message, at_key=at_key)


def _read_object(path: Path) -> Document:
    document = read_json_document(path)
    if not isinstance(document.data, dict):
        raise CaseError(document.error((), "an object is needed here"))
    return document


def _resolved(endpoint: Endpoint, read: Read) -> tuple[dict[str, GoldenCase], list[str]]:
    """Return the cases that can be sent, and what is wrong with the others."""
    out: dict[str, GoldenCase] = {}
    faults = [read[name][1].error(where, said) for name, where, said in lint_together(models(read))]
    faults += [read[name][1].error(where, said) for name, where, said in lint_zeros(models(read))]
    for name, (case, document) in read.items():
        try:
            out[name] = golden_case(endpoint, read, name)
            faults += [document.error(where, said) for where, said in lint_request(case, out[name].request)]
        except (Unsendable, Unresolved) as exc:
            faults.append(document.error(exc.where, str(exc)))
    return out, faults


def models(read: Read) -> dict[str, Case]:
    """Return the models of what was read, by id."""
    return {name: case for name, (case, _) in read.items()}


def golden_case(endpoint: Endpoint, read: Read, name: str) -> GoldenCase:
    """Return a case that can be sent and judged. Raises Unsendable and Unresolved."""
    case, document = read[name]
    request = resolved_request(read, name)
    check_sendable(endpoint, request, patched=case.base is not None)
    goldens = {mode: golden_of(models(read), name, mode) for mode in endpoint.modes}
    sources = {name, *(one.source for one in goldens.values())}
    standings = {source: _standing(endpoint, read, source) for source in sources}
    return GoldenCase(case, document, request, goldens, case_content(endpoint, read, name), standings)


def case_content(endpoint: Endpoint, read: Read, name: str) -> str:
    """Return the digest of all that decides the outcome of a case. Raises Unsendable."""
    case, document = read[name]
    return case_digest(document.data, resolved_request(read, case.base) if case.base else None, endpoint)


def _standing(endpoint: Endpoint, read: Read, name: str) -> Standing:
    return standing(read[name][0], case_content(endpoint, read, name))
