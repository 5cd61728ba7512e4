"""Environments that are entered: which sandbox is theirs, and the variables that they have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_rollout.errors import EnvironmentUnready
from pytest_rollout.plan.loader import LoadedPlan, load_plan
from pytest_rollout.target import Variables, enter, enter_as_it_is

PLAN = """\
rollout: shop
environments:
  sandbox: {sandbox: true}
  modes: {sandbox: modes}
  production: {target: "${SHOP}"}
stages: [{stage: 1, name: Reads, gates: [{id: a, unproven: x}]}]
"""


@pytest.fixture
def loaded(tmp_path: Path) -> LoadedPlan:
    path = tmp_path / "shop.rollout.yaml"
    path.write_text(PLAN, encoding="utf-8")
    return load_plan(path)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Return the state file of a sandbox of the system ``modes``."""
    words = dict.fromkeys(("target", "prometheus", "pushgateway", "flags"), "http://127.0.0.1:9")
    told = {"flags_token": "t", "faults": [], "system": "modes", "variables": {"REGION": "eu", "TOKEN": "s3cret"}}
    path = tmp_path / "state.json"
    path.write_text(json.dumps({**words, **told}), encoding="utf-8")
    return path


def test_a_sandbox_that_is_up_is_entered_with_its_variables(loaded: LoadedPlan, state: Path) -> None:
    process = {"ROLLOUT_SANDBOX": str(state), "REGION": "us", "LANG": "C", "EMPTY": ""}
    target = enter_as_it_is(loaded, "modes", process)
    assert (target.url, target.rehearsal) == ("http://127.0.0.1:9", ("sandbox",))
    assert target.variables == {"ROLLOUT_SANDBOX": str(state), "REGION": "eu", "LANG": "C", "TOKEN": "s3cret"}
    assert "s3cret" not in repr(target) + repr(target.variables) + f"{target.variables}"


def test_another_environment_has_those_of_the_process(loaded: LoadedPlan, state: Path) -> None:
    target = enter_as_it_is(loaded, "production", {"SHOP": "http://shop", "ROLLOUT_SANDBOX": str(state)})
    assert target.variables == {"SHOP": "http://shop", "ROLLOUT_SANDBOX": str(state)}
    assert target.rehearsal == ()


HOW = "and export ROLLOUT_SANDBOX as it says"
REFUSED = {
    "none is up": ("sandbox", "", f"'sandbox' is a sandbox that is not up: start it with 'rollout sandbox up', {HOW}"),
    "none of its system is up": (
        "modes",
        "",
        f"'modes' is a sandbox that is not up: start it with 'rollout sandbox up --system modes', {HOW}",
    ),
    "one of another system is up": (
        "sandbox",
        "state.json",
        f"'sandbox' is a sandbox of prisma, and ROLLOUT_SANDBOX names modes: start it with 'rollout sandbox up', {HOW}",
    ),
}


@pytest.mark.parametrize(("name", "file", "said"), REFUSED.values(), ids=REFUSED)
@pytest.mark.usefixtures("state")
def test_a_sandbox_has_to_be_up_and_of_its_system(
    loaded: LoadedPlan, tmp_path: Path, name: str, file: str, said: str
) -> None:
    with pytest.raises(EnvironmentUnready) as refused:
        enter_as_it_is(loaded, name, {"ROLLOUT_SANDBOX": str(tmp_path / file) if file else ""})
    assert str(refused.value) == said


@pytest.mark.parametrize("missing", ["system", "variables", "flags_token"])
def test_a_sandbox_that_does_not_say_what_it_is_is_not_entered(loaded: LoadedPlan, state: Path, missing: str) -> None:
    told = json.loads(state.read_text(encoding="utf-8"))
    del told[missing]
    state.write_text(json.dumps(told), encoding="utf-8")
    with pytest.raises(EnvironmentUnready) as refused:
        enter_as_it_is(loaded, "modes", {"ROLLOUT_SANDBOX": str(state)})
    assert str(refused.value) == (
        f"no sandbox is described by {state}: KeyError({missing!r}); start one with: rollout sandbox up"
    )


def test_a_variable_that_is_not_set_is_named() -> None:
    variables = Variables({"REGION": "eu"})
    with pytest.raises(EnvironmentUnready) as refused:
        variables["REGIONS"]
    assert str(refused.value) == (
        "the environment variable REGIONS is not set; export it, or choose an environment that brings it, "
        "as a sandbox does"
    )
    assert (variables.get("REGIONS"), "REGIONS" in variables, dict(variables)) == (None, False, {"REGION": "eu"})


def test_without_a_sandbox_one_cannot_be_entered(loaded: LoadedPlan) -> None:
    with pytest.raises(EnvironmentUnready) as refused:
        enter(loaded, "modes", sandbox=None, variables={})
    assert str(refused.value) == "environment 'modes' needs a sandbox, and none is up"
