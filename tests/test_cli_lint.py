"""``rollout lint``, as people meet it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pytest_rollout.cli import main
from pytest_rollout.commands.lint import Against, lint_plans
from sandbox.components import Component
from sandbox.remote_write import remote_write

PLAN = """\
rollout: {name}
environments:
  sandbox: {{sandbox: true}}
  staging: {{target: http://shop, prometheus: "${{PROM}}"}}
  blind: {{target: http://shop}}
stages:
  - stage: 1
    name: Reads
    gates:
      - {{id: a, {gate}}}
"""
GOOD = "promql: 'min(up)', at_least: 1"
BAD = "promql: 'sum(x) or vector(0)', below: 5"
DUBIOUS = "promql: 'rate(x[5m])', below: 5"
UNREADABLE = "promql: 'sum(', below: 5"
HIDES = (
    "or with a constant puts a number where data is missing: "
    "a misspelt metric or a dead target then looks like that number"
)
STAGING = (
    "shop.rollout.yaml:4:46: environments.staging.prometheus needs the environment variable PROM, which is not set"
)
SANDBOX = (
    "'sandbox' is a sandbox that is not up: start it with 'rollout sandbox up', and export ROLLOUT_SANDBOX as it says"
)
TIME = "shop.rollout.yaml:7:5: info: stage1 is decided 0 ms after its flip at the earliest: 0 ms for 'a' [time-to-go]"
OFFLINE = "without a server: metrics, labels, buckets and retention were not looked at"
NO_SERVER = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("ROLLOUT_SANDBOX", "PROM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(gate: str, name: str = "shop", folder: str = "canaries") -> Path:
    path = Path(folder, f"{name}.rollout.yaml")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(PLAN.format(name=name, gate=gate))
    return path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["lint", *arguments])


def test_a_sound_plan() -> None:
    write(GOOD)
    done = run()
    assert done.output.splitlines() == [
        TIME,
        "    plan for it, or shorten the longest window",
        f"checked 1 plan, 1 gate, 0 errors, 0 warnings; {OFFLINE}",
    ]
    assert done.exit_code == 0


def test_an_error_is_told_with_its_place() -> None:
    write(BAD)
    done = run()
    assert done.output.splitlines() == [
        f"shop.rollout.yaml:10:25: error: {HIDES} [hides-missing]",
        "    leave it out: a gate without data holds; 'absent_is: 0' of a ratio or counter says when nothing is zero",
        TIME,
        "    plan for it, or shorten the longest window",
        f"checked 1 plan, 1 gate, 1 error, 0 warnings; {OFFLINE}",
    ]
    assert done.exit_code == 1


@pytest.mark.parametrize(
    ("gate", "arguments", "status"),
    [(DUBIOUS, [], 0), (DUBIOUS, ["--strict"], 1), (GOOD, ["--strict"], 0), (BAD, ["--strict"], 1)],
)
def test_warnings_count_if_it_is_strict(gate: str, arguments: list[str], status: int) -> None:
    write(gate)
    assert run(*arguments).exit_code == status


def test_an_unreadable_plan_does_not_hide_the_others() -> None:
    write(UNREADABLE, "broken")
    write(BAD)
    done = run()
    assert done.output.splitlines()[0] == "broken.rollout.yaml:10:25: unclosed left parenthesis"
    assert "[hides-missing]" in done.output
    assert done.output.endswith(f"checked 1 plan, 1 gate, 1 error, 0 warnings; {OFFLINE}\n")
    assert done.exit_code == 2


@pytest.mark.parametrize("text", ["[", "- a", ""])
def test_what_is_no_plan(text: str) -> None:
    write(GOOD).write_text(text)
    done = run()
    assert done.output.startswith("shop.rollout.yaml:1:")
    assert done.exit_code == 2


def test_plans_are_found_where_they_are_named() -> None:
    write(GOOD, "one", "here")
    two = write(GOOD, "two", "there/below")
    write(BAD, "three", "elsewhere")
    done = run("here", str(two), str(two.parent))
    assert "checked 2 plans, 2 gates, 0 errors, 0 warnings" in done.output
    assert done.exit_code == 0


@pytest.mark.parametrize("arguments", [(), ("nowhere",), ("here", "nowhere")])
def test_a_place_without_plans_is_no_success(arguments: tuple[str, ...]) -> None:
    write(GOOD, "one", "here")
    done = run(*arguments)
    place = arguments[-1] if arguments else "canaries"
    assert f"rollout: no *.rollout.yaml at or below {place}; name files or folders\n" in done.output
    assert done.exit_code == 2


# --- with a server --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(prometheus: Component, eras: Iterator[float]) -> tuple[str, float]:
    """Return a Prometheus that knows one metric, and when."""
    at = next(eras)
    remote_write(prometheus.url, [({"__name__": "cli_lint_speed"}, [(at, 1.0)])])
    return prometheus.url, at


SPEED = "promql: 'max(cli_lint_sped)', below: 5"


def lint_at(at: float, **against: str) -> tuple[int, list[str]]:
    said: list[str] = []
    variables = {"PROM": against.pop("variable", "")}
    status = lint_plans([], Against(at=at, variables=variables, **against), strict=False, say=said.append)
    return status, said


def test_an_unknown_metric_is_found_by_its_address(server: tuple[str, float]) -> None:
    url, at = server
    write(SPEED)
    status, said = lint_at(at, prometheus=url)
    assert said[0] == (
        "shop.rollout.yaml:10:25: error: the server has no metric 'cli_lint_sped', so the gate never has data "
        "[unknown-metric]\n    did you mean 'cli_lint_speed'?"
    )
    assert said[-1] == f"checked 1 plan, 1 gate, 1 error, 0 warnings; against {url}"
    assert status == 1


def test_the_server_of_an_environment(server: tuple[str, float]) -> None:
    url, at = server
    write(SPEED.replace("sped", "speed"))
    status, said = lint_at(at, environment="staging", variable=url)
    assert said[-1] == "checked 1 plan, 1 gate, 0 errors, 0 warnings; against the server of 'staging'"
    assert status == 0


def test_the_server_of_a_sandbox(server: tuple[str, float], folder: Path) -> None:
    url, at = server
    write(SPEED)
    state = folder / "sandbox.json"
    words = dict.fromkeys(("target", "prometheus", "pushgateway", "flags", "flags_token"), url)
    state.write_text(json.dumps({**words, "faults": [], "system": "prisma", "variables": {}}))
    said: list[str] = []
    against = Against(environment="sandbox", at=at, variables={"ROLLOUT_SANDBOX": str(state)})
    assert lint_plans([], against, strict=False, say=said.append) == 1
    assert "[unknown-metric]" in said[0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--rollout-env", "staging"], STAGING),
        (["--rollout-env", "sandbox"], SANDBOX),
        (["--rollout-env", "blind"], "environment 'blind' names no prometheus; add it to the plan"),
        (["--rollout-env", "stagin"], "shop.rollout.yaml: no environment 'stagin'; did you mean 'staging'?"),
        (["--prometheus", NO_SERVER], f"rollout: shop.rollout.yaml: {NO_SERVER}/api/v1/"),
    ],
)
def test_a_server_that_cannot_be_asked_is_no_success(arguments: list[str], said: str) -> None:
    write(GOOD)
    done = run(*arguments)
    assert done.output.startswith(said)
    assert "checked 0 plans, 0 gates, 0 errors, 0 warnings" in done.output
    assert done.exit_code == 2


def test_credentials_are_not_shown() -> None:
    write(GOOD)
    done = run("--prometheus", "http://user:secret@127.0.0.1:9")
    assert done.output.endswith("; against http://127.0.0.1:9\n")
    assert "secret" not in done.output


def test_one_server_is_asked() -> None:
    write(GOOD)
    done = run("--rollout-env", "staging", "--prometheus", NO_SERVER)
    assert re.search(r"give\s+one\s+of\s+--rollout-env\s+and\s+--prometheus", done.output.replace("│", " "))
    assert done.exit_code == 2
