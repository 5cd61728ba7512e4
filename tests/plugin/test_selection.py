"""What a run is about, from its arguments alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_rollout.plugin.selection import find_plans, marker_lines, selects, stage_numbers, unknown_stages, walk


@pytest.mark.parametrize(
    ("expression", "stage", "expected"),
    [
        ("", "stage1", True),
        ("  ", "stage1", True),
        ("stage1", "stage1", True),
        ("stage1", "stage2", False),
        ("stage1", "stage10", False),
        ("stage10", "stage1", False),
        ("(stage1)", "stage1", True),
        ("stage1 or stage2", "stage2", True),
        ("stage1 or stage2", "stage3", False),
        ("not stage1", "stage1", False),
        ("not stage1", "stage2", True),
        ("not (stage1 or stage2)", "stage2", False),
        # Asking for a part of a stage is asking about the stage: what is left out then holds it.
        ("stage1 and rollout_gate", "stage1", True),
        ("stage1 and not rollout_gate", "stage1", True),
        ("stage1 and canary", "stage1", True),
        ("stage1 and not slow", "stage1", True),
        ("stage1 and slow and not flaky", "stage1", True),
        ("stage1 and not stage1", "stage1", False),
        ("rollout_gate", "stage1", True),
        ("rollout_gate and not stage2", "stage2", False),
        ("rollout_gate and not stage2", "stage1", True),
        ("not rollout_gate", "stage1", False),
        ("canary", "stage1", False),
        ("canary or stage1", "stage1", True),
        ("stage1 and owner(name='ops')", "stage1", True),
        ("not owner(name='ops') and stage1", "stage1", True),
        # Not to be read as Python, though pytest reads some of it: then every stage has to be proven.
        ("stage1 and", "stage1", True),
        ("stage1 and", "stage2", True),
        ("not my-mark", "stage1", True),
        ("not my.mark", "stage1", True),
        ("True", "stage1", True),
    ],
)
def test_selects(expression: str, stage: str, expected: bool) -> None:
    assert selects(expression, stage) is expected


def test_a_test_without_rollout_gate_is_judged_by_its_own_marks() -> None:
    assert selects("canary and not slow", "stage1", {"canary"})
    assert not selects("canary and not slow", "stage1", {"canary", "slow"})
    assert not selects("rollout_gate", "stage1", {"canary"})


def test_selects_ends_soon_whatever_the_expression() -> None:
    expression = " and ".join(f"(mark{n} or not mark{n})" for n in range(200))

    assert selects(f"stage1 and {expression}", "stage1")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("stage1", []),
        ("stage9", ["stage9"]),
        ("stage1 and not stage9 or stage8", ["stage8", "stage9"]),
        ("stage10", ["stage10"]),
        ("canary", []),
        ("", []),
    ],
)
def test_unknown_stages(expression: str, expected: list[str]) -> None:
    assert unknown_stages(expression, {"stage1", "canary"}) == expected


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("stages:\n  - stage: 0\n    name: x\n  - stage: 12\n", [0, 12]),
        ("stages:\n- stage: 1\n", [1]),
        ("stages:\n  -\n    stage: 3\n", [3]),
        ("stages: [{stage: 4, name: x}, {name: y, stage: 5}]\n", [4, 5]),
        ('{"stages": [{"stage": 6}]}\n', [6]),
        ("stages:\n  - name: x\n    stage: 7\n", [7]),
        ("stages:\n  - 'stage': 8\n", [8]),
        ("backstage: 9\nstages: 1\n", []),
        ("\tstage: [broken", []),
    ],
)
def test_stage_numbers_are_found_in_every_style_of_yaml(tmp_path: Path, text: str, numbers: list[int]) -> None:
    plan = tmp_path / "shop.rollout.yaml"
    plan.write_text(text, encoding="utf-8")

    assert stage_numbers(plan) == numbers


def test_stage_numbers_of_what_cannot_be_read(tmp_path: Path) -> None:
    binary = tmp_path / "binary.rollout.yaml"
    binary.write_bytes(b"\xff\xfestage: 1")

    assert stage_numbers(binary) == []
    assert stage_numbers(tmp_path / "absent.rollout.yaml") == []


def test_marker_lines_name_every_plan_of_a_stage(tmp_path: Path) -> None:
    for name in ("shop", "till"):
        (tmp_path / f"{name}.rollout.yaml").write_text("stages:\n  - stage: 1\n", encoding="utf-8")

    assert marker_lines(walk(tmp_path)) == {
        "stage1": "stage1: must hold before the flag of stage 2 is flipped (shop, till)"
    }


PLANS = (
    "canaries/a/a.rollout.yaml",
    "canaries/b/b.rollout.yaml",
    "canaries/.hidden/c.rollout.yaml",
    "canaries/venv/d.rollout.yaml",
    "canaries/node_modules/e.rollout.yaml",
    "other/f.rollout.yaml",
)


@pytest.fixture
def tree(pytester: pytest.Pytester) -> Path:
    for plan in (*PLANS, "canaries/venv/pyvenv.cfg", "canaries/a/rollout.yaml", "canaries/a/a.rollout.yml"):
        (pytester.path / plan).parent.mkdir(parents=True, exist_ok=True)
        (pytester.path / plan).touch()
    (pytester.path / "canaries" / "a" / "sub").mkdir()
    return pytester.path


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "ab"),
        ((".",), "ab"),
        (("canaries",), "ab"),
        (("canaries/a",), "a"),
        (("canaries/a/sub",), ""),
        (("canaries/b", "canaries/a"), "ba"),
        (("canaries/a", "canaries"), "ab"),
        (("canaries/a/a.rollout.yaml",), "a"),
        (("canaries/a/a.rollout.yaml::stage1::latency",), "a"),
        (("canaries/a/test_it.py::test_it", "canaries/b"), "b"),
        (("other",), "f"),
        ((".", "other"), "abf"),
        (("absent",), ""),
    ],
    ids=str,
)
def test_find_plans(pytester: pytest.Pytester, tree: Path, arguments: tuple[str, ...], expected: str) -> None:
    config = pytester.parseconfig("--rootdir", str(tree), *arguments)

    found = find_plans(config, [tree / "canaries"])

    assert "".join(plan.name[0] for plan in found) == expected
    assert all(plan.is_absolute() for plan in found)


def test_the_ini_key_may_name_a_file(pytester: pytest.Pytester, tree: Path) -> None:
    config = pytester.parseconfig("--rootdir", str(tree))
    plan = tree / "canaries" / "b" / "b.rollout.yaml"

    assert find_plans(config, [plan, tree / "canaries" / "a" / ".." / "b"]) == [plan]


def test_find_plans_from_below_the_root(pytester: pytest.Pytester, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree / "canaries")

    config = pytester.parseconfig("--rootdir", str(tree), "a", "..")

    assert [plan.name for plan in find_plans(config, [tree / "other"])] == ["a.rollout.yaml", "f.rollout.yaml"]
