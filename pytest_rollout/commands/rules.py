"""``rollout rules``: alerts on the canaries of plans, as a rule file of Prometheus."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pytest_rollout.errors import EnvironmentUnready, PlanError, PublishError, RolloutError
from pytest_rollout.plan.loader import LoadedPlan, load_plan
from pytest_rollout.plan.strict import did_you_mean
from pytest_rollout.plugin.selection import SUFFIX, walk
from pytest_rollout.publish.rules import canary_rules
from pytest_rollout.publish.verdict_file import write_atomic

_RENDERED, _NOTHING = 0, 2
_HEAD = """\
# Rendered from {plans} by: rollout rules --rollout-env {environment!r}
# Do not edit: change the plan and render again. Scrape the Pushgateway with honor_labels: true.
groups:
"""


def render_rules(place: Path, environment: str, output: Path | None, say: Callable[[str], None]) -> int:
    """Render the alerts for every plan at or below a place, to a file or as what is said.

    Returns the exit status: 0, or 2 if there is nothing to render or it cannot be.
    """
    try:
        text = _rendered(place, environment)
        if output is None:
            say(text.removesuffix("\n"))
            return _RENDERED
        _write(output, text)
    except RolloutError as exc:
        say(f"rollout: {exc}")
        return _NOTHING
    say(f"{output}: written; check it with: promtool check rules {output}")
    return _RENDERED


def _rendered(place: Path, environment: str) -> str:
    if not (paths := list(walk(place))):
        raise PlanError(f"no *{SUFFIX} at or below {place}; name a file or a folder")
    plans = [loaded for loaded in map(load_plan, paths) if loaded.plan.canaries]
    if not plans:
        raise PlanError(
            f"no plan at or below {place} has canaries with a schedule; add canaries: {{NAME: {{every: 15m}}}}"
        )
    groups = [_group(loaded, environment) for loaded in plans]
    names = ", ".join(loaded.path.name for loaded in plans)
    return _HEAD.format(plans=names, environment=environment) + "".join(groups)


def _group(loaded: LoadedPlan, name: str) -> str:
    plan = loaded.plan
    if name not in plan.environments:
        raise EnvironmentUnready(
            f"{loaded.path.name}: no environment {name!r}; {did_you_mean(name, sorted(plan.environments))}"
        )
    environment = plan.environments[name]
    if not (environment.sandbox or environment.pushgateway):
        raise EnvironmentUnready(
            f"{loaded.path.name}: environment {name!r} names no pushgateway, so no alert would ever see a canary; "
            "add it to the plan"
        )
    return canary_rules(plan.rollout, name, plan.canaries, environment.time_scale)


def _write(path: Path, text: str) -> None:
    try:
        write_atomic(path, text)
    except OSError as exc:
        raise PublishError(f"{path}: not written: {exc.strerror}; make the folder writable or choose another") from exc
