"""``rollout explain``: how a verdict came about, from the verdict file alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from pytest_rollout.errors import PublishError
from pytest_rollout.plan.strict import did_you_mean
from pytest_rollout.publish.explain import explain
from pytest_rollout.publish.verdict_file import read_verdict
from pytest_rollout.verdict import CheckResult

_DONE, _UNKNOWN, _UNREADABLE = 0, 1, 2


def explain_checks(path: Path, name: str | None, say: Callable[[str], None]) -> int:
    """Say all that one check rests on, named by its id or ``rollout/stage/id``; without a name, three lines of each.

    Returns the exit code: 1 if there is no such check, 2 if there is no verdict to read.
    """
    try:
        checks = list(_checks(read_verdict(path)))
        chosen = [check for check in checks if name is None or name in check[:2]]
        said = "\n\n".join(explain(key, result, verbose=name is not None) for key, _, result in chosen)
    except PublishError as exc:
        say(f"rollout: {exc}")
        return _UNREADABLE
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as exc:
        say(f"rollout: {path}: not a verdict document: {exc!r}")
        return _UNREADABLE
    if not checks:
        say(f"rollout: {path} has no checks; run a stage")
        return _UNKNOWN
    if not chosen and name is not None:
        known = sorted({key if "/" in name else own for key, own, _ in checks})
        say(f"rollout: {path} has no check {name!r}; {did_you_mean(name, known)}")
        return _UNKNOWN
    say(said)
    return _DONE


def _checks(document: dict[str, Any]) -> Iterator[tuple[str, str, CheckResult]]:
    """Yield ``rollout/stage/id``, id and result of every check."""
    known = {field.name for field in fields(CheckResult)}
    for stage in document["stages"]:
        for check in stage["checks"]:
            result = CheckResult.from_dict({key: value for key, value in check.items() if key in known})
            yield f"{stage['rollout']}/{stage['stage']}/{check['id']}", check["id"], result
