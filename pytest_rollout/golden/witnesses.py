"""Whether what was observed counts at all: the target is the target, and it was in the mode all the time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pytest_rollout.golden.answers import identity_findings, told_by
from pytest_rollout.golden.endpoint import Endpoint
from pytest_rollout.golden.finding import Finding, doubt
from pytest_rollout.golden.observation import Batch, Observation, When, Witness
from pytest_rollout.golden.wire import Reply
from pytest_rollout.verdict import Reason

_TIMES: tuple[When, ...] = ("before", "after")


def batch_doubts(endpoint: Endpoint, batch: Batch | None, instances: Sequence[str]) -> list[Finding]:
    """Return why nothing observed in a mode counts; nothing if it does."""
    if batch is None:
        return [doubt("#mode", Reason.NOT_RUN, "the cases are sent", "they were not", "mode")]
    if batch.fault:
        return [doubt("#mode", Reason.MODE_NOT_CONFIRMED, f"the mode {batch.mode}", batch.fault, "mode")]
    found = [
        replace(finding, instance=instance, mode=batch.mode)
        for instance in instances
        for when in _TIMES
        for finding in _instance(endpoint, batch, instance, when)
    ]
    unproven = [finding for finding in found if finding.reason is Reason.TARGET_NOT_PROVEN]
    return unproven or found


def _instance(endpoint: Endpoint, batch: Batch, instance: str, when: When) -> Iterator[Finding]:
    yield from _identity(endpoint, _find(batch, instance, "identity", when), when)
    for place, confirmation in enumerate(endpoint.mode.confirm):
        witness = _find(batch, instance, f"mode {place}", when)
        reply, said = _usable(witness)
        told = told_by(endpoint, place, reply) if reply else frozenset()
        if told != {batch.mode}:
            said = said or (f"{' or '.join(sorted(told))}" if told else "none of the modes known")
            yield _unconfirmed(f"{batch.mode}, {when} the cases", said, f"confirmation by {confirmation.by}")


def _identity(endpoint: Endpoint, witness: Witness | None, when: When) -> Iterator[Finding]:
    reply, said = _usable(witness)
    against = list(identity_findings(endpoint.identity, reply)) if reply else []
    if against:
        said = against[0].line
    if said:
        wanted = f"the proof that this is the target, {when} the cases"
        yield doubt("#identity", Reason.TARGET_NOT_PROVEN, wanted, said, "identity")


def _unconfirmed(expected: str, actual: str, rule: str) -> Finding:
    return doubt("#mode", Reason.MODE_NOT_CONFIRMED, expected, actual, rule)


def _find(batch: Batch, instance: str, question: str, when: When) -> Witness | None:
    wanted = (instance, question, when)
    found = [one for one in batch.witnesses if (one.instance, one.question, one.when) == wanted]
    return found[0] if len(found) == 1 else None


def _usable(witness: Witness | None) -> tuple[Reply | None, str]:
    """Return the answer, or None and why there is none."""
    if witness is None:
        return None, "nobody asked"
    if witness.reply is None:
        return None, witness.fault or "no answer"
    return (witness.reply, "") if witness.reply.whole else (None, "an answer of which a part was lost")


def observation_doubts(observations: Sequence[Observation], instances: Sequence[str], repeats: int) -> list[Finding]:
    """Return what is missing of the observations of one case in one mode."""
    sent = Counter(one.instance for one in observations)
    wanted = "an answer" if repeats == 1 else f"{repeats} answers"
    short = [
        replace(doubt("", Reason.NOT_RUN, wanted, f"{sent[name]} requests sent", "case"), instance=name)
        for name in instances
        if sent[name] < repeats
    ]
    return [*short, *(found for one in observations for found in _lost(one))]


def mode_doubts(endpoint: Endpoint, mode: str, observations: Sequence[Observation]) -> list[Finding]:
    """Return which instances did not say that they were in the mode when they had answered a case."""
    place = endpoint.told_between
    if place is None:
        return []
    found = []
    for one in observations:
        told = told_by(endpoint, place, one.confirmed) if one.confirmed and one.confirmed.whole else frozenset()
        if told != {mode}:
            said = " or ".join(sorted(told)) or "none of the modes known"
            found.append(replace(_unconfirmed(f"{mode}, after the case", said, "confirmation"), instance=one.instance))
    return found


def _lost(one: Observation) -> Iterator[Finding]:
    if one.reply is None:
        yield replace(doubt("", Reason.NO_DATA, "an answer", one.fault or "none", "case"), instance=one.instance)
    elif not one.reply.whole:
        said = "an answer of which a part was lost"
        yield replace(doubt("", Reason.PARTIAL_DATA, "a whole answer", said, "case"), instance=one.instance)
