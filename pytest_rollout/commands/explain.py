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
    except (PublishError, KeyError, TypeError, ValueError) as exc:
        say(f"rollout: {exc if isinstance(exc, PublishError) else f'{path}: not a verdict document: {exc!r}'}")
        return _UNREADABLE
    chosen = [(key, result) for key, result in checks if name is None or name in (key, key.rpartition("/")[2])]
    if not chosen:
        say(f"rollout: {path} has no check {name!r}; {did_you_mean(name or '', sorted(key for key, _ in checks))}")
        return _UNKNOWN
    say("\n\n".join(explain(key, result, verbose=name is not None) for key, result in chosen))
    return _DONE


def _checks(document: dict[str, Any]) -> Iterator[tuple[str, CheckResult]]:
    known = {field.name for field in fields(CheckResult)}
    for stage in document["stages"]:
        for check in stage["checks"]:
            result = CheckResult.from_dict({key: value for key, value in check.items() if key in known})
            yield f"{stage['rollout']}/{stage['stage']}/{check['id']}", result
