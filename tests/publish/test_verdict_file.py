import json
import os
from pathlib import Path
from typing import Any

import pytest

from pytest_rollout.errors import PublishError
from pytest_rollout.publish.verdict_file import read_verdict, write_verdict

DOCUMENT = {"decision": "HOLD", "stages": [{"stage": 1, "value": 0.25, "limit": None, "who": "Zoë"}]}


def test_what_is_written_is_read_back_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "reports" / "deep" / "verdict.json"

    write_verdict(path, DOCUMENT)

    assert read_verdict(path) == DOCUMENT
    assert "Zoë" in path.read_text(encoding="utf-8")
    assert [entry.name for entry in path.parent.iterdir()] == ["verdict.json"]


def test_the_file_is_as_readable_as_any_other(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_verdict(tmp_path / "verdict.json", DOCUMENT)
    finally:
        os.umask(before)

    assert (tmp_path / "verdict.json").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Path("x")], ids=["nan", "inf", "object"])
def test_what_json_has_no_word_for_is_refused_and_the_old_file_stays(tmp_path: Path, value: Any) -> None:
    path = tmp_path / "verdict.json"
    write_verdict(path, DOCUMENT)

    with pytest.raises(PublishError) as caught:
        write_verdict(path, {"value": value})

    assert str(caught.value).startswith(f"{path}: not written: ")
    assert str(caught.value).endswith("; put plain numbers, texts or null there")
    assert read_verdict(path) == DOCUMENT


def test_a_crash_while_writing_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "verdict.json"
    write_verdict(path, DOCUMENT)

    def die(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", die)
    with pytest.raises(KeyboardInterrupt):
        write_verdict(path, {"decision": "GO"})

    assert read_verdict(path) == DOCUMENT
    assert [entry.name for entry in tmp_path.iterdir()] == ["verdict.json"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("a file")
    path = tmp_path / "reports" / "verdict.json"

    with pytest.raises(PublishError) as caught:
        write_verdict(path, DOCUMENT)

    assert str(caught.value) == (f"{path}: not written: File exists; make the folder writable or choose another")


def test_a_missing_document_says_what_makes_it(tmp_path: Path) -> None:
    path = tmp_path / "verdict.json"

    with pytest.raises(PublishError) as caught:
        read_verdict(path)

    assert str(caught.value) == f"{path}: not read: No such file or directory; run the stage to make it"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[]", "not a JSON object"),
        ('{"value": NaN}', "NaN is not a number"),
        (json.dumps(DOCUMENT)[:-1], "Expecting"),
        ("", "Expecting value: line 1 column 1 (char 0)"),
    ],
    ids=["list", "nan", "cut", "empty"],
)
def test_half_a_document_is_none(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "verdict.json"
    path.write_text(text)

    with pytest.raises(PublishError) as caught:
        read_verdict(path)

    assert str(caught.value).startswith(f"{path}: not a verdict document: {why}")
    assert str(caught.value).endswith("; run the stage again")
