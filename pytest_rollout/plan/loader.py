"""From a file to a plan, and from a plan to an environment that can be entered."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pytest_rollout.errors import EnvironmentUnready, PlanError
from pytest_rollout.plan.document import Document, KeyPath, read_document
from pytest_rollout.plan.lint import offline_errors
from pytest_rollout.plan.model import Environment, Plan
from pytest_rollout.plan.strict import did_you_mean
from pytest_rollout.plan.variables import Unset, filled

_WORDS = {
    "model_type": "a mapping of keys to values is needed here",
    "dict_type": "a mapping of keys to values is needed here",
    "tuple_type": "a list is needed here",
    "string_too_long": "a name has at most 100 characters",
    "too_short": "at least one entry is needed here",
}


_NO_VERSION = {"environments", "maintenance", "grace"}
"""Keys that change nothing about what a pass means."""


@dataclass(frozen=True, slots=True)
class LoadedPlan:
    """A plan and the document it came from."""

    plan: Plan
    document: Document

    @property
    def path(self) -> Path:
        """The plan's file."""
        return self.document.path

    @property
    def digest(self) -> str:
        """The plan's version: SHA-256 of what it says but for its environments, as JSON with sorted keys.

        Comments, whitespace and the order of keys do not matter, and neither does where it is carried out, when
        there is maintenance and how patient alerts are.
        """
        said = {key: value for key, value in self.document.data.items() if key not in _NO_VERSION}
        canaries = said.get("canaries") or {}
        said["canaries"] = {
            name: {key: value for key, value in schedule.items() if key not in _NO_VERSION}
            for name, schedule in canaries.items()
        }
        return hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def line_of_stage(self, index: int) -> int:
        """Return the line, counted from 1, of the stage at an index."""
        return self.document.line(("stages", index))

    def line_of_gate(self, stage: int, gate: int) -> int:
        """Return the line, counted from 1, of a gate by the indices of stage and gate."""
        return self.document.line(("stages", stage, "gates", gate))

    def environment(self, name: str, variables: Mapping[str, str]) -> Environment:
        """Return an environment with every ``${NAME}`` filled in.

        Raises EnvironmentUnready if there is no such environment or a variable is not set.
        """
        known = self.plan.environments
        if name not in known:
            raise EnvironmentUnready(f"{self.path.name}: no environment {name!r}; {did_you_mean(name, sorted(known))}")
        raw = self.document.data["environments"][name]
        return Environment.model_validate(self._fill(raw, ("environments", name), variables))

    def _fill(self, value: Any, where: KeyPath, variables: Mapping[str, str]) -> Any:
        if isinstance(value, dict):
            return {key: self._fill(item, (*where, key), variables) for key, item in value.items()}
        if not isinstance(value, str):
            return value
        try:
            return filled(value, variables)
        except Unset as exc:
            key = ".".join(str(part) for part in where)
            said = f"{key} needs the environment variable {exc.name}, which is not set"
            raise EnvironmentUnready(self.document.error(where, said)) from None


def load_plan(path: Path) -> LoadedPlan:
    """Read, check and lint a plan. Raises PlanError naming every fault as ``file:line:column: message``."""
    loaded = read_plan(path)
    if errors := [loaded.document.error(where, said) for where, said in offline_errors(loaded.plan)]:
        raise PlanError("\n".join(errors))
    return loaded


def read_plan(path: Path) -> LoadedPlan:
    """Read and check a plan, but do not lint it. Raises PlanError."""
    document = read_document(path)
    if not isinstance(document.data, dict):
        raise PlanError(document.error((), "a plan is a mapping with rollout, environments and stages"))
    try:
        return LoadedPlan(Plan.model_validate(document.data), document)
    except ValidationError as exc:
        raise PlanError("\n".join(_explain_all(document, exc))) from None


def _explain_all(document: Document, exc: ValidationError) -> list[str]:
    errors = exc.errors()
    faulty = [error["loc"] for error in errors]
    # A list whose items are faulty counts as too short for pydantic: say only what is really wrong.
    echoes = [error["type"] == "too_short" and any(_inside(loc, error["loc"]) for loc in faulty) for error in errors]
    return [_explain(document, error) for error, echo in zip(errors, echoes, strict=True) if not echo]


def _inside(where: KeyPath, outer: KeyPath) -> bool:
    return len(where) > len(outer) and where[: len(outer)] == outer


def _explain(document: Document, error: Any) -> str:
    where = tuple(error["loc"])
    context = error.get("ctx", {})
    if error["type"] == "at_key":
        return document.error((*where, *context["path"]), context["message"], at_key=True)
    if error["type"] == "missing":
        return document.error(where[:-1], f"{where[-1]!r} is missing")
    if error["type"] == "string_pattern_mismatch":
        said = f"{error['input']!r} is not a name: use a-z, 0-9, '.', '_' and '-'"
        is_key = where[-1] == "[key]"  # pydantic's own word for it
        return document.error(where[:-1] if is_key else where, said, at_key=is_key)
    message = context["error"] if "error" in context else _WORDS.get(error["type"], error["msg"])
    return document.error(where, str(message))
