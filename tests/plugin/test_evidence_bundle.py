"""Every run keeps what its verdicts rest on, whole and without secrets, or nothing passes."""

from __future__ import annotations

import errno
import gzip
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pytest_rollout.cli import main
from pytest_rollout.replay import read_bundle
from tests.plugin.conftest import FLAGS, GATE, OTHER, Bench

SECRET = "hunter2-hunter2"


def check(bench: Bench, name: str) -> dict[str, Any]:
    entries = [one for stage in bench.document()["stages"] for one in stage["checks"]]
    return next(one for one in entries if one["id"].endswith(name))


def kept(bench: Bench) -> list[str]:
    folder = bench.path / "reports" / "evidence"
    return sorted(file.name for file in folder.iterdir()) if folder.is_dir() else []


def replayed(bench: Bench) -> tuple[list[str], int]:
    done = CliRunner().invoke(main, ["replay", str(bench.verdict_path)])
    return done.output.splitlines(), done.exit_code


def test_a_stage_is_kept_and_judged_again(bench: Bench) -> None:
    bench.plan(GATE, OTHER, flags=FLAGS)
    bench.world.values["errors"] = 2
    bench.run("-m", "stage1")

    assert kept(bench) == ["shop-stage1.json.gz"]
    file = bench.path / "reports" / "evidence" / "shop-stage1.json.gz"
    named = {"file": "evidence/shop-stage1.json.gz", "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    for name in ("flag-state", "latency", "errors"):
        evidence = check(bench, name)["derivation"]["evidence"]
        assert {key: evidence[key] for key in named} == named
        assert sorted(evidence) == ["file", "head", "sha256"]
    bench.world.values["errors"] = 0  # now it would pass
    asked = len(bench.world.requests)
    assert replayed(bench) == (
        [
            "same  shop/stage1/errors: breached (limit-breached)",
            "same  shop/stage1/flag-state: passed (within-limit)",
            "same  shop/stage1/latency: passed (within-limit)",
            "every verdict came out the same",
        ],
        0,
    )
    assert len(bench.world.requests) == asked


def test_stages_are_kept_apart_and_judged_again(bench: Bench) -> None:
    stages = [{"stage": number, "name": "n", "gates": [GATE]} for number in (1, 2)]
    bench.write_plan({"rollout": "shop", "stages": stages})
    bench.run()
    assert kept(bench) == ["shop-stage1.json.gz", "shop-stage2.json.gz"]
    lines, code = replayed(bench)
    assert (lines[:2], code) == ([f"same  shop/stage{n}/latency: passed (within-limit)" for n in (1, 2)], 0)


def test_workers_keep_one_file(bench: Bench) -> None:
    bench.plan(GATE, OTHER)
    assert bench.run_apart("-m", "stage1", "-n", "2").ret == 0
    assert kept(bench) == ["shop-stage1.json.gz"]
    assert replayed(bench)[1] == 0


def test_a_chosen_gate_is_kept_alone(bench: Bench) -> None:
    path = bench.plan(GATE, OTHER)
    bench.run(f"{path}::stage1::latency")
    lines, code = replayed(bench)
    assert (lines[0], code) == ("same  shop/stage1/latency: passed (within-limit)", 0)


def test_a_gate_that_is_turned_to_passed_is_noticed(bench: Bench) -> None:
    bench.plan(GATE)
    bench.world.values["latency"] = 9
    bench.run("-m", "stage1")
    text = bench.verdict_path.read_text(encoding="utf-8")
    bench.verdict_path.write_text(text.replace('"breached"', '"passed"').replace("NO-GO", "GO"), encoding="utf-8")
    lines, code = replayed(bench)
    said = "the verdict file says otherwise than the evidence that it names: passed: the value 9 is not below 5"
    assert (lines[1], code) == (f"DIFFERS  shop/stage1/latency: {said}", 1)


# --- gates of Python tests ------------------------------------------------------------------------------------

TESTS = """
    import pytest
    pytestmark = pytest.mark.stage1

    def test_several(rollout_gate):
        rollout_gate.promql("latency", below=9)
        rollout_gate.promql("latency", below=5)
        rollout_gate.promql("errors", at_most=0)

    def test_{long}(rollout_gate):
        rollout_gate.promql("latency", below=5)

    @pytest.mark.parametrize("name", ["a b", "a_b"])
    def test_names(rollout_gate, name):
        rollout_gate.promql("latency", below=5)
"""


def test_gates_of_tests_are_kept_and_judged_again(bench: Bench) -> None:
    bench.plan(GATE)
    bench.test(TESTS.replace("{long}", "x" * 250))
    bench.test(TESTS.replace("{long}", "y"), name="test_other")
    assert bench.run("-m", "stage1").ret == 0
    lines, code = replayed(bench)
    assert (lines[-1], code) == ("every verdict came out the same", 0)
    assert len(kept(bench)) == 1 + 2 * (3 + 3)
    assert max(map(len, kept(bench))) < 200


def test_a_gate_of_a_test_that_is_asked_again_names_its_own_evidence(bench: Bench) -> None:
    bench.plan(GATE)
    bench.test("""
        import pytest

        @pytest.mark.stage1
        def test_caught(rollout_gate):
            with pytest.raises(AssertionError):
                rollout_gate.promql("latency", below=1)
            rollout_gate.promql("latency", below=5)
    """)
    assert bench.run("-m", "stage1").ret == 1
    assert check(bench, "test_caught")["verdict"] == "breached"
    lines, code = replayed(bench)
    assert (lines[-1], code) == ("every verdict came out the same", 0)


# --- what cannot be kept --------------------------------------------------------------------------------------


def unkept(bench: Bench, why: str) -> None:
    """Hold a run that nothing can be kept of against what it should be: not a pass is left, and no half a file."""
    bench.plan(GATE, OTHER, flags=FLAGS)
    bench.world.values["errors"] = 2
    result = bench.run("-m", "stage1")
    assert bench.checks() == {
        "flag-state": "error evidence-unusable",
        "latency": "error evidence-unusable",
        "errors": "breached limit-breached",
    }
    assert check(bench, "latency")["message"].startswith(f"the evidence cannot be kept: {why}")
    assert check(bench, "latency")["message"].endswith("; make the reports folder writable, or free some space")
    assert (bench.decision, result.ret) == ("NO-GO", 1)
    assert kept(bench) == []


def test_no_folder_to_keep_it_in(bench: Bench) -> None:
    (bench.path / "reports").mkdir()
    (bench.path / "reports" / "evidence").write_text("not a folder")
    unkept(bench, "[Errno 17] File exists: ")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_read_only(bench: Bench) -> None:
    folder = bench.path / "reports" / "evidence"
    folder.mkdir(parents=True)
    folder.chmod(0o555)
    unkept(bench, "[Errno 13] Permission denied: ")


def _full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    sync = os.fsync

    def fsync(descriptor: int) -> None:
        if "/evidence/" in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            _full()
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    unkept(bench, "[Errno 28] No space left on device")


def test_a_folder_that_takes_no_new_name(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    replace: Callable[[Path, Path], Path] = Path.replace
    monkeypatch.setattr(
        Path, "replace", lambda self, target: _full() if "evidence" in self.parts else replace(self, target)
    )
    unkept(bench, "[Errno 28] No space left on device")


def test_an_older_bundle_is_not_taken_for_that_of_this_run(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.plan(GATE)
    assert bench.run("-m", "stage1").ret == 0
    before = read_bundle(bench.path / "reports" / "evidence" / "shop-stage1.json.gz")
    replace: Callable[[Path, Path], Path] = Path.replace
    monkeypatch.setattr(
        Path, "replace", lambda self, target: _full() if "evidence" in self.parts else replace(self, target)
    )
    assert bench.run("-m", "stage1").ret == 1
    assert read_bundle(bench.path / "reports" / "evidence" / "shop-stage1.json.gz") == before
    assert bench.checks() == {"latency": "error evidence-unusable"}
    assert "evidence" not in check(bench, "latency")["derivation"]
    assert replayed(bench) == ([f"rollout: {bench.verdict_path} names no evidence; only gates of a plan keep some"], 2)


# --- secrets --------------------------------------------------------------------------------------------------


def test_no_secret_gets_out(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD", SECRET)
    address = bench.world.url.replace("http://", "http://reader:${PASSWORD}@")
    bench.plan(GATE, OTHER, flags=FLAGS, prometheus=address)
    path = bench.path / "shop.rollout.yaml"
    plan = json.loads(path.read_text())
    plan["environments"]["staging"]["flags"] = {"url": address, "token": "${PASSWORD}"}
    path.write_text(json.dumps(plan))
    bench.world.statuses["errors"] = 503
    scraped = bench.world._target

    def target() -> dict[str, Any]:
        return {
            **scraped(),
            "discoveredLabels": {"__param_token": SECRET},
            "scrapeUrl": f"http://a:1/metrics?token={SECRET}",
            "lastError": f'Get "http://a:1/metrics?token={SECRET}": timeout',
        }

    monkeypatch.setattr(bench.world, "_target", target)
    result = bench.run("-m", "stage1", "-v")
    assert bench.checks()["latency"] == "passed within-limit"
    assert bench.checks()["errors"] == "error source-unreachable"
    files = [file for file in (bench.path / "reports").rglob("*") if file.is_file()]
    assert len(files) >= 2
    for file in files:
        data = file.read_bytes()
        assert SECRET.encode() not in (gzip.decompress(data) if file.suffix == ".gz" else data), file
    for name in ("latency", "errors", "flag-state"):
        done = CliRunner().invoke(main, ["explain", str(bench.verdict_path), name])
        assert (SECRET in done.output, done.exit_code) == (False, 0)
    assert SECRET not in result.stdout.str() + result.stderr.str()
    assert replayed(bench)[1] == 0
