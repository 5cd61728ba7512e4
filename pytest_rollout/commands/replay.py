"""``rollout replay``: judge kept evidence again, offline, and hold it against what the run said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pytest_rollout.errors import PublishError, ReplayError
from pytest_rollout.publish.verdict_file import read_verdict
from pytest_rollout.replay import judge_again, read_bundle, recorded
from pytest_rollout.verdict import CheckResult

_SAME, _DIFFERENT, _UNREADABLE = 0, 1, 2


def replay(path: Path, say: Callable[[str], None]) -> int:
    """Judge an evidence bundle again, or every one that a verdict file names.

    Returns the exit code: 0 if every verdict came out the same, bit for bit; 1 if not; 2 if one cannot be judged.
    """
    try:
        code = _SAME
        for file, digest, told in _bundles(path):
            content = read_bundle(file, digest)
            again, then = judge_again(content), recorded(content)
            for name in sorted(again.keys() | then.keys()):
                same = name in again and name in then and again[name] == then[name]
                same = same and (name not in told or _without_evidence(told[name]) == then[name].to_dict())
                code = code if same else _DIFFERENT
                say(f"{'same' if same else 'DIFFERS'}  {name}: {_difference(then.get(name), again.get(name))}")
    except (ReplayError, PublishError) as exc:
        say(f"rollout: {exc}")
        return _UNREADABLE
    say("every verdict came out the same" if code == _SAME else "some verdicts came out differently")
    return code


_Bundle = tuple[Path, str | None, dict[str, dict[str, Any]]]
"""A file, its SHA-256 if a verdict names it, and what the verdict says of its checks."""


def _bundles(path: Path) -> Iterator[_Bundle]:
    if path.suffix != ".json":
        yield path, None, {}
        return
    found: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for check in _checks(path):
        kept = check["derivation"].get("evidence")
        if kept:
            found.setdefault((kept["file"], kept["sha256"]), {})[check["id"]] = check
    if not found:
        raise ReplayError(f"{path} names no evidence; only gates of a plan keep some")
    for (file, digest), told in found.items():
        yield path.parent / file, digest, told


def _checks(path: Path) -> Iterator[dict[str, Any]]:
    try:
        for stage in read_verdict(path)["stages"]:
            yield from stage["checks"]
    except (KeyError, TypeError) as exc:
        raise ReplayError(f"{path}: not a verdict document: {exc!r}") from exc


def _without_evidence(check: dict[str, Any]) -> dict[str, Any]:
    derivation = {key: value for key, value in check["derivation"].items() if key != "evidence"}
    named = {key: value for key, value in check.items() if key not in ("id", "kind", "nodeid")}
    return {**named, "derivation": derivation}


def _difference(then: CheckResult | None, again: CheckResult | None) -> str:
    if then is None or again is None:
        return "it was not judged in the run" if then is None else "it is not judged again"
    if then == again:
        return f"{again.verdict.value} ({again.reason.value})"
    if (then.verdict, then.message) == (again.verdict, again.message):
        return f"{again.verdict.value}, but the numbers behind it differ"
    return f"it was {then.verdict.value}: {then.message}; now {again.verdict.value}: {again.message}"
