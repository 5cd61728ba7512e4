"""What is hashed, and how: other programs recompute it, so it stays as it is."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from pytest_rollout.errors import EvidenceError
from pytest_rollout.evidence.record import EMPTY, GENESIS, Head, Kind, Place, canonical, draft
from tests.evidence.logs import entry

DIGEST = "ab" * 32
PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
DATA = st.dictionaries(
    st.text(), st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
)
NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


def test_the_hashed_form_stays_as_it_is() -> None:
    one = entry("grüße", 1_700_000_000.125, data={"b": [1, None, True], "a": {"x": 0.1}}, key="run:1")
    row = draft(one).follow(Head(6, DIGEST), nth=3, peak=1_700_000_005.0)
    assert row.line == (
        '{"at":1700000000.125,"data":{"a":{"x":0.1},"b":[1,null,true]},"environment":"staging","key":"run:1",'
        '"kind":"canary-run","nth":3,"peak":1700000005.0,"prev":"' + DIGEST + '","rollout":"shop","seq":7,'
        '"subject":"gr\\u00fc\\u00dfe","target":"http://shop"}'
    )
    assert row.hash == hashlib.sha256(row.line.encode()).hexdigest()
    assert row.hash == "c92a52a4bdccf6a8052d7741d4023b0073c73753810ab665b0901f77ebbcf582"


@settings(derandomize=True, database=None, deadline=None, max_examples=60)
@given(DATA, NAMES, st.floats(allow_nan=False, allow_infinity=False), st.none() | NAMES)
def test_the_hashed_form_is_canonical_json(data: dict[str, Any], name: str, at: float, key: str | None) -> None:
    row = draft(entry(name, at, data=data, key=key, place=Place(name, name, name))).follow(EMPTY, 1, at)
    told = json.loads(row.line)
    assert row.line == json.dumps(told, sort_keys=True, separators=(",", ":"))
    fields = {name: value for name, value in row._asdict().items() if name != "hash"}
    assert told == {**fields, "data": json.loads(row.data)}
    assert row.intact
    assert (row.record().data, row.record().subject, row.record().key) == (data, name, key)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({2: 1, 10: 2}, '{"10":2,"2":1}'),
        ({"a": (1, 2)}, '{"a":[1,2]}'),
        ({"message": "half a pair \ud800 and a nul \0"}, '{"message":"half a pair \\ud800 and a nul \\u0000"}'),
    ],
    ids=["numbers as keys", "tuple", "what is no text"],
)
def test_data_has_one_text(data: dict[Any, Any], text: str) -> None:
    assert canonical(data) == text
    assert canonical(json.loads(text)) == text


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (float("nan"), "Out of range float values are not JSON compliant"),
        ({"a": object}, "Object of type type is not JSON serializable"),
    ],
)
def test_what_json_has_no_word_for_is_refused(data: Any, why: str) -> None:
    with pytest.raises(EvidenceError) as refused:
        draft(entry(data={"value": data}))
    assert str(refused.value).startswith(f"this cannot be recorded: {why}")
    assert str(refused.value).endswith("; put plain numbers, texts or null there")


@pytest.mark.parametrize("at", [float("nan"), float("inf")])
def test_a_time_is_a_number(at: float) -> None:
    with pytest.raises(EvidenceError, match="this cannot be recorded: "):
        draft(entry(at=at))


@pytest.mark.parametrize("name", ["nul \0", "half a pair \udc80"])
@pytest.mark.parametrize("where", ["subject", "key", "target"])
def test_a_name_is_a_text(where: str, name: str) -> None:
    other = {"place": Place("shop", "staging", name)} if where == "target" else {where: name}
    with pytest.raises(EvidenceError) as refused:
        draft(replace(entry(), **other))
    said = repr(name if where == "subject" else "smoke")
    assert str(refused.value) == f"this cannot be recorded: {said} or its place or key holds what is no text"


def test_a_record_follows_the_head_and_its_own_stream() -> None:
    one = draft(entry(at=5.0))
    first = one.follow(EMPTY, 1, one.at)
    assert (first.seq, first.prev, first.nth, first.peak) == (1, GENESIS, 1, 5.0)
    second = draft(entry(at=3.0)).follow(Head(first.seq, first.hash), 2, first.peak)
    assert (second.seq, second.prev, second.nth, second.peak) == (2, first.hash, 2, 5.0)
    assert second.record().head == Head(2, second.hash)


@pytest.mark.parametrize(
    "other",
    [
        {"seq": 2},
        {"prev": "1" * 64},
        {"kind": "look"},
        {"rollout": "x"},
        {"environment": "x"},
        {"target": "x"},
        {"subject": "x"},
        {"at": 2.0},
        {"key": "x"},
        {"data": "{}"},
        {"data": '{"a": 1}'},
        {"nth": 2},
        {"peak": 2.0},
        {"subject": b"smoke"},
        {"data": "\udcff"},
    ],
    ids=repr,
)
def test_nothing_can_be_changed_unnoticed(other: dict[str, Any]) -> None:
    row = draft(entry(data={"a": 1})).follow(EMPTY, 1, 1.0)
    assert row.intact
    assert not row._replace(**other).intact


def test_a_head_is_printed_and_read_again() -> None:
    head = Head(12, DIGEST)
    assert str(head) == f"12:{DIGEST}"
    assert Head.parse(f" 12:{DIGEST}\n") == head


@pytest.mark.parametrize(
    "text", ["", "12", f"x:{DIGEST}", f"-1:{DIGEST}", "12:ab", f"12:{DIGEST}0", f"12:{DIGEST.upper()}"]
)
def test_what_is_no_head_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not the head of an evidence log; it looks like 12:abab"):
        Head.parse(text)


def test_kinds_keep_their_words() -> None:
    assert " ".join(Kind) == (
        "run-started canary-run slot-started slot look gate stage-entered stage-left flag-change "
        "attestation waiver bless rollback"
    )
