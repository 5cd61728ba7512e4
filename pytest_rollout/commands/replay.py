"""``rollout replay``: judge kept evidence again, offline, and hold it against what the run said."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_rollout.errors import PublishError, ReplayError
from pytest_rollout.publish.verdict_file import read_verdict
from pytest_rollout.replay import exactly, judge_again, read_bundle, recorded, stage_of
from pytest_rollout.verdict import CheckResult, Decision, Verdict, decide, overall

_SAME, _DIFFERENT, _UNREADABLE = 0, 1, 2
_RUNS = re.compile(r" \(run \d+ times\)$")
"""What the report adds to the message of an item that was run again."""
Finding = tuple[bool, str]
"""Whether something is as it was, and what."""


def replay(path: Path, say: Callable[[str], None]) -> int:
    """Judge an evidence bundle again, or every one that a verdict file names.

    Returns the exit code: 0 if every verdict came out the same, bit for bit, and the verdict file says no other;
    1 if not; 2 if one cannot be judged.
    """
    code = _SAME
    try:
        for same, said in _of_verdict(path) if path.suffix == ".json" else _judged(read_bundle(path)):
            code = code if same else _DIFFERENT
            say(f"{'same' if same else 'DIFFERS'}  {said}")
    except (ReplayError, PublishError) as exc:
        say(f"rollout: {exc}")
        return _UNREADABLE
    say("every verdict came out the same" if code == _SAME else "some verdicts came out differently")
    return code


def _judged(content: Mapping[str, Any]) -> Iterator[Finding]:
    again, then, stage = judge_again(content), recorded(content), stage_of(content)
    for name in sorted(again.keys() | then.keys()):
        same = name in again and name in then and exactly(again[name]) == exactly(then[name])
        yield same, f"{stage}/{name}: {_difference(then.get(name), again.get(name), same=same)}"


def _difference(then: CheckResult | None, again: CheckResult | None, *, same: bool) -> str:
    if then is None or again is None:
        return "it was not judged in the run" if then is None else "it is not judged again"
    if same:
        return f"{again.verdict.value} ({again.reason.value})"
    if (then.verdict, then.message) == (again.verdict, again.message):
        return f"{again.verdict.value}, but the numbers behind it differ"
    return f"it was {then.verdict.value}: {then.message}; now {again.verdict.value}: {again.message}"


# --- a verdict file and the bundles that it names ---


@dataclass(frozen=True, slots=True)
class _Check:
    """What a verdict file says of one check."""

    stage: str
    id: str
    is_test: bool
    """Whether it is a Python test: its gates have other names than itself."""
    result: dict[str, Any]
    evidence: tuple[str, str] | None
    """File and SHA-256."""

    @property
    def key(self) -> str:
        return f"{self.stage}/{self.id}"

    def says(self, result: CheckResult) -> bool:
        """Whether this is the result, bit for bit."""
        message = _RUNS.sub("", self.result["message"])
        return exactly(result) in (_text(self.result), _text({**self.result, "message": message}))


def _text(data: Mapping[str, Any]) -> str:
    return json.dumps(data, sort_keys=True)


def _of_verdict(path: Path) -> Iterator[Finding]:
    document = read_verdict(path)
    try:
        checks, decisions = list(_checks(document)), list(_decisions(document))
    except (AttributeError, LookupError, TypeError, ValueError) as exc:
        raise ReplayError(f"{path}: not a verdict document: {exc!r}") from exc
    bundles = dict.fromkeys(check.evidence for check in checks if check.evidence)
    if not bundles:
        raise ReplayError(f"{path} names no evidence; only gates of a plan keep some")
    for file, digest in bundles:
        content = read_bundle(path.parent / file, digest)
        yield from _judged(content)
        yield from _told_otherwise(content, (file, digest), checks)
    for check in checks:
        if not check.evidence and not check.is_test and check.result["verdict"] == Verdict.PASSED.value:
            yield False, f"{check.key}: it passed, says the verdict file, and names no evidence"
    yield from decisions


def _checks(document: Mapping[str, Any]) -> Iterator[_Check]:
    for stage in document["stages"]:
        for check in stage["checks"]:
            kept = check["derivation"].get("evidence")
            derivation = {key: value for key, value in check["derivation"].items() if key != "evidence"}
            result = {key: value for key, value in check.items() if key not in ("id", "kind", "nodeid")}
            CheckResult.from_dict(result)  # or it raises
            yield _Check(
                f"{stage['rollout']}/{stage['stage']}",
                check["id"],
                check["kind"] == "test",
                {**result, "derivation": derivation},
                (kept["file"], kept["sha256"]) if kept else None,
            )


def _told_otherwise(content: Mapping[str, Any], bundle: tuple[str, str], checks: Sequence[_Check]) -> Iterator[Finding]:
    """Yield what a verdict file says otherwise than a bundle that it names."""
    then, stage = recorded(content), stage_of(content)
    mine = [check for check in checks if check.evidence == bundle]
    for check in mine:
        own = then.values() if check.is_test else [then[check.id]] if check.id in then else []
        if check.stage != stage and not check.is_test:
            yield False, f"{check.key}: the verdict file names the evidence of {stage}"
        elif not any(check.says(result) for result in own):
            said = f"{check.result['verdict']}: {check.result['message']}"
            yield False, f"{check.key}: the verdict file says otherwise than the evidence that it names: {said}"
    if any(check.is_test for check in mine):
        return  # beside its gate such a bundle has the flags, which belong to the plan
    elsewhere = {check.key for check in checks if check.evidence is None}
    for name in sorted(then.keys() - {check.id for check in mine}):
        if f"{stage}/{name}" not in elsewhere:
            yield False, f"{stage}/{name}: it was judged, and the verdict file does not tell of it"


def _decisions(document: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield decisions that do not follow from the verdicts; doubt about the run may have made a HOLD of a GO."""
    for stage in document["stages"]:
        said, made = Decision(stage["decision"]), decide(Verdict(check["verdict"]) for check in stage["checks"])
        if said is not made and (said, made) != (Decision.HOLD, Decision.GO):
            yield False, f"{stage['rollout']}/{stage['stage']}: the verdict file says {said}, its checks make {made}"
    said, made = Decision(document["decision"]), overall(Decision(stage["decision"]) for stage in document["stages"])
    unfinished = said is Decision.HOLD and not document["complete"]
    if said is not made and not unfinished:
        yield False, f"the whole run: the verdict file says {said}, its stages make {made}"
