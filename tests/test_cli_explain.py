"""``rollout explain``, as people meet it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pytest_rollout.cli import main
from pytest_rollout.plugin.ledger import Check, Ledger
from pytest_rollout.publish.verdict_file import write_verdict
from pytest_rollout.verdict import CheckResult, Reason, Verdict

PASSED = CheckResult(
    verdict=Verdict.PASSED,
    reason=Reason.WITHIN_LIMIT,
    message="the value 1 is below 5",
    value=1.0,
    limit=5.0,
    samples=1,
    derivation={"rule": "bare value", "at": 1_700_000_000.0},
)
SHORT = "  the value 1 is below 5\n  value 1, limit 5, 1 samples"
LONG = f"{SHORT}\n  rule: bare value\n  at: 2023-11-14T22:13:20Z"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    ledger = Ledger()
    for stage, name, kind in (
        ("stage1", "latency", "promql"),
        ("stage2", "latency", "promql"),
        ("stage2", "tests/test_shop.py::test_pay", "test"),
    ):
        check = Check(rollout="shop", stage=stage, id=name, kind=kind, nodeid=name)
        ledger.expect(check)
        ledger.record(check.key, PASSED)
    file = tmp_path / "reports" / "verdict.json"
    write_verdict(file, ledger.document(version="0", finished_at=0.0, interrupted=False))
    return file


def said(*arguments: object) -> tuple[str, int]:
    done = CliRunner().invoke(main, ["explain", *map(str, arguments)])
    return done.output.removesuffix("\n"), done.exit_code


def test_three_lines_of_each(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("stage1/latency", "stage2/latency", "stage2/tests/test_shop.py::test_pay")
    each = "\n\n".join(f"shop/{name}: PASSED (within-limit)\n{SHORT}" for name in names)
    assert said(path) == (each, 0)
    monkeypatch.chdir(path.parent.parent)
    assert said() == (each, 0)


def test_all_of_one(path: Path) -> None:
    assert said(path, "shop/stage2/latency") == (f"shop/stage2/latency: PASSED (within-limit)\n{LONG}", 0)
    name = "tests/test_shop.py::test_pay"
    assert said(path, name) == (f"shop/stage2/{name}: PASSED (within-limit)\n{LONG}", 0)


def test_an_id_of_two_stages_is_both(path: Path) -> None:
    both = "\n\n".join(f"shop/{stage}/latency: PASSED (within-limit)\n{LONG}" for stage in ("stage1", "stage2"))
    assert said(path, "latency") == (both, 0)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("latencie", "did you mean 'latency'?"),
        ("shop/stage3/latency", "did you mean 'shop/stage2/latency'?"),
        ("x", "known here: latency, tests/test_shop.py::test_pay"),
        ("", "known here: latency, tests/test_shop.py::test_pay"),
    ],
)
def test_an_unknown_check(path: Path, name: str, hint: str) -> None:
    assert said(path, name) == (f"rollout: {path} has no check {name!r}; {hint}", 1)


@pytest.mark.parametrize("arguments", [(), ("latency",)])
def test_no_checks(path: Path, arguments: tuple[str, ...]) -> None:
    write_verdict(path, {**json.loads(path.read_text()), "stages": []})
    assert said(path, *arguments) == (f"rollout: {path} has no checks; run a stage", 1)


def test_no_file(tmp_path: Path) -> None:
    path = tmp_path / "verdict.json"
    assert said(path) == (f"rollout: {path}: not read: No such file or directory; run the stage to make it", 2)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1); run the stage again"),
        ("\udcff", "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte; run the stage again"),
        ("{}", "KeyError('stages')"),
        ('{"stages": [{"checks": [{}]}]}', "ValueError(\"not a check result: 'window' is missing\")"),
    ],
)
def test_an_unreadable_file(path: Path, text: str, why: str) -> None:
    path.write_bytes(text.encode(errors="surrogateescape"))
    assert said(path) == (f"rollout: {path}: not a verdict document: {why}", 2)


@pytest.mark.parametrize(
    "strange",
    [
        {"derivation": 5},
        {"derivation": {"at": 1e300}},
        {"derivation": {"each": {"a": {"verdict": "perhaps", "derivation": {}}}}},
        {"message": None},
        {"window": [1]},
        {"value": "x", "unit": "share"},
    ],
    ids=repr,
)
def test_a_check_that_is_none(path: Path, strange: dict[str, Any]) -> None:
    document = json.loads(path.read_text())
    document["stages"][0]["checks"][0].update(strange)
    write_verdict(path, document)
    told, code = said(path, "latency")
    assert told.startswith(f"rollout: {path}: not a verdict document: ")
    assert code == 2
