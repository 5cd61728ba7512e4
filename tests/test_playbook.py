"""Actions of a playbook: what they do, what they say, and that nothing is confirmed without proof."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_rollout.errors import PlanError, SourceUnreachable
from pytest_rollout.plan.model import Plan
from pytest_rollout.plan.rollback import Action
from pytest_rollout.playbook import Ground, Outcome, Step, carry_out, find_action, prospect
from pytest_rollout.sources.http import Http
from pytest_rollout.target import Variables
from tests.flags.service import TOKEN, Service
from tests.sources.fakes import Reply, fake_server

PYTHON = shlex.quote(sys.executable)
ACTIONS: list[dict[str, Any]] = [
    {"id": "warn", "name": "Back to warn", "set": {"MODE": "warn", "READS": False}, "within": "1s"},
    {"id": "tag", "run": "${DEPLOY} previous"},
    {"id": "note", "ask": "Write down what was seen."},
]


BOTH_ON = "'enforce' for everybody, 'enforce' for 'canary'"
BOTH_WARN = "'warn' for everybody, 'warn' for 'canary'"


def plan(*actions: Mapping[str, Any]) -> Plan:
    flags = {"MODE": {"value": "enforce", "cohort": "canary"}, "READS": {"value": True}}
    stage = {"stage": 1, "name": "x", "flags": flags, "gates": [{"id": "a", "unproven": "b"}]}
    environments = {"e": {"target": "http://x"}}
    return Plan.model_validate(
        {"rollout": "shop", "environments": environments, "stages": [stage], "rollback": list(actions or ACTIONS)}
    )


def ground(service: Service, folder: Path, **variables: str) -> Ground:
    return Ground.of(
        plan(),
        http=service,
        flags_url="http://flags",
        variables={"PATH": os.environ["PATH"], **variables},
        folder=folder,
        secrets=(TOKEN,),
    )


@pytest.fixture
def service() -> Service:
    return Service({"MODE": {"*": "enforce", "canary": "enforce"}, "READS": {"*": True}})


@pytest.fixture(autouse=True)
def _no_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("flags.writer", "sources.flags"):
        monkeypatch.setattr(f"pytest_rollout.{module}._RETRY_BUDGET", 0.0)


def done(action: str, where: Ground) -> Outcome:
    return carry_out(find_action(plan(), action), where, by="ann", reason="too slow")


def run(where: Ground, line: str, within: float = 20.0) -> Outcome:
    action = Action.model_validate({"id": "tag", "run": line})
    return carry_out(action.model_copy(update={"within": within}), where, by="ann", reason="x")


# --- flags ---


def test_flags_are_set_for_everybody_and_said_to_be(service: Service, tmp_path: Path) -> None:
    outcome = done("warn", ground(service, tmp_path))
    assert outcome.confirmed
    assert outcome.message == "warn: confirmed: MODE to 'warn', READS to False"
    assert [step.message for step in outcome.steps] == [
        f"was {BOTH_ON}, is {BOTH_WARN}; taken away: what 'canary' had of its own",
        "was True for everybody, is False for everybody",
    ]
    assert service.rules == {"MODE": {"*": "warn"}, "READS": {"*": False}}


def test_a_cohort_that_no_stage_names_loses_its_own_value_too(service: Service, tmp_path: Path) -> None:
    service.rules["READS"]["beta"] = True
    outcome = done("warn", ground(service, tmp_path))
    assert outcome.confirmed
    assert outcome.steps[1].message == (
        "was True for everybody, True for 'beta', is False for everybody, False for 'beta'; "
        "taken away: what 'beta' had of its own"
    )
    assert service.rules["READS"] == {"*": False}


def test_a_cohort_that_comes_meanwhile_is_named(service: Service, tmp_path: Path) -> None:
    def meanwhile(method: str, flag: str) -> None:
        if (method, flag) == ("PUT", "READS"):
            service.rules["READS"]["late"] = True

    service.before = meanwhile
    outcome = done("warn", ground(service, tmp_path))
    assert not outcome.confirmed
    assert outcome.steps[1].message == (
        "was True for everybody, is False for everybody; others have a value of their own: {'late': True}"
    )


def test_a_service_that_does_not_list_its_rules_confirms_nothing(service: Service, tmp_path: Path) -> None:
    def silent(method: str, _flag: str) -> None:
        if method == "GET":
            raise SourceUnreachable("no list")

    service.before = silent
    outcome = done("warn", ground(service, tmp_path))
    assert not any(step.done for step in outcome.steps)
    assert outcome.steps[1].message == (
        "was True for everybody, is False for everybody; nobody knows who else has a value of their own: no list"
    )


def test_what_is_partly_done_says_which_part(service: Service, tmp_path: Path) -> None:
    service.refuses = {"MODE": 401}
    outcome = done("warn", ground(service, tmp_path))
    assert not outcome.confirmed
    assert outcome.message == (
        f"warn: NOT confirmed; done: READS to False; not done: MODE to 'warn': was {BOTH_ON}, is {BOTH_ON}; "
        'HTTP 401 from http://flags: {"message": "as the test wants it"}'
    )


def test_a_service_that_says_yes_and_does_nothing_is_named(service: Service, tmp_path: Path) -> None:
    service.ignores = {"READS"}
    outcome = done("warn", ground(service, tmp_path))
    assert outcome.steps[1].message == (
        "was True for everybody, is True for everybody; the service took it, but it was not read so 3 times in a row "
        "within 1 s"
    )
    assert [step.done for step in outcome.steps] == [True, False]


def test_a_value_that_is_drawn_by_lot_is_said_to_be(service: Service, tmp_path: Path) -> None:
    service.reason = "SPLIT"
    assert (
        "was True by lot for everybody, is False by lot for everybody"
        in done("warn", ground(service, tmp_path)).message
    )


def test_what_nobody_can_read_is_unknown(service: Service, tmp_path: Path) -> None:
    service.gone = True
    outcome = done("warn", ground(service, tmp_path))
    fault = "http://flags/ofrep/v1/evaluate/flags/MODE: Connection refused"
    assert outcome.steps[1].message == (
        f"was unknown ({fault}) for everybody, is unknown ({fault}) for everybody; "
        "http://flags/admin/flags/READS: Connection refused"
    )
    assert not outcome.confirmed


def test_a_service_that_hangs_ends_in_time(tmp_path: Path) -> None:
    http = Http(0.2)
    try:
        with fake_server(Reply(hangs=True)) as server:
            where = Ground.of(plan(), http=http, flags_url=server.url, variables={}, folder=tmp_path)
            begun = time.monotonic()
            outcome = done("warn", where)
    finally:
        http.close()
    assert time.monotonic() - begun < 4
    assert not outcome.confirmed
    assert "no complete answer within 0.2 s" in outcome.message


def test_without_a_flag_service_nothing_is_confirmed(tmp_path: Path) -> None:
    where = Ground(flags=None, reader=None, variables={}, folder=tmp_path)
    outcome = done("warn", where)
    why = "the environment names no flag service; add flags: {url: ...} to it"
    assert outcome.message == (
        f"warn: NOT confirmed; done: nothing; not done: MODE to 'warn': {why}; READS to False: {why}"
    )
    assert list(prospect(plan().rollback[0], where)) == [
        f"MODE: {why}; would be 'warn' for everybody",
        f"READS: {why}; would be False for everybody",
    ]


# --- commands ---


def test_a_command_has_its_words_and_its_variables(service: Service, tmp_path: Path) -> None:
    code = "import os, sys; print(sys.argv[1:], os.environ['SHOP'], os.getcwd())"
    where = ground(service, tmp_path, DEPLOY=shlex.join([sys.executable, "-c", code, "a b"]), SHOP="eu")
    outcome = run(where, "${DEPLOY} previous 'c d' $HOME ; ls")
    assert outcome.confirmed
    assert outcome.steps[0].what == "${DEPLOY} previous 'c d' $HOME ; ls"
    words = ["a b", "previous", "c d", "$HOME", ";", "ls"]
    assert outcome.steps[0].message == f"it ended with exit code 0:\n{words} eu {tmp_path}"


COMMANDS: dict[str, tuple[str, str]] = {
    "fails": ("-c 'raise SystemExit(3)'", "it ended with exit code 3, and said nothing"),
    "says why": ("-c 'import sys; sys.exit(\"no such tag\")'", "it ended with exit code 1:\nno such tag"),
    "is killed": ("-c 'import os; os.kill(os.getpid(), 9)'", "it ended with exit code -9, and said nothing"),
    "is long": (
        "-c 'print(\"x\" * 9999); [print(i) for i in range(30)]; exit(1)'",
        "it ended with exit code 1:\n" + "\n".join(map(str, range(10, 30))),
    ),
    "speaks to the terminal": ("-c 'print(\"a\\x1b[2Jb\"); exit(1)'", "it ended with exit code 1:\na [2Jb"),
}


@pytest.mark.parametrize(("words", "said"), COMMANDS.values(), ids=COMMANDS)
def test_a_command_that_fails_is_not_confirmed(service: Service, tmp_path: Path, words: str, said: str) -> None:
    outcome = run(ground(service, tmp_path), f"{PYTHON} {words}")
    assert not outcome.confirmed
    assert outcome.steps[0].message == said


def test_a_command_that_hangs_is_stopped_with_all_that_it_started(service: Service, tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time; print('begun', flush=True); "
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
        "open('child', 'w').write(str(child.pid)); open('done', 'w'); time.sleep(60)"
    )
    where = ground(service, tmp_path, DEPLOY=shlex.join([sys.executable, "-c", code]))
    outcome = run(where, "${DEPLOY}", within=1.0)
    assert outcome.steps[0].message == (
        "it did not end within 1 s and was stopped; what it has done, nobody knows:\nbegun"
    )
    assert not outcome.confirmed
    child = int((tmp_path / "child").read_text())
    until = time.monotonic() + 5
    while _lives(child) and time.monotonic() < until:
        time.sleep(0.02)
    assert not _lives(child)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


SECRETS = {
    "DEPLOY_TOKEN": "tok-en/1",
    "DB_PASSWORD": "pa55",
    "SHOP_URL": "http://ops:hunter2@shop/",
    "API_KEY": "k3y-k3y",
}


def test_secrets_that_a_command_prints_are_not_shown(service: Service, tmp_path: Path) -> None:
    code = (
        "import os, urllib.parse as u\n"
        "for name in ('DEPLOY_TOKEN', 'DB_PASSWORD', 'SHOP_URL', 'API_KEY'): print(name, os.environ[name])\n"
        "print(u.quote(os.environ['DEPLOY_TOKEN'], safe=''), 'password hunter2', 'http://me:again@there/x')\n"
        f"print('{TOKEN}')"
    )
    where = ground(service, tmp_path, DEPLOY=shlex.join([sys.executable, "-c", code]), **SECRETS)
    outcome = run(where, "${DEPLOY}")
    assert outcome.confirmed
    assert outcome.steps[0].message.splitlines()[1:] == [
        "DEPLOY_TOKEN ***",
        "DB_PASSWORD ***",
        "SHOP_URL http://shop/",
        "API_KEY ***",
        "*** password *** http://there/x",
        "***",
    ]


def test_a_secret_is_not_shown_half(service: Service, tmp_path: Path) -> None:
    """The end of a long output is shown: it must not begin in the middle of a secret."""
    code = "import os; print(os.environ['A_TOKEN'] + 'x' * 1990)"
    where = ground(service, tmp_path, DEPLOY=shlex.join([sys.executable, "-c", code]), A_TOKEN="0123456789abcdef")
    said = run(where, "${DEPLOY}").steps[0].message
    assert "cdef" not in said


NOT_STARTED = {
    "a variable that is not set": ("${DEPLOI} x", "not started: the environment variable DEPLOI is not set; export it"),
    "a variable that is empty": ("${EMPTY} x", "not started: the environment variable EMPTY is not set; export it"),
    "a variable that is blank": (
        "${BLANK}",
        "not started: '${BLANK}' is empty once its variables are filled in; export them",
    ),
    "no such program": (
        "${NOWHERE} x",
        "not started: [Errno 2] No such file or directory: '/nowhere/at-all'",
    ),
    "a quote that is open": (
        "${QUOTE} x",
        "not started: '${QUOTE} x' is no command line once its variables are filled in: No closing quotation",
    ),
}


@pytest.mark.parametrize(("line", "said"), NOT_STARTED.values(), ids=NOT_STARTED)
def test_a_command_that_cannot_be_started_is_not_confirmed(
    service: Service, tmp_path: Path, line: str, said: str
) -> None:
    where = ground(service, tmp_path, EMPTY="", BLANK=" ", NOWHERE="/nowhere/at-all", QUOTE="'")
    outcome = run(where, line)
    assert (outcome.confirmed, outcome.steps[0].message) == (False, said)


# --- the rest ---


def test_what_a_person_does_is_what_the_person_says(service: Service, tmp_path: Path) -> None:
    outcome = done("note", ground(service, tmp_path))
    assert outcome.confirmed
    assert outcome.steps[0] == Step(
        what="Write down what was seen.", done=True, message="ann says that it is done: too slow"
    )


def test_an_action_without_steps_is_not_confirmed() -> None:
    assert not Outcome("warn", ()).confirmed


def test_what_would_be_done_is_said_and_not_done(service: Service, tmp_path: Path) -> None:
    where = ground(service, tmp_path, DEPLOY="/bin/deploy --with hunter-22", SHOP_SECRET="hunter-22")
    warn, tag, note = plan().rollback
    assert list(prospect(warn, where)) == [
        "MODE: 'enforce' for everybody, 'enforce' for 'canary'; would be 'warn' for everybody",
        "READS: True for everybody; would be False for everybody",
    ]
    assert list(prospect(tag, where)) == ["${DEPLOY} previous", "that is: /bin/deploy --with *** previous"]
    assert list(prospect(tag, replace(where, variables={}))) == [
        "${DEPLOY} previous",
        "cannot be run now: the environment variable DEPLOY is not set; export it",
    ]
    assert list(prospect(note, where)) == ["Write down what was seen."]
    assert service.asked == []


def test_an_action_that_there_is_not() -> None:
    with pytest.raises(PlanError) as refused:
        find_action(plan(), "wran")
    assert str(refused.value) == "the playbook of shop has no 'wran'; did you mean 'warn'?"
    bare = plan().model_copy(update={"rollback": ()})
    with pytest.raises(PlanError) as refused:
        find_action(bare, "warn")
    assert str(refused.value) == "the plan of shop has no playbook; add rollback: [{id: ..., set: ...}] to it"


def test_a_ground_shows_no_secrets(service: Service, tmp_path: Path) -> None:
    assert "hunter2" not in repr(ground(service, tmp_path, **SECRETS))
    assert TOKEN not in repr(ground(service, tmp_path, **SECRETS))
    assert "hunter2" not in repr(Variables(SECRETS))


def test_everything_is_noted_with_who_and_why(service: Service, tmp_path: Path) -> None:
    noted: list[tuple[str, Mapping[str, Any]]] = []
    action = find_action(plan(), "warn")
    carry_out(
        action,
        ground(service, tmp_path),
        by="ann",
        reason="too slow",
        note=lambda word, data: noted.append((word, data)),
    )
    words = [word for word, _ in noted]
    assert (words[0], words[-1], words.count("asking"), words.count("taken")) == ("begun", "ended", 3, 3)
    values = {"MODE": "warn", "READS": False}
    assert noted[0][1] == {"by": "ann", "reason": "too slow", "kind": "set", "set": values}
    assert noted[-1][1]["confirmed"] is True
    assert [step["what"] for step in noted[-1][1]["steps"]] == ["MODE to 'warn'", "READS to False"]
