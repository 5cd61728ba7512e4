"""Talking to a sandbox: its state file, its faults, and the command line that starts it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_rollout.errors import EnvironmentUnready
from pytest_rollout.sandbox import Sandbox, SandboxState, check_faults, known_faults, read_state

STATE: dict[str, Any] = {
    **dict.fromkeys(("target", "prometheus", "pushgateway", "flags"), "http://127.0.0.1:9"),
    "flags_token": "s3cret",
    "system": "shop",
    "faults": ["slow"],
    "variables": {"SHOP_URL": "http://127.0.0.1:9", "SHOP_TOKEN": "s3cret too"},
}
PROGRAM = f"""
import json, pathlib, sys
if sys.argv[1] == "faults":
    print(json.dumps([{{"name": "slow", "does": "is slow"}}, {{"name": "odd", "does": "is odd", "system": "shop"}}]))
    sys.exit()
pathlib.Path("arguments").write_text(json.dumps(sys.argv[1:]))
pathlib.Path(sys.argv[sys.argv.index("--state") + 1]).write_text({json.dumps(STATE)!r})
sys.stdin.read()
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a repository whose sandbox only says what it was asked."""
    (tmp_path / "sandbox").mkdir()
    (tmp_path / "sandbox" / "__init__.py").touch()
    (tmp_path / "sandbox" / "__main__.py").write_text(PROGRAM, encoding="utf-8")
    return tmp_path


def state(folder: Path, **changes: Any) -> Path:
    path = folder / "sandbox.json"
    fields = STATE | changes
    path.write_text(json.dumps({name: value for name, value in fields.items() if value is not None}))
    return path


def test_state_has_its_system_and_variables_and_shows_no_secret(tmp_path: Path) -> None:
    found = read_state(state(tmp_path))
    assert found == SandboxState(
        target=STATE["target"],
        prometheus=STATE["prometheus"],
        pushgateway=STATE["pushgateway"],
        flags=STATE["flags"],
        flags_token="s3cret",
        faults=("slow",),
        system="shop",
        variables=STATE["variables"],
    )
    assert "s3cret" not in repr(found)


@pytest.mark.parametrize("missing", ["target", "flags_token", "system", "faults", "variables"])
def test_state_that_lacks_a_part_is_refused(tmp_path: Path, missing: str) -> None:
    path = state(tmp_path, **{missing: None})
    with pytest.raises(EnvironmentUnready) as caught:
        read_state(path)
    hint = "start one with: rollout sandbox up"
    assert str(caught.value) == f"no sandbox is described by {path}: KeyError({missing!r}); {hint}"


def test_variables_have_to_be_an_object(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentUnready, match="AttributeError"):
        read_state(state(tmp_path, variables=["A=b"]))


def test_faults_of_a_system_or_of_all(root: Path) -> None:
    assert known_faults(root, "shop") == {"odd": "is odd"}
    assert known_faults(root, "prisma") == {"slow": "is slow"}, "a fault that names no system is prisma's"
    assert known_faults(root) == {"slow": "is slow", "odd": "is odd"}


def test_fault_of_another_system_is_none(root: Path) -> None:
    check_faults(root, ["slow", "odd"])
    check_faults(root, ["odd"], "shop")
    with pytest.raises(EnvironmentUnready, match=r"^the sandbox has no fault 'slow'; "):
        check_faults(root, ["slow"], "shop")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, []),
        ({"system": "prisma"}, []),
        ({"system": "shop", "words": ["migrated"]}, ["--system", "shop", "--migrated"]),
        ({"faults": ["odd"]}, ["--fault", "odd"]),
        ({"flags": {"MODE": "canary:warn"}}, ["--flag", "MODE=canary:warn"]),
        ({"history": 2700.0}, ["--history", "2700s"]),
    ],
)
def test_command_line(root: Path, options: dict[str, Any], words: list[str]) -> None:
    folder = root / "run"
    sandbox = Sandbox.start(root, folder, **{"faults": [], "flags": {}, "history": 0.0, **options})
    sandbox.stop()
    said = json.loads((root / "arguments").read_text())
    always = ["up", "--leash", "--state", str(folder / "sandbox.json"), "--directory", str(folder)]
    assert said == always + words
