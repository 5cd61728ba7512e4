"""Stage normalization as a system of the sandbox: two deployments of one release, and a receiver of alerts.

``serving`` has the traffic and is observed. ``preview`` is for what needs a deployment of its own: golden payloads,
whose counters nobody else may move, and rehearsals, which flip modes, migrate and roll back.
"""

import json
import secrets
import shlex
import shutil
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

from sandbox.components import (
    ROOT,
    Component,
    Job,
    ScrapeConfig,
    configure_prometheus,
    module_command,
    request,
    start_python,
)
from sandbox.flag_texts import read_flag
from sandbox.normalization.config import COMPANIES, PROPAGATION_SECONDS, TOKEN_VARIABLE
from sandbox.normalization.modes import ENDPOINTS, EVERYBODY, FLAG, Mode
from sandbox.normalization.noticed import NO_RULES, NO_TRAFFIC, NOT_SENT, SCRAPES_ONE, SILENCED
from sandbox.stack import Keep

RULES = ROOT / "deploy" / "stage_normalization" / "alerts.rules.yml"
_FLAGS = (FLAG, *(endpoint.flag for endpoint in ENDPOINTS))
_SETTLED_SECONDS = 0.1


class FlagSetting(NamedTuple):
    """The mode of an endpoint, or of all, for a cohort."""

    flag: str
    cohort: str
    value: Mode

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``NAME=COHORT:off|warn|enforce``; ValueError says what is wrong."""
        flag, cohort, value = read_flag(text, _FLAGS, list(Mode), list(Mode))
        return cls(flag, cohort, Mode(value))

    @property
    def turn(self) -> tuple[bool, bool]:
        """Sorts settings: everybody before a cohort, whose rules go with that; all endpoints before one."""
        return self.cohort != EVERYBODY, self.flag != FLAG


@dataclass(frozen=True)
class Normalization:
    """What the system is started with; ``migrated``: the serving database has been migrated."""

    name: ClassVar[str] = "normalization"
    faults: frozenset[str] = frozenset()
    flags: tuple[FlagSetting, ...] = ()
    migrated: bool = False
    companies: int = COMPANIES
    propagation: float = PROPAGATION_SECONDS

    def start(self, directory: Path, keep: Keep) -> "RunningNormalization":
        """Start the receiver and both deployments."""
        receiver = keep(start_python("receiver", directory, "sandbox.receiver"))
        serving = self._deploy("serving", directory, keep, migrated=self.migrated)
        preview = self._deploy("preview", directory, keep)
        rules = Path(shutil.copy(RULES, directory / RULES.name))
        return RunningNormalization(self, keep, serving, preview, receiver, rules)

    def _deploy(self, name: str, directory: Path, keep: Keep, *, migrated: bool = False) -> "Deployed":
        folder, token = directory / name, secrets.token_urlsafe(24)
        wanted = {"directory": folder, "companies": self.companies, "propagation": self.propagation}
        arguments = [f"--{option}={value}" for option, value in wanted.items()]
        arguments += [f"--fault={fault}" for fault in sorted(self.faults)]
        snapshot = directory / "serving.snapshot" if migrated else None
        arguments += [f"--migrate={snapshot}"] if snapshot else []
        env = {TOKEN_VARIABLE: token, **dict.fromkeys(_FLAGS, Mode.OFF)}
        process = start_python(name, directory, "sandbox.normalization.app", *arguments, env=env)
        return Deployed(keep(process), folder / "normalization.json", token, snapshot)


class Deployed(NamedTuple):
    """A deployment that has been started; ``snapshot`` is of its database before the migration."""

    process: Component
    state_file: Path
    token: str
    snapshot: Path | None

    @property
    def state(self) -> dict[str, Any]:
        """What it says about itself, once it answers."""
        _ = self.process.url  # the state is written before the address is told
        state: dict[str, Any] = json.loads(self.state_file.read_text())
        return state

    @property
    def release(self) -> str:
        """The command line that rolls it to another release, but for that release's name."""
        return shlex.join([*module_command("sandbox.normalization.release"), "--state", str(self.state_file)])

    def flip(self, setting: FlagSetting) -> None:
        """Set a flag."""
        wish = {"cohort": setting.cohort, "value": setting.value, "actor": "sandbox", "reason": "set at start"}
        headers = {"authorization": f"Bearer {self.token}", "content-type": "application/json"}
        address = f"{self.process.url}/admin/flags/{setting.flag}"
        request(address, method="PUT", body=json.dumps(wish).encode(), headers=headers)


@dataclass(frozen=True)
class RunningNormalization:
    """The running deployments, and the copy of the rules that Prometheus loads."""

    wish: Normalization
    keep: Keep
    serving: Deployed
    preview: Deployed
    webhook: Component
    rule_file: Path

    @property
    def jobs(self) -> tuple[Job, ...]:
        """What Prometheus has to scrape: the serving instances, as one job."""
        addresses = [url.removeprefix("http://") for url in self.serving.state["instances"]]
        observed = addresses[:1] if SCRAPES_ONE in self.wish.faults else addresses
        return (Job("stage-normalization", ",".join(observed)),)

    @property
    def rules(self) -> tuple[Path, ...]:
        """The rule files that Prometheus loads."""
        return () if NO_RULES in self.wish.faults else (self.rule_file,)

    @property
    def receiver(self) -> str | None:
        """The URL Alertmanager notifies."""
        return None if NOT_SENT in self.wish.faults else self.webhook.url

    def begin(self, prometheus: Component, scrape: ScrapeConfig) -> None:
        """Flip the modes, let Prometheus scrape, and start the traffic.

        The modes are flips and not the start's, so that a deployment which takes up no flip is noticed.
        """
        for setting in sorted(self.wish.flags, key=lambda one: one.turn):
            self.serving.flip(setting)
        configure_prometheus(prometheus, scrape)
        if SILENCED in self.wish.faults:
            _silence(f"http://{scrape.alertmanager}")
        if NO_TRAFFIC in self.wish.faults:
            return
        time.sleep(self.wish.propagation + _SETTLED_SECONDS)
        directory = self.rule_file.parent
        front = self.serving.process.address
        self.keep(start_python("traffic", directory, "sandbox.normalization.traffic", front))

    def state(self, alertmanager: str) -> dict[str, Any]:
        """Return where serving is, and the variables."""
        return {
            "target": self.serving.process.url,
            "flags": self.serving.process.url,
            "flags_token": self.serving.token,
            "variables": self._variables(alertmanager),
        }

    def _variables(self, alertmanager: str) -> dict[str, str]:
        """Return the environment variables that people would set where this is not a sandbox."""
        serving, preview = self.serving.state, self.preview.state
        snapshot = {"STAGE_SNAPSHOT": str(self.serving.snapshot)} if self.serving.snapshot else {}
        return {
            "STAGE_SERVING_INSTANCES": ",".join(serving["instances"]),
            "STAGE_API_INSTANCES": ",".join(preview["instances"]),
            "STAGE_API_FLAGS_TOKEN": self.preview.token,
            "STAGE_PREVIEW_URL": self.preview.process.url,
            "STAGE_MIGRATE": shlex.join(serving["migrate"]),
            "STAGE_PREVIEW_MIGRATE": shlex.join(preview["migrate"]),
            "STAGE_RELEASE": self.serving.release,
            "STAGE_PREVIEW_RELEASE": self.preview.release,
            "STAGE_RULES_FILE": str(self.rule_file),
            "STAGE_ALERT_RECEIVER": self.webhook.url,
            "STAGE_ALERTMANAGER": alertmanager,
            **snapshot,
        }


def _silence(alertmanager: str) -> None:
    """Let Alertmanager notify nobody of any alert for a day."""
    now = datetime.now(UTC)
    silence = {
        "matchers": [{"name": "alertname", "value": ".+", "isRegex": True, "isEqual": True}],
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(days=1)).isoformat(),
        "createdBy": "sandbox",
        "comment": "a fault",
    }
    headers = {"content-type": "application/json"}
    request(f"{alertmanager}/api/v2/silences", method="POST", body=json.dumps(silence).encode(), headers=headers)
