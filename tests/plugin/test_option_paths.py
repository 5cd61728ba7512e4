"""--rollout-reports, --rollout-evidence, and their ini keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_rollout.evidence.log import EvidenceLog
from pytest_rollout.evidence.record import Kind, Place
from tests.plugin.conftest import FLAGS, GATE, OTHER, Bench


@pytest.mark.parametrize(
    ("ini", "arguments", "place"),
    [
        ("", (), "reports"),
        ("rollout_reports = 'out'", (), "out"),
        ("rollout_reports = 'out'", ("--rollout-reports", "deep/er"), "deep/er"),
        ("", ("--rollout-reports", "~/mine"), "mine"),
    ],
)
def test_place_of_the_verdict(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, ini: str, arguments: tuple[str, ...], place: str
) -> None:
    monkeypatch.setenv("HOME", str(bench.path))
    bench.pytester.makepyprojecttoml(f"[tool.pytest]\nrollout_plans = ['.']\n{ini}\n")
    bench.plan()
    (bench.path / "below").mkdir()
    monkeypatch.chdir(bench.path / "below")

    result = bench.run("-m", "stage1", *arguments, "..")

    assert result.ret == 0
    assert [path.relative_to(bench.path) for path in bench.path.rglob("verdict.json")] == [Path(place, "verdict.json")]
    result.stdout.fnmatch_lines([f"decision: GO  {bench.path / place / 'verdict.json'}"])


def test_a_verdict_that_cannot_be_written_is_no_go(bench: Bench) -> None:
    bench.plan()
    (bench.path / "reports").write_text("a file, not a folder", encoding="utf-8")

    result = bench.run("-m", "stage1", "--rollout-push", "always")

    assert result.ret == 1
    result.stdout.fnmatch_lines(["not complete: */reports/verdict.json: not written: *", "decision: HOLD*"])
    assert result.stdout.str().count("not complete:") == 1
    assert "rollout_last_success" not in bench.world.pushes[0][1]


def test_a_verdict_that_cannot_be_written_any_more_is_no_go(bench: Bench) -> None:
    bench.plan()
    bench.pytester.makeconftest(
        "import pathlib, shutil\ndef pytest_runtest_teardown():\n"
        "    shutil.rmtree('reports'); pathlib.Path('reports').touch()"
    )

    result = bench.run("-m", "stage1", "--rollout-push", "always")

    assert result.ret == 1
    result.stdout.fnmatch_lines(["* shop stage1 in staging: HOLD *", "decision: HOLD*"])
    assert "rollout_last_success" not in bench.world.pushes[0][1]


def test_place_of_the_evidence(bench: Bench) -> None:
    bench.plan()
    bench.test("import pytest\n@pytest.mark.canary('smoke')\ndef test_it(): pass")

    assert bench.run("-m", "canary", "--rollout-canary", "smoke").ret == 0
    assert (bench.path / ".rollout" / "evidence.db").is_file()
    assert bench.run("-m", "canary", "--rollout-canary", "smoke", "--rollout-evidence", "other/log.db").ret == 0
    assert (bench.path / "other" / "log.db").is_file()


def test_nothing_passes_without_an_evidence_log(bench: Bench) -> None:
    bench.plan(GATE, {"id": "tickets", "unproven": "no spike"}, flags=FLAGS)
    (bench.path / ".rollout").write_text("in the way", encoding="utf-8")

    assert bench.run("-m", "stage1").ret == 1

    assert bench.checks() == {
        "flag-state": "error evidence-unusable",
        "latency": "error evidence-unusable",
        "tickets": "inconclusive unproven",
    }


def test_every_run_records_its_looks(bench: Bench) -> None:
    bench.plan(GATE, OTHER)
    assert [bench.run("-m", "stage1").ret for _ in range(2)] == [0, 0]

    log = EvidenceLog(bench.path / ".rollout" / "evidence.db", create=False)
    here = Place("shop", "staging", bench.world.url)
    for gate in ("latency", "errors"):
        assert [look.data["count"] for look in log.read(Kind.LOOK, here, f"stage1/{gate}")] == [1, 2]
