"""Which spellings are recognised, and what is suggested for the others."""

import pytest
from hypothesis import given, strategies as st

from sandbox.normalization.stages import CANONICAL, edit_distance, nearest, recognise
from sandbox.normalization.validation import SHOWN, examine


@pytest.mark.parametrize(
    ("text", "stage"),
    [
        *((stage, stage) for stage in CANONICAL),
        ("Pre Seed", "pre-seed"),
        ("pre_seed", "pre-seed"),
        ("PRESEED", "pre-seed"),
        ("Series A", "series-a"),
        ("series_a", "series-a"),
        ("seriesA", "series-a"),
        ("Series C", "series-c"),
        ("series_c", "series-c"),
        ("SeriesC+", "series-c+"),
        ("series c+", "series-c+"),
        ("  SERIES \t  B ", "series-b"),
        ("ｓｅｒｉｅｓ－ａ", "series-a"),  # noqa: RUF001 - fullwidth
        ("sériés a", "series-a"),
        ("series\N{NO-BREAK SPACE}a", "series-a"),
    ],
)
def test_recognised(text: str, stage: str) -> None:
    assert recognise(text) == stage


@pytest.mark.parametrize(
    "text",
    [
        "seriesc",
        "SeriesC",
        "series-d",
        "series--a",
        "serie a",
        "s\N{CYRILLIC SMALL LETTER IE}ed",
        "seed\0",
        "",
        "__proto__",
        "series\N{NON-BREAKING HYPHEN}a",
        "series-c +",
        "series a b",
    ],
)
def test_not_recognised(text: str) -> None:
    assert recognise(text) is None


@pytest.mark.parametrize(
    ("text", "stage"),
    [
        ("serie-a", "series-a"),
        ("seriesc", "series-c"),
        ("SEEDS", "seed"),
        ("see", "seed"),
        ("Series-D", "series-a"),  # as near as any other letter: the first one
        ("seXXX", "seed"),  # three edits
        ("sXXXX", None),  # four
        ("angel", None),
        ("pre-seed-XX", "pre-seed"),
        ("pre-seed-XXX", None),  # four edits, and 30 % of twelve characters are less
        ("", None),
        ("x" * 100, None),
    ],
)
def test_suggestion_within_three_edits(text: str, stage: str | None) -> None:
    assert nearest(text) == stage


@pytest.mark.parametrize(
    ("one", "other", "edits"), [("", "", 0), ("seed", "", 4), ("seed", "sede", 2), ("kitten", "sitting", 3)]
)
def test_edit_distance(one: str, other: str, edits: int) -> None:
    assert edit_distance(one, other) == edit_distance(other, one) == edits


@given(st.text(max_size=100))
def test_a_recognised_text_has_the_stage_it_is_renamed_to(text: str) -> None:
    stage = recognise(text)
    assert stage is None or recognise(stage) == stage


def test_findings_name_the_first_unknown_texts_once_each() -> None:
    texts = ["seed", "Series A", "typo", "typo", *(f"unknown {number}" for number in range(100))]
    findings = examine(texts, recognise, lambda text: "seed" if text == "typo" else None)
    assert findings.stages[:4] == ("seed", "series-a", "typo", "typo")
    assert findings.unknown == ("typo", *(f"unknown {number}" for number in range(SHOWN - 1)))
    assert findings.suggestions == (("typo", "seed"),)
