"""kill -9, between and inside batches and restores: what is left is whole, and the next run finishes it."""

import multiprocessing
import os
import signal
import subprocess
import sys
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, func, select

from sandbox.normalization.db import StageAudit, StageQuarantine, open_database, reading
from sandbox.normalization.migrate import main
from sandbox.normalization.migration.columns import COLUMNS
from sandbox.normalization.migration.steps import Steps
from tests.sandbox.normalization.migration.data import audit, data_digest, plan, quarantine, run

ROOT = Path(__file__).parents[4]
KILLS = 50
BATCH = 7
PLACES = 11
"""Kills come after the first to the eleventh statement of two batches of up to six: inside both, and between them."""
SECONDS = 30.0


def die_at(database: Path, statement: int, *arguments: str) -> None:
    """Run the migration in this process and kill it right after the n-th statement from its first change of data on.

    It ends with 0 if it is done before.
    """
    seen: list[str] = []

    def count(*given: object) -> None:
        text = str(given[2])
        if seen or text.startswith(("UPDATE", "DELETE")):
            seen.append(text)
        if len(seen) == statement:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - the process dies with it
    event.listen(Engine, "after_cursor_execute", count)
    sys.exit(main(["--database", str(database), *arguments]))


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    """Return what makes processes with everything imported: fifty interpreters would take a minute to start."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "sandbox.normalization.migrate"])
    return context


def outcome(context: ForkServerContext, database: Path, statement: int, *arguments: str) -> int | None:
    process = context.Process(target=die_at, args=(database, statement, *arguments), daemon=True)
    process.start()
    process.join(SECONDS)
    return process.exitcode


def require_whole(engine: Engine) -> None:
    """Every audited row is changed, every changed row audited, whatever was killed."""
    with reading(engine) as connection:
        done = {(table, key): after for table, key, _, after in audit(engine)}
        for column in COLUMNS:
            for row in column.read(connection, after=0, upto=10**9, most=10**6):
                renamed = column.rename(row.text, Steps())
                assert done.get((column.table.name, row.id), row.text) == row.text
                assert bool(renamed.renames) == (renamed.text != row.text)


def test_fifty_kills_end_in_what_no_kill_ends_in(processes: ForkServerContext, database: Path, tmp_path: Path) -> None:
    engine = open_database(database)
    digest = plan(database)["digest"]
    whole = tmp_path / "whole.db"
    with reading(engine) as connection:
        connection.exec_driver_sql("SELECT 1")
    whole.write_bytes(database.read_bytes())
    run(whole, "--apply", digest)
    expected = open_database(whole)

    arguments = ("--apply", digest, "--batch-size", str(BATCH))
    progress = [0]
    for kill in range(KILLS):
        statement = kill * 7 % PLACES + 1
        assert outcome(processes, database, statement, *arguments) == -signal.SIGKILL, f"kill {kill}"
        require_whole(engine)
        progress.append(len(audit(engine)))
    assert progress == sorted(progress), "nothing that was done is undone"
    assert len(set(progress)) > KILLS / 3, "the kills came all along the way"

    code, answers, _ = run(database, *arguments)
    assert (code, answers[-1]["quarantined"]) == (0, len(quarantine(expected)))
    assert data_digest(engine, tmp_path) == data_digest(expected, tmp_path)
    assert sorted(audit(engine)) == sorted(audit(expected))
    assert sorted(quarantine(engine)) == sorted(quarantine(expected))
    assert plan(database)["rows_to_change"] == 0


def test_killed_restore_leaves_the_tables_as_they_were(
    processes: ForkServerContext, database: Path, tmp_path: Path
) -> None:
    snapshot = tmp_path / "before.snapshot"
    run(database, "--snapshot", snapshot)
    run(database, "--apply", plan(database)["digest"])
    engine = open_database(database)
    migrated = data_digest(engine, tmp_path)
    for statement in range(1, 40):
        if outcome(processes, database, statement, "--restore", str(snapshot)) == 0:
            break
        assert data_digest(engine, tmp_path) == migrated
    assert statement > 5
    run(database, "--snapshot", tmp_path / "after.snapshot")
    assert (tmp_path / "after.snapshot").read_bytes() == snapshot.read_bytes()


def test_real_process_is_killed_while_it_works_and_resumed(database: Path) -> None:
    digest = plan(database)["digest"]
    command = [sys.executable, "-m", "sandbox.normalization.migrate", "--database", str(database), "--apply", digest]
    with subprocess.Popen([*command, "--batch-size", "1"], cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout
        for _ in range(20):
            assert b'"batch"' in process.stdout.readline()
        process.kill()
    assert process.returncode == -signal.SIGKILL
    engine = open_database(database)
    done = len(audit(engine))
    assert 0 < done < 100
    code, answers, _ = run(database, "--apply", digest)
    with reading(engine) as connection:
        total = connection.scalar(select(func.count()).select_from(StageAudit))
        aside = connection.scalar(select(func.count()).select_from(StageQuarantine))
    assert (code, answers[-1]["updated"], answers[-1]["quarantined"]) == (0, total - done, aside)  # type: ignore[operator]
