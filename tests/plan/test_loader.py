"""Plans as files: what is wrong, in which words, at which line and column."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from pytest_rollout.errors import EnvironmentUnready, PlanError
from pytest_rollout.plan.gates import KINDS
from pytest_rollout.plan.loader import LoadedPlan, load_plan
from pytest_rollout.sandbox import SandboxState
from pytest_rollout.target import enter

REPOSITORY = Path(__file__).parents[2]
HEAD = "rollout: shop\nenvironments: {sandbox: {sandbox: true}}\n"
STAGES = "stages: [{stage: 1, name: Reads, gates: [{id: a, unproven: x}]}]\n"
STAGE = HEAD + "stages:\n  - {stage: 1, name: Reads, gates: [{id: a, unproven: x}]}\n"
ENVIRONMENT = "rollout: shop\nenvironments:\n  prod: %s\n" + STAGES
NO_DURATION = "is not a duration; write a number with a unit, such as 120ms, 30s, 15m, 2h, 7d"
NO_ZERO = """\
unacceptable character #x0000: special characters are not allowed
  in "<unicode string>", position 3"""
NOT_PLAIN = "keys are plain words; merge keys and nested keys are not allowed"
NO_VALUE = "is no value of a flag; write true, false, or a text in quotes"
MAPPING = "a mapping of keys to values is needed here"


def load(folder: Path, text: str | bytes) -> LoadedPlan:
    path = folder / "shop.rollout.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_plan(path)


def stage(keys: str) -> str:
    return HEAD + f"stages:\n  - {{stage: 1, name: Reads, {keys}}}\n"


FAULTS: dict[str, tuple[str | bytes, str]] = {
    # the file
    "empty file": ("", "1:1: the plan is empty"),
    "nothing but a comment": ("# soon\n", "1:1: the plan is empty"),
    "a list": ("- a\n", "1:1: a plan is a mapping with rollout, environments and stages"),
    "a word": ("shop", "1:1: a plan is a mapping with rollout, environments and stages"),
    "binary": (
        b"\x80\xff\x00",
        "1:1: cannot be read: 'utf-8' codec can't decode byte 0x80 in position 0: invalid start byte",
    ),
    "a zero byte": (
        "a: \x00\n",
        f"1:1: not YAML: {NO_ZERO}",
    ),
    # YAML
    "a value after a value": ("rollout: shop\n  x: y\n", "2:4: not YAML: mapping values are not allowed here"),
    "an open bracket": ("rollout: [a\n", "2:1: not YAML: expected ',' or ']', but got '<stream end>'"),
    "a tab": ("rollout: shop\n\tx: y\n", "2:1: not YAML: found character '\\t' that cannot start any token"),
    "two documents": ("a: b\n---\nc: d\n", "2:1: not YAML: but found another document"),
    "an alias to nothing": ("rollout: *x\n", "1:10: not YAML: found undefined alias 'x'"),
    "an alias to itself": (HEAD + "stages: &a [*a]\n", "3:9: an alias to itself is not allowed"),
    "a python tag": (
        "rollout: !!python/name:os.system x\n" + HEAD,
        "1:10: the tag 'tag:yaml.org,2002:python/name:os.system' is not allowed; plans are plain YAML",
    ),
    "a tag of one's own": ("rollout: !x y\n", "1:10: the tag '!x' is not allowed; plans are plain YAML"),
    "a tag that lies": ("rollout: !!int shop\n", "1:10: 'shop' is not of the type 'int'"),
    "half a number": ("rollout: 0x_\n", "1:10: '0x_' is not of the type 'int'"),
    "a merge key": (HEAD + "<<: {stages: []}\n", f"3:1: {NOT_PLAIN}"),
    "a nested key": (HEAD + "[stages]: []\n", f"3:1: {NOT_PLAIN}"),
    "a key twice": (HEAD + HEAD, "3:1: the key 'rollout' is given twice"),
    "a key twice further down": (stage("stage: 2"), "4:29: the key 'stage' is given twice"),
    # the plan
    "unknown key": ("rollouts: x\n" + STAGE, "1:1: unknown key 'rollouts'; did you mean 'rollout'?"),
    "unlike any key": (
        STAGE + "zzz: 1\n",
        "5:1: unknown key 'zzz'; known here: canaries, environments, rollback, rollout, stages",
    ),
    "no rollout": (STAGE.removeprefix("rollout: shop\n"), "1:1: 'rollout' is missing"),
    "no environments": ("rollout: shop\n" + STAGES, "1:1: 'environments' is missing"),
    "no stages": ("# what it is\n" + HEAD, "2:1: 'stages' is missing"),
    "empty environments": (
        "rollout: shop\nenvironments: {}\n" + STAGES,
        "2:15: at least one entry is needed here",
    ),
    "empty stages": (HEAD + "stages: []\n", "3:9: at least one entry is needed here"),
    "stages as a mapping": (HEAD + "stages: {stage: 1}\n", "3:9: a list is needed here"),
    "a name with a space": (
        STAGE.replace("shop", "My Shop"),
        "1:10: 'My Shop' is not a name: use a-z, 0-9, '.', '_' and '-'",
    ),
    "a stage twice": (
        STAGE + "  - {stage: 1, name: Again, gates: [{id: a, unproven: x}]}\n",
        "3:1: stage 1 is given twice",
    ),
    # an environment
    "unknown key of an environment": (
        ENVIRONMENT % "{targt: x, prometheus: y}",
        "3:10: unknown key 'targt'; did you mean 'target'?",
    ),
    "no target": (ENVIRONMENT % "{prometheus: y}", "3:3: an environment needs a target, or sandbox: true"),
    "an environment of nothing": (ENVIRONMENT % "", f"3:8: {MAPPING}"),
    "a sandbox with a target": (
        ENVIRONMENT % "{sandbox: true, target: x}",
        "3:25: a sandbox brings its own addresses",
    ),
    "a sandbox with a Prometheus": (
        ENVIRONMENT % "{prometheus: x, sandbox: true}",
        "3:10: a sandbox brings its own addresses",
    ),
    "a sandbox with flags": (
        ENVIRONMENT % "{sandbox: true, flags: {url: x}}",
        "3:25: a sandbox brings its own addresses",
    ),
    "a sandbox that is a number": (
        ENVIRONMENT % "{sandbox: 1}",
        "3:19: 1 is no sandbox; write true, or the name of one of its systems",
    ),
    "a sandbox that is an option": (
        ENVIRONMENT % "{sandbox: --leash}",
        "3:19: '--leash' is no sandbox; write true, or the name of one of its systems",
    ),
    "a system with a target": (
        ENVIRONMENT % "{sandbox: normalization, target: x}",
        "3:34: a sandbox brings its own addresses",
    ),
    "a history in production": (
        ENVIRONMENT % "{target: x, history: 5m}",
        "3:21: only a sandbox can be given a history",
    ),
    "another way to drive it": (ENVIRONMENT % "{target: x, via: curl}", "3:26: Input should be 'api' or 'browser'"),
    "a wait without a unit": (ENVIRONMENT % "{target: x, wait: 5}", f"3:27: 5 {NO_DURATION}"),
    "unknown key of a flag service": (
        ENVIRONMENT % "{target: x, flags: {urll: y}}",
        "3:29: unknown key 'urll'; did you mean 'url'?",
    ),
    "a flag service nowhere": (ENVIRONMENT % "{target: x, flags: {token: y}}", "3:28: 'url' is missing"),
    # a stage
    "unknown key of a stage": (stage("gate: []"), "4:29: unknown key 'gate'; did you mean 'gates'?"),
    "no gates": (stage("settle: 5m"), "4:5: 'gates' is missing"),
    "empty gates": (stage("gates: []"), "4:36: at least one entry is needed here"),
    "settle without a unit": (stage("settle: 30, gates: [{id: a, unproven: x}]"), f"4:37: 30 {NO_DURATION}"),
    "a gate twice": (
        stage("gates: [{id: a, unproven: x}, {id: a, unproven: y}]"),
        "4:29: two gates are called 'a'",
    ),
    "a reserved gate": (
        stage("gates: [{id: flag-state, unproven: x}]"),
        "4:29: 'flag-state' is the name of the check that reads the stage's flags",
    ),
    "unknown key of a flag": (
        stage("flags: {F: {value: true, cohrt: x}}, gates: []"),
        "4:54: unknown key 'cohrt'; did you mean 'cohort'?\nshop.rollout.yaml:4:73: at least one entry is needed here",
    ),
    "a flag without a value": (
        stage("flags: {F: {cohort: x}}, gates: [{id: a, unproven: x}]"),
        "4:40: 'value' is missing",
    ),
    "a flag of a number": (stage("flags: {F: {value: 1}}, gates: [{id: a, unproven: x}]"), f"4:48: 1 {NO_VALUE}"),
    "a flag of nothing": (stage("flags: {F: {value: }}, gates: [{id: a, unproven: x}]"), f"4:47: None {NO_VALUE}"),
    "a flag of no text": (stage("flags: {F: {value: ' '}}, gates: [{id: a, unproven: x}]"), f"4:48: ' ' {NO_VALUE}"),
    "a flag of a list": (
        stage("flags: {F: {value: [warn]}}, gates: [{id: a, unproven: x}]"),
        f"4:48: ['warn'] {NO_VALUE}",
    ),
    "no word for a sandbox": (
        stage("sandbox: [--leash], gates: [{id: a, unproven: x}]"),
        "4:39: '--leash' is not a name: use a-z, 0-9, '.', '_' and '-'",
    ),
    "a bare flag": (stage("flags: {F: true}, gates: [{id: a, unproven: x}]"), f"4:40: {MAPPING}"),
}


@pytest.mark.parametrize(("text", "message"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_named_with_its_place(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(PlanError) as refused:
        load(tmp_path, text)
    assert str(refused.value) == f"shop.rollout.yaml:{message}"


def test_every_fault_is_named_at_once(tmp_path: Path) -> None:
    text = stage("gates: [{id: a, unprovn: x}, {id: b}]").replace("shop", "My Shop")
    with pytest.raises(PlanError) as refused:
        load(tmp_path, text)
    assert str(refused.value).splitlines() == [
        "shop.rollout.yaml:1:10: 'My Shop' is not a name: use a-z, 0-9, '.', '_' and '-'",
        "shop.rollout.yaml:4:45: unknown key 'unprovn'; did you mean 'unproven'?",
        f"shop.rollout.yaml:4:59: gate 'b' has no kind; give one of {', '.join(KINDS)}",
    ]


def test_a_missing_file_is_a_fault_of_the_plan(tmp_path: Path) -> None:
    with pytest.raises(PlanError) as refused:
        load_plan(tmp_path / "gone.rollout.yaml")
    path = tmp_path / "gone.rollout.yaml"
    said = f"gone.rollout.yaml:1:1: cannot be read: [Errno 2] No such file or directory: '{path}'"
    assert str(refused.value) == said


@pytest.mark.parametrize("change", ["\ufeff%s", "# ü\n%s"], ids=["byte order mark", "umlaut"])
def test_text_of_any_kind_is_read(tmp_path: Path, change: str) -> None:
    assert load(tmp_path, change % STAGE).plan.rollout == "shop"


def test_windows_line_ends_keep_the_lines(tmp_path: Path) -> None:
    loaded = load(tmp_path, STAGE.replace("\n", "\r\n"))
    assert (loaded.line_of_stage(0), loaded.line_of_gate(0, 0)) == (4, 4)


def test_an_alias_to_something_else_is_allowed(tmp_path: Path) -> None:
    text = HEAD + (
        "stages:\n  - {stage: 1, name: A, gates: &same [{id: a, unproven: x}]}\n  - {stage: 2, name: B, gates: *same}\n"
    )
    first, second = load(tmp_path, text).plan.stages
    assert first.gates == second.gates


MODES = """\
rollout: shop
environments: {sandbox: {sandbox: normalization}}
stages:
  - stage: 1
    name: Warn
    flags: {MODE: {value: warn}, READS: {value: true}}
    gates: [{id: a, unproven: x}]
  - stage: 2
    name: Back
    sandbox: [migrated]
    flags: {MODE: {value: %s, cohort: canary}}
    gates: [{id: a, unproven: x}]
"""
TRAP = (
    "is a boolean here and a text elsewhere, such as 'warn'; "
    'YAML takes off, no, on and yes for booleans: write the text in quotes, as "off"'
)


@pytest.mark.parametrize("word", ["off", "Off", "no", "on", "yes", "false", "true"])
def test_a_text_that_yaml_takes_for_a_boolean_needs_quotes(tmp_path: Path, word: str) -> None:
    with pytest.raises(PlanError) as refused:
        load(tmp_path, MODES % word)
    assert str(refused.value) == f"shop.rollout.yaml:11:20: MODE {TRAP}"
    stages = load(tmp_path, MODES % f'"{word}"').plan.stages
    assert stages[1].wanted == {"MODE@canary": word}
    assert stages[0].wanted == {"MODE@*": "warn", "READS@*": True}


PLAYBOOK = (MODES % '"off"') + "rollback:\n"
COMMAND = (
    "everybody on the machine can read a command line, and {0} looks like a secret; "
    "let the command read the variable itself, which it is given"
)
ACTIONS: dict[str, tuple[str, str]] = {
    "nothing to do": ("{id: a}", "14:6: action 'a' does nothing; give one of set, run, ask"),
    "two things": ("{id: a, set: {MODE: warn}, run: x}", "14:32: action 'a' has set and run; make an action of each"),
    "no id": ("{set: {MODE: warn}}", "14:5: 'id' is missing"),
    "an unknown key": ("{id: a, sett: {}}", "14:13: unknown key 'sett'; did you mean 'set'?"),
    "no flags": ("{id: a, set: {}}", "14:18: at least one entry is needed here"),
    "a flag of no stage": ("{id: a, set: {MOD: warn}}", "14:19: no stage has the flag 'MOD'; did you mean 'MODE'?"),
    "a boolean for a text": ("{id: a, set: {MODE: off}}", "14:19: MODE " + TRAP.replace("'warn'", "'off'")),
    "a text for a boolean": ('{id: a, set: {READS: "off"}}', "6:42: READS " + TRAP.replace("'warn'", "'off'")),
    "no value": ("{id: a, set: {MODE: }}", f"14:24: None {NO_VALUE}"),
    "no time": (
        "{id: a, ask: x, within: 0s}",
        "14:21: an action needs some time; give a duration, or leave it out for 5m",
    ),
    "no words": ("{id: a, run: ' '}", "14:13: action 'a' says nothing here"),
    "no question": ("{id: a, ask: ''}", "14:13: action 'a' says nothing here"),
    "an open quote": ('{id: a, run: "x \'y"}', '14:13: "x \'y" is no command line: No closing quotation'),
    "a secret": ('{id: a, run: "deploy --token ${DEPLOY_TOKEN}"}', f"14:13: {COMMAND.format('DEPLOY_TOKEN')}"),
    "a key": ('{id: a, run: "deploy ${API_KEY}"}', f"14:13: {COMMAND.format('API_KEY')}"),
    "the same twice": ("{id: a, ask: x}\n  - {id: a, ask: y}", "15:6: two actions are called 'a'"),
}


@pytest.mark.parametrize(("action", "message"), ACTIONS.values(), ids=ACTIONS)
def test_a_playbook_that_cannot_be_carried_out_is_refused(tmp_path: Path, action: str, message: str) -> None:
    with pytest.raises(PlanError) as refused:
        load(tmp_path, f"{PLAYBOOK}  - {action}\n")
    assert str(refused.value) == f"shop.rollout.yaml:{message}"


def test_a_playbook_is_an_ordered_list_and_part_of_the_version(tmp_path: Path) -> None:
    actions = (
        '  - {id: warn, set: {MODE: warn, READS: false}}\n  - {id: tag, run: "${DEPLOY_MONKEY} previous", within: 1m}\n'
    )
    loaded = load(tmp_path, PLAYBOOK + actions + "  - {id: note, ask: Write it down.}\n")
    assert [(one.id, one.kind, one.within) for one in loaded.plan.rollback] == [
        ("warn", "set", 300.0),
        ("tag", "run", 60.0),
        ("note", "ask", 300.0),
    ]
    assert loaded.plan.cohorts("MODE") == ("*", "canary")
    assert loaded.digest != load(tmp_path, PLAYBOOK + actions).digest


def test_a_playbook_needs_stages_with_flags(tmp_path: Path) -> None:
    with pytest.raises(PlanError) as refused:
        load(tmp_path, STAGE + "rollback: [{id: a, set: {MODE: warn}}]\n")
    assert str(refused.value) == "shop.rollout.yaml:5:26: no stage has the flag 'MODE'; the stages have no flags"


def test_a_boolean_that_comes_first_is_the_one_that_is_named(tmp_path: Path) -> None:
    with pytest.raises(PlanError) as refused:
        load(tmp_path, (MODES % '"off"').replace("value: warn", "value: on"))
    assert str(refused.value).startswith("shop.rollout.yaml:6:20: MODE is a boolean here and a text elsewhere")


def test_an_environment_may_be_the_sandbox_of_a_system(tmp_path: Path) -> None:
    plan = load(tmp_path, MODES % '"off"').plan
    assert plan.environments["sandbox"].system == "normalization"
    assert [stage.sandbox for stage in plan.stages] == [(), ("migrated",)]
    environments = load(tmp_path, TWO + STAGES).plan.environments
    assert [environments[name].system for name in ("sandbox", "production")] == ["prisma", None]


# --- the version of a plan -----------------------------------------------------------------------------------

VERSIONED = """\
rollout: shop
environments: {sandbox: {sandbox: true}}
canaries:
  pay: {every: 15m, maintenance: [{since: 2025-09-26T14:30:00+00:00, until: 2025-09-26T15:30:00+00:00, reason: disks}]}
stages:
  - stage: 1
    name: Reads
    gates: [{id: a, canary: {name: pay, consecutive: 5}}]
"""
SAME = {
    "another maintenance": VERSIONED.replace("2025-09-26T15", "2025-09-26T16"),
    "comments": VERSIONED.replace("stages:", "# the stages\nstages: # one"),
    "whitespace": VERSIONED.replace("gates: [{id: a,", "gates:\n      - {  id:  a,").replace(
        "consecutive: 5}}]", "consecutive: 5}}"
    ),
    "another order of keys": "stages: [{name: Reads, gates: [{canary: {consecutive: 5, name: pay}, id: a}],"
    " stage: 1}]\n" + VERSIONED[: VERSIONED.index("stages:")],
    "other quotes": VERSIONED.replace("Reads", "'Reads'").replace("shop", '"shop"'),
    "other environments": VERSIONED.replace(
        "{sandbox: {sandbox: true}}", "{production: {target: http://x, via: browser}}"
    ),
    "an alias": VERSIONED.replace("name: Reads", "name: &n Reads"),
}
OTHERS = {
    "another gate": VERSIONED.replace("consecutive: 5", "consecutive: 4"),
    "another schedule": VERSIONED.replace("15m", "16m"),
    "another name of a stage": VERSIONED.replace("Reads", "Read"),
    "settling": VERSIONED.replace("name: Reads", "name: Reads\n    settle: 0s"),
    "another rollout": VERSIONED.replace("shop", "shop2"),
}


def test_the_version_of_a_plan_is_the_digest_of_what_it_says(tmp_path: Path) -> None:
    gates = [{"id": "a", "canary": {"name": "pay", "consecutive": 5}}]
    said = {
        "canaries": {"pay": {"every": "15m"}},
        "rollout": "shop",
        "stages": [{"gates": gates, "name": "Reads", "stage": 1}],
    }
    text = json.dumps(said, sort_keys=True, separators=(",", ":"))
    assert load(tmp_path, VERSIONED).digest == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("text", SAME.values(), ids=SAME)
def test_how_a_plan_is_written_does_not_matter_for_its_version(tmp_path: Path, text: str) -> None:
    assert text != VERSIONED
    assert load(tmp_path, text).digest == load(tmp_path, VERSIONED).digest


@pytest.mark.parametrize("text", OTHERS.values(), ids=OTHERS)
def test_what_a_plan_says_is_its_version(tmp_path: Path, text: str) -> None:
    assert text != VERSIONED
    assert load(tmp_path, text).digest != load(tmp_path, VERSIONED).digest


def test_a_plan_of_any_letters_has_a_version(tmp_path: Path) -> None:
    digests = {load(tmp_path, VERSIONED.replace("Reads", name)).digest for name in ('"\\ud800"', "ü", "u\u0308")}
    assert len(digests) == 3


# --- environments that are entered ---------------------------------------------------------------------------

TWO = """\
rollout: shop
environments:
  sandbox: {sandbox: true, time_scale: 60}
  production:
    target: "${PORTAL}"
    prometheus: "http://${HOST}:${PORT}/"
    flags: {url: http://flags, token: "${TOKEN}"}
"""
VARIABLES = {"PORTAL": "http://portal", "HOST": "prom", "PORT": "9090", "TOKEN": "secret"}
SANDBOX = SandboxState(
    target="http://t", prometheus="http://p", pushgateway="http://g", flags="http://f", flags_token="t", faults=()
)


def test_variables_are_filled_in_when_an_environment_is_entered(tmp_path: Path) -> None:
    entered = load(tmp_path, TWO + STAGES).environment("production", VARIABLES)
    assert (entered.target, entered.prometheus) == ("http://portal", "http://prom:9090/")
    assert entered.flags is not None
    assert entered.flags.token == "secret"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("PORTAL", "5:13: environments.production.target needs the environment variable PORTAL, which is not set"),
        ("HOST", "6:17: environments.production.prometheus needs the environment variable HOST, which is not set"),
        ("PORT", "6:17: environments.production.prometheus needs the environment variable PORT, which is not set"),
        ("TOKEN", "7:39: environments.production.flags.token needs the environment variable TOKEN, which is not set"),
    ],
    ids=["target", "prometheus", "port", "token"],
)
@pytest.mark.parametrize("unset", [True, False], ids=["unset", "empty"])
def test_an_unset_variable_is_named_with_the_key_that_needs_it(
    tmp_path: Path, name: str, message: str, *, unset: bool
) -> None:
    variables = {**VARIABLES, name: ""}
    if unset:
        del variables[name]
    with pytest.raises(EnvironmentUnready) as refused:
        load(tmp_path, TWO + STAGES).environment("production", variables)
    assert str(refused.value) == f"shop.rollout.yaml:{message}"


def test_variables_of_production_do_not_matter_in_the_sandbox(tmp_path: Path) -> None:
    target = enter(load(tmp_path, TWO + STAGES), "sandbox", sandbox=SANDBOX, variables={})
    assert (target.url, target.prometheus, target.flags_url) == ("http://t", "http://p", "http://f")
    assert target.rehearsal == ("sandbox", "time scale 60")


@pytest.mark.parametrize(
    ("name", "hint"),
    [("producton", "did you mean 'production'?"), ("zzz", "known here: production, sandbox")],
)
def test_an_unknown_environment_comes_with_a_suggestion(tmp_path: Path, name: str, hint: str) -> None:
    with pytest.raises(EnvironmentUnready) as refused:
        load(tmp_path, TWO + STAGES).environment(name, VARIABLES)
    assert str(refused.value) == f"shop.rollout.yaml: no environment {name!r}; {hint}"


def test_a_sandbox_that_is_not_up_cannot_be_entered(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentUnready) as refused:
        enter(load(tmp_path, TWO + STAGES), "sandbox", sandbox=None, variables={})
    assert str(refused.value) == "environment 'sandbox' needs a sandbox, and none is up"


@pytest.mark.parametrize(("said", "via"), [("", "api"), (", via: api", "api"), (", via: browser", "browser")])
def test_canaries_drive_the_target_by_its_api_unless_the_environment_says_otherwise(
    tmp_path: Path, said: str, via: str
) -> None:
    assert load(tmp_path, ENVIRONMENT % f"{{target: x{said}}}").environment("prod", {}).via == via


def test_tokens_are_not_shown(tmp_path: Path) -> None:
    target = enter(load(tmp_path, TWO + STAGES), "production", sandbox=None, variables=VARIABLES)
    assert target.flags_token == "secret"
    assert repr(target) == "Target('production', 'http://portal')"


# --- the plan of this repository -----------------------------------------------------------------------------


def test_the_plan_of_prisma_has_the_stages_of_its_runbook() -> None:
    loaded = load_plan(REPOSITORY / "canaries" / "prisma" / "prisma.rollout.yaml")
    assert [stage.marker for stage in loaded.plan.stages] == [f"stage{number}" for number in range(6)]
    assert loaded.plan.rollout == "prisma"
    assert {"sandbox", "staging", "production"} <= set(loaded.plan.environments)
    lines = loaded.path.read_text(encoding="utf-8").splitlines()
    for index, stage in enumerate(loaded.plan.stages):
        assert lines[loaded.line_of_stage(index) - 1].strip() == f"- stage: {stage.stage}"
        for place, gate in enumerate(stage.gates):
            assert f"id: {gate.id}" in lines[loaded.line_of_gate(index, place) - 1]
