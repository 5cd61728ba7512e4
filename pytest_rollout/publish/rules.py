"""Alerts on canaries that stop, as a rule file of Prometheus: rendered, as only the plan knows how often each runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from textwrap import indent

from pytest_rollout.plan.schedule import Schedule
from pytest_rollout.publish.pushgateway import JOB
from pytest_rollout.units import format_duration

_NEWEST = "max by (instance, rollout, canary)"
"""Two Prometheus or Pushgateways may tell of one canary. What is left are the labels of the alert."""
_WHOSE = "{{ $labels.canary }} of {{ $labels.rollout }} in {{ $labels.instance }}"


def canary_rules(rollout: str, environment: str, canaries: Mapping[str, Schedule], time_scale: float) -> str:
    """Return the alerts on the canaries of a rollout in one environment: one of the ``groups`` of a rule file.

    Periods and grace are divided by ``time_scale``, as the environment does it.
    """
    lines = [f"  - name: {_quoted(f'canaries of {rollout} in {environment}')}", "    rules:"]
    for canary, schedule in canaries.items():
        labels = {"job": JOB, "instance": environment, "rollout": rollout, "canary": canary}
        series = ",".join(f"{name}={_quoted(value)}" for name, value in labels.items())
        lines += [f"      # {canary}: every {format_duration(schedule.every / time_scale)}"]
        lines += [alert.rendered() for alert in _alerts(series, schedule, time_scale)]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Alert:
    name: str
    expression: str
    lasting: float = 0.0
    """Seconds."""
    severity: str
    what: str
    then: str
    """What to do."""

    def rendered(self) -> str:
        return f"""\
      - alert: RolloutCanary{self.name}
        expr: |
{indent(self.expression, " " * 10)}
        for: {_duration(self.lasting)}
        labels: {{severity: {self.severity}}}
        annotations:
          summary: "{_WHOSE} {self.what}"
          description: "{self.then}\""""


def _alerts(series: str, schedule: Schedule, time_scale: float) -> Iterator[_Alert]:
    every = schedule.every / time_scale
    # A run that ended right at its slot's time may be followed by one that takes all its time.
    due = every + min(schedule.deadline, every) + schedule.grace / time_scale
    run = f"{_NEWEST} (rollout_canary_last_run_timestamp_seconds{{{series}}})"
    slot = f"{_NEWEST} (rollout_canary_slot_timestamp_seconds{{{series}}})"
    # Distances in time: a clock that runs ahead does not hide that nothing runs.
    in_maintenance = f"""\
unless (
  {_NEWEST} (rollout_canary_state{{{series},state="suppressed"}}) == 1
  and abs(time() - {slot}) <= {due:.10g}
)"""
    yield _Alert(
        name="Stopped",
        expression=f"abs(time() - {run}) > {due:.10g}\n{in_maintenance}",
        severity="critical",
        what="has not run for {{ $value | humanizeDuration }}",
        then="Is 'rollout watch' still running, and is the clock of its machine right? Until the canary runs again, "
        "nothing tells whether this still works, and gates on it hold.",
    )
    yield _Alert(
        name="NeverRan",
        expression=f"{_NEWEST} (absent(rollout_canary_last_run_timestamp_seconds{{{series}}}))\n{in_maintenance}",
        lasting=due,
        severity="warning",
        what="has never run, as far as Prometheus knows",
        then="Was 'rollout watch' ever started here, and is the Pushgateway up and scraped with honor_labels?",
    )
    yield _Alert(
        name="NotOk",
        # Of two gateways that tell different things the worse one counts: a group lives for ever.
        expression=f'{_NEWEST} (rollout_canary_state{{{series},state!~"ok|suppressed"}}) == 1',
        lasting=due,  # by then the next slot has told, too
        severity="critical",
        what="has not been ok for longer than one slot",
        then="rollout_canary_state says what the newest slot was, 'rollout evidence show' why. "
        "Stages with a gate on this canary are not GO.",
    )


def _duration(seconds: float) -> str:
    """Return a duration as Prometheus reads it: whole numbers only."""
    return f"{seconds:.0f}s" if seconds.is_integer() else f"{round(seconds * 1000)}ms"


def _quoted(text: str) -> str:
    """Return a string that PromQL and YAML read alike, on one line."""
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in quoted)
