"""Processes that append are killed at random instants: nothing acknowledged is lost, nothing is doubled."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

from pytest_rollout.evidence.log import EvidenceLog
from tests.evidence.logs import broken, entry, read

HERD = """
import os, random, signal, sys, time
import psycopg, sqlalchemy.dialects.postgresql.psycopg  # or each child would spend its life on them
from pytest_rollout.evidence.log import EvidenceLog
from pytest_rollout.evidence.record import Entry, Kind, Place

address, acknowledged, rounds, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
random.seed(seed)
PLACE = Place("shop", "staging", "http://shop")

def append(name):
    log, notes = EvidenceLog(address), os.open(acknowledged, os.O_WRONLY | os.O_APPEND)
    for number in range(10_000):
        keys = [f"{name}:{number}:{part}" for part in range(1 + number % 3)]
        log.append([Entry(kind=Kind.CANARY_RUN, place=PLACE, subject="smoke", at=number, key=key) for key in keys])
        os.write(notes, f"{name}:{number}\\n".encode())

for turn in range(rounds):
    children = []
    for number in range(4):
        child = os.fork()
        if not child:
            append(f"{turn}-{number}")
        # Ever longer lives: a database that is slow to answer at first, on a busy machine, is met by the later ones.
        children.append((time.monotonic() + random.uniform(0.0, 0.3 + 0.1 * turn), child))
    for instant, child in sorted(children):
        time.sleep(max(instant - time.monotonic(), 0.0))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
"""


def test_forty_kills_lose_nothing_and_double_nothing(log: EvidenceLog, tmp_path: Path) -> None:
    notes = tmp_path / "acknowledged"
    notes.touch()
    argv = [sys.executable, "-c", HERD, str(log.address), str(notes), "10", "4"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")

    acknowledged = notes.read_text().split()
    parts = Counter((record.key or "").rpartition(":")[0] for record in log.records())
    assert len(acknowledged) > 20
    assert set(acknowledged) <= set(parts)
    for batch, count in parts.items():
        assert count == 1 + int(batch.rpartition(":")[2]) % 3, f"{batch} is half written"
    unacknowledged = Counter(batch.rpartition(":")[0] for batch in parts.keys() - set(acknowledged))
    assert set(unacknowledged.values()) <= {1}, "killed between the commit and the note, at most once each"
    assert broken(log) is None
    log.append([entry("settlement", at=7.0)])
    assert read(log, "settlement") == [7.0]
