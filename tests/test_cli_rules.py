"""``rollout rules``, as people meet it, and the rendered files of this repository."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from pytest_rollout.cli import main

ROOT = Path(__file__).parents[1]
CANARIES = "canaries: {pay: {every: 15m, deadline: 2m}}"
PLAN = """\
rollout: %s
environments:
  sandbox: {sandbox: true, time_scale: 60}
  production: {target: "${SHOP}", pushgateway: "${GATEWAY}"}
  blind: {target: http://shop}
%s
stages:
  - {stage: 1, name: Reads, gates: [{id: paid, canary: {name: pay}}]}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name: str = "shop", canaries: str = CANARIES) -> Path:
    path = Path("canaries", f"{name}.rollout.yaml")
    path.parent.mkdir(exist_ok=True)
    path.write_text(PLAN % (name, canaries))
    return path


def said(*arguments: object) -> tuple[str, int]:
    done = CliRunner().invoke(main, ["rules", *map(str, arguments)])
    return done.output.removesuffix("\n"), done.exit_code


def test_production_is_watched_unless_it_is_said_otherwise() -> None:
    path = write()
    text, status = said()
    assert status == 0
    assert text.splitlines()[:7] == [
        "# Rendered from shop.rollout.yaml by: rollout rules --rollout-env 'production'",
        "# Do not edit: change the plan and render again. Scrape the Pushgateway with honor_labels: true.",
        "groups:",
        '  - name: "canaries of shop in production"',
        "    rules:",
        "      # pay: every 15 min",
        "      - alert: RolloutCanaryStopped",
    ]
    assert said(path) == said("canaries") == said("--rollout-env", "production") == (text, 0)


def test_addresses_need_not_be_known() -> None:
    """Rules are rendered where nobody knows the addresses of production."""
    write()
    assert "SHOP" not in said()[0]


def test_durations_are_scaled() -> None:
    write()
    (group,) = yaml.safe_load(said("--rollout-env", "sandbox")[0])["groups"]
    assert [rule["for"] for rule in group["rules"]] == ["0s", "35s", "35s"]


def test_every_plan_has_its_group() -> None:
    write("till")
    write("shop")
    write("quiet", canaries="")
    text, status = said()
    assert status == 0
    assert text.startswith("# Rendered from shop.rollout.yaml, till.rollout.yaml by: ")
    assert [group["name"] for group in yaml.safe_load(text)["groups"]] == [
        "canaries of shop in production",
        "canaries of till in production",
    ]


def test_a_file(folder: Path) -> None:
    write()
    output = folder / "deploy" / "shop.rules.yml"
    assert said("--output", output) == (f"{output}: written; check it with: promtool check rules {output}", 0)
    assert output.read_text() == said()[0] + "\n"
    done = subprocess.run(["promtool", "check", "rules", output], capture_output=True, text=True, check=False)
    assert (done.returncode, "SUCCESS: 3 rules found" in done.stdout) == (0, True)


def test_a_file_that_cannot_be_written(folder: Path) -> None:
    write()
    (folder / "deploy").write_text("a file")
    output = folder / "deploy" / "shop.rules.yml"
    why = "File exists; make the folder writable or choose another"
    assert said("--output", output) == (f"rollout: {output}: not written: {why}", 2)


def test_no_plan() -> None:
    assert said("here") == ("rollout: no *.rollout.yaml at or below here; name a file or a folder", 2)


def test_no_canaries() -> None:
    write(canaries="")
    why = "no plan at or below canaries has canaries with a schedule; add canaries: {NAME: {every: 15m}}"
    assert said() == (f"rollout: {why}", 2)


def test_a_plan_that_is_wrong() -> None:
    write(canaries="canaries: {pay: {every: 0s}}")
    assert said() == ("rollout: shop.rollout.yaml:6:18: a period must be longer than nothing", 2)


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ("productoin", "no environment 'productoin'; did you mean 'production'?"),
        (
            "blind",
            "environment 'blind' names no pushgateway, so no alert would ever see a canary; add it to the plan",
        ),
    ],
)
def test_an_environment_without_metrics(environment: str, why: str) -> None:
    write()
    assert said("--rollout-env", environment) == (f"rollout: shop.rollout.yaml: {why}", 2)


def test_the_rules_of_this_repository_are_what_its_plan_renders() -> None:
    """If this fails: rollout rules canaries/prisma --output deploy/prisma/canaries.rules.yml"""
    text, status = said(ROOT / "canaries" / "prisma")
    assert status == 0
    assert (ROOT / "deploy" / "prisma" / "canaries.rules.yml").read_text() == text + "\n"
