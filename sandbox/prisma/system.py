"""The dashboard and portal as a system of the sandbox: the application, its traffic, and a past if one is wanted."""

import secrets
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from sandbox.components import Component, Job, ScrapeConfig, configure_prometheus, start_python
from sandbox.prisma.config import Config, FlagSetting
from sandbox.stack import Keep

METRICS = "/api/internal/metrics"


@dataclass(frozen=True)
class Prisma:
    """What the system is started with; ``history`` is the length of its past in seconds."""

    name: ClassVar[str] = "prisma"
    faults: frozenset[str] = frozenset()
    flags: tuple[FlagSetting, ...] = ()
    history: float = 0.0
    locale: str = "en"

    def start(self, directory: Path, keep: Keep) -> "RunningPrisma":
        """Start the application."""
        config = Config(
            directory=directory,
            locale=self.locale,
            faults=self.faults,
            flags=self.flags,
            flags_token=secrets.token_urlsafe(24),
            settings_secret=secrets.token_urlsafe(24),
            since=time.time() - self.history if self.history else None,
        )
        app = keep(start_python("app", directory, "sandbox.prisma.app", env=config.to_environment()))
        return RunningPrisma(config, app, keep)


@dataclass(frozen=True)
class RunningPrisma:
    """The running application."""

    config: Config
    app: Component
    keep: Keep
    rules: ClassVar[tuple[Path, ...]] = ()
    receiver: ClassVar[str | None] = None

    @property
    def jobs(self) -> tuple[Job, ...]:
        """What Prometheus has to scrape."""
        return (Job("prisma", self.app.address, METRICS),)

    def begin(self, prometheus: Component, scrape: ScrapeConfig) -> None:
        """Fill the history, if any, let Prometheus scrape from now on, and start the traffic."""
        # Without metrics there is nothing to fill a history with.
        if self.config.since is None or "metrics-down" in self.config.faults:
            configure_prometheus(prometheus, scrape)
        else:
            self._fill_history(prometheus, scrape, self.config.since)
        self.keep(start_python("traffic", self.config.directory, "sandbox.traffic", self.app.address))

    def _fill_history(self, prometheus: Component, scrape: ScrapeConfig, since: float) -> None:
        from sandbox.history import Target, bridge, fill

        target = Target(f"{self.app.url}{METRICS}", "prisma", self.app.address)
        fill(prometheus.url, target, since)
        configure_prometheus(prometheus, scrape)
        threading.Thread(target=bridge, args=(prometheus.url, target), daemon=True).start()

    def state(self, _alertmanager: str) -> dict[str, Any]:
        """Return where the application is."""
        return {
            "target": self.app.url,
            "flags": self.app.url,
            "flags_token": self.config.flags_token,
            "variables": {},
        }
