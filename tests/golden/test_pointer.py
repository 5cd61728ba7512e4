"""JSON Pointer, and patterns of pointers."""

from __future__ import annotations

import fnmatch
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from pytest_rollout.golden.exact import MISSING
from pytest_rollout.golden.pointer import Pattern, lookup, parse_pointer, write_pattern, write_pointer

DERANDOMISED = settings(derandomize=True, deadline=None)
TOKENS = st.text(alphabet="ab~/*0", max_size=3)
PATHS = st.lists(TOKENS, max_size=4).map(tuple)
# RFC 6901, 5
RFC = {"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5, 'k"l': 6, " ": 7, "m~n": 8}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", RFC), ("/foo", ["bar", "baz"]), ("/foo/0", "bar"), ("/", 0), ("/a~1b", 1), ("/c%d", 2), ("/e^f", 3),
        ("/g|h", 4), ("/i\\j", 5), ('/k"l', 6), ("/ ", 7), ("/m~0n", 8), ("/foo/-", MISSING), ("/foo/00", MISSING),
        ("/foo/2", MISSING), ("/foo/+1", MISSING), ("/none", MISSING), ("/foo/0/x", MISSING),
    ],
)  # fmt: skip
def test_a_pointer_names_one_place(text: str, value: Any) -> None:
    assert lookup(RFC, parse_pointer(text)) == value


@pytest.mark.parametrize("text", ["foo", "/a~", "/a~2", "/~~"])
def test_what_is_no_pointer_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a JSON Pointer"):
        parse_pointer(text)


@DERANDOMISED
@given(PATHS)
def test_a_path_is_written_as_a_pattern_for_itself_alone(path: tuple[str, ...]) -> None:
    pattern = Pattern.parse(write_pattern(path))
    assert pattern.matches(path)
    assert pattern.literal
    assert not pattern.matches((*path, "x"))
    assert not pattern.matches(("x", *path))
    assert parse_pointer(write_pointer(path)) == path


@DERANDOMISED
@given(st.lists(st.sampled_from(["a", "b", "*", "**"]), max_size=4), st.lists(st.sampled_from("ab"), max_size=5))
def test_wildcards_are_those_of_paths_of_files(tokens: list[str], path: list[str]) -> None:
    pattern = Pattern.parse("".join(f"/{token}" for token in tokens))
    assert pattern.matches(path) is by_trial(tokens, path)
    assert pattern.within(path) is any(by_trial(tokens, [*path, *more]) for more in below(tokens))


def by_trial(tokens: list[str], path: list[str]) -> bool:
    if not tokens:
        return not path
    if tokens[0] == "**":
        return any(by_trial(tokens[1:], path[size:]) for size in range(len(path) + 1))
    return bool(path) and fnmatch.fnmatchcase(path[0], tokens[0]) and by_trial(tokens[1:], path[1:])


def below(tokens: list[str]) -> list[list[str]]:
    """Paths to go on with that are enough to meet whatever is left of some tokens."""
    rests = [[token.replace("*", "a") for token in tokens[place:] if token != "**"] for place in range(len(tokens) + 1)]
    ends: list[list[str]] = [["a"], ["b"]] if "**" in tokens else []
    return [rest for rest in [*rests, *ends] if rest]


def test_a_literal_star_has_an_escape() -> None:
    assert Pattern.parse("/~2").matches(("*",))
    assert not Pattern.parse("/~2").matches(("a",))
    assert write_pattern(("**", "a*", "~/")) == "/~2~2/a*/~0~1"


@pytest.mark.parametrize(
    ("more", "less"), [("/a/*", "/a"), ("/a/b", "/a/*"), ("/a/*", "/*/b"), ("/*", "/**"), ("/**/a", "/**"), ("/**", "")]
)
def test_the_longer_and_then_the_more_literal_pattern_ranks_higher(more: str, less: str) -> None:
    assert Pattern.parse(more).rank > Pattern.parse(less).rank
