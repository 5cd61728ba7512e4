"""``rollout rollback``, as people meet it in the middle of an incident: with the sandbox's real flag service."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pytest_rollout.cli import main
from pytest_rollout.evidence.log import EvidenceLog
from pytest_rollout.evidence.record import Kind, Place, Record
from pytest_rollout.flags.writer import FlagWriter
from pytest_rollout.plan.loader import load_plan
from pytest_rollout.plan.rollback import Action
from pytest_rollout.playbook import Outcome
from pytest_rollout.sources.flags import FlagReader
from pytest_rollout.sources.http import Http
from sandbox.normalization.config import Config
from sandbox.normalization.deployment import create_database
from sandbox.normalization.modes import ENDPOINTS, Mode
from tests.sandbox.normalization.conftest import served
from tests.sources.fakes import Reply, fake_server

COMPANIES, STRATEGIES = "STAGE_VALIDATION_MODE_COMPANIES", "STAGE_VALIDATION_MODE_STRATEGIES"
PLAN = f"""\
rollout: stages
environments:
  sandbox: {{sandbox: normalization}}
  production: {{target: "http://ops:s3cret@shop", flags: {{url: "${{FLAGS}}", token: "${{FLAGS_TOKEN}}"}}}}
  blind: {{target: "http://shop"}}
stages:
  - stage: 1
    name: Enforce
    flags:
      {COMPANIES}: {{value: enforce, cohort: canary}}
      {STRATEGIES}: {{value: enforce}}
    gates: [{{id: a, unproven: x}}]
rollback:
  - {{id: warn, name: Back to warn, set: {{{COMPANIES}: warn, {STRATEGIES}: warn}}, within: 1s}}
  - {{id: previous-tag, run: "${{DEPLOY}} previous", within: 1s}}
  - {{id: note, ask: "Write down what was seen."}}
"""
LOG = Path(".rollout/evidence.db")
PLACE = Place("stages", "production", "http://shop")
TOKEN = "a-t0ken-of-ours"
WHO = ("--by", "Ann Lee", "--reason", "too many rejects")
HERE = ("--env", "production")
BOTH = "for everybody, {0!r} for 'canary'"


@pytest.fixture(scope="module")
def flags(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a flag service of the stage-normalization sandbox."""
    database = create_database(tmp_path_factory.mktemp("flags"), dict.fromkeys(ENDPOINTS, Mode.OFF), 16)
    with served(Config(database, flags_token=TOKEN)) as client:
        yield str(client.base_url)


@pytest.fixture(scope="module")
def http() -> Iterator[Http]:
    client = Http(headers={"Authorization": f"Bearer {TOKEN}"})
    yield client
    client.close()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, flags: str, http: Http, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A plan in a folder of its own; everything enforces, the canary cohort by a rule of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ROLLOUT_SANDBOX", raising=False)
    monkeypatch.setenv("FLAGS", flags)
    monkeypatch.setenv("FLAGS_TOKEN", TOKEN)
    monkeypatch.setenv("DEPLOY", "sh -c 'echo to $0; echo token $FLAGS_TOKEN'")
    for module in ("flags.writer", "sources.flags"):
        monkeypatch.setattr(f"pytest_rollout.{module}._RETRY_BUDGET", 0.0)
    for flag, cohort in ((COMPANIES, "*"), (STRATEGIES, "*"), (COMPANIES, "canary")):
        FlagWriter(flags, http).set(flag, "enforce", cohort, actor="a test", reason="a test")
    Path("stages.rollout.yaml").write_text(PLAN, encoding="utf-8")
    return tmp_path


def said(*words: str) -> tuple[list[str], int]:
    done = CliRunner().invoke(main, ["rollback", "stages.rollout.yaml", *words])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.output.splitlines(), done.exit_code


def records(kind: Kind, subject: str = "") -> list[Record]:
    log = EvidenceLog(LOG)
    found = [one for one in log.records() if one.kind is kind and subject in ("", one.subject)]
    log.close()
    assert all(one.place == PLACE for one in found)
    return found


def events(action: str = "warn") -> list[str]:
    return [one.data["event"] for one in records(Kind.ROLLBACK, action)]


# --- the playbook ---


def test_the_playbook_is_shown_with_what_each_action_would_do() -> None:
    told, status = said(*HERE)
    assert status == 0
    assert told == [
        "the playbook of stages in production (http://shop), in this order:",
        "1. warn (Back to warn): set, within 1 s",
        f"     {COMPANIES}: 'enforce' {BOTH.format('enforce')}; would be 'warn' for everybody",
        f"     {STRATEGIES}: 'enforce' for everybody; would be 'warn' for everybody",
        "2. previous-tag: run, within 1 s",
        "     ${DEPLOY} previous",
        "     that is: sh -c 'echo to $0; echo token $FLAGS_TOKEN' previous",
        "3. note: ask, within 5 min",
        "     Write down what was seen.",
        "carry one out: rollout rollback stages.rollout.yaml ID --env production --reason '...'",
    ]
    assert not LOG.exists()


def test_an_action_is_carried_out_confirmed_and_recorded(flags: str, http: Http) -> None:
    told, status = said("warn", *HERE, *WHO)
    assert status == 0
    was, now = f"'enforce' {BOTH.format('enforce')}", f"'warn' {BOTH.format('warn')}"
    assert told[:3] == [
        "warn (Back to warn) of stages in production (http://shop), by Ann Lee: too many rejects",
        f"  done: {COMPANIES} to 'warn': was {was}, is {now}",
        f"  done: {STRATEGIES} to 'warn': was 'enforce' for everybody, is 'warn' for everybody",
    ]
    log = EvidenceLog(LOG)
    assert told[3:] == [f"the evidence is now   {log.head()}", "warn: confirmed"]
    log.close()
    reading = FlagReader(flags, http).read(COMPANIES, "canary")
    assert (reading.value, reading.changed_by) == ("warn", "Ann Lee")

    assert events() == ["begun", "asking", "taken", "asking", "taken", "ended"]
    begun, ended = records(Kind.ROLLBACK)[0].data, records(Kind.ROLLBACK)[-1].data
    assert (begun["by"], begun["reason"]) == ("Ann Lee", "too many rejects")
    assert begun["set"] == {COMPANIES: "warn", STRATEGIES: "warn"}
    assert (ended["confirmed"], len(ended["steps"])) == (True, 2)
    (known,) = records(Kind.FLAG, f"{COMPANIES}@canary")
    assert known.data == {"value": "warn", "changed_at": reading.changed_at, "changed_by": "Ann Lee"}
    assert len(records(Kind.FLAG)) == 3


def test_the_same_again_is_confirmed_and_changes_nothing(flags: str, http: Http) -> None:
    assert said("warn", *HERE, *WHO)[1] == 0
    before = FlagReader(flags, http).read(COMPANIES, "*")
    assert said("warn", *HERE, *WHO)[1] == 0
    assert FlagReader(flags, http).read(COMPANIES, "*") == before
    assert len(records(Kind.FLAG)) == 3


def test_a_command_is_run_and_its_output_recorded_without_secrets() -> None:
    told, status = said("previous-tag", *HERE, *WHO)
    assert status == 0
    assert told[1:4] == [
        "  done: ${DEPLOY} previous: it ended with exit code 0:",
        "    to previous",
        "    token ***",
    ]
    assert events("previous-tag") == ["begun", "ended"]
    assert TOKEN.encode() not in LOG.read_bytes()


def test_what_a_person_says_is_recorded() -> None:
    told, status = said("note", *HERE, "--by", "Ann Lee", "--reason", "14:02 4xx at 9 %, back at 14:05")
    assert (status, told[-1]) == (0, "note: confirmed")
    assert records(Kind.ROLLBACK)[0].data["reason"] == "14:02 4xx at 9 %, back at 14:05"


# --- what goes wrong in the world: 1, and it says what is done and what is not ---


def test_a_wrong_token(monkeypatch: pytest.MonkeyPatch, flags: str) -> None:
    monkeypatch.setenv("FLAGS_TOKEN", "another-token")
    told, status = said("warn", *HERE, *WHO)
    assert status == 1
    assert f"  {COMPANIES} for '*': HTTP 401 from {flags}" in told
    assert f"  NOT done: {COMPANIES} to 'warn': was 'enforce' {BOTH.format('enforce')}, is 'enforce' " in told[3]
    assert told[-1] == "warn: NOT confirmed"
    assert "another-token" not in "\n".join(told)
    assert events() == ["begun", "asking", "not taken", "asking", "not taken", "ended"]
    assert [one.data["value"] for one in records(Kind.FLAG)] == ["enforce"] * 3


def test_nobody_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAGS", "http://127.0.0.1:1")
    told, status = said("warn", *HERE, *WHO)
    assert (status, told[-1]) == (1, "warn: NOT confirmed")
    assert "is unknown (http://127.0.0.1:1/ofrep/v1/evaluate/flags/" in told[3]
    assert records(Kind.FLAG) == []
    assert events()[-1] == "ended"


def test_a_service_that_says_yes_and_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(asked: Any) -> Reply:
        key = asked.path.rpartition("/")[2]
        return Reply(
            {"key": key, "value": "enforce", "reason": "STATIC"} if asked.method == "POST" else {"revision": 1}
        )

    with fake_server(answer) as server:
        monkeypatch.setenv("FLAGS", server.url)
        told, status = said("warn", *HERE, *WHO)
    assert (status, told[-1]) == (1, "warn: NOT confirmed")
    late = "the service took it, but it was not read so 3 times in a row within 1 s"
    assert told[2] == (
        f"  NOT done: {STRATEGIES} to 'warn': was 'enforce' for everybody, is 'enforce' for everybody; {late}"
    )
    assert records(Kind.ROLLBACK)[-1].data["confirmed"] is False


def test_a_service_that_takes_one_flag_and_dies(monkeypatch: pytest.MonkeyPatch) -> None:
    changed: list[str] = []

    def answer(asked: Any) -> Reply:
        key = asked.path.rpartition("/")[2]
        if asked.method == "PUT":
            changed.append(key)
            return Reply({"revision": 1}) if len(changed) == 1 else Reply(b"", 503)
        if asked.method == "GET":
            return Reply({"flags": {}})
        value = "warn" if key in changed[:1] else "enforce"
        return Reply({"key": key, "value": value, "reason": "STATIC"})

    with fake_server(answer) as server:
        monkeypatch.setenv("FLAGS", server.url)
        told, status = said("warn", *HERE, *WHO)
    assert status == 1
    assert told[2].startswith(f"  done: {COMPANIES} to 'warn': was 'enforce' {BOTH.format('enforce')}, is 'warn' ")
    assert told[3] == (
        f"  NOT done: {STRATEGIES} to 'warn': was 'enforce' for everybody, is 'enforce' for everybody; "
        f"HTTP 503 from {server.url}"
    )
    assert records(Kind.ROLLBACK)[-1].data["steps"][0]["done"] is True


@pytest.mark.parametrize(
    ("deploy", "how"),
    [
        ("false", "it ended with exit code 1, and said nothing"),
        ("/nowhere/deploy", "not started: [Errno 2] No such file or directory: '/nowhere/deploy'"),
        (
            "sh -c 'sleep 60'",
            "it did not end within 1 s and was stopped; what it has done, nobody knows, and said nothing",
        ),
    ],
)
def test_a_command_that_does_not_end_well(monkeypatch: pytest.MonkeyPatch, deploy: str, how: str) -> None:
    monkeypatch.setenv("DEPLOY", deploy)
    told, status = said("previous-tag", *HERE, *WHO)
    assert (status, told[-1]) == (1, "previous-tag: NOT confirmed")
    assert told[1] == f"  NOT done: ${{DEPLOY}} previous: {how}"
    assert events("previous-tag") == ["begun", "ended"]


def test_without_a_flag_service_nothing_is_confirmed() -> None:
    told, status = said("warn", "--env", "blind", *WHO)
    assert status == 1
    assert told[1].endswith("the environment names no flag service; add flags: {url: ...} to it")


def test_what_cannot_be_recorded_is_done_all_the_same_and_not_confirmed(flags: str, http: Http) -> None:
    """A broken evidence log must not keep anybody from going back."""
    LOG.parent.mkdir()
    LOG.write_text("no database", encoding="utf-8")
    told, status = said("warn", *HERE, *WHO)
    assert status == 1
    assert told[1].startswith("rollout: NOT recorded, and going on: ")
    assert told[-1].startswith("warn: confirmed, and NOT recorded: ")
    assert FlagReader(flags, http).read(COMPANIES, "*").value == "warn"


def test_a_log_that_somebody_else_holds_delays_it_only_so_often(
    monkeypatch: pytest.MonkeyPatch, flags: str, http: Http
) -> None:
    assert said("note", *HERE, *WHO)[1] == 0
    monkeypatch.setattr("pytest_rollout.commands.rollback.EvidenceLog", lambda address: EvidenceLog(address, 0.3))
    holder = sqlite3.connect(LOG)
    holder.execute("BEGIN EXCLUSIVE")
    begun = time.monotonic()
    told, status = said("warn", *HERE, *WHO)
    holder.close()
    assert time.monotonic() - begun < 5
    assert (status, FlagReader(flags, http).read(COMPANIES, "*").value) == (1, "warn")
    assert "NOT recorded" in told[-1]


def test_what_was_done_before_it_was_killed_is_in_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object, **__: object) -> Outcome:
        raise KeyboardInterrupt

    monkeypatch.setattr("pytest_rollout.flags.turn._Turning._free", killed)
    done = CliRunner().invoke(main, ["rollback", "stages.rollout.yaml", "warn", *HERE, *WHO])
    assert done.exit_code != 0
    assert events() == ["begun", "asking", "taken", "asking", "taken"]


# --- what makes no sense: 2, and nothing is done ---

HOW = "start it with 'rollout sandbox up --system normalization', and export ROLLOUT_SANDBOX as it says"
NEITHER = "says nothing; say"
WRONG: dict[str, tuple[tuple[str, ...], str]] = {
    "no such action": (
        ("wran", *HERE, *WHO),
        "rollout: the playbook of stages has no 'wran'; did you mean 'warn'?",
    ),
    "no reason": (("warn", *HERE, "--by", "Ann"), f"rollout: the reason '' {NEITHER} why"),
    "nobody": (("warn", *HERE, "--by", " ", "--reason", "x"), f"rollout: the name ' ' {NEITHER} who it is"),
    "no such environment": (
        ("warn", "--env", "prodution", *WHO),
        "rollout: stages.rollout.yaml: no environment 'prodution'; did you mean 'production'?",
    ),
    "a sandbox that is not up": (
        ("warn", *WHO),
        f"rollout: 'sandbox' is a sandbox that is not up: {HOW}",
    ),
}


@pytest.mark.parametrize(("words", "message"), WRONG.values(), ids=WRONG)
def test_what_makes_no_sense_is_refused(flags: str, http: Http, words: tuple[str, ...], message: str) -> None:
    assert said(*words) == ([message], 2)
    assert FlagReader(flags, http).read(COMPANIES, "*").value == "enforce"
    assert not LOG.exists()


def test_a_variable_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLAGS_TOKEN")
    told, status = said("warn", *HERE, *WHO)
    assert status == 2
    assert "needs the environment variable FLAGS_TOKEN, which is not set" in told[0]


def test_one_plan_at_a_time(folder: Path) -> None:
    (folder / "other.rollout.yaml").write_text(PLAN, encoding="utf-8")
    done = CliRunner().invoke(main, ["rollback", ".", "warn", *HERE, *WHO])
    assert done.exit_code == 2
    assert done.output == "rollout: 2 plans (other.rollout.yaml, stages.rollout.yaml) at or below .; name one plan\n"
    done = CliRunner().invoke(main, ["rollback", "nowhere", "warn", *HERE, *WHO])
    assert (done.exit_code, done.output) == (2, "rollout: no *.rollout.yaml at or below nowhere; name one plan\n")


def test_a_plan_without_a_playbook_says_so(folder: Path) -> None:
    path = folder / "stages.rollout.yaml"
    path.write_text(PLAN[: PLAN.index("rollback:")], encoding="utf-8")
    message = "rollout: the plan of stages has no playbook; add rollback: [{id: ..., set: ...}] to it"
    assert said(*HERE) == ([message], 2)
    assert said("warn", *HERE, *WHO) == ([message], 2)


def test_the_log_shows_what_was_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    assert said("warn", *HERE, *WHO)[1] == 0
    shown = CliRunner().invoke(main, ["evidence", "show", "--kind", "rollback"]).output.splitlines()
    assert len(shown) == 6
    assert "rollback       warn: begun, by Ann Lee, too many rejects" in shown[0]
    assert f"rollback       warn: taken, {COMPANIES}, *" in shown[2]
    assert f"warn: ended, warn: confirmed: {COMPANIES} to 'warn'" in shown[5]
    exported = CliRunner().invoke(main, ["evidence", "export"]).output
    assert json.loads(exported.splitlines()[0])["kind"] == "rollback"


# --- its page ---

PAGE = Path(__file__).parents[1] / "docs" / "rollback.md"


@pytest.mark.parametrize("key", sorted(Action.model_fields))
def test_every_key_of_an_action_is_explained(key: str) -> None:
    assert f"`{key}`" in PAGE.read_text(encoding="utf-8")


def test_the_playbook_of_the_page_loads(folder: Path) -> None:
    (playbook,) = re.findall(r"```yaml\n(rollback:.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    flags = "{VALIDATION_COMPANIES: {value: enforce, cohort: canary}, VALIDATION_STRATEGIES: {value: enforce}}"
    stages = f"stages: [{{stage: 1, name: x, flags: {flags}, gates: [{{id: a, unproven: x}}]}}]\n"
    path = folder / "checkout.rollout.yaml"
    path.write_text(f"rollout: checkout\nenvironments: {{e: {{target: x}}}}\n{stages}{playbook}", encoding="utf-8")
    assert [action.kind for action in load_plan(path).plan.rollback] == ["set", "set", "run", "ask"]
