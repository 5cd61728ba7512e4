"""Schedulers and their canaries are killed at random instants: nothing is lost, doubled or left without an account.

``ROLLOUT_KILLS=200`` kills more often than a test suite has time for.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from pytest_rollout.evidence.log import EvidenceLog
from pytest_rollout.evidence.record import Kind
from pytest_rollout.evidence.runs import runs
from pytest_rollout.evidence.slots import slots
from pytest_rollout.judge.slot import SlotState
from tests.evidence.logs import broken
from tests.postgres import Postgres
from tests.schedule.shop import CANARY, PLACE, begun, write_shop
from tests.schedule.test_watch import ROOT

KILLS = int(os.environ.get("ROLLOUT_KILLS", "10"))
EVERY = 3.0
HERD = """
import os, random, signal, sys, time
from dataclasses import replace
from pathlib import Path
import psycopg, pytest, sqlalchemy.dialects.postgresql.psycopg  # or each scheduler would spend its life on them
from pytest_rollout.evidence.log import EvidenceLog
from pytest_rollout.process import StopRequest
from pytest_rollout.schedule.keeper import Keeper
from pytest_rollout.schedule.watch import Watch
from tests.schedule.shop import CANARY, runner, schedule

folder, address, every, kills = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
SECONDS = f"{every * 1000}s"

def keep(until):
    log = EvidenceLog(address)
    own = {CANARY: schedule(SECONDS, deadline=f"{every * 0.99}s")}
    keeper = Keeper(runner=runner(folder, log), schedules=own, scale=1000.0, margin=0.2)
    Watch(keeper=keeper, canary=CANARY, until=until, stop=StopRequest(), trouble=print).keep()

def scheduler(until):
    child = os.fork()
    if not child:
        keep(until)
        os._exit(0)
    return child

def canary_of(process):
    try:
        return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except OSError:
        return []

random.seed(time.time())
herd, killed = [scheduler(1e12) for _ in range(2)], {"scheduler": 0, "canary": 0}
while sum(killed.values()) < kills:
    time.sleep(random.uniform(0.1, 1.5))
    place = random.randrange(2)
    canaries = [canary for process in herd for canary in canary_of(process)]
    if canaries and random.random() < 0.5:
        os.kill(canaries[0], signal.SIGKILL)
        killed["canary"] += 1
    else:
        os.kill(herd[place], signal.SIGKILL)
        os.waitpid(herd[place], 0)
        herd[place] = scheduler(1e12)
        killed["scheduler"] += 1
for child in herd:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
keep(time.time() + 2.2 * every)
print(killed)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="it looks for the canary's process in /proc")
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_kills_lose_nothing_double_nothing_and_every_slot_is_accounted_for(
    kind: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    address: Path | str = tmp_path / "evidence.db"
    if kind == "postgresql":
        server: Postgres = request.getfixturevalue("postgres")
        address = server.new_database()
    write_shop(tmp_path)
    argv = [sys.executable, "-c", HERD, str(tmp_path), str(address), str(EVERY), str(KILLS // 2)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60 + 4 * KILLS, check=False)
    assert done.returncode == 0, done.stderr

    with closing(EvidenceLog(address)) as log:
        ended, attempts = slots(log, CANARY, PLACE), runs(log, CANARY, PLACE)
        started = {record.at: record.data["run_id"] for record in log.read(Kind.SLOT_STARTED, PLACE, CANARY)}
        assert broken(log) is None
    first = round(ended[0].at / EVERY)
    assert [round(slot.at / EVERY) for slot in ended] == [first + number for number in range(len(ended))]
    assert time.time() - ended[-1].at < 60

    assert {slot.at: slot.runs[0].removesuffix("-end") for slot in ended if slot.runs} == started
    assert len(begun(tmp_path)) == len(dict(begun(tmp_path))), "no slot was run twice"
    assert set(begun(tmp_path)) <= set(started.items())
    recorded = {run.run_id: run for run in attempts}
    assert len(recorded) == len(attempts)
    for slot in ended:
        outcome = recorded[slot.runs[0]].outcome if slot.runs and slot.runs[0] in recorded else None
        assert (slot.state is SlotState.OK) == (outcome == "ok"), slot
        if outcome == "ok":
            assert (slot.at, slot.runs[0]) in begun(tmp_path)
    assert any(slot.state is SlotState.OK for slot in ended), Counter(slot.state for slot in ended)
    count = dict(Counter(slot.state.value for slot in ended))
    record_testsuite_property(f"kills-{kind}", f"killed {done.stdout.strip()}, slots {count}")
