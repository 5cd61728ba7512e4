"""Which plans and stages a run is about, from its arguments alone: the controller of xdist collects nothing."""

from __future__ import annotations

import ast
import fnmatch
import itertools
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

SUFFIX = ".rollout.yaml"
ENDPOINT_FILE = "endpoint.json"
"""What makes a folder one of golden cases."""
STAGE = re.compile(r"stage\d+")
_NUMBER = re.compile(r"""(?:^|[\s{,])["']?stage["']?\s*:\s*["']?(\d+)""", re.MULTILINE)
_WORD = re.compile(r"[^\W\d]\w*")
_FEW = 6


def find_plans(config: pytest.Config, places: Iterable[Path]) -> list[Path]:
    """Return the plans that a run with these arguments collects."""
    return list(dict.fromkeys(plan for path in _searched(config, places) for plan in walk(path)))


def find_goldens(config: pytest.Config, places: Iterable[Path]) -> list[Path]:
    """Return the folders of golden cases that a run with these arguments collects."""
    found: dict[Path, None] = {}
    for path in _searched(config, places):
        if path.suffix == ".json" and (path.parent / ENDPOINT_FILE).is_file():
            found[path.parent] = None
        found |= dict.fromkeys(file.parent for file in walk(path, (ENDPOINT_FILE,)))
    return list(found)


def _searched(config: pytest.Config, places: Iterable[Path]) -> list[Path]:
    """Return what the arguments name; of a whole project only the places that it says."""
    found: dict[Path, None] = {}
    for argument in config.args or [str(config.rootpath)]:
        path = _plain(config.invocation_params.dir / argument.split("::")[0])
        whole = path == config.rootpath or path in config.rootpath.parents
        found |= dict.fromkeys(map(_plain, places) if whole else [path])
    return list(found)


def _plain(path: Path) -> Path:
    # As pytest does it, without resolving links: the paths have to be those of the collected files.
    return Path(os.path.abspath(path))  # noqa: PTH100


def walk(place: Path, patterns: Sequence[str] = (f"*{SUFFIX}",)) -> Iterator[Path]:
    """Yield the plans at or below a path, in order of name; hidden folders and environments are passed over."""
    if place.is_file() and _matches(place.name, patterns):
        yield place
    for folder, names, files in os.walk(place):
        if "pyvenv.cfg" in files:
            names.clear()
            continue
        names[:] = sorted(name for name in names if not name.startswith(".") and name != "node_modules")
        yield from (Path(folder, name) for name in sorted(files) if _matches(name, patterns))


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


def covers(config: pytest.Config, path: Path) -> bool:
    """Whether an argument names a file as a whole, or a folder above it."""
    base = config.invocation_params.dir
    wholes = {_plain(base / argument) for argument in config.args if "::" not in argument}
    return not wholes.isdisjoint((path, *path.parents))


def names_stage(config: pytest.Config, plan: Path, stage: str) -> bool:
    """Whether the arguments leave a stage of a plan in: a node id is about its own stage, a path about all."""
    base = config.invocation_params.dir
    pairs = [argument.split("::") for argument in config.args]
    named = {parts[1] for parts in pairs if len(parts) > 1 and _plain(base / parts[0]) == plan}
    return covers(config, plan) or not named or stage in named


def stage_numbers(plan: Path) -> list[int]:
    """Return the numbers of a plan's stages by a look at its text, before YAML is worth importing."""
    try:
        return [int(number) for number in _NUMBER.findall(plan.read_text(encoding="utf-8"))]
    except (OSError, UnicodeDecodeError):
        return []


def selects(expression: str, stage: str, other_marks: Collection[str] = ("rollout_gate",)) -> bool:
    """Whether ``-m expression`` is about a stage.

    If it names the stage: whether it can select a check of it, whatever other marks that check has. Otherwise
    whether it selects a check with the marks given. An expression that cannot be read selects every stage: when
    in doubt, the stage has to be proven.
    """
    if not expression.strip():
        return True
    words = set(_WORD.findall(expression)) - {"and", "or", "not", "True", "False", "None"}
    if stage not in words:
        return _holds(expression, {stage, *other_marks})
    others = sorted(words - {stage})[:_FEW]
    subsets = itertools.chain.from_iterable(itertools.combinations(others, n) for n in range(len(others) + 1))
    return any(_holds(expression, {stage, *subset}) for subset in subsets)


def unknown_stages(expression: str, known: Collection[str]) -> list[str]:
    """Return stage markers that an expression names and nobody knows."""
    return sorted(set(STAGE.findall(expression)) - set(known))


def _holds(expression: str, marks: Collection[str]) -> bool:
    try:
        return _value(ast.parse(expression.strip(), mode="eval").body, marks)
    except (SyntaxError, ValueError):
        return True


def _value(node: ast.expr, marks: Collection[str]) -> bool:
    if isinstance(node, ast.BoolOp):
        values = [_value(value, marks) for value in node.values]
        return all(values) if isinstance(node.op, ast.And) else any(values)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return not _value(node.operand, marks)
    if isinstance(node, ast.Call):
        return _value(node.func, marks)
    if isinstance(node, ast.Name):
        return node.id in marks
    raise ValueError(ast.dump(node))


def marker_lines(plans: Iterable[Path]) -> Mapping[str, str]:
    """Return a help line for each stage marker of some plans."""
    names: dict[int, list[str]] = {}
    for plan in plans:
        for number in stage_numbers(plan):
            names.setdefault(number, []).append(plan.name.removesuffix(SUFFIX))
    return {
        f"stage{number}": f"stage{number}: must hold before the flag of stage {number + 1} is flipped ({', '.join(of)})"
        for number, of in sorted(names.items())
    }
