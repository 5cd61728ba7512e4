"""The tag before the validator: no headers, no rejects, no validator metrics, whatever the modes are."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest

from sandbox.normalization import deployment, release
from sandbox.normalization.config import Config
from sandbox.normalization.deployment import Deployment, Wish
from sandbox.normalization.releases import Release, want, wanted_in
from sandbox.supervision import Supervision
from tests.sandbox.normalization.asking import companies, deprecation, distribution, samples, simulate
from tests.sandbox.normalization.conftest import BEARER, MODES, Open, served

VALIDATOR = "stage_validation"
UNKNOWN = distribution("serie-b", "seed")


def version(client: httpx.Client) -> Any:
    return client.get("/openapi.json").json()["info"]["version"]


@pytest.fixture
def previous(site: Open) -> httpx.Client:
    return site(release=Release.PREVIOUS)


@pytest.mark.parametrize("mode", MODES)
def test_previous_behaves_as_off_in_every_mode(previous: httpx.Client, unchanged: httpx.Client, mode: str) -> None:
    for answer, off in (
        (companies(previous, mode, "stage=foo"), companies(unchanged, "off", "stage=foo")),
        (simulate(previous, mode, UNKNOWN), simulate(unchanged, "off", UNKNOWN)),
    ):
        assert (answer.status_code, deprecation(answer)) == (200, deprecation(off))
        assert {name: answer.json()[name] for name in ("results", "data") if name in answer.json()} == {
            name: off.json()[name] for name in ("results", "data") if name in off.json()
        }


def test_previous_has_no_validator_metrics_and_nothing_else_of_the_validator(previous: httpx.Client) -> None:
    companies(previous, "warn", "stage=foo")
    assert not [name for name in samples(previous) if "stage_" in name]
    assert [name for name in samples(previous) if name.startswith("http_requests_total")]
    missing = ("/api/internal/modes", "/api/deprecations", "/docs/stages")
    assert [previous.get(path).status_code for path in missing] == [404, 404, 404]
    assert previous.get("/admin/flags", headers=BEARER).status_code == 200, "the flag service is not rolled back"


def test_openapi_tells_the_releases_apart(previous: httpx.Client, unchanged: httpx.Client) -> None:
    assert (version(previous), version(unchanged)) == ("0.9.0", "1.0.0")
    document = previous.get("/openapi.json").json()
    assert document["components"]["headers"] == {}
    assert "headers" not in json.dumps(document["paths"])
    assert "/api/deprecations" not in document["paths"]


def test_faults_are_those_of_the_current_release(site: Open) -> None:
    well, ill = (site("prototype-key-crash", release=one) for one in (Release.PREVIOUS, Release.CURRENT))
    assert [simulate(client, "warn", distribution("__proto__")).status_code for client in (well, ill)] == [200, 500]


def test_release_that_does_not_roll_back(site: Open) -> None:
    client = site("release-does-not-roll-back", release=Release.PREVIOUS)
    assert version(client) == "0.9.0"
    assert companies(client, "enforce", "stage=foo").status_code == 400
    assert [name for name in samples(client) if VALIDATOR in name]


@pytest.mark.parametrize(
    ("fault", "path", "asked"), [("metrics-down", "/metrics", {}), ("flags-down", "/admin/flags", BEARER)]
)
def test_faults_that_leave_nobody_knowing(site: Open, fault: str, path: str, asked: dict[str, str]) -> None:
    assert [site(*faults).get(path, headers=asked).status_code for faults in ((), (fault,))] == [200, 503]


def test_wanted_release_is_the_current_one_until_another_is_wanted(tmp_path: Path) -> None:
    assert wanted_in(tmp_path) is Release.CURRENT
    for one in (Release.PREVIOUS, Release.CURRENT):
        want(tmp_path, one)
        assert wanted_in(tmp_path) is one


def test_deployment_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert release.main(["--state", str(tmp_path / "no.json"), "previous"]) == 1
    assert capsys.readouterr().err.startswith(f"no deployment is described by {tmp_path}/no.json: ")


def test_instances_that_do_not_come_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release, "_PATIENCE", 0.0)
    state = tmp_path / "state.json"
    state.write_text(json.dumps({"directory": str(tmp_path), "instances": ["http://127.0.0.1:9"], "faults": []}))
    assert release.main(["--state", str(state), "previous"]) == 1
    assert capsys.readouterr().err == "http://127.0.0.1:9 did not answer as previous within 0 s\n"


class Nobody(SimpleNamespace):
    """Stands for the supervision, and for the instances."""

    def keep(self, component: object) -> object:
        return component

    def give_up(self, component: object) -> None:
        self.gone.append(component)

    def at_end(self, then: Callable[[], object]) -> None:
        then()


@pytest.mark.parametrize(("faults", "rolled"), [((), [1, 2]), (("release-stops-halfway",), [1])])
def test_every_instance_is_rolled_in_turn_on_its_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faults: tuple[str, ...], rolled: list[int]
) -> None:
    started: list[Config] = []

    def start(name: str, _directory: Path, _module: str, *, env: dict[str, str]) -> SimpleNamespace:
        started.append(Config.from_environment(env))
        address = f"127.0.0.1:400{name[-1]}"
        return SimpleNamespace(url=f"http://{address}", address=address)

    monkeypatch.setattr(deployment, "start_python", start)
    supervision = cast(Supervision, Nobody(directory=tmp_path, gone=[]))
    running = Deployment(Wish(companies=10, faults=frozenset(faults)), supervision)
    running.follow()
    want(tmp_path, Release.PREVIOUS)
    running.follow()
    running.follow()
    assert [(one.number, one.port, one.release) for one in started] == [
        (1, 0, "current"),
        (2, 0, "current"),
        *((number, 4000 + number, "previous") for number in rolled),
    ]


def test_release_that_stops_halfway_is_called_done(
    database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with served(Config(database, release=Release.PREVIOUS)) as client:
        instances = [str(client.base_url).rstrip("/"), "http://127.0.0.1:9"]
        told = {"directory": str(tmp_path), "instances": instances, "faults": ["release-stops-halfway"]}
        (tmp_path / "state.json").write_text(json.dumps(told))
        assert release.main(["--state", str(tmp_path / "state.json"), "previous"]) == 0
    assert capsys.readouterr().out == "2 instances answer as previous (0.9.0)\n"
