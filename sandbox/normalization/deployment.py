"""One deployment of the API: a database, two instances, a load balancer in front of them.

The instances are processes of their own, as in reality: each has its own metrics, and takes up a flip in its own time.
"""

import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import uuid4

from sandbox.components import Component, module_command, start_python
from sandbox.normalization.config import COMPANIES, PROPAGATION_SECONDS, Config
from sandbox.normalization.db import DATABASE, open_database
from sandbox.normalization.front import Front
from sandbox.normalization.migrate import migrate_all
from sandbox.normalization.mode_store import ModeStore
from sandbox.normalization.modes import EVERYBODY, Endpoint, Mode, ModeWish
from sandbox.normalization.noticed import HALFWAY
from sandbox.normalization.releases import Release, wanted_in
from sandbox.normalization.seed import seed
from sandbox.supervision import Supervision

INSTANCES = 2


@dataclass(frozen=True)
class Wish:
    """What a deployment is started with.

    ``snapshot`` is the file to take before the database is migrated; without one it is not migrated.
    """

    modes: Mapping[Endpoint, Mode] = field(default_factory=dict)
    companies: int = COMPANIES
    propagation: float = PROPAGATION_SECONDS
    faults: frozenset[str] = frozenset()
    token: str = ""
    snapshot: Path | None = None


class Deployment:
    """A running deployment."""

    def __init__(self, wish: Wish, supervision: Supervision) -> None:
        self._wish = wish
        self._supervision = supervision
        self._release = Release.CURRENT
        self.directory = supervision.directory
        self.token = wish.token or secrets.token_urlsafe(24)
        self.database = create_database(self.directory, wish.modes, wish.companies)
        if wish.snapshot:
            migrate_all(self.database, wish.snapshot, wish.faults)
        self._instances = [self._start(number) for number in range(1, INSTANCES + 1)]
        self.front = Front([instance.address for instance in self._instances])
        self.front.start()
        supervision.at_end(self.front.shutdown)

    @cached_property
    def urls(self) -> list[str]:
        """The instances' base URLs; they stay when an instance is replaced."""
        return [instance.url for instance in self._instances]

    def follow(self) -> None:
        """Roll to the release that somebody wants, one instance after the other, on their old ports.

        Raises ComponentError if an instance does not start.
        """
        wanted = wanted_in(self.directory)
        if wanted is self._release:
            return
        self._release = wanted
        instances = self._instances[:1] if HALFWAY in self._wish.faults else self._instances
        for index, instance in enumerate(instances):
            with self.front.without(instance.address):
                self._supervision.give_up(instance)
                port = int(instance.url.rpartition(":")[2])
                self._instances[index] = self._start(index + 1, port)
                _ = self._instances[index].url  # it answers, before the next one stops

    def state(self) -> dict[str, Any]:
        """Return where everything is; it holds the flag service's token."""
        return {
            "id": uuid4().hex,
            "pid": os.getpid(),
            "target": f"http://{self.front.address}",
            "instances": self.urls,
            "flags": f"http://{self.front.address}",
            "flags_token": self.token,
            "database": str(self.database),
            "directory": str(self.directory),
            "faults": sorted(self._wish.faults),
            "migrate": self._migration(),
        }

    def _start(self, number: int, port: int = 0) -> Component:
        wish = self._wish
        delay = wish.propagation * number / INSTANCES
        config = Config(self.database, number, delay, wish.faults, self.token, self._release, port)
        name, module = f"instance-{number}", "sandbox.normalization.instance"
        return self._supervision.keep(start_python(name, self.directory, module, env=config.to_environment()))

    def _migration(self) -> list[str]:
        """Return the command line of this release's migration, faults and all."""
        chosen = [part for name in sorted(self._wish.faults) for part in ("--fault", name)]
        return [*module_command("sandbox.normalization.migrate"), "--database", str(self.database), *chosen]


def create_database(directory: Path, modes: Mapping[Endpoint, Mode], companies: int = COMPANIES) -> Path:
    """Make a fresh database with the modes a deployment starts with, and return its path."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / DATABASE
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    seed(path, companies)
    engine = open_database(path)
    store = ModeStore(engine)
    for endpoint, mode in modes.items():
        store.change([endpoint], ModeWish(EVERYBODY, mode, "sandbox", "set at start"), at=time.time())
    engine.dispose()
    return path
