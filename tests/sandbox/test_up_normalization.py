"""``python -m sandbox up --system normalization``: two deployments, one of them observed, and its monitoring."""

import json
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, cast
from urllib.parse import quote

import pytest

from sandbox.__main__ import main
from sandbox.components import Component, Job, ScrapeConfig, request, status
from sandbox.faults import FAULTS as PRISMA
from sandbox.normalization import system
from sandbox.normalization.faults import FAULTS
from sandbox.normalization.system import Deployed, FlagSetting, Normalization, RunningNormalization
from tests.sandbox.processes import eventually

ROOT = Path(__file__).parents[2]
VARIABLES = {
    "STAGE_SERVING_INSTANCES",
    "STAGE_API_INSTANCES",
    "STAGE_API_FLAGS_TOKEN",
    "STAGE_PREVIEW_URL",
    "STAGE_MIGRATE",
    "STAGE_PREVIEW_MIGRATE",
    "STAGE_RELEASE",
    "STAGE_PREVIEW_RELEASE",
    "STAGE_RULES_FILE",
    "STAGE_ALERT_RECEIVER",
    "STAGE_ALERTMANAGER",
    "STAGE_SNAPSHOT",
}
# In this order the first would undo the second, were it not sorted.
FLAGS = ["STAGE_VALIDATION_MODE=canary:warn", "STAGE_VALIDATION_MODE=*:off", "STAGE_VALIDATION_MODE_COMPANIES=*:warn"]

State = dict[str, Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sandbox")


@pytest.fixture(scope="module")
def state(folder: Path) -> Iterator[State]:
    """Return the state of a sandbox whose serving database is migrated, with modes that differ."""
    file = folder / "state.json"
    flags = [part for flag in FLAGS for part in ("--flag", flag)]
    where = ["--state", str(file), "--directory", str(folder / "run")]
    command = [sys.executable, "-m", "sandbox", "up", "--system", "normalization", "--migrated", *where, *flags]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        try:
            eventually(lambda: file.exists() or process.poll() is not None, 40)
            yield json.loads(file.read_text())
        finally:
            process.terminate()
            assert process.wait(15) == 0


def get(url: str) -> Any:
    return json.loads(request(url))


def instances(state: State, whose: str) -> list[str]:
    urls: list[str] = state["variables"][whose].split(",")
    assert len(urls) == 2
    return urls


def run(command: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command of the variables, from a folder that is not the repository's."""
    words = [*shlex.split(command), *arguments]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


def test_state_names_everything(state: State, folder: Path) -> None:
    assert (state["system"], state["faults"]) == ("normalization", [])
    assert state["variables"].keys() == VARIABLES
    assert (folder / "state.json").stat().st_mode & 0o777 == 0o600
    secrets = {state["flags_token"], state["variables"]["STAGE_API_FLAGS_TOKEN"]}
    assert len(secrets) == 2
    commands = [path.read_text() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not any(secret in command for secret in secrets for command in commands)


def test_modes_are_those_of_the_flags_and_the_preview_is_off(state: State) -> None:
    def modes(instance: str) -> Any:
        return get(f"{instance}/api/internal/modes")["modes"]

    names = ("monte_carlo", "strategies", "companies")
    expected = {name: {"*": "warn" if name == "companies" else "off", "canary": "warn"} for name in names}
    for instance in instances(state, "STAGE_SERVING_INSTANCES"):
        assert modes(instance) == expected
    for instance in instances(state, "STAGE_API_INSTANCES"):
        assert modes(instance) == {name: {"*": "off"} for name in names}


def test_prometheus_scrapes_both_serving_instances_as_one_job_and_no_more(state: State) -> None:
    def ask(expression: str) -> list[dict[str, Any]]:
        answer = get(f"{state['prometheus']}/api/v1/query?query={quote(expression)}")
        return cast(list[dict[str, Any]], answer["data"]["result"])

    eventually(lambda: len(ask("sum by (instance) (rate(http_requests_total[5s])) > 40")) == 2)
    scraped = {row["metric"]["instance"] for row in ask('up{job="stage-normalization"} == 1')}
    assert [f"http://{one}" for one in sorted(scraped)] == sorted(instances(state, "STAGE_SERVING_INSTANCES"))
    assert {row["metric"]["job"] for row in ask("up")} == {"stage-normalization", "pushgateway"}


def test_rules_are_loaded_from_a_copy_that_may_be_edited(state: State) -> None:
    def loaded() -> set[str]:
        groups = get(f"{state['prometheus']}/api/v1/rules")["data"]["groups"]
        return {rule["name"] for group in groups for rule in group["rules"]}

    file = Path(state["variables"]["STAGE_RULES_FILE"])
    before, names = file.read_text(), loaded()
    assert (ROOT / "deploy/stage_normalization/alerts.rules.yml").read_text() == before
    assert names
    file.write_text('{"groups": [{"name": "dry", "rules": [{"alert": "DryRun", "expr": "vector(1)"}]}]}')
    request(f"{state['prometheus']}/-/reload", method="POST")
    assert loaded() == {"DryRun"}
    received = f"{state['variables']['STAGE_ALERT_RECEIVER']}/notifications"
    (told,) = eventually(lambda: [one for one in get(received) if "DryRun" in json.dumps(one)][:1])
    assert time.time() - 15 < told["at"] < time.time()
    assert told["body"]["status"] == "firing"
    file.write_text(before)
    request(f"{state['prometheus']}/-/reload", method="POST")
    assert loaded() == names
    assert state["variables"]["STAGE_ALERTMANAGER"] == state["alertmanager"]


def test_serving_is_migrated_and_the_preview_is_not(state: State, folder: Path) -> None:
    variables = state["variables"]
    verified = run(variables["STAGE_MIGRATE"], "--verify", variables["STAGE_SNAPSHOT"], folder=folder)
    assert (verified.returncode, json.loads(verified.stdout)["passed"]) == (0, True)
    assert json.loads(verified.stdout)["changed"] > 0
    plans = [run(variables[name], "--plan", folder=folder) for name in ("STAGE_MIGRATE", "STAGE_PREVIEW_MIGRATE")]
    left = [{change["table"] for change in json.loads(plan.stdout)["changes"]} for plan in plans]
    assert [("companies" in tables) for tables in left] == [False, True]


def test_preview_is_rolled_back_and_forth_on_its_ports(state: State, folder: Path) -> None:
    command, urls = state["variables"]["STAGE_PREVIEW_RELEASE"], instances(state, "STAGE_API_INSTANCES")
    flags = f"{state['variables']['STAGE_PREVIEW_URL']}/ofrep/v1/evaluate/flags"
    for release, version, there in (("previous", "0.9.0", 404), ("current", "1.0.0", 200)):
        done = run(command, release, folder=folder)
        assert (done.returncode, done.stdout) == (0, f"2 instances answer as {release} ({version})\n")
        for url in urls:
            assert get(f"{url}/openapi.json")["info"]["version"] == version
            assert status(f"{url}/api/internal/modes") == there
        context = b'{"context": {"targetingKey": "x"}}'
        assert json.loads(request(flags, method="POST", body=context))["flags"], "the flag service is not rolled back"


def test_no_such_release(state: State, folder: Path) -> None:
    done = run(state["variables"]["STAGE_PREVIEW_RELEASE"], "next", folder=folder)
    assert done.returncode == 2
    assert "invalid Release value: 'next'" in done.stderr


def running(*faults: str, migrated: bool = False) -> RunningNormalization:
    """Return a system as if its processes ran."""
    folder = ROOT / "nowhere"
    component = cast(Component, SimpleNamespace(url="http://127.0.0.1:1", address="127.0.0.1:1"))
    told = {"instances": ["http://127.0.0.1:2", "http://127.0.0.1:3"], "migrate": ["migrate"]}

    class Told(Deployed):
        state = told

    deployed = Told(component, folder / "normalization.json", "a-token", folder / "snapshot" if migrated else None)
    wish = Normalization(faults=frozenset(faults))
    return RunningNormalization(wish, lambda one: one, deployed, deployed, component, folder / "rules.yml")


def test_faults_of_the_monitoring() -> None:
    well = running()
    assert well.jobs == (Job("stage-normalization", "127.0.0.1:2,127.0.0.1:3"),)
    assert (well.rules, well.receiver) == ((ROOT / "nowhere/rules.yml",), "http://127.0.0.1:1")
    assert running("scrape-misses-instance").jobs == (Job("stage-normalization", "127.0.0.1:2"),)
    assert running("rules-not-loaded").rules == ()
    assert running("alert-never-sent").receiver is None
    assert running("rules-not-loaded").state("am")["variables"]["STAGE_RULES_FILE"] == str(ROOT / "nowhere/rules.yml")


def test_no_snapshot_is_named_where_nothing_was_migrated() -> None:
    names = [running(migrated=migrated).state("am")["variables"].keys() for migrated in (False, True)]
    assert names[1] - names[0] == {"STAGE_SNAPSHOT"}


def test_settings_are_sorted_so_that_none_undoes_another() -> None:
    settings = [FlagSetting.parse(text) for text in reversed(FLAGS)]
    assert [f"{one.flag}={one.cohort}:{one.value}" for one in sorted(settings, key=lambda one: one.turn)] == [
        FLAGS[1],
        FLAGS[2],
        FLAGS[0],
    ]


KNOWN = "STAGE_VALIDATION_MODE, STAGE_VALIDATION_MODE_MONTE_CARLO, STAGE_VALIDATION_MODE_STRATEGIES, "


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--flag", "MODE=*:warn"], f"--flag: unknown flag 'MODE'; flags: {KNOWN}STAGE_VALIDATION_MODE_COMPANIES"),
        (
            ["--flag", "STAGE_VALIDATION_MODE=*:true"],
            "--flag: 'STAGE_VALIDATION_MODE=*:true' is not NAME=COHORT:off, NAME=COHORT:warn or NAME=COHORT:enforce",
        ),
        (["--history", "45m"], "--history is an option of --system prisma, not of normalization"),
        (["--locale", "fa"], "--locale is an option of --system prisma, not of normalization"),
        (["--fault", "slow-reads"], "'slow-reads' is a fault of --system prisma, not of normalization"),
    ],
)
def test_wrong_usage(arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["up", "--system", "normalization", *arguments]) == 2
    assert capsys.readouterr().err == f"{complaint}\n"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--migrated"], "--migrated is an option of --system normalization, not of prisma"),
        (["--fault", "off-warns"], "'off-warns' is a fault of --system normalization, not of prisma"),
    ],
)
def test_wrong_usage_of_prisma(arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["up", *arguments]) == 2
    assert capsys.readouterr().err == f"{complaint}\n"


def test_faults_of_one_system_or_all(capsys: pytest.CaptureFixture[str]) -> None:
    def listed(*arguments: str) -> list[tuple[str, str]]:
        assert main(["faults", "--json", *arguments]) == 0
        return [(fault["system"], fault["name"]) for fault in json.loads(capsys.readouterr().out)]

    prisma, normalization = ([(fault.system, fault.name) for fault in faults] for faults in (PRISMA, FAULTS))
    assert listed("--system", "normalization") == normalization
    assert listed("--system", "prisma") == prisma
    assert listed() == prisma + normalization
    assert main(["faults"]) == 0
    assert capsys.readouterr().out.count("\n# normalization\n") == 1


class Webserver(BaseHTTPRequestHandler):
    """Takes everything."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        cast(Listening, self.server).taken.append((self.path, json.loads(body)))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class Listening(HTTPServer):
    taken: ClassVar[list[tuple[str, Any]]] = []


@pytest.mark.parametrize(
    ("fault", "silenced", "traffic"), [(None, 0, 1), ("alerts-silenced", 1, 1), ("no-traffic", 0, 0)]
)
def test_faults_at_the_begin(fault: str | None, silenced: int, traffic: int, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    monkeypatch.setattr(system, "configure_prometheus", lambda *_: None)
    monkeypatch.setattr(system, "start_python", lambda name, *_: started.append(name))
    with Listening(("127.0.0.1", 0), Webserver) as server:
        server.taken.clear()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        scrape = ScrapeConfig(alertmanager=f"127.0.0.1:{server.server_address[1]}")
        running(*[fault] if fault else []).begin(cast(Component, None), scrape)
        server.shutdown()
    assert started == ["traffic"] * traffic
    assert [path for path, _ in server.taken] == ["/api/v2/silences"] * silenced
