"""Ask Prometheus what a gate needs to know, and have it judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_rollout.errors import QueryRefused, SourceError, SourceUnreachable
from pytest_rollout.gathering.question import Question
from pytest_rollout.gathering.reader import Moment, PartialAnswer
from pytest_rollout.judge.history import Looks
from pytest_rollout.plan.gates import Gate
from pytest_rollout.sources.prometheus import Prometheus
from pytest_rollout.target import Target
from pytest_rollout.units import format_duration
from pytest_rollout.verdict import CheckResult, Reason, Verdict, broken, inconclusive

_SKEW_IN_SCRAPES = 0.5
_LEAST_SKEW = 1.0


@dataclass(frozen=True, slots=True)
class Gatherer:
    """Judges gates at one instant, so that all of a stage see the same moment."""

    prometheus: Prometheus | None
    target: Target
    since: float | None
    """Flip plus settle time, unix seconds: no window reaches further back. None if there was no flip."""
    now: float
    flip: float | None = None
    """The flip itself, if the settle time was added to it."""
    looks: Mapping[str, Looks] = field(default_factory=dict)
    """How often each gate was looked at since the flip."""
    waits: bool = False
    """Whether this is not the only look of the run."""

    def judge(self, gate: Gate) -> CheckResult:
        """Return the verdict of one gate. Faults of the source become verdicts; nothing is raised for them."""
        if self.prometheus is None:
            said = f"environment {self.target.environment!r} names no prometheus; add it to the plan"
            return broken(Reason.ENVIRONMENT, said)
        try:
            return self._judge(gate, self.prometheus)
        except PartialAnswer as exc:
            said = f"Prometheus warns that data may be missing: {exc}; mend the source and judge again"
            return inconclusive(Reason.PARTIAL_DATA, said)
        except SourceUnreachable as exc:
            said = f"Prometheus cannot be asked: {exc}; the system is not judged, mend the source and judge again"
            return broken(Reason.SOURCE_UNREACHABLE, said)
        except QueryRefused as exc:
            return broken(Reason.QUERY_REFUSED, f"Prometheus refused the query: {exc}; mend the plan")
        except SourceError as exc:
            return broken(Reason.BAD_ANSWER, str(exc))

    def _judge(self, gate: Gate, prometheus: Prometheus) -> CheckResult:
        interval = self.target.scrape_interval or max(prometheus.scrape_intervals().values(), default=0.0)
        if not interval:
            return inconclusive(
                Reason.NO_DATA,
                "Prometheus scrapes nothing and the environment gives no scrape_interval, so it is not known "
                "how many samples there should be",
            )
        moment = Moment(self.since, self.flip or self.since, self.now, interval, self._first_look(gate))
        result = Question(gate, prometheus, self.target, moment).answer()
        skew = prometheus.skew()
        decided = result.verdict in (Verdict.PASSED, Verdict.BREACHED)
        doubt = _skewed(skew, interval) if decided or skew is not None else None  # perhaps nothing was asked
        return result.because(doubt) if doubt else result

    def _first_look(self, gate: Gate) -> float | None:
        """Return when a gate was first looked at, or None if the plan promises that this is the only look.

        Nobody else can know: the log of looks may be another machine's, or gone.
        """
        looks = self.looks.get(gate.id)
        only = gate.looks == "once" and looks is not None and looks.count == 1 and not self.waits
        return None if only else (looks.first_at if looks else self.now)


def _skewed(skew: float | None, interval: float) -> CheckResult | None:
    if skew is None:
        return inconclusive(
            Reason.CLOCK_SKEW, "Prometheus does not tell its time, so its clock may differ from ours; mend the proxy"
        )
    if abs(skew) <= max(_SKEW_IN_SCRAPES * interval, _LEAST_SKEW):
        return None
    return inconclusive(
        Reason.CLOCK_SKEW,
        f"the clock of Prometheus is {format_duration(abs(skew))} {'ahead of' if skew > 0 else 'behind'} ours, so "
        "windows are not where they seem; synchronise both",
    )
