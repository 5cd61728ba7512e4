"""A body against what a case pins in a mode, and against the body of another mode."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pytest_rollout.golden.compare import Comparison, Rules, compare
from pytest_rollout.golden.corpus import GoldenCase
from pytest_rollout.golden.endpoint import Endpoint
from pytest_rollout.golden.exact import MISSING
from pytest_rollout.golden.finding import Finding, doubt, shown
from pytest_rollout.golden.goldens import Golden
from pytest_rollout.golden.matching import Scene, schema_differences
from pytest_rollout.golden.observation import Observation
from pytest_rollout.golden.pointer import write_pattern
from pytest_rollout.golden.schemas import Schemas
from pytest_rollout.golden.wire import Reply
from pytest_rollout.verdict import Reason, Verdict


@dataclass(frozen=True, slots=True)
class Trial:
    """A case, and where it had to be sent."""

    endpoint: Endpoint
    case: GoldenCase
    instances: Sequence[str]

    def rules(self, mode: str | None) -> Rules:
        """Return the matchers that hold in a mode; None: those that hold in every mode."""
        own = self.case.case.expect[mode].match if mode else {}
        return Rules([self.endpoint.match, self.case.case.match, own], self.endpoint.secrets)


def schemas_of(openapi: Reply | None) -> Schemas:
    """Return the schemas of an OpenAPI document; none if it did not come, or is no object."""
    if openapi is None or not openapi.whole or openapi.status != 200:  # noqa: PLR2004 - OK
        return Schemas()
    return _schemas(openapi.body)


@lru_cache(maxsize=8)
def _schemas(body: bytes) -> Schemas:
    document = Reply.received(200, (), body).json_or_missing()
    return Schemas(document) if isinstance(document, dict) else Schemas()


def compare_pinned(trial: Trial, mode: str, one: Observation, schemas: Schemas) -> Comparison:
    """Compare the body of an answer with what the case pins in a mode."""
    golden, reply = trial.case.goldens[mode], one.reply
    if reply is None:
        return Comparison((), frozenset())
    if golden.form not in ("json", "partial"):
        return Comparison(tuple(_plain(golden, reply, trial.rules(mode))), frozenset())
    try:
        body = reply.json()
    except ValueError as exc:
        return Comparison((_not_json(str(exc)),), frozenset())
    scene = Scene(trial.case.request, body, one.sent_at, schemas)
    found = compare(golden.value, body, trial.rules(mode), scene, pinned=golden.form == "json")
    definition = trial.case.case.expect[mode].definition
    return Comparison((*_typed(reply), *found.findings, *_by_schema(definition, body, scene)), found.used)


def _typed(reply: Reply) -> Iterator[Finding]:
    if not reply.is_json:
        yield _not_json(f"content-type {', '.join(reply.fields('content-type')) or 'none'}")


def _not_json(said: str) -> Finding:
    return Finding(
        pointer="", kind="body", expected="strict JSON, and a content-type that says so", actual=said, rule="body"
    )


def _plain(golden: Golden, reply: Reply, rules: Rules) -> Iterator[Finding]:
    """Yield how a body differs from a golden that is not JSON."""
    if golden.form == "missing":
        actual = shown(rules.masked(reply.json_or_missing(), ()))
        yield doubt("", Reason.GOLDEN_MISSING, "a golden body", f"{actual}; look at it, then bless it", "golden")
        return
    wanted, actual = (golden.value if golden.form == "text" else ""), reply.body.decode("utf-8", "replace")
    if wanted.encode() != reply.body:
        yield Finding(pointer="", kind="text", expected=shown(wanted), actual=shown(actual), rule="golden")


def _by_schema(definition: Any, body: Any, scene: Scene) -> Iterator[Finding]:
    if definition is None:
        return
    for found in schema_differences(definition, body, scene):
        unusable = found.kind == "rule"
        yield Finding(
            pointer=write_pattern(found.path),
            kind=found.kind,
            expected=found.expected,
            actual=shown(found.actual),
            rule="schema",
            verdict=Verdict.INCONCLUSIVE if unusable else Verdict.BREACHED,
            reason=Reason.NO_DATA if unusable else Reason.GOLDEN_MISMATCH,
        )


def unlike(trial: Trial, one: Observation, other: Observation) -> Iterator[Finding]:
    """Yield how the second of two answers differs from the first, outside the matchers of endpoint and case."""
    if one.reply is None or other.reply is None:
        return
    statuses = str(one.reply.status), str(other.reply.status)
    if statuses[0] != statuses[1]:
        yield Finding(pointer="#status", kind="relation", expected=statuses[0], actual=statuses[1], rule="same")
    first, second = one.reply.json_or_missing(), other.reply.json_or_missing()
    if first is MISSING or second is MISSING:
        if one.reply.body != other.reply.body:
            texts = [shown(side.body.decode("utf-8", "replace")) for side in (one.reply, other.reply)]
            yield Finding(pointer="", kind="relation", expected=texts[0], actual=texts[1], rule="same")
        return
    scene = Scene(trial.case.request, second, other.sent_at)
    yield from compare(first, second, trial.rules(None), scene).findings
