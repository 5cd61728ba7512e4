"""The canaries of this repository against the sandbox's application, served from this process."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from canaries.prisma.books import Books
from canaries.prisma.errand import Errand
from canaries.prisma.payers import ApiPayer
from pytest_rollout.canary import CanaryRunner, Occasion
from pytest_rollout.evidence.log import EvidenceLog
from pytest_rollout.evidence.record import Place
from pytest_rollout.judge.history import CanaryRun
from pytest_rollout.plugin.attempt import Attempt
from sandbox.prisma.config import Config
from tests.sandbox.conftest import READS_ON, served

ROOT = Path(__file__).parents[2]
CANARIES = ROOT / "canaries" / "prisma"
AGENT = 25
"""The settlement canary's, of three open invoices."""
BOOKS = (
    "SELECT id, status, settledAmount FROM invoices WHERE agentId > 24 ORDER BY id",
    "SELECT agentId, balance FROM wallets WHERE agentId > 24 ORDER BY agentId",
    "SELECT agentId, SUM(amount) FROM payments WHERE agentId > 24 AND amount != 0 GROUP BY agentId HAVING SUM(amount)",
)
DEADLINE_SECONDS = 60.0
_NOT_NEEDED = ("locust", "hypothesispytest", "anyio", "allure_pytest", "rerunfailures")


@dataclass(frozen=True)
class System:
    """A running application, and where canaries keep what they record about it."""

    client: httpx.Client
    folder: Path
    log: EvidenceLog
    faults: tuple[str, ...] = ()
    stopped: Callable[[], bool] = field(default=lambda: False)

    @property
    def url(self) -> str:
        """The application's address."""
        return str(self.client.base_url).rstrip("/")

    @property
    def state(self) -> Path:
        """The state file of a sandbox that consists of the application alone."""
        path = self.folder / "sandbox.json"
        nowhere = dict.fromkeys(("prometheus", "pushgateway"), "http://127.0.0.1:9")
        system = {"system": "prisma", "variables": {}, "faults": self.faults}
        state = {**nowhere, **system, "target": self.url, "flags": self.url, "flags_token": "a-token"}
        path.write_text(json.dumps(state), encoding="utf-8")
        return path

    def arguments(self) -> tuple[str, ...]:
        """Return what every pytest process of a canary is given; without plugins that it has no use for."""
        quick = [part for name in _NOT_NEEDED for part in ("-p", f"no:{name}")]
        return (*quick, "-n", "0", f"--output={self.folder / 'browser'}", f"--junitxml={self.folder / 'junit.xml'}")

    def run(self, canary: str, environment: str = "sandbox", slot: float | None = None) -> CanaryRun:
        """Run a canary as a schedule does and return what was recorded."""
        runner = CanaryRunner(
            log=self.log,
            place=Place("prisma", environment, self.url),
            folder=CANARIES,
            rootdir=ROOT,
            reports=self.folder / "reports",
            arguments=self.arguments(),
            sandbox_state=self.state,
            stopped=self.stopped,
        )
        return runner.run(canary, DEADLINE_SECONDS, Occasion(slot=slot))

    def books(self) -> list[Any]:
        """Return invoices, wallets and sums of the canaries' agents as they are in the database."""
        return [self.ask(query) for query in BOOKS]

    def ask(self, query: str) -> list[Any]:
        """Return what the database answers."""
        with closing(sqlite3.connect(self.folder / "prisma.db", timeout=5)) as connection:
            return connection.execute(query).fetchall()

    def change(self, statement: str) -> None:
        """Change the database behind the application's back."""
        with closing(sqlite3.connect(self.folder / "prisma.db", timeout=5)) as connection, connection:
            connection.execute(statement)

    def said(self) -> str:
        """Return the output of the last run."""
        return "\n".join(path.read_text(encoding="utf-8") for path in self.folder.glob("reports/canaries/*.log"))


Start = Callable[..., System]


def begin(system: System, run_id: str = "first", canary: str = "settlement", payer: ApiPayer | None = None) -> Errand:
    """Begin a run in this process."""
    attempt = Attempt(canary=canary, run_id=run_id)
    return Errand.begin(Books(system.client), payer or ApiPayer(system.client), attempt)


@pytest.fixture
def system(tmp_path: Path) -> Iterator[Start]:
    """Return what starts the application with faults."""
    with ExitStack() as stack:

        def start(*faults: str) -> System:
            config = Config(directory=tmp_path, faults=frozenset(faults), flags=(READS_ON,), flags_token="a-token")
            client = stack.enter_context(served(config))
            log = stack.enter_context(closing(EvidenceLog(tmp_path / "evidence.db")))
            return System(client, tmp_path, log, faults)

        yield start
