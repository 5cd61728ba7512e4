"""``rollout lint``: what is wrong with plans, before anybody waits for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from pytest_rollout.errors import EnvironmentUnready, RolloutError, SourceError
from pytest_rollout.live import LivePrometheus
from pytest_rollout.plan.document import read_document
from pytest_rollout.plan.lint import Finding, lint
from pytest_rollout.plan.loader import LoadedPlan, load_plan
from pytest_rollout.plan.model import Plan
from pytest_rollout.plugin.selection import SUFFIX, walk
from pytest_rollout.sources.http import Http, without_credentials
from pytest_rollout.sources.prometheus import Prometheus
from pytest_rollout.target import enter_as_it_is

DEFAULT_PLACES = (Path("canaries"),)
"""Where plans are sought; the default of the ini key ``rollout_plans``."""
_CLEAN, _FOUND, _UNREADABLE = 0, 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Against:
    """What plans are held against: an environment, the address of a Prometheus, or neither."""

    environment: str | None = None
    prometheus: str | None = None
    at: float
    """Unix seconds at which a server is asked."""
    variables: Mapping[str, str]
    """The process environment."""

    def address(self, loaded: LoadedPlan) -> str | None:
        """Return the Prometheus to ask about a plan. Raises EnvironmentUnready."""
        if self.environment is None:
            return self.prometheus
        target = enter_as_it_is(loaded, self.environment, self.variables)
        if not target.prometheus:
            raise EnvironmentUnready(f"environment {self.environment!r} names no prometheus; add it to the plan")
        return target.prometheus


def lint_plans(places: Sequence[Path], against: Against, *, strict: bool, say: Callable[[str], None]) -> int:
    """Say what is wrong with every plan at or below some places, and return the exit status.

    0 without errors, 1 with errors (``strict``: or warnings), 2 if a plan or its server could not be read.
    """
    plans: dict[Path, None] = {}
    tally: Counter[str] = Counter()
    unreadable = False
    for place in places or DEFAULT_PLACES:
        if not (found := list(walk(place))):
            say(f"rollout: no *{SUFFIX} at or below {place}; name files or folders")
            unreadable = True
        plans |= dict.fromkeys(found)
    for path in plans:
        try:
            tally += _lint_one(path, against, say)
        except RolloutError as exc:
            say(f"rollout: {path.name}: {exc}" if isinstance(exc, SourceError) else str(exc))
            unreadable = True
    say(_summary(tally, against))
    if unreadable:
        return _UNREADABLE
    return _FOUND if tally["error"] or (strict and tally["warning"]) else _CLEAN


def _lint_one(path: Path, against: Against, say: Callable[[str], None]) -> Counter[str]:
    loaded = _read(path)
    with _server(against.address(loaded), against.at) as live:
        found = lint(loaded.plan, live, environment=against.environment)
    for finding in found:
        say(_shown(loaded, finding))
    gates = sum(len(stage.gates) for stage in loaded.plan.stages)
    return Counter(finding.severity for finding in found) + Counter({"plan": 1, "gate": gates})


def _read(path: Path) -> LoadedPlan:
    """Return a plan that may have errors that only a lint finds. Raises PlanError."""
    document = read_document(path)
    try:
        return LoadedPlan(Plan.model_validate(document.data), document)
    except ValidationError:
        return load_plan(path)  # which says it with places


@contextmanager
def _server(address: str | None, at: float) -> Iterator[LivePrometheus | None]:
    if address is None:
        yield None
        return
    with closing(Http()) as http:
        yield LivePrometheus(Prometheus(address, http), at)


def _shown(loaded: LoadedPlan, finding: Finding) -> str:
    said = f"{finding.severity}: {finding.message} [{finding.code}]"
    return f"{loaded.document.error(finding.place, said)}\n    {finding.hint}"


def _summary(tally: Counter[str], against: Against) -> str:
    if against.environment:
        server = f"against the server of {against.environment!r}"
    elif against.prometheus:
        server = f"against {without_credentials(against.prometheus)}"
    else:
        server = "without a server: metrics, labels, buckets and retention were not looked at"
    checked = f"checked {_several(tally, 'plan')}, {_several(tally, 'gate')}"
    return f"{checked}, {_several(tally, 'error')}, {_several(tally, 'warning')}; {server}"


def _several(tally: Counter[str], word: str) -> str:
    return f"{tally[word]} {word}{'' if tally[word] == 1 else 's'}"
