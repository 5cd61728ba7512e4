"""What the evidence log costs beside what it is made of: appends beside bare SQLite, verification beside bare SHA-256.

And whether a stage is decided as quickly on a long log as on a short one. Rounds are interleaved, so a slow spell of
the machine hits all of them. Ends with exit code 1 if a log is not whole.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.report import table, write
from pytest_rollout.evidence.log import EvidenceLog
from pytest_rollout.evidence.record import Entry, Kind, Place, canonical
from pytest_rollout.evidence.verify import verify

SHORT, LONG = 1_000, 1_000_000
APPENDS, READS = 200, 50
"""In a round."""
ROUNDS, VERIFICATIONS = 15, 3
READ_AIM = 2
EVERY = 900.0
"""Seconds from slot to slot."""
NOW = 1_800_000_000.0
PRODUCTION = Place("prisma", "production", "https://portal.example")
CANARIES = ("dashboard-smoke", "settlement", "settings", "portal")
BATCH = 10_000
RUN = {
    "run_id": "0123456789abcdef",
    "started_at": NOW,
    "ended_at": NOW + 7.25,
    "outcome": "ok",
    "message": "",
    "attachments": ["reports/playwright/settlement/trace.zip"],
    "plan": "ab" * 32,
    "flags": {"PERSISTENCE_PRISMA_READS@admin": True, "FINANCIAL_ORCHESTRATOR@admin": True},
    "slot": NOW,
    "attempt": 1,
    "retryable": False,
}


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds of each round, of ours and of what it is compared with."""

    ours: list[float]
    other: list[float]

    def row(self, name: str, each: int, unit: float) -> list[str]:
        """Return a row: min and median of both, and the ratio of the medians; ``each`` is what a round has of it."""
        cells = [f"{pick(seconds) / each * unit:.3f}" for seconds in (self.ours, self.other) for pick in _PICKS]
        return [name, *cells, f"{self.ratio:.2f}"]

    @property
    def ratio(self) -> float:
        """Return how many times as long ours took, as the median of the rounds."""
        return statistics.median(mine / other for mine, other in zip(self.ours, self.other, strict=True))


_PICKS: tuple[Callable[[list[float]], float], ...] = (min, statistics.median)


def history(count: int) -> Iterator[Entry]:
    """Yield so many entries up to now: attestations at the very beginning, then slots and runs of canaries.

    Every hundredth round of slots happened in a sandbox of its own, so a long log has many streams.
    """
    for gate in ("support-tickets", "finance-review"):
        subject, data = f"stage2/{gate}", {"answer": True, "by": "somebody"}
        yield Entry(kind=Kind.ATTESTATION, place=PRODUCTION, subject=subject, at=NOW - 2e8, data=data)
    each = 2 * len(CANARIES)
    rounds = -(-(count - 2) // each)
    slots = ((number, canary) for number in range(rounds, 0, -1) for canary in CANARIES)
    entries = itertools.chain.from_iterable(_slot(number, canary) for number, canary in slots)
    yield from itertools.islice(entries, rounds * each - (count - 2), None)


def _slot(number: int, canary: str) -> tuple[Entry, Entry]:
    at = NOW - number * EVERY
    place = Place("prisma", "sandbox", f"http://127.0.0.1:{number}") if number % 100 == 0 else PRODUCTION
    key, data = f"{number}-{canary}", {"state": "ok", "runs": [f"{number}-{canary}"], "every": EVERY}
    return (
        Entry(kind=Kind.CANARY_RUN, place=place, subject=canary, at=at + 1.5, data=RUN, key=f"run:{key}"),
        Entry(kind=Kind.SLOT, place=place, subject=canary, at=at, data=data, key=f"slot:{key}"),
    )


def filled(path: Path, count: int) -> EvidenceLog:
    """Return a log with so many records."""
    log, entries = EvidenceLog(path), history(count)
    while batch := list(itertools.islice(entries, BATCH)):
        log.append(batch)
    return log


def decision(log: EvidenceLog) -> int:
    """Read what stage 2 is decided by, and return how many records that were.

    The settlement canary's last two hours and its last five runs, attestations of long ago, waivers that never were.
    """
    found = log.read(Kind.SLOT, PRODUCTION, "settlement", since=NOW - 7200)
    found += log.read(Kind.CANARY_RUN, PRODUCTION, "settlement", since=NOW - 5 * EVERY)
    for gate in ("support-tickets", "finance-review"):
        found += log.read(Kind.ATTESTATION, PRODUCTION, f"stage2/{gate}")
        found += log.read(Kind.WAIVER, PRODUCTION, f"stage2/{gate}")
    last = log.latest(Kind.SLOT, PRODUCTION, "dashboard-smoke")
    return len(found) + bool(last) + bool(log.head())


def appends(log: EvidenceLog) -> None:
    """Append canary runs, one transaction each."""
    entry = Entry(kind=Kind.CANARY_RUN, place=PRODUCTION, subject="settlement", at=NOW, data=RUN)
    for _ in range(APPENDS):
        log.append([entry])


def decisions(log: EvidenceLog) -> None:
    """Read what so many decisions need."""
    for _ in range(READS):
        decision(log)


def bare_appends(connection: sqlite3.Connection) -> None:
    """Insert the same text into a table of one column, one transaction each."""
    text = canonical(RUN)
    for _ in range(APPENDS):
        with connection:
            connection.execute("INSERT INTO records (data) VALUES (?)", (text,))


def bare_database(path: Path) -> sqlite3.Connection:
    """Return a database that is as durable as the log."""
    connection = sqlite3.connect(path)
    for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "CREATE TABLE records (data TEXT)"):
        connection.execute(statement)
    return connection


def verification(log: EvidenceLog) -> None:
    """Verify the whole log. Ends the process if it is broken."""
    with log.snapshot() as kept:
        broken = verify(kept.kept_records(), kept.kept_head(), kept.kept_counts())
    if broken:
        sys.exit(str(broken))


def bare_sha256(log: EvidenceLog) -> float:
    """Return the seconds that SHA-256 alone takes for all that is hashed, record by record."""
    seconds = 0.0
    with log.snapshot() as kept:
        lines = (row.line.encode() for row in kept.kept_records())
        while batch := list(itertools.islice(lines, BATCH)):
            seconds += timed(partial(hashed, batch))
    return seconds


def hashed(lines: Iterable[bytes]) -> None:
    """Hash lines as records are hashed."""
    for line in lines:
        hashlib.sha256(line).hexdigest()


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def in_turn(ours: Callable[[], float], other: Callable[[], float], rounds: int) -> Took:
    """Return the seconds of each round; one more round before them warms up."""
    both = [(ours(), other()) for _ in range(rounds + 1)][1:]
    return Took([mine for mine, _ in both], [theirs for _, theirs in both])


def measure(folder: Path, records: int, rounds: int) -> str:
    """Return the table for logs of 1,000 and of so many records, which are made in an empty folder."""
    with (
        closing(filled(folder / "short.db", SHORT)) as short,
        closing(filled(folder / "long.db", records)) as long,
        closing(EvidenceLog(folder / "ours.db")) as ours,
        closing(bare_database(folder / "bare.db")) as bare,
    ):
        size = decision(long)
        if decision(short) != size:
            sys.exit(f"a decision reads {decision(short)} records of the short log and {size} of the long one")
        took = {
            "append": in_turn(lambda: timed(lambda: appends(ours)), lambda: timed(lambda: bare_appends(bare)), rounds),
            "read": in_turn(lambda: timed(lambda: decisions(long)), lambda: timed(lambda: decisions(short)), rounds),
            "verify": in_turn(
                lambda: timed(lambda: verification(long)), lambda: bare_sha256(long), min(rounds, VERIFICATIONS)
            ),
        }
        verification(short)
        verification(ours)
    return f"{shown(took, records)}\n\n{said(took, size, rounds)}"


def shown(took: Mapping[str, Took], records: int) -> str:
    """Return the table."""
    header = ("", "ours, min", "median", "beside it, min", "median", "times as long")
    rows = [
        took["append"].row("an append, ms; beside it SQLite's own insert", APPENDS, 1e3),
        took["read"].row(f"what a stage is decided by, ms, of {records:,} records; beside it of {SHORT:,}", READS, 1e3),
        took["verify"].row(f"verification of {records:,} records, s; beside it SHA-256 of the same bytes", 1, 1.0),
    ]
    return table(header, rows)


def said(took: Mapping[str, Took], size: int, rounds: int) -> str:
    """Return what the table does not say."""
    met = {True: "met", False: "missed"}[took["read"].ratio <= READ_AIM]
    second = APPENDS / statistics.median(took["append"].ours)
    return (
        f"{rounds} rounds of {APPENDS} appends and {READS} decisions, {min(rounds, VERIFICATIONS)} verifications; "
        f"{second:.0f} appends in a second; a decision reads {size} records. "
        f"At most {READ_AIM} times as long on the long log: {met}."
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=LONG, help="how long the long log is")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table into this Markdown file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        text = measure(Path(name), options.records, options.rounds)
    print(text)
    if options.write:
        write(options.write, "evidence-log", text)


if __name__ == "__main__":
    main()
