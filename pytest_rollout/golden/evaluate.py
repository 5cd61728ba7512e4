"""Judge a case by what was observed: each mode by itself, and all modes together. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_rollout.golden.answers import status_findings
from pytest_rollout.golden.bodies import Trial, compare_pinned, schemas_of, unlike
from pytest_rollout.golden.chain import lengthened
from pytest_rollout.golden.compare import Rule, Rules
from pytest_rollout.golden.corpus import GoldenCase
from pytest_rollout.golden.deltas import metric_findings
from pytest_rollout.golden.endpoint import ACCEPTED, REJECTED, Endpoint, Kind
from pytest_rollout.golden.finding import Finding, doubt, judged
from pytest_rollout.golden.headers import header_findings
from pytest_rollout.golden.matchers import Ignore
from pytest_rollout.golden.observation import Batch, Observation
from pytest_rollout.golden.side_effects import state_findings
from pytest_rollout.golden.wire import Reply
from pytest_rollout.golden.witnesses import batch_doubts, mode_doubts, observation_doubts
from pytest_rollout.verdict import CheckResult, Reason, Verdict

Batches = Mapping[str, Batch]
"""What was observed, by mode."""
Doubts = Mapping[str, Sequence[Finding]]
"""By mode."""
Met = frozenset[tuple[int, str]]
"""Level and pattern of the matchers that met something."""
_MODE, _CASE = 2, 1


@dataclass(frozen=True, slots=True)
class Seen:
    """What one mode came to."""

    findings: tuple[Finding, ...]
    doubtful: bool
    """Whether nothing that was observed in it counts."""
    used: Met = frozenset()
    """The matchers that met something in every answer."""


def doubts_of(endpoint: Endpoint, batches: Batches, instances: Sequence[str]) -> Doubts:
    """Return for each mode why nothing observed in it counts."""
    return {mode: batch_doubts(endpoint, batches.get(mode), instances) for mode in endpoint.modes}


def see(trial: Trial, mode: str, batch: Batch | None, doubts: Sequence[Finding]) -> Seen:
    """Return what is wrong with a case in one mode, from what was observed in it."""
    observations = batch.of(trial.case.id) if batch else ()
    doubts = doubts or observation_doubts(observations, trial.instances, batch.repeats if batch else 1)
    doubts = doubts or mode_doubts(trial.endpoint, mode, observations)
    if doubts or batch is None:
        return Seen(tuple(replace(one, mode=mode) for one in doubts), doubtful=True)
    schemas, met = schemas_of(batch.openapi), list[Met]()
    found = list(_standing(trial.case, mode))
    for one in observations:
        comparison = compare_pinned(trial, mode, one, schemas)
        rules = trial.rules(mode).all
        met.append(frozenset((rules[number].level, rules[number].pattern.text) for number in comparison.used))
        around = (*_around(trial, mode, one), *_metrics(trial, mode, one, batch), *comparison.findings)
        found += [replace(each, instance=one.instance) for each in around]
    used = frozenset.intersection(*met)
    found = found or list(_met_in_vain(trial.rules(mode), observations, met))
    return Seen(tuple(dict.fromkeys(replace(one, mode=mode) for one in found)), doubtful=False, used=used)


def _standing(case: GoldenCase, mode: str) -> Iterator[Finding]:
    """Yield a doubt if nobody approved what the case is compared with, or it was changed since."""
    golden = case.goldens[mode]
    if case.standings[case.id] == "edited":
        said = f"{case.id} was changed by hand after it was blessed; restore it, or bless it again"
        yield doubt("#golden", Reason.GOLDEN_EDITED, "the content that was blessed", said, "stamp")
    elif golden.form in ("json", "text") and (standing := case.standings[golden.source]) != "approved":
        edited = standing == "edited"
        said = f"{golden.source} was changed by hand after it was blessed" if edited else f"{golden.source} never was"
        reason = Reason.GOLDEN_EDITED if edited else Reason.NOT_BLESSED
        yield doubt("#golden", reason, "a golden body that somebody blessed", said, "stamp")


def _around(trial: Trial, mode: str, one: Observation) -> Iterator[Finding]:
    """Yield what is wrong with one observation beside its body and its counters."""
    endpoint, case, reply = trial.endpoint, trial.case.case, one.reply
    if reply is None:
        return
    kind, expected = endpoint.kinds[case.kind], case.expect[mode]
    yield from _accepted(reply, accepted=mode in kind.accepted)
    yield from status_findings(expected.status, reply)
    yield from header_findings({**kind.headers_in(mode), **expected.headers}, reply, one.sent_at)
    if expected.side_effect is not None:
        yield from state_findings(expected.side_effect, endpoint.state, one.state)


def _metrics(trial: Trial, mode: str, one: Observation, batch: Batch) -> Iterator[Finding]:
    """Yield what is wrong with the counters around one observation."""
    source, rises = trial.endpoint.metrics, trial.case.case.expect[mode].metrics
    if one.reply is not None and source is not None and rises:
        watched = lengthened(one, batch.observations, source.control, source.hold)
        yield from metric_findings(rises, source, watched)


def _accepted(reply: Reply, *, accepted: bool) -> Iterator[Finding]:
    if reply.status not in (ACCEPTED if accepted else REJECTED):
        wanted = "accepted: 2xx or 3xx" if accepted else "rejected: 4xx"
        yield Finding(pointer="#status", kind="kind", expected=wanted, actual=str(reply.status), rule="kind")


def _stale(rules: Rules, used: Met) -> Iterator[Finding]:
    for rule in rules.all:
        if rule.level == _CASE and (rule.level, rule.pattern.text) not in used:
            yield _stale_one(rule)


def _met_in_vain(rules: Rules, observations: Sequence[Observation], met: Sequence[Met]) -> Iterator[Finding]:
    """Yield the mode's matchers that met nothing, and those that one answer had something for and another had not.

    What is not there is not compared.
    """
    for rule in rules.all:
        key = (rule.level, rule.pattern.text)
        lacking = [one for one, mine in zip(observations, met, strict=True) if key not in mine]
        if len(lacking) == len(observations):
            yield from [_stale_one(rule)] if rule.level == _MODE else []
        elif not isinstance(rule.matcher, Ignore):
            said = "nothing, and another answer had it"
            yield from (replace(_unmet(rule, said), instance=one.instance) for one in lacking)


def _stale_one(rule: Rule) -> Finding:
    return _unmet(rule, "nothing: take the matcher away, or mend its pointer")


def _unmet(rule: Rule, said: str) -> Finding:
    return Finding(
        pointer=rule.pattern.text,
        kind="stale",
        expected="something that the matcher is about",
        actual=said,
        rule=rule.name,
        verdict=Verdict.ERROR,
        reason=Reason.STALE_MATCHER,
    )


def relations(trial: Trial, seen: Mapping[str, Seen], batches: Batches, modes: Sequence[str]) -> list[Finding]:
    """Return what is wrong with the modes that were asked for, taken together.

    They differ where they must not, or were not all run.
    """
    not_run = [mode for mode in modes if mode not in seen or seen[mode].doubtful]
    if not_run:
        why = "; ".join(one.line for mode in not_run if mode in seen for one in seen[mode].findings[:1])
        said = f"not run, or not to be counted: {', '.join(not_run)}{f' ({why})' if why else ''}"
        return [doubt("#mode", Reason.NOT_RUN, f"all of {', '.join(modes)}", said, "matrix")]
    groups = [[mode for mode in group if mode in modes] for group in _kind(trial).same]
    found = [finding for group in groups if group for finding in _group(trial, group, batches)]
    whole = set(modes) == set(trial.endpoint.modes)
    if found or any(seen[mode].findings for mode in modes) or not whole:
        return found  # a matcher may be about a mode that was not asked for
    used = frozenset(name for mode in modes for name in seen[mode].used)
    return list(_stale(trial.rules(None), used))


def _kind(trial: Trial) -> Kind:
    return trial.endpoint.kinds[trial.case.case.kind]


def _group(trial: Trial, group: Sequence[str], batches: Batches) -> Iterator[Finding]:
    first = batches[group[0]].of(trial.case.id)[0]
    for mode in group:
        for other in batches[mode].of(trial.case.id):
            for found in unlike(trial, first, other):
                rule = f"{mode} is as {group[0]}"
                yield replace(found, kind=f"relation/{found.kind}", rule=rule, mode=mode, instance=other.instance)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The results of a case: one for each mode, and one for all modes together."""

    cells: Mapping[str, CheckResult]
    matrix: CheckResult

    @property
    def results(self) -> tuple[CheckResult, ...]:
        """All of them."""
        return (*self.cells.values(), self.matrix)


def judge_case(
    trial: Trial, batches: Batches, doubts: Doubts | None = None, modes: Sequence[str] | None = None
) -> Outcome:
    """Judge a case by what was observed in each mode; a mode without a batch was not run.

    ``doubts`` are those of all modes, if they are known already; ``modes`` those that were asked for, if not all.
    """
    modes = trial.endpoint.modes if modes is None else modes
    doubts = doubts or doubts_of(trial.endpoint, batches, trial.instances)
    seen = {mode: see(trial, mode, batches.get(mode), doubts[mode]) for mode in trial.endpoint.modes}
    name = trial.case.id
    cells = {mode: judged(one.findings, f"{name} answers as expected in {mode}") for mode, one in seen.items()}
    together = relations(trial, seen, batches, modes)
    return Outcome(cells, judged(together, f"{name} keeps its promises in {', '.join(modes)}"))
