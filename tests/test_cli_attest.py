"""``rollout attest`` and ``rollout waive``, as people meet them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pytest_rollout.cli import main
from pytest_rollout.evidence.log import EvidenceLog
from pytest_rollout.evidence.people import Asked, answers, waivers
from pytest_rollout.evidence.record import Head, Place
from pytest_rollout.evidence.results import StageLog
from pytest_rollout.judge.attestation import Attestation, Ground, Question, judge_attestation
from pytest_rollout.plan.loader import load_plan
from pytest_rollout.verdict import CheckResult, Reason, Verdict
from tests.evidence.logs import execute

PLAN = """\
rollout: shop
environments:
  sandbox: {sandbox: true}
  staging: {target: "http://ops:s3cret@shop", flags: {url: http://flags}}
  production: {target: "${SHOP}"}
stages:
  - {stage: 1, name: Reads, gates: [{id: errors, unproven: nobody counts them}]}
  - stage: 3
    name: Portal
    flags: {PORTAL: {value: true}}
    gates:
      - {id: errors, unproven: nobody counts them}
      - {id: tickets, attestation: {question: 'No spike in tickets?', expires: 2d}}
      - {id: revert, attestation: {question: 'Is the way back tried?', two_people: true}}
"""
LOG = Path(".rollout/evidence.db")
PLACE = Place("shop", "staging", "http://shop")
WHO = ("--by", "Ann Lee", "--reason", "3 tickets")
HERE = ("--rollout-env", "staging")
SANDBOX = (
    "'sandbox' is a sandbox that is not up: start it with 'rollout sandbox up', and export ROLLOUT_SANDBOX as it says"
)
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("ROLLOUT_SANDBOX", "SHOP"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    write(PLAN)
    return tmp_path


@pytest.fixture
def log() -> Iterator[EvidenceLog]:
    """A log that tells of one look at the stage."""
    log = EvidenceLog(LOG)
    result = CheckResult(verdict=Verdict.INCONCLUSIVE, reason=Reason.UNPROVEN, message="nobody counts them")
    StageLog(log, PLACE, "stage3").add_results({"errors": result}, [], 1.0)
    yield log
    log.close()


def write(text: str, name: str = "shop") -> Path:
    path = Path("canaries", f"{name}.rollout.yaml")
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def said(*arguments: object) -> tuple[list[str], int]:
    """What it says, moments left out, and the exit status."""
    done = CliRunner().invoke(main, [*map(str, arguments)])
    return MOMENT.sub("MOMENT", done.output).splitlines(), done.exit_code


def attest(*arguments: object, gate: str = "tickets") -> tuple[list[str], int]:
    return said("attest", "shop", "stage3", gate, *WHO, *HERE, *arguments)


def waive(*arguments: object, gate: str = "errors") -> tuple[list[str], int]:
    return said("waive", "shop", "stage3", gate, *WHO, *HERE, "--expires", "24h", *arguments)


def given(log: EvidenceLog, gate: str = "tickets") -> list[Attestation]:
    return list(answers(log, Asked(place=PLACE, stage="stage3", gate=gate), 0.0).given)


ASKS = ["tickets of shop stage3 in staging (http://shop) asks:", "  No spike in tickets?"]


def refused(why: str) -> tuple[list[str], int]:
    return [f"rollout: {why}"], 2


# --- answers ---


def test_a_yes(log: EvidenceLog) -> None:
    before = log.head()
    told = attest("--yes", "--link", "https://desk/1")
    (one,) = given(log)

    assert told == (
        [
            *ASKS,
            "recorded: yes, by Ann Lee: 3 tickets (https://desk/1)",
            "holds until MOMENT, unless something speaks against it",
            f"given on the evidence {before}",
            f"the evidence is now   {log.head()}",
        ],
        0,
    )
    assert (one.answer, one.by, one.reason, one.link) == (True, "Ann Lee", "3 tickets", "https://desk/1")
    assert (one.question, one.head) == ("No spike in tickets?", str(before))
    assert one.plan == load_plan(Path("canaries/shop.rollout.yaml")).digest
    assert one.expires_at == one.given_at + 2 * 86400
    assert abs(one.given_at - log.now()) < 60


def test_it_is_what_the_gate_wants(log: EvidenceLog) -> None:
    """From the command to the verdict."""
    attest("--yes", "--expires", "1h")
    told = answers(log, Asked(place=PLACE, stage="stage3", gate="tickets"), log.now())
    plan = load_plan(Path("canaries/shop.rollout.yaml")).digest
    ground = Ground(since=0.0, plan=plan, heads=told.heads, contradictions=told.contradictions, changed_by=None)
    asked = Question(
        rollout="shop",
        environment="staging",
        stage="stage3",
        gate="tickets",
        text="No spike in tickets?",
        expires=172800.0,
        two_people=False,
    )
    assert judge_attestation(told.given, asked, ground, log.now()).verdict is Verdict.PASSED
    assert judge_attestation(told.given, asked, ground, log.now() + 3601).verdict is Verdict.INCONCLUSIVE


def test_a_no(log: EvidenceLog) -> None:
    told, status = attest("--no", "--expires", "1h", gate="revert")
    assert (told[2:4], status) == (
        [
            "recorded: no, by Ann Lee: 3 tickets",
            "holds until MOMENT, unless somebody answers anew; the stage is NO-GO meanwhile",
        ],
        0,
    )
    assert [(one.answer, one.expires_at - one.given_at) for one in given(log, "revert")] == [(False, 3600.0)]


def test_two_people(log: EvidenceLog) -> None:
    told, _ = attest("--yes", gate="revert")
    assert told[4] == "the plan wants two people: it does not count if Ann Lee made the change"
    assert given(log, "revert")[0].answer


@pytest.mark.parametrize("flags", [[], ["--yes", "--no"]])
@pytest.mark.usefixtures("log")
def test_neither_yes_nor_no(flags: list[str]) -> None:
    assert attest(*flags) == ([*ASKS, "rollout: answer it with one of --yes and --no"], 2)


@pytest.mark.parametrize(
    ("expires", "why"),
    [
        ("3d", "--expires: the plan lets an answer hold for 2 d at most"),
        ("0s", "--expires: it has to hold for longer than nothing"),
        ("24", "--expires: '24' is not a duration; write a number with a unit, such as 120ms, 30s, 15m, 2h, 7d"),
    ],
)
def test_how_long_it_may_hold(log: EvidenceLog, expires: str, why: str) -> None:
    assert attest("--yes", "--expires", expires) == ([*ASKS, f"rollout: {why}"], 2)
    assert given(log) == []


def test_texts_that_nobody_should_sign(log: EvidenceLog) -> None:
    before = log.head()
    assert attest("--yes", "--by", " ") == ([*ASKS, "rollout: the name ' ' says nothing; say who it is"], 2)
    assert attest("--yes", "--link", "desk")[0][2].startswith("rollout: the link is none; ")
    assert waive("--reason", "") == refused("the reason '' says nothing; say why")
    assert log.head() == before


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["shoop", "stage3", "tickets"], "no plan at or below canaries is about 'shoop'; did you mean 'shop'?"),
        (["shop", "stage2", "tickets"], "shop has no stage 'stage2'; did you mean 'stage3'?"),
        (["shop", "3", "tickets"], "shop has no stage '3'; known here: stage1, stage3"),
        (["shop", "stage3", "ticket"], "shop stage3 asks nobody about 'ticket'; did you mean 'tickets'?"),
        (["shop", "stage3", "errors"], "shop stage3 asks nobody about 'errors'; known here: tickets, revert"),
        (["shop", "stage1", "errors"], "shop stage1 asks nobody; its gates are decided by evidence alone"),
    ],
)
def test_what_nobody_is_asked(log: EvidenceLog, words: list[str], why: str) -> None:
    before = log.head()
    assert said("attest", *words, *WHO, *HERE, "--yes") == refused(why)
    assert log.head() == before


# --- waivers ---


def test_a_waiver(log: EvidenceLog) -> None:
    told = waive()
    assert told == (
        [
            "recorded: errors of shop stage3 in staging (http://shop) is waived by Ann Lee: 3 tickets",
            "its verdict: inconclusive",
            "shown on every report until MOMENT; it never counts as passed",
            f"the evidence is now   {log.head()}",
        ],
        0,
    )
    (one,) = waivers(log, PLACE, "stage3", log.now()).values()
    assert (one.check, one.verdict, one.by, one.reason) == ("errors", "inconclusive", "Ann Lee", "3 tickets")
    assert one.expires_at == one.given_at + 86400


def test_a_waiver_of_what_was_not_judged(log: EvidenceLog) -> None:
    told, status = waive(gate="tickets")
    assert (told[1], status) == ("its verdict: it was not judged yet", 0)
    assert waivers(log, PLACE, "stage3", log.now())["tickets"].verdict == ""


@pytest.mark.usefixtures("log")
def test_a_waiver_of_what_is_no_gate() -> None:
    assert waive(gate="error") == refused("shop stage3 has no gate 'error'; did you mean 'errors'?")
    assert waive("--expires", "0s") == refused("--expires: it has to hold for longer than nothing")


def test_a_waiver_expires() -> None:
    told, status = said("waive", "shop", "stage3", "errors", *WHO)
    assert (status, "Missing option '--expires'" in " ".join(told)) == (2, True)


# --- where it is recorded ---


def test_a_log_that_is_not_there() -> None:
    """A new one in the wrong folder would look like an answer."""
    assert attest("--yes")[0][2].startswith(f"rollout: there is no evidence log at {LOG}; ")
    assert not LOG.exists()


@pytest.mark.parametrize("command", [attest, waive])
def test_a_log_that_is_not_whole(log: EvidenceLog, command: object) -> None:
    log.append([StageLog(log, PLACE, "stage3").left(2.0, "HOLD", {})])
    execute(LOG, "UPDATE records SET data = replace(data, 'nobody', 'somebody') WHERE seq = 1")
    told, status = attest("--yes") if command is attest else waive()
    why = "record 1: its hash does not fit its content; find out why before anybody vouches for it"
    assert (told[-1], status) == (f"rollout: the evidence log {LOG} is broken: {why}", 2)
    assert len(list(log.records(1))) == 1


def test_another_log(log: EvidenceLog, folder: Path) -> None:
    other = EvidenceLog(folder / "other.db")
    other.append([StageLog(other, PLACE, "stage3").entered(1.0, "p")])
    assert attest("--yes", "--rollout-evidence", folder / "other.db")[1] == 0
    assert (len(given(other)), given(log)) == (1, [])
    other.close()


def test_a_sandbox_has_to_be_up() -> None:
    assert said("attest", "shop", "stage3", "tickets", *WHO, "--yes") == refused(SANDBOX)


def test_each_sandbox_is_a_place_of_its_own(log: EvidenceLog, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = dict.fromkeys(("target", "prometheus", "pushgateway", "flags", "flags_token"), "http://127.0.0.1:9")
    (folder / "sandbox.json").write_text(json.dumps({**words, "faults": [], "system": "prisma", "variables": {}}))
    monkeypatch.setenv("ROLLOUT_SANDBOX", str(folder / "sandbox.json"))
    told, status = said("attest", "shop", "stage3", "tickets", *WHO, "--yes")
    assert (told[0], status) == ("tickets of shop stage3 in sandbox (http://127.0.0.1:9) asks:", 0)
    place = Place("shop", "sandbox", "http://127.0.0.1:9")
    assert len(answers(log, Asked(place=place, stage="stage3", gate="tickets"), 0.0).given) == 1


def test_an_environment_that_cannot_be_entered() -> None:
    why = "shop.rollout.yaml:5:24: environments.production.target needs the environment variable SHOP, which is not set"
    assert attest("--yes", "--rollout-env", "production") == refused(why)
    why = "shop.rollout.yaml: no environment 'stagin'; did you mean 'staging'?"
    assert waive("--rollout-env", "stagin") == refused(why)


# --- which plan ---


def test_a_plan_by_its_path(log: EvidenceLog, folder: Path) -> None:
    Path("canaries/shop.rollout.yaml").rename(folder / "mine.rollout.yaml")
    why = "no *.rollout.yaml at or below canaries; name a file or a folder with --plan"
    assert attest("--yes") == refused(why)
    assert attest("--yes", "--plan", folder / "mine.rollout.yaml")[1] == 0
    assert len(given(log)) == 1


@pytest.mark.usefixtures("log")
def test_two_plans_of_one_name() -> None:
    write(PLAN, "other")
    assert attest("--yes") == refused("several plans at or below canaries are about 'shop'; name one with --plan")
    write(PLAN.replace("rollout: shop", "rollout: till"), "other")
    assert attest("--yes")[1] == 0


def test_a_plan_that_is_wrong() -> None:
    write(PLAN.replace("two_people: true", "two_people: maybe"))
    told, status = attest("--yes")
    assert (told[0].startswith("rollout: shop.rollout.yaml:14:"), status) == (True, 2)


def test_the_head_is_one_of_the_log(log: EvidenceLog) -> None:
    told, _ = attest("--yes")
    heads = [Head.parse(line.split()[-1]) for line in told[-2:]]
    assert all(map(log.had, heads))
