"""``rollout evidence``, as people meet it."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pytest_rollout.cli import main
from pytest_rollout.evidence.log import EvidenceLog
from pytest_rollout.evidence.record import Head, Kind
from tests.evidence.logs import Address, entry, execute
from tests.postgres import Postgres

NOON = 1_763_726_400.0
OTHER = "f" * 64


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Address:
    if request.param == "sqlite":
        return tmp_path / ".rollout" / "evidence.db"
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_schema()


@pytest.fixture
def head(address: Address) -> Head:
    """Return the head of a log with a few records."""
    with closing(EvidenceLog(address)) as log:
        log.append([entry(at=NOON, data={"outcome": "ok", "message": "", "attempt": 1, "flags": {"READS": True}})])
        log.append([entry("stage1/read-latency@5.0", NOON + 1, kind=Kind.LOOK, data={"count": 2})])
        log.append(
            [
                entry(
                    "stage10/errors",
                    NOON + 2,
                    kind=Kind.GATE,
                    data={"message": "grüße\n\x1b[2J", "verdict": "breached"},
                )
            ]
        )
        return log.append([entry("stage1", NOON + 3, kind=Kind.STAGE_LEFT, data={"decision": "GO"})])


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")


def said(*arguments: object) -> tuple[str, int]:
    done = CliRunner().invoke(main, ["evidence", *map(str, arguments)])
    return done.output.removesuffix("\n"), done.exit_code


def verified(address: Address, *arguments: object) -> tuple[str, int]:
    return said("verify", "--rollout-evidence", address, *arguments)


# --- verify --------------------------------------------------------------------------------------------------


def test_a_whole_log_is_whole(address: Address, head: Head) -> None:
    whole = (f"4 records, head {head}: whole", 0)
    assert verified(address) == verified(address, "--head", head) == whole


def test_a_head_of_earlier_is_known(address: Address, head: Head) -> None:
    with closing(EvidenceLog(address)) as log:
        later = log.append([entry()])
    assert verified(address, "--head", head) == (f"5 records, head {later}: whole", 0)


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("DELETE FROM records WHERE seq = 2", "record 2: it is missing; the next one is 3"),
        ("UPDATE records SET data = '{}' WHERE seq = 3", "record 3: its hash does not fit its content"),
        ("DELETE FROM records WHERE seq = 4", "record 4: it is missing; its own head says that there are 4 records"),
    ],
)
def test_the_first_broken_record_is_named(address: Address, head: Head, statement: str, why: str) -> None:
    execute(address, statement)
    assert verified(address, "--head", head) == (f"rollout: the evidence log {address} is broken: {why}", 1)


def test_a_log_that_was_made_anew_is_not_the_one_whose_head_was_kept(address: Address, head: Head) -> None:
    why = f"record 4: it is not the one of the given head: its hash is {head.hash}"
    assert verified(address, "--head", f"4:{OTHER}") == (f"rollout: the evidence log {address} is broken: {why}", 1)
    why = "record 5: it is missing; the given head says that there are 9 records"
    assert verified(address, "--head", f"9:{OTHER}") == (f"rollout: the evidence log {address} is broken: {why}", 1)


@pytest.mark.usefixtures("head")
def test_a_head_that_is_none_is_refused(address: Address) -> None:
    text = f"rollout: '4' is not the head of an evidence log; it looks like 12:{'ab' * 32}"
    assert verified(address, "--head", "4") == (text, 2)


@pytest.mark.parametrize("command", ["verify", "export", "show"])
def test_a_log_that_is_not_there_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.chdir(tmp_path)
    where = ".rollout/evidence.db"
    text = f"rollout: there is no evidence log at {where}; give the file or URL of one with --rollout-evidence"
    assert said(command) == (text, 2)
    assert not (tmp_path / ".rollout").exists()


# --- export --------------------------------------------------------------------------------------------------


def lines(file: Path) -> list[bytes]:
    return file.read_bytes().removesuffix(b"\n").split(b"\n")


def test_every_line_can_be_hashed_again(address: Address, head: Head, tmp_path: Path) -> None:
    file = tmp_path / "deeper" / "evidence.jsonl"
    assert said("export", "--rollout-evidence", address, "--output", file) == (f"4 records, head {head}: whole", 0)
    hashes = [hashlib.sha256(line).hexdigest() for line in lines(file)]
    told = [json.loads(line) for line in lines(file)]
    assert [record["prev"] for record in told] == ["0" * 64, *hashes[:-1]]
    assert Head(told[-1]["seq"], hashes[-1]) == head
    assert told[0]["data"] == {"outcome": "ok", "message": "", "attempt": 1, "flags": {"READS": True}}
    assert list(file.parent.iterdir()) == [file]


def test_without_a_file_lines_alone_go_to_the_standard_output(address: Address, head: Head) -> None:
    argv = [sys.executable, "-c", "from pytest_rollout.cli import main; main()", "evidence", "export"]
    done = subprocess.run([*argv, "--rollout-evidence", str(address)], capture_output=True, timeout=30, check=True)
    assert len(done.stdout.splitlines()) == 4
    assert done.stderr.decode() == f"4 records, head {head}: whole\n"


@pytest.mark.usefixtures("head")
def test_what_is_broken_is_exported_all_the_same(address: Address, tmp_path: Path) -> None:
    file = tmp_path / "evidence.jsonl"
    execute(address, "UPDATE records SET data = '{}' WHERE seq = 3")
    why = "record 3: its hash does not fit its content"
    text = f"rollout: the evidence log {address} is broken: {why}"
    assert said("export", "--rollout-evidence", address, "--output", file) == (text, 1)
    assert len(lines(file)) == 4
    assert json.loads(lines(file)[2])["data"] == {}


@pytest.mark.usefixtures("head")
def test_an_export_that_fails_leaves_what_was_there(address: Address, tmp_path: Path) -> None:
    file = tmp_path / "evidence.jsonl"
    file.write_text("before")
    execute(address, "DROP TABLE streams")
    text, status = said("export", "--rollout-evidence", address, "--output", file)
    assert (text.startswith(f"rollout: the evidence log {address} cannot be used ("), status) == (True, 2)
    assert file.read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".evid")) == []


@pytest.mark.usefixtures("head")
def test_a_file_that_cannot_be_written_is_told(address: Address, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    file = tmp_path / "file" / "evidence.jsonl"
    text = f"rollout: {file}: not written: File exists; choose another file"
    assert said("export", "--rollout-evidence", address, "--output", file) == (text, 2)


# --- show ----------------------------------------------------------------------------------------------------

RUN = "     1  2025-11-21T12:00:00Z  shop/staging  canary-run     smoke: ok"
LOOK = "     2  2025-11-21T12:00:01Z  shop/staging  look           stage1/read-latency@5.0: look 2"
GATE = "     3  2025-11-21T12:00:02Z  shop/staging  gate           stage10/errors: breached, grüße\ufffd\ufffd[2J"
LEFT = "     4  2025-11-21T12:00:03Z  shop/staging  stage-left     stage1: GO"


@pytest.mark.usefixtures("head")
@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ([], [RUN, LOOK, GATE, LEFT]),
        (["--last", "2"], [GATE, LEFT]),
        (["--last", "9"], [RUN, LOOK, GATE, LEFT]),
        (["--kind", "look"], [LOOK]),
        (["--subject", "smoke"], [RUN]),
        (["--subject", "stage1"], [LOOK, LEFT]),
        (["--subject", "stage1/read-latency"], [LOOK]),
        (["--subject", "stage1", "--last", "1"], [LEFT]),
        (["--kind", "look", "--subject", "smoke"], []),
    ],
)
def test_a_line_for_each_record(address: Address, arguments: list[str], shown: list[str]) -> None:
    assert said("show", "--rollout-evidence", address, *arguments) == ("\n".join(shown), 0)


@pytest.mark.usefixtures("head")
def test_a_broken_record_is_shown_and_told(address: Address) -> None:
    execute(address, "UPDATE records SET data = 'odd' WHERE seq = 4")
    odd = LEFT.replace("GO", "odd")
    advice = "rollout: record 4 is not what was written; run: rollout evidence verify"
    assert said("show", "--rollout-evidence", address, "--last", "1") == (f"{odd}\n{advice}", 1)


@pytest.mark.usefixtures("head")
def test_a_long_record_is_cut(address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    with closing(EvidenceLog(address)) as log:
        log.append([entry(at=NOON, data={"outcome": "failed", "message": "x" * 1000})])
    text, _ = said("show", "--rollout-evidence", address, "--last", "1")
    assert text == "     5  2025-11-21T12:00:00Z  shop/staging  canary-run     smoke: f..."


@pytest.mark.parametrize(
    ("kind", "data", "told"),
    [
        (Kind.RUN_STARTED, {"run_id": "r1"}, "r1"),
        (Kind.CANARY_RUN, {"outcome": "failed", "message": "card declined", "attempt": 1}, "failed, card declined"),
        (Kind.SLOT_STARTED, {"holder": "ci-7", "run_id": "r1"}, "by ci-7"),
        (Kind.SLOT, {"state": "missed", "message": "", "every": 900.0}, "missed"),
        (Kind.LOOK, {"count": 12, "flip": None, "first_at": 1.0}, "look 12"),
        (Kind.GATE, {"verdict": "breached", "message": "too slow", "limit": 1}, "breached, too slow"),
        (Kind.STAGE_ENTERED, {"plan": "ab" * 32}, "plan abababababab"),
        (Kind.STAGE_LEFT, {"decision": "HOLD", "verdicts": {"a": "passed"}}, "HOLD"),
        (Kind.FLAG, {"value": False, "changed_at": NOON, "changed_by": "jo"}, "false, by jo, at 2025-11-21T12:00:00Z"),
        (Kind.FLAG, {"value": True, "changed_at": None, "changed_by": ""}, "true"),
        (Kind.ATTESTATION, {"answer": True, "by": "Anna", "reason": "no tickets"}, "yes, by Anna, no tickets"),
        (Kind.ATTESTATION, {"answer": False, "by": "Anna", "reason": "a spike"}, "no, by Anna, a spike"),
        (Kind.WAIVER, {"check": "latency", "by": "Anna", "reason": "known"}, "latency, by Anna, known"),
        (Kind.BLESS, {"case": "x"}, '{"case":"x"}'),
    ],
)
def test_what_matters_is_shown(tmp_path: Path, kind: Kind, data: dict[str, object], told: str) -> None:
    with closing(EvidenceLog(tmp_path / "evidence.db")) as log:
        log.append([entry("subject", NOON, kind=kind, data=data)])
    text, _ = said("show", "--rollout-evidence", tmp_path / "evidence.db")
    assert text == f"     1  2025-11-21T12:00:00Z  shop/staging  {kind.value:<13}  subject: {told}"


@pytest.mark.usefixtures("head")
def test_a_kind_that_is_not_known_is_an_error(address: Address) -> None:
    text, status = said("show", "--rollout-evidence", address, "--kind", "canary")
    assert ("'canary' is not one of" in text, status) == (True, 2)
