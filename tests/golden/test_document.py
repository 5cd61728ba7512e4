"""JSON files with places."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from pytest_rollout.errors import CaseError
from pytest_rollout.golden.document import read_json_document
from pytest_rollout.golden.exact import equal, write_pretty
from tests.golden.test_exact import VALUES


def read(tmp_path: Path, text: str | bytes) -> Any:
    path = tmp_path / "a.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_json_document(path)


@settings(derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(VALUES)
def test_a_file_is_read_as_any_other_json(tmp_path: Path, value: Any) -> None:
    text = write_pretty(value)
    assert equal(read(tmp_path, text).data, value)


def test_every_key_and_value_has_its_place(tmp_path: Path) -> None:
    document = read(tmp_path, '{\n  "a": [1,\n    {"ü\\u0041": 1.50}]\n}\n')
    assert document.data == {"a": [1, {"üA": Decimal("1.50")}]}
    assert document.error(("a", 1, "üA"), "x") == "a.json:3:17: x"
    assert document.error(("a", 1, "üA"), "x", at_key=True) == "a.json:3:6: x"
    assert document.error(("a", 0), "x") == "a.json:2:9: x"
    assert document.error(("a", 9, "b"), "x") == "a.json:2:8: x"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": NaN}', "1:7: NaN is not JSON"),
        ('{"a": -Infinity}', "1:7: -Infinity is not JSON"),
        ('{"a": tru}', "1:7: tru is not JSON"),
        ('{"a": 1,\n "a": 2}', "2:2: the key 'a' is given twice"),
        ('{"a": 1 "b": 2}', "1:9: ',' or '}' is needed here"),
        ("[1 2]", "1:4: ',' or ']' is needed here"),
        ("[1,]", "1:4: a value is needed here"),
        ('{"a": 1,}', "1:9: a text in double quotes is needed here, with control characters written as \\u0000"),
        ('{"a" 1}', "1:6: ':' is needed after the key 'a'"),
        ('["a\tb"]', "1:2: a text in double quotes is needed here, with control characters written as \\u0000"),
        ('["\\x"]', "1:2: a text in double quotes is needed here, with control characters written as \\u0000"),
        ("[] []", "1:4: nothing may follow the value"),
        ("", "1:1: a value is needed here"),
        ("[01]", "1:3: ',' or ']' is needed here"),
        ("[.5]", "1:2: a value is needed here"),
        ("[1e99999999999999999999]", "1:2: the number 1e99999999999999999999 is out of every range"),
        ("[" * 201 + "1", "1:202: nested more than 200 levels deep"),
        ("[" * 50_000, "1:202: nested more than 200 levels deep"),
    ],
)
def test_what_is_not_strict_json_is_refused_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(CaseError) as caught:
        read(tmp_path, text)
    assert str(caught.value) == f"a.json:{said}"


def test_a_file_that_is_no_text_or_not_there(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match=r"^a.json:1:1: cannot be read: 'utf-8' codec"):
        read(tmp_path, b"\xff")
    with pytest.raises(CaseError, match=r"^b.json:1:1: cannot be read: .*No such file"):
        read_json_document(tmp_path / "b.json")
