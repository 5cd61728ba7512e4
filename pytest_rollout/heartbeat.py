"""Tell a Pushgateway how a canary is doing, after each of its slots: alerts on silence are built on that."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pytest_rollout.errors import EvidenceError, PublishError
from pytest_rollout.evidence.log import EvidenceLog
from pytest_rollout.evidence.record import Place
from pytest_rollout.evidence.runs import find_run
from pytest_rollout.evidence.slots import slots
from pytest_rollout.judge.slot import Slot
from pytest_rollout.publish.canary_metrics import RECENT, canary_group
from pytest_rollout.publish.pushgateway import Pushgateway


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """What is pushed, and where."""

    log: EvidenceLog
    place: Place
    gateway: str
    """The Pushgateway's URL."""
    spool: Path
    """Folder for what could not be sent yet."""
    scale: float
    """What every duration of the plan is divided by."""

    def tell(self, slot: Slot) -> str:
        """Push the metrics of a slot's canary; return why they were not accepted yet, empty if they were."""
        try:
            recent = slots(self.log, slot.canary, self.place, slot.at - RECENT / self.scale)
            runs = [run for one in recent[-1:] for name in one.runs if (run := find_run(self.log, name))]
            outcome = Pushgateway(self.gateway, self.spool).send([canary_group(self.place, recent, runs)])
        except (EvidenceError, PublishError, OSError) as exc:
            return f"the metrics of {slot.canary} were not pushed: {exc}"
        return "" if outcome.state == "pushed" else f"pushgateway {outcome.state}: {outcome.message}"
