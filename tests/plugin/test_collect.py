"""Plans as pytest items."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.plugin.conftest import FLAGS, GATE, OTHER, Bench

BROKEN = {
    "rollout: shop\nstages: [\n": "shop.rollout.yaml:3:1: not YAML: *",
    "": "shop.rollout.yaml:1:1: the plan is empty",
    "[1, 2]\n": "shop.rollout.yaml:1:1: a plan is a mapping with rollout, environments and stages",
    (
        "rollout: shop\nenvironments: {staging: {target: http://x}}\nstages:\n"
        "  - stage: 1\n    name: Reads\n    gates:\n      - {id: a, promql: x, belw: 1}\n"
    ): "shop.rollout.yaml:7:28: unknown key 'belw'; did you mean 'below'?",
    (
        "rollout: shop\nenvironments: {staging: {target: http://x}}\nstages:\n"
        "  - stage: 1\n    name: Reads\n    gates: []\n"
    ): "shop.rollout.yaml:6:12: at least one entry is needed here",
}


def files(bench: Bench) -> set[Path]:
    return {path for path in bench.path.rglob("*") if not {"__pycache__", ".pytest_cache"} & set(path.parts)}


def test_stages_and_gates_become_items_with_markers(bench: Bench) -> None:
    plan = bench.plan(GATE, OTHER, flags=FLAGS, folder="canaries")

    items, _ = bench.pytester.inline_genitems(*bench.arguments())

    assert [item.nodeid for item in items] == [
        f"canaries/shop.rollout.yaml::stage1::{name}" for name in ("flag-state", "latency", "errors")
    ]
    assert {mark.name for mark in items[1].iter_markers()} == {"stage1", "rollout_gate"}
    # A line that is a number: without one, a skip mark crashes pytest (#6508).
    lines = plan.read_text(encoding="utf-8").splitlines()
    path, line, name = items[1].reportinfo()
    assert (path, name) == (plan, "stage1/latency")
    assert line is not None
    assert "latency" in "".join(lines[line : line + 2])
    flag_line = items[0].reportinfo()[1]
    assert flag_line is not None
    assert "stage" in "".join(lines[flag_line : flag_line + 2])


def test_only_files_with_the_suffix_are_plans(bench: Bench) -> None:
    plan = bench.plan()
    for name in ("rollout.yaml", "shop.rollout.yml", "shop.rollout.yaml.bak", "shop.yaml"):
        (bench.path / name).write_text(plan.read_text(encoding="utf-8"), encoding="utf-8")

    items, _ = bench.pytester.inline_genitems(*bench.arguments())

    assert [item.nodeid for item in items] == ["shop.rollout.yaml::stage1::latency"]


def test_markers_are_listed_with_what_they_mean(bench: Bench) -> None:
    bench.plan(stage=1)
    bench.plan(stage=1, rollout="till")

    result = bench.run("--markers")

    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "@pytest.mark.rollout_gate: a gate of a plan",
            "@pytest.mark.canary(name): a synthetic transaction test",
            "@pytest.mark.stage1: must hold before the flag of stage 2 is flipped (shop, till)",
        ]
    )


@pytest.mark.parametrize(("text", "said"), BROKEN.items(), ids=["syntax", "empty", "list", "typing error", "no gates"])
def test_a_broken_plan_fails_with_its_place(bench: Bench, text: str, said: str) -> None:
    (bench.path / "shop.rollout.yaml").write_text(text, encoding="utf-8")

    result = bench.run()

    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines([f"*{said}"])
    assert bench.decision == "HOLD"
    assert any(fault.startswith("shop.rollout.yaml:") for fault in bench.document()["faults"])
    assert "Traceback" not in result.stdout.str()


def test_a_broken_plan_beside_a_good_one_holds_its_stage(bench: Bench) -> None:
    bench.plan()
    (bench.path / "till.rollout.yaml").write_text("rollout: till\nstages:\n  - stage: 1\n", encoding="utf-8")

    stage1 = bench.run("-m", "stage1", "--continue-on-collection-errors")

    assert (stage1.ret, bench.decision) == (1, "HOLD")
    stage1.stdout.fnmatch_lines(["not complete: till.rollout.yaml:*: 'environments' is missing"])


@pytest.mark.parametrize(
    "arguments",
    [
        ("shop.rollout.yaml", "shop.rollout.yaml"),
        (".", "shop.rollout.yaml"),
        ("shop.rollout.yaml", "."),
        ("--keep-duplicates", ".", "shop.rollout.yaml", "."),
        ("shop.rollout.yaml::stage1::latency", "shop.rollout.yaml::stage1", "."),
    ],
    ids=" ".join,
)
def test_a_plan_given_twice_is_collected_once(bench: Bench, arguments: tuple[str, ...]) -> None:
    bench.plan()

    result = bench.run("-m", "stage1", *arguments)

    result.assert_outcomes(passed=1)
    assert bench.decision == "GO"
    assert bench.world.queries("latency") == 1
    assert list(bench.checks()) == ["latency"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--collect-only",),
        ("--collect-only", "-q", "-m", "stage1"),
        ("--collect-only", "-n2"),
        ("--collect-only", "--rollout-canary", "smoke"),
        ("--fixtures",),
        ("--fixtures-per-test",),
        ("--cache-show",),
        ("--markers",),
        ("--help",),
        ("--version",),
    ],
    ids=" ".join,
)
def test_looking_around_does_no_io(bench: Bench, arguments: tuple[str, ...]) -> None:
    bench.plan(flags=FLAGS)
    bench.test("import pytest\n@pytest.mark.stage1\n@pytest.mark.canary('smoke')\ndef test_it(rollout_target): pass")
    before = files(bench)

    result = bench.run("-p", "cacheprovider", "--rollout-push", "always", *arguments)

    assert result.ret == 0
    assert bench.world.requests == []
    assert files(bench) == before


def test_two_plans_of_one_rollout_are_refused(bench: Bench) -> None:
    bench.plan(folder="a")
    bench.plan(folder="b")
    bench.world.values["latency"] = 1

    result = bench.run("-m", "stage1")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*two plans are called 'shop': */a/shop.rollout.yaml, */b/shop.rollout.yaml; rename one"]
    )


def test_a_plan_that_was_not_looked_for_is_never_judged(bench: Bench) -> None:
    bench.pytester.makepyprojecttoml('[tool.pytest]\nrollout_plans = ["canaries"]\n')
    bench.plan(folder="canaries")
    bench.plan(folder="elsewhere", rollout="till")

    result = bench.run("-m", "stage1")

    assert (result.ret, bench.decision) == (pytest.ExitCode.INTERRUPTED, "HOLD")
    result.stdout.fnmatch_lines(["*till.rollout.yaml: this plan was not found before collection; add its folder to *"])


def test_a_plan_behind_a_link_is_judged(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    bench.plan().rename(elsewhere / "shop.rollout.yaml")
    (bench.path / "linked").symlink_to(elsewhere)

    result = bench.run("-m", "stage1", "linked")

    assert (result.ret, bench.decision) == (0, "GO")
    assert bench.document()["stages"][0]["checks"][0]["nodeid"] == "linked/shop.rollout.yaml::stage1::latency"


def test_a_plan_outside_of_the_root_is_judged(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere: Path = tmp_path_factory.mktemp("elsewhere")
    bench.plan().rename(elsewhere / "shop.rollout.yaml")

    result = bench.run("-m", "stage1", f"--rootdir={bench.path}", str(elsewhere))

    assert (result.ret, bench.decision) == (0, "GO")
    (check,) = bench.document()["stages"][0]["checks"]
    assert check["nodeid"].endswith("shop.rollout.yaml::stage1::latency")


def test_gates_show_an_explanation_and_no_traceback(bench: Bench) -> None:
    bench.plan()
    bench.world.values["latency"] = 9

    result = bench.run("-m", "stage1")

    result.stdout.fnmatch_lines(
        [
            "*stage1/latency*",
            "latency: BREACHED (limit-breached)",
            "  the value 9 is not below 5",
            "  value 9, limit 5, 1 samples",
        ],
        consecutive=True,
    )
    assert "items.py" not in result.stdout.str()


def test_the_hooks_see_results_and_the_document(bench: Bench) -> None:
    bench.plan()
    bench.pytester.makeconftest(
        """
        import json
        def pytest_rollout_gate_evaluated(item, result):
            with open("evaluated.json", "a") as file:
                file.write(json.dumps([item.nodeid, result["verdict"], result["value"]]))
        def pytest_rollout_decided(config, document):
            with open("decided.json", "a") as file:
                file.write(json.dumps(document))
        """
    )

    assert bench.run("-m", "stage1").ret == 0

    evaluated = json.loads((bench.path / "evaluated.json").read_text(encoding="utf-8"))
    assert evaluated == ["shop.rollout.yaml::stage1::latency", "passed", 1.0]
    assert json.loads((bench.path / "decided.json").read_text(encoding="utf-8")) == bench.document()
