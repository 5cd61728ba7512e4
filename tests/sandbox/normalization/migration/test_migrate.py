"""The command line, and the faults of the migration: each deviates as it says and in nothing else."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.normalization.config import Config
from sandbox.normalization.db import Company, open_database
from sandbox.normalization.faults import FAULTS
from sandbox.normalization.instance import build
from tests.sandbox.hosting import asked
from tests.sandbox.normalization.asking import companies
from tests.sandbox.normalization.migration.data import allocations, audit, make, plan, quarantine, rows, run, stages

ROOT = Path(__file__).parents[4]
COMPANIES = ["Series A", "angel", "Series C+", "seed", "series_b", "Series B"]
STRATEGIES = [{"Series A": "0.5", "seriesA": "0.25", "seed": "0.25"}, {"seed": "1"}, {"Seed": "1"}]
EFFECTS: dict[str, set[str]] = {
    "migration-defaults-unknown": {"plan", "digest", "stages", "audit", "quarantine", "verified"},
    "migration-drops-plus": {"plan", "digest", "stages", "audit", "verified"},
    "migration-drops-share": {"digest", "allocations", "audit", "verified"},
    "migration-unaudited": {"audit", "verified"},
    "migration-skips-row": {"stages", "allocations", "audit", "verified", "second plan"},
    "migration-touches-column": {"updated", "verified"},
    "migration-plan-writes": {"planned", "apply", "stages", "allocations", "audit", "quarantine", "verified"}
    | {"second plan"},
    "migration-digest-blind": {"digest", "digest of other data"},
    "migration-restore-loses-row": {"restored"},
}
"""What a rehearsal sees of each fault."""


def rehearse(folder: Path, *faults: str) -> dict[str, Any]:
    """Plan, apply, verify and restore with these faults, and return everything there is to see."""
    folder.mkdir()
    database, other = folder / "db", folder / "other"
    engine = make(database, COMPANIES, STRATEGIES)
    make(other, [*COMPANIES[:4], "Series B", "series_b"], STRATEGIES)
    chosen = [part for name in faults for part in ("--fault", name)]
    run(database, "--snapshot", folder / "before")
    first = plan(database, *chosen)
    seen: dict[str, Any] = {
        "digest": first.pop("digest"),
        "plan": first,
        "planned": (stages(engine), allocations(engine)),
    }
    seen["digest of other data"] = plan(other, *chosen)["digest"] == seen["digest"]
    code, answers, _ = run(database, "--apply", seen["digest"], *chosen)
    seen["apply"] = (code, [answer["batch"]["mismatches"] for answer in answers[:-1]])
    seen |= {"stages": stages(engine), "allocations": allocations(engine), "quarantine": quarantine(engine)}
    seen |= {"audit": audit(engine), "updated": len(set(rows(engine, Company, "updated_at"))) > 1}
    seen["second plan"] = plan(database)["rows_to_change"]
    seen["verified"] = [
        check["name"] for check in run(database, "--verify", folder / "before")[1][0]["checks"] if check["wrong"]
    ]
    code, _, _ = run(database, "--restore", folder / "before", *chosen)
    seen["restored"] = (code, stages(engine), allocations(engine))
    return seen


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return rehearse(tmp_path_factory.mktemp("healthy") / "run")


def test_healthy_rehearsal(healthy: dict[str, Any]) -> None:
    assert healthy["verified"] == []
    assert (healthy["apply"], healthy["second plan"], healthy["digest of other data"]) == ((0, [0, 0]), 0, False)
    assert healthy["restored"] == (0, COMPANIES, STRATEGIES)


@pytest.mark.parametrize("fault", [fault.name for fault in FAULTS if fault.steps])
def test_fault_has_its_effect_and_no_other(tmp_path: Path, healthy: dict[str, Any], fault: str) -> None:
    seen = rehearse(tmp_path / "run", fault)
    assert {name for name in seen if seen[name] != healthy[name]} == EFFECTS[fault]


def answers(client: httpx.Client) -> list[Any]:
    texts = ("seed", "Series%20A", "series_b", "series-c", "series-c%2B", "Series%20C%2B", "angel", "seriesc")
    return [companies(client, "warn", f"stage={text}&limit=100", fund).json() for text in texts for fund in (1, 2, 3)]


@pytest.mark.parametrize(
    ("fault", "same"), [(None, True), ("migration-drops-plus", False), ("migration-defaults-unknown", False)]
)
def test_companies_are_answered_the_same_before_and_after(database: Path, fault: str | None, same: bool) -> None:
    chosen = ["--fault", fault] if fault else []
    with asked(build(Config(database))) as client:
        before = answers(client)
        run(database, "--apply", plan(database, *chosen)["digest"], *chosen)
        assert (answers(client) == before) is same


def test_alias_lost_after_migration(database: Path) -> None:
    with asked(build(Config(database, faults=frozenset({"alias-lost-after-migration"})))) as client:
        found = companies(client, "off", "stage=Series%20A&limit=100").json()["total"]
        run(database, "--apply", plan(database)["digest"])
        assert companies(client, "off", "stage=Series%20A&limit=100").json()["total"] == 0
    assert found


def test_quarantine_is_listed(database: Path) -> None:
    run(database, "--apply", plan(database)["digest"])
    _, listed, _ = run(database, "--quarantine")
    found = [(entry["table_name"], entry["row_id"], entry["value"]) for entry in listed]
    assert sorted(found) == sorted(quarantine(open_database(database)))
    assert found
    assert set(listed[0]) == {"table_name", "row_id", "value", "at"}


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--plan", "--verify", "x"],
        ["--plan", "--batch-size", "0"],
        ["--plan", "--batch-size", "100001"],
        ["--drop"],
    ],
)
def test_wrong_usage(database: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(database, *arguments)
    assert caught.value.code == 2
    assert not capsys.readouterr().out


def test_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    code, answered, complaint = run(tmp_path / "no.db", "--plan")
    assert (code, answered, complaint) == (2, [], f"there is no database {tmp_path / 'no.db'}\n")
    assert not list(tmp_path.iterdir())


def test_unknown_fault(database: Path) -> None:
    code, _, complaint = run(database, "--plan", "--fault", "migration-unaudted")
    assert code == 2
    assert complaint.startswith("unknown fault 'migration-unaudted'; did you mean 'migration-unaudited'?")


def test_it_is_a_program(database: Path) -> None:
    command = [sys.executable, "-m", "sandbox.normalization.migrate", "--database", str(database), "--plan"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=30)
    assert json.loads(done.stdout) == plan(database)
