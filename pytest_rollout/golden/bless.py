"""Approve what was received as the new golden of a case: by a person, with a reason, and only if all else holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pytest_rollout.errors import BlessRefused
from pytest_rollout.golden.bodies import Trial
from pytest_rollout.golden.corpus import Corpus, GoldenCase, case_content, case_of, golden_case
from pytest_rollout.golden.evaluate import Batches, judge_case
from pytest_rollout.golden.received import proposal, received_path, write_case
from pytest_rollout.golden.repository import Tree
from pytest_rollout.plan.document import Document
from pytest_rollout.plan.strict import did_you_mean
from pytest_rollout.units import format_moment
from pytest_rollout.verdict import Verdict

LEAST = 3
"""Observations that have to agree, in each mode and on each instance."""
_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """Who approves, when and why, and in which circumstances."""

    by: str
    reason: str
    at: float
    """Unix seconds."""
    tree: Tree
    automatic: bool
    """Whether this is CI, where nobody looks at what is approved."""


def refusals(approval: Approval) -> list[str]:
    """Return why nothing at all may be blessed now; ask once before the first, for blessing makes the tree dirty."""
    found = []
    if approval.automatic:
        found.append("CI is set: goldens are blessed by a person who looks at them")
    if not approval.reason.strip():
        found.append("no reason is given: add --golden-reason")
    if not approval.by.strip():
        found.append("nobody is named as the one who approves")
    if not approval.tree.commit:
        found.append("there is no git commit that the golden could be an observation of")
    elif approval.tree.dirty:
        named = ", ".join(approval.tree.dirty[:_NAMED])
        more = f" and {len(approval.tree.dirty) - _NAMED} more" if len(approval.tree.dirty) > _NAMED else ""
        found.append(f"the tree has changes that are not committed ({named}{more}): commit or undo them first")
    return found


def find_cases(corpora: Sequence[Corpus], ids: Sequence[str]) -> list[str]:
    """Return the ids to bless. Raises BlessRefused for one that no corpus has."""
    known = sorted(name for corpus in corpora for name in corpus.cases)
    for name in ids:
        if name not in known:
            raise BlessRefused(f"no case {name!r}; {did_you_mean(name, known)}")
    return list(dict.fromkeys(ids))


Record = Callable[[str, Mapping[str, Any]], None]
"""Keeps for ever that a case was blessed, by its id and stamp. Raises BlessRefused."""


def bless(  # noqa: PLR0913, PLR0917 - what is blessed, by what, and where it goes
    corpus: Corpus, trial: Trial, batches: Batches, approval: Approval, received: Path, record: Record
) -> Path:
    """Record the blessing, move what was received to the case's file, stamped, and return it. Raises BlessRefused.

    The case has to pass with its new golden, in every mode, on every instance, by every one of at least three
    observations: so a mode that was not confirmed, an invalid case that is accepted, a missing header or answers
    that disagree outside matchers are reasons to refuse.
    """
    against = [*refusals(approval), *_too_few(trial, batches)]
    data = _stamped(corpus, trial, proposal(trial, batches), approval)
    if not against:
        against = _not_passing(corpus, trial, batches, data)
    if against:
        raise BlessRefused(f"{trial.case.id} is not blessed: " + "; ".join(against))
    draft = write_case(received_path(received, trial), data)
    record(trial.case.id, data["blessed"])
    draft.replace(trial.case.path)
    return trial.case.path


def _too_few(trial: Trial, batches: Batches) -> list[str]:
    counts = {
        (mode, instance): sum(one.instance == instance for one in batches[mode].of(trial.case.id))
        if mode in batches
        else 0
        for mode in trial.endpoint.modes
        for instance in trial.instances
    }
    few = [f"{mode} on {instance}: {count}" for (mode, instance), count in counts.items() if count < LEAST]
    more = f" and {len(few) - _NAMED} more" if len(few) > _NAMED else ""
    return [f"at least {LEAST} observations are needed ({', '.join(few[:_NAMED])}{more})"] if few else []


def _stamped(corpus: Corpus, trial: Trial, data: dict[str, Any], approval: Approval) -> dict[str, Any]:
    """Return a case's content with the stamp that covers it."""
    seen = corpus.read()
    seen[trial.case.id] = case_of(data, corpus.endpoint), Document(trial.case.path, data)
    stamp = {
        "by": approval.by.strip(),
        "at": format_moment(approval.at),
        "reason": approval.reason.strip(),
        "subject": f"git:{approval.tree.commit or 'none'}",
        "observations": LEAST,
        "sha256": case_content(corpus.endpoint, seen, trial.case.id),
    }
    return {**data, "blessed": stamp}


def _not_passing(corpus: Corpus, trial: Trial, batches: Batches, data: dict[str, Any]) -> list[str]:
    """Return why a case would not pass even with its new content."""
    new = _rebuilt(corpus, trial.case, data)
    outcome = judge_case(replace(trial, case=new), batches)
    return [
        f"with this golden it would still not pass: {result.message.splitlines()[0]}"
        for result in outcome.results
        if result.verdict is not Verdict.PASSED
    ]


def _rebuilt(corpus: Corpus, old: GoldenCase, data: dict[str, Any]) -> GoldenCase:
    seen = corpus.read()
    seen[old.id] = case_of(data, corpus.endpoint), Document(old.path, data)
    return golden_case(corpus.endpoint, seen, old.id)
