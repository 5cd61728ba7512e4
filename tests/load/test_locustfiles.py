"""The scenarios, against the sandbox's applications: sound when these are, failing when they are not."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from pytest_rollout.errors import LoadError
from pytest_rollout.load.engine import free_port, run
from pytest_rollout.load.order import LoadOrder
from pytest_rollout.load.result import LoadResult
from pytest_rollout.load.soundness import unsound
from sandbox.normalization.config import Config as NormalizationConfig
from sandbox.normalization.deployment import create_database
from sandbox.normalization.modes import ENDPOINTS, Mode
from sandbox.prisma.config import Config
from tests.load.runs import await_true, command, side_by_side, site
from tests.load.servers import healthy, running
from tests.sandbox.conftest import served
from tests.sandbox.normalization.conftest import served as served_normalization

ROOT = Path(__file__).parents[2]
SCENARIOS = ROOT / "locustfiles"
READERS = ("portal", "dashboard", "stage_validation")
LOADED = 27
"""SYN-003, the agent that loads pay for."""
BOOKS = (
    "SELECT id, status, settledAmount FROM invoices ORDER BY id",
    "SELECT agentId, balance FROM wallets ORDER BY agentId",
    "SELECT agentId, SUM(amount) FROM payments GROUP BY agentId HAVING SUM(amount) ORDER BY agentId",
)


def load(folder: Path, scenario: str, client: httpx.Client | str, **variables: str) -> LoadResult:
    """Run a scenario for a second."""
    host = client if isinstance(client, str) else str(client.base_url)
    order = LoadOrder(str(SCENARIOS / f"{scenario}.py"), host, 1.0, rate=12.0, warm_up=0.3, drain=3.0)
    return run(order, replace(site(folder, **variables), cwd=ROOT))


@contextmanager
def prisma(folder: Path, *faults: str) -> Iterator[httpx.Client]:
    """Serve the prisma application."""
    folder.mkdir()
    with served(Config(directory=folder, faults=frozenset(faults), flags_token="a-token")) as client:
        yield client


@contextmanager
def normalization(folder: Path, mode: Mode) -> Iterator[httpx.Client]:
    """Serve an instance of the stage-normalization application in a mode."""
    folder.mkdir()
    database = create_database(folder, dict.fromkeys(ENDPOINTS, mode), 480)
    with served_normalization(NormalizationConfig(database=database, flags_token="a-token")) as client:
        yield client


def of_prisma(scenario: str, *faults: str, **variables: str) -> Callable[[Path], LoadResult]:
    """Return what runs a scenario against the prisma application."""

    def make(folder: Path) -> LoadResult:
        with prisma(folder / "site", *faults) as client:
            return load(folder, scenario, client, **variables)

    return make


def of_normalization(mode: Mode) -> Callable[[Path], LoadResult]:
    """Return what runs the scenario of stage validation against a mode."""

    def make(folder: Path) -> LoadResult:
        with normalization(folder / "site", mode) as client:
            return load(folder, "stage_validation", client)

    return make


def of_anything(scenario: str) -> Callable[[Path], LoadResult]:
    """Return what runs a scenario against a server that says ok to everything."""

    def make(folder: Path) -> LoadResult:
        with running(healthy) as server:
            return load(folder, scenario, server.url)

    return make


LOADS = {
    **{scenario: of_prisma(scenario) for scenario in ("portal", "dashboard")},
    **{mode: of_normalization(mode) for mode in (Mode.WARN, Mode.ENFORCE)},
    **{f"anything {scenario}": of_anything(scenario) for scenario in READERS},
    "unsettled": of_prisma("settlement", "payment-not-settled"),
    "stranger": of_prisma("settlement", SETTLEMENT_AGENT="SYN-777"),
}


@pytest.fixture(scope="module")
def made_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], LoadResult]:
    return side_by_side(tmp_path_factory.mktemp("scenarios"), LOADS)


@pytest.mark.parametrize("scenario", ["portal", "dashboard"])
def test_readers_find_nothing_wrong_with_a_healthy_application(
    made_of: Callable[[str], LoadResult], scenario: str
) -> None:
    made = made_of(scenario)
    assert unsound(made, 1000.0) == ()
    assert len(made.samples("transaction").ok) == made.due > 0, made.parts[0].errors


def test_payments_leave_the_books_as_they_were(tmp_path: Path) -> None:
    killed = {"agentId": LOADED, "amount": 1, "reference": "synthetic load that was killed"}
    with prisma(tmp_path / "site") as client:
        before = books(tmp_path / "site")
        client.post("/api/payments", json=killed).raise_for_status()
        made = load(tmp_path, "settlement", client)
        rows = [row for row in client.get("/api/audit").json() if row["actorUserId"] == "admin"]
    assert len(made.samples("transaction").ok) == made.due > 0, made.parts[0].errors
    assert books(tmp_path / "site") == before
    recorded = [row["payload"] for row in rows if row["action"] == "PAYMENT_RECORDED"]
    assert len(recorded) >= 2 * (made.due + 1)
    assert {row["agentId"] for row in recorded} == {LOADED}
    balance = 0
    for row in (row["payload"] for row in rows if row["action"] == "WALLET_TX_RECORDED"):
        assert row["balance"] == (balance := balance + row["amount"])
    assert balance == 0
    assert len({row["correlationId"] for row in rows}) == len(recorded) / 2 + 1, (
        "one a payment, one more for the killed"
    )


def books(folder: Path) -> list[object]:
    """Return invoices and wallets, and what everybody has paid in all."""
    with closing(sqlite3.connect(folder / "prisma.db", timeout=5)) as database:
        return [database.execute(query).fetchall() for query in BOOKS]


@pytest.mark.parametrize("mode", [Mode.WARN, Mode.ENFORCE])
def test_the_validator_may_refuse_what_is_unknown_and_nothing_else(
    made_of: Callable[[str], LoadResult], mode: Mode
) -> None:
    made = made_of(mode)
    assert unsound(made, 1000.0) == ()
    assert len(made.samples("transaction").ok) == made.due > 0, made.parts[0].errors


@pytest.mark.parametrize("scenario", READERS)
def test_a_server_that_answers_ok_to_everything_is_not_the_application(
    made_of: Callable[[str], LoadResult], scenario: str
) -> None:
    made = made_of(f"anything {scenario}")
    assert made.samples("transaction").ok == ()
    assert len(made.samples("transaction").failed) == made.due > 0


def test_payments_that_settle_nothing_are_failed_transactions(made_of: Callable[[str], LoadResult]) -> None:
    made = made_of("unsettled")
    assert made.samples("transaction").ok == ()
    assert [one.text for one in made.parts[0].errors] == ["the payment settled no invoice; has the agent open ones?"]


def test_without_a_synthetic_agent_nobody_pays(made_of: Callable[[str], LoadResult]) -> None:
    with pytest.raises(LoadError) as refused:
        made_of("stranger")
    assert str(refused.value) == "there is no synthetic agent SYN-777: seed the canary dataset"


def test_every_scenario_can_be_opened_in_locust_s_web_page(tmp_path: Path) -> None:
    files = ",".join(str(path) for path in sorted(SCENARIOS.glob("*.py")))
    port = str(free_port())
    argv = [*command(), "-f", files, "--host", "http://127.0.0.1:9", "--web-host", "127.0.0.1", "--web-port", port]
    with (tmp_path / "log").open("wb") as log:
        locust = subprocess.Popen(argv, cwd=ROOT, env=dict(site(tmp_path).env), stdout=log, stderr=log)
    try:
        await_true(lambda: "Locust" in page(f"http://127.0.0.1:{port}/"))
        shown = page(f"http://127.0.0.1:{port}/")
    finally:
        locust.kill()
        locust.wait()
    for user in ("PortalVisitor", "Administrator", "Payer", "Client"):
        assert user in shown


def page(url: str) -> str:
    """Return a page, or nothing while there is none."""
    try:
        return httpx.get(url, trust_env=False).text
    except httpx.TransportError:
        return ""
