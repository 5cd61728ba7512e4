"""What an answer to a probe tells: who is there, and in which mode."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from functools import singledispatch
from typing import Any

from pytest_rollout.golden.compare import Rules, compare
from pytest_rollout.golden.endpoint import Answer, ByGauge, ByHeader, ByJson, ByProbe, Endpoint, Identity
from pytest_rollout.golden.exact import MISSING, equal
from pytest_rollout.golden.exposition import Exposition
from pytest_rollout.golden.finding import Finding, shown
from pytest_rollout.golden.headers import header_findings
from pytest_rollout.golden.matching import Scene
from pytest_rollout.golden.pointer import lookup, parse_pointer
from pytest_rollout.golden.wire import Reply

_GOOD = range(200, 300)
Modes = frozenset[str]


def identity_findings(identity: Identity, reply: Reply) -> Iterator[Finding]:
    """Yield what speaks against an answer coming from the target."""
    yield from answer_findings(Answer(status=identity.status, match=identity.match), reply, 0.0)


def answer_findings(answer: Answer, reply: Reply, now: float) -> Iterator[Finding]:
    """Yield what is wrong with an answer to a probe."""
    yield from status_findings(answer.status, reply)
    yield from header_findings(answer.headers, reply, now)
    if not answer.match:
        return
    body = reply.json_or_missing()
    yield from compare(MISSING, body, Rules([{}, {}, answer.match]), Scene(body=body), pinned=False).findings


def status_findings(expected: int, reply: Reply) -> Iterator[Finding]:
    """Yield a finding if the status is another one."""
    if reply.status != expected:
        actual = f"{reply.status} {shown(reply.body.decode('utf-8', 'replace')[:60])}"
        yield Finding(pointer="#status", kind="status", expected=str(expected), actual=actual, rule="status")


@singledispatch
def told_modes(confirmation: Any, reply: Reply, modes: tuple[str, ...]) -> Modes:
    """Return the modes that fit an answer to a confirmation; only one alone is told."""
    raise TypeError(f"{type(confirmation).__name__} confirms no mode, whatever {reply.status} or {modes} say")


@told_modes.register
def _(confirmation: ByGauge, reply: Reply, modes: tuple[str, ...]) -> Modes:
    try:
        values = list(Exposition.read(reply.body).selected(confirmation.series).values())
    except ValueError:
        return frozenset()
    if reply.status not in _GOOD or not values:
        return frozenset()
    return frozenset(m for m in modes if all(Decimal(value) == confirmation.values[m] for value in values))


@told_modes.register
def _(confirmation: ByJson, reply: Reply, modes: tuple[str, ...]) -> Modes:
    found = lookup(reply.json_or_missing(), parse_pointer(confirmation.pointer))
    if reply.status not in _GOOD or found is MISSING:
        return frozenset()
    return frozenset(mode for mode in modes if equal(found, confirmation.values.get(mode, mode)))


@told_modes.register
def _(confirmation: ByHeader, reply: Reply, modes: tuple[str, ...]) -> Modes:
    fields = reply.fields(confirmation.name)
    if reply.status not in _GOOD or len(fields) != 1:
        return frozenset()
    return frozenset(mode for mode in modes if fields[0] == confirmation.values.get(mode, mode))


@told_modes.register
def _(confirmation: ByProbe, reply: Reply, modes: tuple[str, ...]) -> Modes:
    return frozenset(mode for mode in modes if not list(answer_findings(confirmation.answers[mode], reply, 0.0)))


def told_by(endpoint: Endpoint, place: int, reply: Reply) -> Modes:
    """Return the modes that fit an answer to one of the endpoint's confirmations."""
    return told_modes(endpoint.mode.confirm[place], reply, endpoint.modes)
